"""Coordinate descent: its forms, its state along a path, its memory. Backends are compared elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from estimand.solvers.lasso import LassoProblem, residual
from estimand.solvers.lasso.coordinate_descent import CoordinateDescent, Engine
from estimand.solvers.lasso.gram import GramWorkingSet
from estimand.solvers.lasso.polish import polish
from estimand.solvers.lasso.residual import DenseWorkingSet, SparseWorkingSet, extrapolate


def make(n=80, p=300, seed=0, density=None, **options):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, p))
    if density is not None:
        A = sparse.csc_matrix(A * (rng.random((n, p)) < density))
    y = A @ (rng.standard_normal(p) * (rng.random(p) < 0.05)) + 0.3 * rng.standard_normal(n)
    problem = LassoProblem(A=A, y=y, alpha=1.0, **options)
    return replace(problem, alpha=problem.alpha_max() / 50)


@pytest.mark.parametrize(
    ("problem", "solver", "form"),
    [
        (make(), CoordinateDescent(), GramWorkingSet),
        (make(), CoordinateDescent(gram_max_bytes=8 * 20**2), DenseWorkingSet),
        (make(n=400, p=2000, density=0.01), CoordinateDescent(), SparseWorkingSet),
    ],
    ids=["gram", "dense residual", "sparse residual"],
)
def test_each_form_of_working_set_is_used_and_certified(problem, solver, form):
    problem = replace(problem, fit_intercept=True)
    solution = solver.solve(problem, tol=1e-10)
    assert solution.converged
    assert isinstance(solution.state.data.working_set, form)
    assert problem.certify(solution.x, solution.dual, tol=1e-10).relative <= 1e-10


def test_one_pass_an_alpha_along_a_path():
    problem = make()
    alphas = np.geomspace(problem.alpha_max(), problem.alpha_max() / 50, 30)
    path = CoordinateDescent().path(problem, alphas, tol=1e-6)
    assert all(solution.converged for solution in path)
    assert sum(solution.n_iter for solution in path) <= 45
    assert np.count_nonzero(path[0].x) == 0
    assert all(solution.state is None for solution in path[:-1])


def test_state_changes_the_time_and_not_the_answer():
    problem = make()
    easier = replace(problem, alpha=1.2 * problem.alpha)
    first = CoordinateDescent().solve(easier, tol=1e-10)
    with_state = CoordinateDescent().solve(problem, start=first, tol=1e-10)
    without = CoordinateDescent().solve(problem, start=first.compact(), tol=1e-10)
    np.testing.assert_allclose(with_state.x, without.x, atol=1e-6)
    other = LassoProblem(A=problem.A.copy(), y=problem.y, alpha=problem.alpha)
    assert CoordinateDescent().solve(other, start=first, tol=1e-10).state.data is not first.state.data


def test_engine_in_use_or_cut_short_is_not_reused():
    problem = make()
    first = CoordinateDescent().solve(problem, tol=1e-8)
    easier, inner = replace(problem, alpha=2 * problem.alpha), []

    def solve_again(state):
        if not inner:
            inner.append(CoordinateDescent().solve(easier, start=first, tol=1e-10))

    harder = replace(problem, alpha=problem.alpha / 2)
    outer = CoordinateDescent().solve(harder, start=first, tol=1e-10, callback=solve_again)
    assert outer.converged
    assert inner[0].converged
    assert inner[0].state.data is not outer.state.data

    def press(state):
        raise KeyboardInterrupt

    interrupted = CoordinateDescent().solve(easier, start=outer, tol=1e-10, callback=press)
    assert interrupted.status == "interrupted"
    assert interrupted.state is None
    again = CoordinateDescent().solve(easier, start=outer, tol=1e-10)
    assert again.state.data is not outer.state.data
    assert again.objective == pytest.approx(inner[0].objective, abs=1e-9 * problem.scale)


def test_alpha_max_gives_exact_zeros_from_any_start():
    problem = make(fit_intercept=True)
    problem = replace(problem, alpha=problem.alpha_max() * (1 - 1e-14))
    warm = CoordinateDescent().solve(replace(problem, alpha=problem.alpha / 10), tol=1e-8)
    for start in (None, warm, warm.x):
        assert not CoordinateDescent().solve(problem, start=start, tol=1e-8).x.any()


def test_gap_safe_screens_only_zeros():
    problem = make()
    optimum = CoordinateDescent().solve(problem, tol=1e-14)
    support = optimum.x != 0
    for tol in (1e-1, 1e-2, 1e-4, 1e-8):
        rough = CoordinateDescent().solve(problem, tol=tol)
        certificate = problem.certify(rough.x, tol=tol)
        screened = problem.gap_safe(
            certificate.byproducts["dual"], certificate.byproducts["correlation"], certificate.upper
        )
        assert not np.any(screened & support)
    assert screened.sum() > 0.8 * (~support).sum()


def test_ridge_that_changes_along_a_sequence():
    problem = make()
    problems = [replace(problem, alpha=a, l2=a) for a in np.geomspace(problem.alpha_max(), problem.alpha, 8)]
    solutions = CoordinateDescent().solve_sequence(problems, tol=1e-9)
    for each, solution in zip(problems, solutions, strict=True):
        assert solution.converged
        alone = CoordinateDescent().solve(each, tol=1e-9)
        assert abs(alone.objective - solution.objective) <= 2e-9 * each.scale


def test_sparse_design_is_never_made_dense():
    rng = np.random.default_rng(0)
    A = sparse.random(20_000, 100_000, density=2e-5, format="csc", random_state=rng, data_rvs=rng.standard_normal)
    y = rng.standard_normal(20_000)
    problem = LassoProblem(A=A, y=y, alpha=1.0, fit_intercept=True)
    import tracemalloc

    tracemalloc.start()
    solution = CoordinateDescent().solve(replace(problem, alpha=problem.alpha_max() / 3), tol=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.converged
    assert peak < 60e6  # dense, the design would take 16 GB


def test_working_set_copies_only_the_columns_it_looked_at():
    problem = make(n=200, p=4000)
    engine = CoordinateDescent().solve(problem, tol=1e-6).state.data
    assert isinstance(engine, Engine)
    assert engine.working_set.size < 800


@pytest.mark.parametrize("density", [None, 0.1])
def test_short_kernel_calls_give_the_same_answer(monkeypatch, density):
    problem, solver = make(density=density, fit_intercept=True), CoordinateDescent(gram_max_bytes=0)
    expected = solver.solve(problem, tol=1e-8)
    for entries in (1, 70_000):
        monkeypatch.setattr(residual, "_ENTRIES_A_CALL", entries)
        np.testing.assert_array_equal(solver.solve(problem, tol=1e-8).x, expected.x)


def test_negative_gram_memory_is_refused():
    with pytest.raises(ValueError, match=r"gram_max_bytes=-1 must be at least 0"):
        CoordinateDescent(gram_max_bytes=-1).solve(make(), tol=1e-6)


def test_time_limit_and_max_iter_are_honest():
    problem = make()
    assert CoordinateDescent(time_limit=0.0).solve(problem, tol=1e-12).status == "time_limit"
    short = CoordinateDescent(max_iter=1).solve(problem, tol=0.0)
    assert short.status == "max_iter"
    assert not short.converged
    assert short.n_iter == 1


def test_zero_tolerance_ends_as_stalled():
    solution = CoordinateDescent().solve(make(), tol=0.0)
    assert solution.status in ("stalled", "max_iter")
    assert not solution.converged
    assert solution.certificate.relative < 1e-12


class TestPolish:
    def test_dependent_columns_become_an_independent_subset_of_equal_fit(self):
        rng = np.random.default_rng(0)
        base = rng.standard_normal((30, 3))
        design = np.column_stack([base, base[:, 0] + base[:, 1]])
        response = base @ [1.0, 2.0, 0.5] + 0.1 * rng.standard_normal(30)
        start = np.array([0.4, 1.2, 0.3, 0.3])
        threshold = np.full(4, 0.01)

        def objective(v):
            return np.square(response - design @ v).mean() / 2 + threshold @ np.abs(v)

        coef = polish(design, response, start, threshold, np.zeros(4), False)
        assert objective(coef) < objective(start)
        assert np.linalg.matrix_rank(design[:, coef != 0]) == np.count_nonzero(coef)

    def test_full_step_solves_the_normal_equations_with_a_squared_penalty(self):
        rng = np.random.default_rng(1)
        design, coef = rng.standard_normal((20, 3)), np.array([3.0, -2.0, 4.0])
        response = design @ coef
        threshold, ridge = np.full(3, 0.01), np.full(3, 0.1)
        solved = polish(design, response, coef, threshold, ridge, False)
        gradient = -design.T @ (response - design @ solved) / 20 + threshold * np.sign(coef) + ridge * solved
        np.testing.assert_allclose(gradient, 0, atol=1e-13)


def test_extrapolation_is_exact_for_a_linear_iteration():
    rng = np.random.default_rng(0)
    matrix, limit = np.diag([0.9, 0.5, -0.3]), rng.standard_normal(3)
    iterates = [np.zeros(3)]
    for _ in range(4):
        iterates.append(limit + matrix @ (iterates[-1] - limit))
    np.testing.assert_allclose(extrapolate(np.array(iterates)), limit, atol=1e-9)
    assert extrapolate(np.ones((4, 3))) is None
