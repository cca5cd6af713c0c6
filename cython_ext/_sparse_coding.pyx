"""Coordinate descent for sparse codes: many small penalised least-squares problems that share their dictionary.

A signal x with the code w, the dictionary D with one atom a row: the state of a signal is ``q = (x - w D) D^T``, which
a move of one coordinate changes by a row of the Gram matrix ``G = D D^T``. Which penalty each atom has, and the
tolerances, are passed in.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport daxpy, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

from _penalties cimport CODE_L1, Rule, bend, best_value, slope, value

cdef enum:
    SWEEPS = 200
    REFRESHES = 3
    PATIENCE = 16

#: What a Newton step does: it is not taken, it is taken, it ends where a coordinate is 0.
cdef enum Outcome:
    NOTHING
    FULL
    SMALLER

#: A move of more than this fraction of the threshold counts as a jump between two minimisers.
cdef double JUMP = 1e-3
#: Decreases of the objective below this fraction of ||x||^2 are rounding errors.
cdef double ROUNDING = 1e-14
cdef double SMALLEST_TOL = 1e-17
#: Squared pivots below this fraction of the squared length of the atom are rounding errors.
cdef double DEPENDENT = 1e-12
#: Falls of the objective below this fraction of the square of the distance moved are rounding errors.
cdef double VAGUE = 1e-15
cdef int ONE = 1

ctypedef struct Dictionary:
    const double* gram
    const double* norm
    const double* threshold
    Rule* rule
    int n_atoms

ctypedef struct Limits:
    double tol
    double gap_tol
    double fraction
    int largest
    int max_rounds

ctypedef struct Scratch:
    double* violation
    double* gram
    double* factor
    double* q
    double* w
    double* bound
    double* old
    double* step
    double* change
    int* chosen
    int* support


cdef inline double violation(Dictionary* atoms, int j, double w, double q, double rounding) noexcept nogil:
    """Return how far coordinate j is from its best value, in the units of the signal; see the problem's certificate."""
    cdef double a = atoms.norm[j], nu = a * a, z, apart, decrease, length
    cdef Rule* rule = &atoms.rule[j]
    if w == 0.0 and fabs(q) <= nu * atoms.threshold[j]:
        return 0.0
    z = best_value(w, q, nu, 1.0, rule)
    apart = w - z
    length = a * fabs(apart)
    if rule.code != CODE_L1 and fabs(apart) > JUMP * atoms.threshold[j]:
        decrease = -0.5 * nu * apart * (apart + 2.0 * q / nu)
        decrease += value(rule.code, rule.alpha, rule.p1, rule.p2, fabs(w))
        decrease -= value(rule.code, rule.alpha, rule.p1, rule.p2, fabs(z))
        length = fmin(length, sqrt(2.0 * decrease) if decrease > rounding else 0.0)
    return length


cdef inline double relative_gap(
    Dictionary* atoms, const double* p, const double* q, const double* w, double square
) noexcept nogil:
    """Return the duality gap of the l1 problem over ||x||^2 / 2."""
    cdef double largest = 0.0, size = 0.0, size_q, wpq = 0.0, wp = 0.0, s = 1.0, rest, alpha = atoms.rule[0].alpha
    cdef int j
    cdef bint positive = atoms.rule[0].positive
    for j in range(atoms.n_atoms):
        size_q = q[j] if positive else fabs(q[j])
        if size_q > largest:
            largest = size_q
        if w[j] != 0.0:
            size += fabs(w[j])
            wp += w[j] * p[j]
            wpq += w[j] * (p[j] + q[j])
    if largest > alpha:
        s = alpha / largest
    rest = square - wpq
    return ((1.0 + s * s) * rest + 2.0 * alpha * size - 2.0 * s * (square - wp)) / square


cdef inline double sweep_gathered(Dictionary* atoms, Scratch* work, int m, double tol) noexcept nogil:
    """Sweep over the chosen atoms, whose Gram matrix is at hand, until no move exceeds `tol`; return the last one."""
    cdef int a, j, sweep, wait = 0, pause = 1
    cdef double z, d, minus, change = 0.0
    cdef bint settled
    cdef Outcome outcome
    for sweep in range(SWEEPS):
        change, settled = 0.0, True
        for a in range(m):
            if work.w[a] == 0.0 and fabs(work.q[a]) <= work.bound[a]:
                continue
            j = work.chosen[a]
            z = best_value(work.w[a], work.q[a], atoms.norm[j] * atoms.norm[j], 1.0, &atoms.rule[j])
            d = z - work.w[a]
            if d != 0.0:
                settled = settled and z != 0.0 and work.w[a] != 0.0
                work.w[a] = z
                minus = -d
                daxpy(&m, &minus, work.gram + a * m, &ONE, work.q, &ONE)
                d = atoms.norm[j] * fabs(d)
                change = d if d > change else change
        if change <= tol:
            break
        if settled and sweep >= wait:
            outcome = newton_step(atoms, work, m, sweep >= PATIENCE)
            if outcome == NOTHING:
                pause *= 4
                wait = sweep + pause
            # A sweep would wake the coordinate again, and the next step end where this one did.
            while outcome == SMALLER and sweep >= PATIENCE:
                outcome = newton_step(atoms, work, m, sweep >= PATIENCE)
    return change


