"""The reference backend: sweeps of coordinate descent over all atoms."""

from __future__ import annotations

from typing import ClassVar

from .descent import BlockDescent

__all__ = ["CyclicCD"]


class CyclicCD(BlockDescent):
    """Coordinate descent over all atoms in turn, from the first to the last.

    Parameters
    ----------
    max_iter : int, default=1000
        Runs of at most 200 sweeps a signal, each to a finer tolerance.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    For penalties that are not convex the minimum it finds depends on the order of the atoms.

    References
    ----------
    P. Tseng, "Convergence of a block coordinate descent method for nondifferentiable minimization", J. Optimization
    Theory and Applications 109 (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.cyclic_cd import CyclicCD
    >>> problem = SparseCodingProblem(X=np.array([[3.0, 0.2]]), D=np.eye(2), penalty=L0(0.5))
    >>> CyclicCD().solve(problem, tol=1e-10).x.tolist()
    [[3.0, 0.0]]
    """

    name = "cyclic_cd"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive", "nonconvex"})
    fraction = 0.0
    largest = 0
