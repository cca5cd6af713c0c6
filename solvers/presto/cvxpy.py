"""The reference backend: the problem with exponential cones for cvxpy, by default with Clarabel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..ordinal.conic import OrdinalConic, Statement
from ..ordinal.likelihood import FloatArray
from .problem import PrestoProblem

__all__ = ["CVXPY"]


class CVXPY(OrdinalConic[PrestoProblem]):
    r"""Interior-point solution through cvxpy, for the logit link and up to 50 000 rows times boundaries.

    With the predictors ``u`` and ``v`` of the boundaries above and below its class, the loss of a row is stated as

    .. math:: -\log\left(\sigma(u) - \sigma(v)\right) = \log(1 + e^{-u}) + \log(1 + e^v) - \log(1 - e^{-(u - v)})

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
    An interior point is never exactly zero: tiny differences of slopes are set to zero afterwards where the optimality
    conditions allow it and the objective does not rise. Then the intercepts are polished, and the point is certified
    once. Where a limit ended the run outside the domain, the point is the last one inside on the way from the model
    without features. If boundaries must not cross, the multipliers are those of the conic solver, and the intercepts
    stay as they are.

    References
    ----------
    S. Diamond and S. Boyd, "CVXPY: A Python-embedded modeling language for convex optimization", JMLR 17 (2016).
    P. Goulart and Y. Chen, "Clarabel: An interior-point solver for conic programs with quadratic objectives",
    arXiv:2405.12762 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> from estimand.solvers.presto.cvxpy import CVXPY
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 1])
    >>> problem = PrestoProblem(X=X, y=y, n_classes=3, alpha=0.1)
    >>> solution = CVXPY().solve(problem, tol=1e-7)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.603], [0.0]])
    """

    problem = PrestoProblem
    supports: ClassVar[frozenset[str]] = OrdinalConic.supports | {"monotone_train", "monotone_box"}

    def _constraints(self, problem: PrestoProblem, statement: Statement) -> list[Any]:
        if not problem.constrained:
            return []
        boundaries = range(problem.n_boundaries - 1)
        if problem.monotone == "train":
            return [statement.gap(boundary) >= 0 for boundary in boundaries]
        return [_smallest_gap(problem, statement, boundary) >= 0 for boundary in boundaries]

    def _dual(self, problem: PrestoProblem, constraints: list[Any]) -> FloatArray | None:
        if not constraints:
            return None
        n = problem.multipliers_shape[0]
        # An equal share each where one constraint stands for all rows at once.
        shares = [np.maximum(c.dual_value, 0.0) * (c.size / n) for c in constraints]
        return np.column_stack([np.broadcast_to(share, n) for share in shares])


def _smallest_gap(problem: PrestoProblem, statement: Statement, boundary: int) -> Any:
    """Return by how much a boundary's predictor exceeds the next one's at least in the box of the features."""
    import cvxpy as cp

    gap = statement.intercept[boundary] - statement.intercept[boundary + 1]
    if statement.coef is not None:
        centre, reach = (part / statement.sizes for part in problem.box)
        psi = statement.coef[boundary + 1]
        gap = gap - psi @ centre - cp.abs(psi) @ reach
    return cp.reshape(gap, (1,), order="C")
