"""Every backend on random and degenerate instances, judged by the problem's certificate."""

import time
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from estimand.penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq, Penalty
from estimand.solvers import get_solver, list_solvers, resolve_solver
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem, choose
from estimand.solvers.penalized_least_squares.coordinate_descent import CoordinateDescent
from estimand.solvers.penalized_least_squares.examples import (
    degenerate_instances,
    examples,
    penalties,
    random_instance,
)
from estimand.solvers.penalized_least_squares.gram import GramCache
from estimand.solvers.penalized_least_squares.ista import ISTA
from estimand.solvers.testing import check_solver

INSTANCES = dict(examples())
OWN = [CoordinateDescent, ISTA]


class Huberised(Penalty):
    """The l1 penalty rounded off at 0: a penalty that no kernel knows."""

    is_convex = True

    def __init__(self, alpha=0.1, delta=0.01):
        self.alpha = alpha
        self.delta = delta

    def value_elementwise(self, w):
        size = np.abs(w)
        return self.alpha * np.where(size <= self.delta, w**2 / (2 * self.delta), size - self.delta / 2)

    def prox(self, x, step, positive=False):
        x = np.maximum(x, 0.0) if positive else np.asarray(x)
        eta = step * self.alpha
        inside = np.abs(x) <= self.delta + eta
        return np.where(inside, x * self.delta / (self.delta + eta), x - eta * np.sign(x))


class Plain(Penalty):
    """A built-in penalty without its compiled face."""

    def __init__(self, inner):
        self.inner = inner

    def value_elementwise(self, w):
        return self.inner.value_elementwise(w)

    def prox(self, x, step, positive=False):
        return self.inner.prox(x, step, positive)


def check(solution, problem, tol):
    fresh = replace(problem, frame=None)
    assert solution.converged, (solution.status, solution.certificate.relative, solution.message)
    assert solution.status == "converged"
    assert fresh.certify(solution.x, tol=tol).converged
    assert solution.objective == pytest.approx(fresh.objective(solution.x), rel=1e-12)
    assert solution.objective <= fresh.objective(fresh.initial_point()) * (1 + 1e-12)
    assert fresh.feasible(solution.x)


@pytest.mark.parametrize("solver", OWN)
@pytest.mark.parametrize("name", INSTANCES)
def test_certificates(solver, name):
    problem = INSTANCES[name]
    check(solver().solve(problem, tol=1e-8), problem, 1e-8)


@pytest.mark.parametrize("solver", OWN)
@pytest.mark.parametrize("penalty", [*penalties(0.3), Huberised(0.3), Plain(MCP(0.3))], ids=repr)
def test_degenerate_instances(solver, penalty):
    for _, problem in degenerate_instances(penalty):
        check(solver().solve(problem, tol=1e-8), problem, 1e-8)
        if not problem.view.response.any():
            assert not solver().solve(problem, tol=1e-8).x.any()


@pytest.mark.parametrize("solver", OWN)
@pytest.mark.parametrize("kind", ["float32", "c_order", "csc", "csr"])
@pytest.mark.parametrize("penalty", [L1(0.2), MCP(0.2), Lq(0.2), Plain(SCAD(0.2))], ids=repr)
def test_forms_of_the_design(solver, kind, penalty):
    rng = np.random.default_rng(0)
    problem = random_instance(1, penalty, kind=kind, fit_intercept=True, sample_weight=rng.uniform(0, 2, 30))
    check(solver().solve(problem, tol=1e-7), problem, 1e-7)


@pytest.mark.parametrize("penalty", [L1(0.2), L1L2(0.2, 0.3)], ids=repr)
@pytest.mark.parametrize("positive", [False, True])
def test_convex_objectives_equal_those_of_an_interior_point_method(penalty, positive):
    rng = np.random.default_rng(0)
    weights = np.r_[0.0, np.inf, np.ones(48)]
    fields = {"fit_intercept": True, "positive": positive, "weights": weights, "sample_weight": rng.uniform(0, 2, 30)}
    problem = random_instance(2, penalty, **fields)
    _, l1, l2, _ = penalty.kernel_arguments()
    reference = get_solver("cvxpy", "lasso").solve(
        LassoProblem(A=problem.A, y=problem.y, alpha=l1, l2=l2, **fields), tol=1e-9
    )
    for solver in OWN:
        own = solver().solve(problem, tol=1e-10)
        assert own.converged
        assert reference.certificate.lower <= own.objective <= reference.objective * (1 + 1e-10)
        slack = reference.certificate.value + own.certificate.value
        assert own.objective == pytest.approx(reference.objective, abs=slack)


