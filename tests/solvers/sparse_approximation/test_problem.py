"""The problem: its certificate against a formula of its own, its objective, and what it refuses."""

import numpy as np
import pytest

from estimand.solvers.sparse_approximation import SparseApproximationProblem, problem
from estimand.solvers.sparse_approximation.examples import random_data
from estimand.solvers.sparse_coding.atoms import Atoms

X, D = random_data(0, 8, 5, 9, unit=False)


def make(**fields):
    return SparseApproximationProblem(**{"X": X, "D": D, **fields})


def fit(x, chosen):
    w = np.zeros(D.shape[0])
    w[chosen] = np.linalg.lstsq(D[chosen].T, x, rcond=None)[0]
    return w


def measure(x, w, k):
    """The certificate of one signal, with k atoms allowed."""
    q = D @ (x - w @ D)
    some = [j for j in range(w.size) if w[j] != 0 or np.count_nonzero(w) < k]
    return max(abs(q[j]) / np.linalg.norm(D[j]) for j in some) / np.linalg.norm(x)


def sparse_codes(seed, k):
    rng = np.random.default_rng(seed)
    W = np.zeros((8, 9))
    for w in W:
        w[rng.permutation(9)[:k]] = rng.standard_normal(k)
    return W


def test_the_certificate_is_the_worst_correlation_with_an_atom_in_use():
    for k in (1, 2, 4):
        W = sparse_codes(k, k)
        certificate = make(n_nonzero_coefs=k).certify(W, tol=1e-3)
        expected = [measure(x, w, k) for x, w in zip(X, W, strict=True)]
        np.testing.assert_allclose(certificate.byproducts["relative"], expected, rtol=1e-12)
        assert certificate.value == pytest.approx(max(expected), rel=1e-12)
        assert certificate.kind == "fixed_point"
        assert (certificate.scale, certificate.tol) == (1.0, 1e-3)


def test_a_code_that_may_have_more_atoms_answers_for_all():
    W = np.stack([fit(x, [1, 4]) for x in X])
    W[0] = 0.0
    enough, few = make(n_nonzero_coefs=2).relative(W), make(n_nonzero_coefs=3).relative(W)
    assert np.all(enough[1:] < 1e-13)
    np.testing.assert_allclose(few, [measure(x, w, 3) for x, w in zip(X, W, strict=True)], rtol=1e-9)
    assert few.min() > 1e-3
    assert enough[0] == pytest.approx(measure(X[0], W[0], 2))


def test_a_code_with_too_many_atoms_or_none_that_is_finite_is_infeasible():
    W = np.stack([fit(x, [1, 4]) for x in X])
    W[3], W[5, 0], W[6, 1] = fit(X[3], [0, 1, 2]), np.nan, np.inf
    W[7] = np.where(np.linalg.norm(D, axis=1) == np.linalg.norm(D, axis=1).max(), 1e308, 0.0)
    relative = make(n_nonzero_coefs=2).relative(W)
    assert np.flatnonzero(np.isinf(relative)).tolist() == [3, 5, 6, 7]
    assert make(n_nonzero_coefs=2).certify(W, tol=1e-3).value == np.inf
    assert np.flatnonzero(np.isinf(make(error_tol=1e6).relative(W))).tolist() == [5, 6, 7]


def test_an_error_above_the_bound_is_infeasible():
    W = np.stack([fit(x, [1, 4]) for x in X])
    rest = np.sum((X - W @ D) ** 2, axis=1)
    bound = float(np.median(rest))
    np.testing.assert_array_equal(np.isinf(make(error_tol=bound).relative(W)), rest > bound)
    assert make(error_tol=float(rest.max())).certify(W, tol=1e-10).converged
    # Within the rounding errors of a squared residual.
    assert make(error_tol=float(rest.max()) * (1 - 1e-10)).certify(W, tol=1e-10).converged
    assert not make(error_tol=float(rest.max()) * (1 - 1e-6)).certify(W, tol=1e-10).converged


