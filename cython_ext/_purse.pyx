"""Poses whose projections lie in given ellipses: membership, margins, and random members.

Keypoint k of the pose (R, t) is at ``X = R P_k + t`` in the frame of the camera; it lies in its ellipse if and only if
``||N_k X|| <= z`` for the depth ``z = X_2``, which has to be at least `min_depth`.
"""

from libc.math cimport INFINITY, M_PI, fmin, sin, sqrt
from libc.string cimport memcpy

from _grunert cimport cross, dot, three_point_poses

ctypedef struct Cones:
    const double* points
    const double* cones
    int K
    double min_depth

ctypedef struct Line:  # the poses (R Exp(x w), t + x tau)
    const double* R
    const double* t
    double axis[3]
    double rate
    double tau[3]
    double* tracks  # of the keypoints, 12 numbers each


cdef inline double reach(const Cones* cone, const double* R, const double* t, int k, double* depth) noexcept nogil:
    """Return ``||N_k X||``; `depth` receives ``X_2``."""
    cdef const double* P = cone.points + 3 * k
    cdef const double* N = cone.cones + 6 * k
    cdef double X = dot(R, P) + t[0], Y = dot(R + 3, P) + t[1], Z = dot(R + 6, P) + t[2], a, b
    depth[0] = Z
    a = N[0] * X + N[1] * Y + N[2] * Z
    b = N[3] * X + N[4] * Y + N[5] * Z
    return sqrt(a * a + b * b)


cdef inline bint inside(const Cones* cone, const double* R, const double* t, double slack) noexcept nogil:
    cdef double z = 0.0, side
    cdef int k
    for k in range(cone.K):
        side = reach(cone, R, t, k, &z)
        if not (z >= cone.min_depth and side <= slack * z):
            return False
    return True


cdef inline void orthonormalize(double* R) noexcept nogil:
    """Take one Newton step towards the nearest rotation, which removes what rounding has added."""
    cdef double gram[9]
    cdef double row[3]
    cdef int i, j
    for i in range(3):
        for j in range(3):
            gram[3 * i + j] = -0.5 * (R[i] * R[j] + R[3 + i] * R[3 + j] + R[6 + i] * R[6 + j])
        gram[4 * i] += 1.5
    for i in range(3):
        for j in range(3):
            row[j] = R[3 * i] * gram[j] + R[3 * i + 1] * gram[3 + j] + R[3 * i + 2] * gram[6 + j]
        memcpy(R + 3 * i, row, sizeof(row))


cdef inline void pose_at(Line* line, double x, double* R, double* t) noexcept nogil:
    """Write the pose at `x`, by Rodrigues' formula ``Exp(x w) = I + sin(a) [u] + 2 sin(a / 2)^2 [u]^2``."""
    cdef double s = sin(line.rate * x), c = sin(0.5 * line.rate * x), along
    cdef double* u = line.axis
    cdef const double* row
    cdef int i
    c = 2.0 * c * c
    for i in range(3):
        row = line.R + 3 * i
        along = dot(row, u)
        # A row r times [u] is r x u, and times [u]^2 it is (r.u) u - r.
        R[3 * i] = row[0] + s * (row[1] * u[2] - row[2] * u[1]) + c * (along * u[0] - row[0])
        R[3 * i + 1] = row[1] + s * (row[2] * u[0] - row[0] * u[2]) + c * (along * u[1] - row[1])
        R[3 * i + 2] = row[2] + s * (row[0] * u[1] - row[1] * u[0]) + c * (along * u[2] - row[2])
        t[i] = line.t[i] + x * line.tau[i]
    orthonormalize(R)


cdef inline void lay_tracks(const Cones* cone, Line* line) noexcept nogil:
    """Write how N_k X and the depth of each keypoint vary along the line: as a + sin b + (1 - cos) c + x d."""
    cdef double turned[12]
    cdef double arm[3]
    cdef double out[3]
    cdef const double* P
    cdef const double* N
    cdef double* u = line.axis
    cdef double* track
    cdef int i, j, k
    for k in range(cone.K):
        P, N, track = cone.points + 3 * k, cone.cones + 6 * k, line.tracks + 12 * k
        cross(u, P, arm)
        cross(u, arm, out)
        for i in range(3):
            turned[i] = dot(line.R + 3 * i, P) + line.t[i]
            turned[3 + i] = dot(line.R + 3 * i, arm)
            turned[6 + i] = dot(line.R + 3 * i, out)
            turned[9 + i] = line.tau[i]
        for j in range(4):
            track[3 * j], track[3 * j + 1] = dot(N, turned + 3 * j), dot(N + 3, turned + 3 * j)
            track[3 * j + 2] = turned[3 * j + 2]


cdef inline bint inside_at(const Cones* cone, const Line* line, double x) noexcept nogil:
    """Say, up to rounding, whether the pose at `x` is a member."""
    cdef double s = sin(line.rate * x), c = sin(0.5 * line.rate * x), a, b, z
    cdef const double* g = line.tracks
    cdef int _
    c = 2.0 * c * c
    for _ in range(cone.K):
        z = g[2] + s * g[5] + c * g[8] + x * g[11]
        a = g[0] + s * g[3] + c * g[6] + x * g[9]
        b = g[1] + s * g[4] + c * g[7] + x * g[10]
        if not (z >= cone.min_depth and a * a + b * b <= z * z):
            return False
        g += 12
    return True


