"""Coordinate descent on working sets, for every penalty, convex or not."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..lasso.frame import FloatArray
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from .backend import Backend
from .problem import PenalizedLeastSquaresProblem
from .sweeps import Sweeps

__all__ = ["CoordinateDescent"]

# A working set is solved to this fraction of the largest violation: less costs more looks, more too many sweeps.
_INNER = 0.03


class CoordinateDescent(Backend):
    """Cyclic coordinate descent on working sets of the worst violators.

    Every step minimises the objective exactly along one coordinate, so that the objective never increases.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets.
    time_limit : float or None, default=None
        Seconds.
    restart : bool, default=True
        Whether a non-convex problem that is given a start is also solved from zero, and the better point kept.

    Notes
    -----
    The guarantee "exact" is that of the certificate: for a non-convex penalty no single coordinate can improve the
    point, which need not be a global minimum.

    References
    ----------
    P. Breheny and J. Huang, "Coordinate descent algorithms for nonconvex penalized regression", Annals of Applied
    Statistics 5 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import MCP
    >>> from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem
    >>> from estimand.solvers.penalized_least_squares.coordinate_descent import CoordinateDescent
    >>> A, y = np.sqrt(2) * np.eye(2), np.array([3.0, -0.5])
    >>> problem = PenalizedLeastSquaresProblem(A=A, y=y, penalty=MCP(alpha=0.5))
    >>> CoordinateDescent().solve(problem, tol=1e-8).x.round(4) + 0.0
    array([2.1213, 0.    ])
    """

    name = "coordinate_descent"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {
            "sparse",
            "float32",
            "weights",
            "free",
            "sample_weight",
            "positive",
            "intercept",
            "nonconvex",
            "own_penalty",
            "callback",
        }
    )

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None, restart: bool = True) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.restart = restart

    def solve(
        self,
        problem: PenalizedLeastSquaresProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Descend until `problem` certifies the point."""
        sweeps = Sweeps(problem)
        points = [problem.repair(self.start_point(problem, start))]
        if self.restart and not problem.penalty.is_convex and points[0].any():
            points.append(problem.initial_point())
        best: Solution[FloatArray] | None = None
        for point in points:
            solution = self._descend(problem, sweeps, point, tol, callback)
            if best is None or (not solution.converged, solution.objective) < (not best.converged, best.objective):
                best = solution
            if solution.status in ("interrupted", "callback", "time_limit"):
                break
        assert best is not None
        return best

    def _descend(
        self,
        problem: PenalizedLeastSquaresProblem,
        sweeps: Sweeps,
        x: FloatArray,
        tol: float,
        callback: Callback | None,
    ) -> Solution[FloatArray]:
        # The gap needs more than small violations: it falls with their square, or is not reached.
        target = 0.0 if problem.has_gap else 0.3 * tol * problem.scale
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x):
                assert run.certificate is not None
                before, x = x, np.array(problem.view.complete(x))
                seen = run.certificate.byproducts
                if "violations" in seen and not problem.free.size:
                    violations, correlation = seen["violations"], seen["correlation"]
                else:
                    violations, correlation = sweeps.look(x)
                working = sweeps.working_set(x, violations)
                accuracy = max(_INNER * float(violations.max(initial=0.0)), target)
                if sweeps.descend(x, working, accuracy, correlation) == 0 and np.array_equal(x, before):
                    run.stall("no coordinate step changes the point any more")
                    break
        return run.solution()
