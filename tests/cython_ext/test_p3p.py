"""The kernel of the three-point problem: the true pose is found in every view, and a twin finds the same poses."""

from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from estimand.cython_ext._p3p import solve

EQUILATERAL = np.array([[np.cos(a), np.sin(a), 0.0] for a in 2 * np.pi * np.arange(3) / 3])


def run(rays, points):
    n = points.shape[0]
    R, t, counts = np.full((n, 4, 3, 3), np.nan), np.full((n, 4, 3), np.nan), np.full(n, -1, np.int32)
    solve(np.ascontiguousarray(rays), np.ascontiguousarray(points), R, t, counts)
    written = np.arange(4) < counts[:, None]
    assert np.all(np.isfinite(R[written]))
    assert np.all(np.isfinite(t[written]))
    assert np.all(np.isnan(R[~written]))
    return R, t, counts


def view(points, R, t):
    X = np.einsum("nij,nkj->nki", R, points) + t[:, None]
    return X / np.linalg.norm(X, axis=2, keepdims=True)


def cameras_at(places, seed=0):
    """Poses of an object whose camera is at given places of its frame, turned at random."""
    R = Rotation.random(len(places), rng=np.random.default_rng(seed)).as_matrix()
    return R, -np.einsum("nij,nj->ni", R, places)


def errors(found, R, t):
    """The error of the solution next to the true pose, of every triple."""
    turns = np.abs(found[0] - R[:, None]).max(axis=(2, 3))
    shifts = np.abs(found[1] - t[:, None]).max(axis=2) / np.linalg.norm(t, axis=1)[:, None]
    best = np.nanmin(np.where(np.isnan(turns), np.inf, turns + shifts), axis=1)
    return best


def worst_in_all_orders(points, R, t):
    rays = view(points, R, t)
    orders = [list(order) for order in permutations(range(3))]
    return np.max([errors(run(rays[:, order], points[:, order]), R, t) for order in orders], axis=0)


def generic(n, size, distance, seed):
    rng = np.random.default_rng(seed)
    points = size * rng.standard_normal((n, 3, 3))
    t = distance * np.stack([rng.uniform(-0.3, 0.3, n), rng.uniform(-0.3, 0.3, n), rng.uniform(0.7, 1.3, n)], axis=1)
    return points, Rotation.random(n, rng=rng).as_matrix(), t


def heights(n, seed=1):
    return np.random.default_rng(seed).uniform(0.2, 10.0, n)


@pytest.mark.parametrize(
    ("size", "distance"),
    [(0.1, 1.0), (1.0, 1.0), (10.0, 3.0), (1e-3, 1.0), (1e-5, 1.0), (1e-10, 1e-9), (1e8, 1e9), (1e120, 1e121)],
)
def test_generic_triangles(size, distance):
    points, R, t = generic(2500, size, distance, 0)
    assert errors(run(view(points, R, t), points), R, t).max() < 1e-7


def test_the_order_of_vertices_does_not_matter():
    points, R, t = generic(500, 0.1, 1.0, 1)
    assert worst_in_all_orders(points, R, t).max() < 1e-7


@pytest.mark.parametrize("height", [0.1, 1.0, 3.0, 10.0, 100.0, 1000.0])
def test_equilateral_triangles_seen_along_their_axis(height):
    points = np.broadcast_to(EQUILATERAL, (50, 3, 3))
    assert worst_in_all_orders(points, *cameras_at(np.tile([0.0, 0.0, height], (50, 1)))).max() < 1e-8


@pytest.mark.parametrize("off", [0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-3])
def test_isosceles_triangles_seen_in_their_mirror_plane(off):
    n, rng = 1000, np.random.default_rng(2)
    points = np.zeros((n, 3, 3))
    points[:, 0, 0] = rng.uniform(0.2, 2.0, n) * rng.choice([-1, 1], n)
    points[:, 1, 1] = rng.uniform(0.2, 2.0, n)
    points[:, 2, 1] = -points[:, 1, 1]
    places = np.stack([rng.uniform(-3, 3, n), np.full(n, off), heights(n)], axis=1)
    assert worst_in_all_orders(points, *cameras_at(places)).max() < 1e-7