def test_a_weighted_elastic_net_against_cvxpy():
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.3, 3.0, 50)
    problem = random_instance(3, L1L2(0.2, 0.4), fit_intercept=True, weights=weights)
    v, b = cp.Variable(50), cp.Variable()
    value = cp.sum_squares(problem.y - problem.A @ v - b) / 60
    value += 0.08 * weights @ cp.abs(v) + 0.06 * cp.sum(cp.multiply(weights, cp.square(v)))
    cp.Problem(cp.Minimize(value)).solve(solver="CLARABEL")
    assert CoordinateDescent().solve(problem, tol=1e-10).objective == pytest.approx(value.value, rel=1e-7)


def test_a_convex_penalty_of_ones_own_against_cvxpy():
    problem = random_instance(4, Huberised(0.3, 0.05), fit_intercept=True)
    v, b = cp.Variable(50), cp.Variable()
    # cvxpy's huber(w, M) is w^2 inside and 2 M |w| - M^2 outside.
    value = cp.sum_squares(problem.y - problem.A @ v - b) / 60 + 0.3 / (2 * 0.05) * cp.sum(cp.huber(v, 0.05))
    cp.Problem(cp.Minimize(value)).solve(solver="CLARABEL")
    for solver in OWN:
        assert solver().solve(problem, tol=1e-9).objective == pytest.approx(value.value, rel=1e-7)


@pytest.mark.parametrize(
    "penalty", [MCP(0.2), SCAD(0.2), L0(0.03), Lq(0.2), LogSum(0.2), CappedL1(0.2), CEL0(0.03)], ids=repr
)
def test_python_sweeps_equal_compiled_ones(penalty):
    rng = np.random.default_rng(2)
    for kind in ("dense", "csc"):
        fields = {"kind": kind, "fit_intercept": True, "sample_weight": rng.uniform(0, 2, 30)}
        compiled = CoordinateDescent().solve(random_instance(5, penalty, **fields), tol=1e-9)
        python = CoordinateDescent().solve(random_instance(5, Plain(penalty), **fields), tol=1e-9)
        np.testing.assert_allclose(python.x, compiled.x, atol=1e-7)


def test_coordinate_descent_does_not_tell_cel0_from_l0():
    problem = random_instance(6, L0(0.05), fit_intercept=True)
    A = problem.A - problem.A.mean(axis=0)
    A = np.asfortranarray(A / np.sqrt((A**2).mean(axis=0)))
    hard = replace(problem, A=A, frame=None)
    soft = replace(hard, penalty=CEL0(0.05, norm=1.0))
    first, second = (CoordinateDescent().solve(p, tol=1e-9) for p in (hard, soft))
    np.testing.assert_allclose(first.x, second.x, atol=1e-12)
    assert first.x.any()


def test_integer_weights_are_repeated_rows():
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 4, 30)
    problem = random_instance(7, MCP(0.2), fit_intercept=True, sample_weight=counts.astype(float))
    repeated = PenalizedLeastSquaresProblem(
        A=np.repeat(problem.A, counts, axis=0), y=np.repeat(problem.y, counts), penalty=MCP(0.2), fit_intercept=True
    )
    first, second = (CoordinateDescent().solve(p, tol=1e-10) for p in (problem, repeated))
    np.testing.assert_allclose(first.x, second.x, atol=1e-8)


@pytest.mark.parametrize("solver", OWN)
def test_a_start_is_improved_and_never_made_worse(solver):
    for seed, penalty in enumerate(penalties(0.2)):
        problem = random_instance(seed, penalty, fit_intercept=True)
        start = problem.repair(np.random.default_rng(seed).standard_normal(50))
        solution = solver().solve(problem, start=start, tol=1e-8)
        check(solution, problem, 1e-8)
        assert solution.objective <= problem.objective(start)
        again = solver().solve(problem, start=solution, tol=1e-8)
        assert again.objective <= solution.objective * (1 + 1e-12)
        assert again.n_iter <= 1


