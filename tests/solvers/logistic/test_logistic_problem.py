import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, sparse
from scipy.sparse.linalg import aslinearoperator

from estimand.solvers import get_solver
from estimand.solvers.logistic import LogisticPoint, LogisticProblem
from estimand.solvers.logistic.examples import examples, random_problem

COMBINATIONS = list(itertools.product((False, True), repeat=5))


def instance(intercept, free, weighted, l2, rows, *, seed=0):
    rng = np.random.default_rng(seed)
    n, p = 30, 12
    A = rng.standard_normal((n, p))
    A[:, 5], A[:, 7] = A[:, 4], 0.0
    A[:, 9] = 1.0
    y = np.where(A[:, 0] + 2 * rng.standard_normal(n) > 0, 1.0, -1.0)
    weights = rng.uniform(0.5, 2.0, p) if weighted else np.ones(p)
    weights[11] = np.inf if weighted else 1.0
    weights[[2, 7, 9]] = 0.0 if free else weights[[2, 7, 9]]
    return LogisticProblem(
        A=np.asfortranarray(A),
        y=y,
        alpha=0.03,
        weights=weights,
        l2=0.02 if l2 else 0.0,
        fit_intercept=intercept,
        sample_weight=rng.integers(0, 3, n).astype(float) if rows else None,
    )


def perturbed(problem, x, size, rng):
    coef = x.coef + size * rng.standard_normal(x.coef.size)
    return problem.repaired(LogisticPoint(coef, x.intercept + size * rng.standard_normal(x.intercept.size)))


@pytest.mark.parametrize(("intercept", "free", "weighted", "l2", "rows"), COMBINATIONS)
def test_the_gap_closes_at_the_optimum_and_bounds_the_excess(intercept, free, weighted, l2, rows):
    problem = instance(intercept, free, weighted, l2, rows)
    reference = get_solver("cvxpy", problem).solve(problem, tol=1e-6)
    assert reference.converged
    exact = get_solver("newton_cd", problem).solve(problem, tol=1e-11)
    assert exact.converged
    assert exact.objective <= reference.objective + 1e-12
    assert exact.objective >= reference.certificate.lower - 1e-15
    rng = np.random.default_rng(1)
    for size in (1e-8, 1e-4, 1e-2, 0.1, 1.0, 10.0):
        for _ in range(5):
            x = perturbed(problem, reference.x, size, rng)
            certificate = problem.certify(x, tol=1e-6)
            excess = problem.objective(x) - exact.objective
            assert certificate.value >= excess - 1e-13
            assert certificate.lower <= exact.objective + 1e-14
            if size <= 1e-4:
                assert certificate.value <= 10 * size


@pytest.mark.parametrize(("intercept", "free", "weighted", "l2", "rows"), COMBINATIONS)
def test_a_given_dual_candidate_is_made_feasible(intercept, free, weighted, l2, rows):
    problem = instance(intercept, free, weighted, l2, rows)
    optimum = get_solver("newton_cd", problem).solve(problem, tol=1e-10).objective
    rng = np.random.default_rng(3)
    for low, high in ((0, 1), (-3, 3), (0, 1e-200), (1 - 1e-12, 1)):
        dual = rng.uniform(low, high, problem.y.size)
        certificate = problem.certify(problem.initial_point(), dual, tol=1e-6)
        assert certificate.lower <= optimum + 1e-14
        u, weight = certificate.byproducts["dual"], problem.row_weight * problem.y
        assert u.min() >= 0
        assert u.max() <= 1
        np.testing.assert_allclose(problem.free_basis.T @ (weight * u), 0, atol=1e-14)


