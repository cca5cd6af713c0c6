"""Local search within a set of poses, by a primal-dual interior-point method in six or seven variables.

    maximise  f   subject to   1 - |N_k X_k|^2 / z_k^2 - s >= 0,   1 - least_depth / z_k >= 0,   k = 1, ..., K,

where z_k is the depth of ``X_k = R P_k + t``, and f is ``|R - R0|_F^2`` or ``|t - t0|^2``, with s = 0, or s itself. A
step turns R by Cayley's map of half a rotation vector, and moves t. Every pose on the way obeys the constraints.
"""

from libc.math cimport INFINITY, fabs, fmax, fmin, log, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from _pose_relaxation cimport across, along, cayley, multiply, rotate

cdef enum:
    ROTATION = 0
    TRANSLATION = 1
    SLACK = 2
    #: Entries of a row: the rotation vector, the shift, and s.
    SIZE = 7
    SHIFTS = 60
    HALVINGS = 40

#: Where a start is close to a constraint, its multiplier is that of this fraction of the largest one.
cdef double NEAR = 0.1
#: Constraints may fall to this fraction in one step, and multipliers too.
cdef double BOUNDARY = 0.005
#: A barrier is left once the gradient is balanced to this fraction, and the products to this many times their aim.
cdef double BALANCE = 1e-2
cdef double SPREAD = 10.0
cdef double DECREASE = 0.2
#: Turns beyond this many radians are out of reach of a quadratic model.
cdef double LONGEST = 0.7
#: Multipliers stay within this factor of those of the barrier.
cdef double FACTOR = 1e10
#: Barriers are fractions of f, and of this at its centre.
cdef double SMALLEST = 1e-14

ctypedef struct Model:
    int kind
    int K
    int n
    int m                # constraints: 2 K
    const double* points
    const double* cones
    const double* R0
    const double* t0
    double least_depth

ctypedef struct Point:
    double R[9]
    double t[3]
    double s
    double f
    double* c           # (m,): the constraints, first the cones

ctypedef struct Scratch:
    double* gradient    # (m, SIZE): of the constraints
    double* multiplier  # (m,)
    double* change      # (m,)
    double H[49]        # of the Lagrangian, and the constraints with their weights; lower part
    double L[49]
    double f[7]         # the gradient of the objective
    double rhs[7]
    double step[7]


cdef bint constrain(Model* model, Point* p) noexcept nogil:
    """Compute c; return whether the point is strictly inside."""
    cdef int k
    cdef double X[3]
    cdef double a, b
    cdef bint inside = True
    for k in range(model.K):
        rotate(p.R, model.points + 3 * k, X)
        X[0], X[1], X[2] = X[0] + p.t[0], X[1] + p.t[1], X[2] + p.t[2]
        if not X[2] > 0.0:
            return False
        a, b = along(model.cones + 6 * k, X), along(model.cones + 6 * k + 3, X)
        p.c[k] = 1.0 - (a * a + b * b) / (X[2] * X[2]) - p.s
        p.c[model.K + k] = 1.0 - model.least_depth / X[2]
        inside = inside and p.c[k] > 0.0 and p.c[model.K + k] > 0.0
    return inside


cdef double objective(Model* model, Point* p) noexcept nogil:
    cdef int i
    cdef double f = 0.0
    if model.kind == SLACK:
        return p.s
    if model.kind == ROTATION:
        for i in range(9):
            f += (p.R[i] - model.R0[i]) * (p.R[i] - model.R0[i])
    else:
        for i in range(3):
            f += (p.t[i] - model.t0[i]) * (p.t[i] - model.t0[i])
    return f


cdef void moment(const double* R, const double* P, const double* g, double* out) noexcept nogil:
    """Fill the first three entries with the derivative of ``g.R P`` with respect to the rotation vector."""
    cdef double G[3]
    cdef int j
    for j in range(3):
        G[j] = across(R + j, g)
    out[0], out[1], out[2] = P[1] * G[2] - P[2] * G[1], P[2] * G[0] - P[0] * G[2], P[0] * G[1] - P[1] * G[0]


