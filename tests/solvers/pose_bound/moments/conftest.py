"""Pose-bound problems to test with: keypoints on an ellipsoid, seen by a camera about a metre away."""

from dataclasses import dataclass

import numpy as np
import pytest

from estimand.solvers.pose_bound import PoseBoundProblem
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.rotations import chordal_mean, random_rotations
from estimand.solvers.pose_bound.sampling import hit_and_run

CAMERA = np.array([[572.4114, 0.0, 325.2611], [0.0, 573.57043, 242.04899], [0.0, 0.0, 1.0]])


@dataclass
class PoseInstance:
    """A set of poses, the mean of members, the members, and their objectives."""

    cones: KeypointCones
    R0: np.ndarray
    t0: np.ndarray
    R: np.ndarray
    t: np.ndarray

    def objective(self, kind):
        if kind == "rotation":
            return 6.0 - 2.0 * np.einsum("ij,nij->n", self.R0, self.R)
        return np.sum((self.t - self.t0) ** 2, axis=1)

    def best(self, kind):
        return float(self.objective(kind).max())

    def problem(self, kind):
        return PoseBoundProblem(cones=self.cones, R0=self.R0, t0=self.t0, kind=kind)

    def radius(self, factor=1.5):
        """A radius that is larger than any member's distance that was seen."""
        return factor * np.sqrt(self.best("translation"))


def pose_instance(seed, K=9, radius=(3.0, 10.0), unit=1.0, flat=False, n_members=1000):
    rng = np.random.default_rng(seed)
    surface = rng.standard_normal((2000, 3))
    surface *= np.array([1.0, 0.7, 0.0 if flat else 0.55]) / np.linalg.norm(surface, axis=1, keepdims=True)
    surface *= unit * rng.uniform(0.13, 0.3) / np.linalg.norm(np.ptp(surface, axis=0))
    chosen = [0]
    while len(chosen) < K:
        distances = np.linalg.norm(surface[:, None] - surface[chosen], axis=2).min(axis=1)
        chosen.append(int(distances.argmax()))
    points = surface[chosen]
    R, depth = random_rotations(1, rng)[0], unit * rng.uniform(0.7, 1.3)
    t = depth * np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), 1.0])
    seen = (points @ R.T + t) @ CAMERA.T
    radii, angle = rng.uniform(*radius, K), rng.uniform(0, 2 * np.pi, K)
    offset = radii * np.sqrt(rng.uniform(0, 1, K))
    centers = seen[:, :2] / seen[:, 2:] + offset[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    precisions = np.eye(2) / radii[:, None, None] ** 2
    cones = KeypointCones.from_sets(centers, precisions, points, CAMERA, min_depth=1e-3 * unit)
    walk = hit_and_run(cones, (R, t), n_members, rng)
    members = np.concatenate([walk.R, walk.boundary_R]), np.concatenate([walk.t, walk.boundary_t])
    return PoseInstance(cones, chordal_mean(walk.R), walk.t.mean(axis=0), *members)


@pytest.fixture(scope="session")
def make_instance():
    """The function that makes instances from seeds."""
    return pose_instance
