"""Walk along the piecewise linear path of the Lasso, one breakpoint after another, on a QR factorisation.

For active columns ``Z_S = Q R`` with signs ``s`` the solution at ``lam`` is ``R^-1 (b - lam w)``, where ``b = Q^T y``
and ``w = R^-T s``, and the correlations are ``c + lam a`` with ``c = Z^T (y - Q b)`` and ``a = Z^T Q w``. One column
more or less changes ``Q b`` and ``Q w`` along one direction ``q``, so that each breakpoint costs one product
``Z^T q``. When to start, refactor and stop is decided by the caller.
"""

from scipy.linalg.cython_blas cimport daxpy, dcopy, ddot, dgemv, dnrm2, drot, drotg, dscal, dtrsm

# What a column is: unknown to the solution, part of it, or (numerically) in the span of those that are.
cdef enum:
    INACTIVE = 0
    ACTIVE = 1
    BARRED = 2

cdef double TIE = 1e-12
cdef double STANDSTILL = 1e-14


cdef struct Walk:
    int n
    int p
    int k          # active columns
    int ld         # leading dimension of R
    double lam
    double* Z
    double* norms
    double* r      # y - Q b
    double* Q
    double* R
    double* b
    double* w
    double* c
    double* a
    double* g
    double* ends   # 2 columns of length ld: R^-1 b and R^-1 w
    double* work   # length ld
    int* active
    signed char* state
    signed char* sign


cdef void product(Walk* t, double* q) noexcept nogil:
    """g = Z^T q."""
    cdef double one = 1.0, zero = 0.0
    cdef int step = 1
    dgemv("T", &t.n, &t.p, &one, t.Z, &t.n, q, &step, &zero, t.g, &step)


cdef void solve_ends(Walk* t) noexcept nogil:
    """ends = R^-1 [b, w]: the solution is ends[0] - lam ends[1]."""
    cdef double one = 1.0
    cdef int step = 1, two = 2
    dcopy(&t.k, t.b, &step, t.ends, &step)
    dcopy(&t.k, t.w, &step, t.ends + t.ld, &step)
    dtrsm("L", "U", "N", "N", &t.k, &two, &one, t.R, &t.ld, t.ends, &t.ld)


cdef int next_join(Walk* t, double* at) noexcept nogil:
    """Return the column that becomes active next as lam falls, the first of those that tie, or -1."""
    cdef int j, best = -1
    cdef double size, slope, top = 0.0
    for j in range(t.p):
        if t.state[j] != INACTIVE:
            continue
        if t.c[j] > 0:
            size = t.c[j]
            slope = 1.0 - t.a[j]
        else:
            size = -t.c[j]
            slope = 1.0 + t.a[j]
        if slope > 0 and size > top * slope * (1.0 + TIE):
            top = size / slope
            best = j
            if top > t.lam:
                top = t.lam
    at[0] = top
    return best


cdef int next_drop(Walk* t, double* at) noexcept nogil:
    """Return the position of the active column whose coefficient is first to reach zero as lam falls, or -1."""
    cdef int i, best = -1
    cdef double start, slope, where, top = 0.0
    for i in range(t.k):
        start = t.ends[i] * t.sign[t.active[i]]
        slope = t.ends[t.ld + i] * t.sign[t.active[i]]
        if slope < 0 and start < 0:
            where = start / slope
            if where > t.lam:
                where = t.lam
            if where > top:
                top = where
                best = i
    at[0] = top
    return best


cdef bint join(Walk* t, int j, double floor) noexcept nogil:
    """Append column `j` to the factorisation, unless it lies in the span of the active ones."""
    cdef double one = 1.0, minus = -1.0, zero = 0.0, rho, scale, coefficient, slope
    cdef double* q = t.Q + <size_t> t.n * t.k
    cdef double* column = t.R + <size_t> t.ld * t.k
    cdef int i, _sweep, step = 1
    if t.k == t.ld:
        t.state[j] = BARRED
        return False
    dcopy(&t.n, t.Z + <size_t> t.n * j, &step, q, &step)
    for i in range(t.k):
        column[i] = 0.0
    for _sweep in range(2 if t.k else 0):
        dgemv("T", &t.n, &t.k, &one, t.Q, &t.n, q, &step, &zero, t.work, &step)
        dgemv("N", &t.n, &t.k, &minus, t.Q, &t.n, t.work, &step, &one, q, &step)
        daxpy(&t.k, &one, t.work, &step, column, &step)
    rho = dnrm2(&t.n, q, &step)
    if rho <= floor * t.norms[j]:
        t.state[j] = BARRED
        return False
    scale = 1.0 / rho
    dscal(&t.n, &scale, q, &step)
    column[t.k] = rho
    t.sign[j] = 1 if t.c[j] > 0 else -1
    slope = (t.sign[j] - ddot(&t.k, column, &step, t.w, &step)) / rho
    t.w[t.k] = slope
    product(t, q)
    coefficient = ddot(&t.n, q, &step, t.r, &step)
    t.b[t.k] = coefficient
    coefficient = -coefficient
    daxpy(&t.n, &coefficient, q, &step, t.r, &step)
    daxpy(&t.p, &coefficient, t.g, &step, t.c, &step)
    daxpy(&t.p, &slope, t.g, &step, t.a, &step)
    t.active[t.k] = j
    t.state[j] = ACTIVE
    t.k += 1
    return True


