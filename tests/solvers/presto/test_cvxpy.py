"""The conic reference of PRESTO: agreement with the Newton method, what it refuses, and how its limits end a run."""

from dataclasses import replace

import numpy as np
import pytest

from estimand.exceptions import SolverError, UnsupportedProblemError
from estimand.solvers import get_solver, resolve_solver
from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.presto.cvxpy import CVXPY
from estimand.solvers.presto.examples import examples, random_problem
from estimand.solvers.presto.newton_cd import NewtonCD
from estimand.solvers.testing import check_solver, qualifies

QUALIFIED = {name: problem for name, problem in examples() if qualifies(CVXPY(), problem)}
UNCONSTRAINED = [name for name, problem in QUALIFIED.items() if not problem.constrained]


def reference(problem):
    solution = NewtonCD().solve(problem, tol=1e-10)
    assert solution.converged
    return solution


@pytest.mark.parametrize("example", UNCONSTRAINED)
def test_it_agrees_with_newton(example):
    problem = QUALIFIED[example]
    solution, newton = CVXPY().solve(problem, tol=1e-8), reference(problem)
    assert solution.converged
    assert solution.objective == pytest.approx(newton.objective, rel=1e-12)
    assert np.abs(problem.certify(solution.x, tol=1e-8).byproducts["gradient"].intercept).max() <= 1e-12
    if example != "duplicate_column":
        np.testing.assert_allclose(solution.x.coef, newton.x.coef, atol=1e-6)
        assert np.array_equal(solution.x.coef == 0, newton.x.coef == 0)


def test_it_covers_all_but_other_links():
    others = {name for name, problem in examples() if problem.link != "logit"}
    assert QUALIFIED.keys() == {name for name, _ in examples()} - others


def test_contract():
    check_solver(CVXPY)
    check_solver(CVXPY, tol=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_on_random_problems(seed):
    rng = np.random.default_rng(seed)
    data = random_data(int(rng.integers(60, 300)), int(rng.integers(1, 25)), int(rng.integers(2, 6)), seed=seed)
    problem = random_problem(data, fraction=float(rng.choice([1e-3, 0.1, 0.5])), l1_ratio=float(rng.choice([1.0, 0.5])))
    solution = CVXPY().solve(problem, tol=1e-7)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-11)


def test_the_units_of_features_do_not_matter():
    data = random_data(150, 4, 4, seed=1)
    units = np.array([1e-5, 1e-2, 1e3, 1e6])
    one = random_problem(data, weights=np.ones(4), fraction=0.05)
    # A weight of the penalty in units of the feature undoes the change of units.
    other = PrestoProblem(**{**data, "X": data["X"] * units}, alpha=one.alpha, weights=units)
    assert CVXPY().solve(other, tol=1e-6).objective == pytest.approx(reference(one).objective, rel=1e-11)


def test_predictors_may_cross_in_other_classes():
    data = random_data(60, 6, 4, seed=11, spread=3.0)
    problem = random_problem(data, fraction=1e-3)
    solution = CVXPY().solve(problem, tol=1e-7)
    assert solution.converged
    assert np.any(np.diff(problem.predictors(solution.x), axis=1) > 0)
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-11)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_boundaries_that_must_not_cross(seed, l1_ratio):
    free = random_problem(random_data(150, 4, 5, seed=seed, spread=2.0), fraction=1e-3, l1_ratio=l1_ratio)
    problem = replace(free, monotone="train")
    solution, unconstrained = CVXPY().solve(problem, tol=1e-8), CVXPY().solve(free, tol=1e-8)
    assert np.any(np.diff(free.predictors(unconstrained.x), axis=1) > 0)
    eta = problem.predictors(solution.x)
    assert np.diff(eta, axis=1).max() <= 1e-9
    assert solution.objective > unconstrained.objective + 1e-5
    # A multiplier for each row and gap proves the optimum; it is positive only where boundaries touch.
    assert solution.dual.shape == (150, 3)
    assert solution.converged
    assert problem.certify(solution.x, solution.dual, tol=1e-8).converged
    assert not problem.certify(solution.x, tol=1e-8).converged
    assert solution.certificate.parts["gap"] <= 1e-6
    assert np.all(-np.diff(eta, axis=1)[solution.dual > 1e-6] <= 1e-5)


def test_constraints_that_do_not_bind_change_nothing():
    free = QUALIFIED["plain"]
    solution = CVXPY().solve(replace(free, monotone="train"), tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(free).objective, rel=1e-12)
    assert np.array_equal(solution.x.coef == 0, reference(free).x.coef == 0)


def test_constraints_without_features():
    problem = replace(QUALIFIED["no_features"], monotone="train")
    solution = CVXPY().solve(problem, tol=1e-8)
    assert solution.converged
    assert solution.dual.shape == (30, 1)


def test_a_coefficient_at_the_edge_of_vanishing():
    X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 2])
    problem = PrestoProblem(X=X, y=y, n_classes=3, alpha=0.1)  # the first difference is 0, its gradient alpha
    solution = CVXPY().solve(problem, tol=1e-6)
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-11)
    assert solution.x.coef[0, 0] == 0


@pytest.mark.parametrize("link", ["probit", "cloglog", "loglog"])
def test_other_links_are_refused(link):
    with pytest.raises(UnsupportedProblemError, match=r"'cvxpy'.*other_links.*Use one of: 'newton_cd'"):
        resolve_solver("cvxpy", random_problem(link=link))


def test_large_problems_are_refused():
    problem = random_problem(random_data(25_001, 1, 3))
    with pytest.raises(UnsupportedProblemError, match=r"up to 50000 rows times boundaries, and here these are 50002"):
        resolve_solver("cvxpy", problem)
    smaller = random_problem(random_data(25_000, 1, 3))
    assert get_solver("cvxpy", smaller).refuses(smaller) is None


@pytest.mark.parametrize("max_iter", range(1, 9))
def test_an_early_end_leaves_a_point_inside_the_domain(max_iter):
    problem = QUALIFIED["small_alpha"]
    solution = CVXPY(max_iter=max_iter).solve(problem, tol=1e-8)
    assert solution.status == "max_iter"
    assert solution.n_iter == max_iter
    assert np.isfinite(solution.objective)


def test_the_time_limit_ends_a_run():
    solution = CVXPY(time_limit=1e-9).solve(QUALIFIED["plain"], tol=1e-8)
    assert solution.status == "time_limit"
    assert np.isfinite(solution.objective)


def test_another_conic_solver():
    problem = QUALIFIED["three_classes"]
    solution = CVXPY(conic_solver="SCS").solve(problem, tol=1e-8)
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-3)
    with pytest.raises(SolverError, match="OSQP failed"):
        CVXPY(conic_solver="OSQP").solve(problem, tol=1e-8)


def test_it_is_silent(capfd, recwarn):
    for max_iter in (2, 200):
        CVXPY(max_iter=max_iter).solve(QUALIFIED["plain"], tol=1e-8)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
