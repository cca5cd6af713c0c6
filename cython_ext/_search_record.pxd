"""The record of a search, from which its bound can be proved again, in arrays that grow by doubling."""

from libc.stdlib cimport realloc

from _cone_basis cimport LAST, Basis

cdef enum:
    #: Kinds of steps: ``2 j`` lowers the upper end of tau_j, one more raises its lower end, EMPTY is added to either.
    OBJECTIVE = 6
    EMPTY = 8

#: Items of one width, of which there is room for `capacity`.
ctypedef struct Log:
    char* items
    int size
    int capacity
    int width

#: A node: where it comes from, where it was split, and the value below which the objective did not matter.
ctypedef struct Birth:
    int parent
    int child             # the first of two, or -1
    int dimension
    double cut
    double target

#: A linear programme in a node.
ctypedef struct Step:
    int node
    int kind
    int n_cuts

#: A cut with a positive multiplier.
ctypedef struct Cut:
    int code
    double n1
    double n2
    double multiplier

ctypedef struct Record:
    bint kept
    Log births
    Log steps
    Log cuts


cdef inline bint reserve(Log* log, int more) noexcept nogil:
    """Make room for more items."""
    cdef int capacity = log.capacity
    cdef char* items
    while log.size + more > capacity:
        capacity = 2 * capacity if capacity > 0 else 64
    if capacity > log.capacity:
        items = <char*> realloc(log.items, <size_t> capacity * log.width)
        if items == NULL:
            return False
        log.items, log.capacity = items, capacity
    return True


cdef inline bint reserve_record(Record* record, int n_nodes) noexcept nogil:
    """Make room for more nodes, each with two steps."""
    return not record.kept or (
        reserve(&record.births, n_nodes)
        and reserve(&record.steps, 2 * n_nodes)
        and reserve(&record.cuts, 2 * n_nodes * LAST)
    )


cdef inline Birth* birth(Record* record, int number) noexcept nogil:
    return (<Birth*> record.births.items) + number


cdef inline int record_birth(Record* record, int parent, double target) noexcept nogil:
    """Record a node and return its number."""
    cdef Birth* new
    if not record.kept:
        return 0
    new = birth(record, record.births.size)
    new.parent, new.child, new.dimension, new.cut, new.target = parent, -1, -1, 0.0, target
    record.births.size += 1
    return record.births.size - 1


cdef inline void record_split(Record* record, int number, int dimension, double cut) noexcept nogil:
    """Record how a node is split, before its halves are."""
    cdef Birth* parent
    if record.kept:
        parent = birth(record, number)
        parent.child, parent.dimension, parent.cut = record.births.size, dimension, cut


cdef inline void record_step(Record* record, int node, int kind, Basis* basis, int n) noexcept nogil:
    """Record the multipliers of a linear programme with n columns; the last column has one if it is infeasible."""
    cdef Step* step
    cdef Cut* cut
    cdef int i
    if not record.kept:
        return
    step = (<Step*> record.steps.items) + record.steps.size
    step.node, step.kind, step.n_cuts = node, kind, 0
    record.steps.size += 1
    for i in range(LAST + 1):
        if (i < n or i == LAST and kind >= EMPTY) and basis.code[i] >= 0 and basis.x[i] > 0.0:
            cut = (<Cut*> record.cuts.items) + record.cuts.size
            cut.code, cut.n1, cut.n2, cut.multiplier = basis.code[i], basis.n1[i], basis.n2[i], basis.x[i]
            record.cuts.size += 1
            step.n_cuts += 1
