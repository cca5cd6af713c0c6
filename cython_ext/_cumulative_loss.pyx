"""Negative log-likelihood of cumulative-link models: one pass over rows, values and derivatives.

Row i of class c sees the two linear predictors beside its class, ``u = eta[i, c - 1]`` and ``z = eta[i, c]`` (the first
class only z, the last only u), and has the loss ``-log(F(u) - F(z))``. Derivatives are taken along two directions: the
common *shift* of u and z, and z alone, the *upper* boundary. Along these the curvature of the logit never cancels, and
they are what differences between adjacent boundaries and a common slope need.
"""

from libc.math cimport INFINITY, exp, expm1, fabs, log, log1p
from scipy.special.cython_special cimport erfcx, log_ndtr

cdef enum:
    LOGIT = 0
    PROBIT = 1
    CLOGLOG = 2
    LOGLOG = 3

cdef enum:
    BLOCK = 1024

#: Beyond, exp overflows: such a predictor counts as outside the domain.
cdef double LARGEST_EXPONENT = 700.0
cdef double SMALLEST_GAP = 1e-100
cdef double SMALL_GAP = 1e-3
cdef double SMALL_HAZARD = 1e-2
cdef double ROOT_HALF = 0.707106781186547524400844362105
cdef double ROOT_HALF_PI = 1.25331413731550025120788264241
cdef double HALF_LOG_TWO_PI = 0.918938533204672741780329736406

ctypedef struct Row:
    double value
    double shift
    double upper
    double shift_shift
    double shift_upper
    double upper_upper


cdef inline double log1mexp(double x) noexcept nogil:
    """Return log(1 - exp(-x)) for x > 0."""
    return log(-expm1(-x)) if x < 0.6931471805599453 else log1p(-exp(-x))


cdef inline bint logit_row(bint first, bint last, double u, double z, Row* row) noexcept nogil:
    """Fill `row` for the logit; return whether the point lies in the domain."""
    cdef double e, e_u = 0.0, e_z = 0.0, d, gap, ratio, below = 0.0, above = 0.0, bend_u = 0.0, bend_z = 0.0
    cdef double value = 0.0
    if not last:
        e_z = exp(-fabs(z))
        value += z if z > 0.0 else 0.0
        above = (1.0 if z >= 0.0 else e_z) / (1.0 + e_z)
        bend_z = e_z / ((1.0 + e_z) * (1.0 + e_z))
    if not first:
        e_u = exp(-fabs(u))
        value += -u if u < 0.0 else 0.0
        below = (1.0 if u < 0.0 else e_u) / (1.0 + e_u)
        bend_u = e_u / ((1.0 + e_u) * (1.0 + e_u))
    # log1p(e_u) + log1p(e_z), e being 0 where there is no boundary
    value += log1p(e_u + e_z + e_u * e_z)
    row.shift = above - below
    row.shift_shift = bend_u + bend_z
    row.shift_upper = bend_z
    row.upper = above
    row.upper_upper = bend_z
    if not first and not last:
        d = u - z
        if not d > SMALLEST_GAP:
            return False
        if d < LARGEST_EXPONENT:
            gap = -expm1(-d)
            e = e_u * e_z if u >= 0.0 and z <= 0.0 else exp(-d)
            ratio = e / gap
            value -= log(gap)
            row.upper += ratio
            row.upper_upper += ratio / gap
    row.value = value
    return value < INFINITY


cdef inline bint finish(
    bint mirrored,
    double value,
    double shift,
    double r_u,
    double r_z,
    double bend_u,
    double bend_z,
    double h_uu,
    double h_zz,
    Row* row,
) noexcept nogil:
    """Fill `row` from the derivatives in u and z, for the mirrored link from those in -z and -u."""
    row.value = value
    row.shift = -shift if mirrored else shift
    row.upper = r_u if mirrored else r_z
    row.shift_shift = bend_u + bend_z
    row.shift_upper = bend_u if mirrored else bend_z
    row.upper_upper = h_uu if mirrored else h_zz
    return value < INFINITY and row.shift_shift < INFINITY and row.upper_upper < INFINITY


