"""The backends of proportional odds: agreement with Newton's method, statsmodels and R; refusals, limits, units."""

import time
import warnings

import numpy as np
import pytest

from estimand.exceptions import UnsupportedProblemError
from estimand.solvers import get_solver, resolve_solver
from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.ordinal.links import LINKS
from estimand.solvers.ordinal.problem import OrdinalPoint
from estimand.solvers.proportional_odds import ProportionalOddsProblem
from estimand.solvers.proportional_odds.cvxpy import CVXPY
from estimand.solvers.proportional_odds.examples import examples, random_problem
from estimand.solvers.proportional_odds.lbfgs import LBFGS, _Smooth
from estimand.solvers.proportional_odds.newton import Newton
from estimand.solvers.proportional_odds.statsmodels import Statsmodels
from estimand.solvers.testing import check_solver, qualifies

EXAMPLES = dict(examples())
BACKENDS = {"cvxpy": CVXPY, "lbfgs": LBFGS, "statsmodels": Statsmodels}
CASES = [
    pytest.param(solver, example, id=f"{name}-{example}")
    for name, solver in BACKENDS.items()
    for example, problem in EXAMPLES.items()
    if qualifies(solver(), problem)
]
#: Log-likelihoods of R's ordinal::clm for selfLR ~ logpopul + TVnews + PID + age + educ + income.
ANES96 = {"logit": -1368.32766498816, "probit": -1382.27970965}


def reference(problem):
    solution = Newton().solve(problem, tol=1e-10)
    assert solution.converged
    return solution


@pytest.fixture(scope="module")
def anes96():
    """Return a function from links to problems, for features in their own units."""
    datasets = pytest.importorskip("statsmodels.datasets")
    data = datasets.anes96.load_pandas().data
    X = data[["logpopul", "TVnews", "PID", "age", "educ", "income"]].to_numpy(dtype=np.float64)
    y = data["selfLR"].to_numpy().astype(np.int32) - 1
    return lambda link="logit": ProportionalOddsProblem(X=X, y=y, n_classes=7, alpha=0.0, link=link)


@pytest.mark.parametrize(("solver", "example"), CASES)
def test_backends_agree_with_newton(solver, example):
    problem = EXAMPLES[example]
    solution, newton = solver().solve(problem, tol=1e-8), reference(problem)
    assert solution.converged, solution.message
    assert solution.objective == pytest.approx(newton.objective, rel=1e-12)
    if example != "duplicate_column":
        np.testing.assert_allclose(solution.x.coef, newton.x.coef, atol=1e-6)
        np.testing.assert_allclose(solution.x.intercept, newton.x.intercept, atol=1e-6)
    assert np.all(np.diff(solution.x.intercept) < 0)


@pytest.mark.parametrize("solver", BACKENDS.values(), ids=BACKENDS)
def test_contract(solver):
    check_solver(solver)
    check_solver(solver, tol=1e-8)


