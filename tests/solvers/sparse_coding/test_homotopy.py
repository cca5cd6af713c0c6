"""The homotopy backend of sparse coding: exact codes from blocks of signals, and what is left to descent."""

import numpy as np
import pytest

from estimand.penalties import L0, L1, L1L2
from estimand.solvers import resolve_solver
from estimand.solvers.sparse_coding import SparseCodingProblem, homotopy
from estimand.solvers.sparse_coding.examples import random_instance
from estimand.solvers.sparse_coding.homotopy import Homotopy
from estimand.solvers.sparse_coding.working_set_cd import WorkingSetCD


@pytest.fixture
def no_descent(monkeypatch):
    def solve(self, problem, **options):
        raise AssertionError("coordinate descent is not needed here")

    monkeypatch.setattr(WorkingSetCD, "solve", solve)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 1.0])
def test_codes_are_exact_without_descent(alpha, positive, no_descent):
    problem = random_instance(0, L1(alpha), n=300, d=30, n_atoms=80, spread=0.5, positive=positive)
    solution = Homotopy().solve(problem, tol=1e-12)
    assert solution.converged
    loose = Homotopy().solve(problem, tol=0.1)
    np.testing.assert_array_equal(loose.x, solution.x)
    assert solution.n_iter >= np.count_nonzero(solution.x, axis=1).max() > 0


def test_codes_do_not_depend_on_the_number_of_threads():
    problem = random_instance(1, L1(0.05), n=700, d=60, n_atoms=150)
    one = Homotopy(n_jobs=1).solve(problem, tol=1e-9)
    for n_jobs in (2, 3, None):
        other = Homotopy(n_jobs=n_jobs).solve(problem, tol=1e-9)
        np.testing.assert_array_equal(other.x, one.x)
        assert other.n_iter == one.n_iter


@pytest.mark.parametrize("distance", [1e-9, 1e-7, 1e-5, 1e-3])
def test_copies_of_atoms_a_little_way_off_are_no_trouble(distance, no_descent):
    rng = np.random.default_rng(6)
    D = rng.standard_normal((20, 8))
    D = np.vstack([D, D + distance * rng.standard_normal(D.shape)])
    problem = SparseCodingProblem(X=rng.standard_normal((200, 8)), D=D, penalty=L1(0.02))
    assert Homotopy().solve(problem, tol=1e-11).converged


def test_signals_without_room_for_their_atoms_are_finished_by_descent(monkeypatch):
    problem = random_instance(2, L1(0.1), n=50, d=20, n_atoms=40)
    best, calls, solve = Homotopy().solve(problem, tol=1e-12), [], WorkingSetCD.solve
    long = np.count_nonzero(np.count_nonzero(best.x, axis=1) > 12)
    assert 0 < long < 50

    def count(self, problem, **options):
        calls.append(problem.X.shape[0])
        return solve(self, problem, **options)

    monkeypatch.setattr(WorkingSetCD, "solve", count)
    monkeypatch.setattr(homotopy, "_LARGEST", 12)
    solution = Homotopy().solve(problem, tol=1e-9)
    assert solution.converged
    assert solution.solver == "homotopy"
    assert solution.objective == pytest.approx(best.objective, rel=1e-9)
    assert len(calls) == 1
    assert long <= calls[0] < 50


def test_budgets():
    problem = random_instance(3, L1(1e-3), n=300, d=30, n_atoms=80)
    short = Homotopy(max_iter=2).solve(problem, tol=1e-12)
    assert short.status == "max_iter"
    assert short.n_iter == 2
    late = Homotopy(time_limit=0.0).solve(problem, tol=1e-12)
    assert late.status == "time_limit"
    assert not late.x.any()


def test_a_start_is_checked_and_not_used():
    problem = random_instance(4, L1(0.1))
    cold = Homotopy().solve(problem, tol=1e-9)
    warm = Homotopy().solve(problem, start=np.full_like(cold.x, 7.0), tol=1e-9)
    np.testing.assert_array_equal(warm.x, cold.x)
    with pytest.raises(ValueError, match="start has shape"):
        Homotopy().solve(problem, start=cold.x[1:], tol=1e-9)


def test_it_is_the_choice_for_l1_alone():
    for positive in (False, True):
        solver, reason = resolve_solver("auto", random_instance(5, L1(0.1), positive=positive))
        assert isinstance(solver, Homotopy)
        assert "l1" in reason
    assert resolve_solver("auto", random_instance(5, L1L2(0.1, 0.5)))[0].name == "working_set_cd"
    assert Homotopy().refuses(random_instance(5, L0(0.1))) == "it is made for l1"
