"""Coordinate descent epochs of the Lasso in residual form, for designs whose Gram matrix would be too large.

The free span (intercept, free columns) of a sparse design is projected out implicitly: with an orthonormal basis Q the
kernels carry ``t = Q^T r`` along with the residual, so that no column is ever made dense.
"""

from scipy.linalg.cython_blas cimport daxpy, ddot

from _soft cimport soft

cdef int ONE = 1


def dense_epochs(
    double[::1, :] design, double[::1] coef, double[::1] residual, double[::1] threshold, double[::1] ridge,
    bint positive, int n_epochs, double[:, ::1] iterates,
):
    """Run epochs over the columns of `design`, all of mean square 1; `coef` and `residual` change in place.

    Parameters
    ----------
    design : array of shape (n, m)
        Projected columns with mean square 1.
    coef : array of shape (m,)
        Coefficients.
    residual : array of shape (n,)
        The residual that belongs to `coef`.
    threshold, ridge : arrays of shape (m,)
        Strengths of the l1 and of the squared penalty of each column.
    positive : bool
        Whether coefficients must be nonnegative.
    n_epochs : int
        Number of epochs.
    iterates : array of shape (k, m)
        Receives the coefficients after each of the last `k` epochs.
    """
    cdef int n = design.shape[0], m = design.shape[1], first = n_epochs - iterates.shape[0], t, j
    cdef double old, new, change
    with nogil:
        for t in range(n_epochs):
            for j in range(m):
                old = coef[j]
                new = old + ddot(&n, &design[0, j], &ONE, &residual[0], &ONE) / n
                new = soft(new, threshold[j], positive) / (1.0 + ridge[j])
                if new != old:
                    change = old - new
                    coef[j] = new
                    daxpy(&n, &change, &design[0, j], &ONE, &residual[0], &ONE)
            if t >= first:
                for j in range(m):
                    iterates[t - first, j] = coef[j]


def sparse_epochs(
    const double[::1] data, const int[::1] indices, const int[::1] indptr, const int[::1] columns,
    const double[::1] mean_square,
    double[::1, :] overlap, double[::1] coef, double[::1] residual, double[::1] shadow,
    double[::1] threshold, double[::1] ridge, bint positive, int n_epochs, double[:, ::1] iterates,
):
    """Run epochs over some columns of a CSC design; `coef`, `residual` and `shadow` change in place.

    Parameters
    ----------
    data, indices, indptr : arrays
        The weighted design of n rows in CSC format.
    columns : array of shape (m,)
        The columns to visit.
    mean_square : array of shape (m,)
        Mean squares of these columns after projection, positive.
    overlap : array of shape (f, m)
        ``Q^T A_j`` for these columns.
    coef : array of shape (m,)
        Their coefficients.
    residual : array of shape (n,)
        ``y - A v`` in weighted coordinates, not projected.
    shadow : array of shape (f,)
        ``Q^T residual``.
    threshold, ridge, positive, n_epochs, iterates
        As for `dense_epochs`; `threshold` and `ridge` refer to unscaled columns.
    """
    cdef int n = residual.shape[0], m = columns.shape[0], f = shadow.shape[0]
    cdef int first = n_epochs - iterates.shape[0], t, j, k, column
    cdef double old, new, change, correlation
    with nogil:
        for t in range(n_epochs):
            for j in range(m):
                column = columns[j]
                old = coef[j]
                correlation = 0.0
                for k in range(indptr[column], indptr[column + 1]):
                    correlation += data[k] * residual[indices[k]]
                for k in range(f):
                    correlation -= overlap[k, j] * shadow[k]
                new = soft(correlation / n + mean_square[j] * old, threshold[j], positive)
                new /= mean_square[j] + ridge[j]
                if new != old:
                    change = new - old
                    coef[j] = new
                    for k in range(indptr[column], indptr[column + 1]):
                        residual[indices[k]] -= change * data[k]
                    for k in range(f):
                        shadow[k] -= change * overlap[k, j]
            if t >= first:
                for j in range(m):
                    iterates[t - first, j] = coef[j]
