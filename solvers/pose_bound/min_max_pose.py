"""The pose whose worst keypoint is closest to its centre, for sets of poses of which no member is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from .cones import KeypointCones, stacked_poses
from .rotations import exponential_map, nearest_rotation
from .validation import FloatArray

__all__ = ["MinMaxPose", "min_max_pose"]

#: Searches from one start, each in units of what the one before has found.
_ROUNDS = 3
#: A round that lowers the violation by a smaller share is the last one.
_PROGRESS = 1e-6
#: A violation that is low enough: all keypoints are at their centres.
_CENTRED = 1e-6


class MinMaxPose(NamedTuple):
    """A pose, and how far its worst keypoint is from the centre.

    Parameters
    ----------
    R, t : ndarrays of shapes (3, 3) and (3,)
        The pose.
    violation : float
        Its ``max_k ||N_k X_k|| / z_k``: at most 1 for a member, up to rounding.
    """

    R: FloatArray
    t: FloatArray
    violation: float


def min_max_pose(
    geometry: KeypointCones, starts: tuple[npt.ArrayLike, npt.ArrayLike], *, max_iter: int = 80
) -> MinMaxPose:
    r"""Search for the pose that comes closest to being a member, from one start after another.

    .. math:: \min_{R, t} \max_k \|N_k X_k\| / z_k \quad \text{subject to} \quad z_k \ge d_{\min}

    as ``min v`` subject to ``||N_k X_k|| <= v z_k``, by sequential quadratic programming (SLSQP) in six local
    coordinates of the pose and v. The minimum is local: 1 or less proves that there are members, more proves nothing.

    Parameters
    ----------
    geometry : KeypointCones
        The set.
    starts : tuple of array-likes of shapes (3, 3) or (m, 3, 3), and (3,) or (m, 3)
        Poses with all keypoints at `min_depth` or beyond, the best ones first, as `least_violating_poses` returns them.
    max_iter : int, default=80
        Iterations of each search.

    Returns
    -------
    pose : MinMaxPose
        The best pose found. The first start that leads to a member is the last one that is tried.

    Raises
    ------
    ValueError
        For wrong shapes, and if no start has all keypoints at `min_depth` or beyond.

    References
    ----------
    D. Kraft, "A software package for sequential quadratic programming", DFVLR-FB 88-28 (1988).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.min_max_pose import min_max_pose
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.001**2, (4, 1, 1))
    >>> geometry = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> geometry.contains(np.eye(3), [0.01, 0.0, 1.1]).tolist()
    [False]
    >>> pose = min_max_pose(geometry, (np.eye(3), [0.01, 0.0, 1.1]))
    >>> geometry.contains(pose.R, pose.t).tolist()
    [True]
    """
    R, t = stacked_poses(*starts)
    violations = geometry.violations(R, t)
    usable = np.flatnonzero(np.isfinite(violations))
    if not usable.size:
        raise ValueError("No pose of starts has all keypoints at min_depth or beyond.")
    found = []
    for i in usable:
        found.append(_descend(geometry, MinMaxPose(R[i], t[i], float(violations[i])), max_iter))
        if geometry.contains(found[-1].R, found[-1].t)[0]:
            return found[-1]
    return min(found, key=lambda pose: pose.violation)


def _descend(geometry: KeypointCones, pose: MinMaxPose, max_iter: int) -> MinMaxPose:
    for _ in range(_ROUNDS):
        if pose.violation <= _CENTRED:
            break
        chart = _Chart(geometry, pose)
        result = minimize(
            lambda x: x[6],
            np.array([0.0] * 6 + [1.0]),
            jac=lambda x: np.eye(7)[6],
            method="SLSQP",
            bounds=[(-np.pi, np.pi)] * 3 + [(-1.0, 3.0)] * 3 + [(0.0, None)],
            constraints={"type": "ineq", "fun": chart.constraints, "jac": chart.jacobian},
            options={"maxiter": max_iter, "ftol": 1e-10},
        )
        new = chart.pose(result.x)
        if not new.violation < (1.0 - _PROGRESS) * pose.violation:
            return new if new.violation < pose.violation else pose
        pose = new
    return pose


class _Chart:
    """Coordinates ``(w, tau, nu)`` around a pose, where nu is v over its value there.

    The object turns about the centroid of its points: with P counted from there, and c where the pose puts it,
    ``X_k = R Exp(w) P_k + c + |c| tau``.
    """

    def __init__(self, geometry: KeypointCones, pose: MinMaxPose) -> None:
        self.geometry, self.R = geometry, pose.R
        self.centroid = geometry.points.mean(axis=0)
        self.points = geometry.points - self.centroid
        self.centre = pose.R @ self.centroid + pose.t
        self.unit = float(np.linalg.norm(self.centre))
        self.cones = geometry.cones / pose.violation

    def _turned(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        R = self.R @ exponential_map(x[:3])
        return R, self.points @ R.T + self.centre + self.unit * x[3:6]

    def constraints(self, x: FloatArray) -> FloatArray:
        """Return ``nu z_k - ||N_k X_k||`` and ``z_k - d_min``, over the distance of the object."""
        _, X = self._turned(x)
        reach = np.linalg.norm(np.einsum("kij,kj->ki", self.cones, X), axis=1)
        return np.concatenate([x[6] * X[:, 2] - reach, X[:, 2] - self.geometry.min_depth]) / self.unit

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Return the derivatives of the constraints, of shape (2 K, 7)."""
        R, X = self._turned(x)
        side = np.einsum("kij,kj->ki", self.cones, X)
        reach = np.linalg.norm(side, axis=1)
        by_position = -np.einsum("kij,ki->kj", self.cones, side / np.maximum(reach, 1e-300)[:, None])
        by_position[:, 2] += x[6]
        gradients = np.concatenate([by_position, np.broadcast_to([0.0, 0.0, 1.0], X.shape)])
        # d(R Exp(w) P) = -R Exp(w) [P]_x J dw with the right Jacobian J of the exponential map.
        by_turn = np.cross(np.tile(self.points, (2, 1)), gradients @ R) @ _right_jacobian(x[:3])
        by_bound = np.concatenate([X[:, 2], np.zeros(X.shape[0])])
        return np.concatenate([by_turn / self.unit, gradients, by_bound[:, None] / self.unit], axis=1)

    def pose(self, x: FloatArray) -> MinMaxPose:
        """Return the pose at some coordinates, with its violation in the unit of the set."""
        R = nearest_rotation(self.R @ exponential_map(x[:3]))
        t = self.centre + self.unit * x[3:6] - R @ self.centroid
        return MinMaxPose(R, t, float(self.geometry.violations(R, t)[0]))


def _right_jacobian(w: FloatArray) -> FloatArray:
    """Return J with ``Exp(w + dw) = Exp(w) Exp(J dw)`` to first order."""
    angle = float(np.linalg.norm(w))
    cross = np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])
    if angle < 1e-4:
        return np.asarray(np.eye(3) - 0.5 * cross + cross @ cross / 6.0)
    first, second = (1.0 - np.cos(angle)) / angle**2, (angle - np.sin(angle)) / angle**3
    return np.asarray(np.eye(3) - first * cross + second * cross @ cross)
