import warnings

import numpy as np
import pytest

from estimand.solvers import get_solver
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso._adapter import Adapter


class Lazy(Adapter):
    """Solves an orthogonal design to the accuracy that it is asked for, times a million."""

    name = "lazy"
    supports = frozenset()

    def _run(self, problem, A, weights, start, tol, max_iter):
        warnings.warn("did not converge", UserWarning, stacklevel=1)
        exact = np.sign(problem.y) * np.maximum(np.abs(problem.y) - problem.y.size * problem.alpha, 0.0)
        return exact * (1 - 1e6 * tol), min(7, max_iter)


PROBLEM = LassoProblem(A=np.eye(4), y=np.array([3.0, -2.0, 1.0, 0.1]), alpha=0.1)


def test_tightens_until_the_problem_certifies():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = Lazy().solve(PROBLEM, tol=1e-6)
    assert solution.converged
    assert solution.n_iter == 4 * 7


def test_gives_up_honestly():
    assert Lazy().solve(PROBLEM, tol=1e-19).status == "stalled"
    short = Lazy(max_iter=10).solve(PROBLEM, tol=1e-6)
    assert (short.status, short.n_iter) == ("max_iter", 10)
    late = Lazy(time_limit=0.0).solve(PROBLEM, tol=1e-6)
    assert (late.status, late.n_iter) == ("time_limit", 7)


def test_zero_columns_and_excluded_ones_do_not_reach_the_package():
    seen = []

    class Spy(Lazy):
        def _run(self, problem, A, weights, start, tol, max_iter):
            seen.append((A.shape, A.flags.f_contiguous, weights.tolist()))
            return np.zeros(A.shape[1]), 1

    A = np.column_stack([np.eye(4), np.zeros(4)]).astype(np.float32)
    weights = np.array([1.0, 2.0, np.inf, 3.0, 1.0])
    Spy().solve(LassoProblem(A=A, y=PROBLEM.y, alpha=0.1, weights=weights), tol=1e-6)
    assert seen[0] == ((4, 3), True, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["celer", "skglm"])
def test_refuses_l2_with_weights(name):
    solver = get_solver(name, "lasso") if _installed(name) else pytest.skip(f"{name} is not installed")
    weighted = LassoProblem(A=np.eye(4), y=PROBLEM.y, alpha=0.1, l2=0.1, weights=np.arange(1.0, 5.0))
    assert "equal weights only" in solver.refuses(weighted)
    assert solver.refuses(PROBLEM) is None


def _installed(name):
    from estimand.solvers import list_solvers

    return any(info.name == name and info.available for info in list_solvers("lasso"))
