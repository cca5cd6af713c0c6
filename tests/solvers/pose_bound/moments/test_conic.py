"""Relaxations of both orders that cvxpy solves: values, bounds from any multipliers, and how they compare."""

from functools import partial

import numpy as np
import pytest

from estimand.exceptions import SolverError
from estimand.solvers import get_solver
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.moments.certificate import safe_bound
from estimand.solvers.pose_bound.moments.conic import ConicMomentProblem, conic_moment_bound
from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation, moment_bounds
from estimand.solvers.pose_bound.moments.shor import safe_shor_bound, shor_bound
from estimand.solvers.pose_bound.rotations import rotation_angle
from estimand.solvers.pose_bound.shor import ShorDual

each_kind = pytest.mark.parametrize("kind", ["rotation", "translation"])


def run(task, **options):
    """Solve a problem of cvxpy."""
    task.solve(**{"solver": "SCS", **options})
    return task.solver_stats.num_iters


def clarabel(task):
    return run(task, solver="CLARABEL")


def relaxation(instance, kind):
    return MomentRelaxation(instance.cones, instance.R0, instance.t0, instance.radius(), kind)


@each_kind
def test_scs_agrees_with_the_interior_point_method(make_instance, kind):
    instance = make_instance(1, K=5)
    problem = relaxation(instance, kind)
    own, (conic, n_iter) = list(moment_bounds(problem, tol=1e-4))[-1], conic_moment_bound(problem, run)
    assert n_iter > 10
    assert conic.is_tight(1e-3)
    assert conic.value == pytest.approx(own.value, rel=1e-3)
    assert conic.upper == pytest.approx(own.upper, rel=5e-3)
    assert conic.upper >= instance.best(kind)
    arguments = instance.cones, instance.R0, instance.t0, instance.radius(), kind
    assert safe_bound(*arguments, conic.blocks) == conic.upper
    last = [iterate for iterate, _ in zip(problem.iterates(), range(12), strict=False)][-1]
    assert rotation_angle(conic.pose[0], last.pose()[0]) < 2.0


def test_a_solver_that_stops_early_proves_less_but_nothing_wrong(make_instance):
    instance = make_instance(1, K=5)
    problem = relaxation(instance, "rotation")
    full, n_iter = conic_moment_bound(problem, run)
    short, n_first = conic_moment_bound(problem, partial(run, max_iters=30))
    assert n_first == 30 < n_iter
    assert short.upper >= full.upper * (1 - 1e-3)
    assert short.upper >= instance.best("rotation")
    assert not short.is_tight(1e-3)


def test_multipliers_of_the_wrong_sign_would_be_noticed(make_instance):
    """The certificate that cvxpy's multipliers are read into is nearly as good as the value."""
    problem = relaxation(make_instance(2, K=4), "translation")
    stated = ConicMomentProblem(problem)
    stated.task.solve(solver="SCS")
    bound, blocks = stated.certificate()
    assert bound == pytest.approx(stated.value, rel=1e-3)
    arguments = problem.cones, problem.R0, problem.t0, problem.max_distance, "translation"
    assert safe_bound(*arguments, -blocks) > 2 * bound


@each_kind
def test_order(make_instance, kind):
    """Order 1 without cones is never tighter than order 2, and that never than a member."""
    instance = make_instance(0, K=6)
    problem = relaxation(instance, kind)
    plain, with_cones = (shor_bound(problem, clarabel, second_order_cones=cones)[0] for cones in (False, True))
    second = list(moment_bounds(problem))[-1]
    assert plain.upper * (1 + 1e-3) >= second.value >= (1 - 1e-3) * instance.best(kind)
    assert with_cones.upper >= instance.best(kind)
    assert with_cones.value <= plain.value * (1 + 1e-4)
    for found in (plain, with_cones):
        assert found.value * (1 - 1e-6) <= found.upper <= found.value * (1 + 1e-3)


@pytest.mark.parametrize("cones", [False, True])
def test_any_multipliers_bound_all_members(make_instance, cones):
    instance = make_instance(0, K=6)
    problem, rng = relaxation(instance, "rotation"), np.random.default_rng(0)
    arguments, best = (
        (instance.cones, instance.R0, instance.t0, instance.radius(), "rotation"),
        instance.best("rotation"),
    )
    found, _ = shor_bound(problem, clarabel, second_order_cones=cones)
    assert found.upper < 2.0
    assert safe_shor_bound(*arguments, found.blocks) == found.upper
    multipliers = found.blocks
    candidates = [multipliers * (1 + size * rng.standard_normal(multipliers.shape)) for size in (1e-9, 1e-3)]
    candidates += [-multipliers, 10 * multipliers, rng.standard_normal(multipliers.shape), np.zeros_like(multipliers)]
    for candidate in candidates:
        assert safe_shor_bound(*arguments, candidate) >= best
    assert safe_shor_bound(*arguments, candidates[-1]) == pytest.approx(12.0, rel=1e-9)
    assert safe_shor_bound(*arguments, np.full_like(multipliers, np.nan)) == np.inf
    with pytest.raises(ValueError, match="multipliers has shape"):
        safe_shor_bound(*arguments, multipliers[1:])


def test_multipliers_of_inequalities_and_cones_are_projected(make_instance):
    """Those of the wrong sign would lower the constant, and with it the bound, below what members reach."""
    instance = make_instance(0, K=6)
    arguments = instance.cones, instance.R0, instance.t0, 0.2, "rotation"
    zeros = np.zeros(13**2 + 13 + 18)
    for index in range(13):
        wrong = zeros.copy()
        wrong[13**2 + index] = -20.0
        assert safe_shor_bound(*arguments, wrong) == pytest.approx(12.0, rel=1e-9)
    for k in range(6):
        for direction in ([0.0, 0.0, -20.0], [3.0, -4.0, -20.0], [3.0, -4.0, 4.0]):
            wrong = zeros.copy()
            wrong[13**2 + 13 + 3 * k :][:3] = direction
            assert safe_shor_bound(*arguments, wrong) >= instance.best("rotation")
            projected = wrong.copy()
            projected[13**2 + 13 + 3 * k + 2] = np.hypot(*direction[:2])
            expected = safe_shor_bound(*arguments, projected)
            assert safe_shor_bound(*arguments, wrong) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("solve", [conic_moment_bound, shor_bound])
def test_sets_that_are_empty(make_instance, solve):
    instance = make_instance(0, K=6)
    cones = instance.cones.cones.copy()
    cones[0, :, 2] += 40.0
    empty = KeypointCones(instance.cones.points, cones, instance.cones.centers, instance.cones.min_depth)
    with pytest.raises(SolverError, match="found no moments"):
        solve(MomentRelaxation(empty, instance.R0, instance.t0, 0.5, "rotation"), run)


def test_multipliers_for_a_radius_or_a_kind_that_is_another_prove_nothing(make_instance):
    problem = make_instance(0, K=5).problem("rotation")
    dual = get_solver("shor", problem).solve(problem, tol=1e-3).dual
    assert dual.upper_bound(problem) < 8.0
    for change in (
        {"max_distance": 0.5 * problem.reach.max_distance},
        {"max_distance": np.inf},
        {"max_distance": np.nan},
        {"kind": "translation"},
        {"blocks": None},
    ):
        assert ShorDual(dual.found._replace(**change)).upper_bound(problem) == np.inf
