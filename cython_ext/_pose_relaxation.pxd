"""What a box of rotations and positions can contain: the affine maps of the cones, and room for what they leave out.

Rotations are ``R = C R(v)`` with ``|v_j| <= 1`` and Cayley's map ``R(v) = I + 2 ([v]x + [v]x^2) / (1 + |v|^2)``, where
C is R0, or R0 turned by 180 degrees about an axis: in quaternions, the largest entry divides the others. Positions are
``t = t0 + F tau``.

Around the centre v0 of a box, with ``A = I - [v0]x`` and ``z = (v - v0) / (1 + v0.v)``, exactly,

    R(v) = R(v0) (I + [A u]x + E),   u = 2 z / (1 + |A z|^2),   E p = 2 ((A z).p A z - |A z|^2 p) / (1 + |A z|^2).

This is linear in u, whose box is hardly larger than that of 2 z, and what E adds is bounded by a quadratic form in z.
"""

from libc.math cimport fabs, fmax, sqrt

from _cone_basis cimport WIDTH
from _cone_simplex cimport Cones, corner

cdef enum:
    ROTATION = 0
    TRANSLATION = 1

cdef enum Trimming:
    UNCHANGED = 0
    TRIMMED = 1
    GONE = 2

cdef extern from *:
    """
    #define POSE_RELAXATION_UP (1.0 + 4e-16)
    #define POSE_RELAXATION_DOWN (1.0 - 1e-14)
    #define POSE_RELAXATION_ROUNDING 1e-14
    """
    const double UP "POSE_RELAXATION_UP"
    const double DOWN "POSE_RELAXATION_DOWN"
    const double ROUNDING "POSE_RELAXATION_ROUNDING"

ctypedef struct Data:
    int K
    const double* points  # (K, 3)
    const double* arms    # (K, 3): the points relative to the pivot
    const double* cones   # (K, 2, 3): N_k
    const double* still   # (9, K): N_k F and e3'F
    double charts[36]     # C
    double frame[9]       # F
    double origin[3]      # t0
    double pivot[3]
    double reach          # no point is longer
    bint pivoted          # whether the pivot is not the origin

ctypedef struct Linearization:
    double center[3]
    double half[3]        # of the box of z
    double rotation[9]    # C R(v0)
    double turn[9]        # C R(v0) A
    double middle[3]      # of the box of tau, which has room for what the pivot leaves out
    double width[3]


cdef inline void cayley(const double* v, double* R) noexcept nogil:
    cdef double x = v[0], y = v[1], z = v[2], f = 1.0 / (1.0 + x * x + y * y + z * z)
    R[0], R[1], R[2] = (1.0 + x * x - y * y - z * z) * f, 2.0 * (x * y - z) * f, 2.0 * (x * z + y) * f
    R[3], R[4], R[5] = 2.0 * (x * y + z) * f, (1.0 - x * x + y * y - z * z) * f, 2.0 * (y * z - x) * f
    R[6], R[7], R[8] = 2.0 * (x * z - y) * f, 2.0 * (y * z + x) * f, (1.0 - x * x - y * y + z * z) * f


cdef inline void shear(const double* v, double* A) noexcept nogil:
    """Fill ``A = I - [v]x``."""
    A[0], A[1], A[2] = 1.0, v[2], -v[1]
    A[3], A[4], A[5] = -v[2], 1.0, v[0]
    A[6], A[7], A[8] = v[1], -v[0], 1.0


cdef inline void multiply(const double* a, const double* b, double* c) noexcept nogil:
    cdef int i, j
    for i in range(3):
        for j in range(3):
            c[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j]


cdef inline double along(const double* a, const double* x) noexcept nogil:
    return a[0] * x[0] + a[1] * x[1] + a[2] * x[2]


cdef inline double across(const double* a, const double* x) noexcept nogil:
    """Return the product with a column of a 3 x 3 matrix."""
    return a[0] * x[0] + a[3] * x[1] + a[6] * x[2]


cdef inline void rotate(const double* R, const double* p, double* x) noexcept nogil:
    x[0], x[1], x[2] = along(R, p), along(R + 3, p), along(R + 6, p)


cdef inline double pivot_bend(Data* data, Cones* cones, Linearization* at, const double* g) noexcept nogil:
    """Return an upper bound of ``-g.(R(v0) E pivot)`` over the box."""
    cdef double X[3]
    cdef double G[3]
    cdef double P[3]
    cdef double s
    cdef double* m = cones.metric
    cdef int j
    if not data.pivoted:
        return 0.0
    rotate(at.rotation, data.pivot, X)
    s = along(g, X)
    for j in range(3):
        G[j], P[j] = across(at.turn + j, g) * at.half[j], across(at.turn + j, X) * at.half[j]
    return corner(
        s * m[0] - G[0] * P[0], s * m[1] - G[1] * P[1], s * m[2] - G[2] * P[2],
        2.0 * s * m[3] - G[1] * P[2] - G[2] * P[1], 2.0 * s * m[4] - G[0] * P[2] - G[2] * P[0],
        2.0 * s * m[5] - G[0] * P[1] - G[1] * P[0], NULL,
    )


