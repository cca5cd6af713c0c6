"""The restricted Lasso on cached columns, in Gram form.

Coordinate descent epochs alternate with Newton steps on the support. The Newton system is solved with a Cholesky factor
that follows the support by adding and deleting columns; the step is cut by an exact line search over the signs.
Columns are normalised, so that every diagonal entry of the Gram matrix is 1.
"""

from libc.math cimport fabs, INFINITY
from scipy.linalg.cython_blas cimport daxpy, dgemm, drot, drotg, dtrsm, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

from _soft cimport soft

cdef int ONE = 1
cdef double UNIT = 1.0
cdef double MINUS = -1.0
# Below this the Gram matrix has lost the digits that a Newton step needs: the caller has a QR factorisation for that.
cdef double SMALLEST_PIVOT = 1e-6

CONVERGED, BUDGET, ILL_CONDITIONED, FACTOR_FULL = 0, 1, 2, 3
cdef int _CONVERGED = 0, _BUDGET = 1, _ILL_CONDITIONED = 2, _FACTOR_FULL = 3


cdef struct Restricted:
    # The restricted problem: m cached columns, leading dimension ld of the Gram matrix.
    int m
    int ld
    double* gram
    double* b
    double* u
    double* q
    double* threshold
    double* ridge
    bint positive
    double yy


cdef struct Factor:
    # L L^T = G_SS + diag(ridge_S) for the columns order[:size]; place[j] is j's position in it, or -1.
    int size
    int ld
    double* lower
    int* order
    int* place
    double* work
    int block


cdef bint update(Restricted* p, int j) noexcept nogil:
    """Minimise over one coordinate; tell whether it moved."""
    cdef double old = p.u[j]
    cdef double new = soft(p.q[j] + old, p.threshold[j], p.positive) / (1.0 + p.ridge[j])
    cdef double change = old - new
    if change == 0.0:
        return False
    p.u[j] = new
    daxpy(&p.m, &change, p.gram + <size_t> j * p.ld, &ONE, p.q, &ONE)
    return True


cdef bint epoch(Restricted* p, bint support_only) noexcept nogil:
    cdef int j
    cdef bint moved = False
    for j in range(p.m):
        if not support_only or p.u[j] != 0.0:
            moved |= update(p, j)
    return moved


cdef double gap(Restricted* p) noexcept nogil:
    """Return the duality gap of the restricted problem, with the best dual point on the residual's ray."""
    cdef int j
    cdef double l1 = 0.0, bu = 0.0, qu = 0.0, squares = 0.0, longest = INFINITY, size, step, value, best
    cdef bint ridged = False
    for j in range(p.m):
        size = p.q[j] if p.positive else fabs(p.q[j])
        if size > 0.0 and p.threshold[j] < longest * size:
            longest = p.threshold[j] / size
        ridged |= p.ridge[j] > 0.0
        if p.u[j] != 0.0:
            l1 += p.threshold[j] * fabs(p.u[j])
            bu += p.b[j] * p.u[j]
            qu += p.q[j] * p.u[j]
            squares += p.ridge[j] * p.u[j] * p.u[j]
    cdef double rr = p.yy - bu - qu
    cdef double yr = p.yy - bu
    if rr < 0.0:
        rr = 0.0
    cdef double primal = 0.5 * rr + l1 + 0.5 * squares
    cdef double free = yr / rr if rr > 0.0 and yr > 0.0 else 0.0
    step = free if free < longest else longest
    best = step * yr - 0.5 * step * step * rr
    if ridged:
        value = yr - 0.5 * rr - excess(p, 1.0)
        if value > best:
            best = value
        value = free * yr - 0.5 * free * free * rr - excess(p, free)
        if value > best:
            best = value
    return primal - best


cdef double excess(Restricted* p, double step) noexcept nogil:
    """Return what infeasibility of the scaled residual costs where there is a squared penalty."""
    cdef int j
    cdef double size, over, total = 0.0
    for j in range(p.m):
        size = p.q[j] if p.positive else fabs(p.q[j])
        over = step * size - p.threshold[j]
        if over > 0.0:
            if p.ridge[j] == 0.0:
                return INFINITY
            total += 0.5 * over * over / p.ridge[j]
    return total


