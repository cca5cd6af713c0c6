"""Medians, peaks and moments of heatmaps, without sorting them.

With the minimum of a heatmap h subtracted it is y; what lies strictly below the median of y becomes 0; divided by its
sum it is z, the clean heatmap. The median is the mean of the middle two entries where there are two. Positions are
those of pixel centres, ``(column + 0.5, row + 0.5)``. Entries are ordered by z, equal ones by their place in C order.

Both order statistics come from a few entries. The median lies, but for bad luck, between two entries of a small random
sample, as in Floyd and Rivest (1975), "Expected time bounds for selection", Commun. ACM 18, and two passes without a
branch collect what is between them. The k-th largest of the maxima of disjoint groups of entries bounds the k-th
largest entry from below, and few entries exceed it. The random numbers begin anew with each heatmap, and results do not
depend on them.
"""

from libc.math cimport sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef enum:
    #: From so many entries on, the median is bracketed first.
    LARGE = 512
    #: Groups for each of the largest entries looked for, and at least, so that vectorised loops over them pay.
    GROUPS_EACH = 3
    GROUPS = 128
    #: Entries whose sum is formed on its own.
    PARTIAL = 256
    #: So many entries are sorted by insertion.
    FEW = 12

#: Half the width of the bracket, in standard deviations of the rank that the median has in the sample.
cdef double DEVIATIONS = 2.5
#: Where an entry is larger, sums might overflow: then all are multiplied by SHRINK.
cdef double HUGE_ENTRY = 2.0**960
cdef double SHRINK = 2.0**-100
#: Numbers that differ by less than this share can become equal when they are divided.
cdef double SAME = 1.0 - 2.0**-50
cdef double SMALLEST = 2.0**-1074

ctypedef struct Heatmap:
    const double* h
    Py_ssize_t n
    double minimum
    double maximum
    double median  # of y
    double total   # of what is left of y

ctypedef struct Scratch:
    double* a
    double* z
    double* shrunk
    Py_ssize_t* place
    unsigned long long seed


cdef inline double smaller(double x, double y) noexcept nogil:
    return x if x < y else y


cdef inline double larger(double x, double y) noexcept nogil:
    return x if x > y else y


cdef inline Py_ssize_t draw(Scratch* work, Py_ssize_t n) noexcept nogil:
    """Return a random number from 0 to n - 1, from Knuth's linear congruential generator."""
    work.seed = work.seed * 6364136223846793005ULL + 1442695040888963407ULL
    return <Py_ssize_t> ((work.seed >> 32) * (n / 4294967296.0))


cdef inline double draw_pivot(const double* a, Py_ssize_t n, Scratch* work) noexcept nogil:
    cdef double x = a[draw(work, n)], y = a[draw(work, n)], z = a[draw(work, n)]
    return larger(smaller(x, y), smaller(larger(x, y), z))


