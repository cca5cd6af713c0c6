"""Generators: shapes, ranges, reproducibility, and the signal-to-noise ratio and correlation that they promise."""

import numpy as np
import pytest
from scipy import sparse

from estimand.datasets import make_ill_conditioned_regression, make_sparse_regression, make_text_regression


def test_sparse_regression_has_the_correlation_and_noise_asked_for():
    data = make_sparse_regression(4000, 40, n_nonzero=5, correlation=0.7, snr=4.0, random_state=0)
    assert data.X.flags.f_contiguous
    neighbours = np.mean([np.corrcoef(data.X[:, j], data.X[:, j + 1])[0, 1] for j in range(39)])
    assert neighbours == pytest.approx(0.7, abs=0.02)
    np.testing.assert_allclose(data.X.var(axis=0), 1.0, atol=0.1)
    signal = data.X @ data.coef
    assert np.sum(signal**2) / np.sum((data.y - signal) ** 2) == pytest.approx(4.0)
    assert np.count_nonzero(data.coef) == 5


def test_text_regression_has_unit_rows_and_common_words():
    data = make_text_regression(300, 1000, words_per_sample=30, n_nonzero=20, random_state=0)
    assert sparse.issparse(data.X)
    assert data.X.indices.dtype == data.X.indptr.dtype == np.int32
    np.testing.assert_allclose(np.asarray(data.X.multiply(data.X).sum(axis=1)).ravel(), 1.0)
    counts = np.diff(data.X.indptr)
    assert counts[:50].mean() > 10 * counts[-500:].mean()


@pytest.mark.parametrize("design", ["walk", "common", "mixture", "rbf"])
def test_ill_conditioned_regression_is_ill_conditioned_and_scaled(design):
    data = make_ill_conditioned_regression(design, 60, 50, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(data.X, axis=0), np.sqrt(60))
    assert np.linalg.cond(data.X) > 100


def test_seeds_repeat():
    for make in (make_sparse_regression, make_ill_conditioned_regression):
        first, second = (make(n_samples=20, n_features=30, n_nonzero=3, random_state=7) for _ in range(2))
        np.testing.assert_array_equal(first.X, second.X)
        np.testing.assert_array_equal(first.y, second.y)


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (make_sparse_regression, {"correlation": 1.0}, "correlation=1.0"),
        (make_sparse_regression, {"n_nonzero": 0}, "n_nonzero=0"),
        (make_sparse_regression, {"snr": 0.0}, "snr=0.0"),
        (make_ill_conditioned_regression, {"design": "odd"}, "'walk', 'common'"),
        (make_ill_conditioned_regression, {"n_nonzero": 500}, "n_nonzero=500"),
    ],
)
def test_bad_parameters(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(n_samples=20, n_features=30, **parameters)
