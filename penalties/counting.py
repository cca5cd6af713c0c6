"""Penalties that count, or nearly: l0, its continuous exact relaxation CEL0, and the powers between l0 and l1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import BuiltinPenalty, FloatArray, check_parameter

__all__ = ["CEL0", "L0", "Lq"]

_NEWTON_STEPS = 30


class L0(BuiltinPenalty):
    r"""The number of nonzero entries, :math:`P(w) = \alpha 1\{w \neq 0\}`; its prox is hard thresholding.

    Parameters
    ----------
    alpha : float, default=1.0
        Price of a nonzero entry, at least 0.

    Examples
    --------
    >>> from estimand.penalties import L0
    >>> L0(alpha=0.5).prox([2.0, 0.5], step=1.0)
    array([2., 0.])
    """

    name = "l0"
    code = 3

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), 0.0, 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        return np.where(z > 0, float(self.alpha), 0.0)

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        return np.where(x > np.sqrt(2.0 * (step * self.alpha)), x, 0.0)

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.where((z > 0) | (self.alpha == 0), 0.0, np.inf)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``sqrt(2 alpha step)``."""
        return np.sqrt(2.0 * self._parameters()[0] * np.asarray(step, dtype=np.float64))[()]


class CEL0(BuiltinPenalty):
    r"""The continuous exact relaxation of l0.

    With ``a = norm``,

    .. math:: P(w) = \alpha - \frac{a^2}{2} \left(|w| - \frac{\sqrt{2 \alpha}}{a}\right)^2
        1\{|w| \le \sqrt{2 \alpha} / a\}

    Parameters
    ----------
    alpha : float, default=1.0
        Price of a nonzero entry, at least 0.
    norm : float, default=1.0
        The norm of the column that the coefficient belongs to (of ``A_j / sqrt(n)`` where the loss is an average),
        above 0.

    Notes
    -----
    This is :class:`MCP` with ``gamma = 1 / norm^2`` and strength ``norm sqrt(2 alpha)``. A coordinate step has the
    length ``1 / norm^2``, where the prox is hard thresholding: coordinate descent does not tell CEL0 from l0, proximal
    gradient methods with their shorter steps do.

    References
    ----------
    E. Soubies, L. Blanc-Feraud and G. Aubert, "A continuous exact l0 penalty (CEL0) for least squares regularized
    problem", SIAM J. Imaging Sciences 8 (2015).

    Examples
    --------
    >>> from estimand.penalties import CEL0
    >>> CEL0(alpha=0.5).prox([2.0, 0.75, 0.25], step=0.5)
    array([2. , 0.5, 0. ])
    """

    name = "cel0"
    code = 4

    def __init__(self, alpha: float = 1.0, norm: float = 1.0) -> None:
        self.alpha = alpha
        self.norm = norm

    def _parameters(self) -> tuple[float, float, float]:
        return self._alpha(), check_parameter("CEL0", "norm", self.norm, 0.0, closed=False), 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        alpha, a, _ = self._parameters()
        root = math.sqrt(2.0 * alpha)
        z = np.minimum(z, root / a)
        # The square of the formula above, multiplied out: it would lose all digits of a small z.
        return a * root * z - 0.5 * (a * z) ** 2

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        alpha, a, _ = self._parameters()
        root = math.sqrt(2.0 * alpha)
        curvature = a * a * step
        # At the limit itself, which a coordinate step hits, rounding must not decide the branch.
        convex = curvature < 1.0 - 1e-12
        soft = np.minimum(x, np.maximum(x - a * step * root, 0.0) / np.where(convex, 1.0 - curvature, 1.0))
        return np.where(convex, soft, np.where(x > np.sqrt(2.0 * (step * alpha)), x, 0.0))

    def _slope(self, z: FloatArray) -> FloatArray:
        alpha, a, _ = self._parameters()
        return np.maximum(a * (math.sqrt(2.0 * alpha) - a * z), 0.0)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``norm step sqrt(2 alpha)``, or ``sqrt(2 alpha step)`` for steps beyond ``1 / norm^2``."""
        alpha, a, _ = self._parameters()
        step = np.asarray(step, dtype=np.float64)
        soft, hard = a * step * math.sqrt(2.0 * alpha), np.sqrt(2.0 * (step * alpha))
        return np.where(a * a * step < 1.0 - 1e-12, soft, hard)[()]


class Lq(BuiltinPenalty):
    r"""A power between l0 and l1, :math:`P(w) = \alpha |w|^q` with ``0 < q < 1``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength, at least 0.
    q : float, default=0.5
        The exponent, in the open interval (0, 1).

    Notes
    -----
    The prox jumps from 0 to ``zbar = (2 eta (1 - q))^(1/(2-q))`` with ``eta = alpha step``; beyond, it is the larger
    root of ``z + eta q z^(q-1) = x``, found by Newton's method in units of ``zbar``, where nothing over- or underflows.

    References
    ----------
    Z. Xu, X. Chang, F. Xu and H. Zhang, "L1/2 regularization", IEEE TNNLS 23 (2012), for ``q = 1/2``.

    Examples
    --------
    >>> from estimand.penalties import Lq
    >>> Lq(alpha=1.0, q=0.5).prox([1.4, 3.0], step=1.0).round(4)
    array([0.    , 2.6955])
    """

    name = "lq"
    code = 2

    def __init__(self, alpha: float = 1.0, q: float = 0.5) -> None:
        self.alpha = alpha
        self.q = q

    def _parameters(self) -> tuple[float, float, float]:
        alpha = self._alpha()
        q = check_parameter("Lq", "q", self.q, 0.0)
        if not 0 < q < 1:
            hint = {0.0: " Use L0 for q=0.", 1.0: " Use L1 for q=1."}.get(q, "")
            raise ValueError(f"Lq: q={self.q!r} must lie between 0 and 1, both excluded.{hint}")
        return alpha, q, 0.0

    def _value(self, z: FloatArray) -> FloatArray:
        return self.alpha * z**self.q

    def _jump(self, step: FloatArray) -> FloatArray:
        """Return ``zbar``."""
        alpha, q, _ = self._parameters()
        with np.errstate(divide="ignore"):
            return np.exp((np.log(step * alpha) + math.log(2.0 * (1.0 - q))) / (2.0 - q))

    def _prox(self, x: FloatArray, step: FloatArray) -> FloatArray:
        q = self.q
        c = q / (2.0 * (1.0 - q))
        zbar = self._jump(step)
        z = np.where(x > (1.0 + c) * zbar, x, 0.0)
        ratio = x / zbar
        moving = np.flatnonzero((z > 0) & np.isfinite(ratio))
        target = ratio.flat[moving]
        s = np.maximum(target - c * target ** (q - 1.0), 1.0)
        for _ in range(_NEWTON_STEPS):
            power = s ** (q - 2.0)
            new = np.maximum(s - (s + c * power * s - target) / (1.0 - 0.5 * q * power), 1.0)
            settled = np.all(np.abs(new - s) <= 1e-15 * s)
            s = new
            if settled:
                break
        z.flat[moving] = s * zbar.flat[moving]
        return z

    def _slope(self, z: FloatArray) -> FloatArray:
        return np.zeros_like(z) if self.alpha == 0 else self.alpha * self.q * z ** (self.q - 1.0)

    def threshold(self, step: float | FloatArray) -> Any:
        """Return ``zbar (2 - q) / (2 (1 - q))``, where the prox jumps."""
        _, q, _ = self._parameters()
        return ((2.0 - q) / (2.0 * (1.0 - q)) * self._jump(np.asarray(step, dtype=np.float64)))[()]
