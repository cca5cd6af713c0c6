"""Every backend on every example, and each of them against what it is known to do."""

import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp

from estimand.exceptions import UnsupportedProblemError
from estimand.solvers import get_solver, list_solvers, resolve_solver
from estimand.solvers.sparse_approximation import SparseApproximationProblem, omp, pursuit, thresholding
from estimand.solvers.sparse_approximation.examples import examples, planted_data, random_data
from estimand.solvers.sparse_approximation.htp import HTP
from estimand.solvers.sparse_approximation.iht import IHT
from estimand.solvers.sparse_approximation.omp import OMP
from estimand.solvers.sparse_approximation.sklearn import Sklearn
from estimand.solvers.testing import check_solver, qualifies

TOL = 1e-8
EXAMPLES = dict(examples())
BACKENDS = [info.name for info in list_solvers("sparse_approximation")]


def codes(solver, X, D, **fields):
    solution = solver.solve(SparseApproximationProblem(X=X, D=D, **fields), tol=TOL)
    assert solution.converged
    return solution.x


def span(D):
    """An orthonormal basis of the span of atoms, as columns."""
    basis, size, _ = np.linalg.svd((D / np.linalg.norm(D, axis=1)[:, None]).T, full_matrices=False)
    return basis[:, size > 1e-9 * size[0]]


def residuals(problem, x):
    """Residuals over the lengths of the signals: of the codes, and of the least-squares fits with their atoms."""
    unit = np.linalg.norm(problem.X, axis=1, keepdims=True)
    unit[unit == 0] = 1.0
    best = problem.X / unit
    for row, w in zip(best, x, strict=True):
        if w.any():
            basis = span(problem.D[w != 0])
            row -= basis @ (basis.T @ row)
    return (problem.X - x @ problem.D) / unit, best


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_solves_the_examples(backend):
    solver = get_solver(backend, "sparse_approximation")
    for name, problem in EXAMPLES.items():
        if not qualifies(solver, problem):
            continue
        solution = solver.solve(problem, tol=TOL)
        assert solution.converged, f"{name}: {solution.status}, {solution.certificate.value:.2e}"
        ours, best = residuals(problem, solution.x)
        np.testing.assert_allclose(ours, best, atol=2e-7, err_msg=name)
        count = np.count_nonzero(solution.x, axis=1)
        assert np.all(count[~problem.X.any(axis=1)] == 0), name
        assert count.max() <= min(problem.D.shape), name
        if problem.n_nonzero_coefs is not None:
            assert count.max() <= problem.n_nonzero_coefs, name
        else:
            rest = np.sum((problem.X - solution.x @ problem.D) ** 2, axis=1)
            basis = span(problem.D)
            least = np.sum((problem.X - problem.X @ basis @ basis.T) ** 2, axis=1)
            slack = 1e-9 * np.sum(problem.X**2, axis=1)
            assert np.all(rest <= np.maximum(problem.error_tol, least) + slack), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_contract(backend):
    check_solver(type(get_solver(backend, "sparse_approximation")))