cdef inline void set_center(
    Data* data, Cones* cones, Linearization* at, int chart, const double* lo, const double* hi
) noexcept nogil:
    """Fill the part of the linearisation that belongs to rotations."""
    cdef int j
    cdef double m = 1.0, square = 0.0
    cdef double half[3]
    cdef double C[9]
    cdef double A[9]
    cdef double* v = at.center
    for j in range(3):
        v[j] = 0.5 * (lo[j] + hi[j])
        half[j] = (hi[j] - v[j] if hi[j] - v[j] > v[j] - lo[j] else v[j] - lo[j]) * UP
        square += v[j] * v[j]
        m += v[j] * v[j] - fabs(v[j]) * half[j]
    for j in range(3):
        at.half[j] = half[j] / (m * DOWN)
    cayley(v, C)
    multiply(data.charts + 9 * chart, C, at.rotation)
    shear(v, A)
    multiply(at.rotation, A, at.turn)
    # A'A = (1 + |v|^2) I - v v'
    for j in range(3):
        cones.metric[j] = (1.0 + square - v[j] * v[j]) * at.half[j] * at.half[j]
    cones.metric[3] = -v[1] * v[2] * at.half[1] * at.half[2]
    cones.metric[4] = -v[0] * v[2] * at.half[0] * at.half[2]
    cones.metric[5] = -v[0] * v[1] * at.half[0] * at.half[1]


cdef inline void linearize(
    Data* data, Cones* cones, Linearization* at, int chart, const double* lo, const double* hi
) noexcept nogil:
    """Fill the rows of the cones for a box; the variables are u and tau in units of their half-widths."""
    cdef int i, j, k, r, K = data.K, constant = (WIDTH - 1) * K
    cdef double s, most
    cdef double low, high
    cdef double X[3]
    cdef double Y[3]
    cdef double origin[3]
    cdef double D[9]
    cdef const double* N
    cdef double* row
    cdef double* t
    set_center(data, cones, at, chart, lo, hi)
    s = 0.0
    for j in range(3):
        for i in range(3):
            X[i], Y[i] = data.frame[3 * i + j], -data.frame[3 * i + j]
        low, high = lo[3 + j] - pivot_bend(data, cones, at, X), hi[3 + j] + pivot_bend(data, cones, at, Y)
        at.middle[j] = 0.5 * (low + high)
        most = high - at.middle[j] if high - at.middle[j] > at.middle[j] - low else at.middle[j] - low
        at.width[j] = most * UP
        cones.weight[j], cones.weight[3 + j] = 2.0 * at.half[j] * data.reach, at.width[j]
        s += fabs(at.middle[j]) + at.width[j] + fabs(data.origin[j])
    cones.magnitude = s + 2.0 * data.reach
    for i in range(3):
        origin[i] = data.origin[i] + along(data.frame + 3 * i, at.middle)
    for k in range(K):
        N, row, t = data.cones + 6 * k, cones.rows + k, cones.bends + k
        rotate(at.rotation, data.points + 3 * k, X)
        for j in range(3):
            # (C R(v0) A u) x X
            s = 2.0 * at.half[j]
            D[3 * j] = (at.turn[3 + j] * X[2] - at.turn[6 + j] * X[1]) * s
            D[3 * j + 1] = (at.turn[6 + j] * X[0] - at.turn[j] * X[2]) * s
            D[3 * j + 2] = (at.turn[j] * X[1] - at.turn[3 + j] * X[0]) * s
            row[j * K], row[(WIDTH + j) * K] = along(N, D + 3 * j), along(N + 3, D + 3 * j)
            row[(2 * WIDTH + j) * K] = D[3 * j + 2]
            for r in range(3):
                row[(r * WIDTH + 3 + j) * K] = data.still[(3 * r + j) * K + k] * at.width[j]
            Y[j] = X[j] + origin[j]
        row[constant], row[WIDTH * K + constant], row[2 * WIDTH * K + constant] = along(N, Y), along(N + 3, Y), Y[2]
        rotate(at.rotation, data.arms + 3 * k, X)
        for j in range(3):
            s = at.half[j]
            t[j * K], t[(3 + j) * K] = across(at.turn + j, N) * s, across(at.turn + j, N + 3) * s
            t[(6 + j) * K], t[(9 + j) * K] = at.turn[6 + j] * s, across(at.turn + j, X) * s
        t[12 * K], t[13 * K], t[14 * K] = along(N, X), along(N + 3, X), X[2]
        cones.room[k] = 0.0


