"""The homotopy (LARS-Lasso) backend for l1 codes, on the Gram matrix that all signals share."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

import numpy as np

from ...cython_ext import _gram_homotopy
from ...penalties import L1
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from ..threads import map_blocks
from .atoms import FloatArray
from .problem import SparseCodingProblem
from .working_set_cd import WorkingSetCD

__all__ = ["Homotopy"]

#: Signals in a block: their correlations stay in the cache from the product that makes them to the paths.
_ROWS = 256
#: Atoms become candidates if they exceed alpha by this share of the worst.
_FRACTION = 0.5
#: Active atoms that a path is given room for.
_LARGEST = 512


class Homotopy(Solver[SparseCodingProblem, FloatArray]):
    """The exact path of every l1 code from 0, on the Gram matrix that all signals share.

    Between breakpoints, at which an atom joins the active ones or leaves them, codes are linear in the penalty. A path
    looks at the atoms that correlate most, and is continued with others until no atom exceeds `alpha`.

    Parameters
    ----------
    max_iter : int, default=10000
        Breakpoints a signal, and working sets of the descent that follows.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    Codes are correct to rounding, whatever the tolerance. Descent follows only for signals that miss it: since their
    active atoms are nearly dependent or more than 512, or since the breakpoints did not suffice. Signals are
    independent: codes do not depend on the number of threads. There is nothing to begin from: `start` is not used.

    References
    ----------
    M. Osborne, B. Presnell and B. Turlach, "A new approach to variable selection in least squares problems", IMA J.
    Numerical Analysis 20 (2000). B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", Annals
    of Statistics 32 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.homotopy import Homotopy
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=D, penalty=L1(0.1))
    >>> Homotopy().solve(problem, tol=1e-12).x.round(6).tolist()
    [[0.0, 0.0, 1.9]]
    """

    name = "homotopy"
    problem = SparseCodingProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive"})

    def __init__(self, max_iter: int = 10000, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why the codes of `problem` have no such path, or None."""
        return None if isinstance(problem.penalty, L1) else "it is made for l1"

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Follow the paths of the signals of one block after another, then certify all codes."""
        deadline = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
        if start is not None:
            self.start_point(problem, start)
        x, atoms = problem.initial_point(), problem.dictionary
        largest = min(problem.X.shape[1], problem.n_atoms, _LARGEST)
        steps = np.zeros(x.shape[0], dtype=np.int32)
        _ = atoms.gram  # computed before threads share it

        def encode(rows: slice) -> None:
            _gram_homotopy.encode(
                atoms.gram,
                problem.X[rows] @ atoms.D.T,
                x[rows],
                steps[rows],
                float(problem.penalty.alpha),
                problem.positive,
                _FRACTION,
                largest,
                self.max_iter,
            )

        _, late = map_blocks(encode, x.shape[0], _ROWS, self.n_jobs, deadline=deadline)
        stopped = "time_limit" if late else "max_iter" if steps.min(initial=0) < 0 else "stalled"
        n_iter = int(np.where(steps < 0, -1 - steps, steps).max(initial=0))
        solution = certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)
        if solution.converged or late:
            return solution
        left = None if self.time_limit is None else max(0.0, deadline - time.perf_counter())
        return self._descended(problem, solution, tol, left)

    def _descended(
        self, problem: SparseCodingProblem, solution: Solution[FloatArray], tol: float, time_limit: float | None
    ) -> Solution[FloatArray]:
        """Return the solution with better codes for the signals that miss the tolerance."""
        x = problem.repair(solution.x)
        relative = problem.certify(x, tol=tol).byproducts["relative"]
        missing = np.flatnonzero(~(relative <= tol))
        descent = WorkingSetCD(self.max_iter, time_limit, self.n_jobs)
        found = descent.solve(replace(problem, X=problem.X[missing]), start=x[missing], tol=tol)
        x[missing] = found.x
        stopped = found.status if found.status in ("max_iter", "time_limit") else solution.status
        n_iter = max(solution.n_iter, found.n_iter)
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)
