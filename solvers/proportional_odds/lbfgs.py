"""Scipy's L-BFGS-B, in coordinates that keep the intercepts in order."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import optimize, sparse

from ..base import Solver
from ..monitor import Monitor
from ..ordinal.likelihood import FloatArray
from ..ordinal.problem import OrdinalPoint
from ..solution import Callback, Solution, Start
from .problem import ProportionalOddsProblem

__all__ = ["LBFGS"]

#: A change of the objective, relative to it, below which rounding errors exceed those of the trapezoidal rule.
_SHORT = 1e-8
_LINE_SEARCH_STEPS = 50
_PROGRESS = 0.5
#: An objective that counts as outside the domain; without features it is at most log K.
_FAR = 1e10
_CONSTANT = 1e-10
#: The monitor ends a run, scipy's own limits do not.
_UNLIMITED = np.iinfo(np.int32).max


class LBFGS(Solver[ProportionalOddsProblem, OrdinalPoint]):
    r"""The limited-memory quasi-Newton method of scipy, for a likelihood with at most a squared penalty.

    It runs without constraints in the coordinates

    .. math:: a_1 + \mu^\top b, \quad \log(a_k - a_{k+1}) \ (k = 1, \dots, m - 1), \quad s_j b_j

    with the means of the features and, for ``s_j^2``, their variances plus the strengths of the squared penalty. There
    the intercepts decrease everywhere, and the units of the features do not matter. The gradient is exact.

    Parameters
    ----------
    max_iter : int, default=1000
        Iterations of the method.
    time_limit : float or None, default=None
        Seconds; looked at once an iteration.
    memory : int, default=10
        Pairs of steps and changes of the gradient that approximate the Hessian.

    Notes
    -----
    Each iterate is judged by the gradient in the intercepts and slopes, as the certificate does, so that a run ends as
    soon as `tol` is met and by no rule of scipy. Where the objective no longer tells two points apart, the run starts
    afresh on its change from the last point, which the trapezoidal rule takes from the gradients: this has more digits
    than the difference of two objectives. An l1 penalty is refused, because this objective is not smooth.

    References
    ----------
    R. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound constrained optimization", SIAM J.
    Scientific Computing 16 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.proportional_odds import ProportionalOddsProblem
    >>> from estimand.solvers.proportional_odds.lbfgs import LBFGS
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 1])
    >>> problem = ProportionalOddsProblem(X=X, y=y, n_classes=3, alpha=0.0)
    >>> solution = LBFGS().solve(problem, tol=1e-8)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.83]])
    """

    name = "lbfgs"
    problem = ProportionalOddsProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "weights", "sample_weight", "l2", "free", "other_links", "callback"}
    )

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None, memory: int = 10) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.memory = memory

    def refuses(self, problem: ProportionalOddsProblem) -> str | None:
        """Return why the method cannot solve `problem`, or None."""
        if not self.memory >= 1:
            return f"memory={self.memory!r} must be at least 1"
        if problem.alpha * problem.l1_ratio > 0:
            return "its objective must be smooth: with an l1 penalty use 'newton', or 'cvxpy' for the logit link"
        return None

    def solve(
        self,
        problem: ProportionalOddsProblem,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Run the method, again from where it ended while this helps, until `problem` certifies the point."""
        x = self.start_point(problem, start)
        smooth = _Smooth(problem, x if problem.objective(x) <= _FAR else problem.initial_point())
        limits = {"ftol": 0.0, "gtol": 0.0, "maxiter": _UNLIMITED, "maxfun": _UNLIMITED, "maxls": _LINE_SEARCH_STEPS}
        with Monitor(self, problem, tol=tol, callback=callback) as run:

            def check(intermediate_result: optimize.OptimizeResult) -> None:
                smooth.move(intermediate_result.x)
                known = problem.gap_tol is None  # otherwise more than the residual decides
                if not run.go_on(smooth.x, value=smooth.residual if known else None, objective=smooth.value):
                    raise StopIteration

            go_on = run.go_on(smooth.x)
            while go_on:
                before = smooth.restart()
                result = optimize.minimize(
                    smooth,
                    smooth.theta,
                    jac=True,
                    method="L-BFGS-B",
                    callback=check,
                    options={"maxcor": self.memory, **limits},
                )
                smooth.move(result.x)
                go_on = run.status is None
                if go_on and not smooth.residual <= _PROGRESS * before:
                    run.stall(f"L-BFGS-B makes no further progress: {result.message}")
                    go_on = False
        return run.solution()


