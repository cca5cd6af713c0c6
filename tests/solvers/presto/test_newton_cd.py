"""The proximal Newton method: what a path hands on, and how much memory it takes."""

import tracemalloc

import numpy as np
import pytest

from estimand import presto_path
from estimand.datasets import make_ordinal_regression
from estimand.solvers.certificate import changed
from estimand.solvers.presto.examples import random_problem
from estimand.solvers.presto.newton_cd import NewtonCD


def test_a_solution_can_be_started_from_any_number_of_times():
    problem = random_problem()
    first = NewtonCD().solve(problem, tol=1e-10)
    easier = problem.at(0.5 * problem.alpha)
    again = [NewtonCD().solve(easier, start=first, tol=1e-10) for _ in range(3)]
    cold = NewtonCD().solve(easier, tol=1e-10)
    for solution in again:
        assert solution.converged
        np.testing.assert_allclose(solution.x.coef, cold.x.coef, atol=1e-9)


def test_the_arrays_that_it_overwrites_are_not_shown_to_callbacks():
    seen = []
    solution = NewtonCD().solve(random_problem(), tol=1e-10, callback=seen.append)
    assert solution.converged
    certificates = [state.certificate for state in seen if state.certificate is not None]
    assert certificates
    assert not any(certificate.byproducts for certificate in certificates)


@pytest.mark.parametrize("options", [{"base_penalty": 0.0}, {"weights": np.array([0.0, 1.0, 1.0, 1.0])}, {}])
def test_a_step_that_must_be_shortened_leaves_a_consistent_point(options):
    problem = random_problem(fraction=1e-3, **options)
    refusals = iter([True, False, True, True])

    class Reluctant(type(problem.loss)):
        def derivatives(self, eta, out=None):
            here = super().derivatives(eta, out)
            return here._replace(value=np.inf) if out is None and next(refusals, False) else here

    loss = Reluctant(problem.y, problem.n_classes, problem.link, None)
    solution = NewtonCD().solve(changed(problem, likelihood=loss), tol=1e-9)
    assert next(refusals, None) is None
    assert problem.certify(solution.x, tol=1e-9).converged
    reference = NewtonCD().solve(problem, tol=1e-11)
    assert solution.objective == pytest.approx(reference.objective, rel=1e-12)


def test_a_path_needs_no_more_memory_than_features_and_four_numbers_a_boundary():
    n, p, m = 200_000, 20, 3
    data = make_ordinal_regression(n_samples=n, n_features=p, random_state=0)
    tracemalloc.start()
    path = presto_path(data.X, data.y, n_alphas=8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(solution.converged for solution in path.solutions)
    assert path.intercepts.shape == (8, m)
    assert peak <= 8 * n * (p + 4 * m) + 8 * (p * m + m) ** 2
