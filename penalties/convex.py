"""The convex penalties: l1 and the elastic net."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .base import BuiltinPenalty, FloatArray, check_parameter

__all__ = ["L1", "L1L2"]


class L1(BuiltinPenalty):
    r"""The absolute value, :math:`P(w) = \alpha |w|`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58 (1996).

    Examples
    --------
    >>> from estimand.penalties import L1
    >>> L1(alpha=1.0).prox([3.0, -0.5], step=1.0)
    array([2., 0.])
    """

    name = "l1"
    code = 0
    is_convex: ClassVar[bool] = True

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), 0.0, 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        return self.alpha * z

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        return np.maximum(x - step * self.alpha, 0.0)

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.full_like(z, self.alpha)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``alpha * step``."""
        return self._parameters()[0] * np.asarray(step, dtype=np.float64)[()]


class L1L2(BuiltinPenalty):
    r"""The elastic net, :math:`P(w) = \alpha (\rho |w| + (1 - \rho) w^2 / 2)` with ``rho = l1_ratio``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    l1_ratio : float, default=0.5
        Share of the absolute value, in ``[0, 1]``.

    References
    ----------
    H. Zou and T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67 (2005).

    Examples
    --------
    >>> from estimand.penalties import L1L2
    >>> L1L2(alpha=1.0, l1_ratio=0.5).prox([2.0, 0.5], step=1.0)
    array([1., 0.])
    """

    name = "elastic_net"
    code = 1
    is_convex: ClassVar[bool] = True

    def __init__(self, alpha: float = 1.0, l1_ratio: float = 0.5) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio

    def _parameters(self) -> tuple[float, float, float]:
        alpha = self._alpha()
        ratio = check_parameter("L1L2", "l1_ratio", self.l1_ratio, 0.0)
        if ratio > 1:
            raise ValueError(f"L1L2: l1_ratio={self.l1_ratio!r} must lie in [0, 1].")
        return alpha * ratio, alpha * (1 - ratio), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        l1, l2, _ = self._parameters()
        return z * (l1 + 0.5 * l2 * z)

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        l1, l2, _ = self._parameters()
        return np.maximum(x - step * l1, 0.0) / (1.0 + step * l2)

    def _slope(self, z: FloatArray) -> FloatArray:
        l1, l2, _ = self._parameters()
        return l1 + l2 * z

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``alpha * l1_ratio * step``."""
        return self._parameters()[0] * np.asarray(step, dtype=np.float64)[()]
