"""Orthogonal matching pursuit for many signals that share their dictionary.

A signal x with the code w, the dictionary D with one atom a row: the state of a signal is ``q = (x - w D) D^T``. Each
atom that enters adds one column to a Cholesky factorisation ``L P L^T`` of the Gram matrix ``G = D D^T`` in which the
atoms of the code come first. Kept are the columns of ``L P`` for all atoms, not only for those of the code: they hold
the next coefficients, and bring `q` up to date. The weights follow at the end, from one triangular system.
"""

from libc.math cimport fabs
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport daxpy, dgemv

cdef enum:
    #: Entries of a product: for more, BLAS libraries start threads of their own.
    PRODUCT = 8192

#: An atom whose squared distance from the span of the others is below this share of its squared length depends on them.
cdef double DEPENDENT = 1e-12
cdef int ONE = 1

ctypedef struct Dictionary:
    const double* gram
    const double* norm
    const double* inverse
    int n_atoms

ctypedef struct Limits:
    double error_tol
    double least_gain
    int largest

ctypedef struct Scratch:
    double* q
    double* columns
    double* lower
    double* pivot
    double* w
    int* chosen


cdef inline int best_atom(const double* q, const double* inverse, int K, double* best) noexcept nogil:
    """Return the atom with the largest ``|q_j| / a_j``, the first of equals; `best` receives that value."""
    cdef int j = 0, at = -1
    cdef double a, b, c, d, largest = 0.0
    # Four values at a time: one comparison that hardly ever succeeds instead of four.
    while j + 4 <= K:
        a, b = fabs(q[j]) * inverse[j], fabs(q[j + 1]) * inverse[j + 1]
        c, d = fabs(q[j + 2]) * inverse[j + 2], fabs(q[j + 3]) * inverse[j + 3]
        a = a if a > b else b
        c = c if c > d else d
        a = a if a > c else c
        if a > largest:
            at, largest = j, a
        j += 4
    if at >= 0:
        while fabs(q[at]) * inverse[at] != largest:
            at += 1
    while j < K:
        a = fabs(q[j]) * inverse[j]
        if a > largest:
            at, largest = j, a
        j += 1
    best[0] = largest
    return at


cdef inline bint factor(Dictionary* atoms, Scratch* work, int j, int s, int largest) noexcept nogil:
    """Make atom j the one of number s in the factorisation; return whether it is independent of those before it."""
    cdef double nu = atoms.norm[j] * atoms.norm[j], pivot = nu, entry
    cdef double* row = work.lower + <Py_ssize_t> s * largest
    cdef int t
    for t in range(s):
        entry = work.columns[<Py_ssize_t> t * atoms.n_atoms + j]
        row[t] = entry / work.pivot[t]
        pivot -= row[t] * entry
    work.pivot[s] = pivot
    work.chosen[s] = j
    return pivot >= DEPENDENT * nu


cdef inline void project(Dictionary* atoms, Scratch* work, int s, int largest) noexcept nogil:
    """Compute column s of the factorisation, and bring `q` up to date; it is 0 for the atoms of the code."""
    cdef int K = atoms.n_atoms, first = 0, width, t
    cdef double* column = work.columns + <Py_ssize_t> s * K
    cdef double* row = work.lower + <Py_ssize_t> s * largest
    cdef double minus = -1.0, one = 1.0
    memcpy(column, atoms.gram + <Py_ssize_t> work.chosen[s] * K, K * sizeof(double))
    while s > 0 and first < K:
        width = PRODUCT // s if s < PRODUCT else 1
        width = width if width < K - first else K - first
        dgemv("N", &width, &s, &minus, work.columns + first, &K, row, &ONE, &one, column + first, &ONE)
        first += width
    minus = -work.w[s]
    daxpy(&K, &minus, column, &ONE, work.q, &ONE)
    for t in range(s + 1):
        work.q[work.chosen[t]] = 0.0


cdef inline void back_substitute(Scratch* work, int s, int largest) noexcept nogil:
    """Replace the coefficients of the factorised atoms by the weights of the atoms themselves."""
    cdef int t, u
    cdef double* row
    cdef double w
    for t in range(s - 1, 0, -1):
        row, w = work.lower + <Py_ssize_t> t * largest, work.w[t]
        for u in range(t):
            work.w[u] -= w * row[u]


