"""Random members: RANSAG, walks, and the poses to go on from where there are none."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.p3p import p3p
from estimand.solvers.pose_bound.rotations import (
    exponential_map,
    logarithmic_map,
    random_rotations,
    rotation_angle,
)
from estimand.solvers.pose_bound.sampling import (
    _draw,
    hit_and_run,
    least_violating_poses,
    ransag,
)

CAMERA = np.array([[572.4, 0.0, 325.3], [0.0, 573.6, 242.0], [0.0, 0.0, 1.0]])


def scene(seed, K=9, radius=5.0, offset=0.5, outlier=0.0):
    """A set that holds a pose unless there is an outlier, and that pose."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((K, 3))
    points *= 0.07 * np.array([1.0, 0.7, 0.55]) / np.linalg.norm(points, axis=1, keepdims=True)
    R, t = random_rotations(1, rng)[0], np.array([0.1, -0.05, 1.0])
    X = points @ R.T + t
    radii = radius * rng.uniform(0.6, 1.6, (K, 1))
    d = rng.standard_normal((K, 2))
    centers = (X @ CAMERA.T)[:, :2] / X[:, 2:] + offset * radii * d / np.linalg.norm(d, axis=1, keepdims=True)
    centers[0] += outlier
    return KeypointCones.from_sets(centers, np.eye(2) / radii[:, :, None] ** 2, points, CAMERA), R, t


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("K", [3, 4, 9])
@pytest.mark.parametrize("sampling", ["radius", "uniform"])
def test_draws(K, sampling):
    n = 60000
    triples, offsets = _draw(K, n, rng(), sampling)
    assert np.all(np.diff(np.sort(triples, axis=1), axis=1) > 0)
    assert (triples.min(), triples.max()) == (0, K - 1)
    # All ordered triples are equally likely.
    counts = np.bincount(triples @ [K * K, K, 1], minlength=K**3)
    expected = n / (K * (K - 1) * (K - 2))
    assert np.abs(counts[counts > 0] - expected).max() < 5 * np.sqrt(expected)
    assert np.count_nonzero(counts) == K * (K - 1) * (K - 2)
    radius = np.linalg.norm(offsets, axis=2).ravel()
    law = radius if sampling == "radius" else radius**2
    assert np.abs(np.quantile(law, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.01
    angle = np.arctan2(offsets[..., 1], offsets[..., 0]).ravel()
    assert np.abs(np.quantile(angle, [0.1, 0.5, 0.9]) / np.pi - [-0.8, 0.0, 0.8]).max() < 0.02


@pytest.mark.parametrize("sampling", ["radius", "uniform"])
def test_ransag_returns_the_members_among_the_solutions(sampling):
    geometry, R, t = scene(0)
    turns, shifts = ransag(geometry, 1000, rng(1), sampling)
    assert 10 < len(turns) == len(shifts)
    assert geometry.contains(turns, shifts).all()
    triples, offsets = _draw(9, 1000, rng(1), sampling)
    pixels = geometry.centers[triples] + np.einsum("nkij,nkj->nki", geometry.spreads[triples], offsets)
    a, b, _ = p3p(pixels, geometry.points[triples])
    inside = geometry.contains(a, b)
    np.testing.assert_allclose(turns, a[inside], atol=1e-9)
    np.testing.assert_allclose(shifts, b[inside], atol=1e-9)
    assert rotation_angle(turns, R).max() < 40
    assert np.linalg.norm(shifts - t, axis=1).max() < 0.4


def test_samples_are_reproducible():
    geometry, R, t = scene(1)
    for run in (
        lambda seed: ransag(geometry, 9000, rng(seed)),  # more than the kernel takes at once
        lambda seed: hit_and_run(geometry, (R, t), 200, rng(seed)),
        lambda seed: least_violating_poses(geometry, 300, rng(seed)),
    ):
        first, again, other = run(0), run(0), run(1)
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)
        assert first[0].shape != other[0].shape or np.abs(first[0] - other[0]).max() > 1e-3


def test_blocks_are_one_after_another():
    geometry, _, _ = scene(1)
    generator = rng(5)
    parts = [ransag(geometry, n, generator)[0] for n in (8192, 808)]
    np.testing.assert_array_equal(ransag(geometry, 9000, rng(5))[0], np.concatenate(parts))


def test_the_order_of_keypoints_and_the_unit_of_length_do_not_matter_to_members():
    geometry, R, t = scene(2)
    scaled = KeypointCones(1000 * geometry.points, geometry.cones, geometry.centers, 1.0)
    a, b = ransag(geometry, 500, rng(3)), ransag(scaled, 500, rng(3))
    np.testing.assert_allclose(a[0], b[0], atol=1e-9)
    np.testing.assert_allclose(1000 * a[1], b[1], rtol=1e-9)
    a, b = hit_and_run(geometry, (R, t), 300, rng(3)), hit_and_run(scaled, (R, 1000 * t), 300, rng(3))
    np.testing.assert_allclose(a.R, b.R, atol=1e-5)
    np.testing.assert_allclose(1000 * a.t, b.t, rtol=1e-5)


@pytest.mark.parametrize("radius", [20.0, 5.0, 0.1, 1e-4])
def test_walks_stay_inside_and_reach_the_boundary(radius):
    geometry, R, t = scene(3, radius=radius)
    samples = hit_and_run(geometry, (R, t), 600, rng())
    assert samples.R.shape == (600, 3, 3)
    assert samples.t.shape == (600, 3)
    assert len(samples.boundary_R) >= 1200
    assert geometry.contains(samples.R, samples.t, tol=0.0).all()
    assert geometry.contains(samples.boundary_R, samples.boundary_t, tol=0.0).all()
    worst = geometry.violations(samples.boundary_R, samples.boundary_t)
    # In units of the ellipses: 1/4096 of a chord, which crosses at most a few of them.
    assert np.all(worst > 1 - 2e-3)
    assert np.median(worst) > 1 - 5e-4
    assert np.median(geometry.violations(samples.R, samples.t)) < 0.99


def test_ends_of_chords_are_within_a_thousandth_of_the_boundary():
    geometry, R, t = scene(4)
    samples = hit_and_run(geometry, (R, t), 64, rng(), n_chains=64, n_burn_in=0)
    # The first step of every chain starts from the same pose: its chord is known.
    back = R.T @ samples.boundary_R
    w, tau = logarithmic_map(back), samples.boundary_t - t
    beyond = 1 + 1e-3
    assert len(w) == 128
    assert not geometry.contains(R @ exponential_map(beyond * w), t + beyond * tau).any()
    assert geometry.contains(R @ exponential_map((1 - 1e-9) * w), t + (1 - 1e-9) * tau).mean() > 0.99


def test_walks_spread_over_the_set():
    geometry, R, t = scene(5)
    members = ransag(geometry, 20000, rng(1), "uniform")
    samples = hit_and_run(geometry, (R, t), 4000, rng(2))
    assert len(members[0]) > 500
    # They reach about as far as the members of RANSAG, at least.
    for reach in (
        lambda a, b: rotation_angle(a, R).max(),
        lambda a, b: (b - t)[:, 2].max(),
        lambda a, b: (t - b)[:, 2].max(),
        lambda a, b: np.linalg.norm(b - t, axis=1).max(),
    ):
        assert reach(samples.boundary_R, samples.boundary_t) > 0.9 * reach(*members)


def test_walks_from_several_members():
    geometry, _, _ = scene(6)
    members = ransag(geometry, 2000, rng())
    for count in (1, 5, 32, len(members[0])):
        start = members[0][:count], members[1][:count]
        samples = hit_and_run(geometry, start, 100, rng(1), n_burn_in=0)
        assert geometry.contains(samples.R, samples.t).all()
    one = hit_and_run(geometry, (members[0][0], members[1][0]), 10, rng(1), n_chains=1, n_burn_in=0)
    assert one.R.shape == (10, 3, 3)
    assert np.all(rotation_angle(one.R[1:], one.R[:-1]) > 0)


def test_walks_in_a_set_of_one_pose():
    geometry, R, t = scene(7, offset=0.0)
    point = KeypointCones(geometry.points, geometry.cones * 1e10, geometry.centers, geometry.min_depth)
    samples = hit_and_run(point, (R, t), 100, rng())
    assert point.contains(samples.R, samples.t).all()
    assert np.abs(samples.R - R).max() < 1e-8


def test_walks_from_different_members_agree():
    geometry, _, _ = scene(5)
    members = ransag(geometry, 5000, rng(0), "uniform")
    walks = [hit_and_run(geometry, (members[0][i], members[1][i]), 8000, rng(i)) for i in range(4)]
    depth = np.array([[np.mean(walk.t[:, 2]), np.std(walk.t[:, 2])] for walk in walks])
    assert np.ptp(depth[:, 0]) < 0.3 * depth[:, 1].mean()
    assert np.ptp(depth[:, 1]) < 0.3 * depth[:, 1].mean()


@pytest.mark.parametrize(("K", "radius", "offset"), [(3, 5.0, 0.5), (4, 5.0, 0.5), (200, 10.0, 0.2)])
def test_few_keypoints_and_many(K, radius, offset):
    geometry, R, t = scene(8, K=K, radius=radius, offset=offset)
    turns, shifts = ransag(geometry, 500, rng())
    assert len(turns) > 0
    assert geometry.contains(turns, shifts).all()
    samples = hit_and_run(geometry, (R, t), 100, rng())
    assert geometry.contains(samples.R, samples.t).all()
    assert geometry.contains(samples.boundary_R, samples.boundary_t).all()


def test_planar_points():
    points = np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [-0.1, -0.1, 0.0], [0.07, 0.07, 0.0], [0.0, 0.0, 0.0]])
    R, t = exponential_map([0.5, 0.0, 0.0]), np.array([0.0, 0.0, 2.0])
    X = points @ R.T + t
    geometry = KeypointCones.from_sets(X[:, :2] / X[:, 2:], np.tile(np.eye(2) / 0.004**2, (5, 1, 1)), points)
    turns, _ = ransag(geometry, 2000, rng())
    # Both of the tilts that look nearly the same.
    tilt = turns[:, 2, 1]
    assert tilt.min() < -0.2
    assert tilt.max() > 0.2


