"""How far poses are from a given one: the two objectives, and axes in which distances differ most."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from .validation import FloatArray

__all__ = ["Kind", "negligible", "ray_frame", "squared_error"]

#: What is bounded: ``||R - R0||_F^2``, or ``||t - t0||^2``.
Kind: TypeAlias = Literal["rotation", "translation"]

#: Angles in radians, and distances in diameters of the object, that count as none.
_RESOLUTION = 1e-5


def squared_error(kind: Kind, R: FloatArray, t: FloatArray, R0: FloatArray, t0: FloatArray) -> FloatArray:
    """Return ``||R - R0||_F^2`` or ``||t - t0||^2`` of poses of shapes (..., 3, 3) and (..., 3)."""
    if kind == "rotation":
        return np.asarray(np.square(R - R0).sum(axis=(-1, -2)))
    return np.asarray(np.square(t - t0).sum(axis=-1))


def negligible(kind: Kind, diameter: float) -> float:
    """Return the value of the objective below which poses count as equal, for an object of this diameter."""
    return _RESOLUTION**2 if kind == "rotation" else (_RESOLUTION * diameter) ** 2


def ray_frame(t0: FloatArray) -> FloatArray:
    """Return orthonormal columns, the first along `t0`: translations are most uncertain along the ray."""
    length = float(np.linalg.norm(t0))
    if length == 0:
        return np.eye(3)
    ray = t0 / length
    sign = 1.0 if ray[0] >= 0 else -1.0
    normal = ray + sign * np.eye(3)[0]
    return np.asarray(-sign * (np.eye(3) - 2 / (normal @ normal) * np.outer(normal, normal)))
