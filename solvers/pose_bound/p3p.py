"""The perspective three-point problem: poses of an object of which a camera sees three points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...cython_ext import _p3p
from .validation import FloatArray, check_camera, finite_array, normalized_pixels

__all__ = ["p3p", "pixel_rays"]

#: Triples a call of the kernel: it returns within milliseconds.
_BLOCK = 16384


def p3p(
    rays_or_pixels: npt.ArrayLike, points: npt.ArrayLike, camera: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    r"""All poses that put three points on three viewing rays, for many triples.

    The distances ``s_i > 0`` along the unit rays ``f_i`` solve the laws of cosines

    .. math:: s_i^2 + s_j^2 - 2 s_i s_j f_i^T f_j = \|P_i - P_j\|^2, \qquad (i, j) \in \{(1, 2), (1, 3), (2, 3)\}

    by the roots of Grunert's quartic and Newton steps on the three laws; then ``R P_i + t = s_i f_i``.

    Parameters
    ----------
    rays_or_pixels : array-like of shape (n, 3, 2) or (n, 3, 3)
        Three pixels a triple, or three directions from the camera, of any length but 0.
    points : array-like of shape (n, 3, 3)
        The points of each triple in the frame of the object, one a row, in any unit of length.
    camera : array-like of shape (3, 3) or None, default=None
        The camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]`` that pixels refer to. None: pixels are normalised,
        ``(X / Z, Y / Z)``.

    Returns
    -------
    R : ndarray of shape (m, 3, 3)
        Rotations.
    t : ndarray of shape (m, 3)
        Translations, in the unit of `points`.
    index : ndarray of shape (m,)
        The triple of each pose, ascending. A triple has up to 4; none if its points lie on a line, or nearly so: if the
        area of their triangle is less than 1e-10 of the longest side squared.

    Raises
    ------
    ValueError
        For wrong shapes, entries that are not finite, rays of length 0, a singular camera, and a camera beside rays.

    Notes
    -----
    The unknowns of the quartic are ``(s_j / s_1 - 1) / e`` where ``e`` is the largest distance of two rays, so that
    no digits are lost for cameras that are far away. Double roots, as on the cylinder through the three points that is
    perpendicular to their plane, are found too, where rounding leaves half of the digits; so are pairs of solutions
    that share a root in symmetric views. The laws hold to 1e-10 of the longest side squared, mostly to rounding: what a
    side says that is 1e5 times shorter than the longest is lost.

    References
    ----------
    R. M. Haralick, C. Lee, K. Ottenberg and M. Noelle, "Review and analysis of solutions of the three point perspective
    pose estimation problem", International Journal of Computer Vision 13 (1994).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.p3p import p3p
    >>> points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 1.0]])
    >>> seen = points + [0.0, 0.0, 5.0]
    >>> R, t, index = p3p(seen[None, :, :2] / seen[None, :, 2:], points[None])
    >>> bool(np.any([np.allclose(turn, np.eye(3)) and np.allclose(shift, [0, 0, 5]) for turn, shift in zip(R, t)]))
    True
    """
    corners = finite_array(points, "points", ("n", 3, 3))
    n = corners.shape[0]
    if np.shape(rays_or_pixels) == (n, 3, 2):
        seen = finite_array(rays_or_pixels, "rays_or_pixels", (n, 3, 2))
        rays = pixel_rays(seen if camera is None else normalized_pixels(seen, check_camera(camera)))
    elif np.shape(rays_or_pixels) == (n, 3, 3):
        if camera is not None:
            raise ValueError("camera belongs to pixels, but rays_or_pixels holds rays: leave it out.")
        rays = _unit(finite_array(rays_or_pixels, "rays_or_pixels", (n, 3, 3)))
    else:
        raise ValueError(
            f"rays_or_pixels has shape {np.shape(rays_or_pixels)}, but for {n} triples of points it must be "
            f"({n}, 3, 2), pixels, or ({n}, 3, 3), rays."
        )
    return solve_triples(rays, corners)


def solve_triples(rays: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Do what `p3p` does, for unit rays and without a look at them."""
    found: list[tuple[Any, ...]] = []
    for first in range(0, points.shape[0], _BLOCK):
        block = slice(first, first + _BLOCK)
        size = points[block].shape[0]
        R, t, counts = np.empty((size, 4, 3, 3)), np.empty((size, 4, 3)), np.empty(size, dtype=np.int32)
        _p3p.solve(rays[block], points[block], R, t, counts)
        row, which = np.nonzero(np.arange(4) < counts[:, None])
        found.append((R[row, which], t[row, which], first + row))
    if not found:
        return np.empty((0, 3, 3)), np.empty((0, 3)), np.empty(0, dtype=np.intp)
    R, t, index = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return R, t, index


def pixel_rays(normalized: FloatArray) -> FloatArray:
    """Return unit vectors from the camera to normalised pixels: arrays of shapes (..., 3) and (..., 2)."""
    return _unit(np.concatenate([normalized, np.ones_like(normalized[..., :1])], axis=-1))


def _unit(rays: FloatArray) -> FloatArray:
    largest = np.abs(rays).max(axis=-1, keepdims=True)
    if not np.all(largest > 0):
        where = np.argwhere(~(largest[..., 0] > 0))[0].tolist()
        raise ValueError(f"rays_or_pixels{where} is 0: a ray needs a direction.")
    scaled = rays / largest  # so that no square overflows
    return np.asarray(scaled / np.linalg.norm(scaled, axis=-1, keepdims=True))
