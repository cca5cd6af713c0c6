import tracemalloc

import numpy as np
import pytest

from estimand.solvers import get_solver
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.homotopy import Homotopy


def make(n, p, seed=0, **options):
    rng = np.random.default_rng(seed)
    A = np.asfortranarray(rng.standard_normal((n, p)))
    y = A[:, :5] @ np.ones(5) + rng.standard_normal(n)
    problem = LassoProblem(A=A, y=y, alpha=1.0, **options)
    return problem.at(problem.alpha_max() / 20)


def copies_at_peak(name, problem):
    """Return the largest memory in use while solving, in copies of the design."""
    solver = get_solver(name, problem)
    tracemalloc.start()
    try:
        solution = solver.solve(problem, tol=1e-8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert solution.converged
    return peak / problem.A.nbytes


@pytest.mark.parametrize(
    ("name", "shape", "fit_intercept", "limit"),
    [
        ("homotopy", (400, 10000), False, 0.25),  # nothing to scale: the design itself is used
        ("homotopy", (400, 10000), True, 1.35),
        ("coordinate_descent", (400, 10000), True, 1.0),
        ("coordinate_descent", (40000, 100), True, 1.3),
    ],
)
def test_at_most_one_copy_of_a_dense_design(name, shape, fit_intercept, limit):
    assert copies_at_peak(name, make(*shape, fit_intercept=fit_intercept)) < limit


def test_homotopy_solves_on_a_read_only_design():
    problem = make(40, 60)
    expected = Homotopy().solve(problem, tol=1e-10).x
    A = problem.A.copy(order="F")
    A.flags.writeable = False
    np.testing.assert_array_equal(
        Homotopy().solve(LassoProblem(A=A, y=problem.y, alpha=problem.alpha), tol=1e-10).x, expected
    )
