"""The semidefinite relaxation of order 2, with an interior-point method of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from ..base import Solver
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from ..threads import one_blas_thread
from .ascent import climb
from .members import best_known
from .moments.chain import Chain, MomentDual, chains
from .moments.relaxation import MomentBound, MomentRelaxation, moment_bounds
from .problem import Pose, PoseBoundProblem

__all__ = ["Moment2"]

#: Bounds are the relaxation's value up to this share, however little is asked for.
_ACCURACY = 1e-3


class Moment2(Solver[PoseBoundProblem, Pose]):
    r"""Moment relaxation of order 2, by an interior-point method.

    .. math::
        \max_L \; L(f) \quad \text{s.t.} \quad L(1) = 1, \quad L(m m^T) \succeq 0, \quad L(q_b \, n n^T) \succeq 0

    over the linear functionals L on the polynomials of degree 4 in R and t, modulo those that vanish on the rotations.
    The vectors m and n hold all monomials of degree at most 2 and 1; the polynomials q_b are nonnegative on the set:
    ``(b_k^T s)^2 - ||M_k s||^2`` and ``b_k^T s - d_min`` for all keypoints, and ``1 - ||t - t_0||^2 / T^2``.

    Parameters
    ----------
    max_iter : int, default=200
        Steps of the interior-point method, in all relaxations that are solved.
    time_limit : float or None, default=None
        Seconds.
    n_samples : int, default=1000
        Random triples of keypoints from which members are searched that begin the climbs to lower bounds.
    random_state : int or None, default=0
        For these samples.

    Notes
    -----
    The first radius T is the one at which the set is known to end (`PoseBoundProblem.reach`); the bound on the
    translation is the next one, until it hardly shrinks. The multipliers of all these relaxations are the dual point.
    What they prove holds whatever was rounded: residuals are computed in twice the precision of a double, and what is
    left of them is added to the bound. The bound need not meet the lower one: how tight a relaxation is depends on the
    instance, and sets whose discs are below half a pixel make it weak. Lower bounds come from climbs; a `start` is one
    more pose to climb from.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, section 5. J. B. Lasserre, "Global optimization with polynomials and
    the problem of moments", SIAM Journal on Optimization 11 (2001). C. Jansson, D. Chaykin and C. Keil, "Rigorous error
    bounds for the optimal value in semidefinite programming", SIAM Journal on Numerical Analysis 46 (2007).

    Examples
    --------
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.moment2 import Moment2
    >>> solution = Moment2().solve(random_instance(0, "translation"), tol=0.02)
    >>> certificate = solution.certificate
    >>> bool(certificate.lower <= certificate.upper <= 1.02 * certificate.lower)
    True
    """

    name = "moment2"
    problem = PoseBoundProblem
    guarantee = "relaxation"
    supports: ClassVar[frozenset[str]] = frozenset({"callback"})

    def __init__(
        self,
        max_iter: int = 200,
        time_limit: float | None = None,
        n_samples: int = 1000,
        random_state: int | None = 0,
    ) -> None:
        self.max_iter = max_iter
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
        """Climb from members, then solve one relaxation after another, with smaller and smaller radii."""
        given = self.start_point(problem, start)
        problem.check_bounded()
        best, x = best_known(problem, given, self.n_samples, self.random_state)
        lower = -math.inf if best is None else best.value

        def solve(relaxation: MomentRelaxation, loose_below: float) -> Iterator[MomentBound]:
            incumbent = lower if relaxation.kind == problem.kind else -math.inf
            accuracy = min(tol, _ACCURACY)
            return moment_bounds(relaxation, tol=accuracy, incumbent=incumbent, loose_below=loose_below)

        dual = MomentDual(())
        with one_blas_thread(), Monitor(self, problem, tol=tol, callback=callback) as run:
            for chain in chains(problem, solve):
                dual = MomentDual(chain)
                upper = dual.claimed_bound(problem.kind)
                go_on = run.go_on(x, value=problem.claim(lower, upper, tol=tol), objective=lower)
                if not go_on or upper - lower <= tol * max(lower, problem.scale):
                    break
            x = self._farther(problem, x, dual.chain)
        run.certify(x, dual)
        return run.solution()

    @staticmethod
    def _farther(problem: PoseBoundProblem, x: Pose, chain: Chain) -> Pose:
        """Return the member that is reached from the moments of degree 1, if it is better than `x`."""
        poses = [found.pose for found in chain if found.kind == problem.kind and found.pose is not None]
        member = climb(problem.cones, problem.kind, problem.R0, problem.t0, *poses[-1]) if poses else None
        if member is None or (problem.is_member(x) and member.value <= problem.objective(x)):
            return x
        return Pose(member.R, member.t)
