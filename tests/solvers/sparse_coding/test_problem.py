"""The problem of sparse coding: its certificate, its units, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest

from estimand.penalties import CEL0, L0, L1, MCP, Lq, Penalty
from estimand.solvers import get_solver
from estimand.solvers.sparse_coding import SparseCodingProblem
from estimand.solvers.sparse_coding.examples import penalties, random_instance
from estimand.solvers.threads import default_threads


@pytest.mark.parametrize("positive", [False, True])
def test_the_gap_bounds_the_suboptimality_of_every_signal(positive):
    problem = random_instance(0, L1(0.3), spread=0.5, positive=positive)
    best = get_solver("cvxpy", problem).solve(problem, tol=1e-9)
    rng = np.random.default_rng(1)
    lowest = problem.objectives(best.x)
    for size in (0.0, 1e-6, 1e-3, 0.1, 1.0):
        x = best.x + size * rng.standard_normal(best.x.shape)
        x = np.maximum(x, 0) if positive else x
        certificate = problem.certify(x, tol=1.0)
        assert certificate.kind == "gap"
        relative = certificate.byproducts["relative"]
        excess = (problem.objectives(x) - lowest) / problem.half_square
        assert np.all(relative >= excess - 1e-9)
        assert certificate.value == pytest.approx(relative.max() * problem.half_square.sum(), rel=1e-12)
        assert certificate.value >= problem.objective(x) - best.objective - 1e-8


def test_where_no_atom_correlates_positively_the_gap_is_still_one():
    # The largest correlation is negative: a scale of alpha over it would flip the dual point.
    problem = SparseCodingProblem(X=-np.eye(2), D=np.eye(2), penalty=L1(0.1), positive=True)
    certificate = problem.certify(np.zeros((2, 2)), tol=1e-12)
    assert certificate.converged
    assert certificate.parts["worst"] == 0


def test_ties_between_minimisers_are_no_violation():
    # sqrt(2 alpha) = 1: an entry of 1 may be kept or not.
    for code in (0.0, 1.0):
        problem = SparseCodingProblem(X=np.array([[1.0, 3.0]]), D=np.eye(2), penalty=L0(0.5))
        assert problem.certify(np.array([[code, 3.0]]), tol=1e-12).converged
    assert not problem.certify(np.array([[0.5, 3.0]]), tol=1e-3).converged
    assert not problem.certify(np.array([[0.0, 0.0]]), tol=1e-3).converged


def test_rounding_of_ties_on_an_orthonormal_dictionary():
    rng = np.random.default_rng(0)
    D = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    codes = rng.integers(-1, 2, (500, 20)).astype(np.float64)
    problem = SparseCodingProblem(X=codes @ D, D=D, penalty=L0(0.5))
    assert problem.certify(codes, tol=1e-6).converged


@pytest.mark.parametrize(("name", "penalty"), penalties(0.3))
def test_running_values_are_those_of_the_certificate(name, penalty):
    problem = random_instance(5, penalty, spread=0.5)
    x = np.random.default_rng(0).standard_normal(problem.initial_point().shape) * (problem.initial_point() == 0)
    x[:, ::2] = 0
    correlation = problem.X @ problem.D.T
    q = correlation - x @ problem.D @ problem.D.T
    running = problem.running(x, correlation, q, 2 * problem.half_square)
    np.testing.assert_allclose(running, problem.certify(x, tol=1.0).byproducts["relative"], rtol=1e-9)


def test_cel0_has_the_minimisers_of_l0_for_atoms_of_any_length():
    for seed in range(10):
        free = random_instance(seed, L0(0.1), n=5, d=5, n_atoms=8, spread=1.0)
        l0 = get_solver("enumerate", free).solve(free, tol=1e-9)
        relaxed = replace(free, penalty=CEL0(0.1))
        assert relaxed.objective(l0.x) == pytest.approx(l0.objective, rel=1e-12)
        assert relaxed.certify(l0.x, tol=1e-9).converged
        # It is a lower bound everywhere, and larger ones than it are none of a relaxation with fewer minima.
        x = np.random.default_rng(seed).standard_normal(l0.x.shape)
        assert relaxed.objective(x) <= free.objective(x) + 1e-12


def test_coordinate_steps_of_cel0_are_those_of_l0():
    problem = random_instance(2, L0(0.1), spread=0.7)
    one = get_solver("cyclic_cd", problem).solve(problem, tol=1e-10)
    other = get_solver("cyclic_cd", problem).solve(replace(problem, penalty=CEL0(0.1)), tol=1e-10)
    np.testing.assert_allclose(other.x, one.x, rtol=1e-9, atol=1e-12)


def test_alpha_max():
    problem = random_instance(0, L1(1.0))
    largest = problem.alpha_max()
    assert not get_solver("working_set_cd", problem).solve(problem.at(largest * (1 + 1e-12)), tol=1e-12).x.any()
    assert get_solver("working_set_cd", problem).solve(problem.at(largest * 0.999), tol=1e-12).x.any()
    positive = replace(problem, X=-np.abs(problem.X), D=np.abs(problem.D), atoms=None, positive=True)
    assert positive.alpha_max() == 0
    with pytest.raises(ValueError, match="alpha_max is that of the l1 penalty"):
        random_instance(0, L0(1.0)).alpha_max()


def test_blocks_do_not_change_the_certificate(monkeypatch):
    problem = random_instance(0, MCP(0.2), n=40)
    x = get_solver("graduated", problem).solve(problem, tol=1e-3).x
    whole = problem.certify(x, tol=1e-3)
    monkeypatch.setattr("estimand.solvers.sparse_coding.problem._BLOCK", 100)
    with default_threads(1):
        parts = problem.certify(x, tol=1e-3)
    assert parts.value == pytest.approx(whole.value, rel=1e-9)
    with default_threads(3):
        shared_out = problem.certify(x, tol=1e-3)
    assert (shared_out.value, shared_out.upper) == (parts.value, parts.upper)
    assert problem.objective(x) == pytest.approx(0.5 * np.sum((problem.X - x @ problem.D) ** 2)
                                                 + problem.penalty.value(x), rel=1e-13)  # fmt: skip


def test_codes_that_are_not_finite_or_negative_are_infinitely_bad():
    problem = random_instance(0, L1(0.3), positive=True)
    x = problem.initial_point()
    for bad in (np.nan, np.inf, -1e-3):
        x[0, 0] = bad
        assert problem.certify(x, tol=1.0).value == math.inf
    assert problem.objective(np.full_like(x, -1.0)) == math.inf
    assert np.all(problem.repair(np.full_like(x, np.nan)) == 0)


def test_a_zero_signal_has_no_other_code_than_zero():
    problem = SparseCodingProblem(X=np.zeros((1, 2)), D=np.eye(2), penalty=Lq(0.1))
    assert problem.certify(np.zeros((1, 2)), tol=1e-9).value == 0
    assert problem.certify(np.array([[1.0, 0.0]]), tol=1e-9).value == math.inf


class _Own(Penalty):
    def value_elementwise(self, w):
        return np.abs(w)

    def prox(self, x, step, positive=False):
        return np.sign(x) * np.maximum(np.abs(x) - step, 0)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"D": np.zeros((2, 3))}, ValueError, "atom 0 of D is 0"),
        ({"D": np.ones((2, 2))}, ValueError, r"X has shape \(1, 3\), but the atoms of D have 2 features"),
        ({"D": np.ones(3)}, ValueError, "one atom a row"),
        ({"D": np.full((2, 3), 1e-160)}, ValueError, "shorter than 1e-150"),
        ({"D": np.full((2, 3), np.nan)}, ValueError, "NaN or infinity"),
        ({"D": np.full((2, 3), 1e200)}, ValueError, "overflow"),
        ({"penalty": L1(0.0)}, ValueError, "use least squares instead"),
        ({"penalty": "l1"}, TypeError, "must be an instance of"),
    ],
)
def test_bad_fields(fields, error, message):
    with pytest.raises(error, match=message):
        SparseCodingProblem(**{"X": np.ones((1, 3)), "D": np.eye(3), "penalty": L1(1.0), **fields})


def test_a_penalty_of_ones_own():
    problem = random_instance(0, _Own())
    assert problem.needs() == {"own_penalty", "nonconvex"}
    solution = get_solver("ista", problem).solve(problem, tol=1e-9)
    reference = get_solver("working_set_cd", problem).solve(replace(problem, penalty=L1(1.0)), tol=1e-10)
    assert solution.converged
    np.testing.assert_allclose(solution.x, reference.x, atol=1e-6)
