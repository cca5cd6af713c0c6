"""Sweeps of coordinate descent for penalised least squares on a working set; which set, and when to stop, is passed in.

The state is the weighted residual ``r = s * (y - A v)`` with row weights ``s`` of mean one. With an intercept the
columns are centred implicitly: their weighted means and the mean of ``r`` enter as numbers, so that sparse columns
stay sparse.
"""

from cython cimport floating
from libc.math cimport fabs, sqrt
from libc.stdint cimport int32_t, int64_t
from scipy.linalg.cython_blas cimport daxpy, ddot

from _penalties cimport Rule, bend, best_value, prox, slope, value

ctypedef fused index_t:
    int32_t
    int64_t


cdef inline double dot(const floating* a, const double* r, int n) noexcept nogil:
    cdef int one = 1, i
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    if floating is double:
        return ddot(&n, <double*> a, &one, <double*> r, &one)
    else:
        for i in range(0, n - 3, 4):
            s0 += a[i] * r[i]
            s1 += a[i + 1] * r[i + 1]
            s2 += a[i + 2] * r[i + 2]
            s3 += a[i + 3] * r[i + 3]
        for i in range(n - n % 4, n):
            s0 += a[i] * r[i]
        return (s0 + s1) + (s2 + s3)


cdef inline void subtract(double d, const floating* a, const double* s, bint weighted, double* r, int n) noexcept nogil:
    cdef int one = 1, i
    cdef double minus = -d
    if weighted:
        for i in range(n):
            r[i] -= d * s[i] * a[i]
    elif floating is double:
        daxpy(&n, &minus, <double*> a, &one, r, &one)
    else:
        for i in range(n):
            r[i] -= d * a[i]


def sweep_dense(
    const floating[::1, :] A,
    double[::1] residual,
    const double[::1] row_weight,
    const double[::1] means,
    bint centred,
    const double[::1] curvature,
    const double[::1] weights,
    const int64_t[::1] working,
    double[::1] v,
    int code,
    double alpha,
    double p1,
    double p2,
    bint positive,
    double tol,
    int max_sweeps,
):
    """Sweep over the columns in `working` until no step moves the fit by more than `tol`; updates `v` and `residual`.

    Returns the number of sweeps and the largest ``sqrt(curvature_j) |dv_j|`` of the last one.
    """
    cdef Rule rule = Rule(code, alpha, p1, p2, positive)
    cdef int n = <int> A.shape[0], sweep = 0
    cdef Py_ssize_t k, i, j
    cdef bint weighted = row_weight.shape[0] > 0
    cdef const double* s = &row_weight[0] if weighted else NULL
    cdef double mean = 0.0, q, z, d, change = 0.0
    with nogil:
        if centred:
            for i in range(n):
                mean += residual[i]
            mean /= n
        while sweep < max_sweeps:
            sweep += 1
            change = 0.0
            for k in range(working.shape[0]):
                j = working[k]
                q = dot(&A[0, j], &residual[0], n) / n - means[j] * mean
                z = best_value(v[j], q, curvature[j], weights[j], &rule)
                d = z - v[j]
                if d != 0:
                    v[j] = z
                    subtract(d, &A[0, j], s, weighted, &residual[0], n)
                    if centred:
                        mean -= d * means[j]
                    change = max(change, sqrt(curvature[j]) * fabs(d))
            if change <= tol:
                break
    return sweep, change


def sweep_sparse(
    const floating[::1] data,
    const index_t[::1] indices,
    const index_t[::1] indptr,
    double[::1] residual,
    const double[::1] row_weight,
    const double[::1] means,
    bint centred,
    const double[::1] curvature,
    const double[::1] weights,
    const int64_t[::1] working,
    double[::1] v,
    int code,
    double alpha,
    double p1,
    double p2,
    bint positive,
    double tol,
    int max_sweeps,
):
    """Do the same as :func:`sweep_dense` for a design in CSC format."""
    cdef Rule rule = Rule(code, alpha, p1, p2, positive)
    cdef Py_ssize_t n = residual.shape[0], k, i, j
    cdef index_t e
    cdef int sweep = 0
    cdef bint weighted = row_weight.shape[0] > 0
    cdef double mean = 0.0, q, z, d, change = 0.0
    with nogil:
        if centred:
            for i in range(n):
                mean += residual[i]
            mean /= n
        while sweep < max_sweeps:
            sweep += 1
            change = 0.0
            for k in range(working.shape[0]):
                j = working[k]
                q = 0.0
                for e in range(indptr[j], indptr[j + 1]):
                    q += data[e] * residual[indices[e]]
                q = q / n - means[j] * mean
                z = best_value(v[j], q, curvature[j], weights[j], &rule)
                d = z - v[j]
                if d != 0:
                    v[j] = z
                    if weighted:
                        for e in range(indptr[j], indptr[j + 1]):
                            residual[indices[e]] -= d * row_weight[indices[e]] * data[e]
                    else:
                        for e in range(indptr[j], indptr[j + 1]):
                            residual[indices[e]] -= d * data[e]
                    if centred:
                        mean -= d * means[j]
                    change = max(change, sqrt(curvature[j]) * fabs(d))
            if change <= tol:
                break
    return sweep, change


def sweep_gram(
    const double[:, ::1] gram,
    double[::1] correlation,
    const double[::1] weights,
    double[::1] v,
    int code,
    double alpha,
    double p1,
    double p2,
    bint positive,
    double tol,
    int max_sweeps,
):
    """Do the same on all columns of a design that is given by its Gram matrix and ``correlation = A^T r / n``.

    Updates `v` and `correlation`; a coordinate that does not move costs nothing.
    """
    cdef Rule rule = Rule(code, alpha, p1, p2, positive)
    cdef int p = <int> gram.shape[0], sweep = 0, one = 1
    cdef Py_ssize_t j
    cdef double z, minus, change = 0.0
    with nogil:
        while sweep < max_sweeps:
            sweep += 1
            change = 0.0
            for j in range(p):
                z = best_value(v[j], correlation[j], gram[j, j], weights[j], &rule)
                minus = v[j] - z
                if minus != 0:
                    v[j] = z
                    daxpy(&p, &minus, <double*> &gram[j, 0], &one, &correlation[0], &one)
                    change = max(change, sqrt(gram[j, j]) * fabs(minus))
            if change <= tol:
                break
    return sweep, change


def prox_values(
    int code, double alpha, double p1, double p2, const double[::1] x, const double[::1] tau, double[::1] out
):
    """Write the proximal map of the penalty `code` at every ``x >= 0`` with the step `tau` to `out`."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(x.shape[0]):
            out[i] = prox(code, alpha, p1, p2, x[i], tau[i])


def penalty_values(int code, double alpha, double p1, double p2, const double[::1] z, double[:, ::1] out):
    """Write the value of the penalty `code` at every ``z > 0``, and its first two derivatives, to the rows of `out`."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(z.shape[0]):
            out[0, i] = value(code, alpha, p1, p2, z[i])
            out[1, i] = slope(code, alpha, p1, p2, z[i])
            out[2, i] = bend(code, alpha, p1, p2, z[i])