cdef void differentiate_objective(Model* model, Point* p, Scratch* work) noexcept nogil:
    """Fill the gradient of f, and start the matrix with minus its second derivatives."""
    cdef int i, j
    cdef double Q[9]
    memset(work.f, 0, sizeof(work.f))
    memset(work.H, 0, sizeof(work.H))
    if model.kind == SLACK:
        work.f[6] = 1.0
    elif model.kind == TRANSLATION:
        for i in range(3):
            work.f[3 + i] = 2.0 * (p.t[i] - model.t0[i])
            work.H[(SIZE + 1) * (3 + i)] = -2.0
    else:
        for i in range(3):
            for j in range(3):
                Q[3 * i + j] = model.R0[i] * p.R[j] + model.R0[3 + i] * p.R[3 + j] + model.R0[6 + i] * p.R[6 + j]
        work.f[0], work.f[1], work.f[2] = 2.0 * (Q[7] - Q[5]), 2.0 * (Q[2] - Q[6]), 2.0 * (Q[3] - Q[1])
        for i in range(3):
            for j in range(i + 1):
                work.H[SIZE * i + j] = Q[3 * i + j] + Q[3 * j + i]
            work.H[(SIZE + 1) * i] -= 2.0 * (Q[0] + Q[4] + Q[8])


cdef inline void add_square(double* H, const double* a, double weight, int n) noexcept nogil:
    """Add ``weight a a'`` to the lower part."""
    cdef int i, j
    for i in range(n):
        for j in range(i + 1):
            H[SIZE * i + j] += weight * a[i] * a[j]


cdef inline void add_turn(double* H, const double* R, const double* P, const double* g, double weight) noexcept nogil:
    """Add `weight` times the second derivatives of ``g.R P``: points move on circles."""
    cdef int i, j
    cdef double G[3]
    cdef double radial = 0.0
    for j in range(3):
        G[j] = across(R + j, g)
        radial += G[j] * P[j]
    for i in range(3):
        for j in range(i + 1):
            H[SIZE * i + j] += 0.5 * weight * (G[i] * P[j] + G[j] * P[i])
        H[(SIZE + 1) * i] -= weight * radial


cdef void differentiate(Model* model, Point* p, Scratch* work) noexcept nogil:
    """Fill gradients and the matrix of the Newton step."""
    cdef int i, j, k, r, K = model.K
    cdef double X[3]
    cdef double W[6]
    cdef double Z[6]
    cdef double q[2]
    cdef double z, multiplier, near
    cdef const double* P
    cdef const double* N
    cdef double* a
    differentiate_objective(model, p, work)
    for k in range(K):
        P, N = model.points + 3 * k, model.cones + 6 * k
        rotate(p.R, P, X)
        X[0], X[1], X[2] = X[0] + p.t[0], X[1] + p.t[1], X[2] + p.t[2]
        z = X[2]
        q[0], q[1] = along(N, X) / z, along(N + 3, X) / z
        Z[3], Z[4], Z[5] = 0.0, 0.0, 1.0 / z
        moment(p.R, P, Z + 3, Z)
        # The cone: a square with a depth in its denominator.
        a, multiplier = work.gradient + SIZE * k, work.multiplier[k]
        for i in range(3):
            a[3 + i] = -2.0 * (q[0] * N[i] + q[1] * N[3 + i]) / z
        a[5] += 2.0 * (q[0] * q[0] + q[1] * q[1]) / z
        a[6] = -1.0
        moment(p.R, P, a + 3, a)
        add_square(work.H, a, multiplier / p.c[k], model.n)
        add_turn(work.H, p.R, P, a + 3, -multiplier)
        for r in range(2):
            W[3], W[4], W[5] = N[3 * r] / z, N[3 * r + 1] / z, (N[3 * r + 2] - q[r]) / z
            moment(p.R, P, W + 3, W)
            for i in range(6):
                for j in range(i + 1):
                    work.H[SIZE * i + j] += 2.0 * multiplier * (W[i] * W[j] - q[r] * (W[i] * Z[j] + Z[i] * W[j]))
        # The depth.
        a, multiplier, near = work.gradient + SIZE * (K + k), work.multiplier[K + k], model.least_depth / z
        for i in range(6):
            a[i] = near * Z[i]
        a[6] = 0.0
        add_square(work.H, a, multiplier / p.c[K + k], model.n)
        add_square(work.H, Z, 2.0 * multiplier * near, 6)
        add_turn(work.H, p.R, P, a + 3, -multiplier)


