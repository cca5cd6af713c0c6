"""The default backend: orthogonal matching pursuit on the Gram matrix of the dictionary."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np

from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from ..sparse_coding.atoms import FloatArray
from ..threads import map_blocks
from .problem import SparseApproximationProblem
from .pursuit import completed, floors, pursue

__all__ = ["OMP"]

#: Signals in a block: their correlations stay in the cache from the product that makes them to the pursuit.
_ROWS = 128


class OMP(Solver[SparseApproximationProblem, FloatArray]):
    r"""Orthogonal matching pursuit: one atom after another, each with new least-squares weights for all.

    With the correlations ``q = (x - w D) D^T`` and the lengths ``a_j`` of the atoms, the next atom is

    .. math:: \arg\max_{j \notin S} \ |q_j| / a_j,

    the first of equals, until the code has its k atoms or the squared residual is small enough.

    Parameters
    ----------
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    The pursuit knows the signals by their correlations with the atoms alone. It takes a Cholesky factorisation of the
    Gram matrix of the atoms chosen, whose columns it extends to all atoms; these also bring the correlations up to
    date. Atoms closer than 1e-6 of their length to the span of those chosen are passed over. Signals are independent:
    codes do not depend on the number of threads. There is nothing to begin from: `start` is not used.

    References
    ----------
    Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, "Orthogonal matching pursuit: recursive function approximation
    with applications to wavelet decomposition", Asilomar (1993). R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient
    implementation of the K-SVD algorithm using batch orthogonal matching pursuit", Technion CS-2008-08 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.sparse_approximation import SparseApproximationProblem
    >>> from estimand.solvers.sparse_approximation.omp import OMP
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseApproximationProblem(X=np.array([[1.2, 1.6]]), D=D, n_nonzero_coefs=1)
    >>> OMP().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 2.0]]
    """

    name = "omp"
    problem = SparseApproximationProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"n_nonzero_coefs", "error_tol"})
    max_iter = 2**31 - 1  # the problem bounds the number of atoms

    def __init__(self, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def solve(
        self,
        problem: SparseApproximationProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Pursue the signals of one block after another, then certify all codes."""
        deadline = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
        x = problem.initial_point()
        if start is not None:
            self.start_point(problem, start)
        square = problem.square.copy()
        _ = problem.dictionary.gram  # computed before threads share it

        def encode(rows: slice) -> None:
            correlation = problem.X[rows] @ problem.dictionary.D.T
            pursue(problem, correlation, square[rows], floors(square[rows], tol), x[rows])

        _, late = map_blocks(encode, x.shape[0], _ROWS, self.n_jobs, deadline=deadline)
        n_iter = int(np.count_nonzero(x, axis=1).max(initial=0))
        if late:
            return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped="time_limit")
        return completed(self, problem, x, tol=tol, n_iter=n_iter, n_jobs=self.n_jobs)
