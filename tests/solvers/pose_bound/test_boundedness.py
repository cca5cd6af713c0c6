"""Boundedness: common points of ellipses, boxes of positions for all rotations, and pairs of ellipses seen apart."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from estimand.solvers.pose_bound.boundedness import boundedness, common_point, enclose, pair_reach
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.objectives import ray_frame
from estimand.solvers.pose_bound.rotations import nearest_rotation


def cones(centers, radii):
    """Return the cones of discs in the normalised plane."""
    precisions = np.eye(2) / np.square(np.asarray(radii, dtype=float))[:, None, None]
    return KeypointCones.from_sets(np.asarray(centers), precisions, np.eye(3)[: len(radii)], min_depth=1e-3).cones


def discs(centers, radii, points=None):
    points = np.random.default_rng(0).standard_normal((len(radii), 3)) if points is None else points
    precisions = np.eye(2) / np.square(np.asarray(radii, dtype=float))[:, None, None]
    return KeypointCones.from_sets(np.asarray(centers, dtype=float), precisions, points, min_depth=1e-3)


def smallest_level(A):
    """Return the minimum over x of ``max_k |N_k (x, 1)|``, by another optimiser."""

    def level(x):
        return np.linalg.norm(A @ np.append(x, 1.0), axis=1).max()

    x = np.linalg.solve(A[:, :, :2], -A[:, :, 2:])[..., 0].mean(axis=0)
    for _ in range(4):
        x = minimize(level, x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 400}).x
    return level(x)


@pytest.mark.parametrize("seed", range(20))
def test_common_points_are_found_where_there_are_some(seed):
    rng = np.random.default_rng(seed)
    K = rng.integers(2, 12)
    A = rng.standard_normal((K, 2, 2)) * 10 ** rng.uniform(-1, 1, (K, 1, 1))
    N = np.concatenate([A, rng.standard_normal((K, 2, 1))], axis=2)
    level = smallest_level(N)
    for factor in (0.999, 1.001):
        point = common_point(N / (level * factor))
        assert (point is not None) == (factor > 1)
        if point is not None:
            assert np.linalg.norm(N @ np.append(point, 1.0), axis=1).max() <= level * factor * (1 + 1e-9)


@pytest.mark.parametrize("radius", [1e-9, 1e-3, 1.0, 50.0])
def test_touching_sets_share_a_point(radius):
    assert common_point(cones([[0.0, 0.0], [2 * radius, 0.0], [radius, 0.0]], [radius] * 3)) is not None
    assert common_point(cones([[0.0, 0.0], [2.001 * radius, 0.0], [radius, 0.0]], [radius] * 3)) is None


def test_common_point_means_unbounded(instance):
    case = instance(40)
    poses = KeypointCones.from_sets(0.01 * case.centers, case.precisions, case.points, min_depth=1e-3)
    answer = boundedness(poses, case.t0)
    assert (answer.status, answer.max_distance, answer.enclosure) == ("unbounded", math.inf, None)
    # Far enough along the ray every rotation is possible.
    ray = np.append(answer.common_point, 1.0)
    R = nearest_rotation(np.random.default_rng(0).standard_normal((20, 3, 3))[0])
    assert poses.contains(R, 1e3 * ray)[0]


@pytest.mark.parametrize("options", [{}, {"radius": 30.0}, {"radius": 1e-3}, {"n_points": 3}, {"depth": 0.1}], ids=str)
@pytest.mark.parametrize("seed", range(41, 45))
def test_box_and_distance_hold_all_members(instance, seed, options):
    case = instance(seed, **options)
    answer = boundedness(case.pose_set, case.t0)
    if answer.status == "unbounded":
        assert options == {"radius": 30.0}
        return
    assert np.linalg.norm(case.ts - case.t0, axis=1).max() <= answer.max_distance
    box = answer.enclosure
    pivot = (case.ts + case.Rs @ case.pose_set.pivot) @ box.frame / case.pose_set.diameter
    assert np.all((box.lower <= pivot) & (pivot <= box.upper))


def test_box_is_that_of_the_polygons_around_the_cones():
    rng = np.random.default_rng(2)
    poses = discs(rng.uniform(-0.3, 0.3, (6, 2)), [0.02] * 6, rng.standard_normal((6, 3)))
    box = enclose(poses, np.eye(3))
    arms = np.linalg.norm(poses.points - poses.pivot, axis=1) / poses.diameter
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    projected = np.einsum("mi,kij->kmj", np.column_stack([np.cos(angles), np.sin(angles)]), poses.cones)
    g = (projected - np.eye(3)[2]).reshape(-1, 3)
    room = np.repeat(arms, 200) * np.linalg.norm(g, axis=1)
    inside = (projected - np.cos(np.pi / 200) * np.eye(3)[2]).reshape(-1, 3)
    for side in range(6):
        cost = (1 if side % 2 else -1) * np.eye(3)[side // 2]
        end = (box.upper if side % 2 else -box.lower)[side // 2]
        outer = linprog(-cost, A_ub=g, b_ub=room, bounds=[(None, None)] * 3)
        inner = linprog(-cost, A_ub=inside, b_ub=0.99 * room, bounds=[(None, None)] * 3)
        assert -inner.fun <= end <= -outer.fun * (1 + 1e-3) + 1e-4


def test_pairs_overlap_without_a_common_point():
    angles = np.array([0.0, 2.0, 4.0]) * np.pi / 3
    centers = 0.1 * np.column_stack([np.cos(angles), np.sin(angles)])
    # Each two of three discs overlap; they have a common point from radius 0.1 on.
    poses = discs(centers, [0.095] * 3, np.column_stack([centers, np.zeros(3)]))
    assert pair_reach(poses, np.zeros(3)) == math.inf
    answer = boundedness(poses, np.array([0.0, 0.0, 1.0]))
    assert answer.status == "bounded"
    assert 1.0 < answer.max_distance < 1e3
    assert boundedness(discs(centers, [0.1001] * 3), np.zeros(3)).status == "unbounded"


def test_a_pair_seen_apart():
    points = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    # The third disc hides both.
    poses = discs([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.2]], [1e-6, 1e-6, 5.0], points)
    # Two points 2 apart seen under 2 arctan(1/2) are at most 2 / sin away.
    expected = 2 / math.sin(2 * math.atan(0.5)) + 1.0
    assert pair_reach(poses, np.zeros(3)) == pytest.approx(expected, rel=1e-4)
    # Ninety degrees and more: no farther than they are apart.
    wide = discs([[-10.0, 0.0], [10.0, 0.0], [0.0, 0.2]], [1e-6, 1e-6, 50.0], points)
    assert pair_reach(wide, np.zeros(3)) == pytest.approx(2.0 + 1.0, rel=1e-6)


def test_wide_discs_off_the_axis_are_not_seen_apart():
    # arctan(r) would take a disc of radius 1 for one of 45 degrees; seen from the camera it can be 53 wide.
    touching = discs([[-0.5, 0.0], [1.0, 0.0], [0.2, 0.1]], [0.5, 1.0, 5.0])
    assert pair_reach(touching, np.zeros(3)) == math.inf


@pytest.mark.parametrize("t0", [np.zeros(3), np.array([0.0, 0.0, 2.0]), np.array([-1.0, 2.0, -0.5])])
def test_frames_are_orthonormal_along_the_ray(t0):
    F = ray_frame(t0)
    np.testing.assert_allclose(F.T @ F, np.eye(3), atol=1e-15)
    np.testing.assert_allclose(F[:, 0] * np.linalg.norm(t0), t0 if t0.any() else np.zeros(3), atol=1e-15)
