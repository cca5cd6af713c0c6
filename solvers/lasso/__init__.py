"""The weighted Lasso and elastic net: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .problem import LassoProblem

__all__ = ["BACKENDS", "PROBLEM", "LassoProblem", "choose"]

PROBLEM = LassoProblem

BACKENDS: Mapping[str, str] = {
    "coordinate_descent": ".coordinate_descent:CoordinateDescent",
    "homotopy": ".homotopy:Homotopy",
    "fista": ".fista:FISTA",
    "sklearn": ".sklearn:Sklearn",
    "celer": ".celer:Celer",
    "skglm": ".skglm:Skglm",
    "cvxpy": ".cvxpy:CVXPY",
}


def choose(problem: LassoProblem, qualified: Sequence[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    for name in ("coordinate_descent", "fista", "cvxpy"):
        if name in qualified:
            return name, "the fastest of the qualified backends"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
