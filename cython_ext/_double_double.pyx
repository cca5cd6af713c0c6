"""Sums of products in twice the precision of a double, for bounds that have to hold whatever is rounded.

A number is a row of three: its value as the unevaluated sum of two doubles, and a bound on the sum of the absolute
values of all that it is the sum of, which is what rounding errors are counted in. What the sums mean is the caller's.
"""

from libc.math cimport fabs, fma, sqrt

ctypedef struct Pair:
    double high
    double low


cdef inline Pair exact_sum(double a, double b) noexcept nogil:
    cdef Pair s
    s.high = a + b
    cdef double of_b = s.high - a
    s.low = (a - (s.high - of_b)) + (b - of_b)
    return s


cdef inline Pair exact_product(double a, double b) noexcept nogil:
    cdef Pair p
    p.high = a * b
    p.low = fma(a, b, -p.high)
    return p


cdef inline Pair ordered(double high, double low) noexcept nogil:
    """The same pair with as much as possible in the first, for |high| >= |low|."""
    cdef Pair s
    s.high = high + low
    s.low = low - (s.high - high)
    return s


cdef inline Pair plus(Pair a, Pair b) noexcept nogil:
    cdef Pair s = exact_sum(a.high, b.high)
    return ordered(s.high, s.low + (a.low + b.low))


cdef inline Pair times(Pair a, Pair b) noexcept nogil:
    cdef Pair p = exact_product(a.high, b.high)
    return ordered(p.high, p.low + (a.high * b.low + a.low * b.high))


cdef inline Pair scaled(Pair a, double c) noexcept nogil:
    cdef Pair p = exact_product(a.high, c)
    return ordered(p.high, p.low + a.low * c)


cdef inline Pair negative(Pair a) noexcept nogil:
    a.high, a.low = -a.high, -a.low
    return a


cdef inline Pair over(Pair a, Pair b) noexcept nogil:
    cdef double first = a.high / b.high
    cdef Pair rest = plus(a, negative(scaled(b, first)))
    return ordered(first, rest.high / b.high)


cdef inline Pair root(Pair a) noexcept nogil:
    cdef double first = sqrt(a.high)
    cdef Pair rest = plus(a, negative(exact_product(first, first)))
    return ordered(first, rest.high / (2.0 * first))


cdef inline Pair row(const double[:, ::1] numbers, Py_ssize_t i) noexcept nogil:
    cdef Pair a
    a.high, a.low = numbers[i, 0], numbers[i, 1]
    return a


cdef inline void add(double[:, ::1] total, Py_ssize_t i, Pair term, double size) noexcept nogil:
    cdef Pair s = plus(row(total, i), term)
    total[i, 0], total[i, 1] = s.high, s.low
    total[i, 2] += size


def add_products(
    const int[::1] first,
    const int[::1] second,
    const int[::1] target,
    const double[::1] coefficient,
    const double[:, ::1] left,
    const double[:, ::1] right,
    double sign,
    double[:, ::1] total,
):
    """Add ``sign c (left_i right_j + left_j right_i)`` to its target for every entry, or half of it where i = j."""
    cdef Py_ssize_t e, i, j
    cdef double c, size
    cdef Pair term
    with nogil:
        for e in range(first.shape[0]):
            i, j, c = first[e], second[e], sign * coefficient[e]
            term = times(row(left, i), row(right, j))
            size = left[i, 2] * right[j, 2]
            if i != j:
                term = plus(term, times(row(left, j), row(right, i)))
                size += left[j, 2] * right[i, 2]
            add(total, target[e], scaled(term, c), fabs(c) * size)


def add_form(
    const int[::1] first,
    const int[::1] second,
    const int[::1] target,
    const double[::1] coefficient,
    const double[:, ::1] matrix,
    double[:, ::1] total,
):
    """Add ``c (matrix_ij + matrix_ji)`` to its target for every entry, or half of it where i = j."""
    cdef Py_ssize_t e, i, j
    cdef double c, size
    cdef Pair term
    with nogil:
        for e in range(first.shape[0]):
            i, j, c = first[e], second[e], coefficient[e]
            term.high, term.low, size = matrix[i, j], 0.0, fabs(matrix[i, j])
            if i != j:
                term = exact_sum(matrix[i, j], matrix[j, i])
                size += fabs(matrix[j, i])
            add(total, target[e], scaled(term, c), fabs(c) * size)


def factors(const double[:, ::1] matrix, double shift, double[:, :, ::1] factor):
    """Whether ``matrix + shift I`` has a Cholesky factor, of which the lower triangle is left in `factor`.

    The lower triangle of `matrix` counts.
    """
    cdef Py_ssize_t i, j, k, n = matrix.shape[0]
    cdef Pair s, diagonal
    cdef bint positive = True
    with nogil:
        for j in range(n):
            for i in range(j, n):
                s.high, s.low = matrix[i, j], 0.0
                if i == j:
                    s = exact_sum(s.high, shift)
                for k in range(j):
                    s = plus(s, negative(times(row(factor[i], k), row(factor[j], k))))
                if i == j:
                    # A comparison with NaN is false as well.
                    if not s.high > 0.0:
                        positive = False
                        break
                    diagonal = root(s)
                    s = diagonal
                else:
                    s = over(s, diagonal)
                factor[i, j, 0], factor[i, j, 1] = s.high, s.low
            if not positive:
                break
    return positive
