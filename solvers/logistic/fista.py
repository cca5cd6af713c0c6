"""Accelerated proximal gradient descent: any design that has products, including a LinearOperator."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..base import Solver
from ..lasso.frame import FloatArray, correlate, multiply
from ..monitor import Monitor
from ..solution import Callback, Solution, Start, State
from .problem import LogisticPoint, LogisticProblem

__all__ = ["FISTA"]

_STEPS = 10
_POWER_STEPS = 30
_EPS = float(np.finfo(np.float64).eps)


class FISTA(Solver[LogisticProblem, LogisticPoint]):
    """Accelerated proximal gradient descent with adaptive restarts.

    Parameters
    ----------
    max_iter : int, default=10000
        Rounds of ten steps; each round ends with a check.
    time_limit : float or None, default=None
        Seconds.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", SIAM
    Journal on Imaging Sciences 2 (2009), with backtracking. B. O'Donoghue and E. Candes, "Adaptive restart for
    accelerated gradient schemes", Foundations of Computational Mathematics 15 (2015), the gradient scheme.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.logistic import LogisticProblem
    >>> from estimand.solvers.logistic.fista import FISTA
    >>> A, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0])
    >>> problem = LogisticProblem(A=A, y=y, alpha=0.1, fit_intercept=True)
    >>> solution = FISTA().solve(problem, tol=1e-5)
    >>> solution.converged, solution.x.coef.round(1)
    (True, array([0.5]))
    """

    name = "fista"
    problem = LogisticProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "operator", "float32", "weights", "free", "sample_weight", "l2", "intercept", "callback"}
    )

    def __init__(self, max_iter: int = 10000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def solve(
        self,
        problem: LogisticProblem,
        *,
        start: Start[LogisticPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[LogisticPoint]:
        """Take accelerated proximal gradient steps until `problem` certifies the point."""
        x = problem.repaired(self.start_point(problem, start))
        arrays = (problem.A, problem.sample_weight)
        descent = _Descent(problem, x, self.cached(start, arrays, lambda: _lipschitz(problem)))
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(descent.point()):
                for _ in range(_STEPS):
                    descent.step()
        return run.solution(state=State(self.name, arrays, descent.lipschitz))


class _Descent:
    """The iterates; coefficients are stacked behind the intercept, so that all blocks share one step."""

    def __init__(self, problem: LogisticProblem, x: LogisticPoint, lipschitz: float) -> None:
        self.problem, self.lipschitz = problem, lipschitz
        self.first = x.intercept.size
        self.threshold = np.concatenate([np.zeros(self.first), problem.thresholds])
        self.ridge = np.concatenate([np.zeros(self.first), np.where(problem.penalised, problem.l2, 0.0)])
        self.x = self.extrapolated = np.concatenate([x.intercept, x.coef])
        self.x_scores = self.scores = self._scores_of(self.x)
        self.momentum = 1.0

    def point(self) -> LogisticPoint:
        """Return the current iterate."""
        return LogisticPoint(self.x[self.first :], self.x[: self.first])

    def step(self) -> None:
        """Take one accelerated step; restart the momentum where it points uphill."""
        problem = self.problem
        residual = problem.residual(self.scores)
        slope = np.concatenate([np.full(self.first, residual.sum()), correlate(problem.A, residual)])
        loss = problem.loss(self.scores)
        while True:
            new = self._prox(self.extrapolated + slope / self.lipschitz)
            scores = self._scores_of(new)
            change = new - self.extrapolated
            model = loss - float(slope @ change) + 0.5 * self.lipschitz * float(change @ change)
            if problem.loss(scores) <= model + 4 * _EPS * loss:
                break
            self.lipschitz *= 2
        uphill = float((self.extrapolated - new) @ (new - self.x)) > 0
        momentum = 1.0 if uphill else (1 + np.sqrt(1 + 4 * self.momentum**2)) / 2
        weight = 0.0 if uphill else (self.momentum - 1) / momentum
        self.extrapolated = new + weight * (new - self.x)
        self.scores = scores + weight * (scores - self.x_scores)
        self.x, self.x_scores, self.momentum = new, scores, momentum

    def _scores_of(self, w: FloatArray) -> FloatArray:
        return multiply(self.problem.A, w[self.first :]) + float(w[: self.first].sum())

    def _prox(self, w: FloatArray) -> FloatArray:
        shrunk = np.sign(w) * np.maximum(np.abs(w) - self.threshold / self.lipschitz, 0.0)
        return np.asarray(shrunk / (1.0 + self.ridge / self.lipschitz))


def _lipschitz(problem: LogisticProblem) -> float:
    """Estimate the Lipschitz constant of the loss's gradient by power iterations; backtracking corrects it."""
    first, weight = float(problem.fit_intercept), problem.row_weight
    v = np.random.default_rng(0).standard_normal(problem.A.shape[1])
    constant, value = first, 0.0
    for _ in range(_POWER_STEPS):
        norm = float(np.sqrt(v @ v + constant * constant))
        if norm == 0:
            break
        value = norm
        product = weight * (multiply(problem.A, v / norm) + constant / norm)
        v, constant = correlate(problem.A, product), first * float(product.sum())
    return value / 4 if value > 0 else 1.0