cdef inline Outcome newton_step(Dictionary* atoms, Scratch* work, int m, bint anywhere) noexcept nogil:
    """Take a Newton step on the nonzero coordinates if it lowers F, up to the first that changes its sign, which is 0.

    Where F is not strictly convex there, and `anywhere` is true, it goes along a direction in which F hardly bends, or
    bends down: to the nearest zero of a coordinate if F does not rise on the way, as between two copies of an atom,
    otherwise downhill.
    """
    cdef int a, b, i, size = 0, info, first = -1
    cdef double d, t = 1.0, z, along = 0.0, curvature = 0.0
    cdef Rule* rule
    for a in range(m):
        if work.w[a] != 0.0:
            work.support[size] = a
            size += 1
    if size == 0:
        return NOTHING
    for i in range(size):
        a = work.support[i]
        rule, z = &atoms.rule[work.chosen[a]], fabs(work.w[a])
        for b in range(i + 1):
            work.factor[i * size + b] = work.gram[a * m + work.support[b]]
        work.factor[i * size + i] += bend(rule.code, rule.alpha, rule.p1, rule.p2, z)
        d = slope(rule.code, rule.alpha, rule.p1, rule.p2, z)
        work.step[i] = work.q[a] - (d if work.w[a] > 0.0 else -d)
    dpotrf("U", &size, work.factor, &size, &info)
    for i in range(size if info == 0 else info - 1):
        a = work.support[i]
        if work.factor[i * size + i] * work.factor[i * size + i] < DEPENDENT * work.gram[a * m + a]:
            info = i + 1
            break
    if info == 0:
        dtrsv("U", "T", "N", &size, work.factor, &size, work.step, &ONE)
        dtrsv("U", "N", "N", &size, work.factor, &size, work.step, &ONE)
    elif anywhere:
        along = bend_down(work, m, size, info - 1)
        t = INFINITY
    else:
        return NOTHING
    for b in range(m):
        work.change[b] = 0.0
    for i in range(size):
        a = work.support[i]
        daxpy(&m, &work.step[i], work.gram + a * m, &ONE, work.change, &ONE)
    if info != 0:
        for i in range(size):
            d = -work.w[work.support[i]] / work.step[i] if work.step[i] != 0.0 else INFINITY
            if fabs(d) < fabs(t):
                t, first = d, i
        if move(atoms, work, m, size, t, first, -VAGUE):
            return SMALLER
        for i in range(size):
            a = work.support[i]
            rule, d = &atoms.rule[work.chosen[a]], work.step[i]
            curvature += d * (work.change[a] + d * bend(rule.code, rule.alpha, rule.p1, rule.p2, fabs(work.w[a])))
        # As far as the bend allows, or any distance.
        t, first = (along / curvature if curvature > 0.0 else along * INFINITY), -1
    for i in range(size):
        d = -work.w[work.support[i]] / work.step[i] if work.step[i] != 0.0 else INFINITY
        if (d > 0.0) == (t > 0.0) and fabs(d) < fabs(t):
            t, first = d, i
    if not fabs(t) < INFINITY or not move(atoms, work, m, size, t, first, VAGUE):
        return NOTHING
    return FULL if first < 0 else SMALLER


