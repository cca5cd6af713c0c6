"""The cones of keypoints: against quadratic forms and images, and what they refuse."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.cones import KeypointCones, pose_vectors
from estimand.solvers.pose_bound.rotations import exponential_map, random_rotations

CAMERA = np.array([[572.4, 3.0, 325.3], [0.0, 573.6, 242.0], [0.0, 0.0, 1.0]])
#: A fixed rotation that is not symmetric: row-major and column-major vectors of it differ.
R0 = exponential_map([0.3, -0.7, 1.1])
T0 = np.array([0.05, -0.1, 0.9])


def sets(seed, K=9, radius=5.0):
    rng = np.random.default_rng(seed)
    points = 0.07 * rng.standard_normal((K, 3))
    root = (np.eye(2) + 0.4 * rng.uniform(-1, 1, (K, 2, 2))) / radius
    precisions = np.swapaxes(root, 1, 2) @ root
    offset = rng.standard_normal((K, 2))
    offset *= 0.4 * radius * rng.random((K, 1)) / np.linalg.norm(offset, axis=1, keepdims=True)
    return image_of(points, R0, T0) + offset, precisions, points


def image_of(points, R, t):
    X = points @ R.T + t
    return (X @ CAMERA.T)[:, :2] / X[:, 2:]


def poses(n, seed):
    rng = np.random.default_rng(seed)
    scale = 0.03 * rng.exponential(1.0, (n, 1))
    return R0 @ exponential_map(scale * rng.standard_normal((n, 3))), T0 + 0.1 * scale * rng.standard_normal((n, 3))


def quadratic_membership(centers, precisions, points, R, t, min_depth):
    """Membership by 12 x 12 quadratic forms that are built from their definition, in the image."""
    s = np.concatenate([R.ravel(order="F"), t])
    for mu, precision, P in zip(centers, precisions, points, strict=True):
        U = CAMERA @ np.concatenate([np.kron(P, np.eye(3)), np.eye(3)], axis=1)
        L = np.linalg.cholesky(precision)
        M = L.T @ (U[:2] - np.outer(mu, U[2]))
        A = M.T @ M - np.outer(U[2], U[2])
        if s @ A @ s > 0 or U[2] @ s < min_depth:
            return False
    return True


def test_membership_equals_that_of_quadratic_forms():
    geometry = KeypointCones.from_sets(*sets(0), CAMERA)
    R, t = poses(500, 1)
    members = geometry.contains(R, t)
    assert members.dtype == np.bool_
    assert members.tolist() == [quadratic_membership(*sets(0), a, b, 1e-3) for a, b in zip(R, t, strict=True)]
    assert 50 < members.sum() < 450


def test_membership_is_that_of_the_image():
    centers, precisions, points = sets(2)
    geometry = KeypointCones.from_sets(centers, precisions, points, CAMERA)
    for R, t in zip(*poses(100, 3), strict=True):
        off = image_of(points, R, t) - centers
        distance = np.sqrt(np.einsum("ki,kij,kj->k", off, precisions, off))
        assert geometry.violations(R, t)[0] == pytest.approx(distance.max(), rel=1e-9)
        assert geometry.contains(R, t)[0] == (distance.max() <= 1)
        assert geometry.contains(R, t, tol=distance.max() - 1 + 1e-9)[0]
        assert not geometry.contains(R, t, tol=distance.max() - 1 - 1e-9)[0]


def test_forms_of_twelve_dimensions():
    geometry = KeypointCones.from_sets(*sets(4, K=5), CAMERA)
    assert (geometry.quad_con.shape, geometry.lin_con.shape, geometry.soc.shape) == ((5, 12, 12), (5, 12), (5, 2, 12))
    R, t = poses(50, 5)
    s = pose_vectors(R, t)
    np.testing.assert_array_equal(s[3], np.concatenate([R[3].ravel(order="F"), t[3]]))
    depths, reaches = s @ geometry.lin_con.T, np.linalg.norm(np.einsum("kij,mj->mki", geometry.soc, s), axis=2)
    np.testing.assert_allclose(geometry.depths(R, t), depths, rtol=1e-13)
    np.testing.assert_allclose(geometry.margins(R, t), depths - reaches, atol=1e-11)
    forms = np.einsum("mi,kij,mj->mk", s, geometry.quad_con, s)
    np.testing.assert_allclose(forms, reaches**2 - depths**2, atol=1e-9)
    np.testing.assert_array_equal(geometry.contains(R, t), np.all(geometry.margins(R, t) >= 0, axis=1))
    # With the rows of R instead of its columns the pose is another one.
    other = np.concatenate([R0.ravel(), T0])
    X = (geometry.positions @ other).reshape(5, 3)
    assert np.abs(X - (geometry.points @ R0.T + T0)).max() > 0.01


def test_cones_are_cholesky_factors_of_normalised_ellipses():
    centers, precisions, points = sets(6)
    geometry = KeypointCones.from_sets(centers, precisions, points, CAMERA)
    block, shift = CAMERA[:2, :2], CAMERA[:2, 2]
    mu = np.linalg.solve(block, (centers - shift).T).T
    root = np.linalg.cholesky(block.T @ precisions @ block).transpose(0, 2, 1)
    np.testing.assert_allclose(geometry.centers, mu, rtol=1e-13)
    np.testing.assert_allclose(geometry.cones[:, :, :2], root, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(geometry.cones[:, :, 2], -np.einsum("kij,kj->ki", root, mu), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(geometry.spreads @ geometry.cones[:, :, :2], np.tile(np.eye(2), (9, 1, 1)), atol=1e-12)
    again = KeypointCones.from_sets(mu, block.T @ precisions @ block, points)
    np.testing.assert_allclose(again.cones, geometry.cones, rtol=1e-9, atol=1e-8)


def test_points_behind_the_camera():
    centers, precisions, points = sets(7)
    geometry = KeypointCones.from_sets(centers, precisions, points, CAMERA)
    # The reflection through the camera projects to the same pixels.
    t = -T0 - 2 * R0 @ points.mean(axis=0)
    assert not geometry.contains(R0, t)[0]
    assert np.isinf(geometry.violations(R0, t)[0])
    assert np.all(geometry.margins(R0, -T0 * 100) < 0)
    # One keypoint at less than min_depth is enough.
    wide = KeypointCones.from_sets(np.zeros((3, 2)), np.tile(1e-6 * np.eye(2), (3, 1, 1)), np.eye(3), min_depth=0.5)
    assert wide.contains(np.eye(3), [[0, 0, 0.5], [0, 0, 0.499], [0, 0, -0.6]]).tolist() == [True, False, False]
    assert np.isfinite(wide.violations(np.eye(3), [[0, 0, 0.5], [0, 0, 0.499]])).tolist() == [True, False]


def test_units():
    centers, precisions, points = sets(8)
    metres = KeypointCones.from_sets(centers, precisions, points, CAMERA)
    millimetres = KeypointCones.from_sets(centers, precisions, 1000 * points, CAMERA, min_depth=1.0)
    R, t = poses(200, 9)
    np.testing.assert_array_equal(metres.contains(R, t), millimetres.contains(R, 1000 * t))
    np.testing.assert_allclose(1000 * metres.margins(R, t), millimetres.margins(R, 1000 * t), rtol=1e-9, atol=1e-9)


def test_the_order_of_keypoints_and_more_of_them():
    centers, precisions, points = sets(10)
    order = np.random.default_rng(0).permutation(9)
    R, t = poses(200, 11)
    all_of_them = KeypointCones.from_sets(centers, precisions, points, CAMERA).contains(R, t)
    shuffled = KeypointCones.from_sets(centers[order], precisions[order], points[order], CAMERA).contains(R, t)
    fewer = KeypointCones.from_sets(centers[:6], precisions[:6], points[:6], CAMERA).contains(R, t)
    np.testing.assert_array_equal(all_of_them, shuffled)
    assert np.all(fewer | ~all_of_them)
    assert fewer.sum() > all_of_them.sum()


def test_one_rotation_or_one_translation_for_many():
    geometry = KeypointCones.from_sets(*sets(12), CAMERA)
    R, t = poses(20, 13)
    assert geometry.contains(R0, T0).shape == (1,)
    assert geometry.margins(R0, T0).shape == (1, 9)
    np.testing.assert_array_equal(geometry.margins(R, T0), geometry.margins(R, np.tile(T0, (20, 1))))
    np.testing.assert_array_equal(geometry.margins(R0, t), geometry.margins(np.tile(R0, (20, 1, 1)), t))
    assert geometry.contains(np.empty((0, 3, 3)), np.empty((0, 3))).shape == (0,)


def test_many_poses_and_many_keypoints():
    rng = np.random.default_rng(14)
    K, m = 200, 50000  # more than a kernel takes at once
    geometry = KeypointCones.from_sets(
        np.zeros((K, 2)), np.tile(np.eye(2) / 4, (K, 1, 1)), rng.standard_normal((K, 3)), min_depth=0.1
    )
    R, t = random_rotations(m, rng), np.array([0.0, 0.0, 5.0]) + rng.standard_normal((m, 3))
    members = geometry.contains(R, t)
    rows = rng.permutation(m)[:100]
    np.testing.assert_array_equal(members[rows], geometry.contains(R[rows], t[rows]))
    np.testing.assert_array_equal(members, geometry.violations(R, t) <= 1)
    assert 100 < members.sum() < m - 100


def test_arguments_are_neither_changed_nor_shared():
    centers, precisions, points = (np.ascontiguousarray(a) for a in sets(15))
    geometry = KeypointCones.from_sets(centers, precisions, points)
    before = geometry.margins(R0, T0)
    for array in (centers, precisions, points):
        array += 1.0
    np.testing.assert_array_equal(geometry.margins(R0, T0), before)
    with pytest.raises(ValueError, match="read-only"):
        geometry.points[0] = 0.0


def test_planar_points_are_fine():
    points = np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [-0.1, -0.1, 0.0], [0.05, 0.05, 0.0]])
    geometry = KeypointCones.from_sets(image_of(points, R0, T0), np.tile(np.eye(2), (4, 1, 1)), points, CAMERA)
    assert geometry.contains(R0, T0)[0]


def test_sets_that_are_nearly_points():
    _, _, points = sets(16)
    geometry = KeypointCones.from_sets(image_of(points, R0, T0), np.tile(1e18 * np.eye(2), (9, 1, 1)), points, CAMERA)
    assert geometry.violations(R0, T0)[0] < 1e-2 * 1e9  # within 0.01 px, in units of 1e-9 px
    assert not geometry.contains(R0, T0 + 1e-6)[0]


CENTERS, PRECISIONS, POINTS = sets(17, K=4)


def with_precision(k, matrix):
    changed = PRECISIONS.copy()
    changed[k] = matrix
    return changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CENTERS[:2], PRECISIONS[:2], POINTS[:2]), "holds 2 keypoints"),
        ((CENTERS, PRECISIONS, np.outer([1, 2, 3, 5], [0.1, 0.2, 0.3])), "lie on a line"),
        ((CENTERS, PRECISIONS, np.ones((4, 3))), "lie on a line"),
        ((CENTERS[:3], PRECISIONS, POINTS), "centers has shape"),
        ((CENTERS, PRECISIONS[:3], POINTS), "precisions has shape"),
        ((CENTERS, PRECISIONS, POINTS[:, :2]), "points has shape"),
        ((np.nan * CENTERS, PRECISIONS, POINTS), "centers holds NaN"),
        ((CENTERS, with_precision(1, np.diag([np.inf, 1.0])), POINTS), "precisions holds NaN or infinity"),
        ((CENTERS, PRECISIONS, POINTS + np.nan), "points holds NaN"),
        ((CENTERS, with_precision(2, [[1.0, 0.1], [0.0, 1.0]]), POINTS), r"precisions\[2\] .* not symmetric"),
        ((CENTERS, with_precision(3, [[1.0, 2.0], [2.0, 1.0]]), POINTS), r"precisions\[3\] .* not positive definite"),
        ((CENTERS, with_precision(0, np.zeros((2, 2))), POINTS), r"precisions\[0\] .* not positive definite"),
        ((CENTERS, PRECISIONS, POINTS, np.eye(2)), "camera has shape"),
        ((CENTERS, PRECISIONS, POINTS, np.diag([1.0, 0.0, 1.0])), "camera is singular"),
        ((CENTERS, PRECISIONS, POINTS, np.ones((3, 3))), "last row of camera"),
        ((CENTERS, PRECISIONS, POINTS, CAMERA * [[1], [np.nan], [1]]), "camera holds NaN"),
    ],
)
def test_bad_sets(arguments, message):
    with pytest.raises(ValueError, match=message):
        KeypointCones.from_sets(*arguments)


@pytest.mark.parametrize("min_depth", [0.0, -1.0, np.nan, np.inf, "1", None])
def test_bad_depths(min_depth):
    with pytest.raises(ValueError, match="min_depth"):
        KeypointCones.from_sets(CENTERS, PRECISIONS, POINTS, min_depth=min_depth)


@pytest.mark.parametrize(
    ("R", "t", "message"),
    [
        (np.eye(2), T0, "R has shape"),
        (R0[None, None], T0, "R has shape"),
        (R0, T0[:2], "t has shape"),
        (R0, T0[None, None], "t has shape"),
        (R0, 1.0, "t has shape"),
        (np.stack([R0] * 3), np.stack([T0] * 2), "3 rotations, but t 2"),
    ],
)
def test_bad_poses(R, t, message):
    geometry = KeypointCones.from_sets(CENTERS, PRECISIONS, POINTS, CAMERA)
    for call in (geometry.contains, geometry.margins, geometry.violations, pose_vectors):
        with pytest.raises(ValueError, match=message):
            call(R, t)


@pytest.mark.parametrize("tol", [np.nan, -1.0, np.inf])
def test_bad_tolerances(tol):
    geometry = KeypointCones.from_sets(CENTERS, PRECISIONS, POINTS, CAMERA)
    with pytest.raises(ValueError, match="tol"):
        geometry.contains(R0, T0, tol)