cdef inline bint cloglog_row(bint mirrored, bint first, bint last, double u, double z, Row* row) noexcept nogil:
    """Fill `row` for the complementary log-log link; return whether the point lies in the domain.

    With hazards e^z and e^u the loss is ``e^z - log(1 - exp(-(e^u - e^z)))``: a barrier on their difference.
    """
    cdef double value, hazard = 0.0, x = 0.0, gap = 1.0, growth, rest, ratio, decay, r_u = 0.0, r_z
    if not (first or u <= LARGEST_EXPONENT) or not (last or z <= LARGEST_EXPONENT):
        return False
    if not last:
        hazard = exp(z)
    if first:
        return finish(mirrored, hazard, hazard, 0.0, hazard, 0.0, hazard, 0.0, hazard, row)
    if not last:
        if not u - z > SMALLEST_GAP:
            return False
        gap = -expm1(z - u)
    x = exp(u) * gap
    # growth = x / (1 - e^-x) - 1 and decay = x / (e^x - 1)
    growth = x / -expm1(-x) - 1.0 if x > SMALL_HAZARD else x * (0.5 + x / 12.0 * (1.0 - x * x / 60.0))
    decay = x / expm1(x) if SMALL_HAZARD < x < LARGEST_EXPONENT else max(growth + 1.0 - x, 0.0)
    if x >= LARGEST_EXPONENT:
        decay = 0.0
    rest = x - growth if x < 1.0 else 1.0 - decay
    value = -log(gap) - u + log1p(growth) + hazard if x < 0.6931471805599453 else hazard - log1p(-exp(-x))
    r_u = decay / gap
    ratio = exp(z - u) / gap if not last else 0.0
    r_z = hazard / -expm1(-x) if x > SMALL_HAZARD else (1.0 + growth) * ratio
    return finish(
        mirrored, value, hazard - decay, r_u, r_z, r_u * growth, r_z * rest,
        r_u * (growth + ratio * gap) / gap, r_z * (1.0 + decay * ratio), row,
    )


cdef inline double mills(double t) noexcept nogil:
    """Return (1 - F) / f of the normal distribution."""
    return ROOT_HALF_PI * erfcx(ROOT_HALF * t)


cdef inline bint probit_row(bint first, bint last, double u, double z, Row* row) noexcept nogil:
    """Fill `row` for the probit; return whether the point lies in the domain."""
    cdef double d, t, log_p, ratio, shift, r_u = 0.0, r_z, lowered
    cdef bint mirrored = last or (not first and u + z < 0.0)
    if mirrored:
        first, t = last, u
        u, z = -z, -t
        last = False
    if first:
        log_p = log_ndtr(-z)
        r_z = 1.0 / mills(z)
        shift = max(r_z - z, 0.0) if r_z > 0.0 else 0.0
        return finish(mirrored, -log_p, r_z, 0.0, r_z, 0.0, r_z * shift, 0.0, r_z * shift, row)
    d, t = u - z, 0.5 * (u + z)
    if not d > SMALLEST_GAP:
        return False
    ratio = exp(-d * t)
    if d * max(1.0, t) < SMALL_GAP:
        # expansion around the middle
        r_z = 1.0 / d
        shift = t * (1.0 - d * d / 12.0)
        lowered = d * d / 24.0 * (t * t - 1.0)
        log_p = -0.5 * t * t - HALF_LOG_TWO_PI + log(d) + log1p(lowered)
        return finish(
            mirrored, -log_p, shift, r_z - 0.5 * shift + d / 12.0 * (t * t - 1.0),
            r_z + 0.5 * shift + d / 12.0 * (t * t - 1.0),
            0.5 - d * d / 24.0 - t * d / 6.0, 0.5 - d * d / 24.0 + t * d / 6.0,
            0.25 - t * d / 6.0 + r_z * r_z - (t * t - 1.0) / 12.0,
            0.25 + t * d / 6.0 + r_z * r_z - (t * t - 1.0) / 12.0, row,
        )
    log_p = log_ndtr(-z)
    log_p += log1mexp(log_p - log_ndtr(-u))
    r_z = 1.0 / (mills(z) - ratio * mills(u))
    r_u = ratio * r_z
    shift = -expm1(-d * t) * r_z
    if not r_z > 0.0:
        return finish(mirrored, -log_p, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, row)
    return finish(
        mirrored, -log_p, shift, r_u, r_z, r_u * max(u - shift, 0.0), r_z * max(shift - z, 0.0),
        r_u * (r_u + u), r_z * max(r_z - z, 0.0), row,
    )


