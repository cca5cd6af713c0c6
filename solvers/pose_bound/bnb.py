"""The default backend: branch and bound over rotations and translations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from ...exceptions import InfeasibleProblemError
from ..base import Solver
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from .ascent import REFRESH_BARRIERS, Member, climb
from .branch_and_bound import SLICE, BranchAndBound, TreeProof, prove_empty
from .members import best_known
from .problem import Pose, PoseBoundProblem
from .validation import FloatArray
from .verification import verify_tree

__all__ = ["Bnb", "TreeDual"]


@dataclass(frozen=True, eq=False)
class TreeDual:
    """The tree of a search, as what proves its bound.

    Parameters
    ----------
    proof : TreeProof
        Where boxes were split, and the multipliers of their linear programmes.
    """

    proof: TreeProof

    def upper_bound(self, problem: PoseBoundProblem) -> float:
        """Return the bound that the tree proves, computed anew from the data of `problem`."""
        return verify_tree(problem.cones, problem.kind, problem.R0, problem.t0, self.proof)


class Bnb(Solver[PoseBoundProblem, Pose]):
    r"""Branch and bound over boxes of rotations and translations, the one with the largest bound first.

    Rotations are ``C R(v)`` with ``|v_j| <= 1``, four of the matrices C, and Cayley's map

    .. math:: R(v) = I + \frac{2}{1 + \|v\|^2} \left([v]_\times + [v]_\times^2\right)

    In a box of v and t the points ``X_k`` are nearly linear in coordinates whose box is hardly larger, and what is left
    over is bounded by a quadratic form. So the poses in the box satisfy second-order cone constraints with some room,
    and linear programmes with tangents of these cones, and multipliers that are checked with all rounding errors on the
    safe side, bound the objective, shrink the box, or prove that it holds no member.

    Parameters
    ----------
    max_nodes : int, default=20000
        Boxes to bound. If they do not suffice the bound is larger than it could be, and as valid.
    time_limit : float or None, default=None
        Seconds.
    n_samples : int, default=1000
        Random triples of keypoints from which members are searched that begin the climbs to lower bounds.
    random_state : int or None, default=0
        For these samples.

    Notes
    -----
    Lower bounds are local maxima that climbs from members reach, and new ones from the poses of the boxes with the
    largest bounds. A `start` is one more pose to climb from.

    References
    ----------
    R. Hartley and F. Kahl, "Global optimization through rotation space search", IJCV 82 (2009), for bounds over boxes
    of rotations. H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint
    detection and geometric uncertainty propagation", CVPR (2023), section 5, for the problem.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound import KeypointCones, PoseBoundProblem
    >>> from estimand.solvers.pose_bound.bnb import Bnb
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], np.tile(1e4 * np.eye(2), (4, 1, 1)), points)
    >>> problem = PoseBoundProblem(cones=cones, R0=np.eye(3), t0=np.array([0.0, 0.0, 1.0]), kind="translation")
    >>> solution = Bnb().solve(problem, tol=0.02)
    >>> lower, upper = np.sqrt([solution.certificate.lower, solution.certificate.upper])
    >>> bool(0.1 < lower <= upper <= 1.011 * lower)
    True
    """

    name = "bnb"
    problem = PoseBoundProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"callback"})
    max_iter = 2**31 - 1  # boxes are what is counted

    def __init__(
        self,
        max_nodes: int = 20000,
        time_limit: float | None = None,
        n_samples: int = 1000,
        random_state: int | None = 0,
    ) -> None:
        self.max_nodes = max_nodes
        self.time_limit = time_limit
        self.n_samples = n_samples
        self.random_state = random_state

    def solve(
        self,
        problem: PoseBoundProblem,
        *,
        start: Start[Pose] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[Pose]:
        """Climb from members, then bound boxes until the bounds meet."""
        given = self.start_point(problem, start)
        problem.check_bounded()
        search, x = self._begin(problem, given, tol)
        certified = False
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while not search.done and search.n_nodes < self.max_nodes:
                search.advance(min(SLICE, self.max_nodes - search.n_nodes))
                x = x if search.member is None else Pose(search.member.R, search.member.t)
                claim = problem.claim(search.lower, search.upper, tol=tol)
                if search.done or not run.go_on(x, value=claim, objective=search.lower):
                    break
            if search.upper == -math.inf:
                raise InfeasibleProblemError("No pose puts every keypoint in its set: this is proved.")
            if run.status is None:
                certified = True
                run.go_on(x, dual=TreeDual(search.proof()))
        if not certified:
            run.certify(x, TreeDual(search.proof()))
        if run.status is None and not search.done:
            run.status, run.message = "max_iter", f"all of max_nodes={self.max_nodes} boxes were bounded"
        return replace(run.solution(), n_iter=search.n_nodes)

    def _begin(self, problem: PoseBoundProblem, given: Pose, tol: float) -> tuple[BranchAndBound, Pose]:
        """Return a search with the best member that climbs find, and that member, or the pose closest to being one.

        Raises
        ------
        InfeasibleProblemError
            If it is proved that there is no member.
        """
        cones, R0, t0 = problem.cones, problem.R0, problem.t0
        kind, objective = problem.kind, (problem.kind, R0, t0)
        best, x = best_known(problem, given, self.n_samples, self.random_state)
        if best is None:
            decided = prove_empty(cones, *x, max_nodes=self.max_nodes, time_limit=self.time_limit)
            if decided.empty:
                raise InfeasibleProblemError("No pose puts every keypoint in its set: this is proved.")
            if decided.member is not None:
                best = climb(cones, *objective, *decided.member)

        def refresh(R: FloatArray, t: FloatArray) -> Member | None:
            return climb(cones, *objective, R, t, barriers=REFRESH_BARRIERS)

        enclosure = problem.reach.enclosure
        search = BranchAndBound(
            cones, kind, R0, t0, enclosure=enclosure, tol=tol, member=best, refresh=refresh, keep_proof=True
        )
        return search, x if best is None else Pose(best.R, best.t)
