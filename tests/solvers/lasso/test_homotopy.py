from dataclasses import replace

import numpy as np
import pytest

from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.homotopy import Homotopy, _Walk


def ill_conditioned(name, n=150, p=400, seed=0):
    rng = np.random.default_rng(seed)
    if name == "walk":
        A = np.cumsum(rng.normal(size=(n, p)), axis=1)
    elif name == "common":
        A = rng.normal(size=(n, 1)) + 1e-3 * rng.normal(size=(n, p))
    elif name == "mixture":
        common = rng.normal(size=(n, 1)) + 1e-2 * rng.normal(size=(n, 1)) * rng.normal(size=p // 2)
        A = np.hstack([rng.normal(size=(n, p - p // 2)), common + 1e-4 * rng.normal(size=(n, p // 2))])
    else:
        A = np.exp(-((np.linspace(-1, 1, n)[:, None] - np.linspace(-1, 1, p)) ** 2) / 2)
    A *= np.sqrt(n) / np.linalg.norm(A, axis=0)
    support = rng.choice(p, 4, replace=False)
    signal = np.linalg.qr(A[:, support])[0] @ rng.normal(size=4)
    y = signal * np.sqrt(n) / np.linalg.norm(signal) + 0.5 * rng.normal(size=n)
    # The mean direction of the common factor would leave a path without breakpoints.
    return np.asfortranarray(A), y - A.mean(axis=1) * (A.mean(axis=1) @ y) / (A.mean(axis=1) @ A.mean(axis=1))


@pytest.mark.parametrize("design", ["walk", "common", "mixture", "rbf"])
@pytest.mark.parametrize("seed", range(3))
def test_ill_conditioned_paths_are_certified_to_rounding(design, seed):
    A, y = ill_conditioned(design, seed=seed)
    problem = LassoProblem(A=A, y=y, alpha=1.0)
    solutions = Homotopy().path(problem, np.geomspace(1, 0.01, 20) * problem.alpha_max(), tol=1e-12)
    assert [s.status for s in solutions] == ["converged"] * 20
    assert sum(s.n_iter for s in solutions) > 40


@pytest.mark.parametrize("seed", range(40))
def test_integer_designs_full_of_ties(seed):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(3, 20, size=2)
    A, y = rng.integers(-1, 2, size=(n, p)).astype(float), rng.integers(-3, 4, size=n).astype(float)
    weights = rng.choice([0.0, 1.0, 1.0, 2.0, np.inf], size=p)
    problem = LassoProblem(A=A, y=y, alpha=1.0, weights=weights, fit_intercept=bool(seed % 2))
    top = problem.alpha_max()
    if top > 1e-10:
        for solution in Homotopy().path(problem, top * np.array([1, 0.5, 0.1, 1e-3]), tol=1e-11):
            assert solution.converged, solution.message


@pytest.mark.parametrize("seed", [959, 2835])
def test_cycles_of_ties_are_broken(seed):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(1, 25, 2)
    A = (rng.integers(0, 2, size=(n, p)) if seed == 959 else rng.integers(-1, 2, size=(n, p))).astype(float)
    y = rng.integers(-3, 4, size=n).astype(float)
    problem = LassoProblem(A=A, y=y, alpha=1.0, fit_intercept=bool(rng.integers(2)))
    alphas = problem.alpha_max() * np.array([0.5, 0.1, 0.01])
    walk = _Walk(problem, 1e-13)
    for _ in range(100):
        walk.advance(alphas[-1], 10)
    assert walk.stuck
    assert all(solution.converged for solution in Homotopy().path(problem, alphas, tol=1e-11))


def test_path_is_one_walk_in_the_order_asked_for():
    A, y = ill_conditioned("walk", 40, 60)
    problem = LassoProblem(A=A, y=y, alpha=1.0)
    alphas = problem.alpha_max() * np.array([0.1, 0.5, 0.1, 2.0, 0.02])
    solutions = Homotopy().path(problem, alphas, tol=1e-10)
    steps = Homotopy().solve(replace(problem, alpha=alphas[-1]), tol=1e-10).n_iter
    assert sum(s.n_iter for s in solutions) <= steps + alphas.size
    for alpha, solution in zip(alphas, solutions, strict=True):
        single = Homotopy().solve(replace(problem, alpha=alpha), tol=1e-10)
        np.testing.assert_allclose(solution.x, single.x, atol=1e-8)
    assert not solutions[3].x.any()
    assert [s.dual is None for s in solutions] == [True] * 4 + [False]


def test_path_to_zero_penalty_and_from_it():
    A, y = ill_conditioned("walk", 30, 5)
    for alpha in (0.0, 1.0):
        problem = LassoProblem(A=A, y=y, alpha=alpha)
        solutions = Homotopy().path(problem, [0.1, 0.0], tol=1e-10)
        assert all(s.converged for s in solutions)
        np.testing.assert_allclose(solutions[1].x, np.linalg.lstsq(A, y)[0], atol=1e-8)


def test_long_walks_refactor():
    rng = np.random.default_rng(0)
    A, y = rng.normal(size=(300, 280)), rng.normal(size=300)
    problem = LassoProblem(A=A, y=y, alpha=1e-4 * LassoProblem(A=A, y=y, alpha=1.0).alpha_max())
    solution = Homotopy().solve(problem, tol=1e-13)
    assert solution.converged
    assert solution.n_iter > 250


def test_max_iter_keeps_a_certified_point():
    A, y = ill_conditioned("walk", 40, 60)
    problem = LassoProblem(A=A, y=y, alpha=0.01 * LassoProblem(A=A, y=y, alpha=1.0).alpha_max())
    solution = Homotopy(max_iter=5).solve(problem, tol=1e-10)
    assert solution.status == "max_iter"
    assert solution.n_iter == 5
    assert 0 < solution.certificate.relative < 1


def test_refuses_what_does_not_fit_into_memory():
    A = np.broadcast_to(1.0, (40000, 40000))
    problem = LassoProblem(A=A, y=np.zeros(40000), alpha=1.0)
    assert "GiB" in Homotopy().refuses(problem)
