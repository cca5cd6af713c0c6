"""Ellipsoids around translations: they hold all members, whatever the multipliers are."""

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
