"""The default backend: proximal Newton steps by coordinate descent, on growing working sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from ..base import Solver
from ..lasso.frame import FloatArray
from ..monitor import Monitor
from ..solution import Callback, Solution, Start, State
from .columns import Columns
from .problem import LogisticPoint, LogisticProblem

__all__ = ["NewtonCD"]

_FIRST_SIZE = 50
_NEWTON_STEPS = 50
_ROUNDS = 20
_EPOCHS = 30
#: Coordinate descent on a quadratic model ends when an epoch moves this much less than the first, in squared norm.
_RATIO = 1e-2
#: The ratio falls by this factor after so many Newton steps that leave the gap above `_FAST` times the lowest so far.
_TIGHTER = 1e-2
_PATIENCE = 3
_FAST = 0.5
_SMALLEST_RATIO = 1e-20
#: A restricted solve ends when neither gap nor objective has fallen for so many steps.
_IDLE_STEPS = 5
_ARMIJO = 1e-4
_JITTER = 1e-12
_EPS = float(np.finfo(np.float64).eps)


class NewtonCD(Solver[LogisticProblem, LogisticPoint]):
    """Proximal Newton method: coordinate descent on the quadratic model, a line search on the objective.

    Parameters
    ----------
    max_iter : int, default=100
        Working sets.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The working set holds the support, the free columns and the columns that violate the optimality conditions most; it
    may double every time. The restricted problem is solved to a fraction of the full problem's gap. Where coordinate
    descent on a model is slow, a Newton step on its support, cut where a sign would change, speeds it up.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
    descent", Journal of Statistical Software 33 (2010), section 3, for the quadratic models. M. Massias, A. Gramfort
    and J. Salmon, "Celer: a fast solver for the Lasso with dual extrapolation" (2018), section 3, for the working sets.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.logistic import LogisticProblem
    >>> from estimand.solvers.logistic.newton_cd import NewtonCD
    >>> A, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0])
    >>> problem = LogisticProblem(A=A, y=y, alpha=0.1, fit_intercept=True)
    >>> solution = NewtonCD().solve(problem, tol=1e-5)
    >>> solution.converged, solution.x.coef.round(1)
    (True, array([0.5]))
    """

    name = "newton_cd"
    problem = LogisticProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "weights", "free", "sample_weight", "l2", "intercept", "callback"}
    )

    def __init__(self, max_iter: int = 100, time_limit: float | None = None) -> None:
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
        """Grow the working set until `problem` certifies the point."""
        x = problem.repaired(self.start_point(problem, start))
        csc = self.cached(start, (problem.A,), lambda: _columnwise(problem.A))
        limit = np.inf if self.time_limit is None else self.time_limit
        with Monitor(self, problem, tol=tol, callback=callback) as run:

            def expired() -> bool:
                return run.seconds >= limit

            while run.go_on(x):
                assert run.certificate is not None
                indices = self._working_set(problem, x, run.certificate.byproducts["correlation"])
                target = max(0.1 * run.certificate.value, 0.3 * tol * problem.scale)
                restricted = _Restricted(problem, csc, indices)
                v, intercept = restricted.minimise(LogisticPoint(x.coef[indices], x.intercept), target, expired)
                new = LogisticPoint(np.zeros_like(x.coef), intercept)
                new.coef[indices] = v
                if np.array_equal(new.coef, x.coef) and np.array_equal(new.intercept, x.intercept):
                    run.stall("no step decreases the objective further")
                    break
                x = new
        return run.solution(state=State(self.name, (problem.A,), csc))

    @staticmethod
    def _working_set(problem: LogisticProblem, x: LogisticPoint, correlation: FloatArray) -> npt.NDArray[np.intp]:
        always = (x.coef != 0) | (problem.omega == 0)
        excess = np.abs(correlation) - problem.thresholds
        violators = np.flatnonzero((excess > 0) & ~always)
        size = max(_FIRST_SIZE, int(np.count_nonzero(always)))
        if violators.size > size:
            violators = violators[np.argpartition(excess[violators], -size)[-size:]]
        return np.sort(np.concatenate([np.flatnonzero(always), violators]))


def _columnwise(A: Any) -> Any:
    return A.tocsc() if sparse.issparse(A) else A


class _Restricted:
    """The problem on some of its columns; coefficients are stacked as the intercept, then the columns."""

    def __init__(self, problem: LogisticProblem, A: Any, indices: npt.NDArray[np.intp]) -> None:
        self.ratio = _RATIO
        self.columns = Columns(A, indices, problem.fit_intercept)
        self.problem = replace(problem, A=self.columns.design, weights=problem.omega[indices])
        unpenalised = np.zeros(self.columns.constant)
        self.threshold = np.concatenate([unpenalised, self.problem.thresholds])
        self.ridge = np.concatenate([unpenalised, np.where(self.problem.omega > 0, problem.l2, 0.0)])

    def minimise(self, x: LogisticPoint, target: float, expired: Callable[[], bool]) -> LogisticPoint:
        """Take proximal Newton steps until the restricted gap is at most `target`, or time is up."""
        best, lowest, objective, idle, slow = x, np.inf, np.inf, 0, 0
        for _ in range(_NEWTON_STEPS):
            certificate = self.problem.certify(x, tol=0.0)
            gap, falls = certificate.value, certificate.upper < objective * (1 - _EPS)
            idle = 0 if gap < lowest or falls else idle + 1
            slow = slow + 1 if gap > _FAST * lowest else 0
            if slow >= _PATIENCE:
                # Where columns are nearly dependent an epoch moves little long before the model is solved.
                self.ratio = max(_TIGHTER * self.ratio, _SMALLEST_RATIO)
            if gap < lowest:
                best, lowest = x, gap
            objective = min(objective, certificate.upper)
            if gap <= target or idle == _IDLE_STEPS or expired():
                break
            stepped = self._step(x)
            if stepped is None:
                return best
            x = stepped
        return best if idle else x

    def _step(self, x: LogisticPoint) -> LogisticPoint | None:
        scores = self.problem.scores(x)
        old = np.concatenate([x.intercept, x.coef])
        residual = self.problem.residual(scores)
        new = self._minimise_model(self.problem.curvature(scores), residual.copy(), old.copy())
        direction = new - old
        move = np.asarray(self.columns.all @ direction)
        before, penalty = self.problem.loss(scores), self._penalty(old)
        predicted = self._penalty(new) - penalty - float(residual @ move)
        # Close to the solution the decrease drowns in rounding error, while the gap can still fall.
        slack = 4 * _EPS * (before + penalty)
        if not predicted < slack:
            return None
        step = 1.0
        while step > _EPS:
            trial = old + step * direction if step < 1 else new
            value = self.problem.loss(scores + step * move) + self._penalty(trial)
            if value <= before + penalty + _ARMIJO * step * predicted + slack:
                return LogisticPoint(trial[x.intercept.size :], trial[: x.intercept.size])
            step /= 2
        return None

    def _penalty(self, w: FloatArray) -> float:
        return float(self.threshold @ np.abs(w) + 0.5 * self.ridge @ (w * w))

    def _minimise_model(self, h: FloatArray, r: FloatArray, w: FloatArray) -> FloatArray:
        curvature = self.columns.curvatures(h)
        model = (h, r, w, curvature, self.threshold, self.ridge)
        target = self.ratio * self.columns.descend(*model, 1, 0.0)
        for _ in range(_ROUNDS):
            epochs = max(_EPOCHS, self.columns.epochs_worth(int(np.count_nonzero(w))))
            for first in range(0, epochs, self.columns.max_epochs):
                count = min(epochs - first, self.columns.max_epochs)
                if self.columns.descend(*model, count, target) <= target:
                    return w
            self._newton_on_support(h, r, w, curvature)
        return w

    def _newton_on_support(self, h: FloatArray, r: FloatArray, w: FloatArray, curvature: FloatArray) -> None:
        """Move to the model's minimiser on the support; coefficients whose sign would change leave it on the way."""
        free = (self.threshold == 0) & (self.ridge == 0)
        support = np.flatnonzero(((w != 0) | free) & (curvature + self.ridge > 0))
        gram = self.columns.gram(h, support)
        gram[np.diag_indices_from(gram)] += self.ridge[support]
        chosen, start, penalised = self.columns.all[:, support], w[support], self.threshold[support] > 0
        value, signs = start.copy(), np.sign(start)
        slope = chosen.T @ r - self.ridge[support] * start - self.threshold[support] * signs
        kept = np.arange(support.size)
        while kept.size:
            change = _solve(gram[np.ix_(kept, kept)], (slope - gram @ (value - start))[kept])
            if change is None:
                break
            crossing = penalised[kept] & (signs[kept] * (value[kept] + change) < 0)
            step = float((-value[kept][crossing] / change[crossing]).min(initial=1.0))
            value[kept] += step * change
            left = crossing & (signs[kept] * value[kept] <= _EPS * np.abs(change))
            value[kept[left]] = 0.0
            if not np.any(left):
                break
            kept = kept[~left]
        r -= h * (chosen @ (value - start))
        w[support] = value


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray | None:
    """Solve a positive definite system after scaling its diagonal to 1; None where it is not definite."""
    root = np.sqrt(np.diag(matrix))
    matrix = matrix / root / root[:, None]
    matrix[np.diag_indices_from(matrix)] += _JITTER
    try:
        factor = linalg.cho_factor(matrix, overwrite_a=True)
    except linalg.LinAlgError:
        return None
    return np.asarray(linalg.cho_solve(factor, right / root) / root)
