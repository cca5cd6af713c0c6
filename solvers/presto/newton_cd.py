"""The default backend: proximal Newton steps by coordinate descent, on growing sets of features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..certificate import changed
from ..monitor import Monitor
from ..ordinal.likelihood import FloatArray
from ..ordinal.problem import OrdinalPoint
from ..ordinal.proximal_newton import ProximalNewton
from ..ordinal.restricted import Restricted
from ..solution import Callback, Solution, Start
from .barrier import BarrierLikelihood
from .problem import PrestoProblem

__all__ = ["NewtonCD"]

_FIRST_BARRIER = 0.1
_BARRIER_RATIO = 0.3
_LAST_BARRIER = 1e-8
_STEPS_A_BARRIER = 50
_BARRIER_TOL = 1e-6


class _RestrictedPresto(Restricted):
    """PRESTO on some features: the coefficients are the differences of slopes."""

    def predictors(self, theta: FloatArray) -> FloatArray:
        sums = np.cumsum(theta.reshape(self.loss.n_boundaries, -1), axis=0)
        eta = np.ascontiguousarray(self.Z @ sums[:, 1:].T)
        eta += sums[:, 0]
        return eta

    def coef_slope(self) -> FloatArray:
        return np.asarray(self.derivatives.gradient.T @ self.Z)


class NewtonCD(ProximalNewton[PrestoProblem]):
    """Proximal Newton method: coordinate descent on the quadratic model, a line search inside the domain.

    Parameters
    ----------
    max_iter : int, default=100
        Newton steps, over all working sets.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The exact Hessian is used, which is positive semidefinite for the links on offer. A step stops short of where the
    probability of an observed class would vanish. At the end the intercepts are polished, so that the bound on the
    suboptimality is not dominated by their gradient. Constraints against crossings are met by a barrier, weakened from
    solve to solve until complementarity and residual are small enough.

    References
    ----------
    J. Lee, Y. Sun and M. Saunders, "Proximal Newton-type methods for minimizing composite functions", SIAM J.
    Optimization 24 (2014). R. Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems", JRSS
    B 74 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> from estimand.solvers.presto.newton_cd import NewtonCD
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 2])
    >>> problem = PrestoProblem(X=X, y=y, n_classes=3, alpha=0.1)
    >>> solution = NewtonCD().solve(problem, tol=1e-8)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.0], [1.936]])
    """

    name = "newton_cd"
    problem = PrestoProblem
    guarantee = "exact"
    restricted = _RestrictedPresto
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "weights", "sample_weight", "l2", "free", "other_links", "monotone_train", "callback"}
    )

    def solve(
        self,
        problem: PrestoProblem,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Take Newton steps on growing sets of features until `problem` certifies the point."""
        if problem.constrained:
            return self._solve_constrained(problem, start=start, tol=tol, callback=callback)
        return super().solve(problem, start=start, tol=tol, callback=callback)

    def _solve_constrained(
        self, problem: PrestoProblem, *, start: Start[OrdinalPoint], tol: float, callback: Callback | None
    ) -> Solution[OrdinalPoint]:
        """Solve with weaker and weaker barriers, each from the solution before it."""
        x, multipliers, beta = self.start_point(problem, start), None, _FIRST_BARRIER
        if start is None or not np.isfinite(BarrierLikelihood(problem.loss, beta).value(problem.predictors(x))):
            x = problem.initial_point()
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x, dual=multipliers):
                if beta < _LAST_BARRIER:
                    run.stall("a weaker barrier is too hard for Newton steps: for an exact answer use solver='cvxpy'")
                    break
                loss = BarrierLikelihood(problem.loss, beta)
                easier = changed(problem, monotone="likelihood", gap_tol=None, likelihood=loss)
                left = None if self.time_limit is None else max(self.time_limit - run.seconds, 0.0)
                steps = min(_STEPS_A_BARRIER, self.max_iter - run.n_iter)
                level = NewtonCD(steps, left).solve(easier, start=x, tol=max(min(tol, _BARRIER_TOL), beta))
                if level.status == "interrupted":
                    raise KeyboardInterrupt
                x, multipliers = level.x, loss.multipliers(problem.predictors(level.x))
                run.n_iter += max(level.n_iter - 1, 0)
                beta *= _BARRIER_RATIO
        return run.solution()
