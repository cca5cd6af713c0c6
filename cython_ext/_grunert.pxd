"""Grunert's solution of the perspective three-point problem, shared by the kernels that batch it.

With unit rays f_i and distances s_i along them, the laws of cosines read ``|s_i f_i - s_j f_j| = |P_i - P_j|``. The
unknowns here are ``X`` and ``Y`` in ``s_2 / s_1 = 1 + e X`` and ``s_3 / s_1 = 1 + e Y``, where ``e`` is the largest
distance of two rays: from far away Grunert's own, ``s_2 / s_1`` and ``s_3 / s_1``, all tend to 1 and look the same.
"""

from libc.math cimport fabs, sqrt

from _quartic cimport no_root_beyond, unit_roots

ctypedef struct Triangle:
    double e  # the largest distance of two rays
    double A, B, C  # squared distances of the rays 2 and 3, 1 and 3, 1 and 2, over e^2
    double p, r  # |P1 - P2|^2 and |P2 - P3|^2, over |P1 - P3|^2

ctypedef struct Solutions:
    double X[5]
    double Y[5]
    double left[5]  # of the laws of cosines
    int n


cdef inline void subtract(const double* a, const double* b, double* out) noexcept nogil:
    out[0] = a[0] - b[0]
    out[1] = a[1] - b[1]
    out[2] = a[2] - b[2]


cdef inline double larger(double a, double b) noexcept nogil:
    return a if a > b or a != a else b


cdef inline double dot(const double* a, const double* b) noexcept nogil:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


cdef inline void cross(const double* a, const double* b, double* out) noexcept nogil:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


cdef inline void sides(
    const double* P1, const double* P2, const double* P3, double unit, double* along, double* aside, double* other
) noexcept nogil:
    """Write the sides 1-3, 1-2 and 2-3 of a triangle, times `unit`."""
    cdef int i
    for i in range(3):
        along[i] = (P3[i] - P1[i]) * unit
        aside[i] = (P2[i] - P1[i]) * unit
        other[i] = (P3[i] - P2[i]) * unit


cdef inline void frame(const double* along, const double* aside, double* axes) noexcept nogil:
    """Write the rows of an orthonormal frame: along the first vector, in the plane of both, and normal to it."""
    cdef double length = 1.0 / sqrt(dot(along, along)), part
    cdef int i, _
    for i in range(3):
        axes[i] = along[i] * length
        axes[3 + i] = aside[i]
    for _ in range(2):  # once more, because the vectors may be nearly parallel
        part = dot(axes, axes + 3)
        for i in range(3):
            axes[3 + i] -= part * axes[i]
    length = 1.0 / sqrt(dot(axes + 3, axes + 3))
    for i in range(3):
        axes[3 + i] *= length
    cross(axes, axes + 3, axes + 6)


cdef inline double residuals(const Triangle* tri, double X, double Y, double* E) noexcept nogil:
    """Write what is left of the laws of cosines, over the length of side 1-3; return the larger one."""
    cdef double e = tri.e, square = Y * Y + (1.0 + e * Y) * tri.B, over = 1.0 / square
    E[0] = (X * X + (1.0 + e * X) * tri.C) * over - tri.p
    E[1] = ((X - Y) * (X - Y) + (1.0 + e * X) * (1.0 + e * Y) * tri.A) * over - tri.r
    return larger(fabs(E[0]), fabs(E[1]))


cdef inline double polish(const Triangle* tri, double* X, double* Y, double* E, double size) noexcept nogil:
    """Take Newton steps on the laws of cosines while these get better; return what is left of them.

    `E` and `size` are what `residuals` says of the start.
    """
    cdef double e = tri.e, new_size
    cdef double g, over, a, b, c, d, det, norm, x, y
    cdef int _
    for _ in range(16):
        if size <= 1e-15:
            break
        g = Y[0] * Y[0] + (1.0 + e * Y[0]) * tri.B
        over = 1.0 / g
        # E_0 + p and E_1 + r are quotients with the denominator g: (N / g)' = (N' - (N / g) g') / g.
        a = (2.0 * X[0] + e * tri.C) * over
        b = -(E[0] + tri.p) * (2.0 * Y[0] + e * tri.B) * over
        c = (2.0 * (X[0] - Y[0]) + e * (1.0 + e * Y[0]) * tri.A) * over
        d = (2.0 * (Y[0] - X[0]) + e * (1.0 + e * X[0]) * tri.A - (E[1] + tri.r) * (2.0 * Y[0] + e * tri.B)) * over
        det, norm = a * d - b * c, a * a + b * b + c * c + d * d
        if fabs(det) > 1e-8 * norm:
            x, y = (d * E[0] - b * E[1]) / det, (a * E[1] - c * E[0]) / det
        elif norm > 0:  # the least-squares step: at a double root the Jacobian has rank 1
            x, y = (a * E[0] + c * E[1]) / norm, (b * E[0] + d * E[1]) / norm
        else:
            break
        new_size = residuals(tri, X[0] - x, Y[0] - y, E)
        while not new_size < size and size > 1e-14 and fabs(x) + fabs(y) > 1e-9:
            x, y = 0.25 * x, 0.25 * y
            new_size = residuals(tri, X[0] - x, Y[0] - y, E)
        if not new_size < size:
            break
        X[0], Y[0], size = X[0] - x, Y[0] - y, new_size
    return size


