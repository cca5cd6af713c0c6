"""Orthogonal matching pursuit with the l0 penalty as its price for an atom."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ...cython_ext import _matching_pursuit
from ...penalties import CEL0, L0
from ..base import Solver
from ..solution import Callback, Solution, Start
from ..threads import map_blocks
from .atoms import FloatArray
from .problem import SparseCodingProblem
from .working_set_cd import WorkingSetCD

__all__ = ["OMP"]

#: Signals in a block: their correlations stay in the cache from the product that makes them to the pursuit.
_ROWS = 128
#: Correlations over ``||x||`` that no atom is worth taking for.
_FLOOR = 1e-10


class OMP(Solver[SparseCodingProblem, FloatArray]):
    """Atoms for l0 one after another, while each pays for itself; then coordinate descent.

    An atom is taken if the squared error that remains after new least-squares weights for all falls by more than
    ``2 alpha``.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets a signal of the descent that follows.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    There is nothing to begin from: `start` is not used.

    References
    ----------
    R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm using batch orthogonal
    matching pursuit", Technion CS-2008-08 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.omp import OMP
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=D, penalty=L0(0.1))
    >>> OMP().solve(problem, tol=1e-8).x.round(6).tolist()
    [[0.0, 0.0, 2.0]]
    """

    name = "omp"
    problem = SparseCodingProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"nonconvex"})

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why an atom of `problem` has no price, or None."""
        if isinstance(problem.penalty, (L0, CEL0)):
            return None
        return f"an atom has a price for l0 and cel0, not for {type(problem.penalty).__name__}"

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Pursue the signals of one block after another, then descend."""
        began = time.perf_counter()
        if start is not None:
            self.start_point(problem, start)
        x, atoms = problem.initial_point(), problem.dictionary
        largest = min(problem.X.shape[1], problem.n_atoms)
        _ = atoms.gram  # computed before threads share it

        def encode(rows: slice) -> None:
            if self.time_limit is not None and time.perf_counter() - began >= self.time_limit:
                return
            square = 2.0 * problem.half_square[rows]
            _matching_pursuit.pursue(
                atoms.gram,
                atoms.norm,
                problem.X[rows] @ atoms.D.T,
                square,
                _FLOOR * np.sqrt(square),
                x[rows],
                largest,
                -math.inf,
                2.0 * float(problem.penalty.alpha),
            )

        map_blocks(encode, x.shape[0], _ROWS, self.n_jobs)
        left = None if self.time_limit is None else max(0.0, self.time_limit - (time.perf_counter() - began))
        found = WorkingSetCD(self.max_iter, left, self.n_jobs).solve(problem, start=x, tol=tol)
        return replace(found, solver=self.name)
