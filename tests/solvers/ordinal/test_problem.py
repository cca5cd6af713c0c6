import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from estimand.solvers import get_solver, resolve_solver
from estimand.solvers.certificate import changed
from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.ordinal.problem import OrdinalPoint
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.presto.barrier import BarrierLikelihood
from estimand.solvers.presto.examples import examples, random_problem
from estimand.solvers.presto.newton_cd import NewtonCD
from estimand.solvers.proportional_odds import ProportionalOddsProblem


@pytest.mark.parametrize("polished", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"l1_ratio": 0.5}, {"l1_ratio": 0.0}, {"weights": np.array([0.5, 1.0, 2.0, 4.0])}, {"link": "probit"},
     {"link": "cloglog"}, {"link": "loglog"}],
)  # fmt: skip
def test_the_gap_bounds_the_suboptimality_at_any_point(options, polished):
    rng = np.random.default_rng(0)
    problem = random_problem(fraction=0.05, **options)
    best = get_solver("newton_cd", problem).solve(problem, tol=1e-12)
    checked = 0
    for size in np.geomspace(1e-6, 1, 60):
        coef = best.x.coef + size * rng.standard_normal(best.x.coef.shape) * (rng.uniform(size=best.x.coef.shape) < 0.5)
        intercept = best.x.intercept + size * rng.standard_normal(best.x.intercept.size)
        if polished:
            intercept = polish(problem, coef, best.x.intercept)
        certificate = problem.certify(OrdinalPoint(intercept, coef), tol=1.0)
        if math.isfinite(certificate.upper):
            checked += 1
            assert certificate.parts["gap"] >= certificate.upper - best.objective - 1e-15
            assert certificate.lower <= best.objective + 1e-15
    assert checked > 30


def polish(problem, coef, intercept):
    """Minimise over the intercepts by Newton steps that are halved until they help."""
    for _ in range(30):
        here = problem.loss.derivatives(problem.predictors(OrdinalPoint(intercept, coef)))
        if not math.isfinite(here.value):
            return intercept
        step = np.cumsum(-np.linalg.solve(here.intercept_hessian(), here.total_gradient))
        while problem.loss.value(problem.predictors(OrdinalPoint(intercept + step, coef))) > here.value + 1e-15:
            step = step / 2
        intercept = intercept + step
    return intercept


def test_without_the_term_of_the_intercepts_the_gap_would_be_no_bound():
    problem = random_problem(fraction=0.05)
    best = get_solver("newton_cd", problem).solve(problem, tol=1e-12)
    x = OrdinalPoint(best.x.intercept + 0.3, best.x.coef)
    certificate = problem.certify(x, tol=1.0)
    gradient = certificate.byproducts["gradient"]
    excess = np.abs(gradient.coef).max() / problem.alpha - 1
    incomplete = (
        np.sum(gradient.coef * x.coef + problem.thresholds * np.abs(x.coef)) + max(excess, 0) * certificate.upper
    )
    full = certificate.parts["gap"]
    assert full > incomplete


@pytest.mark.parametrize("finished", [False, True])
def test_with_constraints_the_gap_bounds_the_suboptimality(finished):
    problem = dict(examples())["train_crossing"]
    best = NewtonCD(max_iter=1000).solve(problem, tol=1e-7)
    unconstrained = NewtonCD().solve(replace(problem, monotone="likelihood"), tol=1e-8)
    assert best.objective > unconstrained.objective + 0.1
    for beta in np.geomspace(0.1, 1e-6, 15):
        loss = BarrierLikelihood(problem.loss, beta)
        easier = changed(problem, monotone="likelihood", likelihood=loss)
        x = NewtonCD(100 if finished else 3).solve(easier, tol=1e-9).x
        certificate = problem.certify(x, loss.multipliers(problem.predictors(x)), tol=1e-6)
        assert certificate.parts["gap"] >= certificate.upper - best.objective - 1e-9
        assert certificate.lower <= best.objective + 1e-9
        assert certificate.parts["violation"] == 0
        if finished:
            assert certificate.parts["complementarity"] <= beta / problem.loss.null_value