class _Smooth:
    """The objective in the coordinates theta of the method, less its value at an origin.

    These are the predictor of the first boundary at the mean of the features, the logarithms of the gaps between
    intercepts, and the slopes in units in which their curvatures are alike.

    Parameters
    ----------
    problem : ProportionalOddsProblem
        Without an l1 penalty.
    x : OrdinalPoint
        Where to start, inside the domain.

    Attributes
    ----------
    theta, x : array, OrdinalPoint
        The last point.
    value, residual : float
        Its objective, and the largest entry of the gradient in intercepts and slopes.
    gradient : array
        The gradient in theta.
    """

    def __init__(self, problem: ProportionalOddsProblem, x: OrdinalPoint) -> None:
        self.problem = problem
        self._mean, squares = _means_and_squares(problem.X, problem.loss.row_weight)
        variance = squares - self._mean * self._mean
        curvature = np.where(variance > _CONSTANT * squares, variance, 0.0) + problem.ridge[0]
        self._size = np.sqrt(np.where(curvature > 0, curvature, 1.0))
        level = x.intercept[:1] + self._mean @ x.coef[0]
        self._evaluate(np.concatenate([level, np.log(-np.diff(x.intercept)), x.coef[0] * self._size]))
        self.restart()

    def restart(self) -> float:
        """Make the last point the origin, and return its residual."""
        self._origin, self._origin_value, self._origin_gradient = self.theta, self.value, self.gradient
        return self.residual

    def move(self, theta: FloatArray) -> None:
        """Evaluate at `theta`, unless it is the last point."""
        if not np.array_equal(theta, self.theta):
            self._evaluate(theta.copy())

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the change of the objective since the origin, and the gradient."""
        self.move(theta)
        apart = theta - self._origin
        if not np.isfinite(self.value):  # any bowl leads the line search back, infinity would derail it
            return float(apart @ apart), 2.0 * apart
        change = self.value - self._origin_value
        if abs(change) <= _SHORT * self.value:
            change = 0.5 * float((self.gradient + self._origin_gradient) @ apart)
        return change, self.gradient

    def _evaluate(self, theta: FloatArray) -> None:
        problem, m = self.problem, self.problem.n_boundaries
        self.theta, self.value, self.residual, self.gradient = theta, np.inf, np.inf, np.zeros_like(theta)
        with np.errstate(over="ignore", invalid="ignore"):
            gaps, coef = np.exp(theta[1:m]), theta[m:] / self._size
            intercept = theta[0] - self._mean @ coef - np.append(0.0, np.cumsum(gaps))
            self.x = OrdinalPoint(intercept, coef[None, :])
            derivatives = problem.loss.derivatives(problem.predictors(self.x))
            value = derivatives.value + problem.penalty(self.x.coef)
        if not value <= _FAR:
            return
        self.value = value
        slope, total = problem.gradient(derivatives), derivatives.total_gradient
        self.residual = problem.residual(self.x, slope)
        along = (slope.coef[0] + problem.ridge[0] * coef - total[0] * self._mean) / self._size
        self.gradient = np.concatenate([total[:1], -gaps * total[1:], along])


def _means_and_squares(X: Any, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted means of the features and of their squares."""
    squares = X.multiply(X).T @ weight if sparse.issparse(X) else np.einsum("i,ij,ij->j", weight, X, X)
    return np.asarray(X.T @ weight), np.asarray(squares)
