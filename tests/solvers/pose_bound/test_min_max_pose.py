"""The pose whose worst keypoint is closest to its centre."""

import numpy as np
import pytest
from scipy.optimize import minimize

from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.min_max_pose import MinMaxPose, _Chart, min_max_pose
from estimand.solvers.pose_bound.rotations import exponential_map, random_rotations, rotation_angle
from estimand.solvers.pose_bound.sampling import hit_and_run, least_violating_poses


def scene(seed, K=9, radius=0.008, offset=0.5, outlier=0.0, away=0.0):
    rng = np.random.default_rng(seed)
    points = 0.07 * rng.standard_normal((K, 3)) + away
    R = random_rotations(1, rng)[0]
    t = np.array([0.1, -0.05, 1.0]) - R @ np.full(3, away)
    X = points @ R.T + t
    d = rng.standard_normal((K, 2))
    centers = X[:, :2] / X[:, 2:] + offset * radius * d / np.linalg.norm(d, axis=1, keepdims=True)
    centers[0] += outlier
    return KeypointCones.from_sets(centers, np.tile(np.eye(2) / radius**2, (K, 1, 1)), points), R, t


def starts(geometry, seed=0):
    return least_violating_poses(geometry, 1000, np.random.default_rng(seed))[:2]


@pytest.mark.parametrize("seed", range(4))
def test_members_are_found_from_poses_that_are_none(seed):
    geometry, R, t = scene(seed, offset=0.97)
    assert geometry.contains(R, t)[0]
    turns, shifts, violations = least_violating_poses(geometry, 200, np.random.default_rng(0))
    pose = min_max_pose(geometry, (turns[-5:], shifts[-5:]))
    assert violations[-5] > 1
    assert pose.violation <= 1
    assert geometry.contains(pose.R, pose.t)[0]
    assert len(hit_and_run(geometry, (pose.R, pose.t), 50, np.random.default_rng(0)).R) == 50


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_is_one(seed):
    geometry, _, _ = scene(seed, outlier=0.1)
    pose = min_max_pose(geometry, starts(geometry))
    assert pose.violation > 1
    assert geometry.violations(pose.R, pose.t)[0] == pytest.approx(pose.violation, rel=1e-12)
    assert np.abs(pose.R.T @ pose.R - np.eye(3)).max() < 1e-12
    # Nothing around it is better, and a search of another kind, from there and from elsewhere, finds nothing better.
    rng = np.random.default_rng(seed)
    for size in (1e-5, 1e-3, 1e-1):
        w, tau = size * rng.standard_normal((2, 2000, 3))
        assert geometry.violations(pose.R @ exponential_map(w), pose.t + tau).min() > pose.violation * (1 - 1e-6)

    def worst(x):
        return geometry.violations(pose.R @ exponential_map(x[:3]), pose.t + x[3:])[0]

    for start in (np.zeros(6), 0.05 * rng.standard_normal(6)):
        other = minimize(worst, start, method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-9, "fatol": 1e-9})
        assert other.fun > pose.violation * (1 - 1e-5)


def test_exact_projections():
    geometry, R, t = scene(5, offset=0.0)
    pose = min_max_pose(geometry, starts(geometry))
    assert pose.violation < 1e-4
    assert rotation_angle(pose.R, R) < 1e-2
    assert pose.t == pytest.approx(t, abs=1e-4)


def test_the_derivatives():
    geometry, R, t = scene(6, K=5, away=0.3)
    chart = _Chart(geometry, MinMaxPose(R, t, 0.7))
    for x in (
        np.r_[np.zeros(6), 1.0],
        np.array([0.3, -0.5, 0.2, 0.05, -0.02, 0.1, 0.8]),
        np.r_[1e-5, np.zeros(5), 1.0],
    ):
        steps = 1e-5 * np.eye(7)
        central = [(chart.constraints(x + step) - chart.constraints(x - step)) / 2e-5 for step in steps]
        np.testing.assert_allclose(chart.jacobian(x), np.transpose(central), rtol=1e-5, atol=1e-5)
        pose = chart.pose(x)
        sides = geometry.depths(pose.R, pose.t)[0], geometry.margins(pose.R, pose.t)[0]
        reach = (sides[0] - sides[1]) / 0.7
        np.testing.assert_allclose(chart.constraints(x)[:5] * chart.unit, x[6] * sides[0] - reach, atol=1e-10)
        np.testing.assert_allclose(chart.constraints(x)[5:] * chart.unit, sides[0] - geometry.min_depth, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
def test_the_size_of_the_sets_does_not_matter(factor):
    geometry, _, _ = scene(7)
    scaled = KeypointCones(geometry.points, geometry.cones * factor, geometry.centers, geometry.min_depth)
    start = [poses[:2] for poses in starts(geometry)]
    expected = min_max_pose(geometry, tuple(start)).violation * factor
    # With smaller sets there is no member, and the search goes on.
    assert min_max_pose(scaled, tuple(start)).violation == pytest.approx(expected, rel=1e-3)


def test_the_unit_of_length_and_a_remote_origin_do_not_matter():
    geometry, _, _ = scene(8, outlier=0.05)
    R, t = (poses[:4] for poses in starts(geometry))
    expected = min_max_pose(geometry, (R, t)).violation
    scaled = KeypointCones(1000 * geometry.points, geometry.cones, geometry.centers, 1.0)
    assert min_max_pose(scaled, (R, 1000 * t)).violation == pytest.approx(expected, rel=1e-6)
    away = np.array([1.0, 2.0, -1.0])
    moved = KeypointCones(geometry.points + away, geometry.cones, geometry.centers, geometry.min_depth)
    assert min_max_pose(moved, (R, t - R @ away)).violation == pytest.approx(expected, rel=1e-6)


def test_keypoints_stay_in_front_of_the_camera():
    # A wide object, close by: the nearest keypoint is at min_depth.
    points = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 0.5], [0.3, 0.3, -1.0]])
    centers = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0], [-4.0, 2.0]])
    geometry = KeypointCones.from_sets(centers, np.tile(np.eye(2), (4, 1, 1)), points, min_depth=0.2)
    pose = min_max_pose(geometry, (np.eye(3), [0.0, 0.0, 1.3]))
    assert geometry.depths(pose.R, pose.t).min() >= 0.2
    assert pose.violation < geometry.violations(np.eye(3), [0.0, 0.0, 1.3])[0]


def test_bad_input():
    geometry, R, t = scene(9)
    with pytest.raises(ValueError, match="No pose of starts"):
        min_max_pose(geometry, (R, -t))
    with pytest.raises(ValueError, match="No pose of starts"):
        min_max_pose(geometry, (np.empty((0, 3, 3)), np.empty((0, 3))))
    with pytest.raises(ValueError, match="t has shape"):
        min_max_pose(geometry, (R, t[:2]))