cdef void delete_column(Factor* f, int position) noexcept nogil:
    """Remove one column from the factor and restore the triangle by plane rotations."""
    cdef int i, rows, last = f.size - 1
    cdef size_t ld = f.ld
    cdef double c, s, diagonal, above
    cdef double* column
    f.place[f.order[position]] = -1
    for i in range(position, last):
        f.order[i] = f.order[i + 1]
        f.place[f.order[i]] = i
    # Deleting a row moves the rows below it up in every column; from `position` on one entry stands above the diagonal.
    for i in range(position):
        column = f.lower + i * ld
        shift(column + position, last - position)
    for i in range(position, last + 1):
        column = f.lower + i * ld
        if i == position:
            shift(column + position, last - position)
        else:
            shift(column + i - 1, last - i + 1)
    for i in range(position, last):
        # Columns i and i + 1, rows i..last-1: rotate so that the entry of column i + 1 in row i vanishes.
        diagonal = f.lower[i + i * ld]
        above = f.lower[i + (i + 1) * ld]
        drotg(&diagonal, &above, &c, &s)
        rows = last - i
        drot(&rows, f.lower + i + i * ld, &ONE, f.lower + i + (i + 1) * ld, &ONE, &c, &s)
        if f.lower[i + i * ld] < 0.0:
            negate(f.lower + i + i * ld, rows)
    f.size = last


