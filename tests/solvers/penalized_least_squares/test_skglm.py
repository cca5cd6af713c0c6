"""The adapter of skglm: the same penalties, honest certificates, refusals. The first calls compile."""

import numpy as np
import pytest

from estimand.exceptions import UnsupportedProblemError
from estimand.penalties import L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq
from estimand.solvers import get_solver, resolve_solver
from estimand.solvers.penalized_least_squares.coordinate_descent import CoordinateDescent
from estimand.solvers.penalized_least_squares.examples import random_instance

pytest.importorskip("skglm")


@pytest.mark.parametrize(
    "penalty", [L1(0.2), L1L2(0.2, 0.7), MCP(0.2), SCAD(0.2), LogSum(0.2), Lq(0.2), Lq(0.2, 2 / 3)], ids=repr
)
def test_both_mean_the_same_penalty(penalty):
    w = np.random.default_rng(0).standard_normal(50)
    translated = get_solver("skglm", "penalized_least_squares")._translate(random_instance(0, penalty))
    assert translated.value(w) == pytest.approx(penalty.value(w), rel=1e-12)


@pytest.mark.parametrize(("penalty", "kind"), [(L1(0.2), "csc"), (MCP(0.2), "dense"), (Lq(0.2), "dense")], ids=repr)
def test_certificates(penalty, kind):
    problem = random_instance(11, penalty, kind=kind, fit_intercept=True)
    solution = get_solver("skglm", problem).solve(problem, tol=1e-6)
    fresh = problem.certify(solution.x, tol=1e-6)
    assert solution.converged == fresh.converged
    assert solution.objective <= problem.objective(problem.initial_point())
    if not isinstance(penalty, Lq):  # there it may stop where a coordinate could still jump
        assert solution.converged
    if penalty.is_convex:
        own = CoordinateDescent().solve(problem, tol=1e-9)
        assert solution.objective == pytest.approx(own.objective, rel=2e-6)


@pytest.mark.parametrize("penalty", [L0(0.1), Lq(0.1, 0.3), CappedL1(0.1)], ids=repr)
def test_penalties_that_it_lacks_are_refused(penalty):
    with pytest.raises(UnsupportedProblemError, match=r"Use one of: .*coordinate_descent"):
        resolve_solver("skglm", random_instance(0, penalty))
