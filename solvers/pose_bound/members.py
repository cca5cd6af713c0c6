"""Members of a set of poses to begin with, or the pose that comes closest to being one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .ascent import Member, approach, climb, climb_from_samples
from .cones import KeypointCones
from .problem import Pose, PoseBoundProblem
from .sampling import Sampling, hit_and_run, least_violating_poses, ransag
from .validation import FloatArray

__all__ = ["Members", "best_known", "best_member", "find_members"]

#: Starts of the search for a member where random samples are none.
_STARTS = 20


class Members(NamedTuple):
    """Members of a set, or if none was found the pose that violates it least.

    Parameters
    ----------
    R, t : ndarrays of shapes (m, 3, 3) and (m, 3)
        Members, of which there may be none.
    closest_R, closest_t : ndarrays of shapes (3, 3) and (3,)
        A member, or the pose with the smallest violation.
    violation : float
        Its ``max_k ||N_k X_k|| / z_k``.
    """

    R: FloatArray
    t: FloatArray
    closest_R: FloatArray
    closest_t: FloatArray
    violation: float


def find_members(
    cones: KeypointCones, n_samples: int, rng: np.random.Generator, sampling: Sampling = "radius", *, walk: bool = True
) -> Members:
    """Return members from random samples; where there are none, from a search and a walk.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    n_samples : int
        Triples of keypoints to solve, at least 1.
    rng : numpy.random.Generator
        Where the random numbers come from.
    sampling : {"radius", "uniform"}, default="radius"
        As in `ransag`.
    walk : bool, default=True
        Whether a single member that the search has found is the start of a walk; the set has to be bounded for that.

    Returns
    -------
    members : Members
        What was found.
    """
    again = np.random.default_rng(rng.integers(2**63))
    state = again.bit_generator.state
    R, t = ransag(cones, n_samples, again, sampling)
    if len(R):
        return Members(R, t, R[0], t[0], float(cones.violations(R[0], t[0])[0]))
    again.bit_generator.state = state
    starts_R, starts_t, _ = least_violating_poses(cones, n_samples, again, sampling, n_poses=_STARTS)
    closest = (starts_R[0], starts_t[0], np.inf)
    for start_R, start_t in zip(starts_R, starts_t, strict=True):
        pose = approach(cones, start_R, start_t)
        if pose[2] < 1 and cones.contains(*pose[:2])[0]:
            R, t = pose[0][None], pose[1][None]
            if walk:
                found = hit_and_run(cones, pose[:2], n_samples, rng)
                R, t = found.R, found.t
            return Members(R, t, *pose)
        closest = min(closest, pose, key=lambda pose: pose[2])
    return Members(R, t, *closest)


def best_known(
    problem: PoseBoundProblem, given: Pose, n_samples: int = 1000, random_state: int | None = 0
) -> tuple[Member | None, Pose]:
    """Return the best member that climbs from random samples and one more pose find, and its pose.

    Without a member it is None, and the pose that which comes closest to being one.
    """
    rng = np.random.default_rng(random_state)
    found = find_members(problem.cones, n_samples, rng, walk=problem.reach.status == "bounded")
    best = best_member(problem, found, given)
    return best, Pose(found.closest_R, found.closest_t) if best is None else Pose(best.R, best.t)


def best_member(problem: PoseBoundProblem, found: Members, given: Pose, *, n_starts: int = 4) -> Member | None:
    """Return the best local maximiser that is climbed to from members and from one more pose; None if there is none.

    Parameters
    ----------
    problem : PoseBoundProblem
        The problem.
    found : Members
        Members.
    given : Pose
        Another start, where it is a member.
    n_starts : int, default=4
        Members to climb from.

    Returns
    -------
    Member or None
        The best.
    """
    cones, objective = problem.cones, (problem.kind, problem.R0, problem.t0)
    members = [climb_from_samples(cones, *objective, found.R, found.t, n_starts=n_starts)] if len(found.R) else []
    if problem.is_member(given):
        members.append(climb(cones, *objective, *given))
    return max((member for member in members if member is not None), key=lambda member: member.value, default=None)
