"""The interior-point kernel: its ends obey the constraints and the optimality conditions, by finite differences."""

import numpy as np
import pytest
from scipy.optimize import nnls

from estimand.cython_ext._pose_ascent import ascend

ROTATION, TRANSLATION, SLACK = 0, 1, 2


def turned(w):
    angle = np.linalg.norm(w)
    W = np.cross(w, np.eye(3)).T
    W = W if angle == 0 else W / angle
    return np.eye(3) + np.sin(angle) * W + (1 - np.cos(angle)) * W @ W


class Case:
    """Points about 7 away, and the discs of a shared size around their projections."""

    def __init__(self, seed, *, K=8, radius=0.01, least_depth=0.01):
        rng = np.random.default_rng(seed)
        self.points = rng.uniform(-0.5, 0.5, (K, 3))
        self.R = turned(rng.uniform(-1, 1, 3))
        self.t = np.array([0.5, -0.3, 7.0])
        X = self.points @ self.R.T + self.t
        centers = X[:, :2] / X[:, 2:] + rng.uniform(-0.5, 0.5, (K, 2)) * radius
        self.cones = np.zeros((K, 2, 3))
        self.cones[:, 0, 0] = self.cones[:, 1, 1] = 1 / radius
        self.cones[:, :, 2] = -centers / radius
        self.R0, self.t0 = self.R @ turned(0.03 * rng.standard_normal(3)), self.t + 0.1 * rng.standard_normal(3)
        self.least_depth = least_depth

    def constraints(self, R, t):
        """Return ``1 - |N_k X_k|^2 / z_k^2`` and ``1 - least_depth / z_k``."""
        X = self.points @ R.T + t
        projected = np.einsum("kij,kj->ki", self.cones, X) / X[:, 2:]
        return np.concatenate([1 - np.square(projected).sum(axis=1), 1 - self.least_depth / X[:, 2]])

    def objective(self, kind, R, t):
        return np.square(R - self.R0).sum() if kind == ROTATION else np.square(t - self.t0).sum()

    def run(self, kind, R, t, *, s=0.0, barrier=1.0, last=1e-9, enough=np.inf, max_steps=300):
        R, t = R.copy(), t.copy()
        f, steps = ascend(
            kind,
            self.points,
            self.cones,
            self.R0,
            self.t0,
            self.least_depth,
            R,
            t,
            s,
            barrier,
            last,
            enough,
            max_steps,
        )
        return R, t, f, steps


def derivative(function, R, t, h=1e-6):
    """Return the derivative of a function of poses with respect to the rotation vector and the shift."""
    columns = []
    for step in h * np.eye(6):
        ends = [function(R @ turned(sign * step[:3]), t + sign * step[3:]) for sign in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * h))
    return np.array(columns).T


@pytest.mark.parametrize("kind", [ROTATION, TRANSLATION])
@pytest.mark.parametrize("seed", range(12))
def test_ends_at_a_local_maximum(seed, kind):
    case = Case(seed, least_depth=6.4 if seed % 3 == 0 else 0.01)
    assert case.constraints(case.R, case.t).min() > 0
    start = case.objective(kind, case.R, case.t)
    R, t, f, steps = case.run(kind, case.R, case.t)
    constraints = case.constraints(R, t)
    assert constraints.min() > 0
    assert f == pytest.approx(case.objective(kind, R, t), rel=1e-12)
    assert f > start
    assert 5 < steps < 300
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-13)
    gradient = derivative(lambda R, t: case.objective(kind, R, t), R, t)
    normals = derivative(case.constraints, R, t)
    active = constraints < 1e-5
    _, residual = nnls(-normals[active].T, gradient)
    assert residual < 1e-3 * np.linalg.norm(gradient)


@pytest.mark.parametrize("seed", range(12))
def test_slack_ends_at_the_pose_that_violates_least(seed):
    case = Case(seed)
    R, t = case.R @ turned(np.array([0.1, -0.2, 0.1])), case.t + np.array([0.3, 0.2, -0.5])
    start = case.constraints(R, t)[:8].min()
    R, t, s, _ = case.run(SLACK, R, t, s=start - 0.1 * max(1.0, 1 - start))
    constraints = case.constraints(R, t)
    assert constraints[8:].min() > 0
    assert s == pytest.approx(constraints[:8].min(), abs=1e-7)
    # The minimum of several functions is largest where some average of their gradients is 0.
    active = constraints[:8] < s + 1e-5
    normals = derivative(case.constraints, R, t)[:8][active]
    scale = np.abs(normals).max()
    weights, residual = nnls(np.vstack([normals.T / scale, np.ones(active.sum())]), np.append(np.zeros(6), 1.0))
    assert residual < 1e-3
    assert weights.sum() == pytest.approx(1.0, abs=1e-3)


def test_ends_where_it_is_enough():
    case = Case(3)
    R, t = case.R @ turned(np.array([0.1, -0.2, 0.1])), case.t
    best = case.run(SLACK, R, t, s=-1e4)[2]
    _, _, s, steps = case.run(SLACK, R, t, s=-1e4, enough=0.5 * best)
    assert 0.5 * best < s < best
    assert steps < case.run(SLACK, R, t, s=-1e4)[3]


def test_takes_no_more_steps_than_allowed():
    case = Case(4)
    R, t, f, steps = case.run(ROTATION, case.R, case.t, max_steps=3)
    assert steps == 3
    assert f == pytest.approx(case.objective(ROTATION, R, t), rel=1e-12)
    assert case.run(ROTATION, case.R, case.t, max_steps=0)[3] == 0


@pytest.mark.parametrize("shift", [[0.0, 0.0, -7.5], [3.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
def test_starts_outside_stay_where_they_are(shift):
    case = Case(5)
    R, t, f, steps = case.run(TRANSLATION, case.R, case.t + np.array(shift))
    assert (f, steps) == (-np.inf, 0)
    np.testing.assert_array_equal(R, case.R)
    np.testing.assert_array_equal(t, case.t + np.array(shift))


@pytest.mark.parametrize("kind", [ROTATION, TRANSLATION])
def test_leaves_the_centre(kind):
    """At the centre itself the objective and its gradient are 0."""
    case = Case(6)
    case.R0, case.t0 = case.R.copy(), case.t.copy()
    R, t, f, _ = case.run(kind, case.R, case.t)
    assert f > 1e-6
    assert case.constraints(R, t).min() > 0


@pytest.mark.parametrize("radius", [1e-9, 1e-6, 1e-3, 0.1])
def test_sizes_of_sets(radius):
    case = Case(7, radius=radius, K=5)
    case.R0, case.t0 = case.R.copy(), case.t.copy()
    small = case.run(ROTATION, case.R, case.t, barrier=0.05)
    assert case.constraints(*small[:2]).min() > 0
    assert radius**2 < small[2] < 1e4 * radius**2
