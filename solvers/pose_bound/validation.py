"""Checks of arrays, cameras and rotations that the modules of this folder share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "check_camera", "check_rotations", "finite_array", "normalized_pixels"]

FloatArray = npt.NDArray[np.float64]

#: A 2 x 2 block with a smaller determinant, over its squared norm, counts as singular.
_SINGULAR = 1e-12
#: How far ``R^T R`` may be from the identity.
_ORTHONORMAL = 1e-6


def finite_array(value: Any, name: str, shape: tuple[int | str, ...]) -> FloatArray:
    """Return `value` as a C-contiguous float64 array after a look at its shape, in which words stand for any length.

    Raises
    ------
    ValueError
        For another shape, and for entries that are NaN or infinite.
    """
    array = np.ascontiguousarray(value, dtype=np.float64)
    fits = array.ndim == len(shape) and all(
        isinstance(wanted, str) or wanted == size for wanted, size in zip(shape, array.shape, strict=False)
    )
    if not fits:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(f"{name} has shape {np.shape(value)}, but must have shape ({wanted}).")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds NaN or infinity: all entries must be finite.")
    return array


def check_camera(camera: Any) -> FloatArray:
    """Return the camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]`` as float64.

    Raises
    ------
    ValueError
        For another shape or last row, entries that are not finite, and a singular matrix.
    """
    checked = finite_array(camera, "camera", (3, 3))
    if not np.array_equal(checked[2], [0.0, 0.0, 1.0]):
        raise ValueError(f"The last row of camera is {checked[2].tolist()}, but must be [0, 0, 1].")
    block = checked[:2, :2]
    if abs(np.linalg.det(block)) <= _SINGULAR * np.sum(block**2):
        raise ValueError(f"camera is singular: its first two rows and columns are {block.tolist()}.")
    return checked


def normalized_pixels(pixels: FloatArray, camera: FloatArray) -> FloatArray:
    """Return where the camera with the identity as its matrix would see pixels, an array of shape (..., 2)."""
    shifted = (pixels - camera[:2, 2]).reshape(-1, 2)
    return np.ascontiguousarray(np.linalg.solve(camera[:2, :2], shifted.T).T).reshape(pixels.shape)


def check_rotations(rotations: FloatArray, name: str) -> None:
    """Refuse matrices, an array of shape (m, 3, 3), of which some are no rotations.

    Raises
    ------
    ValueError
        If an entry of ``R^T R - I`` exceeds 1e-6, or a determinant is negative; the message has the index.
    """
    off = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2), initial=0.0)
    wrong = np.flatnonzero(~(off <= _ORTHONORMAL) | ~(np.linalg.det(rotations) > 0))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is no rotation: it has the determinant {np.linalg.det(rotations[wrong[0]]):.6g}, and "
            f"an entry of R^T R - I of size {off[wrong[0]]:.3g}."
        )
