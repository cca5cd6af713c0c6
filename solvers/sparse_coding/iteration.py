"""What the backends share that step with all atoms of many signals at once: blocks, budgets, polishing.

Which step, and when a signal rests, is each backend's own.
"""

from __future__ import annotations

import time
from abc import abstractmethod

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from ..threads import map_blocks
from .atoms import FloatArray
from .problem import SparseCodingProblem
from .working_set_cd import polished

__all__ = ["Batch", "BatchIteration", "movement"]

_ROWS = 1024
_CHECK = 10
_MARGIN = 0.9
_RESTING = 1e-3


class Batch:
    """The signals of a block that are still moving.

    Attributes
    ----------
    correlation : array of shape (b, K)
        ``X D^T``.
    square : array of shape (b,)
        ``||x||^2``.
    codes : array of shape (b, K)
        The current codes.
    memory : dict of str to arrays with b rows
        Whatever a backend keeps for each signal.
    """

    def __init__(self, correlation: FloatArray, square: FloatArray, codes: FloatArray) -> None:
        self.correlation, self.square, self.codes = correlation, square, codes
        self.memory: dict[str, FloatArray] = {}

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Drop the other signals."""
        self.correlation, self.square, self.codes = self.correlation[rows], self.square[rows], self.codes[rows]
        self.memory = {name: array[rows] for name, array in self.memory.items()}


class BatchIteration(Solver[SparseCodingProblem, FloatArray]):
    """Base of the backends that iterate on blocks of signals."""

    problem = SparseCodingProblem
    polish: bool
    n_jobs: int | None

    def prepare(self, problem: SparseCodingProblem, batch: Batch) -> None:
        """Set up what the backend keeps for each signal; the default is nothing."""

    @abstractmethod
    def advance(self, problem: SparseCodingProblem, batch: Batch) -> FloatArray:
        """Update the codes of all signals; return by how much each moved, over its length."""

    def resting_movement(self, tol: float) -> float:
        """Return the movement below which a signal rests."""
        return _RESTING * tol

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Iterate on one block of signals after another, polish the codes, and certify them."""
        deadline = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
        x = problem.repair(self.start_point(problem, start))
        _ = problem.dictionary.gram, problem.dictionary.lipschitz  # computed before threads share them

        def iterate(rows: slice) -> tuple[int, bool]:
            return self._iterate(problem, rows, x, _MARGIN * tol, deadline)

        blocks, late = map_blocks(iterate, x.shape[0], _ROWS, self.n_jobs, deadline=deadline)
        n_iter, late = max((taken for taken, _ in blocks), default=0), late or any(cut for _, cut in blocks)
        stopped = "time_limit" if late else "max_iter" if n_iter >= self.max_iter else "stalled"
        if self.polish and not late and problem.compiled is not None:
            left = None if self.time_limit is None else deadline - time.perf_counter()
            return polished(
                self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped, time_limit=left, n_jobs=self.n_jobs
            )
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)

    def _iterate(
        self, problem: SparseCodingProblem, rows: slice, x: FloatArray, tol: float, deadline: float
    ) -> tuple[int, bool]:
        """Iterate on some signals, and write their codes to `x`; return the iterations, and whether time ran out."""
        X, atoms = problem.X[rows], problem.dictionary
        batch = Batch(X @ atoms.D.T, np.einsum("ij,ij->i", X, X), x[rows])
        moving = np.arange(x.shape[0])[rows]
        self.prepare(problem, batch)
        late = False
        resting = batch.square == 0
        for iteration in range(self.max_iter + 1):
            if iteration % _CHECK == 0 or iteration == self.max_iter:
                q = batch.correlation - sparse.csr_array(batch.codes) @ atoms.gram
                done = resting | (problem.running(batch.codes, batch.correlation, q, batch.square) <= tol)
                x[moving[done]] = batch.codes[done]
                moving, resting = moving[~done], resting[~done]
                batch.keep(~done)
                late = time.perf_counter() >= deadline
            if late or moving.size == 0 or iteration == self.max_iter:
                break
            resting = self.advance(problem, batch) <= self.resting_movement(tol)
        x[moving] = batch.codes
        return iteration, late


def movement(old: FloatArray, new: FloatArray) -> FloatArray:
    """Return by how much each code moved, over its new length; 0 where it stays."""
    moved = np.sqrt(np.einsum("ij,ij->i", new - old, new - old))
    length = np.sqrt(np.einsum("ij,ij->i", new, new))
    return np.where(moved > 0, moved / np.where(length > 0, length, 1.0), 0.0)