@pytest.mark.parametrize("height", [1.0, 3.0, 10.0])
def test_double_roots(height):
    # From the cylinder through the three points that is perpendicular to their plane two solutions coincide.
    n, rng = 300, np.random.default_rng(3)
    angle, place = (
        rng.uniform(0, 2 * np.pi / 3 - 0.5, (n, 3)) + 2 * np.pi / 3 * np.arange(3),
        rng.uniform(0, 2 * np.pi, n),
    )
    points = np.stack([np.cos(angle), np.sin(angle), np.zeros((n, 3))], axis=2)
    places = np.stack([np.cos(place), np.sin(place), np.full(n, height)], axis=1)
    worst = worst_in_all_orders(points, *cameras_at(places))
    # Rounding moves a double root by the square root of its size, times what the view makes of it.
    assert np.quantile(worst, 0.98) < 1e-7
    assert worst.max() < 2e-6
    # Next to the cylinder both of the two are found.
    for off, bound in ((1e-3, 1e-9), (1e-4, 1e-8)):
        beside = places * [1 + off, 1 + off, 1]
        assert worst_in_all_orders(points, *cameras_at(beside)).max() < bound


@pytest.mark.parametrize("distance", [3.0, 30.0, 300.0])
def test_frontal_views(distance):
    n, rng = 300, np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi / 3 - 0.5, (n, 3)) + 2 * np.pi / 3 * np.arange(3)
    points = np.stack([np.cos(angle), np.sin(angle), np.zeros((n, 3))], axis=2)
    places = np.concatenate([points.mean(axis=1)[:, :2], np.full((n, 1), distance)], axis=1)
    assert worst_in_all_orders(points, *cameras_at(places)).max() < 1e-7 * distance


@pytest.mark.parametrize("near", [1e-2, 1e-4, 1e-6])
def test_cameras_next_to_a_point(near):
    rng = np.random.default_rng(5)
    points = rng.standard_normal((500, 3, 3))
    assert worst_in_all_orders(points, *cameras_at(points[:, 0] + near * rng.standard_normal((500, 3)))).max() < 1e-9


def test_slender_triangles():
    rng = np.random.default_rng(6)
    points = rng.standard_normal((500, 3, 3))
    points[:, 2] = points[:, :2].mean(axis=1) + 1e-3 * rng.standard_normal((500, 3))
    assert worst_in_all_orders(points, *cameras_at(5 * rng.standard_normal((500, 3)))).max() < 1e-5


def twin(rays, points):
    """Poses by the eigenvalues of the companion matrix of Grunert's quartic, without any care."""
    a2, b2, c2 = (np.sum((points[i] - points[j]) ** 2) for i, j in ((1, 2), (0, 2), (0, 1)))
    ca, cb, cg = rays[1] @ rays[2], rays[0] @ rays[2], rays[0] @ rays[1]
    q, p, s = (a2 - c2) / b2, c2 / b2, (a2 + c2) / b2
    quartic = [
        (q - 1) ** 2 - 4 * p * ca**2,
        4 * (q * (1 - q) * cb - (1 - s) * ca * cg + 2 * p * ca**2 * cb),
        2 * (q**2 - 1 + 2 * (q * cb) ** 2 + 2 * (1 - p) * ca**2 - 4 * s * ca * cb * cg + 2 * (1 - a2 / b2) * cg**2),
        4 * (-q * (1 + q) * cb + 2 * a2 / b2 * cg**2 * cb - (1 - s) * ca * cg),
        (1 + q) ** 2 - 4 * a2 / b2 * cg**2,
    ]
    for v in np.roots(quartic):
        if abs(v.imag) < 1e-9 and v.real > 0:
            v = v.real
            u = ((q - 1) * v**2 - 2 * q * cb * v + 1 + q) / (2 * (cg - v * ca))
            X = rays * np.array([[1.0], [u], [v]]) * np.sqrt(b2 / (1 + v**2 - 2 * v * cb))
            if u > 0:
                U, _, V = np.linalg.svd((X - X.mean(axis=0)).T @ (points - points.mean(axis=0)))
                R = U @ np.diag([1, 1, np.linalg.det(U @ V)]) @ V
                yield np.concatenate([R.ravel(), X.mean(axis=0) - R @ points.mean(axis=0)])


