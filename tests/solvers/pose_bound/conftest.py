"""Sets of poses around a known one: points on an ellipsoid, seen by a camera, and ellipses that hold their images."""

from functools import cached_property, lru_cache

import numpy as np
import pytest

from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.rotations import nearest_rotation

FOCAL = np.array([572.4114, 573.57043])


def turned(w):
    """Return the rotation by the vector w."""
    angle = np.linalg.norm(w)
    W = np.cross(w, np.eye(3)).T
    W = W if angle == 0 else W / angle
    return np.eye(3) + np.sin(angle) * W + (1 - np.cos(angle)) * W @ W


class Instance:
    """A set of poses, a centre, and members from a random walk that goes to the boundary and back."""

    def __init__(self, seed, *, n_points=9, radius=None, planar=False, elongated=False, depth=None, min_depth=1e-3):
        rng = np.random.default_rng(seed)
        directions = rng.standard_normal((n_points, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        self.points = 0.1 * directions * np.array([1.0, 0.7, 0.0 if planar else 0.55])
        self.R = nearest_rotation(rng.standard_normal((3, 3)))
        z = rng.uniform(0.7, 1.3) if depth is None else depth
        self.t = z * np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), 1.0])
        X = self.points @ self.R.T + self.t
        self.centers = X[:, :2] / X[:, 2:]
        # Semi-axes and their directions, in pixels; the true image is inside, not always near the middle.
        axes = np.tile(rng.uniform(3, 10, (n_points, 1)) if radius is None else radius, (n_points, 2))[:n_points]
        axes = axes * np.exp(rng.uniform(-0.6, 0.6, (n_points, 1)) * np.array([1.0, -1.0]) * elongated)
        angles = rng.uniform(0, np.pi, n_points)
        Q = np.stack([np.stack([np.cos(angles), -np.sin(angles)]), np.stack([np.sin(angles), np.cos(angles)])])
        Q = np.moveaxis(Q, 2, 0)
        pixels = Q / axes[:, None] ** 2 @ np.swapaxes(Q, 1, 2)
        self.precisions = FOCAL[:, None] * pixels * FOCAL
        offsets = rng.uniform(-1, 1, (n_points, 2)) * 0.6
        shifts = np.linalg.solve(np.swapaxes(np.linalg.cholesky(self.precisions), 1, 2), offsets[..., None])
        self.centers = self.centers + shifts[..., 0]
        self.min_depth = min_depth
        self.Rs, self.ts = self._walk(rng, 15)
        self.R0, self.t0 = nearest_rotation(self.Rs.mean(axis=0)), self.ts.mean(axis=0)

    @cached_property
    def pose_set(self):
        return KeypointCones.from_sets(self.centers, self.precisions, self.points, min_depth=self.min_depth)

    def moved(self, i, x):
        """Return a pose of the walk, turned by the vector ``x[:3]`` and shifted by ``x[3:]``."""
        return self.Rs[i] @ turned(x[:3]), self.ts[i] + x[3:]

    def _walk(self, rng, n):
        poses, R, t = [(self.R, self.t)], self.R, self.t
        contains = self.pose_set.contains
        assert contains(R, t)[0]
        for _ in range(n):
            w, s = 0.2 * rng.standard_normal(3), np.array([0.05, 0.05, 0.2]) * rng.standard_normal(3)
            ends = []
            for sign in (-1.0, 1.0):
                near, far = 0.0, 1e-4
                while contains(R @ turned(sign * far * w), t + sign * far * s)[0] and far < 10:
                    near, far = far, 2 * far
                for _ in range(12):
                    middle = 0.5 * (near + far)
                    inside = contains(R @ turned(sign * middle * w), t + sign * middle * s)[0]
                    near, far = (middle, far) if inside else (near, middle)
                ends.append(sign * near)
                poses.append((R @ turned(ends[-1] * w), t + ends[-1] * s))
            step = rng.uniform(*ends)
            R, t = R @ turned(step * w), t + step * s
        return np.array([R for R, _ in poses]), np.array([t for _, t in poses])


@pytest.fixture(scope="session")
def instance():
    """Make instances, each one once."""
    return lru_cache(maxsize=None)(lambda seed, **options: Instance(seed, **options))