cdef inline double chord_end(
    const Cones* cone, Line* line, double first, int sign, double* R, double* t, unsigned char* found
) noexcept nogil:
    """Return how far the line stays inside: a point inside, next to one outside; `found` says whether there is any.

    The step doubles until the line is outside, or has turned by 180 degrees, or 40 times; then the interval is halved
    until it is below 1/4096 of its end. `R` and `t` receive the pose.
    """
    cdef double low = 0.0, high, limit = first * 1.1e12, middle
    cdef int _
    if line.rate > 0:
        limit = fmin(limit, M_PI / line.rate)
    high = fmin(first, limit)
    found[0] = True
    while inside_at(cone, line, sign * high):
        low = high
        if high == limit:
            found[0] = False
            break
        high = fmin(2.0 * high, limit)
    for _ in range(80):
        if high - low <= high / 4096.0:
            break
        middle = 0.5 * (low + high)
        if inside_at(cone, line, sign * middle):
            low = middle
        else:
            high = middle
    for _ in range(20):  # what rounding may have let in
        pose_at(line, sign * low, R, t)
        if inside(cone, R, t, 1.0):
            return sign * low
        low *= 0.9999
    memcpy(R, line.R, 9 * sizeof(double))
    memcpy(t, line.t, 3 * sizeof(double))
    return 0.0


cdef void walk(
    const Cones* cone, const double* d, double u, double first, double* tracks, double* R, double* t,
    double* end_R, double* end_t, unsigned char* found,
) noexcept nogil:
    """Take one step of a chain: both ends of the chord along `d`, then a random point of the chord."""
    cdef Line line
    cdef double new_R[9]
    cdef double new_t[3]
    cdef double ahead, behind, x
    cdef int i, _
    line.R, line.t, line.tracks = R, t, tracks
    line.rate = sqrt(dot(d, d))
    for i in range(3):
        line.axis[i] = d[i] / line.rate if line.rate > 0 else 0.0
        line.tau[i] = d[3 + i]
    lay_tracks(cone, &line)
    ahead = chord_end(cone, &line, first, 1, end_R, end_t, found)
    behind = chord_end(cone, &line, first, -1, end_R + 9, end_t + 3, found + 1)
    x = behind + u * (ahead - behind)
    # The set need not be convex: there may be gaps in the chord, but none at 0.
    for _ in range(60):
        pose_at(&line, x, new_R, new_t)
        if inside(cone, new_R, new_t, 1.0):
            memcpy(R, new_R, sizeof(new_R))
            memcpy(t, new_t, sizeof(new_t))
            return
        x *= 0.5


def contains(
    const double[:, :, ::1] rotations,
    const double[:, ::1] translations,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    double min_depth,
    double tol,
    unsigned char[::1] members,
):
    """Say which poses put every keypoint in its ellipse, with `tol` for ``||N_k X|| <= (1 + tol) z``.

    Parameters
    ----------
    rotations, translations : arrays of shape (m, 3, 3) and (m, 3)
        Poses.
    points, cones : arrays of shape (K, 3) and (K, 2, 3)
        Keypoints in the frame of the object, and the matrices ``N_k``.
    min_depth, tol : float
        The least depth, and the slack.
    members : array of shape (m,)
        Receives 1 or 0.
    """
    cdef Cones cone = Cones(&points[0, 0], &cones[0, 0, 0], <int> points.shape[0], min_depth)
    cdef Py_ssize_t i
    with nogil:
        for i in range(members.shape[0]):
            members[i] = inside(&cone, &rotations[i, 0, 0], &translations[i, 0], 1.0 + tol)


def margins(
    const double[:, :, ::1] rotations,
    const double[:, ::1] translations,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    double[:, ::1] depths,
    double[:, ::1] reaches,
):
    """Evaluate both sides of the cones: ``z`` and ``||N_k X||``.

    Parameters
    ----------
    rotations, translations, points, cones : arrays
        As in `contains`.
    depths, reaches : arrays of shape (m, K)
        Receive ``z`` and ``||N_k X||``.
    """
    cdef Cones cone = Cones(&points[0, 0], &cones[0, 0, 0], <int> points.shape[0], 0.0)
    cdef Py_ssize_t i
    cdef int k
    with nogil:
        for i in range(depths.shape[0]):
            for k in range(cone.K):
                reaches[i, k] = reach(&cone, &rotations[i, 0, 0], &translations[i, 0], k, &depths[i, k])


