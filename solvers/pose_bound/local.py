"""A backend for lower bounds: climbs from random members."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...exceptions import SolverError
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .members import best_member, find_members
from .problem import Pose, PoseBoundProblem

__all__ = ["Local"]


class Local(Solver[PoseBoundProblem, Pose]):
    """Climbs to local maxima from the farthest of random members; nothing is proved about the global one.

    Parameters
    ----------
    max_iter : int, default=4
        Members to climb from.
    n_samples : int, default=1000
        Random triples of keypoints from which members are searched.
    random_state : int or None, default=0
        For these samples.

    Notes
    -----
    A climb takes Newton-like steps on the objective with a logarithmic barrier for the cones. The pose returned is
    a member. A `start` is one more pose to climb from.

    References
    ----------
    Y. Gao, Y. Tang, H. Qi and H. Yang, "CLOSURE: Fast quantification of pose uncertainty sets", RSS 2024, for lower
    bounds from the boundary.

    Examples
    --------
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.local import Local
    >>> problem = random_instance(0, "translation")
    >>> solution = Local().solve(problem, tol=0.02)
    >>> problem.is_member(solution.x), solution.converged
    (True, False)
    """

    name = "local"
    problem = PoseBoundProblem
    guarantee = "heuristic"
    supports: ClassVar[frozenset[str]] = frozenset()
    time_limit = None  # climbs take milliseconds

    def __init__(
        self,
        max_iter: int = 4,
        n_samples: int = 1000,
        random_state: int | None = 0,
    ) -> None:
        self.max_iter = max_iter
        self.n_samples = n_samples
        self.random_state = random_state

    def solve(
        self,
        problem: PoseBoundProblem,
        *,
        start: Start[Pose] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[Pose]:
        """Climb from several members; the best of what is reached is the answer."""
        given = self.start_point(problem, start)
        rng = np.random.default_rng(self.random_state)
        found = find_members(problem.cones, self.n_samples, rng, walk=problem.reach.status == "bounded")
        best = best_member(problem, found, given, n_starts=max(1, self.max_iter))
        if best is None:
            raise SolverError("No pose was found that puts every keypoint in its set; there may be none.")
        return certify_once(
            self, problem, Pose(best.R, best.t), tol=tol, n_iter=min(len(found.R), self.max_iter), stopped="max_iter"
        )
