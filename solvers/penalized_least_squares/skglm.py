"""The coordinate descent of the package skglm, for the penalties that it shares with this one."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ...penalties import L1, L1L2, MCP, SCAD, LogSum, Lq
from ..lasso.frame import FloatArray
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .backend import Backend
from .problem import PenalizedLeastSquaresProblem

__all__ = ["SkGLM"]

_TIGHTER = (0.3, 0.03, 0.003)


class SkGLM(Backend):
    """Working-set coordinate descent with Anderson acceleration, as skglm implements it.

    Parameters
    ----------
    max_iter : int, default=50
        Working sets.
    max_epochs : int, default=50000
        Passes on each working set.
    time_limit : float or None, default=None
        Not obeyed while skglm runs; looked at between its runs.

    Notes
    -----
    skglm measures subgradients and not the gain of a coordinate: where two minimisers of a coordinate compete it may
    stop at a point that the certificate refuses. The first call compiles.

    References
    ----------
    Q. Bertrand et al., "Beyond L1: faster and better sparse models with skglm", NeurIPS (2022).
    """

    name = "skglm"
    guarantee = "heuristic"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "float32", "intercept", "nonconvex"})
    requires = ("skglm",)

    def __init__(self, max_iter: int = 50, max_epochs: int = 50_000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.max_epochs = max_epochs
        self.time_limit = time_limit

    def refuses(self, problem: PenalizedLeastSquaresProblem) -> str | None:
        """Return why skglm does not know the penalty, or None."""
        penalty = problem.penalty
        if np.any(problem.excluded):
            return "it cannot exclude columns"
        if isinstance(penalty, Lq) and penalty.q not in (0.5, 2 / 3):
            return f"it knows q=1/2 and q=2/3, not q={penalty.q!r}"
        if not isinstance(penalty, (L1, L1L2, Lq, MCP, SCAD, LogSum)):
            return f"it does not know the penalty {penalty!r}"
        return None

    def solve(
        self,
        problem: PenalizedLeastSquaresProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Run skglm, with a tolerance that tightens until `problem` certifies the point."""
        from skglm.datafits import Quadratic
        from skglm.solvers import AndersonCD

        x = problem.repair(self.start_point(problem, start))
        if sparse.issparse(problem.A):
            design: Any = sparse.csc_matrix(problem.A, dtype=np.float64)
        else:
            design = np.asfortranarray(problem.A, dtype=np.float64)
        y = np.ascontiguousarray(problem.y, dtype=np.float64)
        n_iter = 0
        for factor in _TIGHTER:
            solver = AndersonCD(
                max_iter=self.max_iter,
                max_epochs=self.max_epochs,
                tol=factor * tol * problem.response_scale,
                fit_intercept=problem.fit_intercept,
                # The subdifferential of a power at 0 is the whole line: it would never leave zero.
                ws_strategy="fixpoint" if isinstance(problem.penalty, Lq) else "subdiff",
            )
            intercept = problem.intercept(x)
            point = np.append(x, intercept) if problem.fit_intercept else x.copy()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the certificate below says so
                coef, objectives, _ = solver.solve(
                    design, y, Quadratic(), self._translate(problem), point, design @ x + intercept
                )
            x = problem.repair(np.asarray(coef[: x.size], dtype=np.float64))
            n_iter += len(objectives)
            solution = certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped="max_iter")
            if solution.converged:
                break
        return solution

    @staticmethod
    def _translate(problem: PenalizedLeastSquaresProblem) -> Any:
        from skglm import penalties as peer

        penalty = problem.penalty
        if isinstance(penalty, L1):
            return peer.L1(alpha=float(penalty.alpha))
        if isinstance(penalty, L1L2):
            return peer.L1_plus_L2(alpha=float(penalty.alpha), l1_ratio=float(penalty.l1_ratio))
        if isinstance(penalty, MCP):
            return peer.MCPenalty(alpha=float(penalty.alpha), gamma=float(penalty.gamma))
        if isinstance(penalty, SCAD):
            return peer.SCAD(alpha=float(penalty.alpha), gamma=float(penalty.gamma))
        if isinstance(penalty, LogSum):
            return peer.LogSumPenalty(alpha=float(penalty.alpha), eps=float(penalty.eps))
        assert isinstance(penalty, Lq)
        return (peer.L0_5 if penalty.q == 0.5 else peer.L2_3)(float(penalty.alpha))
