"""Weighted Gram matrices and sums of some rows of a design in C order, with a constant before its first column.

Rows are gathered in blocks that stay in the cache and handed to BLAS.
"""

from libc.math cimport sqrt
from scipy.linalg.cython_blas cimport dsyrk

cdef enum:
    BLOCK = 256


def weighted_gram(
    const double[:, ::1] X,
    const int[::1] rows,
    const double[:, :] weight,
    double[::1] work,
    double[:, :, ::1] gram,
):
    """Write ``sum_i weight[i, k] z_i z_i^T`` over `rows` to ``gram[k]``, where ``z_i = (1, x_i)`` and weights are >= 0.

    `work` holds at least ``256 * (p + 1)`` numbers.
    """
    cdef int q = X.shape[1] + 1, count, r, i
    cdef Py_ssize_t n_rows = rows.shape[0], block, first, j, k
    cdef double root, one = 1.0
    with nogil:
        gram[:, :, :] = 0.0
        for block in range((n_rows + BLOCK - 1) // BLOCK):
            first = block * BLOCK
            count = <int> min(BLOCK, n_rows - first)
            for k in range(gram.shape[0]):
                for r in range(count):
                    i = rows[first + r]
                    root = sqrt(weight[i, k])
                    work[r * q] = root
                    for j in range(q - 1):
                        work[r * q + 1 + j] = root * X[i, j]
                dsyrk("U", "N", &q, &count, &one, &work[0], &q, &one, &gram[k, 0, 0], &q)
        for k in range(gram.shape[0]):
            for r in range(q):
                for j in range(r):
                    gram[k, j, r] = gram[k, r, j]


def class_sums(
    const double[:, ::1] X, const int[::1] y, const double[:, ::1] weight, int n_weights, double[:, :, ::1] sums
):
    """Write ``sum_i weight[i, k] x_i`` over the rows of class c to ``sums[k, c]``, for k below `n_weights`."""
    cdef Py_ssize_t n = X.shape[0], p = X.shape[1], i, j, k
    cdef double h
    with nogil:
        sums[:, :, :] = 0.0
        for i in range(n):
            for k in range(n_weights):
                h = weight[i, k]
                for j in range(p):
                    sums[k, y[i], j] += h * X[i, j]
