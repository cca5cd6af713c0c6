"""Whether a set of poses is bounded, and how far its poses are from a position at most, whatever the rotation.

Both answers are proved: a point of the image that all ellipses share is the direction of a ray on which every rotation
is possible, and a box from linear programmes with safe bounds, or a disjoint pair of ellipses, limits the position.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ...cython_ext._cone_lp import ConeProgram
from .cones import KeypointCones
from .objectives import ray_frame
from .validation import FloatArray

__all__ = ["Boundedness", "Enclosure", "boundedness", "common_point", "enclose", "pair_reach"]

#: Ellipses that all come this near to a point, in units of their own radius, share it.
_TOUCHING = 1 + 1e-9
#: Half-width of the first box, in diameters of the object, and what counts as bounded in it.
START = 1e4
_WITHIN = 0.5 * START
ROUNDS = 2
_SAFETY = 1e-12
_NEWTON_STEPS = 150


class Enclosure(NamedTuple):
    """A box that holds the position of an object point at all poses of a set, and the multipliers that prove it.

    Parameters
    ----------
    frame : array of shape (3, 3)
        Orthonormal axes, in columns.
    lower, upper : arrays of shape (3,)
        The box in these axes, in diameters of the object.
    codes, directions, multipliers : arrays of shape (2, 6, 3), (2, 6, 3, 2) and (2, 6, 3)
        In two rounds, for the lower and the upper end of each axis: the cones of the cuts, or -1, their directions, and
        the multipliers.
    """

    frame: FloatArray
    lower: FloatArray
    upper: FloatArray
    codes: npt.NDArray[np.int32]
    directions: FloatArray
    multipliers: FloatArray


class Boundedness(NamedTuple):
    """What is known about the size of a set of poses.

    Parameters
    ----------
    status : {"bounded", "unbounded"}
        Whether a bound is proved. Sets that touch in one point count as unbounded.
    max_distance : float
        No pose of the set has its position farther from t0, in the unit of the points.
    common_point : array of shape (2,) or None
        A point of the normalised image plane that all ellipses share.
    enclosure : Enclosure or None
        A box of the position of ``cones.pivot``.
    """

    status: Literal["bounded", "unbounded"]
    max_distance: float
    common_point: FloatArray | None
    enclosure: Enclosure | None


def boundedness(cones: KeypointCones, t0: FloatArray) -> Boundedness:
    """Bound ``|t - t0|`` over a set of poses, for all rotations at once.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    t0 : array of shape (3,)
        The centre.

    Returns
    -------
    Boundedness
        Unbounded if the ellipses share a point, and if no bound below 5000 diameters of the object could be proved.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.boundedness import boundedness
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> points = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> precisions = np.tile(1e4 * np.eye(2), (3, 1, 1))
    >>> near = KeypointCones.from_sets(points[:, :2] / 5, precisions, points, min_depth=0.1)
    >>> boundedness(near, np.array([0.0, 0.0, 5.0])).status
    'bounded'
    >>> far = KeypointCones.from_sets(np.zeros((3, 2)), precisions, points, min_depth=0.1)
    >>> boundedness(far, np.zeros(3)).status
    'unbounded'
    """
    radius = float(np.linalg.norm(t0)) + pair_reach(cones, np.zeros(3))
    shared = common_point(cones.cones) if radius == math.inf else None
    if shared is not None:
        return Boundedness("unbounded", math.inf, shared, None)
    enclosure = enclose(cones, ray_frame(t0))
    if enclosure is not None:
        room = float(np.linalg.norm(cones.unit.pivot))
        middle = enclosure.frame.T @ t0 / cones.diameter
        far = np.maximum(enclosure.upper + room - middle, middle - enclosure.lower + room)
        radius = min(radius, float(np.linalg.norm(far)) * cones.diameter * (1 + _SAFETY))
    return Boundedness("bounded" if radius < math.inf else "unbounded", radius, None, enclosure)


def common_point(cones: FloatArray) -> FloatArray | None:
    """Return a point x of the plane with ``|N_k (x, 1)| <= 1`` for all k, up to 1e-9, or None.

    The smallest level s with ``|N_k (x, 1)|^2 <= s`` is approached by Newton steps on a logarithmic barrier, until the
    level 1 is reached. None proves nothing.
    """
    A, b = cones[:, :, :2], cones[:, :, 2]
    curvature = 2 * np.swapaxes(A, 1, 2) @ A
    x = np.linalg.solve(A, -b[..., None])[..., 0].mean(axis=0)
    squares = np.square(A @ x + b).sum(axis=1)
    level = 1.1 * float(squares.max())
    weight = 1 / level if level > 0 else 0.0
    for _ in range(_NEWTON_STEPS):
        if squares.max() <= 1 or len(A) < 1e-11 * weight * level:
            break
        gradients = np.column_stack([-2 * np.einsum("kij,ki->kj", A, A @ x + b), np.ones(len(A))])
        gradients /= (level - squares)[:, None]
        hessian = gradients.T @ gradients
        hessian[:2, :2] += np.einsum("k,kij->ij", 1 / (level - squares), curvature)
        downhill = gradients.sum(axis=0) - np.array([0.0, 0.0, weight])
        # In units of the diagonal: sets may be as small as rounding errors.
        unit = 1 / np.sqrt(np.diag(hessian))
        step = unit * np.linalg.lstsq(hessian * unit[:, None] * unit, unit * downhill, rcond=None)[0]
        decrement = math.sqrt(max(float(downhill @ step), 0.0))
        size = 1.0 if decrement < 0.25 else 1 / (1 + decrement)
        moved, lowered = x + size * step[:2], level + size * step[2]
        values = np.square(A @ moved + b).sum(axis=1)
        if not np.all(values < lowered):
            break
        x, level, squares = moved, float(lowered), values
        if decrement < 0.25:
            weight *= 5
    return x if np.linalg.norm(A @ x + b, axis=1).max() <= _TOUCHING else None


def pair_reach(cones: KeypointCones, pivot: FloatArray) -> float:
    """Return a bound of how far an object point is from the camera if two ellipses are seen apart, otherwise infinity.

    Two points that are seen under an angle of at least ``phi <= 90`` degrees are at most their distance over
    ``sin(phi)`` away. An ellipse with the largest semi-axis r has the angular radius ``2 arctan(r / 2)`` at most.
    """
    A, b = cones.cones[:, :, :2], cones.cones[:, :, 2]
    centers = np.linalg.solve(A, -b[..., None])[..., 0]
    rays = np.column_stack([centers, np.ones(len(centers))])
    radius = 2 * np.arctan(0.5 / np.linalg.svd(A, compute_uv=False)[:, 1])
    i, j = np.triu_indices(len(rays), 1)
    crossed = np.linalg.norm(np.cross(rays[i], rays[j]), axis=1)
    apart = np.arctan2(crossed, np.einsum("ki,ki->k", rays[i], rays[j])) - radius[i] - radius[j] - _SAFETY
    distance = np.linalg.norm(cones.points[i] - cones.points[j], axis=1)
    arms = np.linalg.norm(cones.points - pivot, axis=1)
    apart_pairs = apart > 0
    reach = distance[apart_pairs] / np.sin(np.minimum(apart[apart_pairs], np.pi / 2))
    reach += np.minimum(arms[i], arms[j])[apart_pairs]
    return float(reach.min(initial=math.inf)) * (1 + 1e-9)


def enclose(cones: KeypointCones, frame: FloatArray) -> Enclosure | None:
    """Return a box of the position of the pivot at all poses, or None if it is not proved to be bounded.

    Whatever the rotation, X_k is as far from the pivot as P_k is. This is a convex set that contains the camera: if
    none of it is in the outer half of a box, all of it is in the inner half.
    """
    unit = cones.unit
    K = len(unit.points)
    radius = np.linalg.norm(unit.points - unit.pivot, axis=1) * (1 + _SAFETY)
    linear, constant = np.tile(frame, (K, 1, 1)), np.zeros((K, 3))
    lower, upper = np.full(3, -START), np.full(3, START)
    codes = np.full((ROUNDS, 6, 3), -1, dtype=np.int32)
    directions, multipliers = np.zeros((ROUNDS, 6, 3, 2)), np.zeros((ROUNDS, 6, 3))
    for turn in range(ROUNDS):
        program = ConeProgram(lower, upper, unit.cones, linear, constant, radius, -math.inf)
        ends = np.empty(6)
        for side in range(6):
            cost = np.zeros(3)
            cost[side // 2] = 1.0 if side % 2 else -1.0
            _, ends[side], _, used, n, x = program.maximize(cost)
            codes[turn, side, : used.size], directions[turn, side, : used.size] = used, n
            multipliers[turn, side, : used.size] = x
        if not np.all(ends <= _WITHIN):
            return None
        lower, upper = -ends[::2], ends[1::2].copy()
    return Enclosure(frame, lower, upper, codes, directions, multipliers)
