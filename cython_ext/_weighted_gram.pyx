"""Weighted Gram matrices of some rows of a design in C order, with a constant before its first column.

Rows are gathered in blocks that stay in the cache and handed to BLAS.
"""

from scipy.linalg.cython_blas cimport dgemm

cdef enum:
    BLOCK = 256


def weighted_gram(
    const double[:, ::1] X,
    const int[::1] rows,
    const double[:, :] weight,
    double[::1] work,
    double[:, :, ::1] gram,
):
    """Write ``sum_i weight[i, k] z_i z_i^T`` over `rows` to ``gram[k]``, where ``z_i = (1, x_i)``.

    `work` holds at least ``2 * 256 * (p + 1)`` numbers.
    """
    cdef int q = X.shape[1] + 1, count, r, i
    cdef Py_ssize_t n_rows = rows.shape[0], block, first, j, k
    cdef double h, one = 1.0
    cdef double* plain = &work[0]
    cdef double* scaled = plain + BLOCK * q
    with nogil:
        gram[:, :, :] = 0.0
        for block in range((n_rows + BLOCK - 1) // BLOCK):
            first = block * BLOCK
            count = <int> min(BLOCK, n_rows - first)
            for r in range(count):
                i = rows[first + r]
                plain[r * q] = 1.0
                for j in range(q - 1):
                    plain[r * q + 1 + j] = X[i, j]
            for k in range(gram.shape[0]):
                for r in range(count):
                    h = weight[rows[first + r], k]
                    for j in range(q):
                        scaled[r * q + j] = h * plain[r * q + j]
                dgemm("N", "T", &q, &q, &count, &one, scaled, &q, plain, &q, &one, &gram[k, 0, 0], &q)