cdef bint factorize(Scratch* work, int n, double shift) noexcept nogil:
    """Compute the Cholesky factor of the matrix with `shift` added to its diagonal; False if it is not positive."""
    cdef int i, j, k
    cdef double v
    for i in range(n):
        for j in range(i + 1):
            v = work.H[SIZE * i + j] + (shift if i == j else 0.0)
            for k in range(j):
                v -= work.L[SIZE * i + k] * work.L[SIZE * j + k]
            if j < i:
                work.L[SIZE * i + j] = v / work.L[(SIZE + 1) * j]
            elif v > 1e-13 * fabs(work.H[(SIZE + 1) * i]):
                work.L[(SIZE + 1) * i] = sqrt(v)
            else:
                return False
    return True


cdef bint newton_step(Model* model, Point* p, Scratch* work, double barrier) noexcept nogil:
    """Compute the step of the barrier problem, with as much added to the diagonal as makes it go uphill."""
    cdef int i, k, n = model.n, _attempt
    cdef double shift = 0.0, size = 0.0, v
    for i in range(n):
        v = work.f[i]
        for k in range(model.m):
            v += barrier / p.c[k] * work.gradient[SIZE * k + i]
        work.rhs[i] = v
        size = fmax(size, fabs(work.H[(SIZE + 1) * i]))
    for _attempt in range(SHIFTS):
        if factorize(work, n, shift):
            break
        shift = 1e-8 * size if shift == 0.0 else 4.0 * shift
    else:
        return False
    for i in range(n):
        v = work.rhs[i]
        for k in range(i):
            v -= work.L[SIZE * i + k] * work.step[k]
        work.step[i] = v / work.L[(SIZE + 1) * i]
    for i in range(n - 1, -1, -1):
        v = work.step[i]
        for k in range(i + 1, n):
            v -= work.L[SIZE * k + i] * work.step[k]
        work.step[i] = v / work.L[(SIZE + 1) * i]
    return True


cdef double merit(Model* model, Point* p, double barrier) noexcept nogil:
    cdef int k
    cdef double total = p.f
    for k in range(model.m):
        total += barrier * log(p.c[k])
    return total


cdef bint search_line(Model* model, Point* p, Point* trial, Scratch* work, double barrier) noexcept nogil:
    """Halve the step until `trial` is inside and better."""
    cdef int i, k, _halving
    cdef double slope = 0.0, length, now = merit(model, p, barrier), alpha = 1.0
    cdef double half[3]
    cdef double C[9]
    cdef bint inside
    for i in range(model.n):
        slope += work.rhs[i] * work.step[i]
    length = sqrt(along(work.step, work.step))
    if length > LONGEST:
        alpha = LONGEST / length
    for _halving in range(HALVINGS):
        for i in range(3):
            half[i] = 0.5 * alpha * work.step[i]
            trial.t[i] = p.t[i] + alpha * work.step[3 + i]
        cayley(half, C)
        multiply(p.R, C, trial.R)
        trial.s = p.s + (alpha * work.step[6] if model.n == SIZE else 0.0)
        inside = constrain(model, trial)
        for k in range(model.m):
            inside = inside and trial.c[k] >= BOUNDARY * p.c[k]
        if inside:
            trial.f = objective(model, trial)
            if merit(model, trial, barrier) >= now + 1e-4 * alpha * slope - 1e-13 * fabs(now):
                return True
        alpha *= 0.5
    return False


cdef void move_multipliers(Model* model, Point* p, Scratch* work, double barrier, const double* c) noexcept nogil:
    """Take the part of the Newton step that belongs to the multipliers; `c` are the new constraints."""
    cdef int i, k
    cdef double v, alpha = 1.0
    for k in range(model.m):
        v = 0.0
        for i in range(model.n):
            v += work.gradient[SIZE * k + i] * work.step[i]
        work.change[k] = (barrier - work.multiplier[k] * (p.c[k] + v)) / p.c[k]
        if work.change[k] < 0.0:
            alpha = fmin(alpha, -(1.0 - BOUNDARY) * work.multiplier[k] / work.change[k])
    for k in range(model.m):
        v = barrier / c[k]
        work.multiplier[k] = fmin(fmax(work.multiplier[k] + alpha * work.change[k], v / FACTOR), v * FACTOR)