def test_a_twin_finds_the_same_poses():
    rng = np.random.default_rng(7)
    points = rng.standard_normal((300, 3, 3))
    rays = rng.standard_normal((300, 3, 3)) + np.array([0, 0, 3])
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    R, t, counts = run(rays, points)
    seen = set()
    for i in range(300):
        expected = list(twin(rays[i], points[i]))
        assert counts[i] == len(expected)
        found = np.concatenate([R[i].reshape(4, 9), t[i]], axis=1)[: counts[i]]
        for pose in expected:
            assert np.abs(found - pose).max(axis=1).min() < 1e-6
        seen.add(int(counts[i]))
    assert seen >= {0, 2, 4}


def test_solutions_are_rotations_that_put_the_points_on_the_rays():
    rng = np.random.default_rng(8)
    points = rng.standard_normal((500, 3, 3))
    rays = rng.standard_normal((500, 3, 3))
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    R, t, counts = run(rays, points)
    triple, k = np.nonzero(np.arange(4) < counts[:, None])
    assert len(triple) > 200
    R, t = R[triple, k], t[triple, k]
    np.testing.assert_allclose(np.swapaxes(R, 1, 2) @ R, np.tile(np.eye(3), (len(R), 1, 1)), atol=1e-12)
    assert np.all(np.linalg.det(R) > 0)
    assert np.abs(view(points[triple], R, t) - rays[triple]).max() < 1e-9


def test_degenerate_triangles_have_no_solution():
    good = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    line = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-0.5, -1.0, -1.5]])
    nearly = line + np.diag([0, 0, 1e-11])[:, ::-1]
    not_finite = good.copy()
    not_finite[1, 1] = np.inf
    points = np.stack([line, nearly, 0 * line, good[[0, 0, 1]], np.nan * line, not_finite, 1e-308 * good, good])
    rays = view(np.stack([line] * 8), np.tile(np.eye(3), (8, 1, 1)), np.tile([0.1, 0.2, 5.0], (8, 1)))
    rays[7] = [0.0, 0.0, 1.0]  # three times the same ray
    for order in permutations(range(3)):
        assert not run(rays[:, list(order)], points[:, list(order)])[2].any()
    assert not run(np.full((1, 3, 3), np.nan), good[None])[2].any()


def test_two_equal_rays_are_no_obstacle():
    # A side of the triangle lies along them.
    X = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 3.0], [1.0, 0.0, 2.0]]])
    R, _, counts = run(X / np.linalg.norm(X, axis=2, keepdims=True), X)
    assert counts[0] > 0
    assert np.nanmin(np.abs(R[0] - np.eye(3)).max(axis=(1, 2))) < 1e-7


def test_points_behind_the_camera_are_no_solution():
    points, R, t = generic(200, 0.1, 1.0, 9)
    found = run(-view(points, R, t), points)
    for k in range(4):
        X = np.einsum("nij,nmj->nmi", found[0][:, k], points) + found[1][:, None, k]
        along = np.einsum("nki,nki->nk", X, -view(points, R, t))
        assert np.all(along[found[2] > k] > 0)
    assert np.all(errors(found, R, t) > 1e-3)


def test_no_triples():
    assert run(np.empty((0, 3, 3)), np.empty((0, 3, 3)))[2].shape == (0,)