def test_a_bad_start_does_not_cost_the_good_point():
    better = 0
    for seed in range(10):
        problem = random_instance(seed, L0(0.05))
        start = np.random.default_rng(seed).standard_normal(50) * 3
        both = CoordinateDescent().solve(problem, start=start, tol=1e-8).objective
        one = CoordinateDescent(restart=False).solve(problem, start=start, tol=1e-8).objective
        zero = CoordinateDescent().solve(problem, tol=1e-8).objective
        assert both == min(one, zero)
        better += both < one
    assert better > 0


@pytest.mark.parametrize("solver", OWN)
def test_stops(solver):
    problem = random_instance(8, MCP(0.05), n=60, p=100)
    assert solver(max_iter=1).solve(problem, tol=1e-12).status == "max_iter"
    assert solver(time_limit=0.0).solve(problem, tol=1e-12).status == "time_limit"
    assert solver().solve(problem, tol=1e-12, callback=lambda state: True).status == "callback"

    def interrupt(state):
        if state.n_iter == 1:
            raise KeyboardInterrupt

    interrupted = solver().solve(problem, tol=1e-12, callback=interrupt)
    assert interrupted.status == "interrupted"
    assert interrupted.objective < problem.objective(problem.initial_point())
    values = []
    solver().solve(problem, tol=1e-9, callback=lambda state: values.append(state.objective))
    assert np.all(np.diff(values) <= 1e-12)
    with pytest.raises(ValueError, match=r"start has shape \(3,\)"):
        solver().solve(problem, start=np.zeros(3), tol=1e-6)


@pytest.mark.parametrize("solver", OWN)
def test_an_unreachable_tolerance_ends_the_run(solver):
    problem = random_instance(9, MCP(0.2), fit_intercept=True)
    start = time.perf_counter()
    solution = solver().solve(problem, tol=0.0)
    assert time.perf_counter() - start < 5
    assert solution.status in ("converged", "stalled", "max_iter")
    assert solution.certificate.relative < 1e-12


def test_a_sequence_of_strengths():
    problem = random_instance(10, SCAD(0.5), fit_intercept=True)
    steps = [replace(problem, penalty=SCAD(alpha)) for alpha in (0.5, 0.3, 0.1)]
    solutions = CoordinateDescent().solve_sequence(steps, tol=1e-8)
    assert all(solution.converged for solution in solutions)
    counts = [np.count_nonzero(solution.x) for solution in solutions]
    assert counts == sorted(counts)
    for first, second in zip(solutions, CoordinateDescent().path(problem, (0.5, 0.3, 0.1), tol=1e-8), strict=True):
        assert np.array_equal(first.x, second.x)
    with pytest.raises(ValueError, match="alpha"):
        CoordinateDescent().path(random_instance(0, Plain(MCP())), [0.1], tol=1e-8)


def test_working_sets_beyond_the_gram_matrix():
    """Dense designs with fewer rows than the working set has columns use the sweeps on residuals."""
    for penalty in (L1L2(0.01, 0.2), MCP(0.01)):
        problem = random_instance(11, penalty, n=10, p=60, fit_intercept=True)
        check(CoordinateDescent().solve(problem, tol=1e-7), problem, 1e-7)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gram_cache_grows_and_starts_again(weighted):
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.1, 2, 40) if weighted else None
    problem = random_instance(12, MCP(), n=40, p=90, kind="float32", fit_intercept=True, sample_weight=weights)
    cache = GramCache(problem.view)
    columns = problem.view.columns(np.arange(90))
    for size in (1, 3, 20, 20, 20, 20):
        working = np.sort(rng.choice(90, size, replace=False))
        assert cache.admits(working)
        expected = columns[:, working].T @ columns[:, working] / 40
        np.testing.assert_allclose(cache.restrict(working), expected, atol=1e-12)
    assert cache.used <= cache.limit
    assert not cache.admits(np.arange(21))
    assert not cache.admits(np.arange(0))


@pytest.mark.parametrize("solver", OWN)
def test_contract(solver):
    check_solver(solver)


def test_the_registry_and_the_rule():
    names = [info.name for info in list_solvers("penalized_least_squares")]
    assert names == ["coordinate_descent", "ista", "skglm"]
    problem = random_instance(0, MCP(0.1))
    assert resolve_solver("auto", problem)[0].name == "coordinate_descent"
    assert resolve_solver("auto", random_instance(0, Huberised()))[0].name == "ista"
    with pytest.raises(ValueError, match="nonconvex"):
        choose(problem, [])
