"""The default backend for convex penalties: coordinate descent on working sets of atoms."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ..base import Solver
from ..solution import Solution
from .atoms import FloatArray
from .descent import BlockDescent
from .problem import SparseCodingProblem

__all__ = ["WorkingSetCD", "polished"]


class WorkingSetCD(BlockDescent):
    """Coordinate descent on the atoms in use and those that violate their optimality condition most.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets a signal.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    The correlations of the residual with all atoms are kept up to date by rows of the Gram matrix of the dictionary;
    descent itself takes place in the Gram matrix of the working set. Signals are independent: codes do not depend on
    the number of threads. For penalties that are not convex this finds a local minimum.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
    descent", J. Statistical Software 33 (2010), section 2.2. T. Johnson and C. Guestrin, "Blitz: a principled
    meta-algorithm for scaling sparse optimization", ICML (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.working_set_cd import WorkingSetCD
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=D, penalty=L1(0.1))
    >>> WorkingSetCD().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 1.9]]
    """

    name = "working_set_cd"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive", "nonconvex"})
    fraction = 0.3
    largest = 256


def polished(
    solver: Solver[SparseCodingProblem, FloatArray],
    problem: SparseCodingProblem,
    x: FloatArray,
    *,
    tol: float,
    n_iter: int,
    stopped: str,
    time_limit: float | None,
    n_jobs: int | None = None,
) -> Solution[FloatArray]:
    """Return the solution of another solver after coordinate descent from its codes `x`; see `certify_once`.

    `time_limit` is what is left of the other solver's.
    """
    found = WorkingSetCD(time_limit=time_limit, n_jobs=n_jobs).solve(problem, start=x, tol=tol)
    final = found.converged or found.status == "time_limit"
    return replace(found, status=found.status if final else stopped, n_iter=n_iter, solver=solver.name)
