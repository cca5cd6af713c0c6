"""The columns of a working set, gathered once and seen by the kernels: dense in Fortran order, or CSC.

What is done with them is the business of the backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...cython_ext._logistic_cd import curvatures_csc, curvatures_dense, descend_csc, descend_dense
from ..lasso.frame import FloatArray, dense_columns

__all__ = ["Columns"]

#: Multiplications a kernel call may do, so that it returns within about a tenth of a second.
_WORK = 5e7
#: How much faster matrix products are than coordinate descent, an operation.
_BLAS_SPEED = 4.0


class Columns:
    """Float64 columns `indices` of `A`, after a constant one where there is an intercept.

    Parameters
    ----------
    A : ndarray or CSC matrix of shape (n, p)
        The design.
    indices : integer array
        The columns to gather.
    constant : bool
        Whether a column of ones comes first.
    """

    def __init__(self, A: Any, indices: npt.NDArray[np.intp], constant: bool) -> None:
        self.constant = int(constant)
        self.sparse = sparse.issparse(A)
        if self.sparse:
            chosen = sparse.csc_array(A[:, indices], dtype=np.float64)
            ones = sparse.csc_array(np.ones((A.shape[0], self.constant)))
            self.all: Any = sparse.csc_array(sparse.hstack([ones, chosen], format="csc"))
            self.design: Any = chosen
            self.arrays = (self.all.data, self.all.indices, self.all.indptr)
            self.size = int(self.all.nnz)
        else:
            self.all = np.empty((A.shape[0], self.constant + indices.size), order="F")
            self.all[:, : self.constant] = 1.0
            self.all[:, self.constant :] = dense_columns(A, indices)
            self.design = self.all[:, self.constant :]
            self.size = int(self.all.size)
        self.max_epochs = int(np.clip(_WORK / max(1, 2 * self.size), 1, 1000))

    def epochs_worth(self, support: int) -> int:
        """Return how many epochs take as long as a Newton step on `support` columns."""
        per_column = self.size / max(1, self.all.shape[1])
        work = support * support * (per_column / 2 + support / 6) / _BLAS_SPEED
        return int(work / max(1, 2 * self.size))

    def curvatures(self, h: FloatArray) -> FloatArray:
        """Return the diagonal of ``X^T diag(h) X``."""
        out = np.empty(self.all.shape[1])
        if self.sparse:
            curvatures_csc(*self.arrays, h, out)
        else:
            curvatures_dense(self.all, h, out)
        return out

    def gram(self, h: FloatArray, support: npt.NDArray[np.intp]) -> FloatArray:
        """Return ``X_S^T diag(h) X_S``."""
        chosen = self.all[:, support]
        if self.sparse:
            return np.asarray((chosen.T @ (sparse.diags_array(h) @ chosen)).toarray())
        return np.asarray(chosen.T @ (h[:, None] * chosen))

    def descend(
        self,
        h: FloatArray,
        r: FloatArray,
        w: FloatArray,
        curvature: FloatArray,
        threshold: FloatArray,
        ridge: FloatArray,
        max_epochs: int,
        ratio: float,
    ) -> bool:
        """Run epochs of coordinate descent in place; tell whether they converged."""
        epochs = min(max_epochs, self.max_epochs)
        if self.sparse:
            return descend_csc(*self.arrays, h, r, w, curvature, threshold, ridge, epochs, ratio)
        return descend_dense(self.all, h, r, w, curvature, threshold, ridge, epochs, ratio)
