"""A backend for lower bounds: the farthest of many random members."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...exceptions import SolverError
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .members import find_members
from .problem import Pose, PoseBoundProblem
from .sampling import hit_and_run

__all__ = ["Sampling"]


class Sampling(Solver[PoseBoundProblem, Pose]):
    """The farthest of the poses of random triples and of a walk to the boundary; it falls short by tens of per cents.

    Parameters
    ----------
    max_iter : int, default=1000
        Steps of the walk, each with two poses next to the boundary.
    n_samples : int, default=1000
        Random triples of keypoints.
    random_state : int or None, default=0
        For both.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, algorithm 1. Y. Gao, Y. Tang, H. Qi and H. Yang, "CLOSURE: Fast
    quantification of pose uncertainty sets", RSS 2024.

    Examples
    --------
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.sample import Sampling
    >>> problem = random_instance(0, "rotation")
    >>> problem.is_member(Sampling().solve(problem, tol=0.02).x)
    True
    """

    name = "sampling"
    problem = PoseBoundProblem
    guarantee = "heuristic"
    supports: ClassVar[frozenset[str]] = frozenset()
    time_limit = None  # walks take milliseconds

    def __init__(
        self,
        max_iter: int = 1000,
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
        """Sample, walk, and return the farthest member."""
        given = self.start_point(problem, start)
        rng = np.random.default_rng(self.random_state)
        found = find_members(problem.cones, self.n_samples, rng, walk=False)
        R, t = found.R, found.t
        if problem.is_member(given):
            R, t = np.concatenate([R, given.rotation[None]]), np.concatenate([t, given.translation[None]])
        if not len(R):
            raise SolverError("No pose was found that puts every keypoint in its set; there may be none.")
        if problem.reach.status == "bounded" and self.max_iter:
            walk = hit_and_run(problem.cones, (R, t), self.max_iter, rng)
            R, t = np.concatenate([R, walk.boundary_R]), np.concatenate([t, walk.boundary_t])
        # Products of many rotations lose digits, with which a pose no longer counts as one.
        for i in np.argsort(-problem.objectives(R, t), kind="stable"):
            if problem.is_member(Pose(R[i], t[i])):
                break
        return certify_once(self, problem, Pose(R[i], t[i]), tol=tol, n_iter=self.max_iter, stopped="max_iter")
