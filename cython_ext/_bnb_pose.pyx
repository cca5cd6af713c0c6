"""Best-first branch and bound over rotations and positions: an upper bound of how far poses in a set are from a centre.

    maximise  |R - R0|_F^2  or  |tau|^2   subject to   |N_k X_k| <= z_k,   z_k >= least_depth,   k = 1, ..., K,

where z_k is the depth of ``X_k = R P_k + t0 + F tau``. A node is a box, see `_pose_relaxation`. When to stop, and up to
which value the objective does not matter, comes with each call.
"""

import numpy as np

cimport cython
from libc.math cimport INFINITY, fabs, fmax, fmin, sqrt
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from _cone_basis cimport Basis
from _cone_simplex cimport INFEASIBLE, Cones, Status, bend, set_norms, solve
from _pose_relaxation cimport (
    GONE, TRANSLATION, TRIMMED, Data, Linearization, along, box_bound, cayley, distance_cost, linearize,
    multiply, pivot_bend, rotation_cost, trim,
)
from _search_record cimport (
    EMPTY, OBJECTIVE, Birth, Cut, Log, Record, Step, record_birth, record_split, record_step, reserve, reserve_record,
)

#: Wider boxes of rotations are split without a bound, narrower ones cannot be split.
cdef double WIDEST = 1.4
cdef double NARROWEST = 1e-9
#: Positions are split only where the box of rotations is this narrow.
cdef double NARROW = 0.1
#: Coordinates whose interval is this much shorter than the longest are not split, whatever their share of the error.
cdef double UNEVEN = 0.6
cdef double UP = 1.0 + 1e-14

ctypedef struct Node:
    double lo[6]
    double hi[6]
    double upper
    double share[6]       # how much of the bound's slack each coordinate may be to blame for
    double u[3]
    double tau[3]
    double n1[6]
    double n2[6]
    int code[6]
    int n_cuts
    int chart
    int number


