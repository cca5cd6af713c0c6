"""The adapter to scikit-learn for two classes: agreement with the Newton method, and what it refuses."""

import numpy as np
import pytest
from scipy import sparse
from statsmodels.datasets.fair import load_pandas

from estimand.exceptions import UnsupportedProblemError
from estimand.solvers import get_solver, resolve_solver
from estimand.solvers.ordinal.examples import random_data
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.presto.examples import random_problem
from estimand.solvers.presto.newton_cd import NewtonCD
from estimand.solvers.presto.sklearn import Sklearn
from estimand.solvers.testing import check_solver, qualifies

DATA = random_data(n_classes=2, seed=2)
WEIGHTS = np.array([0.5, 1.0, 2.0, 3.0])
ROW_WEIGHT = np.random.default_rng(0).integers(1, 4, 80).astype(np.float64)
THINNED = np.where(np.abs(DATA["X"]) < 0.5, 0.0, DATA["X"])
PROBLEMS = {
    "plain": random_problem(DATA),
    "small_alpha": random_problem(DATA, fraction=1e-3),
    "elastic_net": random_problem(DATA, l1_ratio=0.5),
    "squared_only": random_problem(DATA, l1_ratio=0.0),
    "base_penalty": random_problem(DATA, base_penalty=2.0),
    "elastic_net_and_base_penalty": random_problem(DATA, base_penalty=0.5, l1_ratio=0.3),
    "weights": random_problem(DATA, weights=WEIGHTS, base_penalty=3.0),
    "weights_squared_only": random_problem(DATA, weights=WEIGHTS, l1_ratio=0.0),
    "sample_weight": random_problem({**DATA, "sample_weight": ROW_WEIGHT}, weights=WEIGHTS),
    "f_ordered": random_problem({**DATA, "X": np.asfortranarray(DATA["X"])}),
    "csr": random_problem({**DATA, "X": sparse.csr_array(THINNED)}, weights=WEIGHTS),
    "csc": random_problem({**DATA, "X": sparse.csc_matrix(THINNED)}),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_agrees_with_newton(name):
    problem = PROBLEMS[name]
    assert qualifies(Sklearn(), problem)
    solution, newton = Sklearn().solve(problem, tol=1e-8), NewtonCD().solve(problem, tol=1e-10)
    assert solution.converged
    assert solution.objective == pytest.approx(newton.objective, rel=1e-12)
    np.testing.assert_allclose(solution.x.coef, newton.x.coef, atol=1e-6)
    np.testing.assert_allclose(solution.x.intercept, newton.x.intercept, atol=1e-6)


def test_contract():
    check_solver(Sklearn)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (random_problem(), "2 classes only, and here these are 4"),
        (random_problem(DATA, link="probit"), "other_links"),
        (random_problem(DATA, weights=WEIGHTS, l1_ratio=0.5), "elastic net has no weights"),
        (random_problem(DATA, fraction=0.0), "free"),
        (random_problem(DATA, base_penalty=0.0), "free"),
        (random_problem(random_data(30, 0, 2)), "needs at least one column"),
    ],
)
def test_what_it_cannot_state_is_refused(problem, reason):
    with pytest.raises(UnsupportedProblemError, match=reason):
        resolve_solver("sklearn", problem)


def test_problems_without_a_penalty_are_refused_by_the_solver_itself():
    for problem in (random_problem(DATA, fraction=0.0), random_problem(DATA, weights=np.array([0.0, 1.0, 1.0, 1.0]))):
        assert Sklearn().refuses(problem) == "it needs a penalty on each column"


def test_the_largest_penalty_leaves_the_exact_intercept():
    fair = load_pandas().data
    X = fair.drop(columns="affairs").to_numpy(dtype=np.float64)
    problem = PrestoProblem(X=X, y=np.where(fair["affairs"] > 0, 1, 0), n_classes=2, alpha=1.0)
    solution = Sklearn().solve(problem.at(problem.alpha_max()), tol=1e-8)
    assert solution.converged
    np.testing.assert_allclose(solution.x.intercept, problem.loss.null_intercepts, rtol=1e-12)


def test_a_time_limit_is_refused():
    problem = PROBLEMS["plain"]
    assert "time limit" in get_solver("sklearn", problem, time_limit=1.0).refuses(problem)


def test_max_iter_ends_a_run_without_a_warning(recwarn):
    solution = Sklearn(max_iter=2).solve(PROBLEMS["small_alpha"], tol=1e-8)
    assert (solution.status, solution.n_iter) == ("max_iter", 2)
    assert not recwarn.list
