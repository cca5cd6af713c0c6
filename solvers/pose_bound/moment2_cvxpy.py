"""The semidefinite relaxation of order 2 for any solver of cvxpy, whose multipliers are made rigorous."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Literal

from sklearn.base import clone

from ...exceptions import SolverError
from ..conic import ConicSolver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .members import best_known
from .moments.chain import MomentDual, chains
from .moments.conic import conic_moment_bound
from .moments.relaxation import MomentBound, MomentRelaxation
from .problem import Pose, PoseBoundProblem

__all__ = ["Moment2CVXPY"]

#: SCS takes 0 for no limit.
_LEAST_SECONDS = 1e-3


class Moment2CVXPY(ConicSolver[PoseBoundProblem, Pose]):
    """Moment relaxation of order 2 through cvxpy: the relaxations of `moment2`, from another solver.

    Parameters
    ----------
    conic_solver : str, default="SCS"
        Any solver for semidefinite programs that cvxpy has installed, such as ``"CLARABEL"``, ``"CVXOPT"``,
        ``"MOSEK"`` or ``"SDPA"``.
    max_iter : int, default=5000
        Iterations of the conic solver, in all relaxations that are solved. Solvers other than SCS and Clarabel keep
        their own limits.
    time_limit : float or None, default=None
        Seconds. Solvers other than SCS and Clarabel end the relaxation that they have begun.
    verbose : bool, default=False
        Whether the conic solver prints.

    Notes
    -----
    Whatever the conic solver returns, the bound is computed from its multipliers with all rounding errors on the safe
    side: a solver that stops early or is inaccurate makes it larger, never wrong. Moments are those of scaled monomials
    of a quaternion near the set, in which first-order methods need some hundred iterations. SCS answers Ctrl-C itself:
    the run may then end as stalled, with what was proved before. A `start` is one more pose to climb from to a lower
    bound.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, section 5. C. Jansson, D. Chaykin and C. Keil, "Rigorous error bounds
    for the optimal value in semidefinite programming", SIAM Journal on Numerical Analysis 46 (2007).

    Examples
    --------
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.moment2_cvxpy import Moment2CVXPY
    >>> certificate = Moment2CVXPY().solve(random_instance(0, "translation"), tol=0.02).certificate
    >>> bool(certificate.lower <= certificate.upper <= 1.02 * certificate.lower)
    True
    """

    name = "moment2_cvxpy"
    problem = PoseBoundProblem
    guarantee = "relaxation"
    supports: ClassVar[frozenset[str]] = frozenset()
    accuracy = 1e-8

    def __init__(
        self,
        conic_solver: str = "SCS",
        max_iter: int = 5000,
        time_limit: float | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(conic_solver, max_iter, time_limit, verbose)

    def solve(
        self,
        problem: PoseBoundProblem,
        *,
        start: Start[Pose] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[Pose]:
        """Climb from members, then solve one relaxation after another, with smaller and smaller radii."""
        given = self.start_point(problem, start)
        problem.check_bounded()
        _, x = best_known(problem, given)
        used, deadline = 0, math.inf if self.time_limit is None else time.perf_counter() + self.time_limit

        def solve(relaxation: MomentRelaxation, loose_below: float) -> Iterator[MomentBound]:
            nonlocal used
            limits = self.max_iter - used, deadline - time.perf_counter()
            found, n_iter = conic_moment_bound(relaxation, partial(self._run_within, *limits))
            used += n_iter
            yield found

        dual, message = MomentDual(()), ""
        stages = chains(problem, solve)
        while (stopped := self._budget(used, deadline)) is None:
            try:
                dual = MomentDual(next(stages))
            except StopIteration:
                break
            except SolverError as error:
                if not self._is_installed():
                    raise
                stopped, message = self._budget(used, deadline), str(error)  # what is proved so far holds
                break
        return certify_once(
            self, problem, x, tol=tol, n_iter=used, dual=dual, stopped=stopped or "stalled", message=message
        )

    def _budget(self, used: int, deadline: float) -> Literal["max_iter", "time_limit"] | None:
        """Return which limit is reached."""
        if time.perf_counter() >= deadline:
            return "time_limit"
        return "max_iter" if used >= self.max_iter else None

    def _run_within(self, max_iter: int, seconds: float, task: Any) -> int:
        """Solve a problem of cvxpy within what is left of the budget."""
        limited = clone(self).set_params(max_iter=max_iter, time_limit=None if seconds == math.inf else seconds)
        return ConicSolver._run(limited, task)

    def _options(self) -> dict[str, Any]:
        if self.conic_solver != "SCS":
            return super()._options()
        limit = {} if self.time_limit is None else {"time_limit_secs": max(self.time_limit, _LEAST_SECONDS)}
        return {**limit, "max_iters": self.max_iter}
