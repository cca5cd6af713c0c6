"""The oracle for small dictionaries: the best code over all sets of atoms."""

from __future__ import annotations

import time
from itertools import combinations
from typing import ClassVar

import numpy as np
from scipy import linalg

from ...penalties import CEL0, L0
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .atoms import FloatArray
from .problem import SparseCodingProblem
from .working_set_cd import polished

__all__ = ["Enumerate"]

_MOST_ATOMS = 16
_DEPENDENT = 1e-10


class Enumerate(Solver[SparseCodingProblem, FloatArray]):
    """A global minimiser for l0, and for CEL0 that has the same ones: least squares on every set of atoms.

    Parameters
    ----------
    max_iter : int, default=65536
        Sets of atoms, the smallest first.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    Sets of dependent atoms are passed over: a subset fits as well and costs less.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.enumerate import Enumerate
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.7]]), D=D, penalty=L0(0.1))
    >>> Enumerate().solve(problem, tol=1e-8).x.round(6).tolist()
    [[0.0, 0.0, 2.08]]
    """

    name = "enumerate"
    problem = SparseCodingProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"nonconvex"})

    def __init__(self, max_iter: int = 65536, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why the sets of atoms of `problem` cannot be enumerated, or None."""
        exact = isinstance(problem.penalty, CEL0) and problem.penalty.norm == 1
        if not (isinstance(problem.penalty, L0) or exact):
            return "it minimises l0, or CEL0 with norm=1, over sets of atoms"
        if problem.n_atoms > _MOST_ATOMS:
            return f"there are 2^{problem.n_atoms} sets of atoms, and it goes up to 2^{_MOST_ATOMS}"
        return None

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Look at all sets of atoms, then certify the best codes."""
        began = time.perf_counter()
        self.start_point(problem, start)
        atoms, alpha = problem.dictionary, float(problem.penalty.alpha)
        x, best, correlation = problem.initial_point(), problem.half_square.copy(), problem.X @ atoms.D.T
        n_iter, stopped = 0, "stalled"
        sizes = range(1, min(problem.X.shape[1], problem.n_atoms) + 1)
        for chosen in (np.array(c) for size in sizes for c in combinations(range(problem.n_atoms), size)):
            late = self.time_limit is not None and time.perf_counter() - began >= self.time_limit
            if late or n_iter == self.max_iter:
                stopped = "time_limit" if late else "max_iter"
                break
            n_iter += 1
            unit = atoms.norm[chosen]
            scaled = atoms.gram[np.ix_(chosen, chosen)] / unit / unit[:, None]
            factor, failed = linalg.lapack.dpotrf(scaled, lower=1)
            if failed or np.diag(factor).min() ** 2 < _DEPENDENT:
                continue
            codes = linalg.cho_solve((factor, True), (correlation[:, chosen] / unit).T).T / unit
            value = problem.half_square - 0.5 * np.einsum("ij,ij->i", codes, correlation[:, chosen])
            value += alpha * chosen.size
            better = np.flatnonzero(value < best)
            best[better], x[better] = value[better], 0.0
            x[np.ix_(better, chosen)] = codes[better]
        if stopped == "stalled":  # digits that the normal equations lose
            left = None if self.time_limit is None else max(0.0, began + self.time_limit - time.perf_counter())
            return polished(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped, time_limit=left)
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)
