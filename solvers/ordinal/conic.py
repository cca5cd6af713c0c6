"""What the cvxpy backends of the cumulative-link models share: the statement in exponential cones and its repair.

How coefficients make slopes is asked of the problem, so that one statement serves them all.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...exceptions import SolverError
from ..conic import ConicSolver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .likelihood import FloatArray
from .problem import OrdinalPoint, OrdinalProblem
from .restricted import polished_point

__all__ = ["OrdinalConic", "Statement"]

P = TypeVar("P", bound=OrdinalProblem)

#: Linear predictors beyond which the cones take minutes.
_MOST_PREDICTORS = 50_000
#: Contribution of a coefficient to a linear predictor, below which zero is tried in its place.
_TINY = 1e-5
#: Rounding error of an objective, relative.
_SLACK = 1e-13
#: How much of the tolerance zeros in place of tiny coefficients may use up.
_SHARE_OF_TOL = 0.1
#: Of the way to the boundary of the domain.
_FRACTION = 0.99


class OrdinalConic(ConicSolver[P, OrdinalPoint]):
    r"""Base of the backends named ``cvxpy``, for the logit link.

    A row of class c between two others, with the predictors u above v, has the loss

    .. math:: -\log\left(\sigma(u) - \sigma(v)\right) = \log(1 + e^{-u}) + \log(1 + e^v) - \log(1 - e^{-(u - v)}),

    the sum of three functions that exponential cones can state; the classes at the ends have one of the first two.

    Parameters
    ----------
    conic_solver : str, default="CLARABEL"
        Any solver that cvxpy has installed for exponential cones.
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds of the conic solver, without the time in which cvxpy states the problem.
    verbose : bool, default=False
        Whether the conic solver prints.
    """

    name = "cvxpy"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "weights", "sample_weight", "l2", "free"})
    accuracy = 1e-12

    def refuses(self, problem: P) -> str | None:
        """Return why the cones would take too long for `problem`, or None."""
        size = problem.y.size * problem.n_boundaries
        if size > _MOST_PREDICTORS:
            return f"it is a reference for up to {_MOST_PREDICTORS} rows times boundaries, and here these are {size}"
        return None

    def solve(
        self,
        problem: P,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Solve the cone program to the conic solver's own tolerance, repair its point, then certify."""
        self.start_point(problem, start)
        found, dual, n_iter, late = self._solve(problem)
        x = _inside(problem, found)
        x = _clean(problem, x) if dual is None else _clean_constrained(problem, x, dual, tol)
        stopped = "max_iter" if n_iter >= self.max_iter else "time_limit" if late else "stalled"
        return certify_once(self, problem, x, dual=dual, tol=tol, n_iter=n_iter, stopped=stopped)

    def _solve(self, problem: P) -> tuple[OrdinalPoint, FloatArray | None, int, bool]:
        """Return the conic solver's point with its multipliers, its iterations, and whether it ran out of time."""
        import cvxpy as cp

        x, sizes = problem.initial_point(), _sizes(problem.X)
        intercept, coef = cp.Variable(x.intercept.size), cp.Variable(x.coef.shape) if x.coef.size else None
        statement = Statement(problem, intercept, coef, sizes)
        constraints = self._constraints(problem, statement)
        task = cp.Problem(cp.Minimize(statement.loss() + statement.penalty()), constraints)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The certificate says how accurate the point is.
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            n_iter = self._run(task)
        x.intercept[:] = intercept.value
        if coef is not None:
            x.coef[:] = coef.value / sizes
        if not all(np.all(np.isfinite(block)) for block in x):
            raise SolverError(f"{self.conic_solver} returned a point that is not finite: status {task.status!r}.")
        dual = self._dual(problem, constraints)
        late = self.time_limit is not None and (task.solver_stats.solve_time or 0.0) >= self.time_limit
        return x, dual, n_iter, late

    def _constraints(self, problem: P, statement: Statement) -> list[Any]:
        """Return the constraints."""
        return []

    def _dual(self, problem: P, constraints: list[Any]) -> FloatArray | None:
        """Return the dual point that the solved constraints stand for, None without any."""
        return None

    def _options(self) -> dict[str, Any]:
        # Longer steps end so close to the boundary of the cones that the last digits are lost.
        cautious = {"max_step_fraction": 0.8} if self.conic_solver == "CLARABEL" else {}
        return {**super()._options(), **cautious}