cdef inline void sort_few(double* a, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double x
    for i in range(1, n):
        x, j = a[i], i
        while j > 0 and a[j - 1] > x:
            a[j] = a[j - 1]
            j -= 1
        a[j] = x


cdef double select(double* a, Py_ssize_t n, Py_ssize_t rank, Scratch* work) noexcept nogil:
    """Return the entry of this rank, counted from 0, after bringing it to its place, smaller ones before it."""
    cdef Py_ssize_t first = 0, end = n, m, i
    cdef double pivot, x
    while end - first > FEW:
        pivot = draw_pivot(a + first, end - first, work)
        m = first
        for i in range(first, end):
            x = a[i]
            a[i] = a[m]
            a[m] = x
            m += x < pivot
        if rank < m:
            end = m
            continue
        # What equals the pivot is put apart: it may be most of the entries.
        first = m
        for i in range(first, end):
            x = a[i]
            a[i] = a[m]
            a[m] = x
            m += x == pivot
        if rank < m:
            return pivot
        first = m
    sort_few(a + first, end - first)
    return a[rank]


cdef double find_extremes(Heatmap* heatmap, Py_ssize_t topk, Scratch* work) noexcept nogil:
    """Set minimum and maximum, and return a lower bound of the topk-th largest entry."""
    cdef Py_ssize_t n = heatmap.n, groups = max(GROUPS_EACH * topk, GROUPS), first, j
    cdef double* high = work.a
    cdef double* low = work.z
    cdef const double* h = heatmap.h
    # As many entries each as there can be, so that there are no fewer groups than that.
    groups = n // max(n // groups, 1)
    memcpy(high, h, groups * sizeof(double))
    memcpy(low, h, groups * sizeof(double))
    first = groups
    while first < n:
        h = heatmap.h + first
        for j in range(min(groups, n - first)):
            high[j] = larger(h[j], high[j])
            low[j] = smaller(h[j], low[j])
        first += groups
    heatmap.minimum, heatmap.maximum = low[0], high[0]
    for j in range(1, groups):
        heatmap.minimum = smaller(low[j], heatmap.minimum)
        heatmap.maximum = larger(high[j], heatmap.maximum)
    return select(high, groups, groups - topk, work) if topk <= groups else heatmap.minimum


cdef void find_median(Heatmap* heatmap, Scratch* work) noexcept nogil:
    cdef Py_ssize_t n = heatmap.n, rank = (n - 1) // 2, size, reach, i, end, below = 0, m = 0
    cdef bint two = n % 2 == 0
    cdef double* a = work.a
    cdef const double* h = heatmap.h
    cdef double low, high, x, upper
    if n >= LARGE:
        size = <Py_ssize_t> (4.0 * sqrt(<double> n))
        reach = <Py_ssize_t> (0.5 * DEVIATIONS * sqrt(<double> size))
        for i in range(size):
            a[i] = h[draw(work, n)]
        high = select(a, size, size // 2 + reach, work)
        low = select(a, size // 2 + reach, size // 2 - reach, work)
        # One comparison a loop: of two, compilers make branches.
        for i in range(n):
            a[m] = h[i]
            m += h[i] >= low
        below, end, m = n - m, m, 0
        for i in range(end):
            x = a[i]
            a[m] = x
            m += x <= high
    if below <= rank and rank + two < below + m:
        rank -= below
    else:
        memcpy(a, h, n * sizeof(double))
        m = n
    x = upper = select(a, m, rank, work)
    if two:
        upper = a[rank + 1]
        for i in range(rank + 2, m):
            upper = smaller(a[i], upper)
    heatmap.median = 0.5 * ((x - heatmap.minimum) + (upper - heatmap.minimum))


cdef inline double cleaned(Heatmap* heatmap, Py_ssize_t i) noexcept nogil:
    cdef double y = heatmap.h[i] - heatmap.minimum
    return y if y >= heatmap.median else 0.0


cdef void find_total(Heatmap* heatmap) noexcept nogil:
    cdef Py_ssize_t first = 0, end, i
    cdef double s0, s1, s2, s3, total = 0.0
    while first < heatmap.n:
        end = min(first + PARTIAL, heatmap.n)
        s0 = s1 = s2 = s3 = 0.0
        for i in range(first, end - 3, 4):
            s0 += cleaned(heatmap, i)
            s1 += cleaned(heatmap, i + 1)
            s2 += cleaned(heatmap, i + 2)
            s3 += cleaned(heatmap, i + 3)
        for i in range(end - (end - first) % 4, end):
            s0 += cleaned(heatmap, i)
        total += (s0 + s1) + (s2 + s3)
        first = end
    heatmap.total = total


cdef double describe(Heatmap* heatmap, Py_ssize_t topk, Scratch* work) noexcept nogil:
    """Fill in everything but h and n, and return a lower bound of the topk-th largest entry of y."""
    cdef Py_ssize_t i
    cdef double bound
    work.seed = 0
    bound = find_extremes(heatmap, topk, work)
    if larger(heatmap.maximum, -heatmap.minimum) > HUGE_ENTRY:
        for i in range(heatmap.n):
            work.shrunk[i] = heatmap.h[i] * SHRINK
        heatmap.h = work.shrunk
        heatmap.minimum *= SHRINK
        heatmap.maximum *= SHRINK
        bound *= SHRINK
    find_median(heatmap, work)
    find_total(heatmap)
    return bound - heatmap.minimum


cdef Py_ssize_t collect(Heatmap* heatmap, double bound, Py_ssize_t topk, Scratch* work) noexcept nogil:
    """Collect the largest entries of z and their places, at most `topk` and none that is 0, and return how many."""
    cdef Py_ssize_t n = 0, m = 0, i, at_least
    cdef double y, least, threshold = larger(larger(bound * SAME, heatmap.median), SMALLEST)
    cdef double* z = work.z
    cdef Py_ssize_t* place = work.place
    for i in range(heatmap.n):
        y = heatmap.h[i] - heatmap.minimum
        z[n] = y
        place[n] = i
        n += y >= threshold
    for i in range(n):
        z[i] /= heatmap.total
    if n <= topk:
        return n
    memcpy(work.a, z, n * sizeof(double))
    least = select(work.a, n, n - topk, work)
    at_least = topk
    for i in range(n):
        at_least -= z[i] > least
    for i in range(n):
        if z[i] > least or (z[i] == least and at_least > 0):
            at_least -= z[i] == least
            z[m], place[m] = z[i], place[i]
            m += 1
    return m


cdef void find_moments(
    const double* z,
    const Py_ssize_t* place,
    Py_ssize_t n,
    Py_ssize_t width,
    double* peak,
    double* mean,
    double* covariance,
) noexcept nogil:
    """Write the place and the size of the first maximum, and mean and covariance of the places with the weights z."""
    cdef Py_ssize_t best = 0, row, column, i
    cdef double total = 0.0, x = 0.0, y = 0.0, xx = 0.0, xy = 0.0, yy = 0.0, dx, dy
    for i in range(1, n):
        if z[i] > z[best]:
            best = i
    row, column = place[best] // width, place[best] % width
    for i in range(n):
        total += z[i]
        x += z[i] * (place[i] % width - column)
        y += z[i] * (place[i] // width - row)
    x /= total
    y /= total
    for i in range(n):
        dx = (place[i] % width - column) - x
        dy = (place[i] // width - row) - y
        xx += z[i] * dx * dx
        xy += z[i] * dx * dy
        yy += z[i] * dy * dy
    peak[0], peak[1], peak[2] = column + 0.5, row + 0.5, z[best]
    mean[0], mean[1] = column + 0.5 + x, row + 0.5 + y
    covariance[0], covariance[1], covariance[2], covariance[3] = xx / total, xy / total, xy / total, yy / total


cdef void write_summary(Heatmap* heatmap, double* summary) noexcept nogil:
    summary[0], summary[1], summary[2] = heatmap.minimum, heatmap.median, heatmap.total


cdef bint allocate(Scratch* work, Py_ssize_t n) noexcept:
    work.a = <double*> malloc(3 * n * sizeof(double))
    work.place = <Py_ssize_t*> malloc(n * sizeof(Py_ssize_t))
    if work.a == NULL or work.place == NULL:
        return False
    work.z = work.a + n
    work.shrunk = work.z + n
    return True


def clean(const double[:, :, ::1] heatmaps, double[:, ::1] summary, double[:, :, ::1] out):
    """Write the clean heatmaps.

    Parameters
    ----------
    heatmaps : array of shape (m, H, W)
        Finite numbers; no side is 0.
    summary : array of shape (m, 3)
        Receives minimum, median of y and sum of what is left of it; the sum is 0 for a constant heatmap alone. Those of
        ``2**-100 h`` where an entry of h exceeds ``2**960``.
    out : array of shape (m, H, W)
        Receives z; not written to for constant heatmaps.
    """
    cdef Py_ssize_t m = heatmaps.shape[0], n = heatmaps.shape[1] * heatmaps.shape[2], k, i
    cdef Scratch work = Scratch(NULL, NULL, NULL, NULL, 0)
    cdef Heatmap heatmap
    cdef double* z
    try:
        if not allocate(&work, n):
            raise MemoryError("No memory to clean a heatmap.")
        with nogil:
            for k in range(m):
                heatmap.h, heatmap.n, z = &heatmaps[k, 0, 0], n, &out[k, 0, 0]
                describe(&heatmap, 1, &work)
                write_summary(&heatmap, &summary[k, 0])
                if heatmap.total > 0.0:
                    for i in range(n):
                        z[i] = cleaned(&heatmap, i) / heatmap.total
    finally:
        free(work.a)
        free(work.place)


def moments(
    const double[:, :, ::1] heatmaps,
    Py_ssize_t topk,
    double[:, ::1] summary,
    double[:, ::1] peak,
    double[:, ::1] mean,
    double[:, :, ::1] covariance,
):
    """Find the maximum of each clean heatmap, and mean and covariance of the places of its largest entries.

    The weights are the entries. Nothing but the summary is written for constant heatmaps.

    Parameters
    ----------
    heatmaps, summary : arrays of shape (m, H, W) and (m, 3)
        As above.
    topk : int
        How many of the largest entries count, at least 1.
    peak : array of shape (m, 3)
        Receives x, y and size of the first maximum.
    mean, covariance : arrays of shape (m, 2) and (m, 2, 2)
        Receive the moments, x before y.
    """
    cdef Py_ssize_t m = heatmaps.shape[0], width = heatmaps.shape[2], n = heatmaps.shape[1] * width, k, count
    cdef Scratch work = Scratch(NULL, NULL, NULL, NULL, 0)
    cdef Heatmap heatmap
    cdef double bound
    try:
        if not allocate(&work, n):
            raise MemoryError("No memory to describe a heatmap.")
        with nogil:
            for k in range(m):
                heatmap.h, heatmap.n = &heatmaps[k, 0, 0], n
                bound = describe(&heatmap, topk, &work)
                write_summary(&heatmap, &summary[k, 0])
                if heatmap.total > 0.0:
                    count = collect(&heatmap, bound, topk, &work)
                    find_moments(
                        work.z, work.place, count, width, &peak[k, 0], &mean[k, 0], &covariance[k, 0, 0]
                    )
    finally:
        free(work.a)
        free(work.place)
