import numpy as np
import pytest

from estimand.cython_ext._weighted_gram import class_sums, weighted_gram

BLOCK = 256


def run(X, rows, weight):
    """Call the kernel with the smallest work space, and with nothing to start from."""
    q = X.shape[1] + 1
    gram = np.full((weight.shape[1], q, q), np.nan)
    weighted_gram(X, np.asarray(rows, dtype=np.int32), weight, np.full(BLOCK * q, np.nan), gram)
    return gram


def twin(X, rows, weight):
    Z = np.hstack([np.ones((len(rows), 1)), X[rows]])
    return np.array([Z.T @ (weight[rows, k, None] * Z) for k in range(weight.shape[1])])


def check(X, rows, weight):
    gram = run(X, rows, weight)
    Z = np.hstack([np.ones((len(rows), 1)), np.abs(X[rows])])
    size = np.einsum("rk,ri,rj->kij", np.abs(weight[rows]), Z, Z)
    assert np.all(np.abs(gram - twin(X, rows, weight)) <= 1e-14 * size)
    np.testing.assert_allclose(gram, gram.transpose(0, 2, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 255, 256, 257, 512, 1000])
@pytest.mark.parametrize("p", [0, 1, 7])
@pytest.mark.parametrize("columns", [1, 3])
def test_all_rows(n, p, columns):
    rng = np.random.default_rng(n + p)
    check(rng.standard_normal((n, p)), np.arange(n), rng.uniform(0, 1, (n, columns)))


@pytest.mark.parametrize("n", [1, 256, 700])
@pytest.mark.parametrize("p", [0, 1, 7])
def test_columns_of_a_wider_array(n, p):
    rng = np.random.default_rng(n + p)
    X, wide = rng.standard_normal((n, p)), rng.uniform(0, 1, (n, 5))
    for weight in (wide[:, 2:], wide[:, :1], wide[:, 1:4], wide[:, ::2], wide[::-1, :2], np.asfortranarray(wide)):
        check(X, np.arange(n), weight)


@pytest.mark.parametrize("size", [0, 1, 100, 256, 257, 600])
@pytest.mark.parametrize("p", [0, 1, 7])
def test_some_rows(size, p):
    rng = np.random.default_rng(size + p)
    rows = rng.permutation(900)[:size]
    X, weight = rng.standard_normal((900, p)), rng.uniform(0, 1, (900, 3))
    left_out = np.setdiff1d(np.arange(900), rows)
    check(X, rows, weight)
    expected = run(X, rows, weight)
    # The other rows are not looked at.
    X[left_out], weight[left_out] = np.nan, np.nan
    np.testing.assert_array_equal(run(X, rows, weight), expected)
    check(X, np.concatenate([rows, rows]), weight)  # rows that come twice count twice


def test_small_integers_are_summed_exactly():
    rng = np.random.default_rng(0)
    # Weights whose roots are exact.
    X, weight = rng.integers(-9, 10, (1000, 7)).astype(float), rng.integers(0, 5, (1000, 3)).astype(float) ** 2
    np.testing.assert_array_equal(run(X, np.arange(1000), weight), twin(X, np.arange(1000), weight))


@pytest.mark.parametrize("n", [0, 1, 300])
def test_class_sums(n):
    rng = np.random.default_rng(n)
    X, y, weight = rng.standard_normal((n, 3)), rng.integers(0, 4, n).astype(np.int32), rng.uniform(size=(n, 3))
    sums = np.empty((2, 4, 3))
    class_sums(X, y, weight, 2, sums)
    for k in range(2):
        for c in range(4):
            np.testing.assert_allclose(sums[k, c], weight[y == c, k] @ X[y == c], atol=1e-13)
