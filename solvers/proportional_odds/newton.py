"""The default backend: Newton steps with the exact Hessian, proximal where there is an l1 penalty."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..ordinal.likelihood import FloatArray
from ..ordinal.proximal_newton import ProximalNewton
from ..ordinal.restricted import Restricted
from .problem import ProportionalOddsProblem

__all__ = ["Newton"]


class _RestrictedOdds(Restricted):
    """The proportional-odds model on some features: the coefficients are the common slopes."""

    def predictors(self, theta: FloatArray) -> FloatArray:
        m = self.loss.n_boundaries
        return np.add.outer(self.Z @ theta[m:], np.cumsum(theta[:m]))

    def coef_slope(self) -> FloatArray:
        return np.asarray(self.derivatives.gradient[:, 0] @ self.Z)


class Newton(ProximalNewton[ProportionalOddsProblem]):
    """Newton's method with a line search inside the domain; with an l1 penalty, coordinate descent on each model.

    Parameters
    ----------
    max_iter : int, default=100
        Newton steps, over all working sets.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The intercepts need no order: a step stops short of where the probability of an observed class would vanish.

    References
    ----------
    P. McCullagh, "Regression models for ordinal data", JRSS B 42 (1980), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.proportional_odds import ProportionalOddsProblem
    >>> from estimand.solvers.proportional_odds.newton import Newton
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 1])
    >>> problem = ProportionalOddsProblem(X=X, y=y, n_classes=3, alpha=0.0)
    >>> solution = Newton().solve(problem, tol=1e-8)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.83]])
    """

    name = "newton"
    problem = ProportionalOddsProblem
    guarantee = "exact"
    restricted = _RestrictedOdds
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "weights", "sample_weight", "l2", "free", "other_links", "callback"}
    )
