"""The barrier that keeps boundaries from crossing at the rows, added to the likelihood as if it were a part of it."""

from __future__ import annotations

import numpy as np

from ..ordinal.likelihood import Derivatives, FloatArray, Likelihood

__all__ = ["BarrierLikelihood"]


class BarrierLikelihood(Likelihood):
    r"""The averaged loss plus a logarithmic barrier on the gaps of adjacent boundaries at all rows.

    .. math:: \frac{\beta}{W (m - 1)} \sum_i w_i \sum_{k < m} -\log\left(1 - e^{-(\eta_{ik} - \eta_{i,k+1})}\right)

    Parameters
    ----------
    loss : Likelihood
        The loss of at least three classes.
    beta : float
        The strength of the barrier, positive.
    """

    def __init__(self, loss: Likelihood, beta: float) -> None:
        vars(self).update(vars(loss))
        self.beta = beta

    def _weights(self) -> FloatArray:
        return np.asarray(self.beta / (self.n_boundaries - 1) * self.row_weight)

    def multipliers(self, eta: FloatArray) -> FloatArray:
        """Return the multipliers of the gaps that the barrier stands for, of shape (n, m - 1)."""
        gap = eta[:, :-1] - eta[:, 1:]
        with np.errstate(over="ignore", divide="ignore"):
            return np.asarray(self._weights()[:, None] / np.expm1(gap))

    def derivatives(self, eta: FloatArray, out: Derivatives | None = None) -> Derivatives:
        """Evaluate loss and barrier at linear predictors of shape (n, m), in C order; see :class:`Likelihood`."""
        here, gap = super().derivatives(eta, out), eta[:, :-1] - eta[:, 1:]
        if not np.all(gap > 0):
            return here._replace(value=np.inf)
        weight = self._weights()
        slope = self.multipliers(eta)
        # Shifting the boundaries from l on lowers the gap below the first of them only.
        here.gradient[:, 1:] += slope
        here.total_gradient[1:] += slope.sum(axis=0)
        return here._replace(
            value=here.value - float(weight @ np.log(-np.expm1(-gap)).sum(axis=1)),
            barrier_curvature=slope / -np.expm1(-gap),
        )

    def null_derivatives(self) -> Derivatives:
        """Evaluate at the model without features."""
        return self.derivatives(np.tile(self.null_intercepts, (self.y.size, 1)))

    def value(self, eta: FloatArray, direction: FloatArray | None = None, step: float = 0.0) -> float:
        """Return loss and barrier at ``eta + step * direction``, infinity where boundaries cross."""
        return self.derivatives(eta if direction is None else eta + step * direction).value

    def longest_step(self, eta: FloatArray, direction: FloatArray, *, everywhere: bool = True) -> float:
        """Return the step along `direction` at which boundaries meet at some row."""
        return super().longest_step(eta, direction, everywhere=everywhere)
