"""Bases of linear programmes over the unit box: columns, the inverse, multipliers, and the point where all are tight.

    maximise  c.u   subject to   |u_j| <= 1   and   a.u <= b for columns a,   in at most 7 variables.

A basis has as many columns as there are variables: cuts, and sides of the box. ``x = B^{-1} c`` are its multipliers.
"""

from libc.math cimport fabs
from libc.string cimport memcpy, memset

cdef enum:
    #: Entries of a column: the variables, then zeros.
    WIDTH = 8
    #: The column that enters.
    LAST = 7
    #: Codes: ``SIDES + 2 j`` is the side u_j <= 1 of the box, and one more the opposite one; those of cuts are >= 0.
    SIDES = -16
    NOTHING = -32

ctypedef struct Basis:
    int code[8]
    double n1[8]
    double n2[8]
    double b[8]
    double size[8]        # what rounding errors of a cut's coefficients count in
    double scale[8]       # 1 / |g|
    double a[64]          # the columns, one after the other
    double inverse[64]
    double x[8]
    double u[8]
    int n_pivots


cdef inline void enter_side(Basis* basis, int j, bint negative) noexcept nogil:
    """Make a side of the box the last column."""
    memset(basis.a + WIDTH * LAST, 0, WIDTH * sizeof(double))
    basis.a[WIDTH * LAST + j] = -1.0 if negative else 1.0
    basis.code[LAST] = SIDES + 2 * j + negative
    basis.b[LAST] = 1.0


cdef inline void replace(Basis* basis, int n, int r, const double* d) noexcept nogil:
    """Let the last column, whose coefficients in the basis are `d`, take the place of column r."""
    cdef int i, j
    cdef double f = 1.0 / d[r]
    cdef double* row = basis.inverse + WIDTH * r
    cdef double* other
    for j in range(WIDTH):
        row[j] *= f
    for i in range(n):
        if i != r and d[i] != 0.0:
            f = d[i]
            other = basis.inverse + WIDTH * i
            for j in range(WIDTH):
                other[j] -= f * row[j]
    memcpy(basis.a + WIDTH * r, basis.a + WIDTH * LAST, WIDTH * sizeof(double))
    basis.code[r], basis.n1[r], basis.n2[r] = basis.code[LAST], basis.n1[LAST], basis.n2[LAST]
    basis.b[r], basis.size[r], basis.scale[r] = basis.b[LAST], basis.size[LAST], basis.scale[LAST]
    basis.n_pivots += 1


cdef inline void coefficients(Basis* basis, int n, double* d) noexcept nogil:
    """Compute those of the last column in the basis."""
    cdef int i, j
    cdef double s
    for i in range(n):
        s = 0.0
        for j in range(WIDTH):
            s += basis.inverse[WIDTH * i + j] * basis.a[WIDTH * LAST + j]
        d[i] = s


cdef inline void evaluate(Basis* basis, int n, const double* c) noexcept nogil:
    """Compute the multipliers x and the point u from the inverse."""
    cdef int i, j
    cdef double s
    memset(basis.u, 0, WIDTH * sizeof(double))
    for i in range(n):
        s = 0.0
        for j in range(WIDTH):
            s += basis.inverse[WIDTH * i + j] * c[j]
            basis.u[j] += basis.b[i] * basis.inverse[WIDTH * i + j]
        basis.x[i] = s


cdef inline void box_basis(Basis* basis, const double* c, int n) noexcept nogil:
    """Start from the corner of the box where ``c.u`` is largest."""
    cdef int j
    cdef double sign
    memset(basis.a, 0, WIDTH * WIDTH * sizeof(double))
    memset(basis.inverse, 0, WIDTH * WIDTH * sizeof(double))
    for j in range(n):
        sign = 1.0 if c[j] >= 0.0 else -1.0
        basis.code[j] = SIDES + 2 * j + (sign < 0.0)
        basis.a[WIDTH * j + j] = basis.inverse[WIDTH * j + j] = sign
        basis.b[j] = 1.0
    basis.n_pivots = 0
    evaluate(basis, n, c)


cdef inline void refactor(Basis* basis, int n, const double* c) noexcept nogil:
    """Compute the inverse anew, one column at a time, then x and u; nothing changes if the columns are dependent."""
    cdef int i, r, step
    cdef double best
    cdef double d[8]
    cdef Basis fresh
    memset(fresh.inverse, 0, WIDTH * WIDTH * sizeof(double))
    for i in range(n):
        fresh.inverse[WIDTH * i + i] = 1.0
        fresh.code[i] = NOTHING
    for step in range(n):
        memcpy(fresh.a + WIDTH * LAST, basis.a + WIDTH * step, WIDTH * sizeof(double))
        fresh.code[LAST], fresh.n1[LAST], fresh.n2[LAST] = basis.code[step], basis.n1[step], basis.n2[step]
        fresh.b[LAST], fresh.size[LAST], fresh.scale[LAST] = basis.b[step], basis.size[step], basis.scale[step]
        coefficients(&fresh, n, d)
        r, best = -1, 0.0
        for i in range(n):
            if fresh.code[i] == NOTHING and fabs(d[i]) > best:
                r, best = i, fabs(d[i])
        if r < 0:
            basis.n_pivots = 0
            return
        replace(&fresh, n, r, d)
    fresh.n_pivots = 0
    memcpy(basis, &fresh, sizeof(Basis))
    evaluate(basis, n, c)


cdef inline void flip(Basis* basis, int i) noexcept nogil:
    """Exchange a side of the box for the opposite one."""
    cdef int j
    basis.code[i] ^= 1
    basis.x[i] = -basis.x[i]
    for j in range(WIDTH):
        basis.inverse[WIDTH * i + j] = -basis.inverse[WIDTH * i + j]
        basis.a[WIDTH * i + j] = -basis.a[WIDTH * i + j]


cdef inline int free_side(Basis* basis, int n, int i) noexcept nogil:
    """Return a coordinate none of whose sides is in the basis and which can replace column i, or -1."""
    cdef int j, best = -1
    cdef double largest = 0.0
    cdef bint taken[8]
    for j in range(n):
        taken[j] = False
    for j in range(n):
        if basis.code[j] < 0:
            taken[(basis.code[j] - SIDES) >> 1] = True
    for j in range(n):
        if not taken[j] and fabs(basis.inverse[WIDTH * i + j]) > largest:
            best, largest = j, fabs(basis.inverse[WIDTH * i + j])
    return best