@cython.final
cdef class PoseTree:
    """A search: its open nodes, and the largest bound among the closed ones.

    Parameters
    ----------
    kind : int
        0: the rotation, 1: the position.
    points : array of shape (K, 3)
        P_k.
    pivot : array of shape (3,)
        An object point near the others.
    cones : array of shape (K, 2, 3)
        N_k.
    R0, origin, frame : arrays of shape (3, 3), (3,) and (3, 3)
        The centre, and the axes F of tau, in columns.
    lower, upper : arrays of shape (3,)
        A box that holds tau at every pose in the set.
    least_depth : float
        Positive.
    keep_proof : bool
        Whether to record what `proof` returns.

    Attributes
    ----------
    closed_upper : float
        An upper bound of the objective wherever the search has finished; minus infinity: nothing is feasible there.
    n_nodes, n_programs : int
        Nodes that were bounded; linear programmes.
    """

    cdef Data data
    cdef Cones cones
    cdef Basis basis
    cdef Linearization at
    cdef int kind
    cdef Record record
    cdef double[:, ::1] points, arms, still, norms, rows, bends, scratch
    cdef double[:, :, ::1] N
    cdef Log nodes, heap, spare
    cdef readonly double closed_upper
    cdef readonly long n_nodes, n_programs

    def __cinit__(
        self,
        int kind,
        const double[:, ::1] points,
        const double[::1] pivot,
        const double[:, :, ::1] cones,
        const double[:, ::1] R0,
        const double[::1] origin,
        const double[:, ::1] frame,
        const double[::1] lower,
        const double[::1] upper,
        double least_depth,
        bint keep_proof,
    ):
        cdef int K = <int> points.shape[0], i, j, k
        cdef Data* data = &self.data
        cdef Cones* c = &self.cones
        self.kind, self.record.kept, self.closed_upper = kind, keep_proof, -INFINITY
        self.points, self.N = np.array(points), np.array(cones)
        self.arms = np.asarray(self.points) - np.asarray(pivot)
        self.still, self.norms = np.zeros((9, K)), np.zeros((6, K))
        self.rows, self.bends, self.scratch = np.zeros((24, K)), np.zeros((15, K)), np.zeros((6, K))
        data.K, data.points, data.arms = K, &self.points[0, 0], &self.arms[0, 0]
        data.cones, data.still = &self.N[0, 0, 0], &self.still[0, 0]
        data.reach, data.pivoted = 0.0, False
        for i in range(3):
            data.origin[i], data.pivot[i] = origin[i], pivot[i]
            data.pivoted = data.pivoted or pivot[i] != 0.0
            for j in range(3):
                data.frame[3 * i + j] = frame[i, j]
                for k in range(4):
                    # A half turn about an axis.
                    data.charts[9 * k + 3 * i + j] = R0[i, j] if k == 0 or k == j + 1 else -R0[i, j]
        c.n, c.K, c.curved, c.least_depth = 6, K, True, least_depth
        c.rows, c.norms, c.bends = &self.rows[0, 0], &self.norms[0, 0], &self.bends[0, 0]
        c.values, c.room, c.scale, c.radius = (
            &self.scratch[0, 0], &self.scratch[3, 0], &self.scratch[4, 0], &self.scratch[5, 0]
        )
        for k in range(K):
            data.reach = fmax(data.reach, sqrt(along(&self.points[k, 0], &self.points[k, 0])) * UP)
            data.reach = fmax(data.reach, sqrt(along(&self.arms[k, 0], &self.arms[k, 0])) * UP)
            set_norms(&self.N[k, 0, 0], &self.norms[0, k], K)
            c.scale[k] = 1.0 / (1.0 + self.norms[5, k])
            for j in range(3):
                self.still[6 + j, k] = frame[2, j]
                for i in range(2):
                    self.still[3 * i + j, k] = (
                        self.N[k, i, 0] * frame[0, j] + self.N[k, i, 1] * frame[1, j] + self.N[k, i, 2] * frame[2, j]
                    )
        self.nodes.width, self.heap.width, self.spare.width = sizeof(Node), sizeof(int), sizeof(int)
        self.record.births.width, self.record.steps.width = sizeof(Birth), sizeof(Step)
        self.record.cuts.width = sizeof(Cut)
        if not self.plant(lower, upper):
            raise MemoryError("No memory for the search tree.")

    def __dealloc__(self):
        free(self.nodes.items)
        free(self.heap.items)
        free(self.spare.items)
        free(self.record.births.items)
        free(self.record.steps.items)
        free(self.record.cuts.items)

    cdef bint plant(self, const double[::1] lower, const double[::1] upper) noexcept:
        """Open one node for each chart."""
        cdef int chart, j
        cdef Node* node
        if not self.make_room(4):
            return False
        for chart in range(4):
            node = self.node(self.nodes.size)
            self.nodes.size += 1
            memset(node, 0, sizeof(Node))
            node.chart, node.number = chart, record_birth(&self.record, -1, 0.0)
            for j in range(3):
                node.lo[j], node.hi[j], node.lo[3 + j], node.hi[3 + j] = -1.0, 1.0, lower[j], upper[j]
            node.upper = box_bound(self.kind, chart, node.lo, node.hi)
            self.push(chart)
        return True

    cdef inline Node* node(self, int at) noexcept nogil:
        return (<Node*> self.nodes.items) + at

    cdef inline double bound_at(self, int place) noexcept nogil:
        return self.node((<int*> self.heap.items)[place]).upper

    cdef bint make_room(self, int n) noexcept nogil:
        """Make room for n more nodes and what they leave behind, before anything is taken from the heap."""
        return (
            reserve(&self.nodes, n)
            and reserve(&self.heap, n)
            and reserve(&self.spare, n)
            and reserve_record(&self.record, n)
        )

    cdef void push(self, int at) noexcept nogil:
        cdef int* heap = <int*> self.heap.items
        cdef int i = self.heap.size, parent
        cdef double upper = self.node(at).upper
        self.heap.size += 1
        while i > 0:
            parent = (i - 1) >> 1
            if self.bound_at(parent) >= upper:
                break
            heap[i] = heap[parent]
            i = parent
        heap[i] = at

    cdef int pop(self) noexcept nogil:
        cdef int* heap = <int*> self.heap.items
        cdef int top = heap[0], last, i = 0, child
        cdef double upper
        self.heap.size -= 1
        last = heap[self.heap.size]
        upper = self.node(last).upper
        while True:
            child = 2 * i + 1
            if child >= self.heap.size:
                break
            if child + 1 < self.heap.size and self.bound_at(child + 1) > self.bound_at(child):
                child += 1
            if upper >= self.bound_at(child):
                break
            heap[i] = heap[child]
            i = child
        heap[i] = last
        return top

    cdef void close(self, int at, double value) noexcept nogil:
        """Drop a node in which the objective is at most `value`."""
        self.closed_upper = fmax(self.closed_upper, value)
        (<int*> self.spare.items)[self.spare.size] = at
        self.spare.size += 1

    def run(self, double target, long max_nodes):
        """Split the nodes with the largest bounds, until none is above `target`, or `max_nodes` more were bounded.

        It also ends when the first node is too narrow to be split.

        Parameters
        ----------
        target : float
            Values up to here do not matter, which `closed_upper` shows. Below 0: all poses matter.
        max_nodes : int
            Nodes come in pairs: one more if it is odd.

        Returns
        -------
        int
            The number of nodes that were bounded.

        Raises
        ------
        MemoryError
            If there is no memory for more nodes; none is lost.
        """
        cdef long done = 0
        cdef bint enough = True
        with nogil:
            while done < max_nodes and self.heap.size > 0 and self.bound_at(0) > target and not self.narrow():
                enough = self.make_room(2)
                if not enough:
                    break
                self.split(self.pop(), target)
                done += 2
        self.n_nodes += done
        if not enough:
            raise MemoryError(f"No memory for more than {self.heap.size} open nodes.")
        return done

    cdef bint narrow(self) noexcept nogil:
        """Return whether the first open node cannot be split."""
        cdef Node* node = self.node((<int*> self.heap.items)[0])
        return fmax(fmax(node.hi[0] - node.lo[0], node.hi[1] - node.lo[1]), node.hi[2] - node.lo[2]) < NARROWEST

    cdef void split(self, int first, double target) noexcept nogil:
        """Replace a node by two halves."""
        cdef int second, j, best = 0
        cdef double width = 0.0, most = 0.0, mid
        cdef Node* a = self.node(first)
        cdef Node* b
        for j in range(3):
            if a.hi[j] - a.lo[j] > width:
                width, best = a.hi[j] - a.lo[j], j
        if target > 0.0:
            for j in range(6):
                if a.share[j] > most and (j >= 3 or a.hi[j] - a.lo[j] > UNEVEN * width):
                    most, best = a.share[j], j
        mid = 0.5 * (a.lo[best] + a.hi[best])
        if best >= 3 and a.hi[best] < -3.0 * a.lo[best] and -a.lo[best] < 3.0 * a.hi[best]:
            # Only the ends matter, and in each half there is one.
            mid = 0.0
        record_split(&self.record, a.number, best, mid)
        if self.spare.size > 0:
            self.spare.size -= 1
            second = (<int*> self.spare.items)[self.spare.size]
        else:
            second = self.nodes.size
            self.nodes.size += 1
        b = self.node(second)
        memcpy(b, a, sizeof(Node))
        a.hi[best] = b.lo[best] = mid
        a.number = record_birth(&self.record, b.number, target)
        b.number = record_birth(&self.record, b.number, target)
        self.bound(first, target)
        self.bound(second, target)

    cdef void bound(self, int at, double target) noexcept nogil:
        """Bound the objective in a new node; open or close it."""
        cdef Node* node = self.node(at)
        cdef double c[8]
        cdef double shares[3]
        cdef double value = 0.0, offset, width
        cdef int j
        if not self.cut_off(at, target):
            return
        node.upper = fmin(node.upper, box_bound(self.kind, node.chart, node.lo, node.hi))
        if node.upper <= target:
            self.close(at, node.upper)
            return
        width = fmax(fmax(node.hi[0] - node.lo[0], node.hi[1] - node.lo[1]), node.hi[2] - node.lo[2])
        if width > WIDEST:
            self.push(at)
            return
        linearize(&self.data, &self.cones, &self.at, node.chart, node.lo, node.hi)
        shares[0] = shares[1] = shares[2] = 0.0
        if self.kind == TRANSLATION:
            if not self.tighten(node):
                self.close(at, -INFINITY)
                return
            if not self.cut_off(at, target):
                return
            offset = distance_cost(&self.data, &self.cones, &self.at, node.lo, node.hi, c)
        else:
            offset = rotation_cost(&self.cones, &self.at, node.chart, c, shares)
        offset += 1e-14 * fabs(offset)
        if self.program(node, c, target - offset, OBJECTIVE, &value) == INFEASIBLE:
            self.close(at, -INFINITY)
            return
        # A value that is not a number changes nothing.
        if offset + value < node.upper:
            node.upper = offset + value
        # The objective is a square: no pose has a negative one.
        if node.upper <= target or node.upper < 0.0:
            self.close(at, node.upper if node.upper >= 0.0 else -INFINITY)
            return
        self.blame(node, shares, width)
        for j in range(3):
            node.u[j] = 2.0 * self.at.half[j] * self.basis.u[j]
            node.tau[j] = self.at.middle[j] + self.at.width[j] * self.basis.u[3 + j]
        self.push(at)

    cdef Status program(self, Node* node, const double* c, double stop, int kind, double* value) noexcept nogil:
        """Solve a linear programme from the cuts of the node, which are replaced by those that it ends with."""
        cdef int i
        cdef Status status = solve(
            &self.cones, &self.basis, c, stop, node.n_cuts, node.code, node.n1, node.n2, value
        )
        self.n_programs += 1
        record_step(&self.record, node.number, kind + EMPTY if status == INFEASIBLE else kind, &self.basis, 6)
        node.n_cuts = 0
        for i in range(6):
            if self.basis.code[i] >= 0:
                node.code[node.n_cuts] = self.basis.code[i]
                node.n1[node.n_cuts], node.n2[node.n_cuts] = self.basis.n1[i], self.basis.n2[i]
                node.n_cuts += 1
        return status

    cdef bint cut_off(self, int at, double target) noexcept nogil:
        """Cut off what does not matter, and close the node if that is all of it; False if it is."""
        cdef Node* node = self.node(at)
        cdef int what = trim(self.kind, node.chart, target, node.lo, node.hi)
        if what == TRIMMED:
            self.closed_upper = fmax(self.closed_upper, target)
        if what == GONE:
            self.close(at, target)
        return what != GONE

    cdef bint tighten(self, Node* node) noexcept nogil:
        """Lower the end of tau that is farthest from 0; False if the node is infeasible."""
        cdef int i, j, far = 0
        cdef double size = -1.0, value = 0.0, end
        cdef double c[8]
        cdef double g[3]
        cdef double sign
        for j in range(3):
            if node.hi[3 + j] > size:
                size, far = node.hi[3 + j], 2 * j
            if -node.lo[3 + j] > size:
                size, far = -node.lo[3 + j], 2 * j + 1
        j = far >> 1
        sign = -1.0 if far & 1 else 1.0
        memset(c, 0, sizeof(c))
        c[3 + j] = sign * self.at.width[j]
        if self.program(node, c, -INFINITY, far, &value) == INFEASIBLE:
            return False
        for i in range(3):
            g[i] = sign * self.data.frame[3 * i + j]
        value += pivot_bend(&self.data, &self.cones, &self.at, g)
        end = sign * self.at.middle[j] + value + 1e-15 * (fabs(self.at.middle[j]) + fabs(value))
        if sign > 0.0 and end < node.hi[3 + j]:
            node.hi[3 + j] = end
        if sign < 0.0 and -end > node.lo[3 + j]:
            node.lo[3 + j] = -end
        return node.lo[3 + j] <= node.hi[3 + j]

    cdef void blame(self, Node* node, const double* shares, double width) noexcept nogil:
        """Estimate how much each coordinate adds to the bound: what the cuts behind it have room for, and the chord."""
        cdef int i, j
        cdef double scale, end
        cdef double s[3]
        for j in range(3):
            node.share[j], node.share[3 + j] = shares[j], 0.0
        for i in range(6):
            if 0 <= self.basis.code[i] < self.cones.K and self.basis.x[i] > 0.0:
                scale = self.basis.scale[i]
                bend(
                    &self.cones, self.basis.code[i], scale * self.basis.n1[i], scale * self.basis.n2[i], scale, s
                )
                for j in range(3):
                    node.share[j] += self.basis.x[i] * s[j]
        if self.kind == TRANSLATION and width <= NARROW:
            for j in range(3):
                end = self.at.middle[j] + self.at.width[j] * self.basis.u[3 + j]
                node.share[3 + j] = (node.hi[3 + j] - end) * (end - node.lo[3 + j])

    @property
    def open_upper(self):
        """The largest bound of an open node, or minus infinity."""
        return self.bound_at(0) if self.heap.size > 0 else -INFINITY

    @property
    def n_open(self):
        """The number of open nodes."""
        return self.heap.size

    @property
    def exhausted(self):
        """Whether the first open node is too narrow to be split."""
        return self.heap.size > 0 and self.narrow()

    def top(self):
        """Return the pose (R, tau) where the first open node attains its bound; it need not be in the set."""
        cdef Node* node = self.node((<int*> self.heap.items)[0])
        cdef int j
        cdef double v[3]
        cdef double s[3]
        cdef double C[9]
        cdef double D[9]
        cdef double R[9]
        cdef double square
        for j in range(3):
            v[j] = 0.5 * (node.lo[j] + node.hi[j])
        # s = A u is the rotation vector, but as long as the sine of the angle.
        s[0] = node.u[0] - (v[1] * node.u[2] - v[2] * node.u[1])
        s[1] = node.u[1] - (v[2] * node.u[0] - v[0] * node.u[2])
        s[2] = node.u[2] - (v[0] * node.u[1] - v[1] * node.u[0])
        square = fmin(along(s, s), 1.0)
        for j in range(3):
            s[j] /= 1.0 + sqrt(1.0 - square)
        cayley(v, C)
        multiply(self.data.charts + 9 * node.chart, C, D)
        cayley(s, C)
        multiply(D, C, R)
        return np.array([R[j] for j in range(9)]).reshape(3, 3), np.array([node.tau[j] for j in range(3)])

    def proof(self):
        """Return what was recorded: nodes, the steps that bounded them, and the cuts of these, as structured arrays."""
        return (
            np.frombuffer(view(&self.record.births), dtype=BIRTH),
            np.frombuffer(view(&self.record.steps), dtype=STEP),
            np.frombuffer(view(&self.record.cuts), dtype=CUT),
        )


cdef bytes view(Log* log):
    return log.items[: <Py_ssize_t> log.size * log.width]


BIRTH = np.dtype([("parent", "i4"), ("child", "i4"), ("dimension", "i4"), ("cut", "f8"), ("target", "f8")], align=True)
STEP = np.dtype([("node", "i4"), ("kind", "i4"), ("n_cuts", "i4")], align=True)
CUT = np.dtype([("code", "i4"), ("n1", "f8"), ("n2", "f8"), ("multiplier", "f8")], align=True)