def test_dual_value_is_the_conjugate_form_by_brute_force():
    # min_z max_u exchanges: the Lagrangian's minimum over v, for the shrunk u, is the dual value.
    problem = instance(False, False, True, True, True)
    x = perturbed(problem, problem.initial_point(), 0.3, np.random.default_rng(0))
    u = problem.certify(x, tol=1e-6).byproducts["dual"]
    c = problem.A.T @ (problem.row_weight * problem.y * u)
    entropy = float(problem.row_weight @ -(u * np.log(u) + (1 - u) * np.log1p(-u)))
    total = entropy
    for j in np.flatnonzero(problem.penalised):
        threshold = problem.thresholds[j]
        line = optimize.minimize_scalar(
            lambda v, j=j, threshold=threshold: -c[j] * v + threshold * abs(v) + problem.l2 * v * v / 2,
            bracket=(-1, 1),
            tol=1e-12,
        )
        total += line.fun
    assert problem.dual_value(u, c) >= total - 1e-10


def test_objective_and_gradient_match_their_definitions():
    problem = instance(True, True, True, True, True)
    x = perturbed(problem, problem.initial_point(), 0.5, np.random.default_rng(0))
    q = problem.sample_weight
    z = problem.A @ x.coef + x.intercept[0]
    finite = ~problem.excluded
    expected = (q * np.log(1 + np.exp(-problem.y * z))).sum() / q.sum()
    expected += problem.alpha * (problem.weights[finite] * np.abs(x.coef[finite])).sum()
    expected += problem.l2 / 2 * (x.coef[problem.weights > 0] ** 2).sum()
    assert problem.objective(x) == pytest.approx(expected, rel=1e-13)
    gradient, step = problem.gradient(x), 1e-6
    for j in range(12):
        forward, backward = x.coef.copy(), x.coef.copy()
        forward[j] += step
        backward[j] -= step
        slope = problem.loss(problem.scores(x._replace(coef=forward)))
        slope -= problem.loss(problem.scores(x._replace(coef=backward)))
        assert gradient.coef[j] == pytest.approx(slope / (2 * step), abs=1e-8)
    slope = problem.loss(z + step) - problem.loss(z - step)
    assert gradient.intercept[0] == pytest.approx(slope / (2 * step), abs=1e-8)


def test_an_excluded_coefficient_makes_the_objective_infinite():
    problem = instance(False, False, True, False, False)
    x = problem.initial_point()
    x.coef[11] = 1.0
    assert problem.objective(x) == math.inf
    assert not problem.certify(x, tol=1.0).converged


def test_large_margins_do_not_overflow():
    A = np.asfortranarray([[1e4], [-1e4], [1e4]])
    problem = LogisticProblem(A=A, y=np.array([1.0, -1.0, -1.0]), alpha=1e-3, fit_intercept=True)
    with np.errstate(over="raise", invalid="raise"):
        for scale in (1.0, -1.0, 1e5):
            x = LogisticPoint(np.array([scale]), np.zeros(1))
            certificate = problem.certify(x, tol=1e-6)
            assert math.isfinite(certificate.value)
            assert certificate.lower <= certificate.upper
    assert problem.objective(LogisticPoint(np.array([1.0]), np.zeros(1))) == pytest.approx(1e4 / 3 + 1e-3)


WITH_L1 = [name for name, problem in examples().items() if problem.alpha > 0 or problem.l2 == 0]


@pytest.mark.parametrize("name", WITH_L1)
def test_alpha_max_is_the_threshold_of_exact_zeros(name):
    problem = examples()[name]
    largest = problem.alpha_max()
    solver = get_solver("newton_cd", problem)

    def coefficients(alpha):
        changed = replace(problem, alpha=alpha)
        return changed, solver.solve(changed, tol=1e-9).x.coef

    for factor in (1.0, 1.5):
        changed, coef = coefficients(factor * max(largest, 1e-3))
        assert np.all(coef[changed.omega > 0] == 0)
    if largest > 0:
        changed, coef = coefficients(0.9 * largest)
        assert np.any(coef[changed.omega > 0] != 0)


def test_scale_is_the_objective_of_the_best_constant():
    for name, problem in examples().items():
        assert problem.scale > 0, name
        assert problem.objective(problem.initial_point()) == pytest.approx(problem.scale, rel=1e-12), name


