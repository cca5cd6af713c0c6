"""The locally competitive algorithm: a dynamical system whose resting points are sparse codes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ...penalties import L0, L1
from .atoms import FloatArray
from .iteration import Batch, BatchIteration, movement
from .problem import SparseCodingProblem

__all__ = ["LCA"]

_UNIT = 1e-8


class LCA(BatchIteration):
    r"""Neurons that are driven by a signal and inhibit each other, for l1 and l0 and atoms of length 1.

    .. math:: \dot u = D x - u - (D D^\top - I) a, \qquad a_j = T(u_j)

    where T is soft thresholding at alpha for l1, and hard thresholding at ``sqrt(2 alpha)`` for l0. The activities a at
    rest satisfy the optimality conditions of the penalised problem.

    Parameters
    ----------
    rate : float, default=0.1
        Length of a time step over the time constant of the neurons, in (0, 1].
    polish : bool, default=True
        Whether coordinate descent ends the run.
    max_iter : int, default=10000
        Time steps.
    time_limit : float or None, default=None
        Seconds.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    References
    ----------
    C. Rozell, D. Johnson, R. Baraniuk and B. Olshausen, "Sparse coding via thresholding and local competition in neural
    circuits", Neural Computation 20 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.lca import LCA
    >>> problem = SparseCodingProblem(X=np.array([[2.0, 0.3]]), D=np.eye(2), penalty=L0(0.1))
    >>> LCA().solve(problem, tol=1e-8).x.round(6).tolist()
    [[2.0, 0.0]]
    """

    name = "lca"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"nonconvex"})

    def __init__(
        self,
        rate: float = 0.1,
        polish: bool = True,
        max_iter: int = 10000,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.rate = rate
        self.polish = polish
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why `problem` has no such neurons, or None."""
        if not isinstance(problem.penalty, (L0, L1)):
            return f"its neurons have thresholds for l1 and l0, not for {type(problem.penalty).__name__}"
        if np.any(np.abs(problem.dictionary.norm - 1) > _UNIT):
            return "it needs atoms of length 1: divide each by its length"
        return None

    def prepare(self, problem: SparseCodingProblem, batch: Batch) -> None:
        """Start from potentials that give the codes."""
        alpha = problem.penalty.alpha
        soft = alpha if isinstance(problem.penalty, L1) else 0.0
        batch.memory = {"potential": batch.codes + soft * np.sign(batch.codes)}

    def advance(self, problem: SparseCodingProblem, batch: Batch) -> FloatArray:
        """Take one time step."""
        u, old, alpha = batch.memory["potential"], batch.codes, problem.penalty.alpha
        drive = batch.correlation - old @ problem.dictionary.gram + old
        u = u + self.rate * (drive - u)
        if isinstance(problem.penalty, L1):
            batch.codes = np.sign(u) * np.maximum(np.abs(u) - alpha, 0.0)
        else:
            batch.codes = np.where(np.abs(u) > math.sqrt(2 * alpha), u, 0.0)
        moved = movement(batch.memory["potential"], u)
        batch.memory = {"potential": u}
        return moved / self.rate
