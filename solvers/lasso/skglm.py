"""Adapter to skglm's Anderson-accelerated coordinate descent."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._adapter import Adapter
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["Skglm"]


class Skglm(Adapter):
    """skglm's Lasso and elastic net, certified by the problem.

    No free columns and no sample weights, a squared penalty only with equal weights; float32 data is converted. The
    first solve of each kind waits for numba.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets, of all attempts together.
    time_limit : float or None, default=None
        Seconds, looked at between attempts.

    References
    ----------
    Q. Bertrand et al., "Beyond L1: faster and better sparse models with skglm", NeurIPS (2022).
    """

    name = "skglm"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "float32", "weights", "positive", "l2", "intercept"})
    requires = ("skglm",)

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None) -> None:
        super().__init__(max_iter=max_iter, time_limit=time_limit)

    def refuses(self, problem: LassoProblem) -> str | None:
        """Return why skglm cannot take this combination of penalties, or None."""
        if problem.l2 and "weights" in problem.needs():
            return "it combines l2 with an l1 penalty of equal weights only"
        return None

    def _run(
        self, problem: LassoProblem, A: Any, weights: FloatArray, start: FloatArray, tol: float, max_iter: int
    ) -> tuple[FloatArray, int]:
        from skglm.datafits import Quadratic
        from skglm.penalties import L1_plus_L2, WeightedL1
        from skglm.solvers import AndersonCD
        from skglm.utils.jit_compilation import compiled_clone

        total = problem.alpha + problem.l2
        if problem.l2:
            penalty = L1_plus_L2(total, problem.alpha / total, positive=problem.positive)
        else:
            penalty = WeightedL1(problem.alpha, weights, positive=problem.positive)
        # Its stopping rule is the largest violation of the optimality conditions, in units of a correlation.
        unit = float(np.abs(problem.view.correlation(problem.view.response)).max())
        solver = AndersonCD(
            max_iter=max_iter, tol=0.1 * float(np.sqrt(tol)) * unit, fit_intercept=problem.fit_intercept
        )
        y = problem.y.astype(np.float64)
        fitted = A @ start
        w = start.copy()
        if problem.fit_intercept:
            w = np.append(w, np.mean(y - fitted))
            fitted = fitted + w[-1]
        w, objectives, _ = solver.solve(A, y, compiled_clone(Quadratic()), compiled_clone(penalty), w, fitted)
        return w[: start.size], len(objectives)
