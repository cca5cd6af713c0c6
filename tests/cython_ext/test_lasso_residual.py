"""The residual kernels against a NumPy twin."""

import numpy as np
import pytest
from scipy import sparse

from estimand.cython_ext import _lasso_residual as kernel


def twin(design, coef, residual, threshold, ridge, positive, n_epochs):
    """Coordinate descent on projected columns, one column after the other."""
    n, iterates = residual.size, []
    for _ in range(n_epochs):
        for j in range(coef.size):
            square = design[:, j] @ design[:, j] / n
            z = design[:, j] @ residual / n + square * coef[j]
            new = max(z - threshold[j], 0) if positive else np.sign(z) * max(abs(z) - threshold[j], 0)
            new /= square + ridge[j]
            residual -= (new - coef[j]) * design[:, j]
            coef[j] = new
        iterates.append(coef.copy())
    return np.array(iterates)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (9, 1), (20, 8), (8, 20)])
@pytest.mark.parametrize(("positive", "ridge"), [(False, 0.0), (True, 0.0), (False, 0.2)])
def test_dense_epochs(shape, positive, ridge):
    rng = np.random.default_rng(0)
    design = rng.standard_normal(shape)
    design = np.asfortranarray(design / np.sqrt(np.square(design).mean(axis=0)))
    coef, threshold, strengths = rng.standard_normal(shape[1]), rng.uniform(0, 0.3, shape[1]), np.full(shape[1], ridge)
    coef = np.abs(coef) if positive else coef
    residual = rng.standard_normal(shape[0])
    expected_coef, expected_residual = coef.copy(), residual.copy()
    expected = twin(design, expected_coef, expected_residual, threshold, strengths, positive, 7)
    iterates = np.empty((3, shape[1]))
    kernel.dense_epochs(design, coef, residual, threshold, strengths, positive, 7, iterates)
    np.testing.assert_allclose(coef, expected_coef, atol=1e-12)
    np.testing.assert_allclose(residual, expected_residual, atol=1e-12)
    np.testing.assert_allclose(iterates, expected[-3:], atol=1e-12)


@pytest.mark.parametrize("free", [0, 1, 3])
@pytest.mark.parametrize(("positive", "ridge"), [(False, 0.0), (True, 0.0), (False, 0.2)])
def test_sparse_epochs_project_implicitly(free, positive, ridge):
    rng = np.random.default_rng(free)
    n, p = 25, 12
    design = sparse.random(n, p, density=0.4, format="csc", random_state=rng, data_rvs=rng.standard_normal)
    basis = np.linalg.qr(rng.standard_normal((n, free)))[0] if free else np.empty((n, 0))
    projected = design.toarray() - basis @ (basis.T @ design.toarray())
    columns = np.array([7, 0, 3, 11], dtype=np.int32)
    coef, threshold, strengths = rng.standard_normal(4), rng.uniform(0, 0.1, 4), np.full(4, ridge)
    coef = np.abs(coef) if positive else coef
    start = rng.standard_normal(n)
    start -= basis @ (basis.T @ start)
    residual, shadow = start.copy(), np.zeros(free)
    expected_coef, expected_residual = coef.copy(), start.copy()
    chosen = projected[:, columns]
    expected = twin(chosen, expected_coef, expected_residual, threshold, strengths, positive, 6)
    iterates = np.empty((6, 4))
    kernel.sparse_epochs(
        design.data, design.indices, design.indptr, columns, np.square(chosen).mean(axis=0),
        np.asfortranarray(basis.T @ design.toarray()[:, columns]), coef, residual, shadow,
        threshold, strengths, positive, 6, iterates,
    )  # fmt: skip
    np.testing.assert_allclose(coef, expected_coef, atol=1e-12)
    np.testing.assert_allclose(residual - basis @ shadow, expected_residual, atol=1e-12)
    np.testing.assert_allclose(iterates, expected, atol=1e-12)
