"""The reference backend: the problem with exponential cones for cvxpy, by default with Clarabel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from ..conic import ConicSolver
from ..lasso.frame import correlate, dense_columns
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .problem import LogisticPoint, LogisticProblem

__all__ = ["CVXPY"]


class CVXPY(ConicSolver[LogisticProblem, LogisticPoint]):
    """Interior-point solution through cvxpy.

    Parameters
    ----------
    conic_solver : str, default="CLARABEL"
        Any solver that cvxpy has installed for exponential cones.
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds.
    verbose : bool, default=False
        Whether the conic solver prints.

    Notes
    -----
    An interior point is never exactly zero: coefficients that the optimality conditions allow to vanish are set to
    zero afterwards. The solution is certified once, at the end; exponential cones reach relative gaps of about 1e-6.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.logistic import LogisticProblem
    >>> from estimand.solvers.logistic.cvxpy import CVXPY
    >>> A, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0])
    >>> problem = LogisticProblem(A=A, y=y, alpha=0.1, fit_intercept=True)
    >>> solution = CVXPY().solve(problem, tol=1e-5)
    >>> solution.converged, solution.x.coef.round(1)
    (True, array([0.5]))
    """

    name = "cvxpy"
    problem = LogisticProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "weights", "free", "sample_weight", "l2", "intercept"}
    )
    accuracy = 1e-11

    def solve(
        self,
        problem: LogisticProblem,
        *,
        start: Start[LogisticPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[LogisticPoint]:
        """Solve the cone program to the conic solver's own tolerance, then certify."""
        self.start_point(problem, start)
        x, n_iter = self._solve(problem)
        return certify_once(self, problem, self._clean(problem, x), tol=tol, n_iter=n_iter)

    def _solve(self, problem: LogisticProblem) -> tuple[LogisticPoint, int]:
        import cvxpy as cp

        kept, rows = np.flatnonzero(~problem.excluded), np.flatnonzero(problem.row_weight > 0)
        y, weight = problem.y[rows], problem.row_weight[rows]
        penalised = problem.penalised[kept]
        v, b = cp.Variable(max(1, kept.size)), cp.Variable()
        scores: Any = np.zeros(rows.size)
        if kept.size:
            A = problem.A.tocsr()[rows] if sparse.issparse(problem.A) else problem.A[rows]
            A = sparse.csc_array(A[:, kept], dtype=np.float64) if sparse.issparse(A) else dense_columns(A, kept)
            scores = A @ v
        if problem.fit_intercept:
            scores = scores + b
        objective = weight @ cp.logistic(-cp.multiply(y, scores + np.zeros(rows.size)))
        if kept.size:
            objective = objective + problem.thresholds[kept] @ cp.abs(v)
        if problem.l2 and np.any(penalised):
            objective = objective + problem.l2 / 2 * cp.sum_squares(v[np.flatnonzero(penalised)])
        task = cp.Problem(cp.Minimize(objective))
        n_iter = self._run(task)
        x = problem.initial_point()
        if kept.size:
            x.coef[kept] = v.value
        if problem.fit_intercept:
            x.intercept[0] = b.value
        return x, n_iter

    @staticmethod
    def _clean(problem: LogisticProblem, x: LogisticPoint) -> LogisticPoint:
        """Zero the coefficients that the dual point says are inactive, where this does not hurt."""
        correlation = np.abs(correlate(problem.A, problem.residual(problem.scores(x))))
        inactive = problem.penalised & (correlation < problem.thresholds * (1 - 1e-5))
        cleaned = LogisticPoint(np.where(inactive, 0.0, x.coef), x.intercept)
        return cleaned if problem.objective(cleaned) <= problem.objective(x) * (1 + 1e-12) else x