cdef void drop(Walk* t, int position) noexcept nogil:
    """Remove the active column at `position` by Givens rotations."""
    cdef double cosine, sine, first, second, back
    cdef double* q
    cdef int i, count, step = 1
    t.state[t.active[position]] = INACTIVE
    for i in range(position, t.k - 1):
        count = i + 2
        dcopy(&count, t.R + <size_t> t.ld * (i + 1), &step, t.R + <size_t> t.ld * i, &step)
        t.active[i] = t.active[i + 1]
    for i in range(position, t.k - 1):
        first = t.R[<size_t> t.ld * i + i]
        second = t.R[<size_t> t.ld * i + i + 1]
        drotg(&first, &second, &cosine, &sine)
        count = t.k - 1 - i
        drot(&count, t.R + <size_t> t.ld * i + i, &t.ld, t.R + <size_t> t.ld * i + i + 1, &t.ld, &cosine, &sine)
        t.R[<size_t> t.ld * i + i + 1] = 0.0
        drot(&t.n, t.Q + <size_t> t.n * i, &step, t.Q + <size_t> t.n * (i + 1), &step, &cosine, &sine)
        first = t.b[i]
        t.b[i] = cosine * first + sine * t.b[i + 1]
        t.b[i + 1] = cosine * t.b[i + 1] - sine * first
        first = t.w[i]
        t.w[i] = cosine * first + sine * t.w[i + 1]
        t.w[i + 1] = cosine * t.w[i + 1] - sine * first
    t.k -= 1
    q = t.Q + <size_t> t.n * t.k
    product(t, q)
    daxpy(&t.n, &t.b[t.k], q, &step, t.r, &step)
    daxpy(&t.p, &t.b[t.k], t.g, &step, t.c, &step)
    back = -t.w[t.k]
    daxpy(&t.p, &back, t.g, &step, t.a, &step)
    # What lay in the old span may lie outside the new one.
    for i in range(t.p):
        if t.state[i] == BARRED:
            t.state[i] = INACTIVE


def walk(
    const double[::1, :] Z,
    double[::1] norms,
    double[::1] r,
    double[::1, :] Q,
    double[::1, :] R,
    double[::1] b,
    double[::1] w,
    double[::1] c,
    double[::1] a,
    double[::1] g,
    double[::1, :] work,
    int[::1] active,
    signed char[::1] state,
    signed char[::1] sign,
    int[::1] counts,
    double lam,
    double target,
    double[::1] x,
    double floor,
    int max_steps,
):
    """Walk from `lam` down to `target`, at most `max_steps` breakpoints; see the stub for the arguments."""
    cdef Walk t
    cdef int j, i, taken = 0, position
    cdef double join_at = 0.0, drop_at = 0.0, following
    cdef bint arrived = False, moved
    t.n, t.p, t.k, t.ld, t.lam = <int> Z.shape[0], <int> Z.shape[1], counts[0], <int> R.shape[0], lam
    t.Z, t.norms, t.r, t.Q, t.R = <double*> &Z[0, 0], &norms[0], &r[0], &Q[0, 0], &R[0, 0]
    t.b, t.w, t.c, t.a, t.g = &b[0], &w[0], &c[0], &a[0], &g[0]
    t.ends, t.work = &work[0, 0], &work[0, 2]
    t.active, t.state, t.sign = &active[0], &state[0], &sign[0]
    with nogil:
        while True:
            solve_ends(&t)
            j = next_join(&t, &join_at)
            position = next_drop(&t, &drop_at)
            following = drop_at if position >= 0 and drop_at >= join_at else join_at
            if following <= target:
                arrived = True
                t.lam = target
                break
            if taken == max_steps or counts[1] > t.ld:
                break
            taken += 1
            moved = following < t.lam * (1.0 - STANDSTILL)
            t.lam = following
            if position >= 0 and drop_at >= join_at:
                drop(&t, position)
            elif not join(&t, j, floor):
                continue
            counts[1] = 0 if moved else counts[1] + 1
            counts[2] += 1
        for i in range(t.k):
            x[t.active[i]] = t.ends[i] - t.lam * t.ends[t.ld + i]
    counts[0] = t.k
    return t.lam, taken, arrived
