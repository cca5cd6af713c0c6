"""Proportional odds, ordinal regression with common slopes: problem, backends and ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import ProportionalOddsProblem

__all__ = ["BACKENDS", "PROBLEM", "ProportionalOddsProblem", "choose"]

PROBLEM = ProportionalOddsProblem

BACKENDS: Mapping[str, str] = {
    "newton": ".newton:Newton",
    "lbfgs": ".lbfgs:LBFGS",
    "statsmodels": ".statsmodels:Statsmodels",
    "cvxpy": ".cvxpy:CVXPY",
}


def choose(problem: ProportionalOddsProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    for name in ("newton", "lbfgs", "cvxpy"):
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
