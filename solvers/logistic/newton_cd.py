"""The default backend: proximal Newton steps by coordinate descent, on growing working sets."""

from __future__ import annotations

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
#: A restricted solve ends when its gap has not fallen for so many steps.
_IDLE_STEPS = 5
_ARMIJO = 1e-4
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
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x):
                assert run.certificate is not None
                indices = self._working_set(problem, x, run.certificate.byproducts["correlation"])
                target = max(0.1 * run.certificate.value, 0.3 * tol * problem.scale)
                restricted = _Restricted(problem, csc, indices)
                v, intercept = restricted.minimise(LogisticPoint(x.coef[indices], x.intercept), target)
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
        self.columns = Columns(A, indices, problem.fit_intercept)
        self.problem = replace(problem, A=self.columns.design, weights=problem.omega[indices])
        unpenalised = np.zeros(self.columns.constant)
        self.threshold = np.concatenate([unpenalised, self.problem.thresholds])
        self.ridge = np.concatenate([unpenalised, np.where(self.problem.omega > 0, problem.l2, 0.0)])

    def minimise(self, x: LogisticPoint, target: float) -> LogisticPoint:
        """Take proximal Newton steps until the restricted gap is at most `target`."""
        best, lowest, idle = x, np.inf, 0
        for _ in range(_NEWTON_STEPS):
            gap = self.problem.certify(x, tol=0.0).value
            idle = 0 if gap < lowest else idle + 1
            if gap < lowest:
                best, lowest = x, gap
            if gap <= target or idle == _IDLE_STEPS:
                break
            stepped = self._step(x)
            if stepped is None:
                break
            x = stepped
        return best

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
        for _ in range(_ROUNDS):
            epochs = max(_EPOCHS, self.columns.epochs_worth(int(np.count_nonzero(w))))
            if self.columns.descend(h, r, w, curvature, self.threshold, self.ridge, epochs, _RATIO):
                break
            self._newton_on_support(h, r, w, curvature)
        return w

    def _newton_on_support(self, h: FloatArray, r: FloatArray, w: FloatArray, curvature: FloatArray) -> None:
        """Move to the model's minimiser on the support, as far as no sign changes."""
        free = (self.threshold == 0) & (self.ridge == 0)
        support = np.flatnonzero(((w != 0) | free) & (curvature + self.ridge > 0))
        matrix = self.columns.gram(h, support)
        diagonal = np.diag(matrix) + self.ridge[support]
        matrix[np.diag_indices_from(matrix)] = diagonal * (1 + 1e-12)
        chosen = self.columns.all[:, support]
        signs = np.sign(w[support])
        slope = chosen.T @ r - self.ridge[support] * w[support] - self.threshold[support] * signs
        root = np.sqrt(diagonal)
        try:
            factor = linalg.cho_factor(matrix / root / root[:, None])
        except linalg.LinAlgError:
            return
        change = linalg.cho_solve(factor, slope / root) / root
        crossing = (self.threshold[support] > 0) & (signs * (w[support] + change) < 0)
        step = float((-w[support][crossing] / change[crossing]).min(initial=1.0))
        moved = w[support] + step * change
        moved[crossing & (signs * moved <= 0)] = 0.0
        r -= h * (chosen @ (moved - w[support]))
        w[support] = moved
