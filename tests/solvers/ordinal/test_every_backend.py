"""Every backend of the cumulative-link problems against every other, generated from the capability table."""

import numpy as np
import pytest
from scipy import sparse, special, stats

from estimand.solvers import get_solver, list_solvers, resolve_solver
from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.testing import check_solver, example_problems, qualifies

TOL = 1e-7
PROBLEMS = ("presto", "proportional_odds")
PROBLEM_WORDS = {"presto": {"monotone_train", "monotone_box"}, "proportional_odds": set()}
EXAMPLES = {name: dict(example_problems(name)) for name in PROBLEMS}
BACKENDS = [(name, info.name) for name in PROBLEMS for info in list_solvers(name) if info.available]
CASES = [
    pytest.param(name, backend, example, id=f"{name}-{backend}-{example}")
    for name, backend in BACKENDS
    for example, problem in EXAMPLES[name].items()
    if qualifies(get_solver(backend, name), problem)
]

CDF = {
    "logit": special.expit,
    "probit": stats.norm.cdf,
    "cloglog": lambda t: -np.expm1(-np.exp(t)),
    "loglog": lambda t: np.exp(-np.exp(-t)),
}
DENSITY = {
    "logit": lambda t: special.expit(t) * special.expit(-t),
    "probit": stats.norm.pdf,
    "cloglog": lambda t: np.exp(t - np.exp(t)),
    "loglog": lambda t: np.exp(-t - np.exp(-t)),
}


def objective_and_residual(problem, x):
    """The objective and the relative fixed-point residual of a point, by formulas of their own."""
    X = problem.X.toarray() if hasattr(problem.X, "toarray") else np.asarray(problem.X)
    n, m = problem.y.size, problem.n_classes - 1
    w = np.ones(n) if problem.sample_weight is None else problem.sample_weight
    w = w / w.sum()
    slopes = np.cumsum(x.coef, axis=0) if problem.name == "presto" else np.repeat(x.coef, m, axis=0)
    eta = x.intercept + X @ slopes.T
    F, f = CDF[problem.link], DENSITY[problem.link]
    above = np.hstack([np.ones((n, 1)), F(eta), np.zeros((n, 1))])
    rows = np.arange(n)
    p = above[rows, problem.y] - above[rows, problem.y + 1]
    # Boundary k (from 1) lowers the probability of class k - 1 and raises that of class k.
    indicator = (problem.y[:, None] == np.arange(1, m + 1)).astype(float) - (problem.y[:, None] == np.arange(m))
    G = -(w / p)[:, None] * indicator * f(eta)
    gradient = G.T @ X
    coef_gradient = np.cumsum(gradient[::-1], axis=0)[::-1] if problem.name == "presto" else gradient.sum(0)[None]
    v = np.tile(np.ones(X.shape[1]) if problem.weights is None else problem.weights, (x.coef.shape[0], 1))
    if problem.name == "presto":
        v[0] *= problem.base_penalty
    l1, l2 = problem.alpha * problem.l1_ratio * v, problem.alpha * (1 - problem.l1_ratio) * v
    value = -(w @ np.log(p)) + np.sum(l1 * np.abs(x.coef)) + np.sum(l2 * x.coef**2) / 2
    z = x.coef - coef_gradient - l2 * x.coef
    moved = np.abs(x.coef - np.sign(z) * np.maximum(np.abs(z) - l1, 0))
    return value, max(moved.max(initial=0), np.abs(G.sum(axis=0)).max()) / problem.scale


@pytest.fixture(scope="module")
def reference():
    """The best objective that any backend finds, one an example."""
    found = {}

    def value(name, example):
        if (name, example) not in found:
            problem = EXAMPLES[name][example]
            solvers = [get_solver(backend, name) for problem_name, backend in BACKENDS if problem_name == name]
            solved = [solver.solve(problem, tol=1e-9) for solver in solvers if qualifies(solver, problem)]
            found[name, example] = min(problem.objective(solution.x) for solution in solved)
        return found[name, example]

    return value


@pytest.mark.parametrize(("name", "backend", "example"), CASES)
def test_backend_solves_example(name, backend, example, reference):
    problem = EXAMPLES[name][example]
    solution = get_solver(backend, name).solve(problem, tol=TOL)
    assert solution.converged, f"{solution.status}: {solution.certificate.relative:.2e} {solution.message}"
    value, residual = objective_and_residual(problem, solution.x)
    assert solution.objective == pytest.approx(value, rel=1e-12)
    if getattr(problem, "constrained", False):
        assert np.diff(problem.predictors(solution.x), axis=1).max() <= TOL
    else:
        assert residual <= TOL * (1 + 1e-6) + 1e-13
    assert solution.objective - reference(name, example) <= 1e-7 * value
    certificate = problem.certify(solution.x, tol=TOL)
    assert certificate.lower <= reference(name, example) + 1e-14


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_contract(name, backend):
    check_solver(type(get_solver(backend, name)))


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_path_solves_every_alpha(name, backend):
    problem = EXAMPLES[name]["ridge" if name == "proportional_odds" else "plain"]
    solver = get_solver(backend, name)
    if not qualifies(solver, problem):
        pytest.skip("no penalties")
    for alpha, solution in zip(
        fractions := problem.scale * np.array([1.0, 0.3, 0.03]), solver.path(problem, fractions, tol=TOL), strict=True
    ):
        assert objective_and_residual(problem.at(alpha), solution.x)[1] <= TOL * (1 + 1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_auto_has_a_backend_for_every_example(name):
    for example, problem in EXAMPLES[name].items():
        solver, reason = resolve_solver("auto", problem)
        assert qualifies(solver, problem), example
        assert reason


def test_auto_avoids_pairs_of_very_many_sparse_features():
    data = random_data(30, 4, 3)
    X = sparse.csr_array((30, 20_001))
    wide = PrestoProblem(**{**data, "X": X}, alpha=0.1)
    assert resolve_solver("auto", wide)[0].name == "fista"
    assert resolve_solver("auto", PrestoProblem(**{**data, "X": X[:, :100]}, alpha=0.1))[0].name == "newton_cd"


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_examples_need_every_word(name):
    needed = frozenset().union(*(problem.needs() for problem in EXAMPLES[name].values()))
    assert needed == {"sparse", "weights", "sample_weight", "l2", "free", "other_links"} | PROBLEM_WORDS[name]
