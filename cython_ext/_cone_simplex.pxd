"""Linear programmes over the unit box and relaxed second-order cones, by a dual simplex method that makes its own cuts.

    maximise  c.u   subject to   |u_j| <= 1,   g.Y_k(u) <= e_k(n) for every unit vector n of the plane,   k = 1, ..., K,

with ``g = N_k' n - e3`` and ``Y_k(u)`` in R^3, affine. With ``e_k = 0`` the cuts of one k say ``|N_k Y_k| <= z_k``, the
third coordinate of Y_k; otherwise ``e_k(n) = |g| radius_k + bend_k(n)`` makes room for what Y_k leaves out. Where the
third coordinate is small, ``z_k + e_k >= least_depth`` is a cut, too.

A basis with nonnegative multipliers proves a bound, and so does each one on the way.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.string cimport memcpy, memset

from _cone_basis cimport (
    LAST, NOTHING, SIDES, WIDTH, Basis, box_basis, coefficients, enter_side, evaluate, flip, free_side, refactor,
    replace,
)

cdef enum:
    PIVOTS = 200
    REFACTOR = 30
    #: What the first guess of the most violated constraint may be corrected by.
    GUESSES = 4

cdef enum Status:
    OPTIMAL = 0
    STOPPED = 1
    INFEASIBLE = 2
    LIMIT = 3

cdef extern from *:
    """
    #define CONE_SIMPLEX_ROUNDING (64 * 2.220446049250313e-16)
    #define CONE_SIMPLEX_VIOLATION 1e-9
    #define CONE_SIMPLEX_RESOLUTION 2e-14
    #define CONE_SIMPLEX_PIVOT 1e-10
    #define CONE_SIMPLEX_INDEPENDENT 1e-3
    #define CONE_SIMPLEX_PERTURBATION 1e-6
    """
    #: Rounding errors count as 64 units in the last place of the sum of absolute terms.
    const double ROUNDING "CONE_SIMPLEX_ROUNDING"
    #: Violations below this fraction of the size of a column, or of the lengths behind it, are passed over.
    const double VIOLATION "CONE_SIMPLEX_VIOLATION"
    const double RESOLUTION "CONE_SIMPLEX_RESOLUTION"
    const double SMALLEST_PIVOT "CONE_SIMPLEX_PIVOT"
    const double INDEPENDENT "CONE_SIMPLEX_INDEPENDENT"
    const double PERTURBATION "CONE_SIMPLEX_PERTURBATION"

ctypedef struct Cones:
    int n
    int K
    bint curved
    double least_depth
    double magnitude      # a bound of the lengths that add up to Y_k
    double weight[8]      # half-widths of the box before it became the unit box, in lengths
    double* rows          # (3, WIDTH, K): both coordinates of N_k Y_k, and z_k; the constants are last
    const double* norms   # (6, K): N_k N_k' without its upper right entry, N_k e3, and the largest row sum of |N_k|
    const double* radius  # (K,)
    double* bends         # (15, K), and `metric`: see `bend`
    double metric[6]
    double* values        # (3, K): the rows at u
    double* room          # (K,): e_k / |g| and 1 / |g| of the last cut of each cone
    double* scale

cdef inline double corner(
    double d0, double d1, double d2, double o12, double o02, double o01, double* shares
) noexcept nogil:
    """Return an upper bound of twice a quadratic form on the unit box: diagonal, and sums of both off-diagonal entries.

    Negative squares are left out; the rest is largest at a corner. `shares` receives the part of each coordinate.
    """
    cdef double s12 = o12, s02 = o02, s01 = o01, best = o12 + o02 + o01, other = o12 - o02 - o01
    d0, d1, d2 = d0 if d0 > 0.0 else 0.0, d1 if d1 > 0.0 else 0.0, d2 if d2 > 0.0 else 0.0
    if other > best:
        best, s12, s02, s01 = other, o12, -o02, -o01
    other = -o12 + o02 - o01
    if other > best:
        best, s12, s02, s01 = other, -o12, o02, -o01
    other = -o12 - o02 + o01
    if other > best:
        best, s12, s02, s01 = other, -o12, -o02, o01
    if shares != NULL:
        shares[0], shares[1], shares[2] = 2.0 * d0 + s01 + s02, 2.0 * d1 + s01 + s12, 2.0 * d2 + s02 + s12
    return 2.0 * (d0 + d1 + d2 + best)


cdef inline double bend(Cones* cones, int k, double n1, double n2, double scale, double* shares) noexcept nogil:
    """Return an upper bound of ``-2 z'(sym(G P') - (g.Q) M) z`` over a box of z in R^3, for ``g = N_k' n - scale e3``.

    ``G = T' g`` and P, Q belong to cone k. `bends` holds T'N_k', T'e3, P, N_k Q and Q[2], `metric` holds M; T, P and M
    are multiplied with the half-widths of the box already.
    """
    cdef int K = cones.K
    cdef double* t = cones.bends + k
    cdef double* m = cones.metric
    cdef double g0 = n1 * t[0] + n2 * t[3 * K] - scale * t[6 * K]
    cdef double g1 = n1 * t[K] + n2 * t[4 * K] - scale * t[7 * K]
    cdef double g2 = n1 * t[2 * K] + n2 * t[5 * K] - scale * t[8 * K]
    cdef double p0 = t[9 * K], p1 = t[10 * K], p2 = t[11 * K]
    cdef double s = n1 * t[12 * K] + n2 * t[13 * K] - scale * t[14 * K]
    return corner(
        s * m[0] - g0 * p0, s * m[1] - g1 * p1, s * m[2] - g2 * p2,
        2.0 * s * m[3] - g1 * p2 - g2 * p1, 2.0 * s * m[4] - g0 * p2 - g2 * p0, 2.0 * s * m[5] - g0 * p1 - g1 * p0,
        shares,
    )


cdef inline void set_norms(const double* N, double* norms, int K) noexcept nogil:
    """Fill a column of `norms` from a cone."""
    cdef double s = fabs(N[0]) + fabs(N[1]) + fabs(N[2]), t = fabs(N[3]) + fabs(N[4]) + fabs(N[5])
    norms[0] = N[0] * N[0] + N[1] * N[1] + N[2] * N[2]
    norms[K] = N[0] * N[3] + N[1] * N[4] + N[2] * N[5]
    norms[2 * K] = N[3] * N[3] + N[4] * N[4] + N[5] * N[5]
    norms[3 * K], norms[4 * K] = N[2], N[5]
    norms[5 * K] = s if s > t else t


cdef inline double depth_room(Cones* cones, int k) noexcept nogil:
    return cones.radius[k] + (bend(cones, k, 0.0, 0.0, 1.0, NULL) if cones.curved else 0.0)


cdef inline void enter_cut(Cones* cones, Basis* basis, int code, double n1, double n2) noexcept nogil:
    """Make a cut the last column: code k is the cut n of a cone, divided by the length of g, ``K + k`` its depth."""
    cdef int j, K = cones.K, k = code if code < K else code - K, constant = (WIDTH - 1) * K
    cdef double* row1 = cones.rows + k
    cdef double* row2 = row1 + WIDTH * K
    cdef double* row3 = row2 + WIDTH * K
    cdef double* a = basis.a + WIDTH * LAST
    cdef const double* q = cones.norms + k
    cdef double scale = 1.0, room
    basis.code[LAST], basis.n1[LAST], basis.n2[LAST] = code, n1, n2
    if code >= K:
        n1 = n2 = 0.0
        room = depth_room(cones, k) - cones.least_depth
    else:
        scale = 1.0 / sqrt(
            1.0 + n1 * (q[0] * n1 + 2.0 * (q[K] * n2 - q[3 * K])) + n2 * (q[2 * K] * n2 - 2.0 * q[4 * K])
        )
        n1 *= scale
        n2 *= scale
        room = cones.radius[k]
        if cones.curved:
            room += bend(cones, k, n1, n2, scale, NULL)
        # Both hardly depend on n: they tell next time which cut is likely to be violated most.
        cones.room[k], cones.scale[k] = room, scale
    for j in range(cones.n):
        a[j] = n1 * row1[j * K] + n2 * row2[j * K] - scale * row3[j * K]
    for j in range(cones.n, WIDTH):
        a[j] = 0.0
    basis.b[LAST] = scale * row3[constant] - n1 * row1[constant] - n2 * row2[constant] + room
    basis.size[LAST] = cones.magnitude * (q[5 * K] * (fabs(n1) + fabs(n2)) + scale)
    basis.scale[LAST] = scale


cdef inline void warm_basis(
    Cones* cones, Basis* basis, const double* c, int m, const int* codes, const double* n1, const double* n2
) noexcept nogil:
    """Start from those of the cuts given that are independent and have positive multipliers, and sides of the box."""
    cdef int n = cones.n, i, j, r, worst, _sweep
    cdef double best, size
    cdef double d[8]
    box_basis(basis, c, n)
    for i in range(m):
        enter_cut(cones, basis, codes[i], n1[i], n2[i])
        coefficients(basis, n, d)
        size = 0.0
        for j in range(n):
            size = fabs(basis.a[WIDTH * LAST + j]) if fabs(basis.a[WIDTH * LAST + j]) > size else size
        r, best = -1, INDEPENDENT * size
        for j in range(n):
            if basis.code[j] < 0 and fabs(d[j]) > best:
                r, best = j, fabs(d[j])
        if r >= 0:
            replace(basis, n, r, d)
    for _sweep in range(n + 1):
        evaluate(basis, n, c)
        worst, best = -1, 0.0
        for i in range(n):
            if basis.x[i] < 0.0 and basis.code[i] < 0:
                flip(basis, i)
            elif basis.x[i] < best:
                worst, best = i, basis.x[i]
        j = free_side(basis, n, worst) if worst >= 0 else -1
        if j < 0:
            break
        enter_side(basis, j, basis.inverse[WIDTH * worst + j] > 0.0)
        coefficients(basis, n, d)
        replace(basis, n, worst, d)
    evaluate(basis, n, c)
    basis.n_pivots = 0
    for i in range(n):
        if not basis.x[i] >= 0.0:
            box_basis(basis, c, n)
            break


cdef inline int most_violated(Cones* cones, Basis* basis, double* worst) noexcept nogil:
    """Return the code of the constraint that seems to be violated most, or NOTHING."""
    cdef int j, k, best = NOTHING, K = cones.K
    cdef double* p1 = cones.values
    cdef double* p2 = p1 + K
    cdef double* z = p2 + K
    cdef double v, least = INFINITY, most = 0.0
    for k in range(K):
        v = (sqrt(p1[k] * p1[k] + p2[k] * p2[k]) - z[k]) * cones.scale[k] - cones.room[k]
        if v > most:
            best, most = k, v
        least = z[k] if z[k] < least else least
    if least < cones.least_depth:
        for k in range(K):
            v = cones.least_depth - z[k]
            if v > most:
                v -= depth_room(cones, k)
                if v > most:
                    best, most = K + k, v
    for j in range(cones.n):
        v = fabs(basis.u[j]) - 1.0
        if v > VIOLATION and v * cones.weight[j] > most:
            best, most = SIDES + 2 * j + (basis.u[j] < 0.0), v * cones.weight[j]
    worst[0] = most
    return best


cdef inline void evaluate_rows(Cones* cones, const double* u) noexcept nogil:
    cdef int j, k, K = cones.K
    cdef double s
    cdef double* p1 = cones.values
    cdef double* p2 = p1 + K
    cdef double* z = p2 + K
    cdef double* row1 = cones.rows + (WIDTH - 1) * K
    cdef double* row2 = row1 + WIDTH * K
    cdef double* row3 = row2 + WIDTH * K
    memcpy(p1, row1, K * sizeof(double))
    memcpy(p2, row2, K * sizeof(double))
    memcpy(z, row3, K * sizeof(double))
    for j in range(cones.n):
        s = u[j]
        row1 = cones.rows + j * K
        row2 = row1 + WIDTH * K
        row3 = row2 + WIDTH * K
        for k in range(K):
            p1[k] += s * row1[k]
            p2[k] += s * row2[k]
            z[k] += s * row3[k]


cdef inline double entering(Cones* cones, Basis* basis) noexcept nogil:
    """Put a constraint that is violated, more or less the most, into the last column; return by how much, or 0."""
    cdef int j, code, tries, K = cones.K
    cdef double s, v, worst, tol
    cdef double* p = cones.values
    evaluate_rows(cones, basis.u)
    for tries in range(GUESSES + 2 * K):
        code = most_violated(cones, basis, &worst)
        if code == NOTHING:
            return 0.0
        if code < 0:
            j = (code - SIDES) >> 1
            enter_side(basis, j, basis.u[j] < 0.0)
            return fabs(basis.u[j]) - 1.0
        if code < K:
            s = sqrt(p[code] * p[code] + p[K + code] * p[K + code])
            enter_cut(cones, basis, code, p[code] / s if s > 0.0 else 1.0, p[K + code] / s if s > 0.0 else 0.0)
        else:
            enter_cut(cones, basis, code, 0.0, 0.0)
        v, tol = -basis.b[LAST], 0.0
        for j in range(WIDTH):
            v += basis.a[WIDTH * LAST + j] * basis.u[j]
            tol += fabs(basis.a[WIDTH * LAST + j])
        tol = VIOLATION * tol + RESOLUTION * cones.magnitude
        # The guess is now the truth for this cone; another one may be violated more.
        if v > tol and (v >= 0.5 * worst or tries >= GUESSES):
            return v
        if not v > tol:
            if code >= K:
                return 0.0
            cones.room[code] += tol
    return 0.0


cdef inline Status maximise(Cones* cones, Basis* basis, const double* c, double stop) noexcept nogil:
    """Pivot from a basis with nonnegative multipliers until no constraint is violated, or the bound falls to `stop`.

    Where there is no feasible point, x receives the multipliers that show it, the last for the column that is left out.
    """
    cdef int i, r, _pivot, n = cones.n
    cdef double upper, violation, step, ratio, best = 0.0
    cdef double d[8]
    for _pivot in range(PIVOTS):
        if basis.n_pivots >= REFACTOR:
            refactor(basis, n, c)
        upper = 0.0
        for i in range(n):
            upper += basis.b[i] * basis.x[i]
        if upper <= stop:
            return STOPPED
        violation = entering(cones, basis)
        if violation == 0.0:
            return OPTIMAL
        coefficients(basis, n, d)
        r, step = -1, INFINITY
        for i in range(n):
            if d[i] > SMALLEST_PIVOT:
                ratio = (basis.x[i] if basis.x[i] > 0.0 else 0.0) / d[i]
                if ratio < step or (ratio <= step * (1.0 + 1e-9) and d[i] > best):
                    r, step, best = i, ratio, d[i]
        if r < 0:
            for i in range(n):
                basis.x[i] = -d[i] if d[i] < 0.0 else 0.0
            basis.x[LAST] = 1.0
            return INFEASIBLE
        replace(basis, n, r, d)
        for i in range(n):
            basis.x[i] -= step * d[i]
        basis.x[r] = step
        for i in range(WIDTH):
            basis.u[i] -= violation * basis.inverse[WIDTH * r + i]
    return LIMIT


cdef inline double combine(Basis* basis, int first, int last, double* r, double* absolute) noexcept nogil:
    """Subtract the cuts, times their multipliers, from r; return the sum of their right-hand sides."""
    cdef int i, j
    cdef double x, total = 0.0
    for i in range(first, last):
        x = basis.x[i]
        if basis.code[i] >= 0 and x > 0.0:
            total += x * basis.b[i]
            absolute[0] += x * (fabs(basis.b[i]) + basis.size[i])
            for j in range(WIDTH):
                r[j] -= x * basis.a[WIDTH * i + j]
                absolute[0] += x * fabs(basis.a[WIDTH * i + j])
    return total


cdef inline double safe_upper(Basis* basis, int n, const double* c) noexcept nogil:
    """Return an upper bound of ``c.u`` that holds whatever the multipliers are: the box takes up what they leave."""
    cdef int j
    cdef double total, absolute = 0.0
    cdef double r[8]
    for j in range(WIDTH):
        r[j] = c[j] if j < n else 0.0
        absolute += fabs(r[j])
    total = combine(basis, 0, n, r, &absolute)
    for j in range(n):
        total += fabs(r[j])
    return total + ROUNDING * absolute


cdef inline bint proves_empty(Basis* basis, int n) noexcept nogil:
    """Return whether the multipliers, the last for the column that is left out, show that no point is feasible."""
    cdef int j
    cdef double total, absolute = 0.0
    cdef double r[8]
    memset(r, 0, WIDTH * sizeof(double))
    total = combine(basis, 0, n, r, &absolute) + combine(basis, LAST, LAST + 1, r, &absolute)
    for j in range(n):
        total += fabs(r[j])
    return total < -ROUNDING * absolute


cdef inline Status solve(
    Cones* cones,
    Basis* basis,
    const double* c,
    double stop,
    int m,
    const int* codes,
    const double* n1,
    const double* n2,
    double* bound,
) noexcept nogil:
    """Bound ``c.u``, starting from the cuts given; where this falls to `stop`, the bound need not be the best one.

    All costs are moved away from 0 first: with zeros among them the ratio test stalls, and the method may cycle. In the
    end the multipliers of the true costs are better, unless some are negative.
    """
    cdef int j, n = cones.n
    cdef double step, best, excess = 0.0, largest = 0.0
    cdef double p[8]
    cdef double x[8]
    cdef Status status
    for j in range(n):
        largest = fabs(c[j]) if fabs(c[j]) > largest else largest
    if largest == 0.0:
        largest = 1.0
    memset(p, 0, WIDTH * sizeof(double))
    for j in range(n):
        step = PERTURBATION * largest * (1.0 + 0.37 * j + 0.11 * j * j)
        p[j] = c[j] + step if c[j] >= 0.0 else c[j] - step
        excess += step
    warm_basis(cones, basis, p, m, codes, n1, n2)
    status = maximise(cones, basis, p, stop - excess)
    if status == INFEASIBLE:
        if proves_empty(basis, n):
            bound[0] = -INFINITY
            return INFEASIBLE
        evaluate(basis, n, p)
        status = LIMIT
    bound[0] = safe_upper(basis, n, c)
    memcpy(x, basis.x, sizeof(x))
    evaluate(basis, n, c)
    best = safe_upper(basis, n, c)
    if best < bound[0]:
        bound[0] = best
    else:
        memcpy(basis.x, x, sizeof(x))
    return status