@pytest.mark.parametrize("solver", [OMP(), Sklearn()])
@pytest.mark.parametrize("unit", [True, False])
def test_matching_pursuit_equals_that_of_scikit_learn(solver, unit):
    X, D = random_data(3, 40, 15, 35, unit=unit)
    length = np.linalg.norm(D, axis=1)
    for k in (1, 4, 9):
        expected = orthogonal_mp(D.T / length, X.T, n_nonzero_coefs=k).T / length
        found = codes(solver, X, D, n_nonzero_coefs=k)
        np.testing.assert_array_equal(found != 0, expected != 0)
        np.testing.assert_allclose(found * length, expected * length, rtol=1e-8, atol=1e-8)
    for bound in (0.1, 3.0):
        expected = orthogonal_mp(D.T / length, X.T, tol=bound).T / length
        found = codes(solver, X, D, error_tol=bound)
        np.testing.assert_array_equal(found != 0, expected != 0)
        np.testing.assert_allclose(found * length, expected * length, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("solver", [OMP(), HTP(), IHT(), Sklearn()])
def test_planted_atoms_are_found(solver):
    X, D, W = planted_data(0, 200, 40, 60, 3)
    found = codes(solver, X, D, n_nonzero_coefs=3)
    right = np.all((found != 0) == (W != 0), axis=1)
    assert right.mean() >= 0.95
    np.testing.assert_allclose(found[right], W[right], atol=1e-10)


@pytest.mark.parametrize("solver", [HTP(), IHT()])
def test_thresholding_finds_what_matching_pursuit_misses(solver):
    X, D, W = planted_data(0, 200, 40, 60, 8)
    rate = {
        s.name: np.mean(np.all((codes(s, X, D, n_nonzero_coefs=8) != 0) == (W != 0), axis=1)) for s in (OMP(), solver)
    }
    assert rate[solver.name] > rate["omp"] + 0.05


def test_no_code_has_an_atom_more_than_its_pursuit_needs():
    X, D = random_data(4, 40, 15, 35)
    bound = 2.0
    count = np.count_nonzero(codes(OMP(), X, D, error_tol=bound), axis=1)
    assert np.ptp(count) > 2
    for k in range(1, 15):
        one_fewer = codes(OMP(), X[count == k + 1], D, n_nonzero_coefs=k)
        assert np.all(np.sum((X[count == k + 1] - one_fewer @ D) ** 2, axis=1) > bound)


def hard_threshold(x, k):
    chosen = np.argsort(-np.abs(x))[:k]
    return np.where(np.isin(np.arange(x.size), chosen), x, 0.0), set(chosen.tolist())


def iht_twin(x, D, k):
    """Normalised iterative hard thresholding of one signal by a dictionary with atoms of length 1."""
    w, chosen = np.zeros(D.shape[0]), hard_threshold(D @ x, k)[1]
    for _ in range(3000):
        q = D @ (x - w @ D)
        g = np.where(np.isin(np.arange(w.size), list(chosen)), q, 0.0)
        if g @ g < 1e-20:
            break
        mu = (g @ g) / np.sum((g @ D) ** 2)
        new, support = hard_threshold(w + mu * q, k)
        while support != chosen and mu > 0.99 * np.sum((new - w) ** 2) / np.sum(((new - w) @ D) ** 2):
            mu /= 2
            new, support = hard_threshold(w + mu * q, k)
        w, chosen = new, support
    return chosen


def htp_twin(x, D, k):
    """Hard thresholding pursuit of one signal; the best of the codes until atoms come back."""
    support, seen, best = hard_threshold(D @ x, k)[1], [], (np.inf, None)
    while support not in seen:
        seen.append(support)
        chosen, w = sorted(support), np.zeros(D.shape[0])
        w[chosen] = np.linalg.lstsq(D[chosen].T, x, rcond=None)[0]
        best = min(best, (np.sum((x - w @ D) ** 2), chosen))
        support = hard_threshold(w + D @ (x - w @ D), k)[1]
    return set(best[1])


@pytest.mark.parametrize(("solver", "twin"), [(HTP(), htp_twin), (IHT(), iht_twin)])
def test_thresholding_equals_its_twin(solver, twin):
    for k, seed in [(1, 0), (3, 1), (5, 2)]:
        X, D = random_data(seed, 30, 20, 40)
        length = np.linspace(0.5, 3.0, 40)[:, None]
        found = codes(solver, X, length * D, n_nonzero_coefs=k)
        assert [set(np.flatnonzero(w).tolist()) for w in found] == [twin(x, D, k) for x in X]


@pytest.mark.parametrize("solver", [HTP(), IHT()])
def test_thresholding_goes_on_from_its_start(solver):
    X, D, W = planted_data(0, 50, 20, 60, 7)
    problem = SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=7)
    cold = solver.solve(problem, tol=TOL)
    assert cold.objective > 1.0
    start = W.copy()
    start[:, 0] += 1e-3  # up to one atom too many
    warm = solver.solve(problem, start=start, tol=TOL)
    assert warm.objective < 1e-20
    start[0], start[1, 1] = np.nan, np.inf
    assert solver.solve(problem, start=start, tol=TOL).converged


@pytest.mark.parametrize("solver", [OMP(), HTP(), IHT()])
def test_neither_threads_nor_other_signals_matter(solver, monkeypatch):
    X, D = random_data(5, 300, 12, 30)
    expected = codes(solver.set_params(n_jobs=1), X, D, n_nonzero_coefs=4)
    np.testing.assert_array_equal(codes(solver.set_params(n_jobs=2), X, D, n_nonzero_coefs=4), expected)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(codes(solver, X[order], D, n_nonzero_coefs=4), expected[order], rtol=1e-9)
    monkeypatch.setattr(pursuit, "_REFINEMENTS", 0)  # which would do what a block has left undone
    for module in (omp, thresholding):
        monkeypatch.setattr(module, "_ROWS", 7)
    np.testing.assert_allclose(codes(solver, X, D, n_nonzero_coefs=4), expected, rtol=1e-9)