@pytest.mark.parametrize("link", ANES96)
@pytest.mark.parametrize("backend", ["newton", "lbfgs", "statsmodels"])
def test_the_log_likelihoods_of_r(anes96, backend, link):
    problem = anes96(link)
    solution = get_solver(backend, problem).solve(problem, tol=1e-8)
    assert solution.converged
    assert -problem.y.size * solution.objective == pytest.approx(ANES96[link], abs=6e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_newton_and_statsmodels(anes96, link):
    ordinal_model = pytest.importorskip("statsmodels.miscmodels.ordinal_model")
    problem, newton = anes96(link), reference(anes96(link))
    model = ordinal_model.OrderedModel(problem.y, problem.X, distr=link)
    fit = model.fit(method="bfgs", gtol=1e-7, disp=False)
    assert -problem.y.size * newton.objective == pytest.approx(fit.llf, abs=1e-8)
    np.testing.assert_allclose(newton.x.coef[0], fit.params[:6], rtol=1e-4)
    np.testing.assert_allclose(-newton.x.intercept, model.transform_threshold_params(fit.params)[1:-1], rtol=1e-4)
    adapter = Statsmodels().solve(problem, tol=1e-8)
    np.testing.assert_allclose(adapter.x.coef, newton.x.coef, rtol=1e-6)
    np.testing.assert_allclose(adapter.x.intercept, newton.x.intercept, rtol=1e-6)


@pytest.mark.parametrize("example", ["lasso", "elastic_net", "weights", "everything"])
def test_lbfgs_refuses_an_l1_penalty(example):
    with pytest.raises(UnsupportedProblemError, match=r"must be smooth: with an l1 penalty use 'newton', or 'cvxpy'"):
        resolve_solver("lbfgs", EXAMPLES[example])


def test_lbfgs_takes_what_has_no_l1_part():
    for alpha, l1_ratio in ((0.0, 1.0), (0.1, 0.0)):
        problem = ProportionalOddsProblem(**random_data(), alpha=alpha, l1_ratio=l1_ratio)
        assert LBFGS().refuses(problem) is None
    assert "memory=0" in LBFGS(memory=0).refuses(problem)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (random_problem(link="cloglog"), "the links logit and probit, not cloglog"),
        (random_problem(link="loglog"), "the links logit and probit, not loglog"),
        (random_problem(fraction=0.1), "no penalty, but alpha is 0.0258"),
        (random_problem({**random_data(30, 0, 3), "X": np.empty((30, 0))}), "at least one column"),
        (EXAMPLES["csr"], "does not support sparse"),
        (EXAMPLES["sample_weight"], "does not support sample_weight"),
    ],
    ids=["cloglog", "loglog", "penalty", "no_features", "sparse", "sample_weight"],
)
def test_statsmodels_refuses(problem, words):
    with pytest.raises(UnsupportedProblemError, match=words + r".*Use one of: .*'newton'"):
        resolve_solver("statsmodels", problem)


def test_cvxpy_refuses():
    with pytest.raises(UnsupportedProblemError, match="other_links"):
        resolve_solver("cvxpy", random_problem(link="probit"))
    with pytest.raises(UnsupportedProblemError, match="up to 50000 rows times boundaries, and here these are 50002"):
        resolve_solver("cvxpy", random_problem(random_data(25_001, 1, 3)))


@pytest.mark.parametrize("solver", BACKENDS.values(), ids=BACKENDS)
def test_limits_end_a_run(solver):
    problem = EXAMPLES["seven_classes"]
    for options, status in (({"max_iter": 2}, "max_iter"), ({"time_limit": 1e-9}, "time_limit")):
        solution = solver(**options).solve(problem, tol=1e-8)
        assert solution.status == status
        assert solution.n_iter <= 2
        assert np.isfinite(solution.objective)
    longer = solver(time_limit=1000.0).solve(problem, tol=1e-8)
    assert longer.status == "converged"


@pytest.mark.parametrize("solver", [LBFGS, Statsmodels])
def test_a_time_limit_is_kept(solver):
    problem = random_problem(random_data(20_000, 20, 6))
    began = time.perf_counter()
    solution = solver(time_limit=0.05).solve(problem, tol=1e-13)
    assert solution.status == "time_limit"
    assert time.perf_counter() - began < 5.0


