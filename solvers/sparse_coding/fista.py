"""Accelerated proximal gradient steps for convex penalties."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .atoms import FloatArray
from .iteration import Batch, BatchIteration, movement
from .problem import SparseCodingProblem

__all__ = ["FISTA"]


class FISTA(BatchIteration):
    """Iterative thresholding with momentum, which each signal loses where its last move points uphill.

    Parameters
    ----------
    polish : bool, default=True
        Whether coordinate descent ends the run.
    max_iter : int, default=10000
        Steps.
    time_limit : float or None, default=None
        Seconds.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", SIAM J.
    Imaging Sciences 2 (2009). B. O'Donoghue and E. Candes, "Adaptive restart for accelerated gradient schemes",
    Foundations of Computational Mathematics 15 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.fista import FISTA
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=D, penalty=L1(0.1))
    >>> FISTA().solve(problem, tol=1e-8).x.round(6).tolist()
    [[0.0, 0.0, 1.9]]
    """

    name = "fista"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive", "own_penalty"})

    def __init__(
        self,
        polish: bool = True,
        max_iter: int = 10000,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.polish = polish
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def prepare(self, problem: SparseCodingProblem, batch: Batch) -> None:
        """Keep the extrapolated codes and the momentum of each signal."""
        batch.memory = {"ahead": batch.codes, "momentum": np.ones(len(batch.codes))}

    def advance(self, problem: SparseCodingProblem, batch: Batch) -> FloatArray:
        """Take one step from the extrapolated codes."""
        step = 1.0 / problem.dictionary.lipschitz
        old, ahead, momentum = batch.codes, batch.memory["ahead"], batch.memory["momentum"]
        new = problem.prox(ahead + step * (batch.correlation - ahead @ problem.dictionary.gram), step)
        move = new - old
        uphill = np.einsum("ij,ij->i", ahead - new, move) > 0
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        weight = np.where(uphill, 0.0, (momentum - 1) / following)
        batch.codes = new
        batch.memory = {"ahead": new + weight[:, None] * move, "momentum": np.where(uphill, 1.0, following)}
        return np.maximum(movement(old, new), movement(ahead, new))
