"""Proximal map of the total variation on many short chains that start at zero, exact in one pass over each.

A chain z with thresholds t asks for the minimiser over b of

    |b - z|^2 / 2 + sum_{l=1..m} t_l |b_l - b_{l-1}|,    b_0 = 0.

The dynamic programme is that of Johnson (2013), "A dynamic programming algorithm for the fused lasso and
L0-segmentation", J. Comput. Graph. Stat. 22, with a start of its own. Let ``M_k(x)`` be the least cost of everything
before coefficient k, given that this one is x. The derivative is piecewise linear and never decreases:

    M_1'(x) = t_1 sign(x),    M_{k+1}'(x) = clip(M_k'(x) + x - z_k, -t_{k+1}, t_{k+1}).

The clip is active outside an interval [low_k, high_k], and ``b_k = clip(b_{k+1}, low_k, high_k)`` leads back from b_m,
where ``M_m'(x) + x - z_m`` changes its sign. Knots come and go at the two ends only, at most two of them new at a
time, so that a chain costs O(m) altogether.

A piece of the derivative starts its life as a constant, where a clip is active, and from there on each coefficient adds
``x - z`` to it. So a piece is kept as it started, and its height follows from how many z came since and from their sum.
Differences between pieces, which are customary here, would lose the digits of z to huge thresholds, and are not defined
for infinite ones.
"""

from libc.math cimport INFINITY, fabs
from libc.stdlib cimport free, malloc

cdef struct Piece:
    double knot      # where the next piece follows
    double origin    # number of the z that came before it
    double constant  # their sum, plus the height at the start


cdef inline double height(const Piece* piece, double x, double count, double total) noexcept nogil:
    return (count - piece.origin) * x + (piece.constant - total)


cdef inline double crossing(const Piece* piece, double level, double count, double total) noexcept nogil:
    """Return the x where the height is `level`."""
    return ((total - piece.constant) + level) / (count - piece.origin)


cdef inline bint vanishes(const double* z, const double* weights, double step, Py_ssize_t m) noexcept nogil:
    """Return whether b = 0 is optimal: whether ``|z_k + ... + z_m| <= t_k`` for all k."""
    cdef Py_ssize_t k
    cdef double total = 0.0
    for k in range(m - 1, -1, -1):
        total += z[k]
        if not fabs(total) <= step * weights[k]:
            return False
    return True


cdef inline void solve(
    const double* z,
    const double* weights,
    double step,
    double* b,
    Py_ssize_t m,
    Piece* pieces,
    double* low,
    double* high,
) noexcept nogil:
    # Pieces first to last end at knots, and one more follows. Either end moves outwards by at most one place a time.
    cdef Py_ssize_t first = m, last = m, k, i
    cdef double count = 0.0, total = 0.0, level = step * weights[0], x
    cdef bint jump
    pieces[first].knot = 0.0
    pieces[first].origin = pieces[first + 1].origin = 0.0
    pieces[first].constant, pieces[first + 1].constant = -level, level
    for k in range(m):
        count += 1.0
        total += z[k]
        level = step * weights[k + 1] if k + 1 < m else 0.0
        if level == INFINITY:
            low[k], high[k] = -INFINITY, INFINITY
            continue

        # From the left to where the derivative reaches -level: inside piece i, or by the jump at its knot.
        i = first
        jump = False
        while i <= last and height(&pieces[i], pieces[i].knot, count, total) < -level:
            jump = height(&pieces[i + 1], pieces[i].knot, count, total) >= -level
            if jump:
                break
            i += 1
        if jump:
            first = i
        else:
            x = crossing(&pieces[i], -level, count, total)
            # Rounding must not put knots out of order.
            if i <= last and x > pieces[i].knot:
                x = pieces[i].knot
            first = i - 1
            pieces[first].knot = x
        low[k] = pieces[first].knot
        pieces[first].origin = count
        pieces[first].constant = total - level

        # From the right to where it reaches level, which is not in the piece just made. Level 0 is reached only once.
        if level == 0.0:
            last = first
        else:
            i = last
            jump = False
            while height(&pieces[i + 1], pieces[i].knot, count, total) > level:
                jump = i == first or height(&pieces[i], pieces[i].knot, count, total) <= level
                if jump:
                    break
                i -= 1
            if jump:
                last = i
            else:
                x = crossing(&pieces[i + 1], level, count, total)
                if x < pieces[i].knot:
                    x = pieces[i].knot
                last = i + 1
                pieces[last].knot = x
        high[k] = pieces[last].knot
        pieces[last + 1].origin = count
        pieces[last + 1].constant = total + level

        if first == last:
            # Only the two constants are left, so that the sum, with its rounding, can start again.
            count = total = 0.0
            pieces[first].origin = pieces[first + 1].origin = 0.0
            pieces[first].constant, pieces[first + 1].constant = -level, level

    x = low[m - 1]
    b[m - 1] = x
    for k in range(m - 2, -1, -1):
        if x < low[k]:
            x = low[k]
        elif x > high[k]:
            x = high[k]
        b[k] = x


def prox_anchored_chains(const double[:, ::1] z, const double[:, ::1] weights, double step, double[:, ::1] out):
    """Write to ``out[j]`` the minimiser of ``|b - z[j]|^2 / 2 + step sum_l weights[j, l] |b_l - b_{l-1}|``, b_0 = 0.

    The three arrays are p x m, one chain a row, so that some of the chains are a slice of rows; `out` may be `z`.
    Weights are from 0 to infinity and `step` is positive and finite. What the minimiser ties together comes out equal
    to the last bit, and what it ties to the start comes out as 0.
    """
    cdef Py_ssize_t p = z.shape[0], m = z.shape[1], j, k
    cdef Piece* pieces
    cdef double* bounds
    if p == 0 or m == 0:
        return
    pieces = <Piece*> malloc((2 * m + 2) * sizeof(Piece))
    bounds = <double*> malloc(2 * m * sizeof(double))
    if pieces == NULL or bounds == NULL:
        free(pieces)
        free(bounds)
        raise MemoryError
    with nogil:
        for j in range(p):
            # Most chains of a sparse problem end here.
            if vanishes(&z[j, 0], &weights[j, 0], step, m):
                for k in range(m):
                    out[j, k] = 0.0
            else:
                solve(&z[j, 0], &weights[j, 0], step, &out[j, 0], m, pieces, bounds, bounds + m)
    free(pieces)
    free(bounds)
