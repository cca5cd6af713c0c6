"""Real roots of quartic polynomials in [-1, 1], double ones included, shared by the kernels that solve for poses."""

from libc.math cimport fabs, sqrt


cdef inline double quartic(const double* c, double x) noexcept nogil:
    return (((c[4] * x + c[3]) * x + c[2]) * x + c[1]) * x + c[0]


cdef inline double slope(const double* c, double x) noexcept nogil:
    return ((4.0 * c[4] * x + 3.0 * c[3]) * x + 2.0 * c[2]) * x + c[1]


cdef inline double curvature(const double* c, double x) noexcept nogil:
    return (12.0 * c[4] * x + 6.0 * c[3]) * x + 2.0 * c[2]


cdef inline double root_between(
    const double* c, double bent, double low, double high, double at_low, double at_high
) noexcept nogil:
    """Return the root between two points where the signs differ, on a piece whose curvature has the sign of `bent`.

    Newton's method converges from the end that is on the far side of the tangents, without leaving the piece.
    """
    cdef double x = low + (high - low) * (at_low / (at_low - at_high))
    cdef double end = low if bent * at_low > 0 else high, new = x - quartic(c, x) / slope(c, x), step
    cdef int _
    x = new if (new - x) * (end - new) > 0 else end
    for _ in range(60):
        step = quartic(c, x) / slope(c, x)
        x -= step
        if fabs(step) <= 1e-8:  # the next one would be far shorter
            break
    return x


cdef inline int inflections(const double* c, double* x) noexcept nogil:
    """Write the zeros of the curvature inside (-1, 1) in ascending order; the vertex stands for a complex pair."""
    cdef double a = 6.0 * c[4], b = 3.0 * c[3], d = b * b - 4.0 * a * c[2], q, first, second
    cdef int n = 0
    q = -0.5 * (b + (sqrt(d) if b > 0 else -sqrt(d))) if d > 0 else -0.5 * b
    first = q / a if a != 0 else 2.0
    second = c[2] / q if d > 0 and q != 0 else 2.0
    if second < first:
        first, second = second, first
    if -1.0 < first < 1.0:
        x[n] = first
        n += 1
    if -1.0 < second < 1.0 and second != first:
        x[n] = second
        n += 1
    return n


cdef inline int piece_roots(
    const double* c, double noise, double low, double high, double at_low, double at_high, double* roots
) noexcept nogil:
    """Write the roots on a piece whose curvature does not change its sign; return their number, at most 3."""
    cdef double bent = curvature(c, 0.5 * (low + high)), left = low, right = high, x = low, value = at_low
    cdef double at_left, at_right, rate_left, rate_right, rate, step, bound
    cdef int found = 0, _
    if at_low * at_high < 0:
        roots[0] = root_between(c, bent, low, high, at_low, at_high)
        return 1
    rate_left, rate_right = slope(c, low), slope(c, high)
    if not (bent * at_low > 0 and bent * rate_left < 0 and bent * rate_right > 0):
        return 0
    at_left, at_right = at_low, at_high
    for _ in range(60):
        # The tangents at both sides are below the piece, if it is convex; do they meet above 0?
        step = (at_right - at_left - rate_right * (right - left)) / (rate_left - rate_right)
        bound = at_left + rate_left * step
        x = left + step
        if not left < x < right:
            x = 0.5 * (left + right)
        elif bent * bound > 0 and fabs(bound) > 0.5e-6 * fabs(bent) + noise:
            return 0
        value, rate = quartic(c, x), slope(c, x)
        if bent * value < 0 and fabs(value) > noise:
            break
        step = rate / curvature(c, x)
        if bent * rate < 0:
            left, at_left, rate_left = x, value, rate
        else:
            right, at_right, rate_right = x, value, rate
        if fabs(step) <= 1e-8:
            x -= step
            value = quartic(c, x)
            bound = curvature(c, x)
            if fabs(value) <= noise or (value * bound > 0 and 2.0 * fabs(value) <= 1e-6 * fabs(bound)):
                roots[0] = x
                found = 1
            break
    if bent * value < 0:
        roots[found] = root_between(c, bent, low, x, at_low, value)
        roots[found + 1] = root_between(c, bent, x, high, value, at_high)
        found += 2
    return found


cdef inline bint same_sign(double a, double b, double c, double d, double e) noexcept nogil:
    return (a > 0 and b > 0 and c > 0 and d > 0 and e > 0) or (a < 0 and b < 0 and c < 0 and d < 0 and e < 0)


cdef inline bint no_root_beyond(const double* c, double sign) noexcept nogil:
    """Return True if there is none beyond 1, or beyond -1 if that is `sign`, by Budan's theorem."""
    cdef double c1 = sign * c[1], c3 = sign * c[3]
    # The coefficients in powers of x - 1, or of -x - 1.
    return same_sign(
        c[0] + c1 + c[2] + c3 + c[4],
        c1 + 2.0 * c[2] + 3.0 * c3 + 4.0 * c[4],
        c[2] + 3.0 * c3 + 6.0 * c[4],
        c3 + 4.0 * c[4],
        c[4],
    )


cdef inline int unit_roots(const double* c, double noise, double* roots) noexcept nogil:
    """Write the real roots in [-1, 1] of the quartic with ascending coefficients `c`, and return their number.

    Where the quartic touches 0 to within `noise`, or has a pair of complex roots with an imaginary part of at most
    1e-3, the point of contact comes as a root as well, before its neighbours: it is well determined where a double root
    is not. At most 13 numbers.
    """
    cdef double x[4]
    cdef double value[4]
    cdef int n, found = 0, i
    x[0] = -1.0
    n = 2 + inflections(c, x + 1)
    x[n - 1] = 1.0
    for i in range(n):
        value[i] = quartic(c, x[i])
        if fabs(value[i]) <= noise:
            roots[found] = x[i]
            found += 1
    for i in range(n - 1):
        found += piece_roots(c, noise, x[i], x[i + 1], value[i], value[i + 1], roots + found)
    return found
