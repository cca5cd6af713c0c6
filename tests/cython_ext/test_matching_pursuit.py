"""The pursuit kernel against a twin that solves a least-squares problem for every atom."""

import numpy as np
import pytest

from estimand.cython_ext._matching_pursuit import pursue


def data(seed, n, d, K, *, unit=True):
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((K, d))
    if unit:
        D /= np.linalg.norm(D, axis=1, keepdims=True)
    return rng.standard_normal((n, d)), D


def run(X, D, k, *, error_tol=-np.inf, least_gain=0.0, floor=1e-10, marks=None):
    codes = np.zeros((X.shape[0], D.shape[0])) if marks is None else marks.astype(np.float64)
    square = np.einsum("ij,ij->i", X, X)
    limits = floor * np.sqrt(square)
    norm = np.linalg.norm(D, axis=1)
    pursue(D @ D.T, norm, X @ D.T, square, limits, codes, k, error_tol, least_gain)
    return codes, square


def fit(x, D, chosen):
    w = np.zeros(D.shape[0])
    w[chosen] = np.linalg.lstsq(D[chosen].T, x, rcond=None)[0]
    return w


def twin(x, D, k, *, error_tol=-np.inf, least_gain=0.0, chosen=()):
    chosen = list(chosen)
    w = fit(x, D, chosen)
    norm = np.linalg.norm(D, axis=1)
    while len(chosen) < k:
        residual = x - w @ D
        size = np.abs(D @ residual) / norm
        size[chosen] = 0.0
        if residual @ residual <= error_tol or size.max() <= 1e-10 * np.linalg.norm(x):
            break
        new = fit(x, D, [*chosen, int(np.argmax(size))])
        if residual @ residual - np.sum((x - new @ D) ** 2) <= least_gain:
            break
        chosen.append(int(np.argmax(size)))
        w = new
    return w


