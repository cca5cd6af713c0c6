"""Products with a few columns of a design, without touching the others."""

from scipy.linalg.cython_blas cimport daxpy

cdef int ONE = 1


def add_sparse_columns(
    const double[::1] data, const int[::1] indices, const int[::1] indptr,
    const int[::1] columns, const double[::1] coef, double[::1] out,
):
    """Add ``sum_k coef[k] A[:, columns[k]]`` of a CSC matrix to `out`.

    Parameters
    ----------
    data, indices, indptr : arrays
        The matrix in CSC format.
    columns : array of shape (m,)
        Which columns.
    coef : array of shape (m,)
        Their factors.
    out : array of shape (n,)
        Changes in place.
    """
    cdef int i, k, column
    with nogil:
        for i in range(columns.shape[0]):
            column = columns[i]
            for k in range(indptr[column], indptr[column + 1]):
                out[indices[k]] += coef[i] * data[k]


def add_dense_columns(const double[::1, :] design, const int[::1] columns, const double[::1] coef, double[::1] out):
    """Add ``sum_k coef[k] A[:, columns[k]]`` of a Fortran-ordered matrix to `out`; parameters as above."""
    cdef int i, n = design.shape[0]
    with nogil:
        for i in range(columns.shape[0]):
            daxpy(&n, <double*> &coef[i], <double*> &design[0, columns[i]], &ONE, &out[0], &ONE)
