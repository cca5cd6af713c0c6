"""Proximal Newton steps for a cumulative-link model on some of its features.

Which features, how accurately and how long is decided by `proximal_newton`; what the coordinates are, by each problem.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from scipy import linalg

from ...cython_ext import _quadratic_cd
from .likelihood import Derivatives, FloatArray, Likelihood
from .problem import OrdinalPoint, OrdinalProblem

__all__ = ["Restricted", "polish_intercepts", "polished_point"]

_ARMIJO = 1e-4
#: Rounding error of a loss, relative: a step may raise the objective by as much while the violation falls.
_SLACK = 1e-14
_SHORTEST_STEP = 1e-12
_FRACTION = 0.99
_FLOOR = 1e-13
#: Beyond so many coordinates, a step looks at those only whose gradient misses their threshold by less than this share
#: of the largest violation.
_MANY = 200
_REACH = 0.5
_SWEEPS = 100
_ROUNDS = 20
_TIGHTER = 1e-2
_RETRIES = 2
_RANK_FLOOR = 1e-10
_POLISH_STEPS = 10
_POLISHED = 1e-13


class Restricted(ABC):
    """The problem on the features Z, in a vector theta of coordinates: changes of the intercept, and coefficients.

    Parameters
    ----------
    problem : OrdinalProblem
        Says the loss, and the order of the coordinates.
    Z : array of shape (n, q)
        The features, in C order.
    x : OrdinalPoint
        Where to start, with the coefficients of these features.
    threshold, ridge : arrays of the shape of the coefficients
        Strengths of the l1 and of the squared penalty.
    eta : array of shape (n, m)
        The linear predictors there; overwritten.
    derivatives : Derivatives
        Those of the loss there, where it is finite; overwritten.
    """

    def __init__(
        self,
        problem: OrdinalProblem,
        Z: FloatArray,
        x: OrdinalPoint,
        threshold: FloatArray,
        ridge: FloatArray,
        eta: FloatArray,
        derivatives: Derivatives,
    ) -> None:
        self.problem, self.loss, self.Z = problem, problem.loss, Z
        self.eta, self.derivatives = eta, derivatives
        none = np.zeros(problem.n_boundaries)
        self.theta = problem.stacked(np.diff(x.intercept, prepend=0.0), x.coef)
        self.threshold, self.ridge = problem.stacked(none, threshold), problem.stacked(none, ridge)
        self.penalised = bool(np.any(self.threshold) or np.any(self.ridge))
        self.intercepts = np.flatnonzero(problem.stacked(none + 1.0, np.zeros_like(x.coef)))

    @abstractmethod
    def predictors(self, theta: FloatArray) -> FloatArray:
        """Return the linear predictors, or their change, for coordinates theta: a new array in C order."""

    @abstractmethod
    def coef_slope(self) -> FloatArray:
        """Return the gradient of the loss in the coefficients, in their shape."""

    @property
    def point(self) -> OrdinalPoint:
        """The intercepts, and the coefficients of the features."""
        coef = np.delete(self.theta, self.intercepts)
        return OrdinalPoint(np.cumsum(self.theta[self.intercepts]), coef.reshape(-1, self.Z.shape[1]))

    def hessian(self, chosen: npt.NDArray[np.bool_] | None = None) -> FloatArray:
        """Return the Hessian of the loss in all coordinates, or in those chosen, in C order."""
        if chosen is None:
            return self.problem.loss_hessian(self.Z, self.derivatives)
        intercept, coef = chosen[self.intercepts], np.delete(chosen, self.intercepts).reshape(-1, self.Z.shape[1])
        features = np.flatnonzero(coef.any(axis=0))
        H = self.problem.loss_hessian(np.ascontiguousarray(self.Z[:, features]), self.derivatives)
        kept = np.flatnonzero(self.problem.stacked(intercept.astype(np.float64), coef[:, features].astype(np.float64)))
        return H if kept.size == len(H) else np.ascontiguousarray(H[np.ix_(kept, kept)])

    def slope(self) -> FloatArray:
        """Return the gradient of the loss."""
        return self.problem.stacked(self.derivatives.total_gradient, self.coef_slope())

    @property
    def objective(self) -> float:
        """The objective, up to the penalty of features that are left out."""
        return self.derivatives.value + self.penalty(self.theta)

    def violation(self, slope: FloatArray) -> float:
        """Return how far the optimality conditions are from holding, for the gradient of the loss."""
        slope, size = slope + self.ridge * self.theta, np.abs(self.theta)
        apart = np.where(size > 0, np.abs(slope + self.threshold * np.sign(self.theta)), np.abs(slope) - self.threshold)
        return float(max(apart.max(), 0.0))

    def penalty(self, theta: FloatArray) -> float:
        """Return the penalty."""
        if not self.penalised:
            return 0.0
        size = np.abs(theta)
        return float(np.sum(self.threshold * size) + 0.5 * np.sum(self.ridge * size * size))

    def step(self, slope: FloatArray, violation: float) -> bool:
        """Take one proximal Newton step; return whether the objective fell, or could not be told from falling."""
        penalty, new = self.penalty(self.theta), self.theta.copy()
        likely = self._likely(slope, violation) if self.theta.size > _MANY else None
        H, chosen = self.hessian(likely), slice(None) if likely is None else np.flatnonzero(likely)
        accuracy = max(min(0.1, violation) * 0.1 * violation, _FLOOR)
        for _ in range(_RETRIES + 1):
            new[chosen] = self._model_minimiser(H, slope, chosen, accuracy)
            decrease = self._model_change(slope, new)
            if decrease < 0:
                return self._line_search(new - self.theta, new, decrease, penalty)
            accuracy *= _TIGHTER
        return False

    def _likely(self, slope: FloatArray, violation: float) -> npt.NDArray[np.bool_]:
        """Return the coordinates that are in use, or close to being so: the others stay 0 in this step."""
        size = np.abs(slope + self.ridge * self.theta)
        return np.asarray((self.theta != 0) | (size >= self.threshold - _REACH * violation))

    def _model_minimiser(
        self, H: FloatArray, slope: FloatArray, chosen: npt.NDArray[np.intp] | slice, accuracy: float
    ) -> FloatArray:
        """Minimise the quadratic model over the chosen coordinates, whose Hessian is H."""
        new, running = self.theta[chosen].copy(), slope[chosen].copy()
        threshold, ridge = self.threshold[chosen], self.ridge[chosen]
        if not np.any(threshold):
            return new - _solve(H + np.diag(ridge), running + ridge * new)
        for _ in range(_ROUNDS):
            sweeps, _moved = _quadratic_cd.descend(H, running, new, threshold, ridge, accuracy, _SWEEPS)
            if sweeps < _SWEEPS:
                break
            # Coordinates are nearly dependent: solve for those in use, up to where a sign changes.
            support = np.flatnonzero((new != 0) | (threshold == 0))
            sign, old = np.sign(new[support]), new[support]
            gradient = running[support] + ridge[support] * old + threshold[support] * sign
            change = -_solve(H[np.ix_(support, support)] + np.diag(ridge[support]), gradient)
            crossing = (threshold[support] > 0) & (sign * (old + change) < 0)
            steps = np.where(crossing, old / np.where(crossing, -change, 1.0), 1.0)
            step = float(steps.min(initial=1.0))
            new[support] = np.where(crossing & (steps == step), 0.0, old + step * change)
            running += H[:, support] @ (new[support] - old)
        return new

    def _model_change(self, slope: FloatArray, new: FloatArray) -> float:
        """Return the change of the linearised loss plus that of the penalty, without cancellation at small steps."""
        old, change = self.theta, new - self.theta
        sign = np.sign(old + new)
        # |new| - |old| is change * sign, where the sign changes a part of it.
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.where(old * new >= 0, sign, (np.abs(new) - np.abs(old)) / change)
        return float(np.sum(change * (slope + self.ridge * (old + 0.5 * change) + self.threshold * size)))

    def _line_search(self, direction: FloatArray, new: FloatArray, decrease: float, penalty: float) -> bool:
        before = self.derivatives.value + penalty
        # Arrays as large as some features: what the step leaves behind makes room for what it needs.
        del self.derivatives
        change = self.predictors(direction)
        step = min(1.0, _FRACTION * self.loss.longest_step(self.eta, change))
        while step > _SHORTEST_STEP:
            theta = new if step == 1.0 else self.theta + step * direction
            change *= step
            self.eta += change
            del change
            self.derivatives = self.loss.derivatives(self.eta)
            if self.derivatives.value + self.penalty(theta) <= before + _ARMIJO * step * decrease + _SLACK * before:
                self.theta = theta
                return True
            del self.derivatives
            step /= 2
            self.eta, change = self.predictors(self.theta), self.predictors(direction)
        self.derivatives = self.loss.derivatives(self.eta)
        return False

    def polish(self) -> None:
        """Take Newton steps on the coordinates without a penalty while their gradient falls."""
        free = np.flatnonzero((self.threshold == 0) & (self.ridge == 0))
        if free.size == self.intercepts.size:
            shift, self.derivatives = polish_intercepts(self.loss, self.eta, self.derivatives)
            self.theta[self.intercepts] += np.diff(shift, prepend=0.0)
            return
        last = np.inf
        for _ in range(_POLISH_STEPS):
            slope = self.slope()[free]
            size = float(np.abs(slope).max())
            if size <= _POLISHED or size >= last:
                break
            direction, last = np.zeros_like(self.theta), size
            direction[free] = -_solve(self.hessian()[np.ix_(free, free)], slope)
            before = self.derivatives.value
            self.eta += self.predictors(direction)
            self.derivatives = self.loss.derivatives(self.eta, self.derivatives)
            if not self.derivatives.value <= before * (1 + _SLACK):
                self.eta = self.predictors(self.theta)
                self.derivatives = self.loss.derivatives(self.eta, self.derivatives)
                break
            self.theta = self.theta + direction


def polish_intercepts(loss: Likelihood, eta: FloatArray, derivatives: Derivatives) -> tuple[FloatArray, Derivatives]:
    """Take Newton steps in the intercepts alone while their gradient falls.

    Parameters
    ----------
    loss : Likelihood
        The loss.
    eta : array of shape (n, m)
        Linear predictors where it is finite; changed in place.
    derivatives : Derivatives
        Those of the loss there; overwritten.

    Returns
    -------
    shift : array of shape (m,)
        What the intercepts, and the linear predictors with them, changed by.
    derivatives : Derivatives
        Those of the loss at the new linear predictors.
    """
    shift, last = np.zeros(eta.shape[1]), np.inf
    for _ in range(_POLISH_STEPS):
        size = float(np.abs(derivatives.total_gradient).max())
        if size <= _POLISHED or size >= last:
            break
        last = size
        step = -np.cumsum(_solve(derivatives.intercept_hessian(), derivatives.total_gradient))
        before = derivatives.value
        eta += step
        derivatives = loss.derivatives(eta, derivatives)
        if not derivatives.value <= before * (1 + _SLACK):
            eta -= step
            return shift, loss.derivatives(eta, derivatives)
        shift = shift + step
    return shift, derivatives


def polished_point(problem: OrdinalProblem, x: OrdinalPoint) -> OrdinalPoint:
    """Return the point with the intercepts that are best for its coefficients."""
    eta = problem.predictors(x)
    derivatives = problem.loss.derivatives(eta)
    if not np.isfinite(derivatives.value):
        return x
    return OrdinalPoint(x.intercept + polish_intercepts(problem.loss, eta, derivatives)[0], x.coef)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a positive semidefinite system, by its minimum-norm solution where it is singular.

    The diagonal is scaled to 1 first: what is small in the units of one column need not be in those of another.
    """
    root = np.sqrt(np.diag(matrix))
    root = np.where(root > 0, root, 1.0)
    matrix, right = matrix / root / root[:, None], right / root
    # LAPACK without the checks of scipy.linalg, which take longer than a few coordinates do.
    factor, failed = linalg.lapack.dpotrf(matrix, lower=1)
    pivots = np.diag(factor)
    if not failed and pivots.min() ** 2 > _RANK_FLOOR * pivots.max() ** 2:
        return np.asarray(linalg.lapack.dpotrs(factor, right, lower=1)[0] / root)
    values, vectors = linalg.eigh(matrix)
    kept = values > _RANK_FLOOR * values.max(initial=0.0)
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept]) / root)
