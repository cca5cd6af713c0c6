"""The semidefinite relaxation of order 1: small and loose, a yardstick for the others."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import ClassVar

from ...exceptions import SolverError
from ..conic import ConicSolver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .members import best_known
from .moments.relaxation import MomentBound, MomentRelaxation
from .moments.shor import safe_shor_bound, shor_bound
from .problem import Pose, PoseBoundProblem

__all__ = ["Shor", "ShorDual"]


@dataclass(frozen=True, eq=False)
class ShorDual:
    """The multipliers of the relaxation of order 1, as what proves a bound.

    Parameters
    ----------
    found : MomentBound
        What the relaxation says.
    """

    found: MomentBound

    def upper_bound(self, problem: PoseBoundProblem) -> float:
        """Return the bound that the multipliers prove, computed anew from the data of `problem`."""
        found = self.found
        proves = found.kind == problem.kind and problem.reach.max_distance <= found.max_distance < math.inf
        if found.blocks is None or not proves:
            return math.inf
        return safe_shor_bound(problem.cones, problem.R0, problem.t0, found.max_distance, found.kind, found.blocks)


class Shor(ConicSolver[PoseBoundProblem, Pose]):
    r"""Relaxation of order 1, by Shor: a matrix takes the place of the products of all pairs of entries of R and t.

    .. math::
        \max_{X \succeq 0} \; \langle F, X \rangle \quad \text{s.t.} \quad X_{00} = 1, \quad
        \langle Q_b, X \rangle \ge 0, \quad \|M_k X e_0\| \le b_k^\top X e_0

    over the symmetric matrices X of size 13 that obey all quadratic equations of a rotation. F is the matrix of the
    objective, and the Q_b are those of what is nonnegative on the set: ``(b_k^T s)^2 - ||M_k s||^2`` and
    ``b_k^T s - d_min`` for all keypoints, and ``1 - ||t - t_0||^2 / T^2`` with a radius T that is derived.

    Parameters
    ----------
    conic_solver : str, default="CLARABEL"
        Any solver for semidefinite programs that cvxpy has installed.
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds.
    verbose : bool, default=False
        Whether the conic solver prints.
    second_order_cones : bool, default=True
        Whether the mean pose ``X e_0`` has to be in the cones of the keypoints. Without, the bound is never smaller
        than that of `moment2` with the same radius.

    Notes
    -----
    Bounds take some hundredths of a second and hold whatever was rounded, but are many times too large: 90 degrees
    where poses reach 15. A `start` is one more pose to climb from to a lower bound.

    References
    ----------
    N. Z. Shor, "Quadratic optimization problems", Soviet Journal of Computer and Systems Sciences 25 (1987).

    Examples
    --------
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.shor import Shor
    >>> certificate = Shor().solve(random_instance(0, "rotation"), tol=0.02).certificate
    >>> bool(certificate.lower < certificate.upper < 8.0)
    True
    """

    name = "shor"
    problem = PoseBoundProblem
    guarantee = "relaxation"
    supports: ClassVar[frozenset[str]] = frozenset()
    accuracy = 1e-8

    def __init__(
        self,
        conic_solver: str = "CLARABEL",
        max_iter: int = 200,
        time_limit: float | None = None,
        verbose: bool = False,
        second_order_cones: bool = True,
    ) -> None:
        super().__init__(conic_solver, max_iter, time_limit, verbose)
        self.second_order_cones = second_order_cones

    def solve(
        self,
        problem: PoseBoundProblem,
        *,
        start: Start[Pose] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[Pose]:
        """Climb from members, and solve the relaxation."""
        began = time.perf_counter()
        given = self.start_point(problem, start)
        problem.check_bounded()
        _, x = best_known(problem, given)
        relaxation = MomentRelaxation(problem.cones, problem.R0, problem.t0, problem.reach.max_distance, problem.kind)
        dual, n_iter, message = None, 0, ""
        try:
            found, n_iter = shor_bound(relaxation, self._run, second_order_cones=self.second_order_cones)
            dual = ShorDual(found)
        except SolverError as error:
            if not self._is_installed():
                raise
            message = str(error)  # the trivial bound holds
        late = self.time_limit is not None and time.perf_counter() - began >= self.time_limit
        full = self.conic_solver == "CLARABEL" and n_iter >= self.max_iter  # the others keep their own limits
        stopped = "max_iter" if full else "time_limit" if late else "stalled"
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, dual=dual, stopped=stopped, message=message)
