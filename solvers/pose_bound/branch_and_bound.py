"""The search for an upper bound by branch and bound, a slice at a time, and the proof that a set is empty.

The bounds of the boxes are compiled. Here are units, the root box, what closes a search, and better members on the way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ...cython_ext._bnb_pose import PoseTree
from .ascent import Member, find_member
from .boundedness import Enclosure, common_point, enclose, pair_reach
from .cones import KeypointCones
from .objectives import Kind, negligible, ray_frame
from .rotations import nearest_rotation
from .validation import FloatArray

__all__ = ["BranchAndBound", "Emptiness", "Progress", "Refresh", "Root", "TreeProof", "prove_empty", "root_box"]

#: What of the tolerance the search uses; the rest is for rounding errors when its proof is read again.
_SHARE = 0.995
#: Nodes of a slice: some milliseconds.
SLICE = 250

#: A function that looks for a member near a pose.
Refresh: TypeAlias = Callable[[FloatArray, FloatArray], Member | None]


class TreeProof(NamedTuple):
    """What proves the bound of a search, for `verify_tree`.

    Parameters
    ----------
    enclosure : Enclosure or None
        The proof of the root box; None: it follows from a pair of ellipses that are seen apart.
    births : structured array, one item a node
        Its parent, the first of its two children (-1: it has none), the coordinate and the value where it was split,
        and the value below which the objective did not matter.
    steps : structured array
        Linear programmes: the node, what was bounded, and the number of cuts.
    cuts : structured array
        Cones, directions and multipliers, in the order of the steps.
    """

    enclosure: Enclosure | None
    births: npt.NDArray[np.void]
    steps: npt.NDArray[np.void]
    cuts: npt.NDArray[np.void]


class Root(NamedTuple):
    """The box of positions ``origin + frame tau`` that a search starts from, in diameters of the object.

    For rotations it is about the pivot, for translations about the object's origin, which is t; `points` and `pivot`
    are relative to that.
    """

    points: FloatArray
    pivot: FloatArray
    origin: FloatArray
    frame: FloatArray
    lower: FloatArray
    upper: FloatArray


class Progress(NamedTuple):
    """The state of a search between two slices.

    Parameters
    ----------
    n_nodes : int
        Boxes that were bounded.
    upper, lower : float
        Proved bounds of the largest objective. Without a member `lower` is minus infinity, and both are if the set is
        proved to be empty.
    R, t : arrays of shape (3, 3) and (3,), or None
        The pose in the box with the largest bound that seems to attain it; it need not be a member.
    """

    n_nodes: int
    upper: float
    lower: float
    R: FloatArray | None
    t: FloatArray | None


def root_box(cones: KeypointCones, kind: Kind, R0: FloatArray, t0: FloatArray, enclosure: Enclosure | None) -> Root:
    """Return a box that holds the positions of all poses, from an enclosure or from a pair of ellipses seen apart.

    Raises
    ------
    ValueError
        If neither proves that there is one.
    """
    unit, frame, center = cones.unit, ray_frame(t0), t0 / cones.diameter
    about_pivot = kind == "rotation"
    moved = unit.pivot if about_pivot else np.zeros(3)
    origin = center + R0 @ moved
    if enclosure is not None:
        room = 0.0 if about_pivot else float(np.linalg.norm(unit.pivot)) * (1 + 1e-12)
        lower, upper = enclosure.lower - room - frame.T @ origin, enclosure.upper + room - frame.T @ origin
    else:
        reach = pair_reach(unit, moved) + float(np.linalg.norm(origin))
        if not math.isfinite(reach):
            raise ValueError("The set is not proved to be bounded: there is no box to start from.")
        lower, upper = np.full(3, -reach), np.full(3, reach)
    slack = 1e-12 * (1 + np.abs(lower) + np.abs(upper) + float(np.linalg.norm(origin)))
    return Root(unit.points - moved, unit.pivot - moved, origin, frame, lower - slack, upper + slack)


class BranchAndBound:
    """Bound ``|R - R0|_F^2`` or ``|t - t0|^2`` over a set of poses from above, best first.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    kind : {"rotation", "translation"}
        The objective.
    R0, t0 : arrays of shape (3, 3) and (3,)
        The centre, a rotation; it need not be in the set.
    enclosure : Enclosure or None
        A box of the position of the pivot, in the frame of t0.
    tol : float
        The search is done when ``upper - lower <= tol max(lower, absolute)``, where `absolute` is the square of 1e-5
        rad, or of 1e-5 diameters of the object.
    member : Member or None
        A pose of the set. Without one nothing is closed but what is infeasible, and `lower` is minus infinity.
    refresh : callable or None
        Called after each slice with the pose that the largest bound belongs to; returns a `Member` near it, or None.
    keep_proof : bool, default=False
        Whether `proof` will be asked for.

    Attributes
    ----------
    member : Member or None
        The best that is known.
    n_nodes : int
        Boxes that were bounded.

    Raises
    ------
    ValueError
        If there is no enclosure and no two ellipses are seen apart.

    Notes
    -----
    The bound holds whenever the search is stopped: it counts all open boxes, those that were closed, and the member for
    those that were closed against it.
    """

    def __init__(
        self,
        cones: KeypointCones,
        kind: Kind,
        R0: FloatArray,
        t0: FloatArray,
        *,
        enclosure: Enclosure | None,
        tol: float,
        member: Member | None = None,
        refresh: Refresh | None = None,
        keep_proof: bool = False,
    ) -> None:
        self.cones, self.kind, self.tol, self.member, self.refresh = cones, kind, tol, member, refresh
        self._R0, self._enclosure = nearest_rotation(R0), enclosure
        self._square = 1.0 if kind == "rotation" else cones.diameter**2
        self.absolute = negligible(kind, cones.diameter)
        root = root_box(cones, kind, self._R0, t0, enclosure)
        self._root, self._keep_proof = root, keep_proof
        self._tree = PoseTree(
            0 if kind == "rotation" else 1,
            np.ascontiguousarray(root.points),
            root.pivot,
            cones.cones,
            self._R0,
            root.origin,
            root.frame,
            root.lower,
            root.upper,
            cones.unit.min_depth,
            keep_proof,
        )

    @property
    def n_nodes(self) -> int:
        """Boxes that were bounded."""
        return self._tree.n_nodes

    @property
    def lower(self) -> float:
        """The objective of the member, or minus infinity."""
        return -math.inf if self.member is None else self.member.value

    @property
    def upper(self) -> float:
        """A proved upper bound of the objective."""
        return max(max(self._tree.open_upper, self._tree.closed_upper) * self._square, self.lower)

    @property
    def target(self) -> float:
        """The upper bound at which the search is done; negative without a member."""
        if self.member is None:
            return -1.0
        return self.lower + _SHARE * self.tol * max(self.lower, self.absolute)

    @property
    def done(self) -> bool:
        """Whether the bounds are close enough, or the box with the largest bound is too narrow to be split."""
        return self._tree.open_upper <= self.target / self._square or self._tree.exhausted

    def advance(self, max_nodes: int = SLICE) -> Progress:
        """Bound up to `max_nodes` more boxes, look for a better member, and return the state."""
        target = self.target / self._square
        self._tree.run(target, max_nodes)
        R, t = self._top()
        if R is not None and t is not None and self.refresh is not None and self._tree.open_upper > target:
            found = self.refresh(R, t)
            if found is not None and found.value > self.lower:
                self.member = found
        return Progress(self.n_nodes, self.upper, self.lower, R, t)

    def proof(self) -> TreeProof:
        """Return what proves the bound, if it was kept."""
        if not self._keep_proof:
            raise ValueError("The proof of this search was not kept: pass keep_proof=True.")
        return TreeProof(self._enclosure, *self._tree.proof())

    def _top(self) -> tuple[FloatArray | None, FloatArray | None]:
        if self._tree.n_open == 0:
            return None, None
        R, tau = self._tree.top()
        position = self._root.origin + self._root.frame @ tau
        if self.kind == "rotation":
            position = position - R @ self.cones.unit.pivot
        return R, position * self.cones.diameter


class Emptiness(NamedTuple):
    """Whether a set of poses is empty.

    Parameters
    ----------
    empty : bool or None
        True: proved; False: not empty; None: undecided within the budget.
    member : tuple of arrays or None
        A pose (R, t) of the set, where one was found.
    n_nodes : int
        Boxes that were bounded.
    """

    empty: bool | None
    member: tuple[FloatArray, FloatArray] | None
    n_nodes: int


def prove_empty(
    cones: KeypointCones,
    R: FloatArray,
    t: FloatArray,
    *,
    max_nodes: int = 20_000,
    time_limit: float | None = None,
) -> Emptiness:
    """Try to prove that a set is empty, and to find a member in turn.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    R, t : arrays of shape (3, 3) and (3,)
        A pose, for instance one that violates the set least: members are looked for near it first.
    max_nodes : int
        Boxes.
    time_limit : float or None
        Seconds.

    Returns
    -------
    Emptiness
        Undecided sets are those that are empty, or not, by a small margin.
    """
    start = time.perf_counter()
    member = find_member(cones, R, t)
    if member is not None:
        return Emptiness(False, member, 0)
    shared = common_point(cones.cones)
    if shared is not None:
        inside = float(np.linalg.norm(cones.cones @ np.append(shared, 1.0), axis=1).max()) < 1
        return Emptiness(False if inside else None, None, 0)
    enclosure = enclose(cones, ray_frame(t))
    if enclosure is None and not math.isfinite(pair_reach(cones, np.zeros(3))):
        return Emptiness(None, None, 0)
    search = BranchAndBound(cones, "rotation", R, t, enclosure=enclosure, tol=0.0)
    while search.n_nodes < max_nodes and (time_limit is None or time.perf_counter() - start < time_limit):
        state = search.advance(min(SLICE, max_nodes - search.n_nodes))
        if state.upper == -math.inf:
            return Emptiness(True, None, state.n_nodes)
        if search.done or state.R is None or state.t is None:
            break
        member = find_member(cones, state.R, state.t)
        if member is not None:
            return Emptiness(False, member, state.n_nodes)
    return Emptiness(None, None, search.n_nodes)
