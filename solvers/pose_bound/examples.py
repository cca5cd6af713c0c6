"""Instances of the pose-bound problem: objects as a camera sees them, random and degenerate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cones import KeypointCones
from .objectives import Kind
from .problem import PoseBoundProblem
from .rotations import exponential_map, random_rotations
from .validation import FloatArray

__all__ = ["examples", "random_instance"]

#: A camera of 640 x 480 pixels.
_CAMERA = np.array([[572.4, 0.0, 325.3], [0.0, 573.6, 242.0], [0.0, 0.0, 1.0]])
_AXES = np.array([1.0, 0.7, 0.55])


def random_instance(
    seed: int,
    kind: Kind,
    *,
    n_keypoints: int = 9,
    radius: tuple[float, float] = (3.0, 10.0),
    depth: tuple[float, float] = (0.7, 1.3),
    diameter: float = 0.15,
    points: FloatArray | None = None,
    min_depth: float = 1e-3,
    centre: float = 1.0,
) -> PoseBoundProblem:
    """Return an object at a random pose, which is a member, with discs around wrong keypoints.

    Parameters
    ----------
    seed : int
        Determines the instance.
    kind : {"rotation", "translation"}
        The objective.
    n_keypoints : int
        Keypoints, on an ellipsoid.
    radius : tuple of float
        Range of the radii of the discs, in pixels.
    depth : tuple of float
        Range of the distance, in metres.
    diameter : float
        The length of the ellipsoid, in metres.
    points : array of shape (K, 3) or None
        Other keypoints.
    min_depth : float
        Least depth of a keypoint, in metres.
    centre : float
        How far the centre is off the pose: 1 is about as far as members are.
    """
    rng = np.random.default_rng(seed)
    if points is None:
        points = rng.standard_normal((n_keypoints, 3))
        points = 0.5 * diameter * _AXES * points / np.linalg.norm(points, axis=1, keepdims=True)
    R, z = random_rotations(1, rng)[0], rng.uniform(*depth)
    t = z * np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), 1.0])
    seen = (points @ R.T + t) @ _CAMERA.T
    r, angle = rng.uniform(*radius, len(points)), rng.uniform(0, 2 * np.pi, len(points))
    off = r * np.sqrt(rng.random(len(points)))
    centers = seen[:, :2] / seen[:, 2:] + off[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    precisions = np.eye(2) / r[:, None, None] ** 2
    cones = KeypointCones.from_sets(centers, precisions, points, _CAMERA, min_depth=min_depth)
    turn = centre * radius[0] / 400 * rng.standard_normal(3)
    move = centre * radius[0] / 400 * np.array([0.1, 0.1, 1.0]) * rng.standard_normal(3)
    return PoseBoundProblem(cones=cones, R0=R @ exponential_map(turn), t0=t + move, kind=kind)


def examples() -> list[tuple[str, PoseBoundProblem]]:
    """Return named instances for the tests of backends."""
    cases: dict[str, dict[str, Any]] = {
        "plain": {"seed": 0},
        "few_keypoints": {"seed": 1, "n_keypoints": 4},
        "many_keypoints": {"seed": 2, "n_keypoints": 30},
        "tiny_discs": {"seed": 3, "radius": (0.01, 0.03)},
        "plane": {"seed": 4, "points": 0.1 * np.array([[x, y, 0.0] for x in (-1, 0, 1) for y in (-1, 0, 1)])},
        "millimetres": {"seed": 5, "diameter": 150.0, "depth": (700.0, 1300.0), "min_depth": 1.0},
    }
    kinds: tuple[Kind, ...] = ("rotation", "translation")
    return [(f"{name}_{kind}", random_instance(kind=kind, **case)) for name, case in cases.items() for kind in kinds]