def test_the_least_violating_poses():
    geometry, _, _ = scene(9, outlier=60.0)
    assert len(ransag(geometry, 1000, rng())[0]) == 0
    turns, shifts, violations = least_violating_poses(geometry, 1000, rng(), n_poses=30)
    assert turns.shape == (30, 3, 3)
    assert np.all(np.diff(violations) >= 0)
    assert violations[0] > 1
    np.testing.assert_allclose(geometry.violations(turns, shifts), violations, rtol=1e-12)
    triples, offsets = _draw(9, 1000, rng(), "radius")
    pixels = geometry.centers[triples] + np.einsum("nkij,nkj->nki", geometry.spreads[triples], offsets)
    a, b, _ = p3p(pixels, geometry.points[triples])
    np.testing.assert_allclose(violations, np.sort(geometry.violations(a, b))[:30], rtol=1e-6)
    # Of a set with members they are members.
    geometry, R, _ = scene(9)
    turns, shifts, _ = least_violating_poses(geometry, 20000, rng(), n_poses=3)
    assert geometry.contains(turns, shifts).all()
    assert rotation_angle(turns[0], R) < 20


def test_without_solutions_there_are_still_poses_to_start_from():
    # Two keypoints at the same place: of the triples of three keypoints none has a solution.
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0]])
    centers = np.array([[0.3, 0.0], [0.3, 0.0], [0.3, 0.0], [0.3, 0.0]])
    geometry = KeypointCones.from_sets(centers, np.tile(1e4 * np.eye(2), (4, 1, 1)), points)
    turns, shifts, violations = least_violating_poses(geometry, 50, rng(), n_poses=6)
    assert len(turns) == 6
    assert np.all(np.isfinite(violations))
    assert np.all(geometry.depths(turns, shifts) >= geometry.min_depth)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, R, t: ransag(g, 0, rng()), "n_samples=0"),
        (lambda g, R, t: ransag(g, 10.0, rng()), "n_samples=10.0"),
        (lambda g, R, t: ransag(g, 10, rng(), "area"), "sampling='area' must be one of 'radius', 'uniform'"),
        (lambda g, R, t: least_violating_poses(g, 10, rng(), n_poses=0), "n_poses=0"),
        (lambda g, R, t: least_violating_poses(g, -1, rng()), "n_samples=-1"),
        (lambda g, R, t: hit_and_run(g, (R, t), 0, rng()), "n_samples=0"),
        (lambda g, R, t: hit_and_run(g, (R, t), 1, rng(), n_chains=0), "n_chains=0"),
        (lambda g, R, t: hit_and_run(g, (R, t), 1, rng(), n_burn_in=-1), "n_burn_in=-1"),
        (lambda g, R, t: hit_and_run(g, (R, -t), 1, rng()), "Pose 0 of start is no member"),
        (lambda g, R, t: hit_and_run(g, (R, np.stack([t, t + 1])), 1, rng()), "Pose 1 of start is no member"),
        (lambda g, R, t: hit_and_run(g, (np.empty((0, 3, 3)), np.empty((0, 3))), 1, rng()), "start is empty"),
        (lambda g, R, t: hit_and_run(g, (np.eye(2), t), 1, rng()), "R has shape"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(*scene(0))
