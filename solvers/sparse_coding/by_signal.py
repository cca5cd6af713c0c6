"""Backends of the Lasso, taken over for l1 codes: each signal is a Lasso whose columns are the atoms."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from ...penalties import L1
from ..base import Solver
from ..lasso import LassoProblem
from ..lasso.cvxpy import CVXPY as LassoCVXPY
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .atoms import FloatArray
from .problem import SparseCodingProblem

__all__ = ["BySignal"]

_MARGIN = 0.5


class BySignal(Solver[SparseCodingProblem, FloatArray]):
    """Base of the backends that pass one signal after another to a backend of the Lasso."""

    problem = SparseCodingProblem
    guarantee = "exact"

    def __init__(self, max_iter: int = 100000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    @abstractmethod
    def coder(self) -> Solver[LassoProblem, FloatArray]:
        """Return the backend of the Lasso."""

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why the codes of `problem` are no Lasso estimates, or None."""
        return None if isinstance(problem.penalty, L1) else "it is made for l1"

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Solve for one signal after another, then certify all codes."""
        began = time.perf_counter()
        x, coder = self.start_point(problem, start), self.coder()
        A = np.asfortranarray(problem.dictionary.D.T)
        d, n_iter, stopped = A.shape[0], 0, "stalled"
        for i, signal in enumerate(problem.X):
            if self.time_limit is not None and time.perf_counter() - began >= self.time_limit:
                stopped = "time_limit"
                break
            lasso = LassoProblem(A=A, y=signal, alpha=problem.penalty.alpha / d, positive=problem.positive)
            found = coder.solve(lasso, tol=_MARGIN * tol)
            x[i], n_iter = found.x, max(n_iter, found.n_iter)
            stopped = found.status if found.status in ("max_iter", "interrupted") else stopped
            if stopped == "interrupted":
                break
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)


class CVXPY(BySignal):
    """A quadratic program for each signal, solved by an interior-point method: the reference.

    Parameters
    ----------
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds; looked at after each signal.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.by_signal import CVXPY
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=np.eye(2), penalty=L1(0.1))
    >>> CVXPY().solve(problem, tol=1e-8).x.round(6).tolist()
    [[1.1, 1.5]]
    """

    name = "cvxpy"
    supports: ClassVar[frozenset[str]] = frozenset({"positive"})

    def __init__(self, max_iter: int = 200, time_limit: float | None = None) -> None:
        super().__init__(max_iter, time_limit)

    def coder(self) -> Solver[LassoProblem, FloatArray]:
        """Return the conic backend of the Lasso."""
        return LassoCVXPY(max_iter=self.max_iter)
