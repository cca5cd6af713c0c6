"""The default backend: proximal Newton steps by coordinate descent, on growing sets of features."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..ordinal.likelihood import FloatArray
from ..ordinal.problem import OrdinalPoint
from ..ordinal.proximal_newton import Known, ProximalNewton
from ..ordinal.restricted import Restricted
from .problem import PrestoProblem

__all__ = ["NewtonCD"]


class NewtonCD(ProximalNewton[PrestoProblem]):
    """Proximal Newton method: coordinate descent on the quadratic model, a line search inside the domain.

    Parameters
    ----------
    max_iter : int, default=100
        Newton steps, over all working sets.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The exact Hessian is used, which is positive semidefinite for the links on offer. A step stops short of where the
    probability of an observed class would vanish. At the end the intercepts are polished, so that the bound on the
    suboptimality is not dominated by their gradient.

    References
    ----------
    J. Lee, Y. Sun and M. Saunders, "Proximal Newton-type methods for minimizing composite functions", SIAM J.
    Optimization 24 (2014). R. Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems", JRSS
    B 74 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> from estimand.solvers.presto.newton_cd import NewtonCD
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 2])
    >>> problem = PrestoProblem(X=X, y=y, n_classes=3, alpha=0.1)
    >>> solution = NewtonCD().solve(problem, tol=1e-8)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.0], [1.936]])
    """

    name = "newton_cd"
    problem = PrestoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "weights", "sample_weight", "l2", "free", "other_links", "callback"}
    )

    def _restrict(
        self, problem: PrestoProblem, Z: FloatArray, features: npt.NDArray[np.intp], known: Known
    ) -> Restricted:
        x = OrdinalPoint(known.x.intercept, known.x.coef[:, features])
        penalties = problem.thresholds[:, features], problem.ridge[:, features]
        return _RestrictedPresto(problem, Z, x, *penalties, known.predictors, known.derivatives)


class _RestrictedPresto(Restricted):
    """PRESTO on some features: the coefficients are the differences of slopes."""

    def predictors(self, theta: FloatArray) -> FloatArray:
        sums = np.cumsum(theta.reshape(self.loss.n_boundaries, -1), axis=0)
        return np.ascontiguousarray(self.Z @ sums[:, 1:].T + sums[:, 0])

    def coef_slope(self) -> FloatArray:
        return np.asarray(self.derivatives.gradient.T @ self.Z)
