"""The reference backend: the Lasso as a quadratic program for cvxpy, by default with Clarabel."""

from __future__ import annotations

import time
import warnings
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from ..conic import ConicSolver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["CVXPY"]


class CVXPY(ConicSolver[LassoProblem, FloatArray]):
    """Interior-point solution through cvxpy.

    Parameters
    ----------
    conic_solver : str, default="CLARABEL"
        Any solver that cvxpy has installed for quadratic programs.
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds.
    verbose : bool, default=False
        Whether the conic solver prints.

    Notes
    -----
    An interior point is never exactly zero: coefficients that the optimality conditions allow to vanish are set to
    zero afterwards. The solution is certified once, at the end.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> from estimand.solvers.lasso.cvxpy import CVXPY
    >>> problem = LassoProblem(A=np.eye(3), y=np.array([3.0, -1.0, 0.1]), alpha=0.2)
    >>> CVXPY().solve(problem, tol=1e-7).x.round(3) + 0.0
    array([ 2.4, -0.4,  0. ])
    """

    name = "cvxpy"
    problem = LassoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "weights", "free", "sample_weight", "positive", "l2", "intercept"}
    )
    accuracy = 1e-13

    def solve(
        self,
        problem: LassoProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Solve the quadratic program to the conic solver's own tolerance, then certify."""
        began = time.perf_counter()
        self.start_point(problem, start)
        if problem.vanishes():
            x = problem.view.complete(problem.initial_point())
            return certify_once(self, problem, x, tol=tol, n_iter=0)
        scale = np.sqrt(2 * problem.scale)  # the conic solver sees a response of order one
        x, n_iter = self._solve_scaled(problem, float(scale))
        x = problem.view.complete(self._clean(problem, x))
        late = self.time_limit is not None and time.perf_counter() - began >= self.time_limit
        stopped = "max_iter" if n_iter >= self.max_iter else "time_limit" if late else "stalled"
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)

    def _solve_scaled(self, problem: LassoProblem, scale: float) -> tuple[FloatArray, int]:
        import cvxpy as cp

        kept = np.flatnonzero(problem.penalised)
        x = problem.initial_point()
        n = problem.view.n_samples
        v, residual = cp.Variable(kept.size), cp.Variable(n)
        free = cp.Variable(problem.view.basis.shape[1]) if problem.view.basis.shape[1] else None
        A = problem.A[:, kept].astype(np.float64)
        A = sparse.diags(problem.view.root_weight) @ A if problem.view.root_weight is not None else A
        norms = self._norms(A)  # and columns of order one
        A = A @ sparse.diags(1 / norms)
        fitted = A @ v + (problem.view.basis @ free if free is not None else 0)
        constraints = [residual == problem.view.response / scale - fitted]
        if problem.positive:
            constraints.append(v >= 0)
        objective = cp.sum_squares(residual) / (2 * n) + (problem.thresholds[kept] / norms / scale) @ cp.abs(v)
        if problem.l2:
            objective = objective + cp.sum_squares(cp.multiply(np.sqrt(problem.l2 / 2) / norms, v))
        task = cp.Problem(cp.Minimize(objective), constraints)
        with warnings.catch_warnings():
            # The certificate says how accurate the point is.
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            n_iter = self._run(task)
        x[kept] = scale * v.value / norms
        return x, n_iter

    @staticmethod
    def _norms(A: Any) -> FloatArray:
        largest = np.abs(A).max(axis=0)
        largest = np.asarray(largest.toarray() if sparse.issparse(largest) else largest).ravel()
        # Powers of two lose no digits, and the largest entry cannot underflow as a sum of squares can.
        return np.ldexp(1.0, np.frexp(np.where(largest > 0, largest, 1.0))[1])

    @staticmethod
    def _clean(problem: LassoProblem, x: FloatArray) -> FloatArray:
        """Zero the coefficients that the dual point says are inactive, where this does not hurt."""
        if problem.positive:
            x = np.where(problem.penalised, np.maximum(x, 0.0), x)
        correlation = np.abs(problem.view.correlation(problem.view.project(problem.view.residual(x))))
        inactive = problem.penalised & (correlation < problem.thresholds * (1 - 1e-6))
        cleaned = np.where(inactive, 0.0, x)
        return cleaned if problem.objective(cleaned) <= problem.objective(x) * (1 + 1e-13) else x