class Statement:
    """The objective as cvxpy expressions, by vectors of the rows of a class.

    Parameters
    ----------
    problem : OrdinalProblem
        With the logit link.
    intercept : Variable of shape (m,)
        The intercepts.
    coef : Variable of the shape of the coefficients, or None
        The coefficients times `sizes`; None without features.
    sizes : array of shape (p,)
        What the features are divided by.
    """

    def __init__(self, problem: OrdinalProblem, intercept: Any, coef: Any, sizes: FloatArray) -> None:
        self.problem, self.intercept, self.coef, self.sizes = problem, intercept, coef, sizes
        self.X = sparse.csr_array(problem.X) if sparse.issparse(problem.X) else problem.X
        # Row k says how rows of coefficients make the slopes of boundary k + 1.
        rows = problem.penalty_weights.shape[0]
        self.mix = np.broadcast_to(problem.slopes(np.eye(rows)), (problem.n_boundaries, rows))

    def predictor(self, mix: FloatArray, shift: Any, rows: Any = slice(None)) -> Any:
        """Return ``X (mix coef) + shift`` at some rows, or a single entry where no feature enters."""
        import cvxpy as cp

        if self.coef is None or not np.any(mix):
            return cp.reshape(shift, (1,), order="C")
        X = self.X[rows]
        X = sparse.csc_array(X) @ sparse.diags(1 / self.sizes) if sparse.issparse(X) else X / self.sizes
        return X @ (mix @ self.coef) + shift

    def gap(self, boundary: int, rows: Any = slice(None)) -> Any:
        """Return by how much a boundary's predictor exceeds the next one's."""
        mix, intercept = self.mix, self.intercept
        shift = intercept[boundary] - intercept[boundary + 1]
        return self.predictor(mix[boundary] - mix[boundary + 1], shift, rows)

    def loss(self) -> Any:
        """Return the averaged loss."""
        import cvxpy as cp

        likelihood, last = self.problem.loss, self.problem.n_boundaries
        total: Any = 0.0
        for c, rows in enumerate(likelihood.class_rows):
            terms = []
            if c > 0:
                terms.append(cp.logistic(-self.predictor(self.mix[c - 1], self.intercept[c - 1], rows)))
            if c < last:
                terms.append(cp.logistic(self.predictor(self.mix[c], self.intercept[c], rows)))
            if 0 < c < last:
                terms.append(-cp.log(1 - cp.exp(-self.gap(c - 1, rows))))
            weight = likelihood.row_weight[rows]
            for term in terms:
                total = total + (weight if term.size == weight.size else np.array([weight.sum()])) @ term
        return total

    def penalty(self) -> Any:
        """Return the penalty."""
        import cvxpy as cp

        problem = self.problem
        total: Any = 0.0
        if self.coef is not None and np.any(problem.thresholds):
            total = total + cp.sum(cp.multiply(problem.thresholds / self.sizes, cp.abs(self.coef)))
        if self.coef is not None and np.any(problem.ridge):
            total = total + cp.sum_squares(cp.multiply(np.sqrt(problem.ridge / 2) / self.sizes, self.coef))
        return total


def _sizes(X: Any) -> FloatArray:
    """Return the sizes of the features: the conic solver sees entries of order one."""
    if 0 in X.shape:
        return np.ones(X.shape[1])
    largest = abs(X).max(axis=0)
    largest = np.asarray(largest.toarray() if sparse.issparse(largest) else largest).ravel()
    # Powers of two lose no digits.
    return np.ldexp(1.0, np.frexp(np.where(largest > 0, largest, 1.0))[1])


def _inside(problem: OrdinalProblem, x: OrdinalPoint) -> OrdinalPoint:
    """Return the point, or one on the way to it from the model without features if it lies outside the domain.

    A conic solver that was stopped early has not met the constraints that define the predictors.
    """
    if np.isfinite(problem.objective(x)):
        return x
    null = problem.initial_point()
    eta = problem.predictors(null)
    step = _FRACTION * min(1.0, problem.loss.longest_step(eta, problem.predictors(x) - eta))
    return OrdinalPoint(null.intercept + step * (x.intercept - null.intercept), step * x.coef)


def _clean(problem: OrdinalProblem, x: OrdinalPoint) -> OrdinalPoint:
    """Polish the intercepts; set tiny coefficients to 0 where the conditions allow it and the objective does not rise.

    An interior point is never exactly zero.
    """
    slope = problem.coef_gradient(problem.loss.derivatives(problem.predictors(x))) + problem.ridge * x.coef
    vanishing = _tiny(problem, x) & (problem.thresholds > 0) & (np.abs(slope) <= problem.thresholds)
    polished = polished_point(problem, x)
    cleaned = polished_point(problem, OrdinalPoint(polished.intercept, np.where(vanishing, 0.0, x.coef)))
    return cleaned if problem.objective(cleaned) <= problem.objective(polished) * (1 + _SLACK) else polished


def _clean_constrained(problem: OrdinalProblem, x: OrdinalPoint, dual: FloatArray, tol: float) -> OrdinalPoint:
    """Set tiny coefficients to 0 if the certificate gets no worse, or stays far below the tolerance."""
    vanishing = _tiny(problem, x) & (problem.thresholds > 0)
    cleaned = OrdinalPoint(x.intercept, np.where(vanishing, 0.0, x.coef))
    before, after = (problem.certify(point, dual, tol=tol).value for point in (x, cleaned))
    return cleaned if after <= max(before, _SHARE_OF_TOL * tol * problem.scale) else x


def _tiny(problem: OrdinalProblem, x: OrdinalPoint) -> npt.NDArray[np.bool_]:
    return np.abs(x.coef) * _sizes(problem.X) <= _TINY
