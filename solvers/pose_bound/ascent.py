"""Members of a set of poses: lower bounds of how far it reaches, and poses that violate it least.

Every pose that is returned as a member passes the membership test with tolerance 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...cython_ext._pose_ascent import ascend
from .cones import KeypointCones
from .objectives import Kind, squared_error
from .rotations import nearest_rotation
from .validation import FloatArray

__all__ = ["REFRESH_BARRIERS", "Member", "approach", "climb", "climb_from_samples", "find_member", "least_violation"]

_KINDS = {"rotation": 0, "translation": 1}
_SLACK = 2
#: Climbs start from barriers of this many times the objective: high ones leave small local maxima behind, low ones find
#: the maximum next to the start.
BARRIERS = (1.0, 0.05)
REFRESH_BARRIERS = (0.05, 1e-3)
_LAST_BARRIER = 1e-9
#: To find members: a low barrier stays near the start, a high one finds the way out of narrow places.
_SLACK_BARRIERS = (1e-4, 1e-2, 1.0)
_STEPS = 300
#: Starts whose smallest ``1 - (|N_k X_k| / z_k)^2`` is below the first are moved inside until it is above the second.
_CLOSE, _INSIDE = 1e-6, 1e-3
_FIRST_REPAIR, _REPAIRS = 1e-12, 13


class Member(NamedTuple):
    """A pose in the set, and its objective: ``|R - R0|_F^2`` or ``|t - t0|^2``."""

    value: float
    R: FloatArray
    t: FloatArray


def climb(
    cones: KeypointCones,
    kind: Kind,
    R0: FloatArray,
    t0: FloatArray,
    R: FloatArray,
    t: FloatArray,
    *,
    barriers: Sequence[float] = BARRIERS,
) -> Member | None:
    """Return a local maximiser near a pose, or None if no member was found near it.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    kind : {"rotation", "translation"}
        The objective.
    R0, t0 : arrays of shape (3, 3) and (3,)
        The centre.
    R, t : arrays of shape (3, 3) and (3,)
        The start; it need not be a member.
    barriers : sequence of float
        One climb for each, from the same start: `REFRESH_BARRIERS` where the start is near a maximum.

    Returns
    -------
    Member or None
        The best of the local maximisers.
    """
    start = find_member(cones, R, t)
    if start is None:
        return None
    unit, scale = cones.unit, cones.diameter
    best = Member(float(squared_error(kind, *start, R0, t0)), *start)
    for barrier in barriers:
        turned, moved = start[0].copy(), start[1] / scale
        ascend(
            _KINDS[kind],
            unit.points,
            unit.cones,
            np.ascontiguousarray(R0),
            t0 / scale,
            unit.min_depth,
            turned,
            moved,
            0.0,
            barrier,
            _LAST_BARRIER,
            np.inf,
            _STEPS,
        )
        pose = _repair(cones, turned, moved * scale, *start)
        value = float(squared_error(kind, *pose, R0, t0))
        if value > best.value:
            best = Member(value, *pose)
    return best


def climb_from_samples(
    cones: KeypointCones,
    kind: Kind,
    R0: FloatArray,
    t0: FloatArray,
    R: FloatArray,
    t: FloatArray,
    *,
    n_starts: int = 4,
) -> Member | None:
    """Return the best local maximiser from the farthest of many poses, or None if no member was found.

    Parameters
    ----------
    cones, kind, R0, t0
        As in `climb`.
    R, t : arrays of shape (m, 3, 3) and (m, 3)
        Poses.
    n_starts : int
        Starts: the farthest pose, and others among the farther half at even ranks.

    Returns
    -------
    Member or None
        The best.
    """
    order = np.argsort(-squared_error(kind, R, t, R0, t0), kind="stable")
    ranks = np.linspace(0, (len(order) - 1) / 2, min(n_starts, len(order))).astype(int)
    members = [climb(cones, kind, R0, t0, R[i], t[i]) for i in order[np.unique(ranks)]]
    return max((member for member in members if member is not None), key=lambda m: m.value, default=None)


def find_member(cones: KeypointCones, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return a member strictly inside the set: the pose itself, or one that was found from it; None if none was."""
    R, t, ratio = approach(cones, R, t)
    return (R, t) if ratio < 1 and cones.contains(R, t)[0] else None


def approach(cones: KeypointCones, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return a pose strictly inside the set, or the closest to it that was found, and its ``max_k |N_k X_k| / z_k``.

    A pose that is inside is returned as it is.
    """
    R = nearest_rotation(R)
    ratio = float(cones.violations(R, t)[0])
    if ratio**2 < 1 - _CLOSE:
        return R, np.array(t), ratio
    return least_violation(cones, R, t, enough=1 - _INSIDE)


def least_violation(
    cones: KeypointCones, R: FloatArray, t: FloatArray, *, enough: float = 0.0
) -> tuple[FloatArray, FloatArray, float]:
    """Minimise ``max_k |N_k X_k| / z_k`` locally from a pose, until it is below `enough`.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    R, t : arrays of shape (3, 3) and (3,)
        The start. If points of it are behind the camera or too near, it is moved away first.
    enough : float
        A ratio with which the search may end.

    Returns
    -------
    R, t : arrays of shape (3, 3) and (3,)
        The pose.
    ratio : float
        Its value: below 1 inside the set.
    """
    unit, scale = cones.unit, cones.diameter
    turned, moved = nearest_rotation(R), t / scale
    near = float((unit.points @ turned[2] + moved[2]).min())
    if near < 2 * unit.min_depth:
        moved = _in_front(unit, turned, moved)
    start = float(unit.violations(turned, moved)[0]) ** 2
    best = (turned, moved * scale, float(cones.violations(turned, moved * scale)[0]))
    for barrier in _SLACK_BARRIERS:
        trial_R, trial_t = turned.copy(), moved.copy()
        ascend(
            _SLACK,
            unit.points,
            unit.cones,
            turned,
            moved,
            unit.min_depth,
            trial_R,
            trial_t,
            1 - start - min(0.1, 10 * barrier) * max(1.0, start),
            barrier,
            _LAST_BARRIER,
            1 - enough**2,
            _STEPS,
        )
        R, t = nearest_rotation(trial_R), trial_t * scale
        ratio = float(cones.violations(R, t)[0])
        if ratio < best[2]:
            best = (R, t, ratio)
        if ratio <= enough:
            break
    return best


def _in_front(unit: KeypointCones, R: FloatArray, t: FloatArray) -> FloatArray:
    """Return a position at which all points are in front of the camera, on the mean ray of the cones."""
    axes = np.cross(unit.cones[:, 0], unit.cones[:, 1])
    ray = (axes / axes[:, 2:]).mean(axis=0)
    depth = max(2.0, abs(float(t[2]))) + 2 * unit.min_depth
    return np.asarray(ray * (depth + float(np.linalg.norm(unit.points, axis=1).max())))


def _repair(
    cones: KeypointCones, R: FloatArray, t: FloatArray, R_inside: FloatArray, t_inside: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a member on the way from a pose that violates the set by rounding errors to one inside."""
    R = nearest_rotation(R)
    step = 0.0
    for repair in range(_REPAIRS):
        turned = R if step == 0 else nearest_rotation((1 - step) * R + step * R_inside)
        moved = (1 - step) * t + step * t_inside
        if cones.contains(turned, moved)[0]:
            return turned, moved
        step = _FIRST_REPAIR * 10.0**repair
    return R_inside, t_inside