cdef double pursue_one(
    Dictionary* atoms, Limits* limits, Scratch* work, const double* p, double* codes, double square, double floor
) noexcept nogil:
    """Choose atoms for one signal and compute their weights; return the squared norm of the residual."""
    cdef int K = atoms.n_atoms, largest = limits.largest, s = 0, j
    cdef double rest = square, best, gain
    memcpy(work.q, p, K * sizeof(double))
    for j in range(K):
        if codes[j] != 0.0:
            codes[j] = 0.0
            if s == largest:
                continue
            if factor(atoms, work, j, s, largest):
                work.w[s] = work.q[j] / work.pivot[s]
                rest -= work.w[s] * work.q[j]
                project(atoms, work, s, largest)
                s += 1
    while s < largest and rest > limits.error_tol:
        j = best_atom(work.q, atoms.inverse, K, &best)
        if not best > floor:
            break
        if not factor(atoms, work, j, s, largest):
            work.q[j] = 0.0  # until the next atom, after which it is found dependent again
            continue
        work.w[s] = work.q[j] / work.pivot[s]
        gain = work.w[s] * work.q[j]
        if gain <= limits.least_gain:
            break
        rest -= gain
        if s + 1 < largest and rest > limits.error_tol:
            project(atoms, work, s, largest)
        s += 1
    back_substitute(work, s, largest)
    for j in range(s):
        codes[work.chosen[j]] = work.w[j]
    return rest


def pursue(
    const double[:, ::1] gram,
    const double[::1] norm,
    const double[:, ::1] correlation,
    double[::1] square,
    const double[::1] floor,
    double[:, ::1] codes,
    int largest,
    double error_tol,
    double least_gain,
):
    """Give each signal one atom after another, each time the one that correlates most with the residual.

    Parameters
    ----------
    gram, norm : arrays of shape (K, K) and (K,)
        The Gram matrix of the atoms, and their lengths.
    correlation : array of shape (n, K)
        ``x D^T`` of the signals.
    square : array of shape (n,)
        ``||x||^2`` of the signals; receives the squared norms of the residuals, by recursion.
    floor : array of shape (n,)
        Correlations, over the lengths of the atoms, up to which a signal is given no further atom.
    codes : array of shape (n, K)
        Receives the least-squares codes. The atoms that are not 0 on entry are taken first, at no price, but for those
        that depend on others of them.
    largest : int
        The largest number of atoms in a code, at least 1.
    error_tol : float
        A signal with a squared residual of at most this is given no further atom; -inf for none.
    least_gain : float
        An atom that lowers the squared residual by no more than this is not taken, and ends the pursuit; 0 for none.
    """
    cdef int n = <int> codes.shape[0], K = <int> codes.shape[1], i, j
    cdef Limits limits = Limits(error_tol, least_gain, largest)
    cdef Dictionary atoms = Dictionary(&gram[0, 0], &norm[0], NULL, K)
    cdef Scratch work
    cdef bint enough = allocate(&work, K, largest)
    cdef double* inverse = <double*> malloc(K * sizeof(double))
    try:
        if not enough or inverse == NULL:
            raise MemoryError("No memory for the factorisation.")
        for j in range(K):
            inverse[j] = 1.0 / norm[j]
        atoms.inverse = inverse
        with nogil:
            for i in range(n):
                square[i] = pursue_one(&atoms, &limits, &work, &correlation[i, 0], &codes[i, 0], square[i], floor[i])
    finally:
        free(work.q)
        free(work.chosen)
        free(inverse)


cdef bint allocate(Scratch* work, int K, int largest) noexcept:
    cdef size_t size = largest, atoms = K
    work.q = <double*> malloc((atoms + size * atoms + size * size + 2 * size) * sizeof(double))
    work.chosen = <int*> malloc(size * sizeof(int))
    if work.q == NULL or work.chosen == NULL:
        return False
    work.columns = work.q + atoms
    work.lower = work.columns + size * atoms
    work.pivot = work.lower + size * size
    work.w = work.pivot + size
    return True