@pytest.mark.parametrize("solver", BACKENDS.values(), ids=BACKENDS)
def test_silence(solver, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for max_iter in (3, 300):
            solver(max_iter=max_iter).solve(EXAMPLES["seven_classes"], tol=1e-8)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("solver", [LBFGS, Statsmodels])
def test_starts(solver):
    problem = EXAMPLES["plain"]
    first = solver().solve(problem, tol=1e-8)
    assert solver().solve(problem, start=reference(problem), tol=1e-8).n_iter == 0
    near = OrdinalPoint(first.x.intercept + 1e-3, first.x.coef)
    assert solver().solve(problem, start=near, tol=1e-8).n_iter < first.n_iter
    outside = OrdinalPoint(np.zeros(3), np.ones((1, 4)))
    assert solver().solve(problem, start=outside, tol=1e-8).converged


@pytest.mark.parametrize("solver", [LBFGS, Statsmodels])
def test_a_constant_column(solver):
    data = random_data(200, 3, 4, seed=5)
    data["X"] = np.hstack([data["X"], np.ones((200, 1))])
    problem = random_problem(data)
    solution = solver().solve(problem, tol=1e-7)
    assert solution.converged
    assert solution.objective == pytest.approx(reference(problem).objective, rel=1e-12)


@pytest.mark.parametrize("example", [example for solver, example in (case.values for case in CASES) if solver is LBFGS])
def test_lbfgs_goes_beyond_the_rounding_of_the_objective(example):
    assert LBFGS().solve(EXAMPLES[example], tol=1e-11).converged


def test_lbfgs_stops_when_the_tolerance_is_met():
    steps = [LBFGS().solve(EXAMPLES["wide_ridge"], tol=tol).n_iter for tol in (1e-2, 1e-4, 1e-8)]
    assert steps == sorted(set(steps))
    watched = LBFGS().solve(EXAMPLES["wide_ridge"], tol=1e-4)
    assert [check.certified for check in watched.history] == [True, *[False] * (watched.n_iter - 1), True]


def test_lbfgs_bounds_the_suboptimality_if_asked_to():
    problem = random_problem(fraction=0.1, l1_ratio=0.0, gap_tol=1e-10)
    solution = LBFGS().solve(problem, tol=1e-3)
    assert solution.converged
    assert solution.certificate.parts["gap"] <= 1e-10 * problem.loss.null_value


@pytest.mark.parametrize("fraction", [0.0, 0.1])
@pytest.mark.parametrize("link", LINKS)
def test_lbfgs_does_not_mind_units(link, fraction):
    data = random_data(300, 5, 4, seed=3)
    units = np.array([1e-4, 1e-2, 1.0, 1e2, 1e4])
    plain = random_problem(data, link=link, fraction=fraction, l1_ratio=0.0, weights=np.ones(5))
    data["X"] = data["X"] * units
    other = ProportionalOddsProblem(**data, link=link, alpha=plain.alpha, l1_ratio=0.0, weights=units**2)
    solutions = [LBFGS().solve(problem, tol=1e-10) for problem in (plain, other)]
    assert solutions[0].objective == pytest.approx(reference(plain).objective, rel=1e-13)
    assert solutions[1].objective == pytest.approx(solutions[0].objective, rel=1e-8)
    assert abs(solutions[1].n_iter - solutions[0].n_iter) <= 10


@pytest.mark.parametrize("example", ["plain", "binary", "csr", "sample_weight", "wide_ridge", "cloglog"])
def test_the_gradient_in_ordered_coordinates(example):
    problem = EXAMPLES[example]
    rng = np.random.default_rng(0)
    smooth = _Smooth(problem, problem.initial_point())
    theta = smooth.theta + 0.1 * rng.standard_normal(smooth.theta.size)
    _, gradient = smooth(theta)
    np.testing.assert_allclose(smooth.value, problem.objective(smooth.x), rtol=1e-14)
    step = 1e-6
    for j, unit in enumerate(np.eye(theta.size)):
        change = smooth(theta + step * unit)[0] - smooth(theta - step * unit)[0]
        assert change / (2 * step) == pytest.approx(gradient[j], abs=2e-9)


def test_changes_near_the_origin_have_more_digits_than_the_objective():
    problem = EXAMPLES["plain"]
    smooth = _Smooth(problem, reference(problem).x)
    direction = np.random.default_rng(1).standard_normal(smooth.theta.size)
    direction /= np.linalg.norm(direction)
    origin = smooth.theta
    curvature = [smooth(origin + step * direction)[0] / step**2 for step in (1e-8, 1e-6, 1e-5, 1e-3)]
    np.testing.assert_allclose(curvature, curvature[-1], rtol=1e-2)


def test_outside_the_domain_the_objective_is_a_bowl():
    problem = EXAMPLES["cloglog"]
    smooth = _Smooth(problem, problem.initial_point())
    far = smooth.theta.copy()
    far[0] += 1000.0
    assert problem.objective(OrdinalPoint(problem.initial_point().intercept + 1000.0, np.zeros((1, 4)))) == np.inf
    value, gradient = smooth(far)
    assert value == pytest.approx(1e6)
    assert gradient[0] == pytest.approx(2000.0)
