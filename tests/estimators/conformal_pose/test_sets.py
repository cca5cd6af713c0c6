"""Prediction sets from precision matrices: members, extents and volumes against plain formulas, and bad input."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimand import KeypointSets, SetPrediction


def matrices(rng, *shape):
    d = shape[-1]
    A = rng.normal(size=(*shape, d))
    return A @ np.swapaxes(A, -1, -2) + 0.1 * np.eye(d)


def example(kind, d=3, n=6, seed=0, K=None):
    rng = np.random.default_rng(seed)
    shape = (n, d) if K is None else (n, K, d)
    P = matrices(rng, *shape)
    if kind == "box":
        P = P * np.eye(d)
    if kind == "ball":
        P = P[..., :1, :1] * np.eye(d)
    return SetPrediction(rng.normal(size=shape), P, kind), rng


def members(sets, y):
    """Membership by the formulas, one block after the other."""
    inside = []
    for c, P, point in zip(sets.centers, sets.precisions, y, strict=True):
        v = np.atleast_2d(point - c)
        blocks = P if P.ndim == 3 else P[None]
        forms = [max(b * np.diag(p) * b) if sets.kind == "box" else b @ p @ b for b, p in zip(v, blocks, strict=True)]
        inside.append(max(forms) <= 1)
    return np.array(inside)


@pytest.mark.parametrize("K", [None, 1, 4])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind", ["box", "ball", "ellipsoid"])
def test_members_are_those_of_the_formula(kind, d, K):
    sets, rng = example(kind, d, n=300, K=K)
    y = sets.centers + rng.normal(size=sets.centers.shape) * {None: 1.0, 1: 0.6, 4: 0.4}[K]
    inside = members(sets, y)
    assert 20 < inside.sum() < 280
    np.testing.assert_array_equal(sets.contains(y), inside)
    if K is not None:
        np.testing.assert_array_equal(sets.contains(y.reshape(300, K * d)), inside)


@pytest.mark.parametrize("kind", ["box", "ball", "ellipsoid"])
def test_the_bounding_box_touches_the_set(kind):
    sets, _ = example(kind)
    box = sets.bounding_box()
    assert box.shape == (6, 3, 2)
    for j in range(3):
        # The point of the set that is furthest along an axis.
        variance = np.linalg.inv(sets.precisions)
        point = sets.centers + variance[:, j] / np.sqrt(variance[:, j, j])[:, None]
        np.testing.assert_allclose(point[:, j], box[:, j, 1])
        assert sets.contains(point).all()
        beyond = point.copy()
        beyond[:, j] += 1e-6
        assert not sets.contains(beyond).any()
    np.testing.assert_allclose(box.mean(axis=-1), sets.centers)


@pytest.mark.parametrize("kind", ["box", "ball", "ellipsoid"])
def test_volumes_agree_with_counting_points(kind):
    sets, rng = example(kind, d=2, n=3)
    box = sets.bounding_box()
    points = rng.uniform(size=(40_000, 2))
    for i in range(3):
        one = SetPrediction(sets.centers[[i] * 40_000], np.repeat(sets.precisions[[i]], 40_000, axis=0), kind)
        share = one.contains(box[i, :, 0] + points * (box[i, :, 1] - box[i, :, 0])).mean()
        area = share * np.prod(box[i, :, 1] - box[i, :, 0])
        assert sets.volume()[i] == pytest.approx(area, rel=4 * math.sqrt((1 - share) / share / 40_000) + 1e-12)


@pytest.mark.parametrize(("d", "unit"), [(1, 2.0), (2, math.pi), (3, 4 * math.pi / 3), (4, math.pi**2 / 2)])
def test_volumes_of_balls_and_boxes(d, unit):
    centers, P = np.zeros((1, d)), np.eye(d)[None] / 4
    assert SetPrediction(centers, P, "ball").volume() == pytest.approx(unit * 2**d)
    assert SetPrediction(centers, P, "ellipsoid").volume() == pytest.approx(unit * 2**d)
    assert SetPrediction(centers, P, "box").volume() == pytest.approx(4**d)
    keypoints = SetPrediction(np.zeros((1, 3, d)), np.tile(P, (1, 3, 1, 1)), "ball")
    assert keypoints.volume() == pytest.approx((unit * 2**d) ** 3)
    assert keypoints.log_volume() == pytest.approx(3 * math.log(unit * 2**d))


def test_intervals_are_boxes_of_one_dimension():
    sets = SetPrediction([1.0, 2.0], [[[4.0]], [[0.0]]], "box")
    np.testing.assert_array_equal(sets.bounding_box(), [[0.5, 1.5], [-math.inf, math.inf]])
    np.testing.assert_array_equal(sets.volume(), [1.0, math.inf])
    np.testing.assert_array_equal(sets.contains([1.5, 1e300]), [True, True])
    np.testing.assert_array_equal(sets.contains([1.51, -1e300]), [False, True])
    assert repr(sets) == "<SetPrediction: 2 sets, kind='box'>"
    assert len(sets) == 2


@pytest.mark.parametrize("kind", ["box", "ball", "ellipsoid"])
def test_matrices_of_zeros_hold_everything(kind):
    sets, _ = example(kind, n=4, K=2)
    P = sets.precisions.copy()
    P[1], P[2, 0] = 0, 0
    sets = SetPrediction(sets.centers, P, kind)
    np.testing.assert_array_equal(np.isinf(sets.volume()), [False, True, True, False])
    np.testing.assert_array_equal(np.isinf(sets.half_widths()).all(axis=2), [[0, 0], [1, 1], [1, 0], [0, 0]])
    assert sets.contains(np.full((4, 2, 3), 1e6)).tolist() == [False, True, False, False]
    far = sets.centers.copy()
    far[2, 0] = 1e6
    assert sets.contains(far).all()


def test_the_boundary_is_inside():
    r = np.random.default_rng(0).uniform(0.1, 100, size=500)
    for kind in ("box", "ball", "ellipsoid"):
        sets = SetPrediction(np.zeros((500, 2)), np.eye(2) / r[:, None, None] ** 2, kind)
        assert sets.contains(np.stack([r, np.zeros(500)], axis=1)).all()
        assert not sets.contains(np.stack([r * (1 + 1e-9), np.zeros(500)], axis=1)).any()


def test_keypoint_sets_have_members_and_areas_of_their_own():
    rng = np.random.default_rng(1)
    centers, P = rng.normal(size=(200, 4, 2)), matrices(rng, 200, 4, 2)
    sets = KeypointSets(centers, P)
    y = centers + 0.4 * rng.normal(size=centers.shape)
    each = np.einsum("nki,nkij,nkj->nk", y - centers, P, y - centers) <= 1
    np.testing.assert_array_equal(sets.contains_keypoints(y), each)
    np.testing.assert_array_equal(sets.contains(y), each.all(axis=1))
    np.testing.assert_allclose(sets.areas(), math.pi / np.sqrt(np.linalg.det(P)))
    np.testing.assert_allclose(sets.log_areas().sum(axis=1), sets.log_volume())
    P[3, 1] = 0
    assert np.argwhere(np.isinf(KeypointSets(centers, P).areas())).tolist() == [[3, 1]]
    copy = pickle.loads(pickle.dumps(sets))
    np.testing.assert_array_equal(copy.contains(y), sets.contains(y))


@given(st.integers(0, 10**6), st.floats(-200, 200))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(seed, exponent):
    scale = 2.0 ** round(exponent)
    rng = np.random.default_rng(seed)
    centers, P = rng.normal(size=(20, 3, 2)), matrices(rng, 20, 3, 2)
    y = centers + 0.5 * rng.normal(size=centers.shape)
    sets, scaled = KeypointSets(centers, P), KeypointSets(centers * scale, P / scale**2)
    np.testing.assert_array_equal(sets.contains(y), scaled.contains(y * scale))
    np.testing.assert_allclose(scaled.log_areas(), sets.log_areas() + 2 * math.log(scale), atol=1e-9)


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("centers", "precisions", "kind", "message"),
    [
        (np.zeros((2, 2)), [EYE, EYE], "disc", "kind='disc' must be one of 'box', 'ball', 'ellipsoid'"),
        (np.zeros((2, 2)), [EYE], "ball", r"precisions has shape \(1, 2, 2\), but must have shape \(2, 2, 2\)"),
        (np.zeros((2, 2)), EYE, "ball", r"precisions has shape \(2, 2\)"),
        (np.zeros((1, 1, 1, 2)), EYE, "ball", "must have 1, 2 or 3 dimensions"),
        (np.zeros((2, 2)), [EYE, [[1, 0.1], [0, 1]]], "ellipsoid", r"precisions\[1\] is not symmetric"),
        (np.zeros((2, 2)), [EYE, [[1, 2], [2, 1]]], "ellipsoid", r"precisions\[1\] is not positive definite"),
        (np.zeros((2, 2)), [EYE, [[1, 1], [1, 1]]], "ellipsoid", r"precisions\[1\] is not positive definite"),
        (np.zeros((2, 2)), [-EYE, EYE], "ball", r"precisions\[0\] is not positive definite"),
        (np.zeros((2, 2)), [EYE, [[1, 0.5], [0.5, 1]]], "box", r"precisions\[1\] is not diagonal"),
        (np.zeros((2, 2)), [EYE, np.diag([1, 2])], "ball", r"precisions\[1\] is not a multiple of the identity"),
        (np.zeros((1, 2, 2)), [[EYE, -EYE]], "ellipsoid", r"precisions\[0, 1\] is not positive definite"),
        ([[math.nan, 0]], [EYE], "ball", "centers contains NaN"),
        (np.zeros((1, 2)), [np.diag([1, math.inf])], "ball", "precisions contains infinity"),
    ],
)
def test_bad_sets_are_refused(centers, precisions, kind, message):
    with pytest.raises(ValueError, match=message):
        SetPrediction(centers, precisions, kind)


def test_bad_points_and_keypoints_are_refused():
    sets = SetPrediction(np.zeros((2, 2)), [EYE, EYE], "ball")
    for y in (np.zeros((1, 2)), np.zeros((2, 3)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"y has shape .* but must have the shape of the centres, \(2, 2\)"):
            sets.contains(y)
    with pytest.raises(ValueError, match="y contains NaN"):
        sets.contains([[0, 0], [0, math.nan]])
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, K, 2\)"):
        KeypointSets(np.zeros((2, 2)), [EYE, EYE])
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, K, 2\)"):
        KeypointSets(np.zeros((2, 2, 3)), np.tile(np.eye(3), (2, 2, 1, 1)))