def test_scale_is_one_where_the_objective_vanishes():
    problem = LogisticProblem(A=np.ones((2, 1)), y=np.ones(2), alpha=0.1, fit_intercept=True)
    assert problem.scale == 1.0
    assert problem.alpha_max() == 0.0


def test_weighted_rows_are_repeated_rows():
    problem = random_problem(sample_weight=np.arange(40.0) % 3, fit_intercept=True)
    rows = np.repeat(np.arange(40), problem.sample_weight.astype(int))
    repeated = LogisticProblem(A=problem.A[rows], y=problem.y[rows], alpha=problem.alpha, fit_intercept=True)
    x = perturbed(problem, problem.initial_point(), 0.3, np.random.default_rng(0))
    assert problem.objective(x) == pytest.approx(repeated.objective(x), rel=1e-13)
    assert problem.certify(x, tol=1).value == pytest.approx(repeated.certify(x, tol=1).value, rel=1e-9)
    assert problem.scale == pytest.approx(repeated.scale, rel=1e-13)


@pytest.mark.parametrize("kind", ["csc", "csr", "operator", "c", "float32"])
def test_designs_of_all_kinds_give_the_same_certificate(kind):
    problem = instance(True, True, True, True, True)
    A = problem.A.astype(np.float32).astype(np.float64)
    made = {
        "csc": lambda: sparse.csc_array(A),
        "csr": lambda: sparse.csr_array(A),
        "operator": lambda: aslinearoperator(A),
        "c": lambda: np.ascontiguousarray(A),
        "float32": lambda: A.astype(np.float32),
    }[kind]()
    x = perturbed(problem, problem.initial_point(), 0.3, np.random.default_rng(0))
    plain, other = replace(problem, A=A), replace(problem, A=made)
    assert other.certify(x, tol=1).value == pytest.approx(plain.certify(x, tol=1).value, rel=1e-10)
    assert other.certify(x, tol=1).upper == pytest.approx(plain.objective(x), rel=1e-13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(3)}, "y has shape"),
        ({"y": np.array([0.0, 1.0])}, "-1 and \\+1"),
        ({"y": np.array([np.nan, 1.0])}, "-1 and \\+1"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"alpha": math.inf}, "alpha=inf"),
        ({"l2": math.nan}, "l2=nan"),
        ({"weights": np.ones(2)}, "weights has shape"),
        ({"weights": np.full(3, -1.0)}, "weights must be at least 0"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"sample_weight": np.array([1.0, -1.0])}, "finite and at least 0"),
        ({"sample_weight": np.zeros(2)}, "sums to 0"),
    ],
)
def test_bad_fields_are_named(change, message):
    fields = {"A": np.ones((2, 3)), "y": np.array([1.0, -1.0]), "alpha": 0.1, **change}
    with pytest.raises(ValueError, match=message):
        LogisticProblem(**fields)


def test_separation_by_the_free_part_is_seen():
    A, y = np.array([[1.0, 0.3], [-1.0, 0.1], [2.0, -1.0]]), np.array([1.0, -1.0, 1.0])
    free = LogisticProblem(A=A, y=y, alpha=0.1, weights=np.array([0.0, 1.0]))
    assert free.separates(LogisticPoint(np.array([3.0, 0.0]), np.zeros(0)))
    assert not free.separates(LogisticPoint(np.array([-3.0, 0.0]), np.zeros(0)))
    penalised = LogisticProblem(A=A, y=y, alpha=0.1)
    assert not penalised.separates(LogisticPoint(np.array([3.0, 0.0]), np.zeros(0)))
    # The infimum is 0: the bound must not exceed it.
    for size in (1.0, 30.0, 1000.0):
        assert free.certify(LogisticPoint(np.array([size, 0.0]), np.zeros(0)), tol=1).lower == 0.0
