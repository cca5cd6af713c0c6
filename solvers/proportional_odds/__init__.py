"""Proportional odds, ordinal regression with common slopes: problem, backends and ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import ProportionalOddsProblem

__all__ = ["BACKENDS", "PROBLEM", "ProportionalOddsProblem", "choose"]

PROBLEM = ProportionalOddsProblem

BACKENDS: Mapping[str, str] = {
    "newton": ".newton:Newton",
}


def choose(problem: ProportionalOddsProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    if "newton" in qualified:
        return "newton", "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
