"""Folded concave penalties, which grow like l1 at 0 and level off: MCP, SCAD, the logarithm, and capped l1."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import BuiltinPenalty, FloatArray, check_parameter

__all__ = ["MCP", "SCAD", "CappedL1", "LogSum"]


class MCP(BuiltinPenalty):
    r"""The minimax concave penalty.

    .. math:: P(w) = \alpha |w| - \frac{w^2}{2 \gamma} \text{ for } |w| \le \gamma \alpha,
        \quad \frac{\gamma \alpha^2}{2} \text{ beyond}

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    gamma : float, default=3.0
        How slowly the penalty levels off, above 0; with ``gamma = inf`` it would be l1.

    References
    ----------
    C.-H. Zhang, "Nearly unbiased variable selection under minimax concave penalty", Annals of Statistics 38 (2010).

    Examples
    --------
    >>> from estimand.penalties import MCP
    >>> MCP(alpha=1.0, gamma=2.0).prox([0.5, 1.5, 3.0], step=1.0)
    array([0., 1., 3.])
    """

    name = "mcp"
    code = 5

    def __init__(self, alpha: float = 1.0, gamma: float = 3.0) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), check_parameter("MCP", "gamma", self.gamma, 0.0, closed=False), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        z = np.minimum(z, self.gamma * self.alpha)
        return self.alpha * z - z * z / (2.0 * self.gamma)

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        alpha, gamma, _ = self._parameters()
        convex = step < gamma
        inner = np.maximum(x - step * alpha, 0.0) / np.where(convex, 1.0 - step / gamma, 1.0)
        soft = np.where(x > gamma * alpha, x, np.minimum(inner, x))
        return np.where(convex, soft, np.where(x > alpha * np.sqrt(gamma * step), x, 0.0))

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.maximum(self.alpha - z / self.gamma, 0.0)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``alpha step``, or ``alpha sqrt(gamma step)`` for steps beyond ``gamma``."""
        alpha, gamma, _ = self._parameters()
        step = np.asarray(step, dtype=np.float64)
        return np.where(step < gamma, step * alpha, alpha * np.sqrt(gamma * step))[()]