def violations(
    const double[:, :, ::1] rotations,
    const double[:, ::1] translations,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    double min_depth,
    double[::1] values,
):
    """Evaluate ``max_k ||N_k X|| / z``, infinity where a depth is below `min_depth`.

    Parameters
    ----------
    rotations, translations, points, cones, min_depth
        As in `contains`.
    values : array of shape (m,)
        Receives the maxima.
    """
    cdef Cones cone = Cones(&points[0, 0], &cones[0, 0, 0], <int> points.shape[0], min_depth)
    cdef Py_ssize_t i
    cdef double side, worst, z = 0.0
    cdef int k
    with nogil:
        for i in range(values.shape[0]):
            worst = 0.0
            for k in range(cone.K):
                side = reach(&cone, &rotations[i, 0, 0], &translations[i, 0], k, &z)
                if not z >= min_depth:
                    worst = INFINITY
                    break
                worst = side / z if side > worst * z else worst
            values[i] = worst


def ransag(
    const int[:, ::1] triples,
    const double[:, :, ::1] offsets,
    const double[:, ::1] centers,
    const double[:, :, ::1] spreads,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    double min_depth,
    double[:, :, ::1] rotations,
    double[:, ::1] translations,
):
    """Solve for the poses of three perturbed keypoints each, and keep those that are in the set.

    Parameters
    ----------
    triples : array of shape (n, 3)
        Which keypoints.
    offsets : array of shape (n, 3, 2)
        Points of the unit disk: keypoint k is seen at ``centers[k] + spreads[k] @ offset``.
    centers, spreads : arrays of shape (K, 2) and (K, 2, 2)
        The ellipses, in normalised coordinates.
    points, cones, min_depth
        As in `contains`.
    rotations, translations : arrays of shape (4 n, 3, 3) and (4 n, 3)
        Receive the members.

    Returns
    -------
    count : int
        The number of members.
    """
    cdef Cones cone = Cones(&points[0, 0], &cones[0, 0, 0], <int> points.shape[0], min_depth)
    cdef Py_ssize_t i, count = 0
    cdef double rays[9]
    cdef double P[9]
    cdef double R[36]
    cdef double t[12]
    cdef double x, y, over
    cdef int j, k
    with nogil:
        for i in range(triples.shape[0]):
            for j in range(3):
                k = triples[i, j]
                x = centers[k, 0] + spreads[k, 0, 0] * offsets[i, j, 0] + spreads[k, 0, 1] * offsets[i, j, 1]
                y = centers[k, 1] + spreads[k, 1, 0] * offsets[i, j, 0] + spreads[k, 1, 1] * offsets[i, j, 1]
                over = 1.0 / sqrt(x * x + y * y + 1.0)
                rays[3 * j], rays[3 * j + 1], rays[3 * j + 2] = x * over, y * over, over
                memcpy(P + 3 * j, &points[k, 0], 3 * sizeof(double))
            for j in range(three_point_poses(rays, P, R, t)):
                if inside(&cone, R + 9 * j, t + 3 * j, 1.0):
                    memcpy(&rotations[count, 0, 0], R + 9 * j, 9 * sizeof(double))
                    memcpy(&translations[count, 0], t + 3 * j, 3 * sizeof(double))
                    count += 1
    return count


def hit_and_run(
    const double[:, :, ::1] directions,
    const double[:, ::1] uniform,
    const double[:, ::1] points,
    const double[:, :, ::1] cones,
    double min_depth,
    double first,
    double[:, ::1] tracks,
    double[:, :, ::1] state_rotations,
    double[:, ::1] state_translations,
    double[:, :, :, ::1] rotations,
    double[:, :, ::1] translations,
    double[:, :, :, :, ::1] end_rotations,
    double[:, :, :, ::1] end_translations,
    unsigned char[:, :, ::1] found,
):
    """Walk several chains through the set: to a random point of a chord in a given direction, again and again.

    Parameters
    ----------
    directions : array of shape (n, c, 6)
        For each step of each chain (w, tau): the chord is ``(R Exp(x w), t + x tau)``.
    uniform : array of shape (n, c)
        Where on the chord the next point is, from 0 to 1.
    points, cones, min_depth
        As in `contains`.
    first : float
        The first `x` that is tried.
    tracks : array of shape (K, 12)
        Scratch.
    state_rotations, state_translations : arrays of shape (c, 3, 3) and (c, 3)
        The chains, which are members; receive where they end.
    rotations, translations : arrays of shape (n, c, 3, 3) and (n, c, 3)
        Receive the points of the chains.
    end_rotations, end_translations : arrays of shape (n, c, 2, 3, 3) and (n, c, 2, 3)
        Receive the ends of the chords, which are members.
    found : array of shape (n, c, 2)
        Receives 1 where the end of a chord is one, and 0 where the chord was not followed to its end.
    """
    cdef Cones cone = Cones(&points[0, 0], &cones[0, 0, 0], <int> points.shape[0], min_depth)
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(directions.shape[0]):
            for j in range(directions.shape[1]):
                walk(
                    &cone, &directions[i, j, 0], uniform[i, j], first, &tracks[0, 0], &state_rotations[j, 0, 0],
                    &state_translations[j, 0], &end_rotations[i, j, 0, 0, 0], &end_translations[i, j, 0, 0],
                    &found[i, j, 0],
                )
                memcpy(&rotations[i, j, 0, 0], &state_rotations[j, 0, 0], 9 * sizeof(double))
                memcpy(&translations[i, j, 0], &state_translations[j, 0], 3 * sizeof(double))
