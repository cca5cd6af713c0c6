"""The kernels of sets of poses against twins of a few lines each."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from estimand.cython_ext import _p3p, _purse

DEPTH = 0.05


def scene(seed, K=9, radius=0.01):
    """Points, cones, centres, spreads of ellipses that hold the projections of a pose, and that pose."""
    rng = np.random.default_rng(seed)
    points = 0.1 * rng.standard_normal((K, 3))
    R, t = Rotation.random(rng=rng).as_matrix(), np.array([0.1, -0.05, 1.0])
    X = points @ R.T + t
    spreads = radius * (np.eye(2) + 0.4 * rng.uniform(-1, 1, (K, 2, 2)))
    offset = rng.standard_normal((K, 2))
    offset *= 0.5 * rng.random((K, 1)) / np.linalg.norm(offset, axis=1, keepdims=True)
    centers = X[:, :2] / X[:, 2:] - np.einsum("kij,kj->ki", spreads, offset)
    root = np.linalg.inv(spreads)
    cones = np.concatenate([root, -root @ centers[:, :, None]], axis=2)
    return points, cones, centers, spreads, R, t


def poses(R, t, n, seed, size=0.05):
    rng = np.random.default_rng(seed)
    scale = size * rng.exponential(1.0, (n, 1))
    turned = R @ Rotation.from_rotvec(scale * rng.standard_normal((n, 3))).as_matrix()
    return turned, t + 0.1 * scale * rng.standard_normal((n, 3))


def sides(points, cones, R, t):
    X = points @ R.T + t
    return X[:, 2], np.linalg.norm(np.einsum("kij,kj->ki", cones, X), axis=1)


def is_member(points, cones, R, t, slack=1.0):
    z, reach = sides(points, cones, R, t)
    return bool(np.all(z >= DEPTH) and np.all(reach <= slack * z))


@pytest.mark.parametrize("K", [3, 9, 40])
@pytest.mark.parametrize("tol", [0.0, 0.3, -0.3])
def test_membership_equals_the_twin(K, tol):
    points, cones, _, _, R, t = scene(K, K)
    turns, shifts = poses(R, t, 500, 1)
    shifts[:50] = -shifts[:50]  # behind the camera
    members = np.full(500, 7, np.uint8)
    _purse.contains(turns, shifts, points, cones, DEPTH, tol, members)
    expected = [is_member(points, cones, a, b, 1 + tol) for a, b in zip(turns, shifts, strict=True)]
    assert members.tolist() == expected
    assert 0 < members.sum() < 450


def test_margins_and_violations_equal_the_twin():
    points, cones, _, _, R, t = scene(0)
    turns, shifts = poses(R, t, 300, 2)
    shifts[:50] = -shifts[:50]
    depths, reaches, values = np.empty((300, 9)), np.empty((300, 9)), np.empty(300)
    _purse.margins(turns, shifts, points, cones, depths, reaches)
    _purse.violations(turns, shifts, points, cones, DEPTH, values)
    for i in range(300):
        z, reach = sides(points, cones, turns[i], shifts[i])
        np.testing.assert_allclose(depths[i], z, rtol=1e-13)
        np.testing.assert_allclose(reaches[i], reach, rtol=1e-11)
        assert values[i] == pytest.approx(np.max(reach / z) if np.all(z >= DEPTH) else np.inf, rel=1e-11)
    assert np.all(np.isinf(values[:50]))


def test_nan_is_no_member():
    points, cones, _, _, R, t = scene(0)
    turns, shifts = np.stack([R, np.full((3, 3), np.nan), R]), np.stack([t, t, np.full(3, np.nan)])
    members = np.empty(3, np.uint8)
    _purse.contains(turns, shifts, points, cones, DEPTH, 0.0, members)
    assert members.tolist() == [1, 0, 0]


def test_samples_equal_the_twin():
    points, cones, centers, spreads, _, _ = scene(3, radius=0.02)
    rng, n = np.random.default_rng(0), 400
    triples = np.stack([rng.permutation(9)[:3] for _ in range(n)]).astype(np.int32)
    offsets = rng.uniform(-0.7, 0.7, (n, 3, 2))
    turns, shifts = np.empty((4 * n, 3, 3)), np.empty((4 * n, 3))
    count = _purse.ransag(triples, offsets, centers, spreads, points, cones, DEPTH, turns, shifts)
    pixels = centers[triples] + np.einsum("nkij,nkj->nki", spreads[triples], offsets)
    rays = np.concatenate([pixels, np.ones((n, 3, 1))], axis=2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    R, t, counts = np.empty((n, 4, 3, 3)), np.empty((n, 4, 3)), np.empty(n, np.int32)
    _p3p.solve(rays, points[triples], R, t, counts)
    kept = [
        (R[i, k], t[i, k]) for i in range(n) for k in range(counts[i]) if is_member(points, cones, R[i, k], t[i, k])
    ]
    assert count == len(kept) > 5
    np.testing.assert_allclose(turns[:count], [a for a, _ in kept], atol=1e-9)
    np.testing.assert_allclose(shifts[:count], [b for _, b in kept], atol=1e-9)


def chord(inside, rate, first):
    """The last point inside that doubling and halving find, and whether there was one outside."""
    low, high, limit = 0.0, first, min(first * 1.1e12, np.pi / rate if rate > 0 else np.inf)
    high = min(high, limit)
    while inside(high):
        low = high
        if high == limit:
            return low, False
        high = min(2 * high, limit)
    while high - low > high / 4096:
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return low, True


def twin_walk(points, cones, R, t, directions, uniform, first):
    for d, u in zip(directions, uniform, strict=True):
        w, tau = d[:3], d[3:]
        rate = np.linalg.norm(w)

        def at(x, R=R, t=t, w=w, tau=tau):
            return R @ Rotation.from_rotvec(x * w).as_matrix(), t + x * tau

        ends = [chord(lambda x, s=s, at=at: is_member(points, cones, *at(s * x)), rate, first) for s in (1, -1)]
        (ahead, _), (behind, _) = ends
        x = -behind + u * (ahead + behind)
        while not is_member(points, cones, *at(x)):
            x /= 2
        yield at(ahead), at(-behind), [found for _, found in ends], at(x)
        R, t = at(x)


def walk(points, cones, R, t, directions, uniform, first=1e-3):
    n, c = uniform.shape
    states = np.repeat(R[None], c, axis=0), np.repeat(t[None], c, axis=0)
    out = np.empty((n, c, 3, 3)), np.empty((n, c, 3))
    ends = np.empty((n, c, 2, 3, 3)), np.empty((n, c, 2, 3))
    found = np.empty((n, c, 2), np.uint8)
    tracks = np.empty((len(points), 12))
    _purse.hit_and_run(directions, uniform, points, cones, DEPTH, first, tracks, *states, *out, *ends, found)
    return states, out, ends, found


def test_chains_equal_the_twin():
    points, cones, _, _, R, t = scene(4, K=6, radius=0.02)
    rng = np.random.default_rng(1)
    directions, uniform = 0.2 * rng.standard_normal((20, 3, 6)), rng.random((20, 3))
    directions[3, :, :3] = 0.0  # without a rotation
    directions[7, :, 3:] = 0.0  # without a translation
    states, out, ends, found = walk(points, cones, R, t, directions, uniform)
    for j in range(3):
        chain = twin_walk(points, cones, R, t, directions[:, j], uniform[:, j], 1e-3)
        for i, (ahead, behind, flags, here) in enumerate(chain):
            np.testing.assert_allclose(out[0][i, j], here[0], atol=1e-9)
            np.testing.assert_allclose(out[1][i, j], here[1], atol=1e-9)
            np.testing.assert_allclose(ends[0][i, j], [ahead[0], behind[0]], atol=1e-9)
            np.testing.assert_allclose(ends[1][i, j], [ahead[1], behind[1]], atol=1e-9)
            assert found[i, j].tolist() == flags
    np.testing.assert_array_equal(states[0], out[0][-1])
    np.testing.assert_array_equal(states[1], out[1][-1])


def test_points_and_ends_are_members():
    points, cones, _, _, R, t = scene(5, K=4, radius=0.03)
    rng = np.random.default_rng(2)
    states, out, ends, _ = walk(points, cones, R, t, 0.2 * rng.standard_normal((300, 8, 6)), rng.random((300, 8)))
    for turns, shifts in (out, ends, states):
        turns, shifts = turns.reshape(-1, 3, 3), shifts.reshape(-1, 3)
        members = np.empty(len(turns), np.uint8)
        _purse.contains(turns, shifts, points, cones, DEPTH, 0.0, members)
        assert members.all()
        off = turns.transpose(0, 2, 1) @ turns - np.eye(3)
        assert np.abs(off).max() < 1e-14


def test_gaps_in_a_chord_are_not_entered():
    # From afar a plane that is tilted by 0.5 rad looks the same when it is tilted the other way, but not in between.
    points = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.3, 0.0], [0.2, -1.0, 0.0]])
    t = np.array([0.0, 0.0, 100.0])
    R, front, back = Rotation.from_rotvec([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 0.0, 0.0]]).as_matrix()
    X = points @ R.T + t
    centers = X[:, :2] / X[:, 2:]
    cones = np.concatenate([np.tile(np.eye(2), (4, 1, 1)), -centers[:, :, None]], axis=2) / 3e-4
    assert [is_member(points, cones, pose, t) for pose in (R, front, back)] == [True, False, True]
    directions = np.array([[[-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]])
    _, out, ends, _ = walk(points, cones, R, t, directions, np.array([[0.5]]), first=1.0)
    ahead = Rotation.from_matrix(ends[0][0, 0, 0]).as_rotvec()[0]
    assert ahead < -0.45  # the first step has jumped over the gap
    assert is_member(points, cones, out[0][0, 0], out[1][0, 0])
    assert Rotation.from_matrix(out[0][0, 0]).as_rotvec()[0] > 0.3


def test_a_chord_without_an_end_is_said_to_have_none():
    # All keypoints may be anywhere in front of the camera within 80 degrees of the axis.
    points = 0.1 * np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 0.3]])
    cones = np.tile(np.array([[[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]]]), (3, 1, 1))
    directions = np.zeros((1, 2, 6))
    directions[0, 0, 5] = 0.2  # away from the camera
    directions[0, 1, :3] = 0.2  # around
    _, out, ends, found = walk(points, cones, np.eye(3), np.array([0.0, 0.0, 5.0]), directions, np.full((1, 2), 0.5))
    assert found.tolist() == [[[0, 1], [0, 0]]]
    angles = Rotation.from_matrix(ends[0][0, 1]).magnitude()
    np.testing.assert_allclose(angles, np.pi)
    assert np.all(np.isfinite(out[1]))
