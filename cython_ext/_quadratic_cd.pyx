"""Coordinate descent on an l1-penalised quadratic that is given by its dense matrix.

The model, around coefficients x, is

    g^T d + d^T H d / 2 + sum_j threshold_j |x_j + d_j| + sum_j ridge_j (x_j + d_j)^2 / 2,

and the slope ``g + H d`` is kept up to date.
"""

from libc.math cimport fabs, sqrt
from scipy.linalg.cython_blas cimport daxpy

cdef int ONE = 1


cdef inline double step(
    double[:, ::1] H, double[::1] slope, double[::1] x, const double[::1] threshold, const double[::1] ridge, int j
) noexcept nogil:
    """Minimise over coordinate j; return how far it moved, in units of the square root of its curvature."""
    cdef int size = x.shape[0]
    cdef double bend = H[j, j] + ridge[j], old = x[j], z, new, delta
    if bend <= 0.0:
        # The row of H is zero. What is left is the penalty, unless the model has no minimum.
        if fabs(slope[j]) < threshold[j]:
            x[j] = 0.0
        return 0.0
    z = H[j, j] * old - slope[j]
    if z > threshold[j]:
        new = (z - threshold[j]) / bend
    elif z < -threshold[j]:
        new = (z + threshold[j]) / bend
    else:
        new = 0.0
    delta = new - old
    if delta == 0.0:
        return 0.0
    x[j] = new
    daxpy(&size, &delta, &H[j, 0], &ONE, &slope[0], &ONE)
    return fabs(delta) * sqrt(bend)


def descend(
    double[:, ::1] H,
    double[::1] slope,
    double[::1] x,
    const double[::1] threshold,
    const double[::1] ridge,
    double tol,
    int max_sweeps,
):
    """Sweep until a full sweep moves no coordinate by more than `tol`; return the sweeps done and the last movement.

    Full sweeps alternate with sweeps over the nonzero and the unpenalised coordinates. `slope` and `x` are updated.
    """
    cdef int p = x.shape[0], j, sweeps = 0
    cdef double moved = 0.0
    with nogil:
        while sweeps < max_sweeps:
            moved = 0.0
            for j in range(p):
                moved = max(moved, step(H, slope, x, threshold, ridge, j))
            sweeps += 1
            if moved <= tol:
                break
            while sweeps < max_sweeps:
                moved = 0.0
                for j in range(p):
                    if x[j] != 0.0 or threshold[j] == 0.0:
                        moved = max(moved, step(H, slope, x, threshold, ridge, j))
                sweeps += 1
                if moved <= tol:
                    break
    return sweeps, moved
