"""Proximal gradient steps on all atoms at once: iterative thresholding, the algorithm of many studies."""

from __future__ import annotations

from typing import ClassVar

from .atoms import FloatArray
from .iteration import Batch, BatchIteration, movement
from .problem import SparseCodingProblem

__all__ = ["ISTA"]

_SHORTER = 0.99


class ISTA(BatchIteration):
    r"""Iterative thresholding: gradient steps on the squared error, each followed by the proximal map.

    .. math:: W \leftarrow \mathrm{prox}_{\tau P}\left(W - \tau (W D - X) D^\top\right)

    Parameters
    ----------
    step : float or None, default=None
        The step tau, positive; None means 0.99 over the largest eigenvalue of ``D D^T``, with which F never increases.
    rest : float or None, default=None
        A code rests once a step moves it by less than this share of its length; None means a thousandth of the
        tolerance.
    polish : bool, default=True
        Whether coordinate descent ends the run. For penalties that are not convex the fixed points of the steps are
        not yet minimal along single coordinates.
    max_iter : int, default=10000
        Steps.
    time_limit : float or None, default=None
        Seconds.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    For l0 a coordinate at 0 wakes up only if its correlation exceeds ``sqrt(2 alpha / tau)``, so that short steps leave
    more of them at 0 than long ones.

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An iterative thresholding algorithm for linear inverse problems with a
    sparsity constraint", Comm. Pure Appl. Math. 57 (2004). I. Rentzeperis, L. Calatroni, L. Perrinet and D. Prandi,
    "Beyond l1 sparse coding in V1", PLoS Comput. Biol. 19 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.ista import ISTA
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=D, penalty=L1(0.1))
    >>> ISTA().solve(problem, tol=1e-8).x.round(6).tolist()
    [[0.0, 0.0, 1.9]]
    """

    name = "ista"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive", "nonconvex", "own_penalty"})

    def __init__(
        self,
        step: float | None = None,
        rest: float | None = None,
        polish: bool = True,
        max_iter: int = 10000,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.step = step
        self.rest = rest
        self.polish = polish
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def resting_movement(self, tol: float) -> float:
        """Return the movement below which a signal rests."""
        return super().resting_movement(tol) if self.rest is None else self.rest

    def advance(self, problem: SparseCodingProblem, batch: Batch) -> FloatArray:
        """Take one step."""
        step = _SHORTER / problem.dictionary.lipschitz if self.step is None else self.step
        old = batch.codes
        batch.codes = problem.prox(old + step * (batch.correlation - old @ problem.dictionary.gram), step)
        return movement(old, batch.codes)
