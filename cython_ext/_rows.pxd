"""Products of a few rows with their weights: short ones in loops, since a call of BLAS costs more than they do."""

from scipy.linalg.cython_blas cimport dgemv

cdef enum:
    #: Entries of a product for which the call of BLAS pays.
    SMALL = 1000
    #: For more than these, BLAS libraries start threads of their own.
    PRODUCT = 8192


cdef inline void add(double* out, const double* row, double factor, int m) noexcept nogil:
    cdef int k
    for k in range(m):
        out[k] += factor * row[k]


cdef inline double dot(const double* one, const double* other, int m) noexcept nogil:
    cdef int k = 0
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    while k + 4 <= m:
        a += one[k] * other[k]
        b += one[k + 1] * other[k + 1]
        c += one[k + 2] * other[k + 2]
        d += one[k + 3] * other[k + 3]
        k += 4
    while k < m:
        a += one[k] * other[k]
        k += 1
    return (a + b) + (c + d)


cdef inline void add_four(
    double* out, const double* r0, const double* r1, const double* r2, const double* r3, const double* factor, int m
) noexcept nogil:
    cdef double f0 = factor[0], f1 = factor[1], f2 = factor[2], f3 = factor[3]
    cdef int k
    for k in range(m):
        out[k] += (f0 * r0[k] + f1 * r1[k]) + (f2 * r2[k] + f3 * r3[k])


cdef inline void add_rows(
    double* out, const double* rows, Py_ssize_t stride, const double* factor, int s, int m
) noexcept nogil:
    """Add `factor` times `s` rows of length `m` to `out`."""
    cdef int t = 0, first = 0, lead = <int> stride, step = 1, width
    cdef double unit = 1.0
    cdef double* f = <double*> factor
    if <Py_ssize_t> s * m > SMALL:
        while first < m:
            width = PRODUCT // s if s < PRODUCT else 1
            width = width if width < m - first else m - first
            dgemv("N", &width, &s, &unit, <double*> rows + first, &lead, f, &step, &unit, out + first, &step)
            first += width
        return
    while t + 4 <= s:
        add_four(out, rows, rows + stride, rows + 2 * stride, rows + 3 * stride, factor + t, m)
        rows += 4 * stride
        t += 4
    while t < s:
        add(out, rows, factor[t], m)
        rows += stride
        t += 1


cdef inline void dot_rows(
    double* out, const double* rows, Py_ssize_t stride, const double* factor, int s, int m
) noexcept nogil:
    """Compute the products of `s` rows of length `m` with `factor`."""
    cdef int t, first = 0, lead = <int> stride, step = 1, width
    cdef double unit = 1.0, zero = 0.0
    if <Py_ssize_t> s * m > SMALL:
        while first < s:
            width = PRODUCT // m if m < PRODUCT else 1
            width = width if width < s - first else s - first
            dgemv(
                "T", &m, &width, &unit, <double*> rows + first * stride, &lead, <double*> factor, &step, &zero,
                out + first, &step
            )
            first += width
        return
    for t in range(s):
        out[t] = dot(rows + t * stride, factor, m)
