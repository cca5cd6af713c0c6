r"""Where a set of poses is, and how large in each direction: coordinates in which it is about the unit ball.

A pose is written as

.. math::
    R = R_l \, \mathrm{Cay}(D \xi) \, R_r, \qquad
    t = t_c + B \omega + A \, G \zeta

where Cay takes a vector of the length ``tan(angle / 2)`` to the rotation about it, omega is the axis of that rotation
times the sine of its angle, D and G are diagonal, and R_l, R_r and A are rotations. The coordinates scale computations;
no bound relies on their fit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..cones import KeypointCones
from ..rotations import exponential_map
from ..sampling import hit_and_run, least_violating_poses, ransag
from ..validation import FloatArray

__all__ = ["LocalFrame", "fit_frame", "frame_at"]

#: Steps of the least-squares fit, and halvings of one.
_FIT_STEPS, _HALVINGS = 15, 8
#: Triples of keypoints that other starts of the fit come from, and how many of them are tried.
_N_TRIPLES, _N_STARTS = 256, 5
#: A fit with a larger mean square, in squared radii of the ellipses, is tried from other starts.
_FITTED = 1.0
#: The sum of the squared distances of the keypoints, in radii of the ellipses, at the border of the unit ball.
_REACH = 6.0
#: Members that are looked at, and how far out of the unit ball they may be in the middle of it.
_N_MEMBERS, _FARTHEST = 256, 0.75
#: The largest scale of turns that members ask for: that of turns by 90 degrees.
_LARGEST_SCALE = 1.0
#: The turn that is assumed to be possible where the keypoints say nothing, in radians.
_LARGEST_TURN = 1.0
#: Eigenvalues of a covariance below this share of the largest are rounding errors.
_THINNEST = 1e-14
#: One plus the trace of turns near 180 degrees, where coordinates go to infinity.
_HALF_TURN = 0.1


class LocalFrame(NamedTuple):
    """Coordinates of poses.

    Attributes
    ----------
    left, right : ndarrays of shape (3, 3)
        The rotations R_l and R_r.
    center : ndarray of shape (3,)
        The translation t_c.
    turns : ndarray of shape (3,)
        The diagonal of D.
    coupling, axes : ndarrays of shape (3, 3)
        The matrices B and A.
    shifts : ndarray of shape (3,)
        The diagonal of G, in the unit of translations.
    """

    left: FloatArray
    right: FloatArray
    center: FloatArray
    turns: FloatArray
    coupling: FloatArray
    axes: FloatArray
    shifts: FloatArray

    def poses(self, xi: FloatArray, zeta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the poses of shapes (m, 3, 3) and (m, 3) with coordinates of shape (m, 3)."""
        c = self.turns * xi
        square = np.sum(c**2, axis=1)
        turns = 2.0 * (_cross_matrix(c) + c[:, :, None] * c[:, None])
        turns[:, [0, 1, 2], [0, 1, 2]] += (1.0 - square)[:, None]
        turns /= (1.0 + square)[:, None, None]
        omega = 2.0 * c / (1.0 + square)[:, None]
        t = self.center + omega @ self.coupling.T + (self.shifts * zeta) @ self.axes.T
        return self.left @ turns @ self.right, t

    def coordinates(self, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates xi and zeta of shape (m, 3) of poses, those of half turns cut off."""
        turns = self.left.T @ R @ self.right.T
        skew = 0.5 * (turns - np.swapaxes(turns, 1, 2))
        omega = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
        scalar = np.maximum(1.0 + np.trace(turns, axis1=1, axis2=2), _HALF_TURN)
        zeta = (t - self.center - omega @ self.coupling.T) @ self.axes / self.shifts
        return 2.0 * omega / scalar[:, None] / self.turns, zeta

    def enlarged(self, turns: float, shifts: float) -> LocalFrame:
        """Return the frame with other scales of both coordinates, by factors."""
        return self._replace(turns=turns * self.turns, shifts=shifts * self.shifts)


def fit_frame(cones: KeypointCones, R0: FloatArray, t0: FloatArray, max_distance: float) -> LocalFrame:
    """Fit coordinates to a set of poses whose translations are at most `max_distance` away from t0.

    The centre minimises ``sum_k ||N_k X_k||^2 / z_k^2``, by Gauss-Newton steps from (R0, t0) or, should that end far
    from the set, from poses that three keypoints determine. The scales come from the Hessian there, and are enlarged
    until random members are well inside the unit ball.
    """
    rng = np.random.default_rng(0)
    center = _fit(cones, R0, t0)
    if not center[2] <= _FITTED * cones.n_keypoints:
        R, t, _ = least_violating_poses(cones, _N_TRIPLES, rng, n_poses=_N_STARTS)
        center = min((center, *(_fit(cones, *start) for start in zip(R, t, strict=True))), key=lambda fit: fit[2])
    frame = frame_at(cones, center[0], center[1], max_distance)
    R, t = ransag(cones, _N_TRIPLES, rng)
    if cones.contains(center[0], center[1])[0]:
        R, t = np.concatenate([R, center[0][None]]), np.concatenate([t, center[1][None]])
    if not len(R):
        return frame
    walk = hit_and_run(cones, (R, t), _N_MEMBERS, rng, n_burn_in=_N_MEMBERS)
    members = np.concatenate([R, walk.boundary_R]), np.concatenate([t, walk.boundary_t])
    turn, shift = (float(np.linalg.norm(x, axis=1).max()) / _FARTHEST for x in frame.coordinates(*members))
    # Where turns go beyond what is linear the walk has hardly seen all of them.
    return frame.enlarged(min(max(1.0, turn**2), max(1.0, _LARGEST_SCALE / frame.turns.max())), max(1.0, shift))


def frame_at(cones: KeypointCones, R: FloatArray, t: FloatArray, max_distance: float) -> LocalFrame:
    """Return coordinates about a given centre, with scales from the Hessian of the sum of squares there."""
    _, jacobian = _residuals(cones, R, t)
    precision = jacobian.T @ jacobian / _REACH
    precision += np.diag(np.repeat([1.0 / _LARGEST_TURN**2, 1.0 / max_distance**2], 3))
    covariance = np.asarray(np.linalg.inv(precision))
    coupling = covariance[3:, :3] @ np.linalg.inv(covariance[:3, :3])
    turns, turn_axes = _principal(covariance[:3, :3])
    # The inverse of the block of the precision is the covariance of what t is beyond its regression on the turn.
    shifts, shift_axes = _principal(np.asarray(np.linalg.inv(precision[3:, 3:])))
    return LocalFrame(R @ turn_axes, turn_axes.T, t, 0.5 * turns, coupling @ turn_axes, shift_axes, shifts)


def _principal(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the roots of the eigenvalues of a covariance, and a rotation whose columns are its eigenvectors."""
    values, vectors = np.linalg.eigh(covariance)
    vectors[:, 0] *= np.sign(np.linalg.det(vectors))
    return np.sqrt(np.maximum(values, _THINNEST * values[-1])), vectors


def _fit(cones: KeypointCones, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return a pose after Gauss-Newton steps, and its sum of squares, infinity for one behind the camera."""
    value = _value(cones, R, t)
    for _ in range(_FIT_STEPS):
        residuals, jacobian = _residuals(cones, R, t)
        step = np.linalg.lstsq(jacobian, -residuals, rcond=1e-10)[0]
        for halving in range(_HALVINGS):
            turned, moved = R @ exponential_map(step[:3] / 2**halving), t + step[3:] / 2**halving
            reached = _value(cones, turned, moved)
            if reached < value:
                break
        else:
            break
        gain = value - reached
        R, t, value = turned, moved, reached
        if gain <= 1e-3 * value:
            break
    return R, t, value


def _value(cones: KeypointCones, R: FloatArray, t: FloatArray) -> float:
    X = cones.points @ R.T + t
    if not X[:, 2].min() >= cones.min_depth:
        return np.inf
    return float(np.sum(np.einsum("kri,ki->kr", cones.cones, X / X[:, 2:]) ** 2))


def _residuals(cones: KeypointCones, R: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``N_k X_k / z_k`` of shape (2K,), and its derivative by the turn ``R Exp(w)`` and by t, of shape (2K, 6).

    Depths below `min_depth` count as that.
    """
    X = cones.points @ R.T + t
    depth = np.maximum(X[:, 2], cones.min_depth)
    moved = np.concatenate([-R @ _cross_matrix(cones.points), np.broadcast_to(np.eye(3), (len(X), 3, 3))], axis=2)
    seen = np.einsum("kri,ki->kr", cones.cones, X) / depth[:, None]
    jacobian = cones.cones @ moved - seen[:, :, None] * moved[:, None, 2]
    return seen.ravel(), (jacobian / depth[:, None, None]).reshape(-1, 6)


def _cross_matrix(vectors: FloatArray) -> FloatArray:
    """Return the matrices of shape (m, 3, 3) that multiply by vectors in the cross product, from the left."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
