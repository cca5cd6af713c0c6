"""Products with a few columns against NumPy."""

import numpy as np
import pytest
from scipy import sparse

from estimand.cython_ext import _columns as kernel


@pytest.mark.parametrize("chosen", [[], [2], [4, 0, 4]])
@pytest.mark.parametrize("n", [1, 7])
def test_add_columns(chosen, n):
    rng = np.random.default_rng(n)
    A = np.asfortranarray(rng.standard_normal((n, 5)) * (rng.random((n, 5)) < 0.6))
    S = sparse.csc_array(A)
    columns, coef, start = np.array(chosen, dtype=np.int32), rng.standard_normal(len(chosen)), rng.standard_normal(n)
    expected = start + A[:, chosen] @ coef
    dense, thin = start.copy(), start.copy()
    kernel.add_dense_columns(A, columns, coef, dense)
    kernel.add_sparse_columns(S.data, S.indices.astype(np.int32), S.indptr.astype(np.int32), columns, coef, thin)
    np.testing.assert_allclose(dense, expected, atol=1e-14)
    np.testing.assert_allclose(thin, expected, atol=1e-14)