cdef inline bint fill(int link, int c, int m, double u, double z, Row* row) noexcept nogil:
    if link == LOGIT:
        return logit_row(c == 0, c == m, u, z, row)
    if link == PROBIT:
        return probit_row(c == 0, c == m, u, z, row)
    if link == CLOGLOG:
        return cloglog_row(False, c == 0, c == m, u, z, row)
    return cloglog_row(True, c == m, c == 0, -z, -u, row)


def evaluate(
    const double[:, ::1] eta,
    const int[::1] y,
    const double[::1] weight,
    int link,
    double[:, ::1] gradient,
    double[:, ::1] curvature,
    double[::1] total_gradient,
    double[:, ::1] total_curvature,
):
    """Return the weighted sum of losses, infinity outside the domain; fill the derivatives.

    `gradient[i, k]` receives the derivative along the common shift of boundaries k, k + 1, ..., `curvature[i]` the
    second derivatives (shift, shift), (shift, upper) and (upper, upper). Both are times the weight, and unspecified
    where the value is infinite. `total_gradient` receives the sums over rows, `total_curvature[c]` those over class c.
    """
    cdef Py_ssize_t n = eta.shape[0], i, k
    cdef int m = eta.shape[1], c
    cdef double total = 0.0, part = 0.0, w
    cdef Row row
    with nogil:
        total_curvature[:, :] = 0.0
        total_gradient[:] = 0.0
        for i in range(n):
            c = y[i]
            w = weight[i]
            if not fill(link, c, m, eta[i, c - 1] if c > 0 else 0.0, eta[i, c] if c < m else 0.0, &row):
                total = INFINITY
                break
            part += w * row.value
            if i % BLOCK == BLOCK - 1:
                total += part
                part = 0.0
            for k in range(c):
                gradient[i, k] = w * row.shift
                total_gradient[k] += w * row.shift
            if c < m:
                gradient[i, c] = w * row.upper
                total_gradient[c] += w * row.upper
            for k in range(c + 1, m):
                gradient[i, k] = 0.0
            curvature[i, 0] = w * row.shift_shift
            curvature[i, 1] = w * row.shift_upper
            curvature[i, 2] = w * row.upper_upper
            for k in range(3):
                total_curvature[c, k] += curvature[i, k]
    return total + part


def value(
    const double[:, ::1] eta,
    const double[:, ::1] direction,
    double step,
    const int[::1] y,
    const double[::1] weight,
    int link,
):
    """Return the weighted sum of losses at ``eta + step * direction``, infinity outside the domain."""
    cdef Py_ssize_t n = eta.shape[0], i
    cdef int m = eta.shape[1], c
    cdef double total = 0.0, part = 0.0, u = 0.0, z = 0.0
    cdef Row row
    with nogil:
        for i in range(n):
            c = y[i]
            if c > 0:
                u = eta[i, c - 1] + step * direction[i, c - 1]
            if c < m:
                z = eta[i, c] + step * direction[i, c]
            if not fill(link, c, m, u, z, &row):
                total = INFINITY
                break
            part += weight[i] * row.value
            if i % BLOCK == BLOCK - 1:
                total += part
                part = 0.0
    return total + part


def longest_step(const double[:, ::1] eta, const double[:, ::1] direction, const int[::1] y, bint everywhere):
    """Return the step at which the first gap closes: that of the row's own class, or of any two adjacent boundaries."""
    cdef Py_ssize_t n = eta.shape[0], i
    cdef int m = eta.shape[1], c, first, last
    cdef double longest = INFINITY, gap, closing
    with nogil:
        for i in range(n):
            first = 1 if everywhere else (y[i] if y[i] > 0 else m)
            last = m if everywhere else min(y[i] + 1, m)
            for c in range(first, last):
                closing = direction[i, c] - direction[i, c - 1]
                gap = eta[i, c - 1] - eta[i, c]
                if closing > 0.0 and gap < longest * closing:
                    longest = gap / closing
    return longest
