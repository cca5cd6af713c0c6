"""The matrix of the Newton system of a semidefinite program whose data are matrices of rank one.

For ``F_p = q_p v_p v_p^T`` the entry is ``<F_p, X F_q S^-1> = q_p q_q (v_p^T X v_q) (v_p^T S^-1 v_q)``: an entrywise
product of two Gram matrices, of the columns of ``A v`` and ``B v`` with ``A^T A = X`` and ``B^T B = S^-1``. One tile
is formed at a time, so that the Gram matrices stay in the cache. Steps and stopping are the caller's.
"""

from scipy.linalg.cython_blas cimport dgemm

cdef enum:
    TILE = 96


def add_schur(
    const double[:, :, ::1] first,
    const double[:, :, ::1] second,
    double[::1] scratch,
    double[:, ::1] total,
):
    """Add ``(first_b^T first_b) * (second_b^T second_b)``, entry by entry, for all b to the upper triangle of `total`.

    `first` and `second` have shape (blocks, n, N), `total` has shape (N, N) and is also changed a little below its
    diagonal, `scratch` has at least 2 * 96^2 entries.
    """
    cdef Py_ssize_t b, i, j, row, column, N = total.shape[0], n_tiles = (N + TILE - 1) // TILE
    cdef Py_ssize_t n_blocks = first.shape[0], upper, left
    cdef int ld = <int>N, n = <int>first.shape[1], rows, columns, width = TILE
    cdef double one = 1.0, zero = 0.0
    cdef double* a = &scratch[0]
    cdef double* c = &scratch[TILE * TILE]
    cdef double* t
    with nogil:
        for upper in range(n_tiles):
            i = upper * TILE
            rows = <int>min(TILE, N - i)
            for left in range(upper, n_tiles):
                j = left * TILE
                columns = <int>min(TILE, N - j)
                for b in range(n_blocks):
                    # BLAS counts down columns, so that it sees the transpose of each array and of the tile.
                    dgemm("N", "T", &columns, &rows, &n, &one, <double*>&first[b, 0, j], &ld, <double*>&first[b, 0, i],
                          &ld, &zero, a, &width)
                    dgemm("N", "T", &columns, &rows, &n, &one, <double*>&second[b, 0, j], &ld,
                          <double*>&second[b, 0, i], &ld, &zero, c, &width)
                    for row in range(rows):
                        t = &total[i + row, j]
                        for column in range(columns):
                            t[column] += a[row * TILE + column] * c[row * TILE + column]
