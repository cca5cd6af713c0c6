"""PRESTO, ordinal regression that shrinks towards proportional odds: problem, backends and ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from scipy import sparse

from ..ordinal.problem import OrdinalPoint
from .problem import PrestoProblem

__all__ = ["BACKENDS", "PROBLEM", "OrdinalPoint", "PrestoProblem", "choose"]

PROBLEM = PrestoProblem

BACKENDS: Mapping[str, str] = {
    "newton_cd": ".newton_cd:NewtonCD",
    "fista": ".fista:FISTA",
    "sklearn": ".sklearn:Sklearn",
    "cvxpy": ".cvxpy:CVXPY",
}


_MANY_FEATURES = 20_000


def choose(problem: PrestoProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    if sparse.issparse(problem.X) and problem.X.shape[1] > _MANY_FEATURES and "fista" in qualified:
        return "fista", "sparse features, too many to look at their pairs"
    if "newton_cd" in qualified:
        return "newton_cd", "the fastest of the qualified backends"
    if "cvxpy" in qualified:
        return "cvxpy", "the only one with constraints over the box of the features"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