cdef void shift(double* column, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        column[i] = column[i + 1]


cdef void negate(double* column, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        column[i] = -column[i]


cdef int append_columns(Restricted* p, Factor* f, int* columns, int count) noexcept nogil:
    """Add `count` columns to the factor; where they are nearly dependent or do not fit, leave it and say so."""
    cdef int i, k, info = 0, size = f.size
    cdef size_t ld = f.ld
    cdef double* cross = f.work
    cdef double* corner = f.work + <size_t> f.ld * f.block
    cdef double* gram
    if size + count > f.ld:
        return _FACTOR_FULL
    for k in range(count):
        gram = p.gram + <size_t> columns[k] * p.ld
        for i in range(size):
            cross[i + k * ld] = gram[f.order[i]]
        for i in range(count):
            corner[i + k * f.block] = gram[columns[i]]
        corner[k + k * f.block] += p.ridge[columns[k]]
    if size > 0:
        dtrsm("L", "L", "N", "N", &size, &count, &UNIT, f.lower, &f.ld, cross, &f.ld)
        dgemm("T", "N", &count, &count, &size, &MINUS, cross, &f.ld, cross, &f.ld, &UNIT, corner, &f.block)
    dpotrf("L", &count, corner, &f.block, &info)
    if info != 0:
        return _ILL_CONDITIONED
    for k in range(count):
        if corner[k + k * f.block] < SMALLEST_PIVOT:
            return _ILL_CONDITIONED
    for k in range(count):
        for i in range(size):
            f.lower[size + k + i * ld] = cross[i + k * ld]
        for i in range(k, count):
            f.lower[size + i + (size + k) * ld] = corner[i + k * f.block]
        f.order[size + k] = columns[k]
        f.place[columns[k]] = size + k
    f.size = size + count
    return _CONVERGED


cdef void reset(Factor* f) noexcept nogil:
    cdef int i
    for i in range(f.size):
        f.place[f.order[i]] = -1
    f.size = 0


cdef int append_independent(Restricted* p, Factor* f, int* columns, int count) noexcept nogil:
    """Add columns at once, or one by one without the nearly dependent ones; return the worst that was met."""
    cdef int k, status = append_columns(p, f, columns, count)
    if status != _ILL_CONDITIONED or count == 1:
        return status
    for k in range(count):
        if append_columns(p, f, columns + k, 1) == _FACTOR_FULL:
            return _FACTOR_FULL
    return _ILL_CONDITIONED


cdef int follow_support(Restricted* p, Factor* f, int* pending) noexcept nogil:
    """Bring the factor to the present support, or to an independent part of it; return the worst that was met."""
    cdef int i, j, status, worst = _CONVERGED, count = 0
    cdef double work = 0.0
    for i in range(f.size):
        if p.u[f.order[i]] == 0.0:
            work += (f.size - i) * <double> (f.size - i)
    # A rotation costs about ten times what a flop of the blocked factorisation does.
    if 10.0 * 3.0 * work > <double> f.size * f.size * f.size / 3.0:
        reset(f)
    else:
        for i in range(f.size - 1, -1, -1):
            if p.u[f.order[i]] == 0.0:
                delete_column(f, i)
    for j in range(p.m):
        if p.u[j] != 0.0 and f.place[j] < 0:
            pending[count] = j
            count += 1
            if count == f.block:
                status = append_independent(p, f, pending, count)
                if status == _FACTOR_FULL:
                    return status
                worst = status if status != _CONVERGED else worst
                count = 0
    if count:
        status = append_independent(p, f, pending, count)
        worst = status if status != _CONVERGED else worst
    return worst


cdef double line_search(Restricted* p, Factor* f, double* direction, double decrease, int* zeroed) noexcept nogil:
    """Return the step that minimises the objective along the Newton direction, walking over the sign changes."""
    cdef int i, j, nearest
    cdef double t, last = 0.0, jumps = 0.0, best, candidate
    zeroed[0] = -1
    while True:
        nearest, best = -1, 1.0
        for i in range(f.size):
            j = f.order[i]
            if p.u[j] * direction[i] < 0.0:
                t = -p.u[j] / direction[i]
                if last < t < best:
                    nearest, best = i, t
        candidate = 1.0 - jumps / decrease
        if nearest < 0 or candidate <= best:
            return candidate if candidate > last else last
        j = f.order[nearest]
        jumps += 2.0 * p.threshold[j] * fabs(direction[nearest])
        last = best
        if p.positive or jumps >= (1.0 - best) * decrease:
            zeroed[0] = j
            return best


cdef bint newton(Restricted* p, Factor* f, double* direction) noexcept nogil:
    """Take one Newton step on the factored support; return False if there is no descent left."""
    cdef int i, j, zeroed
    cdef double sign, step, change, decrease = 0.0
    cdef double* gradient = direction + f.size
    for i in range(f.size):
        j = f.order[i]
        sign = 1.0 if p.u[j] > 0.0 else -1.0
        gradient[i] = p.q[j] - p.threshold[j] * sign - p.ridge[j] * p.u[j]
        direction[i] = gradient[i]
    dtrsv("L", "N", "N", &f.size, f.lower, &f.ld, direction, &ONE)
    dtrsv("L", "T", "N", &f.size, f.lower, &f.ld, direction, &ONE)
    for i in range(f.size):
        decrease += gradient[i] * direction[i]
    if not decrease > 0.0:
        return False
    step = line_search(p, f, direction, decrease, &zeroed)
    for i in range(f.size):
        j = f.order[i]
        change = step * direction[i]
        if j == zeroed:
            change = -p.u[j]
        if p.positive and p.u[j] + change < 0.0:
            change = -p.u[j]
        p.u[j] += change
        change = -change
        daxpy(&p.m, &change, p.gram + <size_t> j * p.ld, &ONE, p.q, &ONE)
    return True


def solve_restricted(
    double[::1, :] gram, double[::1] b, double[::1] u, double[::1] q, double[::1] threshold, double[::1] ridge,
    int n_cached, bint positive, double yy, double target,
    double[::1, :] lower, int[::1] order, int[::1] place, int factored, double[::1] work, int[::1] pending, int block,
    int n_rounds, int n_support_epochs, bint use_newton,
):
    """Run rounds of coordinate descent and Newton steps until the restricted gap is at most `target`.

    Parameters
    ----------
    gram : array of shape (capacity, capacity)
        Gram matrix of the cached columns, ones on the diagonal.
    b, u, q : arrays of shape (capacity,)
        Correlations with the response, coefficients, correlations with the residual; `u` and `q` change in place.
    threshold, ridge : arrays of shape (capacity,)
        Strengths of the l1 and of the squared penalty of each column.
    n_cached : int
        How many columns count.
    positive : bool
        Whether coefficients must be nonnegative.
    yy : float
        Mean square of the response.
    target : float
        The gap to reach.
    lower, order, place, factored
        The Cholesky factor, its columns, each column's place in it (or -1), and its size.
    work : array
        At least ``block * (capacity + block) + 2 * capacity`` entries.
    pending : array of shape (block,)
        Scratch.
    block : int
        Columns that enter the factor at once.
    n_rounds : int
        Rounds at most.
    n_support_epochs : int
        Epochs over the support in each round, after one over all columns.
    use_newton : bool
        Whether to take Newton steps.

    Returns
    -------
    status : int
        CONVERGED, BUDGET, FACTOR_FULL, or ILL_CONDITIONED where Newton steps had to leave out columns.
    factored : int
        The size of the factor.
    gap : float
        The gap reached.
    rounds : int
        Rounds done.
    """
    cdef Restricted p
    cdef Factor f
    cdef int rounds, met, status = _BUDGET
    cdef double reached
    p.m, p.ld, p.gram = n_cached, gram.shape[0], &gram[0, 0]
    p.b, p.u, p.q, p.threshold, p.ridge = &b[0], &u[0], &q[0], &threshold[0], &ridge[0]
    p.positive, p.yy = positive, yy
    f.size, f.ld, f.lower = factored, lower.shape[0], &lower[0, 0]
    f.order, f.place, f.work, f.block = &order[0], &place[0], &work[0], block
    cdef double* direction = &work[0] + <size_t> block * (f.ld + block)
    with nogil:
        reached = gap(&p)
        rounds = 0
        while rounds < n_rounds and reached > target:
            rounds += 1
            epoch(&p, False)
            for _ in range(n_support_epochs):
                if not epoch(&p, True):
                    break
            if use_newton:
                reached = gap(&p)
                if reached <= target:
                    break
                met = follow_support(&p, &f, &pending[0])
                if met == _FACTOR_FULL:
                    status = _FACTOR_FULL
                    break
                # Newton steps on an independent part of the support still descend.
                status = _ILL_CONDITIONED if met == _ILL_CONDITIONED else _BUDGET
                newton(&p, &f, direction)
            reached = gap(&p)
        if reached <= target:
            status = _CONVERGED
    return status, f.size, reached, rounds