class SCAD(BuiltinPenalty):
    r"""Smoothly clipped absolute deviation.

    .. math:: P(w) = \alpha |w| \text{ for } |w| \le \alpha, \quad
        \frac{2 \gamma \alpha |w| - w^2 - \alpha^2}{2 (\gamma - 1)} \text{ for } \alpha < |w| \le \gamma \alpha, \quad
        \frac{\alpha^2 (\gamma + 1)}{2} \text{ beyond}

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    gamma : float, default=3.7
        Where the penalty levels off, above 2.

    References
    ----------
    J. Fan and R. Li, "Variable selection via nonconcave penalized likelihood and its oracle properties", JASA 96
    (2001).

    Examples
    --------
    >>> from estimand.penalties import SCAD
    >>> SCAD(alpha=1.0, gamma=3.0).prox([0.5, 1.5, 2.5, 4.0], step=1.0)
    array([0. , 0.5, 2. , 4. ])
    """

    name = "scad"
    code = 6

    def __init__(self, alpha: float = 1.0, gamma: float = 3.7) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), check_parameter("SCAD", "gamma", self.gamma, 2.0, closed=False), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        alpha, gamma = self.alpha, self.gamma
        beyond = np.clip(z, alpha, gamma * alpha) - alpha
        return alpha * (np.minimum(z, alpha) + beyond) - beyond * beyond / (2.0 * (gamma - 1.0))

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        alpha, gamma, _ = self._parameters()
        eta = step * alpha
        convex = step < gamma - 1.0
        slack = np.where(convex, gamma - 1.0 - step, 1.0)
        middle = np.clip(((gamma - 1.0) * x - gamma * eta) / slack, alpha, np.maximum(x, alpha))
        soft = np.where(x <= alpha + eta, np.maximum(x - eta, 0.0), np.where(x <= gamma * alpha, middle, x))
        first, second = np.clip(x - eta, 0.0, alpha), np.maximum(x, gamma * alpha)
        gain = first * (0.5 * first - x) + eta * first
        other = second * (0.5 * second - x) + 0.5 * eta * alpha * (gamma + 1.0)
        return np.where(convex, soft, np.where(other < gain, second, first))

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.clip((self.gamma * self.alpha - z) / (self.gamma - 1.0), 0.0, self.alpha)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``alpha step``, or ``alpha sqrt((gamma + 1) step)`` for steps beyond ``gamma + 1``."""
        alpha, gamma, _ = self._parameters()
        step = np.asarray(step, dtype=np.float64)
        return np.minimum(step * alpha, alpha * np.sqrt((gamma + 1.0) * step))[()]


class LogSum(BuiltinPenalty):
    r"""The logarithm, :math:`P(w) = \alpha \log(1 + |w| / \epsilon)`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    eps : float, default=1.0
        Where the penalty bends, above 0.

    References
    ----------
    E. Candes, M. Wakin and S. Boyd, "Enhancing sparsity by reweighted l1 minimization", J. Fourier Analysis and
    Applications 14 (2008).

    Examples
    --------
    >>> from estimand.penalties import LogSum
    >>> LogSum(alpha=1.0, eps=1.0).prox([0.5, 2.0], step=1.0).round(4)
    array([0.   , 1.618])
    """

    name = "log"
    code = 7

    def __init__(self, alpha: float = 1.0, eps: float = 1.0) -> None:
        self.alpha = alpha
        self.eps = eps

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), check_parameter("LogSum", "eps", self.eps, 0.0, closed=False), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        return self.alpha * np.log1p(z / self.eps)

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        alpha, eps, _ = self._parameters()
        eta = step * alpha
        bound = 2.0 * np.sqrt(eta)
        root = np.sqrt(np.maximum(x + eps - bound, 0.0)) * np.sqrt(x + eps + bound)
        # Two forms of the larger root: each cancels where the other is used.
        z = np.where(x >= eps, 0.5 * ((x - eps) + root), 2.0 * (x * eps - eta) / ((eps - x) + root))
        z = np.where((x + eps >= bound) & (z > 0), np.minimum(z, x), 0.0)
        convex = eta <= eps * eps
        better = z * (0.5 * z - x) + eta * np.log1p(z / eps) < 0
        return np.where(convex | better, z, 0.0)

    def _slope(self, z: FloatArray) -> FloatArray:
        return self.alpha / (self.eps + z)


class CappedL1(BuiltinPenalty):
    r"""The capped absolute value, :math:`P(w) = \alpha \min(|w|, \theta)`.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    theta : float, default=1.0
        Where the penalty stops growing, above 0.

    References
    ----------
    T. Zhang, "Analysis of multi-stage convex relaxation for sparse regularization", JMLR 11 (2010).

    Examples
    --------
    >>> from estimand.penalties import CappedL1
    >>> CappedL1(alpha=1.0, theta=2.0).prox([0.5, 1.5, 4.0], step=1.0)
    array([0. , 0.5, 4. ])
    """

    name = "capped_l1"
    code = 8

    def __init__(self, alpha: float = 1.0, theta: float = 1.0) -> None:
        self.alpha = alpha
        self.theta = theta

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), check_parameter("CappedL1", "theta", self.theta, 0.0, closed=False), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        return self.alpha * np.minimum(z, self.theta)

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        alpha, theta, _ = self._parameters()
        eta = step * alpha
        first, second = np.clip(x - eta, 0.0, theta), np.maximum(x, theta)
        gain = first * (0.5 * first - x) + eta * first
        return np.where(second * (0.5 * second - x) + eta * theta < gain, second, first)

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.where(z < self.theta, float(self.alpha), 0.0)

    def subgradient_distance(self, w: FloatArray, grad: FloatArray) -> FloatArray:
        """Return the distance of ``-grad`` from the limiting subdifferential, which has two points at the kink."""
        distance = super().subgradient_distance(w, grad)
        w, grad = np.asarray(w, dtype=np.float64), np.asarray(grad, dtype=np.float64)
        steep = np.abs(grad + np.sign(w) * self.alpha)
        result: FloatArray = np.where(np.abs(w) == self.theta, np.minimum(distance, steep), distance)
        return result

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``alpha step``, or ``sqrt(2 alpha theta step)`` where that is less."""
        alpha, theta, _ = self._parameters()
        eta = alpha * np.asarray(step, dtype=np.float64)
        return np.minimum(eta, np.sqrt(2.0 * eta * theta))[()]
