"""Accelerated proximal gradient steps for PRESTO: agreement with the Newton method, the domain, memory, and budgets."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.ordinal.problem import OrdinalPoint
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.presto.examples import examples, random_problem
from estimand.solvers.presto.fista import FISTA
from estimand.solvers.presto.newton_cd import NewtonCD
from estimand.solvers.testing import check_solver, qualifies

QUALIFIED = {name: problem for name, problem in examples() if qualifies(FISTA(), problem)}
LINKS = ["logit", "probit", "cloglog", "loglog"]


def reference(problem):
    solution = NewtonCD().solve(problem, tol=1e-10)
    assert solution.converged
    return solution


def crossing_data(n=200, p=5, n_classes=4, seed=0):
    """Slopes that have nothing to do with each other: predictors cross at rows of other classes."""
    rng = np.random.default_rng(seed)
    X, m = rng.standard_normal((n, p)), n_classes - 1
    eta = np.minimum.accumulate(X @ (3 * rng.standard_normal((p, m))) + np.linspace(1, -2, m), axis=1)
    y = (rng.uniform(size=(n, 1)) < 1 / (1 + np.exp(-eta))).sum(axis=1).astype(np.int32)
    return {"X": X, "y": y, "n_classes": n_classes}


def sparse_data(n, p, density, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, p), density=density, rng=rng, format="csr")
    latent = 4 * X[:, :10].sum(axis=1) + rng.logistic(size=n)
    return {"X": X, "y": np.searchsorted(np.quantile(latent, [0.5, 0.8]), latent).astype(np.int32), "n_classes": 3}


@pytest.mark.parametrize("example", QUALIFIED)
def test_it_agrees_with_newton(example):
    problem = QUALIFIED[example]
    solution, newton = FISTA().solve(problem, tol=1e-8), reference(problem)
    assert solution.converged
    assert solution.objective == pytest.approx(newton.objective, rel=1e-12)
    if example != "duplicate_column":
        np.testing.assert_allclose(solution.x.coef, newton.x.coef, atol=1e-5)
        np.testing.assert_allclose(solution.x.intercept, newton.x.intercept, atol=1e-5)
        assert np.array_equal(solution.x.coef == 0, newton.x.coef == 0)


def test_it_covers_all_but_constraints():
    assert {name for name, _ in examples()} - QUALIFIED.keys() <= {"train", "train_crossing", "box", "box_crossing"}


def test_contract():
    check_solver(FISTA)
    check_solver(FISTA, tol=1e-8)


@pytest.mark.parametrize("example", QUALIFIED)
def test_it_gets_as_far_as_rounding_allows(example):
    problem = QUALIFIED[example]
    solution = FISTA().solve(problem, tol=0.0)
    assert solution.status == "stalled"
    assert solution.certificate.relative <= 1e-13


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_on_random_problems(seed):
    rng = np.random.default_rng(seed)
    data = random_data(int(rng.integers(60, 300)), int(rng.integers(1, 25)), int(rng.integers(2, 6)), seed=seed)
    fraction, ratio, base = rng.choice([1e-3, 0.1, 0.5]), rng.choice([1.0, 0.5, 0.0]), rng.choice([0.0, 1.0, 3.0])
    problem = random_problem(data, fraction=fraction, l1_ratio=ratio, base_penalty=base)
    solution = FISTA().solve(problem, tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-11)


@pytest.mark.parametrize("options", [{}, {"l1_ratio": 0.5}, {"link": "cloglog"}])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, np.asfortranarray])
def test_the_format_of_the_features_does_not_matter(make, options):
    data = random_data(120, 8, 4, seed=3)
    data["X"] = np.where(np.abs(data["X"]) < 0.8, 0.0, data["X"] + 2.0)
    problem = random_problem(data, **options)
    other = replace(problem, X=make(data["X"]))
    one, two = (FISTA().solve(each, tol=1e-10) for each in (problem, other))
    assert one.converged
    assert two.converged
    assert two.objective == pytest.approx(one.objective, rel=1e-13)
    np.testing.assert_allclose(two.x.coef, one.x.coef, atol=1e-7)


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_wide_sparse_features_stay_sparse(format):
    data = sparse_data(500, 3000, 0.02)
    problem = random_problem({**data, "X": data["X"].asformat(format)}, fraction=0.3)
    newton = NewtonCD().solve(problem, tol=1e-8)
    tracemalloc.start()
    solution = FISTA().solve(problem, tol=1e-8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.converged
    assert solution.objective == pytest.approx(newton.objective, rel=1e-9)
    assert np.any(solution.x.coef != 0)
    assert peak < 0.2 * 8 * 500 * 3000


def test_dense_features_are_not_copied():
    problem = random_problem(random_data(10_000, 100, 3), fraction=0.3)
    for X in (problem.X, np.asfortranarray(problem.X)):
        each = replace(problem, X=X)
        tracemalloc.start()
        assert FISTA().solve(each, tol=1e-6).converged
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.8 * X.nbytes


def test_the_location_of_features_does_not_matter():
    data = random_data(150, 4, 4, seed=1)
    one = FISTA().solve(random_problem(data), tol=1e-8)
    moved = random_problem({**data, "X": data["X"] + [100.0, 0.0, -1000.0, 1.0]})
    other = FISTA().solve(moved, tol=1e-8)
    assert other.converged
    assert other.n_iter <= one.n_iter + 2
    np.testing.assert_allclose(other.x.coef, one.x.coef, atol=1e-5)


def test_the_units_of_features_do_not_matter():
    data = random_data(150, 4, 4, seed=1)
    units = np.array([1e-5, 1e-2, 1e3, 1e6])
    one = random_problem(data, weights=np.ones(4), fraction=0.05)
    # A weight of the penalty in units of the feature undoes the change of units.
    other = PrestoProblem(**{**data, "X": data["X"] * units}, alpha=one.alpha, weights=units)
    solution = FISTA().solve(other, tol=1e-12)
    assert solution.n_iter <= FISTA().solve(one, tol=1e-12).n_iter + 2
    np.testing.assert_allclose(solution.x.coef * units, reference(one).x.coef, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
def test_the_scale_of_all_features_does_not_matter(scale):
    data = random_data()
    solution = FISTA().solve(random_problem({**data, "X": scale * data["X"]}), tol=1e-8)
    assert solution.converged
    np.testing.assert_allclose(scale * solution.x.coef, reference(random_problem(data)).x.coef, atol=1e-6)


def test_constant_features():
    data = random_data()
    X = np.column_stack([data["X"], np.full(80, 3.0), np.zeros(80)])
    for each in (X, sparse.csr_array(X)):
        solution = FISTA().solve(random_problem({**data, "X": each}), tol=1e-8)
        assert solution.converged
        assert np.all(solution.x.coef[:, 4:] == 0)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("fraction", [0.05, 1e-3, 0.0])
def test_predictors_may_cross_in_other_classes(fraction, link):
    problem = random_problem(crossing_data(), fraction=fraction, link=link)
    solution = FISTA().solve(problem, tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-10)
    crossing = np.any(np.diff(problem.predictors(solution.x), axis=1) > 0, axis=1)
    assert crossing.mean() > 0.3


@pytest.mark.parametrize("link", LINKS)
def test_a_start_outside_the_domain(link):
    problem = random_problem(link=link)
    outside = OrdinalPoint(np.array([-1.0, 0.0, 1.0]), np.ones((3, 4)))
    assert problem.objective(outside) == np.inf
    solution = FISTA().solve(problem, start=outside, tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-12)


def test_a_start_that_is_worse_than_none():
    problem = random_problem()
    far = OrdinalPoint(np.array([1e200, 0.0, -1e200]), np.zeros((3, 4)))
    assert np.isfinite(problem.objective(far))
    assert FISTA().solve(problem, start=far, tol=1e-8).converged


def test_a_class_that_hardly_occurs_between_two_others():
    data = random_data(1000, 3, 2, seed=2)
    y = np.where(np.arange(1000) == 7, 1, 2 * data["y"]).astype(np.int32)
    problem = random_problem({"X": data["X"], "y": y, "n_classes": 3}, fraction=0.05)
    solution = FISTA().solve(problem, tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-11)


@pytest.mark.parametrize("fraction", [1e-2, 1e-4])
def test_nearly_unpenalised_separable_data(fraction):
    X = np.random.default_rng(0).standard_normal((40, 3))
    data = {"X": X, "y": np.digitize(X[:, 0], [-0.5, 0.8]).astype(np.int32), "n_classes": 3}
    problem = random_problem(data, fraction=fraction)
    solution = FISTA().solve(problem, tol=1e-8)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-8)


def test_starts_from_solutions_points_and_other_backends():
    problem = QUALIFIED["small_alpha"]
    first = FISTA().solve(problem, tol=1e-8)
    for start in (first, first.compact(), first.x, reference(problem)):
        assert FISTA().solve(problem, start=start, tol=1e-8).n_iter <= 1
    neighbour = problem.at(1.1 * problem.alpha)
    for start in (first, first.x):
        warm = FISTA().solve(neighbour, start=start, tol=1e-8)
        assert warm.converged
        assert warm.n_iter < FISTA().solve(neighbour, tol=1e-8).n_iter
        assert warm.objective == pytest.approx(reference(neighbour).objective, rel=1e-11)


def test_a_path_agrees_with_newton():
    problem = random_problem(random_data(300, 10, 4, seed=8))
    alphas = problem.scale * np.geomspace(1.0, 1e-2, 8)
    solutions = FISTA().path(problem, alphas, tol=1e-8)
    assert all(solution.converged for solution in solutions)
    expected = [solution.objective for solution in NewtonCD().path(problem, alphas, tol=1e-10)]
    np.testing.assert_allclose([solution.objective for solution in solutions], expected, rtol=1e-11)
    assert np.all(solutions[0].x.coef == 0)


def test_a_start_is_not_written_to():
    problem = random_problem()
    start = OrdinalPoint(np.array([1.0, 0.0, -1.0]), np.full((3, 4), 0.01))
    FISTA().solve(problem, start=start, tol=1e-4)
    assert start.intercept.tolist() == [1.0, 0.0, -1.0]
    assert np.all(start.coef == 0.01)


@pytest.mark.parametrize("example", ["plain", "seven_classes", "sample_weight", "probit"])
def test_intercepts_are_polished_so_that_the_bound_is_tight(example):
    problem = QUALIFIED[example]
    solution = FISTA().solve(problem, tol=1e-8)
    certificate = problem.certify(solution.x, tol=1e-8)
    assert np.abs(certificate.byproducts["gradient"].intercept).max() <= 1e-12
    assert certificate.lower <= reference(problem).objective * (1 + 1e-15)
    assert certificate.parts["gap"] <= 1e-5


def test_a_bound_on_the_suboptimality_can_be_asked_for():
    problem = random_problem(random_data(), fraction=1e-2, gap_tol=1e-9)
    solution = FISTA().solve(problem, tol=1e-3)
    assert solution.converged
    assert solution.certificate.parts["gap"] <= 1e-9 * problem.loss.null_value


def test_the_problem_is_rarely_asked():
    problem = QUALIFIED["small_alpha"]
    solution = FISTA().solve(problem, tol=1e-8)
    asked = [check.certified for check in solution.history]
    assert asked[0]
    assert asked[-1]
    assert sum(asked) <= 5 < len(asked)
    claims = [check.value for check in solution.history if not check.certified]
    assert all(value > 1e-8 * problem.scale for value in claims)


def test_budgets_and_callbacks_end_a_run():
    problem = random_problem(fraction=1e-3)
    short = FISTA(max_iter=2).solve(problem, tol=1e-10)
    assert (short.status, short.n_iter, len(short.history)) == ("max_iter", 2, 3)
    assert short.objective < problem.objective(problem.initial_point())
    assert FISTA(time_limit=0.0).solve(problem, tol=1e-10).status == "time_limit"
    seen = []

    def callback(state):
        seen.append(state)
        with pytest.raises(ValueError, match="read-only"):
            state.x.coef[0, 0] = 1.0
        assert state.objective == pytest.approx(problem.objective(state.x), rel=1e-13)
        return len(seen) == 3

    stopped = FISTA().solve(problem, tol=1e-10, callback=callback)
    assert stopped.status == "callback"
    assert [state.n_iter for state in seen] == [0, 1, 2]
    assert seen[2].objective < seen[1].objective < seen[0].objective


def test_the_time_limit_ends_a_long_run():
    problem = random_problem(sparse_data(1000, 5000, 0.02), fraction=0.02)
    solution = FISTA(time_limit=0.2).solve(problem, tol=1e-14)
    assert solution.status == "time_limit"
    assert solution.history[-1].seconds < 5
    assert solution.objective < problem.loss.null_value


def test_it_is_silent(capfd, recwarn):
    for example in ("plain", "unpenalised", "no_features"):
        FISTA().solve(QUALIFIED[example], tol=1e-8)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
