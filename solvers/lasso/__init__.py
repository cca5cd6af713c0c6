"""The weighted Lasso and elastic net: problem, backends and the rule of ``solver="auto"``."""

from __future__ import annotations

from collections.abc import Container, Mapping

from scipy import sparse
from scipy.sparse.linalg import LinearOperator

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


# Up to here the exact path is the quickest backend, or behind by milliseconds where the penalty is large. Beyond, a
# breakpoint, which costs a pass over the design, is dearer than coordinate descent on well-conditioned data.
_EXACT_PATH_RANK = 500
_EXACT_PATH_ENTRIES = 200_000


def choose(problem: LassoProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    n, p = problem.A.shape
    if isinstance(problem.A, LinearOperator):
        name, reason = "fista", "the design is an operator: it can only be multiplied with"
    elif not sparse.issparse(problem.A) and min(n, p) <= _EXACT_PATH_RANK and n * p <= _EXACT_PATH_ENTRIES:
        name, reason = "homotopy", "a small dense design: the exact path is quick at any penalty and conditioning"
    else:
        name, reason = "", ""
    if name in qualified:
        return name, reason
    for name in ("coordinate_descent", "fista", "cvxpy"):
        if name in qualified:
            return name, "large or sparse, or with terms that the exact path does not cover"
    raise ValueError(f"No installed backend can solve this problem: it needs {', '.join(sorted(problem.needs()))}.")