def assert_equals_twin(X, D, codes, square, **options):
    for i, x in enumerate(X):
        expected = twin(x, D, **options)
        np.testing.assert_array_equal(codes[i] != 0, expected != 0)
        np.testing.assert_allclose(codes[i], expected, rtol=1e-8, atol=1e-10)
    residual = X - codes @ D
    np.testing.assert_allclose(square, np.einsum("ij,ij->i", residual, residual), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize(("n", "d", "K"), [(20, 7, 15), (10, 9, 9), (10, 9, 4), (5, 1, 3), (5, 6, 1), (3, 60, 700)])
def test_codes_and_squared_residuals_equal_the_twin(n, d, K, unit):
    X, D = data(d, n, d, K, unit=unit)
    for k in sorted({1, min(2, d, K), min(40, d, K)}):
        codes, square = run(X, D, k)
        assert_equals_twin(X, D, codes, square, k=k)


def test_bounds_on_the_error():
    X, D = data(0, 20, 7, 15)
    for error_tol in (0.0, 1e-3, 0.5, 5.0, 1e3):
        codes, square = run(X, D, 7, error_tol=error_tol)
        assert_equals_twin(X, D, codes, square, k=7, error_tol=error_tol)


def test_an_atom_that_gains_too_little_is_not_taken():
    X, D = data(1, 40, 7, 15, unit=False)
    counts = set()
    for least_gain in (0.05, 0.5, 2.0, 100.0):
        codes, square = run(X, D, 7, least_gain=least_gain)
        assert_equals_twin(X, D, codes, square, k=7, least_gain=least_gain)
        counts |= set(np.count_nonzero(codes, axis=1))
    assert len(counts) > 4


def test_it_goes_on_from_the_atoms_given():
    X, D = data(2, 20, 7, 15)
    marks = np.zeros((20, 15))
    marks[:10, [3, 8]] = [7.0, -1e-9]  # only that they are not 0 counts
    codes, square = run(X, D, 4, marks=marks, error_tol=1.0)
    assert_equals_twin(X[:10], D, codes[:10], square[:10], k=4, error_tol=1.0, chosen=[3, 8])
    assert_equals_twin(X[10:], D, codes[10:], square[10:], k=4, error_tol=1.0)


def test_atoms_given_are_fitted_at_no_price_and_no_more_than_allowed():
    X, D = data(3, 5, 7, 15)
    marks = np.zeros((5, 15))
    marks[:, [1, 4, 6, 9]] = 1.0
    codes, square = run(X, D, 4, marks=marks, error_tol=1e9, least_gain=1e9)
    assert_equals_twin(X, D, codes, square, k=4, chosen=[1, 4, 6, 9])
    codes, square = run(X, D, 3, marks=marks)
    assert_equals_twin(X, D, codes, square, k=3, chosen=[1, 4, 6])


def test_dependent_atoms_are_passed_over():
    X, D = data(4, 20, 6, 8)
    D = np.vstack([D, D[:3], -2.0 * D[3:4], D[0:1] + D[1:2], (1 + 1e-9) * D[4:5]])
    marks = np.zeros((20, D.shape[0]))
    marks[10:, [0, 1, 8, 12]] = 1.0
    codes, square = run(X, D, 5, marks=marks)
    assert np.all(np.count_nonzero(codes, axis=1) == 5)
    residual = X - codes @ D
    np.testing.assert_allclose(square, np.einsum("ij,ij->i", residual, residual), rtol=1e-9)
    for w in codes:
        assert np.linalg.cond(D[w != 0]) < 1e6
    q = residual @ D.T
    assert np.max(np.abs(q[codes != 0])) < 1e-12
    assert np.all(codes[10:, 8] == 0)
    assert np.all(codes[10:, 12] == 0)


def test_a_signal_in_the_span_of_few_atoms_gets_no_others():
    _, D = data(5, 1, 6, 8)
    X = np.stack([3.0 * D[2], D[1] - D[5], np.zeros(6)])
    codes, square = run(X, D, 6, floor=1e-10)
    assert np.flatnonzero(codes[0]).tolist() == [2]
    assert codes[0, 2] == pytest.approx(3.0)
    assert set(np.flatnonzero(codes[1])) >= {1, 5}
    assert not codes[2].any()
    np.testing.assert_allclose(square, 0.0, atol=1e-14)


def test_the_floor_ends_a_pursuit():
    X, D = data(6, 20, 6, 8)
    codes, _ = run(X, D, 6, floor=0.4)
    q = (X - codes @ D) @ D.T
    assert np.all(np.abs(q).max(axis=1) <= 0.4 * np.linalg.norm(X, axis=1))
    assert np.ptp(np.count_nonzero(codes, axis=1)) > 0


@pytest.mark.parametrize("K", range(1, 10))
def test_the_first_of_equal_atoms_is_taken(K):
    for first in range(K):
        x = np.zeros(K)
        x[first:] = -1.0
        codes, _ = run(x[None], np.eye(K), 1)
        assert np.flatnonzero(codes[0]).tolist() == [first]


def test_the_order_of_signals_does_not_matter():
    X, D = data(7, 101, 20, 50)
    order = np.random.default_rng(0).permutation(101)
    codes, _ = run(X, D, 12)
    # The correlations are the same to the last bit if the product that makes them is.
    norm, correlation = np.linalg.norm(D, axis=1), X @ D.T
    shuffled, rest = np.zeros_like(codes), np.einsum("ij,ij->i", X, X)[order]
    floor = 1e-10 * np.sqrt(rest)
    pursue(D @ D.T, norm, correlation[order], rest, floor, shuffled, 12, -np.inf, 0.0)
    np.testing.assert_array_equal(shuffled, codes[order])


@pytest.mark.parametrize(("signals", "atoms"), [(1e-80, 1.0), (1e80, 1.0), (1.0, 1e-80), (1e80, 1e70), (1e-80, 1e80)])
def test_scales(signals, atoms):
    X, D = data(8, 10, 6, 9)
    codes, square = run(X, D, 4)
    scaled, rest = run(signals * X, atoms * D, 4)
    np.testing.assert_allclose(scaled * (atoms / signals), codes, rtol=1e-11)
    np.testing.assert_allclose(rest / signals**2, square, rtol=1e-11)


def test_read_only_data_is_accepted():
    X, D = data(9, 4, 5, 6)
    arrays = [D @ D.T, np.linalg.norm(D, axis=1), X @ D.T]
    for array in arrays:
        array.flags.writeable = False
    codes, square = np.zeros((4, 6)), np.einsum("ij,ij->i", X, X)
    pursue(*arrays, square, np.zeros(4), codes, 2, -np.inf, 0.0)
    assert np.all(np.count_nonzero(codes, axis=1) == 2)


def test_no_signals():
    codes, square = run(np.empty((0, 3)), np.eye(3), 2)
    assert codes.shape == (0, 3)
    assert square.shape == (0,)
