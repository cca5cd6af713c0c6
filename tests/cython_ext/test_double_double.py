"""Sums of products in twice the precision, against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from estimand.cython_ext import _double_double


def value(row):
    return Fraction(float(row[0])) + Fraction(float(row[1]))


def numbers(rng, n):
    """Numbers of very different sizes, with low parts."""
    high = rng.standard_normal(n) * 10.0 ** rng.integers(-8, 8, n)
    return np.stack([high, high * rng.uniform(-1, 1, n) * 2.0**-54, 1.5 * np.abs(high)], axis=1)


def table(rng, n, n_entries, n_targets):
    first, second = np.sort(rng.integers(0, n, (2, n_entries)), axis=0).astype(np.int32)
    target = rng.integers(0, n_targets, n_entries).astype(np.int32)
    return first, second, target, rng.integers(-4, 5, n_entries).astype(float)


def test_products():
    rng = np.random.default_rng(0)
    left, right, total = numbers(rng, 20), numbers(rng, 20), numbers(rng, 5)
    entries = table(rng, 20, 300, 5)
    expected, size = [value(row) for row in total], total[:, 2].copy()
    for i, j, target, c in zip(*entries, strict=True):
        pairs = [(i, j)] if i == j else [(i, j), (j, i)]
        expected[target] -= sum(Fraction(c) * value(left[a]) * value(right[b]) for a, b in pairs)
        size[target] += sum(abs(c) * left[a, 2] * right[b, 2] for a, b in pairs)
    _double_double.add_products(*entries, left, right, -1.0, total)
    np.testing.assert_allclose(total[:, 2], size, rtol=1e-13)
    for row, exact in zip(total, expected, strict=True):
        assert abs(value(row) - exact) <= 2.0**-90 * row[2]


def test_form():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((8, 8)) * 10.0 ** rng.integers(-8, 8, (8, 8))
    entries, total = table(rng, 8, 200, 4), np.zeros((4, 3))
    expected = [Fraction(0)] * 4
    for i, j, target, c in zip(*entries, strict=True):
        pairs = [(i, j)] if i == j else [(i, j), (j, i)]
        expected[target] += sum(Fraction(c) * Fraction(float(matrix[pair])) for pair in pairs)
    _double_double.add_form(*entries, matrix, total)
    for row, exact in zip(total, expected, strict=True):
        assert abs(value(row) - exact) <= 2.0**-90 * row[2]


@pytest.mark.parametrize("n", [1, 2, 13, 71])
def test_factors(n):
    rng = np.random.default_rng(n)
    root = rng.standard_normal((n, n + 2))
    matrix, factor = root @ root.T, np.zeros((n, n, 2))
    assert _double_double.factors(matrix, 0.0, factor)
    reference = np.linalg.cholesky(matrix)
    np.testing.assert_allclose(np.tril(factor[:, :, 0]), reference, rtol=0, atol=1e-10 * np.abs(reference).max())
    # The factor is exact to far more digits than doubles have.
    last = sum(value(factor[n - 1, k]) ** 2 for k in range(n))
    assert abs(last - Fraction(float(matrix[n - 1, n - 1]))) <= 2.0**-95 * matrix[n - 1, n - 1]
    least = np.linalg.eigvalsh(matrix)[0]
    assert not _double_double.factors(matrix, -least * (1 + 1e-6), factor)


def test_factors_of_singular_matrices():
    ones, factor = np.ones((3, 3)), np.zeros((3, 3, 2))
    assert _double_double.factors(ones, 1e-25, factor)
    assert not _double_double.factors(ones, -1e-25, factor)
    assert not _double_double.factors(ones, 0.0, factor)
    assert not _double_double.factors(np.full((2, 2), np.nan), 1.0, np.zeros((2, 2, 2)))