cdef inline double rotation_cost(Cones* cones, Linearization* at, int chart, double* c, double* shares) noexcept nogil:
    """Fill `c` with the linear part of ``|R - R0|_F^2``; return its constant, with the most that the rest can add."""
    cdef double Q[9]
    cdef double A[9]
    cdef double W[9]
    cdef double S[9]
    cdef double q[3]
    cdef double trace, room, vector, square = along(at.center, at.center)
    cdef double* m = cones.metric
    cdef double* h = at.half
    cdef int i, j
    cayley(at.center, Q)
    for i in range(3):
        if chart > 0 and i != chart - 1:
            for j in range(3):
                Q[3 * i + j] = -Q[3 * i + j]
    trace = Q[0] + Q[4] + Q[8]
    # tr(Q [s]x) = q.s
    q[0], q[1], q[2] = Q[5] - Q[7], Q[6] - Q[2], Q[1] - Q[3]
    shear(at.center, A)
    multiply(Q, A, W)
    for i in range(3):
        for j in range(3):
            S[3 * i + j] = A[i] * W[j] + A[3 + i] * W[3 + j] + A[6 + i] * W[6 + j]
    for j in range(3):
        c[j] = -4.0 * across(A + j, q) * h[j]
        c[3 + j] = 0.0
    # -2 tr(Q E) = 4 z'(tr(Q) A'A - A'Q A) z / (1 + |A z|^2)
    room = 2.0 * corner(
        trace * m[0] - S[0] * h[0] * h[0], trace * m[1] - S[4] * h[1] * h[1], trace * m[2] - S[8] * h[2] * h[2],
        2.0 * trace * m[3] - (S[5] + S[7]) * h[1] * h[2], 2.0 * trace * m[4] - (S[2] + S[6]) * h[0] * h[2],
        2.0 * trace * m[5] - (S[1] + S[3]) * h[0] * h[1], shares,
    )
    for j in range(3):
        shares[j] *= 2.0
    # At the centre it is 8 times the square of the quaternion's vector part; 6 - 2 tr(Q) would lose digits.
    vector = square if chart == 0 else 1.0 + square - at.center[chart - 1] * at.center[chart - 1]
    return 8.0 * vector / (1.0 + square) + room


cdef inline double distance_cost(
    Data* data, Cones* cones, Linearization* at, const double* lo, const double* hi, double* c
) noexcept nogil:
    """Fill `c` with the linear function above ``|tau|^2`` that agrees at the corners; return its constant."""
    cdef double g[3]
    cdef double s, constant = 0.0
    cdef int i, j
    g[0] = g[1] = g[2] = 0.0
    for j in range(3):
        s = lo[3 + j] + hi[3 + j]
        c[j], c[3 + j] = 0.0, s * at.width[j]
        constant += s * at.middle[j] - lo[3 + j] * hi[3 + j]
        for i in range(3):
            g[i] += data.frame[3 * i + j] * s
    return constant + pivot_bend(data, cones, at, g)


cdef inline Trimming trim(int kind, int chart, double target, double* lo, double* hi) noexcept nogil:
    """Cut off ends of a box where the objective is at most `target`; GONE: it is everywhere."""
    cdef int j, first = 0 if kind == ROTATION else 3
    cdef double square = target, rest, low, total = 0.0
    cdef double largest[3]
    cdef Trimming what = UNCHANGED
    if target <= 0.0 or kind == ROTATION and (chart > 0 or target >= 8.0):
        return UNCHANGED
    if kind == ROTATION:
        # Around R0 the objective is 8 |v|^2 / (1 + |v|^2).
        square = target / (8.0 - target)
    for j in range(first, first + 3):
        low = fmax(fabs(lo[j]), fabs(hi[j]))
        largest[j - first] = low * low
        total += low * low
    for j in range(first, first + 3):
        rest = (square - (total - largest[j - first])) - ROUNDING * (square + total)
        if rest <= 0.0:
            continue
        low = sqrt(rest) * DOWN
        if -low < lo[j] < low:
            lo[j], what = low, TRIMMED
        if -low < hi[j] < low:
            hi[j], what = -low, TRIMMED
        if lo[j] > hi[j]:
            return GONE
    return what


cdef inline double box_bound(int kind, int chart, const double* lo, const double* hi) noexcept nogil:
    """Bound the objective from the box alone."""
    cdef int j, first = 0 if kind == ROTATION else 3, axis = chart - 1
    cdef double far, near, square = 0.0
    for j in range(3):
        if kind == TRANSLATION or j != axis:
            far = fmax(fabs(lo[first + j]), fabs(hi[first + j]))
            square += far * far
    if kind == TRANSLATION:
        return square * (1.0 + ROUNDING)
    if axis < 0:
        return 8.0 * square / (1.0 + square) * (1.0 + ROUNDING)
    # In the other charts this coordinate is the scalar part of the quaternion.
    near = fmax(0.0, fmax(lo[axis], -hi[axis]))
    return 8.0 * (1.0 + square) / (1.0 + square + near * near) * (1.0 + ROUNDING)