cdef inline bint move(
    Dictionary* atoms, Scratch* work, int m, int size, double t, int zero, double least
) noexcept nogil:
    """Add `t` times `step`, after which the coordinate `zero` is 0, if F falls by `least` of the squared distance.

    `change` holds the product of the Gram matrix and the step.
    """
    cdef int a, b, i
    cdef double d, z, fall = 0.0, length = 0.0
    cdef Rule* rule
    for i in range(size):
        a = work.support[i]
        rule, d = &atoms.rule[work.chosen[a]], t * work.step[i]
        z = 0.0 if i == zero else work.w[a] + d
        fall += d * (work.q[a] - 0.5 * t * work.change[a])
        fall += value(rule.code, rule.alpha, rule.p1, rule.p2, fabs(work.w[a]))
        fall -= value(rule.code, rule.alpha, rule.p1, rule.p2, fabs(z))
        length += atoms.norm[work.chosen[a]] * fabs(d)
    if not fall > least * length * length:
        return False
    for i in range(size):
        a = work.support[i]
        work.w[a] = 0.0 if i == zero else work.w[a] + t * work.step[i]
    for b in range(m):
        work.q[b] -= t * work.change[b]
    return True


cdef inline double bend_down(Scratch* work, int m, int size, int pivot) noexcept nogil:
    """Fill `step` with the direction in which F hardly bends, or bends down, where the factorisation failed at `pivot`.

    On entry it holds the negative gradient; return its product with the direction.
    """
    cdef int i, a = work.support[pivot]
    cdef double along = work.step[pivot]
    for i in range(pivot):
        work.change[i] = work.step[i]
        work.step[i] = -work.gram[a * m + work.support[i]]
    if pivot > 0:
        dtrsv("U", "T", "N", &pivot, work.factor, &size, work.step, &ONE)
        dtrsv("U", "N", "N", &pivot, work.factor, &size, work.step, &ONE)
    for i in range(pivot):
        along += work.step[i] * work.change[i]
    work.step[pivot] = 1.0
    for i in range(pivot + 1, size):
        work.step[i] = 0.0
    return along


cdef inline bint descend_gathered(
    Dictionary* atoms, Scratch* work, int m, double* q, double* w, double tol
) noexcept nogil:
    """Descend on the chosen atoms by their own Gram matrix, then bring `q` up to date; return whether any moved."""
    cdef int a, b, j, K = atoms.n_atoms
    cdef double minus
    cdef const double* row
    cdef bint moved = False
    for a in range(m):
        j = work.chosen[a]
        work.q[a], work.w[a], work.old[a] = q[j], w[j], w[j]
        work.bound[a] = atoms.norm[j] * atoms.norm[j] * atoms.threshold[j]
        row = atoms.gram + <Py_ssize_t> j * K
        for b in range(m):
            work.gram[a * m + b] = row[work.chosen[b]]
    sweep_gathered(atoms, work, m, tol)
    for a in range(m):
        minus = work.old[a] - work.w[a]
        if minus != 0.0:
            moved = True
            j = work.chosen[a]
            w[j] = work.w[a]
            daxpy(&K, &minus, <double*> (atoms.gram + <Py_ssize_t> j * K), &ONE, q, &ONE)
    return moved


cdef inline bint descend_in_place(
    Dictionary* atoms, Scratch* work, int m, double* q, double* w, double tol
) noexcept nogil:
    """Do the same with whole rows of the Gram matrix, for so many atoms that to gather them does not pay."""
    cdef int a, j, _sweep, K = atoms.n_atoms
    cdef double z, minus, change
    cdef bint moved = False
    for _sweep in range(SWEEPS):
        change = 0.0
        for a in range(m):
            j = work.chosen[a]
            z = best_value(w[j], q[j], atoms.norm[j] * atoms.norm[j], 1.0, &atoms.rule[j])
            minus = w[j] - z
            if minus != 0.0:
                moved = True
                w[j] = z
                daxpy(&K, &minus, <double*> (atoms.gram + <Py_ssize_t> j * K), &ONE, q, &ONE)
                change = fmax(change, atoms.norm[j] * fabs(minus))
        if change <= tol:
            break
    return moved


cdef inline void refresh(Dictionary* atoms, const double* p, double* q, const double* w) noexcept nogil:
    """Compute `q` anew."""
    cdef int j, K = atoms.n_atoms
    cdef double minus
    memcpy(q, p, K * sizeof(double))
    for j in range(K):
        if w[j] != 0.0:
            minus = -w[j]
            daxpy(&K, &minus, <double*> (atoms.gram + <Py_ssize_t> j * K), &ONE, q, &ONE)