@pytest.mark.parametrize("solver", [OMP(), HTP(), IHT(), Sklearn()])
def test_nearly_equal_atoms(solver):
    rng = np.random.default_rng(0)
    D = rng.standard_normal((8, 20))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    apart = rng.standard_normal((8, 20))
    X = rng.standard_normal((50, 8)) @ D + rng.standard_normal((50, 8)) @ apart
    problem = SparseApproximationProblem(X=X, D=np.vstack([D, D + 1e-5 * apart]), n_nonzero_coefs=16)
    solution = solver.solve(problem, tol=1e-9)
    assert solution.converged
    assert np.abs(solution.x).max() > 1e4
    assert solution.objective < 1e-8


def test_codes_that_fall_short_are_completed(monkeypatch):
    X, D = random_data(6, 40, 8, 20, unit=False)
    problem = SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=5)
    full = codes(OMP(), X, D, n_nonzero_coefs=5)
    x = full * (1 + 1e-5 * np.random.default_rng(0).standard_normal(full.shape))
    x[:10] = codes(OMP(), X[:10], D, n_nonzero_coefs=2)
    x[10:20] = full[10:20]
    solution = pursuit.completed(OMP(), problem, x.copy(), tol=1e-9, n_iter=1, n_jobs=1)
    assert solution.converged
    np.testing.assert_allclose(solution.x, full, rtol=1e-9)
    np.testing.assert_array_equal(solution.x[10:20], full[10:20])
    monkeypatch.setattr(pursuit, "_REFINEMENTS", 0)
    assert pursuit.completed(OMP(), problem, x, tol=1e-9, n_iter=1, n_jobs=1).status == "stalled"


def test_a_step_that_does_not_help_is_taken_back(monkeypatch):
    X, D = random_data(8, 60, 12, 30)
    problem = SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=6)
    after = problem.relative(OMP().solve(problem, tol=0.0).x)
    monkeypatch.setattr(pursuit, "_REFINEMENTS", 0)
    before = problem.relative(OMP().solve(problem, tol=0.0).x)
    # To compute a residual in a block of other signals changes its last bits.
    assert np.all(after <= before + 1e-17)
    assert np.any(after < before)


def test_an_error_above_its_bound_is_brought_below_it():
    X, D = random_data(6, 10, 8, 20)
    problem = SparseApproximationProblem(X=X, D=D, error_tol=0.5)
    x = codes(OMP(), X, D, n_nonzero_coefs=1)
    assert np.isinf(problem.relative(x)).any()
    solution = pursuit.completed(OMP(), problem, x, tol=TOL, n_iter=1, n_jobs=1)
    assert solution.converged
    np.testing.assert_allclose(solution.x, OMP().solve(problem, tol=TOL).x, atol=1e-10)


@pytest.mark.parametrize("solver", [OMP(), Sklearn()])
def test_signals_below_the_bound_have_no_atoms(solver):
    X, D = random_data(9, 10, 8, 20)
    square = np.sum(X**2, axis=1)
    bound = float(np.median(square))
    found = codes(solver, X, D, error_tol=bound)
    np.testing.assert_array_equal(found.any(axis=1), square > bound)


@pytest.mark.parametrize("solver", [OMP(time_limit=0.0), HTP(time_limit=0.0), IHT(time_limit=0.0)])
def test_signals_that_were_not_reached_are_not_certified(solver):
    X, D = random_data(7, 5, 6, 10)
    solution = solver.solve(SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=2), tol=TOL)
    assert solution.status == "time_limit"
    assert not solution.x.any()


def test_auto_is_matching_pursuit():
    for name, problem in EXAMPLES.items():
        solver, reason = resolve_solver("auto", problem)
        assert solver.name == "omp", name
        assert reason


def test_what_a_backend_cannot_state_is_refused():
    problem = EXAMPLES["wide_error_0.1"]
    for name in ("iht", "htp"):
        with pytest.raises(UnsupportedProblemError, match="error_tol"):
            resolve_solver(name, problem)
    with pytest.raises(UnsupportedProblemError, match="no time limit"):
        resolve_solver(Sklearn(time_limit=1.0), problem)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_signals(backend):
    problem = SparseApproximationProblem(X=np.empty((0, 3)), D=np.eye(3), n_nonzero_coefs=2)
    solution = get_solver(backend, "sparse_approximation").solve(problem, tol=TOL)
    assert solution.converged
    assert solution.x.shape == (0, 3)


def test_the_examples_hold_both_problems_and_no_name_twice():
    names = [name for name, _ in examples()]
    assert len(names) == len(set(names))
    assert {word for problem in EXAMPLES.values() for word in problem.needs()} == {"n_nonzero_coefs", "error_tol"}
