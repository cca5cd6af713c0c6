"""The frame of a least-squares problem: sample weights, intercept and unpenalised columns, projected out.

All Lasso backends and the certificate see the data through this one view. Rows are scaled by
``sqrt(n q_i / sum(q))``, and the span of the intercept and the free columns is removed with an orthonormal basis.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator

from ...cython_ext import _columns

__all__ = ["FloatArray", "Frame", "correlate", "dense_columns", "multiply"]

FloatArray = npt.NDArray[np.float64]

_BLOCK = 1 << 18
_RANK_FLOOR = 1e-12


def multiply(A: Any, v: FloatArray) -> FloatArray:
    """Return ``A @ v`` in float64, touching only the columns where `v` is not zero if these are few."""
    if isinstance(A, LinearOperator):
        return np.asarray(A.matvec(v), dtype=np.float64).ravel()
    support = np.flatnonzero(v)
    if sparse.issparse(A) and not (A.format == "csc" and A.dtype == np.float64 and A.indices.dtype == np.int32):
        return np.asarray(A @ v, dtype=np.float64)
    product = np.zeros(A.shape[0])
    if sparse.issparse(A):
        _columns.add_sparse_columns(A.data, A.indices, A.indptr, support.astype(np.int32), v[support], product)
        return product
    if 4 * support.size > v.size and A.dtype == np.float64:
        return np.asarray(A @ v)
    if A.dtype == np.float64 and A.flags.f_contiguous:
        _columns.add_dense_columns(A, support.astype(np.int32), v[support], product)
        return product
    width = max(1, _BLOCK // max(1, A.shape[0]))
    for first in range(0, support.size, width):
        block = support[first : first + width]
        product += v[block] @ A.T[block].astype(np.float64, copy=False)
    return product


def correlate(A: Any, r: FloatArray) -> FloatArray:
    """Return ``A.T @ r`` in float64, in blocks where `A` is float32."""
    if isinstance(A, LinearOperator):
        return np.asarray(A.rmatvec(r), dtype=np.float64).ravel()
    if sparse.issparse(A) or A.dtype == np.float64:
        return np.asarray(A.T @ r, dtype=np.float64)
    products = np.empty(A.shape[1])
    width = max(1, _BLOCK // max(1, A.shape[0]))
    for first in range(0, A.shape[1], width):
        products[first : first + width] = A[:, first : first + width].astype(np.float64).T @ r
    return products


def dense_columns(A: Any, columns: npt.NDArray[np.intp]) -> FloatArray:
    """Return ``A[:, columns]`` as a new dense Fortran-ordered float64 array."""
    if isinstance(A, LinearOperator):
        units = np.zeros((A.shape[1], columns.size))
        units[columns, np.arange(columns.size)] = 1.0
        return np.asfortranarray(A.matmat(units), dtype=np.float64)
    if sparse.issparse(A):
        return np.asfortranarray(A[:, columns].toarray(), dtype=np.float64)
    return np.asfortranarray(np.ascontiguousarray(A.T[columns], dtype=np.float64).T)


class Frame:
    """Weights, intercept and free columns of a design `A` and a response `y`.

    Parameters
    ----------
    A : array, sparse matrix or LinearOperator of shape (n, p)
        The design.
    y : array of shape (n,)
        The response.
    sample_weight : array of shape (n,) or None
        Nonnegative weights of the rows.
    fit_intercept : bool
        Whether the constant belongs to the free span.
    free : integer array
        The columns without penalty.

    Attributes
    ----------
    root_weight : array of shape (n,) or None
        ``sqrt(n q_i / sum(q))``, None where all weights are equal.
    basis : array of shape (n, f)
        Orthonormal basis of the free span, in weighted coordinates.
    response : array of shape (n,)
        The weighted response, projected.
    scale : float
        ``|y|^2 / (2 n)`` of the weighted, centred response; 1 where that is 0.
    """

    def __init__(
        self,
        A: Any,
        y: npt.NDArray[np.floating[Any]],
        sample_weight: npt.NDArray[np.floating[Any]] | None,
        fit_intercept: bool,
        free: npt.NDArray[np.intp],
    ) -> None:
        self.A, self.y, self.sample_weight, self.fit_intercept, self.free = A, y, sample_weight, fit_intercept, free
        self.n_samples = int(A.shape[0])
        self.root_weight: FloatArray | None = None
        if sample_weight is not None:
            weight = np.asarray(sample_weight, dtype=np.float64)
            self.root_weight = np.sqrt(weight * (weight.size / weight.sum()))
        constant = np.ones(self.n_samples) if self.root_weight is None else self.root_weight
        self.constant = constant[:, None] / np.linalg.norm(constant) if fit_intercept else np.empty((self.n_samples, 0))
        self.basis = self._free_basis()
        weighted = self.weigh(np.asarray(y, dtype=np.float64))
        centred = self._remove(self.constant, weighted)
        squared = float(centred @ centred)
        # A constant leaves rounding noise, not zero, when it is centred.
        noise = 4 * self.n_samples * (np.finfo(np.float64).eps * float(np.abs(weighted).max(initial=0.0))) ** 2
        self.scale = squared / (2 * self.n_samples) if squared > noise else 1.0
        self.response = self.project(weighted) if squared > noise else np.zeros(self.n_samples)

    def matches(self, A: Any, y: Any, sample_weight: Any, fit_intercept: bool, free: npt.NDArray[np.intp]) -> bool:
        """Whether the frame was made from these very arrays."""
        same = A is self.A and y is self.y and sample_weight is self.sample_weight
        return same and fit_intercept == self.fit_intercept and np.array_equal(free, self.free)

    def _free_basis(self) -> FloatArray:
        if self.free.size == 0:
            return self.constant
        columns = self._remove(self.constant, self.weigh(dense_columns(self.A, self.free)))
        before = np.linalg.norm(self.weigh(dense_columns(self.A, self.free)), axis=0)
        norms = np.linalg.norm(columns, axis=0)
        columns = columns[:, norms > _RANK_FLOOR * before] / norms[norms > _RANK_FLOOR * before]
        if columns.shape[1] == 0:
            return self.constant
        q, r, _ = linalg.qr(columns, mode="economic", pivoting=True)
        diagonal = np.abs(np.diag(r))
        q = q[:, : int((diagonal > _RANK_FLOOR * diagonal[0]).sum())]
        return np.asfortranarray(np.hstack([self.constant, self._remove(self.constant, q)]))

    def weigh(self, z: FloatArray) -> FloatArray:
        """Multiply the rows of `z` by the root weights."""
        if self.root_weight is None:
            return z
        return z * (self.root_weight if z.ndim == 1 else self.root_weight[:, None])

    @staticmethod
    def _remove(basis: FloatArray, z: FloatArray) -> FloatArray:
        # Twice, because one pass leaves a residue of the order of the rounding error of what it removed.
        for _ in range(2 if basis.shape[1] else 0):
            z = z - basis @ (basis.T @ z)
        return z

    def center(self, z: FloatArray) -> FloatArray:
        """Remove the constant from weighted rows."""
        return self._remove(self.constant, z)

    def project(self, z: FloatArray) -> FloatArray:
        """Remove the free span from weighted rows."""
        return self._remove(self.basis, z)

    def residual(self, v: FloatArray) -> FloatArray:
        """Return the weighted residual ``y - A v``, with the intercept (not the free columns) at its best."""
        return self.center(self.weigh(np.asarray(self.y, dtype=np.float64) - multiply(self.A, v)))

    def correlation(self, projected: FloatArray) -> FloatArray:
        """Return ``A^T r / n`` for a projected weighted `r`."""
        return correlate(self.A, self.weigh(projected)) / self.n_samples

    @property
    def block_width(self) -> int:
        """How many columns to treat at once, so that temporary arrays stay small beside the design."""
        return max(1, _BLOCK // max(1, self.n_samples))

    @property
    def is_plain(self) -> bool:
        """Whether weighted, projected columns are those of a float64 design in Fortran order as they stand."""
        plain = self.root_weight is None and self.basis.shape[1] == 0
        return plain and isinstance(self.A, np.ndarray) and self.A.dtype == np.float64 and self.A.flags.f_contiguous

    def columns(self, indices: npt.NDArray[np.intp]) -> FloatArray:
        """Return weighted, projected columns as a new dense Fortran-ordered array."""
        columns, width = np.empty((self.n_samples, indices.size), order="F"), self.block_width
        for first in range(0, indices.size, width):
            block = slice(first, first + width)
            columns[:, block] = self.project(self.weigh(dense_columns(self.A, indices[block])))
        return columns

    @cached_property
    def root_mean_squares(self) -> FloatArray:
        """Upper bounds on the root mean squares of the projected columns: those before projection."""
        n, p = self.A.shape
        weight = None if self.root_weight is None else np.square(self.root_weight)
        if sparse.issparse(self.A):
            squares = self.A.astype(np.float64).power(2)
            sums = squares.sum(axis=0) if weight is None else squares.T @ weight
            return np.asarray(np.sqrt(np.asarray(sums).ravel() / n))
        sums = np.empty(p)
        width = self.block_width
        for first in range(0, p, width):
            block = np.asarray(self.A[:, first : first + width], dtype=np.float64)
            sums[first : first + width] = np.einsum(
                "ij,ij->j", block, block if weight is None else block * weight[:, None]
            )
        return np.asarray(np.sqrt(sums / n))

    def column_norms(self) -> FloatArray:
        """Return root mean squares of the projected columns: 0 in the free span; ones for an operator."""
        p = self.A.shape[1]
        if isinstance(self.A, LinearOperator):
            return np.ones(p)
        return self._projected_norms(np.arange(p)) if self.basis.shape[1] else self.root_mean_squares

    def is_dependent(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Tell which columns lie in the free span, up to rounding; for an operator, none."""
        if isinstance(self.A, LinearOperator) or self.basis.shape[1] == 0:
            return np.zeros(columns.size, dtype=np.bool_)
        return np.asarray(self._projected_norms(columns) == 0)

    def _projected_norms(self, columns: npt.NDArray[np.intp]) -> FloatArray:
        """Return root mean squares after projection, in blocks; 0 where only rounding noise is left."""
        norms = np.zeros(columns.size)
        width = self.block_width
        for first in range(0, columns.size, width):
            plain = self.weigh(dense_columns(self.A, columns[first : first + width]))
            before, after = np.linalg.norm(plain, axis=0), np.linalg.norm(self.project(plain), axis=0)
            norms[first : first + width] = np.where(after > _RANK_FLOOR * before, after, 0.0)
        return np.asarray(norms / np.sqrt(self.n_samples))

    @cached_property
    def _shares(self) -> FloatArray:
        weight = np.ones(self.n_samples) if self.root_weight is None else np.square(self.root_weight)
        return np.asarray(weight / weight.sum())

    @cached_property
    def _column_means(self) -> FloatArray:
        return correlate(self.A, self._shares)

    @cached_property
    def _mean_response(self) -> float:
        return float(self._shares @ np.asarray(self.y, dtype=np.float64))

    def intercept(self, v: FloatArray) -> float:
        """Return the best intercept for the coefficients `v`, 0 without one."""
        return float(self._mean_response - self._column_means @ v) if self.fit_intercept else 0.0

    def complete(self, v: FloatArray) -> FloatArray:
        """Return `v` with its free coefficients replaced by their least-squares values given the others."""
        if self.free.size == 0:
            return v
        v = v.copy()
        v[self.free] = 0.0
        weighted = self.weigh(dense_columns(self.A, self.free))
        columns = self.center(weighted)
        norms = np.linalg.norm(columns, axis=0)
        constant = norms <= _RANK_FLOOR * np.linalg.norm(weighted, axis=0)
        columns[:, constant], norms[constant] = 0.0, 1.0  # what centring leaves of these is rounding noise
        left, values, right = linalg.svd(columns / norms, full_matrices=False)
        kept = values > _RANK_FLOOR * values.max(initial=0.0)
        left, values, right = left[:, kept], values[kept], right[kept]
        v[self.free] = right.T @ ((left.T @ self.residual(v)) / values) / norms
        if values.size < self.free.size:  # of the many solutions, the one of least norm in the user's own columns
            row_space = linalg.qr(right.T * norms[:, None], mode="economic")[0]
            v[self.free] = row_space @ (row_space.T @ v[self.free])
        for _ in range(2):  # refinement
            v[self.free] += right.T @ ((left.T @ self.residual(v)) / values) / norms
        return v