cdef bint balanced(Model* model, Point* p, Scratch* work, double barrier) noexcept nogil:
    """Return whether the optimality conditions of the barrier problem hold roughly."""
    cdef int i, k
    cdef double v, size, term
    for i in range(model.n):
        v, size = work.f[i], fabs(work.f[i])
        for k in range(model.m):
            term = work.multiplier[k] * work.gradient[SIZE * k + i]
            v += term
            size += fabs(term)
        if fabs(v) > BALANCE * size:
            return False
    for k in range(model.m):
        if fabs(p.c[k] * work.multiplier[k] - barrier) > SPREAD * barrier:
            return False
    return True


cdef double unit(Model* model, Point* p) noexcept nogil:
    """Return what barriers count in."""
    return fmax(1.0, fabs(p.s)) if model.kind == SLACK else fmax(p.f, SMALLEST)


cdef int climb(
    Model* model, Point* p, Point* trial, Scratch* work, double barrier, double last, double enough, int max_steps
) noexcept nogil:
    cdef int k, steps = 0
    cdef double largest = 0.0, floor
    cdef double* c
    barrier *= unit(model, p)
    for k in range(model.m):
        largest = fmax(largest, p.c[k])
    for k in range(model.m):
        work.multiplier[k] = barrier / fmax(p.c[k], NEAR * largest)
    while steps < max_steps and p.f < enough:
        steps += 1
        floor = last * unit(model, p)
        differentiate(model, p, work)
        if balanced(model, p, work, barrier):
            if barrier <= floor:
                break
            barrier = fmax(DECREASE * barrier, floor)
        if not newton_step(model, p, work, barrier):
            break
        if search_line(model, p, trial, work, barrier):
            move_multipliers(model, p, work, barrier, trial.c)
            c = p.c
            memcpy(p, trial, sizeof(Point))
            trial.c = c
        elif barrier <= floor:
            break
        else:
            barrier = fmax(DECREASE * barrier, floor)
            for k in range(model.m):
                work.multiplier[k] = barrier / p.c[k]
    return steps


def ascend(
    int kind,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    const double[:, ::1] R0,
    const double[::1] t0,
    double least_depth,
    double[:, ::1] R,
    double[::1] t,
    double s,
    double barrier,
    double last_barrier,
    double enough,
    int max_steps,
):
    """Climb from a pose strictly inside the set.

    Parameters
    ----------
    kind : int
        0: f is the rotation from R0, 1: the distance from t0, 2: s.
    points, cones : arrays of shape (K, 3) and (K, 2, 3)
        P_k and N_k.
    R0, t0 : arrays of shape (3, 3) and (3,)
        The centre.
    least_depth : float
        No point comes nearer.
    R, t : arrays of shape (3, 3) and (3,)
        The pose; updated.
    s : float
        0, or the start of kind 2: so small that the pose is strictly inside.
    barrier, last_barrier : float
        The first and the last weight of the barrier, as fractions of f, or of the larger of 1 and |s|.
    enough : float
        The climb ends above this f.
    max_steps : int
        Newton steps.

    Returns
    -------
    f : float
        The value reached; minus infinity if the pose was not inside.
    steps : int
        Newton steps taken.
    """
    cdef int K = <int> points.shape[0], steps = 0
    cdef Model model = Model(
        kind, K, 7 if kind == SLACK else 6, 2 * K, &points[0, 0], &cones[0, 0, 0], &R0[0, 0], &t0[0], least_depth
    )
    cdef Point point, trial
    cdef Scratch work
    cdef double* block = <double*> malloc((SIZE + 4) * 2 * K * sizeof(double))
    if block == NULL:
        raise MemoryError("No memory for the constraints.")
    point.c, trial.c, work.multiplier, work.change = block, block + 2 * K, block + 4 * K, block + 6 * K
    work.gradient = block + 8 * K
    memcpy(point.R, &R[0, 0], sizeof(point.R))
    memcpy(point.t, &t[0], sizeof(point.t))
    point.s = s
    with nogil:
        if constrain(&model, &point):
            point.f = objective(&model, &point)
            steps = climb(&model, &point, &trial, &work, barrier, last_barrier, enough, max_steps)
        else:
            point.f = -INFINITY
    free(block)
    memcpy(&R[0, 0], point.R, sizeof(point.R))
    memcpy(&t[0], point.t, sizeof(point.t))
    return point.f, steps
