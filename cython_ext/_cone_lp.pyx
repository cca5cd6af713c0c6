"""Linear programmes over relaxed second-order cones in a few variables: the dual simplex kernel by itself."""

import numpy as np

from libc.math cimport INFINITY, fabs, fmax

from _cone_basis cimport LAST, WIDTH, Basis
from _cone_simplex cimport INFEASIBLE, Cones, Status, enter_cut, safe_upper, set_norms, solve


cdef class ConeProgram:
    """Bounds of linear functions over a box and the cones ``g.Y_k <= |g| radius_k``, ``g = N_k' n - e3``, for all n.

    ``Y_k = linear_k x + constant_k`` is in R^3. With radius 0 this is ``|N_k Y_k| <= Y_k[2]``. The depths also obey
    ``Y_k[2] + radius_k >= least_depth``.

    Parameters
    ----------
    lower, upper : arrays of shape (n,)
        The box, with n at most 7.
    cones : array of shape (K, 2, 3)
        N_k.
    linear, constant : arrays of shape (K, 3, n) and (K, 3)
        The affine maps.
    radius : array of shape (K,)
        Nonnegative.
    least_depth : float
        Minus infinity for none.
    """

    cdef Cones cones
    cdef Basis basis
    cdef double[::1] middle, width, norms, radius, rows, scratch

    def __init__(
        self,
        const double[::1] lower,
        const double[::1] upper,
        const double[:, :, ::1] cones,
        const double[:, :, ::1] linear,
        const double[:, ::1] constant,
        const double[::1] radius,
        double least_depth,
    ):
        cdef int K = <int> cones.shape[0], n = <int> lower.shape[0], i, j, k
        cdef double size
        cdef Cones* c = &self.cones
        self.middle, self.width = np.zeros(n), np.zeros(n)
        self.norms, self.radius = np.zeros(6 * K), np.array(radius)
        self.rows, self.scratch = np.zeros(3 * WIDTH * K), np.zeros(5 * K)
        c.n, c.K, c.curved, c.least_depth, c.magnitude = n, K, False, least_depth, 0.0
        c.rows, c.norms, c.radius, c.bends = &self.rows[0], &self.norms[0], &self.radius[0], NULL
        c.values = &self.scratch[0]
        c.room, c.scale = c.values + 3 * K, c.values + 4 * K
        for j in range(n):
            self.middle[j] = 0.5 * (lower[j] + upper[j])
            self.width[j] = fmax(upper[j] - self.middle[j], self.middle[j] - lower[j]) * (1.0 + 4e-16)
            c.weight[j] = 0.0
        for k in range(K):
            set_norms(&cones[k, 0, 0], &self.norms[k], K)
            c.scale[k] = 1.0 / (1.0 + self.norms[5 * K + k])
            self.set_rows(k, cones, linear, constant)
            size = radius[k]
            for i in range(3):
                size += fabs(constant[k, i])
                for j in range(n):
                    size += fabs(linear[k, i, j]) * (fabs(self.middle[j]) + self.width[j])
                    c.weight[j] = fmax(c.weight[j], fabs(linear[k, i, j]) * self.width[j])
            c.magnitude = fmax(c.magnitude, size)

    cdef void set_rows(
        self, int k, const double[:, :, ::1] cones, const double[:, :, ::1] linear, const double[:, ::1] constant
    ) noexcept:
        """Multiply a cone with its affine map, in the coordinates of the unit box."""
        cdef int i, j, r, n = self.cones.n, K = self.cones.K
        cdef double coefficient, entry
        cdef double* row
        for r in range(3):
            row = &self.rows[r * WIDTH * K + k]
            for i in range(3):
                entry = cones[k, r, i] if r < 2 else (1.0 if i == 2 else 0.0)
                row[(WIDTH - 1) * K] += entry * constant[k, i]
                for j in range(n):
                    coefficient = entry * linear[k, i, j]
                    row[j * K] += coefficient * self.width[j]
                    row[(WIDTH - 1) * K] += coefficient * self.middle[j]

    def maximize(self, const double[::1] cost, double stop=-INFINITY):
        """Bound ``cost.x`` from above.

        Parameters
        ----------
        cost : array of shape (n,)
            The linear function.
        stop : float
            The bound need not be the best one once it is below.

        Returns
        -------
        status : int
            0: solved; 1: the bound is below `stop`; 2: the programme is infeasible, which is proved, and the bound is
            minus infinity; 3: neither, but the bound holds.
        bound : float
            Proved.
        point : array of shape (n,)
            Where the cuts that were made allow no more.
        codes, directions, multipliers : arrays of shape (m,), (m, 2) and (m,)
            The cuts behind the bound: k, or ``K + k`` for a depth, n, and the multiplier for the cut divided by |g|.
        """
        cdef int i, j, n = self.cones.n
        cdef double offset = 0.0, bound = 0.0, absolute = 0.0
        cdef double c[8]
        cdef Status status
        for j in range(n):
            c[j] = cost[j] * self.width[j]
            offset += cost[j] * self.middle[j]
            absolute += fabs(cost[j] * self.middle[j])
        with nogil:
            status = solve(&self.cones, &self.basis, c, stop - offset, 0, NULL, NULL, NULL, &bound)
        if status != INFEASIBLE:
            bound += offset + 1e-15 * (absolute + fabs(bound))
        point = np.array([self.middle[j] + self.width[j] * self.basis.u[j] for j in range(n)])
        rows = list(range(n)) + ([LAST] if status == INFEASIBLE else [])
        used = [i for i in rows if self.basis.code[i] >= 0 and self.basis.x[i] > 0.0]
        codes = np.array([self.basis.code[i] for i in used], dtype=np.int32)
        directions = np.array([(self.basis.n1[i], self.basis.n2[i]) for i in used]).reshape(-1, 2)
        multipliers = np.array([self.basis.x[i] for i in used])
        return <int> status, bound, point, codes, directions, multipliers

    def bound(
        self,
        const double[::1] cost,
        const int[::1] codes,
        const double[:, ::1] directions,
        const double[::1] multipliers,
    ):
        """Return the upper bound of ``cost.x`` that at most n cuts prove; negative multipliers count as 0."""
        cdef int i, j, n = self.cones.n, m = <int> codes.shape[0]
        cdef double offset = 0.0, bound, absolute = 0.0
        cdef double c[8]
        for j in range(n):
            c[j] = cost[j] * self.width[j]
            offset += cost[j] * self.middle[j]
            absolute += fabs(cost[j] * self.middle[j])
        for i in range(n):
            self.basis.code[i] = -1
        for i in range(m):
            enter_cut(&self.cones, &self.basis, codes[i], directions[i, 0], directions[i, 1])
            self.basis.code[i], self.basis.b[i] = self.basis.code[LAST], self.basis.b[LAST]
            self.basis.size[i], self.basis.x[i] = self.basis.size[LAST], multipliers[i]
            for j in range(WIDTH):
                self.basis.a[WIDTH * i + j] = self.basis.a[WIDTH * LAST + j]
        bound = safe_upper(&self.basis, n, c)
        return offset + bound + 1e-15 * (absolute + fabs(bound))
