"""Coordinate descent on the weighted quadratic model of a generalised linear loss, with l1 and squared penalties.

The model, around coefficients w, is

    - sum_i r_i (X d)_i + sum_i h_i (X d)_i^2 / 2 + sum_j (threshold_j |w_j + d_j| + ridge_j (w_j + d_j)^2 / 2),

and r is kept up to date as ``r - h X d``. Columns come dense in Fortran order, or as CSC arrays.
"""

from libc.math cimport fabs
from scipy.linalg.cython_blas cimport ddot

ctypedef fused index:
    int
    long long

cdef int ONE = 1


cdef inline double shrunk(double z, double threshold) noexcept nogil:
    """Return sign(z) max(|z| - threshold, 0)."""
    return z - threshold if z > threshold else (z + threshold if z < -threshold else 0.0)


cdef inline double change(
    double slope, double old, double curvature, double threshold, double ridge
) noexcept nogil:
    """Return the minimising change of one coordinate; none where the model does not bend."""
    cdef double bend = curvature + ridge
    if bend <= 0.0 or fabs(old) + fabs(slope) == 0.0:
        return 0.0
    return shrunk(curvature * old + slope, threshold) / bend - old


def curvatures_dense(const double[::1, :] X, const double[::1] h, double[::1] out):
    """Write ``sum_i h_i X_ij^2`` to ``out[j]``."""
    cdef Py_ssize_t n = X.shape[0], p = X.shape[1], i, j
    cdef double first, second, third, fourth
    with nogil:
        for j in range(p):
            first = second = third = fourth = 0.0
            for i in range(0, n - 3, 4):
                first += h[i] * X[i, j] * X[i, j]
                second += h[i + 1] * X[i + 1, j] * X[i + 1, j]
                third += h[i + 2] * X[i + 2, j] * X[i + 2, j]
                fourth += h[i + 3] * X[i + 3, j] * X[i + 3, j]
            for i in range(n - n % 4, n):
                first += h[i] * X[i, j] * X[i, j]
            out[j] = (first + second) + (third + fourth)


def curvatures_csc(
    const double[::1] data, const index[::1] indices, const index[::1] indptr, const double[::1] h, double[::1] out
):
    """Write ``sum_i h_i X_ij^2`` to ``out[j]``."""
    cdef Py_ssize_t j
    cdef index k
    cdef double total
    with nogil:
        for j in range(out.shape[0]):
            total = 0.0
            for k in range(indptr[j], indptr[j + 1]):
                total += h[indices[k]] * data[k] * data[k]
            out[j] = total


def descend_dense(
    const double[::1, :] X,
    const double[::1] h,
    double[::1] r,
    double[::1] w,
    const double[::1] curvature,
    const double[::1] threshold,
    const double[::1] ridge,
    int max_epochs,
    double ratio,
):
    """Run epochs until one moves at most `ratio` times the first, in squared curvature norm; tell whether it did."""
    cdef int n = X.shape[0]
    cdef Py_ssize_t p = X.shape[1], i, j
    cdef int epoch
    cdef double delta, moved, first = 0.0
    cdef bint done = p == 0 or n == 0
    with nogil:
        for epoch in range(0 if done else max_epochs):
            moved = 0.0
            for j in range(p):
                delta = ddot(&n, <double*> &X[0, j], &ONE, &r[0], &ONE)
                delta = change(delta, w[j], curvature[j], threshold[j], ridge[j])
                if delta == 0.0:
                    continue
                w[j] += delta
                moved += delta * delta * (curvature[j] + ridge[j])
                for i in range(n):
                    r[i] -= delta * h[i] * X[i, j]
            if epoch == 0:
                first = moved
            if moved <= ratio * first:
                done = True
                break
    return done


def descend_csc(
    const double[::1] data,
    const index[::1] indices,
    const index[::1] indptr,
    const double[::1] h,
    double[::1] r,
    double[::1] w,
    const double[::1] curvature,
    const double[::1] threshold,
    const double[::1] ridge,
    int max_epochs,
    double ratio,
):
    """Do what `descend_dense` does, for the CSC arrays of X."""
    cdef Py_ssize_t p = w.shape[0], j
    cdef index k
    cdef int epoch
    cdef double delta, moved, first = 0.0
    cdef bint done = p == 0
    with nogil:
        for epoch in range(0 if done else max_epochs):
            moved = 0.0
            for j in range(p):
                delta = 0.0
                for k in range(indptr[j], indptr[j + 1]):
                    delta += data[k] * r[indices[k]]
                delta = change(delta, w[j], curvature[j], threshold[j], ridge[j])
                if delta == 0.0:
                    continue
                w[j] += delta
                moved += delta * delta * (curvature[j] + ridge[j])
                for k in range(indptr[j], indptr[j + 1]):
                    r[indices[k]] -= delta * h[indices[k]] * data[k]
            if epoch == 0:
                first = moved
            if moved <= ratio * first:
                done = True
                break
    return done
