"""How good the minima are that the backends find where there are many: on patches of photographs, and exactly."""

from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from estimand import LqDictionaryLearning, PenalizedSparseCoder
from estimand.datasets import extract_whitened_patches
from estimand.penalties import CEL0, L0, Lq
from estimand.solvers import get_solver
from estimand.solvers.sparse_coding import SparseCodingProblem


@cache
def images():
    return load_sample_images().images


def patches(n_signals, size, n_atoms, seed):
    """Whitened patches, and other ones of length 1 as atoms."""
    X = extract_whitened_patches(images(), n_signals + n_atoms, size, random_state=seed)
    D = X[n_signals:]
    return X[:n_signals], D / np.linalg.norm(D, axis=1, keepdims=True)


def objective(backend, X, D, penalty, **options):
    problem = SparseCodingProblem(X=X, D=D, penalty=penalty)
    solution = get_solver(backend, problem, **options).solve(problem, tol=1e-6)
    assert solution.converged
    return problem.objectives(solution.x)


@pytest.mark.parametrize("seed", [101, 102])
def test_continuation_finds_better_minima_than_descent_and_thresholding(seed):
    X, D = patches(300, 12, 288, seed)
    graduated = objective("graduated", X, D, L0(0.12)).mean()
    assert graduated <= 0.85 * objective("cyclic_cd", X, D, L0(0.12)).mean()
    thresholding = SparseCodingProblem(X=X, D=D, penalty=CEL0(0.12))
    stopped = get_solver("ista", thresholding, polish=False, max_iter=2000).solve(thresholding, tol=1e-6)
    assert graduated <= 0.95 * thresholding.objective(stopped.x) / 300
    assert objective("graduated", X, D, L0(0.12), continuation="thorough").mean() <= graduated * 1.01


@pytest.mark.parametrize("seed", [103, 104])
def test_continuation_helps_lq_too(seed):
    X, D = patches(300, 12, 288, seed)
    graduated = objective("graduated", X, D, Lq(0.2, 0.5)).mean()
    assert graduated <= objective("working_set_cd", X, D, Lq(0.2, 0.5)).mean()
    assert graduated <= 0.97 * objective("cyclic_cd", X, D, Lq(0.2, 0.5)).mean()


def test_continuation_comes_close_to_the_global_minimum():
    excess = {"graduated": [], "cyclic_cd": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        D = rng.standard_normal((12, 8))
        D *= np.exp(rng.uniform(-1, 1, (12, 1))) / np.linalg.norm(D, axis=1, keepdims=True)
        X = 0.5 * rng.standard_normal((40, 8))
        best = objective("enumerate", X, D, L0(0.1))
        for backend, found in excess.items():
            values = objective(backend, X, D, L0(0.1))
            assert np.all(values >= best - 1e-10)
            found.append(values.mean() / best.mean() - 1)
    assert max(excess["graduated"]) <= 0.2
    assert np.mean(excess["graduated"]) <= 0.08
    assert np.mean(excess["graduated"]) < 0.6 * np.mean(excess["cyclic_cd"])


@pytest.mark.slow
def test_at_equal_activity_l1_errs_more_than_penalties_nearer_to_l0():
    X = extract_whitened_patches(images(), 21_500, 12, random_state=105)
    train, held = X[:20_000], X[20_000:]
    strengths = {
        ("l1", 0.5): (0.2, 0.4, 0.7),
        ("l0", 0.5): (0.03, 0.06, 0.15),
        ("lq", 0.5): (0.06, 0.12, 0.25),
        ("lq", 2 / 3): (0.08, 0.15, 0.3),
    }
    errors = {}
    for (penalty, q), alphas in strengths.items():
        points = []
        for alpha in alphas:
            options = {"penalty": penalty, "q": q, "alpha": alpha, "solver": "working_set_cd"}
            model = LqDictionaryLearning(288, max_iter=1, tol=0, random_state=0, **options).fit(train)
            coder = PenalizedSparseCoder(model.components_, **options)
            codes = coder.transform(held)
            error = np.sum((held - codes @ model.components_) ** 2) / np.sum(held**2)
            points.append((np.count_nonzero(codes) / len(held), error))
        active, error = np.array(sorted(points)).T
        assert active[0] < 8 < active[-1]
        errors[penalty, q] = np.exp(np.interp(8, active, np.log(error)))
    for rival in list(strengths)[1:]:
        assert errors["l1", 0.5] >= 1.6 * errors[rival], errors


def test_codes_do_not_run_away_along_directions_that_the_signal_does_not_see():
    # Patches have mean 0, so that 512 atoms of 256 pixels have rank 255.
    X, D = patches(1000, 16, 512, 0)
    problem = SparseCodingProblem(X=X, D=D, penalty=L0(0.0177))
    solution = get_solver("graduated", problem).solve(problem, tol=1e-6)
    assert solution.converged
    assert solution.n_iter < 100
    assert np.all(np.abs(solution.x).max(axis=1) <= 100 * np.linalg.norm(X, axis=1))
