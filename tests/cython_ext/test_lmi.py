"""The kernel of the Newton matrix against two products and an entrywise one."""

import numpy as np
import pytest

from estimand.cython_ext import _lmi


@pytest.mark.parametrize(("n_blocks", "n", "N"), [(3, 13, 742), (1, 71, 96), (2, 5, 97), (4, 1, 1), (0, 3, 10)])
def test_schur_matrix(n_blocks, n, N):
    rng = np.random.default_rng(n_blocks)
    first, second = rng.standard_normal((2, n_blocks, n, N))
    start = rng.standard_normal((N, N))
    total = start.copy()
    _lmi.add_schur(first, second, np.empty(2 * 96**2), total)
    products = (np.swapaxes(first, 1, 2) @ first) * (np.swapaxes(second, 1, 2) @ second)
    reference = start + products.sum(axis=0)
    upper = np.triu_indices(N)
    np.testing.assert_allclose(total[upper], reference[upper], rtol=0, atol=1e-13 * max(1.0, np.abs(reference).max()))


def test_schur_matrix_is_that_of_the_newton_system():
    """The trace of ``F_p X F_q S^-1`` for ``F_p = q_p v_p v_p^T``."""
    rng = np.random.default_rng(0)
    n, N = 4, 6
    v, q = rng.standard_normal((n, N)), rng.standard_normal(N)
    A, B = rng.standard_normal((2, n, n))
    X, S = A @ A.T + np.eye(n), B @ B.T + np.eye(n)
    first, second = np.linalg.cholesky(X).T @ v * q, np.linalg.solve(np.linalg.cholesky(S), v)
    total = np.zeros((N, N))
    _lmi.add_schur(first[None], second[None], np.empty(2 * 96**2), total)
    F = [q[p] * np.outer(v[:, p], v[:, p]) for p in range(N)]
    reference = [[np.trace(F[p] @ X @ F[r] @ np.linalg.inv(S)) for r in range(N)] for p in range(N)]
    np.testing.assert_allclose(np.triu(total), np.triu(reference), rtol=1e-10, atol=1e-12)