def test_an_error_that_no_code_can_lower_is_feasible():
    few = SparseApproximationProblem(X=X, D=D[:2], error_tol=0.0)
    W = np.linalg.lstsq(D[:2].T, X.T, rcond=None)[0].T
    assert np.all(np.sum((X - W @ D[:2]) ** 2, axis=1) > 0.01)
    assert few.certify(W, tol=1e-10).converged
    W[0, 0] += 1e-6 * abs(W[0, 0])
    assert np.isinf(few.relative(W)[0])


def test_a_zero_signal_has_the_code_zero():
    some = X.copy()
    some[2] = 0.0
    for fields in ({"n_nonzero_coefs": 2}, {"error_tol": 0.0}):
        relative = make(X=some, **fields).relative(np.zeros((8, 9)))
        assert relative[2] == 0
        assert np.all(relative[[0, 1, 3]] > 0)
        W = np.zeros((8, 9))
        W[2, 1] = 1e-3
        assert np.isinf(make(X=some, **fields).relative(W)[2])


def test_objectives():
    W = sparse_codes(0, 3)
    W[0] = 0.0
    expected = 0.5 * np.sum((X - W @ D) ** 2)
    assert make(n_nonzero_coefs=3).objective(W) == pytest.approx(expected, rel=1e-13)
    assert make(error_tol=1.0).objective(W) == 21


def test_blocks_do_not_matter(monkeypatch):
    W = sparse_codes(0, 2)
    whole = [make(n_nonzero_coefs=k) for k in (2, 4)] + [make(error_tol=3.0)]
    before = [(p.objective(W), p.relative(W)) for p in whole]
    monkeypatch.setattr(problem, "_BLOCK", 27)
    assert [rows.stop - rows.start for rows in whole[0].blocks()] == [3, 3, 2]
    for p, (objective, relative) in zip(whole, before, strict=True):
        assert p.objective(W) == pytest.approx(objective, rel=1e-13)
        np.testing.assert_allclose(p.relative(W), relative, rtol=1e-12)


def test_the_two_problems_need_different_words():
    assert make(n_nonzero_coefs=2).needs() == {"n_nonzero_coefs"}
    assert make(error_tol=0.0).needs() == {"error_tol"}
    assert make(n_nonzero_coefs=np.int64(2)).largest == 2
    assert make(error_tol=0.0).largest == 5
    assert make(D=D[:3], error_tol=0.0).largest == 3


def test_atoms_are_used_if_they_are_of_this_dictionary():
    atoms = Atoms(D)
    assert make(n_nonzero_coefs=1, atoms=atoms).dictionary is atoms
    assert make(D=D.copy(), n_nonzero_coefs=1, atoms=atoms).dictionary is not atoms


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "either n_nonzero_coefs or error_tol: they are None and None"),
        ({"n_nonzero_coefs": 2, "error_tol": 1.0}, "either n_nonzero_coefs or error_tol: they are 2 and 1.0"),
        ({"n_nonzero_coefs": 0}, r"n_nonzero_coefs=0 must be an integer in \[1, 5\]"),
        ({"n_nonzero_coefs": 6}, r"n_nonzero_coefs=6 must be an integer in \[1, 5\].* 9 atoms of 5 features"),
        ({"n_nonzero_coefs": 2.5}, r"n_nonzero_coefs=2.5 must be an integer"),
        ({"error_tol": -1e-9}, "error_tol=-1e-09 must be finite and at least 0"),
        ({"error_tol": np.inf}, "error_tol=inf"),
        ({"error_tol": np.nan}, "error_tol=nan"),
        ({"X": X[:, :4], "n_nonzero_coefs": 1}, r"X has shape \(8, 4\), but the atoms of D have 5 features"),
        ({"X": X[0], "n_nonzero_coefs": 1}, r"X has shape \(5,\)"),
        ({"X": np.full((1, 5), np.nan), "n_nonzero_coefs": 1}, "X holds NaN or infinity"),
        ({"X": np.full((1, 5), 1e200), "n_nonzero_coefs": 1}, "squares overflow"),
        ({"D": np.vstack([D, np.zeros((1, 5))]), "n_nonzero_coefs": 1}, "atom 9 of D is 0"),
    ],
)
def test_bad_input(fields, message):
    with pytest.raises(ValueError, match=message), np.errstate(over="ignore"):
        make(**fields)
