import numpy as np
import pytest
from scipy import sparse

from estimand.cython_ext._logistic_cd import curvatures_csc, curvatures_dense, descend_csc, descend_dense


def descend_twin(X, h, r, w, threshold, ridge, max_epochs, ratio):
    r, w, first = r.copy(), w.copy(), 0.0
    curvature = h @ X**2
    for epoch in range(max_epochs):
        moved = 0.0
        for j in range(X.shape[1]):
            slope, bend = X[:, j] @ r, curvature[j] + ridge[j]
            if bend <= 0 or (slope == 0 and w[j] == 0):
                continue
            z = curvature[j] * w[j] + slope
            change = np.sign(z) * max(abs(z) - threshold[j], 0) / bend - w[j]
            w[j] += change
            r -= change * h * X[:, j]
            moved += change**2 * bend
        first = moved if epoch == 0 else first
        if moved <= ratio * first:
            return r, w, True
    return r, w, False


def cases():
    rng = np.random.default_rng(0)
    for n, p in ((1, 1), (1, 4), (6, 3), (7, 12), (33, 5)):
        X = rng.standard_normal((n, p)) * (rng.uniform(size=(n, p)) < 0.7)
        threshold = rng.uniform(0, 0.3, p) * (rng.uniform(size=p) < 0.8)
        ridge = rng.uniform(0, 0.3, p) * (rng.uniform(size=p) < 0.5)
        yield X, rng.uniform(0, 0.25, n), rng.standard_normal(n), rng.standard_normal(p), threshold, ridge
    X = rng.standard_normal((8, 4))
    X[:, 1], X[:, 2] = 0.0, X[:, 0]
    zeros = np.zeros(4)
    yield X, np.full(8, 0.25), rng.standard_normal(8), zeros, zeros, zeros
    yield X, np.zeros(8), rng.standard_normal(8), zeros, np.full(4, 0.1), np.array([0.0, 0.1, 0.0, 0.2])
    yield X * 5e-324, np.full(8, 5e-324), rng.standard_normal(8), zeros, zeros, zeros
    yield np.zeros((3, 0)), np.ones(3), np.ones(3), np.zeros(0), np.zeros(0), np.zeros(0)


CASES = list(cases())


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("wide", [False, True])
def test_curvatures(case, wide):
    X, h = CASES[case][:2]
    expected, dense, csc = h @ X**2, np.empty(X.shape[1]), np.empty(X.shape[1])
    curvatures_dense(np.asfortranarray(X), h, dense)
    S = sparse.csc_array(X)
    kind = np.int64 if wide else np.int32
    curvatures_csc(S.data, S.indices.astype(kind), S.indptr.astype(kind), h, csc)
    np.testing.assert_allclose(dense, expected, rtol=1e-13)
    np.testing.assert_allclose(csc, expected, rtol=1e-13)


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize(("epochs", "ratio"), [(1, 0.0), (5, 0.0), (50, 1e-3)])
def test_descent(case, epochs, ratio):
    X, h, r, w, threshold, ridge = CASES[case]
    expected_r, expected_w, expected_done = descend_twin(X, h, r, w, threshold, ridge, epochs, ratio)
    if X.shape[1] == 0:
        expected_done = True
    S, curvature = sparse.csc_array(X), h @ X**2
    for kernel, arrays in (
        (descend_dense, (np.asfortranarray(X),)),
        (descend_csc, (S.data, S.indices, S.indptr)),
    ):
        out_r, out_w = r.copy(), w.copy()
        done = kernel(*arrays, h, out_r, out_w, curvature, threshold, ridge, epochs, ratio)
        assert done == expected_done
        np.testing.assert_allclose(out_w, expected_w, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(out_r, expected_r, rtol=1e-9, atol=1e-12)


def test_descent_reaches_the_models_minimum():
    X, h, r, w, _, ridge = CASES[4]
    X, r, w, threshold = np.asfortranarray(X), r.copy(), w.copy(), np.full(w.size, 0.05)
    start_r, start_w = r.copy(), w.copy()
    assert descend_dense(X, h, r, w, h @ X**2, threshold, ridge, 1000, 1e-24)
    np.testing.assert_allclose(r, start_r - h * (X @ (w - start_w)), atol=1e-12)
    slope = X.T @ r - ridge * w
    assert np.all(np.abs(slope) <= threshold + 1e-9)
    np.testing.assert_allclose(slope[w != 0], (threshold * np.sign(w))[w != 0], atol=1e-9)
