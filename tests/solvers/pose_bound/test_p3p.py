"""The three-point problem for users: batches, cameras, peers and bad input."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.p3p import p3p
from estimand.solvers.pose_bound.rotations import random_rotations

CAMERA = np.array([[572.4, 3.0, 325.3], [0.0, 573.6, 242.0], [0.0, 0.0, 1.0]])


def triples(n, seed):
    rng = np.random.default_rng(seed)
    points, R = 0.1 * rng.standard_normal((n, 3, 3)), random_rotations(n, rng)
    t = np.stack([rng.uniform(-0.3, 0.3, n), rng.uniform(-0.3, 0.3, n), rng.uniform(0.7, 1.3, n)], axis=1)
    X = np.einsum("nij,nkj->nki", R, points) + t[:, None]
    return points, R, t, X


def assert_found(found, R, t, tol=1e-7):
    turns, shifts, index = found
    for i in range(len(R)):
        rows = index == i
        error = np.abs(turns[rows] - R[i]).max(axis=(1, 2)) + np.abs(shifts[rows] - t[i]).max(axis=1)
        assert error.min() < tol


def test_pixels_and_rays():
    points, R, t, X = triples(300, 0)
    pixels = X[:, :, :2] / X[:, :, 2:]
    image = (X @ CAMERA.T)[:, :, :2] / X[:, :, 2:]
    lengths = 10.0 ** np.random.default_rng(1).uniform(-170, 170, (300, 3, 1))
    for found in (p3p(pixels, points), p3p(image, points, CAMERA), p3p(lengths * X, points)):
        assert_found(found, R, t)
        assert np.all(np.diff(found[2]) >= 0)
        assert np.bincount(found[2]).max() <= 4


def test_the_index_is_right_in_batches():
    points, _, _, X = triples(40000, 2)  # more than the kernel takes at once
    points[[0, 7, 16384, 20000]] = 0.0  # no solutions
    turns, shifts, index = p3p(X, points)
    assert len(turns) == len(shifts) == len(index) > 70000
    assert not np.isin([0, 7, 16384, 20000], index).any()
    seen = np.einsum("mij,mkj->mki", turns, points[index]) + shifts[:, None]
    np.testing.assert_allclose(seen[..., :2] / seen[..., 2:], X[index, :, :2] / X[index, :, 2:], atol=1e-8)
    few = [16383, 16385, 39999]
    rows = np.isin(index, few)
    some = p3p(X[few], points[few])
    np.testing.assert_array_equal(some[0], turns[rows])
    np.testing.assert_array_equal(some[1], shifts[rows])
    assert np.array(few)[some[2]].tolist() == index[rows].tolist()


def test_no_triples():
    for last in (2, 3):
        R, t, index = p3p(np.empty((0, 3, last)), np.empty((0, 3, 3)))
        assert (R.shape, t.shape, index.shape) == ((0, 3, 3), (0, 3), (0,))


def test_lists_integers_and_read_only_arrays():
    points = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], dtype=np.int64)
    pixels = np.array([[[0, 0], [1, 0], [0, 1]]], dtype=np.float32)
    pixels.flags.writeable = False
    expected = p3p(pixels.astype(np.float64), points.astype(np.float64))
    assert len(expected[0]) > 0
    for found in (p3p(pixels, points), p3p(pixels.tolist(), np.asfortranarray(points))):
        np.testing.assert_array_equal(found[0], expected[0])


def reprojection(R, t, points, rays):
    X = points @ R.T + t
    return np.abs(X / np.linalg.norm(X, axis=1, keepdims=True) - rays).max()


def test_the_solutions_of_poselib_are_found():
    poselib = pytest.importorskip("poselib")
    points, _, _, X = triples(400, 3)
    rays = X / np.linalg.norm(X, axis=2, keepdims=True)
    R, t, index = p3p(rays, points)
    theirs = 0
    for i in range(400):
        for pose in poselib.p3p(rays[i], points[i]):
            if reprojection(pose.R, pose.t, points[i], rays[i]) < 1e-10:
                rows = index == i
                error = np.abs(R[rows] - pose.R).max(axis=(1, 2)) + np.abs(t[rows] - pose.t).max(axis=1)
                assert error.min() < 1e-6
                theirs += 1
    assert 0.98 * len(index) < theirs <= len(index)


def test_the_solutions_of_opencv_are_found():
    cv2 = pytest.importorskip("cv2")
    points, _, _, X = triples(400, 4)
    pixels = X[:, :, :2] / X[:, :, 2:]
    rays = X / np.linalg.norm(X, axis=2, keepdims=True)
    R, t, index = p3p(pixels, points)
    theirs = 0
    for i in range(400):
        _, vectors, shifts = cv2.solveP3P(points[i], pixels[i], np.eye(3), None, flags=cv2.SOLVEPNP_AP3P)
        for vector, shift in zip(vectors, shifts, strict=True):
            turn, rows = cv2.Rodrigues(vector)[0], index == i
            if reprojection(turn, shift[:, 0], points[i], rays[i]) < 1e-9:
                error = np.abs(R[rows] - turn).max(axis=(1, 2)) + np.abs(t[rows] - shift[:, 0]).max(axis=1)
                assert error.min() < 1e-5
                theirs += 1
    assert 0.95 * len(index) < theirs <= len(index)


GOOD = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
SEEN = np.array([[[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SEEN[0], GOOD[0]), "points has shape"),
        ((SEEN, GOOD[:, :2]), "points has shape"),
        ((SEEN, np.vstack([GOOD, GOOD])), "for 2 triples of points"),
        ((np.ones((1, 3, 4)), GOOD), "rays_or_pixels has shape"),
        ((SEEN, np.nan * GOOD), "points holds NaN"),
        ((np.inf + SEEN, GOOD), "rays_or_pixels holds NaN or infinity"),
        ((GOOD, GOOD), r"rays_or_pixels\[0, 0\] is 0"),
        ((GOOD + 1.0, GOOD, CAMERA), "camera belongs to pixels"),
        ((SEEN, GOOD, np.eye(2)), "camera has shape"),
        ((SEEN, GOOD, np.diag([0.0, 1.0, 1.0])), "camera is singular"),
        ((SEEN, GOOD, 2.0 * np.eye(3)), "last row of camera"),
        ((SEEN, GOOD, np.diag([np.nan, 1.0, 1.0])), "camera holds NaN"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        p3p(*arguments)
