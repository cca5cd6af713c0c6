"""Homotopy for l1 codes: the exact codes of many signals that share their dictionary, from its Gram matrix.

A signal x with the code w, the dictionary D with one atom a row, ``G = D D^T``: a code is optimal if its correlations
``c = (x - w D) D^T`` are ``alpha sign(w_j)`` for the active atoms, and none exceeds alpha. In a round, the penalty mu
of the atoms that are not active yet falls from the largest ``|c_j|`` to alpha, while that of the active ones stays
alpha: codes are linear in mu between breakpoints, at which an atom joins or leaves. The first round is the path of the
Lasso. A round looks only at candidates, the atoms that correlate most; when it is over, the correlations of all atoms
are computed, and those that still exceed alpha give candidates to the next round.

For the active atoms A, ``L^-1`` is any matrix for which ``L^-T L^-1 = G_AA^-1``. It need not be triangular, so that one
reflection of its rows takes an atom out.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from _rows cimport add, add_four, add_rows, dot_rows

cdef enum:
    #: Atoms that leave while mu stays where it is: more of them are a cycle.
    PATIENCE = 30
    REFINEMENTS = 3

#: An atom whose squared distance from the span of the others is below this share of its squared length depends on them.
cdef double DEPENDENT = 1e-10
#: Where there are as many active atoms as there can be, rounding errors are to be expected below this share.
cdef double DOUBTFUL = 1e-6
#: Correlations above a bound by less than this share of the largest are rounding errors.
cdef double ROUNDING = 1e-13
#: Breakpoints nearer to mu than this share of it are at mu.
cdef double TIE = 1e-12
#: What a step comes to: it is done, the atom depends on the active ones, the path cannot be followed any further.
cdef enum Outcome:
    DONE
    DEPENDS
    STUCK

ctypedef struct Dictionary:
    const double* gram
    int n_atoms

ctypedef struct Limits:
    double alpha
    double fraction
    bint positive
    int largest
    int max_steps

ctypedef struct Path:
    double mu
    double tiny             # rounding errors of correlations
    int steps
    int moves               # atoms that joined and left
    int idle                # atoms that left since mu last fell
    int n_candidates
    int n_active
    int n_barred
    double* all             # correlations of all atoms at the beginning of a round
    # Of candidates: the correlation is c at mu, and c - (mu - t) a at t.
    double* c
    double* a
    int* aside              # whether it is active or barred
    int* candidate          # the atom
    int* place              # of an atom: its number among the candidates, or -1
    # Of slots, which hold the active atoms: the weight of the atom is weight + (mu - t) rate at t.
    double* weight
    double* rate
    double* sign
    int* active             # the candidate
    double* rows            # the Gram matrix of the atom and the candidates
    Py_ssize_t width        # from one of these rows to the next
    double* inverse         # L^-1, whose columns are slots
    Py_ssize_t depth
    int* barred             # candidates that depend on the active ones
    # Scratch, for slots and for candidates.
    double* factor
    double* share
    double* row


cdef inline double largest_of(const double* c, int K, bint positive) noexcept nogil:
    """Return the largest ``|c_j|``, or ``c_j``, and at least 0."""
    cdef int j
    cdef double size, largest = 0.0
    for j in range(K):
        size = c[j] if positive else fabs(c[j])
        largest = size if size > largest else largest
    return largest


cdef inline int next_join(Path* path, double* at, bint positive) noexcept nogil:
    """Return the candidate that exceeds mu first on its way down to `at`, or -1; `at` receives where.

    Of those that do so at once, it is the first: to go by numbers there ends in finitely many steps.
    """
    cdef int k = 0, i, best = -1, m = path.n_candidates
    cdef double t = at[0], fall = path.mu - t, edge = t + path.tiny, now, x, y, size, slope
    cdef const double* c = path.c
    cdef const double* a = path.a
    while k < m:
        if k + 4 <= m:
            x, y = fabs(c[k] - fall * a[k]), fabs(c[k + 1] - fall * a[k + 1])
            x = x if x > y else y
            now, y = fabs(c[k + 2] - fall * a[k + 2]), fabs(c[k + 3] - fall * a[k + 3])
            now = now if now > y else y
            x = x if x > now else now
            if x <= edge:
                k += 4
                continue
        for i in range(k, k + 4 if k + 4 <= m else m):
            now = c[i] - fall * a[i]
            if path.aside[i]:
                continue
            if now > edge:
                size, slope = c[i] - path.mu * a[i], 1.0 - a[i]
            elif now < -edge and not positive:
                size, slope = path.mu * a[i] - c[i], 1.0 + a[i]
            else:
                continue
            if not size < path.mu * (1.0 - TIE) * slope:
                at[0] = path.mu
                return i
            best, t = i, size / slope
            fall, edge = path.mu - t, t + path.tiny
        k += 4
    at[0] = t
    return best


cdef inline int next_drop(Path* path, double* at) noexcept nogil:
    """Return the slot of the atom whose weight is first to reach 0 on the way down to `at`, or -1."""
    cdef int u, best = -1, first = path.n_candidates
    cdef double fall = path.mu - at[0], zero
    for u in range(path.n_active):
        if path.sign[u] * (path.weight[u] + fall * path.rate[u]) < 0.0:
            zero = path.mu + path.weight[u] / path.rate[u]
            if not zero < path.mu * (1.0 - TIE):
                if path.active[u] < first:
                    first, best, at[0] = path.active[u], u, path.mu
            elif first == path.n_candidates and zero > at[0]:
                best, at[0] = u, zero
    return best


cdef inline void descend(Path* path, double mu) noexcept nogil:
    """Lower mu on the line."""
    cdef double fall = path.mu - mu
    if fall > 0.0:
        add(path.c, path.a, -fall, path.n_candidates)
        add(path.weight, path.rate, fall, path.n_active)
    path.mu = mu


cdef inline Outcome join(Dictionary* atoms, Limits* limits, Path* path, int k, double sign) noexcept nogil:
    """Make the candidate k active with the weight 0, unless it depends on those that are, or there are too many."""
    cdef int s = path.n_active, m = path.n_candidates, t, i
    cdef const double* gram = atoms.gram + <Py_ssize_t> path.candidate[k] * atoms.n_atoms
    cdef double nu = gram[path.candidate[k]], pivot = nu, slope = 0.0, unit
    cdef double* row = path.rows + s * path.width
    cdef double* inverse = path.inverse + s * path.depth
    for t in range(s):
        path.row[t] = path.rows[t * path.width + k]
        slope += path.rate[t] * path.row[t]
    dot_rows(path.factor, path.inverse, path.depth, path.row, s, s)
    for t in range(s):
        pivot -= path.factor[t] * path.factor[t]
        path.factor[t] = -path.factor[t]
    if not pivot >= (DOUBTFUL if s == limits.largest else DEPENDENT) * nu:
        return DEPENDS
    if s == limits.largest:
        return STUCK
    for i in range(m):
        row[i] = gram[path.candidate[i]]
    for i in range(s):
        inverse[i] = 0.0
        path.inverse[i * path.depth + s] = 0.0
    inverse[s] = 1.0
    add_rows(inverse, path.inverse, path.depth, path.factor, s, s)
    path.weight[s] = path.rate[s] = 0.0
    unit = 1.0 / sqrt(pivot)
    for i in range(s + 1):
        inverse[i] *= unit
        path.rate[i] += (sign - slope) * unit * inverse[i]
    path.active[s], path.sign[s], path.aside[k] = k, sign, True
    path.n_active += 1
    path.moves += 1
    return DONE


cdef inline void drop(Path* path, int u) noexcept nogil:
    """Take the atom in slot u out: a reflection leaves it in the last row of ``L^-1``, which goes."""
    cdef int s = path.n_active, last = s - 1, t, i
    cdef double* inverse = path.inverse + last * path.depth
    cdef double norm = 0.0, turn
    for t in range(s):
        path.factor[t] = path.inverse[t * path.depth + u]
        norm += path.factor[t] * path.factor[t]
        path.share[t] = 0.0
    norm = sqrt(norm)
    for t in range(s):
        path.factor[t] /= norm
    add_rows(path.share, path.inverse, path.depth, path.factor, s, s)
    add(path.rate, path.share, -path.rate[u] / norm, s)
    turn = 1.0 if path.factor[last] >= 0.0 else -1.0
    for i in range(s):
        inverse[i] = path.share[i] + turn * inverse[i]
    for t in range(last):
        if path.factor[t] != 0.0:
            add(path.inverse + t * path.depth, inverse, -path.factor[t] / (1.0 + fabs(path.factor[last])), s)
    path.aside[path.active[u]] = False
    if u != last:
        for t in range(last):
            path.inverse[t * path.depth + u] = path.inverse[t * path.depth + last]
        memcpy(path.rows + u * path.width, path.rows + last * path.width, path.n_candidates * sizeof(double))
        path.weight[u], path.rate[u] = path.weight[last], path.rate[last]
        path.sign[u], path.active[u] = path.sign[last], path.active[last]
    path.n_active -= 1
    path.moves += 1
    path.idle += 1
    # What lay in the old span may lie outside the new one.
    for i in range(path.n_barred):
        path.aside[path.barred[i]] = False
    path.n_barred = 0


cdef inline int rival(Path* path, double sign, double nu) noexcept nogil:
    """Return the slot of the active atom that makes room for one which depends on them, or -1.

    It is the first whose weight reaches 0 as that of the other one grows while the residual stays as it is. On entry
    `factor` holds what `join` left there, on return `share` what the weights lose for a unit of the other one, whose
    sign and squared length are `sign` and `nu`.
    """
    cdef int t, u, s = path.n_active, best = -1
    cdef double along, square, size, least = INFINITY
    for u in range(s):
        path.share[u] = 0.0
        path.factor[u] *= -sign
    add_rows(path.share, path.inverse, path.depth, path.factor, s, s)
    for u in range(s):
        along, square = path.sign[u] * path.share[u], 0.0
        for t in range(s):
            square += path.inverse[t * path.depth + u] * path.inverse[t * path.depth + u]
        # Without the atom in the slot, the squared distance from the span of the others is share^2 / square.
        if along > 0.0 and along * along >= DEPENDENT * nu * square:
            size = path.sign[u] * path.weight[u]
            size = size / along if size > 0.0 else 0.0
            if size < least or (size == least and path.active[u] < path.active[best]):
                best, least = u, size
    return best


cdef inline Outcome enter(Dictionary* atoms, Limits* limits, Path* path, int k) noexcept nogil:
    """Make the candidate k active, in exchange for another one if it depends on those that are."""
    cdef double sign = 1.0 if path.c[k] > 0.0 else -1.0, size
    cdef Outcome outcome = join(atoms, limits, path, k, sign)
    cdef int u
    if outcome != DEPENDS:
        return outcome
    u = rival(path, sign, atoms.gram[<Py_ssize_t> path.candidate[k] * (atoms.n_atoms + 1)])
    if u < 0:
        path.barred[path.n_barred], path.aside[k] = k, True
        path.n_barred += 1
        return DONE
    size = path.weight[u] / path.share[u]
    add(path.weight, path.share, -size, path.n_active)
    drop(path, u)
    outcome = join(atoms, limits, path, k, sign)
    if outcome == DONE:
        path.weight[path.n_active - 1] = sign * size
    return outcome


cdef inline Outcome walk(Dictionary* atoms, Limits* limits, Path* path) noexcept nogil:
    """Lower mu to alpha, one breakpoint after another."""
    cdef int k, u
    cdef double joins, drops
    while True:
        joins = drops = limits.alpha
        k = next_join(path, &joins, limits.positive)
        u = next_drop(path, &drops)
        if k < 0 and u < 0:
            descend(path, limits.alpha)
            return DONE
        if path.steps == limits.max_steps or path.idle > PATIENCE:
            return STUCK
        path.steps += 1
        if joins < path.mu and drops < path.mu:
            path.idle = 0
        if u >= 0 and (k < 0 or drops > joins or (drops == path.mu and path.active[u] < k)):
            descend(path, drops)
            drop(path, u)
        else:
            descend(path, joins)
            if enter(atoms, limits, path, k) != DONE:
                return STUCK
        memset(path.a, 0, path.n_candidates * sizeof(double))
        add_rows(path.a, path.rows, path.width, path.rate, path.n_active, path.n_candidates)


cdef inline void begin_round(Dictionary* atoms, Limits* limits, Path* path, double cut) noexcept nogil:
    """Make atoms candidates whose correlations exceed `cut`, and let mu fall for all that are not active."""
    cdef int K = atoms.n_atoms, first = path.n_candidates, m = first, j, k, u
    cdef const double* row
    for j in range(K):
        if (path.all[j] if limits.positive else fabs(path.all[j])) >= cut and path.place[j] < 0:
            path.candidate[m], path.place[j] = j, m
            m += 1
    path.n_candidates = m
    for u in range(path.n_active):
        row = atoms.gram + <Py_ssize_t> path.candidate[path.active[u]] * K
        for k in range(first, m):
            path.rows[u * path.width + k] = row[path.candidate[k]]
    for k in range(m):
        path.c[k], path.a[k], path.aside[k] = path.all[path.candidate[k]], 0.0, False
    for u in range(path.n_active):
        path.rate[u], path.aside[path.active[u]] = 0.0, True
    path.n_barred = path.idle = 0


cdef inline void correlate(Dictionary* atoms, Path* path, const double* p) noexcept nogil:
    """Compute the correlations of all atoms."""
    cdef int K = atoms.n_atoms, s = path.n_active, u, i
    cdef const double* row[4]
    memcpy(path.all, p, K * sizeof(double))
    for u in range(s):
        path.factor[u] = -path.weight[u]
    for u in range(0, s - 3, 4):
        for i in range(4):
            row[i] = atoms.gram + <Py_ssize_t> path.candidate[path.active[u + i]] * K
        add_four(path.all, row[0], row[1], row[2], row[3], path.factor + u, K)
    for u in range(s - s % 4, s):
        add(path.all, atoms.gram + <Py_ssize_t> path.candidate[path.active[u]] * K, path.factor[u], K)


cdef inline double refine(Path* path, double alpha) noexcept nogil:
    """Correct the weights by what the correlations of their atoms lack; return the largest of these errors."""
    cdef int s = path.n_active, u
    cdef double worst = 0.0
    for u in range(s):
        path.row[u] = path.all[path.candidate[path.active[u]]] - alpha * path.sign[u]
        worst = fabs(path.row[u]) if fabs(path.row[u]) > worst else worst
    dot_rows(path.factor, path.inverse, path.depth, path.row, s, s)
    add_rows(path.weight, path.inverse, path.depth, path.factor, s, s)
    return worst


cdef int encode_one(Dictionary* atoms, Limits* limits, Path* path, const double* p, double* codes) noexcept nogil:
    """Go through rounds until no correlation exceeds alpha; return the number of steps, see `encode`."""
    cdef int K = atoms.n_atoms, k, u, before, _try
    cdef double alpha = limits.alpha, worst = largest_of(p, K, limits.positive)
    cdef Outcome outcome = DONE
    path.steps = path.moves = path.n_candidates = path.n_active = 0
    path.tiny = ROUNDING * worst
    memcpy(path.all, p, K * sizeof(double))
    while worst > alpha + path.tiny:
        path.mu, before = worst, path.moves + path.n_candidates
        begin_round(atoms, limits, path, alpha + limits.fraction * (worst - alpha))
        outcome = walk(atoms, limits, path)
        if outcome == STUCK or path.moves + path.n_candidates == before:
            break
        for _try in range(REFINEMENTS):
            correlate(atoms, path, p)
            if refine(path, alpha) <= path.tiny:
                break
        worst = largest_of(path.all, K, limits.positive)
    memset(codes, 0, K * sizeof(double))
    for u in range(path.n_active):
        if path.weight[u] * path.sign[u] > 0.0:
            codes[path.candidate[path.active[u]]] = path.weight[u]
    for k in range(path.n_candidates):
        path.place[path.candidate[k]] = -1
    return path.steps if outcome == DONE else -1 - path.steps


def encode(
    const double[:, ::1] gram,
    const double[:, ::1] correlation,
    double[:, ::1] codes,
    int[::1] steps,
    double alpha,
    bint positive,
    double fraction,
    int largest,
    int max_steps,
):
    """Follow the path of each signal from the code 0 to the penalty alpha.

    Parameters
    ----------
    gram : array of shape (K, K)
        The Gram matrix of the atoms.
    correlation : array of shape (n, K)
        ``x D^T`` of the signals.
    codes : array of shape (n, K)
        Receives the codes.
    steps : int array of shape (n,)
        Receives the breakpoints of each signal; ``-1 - steps`` where its code stays short of alpha: there `largest` or
        `max_steps` did not suffice, or ties made it go round in circles.
    alpha : float
        The penalty, positive.
    positive : bool
        Whether codes are restricted to be nonnegative.
    fraction : float
        Atoms become candidates if they exceed alpha by this share of the worst; at least 0, below 1.
    largest : int
        The largest number of active atoms, at least 1.
    max_steps : int
        Breakpoints of a signal.
    """
    cdef int n = <int> codes.shape[0], K = <int> codes.shape[1], i
    cdef Dictionary atoms = Dictionary(&gram[0, 0], K)
    cdef Limits limits = Limits(alpha, fraction, positive, largest, max_steps)
    cdef Path path
    cdef bint enough = allocate(&path, K, largest)
    try:
        if not enough:
            raise MemoryError("No memory for the factorisation.")
        with nogil:
            for i in range(n):
                steps[i] = encode_one(&atoms, &limits, &path, &correlation[i, 0], &codes[i, 0])
    finally:
        free(path.all)
        free(path.candidate)


cdef Py_ssize_t apart(Py_ssize_t size) noexcept:
    """Return a distance for rows of so many numbers at which they do not compete for the same lines of a cache."""
    return 8 * ((size + 7) // 8 | 1)


cdef bint allocate(Path* path, int K, int largest) noexcept:
    cdef size_t size = largest, atoms = K
    cdef int j
    path.width, path.depth = apart(K), apart(largest)
    path.all = <double*> malloc((4 * atoms + size * (path.width + path.depth + 5)) * sizeof(double))
    path.candidate = <int*> malloc((4 * atoms + size) * sizeof(int))
    if path.all == NULL or path.candidate == NULL:
        return False
    path.c = path.all + atoms
    path.a = path.c + atoms
    path.row = path.a + atoms
    path.rows = path.row + atoms
    path.inverse = path.rows + size * path.width
    path.weight = path.inverse + size * path.depth
    path.rate = path.weight + size
    path.sign = path.rate + size
    path.factor = path.sign + size
    path.share = path.factor + size
    path.place = path.candidate + atoms
    path.barred = path.place + atoms
    path.aside = path.barred + atoms
    path.active = path.aside + atoms
    for j in range(K):
        path.place[j] = -1
    return True
