"""Every backend against every other, generated from the capability table."""

import math

import numpy as np
import pytest

from estimand.solvers import get_solver, list_solvers
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.testing import check_solver, example_problems, qualifies

TOL = 1e-8
EXAMPLES = dict(example_problems("lasso"))
BACKENDS = [info.name for info in list_solvers("lasso") if info.available]

# (backend, example) -> relative gap that is asked for, where TOL is too much to ask.
TOLERANCES = {
    # Its stopping rule is in units of a correlation, of which those here span sixteen decades.
    ("skglm", "badly_scaled"): math.inf,
}
SKIPPED = {name: [example for backend, example in TOLERANCES if backend == name] for name in BACKENDS}


def cases(names):
    return [
        pytest.param(name, example, id=f"{name}-{example}")
        for name in names
        for example, problem in EXAMPLES.items()
        if qualifies(get_solver(name, "lasso"), problem)
    ]


def dense(problem):
    A = problem.A
    return np.asarray(A @ np.eye(A.shape[1]) if not hasattr(A, "toarray") else A.toarray(), dtype=np.float64)


def gap(problem, v):
    """The duality gap of `v` by a formula of its own: the residual, made orthogonal to the free span, then shrunk."""
    A, n = dense(problem), problem.y.size
    q = np.ones(n) if problem.sample_weight is None else problem.sample_weight
    root = np.sqrt(n * q / q.sum())[:, None]
    one = np.ones((n, 1)) if problem.fit_intercept else np.empty((n, 0))
    weights = np.ones(A.shape[1]) if problem.weights is None else problem.weights
    weights = np.where(np.isinf(weights), weights, weights * (problem.alpha + problem.l2 > 0))
    pen, free = (weights > 0) & np.isfinite(weights), weights == 0
    span = root * np.hstack([one, A[:, free]])
    u, s, _ = np.linalg.svd(span / np.maximum(np.linalg.norm(span, axis=0), 1e-300), full_matrices=False)
    u = u[:, s > 1e-10]
    y = (root * problem.y[:, None])[:, 0]
    r = y - (root * A) @ v
    if problem.fit_intercept:
        r = r - root[:, 0] * (root[:, 0] @ r) / (root[:, 0] @ root[:, 0])
    z = r - u @ (u.T @ r)
    z = z - u @ (u.T @ z)
    c = (root * A)[:, pen].T @ z / n
    c = c if problem.positive else np.abs(c)
    bound = problem.alpha * weights[pen]
    primal = r @ r / (2 * n) + bound @ np.abs(v[pen]) + problem.l2 / 2 * v[pen] @ v[pen]
    steps = [min(1.0, (bound[c > 0] / c[c > 0]).min(initial=np.inf)), 1.0]
    # Without a squared penalty only the first step is feasible.
    excess = [0.0, (np.maximum(c - bound, 0) ** 2).sum() / (2 * problem.l2) if problem.l2 else np.inf]
    return primal - max(
        (2 * a * (y @ z) - a * a * (z @ z)) / (2 * n) - e for a, e in zip(steps, excess, strict=True)
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    """The best objective value that any exact backend of this package finds, one an example."""
    found = {}

    def value(name):
        if name not in found:
            problem = EXAMPLES[name]
            solvers = [get_solver(b, "lasso") for b in ("fista", "cvxpy") if qualifies(get_solver(b, "lasso"), problem)]
            found[name] = min(solver.solve(problem, tol=1e-12).objective for solver in solvers)
        return found[name]

    return value


@pytest.mark.parametrize(("backend", "example"), cases(BACKENDS))
def test_backend_solves_example(backend, example, reference):
    problem = EXAMPLES[example]
    tol = TOLERANCES.get((backend, example), TOL)
    solution = get_solver(backend, "lasso").solve(problem, tol=tol)
    if math.isinf(tol):
        assert problem.certify(solution.x, tol=TOL).value >= problem.objective(solution.x) - reference(example)
        return
    rounding = 1e-13 * problem.scale
    assert solution.converged, f"{solution.status}: {solution.certificate.relative:.2e} {solution.message}"
    assert solution.objective - reference(example) <= tol * problem.scale
    # The certificate may use a dual point from earlier in the run; the formula here uses the last residual only.
    assert gap(problem, solution.x) <= 30 * tol * problem.scale + rounding
    assert gap(problem, solution.x) >= solution.objective - reference(example) - rounding


@pytest.mark.parametrize(("backend", "example"), cases(BACKENDS))
def test_excluded_and_vanishing_coefficients_are_exactly_zero(backend, example):
    problem = EXAMPLES[example]
    x = get_solver(backend, "lasso", max_iter=3).solve(problem, tol=1e-3, start=np.ones(problem.A.shape[1])).x
    assert np.all(x[problem.excluded] == 0)
    if problem.vanishes():
        assert np.all(x[problem.penalised] == 0)
    if problem.positive:
        assert np.all(x[problem.penalised] >= 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_contract(backend):
    check_solver(type(get_solver(backend, "lasso")), skip=SKIPPED[backend])


@pytest.mark.parametrize("backend", BACKENDS)
def test_path_solves_every_alpha(backend):
    problem = EXAMPLES["tall_f_order"]
    alphas = problem.alpha_max() * np.array([1.0, 0.5, 0.3, 0.1, 0.02])
    solutions = get_solver(backend, "lasso").path(problem, alphas, tol=TOL)
    assert len(solutions) == alphas.size
    for alpha, solution in zip(alphas, solutions, strict=True):
        item = LassoProblem(A=problem.A, y=problem.y, alpha=alpha)
        assert solution.converged
        assert gap(item, solution.x) <= 30 * TOL * problem.scale
    assert np.all(solutions[0].x == 0)


def test_the_examples_need_every_word():
    needed = frozenset().union(*(problem.needs() for problem in EXAMPLES.values()))
    assert needed == {
        "sparse", "operator", "float32", "weights", "free", "sample_weight", "positive", "l2", "intercept"
    }  # fmt: skip


def test_auto_has_a_backend_for_every_example():
    from estimand.solvers import resolve_solver

    for name, problem in EXAMPLES.items():
        solver, reason = resolve_solver("auto", problem)
        assert qualifies(solver, problem), name
        assert reason
