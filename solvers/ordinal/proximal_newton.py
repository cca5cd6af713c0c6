"""The proximal Newton method of the cumulative-link models: working sets of features around Newton steps.

Each problem's backend says how its coefficients become coordinates; the steps themselves are in `restricted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ..base import Solver
from ..monitor import Monitor
from ..solution import Callback, Solution, Start, State
from .likelihood import Derivatives, FloatArray
from .problem import OrdinalPoint, OrdinalProblem
from .restricted import Restricted

__all__ = ["Known", "ProximalNewton"]

P = TypeVar("P", bound=OrdinalProblem)

#: Up to here all features are in the working set from the start.
_FEW = 30
_FIRST_SIZE = 10
_INNER = 0.5
_LOOSE = 0.1
_TIGHTER = 0.1
_FAR = 1e-3
_PATIENCE = 3
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Known:
    """A point, and what its certificate computed on the way."""

    x: OrdinalPoint
    gradient: OrdinalPoint
    predictors: FloatArray
    derivatives: Derivatives

    @classmethod
    def at_null(cls, problem: OrdinalProblem) -> Known:
        """Return the model without features."""
        eta = np.tile(problem.loss.null_intercepts, (problem.y.size, 1))
        gradient = OrdinalPoint(np.zeros(problem.n_boundaries), problem.null_gradient)
        return cls(problem.initial_point(), gradient, eta, problem.loss.null_derivatives())

    def belongs_to(self, x: OrdinalPoint) -> bool:
        """Whether this is the same point."""
        return all(np.array_equal(a, b) for a, b in zip(self.x, x, strict=True))


class ProximalNewton(Solver[P, OrdinalPoint]):
    """Base of the proximal Newton backends.

    Parameters
    ----------
    max_iter : int, default=100
        Newton steps, over all working sets.
    time_limit : float or None, default=None
        Seconds.

    Attributes
    ----------
    restricted : type of Restricted
        How coefficients are coordinates of the problem on some features.
    """

    restricted: ClassVar[type[Restricted]]

    def __init__(self, max_iter: int = 100, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def _restrict(self, problem: P, features: npt.NDArray[np.intp], known: Known) -> Restricted:
        """Return the problem on some features, started at a known point."""
        x = OrdinalPoint(known.x.intercept, known.x.coef[:, features])
        penalties = problem.thresholds[:, features], problem.ridge[:, features]
        return self.restricted(problem, problem.columns(features), x, *penalties, known.predictors, known.derivatives)

    def solve(
        self,
        problem: P,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Take Newton steps on growing sets of features until `problem` certifies the point."""
        x = self.start_point(problem, start)
        arrays = (problem.X, problem.likelihood)
        # Newton steps overwrite what is known: only one solve can start from it, others evaluate the point again.
        kept: list[Known] = self.cached(start, arrays, list)
        known = kept.pop() if kept else None
        if known is None or not known.belongs_to(x):
            known = None
            if start is None or not np.isfinite(problem.objective(x)):
                x, known = problem.initial_point(), Known.at_null(problem)
        target = tol * problem.scale
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            # The gradient at the last point of a path tells without a pass over the data whether it is good enough.
            value = objective = None
            if known is not None and problem.gap_tol is None:
                value = problem.residual(x, known.gradient)
                objective = known.derivatives.value + problem.penalty(x.coef)
                if value <= target:
                    known = None  # the problem is asked, and evaluates the point itself
            while run.go_on(x, value=value, objective=objective):
                value = objective = None
                if run.certificate is not None:
                    known = Known(x, **run.certificate.byproducts)
                assert known is not None
                features = _working_set(problem, x, known.gradient, target)
                restricted = self._restrict(problem, features, known)
                known = run.certificate = None  # these arrays are as large as some features
                outcome = self._minimise(run, restricted, target, loose=features.size < x.coef.shape[1])
                part = restricted.point
                del restricted
                x = OrdinalPoint(part.intercept, np.zeros_like(x.coef))
                x.coef[:, features] = part.coef
                if outcome == "accurate":
                    target *= _TIGHTER  # the bound on the suboptimality asks for more than the residual
                if outcome == "stuck" or target < _EPS * problem.scale:
                    if run.go_on(x):
                        run.stall("no step decreases the objective further")
                    break
            if run.certificate is not None and run.certificate.byproducts:
                known = Known(x, **run.certificate.byproducts)
        return run.solution(state=State(self.name, arrays, [] if known is None else [known]))

    def _minimise(self, run: Monitor[OrdinalPoint], restricted: Restricted, target: float, *, loose: bool) -> str:
        """Take Newton steps until the restricted violation is small, while other features wait if `loose` less so.

        Returns
        -------
        outcome : {"moved", "accurate", "stuck"}
            Whether steps were taken, none was needed, or none helps.
        """
        taken, idle = 0, 0
        slope, objective = restricted.slope(), restricted.objective
        violation = first = lowest = restricted.violation(slope)
        far = _FAR * run.problem.scale if loose else np.inf
        while violation > _INNER * target and not (violation <= _LOOSE * first and violation > far):
            late = self.time_limit is not None and run.seconds >= self.time_limit
            if late or run.n_iter + taken >= self.max_iter or not restricted.step(slope, violation):
                break
            taken += 1
            slope, before, objective = restricted.slope(), objective, restricted.objective
            violation = restricted.violation(slope)
            idle = idle + 1 if violation >= lowest and objective >= before * (1 - _EPS) else 0
            lowest = min(lowest, violation)
            if idle == _PATIENCE:
                break
        run.n_iter += max(taken - 1, 0)
        accurate = violation <= _INNER * target
        if accurate and taken and not np.any(restricted.threshold):
            # A flat direction, such as that of a rare class, leaves an error far larger than the violation.
            restricted.step(slope, violation)
        if accurate or idle:
            restricted.polish()
        if taken == 0 or idle == _PATIENCE:
            return "accurate" if accurate else "stuck"
        return "moved"


def _working_set(
    problem: OrdinalProblem, x: OrdinalPoint, gradient: OrdinalPoint, target: float
) -> npt.NDArray[np.intp]:
    """Return the features in use, those without a penalty, and those that violate the conditions most."""
    p = problem.X.shape[1]
    if p <= _FEW:
        return np.arange(p)
    always = np.any((x.coef != 0) | (problem.penalty_weights == 0), axis=0)
    excess = (np.abs(gradient.coef) - problem.thresholds).max(axis=0)
    violators = np.flatnonzero((excess > _INNER * target) & ~always)
    size = max(_FIRST_SIZE, int(np.count_nonzero(always)))
    if violators.size > size:
        violators = violators[np.argpartition(excess[violators], -size)[-size:]]
    return np.sort(np.concatenate([np.flatnonzero(always), violators]))
