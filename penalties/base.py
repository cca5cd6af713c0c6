"""What a penalty is: the interface for users, and the shared half of the built-in ones.

The formulas of the single penalties live beside this file. Nothing here knows a solver or an estimator.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

__all__ = ["BuiltinPenalty", "FloatArray", "Penalty", "check_parameter"]

FloatArray = npt.NDArray[np.float64]

_BISECTIONS = 80


def check_parameter(owner: str, name: str, value: Any, low: float, *, closed: bool = True) -> float:
    """Return `value` as a float if it is a finite number of at least (`closed`), or above, `low`.

    Raises
    ------
    TypeError
        If `value` is no number.
    ValueError
        If it is out of range.
    """
    relation = "at least" if closed else "above"
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{owner}: {name}={value!r} must be a number {relation} {low:g}.")
    number = float(value)
    if not (math.isfinite(number) and (number >= low if closed else number > low)):
        raise ValueError(f"{owner}: {name}={value!r} must be finite and {relation} {low:g}.")
    return number


class Penalty(BaseEstimator, ABC):  # type: ignore[misc]
    r"""A separable penalty :math:`\sum_j P(w_j)`, with an even function ``P`` that does not decrease on ``[0, inf)``.

    A penalty of one's own derives from this class and defines :meth:`value_elementwise` and :meth:`prox`; the
    constructor stores its arguments unchanged, so that ``clone`` and grid searches over ``penalty__alpha`` work.

    Attributes
    ----------
    is_convex : bool
        Whether ``P`` is convex. False, the default, is always safe to claim.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import Penalty
    >>> class Ridge(Penalty):
    ...     is_convex = True
    ...     def __init__(self, alpha=1.0):
    ...         self.alpha = alpha
    ...     def value_elementwise(self, w):
    ...         return self.alpha / 2 * w**2
    ...     def prox(self, x, step, positive=False):
    ...         return (np.maximum(x, 0) if positive else x) / (1 + step * self.alpha)
    >>> Ridge(2.0).value(np.array([1.0, 2.0]))
    5.0
    """

    is_convex: ClassVar[bool] = False

    @abstractmethod
    def value_elementwise(self, w: FloatArray) -> FloatArray:
        """Return ``P(w_j)`` for every entry of `w`."""

    @abstractmethod
    def prox(self, x: FloatArray, step: float | FloatArray, positive: bool = False) -> FloatArray:
        """Return, entry by entry, a minimiser of ``(z - x)^2 / 2 + step * P(z)`` over `z`.

        Parameters
        ----------
        x : array
            Points.
        step : float or array that broadcasts with `x`
            Step sizes, at least 0.
        positive : bool, default False
            Whether to minimise over ``z >= 0`` only; for an even ``P`` that increases this is the same as replacing
            negative entries of `x` by 0.
        """

    def value(self, w: FloatArray) -> float:
        """Return the sum of ``P(w_j)``."""
        return float(np.sum(self.value_elementwise(np.asarray(w, dtype=np.float64))))

    def threshold(self, step: float | FloatArray) -> Any:
        """Return the largest ``x >= 0`` that :meth:`prox` maps to 0, found by bisection; infinity beyond ``1e150``."""
        steps = np.atleast_1d(np.asarray(step, dtype=np.float64))
        low, high = np.full(steps.shape, -500.0), np.full(steps.shape, 500.0)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            moved = np.asarray(self.prox(np.exp2(middle), steps)) > 0
            low, high = np.where(moved, low, middle), np.where(moved, middle, high)
        found = np.where(low == -500.0, 0.0, np.where(high == 500.0, np.inf, np.exp2(low)))
        return found.reshape(np.shape(step))[()]

    def kernel_arguments(self) -> tuple[int, float, float, float] | None:
        """Return the code and the parameters that compiled kernels know this penalty by; None: they do not know it."""
        return None


class BuiltinPenalty(Penalty):
    """The shared half of the built-in penalties: signs, broadcasting, range checks.

    Subclasses give the formulas for nonnegative arguments; ``_parameters`` checks ranges and returns the numbers
    ``(alpha, p1, p2)`` that the formulas, here and in the compiled kernels, are written in.
    """

    name: ClassVar[str]
    code: ClassVar[int]

    @abstractmethod
    def _parameters(self) -> tuple[float, float, float]:
        """Return the checked parameters."""

    @abstractmethod
    def _value(self, z: FloatArray) -> FloatArray:
        """Return ``P(z)`` for ``z >= 0``."""

    @abstractmethod
    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        """Return the minimiser for ``x >= 0``; of two, the smaller."""

    @abstractmethod
    def _slope(self, z: FloatArray) -> FloatArray:
        """Return ``P'(z)`` for ``z > 0`` and ``P'(0+)`` at 0."""

    def value_elementwise(self, w: FloatArray) -> FloatArray:
        """Return ``P(w_j)`` for every entry of `w`."""
        self._parameters()
        values: FloatArray = self._value(np.abs(np.asarray(w, dtype=np.float64)))
        return values

    def prox(self, x: FloatArray, step: float | FloatArray, positive: bool = False) -> FloatArray:
        """Return, entry by entry, the minimiser of ``(z - x)^2 / 2 + step * P(z)``; of two, the smaller in magnitude.

        Parameters
        ----------
        x : array
            Points.
        step : float or array that broadcasts with `x`
            Step sizes, finite and at least 0.
        positive : bool, default False
            Whether to minimise over ``z >= 0`` only.

        Raises
        ------
        ValueError
            If a step is negative or not finite, or a parameter of the penalty is out of range.
        """
        self._parameters()
        points, steps = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(step, dtype=np.float64))
        if not np.all((steps >= 0) & np.isfinite(steps)):
            bad = steps[~((steps >= 0) & np.isfinite(steps))].flat[0]
            raise ValueError(f"step={bad} must be finite and at least 0.")
        if positive:
            points = np.maximum(points, 0.0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = self._prox(np.abs(np.atleast_1d(points)), np.atleast_1d(steps)).reshape(points.shape)
        result: FloatArray = np.where(np.isnan(points), np.nan, np.copysign(found, points) + 0.0)[()]
        return result

    def subgradient_distance(self, w: FloatArray, grad: FloatArray) -> FloatArray:
        """Return the distance of ``-grad`` from the limiting subdifferential of ``P`` at each ``w_j``.

        Where the slope at 0+ is infinite (:class:`L0`, :class:`Lq`), every gradient is admitted at 0: the distance
        is 0 there and proves nothing.
        """
        self._parameters()
        w, grad = np.asarray(w, dtype=np.float64), np.asarray(grad, dtype=np.float64)
        with np.errstate(divide="ignore"):
            slope = self._slope(np.abs(w))
        at_zero = np.maximum(np.abs(grad) - slope, 0.0)
        with np.errstate(invalid="ignore"):
            elsewhere = np.abs(grad + np.sign(w) * slope)
        distances: FloatArray = np.where(w == 0, at_zero, elsewhere)
        return distances

    def kernel_arguments(self) -> tuple[int, float, float, float]:
        """Return the code and the parameters ``(alpha, p1, p2)`` that compiled kernels know this penalty by."""
        return (self.code, *self._parameters())

    def _alpha(self) -> float:
        return check_parameter(type(self).__name__, "alpha", self.alpha, 0.0)  # type: ignore[attr-defined]