def test_the_barrier_has_the_derivatives_of_its_value():
    problem = dict(examples())["train"]
    loss = BarrierLikelihood(problem.loss, 0.05)
    rng = np.random.default_rng(0)
    eta = np.sort(rng.standard_normal((problem.y.size, 3)), axis=1)[:, ::-1].copy()
    here, h = loss.derivatives(eta), 1e-6
    assert here.value == pytest.approx(loss.value(eta), rel=1e-14)
    for boundary in range(3):
        shift = np.zeros(3)
        shift[boundary:] = h
        slope = (loss.value(eta + shift) - loss.value(eta - shift)) / (2 * h)
        assert here.total_gradient[boundary] == pytest.approx(slope, rel=1e-7)
        bend = (loss.derivatives(eta + shift).total_gradient - loss.derivatives(eta - shift).total_gradient) / (2 * h)
        np.testing.assert_allclose(here.intercept_hessian()[boundary], bend, rtol=1e-6, atol=1e-9)
    assert loss.value(eta[:, ::-1].copy()) == math.inf


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
def test_the_null_model_has_the_class_shares(link):
    problem = random_problem(link=link)
    x = problem.initial_point()
    assert problem.loss.value(problem.predictors(x)) == pytest.approx(problem.loss.null_value, rel=1e-13)
    shares = np.bincount(problem.y) / problem.y.size
    assert problem.loss.null_value == pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-14)
    assert np.abs(problem.gradient(problem.loss.derivatives(problem.predictors(x))).intercept).max() < 1e-15


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
def test_the_null_model_is_differentiated_class_by_class(link, weighted):
    data = random_data(seed=4)
    weight = np.random.default_rng(0).uniform(0.1, 3.0, data["y"].size) if weighted else None
    problem = random_problem({**data, "sample_weight": weight}, link=link)
    losses = [problem.loss, BarrierLikelihood(problem.loss, 0.1)]
    for loss in losses:
        expected = loss.derivatives(problem.predictors(problem.initial_point()))
        for part, other in zip(loss.null_derivatives(), expected, strict=True):
            if other is not None:
                np.testing.assert_allclose(part, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_alpha_max_is_the_smallest_that_gives_the_null_model(l1_ratio):
    problem = random_problem(l1_ratio=l1_ratio)
    top = problem.alpha_max()
    assert problem.at(top).certify(problem.initial_point(), tol=1e-12).converged
    below = get_solver("newton_cd", problem).solve(problem.at(0.99 * top), tol=1e-10)
    assert np.count_nonzero(below.x.coef) == 1


def test_alpha_max_with_a_free_base_starts_from_proportional_odds():
    data = random_data()
    problem = PrestoProblem(**data, alpha=1e6, base_penalty=0.0)
    x = get_solver("newton_cd", problem).solve(problem, tol=1e-12).x
    odds = ProportionalOddsProblem(**data, alpha=0.0)
    expected = get_solver("newton", odds).solve(odds, tol=1e-12)
    np.testing.assert_allclose(x.coef[0], expected.x.coef[0], rtol=1e-9)
    np.testing.assert_allclose(x.intercept, expected.x.intercept, rtol=1e-9)
    assert np.all(x.coef[1:] == 0)
    top = problem.alpha_max(x)
    assert problem.at(top).certify(x, tol=1e-9).converged
    assert not problem.at(0.99 * top).certify(x, tol=1e-4).converged


def test_at_shares_everything_but_the_strength():
    problem = random_problem()
    at = problem.at(0.2)
    fresh = replace(problem, alpha=0.2)
    assert at.likelihood is problem.likelihood
    assert at.null_gradient is problem.null_gradient
    x = problem.initial_point()
    assert at.certify(x, tol=1.0).value == fresh.certify(x, tol=1.0).value
    with pytest.raises(ValueError, match=r"alpha=-1.0 must be"):
        problem.at(-1.0)


def test_the_hessian_is_the_derivative_of_the_gradient():
    for problem in (random_problem(), ProportionalOddsProblem(**random_data(), alpha=0.1)):
        rng = np.random.default_rng(1)
        x = problem.initial_point()
        x = OrdinalPoint(x.intercept, 0.05 * rng.standard_normal(x.coef.shape))

        def slope(x, problem=problem):
            derivatives = problem.loss.derivatives(problem.predictors(x))
            return problem.stacked(derivatives.total_gradient, problem.coef_gradient(derivatives))

        H = problem.loss_hessian(problem.X, problem.loss.derivatives(problem.predictors(x)))
        h = 1e-6
        for block in range(2):
            for index in np.ndindex(x[block].shape):
                change = np.zeros(x.intercept.shape), np.zeros(x.coef.shape)
                change[block][index] = h
                # Changing a coordinate of the intercepts moves all boundaries from there on.
                ends = [
                    slope(OrdinalPoint(x.intercept + s * np.cumsum(change[0]), x.coef + s * change[1])) for s in (1, -1)
                ]
                row = int(np.flatnonzero(problem.stacked(*change))[0])
                np.testing.assert_allclose(H[row], (ends[0] - ends[1]) / (2 * h), atol=1e-9)


def test_degrees_of_freedom():
    problem = random_problem(fraction=0.05)
    x = get_solver("newton_cd", problem).solve(problem, tol=1e-8).x
    assert problem.degrees_of_freedom(x) == 3 + np.count_nonzero(x.coef)
    ridge = random_problem(fraction=0.05, l1_ratio=0.0)
    x = get_solver("newton_cd", ridge).solve(ridge, tol=1e-8).x
    H = ridge.loss_hessian(ridge.X, ridge.loss.derivatives(ridge.predictors(x)))
    D = np.diag(ridge.stacked(np.zeros(3), ridge.ridge))
    assert ridge.degrees_of_freedom(x) == pytest.approx(np.trace(np.linalg.solve(H + D, H)), rel=1e-10)


def test_binary_problem_is_logistic_regression():
    problem = random_problem(random_data(n_classes=2))
    x = OrdinalPoint(np.array([0.3]), 0.1 * np.ones((1, 4)))
    score = 0.3 + problem.X @ x.coef[0]
    loss = -np.mean(np.where(problem.y == 1, special.log_expit(score), special.log_expit(-score)))
    assert problem.objective(x) == pytest.approx(loss + problem.alpha * 0.4, rel=1e-14)


def test_outside_the_domain_the_certificate_is_infinite():
    problem = random_problem()
    x = problem.initial_point()
    crossed = OrdinalPoint(x.intercept[::-1].copy(), x.coef)
    assert problem.objective(crossed) == math.inf
    assert not problem.certify(crossed, tol=1.0).converged
    solution = get_solver("newton_cd", problem).solve(problem, start=crossed, tol=1e-8)
    assert solution.converged


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(3, dtype=int)}, "y has shape"),
        ({"n_classes": 1}, "n_classes=1"),
        ({"n_classes": 3}, "y must hold classes"),
        ({"n_classes": 5}, "class 4 has no row"),
        ({"alpha": -0.1}, "alpha=-0.1"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"l1_ratio": 1.5}, "l1_ratio=1.5"),
        ({"link": "cauchit"}, "link='cauchit'"),
        ({"gap_tol": 0.0}, "gap_tol"),
        ({"base_penalty": -1.0}, "base_penalty"),
        ({"weights": np.ones(3)}, "weights has shape"),
        ({"weights": np.array([1.0, -1.0, 1.0, 1.0])}, "weights must be"),
        ({"weights": np.array([1.0, np.inf, 1.0, 1.0])}, "weights must be"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"sample_weight": np.zeros(80)}, "sample_weight must be"),
    ],
)
def test_bad_fields(change, message):
    with pytest.raises(ValueError, match=message):
        PrestoProblem(**{**random_data(), "alpha": 0.1, **change})


def test_columns_in_very_different_units():
    data = random_data(200, 4)
    unit = np.array([1e-4, 1e4, 1.0, 1e2])
    for kind in (ProportionalOddsProblem, PrestoProblem):
        problem = kind(**{**data, "X": data["X"] * unit}, alpha=0.0)
        plain = replace(problem, X=data["X"])
        solver = resolve_solver("auto", problem)[0]
        solution, best = solver.solve(problem, tol=1e-12), solver.solve(plain, tol=1e-10)
        assert solution.objective == pytest.approx(best.objective, rel=1e-10)
