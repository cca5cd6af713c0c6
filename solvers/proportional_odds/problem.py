"""The proportional-odds problem: a cumulative-link model with the same slopes for all boundaries.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..ordinal.likelihood import Derivatives, FloatArray, class_sums, weighted_grams
from ..ordinal.problem import OrdinalProblem

__all__ = ["ProportionalOddsProblem"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ProportionalOddsProblem(OrdinalProblem):
    r"""A cumulative-link model whose boundaries share their slopes, with a penalty on these.

    Over the intercepts ``a`` and the slopes ``b``,

    .. math:: P(a, b) = \frac{1}{W} \sum_i w_i
        \left[-\log\left(F(\eta_{i, y_i}) - F(\eta_{i, y_i + 1})\right)\right]
        + \alpha \sum_j v_j \left[\rho |b_j| + \frac{1 - \rho}{2} b_j^2\right],
        \qquad \eta_{i k} = a_k + x_i^\top b

    where ``rho = l1_ratio``. The intercepts decrease at any point where all classes have a positive probability.

    Parameters
    ----------
    X : ndarray of shape (n, p), or CSR or CSC matrix or array
        The features, float64.
    y : int array of shape (n,)
        Classes 0 to K - 1, each with a positive total weight.
    n_classes : int
        The number K of classes, at least 2.
    alpha : float
        Strength of the penalty, at least 0.
    l1_ratio : float, default 1
        Share of the l1 penalty, in [0, 1].
    weights : array of shape (p,) or None
        Penalty weights v of the features, finite and at least 0; None means ones.
    link : {"logit", "probit", "cloglog", "loglog"}, default "logit"
        The inverse of F.
    sample_weight : array of shape (n,) or None
        Weights w of the rows, positive.
    gap_tol : float or None
        If given, a point has converged only if its bound on the suboptimality is at most ``gap_tol`` times the loss of
        the model without features, too.
    likelihood : Likelihood or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is first needed.

    Raises
    ------
    ValueError
        For wrong shapes, classes without weight, and numbers out of range.

    References
    ----------
    P. McCullagh, "Regression models for ordinal data", JRSS B 42 (1980), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.proportional_odds import ProportionalOddsProblem
    >>> X, y = np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 2, 2])
    >>> problem = ProportionalOddsProblem(X=X, y=y, n_classes=3, alpha=1.0)
    >>> problem.certify(problem.initial_point(), tol=1e-8).converged
    True
    """

    name: ClassVar[str] = "proportional_odds"

    @cached_property
    def penalty_weights(self) -> FloatArray:
        """The weights v, of shape (1, p)."""
        return self.feature_weights[None, :]

    def slopes(self, coef: FloatArray) -> FloatArray:
        """Return the common slopes, of shape (1, p)."""
        return coef

    def coef_gradient(self, derivatives: Derivatives) -> FloatArray:
        """Return the gradient of the loss in the slopes, of shape (1, p)."""
        return np.asarray(derivatives.gradient[:, :1].T @ self.X)

    def loss_hessian(self, Z: FloatArray, derivatives: Derivatives) -> FloatArray:
        """Return the Hessian of the loss in intercepts and slopes; see :class:`OrdinalProblem`."""
        # Shifting the boundaries from l on moves both of the classes from l on, and the upper one of class l - 1.
        shift, upper = class_sums(Z, self.loss.y, derivatives.curvature, self.n_classes)
        cross = np.cumsum(shift[:0:-1], axis=0)[::-1] + upper[:-1]
        gram = weighted_grams(Z, self.loss.all_rows, derivatives.curvature[:, :1])[0, 1:, 1:]
        m = self.n_boundaries
        matrix = np.empty((m + gram.shape[0], m + gram.shape[0]))
        matrix[:m, :m], matrix[:m, m:] = derivatives.intercept_hessian(), cross
        matrix[m:, :m], matrix[m:, m:] = cross.T, gram
        return matrix

    def stacked(self, intercept: FloatArray, coef: FloatArray) -> FloatArray:
        """Return the numbers of the intercepts, then those of the slopes."""
        return np.concatenate([intercept, coef.ravel()])
