"""Penalised binary logistic regression: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import LogisticPoint, LogisticProblem

__all__ = ["BACKENDS", "PROBLEM", "LogisticPoint", "LogisticProblem", "choose"]

PROBLEM = LogisticProblem

BACKENDS: Mapping[str, str] = {
    "newton_cd": ".newton_cd:NewtonCD",
    "fista": ".fista:FISTA",
    "cvxpy": ".cvxpy:CVXPY",
    "sklearn": ".sklearn:Sklearn",
    "celer": ".celer:Celer",
}


def choose(problem: LogisticProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    for name in ("newton_cd", "fista", "cvxpy"):
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