cdef int encode_one(
    Dictionary* atoms, Limits* limits, Scratch* work, const double* p, double* q, double* w, double square
) noexcept nogil:
    """Descend until no coordinate can be improved; return the number of rounds, negative if the limit was reached."""
    cdef double scale = sqrt(square), rounding = ROUNDING * square, eps = limits.tol * scale, worst, cut
    cdef int j, m, rounds = 0, refreshes = 0, K = atoms.n_atoms
    cdef bint fresh = True, moved
    if square == 0.0:
        return 0
    while True:
        worst = 0.0
        for j in range(K):
            work.violation[j] = violation(atoms, j, w[j], q[j], rounding)
            if work.violation[j] > worst:
                worst = work.violation[j]
        if worst <= eps:
            if limits.gap_tol < 1.0 and relative_gap(atoms, p, q, w, square) > limits.gap_tol and worst > 0.0:
                eps = 0.1 * worst
                if eps > SMALLEST_TOL * scale:
                    continue
            if fresh or refreshes == REFRESHES:
                return rounds
            refresh(atoms, p, q, w)
            fresh = True
            refreshes += 1
            continue
        if rounds >= limits.max_rounds:
            return -1 - rounds
        rounds += 1
        cut, m = limits.fraction * worst, 0
        for j in range(K):
            if w[j] != 0.0 or work.violation[j] >= cut:
                work.chosen[m] = j
                m += 1
        if m <= limits.largest:
            moved = descend_gathered(atoms, work, m, q, w, fmax(0.1 * worst, 0.3 * eps))
        else:
            moved = descend_in_place(atoms, work, m, q, w, fmax(0.1 * worst, 0.3 * eps))
        if not moved:
            if fresh or refreshes == REFRESHES:
                return rounds
            refresh(atoms, p, q, w)
            refreshes += 1
        fresh = not moved


def encode(
    const double[:, ::1] gram,
    const double[::1] norm,
    int code,
    const double[:, ::1] parameters,
    bint positive,
    const double[::1] threshold,
    const double[:, ::1] correlation,
    const double[::1] square,
    double[:, ::1] q,
    double[:, ::1] codes,
    int[::1] rounds,
    double tol,
    double gap_tol,
    double fraction,
    int largest,
    int max_rounds,
):
    """Descend on each signal, from the codes given, on sets of those atoms that violate their condition most.

    Parameters
    ----------
    gram, norm : arrays of shape (K, K) and (K,)
        The Gram matrix of the atoms, and their lengths.
    code, parameters, positive
        The penalty: its code, and its parameters for each atom, of shape (K, 3).
    threshold : array of shape (K,)
        What the proximal map of each atom, with the step ``1 / norm^2``, sets to 0.
    correlation, square : arrays of shape (n, K) and (n,)
        ``x D^T`` and ``||x||^2`` of the signals.
    q, codes : arrays of shape (n, K)
        ``(x - w D) D^T`` and w; updated.
    rounds : int array of shape (n,)
        Receives the working sets tried, ``-1 - rounds`` where the limit ended it.
    tol, gap_tol : float
        Largest violation over ``||x||``; largest gap over ``||x||^2 / 2`` for l1, 1 if it is not asked for.
    fraction : float
        Atoms that violate their condition by this share of the worst are chosen.
    largest : int
        The size up to which a set is gathered.
    max_rounds : int
        Working sets a signal.
    """
    cdef int n = <int> codes.shape[0], K = <int> codes.shape[1], i, j
    cdef Limits limits = Limits(tol, gap_tol, fraction, largest, max_rounds)
    cdef Dictionary atoms = Dictionary(&gram[0, 0], &norm[0], &threshold[0], NULL, K)
    cdef Scratch work = Scratch(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
    atoms.rule = <Rule*> malloc(K * sizeof(Rule))
    try:
        if atoms.rule == NULL or not allocate(&work, K, largest):
            raise MemoryError("No memory for the working sets.")
        for j in range(K):
            atoms.rule[j] = Rule(code, parameters[j, 0], parameters[j, 1], parameters[j, 2], positive)
        with nogil:
            for i in range(n):
                rounds[i] = encode_one(
                    &atoms, &limits, &work, &correlation[i, 0], &q[i, 0], &codes[i, 0], square[i]
                )
    finally:
        free(work.violation)
        free(work.chosen)
        free(atoms.rule)


cdef bint allocate(Scratch* work, int K, int largest) noexcept:
    cdef Py_ssize_t size = largest
    work.violation = <double*> malloc((K + 6 * size + 2 * size * size) * sizeof(double))
    work.chosen = <int*> malloc((K + size) * sizeof(int))
    if work.violation == NULL or work.chosen == NULL:
        return False
    work.q = work.violation + K
    work.w = work.q + size
    work.bound = work.w + size
    work.old = work.bound + size
    work.step = work.old + size
    work.change = work.step + size
    work.gram = work.change + size
    work.factor = work.gram + size * size
    work.support = work.chosen + K
    return True
