"""The reference backend: the problem with exponential cones for cvxpy, by default with Clarabel."""

from __future__ import annotations

from ..ordinal.conic import OrdinalConic
from .problem import ProportionalOddsProblem

__all__ = ["CVXPY"]


class CVXPY(OrdinalConic[ProportionalOddsProblem]):
    r"""Interior-point solution through cvxpy, for the logit link and up to 50 000 rows times boundaries.

    With the predictors ``u`` and ``v`` of the boundaries above and below its class, the loss of a row is stated as

    .. math:: -\log\left(\sigma(u) - \sigma(v)\right) = \log(1 + e^{-u}) + \log(1 + e^v) - \log(1 - e^{-(u - v)})

    where ``u - v`` is the same for all rows of a class.

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

    Notes
    -----
    An interior point is never exactly zero: tiny slopes are set to zero afterwards where the optimality conditions
    allow it and the objective does not rise. Then the intercepts are polished, and the point is certified once. Where a
    limit ended the run outside the domain, the point is the last one inside on the way from the model without features.

    References
    ----------
    S. Diamond and S. Boyd, "CVXPY: A Python-embedded modeling language for convex optimization", JMLR 17 (2016).
    P. Goulart and Y. Chen, "Clarabel: An interior-point solver for conic programs with quadratic objectives",
    arXiv:2405.12762 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.proportional_odds import ProportionalOddsProblem
    >>> from estimand.solvers.proportional_odds.cvxpy import CVXPY
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 1])
    >>> problem = ProportionalOddsProblem(X=X, y=y, n_classes=3, alpha=0.0)
    >>> solution = CVXPY().solve(problem, tol=1e-7)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.83]])
    """

    problem = ProportionalOddsProblem
