"""What the coordinate-descent backends share: signals in blocks, and the stages that a block goes through."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...cython_ext import _sparse_coding
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from ..threads import map_blocks
from .atoms import FloatArray
from .problem import SparseCodingProblem

__all__ = ["BlockDescent", "Stage"]

#: Signals in a block: their correlations stay in the cache from the product that makes them to the descent. The same
#: for any number of threads, so that codes do not depend on it.
_ROWS = 128
#: A kernel aims a little below the tolerance, which the problem tests with rounding errors of its own.
_MARGIN = 0.9


class Stage(NamedTuple):
    """A penalty to descend with.

    Attributes
    ----------
    code : int
        Of the penalty, as kernels know it.
    parameters : array of shape (K, 3)
        Its parameters for each atom.
    threshold : array of shape (K,)
        What coordinate steps of each atom set to 0.
    tol, gap_tol : float
        Largest violation, and largest duality gap (1 where there is none), as in the problem's certificate.
    """

    code: int
    parameters: FloatArray
    threshold: FloatArray
    tol: float
    gap_tol: float = 1.0


class BlockDescent(Solver[SparseCodingProblem, FloatArray]):
    """Base of the backends that descend on one signal after another, many of them at a time.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets a signal, in each stage.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Attributes
    ----------
    fraction : float
        Atoms that violate their condition by this share of the worst are descended on.
    largest : int
        The number of atoms up to which their Gram matrix is gathered.
    """

    problem = SparseCodingProblem
    fraction: ClassVar[float]
    largest: ClassVar[int]

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def stages(self, problem: SparseCodingProblem, tol: float) -> Sequence[Stage]:
        """Return the penalties that a signal goes through: by default the problem's own, which is always the last."""
        assert problem.compiled is not None
        aim = _MARGIN * tol
        gap_tol = aim if problem.has_gap else 1.0
        return [Stage(problem.compiled[0], problem.parameters, problem.threshold, aim, gap_tol)]

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Descend on the signals of one block after another, then certify all codes."""
        deadline = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
        x = problem.repair(self.start_point(problem, start))
        stages, warm = self.stages(problem, tol), start is not None
        _ = problem.dictionary.gram  # computed before threads share it
        rounds = np.zeros(x.shape[0], dtype=np.int32)

        def encode(rows: slice) -> None:
            rounds[rows] = self._descend(problem, problem.X[rows], stages, x[rows], warm=warm)

        _, late = map_blocks(encode, x.shape[0], _ROWS, self.n_jobs, deadline=deadline)
        stopped = "time_limit" if late else "max_iter" if rounds.min(initial=0) < 0 else "stalled"
        n_iter = int(np.where(rounds < 0, -1 - rounds, rounds).max(initial=0))
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)

    def _descend(
        self, problem: SparseCodingProblem, X: FloatArray, stages: Sequence[Stage], x: FloatArray, *, warm: bool
    ) -> npt.NDArray[np.int32]:
        """Update the codes `x` of a block of signals; return the rounds of each, see the kernel."""
        atoms = problem.dictionary
        correlation = X @ atoms.D.T
        q = correlation - sparse.csr_array(x) @ atoms.gram if warm else correlation.copy()
        square = np.einsum("ij,ij->i", X, X)
        rounds = np.zeros(x.shape[0], dtype=np.int32)
        for stage in stages:
            _sparse_coding.encode(
                atoms.gram,
                atoms.norm,
                stage.code,
                stage.parameters,
                problem.positive,
                stage.threshold,
                correlation,
                square,
                q,
                x,
                rounds,
                stage.tol,
                stage.gap_tol,
                self.fraction,
                self.largest,
                self.max_iter,
            )
        return rounds
