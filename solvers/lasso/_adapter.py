"""What the adapters to other packages' Lasso solvers share: tighten their tolerance until the problem certifies.

Their stopping rules count in units of their own; only the duality gap of the problem decides here.
"""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["Adapter"]

_ATTEMPTS = 5
_TIGHTEST = 1e-20


class Adapter(Solver[LassoProblem, FloatArray]):
    """Base of the adapters; a subclass runs its package once at one tolerance.

    Parameters
    ----------
    max_iter : int, default=10000
        Passes of the package's main loop, of all attempts together.
    time_limit : float or None, default=None
        Seconds, looked at between attempts: the packages know no clock.
    """

    problem = LassoProblem
    guarantee = "exact"

    def __init__(self, max_iter: int = 10000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    @abstractmethod
    def _run(
        self, problem: LassoProblem, A: Any, weights: FloatArray, start: FloatArray, tol: float, max_iter: int
    ) -> tuple[FloatArray, int]:
        """Return the coefficients of the penalised columns `A`, and the passes of the main loop.

        `A` is float64, Fortran-ordered or CSC; `weights` are finite and positive, `tol` is relative.
        """

    def solve(
        self,
        problem: LassoProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Run the package, each time at a hundredfold tighter tolerance, until `problem` certifies its point.

        Parameters
        ----------
        problem : LassoProblem
            An instance that this backend supports.
        start : Solution, array of shape (p,) or None
            Where to begin.
        tol : float
            The duality gap is to be at most ``tol * problem.scale``.
        callback : callable or None
            Not called: the package owns its loop.

        Returns
        -------
        Solution
            The best point of up to five attempts.
        """
        began = time.perf_counter()
        x = self.start_point(problem, start)
        if problem.vanishes():
            return certify_once(self, problem, np.zeros_like(x), tol=tol, n_iter=0)
        # Some packages never touch a column of zeros, whatever coefficient it starts with.
        kept = np.flatnonzero(problem.penalised & (problem.view.column_norms() > 0))
        A, weights = _prepare(problem.A, kept), problem.omega[kept]
        point = np.maximum(x[kept], 0.0) if problem.positive else x[kept]
        best: Solution[FloatArray] | None = None
        total = 0
        for attempt in range(_ATTEMPTS):
            inner = max(0.3 * tol * 100.0**-attempt, _TIGHTEST)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                point, n_iter = self._run(problem, A, weights, point, inner, self.max_iter - total)
            total += n_iter
            x = np.zeros(problem.A.shape[1])
            x[kept] = point
            late = self.time_limit is not None and time.perf_counter() - began >= self.time_limit
            stopped = "max_iter" if total >= self.max_iter else "time_limit" if late else "stalled"
            found = certify_once(self, problem, x, tol=tol, n_iter=total, stopped=stopped)
            best = found if best is None or found.objective <= best.objective else best
            if found.converged or stopped != "stalled":
                return found if found.converged else _relabel(best, stopped, total)
        assert best is not None
        return best


def _relabel(best: Solution[FloatArray], status: str, n_iter: int) -> Solution[FloatArray]:
    return replace(best, status=status, n_iter=n_iter)


def _prepare(A: Any, kept: npt.NDArray[np.intp]) -> Any:
    if sparse.issparse(A):
        columns = sparse.csc_matrix(A if kept.size == A.shape[1] else A.tocsc()[:, kept]).astype(np.float64)
        columns.sort_indices()
        return columns
    return np.asfortranarray(A if kept.size == A.shape[1] else A[:, kept], dtype=np.float64)