cdef inline void drop(Solutions* found) noexcept nogil:
    """Remove one of the two solutions that are closest: there are at most 4, and one of these comes from rounding.

    Where the laws hold to rounding for both it is the later one, because points of contact come first.
    """
    cdef double distance, least = -1.0
    cdef int i, j, worse = 0
    for i in range(found.n):
        for j in range(i):
            distance = fabs(found.X[i] - found.X[j]) + fabs(found.Y[i] - found.Y[j])
            if least < 0 or distance < least:
                least = distance
                worse = j if found.left[j] > larger(1e-15, found.left[i]) else i
    found.n -= 1
    found.X[worse], found.Y[worse], found.left[worse] = found.X[found.n], found.Y[found.n], found.left[found.n]


cdef inline void add(const Triangle* tri, double X, double Y, Solutions* found) noexcept nogil:
    """Polish a candidate; keep it if the laws hold to 1e-10, the distances are positive and it is not there yet."""
    cdef double E[2]
    cdef double left = residuals(tri, X, Y, E), unit
    cdef int i
    # What is further away than the root of the quartic can be is no candidate, but would run to some other solution.
    if not left <= 1e-5:
        return
    left = polish(tri, &X, &Y, E, left)
    if not (left <= 1e-10 and 1.0 + tri.e * X > 1e-10 and 1.0 + tri.e * Y > 1e-10):
        return
    unit = (1e-7 + 4.0 * sqrt(left)) * (1.0 + fabs(X) + fabs(Y))
    for i in range(found.n):
        if fabs(found.X[i] - X) <= unit and fabs(found.Y[i] - Y) <= unit:
            if left < found.left[i] and found.left[i] > 1e-15:
                found.X[i], found.Y[i], found.left[i] = X, Y, left
            return
    found.X[found.n], found.Y[found.n], found.left[found.n] = X, Y, left
    found.n += 1
    if found.n == 5:
        drop(found)


cdef inline void add_roots(
    const Triangle* tri, const double* N, const double* D, const double* c, bint reversed, double noise,
    Solutions* found,
) noexcept nogil:
    """Add the solutions with Y in [-1, 1], or with 1 / Y in (-1, 1), where `c` is the quartic in Y or in 1 / Y."""
    cdef double roots[13]
    cdef double Y, d, n, half, disc
    cdef int i
    for i in range(unit_roots(c, noise, roots)):
        if reversed and not 1e-10 < fabs(roots[i]) < 1.0:
            continue
        Y = 1.0 / roots[i] if reversed else roots[i]
        if not 1.0 + tri.e * Y > 0:
            continue
        d, n = D[1] * Y + D[0], (N[2] * Y + N[1]) * Y + N[0]
        if fabs(d) >= 1e-3 * (1.0 + fabs(Y)):
            add(tri, n / d, Y, found)
            continue
        # In symmetric views two solutions share Y, and the quotient is 0 / 0: both roots of the law for side 1-2.
        half = -0.5 * tri.e * tri.C
        disc = half * half - tri.C + tri.p * (Y * Y + (1.0 + tri.e * Y) * tri.B)
        if disc < -1e-5 * (1.0 + Y * Y):
            continue
        disc = sqrt(disc) if disc > 0 else 0.0
        add(tri, half + disc, Y, found)
        add(tri, half - disc, Y, found)


