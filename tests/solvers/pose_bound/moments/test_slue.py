"""Ellipsoids around translations: they hold all members, whatever the multipliers are."""

from fractions import Fraction

import cvxpy
import numpy as np
import pytest

from estimand.solvers.pose_bound.moments import slue as module
from estimand.solvers.pose_bound.moments.pose_polynomials import pose_polynomials
from estimand.solvers.pose_bound.moments.slue import slue, slue_bound


@pytest.mark.parametrize(
    ("seed", "options"),
    [(0, {}), (1, {"K": 4}), (2, {"flat": True}), (3, {"radius": (1.0, 1.0)}), (4, {"unit": 1000.0})],
)
def test_it_holds_all_members_and_is_much_less_than_the_ball(make_instance, seed, options):
    instance = make_instance(seed, **options)
    T = instance.radius(1.05)
    ellipsoid = slue(instance.cones, instance.R0, instance.t0, T)
    assert ellipsoid.contains(instance.t).all()
    assert np.prod(ellipsoid.semi_axes / T) < 0.05
    # It is widest along the ray.
    ray = instance.t0 / np.linalg.norm(instance.t0)
    widest = np.linalg.eigh(ellipsoid.shape)[1][:, -1]
    assert abs(ray @ widest) > 0.9
    np.testing.assert_array_equal(ellipsoid.shape, ellipsoid.shape.T)


def test_contains():
    ellipsoid = module.Ellipsoid(np.array([1.0, 0.0, 0.0]), np.diag([4.0, 1.0, 0.25]))
    inside = ellipsoid.contains([[2.99, 0, 0], [3.01, 0, 0], [1, 0.99, 0], [1, 0, 0.51], [1, 0, -0.49]])
    assert inside.tolist() == [True, False, True, False, True]
    np.testing.assert_allclose(ellipsoid.semi_axes, [0.5, 1.0, 2.0])


def test_any_multipliers_bound_all_members(make_instance):
    instance = make_instance(0, K=5)
    T = instance.radius(1.05)
    polynomials, rng = (
        pose_polynomials(instance.cones, instance.R0, instance.t0, T, "translation"),
        np.random.default_rng(0),
    )
    A, b, Z, weights = module._solve(polynomials)
    tau = (instance.t - instance.t0) / T
    for size in (0.0, 1e-9, 1e-3, 1.0):
        noisy = [part * (1 + size * rng.standard_normal(part.shape)) for part in (A, b, Z, weights)]
        largest = np.sum((tau @ noisy[0].T + noisy[1]) ** 2, axis=1).max()
        assert slue_bound(polynomials, *noisy) >= largest
    assert slue_bound(polynomials, A, b, Z, weights) < 1 + 1e-4
    # Without multipliers what remains is what coefficients allow.
    assert slue_bound(polynomials, A, b, 0 * Z, -weights) >= np.sum((tau @ A.T + b) ** 2, axis=1).max()
    assert slue_bound(polynomials, A, np.full(3, np.nan), Z, weights) == np.inf


def test_where_the_conic_solver_fails_it_is_the_ball(make_instance, monkeypatch):
    instance = make_instance(0, K=5)

    def fail(task, **options):
        raise cvxpy.error.SolverError("no")

    monkeypatch.setattr(cvxpy.Problem, "solve", fail)
    ellipsoid = slue(instance.cones, instance.R0, instance.t0, 0.5)
    np.testing.assert_array_equal(ellipsoid.center, instance.t0)
    np.testing.assert_allclose(ellipsoid.shape, 0.25 * np.eye(3))


def test_bad_radius(make_instance):
    instance = make_instance(0, K=5)
    with pytest.raises(ValueError, match="max_distance"):
        slue(instance.cones, instance.R0, instance.t0, 0.0)


def test_multipliers_scale_and_centres_move(make_instance, monkeypatch):
    instance = make_instance(0, K=5)
    t0, T = instance.t0 + 0.5 * instance.radius(1.0), 2.0 * instance.radius(1.05)
    expected = slue(instance.cones, instance.R0, t0, T)
    assert expected.contains(instance.t).all()
    assert np.prod(expected.semi_axes / T) < 0.05
    solve = module._solve

    def doubled(polynomials):
        A, b, Z, weights = solve(polynomials)
        return 2.0 * A, 2.0 * b, 4.0 * Z, 4.0 * weights

    monkeypatch.setattr(module, "_solve", doubled)
    scaled = slue(instance.cones, instance.R0, t0, T)
    np.testing.assert_allclose(scaled.center, expected.center, rtol=1e-9)
    np.testing.assert_allclose(scaled.shape, expected.shape, rtol=1e-6, atol=1e-9 * T**2)


@pytest.mark.parametrize("condition", [1e2, 1e4, 9e5])
def test_rounding_of_thin_ellipsoids(make_instance, monkeypatch, condition):
    """The points with ``||A tau + b|| <= 1`` are in the ellipsoid, also in exact arithmetic."""
    instance, rng = make_instance(0, K=5), np.random.default_rng(0)
    monkeypatch.setattr(module, "slue_bound", lambda *arguments: 1.0)
    for _ in range(20):
        axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        A = 3.0 * axes @ np.diag([1.0, condition**0.5, condition]) @ axes.T
        A, b = 0.5 * (A + A.T), rng.standard_normal(3)
        monkeypatch.setattr(module, "_solve", lambda polynomials, A=A, b=b: (A, b, None, None))
        found = slue(instance.cones, instance.R0, np.zeros(3), 1.0)
        inverse, precision = exact_inverse(A), exact_inverse(found.shape)
        for u in (*axes.T, *-axes.T):
            tau = inverse @ (fractions((1.0 - 1e-13) * u) - fractions(b))
            off = tau - fractions(found.center)
            assert off @ precision @ off <= 1


def fractions(a):
    return np.array([Fraction(float(value)) for value in np.ravel(a)], dtype=object).reshape(np.shape(a))


def exact_inverse(a):
    a = fractions(a)
    adjugate = np.array([np.cross(a[1], a[2]), np.cross(a[2], a[0]), np.cross(a[0], a[1])], dtype=object).T
    return adjugate / (a[0] @ adjugate[:, 0])
