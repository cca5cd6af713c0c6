"""The bound that a search tree proves, computed anew from the points, the cones and the multipliers alone.

Nothing of the search is believed but where it split boxes, and which cuts it combined with which multipliers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from .boundedness import ROUNDS, START, Enclosure, pair_reach
from .branch_and_bound import Root, TreeProof, root_box
from .cones import KeypointCones
from .objectives import Kind, ray_frame
from .rotations import nearest_rotation
from .validation import FloatArray

__all__ = ["verify_enclosure", "verify_tree"]

_ULP = float(np.finfo(np.float64).eps)
_ROUNDING = 64 * _ULP
_OBJECTIVE, _EMPTY = 6, 8
_CHARTS = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
#: Signs of the products of two coordinates at the corners of a box: of the first and second, first and third, others.
_CORNERS = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])

IntArray = npt.NDArray[np.intp]


def verify_tree(cones: KeypointCones, kind: Kind, R0: FloatArray, t0: FloatArray, proof: TreeProof) -> float:
    """Return the upper bound of ``|R - R0|_F^2`` or ``|t - t0|^2`` over a set of poses that a search tree proves.

    Parameters
    ----------
    cones, kind, R0, t0
        As in `BranchAndBound`.
    proof : TreeProof
        Of any origin: whatever numbers it holds, the bound is valid.

    Returns
    -------
    float
        Infinity if the boxes without children do not cover all poses, minus infinity if the set is proved to be empty.
        Values that the search did not have to tell from lower ones count with the threshold that it had.
    """
    R0, enclosure = nearest_rotation(R0), None
    if proof.enclosure is not None:
        enclosure = verify_enclosure(cones, ray_frame(t0), proof.enclosure)
    if enclosure is None and not math.isfinite(pair_reach(cones, np.zeros(3))):
        return math.inf
    tree = _Tree(cones, kind, R0, root_box(cones, kind, R0, t0, enclosure), proof)
    upper = tree.verify() if tree.is_complete() and tree.is_readable() else math.inf
    return upper * (1.0 if kind == "rotation" else cones.diameter**2)


def verify_enclosure(cones: KeypointCones, frame: FloatArray, enclosure: Enclosure) -> Enclosure | None:
    """Return the box of the pivot that the multipliers of an enclosure prove in a frame, or None if they prove none."""
    unit = cones.unit
    radius = np.linalg.norm(unit.points - unit.pivot, axis=1) * (1 + 1e-12)
    lower, upper = np.full(3, -START), np.full(3, START)
    for turn in range(ROUNDS):
        ends = np.empty(6)
        for side in range(6):
            used = enclosure.codes[turn, side] >= 0
            k = enclosure.codes[turn, side][used] % len(radius)
            x = _multipliers(enclosure.multipliers[turn, side][used])
            g = np.einsum("cij,ci->cj", unit.cones[k], _in_circle(enclosure.directions[turn, side][used]))
            g[:, 2] -= 1.0
            g /= np.linalg.norm(g, axis=1, keepdims=True)
            a = g @ frame
            rest = -x @ a
            rest[side // 2] += 1.0 if side % 2 else -1.0
            most = np.maximum(rest * lower, rest * upper)
            size = x @ radius[k] + np.abs(most).sum() + x @ np.abs(a) @ np.maximum(np.abs(lower), np.abs(upper))
            ends[side] = x @ radius[k] + most.sum() + _ROUNDING * size
        if not np.all(ends <= 0.5 * START):
            return None
        lower, upper = -ends[::2], ends[1::2]
    return enclosure._replace(frame=frame, lower=lower, upper=upper)


def _multipliers(x: FloatArray) -> FloatArray:
    return np.where(np.isfinite(x) & (x > 0), x, 0.0)


def _in_circle(n: FloatArray) -> FloatArray:
    """Return directions of length 1 at most: only their cuts are valid."""
    length = np.linalg.norm(n, axis=-1, keepdims=True)
    return np.where(np.isfinite(length), n / np.maximum(length, 1.0), 0.0)


def _twice_the_most(S: FloatArray) -> FloatArray:
    """Return upper bounds of twice the quadratic forms of matrices on the unit box: negative squares are left out.

    The matrices are symmetric, of shape (m, 3, 3).
    """
    squares = np.maximum(np.einsum("mii->mi", S), 0).sum(axis=1)
    products = np.stack([S[:, 0, 1], S[:, 0, 2], S[:, 1, 2]], axis=1) @ _CORNERS.T
    return cast(FloatArray, 2 * (squares + 2 * products.max(axis=1)))


def _cayley(v: FloatArray) -> FloatArray:
    W = _cross_matrix(v)
    return cast(FloatArray, np.eye(3) + 2 * (W + W @ W) / (1 + np.square(v).sum(axis=-1))[:, None, None])


def _cross_matrix(v: FloatArray) -> FloatArray:
    W = np.zeros((len(v), 3, 3))
    W[:, 2, 1], W[:, 0, 2], W[:, 1, 0] = v.T
    return W - np.swapaxes(W, 1, 2)


@dataclass(eq=False)
class _Linearization:
    """The relaxation on a number of boxes, at the centres v0 and with the half-widths of z and tau."""

    rotation: FloatArray
    turn: FloatArray
    A: FloatArray
    half: FloatArray
    middle: FloatArray
    width: FloatArray
    magnitude: FloatArray

    def room(self, G: FloatArray, P: FloatArray, radial: FloatArray, rows: IntArray) -> FloatArray:
        """Bound ``-g.(C R(v0) E p)``, given ``G = T'g``, ``P = T'(C R(v0) p)`` and their product before A."""
        A, half = self.A[rows], self.half[rows]
        product = G[:, :, None] * P[:, None]
        S = radial[:, None, None] * (np.swapaxes(A, 1, 2) @ A) - 0.5 * (product + np.swapaxes(product, 1, 2))
        return _twice_the_most(S * half[:, :, None] * half[:, None])


class _Tree:
    """A search tree whose boxes are computed from the roots down, one generation at a time."""

    def __init__(self, cones: KeypointCones, kind: Kind, R0: FloatArray, root: Root, proof: TreeProof) -> None:
        self.unit, self.kind, self.R0, self.root = cones.unit, kind, R0, root
        self.first = 0 if kind == "rotation" else 3
        self.parent = proof.births["parent"].astype(np.intp)
        self.child = proof.births["child"].astype(np.intp)
        self.dimension = proof.births["dimension"].astype(np.intp)
        self.cut, self.threshold = proof.births["cut"], proof.births["target"]
        self.steps, self.cuts = proof.steps, proof.cuts
        n = len(self.parent)
        self.lo, self.hi = np.zeros((n, 6)), np.zeros((n, 6))
        self.upper, self.alive = np.full(n, np.inf), np.ones(n, dtype=bool)
        self.chart = np.zeros(n, dtype=np.intp)
        #: The highest threshold below which a part of a box was dropped.
        self.dropped = -math.inf

    def is_complete(self) -> bool:
        """Return whether there are four roots, and each other node is one of the two halves of an earlier one."""
        n, split = len(self.parent), np.flatnonzero(self.child >= 0)
        if n < 4 or n != 4 + 2 * split.size or np.any(self.parent[:4] != -1):
            return False
        halves = np.concatenate([self.child[split], self.child[split] + 1])
        if not np.array_equal(np.sort(halves), np.arange(4, n)):
            return False
        whole = np.array_equal(self.parent[halves], np.tile(split, 2)) and np.all(self.parent[4:] < np.arange(4, n))
        dimensions = self.dimension[split]
        return bool(whole and np.all((dimensions >= 0) & (dimensions < 6)) and not np.any(np.isnan(self.cut[split])))

    def is_readable(self) -> bool:
        """Return whether all steps and cuts belong to something."""
        node, counts, code = self.steps["node"], self.steps["n_cuts"], self.cuts["code"]
        return bool(
            np.all((node >= 0) & (node < len(self.parent)))
            and np.all(counts >= 0)
            and counts.sum(dtype=np.int64) == len(code)
            and np.all((code >= 0) & (code < 2 * len(self.unit.points)))
        )

    def verify(self) -> float:
        """Return the largest bound among the nodes without children."""
        generation = np.zeros(len(self.parent), dtype=np.intp)
        for i in range(4, len(self.parent)):
            generation[i] = generation[self.parent[i]] + 1
        order = np.argsort(generation, kind="stable")
        # The steps of each node, in the order in which they were taken.
        by_node = np.argsort(self.steps["node"], kind="stable")
        first = np.searchsorted(self.steps["node"][by_node], np.arange(len(self.parent) + 1))
        starts = np.concatenate([[0], np.cumsum(self.steps["n_cuts"])])
        for nodes in np.split(order, np.flatnonzero(np.diff(generation[order])) + 1):
            self._make_boxes(nodes)
            self._trim(nodes)
            counts = first[nodes + 1] - first[nodes]
            stepping = nodes[counts > 0]
            if stepping.size:
                at = self._linearize(stepping)
                place = np.full(len(self.parent), -1)
                place[stepping] = np.arange(stepping.size)
                for turn in range(int(counts.max())):
                    taken = nodes[counts > turn]
                    self._take(taken, by_node[first[taken] + turn], place[taken], at, starts)
            self.upper[nodes] = np.fmin(self.upper[nodes], self._box_bound(nodes))
            # The objective is a square: no pose has a negative one.
            self.alive[nodes] &= self.upper[nodes] >= 0
        leaves = (self.child < 0) & self.alive
        return max(float(self.upper[leaves].max(initial=-np.inf)), self.dropped)

    def _make_boxes(self, nodes: IntArray) -> None:
        roots = nodes[nodes < 4]
        self.chart[roots] = roots
        self.lo[roots], self.hi[roots] = -1.0, 1.0
        self.lo[roots, 3:], self.hi[roots, 3:] = self.root.lower, self.root.upper
        nodes = nodes[nodes >= 4]
        parent = self.parent[nodes]
        self.lo[nodes], self.hi[nodes] = self.lo[parent], self.hi[parent]
        self.upper[nodes], self.alive[nodes] = self.upper[parent], self.alive[parent]
        self.chart[nodes] = self.chart[parent]
        below = nodes == self.child[parent]
        d, cut = self.dimension[parent], self.cut[parent]
        self.hi[nodes[below], d[below]] = np.minimum(self.hi[nodes[below], d[below]], cut[below])
        self.lo[nodes[~below], d[~below]] = np.maximum(self.lo[nodes[~below], d[~below]], cut[~below])
        self.alive[nodes] &= np.all(self.lo[nodes] <= self.hi[nodes], axis=1)

    def _trim(self, nodes: IntArray) -> None:
        """Drop the ends of boxes where the objective is below the threshold of the node."""
        target = self.threshold[nodes]
        wanted = (target > 0) & self.alive[nodes]
        if self.kind == "rotation":
            wanted &= (self.chart[nodes] == 0) & (target < 8)
        nodes, target = nodes[wanted], target[wanted]
        square = target / (8 - target) if self.kind == "rotation" else target
        part = slice(self.first, self.first + 3)
        largest = np.square(np.maximum(np.abs(self.lo[nodes, part]), np.abs(self.hi[nodes, part])))
        total = largest.sum(axis=1)
        rest = square[:, None] - (total[:, None] - largest) - 1e-14 * (square + total)[:, None]
        low = np.sqrt(np.maximum(rest, 0)) * (1 - 1e-14)
        raised = (np.abs(self.lo[nodes, part]) < low) & (rest > 0)
        lowered = (np.abs(self.hi[nodes, part]) < low) & (rest > 0)
        self.lo[nodes, part] = np.where(raised, low, self.lo[nodes, part])
        self.hi[nodes, part] = np.where(lowered, -low, self.hi[nodes, part])
        changed = np.any(raised | lowered, axis=1)
        self.dropped = max(self.dropped, float(target[changed].max(initial=-np.inf)))
        self.alive[nodes] &= np.all(self.lo[nodes] <= self.hi[nodes], axis=1)

    def _box_bound(self, nodes: IntArray) -> FloatArray:
        part = slice(self.first, self.first + 3)
        lo, hi = self.lo[nodes, part], self.hi[nodes, part]
        squares = np.square(np.maximum(np.abs(lo), np.abs(hi)))
        if self.kind == "translation":
            return cast(FloatArray, squares.sum(axis=1) * (1 + 1e-14))
        chart = self.chart[nodes]
        scalar = np.ones(len(nodes))
        turned = np.flatnonzero(chart > 0)
        axis = chart[turned] - 1
        scalar[turned] = np.maximum(0, np.maximum(lo[turned, axis], -hi[turned, axis])) ** 2
        squares[turned, axis] = 1.0
        vector = squares.sum(axis=1)
        return cast(FloatArray, 8 * vector / (vector + scalar) * (1 + 1e-14))

    def _linearize(self, nodes: IntArray) -> _Linearization:
        lo, hi = self.lo[nodes], self.hi[nodes]
        v = 0.5 * (lo + hi)[:, :3]
        reach = np.maximum(hi[:, :3] - v, v - lo[:, :3]) * (1 + 4 * _ULP)
        m = 1 + np.square(v).sum(axis=1) - (np.abs(v) * reach).sum(axis=1)
        rotation = (self.R0 * _CHARTS[self.chart[nodes]][:, None]) @ _cayley(v)
        A = np.eye(3) - _cross_matrix(v)
        at = _Linearization(
            rotation,
            rotation @ A,
            A,
            reach / (m * (1 - 1e-14))[:, None],
            np.zeros_like(v),
            np.zeros_like(v),
            np.zeros(len(v)),
        )
        axes = np.tile(np.concatenate([self.root.frame.T, -self.root.frame.T]), (len(nodes), 1))
        room = self._pivot_room(at, axes, np.repeat(np.arange(len(nodes)), 6)).reshape(-1, 2, 3)
        low, high = lo[:, 3:] - room[:, 0], hi[:, 3:] + room[:, 1]
        at.middle = 0.5 * (low + high)
        at.width = np.maximum(high - at.middle, at.middle - low) * (1 + 4 * _ULP)
        points = np.concatenate([self.root.points, self.root.points - self.root.pivot])
        at.magnitude = np.abs(at.middle).sum(axis=1) + at.width.sum(axis=1) + np.abs(self.root.origin).sum()
        at.magnitude += 2 * np.linalg.norm(points, axis=1).max()
        return at

    def _pivot_room(self, at: _Linearization, g: FloatArray, rows: IntArray) -> FloatArray:
        X, turn = at.rotation[rows] @ self.root.pivot, at.turn[rows]
        G, P = np.einsum("mij,mi->mj", turn, g), np.einsum("mij,mi->mj", turn, X)
        return at.room(G, P, np.einsum("mi,mi->m", g, X), rows)

    def _take(self, nodes: IntArray, steps: IntArray, place: IntArray, at: _Linearization, starts: IntArray) -> None:
        """Bound one linear function in each node, and use the bounds."""
        kind = self.steps["kind"][steps].astype(np.intp)
        sides = np.flatnonzero((kind >= 0) & (kind < _OBJECTIVE) & (self.kind == "translation"))
        objectives, empty = np.flatnonzero(kind == _OBJECTIVE), np.flatnonzero(kind >= _EMPTY)
        costs, offsets = np.zeros((len(nodes), 6)), np.zeros(len(nodes))
        sign = np.where(kind % 2, -1.0, 1.0)
        axis = np.where(kind < _OBJECTIVE, kind // 2, 0)
        costs[sides, 3 + axis[sides]] = (sign[:, None] * at.width[place])[sides, axis[sides]]
        costs[objectives], offsets[objectives] = self._objective(nodes[objectives], place[objectives], at)
        bounds = self._safe_bounds(costs, steps, place, at, starts)
        self.alive[nodes[empty[bounds[empty] < 0]]] = False
        self.upper[nodes[objectives]] = np.fmin(self.upper[nodes[objectives]], (bounds + offsets)[objectives])
        if sides.size:
            self._tighten(nodes[sides], axis[sides], sign[sides], bounds[sides], place[sides], at)

    def _tighten(
        self, nodes: IntArray, axis: IntArray, sign: FloatArray, bounds: FloatArray, place: IntArray, at: _Linearization
    ) -> None:
        value = bounds + self._pivot_room(at, sign[:, None] * self.root.frame[:, axis].T, place)
        middle = at.middle[place, axis]
        end = sign * middle + value + 1e-15 * (np.abs(middle) + np.abs(value))
        upper, lower = sign > 0, sign < 0
        self.hi[nodes[upper], 3 + axis[upper]] = np.fmin(self.hi[nodes[upper], 3 + axis[upper]], end[upper])
        self.lo[nodes[lower], 3 + axis[lower]] = np.fmax(self.lo[nodes[lower], 3 + axis[lower]], -end[lower])
        self.alive[nodes] &= np.all(self.lo[nodes] <= self.hi[nodes], axis=1)
        self._trim(nodes)

    def _objective(self, nodes: IntArray, place: IntArray, at: _Linearization) -> tuple[FloatArray, FloatArray]:
        """Return linear functions and constants above the objective, in units of the half-widths."""
        costs = np.zeros((len(nodes), 6))
        if self.kind == "translation":
            lo, hi = self.lo[nodes, 3:], self.hi[nodes, 3:]
            costs[:, 3:] = (lo + hi) * at.width[place]
            constants = ((lo + hi) * at.middle[place] - lo * hi).sum(axis=1)
            constants += self._pivot_room(at, (lo + hi) @ self.root.frame.T, place)
            return costs, constants + 1e-14 * np.abs(constants)
        A, half = at.A[place], at.half[place]
        Q = self.R0.T @ at.rotation[place]
        trace = np.einsum("mii->m", Q)
        q = np.stack([Q[:, 1, 2] - Q[:, 2, 1], Q[:, 2, 0] - Q[:, 0, 2], Q[:, 0, 1] - Q[:, 1, 0]], axis=1)
        costs[:, :3] = -4 * np.einsum("mij,mi->mj", A, q) * half
        S = np.swapaxes(A, 1, 2) @ (trace[:, None, None] * np.eye(3) - 0.5 * (Q + np.swapaxes(Q, 1, 2))) @ A
        constants = np.square(at.rotation[place] - self.R0).sum(axis=(1, 2))
        constants += 2 * _twice_the_most(S * half[:, :, None] * half[:, None])
        return costs, constants + 1e-14 * np.abs(constants)

    def _safe_bounds(
        self, costs: FloatArray, steps: IntArray, place: IntArray, at: _Linearization, starts: IntArray
    ) -> FloatArray:
        """Return upper bounds of linear functions: cuts times their multipliers, and the box takes up the rest."""
        counts = self.steps["n_cuts"][steps]
        owner = np.repeat(np.arange(len(steps)), counts)
        within = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
        cuts = self.cuts[starts[steps][owner] + within]
        x = _multipliers(cuts["multiplier"])
        a, b, size = self._columns(cuts, place[owner], at)
        sums = np.column_stack([x * b, x * (np.abs(b) + size + np.abs(a).sum(axis=1)), x[:, None] * a])
        total, absolute, *combined = (np.bincount(owner, column, minlength=len(steps)) for column in sums.T)
        absolute, rest = absolute + np.abs(costs).sum(axis=1), costs - np.stack(combined, axis=1)
        bounds = total + np.abs(rest).sum(axis=1) + _ROUNDING * absolute
        return np.where(np.isnan(bounds), np.inf, bounds)

    def _columns(
        self, cuts: npt.NDArray[np.void], rows: IntArray, at: _Linearization
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return coefficients, right-hand sides and sizes of cuts in boxes, divided by the length of g."""
        unit, root = self.unit, self.root
        K = len(unit.points)
        k, depth = cuts["code"] % K, cuts["code"] >= K
        n = np.where(depth[:, None], 0.0, _in_circle(np.stack([cuts["n1"], cuts["n2"]], axis=1)))
        g = np.einsum("cij,ci->cj", unit.cones[k], n)
        g[:, 2] -= 1.0
        length = np.linalg.norm(g, axis=1)
        g /= length[:, None]
        X = np.einsum("cij,cj->ci", at.rotation[rows], root.points[k])
        Y = X + root.origin + at.middle[rows] @ root.frame.T
        turn = at.turn[rows]
        # g.(T e_j x X) = (T e_j).(X x g)
        moved = np.einsum("cij,ci->cj", turn, np.cross(X, g))
        a = np.concatenate([2 * at.half[rows] * moved, at.width[rows] * (g @ root.frame)], axis=1)
        arm = np.einsum("cij,cj->ci", at.rotation[rows], (root.points - root.pivot)[k])
        G, P = np.einsum("cij,ci->cj", turn, g), np.einsum("cij,ci->cj", turn, arm)
        b = at.room(G, P, np.einsum("ci,ci->c", g, arm), rows) - np.einsum("ci,ci->c", g, Y)
        b -= np.where(depth, unit.min_depth, 0.0)
        rows_of = np.abs(unit.cones[k]).sum(axis=2).max(axis=1) * np.abs(n).sum(axis=1)
        return a, b, at.magnitude[rows] * (rows_of / length + 1 / length)