cdef inline void solve_triangle(const Triangle* tri, Solutions* found) noexcept nogil:
    """Eliminate X, which leaves a quartic in Y, and solve."""
    cdef double e = tri.e, m = tri.r - tri.p, noise, n, d, h
    # The difference of the laws for the sides 2-3 and 1-2 is linear in X: D(Y) X = N(Y).
    cdef double D[2]
    cdef double N[3]
    cdef double H[3]
    cdef double c[5]
    D[0], D[1] = e * (tri.A - tri.C), e * e * tri.A - 2.0
    N[0], N[1], N[2] = m * tri.B - tri.A + tri.C, e * (m * tri.B - tri.A), m - 1.0
    # Side 1-2, times D^2: N^2 + e C N D + H D^2 = 0.
    H[0], H[1], H[2] = tri.C - tri.p * tri.B, -tri.p * e * tri.B, -tri.p
    d, n, h = e * tri.C, fabs(N[0]) + fabs(N[1]) + fabs(N[2]), fabs(H[0]) + fabs(H[1]) + fabs(H[2])
    noise = 4e-16 * (n * n + (d * n + h * (fabs(D[0]) + fabs(D[1]))) * (fabs(D[0]) + fabs(D[1])))
    c[0] = N[0] * N[0] + D[0] * (d * N[0] + H[0] * D[0])
    c[1] = 2.0 * N[0] * N[1] + d * (N[0] * D[1] + N[1] * D[0]) + D[0] * (D[0] * H[1] + 2.0 * D[1] * H[0])
    c[2] = N[1] * N[1] + 2.0 * N[0] * N[2] + d * (N[1] * D[1] + N[2] * D[0])
    c[2] += D[0] * D[0] * H[2] + D[1] * (2.0 * D[0] * H[1] + D[1] * H[0])
    c[3] = 2.0 * N[1] * N[2] + d * N[2] * D[1] + D[1] * (2.0 * D[0] * H[2] + D[1] * H[1])
    c[4] = N[2] * N[2] + D[1] * D[1] * H[2]
    found.n = 0
    add_roots(tri, N, D, c, False, noise, found)
    if no_root_beyond(c, 1.0) and no_root_beyond(c, -1.0):
        return
    c[0], c[1], c[3], c[4] = c[4], c[3], c[1], c[0]
    add_roots(tri, N, D, c, True, noise, found)


cdef inline int three_point_poses(const double* rays, const double* points, double* R, double* t) noexcept nogil:
    """Write the poses that put three points on three unit rays, and return their number.

    Parameters
    ----------
    rays, points : arrays of 9
        One ray, one point a row.
    R, t : arrays of 36 and 12
        Receive up to 4 rotations and translations, those of points in front of the camera. None for points on a line,
        or nearly so, and for numbers that are not finite.
    """
    cdef Triangle tri
    cdef Solutions found
    cdef double along[3]
    cdef double aside[3]
    cdef double other[3]
    cdef double f31[3]
    cdef double f21[3]
    cdef double object_axes[9]
    cdef double axes[9]
    cdef double scale = 0.0, b, s, centre
    cdef const double* f1 = rays
    cdef const double* f2 = rays + 3
    cdef const double* f3 = rays + 6
    cdef const double* P1 = points
    cdef const double* P2 = points + 3
    cdef const double* P3 = points + 6
    cdef int i, j, k
    for i in range(3):
        scale = larger(larger(fabs(P2[i] - P1[i]), fabs(P3[i] - P1[i])), scale)
    if not 1e-300 < scale < 1e300:
        return 0
    sides(P1, P2, P3, 1.0 / scale, along, aside, other)
    b = dot(along, along)
    if dot(aside, aside) > b and dot(aside, aside) >= dot(other, other):
        f2, f3, P2, P3 = f3, f2, P3, P2
    elif dot(other, other) > b:
        f1, f2, P1, P2 = f2, f1, P2, P1
    sides(P1, P2, P3, 1.0 / scale, along, aside, other)
    b = dot(along, along)  # the longest side
    cross(along, aside, axes)
    if not dot(axes, axes) >= 4e-20 * b * b:
        return 0
    tri.p, tri.r = dot(aside, aside) / b, dot(other, other) / b
    b = sqrt(b) * scale
    frame(along, aside, object_axes)
    subtract(f3, f1, f31)
    subtract(f2, f1, f21)
    subtract(f3, f2, other)
    tri.A, tri.B, tri.C = dot(other, other), dot(f31, f31), dot(f21, f21)
    tri.e = sqrt(larger(larger(tri.A, tri.B), tri.C))
    if not tri.e > 0:
        return 0
    tri.A, tri.B, tri.C = tri.A / tri.e / tri.e, tri.B / tri.e / tri.e, tri.C / tri.e / tri.e
    solve_triangle(&tri, &found)
    for k in range(found.n):
        # s_3 f_3 - s_1 f_1 is proportional to Y f_3 + (f_3 - f_1) / e, which loses no digits from far away.
        for i in range(3):
            along[i] = found.Y[k] * f3[i] + f31[i] / tri.e
            aside[i] = found.X[k] * f2[i] + f21[i] / tri.e
        frame(along, aside, axes)
        for i in range(3):
            for j in range(3):
                R[9 * k + 3 * i + j] = (
                    axes[i] * object_axes[j] + axes[3 + i] * object_axes[3 + j] + axes[6 + i] * object_axes[6 + j]
                )
        s = b / (tri.e * sqrt(dot(along, along)))
        for i in range(3):
            centre = 0.0
            for j in range(3):
                centre += R[9 * k + 3 * i + j] * (P1[j] + P2[j] + P3[j])
            t[3 * k + i] = (
                s * (f1[i] + (1.0 + tri.e * found.X[k]) * f2[i] + (1.0 + tri.e * found.Y[k]) * f3[i]) - centre
            ) / 3.0
    return found.n
