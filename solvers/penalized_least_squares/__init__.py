"""Least squares with a separable penalty: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .problem import PenalizedLeastSquaresProblem

__all__ = ["BACKENDS", "PROBLEM", "PenalizedLeastSquaresProblem", "choose"]

PROBLEM = PenalizedLeastSquaresProblem

BACKENDS: Mapping[str, str] = {
    "coordinate_descent": ".coordinate_descent:CoordinateDescent",
    "ista": ".ista:ISTA",
    "skglm": ".skglm:SkGLM",
}


def choose(problem: PenalizedLeastSquaresProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    if problem.compiled is None and "ista" in qualified:
        return "ista", "the penalty has no compiled form: vectorised steps are faster than single coordinates"
    for name in ("coordinate_descent", "ista", "skglm"):
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
