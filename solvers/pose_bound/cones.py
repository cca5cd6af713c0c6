"""The poses that put every keypoint in its ellipse, as second-order cones: what one image says, in numbers.

The mathematics only. Sampling members, and bounding how far away they are, are other modules' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from ...cython_ext import _purse
from .validation import FloatArray, check_camera, finite_array, normalized_pixels

__all__ = ["KeypointCones", "pose_vectors"]

_SYMMETRIC = 1e-8
_DEFINITE = 1e-14
#: Points whose second singular value, over the first, is smaller lie on a line.
_COLLINEAR = 1e-10
#: Projections a call of a kernel: it returns within 0.1 s.
_BLOCK = 2**22


@dataclass(frozen=True, eq=False)
class KeypointCones:
    r"""Poses that put every keypoint in its ellipse, in the normalised coordinates of one image.

    With ``X_k = R P_k + t`` and an ellipse ``(y - mu_k)^T Lam_k (y - mu_k) <= 1`` for each keypoint, where
    ``Lam_k = L_k L_k^T`` after the camera matrix is taken out,

    .. math::
        \{(R, t) \in SO(3) \times R^3 : \|N_k X_k\| \le e_3^T X_k,\; e_3^T X_k \ge d_{\min},\; k = 1, \dots, K\},
        \qquad N_k = L_k^T \begin{pmatrix} 1 & 0 & -\mu_{k1} \\ 0 & 1 & -\mu_{k2} \end{pmatrix}

    Build it by `from_sets`, which checks what it gets.

    Parameters
    ----------
    points : ndarray of shape (K, 3)
        The keypoints in the frame of the object.
    cones : ndarray of shape (K, 2, 3)
        The matrices ``N_k``.
    centers : ndarray of shape (K, 2)
        The centres ``mu_k`` of the ellipses in normalised coordinates.
    min_depth : float
        The least depth of a keypoint, in the unit of `points`.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> centers = seen[:, :2] / seen[:, 2:]
    >>> cones = KeypointCones.from_sets(centers, np.tile(1e4 * np.eye(2), (3, 1, 1)), points)
    >>> cones.contains(np.eye(3), [[0.0, 0.0, 1.0], [0.0, 0.0, 1.5], [0.0, 0.0, -1.0]]).tolist()
    [True, False, False]
    """

    points: FloatArray
    cones: FloatArray
    centers: FloatArray
    min_depth: float

    @classmethod
    def from_sets(
        cls,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        points: npt.ArrayLike,
        camera: npt.ArrayLike | None = None,
        *,
        min_depth: float = 1e-3,
    ) -> KeypointCones:
        """Build the cones from ellipses ``(y - mu_k)^T Lam_k (y - mu_k) <= 1`` in an image.

        Parameters
        ----------
        centers : array-like of shape (K, 2)
            The centres ``mu_k``, in pixels.
        precisions : array-like of shape (K, 2, 2)
            The matrices ``Lam_k``, in 1 / pixel^2: ``I / r^2`` for a disk of radius r.
        points : array-like of shape (K, 3)
            The keypoints in the frame of the object, K >= 3, in any unit of length.
        camera : array-like of shape (3, 3) or None, default=None
            The camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]``. None: centres and precisions are in normalised
            coordinates.
        min_depth : float, default=1e-3
            The least depth of a keypoint, positive, in the unit of `points`.

        Returns
        -------
        cones : KeypointCones
            What it says about poses.

        Raises
        ------
        ValueError
            For wrong shapes, entries that are not finite, fewer than three points, points on a line, a precision
            matrix that is not symmetric (to 1e-8 of its largest entry) or not positive definite, a camera matrix that
            is singular or has another last row, and a depth that is not positive.
        """
        P = finite_array(points, "points", ("K", 3)).copy()
        K = P.shape[0]
        mu, precision = finite_array(centers, "centers", (K, 2)), finite_array(precisions, "precisions", (K, 2, 2))
        matrix = None if camera is None else check_camera(camera)
        if not (isinstance(min_depth, Real) and 0 < min_depth < np.inf):
            raise ValueError(f"min_depth={min_depth!r} must be a positive number, in the unit of points.")
        _check_points(P)
        root = np.swapaxes(np.linalg.cholesky(_checked_precisions(precision)), 1, 2)
        if matrix is None:
            mu = mu.copy()
        else:
            mu, root = normalized_pixels(mu, matrix), _upper_triangular(root @ matrix[:2, :2])
        N = np.ascontiguousarray(np.concatenate([root, -root @ mu[:, :, None]], axis=2))
        for array in (P, N, mu):
            array.flags.writeable = False
        return cls(P, N, mu, float(min_depth))

    @property
    def n_keypoints(self) -> int:
        """The number K of keypoints."""
        return int(self.points.shape[0])

    @cached_property
    def diameter(self) -> float:
        """The largest distance of two points, in their unit."""
        return float(pdist(self.points).max())

    @cached_property
    def pivot(self) -> FloatArray:
        """The centroid of the points."""
        return np.asarray(self.points.mean(axis=0))

    @cached_property
    def unit(self) -> KeypointCones:
        """The same set with lengths in diameters of the object."""
        scale = self.diameter
        return KeypointCones(self.points / scale, self.cones, self.centers, self.min_depth / scale)

    @cached_property
    def spreads(self) -> FloatArray:
        """The matrices ``L_k^-T`` of shape (K, 2, 2), which take the unit disk to the ellipses around 0."""
        return np.ascontiguousarray(np.linalg.inv(self.cones[:, :, :2]))

    def contains(self, R: npt.ArrayLike, t: npt.ArrayLike, tol: float = 0.0) -> npt.NDArray[np.bool_]:
        """Whether poses put every keypoint in its ellipse: ``||N_k X_k|| <= (1 + tol) z_k`` and ``z_k >= min_depth``.

        Parameters
        ----------
        R : array-like of shape (3, 3) or (m, 3, 3)
            Rotations, which is not checked.
        t : array-like of shape (3,) or (m, 3)
            Translations; one rotation goes with many translations, and the other way round.
        tol : float, default=0.0
            By how much, relative to it, the reach of an ellipse may be exceeded; more than -1.

        Returns
        -------
        members : ndarray of shape (m,), bool
            Of shape (1,) for one pose. False where a pose holds NaN.

        Raises
        ------
        ValueError
            For wrong shapes and a wrong `tol`.
        """
        if not (np.isfinite(tol) and tol > -1):
            raise ValueError(f"tol={tol!r} must be a finite number above -1.")
        rotations, translations = stacked_poses(R, t)
        members = np.empty(rotations.shape[0], dtype=np.uint8)
        for rows in self._blocks(members.shape[0]):
            _purse.contains(
                rotations[rows], translations[rows], self.points, self.cones, self.min_depth, tol, members[rows]
            )
        return members.view(np.bool_)

    def margins(self, R: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
        """By how much every keypoint is inside its cone, ``z_k - ||N_k X_k||``: negative outside.

        Parameters
        ----------
        R, t : array-like of shapes (3, 3) or (m, 3, 3), and (3,) or (m, 3)
            Poses, as in `contains`.

        Returns
        -------
        margins : ndarray of shape (m, K)
            In the unit of `points`. Depths are not compared with `min_depth`.

        Raises
        ------
        ValueError
            For wrong shapes.
        """
        depths, reaches = self._sides(R, t)
        return depths - reaches

    def depths(self, R: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
        """Depths ``z_k`` of the keypoints, of shape (m, K), for poses as in `contains`."""
        return self._sides(R, t)[0]

    def violations(self, R: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
        """How far from its centre the worst keypoint is, 1 at the border of its ellipse: ``max_k ||N_k X_k|| / z_k``.

        Parameters
        ----------
        R, t : array-like of shapes (3, 3) or (m, 3, 3), and (3,) or (m, 3)
            Poses, as in `contains`.

        Returns
        -------
        violations : ndarray of shape (m,)
            Infinity where a depth is below `min_depth`.

        Raises
        ------
        ValueError
            For wrong shapes.
        """
        rotations, translations = stacked_poses(R, t)
        values = np.empty(rotations.shape[0])
        for rows in self._blocks(values.shape[0]):
            _purse.violations(
                rotations[rows], translations[rows], self.points, self.cones, self.min_depth, values[rows]
            )
        return values

    def _sides(self, R: npt.ArrayLike, t: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        rotations, translations = stacked_poses(R, t)
        depths, reaches = np.empty((2, rotations.shape[0], self.n_keypoints))
        for rows in self._blocks(depths.shape[0]):
            _purse.margins(rotations[rows], translations[rows], self.points, self.cones, depths[rows], reaches[rows])
        return depths, reaches

    def _blocks(self, m: int) -> Iterator[slice]:
        """Yield the rows of as many poses as a kernel takes in a call."""
        size = max(1, _BLOCK // self.n_keypoints)
        return (slice(first, first + size) for first in range(0, m, size))

    @cached_property
    def positions(self) -> FloatArray:
        """The matrices ``U_k`` of shape (K, 3, 12) with ``X_k = U_k s`` for the vectors s of `pose_vectors`."""
        axes = np.eye(3)
        turned = np.einsum("kj,ab->kajb", self.points, axes).reshape(-1, 3, 9)
        return np.concatenate([turned, np.broadcast_to(axes, (self.n_keypoints, 3, 3))], axis=2)

    @cached_property
    def soc(self) -> FloatArray:
        """The matrices ``M_k = N_k U_k`` of the cones ``||M_k s|| <= b_k^T s``, of shape (K, 2, 12)."""
        return np.asarray(self.cones @ self.positions)

    @cached_property
    def lin_con(self) -> FloatArray:
        """The vectors ``b_k`` of the depths ``b_k^T s``, of shape (K, 12)."""
        return np.ascontiguousarray(self.positions[:, 2])

    @cached_property
    def quad_con(self) -> FloatArray:
        """The matrices ``A_k = M_k^T M_k - b_k b_k^T``, of shape (K, 12, 12): members have ``s^T A_k s <= 0``."""
        return np.asarray(np.swapaxes(self.soc, 1, 2) @ self.soc - self.lin_con[:, :, None] * self.lin_con[:, None])


def pose_vectors(R: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
    """Stack poses to vectors ``s = [R_11, R_21, R_31, R_12, ..., R_33, t]``: the columns of R, then t.

    Parameters
    ----------
    R, t : array-like of shapes (3, 3) or (m, 3, 3), and (3,) or (m, 3)
        Poses.

    Returns
    -------
    vectors : ndarray of shape (m, 12)
        The vectors.

    Raises
    ------
    ValueError
        For wrong shapes.

    Examples
    --------
    >>> from estimand.solvers.pose_bound.cones import pose_vectors
    >>> pose_vectors([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [7, 8, 9]).tolist()
    [[0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 7.0, 8.0, 9.0]]
    """
    rotations, translations = stacked_poses(R, t)
    return np.concatenate([np.swapaxes(rotations, 1, 2).reshape(-1, 9), translations], axis=1)


def stacked_poses(R: Any, t: Any) -> tuple[FloatArray, FloatArray]:
    """Return poses as C-contiguous arrays of shapes (m, 3, 3) and (m, 3), where one of the two may have been single.

    Raises
    ------
    ValueError
        For other shapes, and for different numbers of rotations and translations.
    """
    rotations = np.ascontiguousarray(R, dtype=np.float64)
    translations = np.ascontiguousarray(t, dtype=np.float64)
    if rotations.shape[-2:] != (3, 3) or rotations.ndim > 3:
        raise ValueError(f"R has shape {np.shape(R)}, but must have shape (3, 3) or (m, 3, 3).")
    if translations.shape[-1:] != (3,) or np.ndim(t) not in (1, 2):
        raise ValueError(f"t has shape {np.shape(t)}, but must have shape (3,) or (m, 3).")
    if rotations.ndim == 3 and translations.ndim == 2 and rotations.shape[0] != translations.shape[0]:
        raise ValueError(f"R holds {rotations.shape[0]} rotations, but t {translations.shape[0]} translations.")
    m = rotations.shape[0] if rotations.ndim == 3 else translations.shape[0] if translations.ndim == 2 else 1
    return (
        np.ascontiguousarray(np.broadcast_to(rotations, (m, 3, 3))),
        np.ascontiguousarray(np.broadcast_to(translations, (m, 3))),
    )


def _check_points(points: FloatArray) -> None:
    if points.shape[0] < 3:
        raise ValueError(f"points holds {points.shape[0]} keypoints: a pose is determined by three or more.")
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if not values[1] > _COLLINEAR * values[0]:
        raise ValueError("All points lie on a line (or are one point): they do not determine a pose.")


def _upper_triangular(roots: FloatArray) -> FloatArray:
    """Return upper triangular matrices T with positive diagonals and ``T^T T = A^T A``, without forming the product."""
    T = np.linalg.qr(roots, mode="r")
    return np.asarray(T * np.sign(np.diagonal(T, axis1=1, axis2=2))[:, :, None])


def _checked_precisions(precisions: FloatArray) -> FloatArray:
    """Return precision matrices made symmetric to the last digit."""
    off, size = np.abs(precisions[:, 0, 1] - precisions[:, 1, 0]), np.abs(precisions).max(axis=(1, 2))
    for k in np.flatnonzero(off > _SYMMETRIC * size):
        raise ValueError(f"precisions[{k}] = {precisions[k].tolist()} is not symmetric.")
    symmetric = 0.5 * (precisions + np.swapaxes(precisions, 1, 2))
    eigenvalues = np.linalg.eigvalsh(symmetric)
    for k in np.flatnonzero(~(eigenvalues[:, 0] > _DEFINITE * size)):
        raise ValueError(
            f"precisions[{k}] = {precisions[k].tolist()} is not positive definite: its eigenvalues are "
            f"{eigenvalues[k].tolist()}."
        )
    return np.asarray(symmetric)
