"""The adapter to scikit-learn's LogisticRegression, which is PRESTO for two classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import sparse

from ..base import Solver
from ..logistic import LogisticProblem
from ..logistic.sklearn import Sklearn as LogisticSklearn
from ..monitor import certify_once
from ..ordinal.likelihood import FloatArray
from ..ordinal.problem import OrdinalPoint
from ..ordinal.restricted import polished_point
from ..solution import Callback, Solution, Start
from .problem import PrestoProblem

__all__ = ["Sklearn"]


class Sklearn(Solver[PrestoProblem, OrdinalPoint]):
    r"""Scikit-learn's SAGA for two classes and the logit link.

    There is one boundary then, whose slopes b are penalised themselves:

    .. math:: \min_{a, b} \ \frac{1}{W} \sum_i w_i \log\left(1 + e^{-s_i (a + x_i^\top b)}\right)
        + \alpha \sum_j v_j \left[\rho |b_j| + \frac{1 - \rho}{2} b_j^2\right],
        \qquad s_i = 2 y_i - 1, \quad \rho = \mathtt{l1\_ratio}

    Parameters
    ----------
    max_iter : int, default=10000
        Passes of SAGA over the data.
    time_limit : None, default=None
        Scikit-learn has no time limit; anything else is refused.
    random_state : int or None, default=0
        Seed of the order of the samples.

    Notes
    -----
    Scikit-learn knows no penalty weights: with weights that differ, column j is divided by ``v_j`` (by its root for a
    purely squared penalty), and the slopes found are, too. No scaling states an elastic net with such weights. SAGA
    stops on the change of its coefficients, at a thousandth of `tol`, which may be too early where features have very
    different scales; the certificate then says so.

    References
    ----------
    A. Defazio, F. Bach and S. Lacoste-Julien, "SAGA: a fast incremental gradient method with support for non-strongly
    convex composite objectives", NeurIPS 27 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> from estimand.solvers.presto.sklearn import Sklearn
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 0, 1, 0, 1])
    >>> problem = PrestoProblem(X=X, y=y, n_classes=2, alpha=0.1)
    >>> solution = Sklearn().solve(problem, tol=1e-6)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.712]])
    """

    name = "sklearn"
    problem = PrestoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "weights", "sample_weight", "l2"})

    def __init__(self, max_iter: int = 10000, time_limit: float | None = None, random_state: int | None = 0) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state

    def refuses(self, problem: PrestoProblem) -> str | None:
        """Return why scikit-learn cannot state `problem`, or None."""
        if problem.n_classes != 2:
            return f"LogisticRegression is PRESTO for 2 classes only, and here these are {problem.n_classes}"
        if self.time_limit is not None:
            return "scikit-learn has no time limit"
        if problem.X.shape[1] == 0:
            return "scikit-learn needs at least one column"
        if problem.alpha == 0 or not np.all(problem.penalty_weights > 0):
            return "it needs a penalty on each column"
        if 0 < problem.l1_ratio < 1 and np.ptp(problem.penalty_weights) > 0:
            return "scikit-learn's elastic net has no weights"
        return None

    def solve(
        self,
        problem: PrestoProblem,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Fit a LogisticRegression, then certify its coefficients."""
        self.start_point(problem, start)
        binary, weight = _binary(problem)
        solver = LogisticSklearn(max_iter=self.max_iter, random_state=self.random_state)
        found = solver.solve(binary, tol=tol)
        # SAGA moves the intercept no more carefully than the slopes, and at the largest penalties there is only it.
        x = polished_point(problem, OrdinalPoint(found.x.intercept, found.x.coef[None, :] / weight))
        stopped = "max_iter" if found.n_iter >= self.max_iter else "stalled"
        return certify_once(self, problem, x, tol=tol, n_iter=found.n_iter, stopped=stopped)


def _binary(problem: PrestoProblem) -> tuple[LogisticProblem, FloatArray]:
    """Return the problem as one with equal weights, and what its coefficients are to be divided by."""
    v = problem.penalty_weights[0]
    if np.all(v == v[0]):
        A, strength, weight = problem.X, problem.alpha * float(v[0]), np.ones(v.size)
    else:
        weight = v if problem.l1_ratio > 0 else np.sqrt(v)
        A = problem.X @ sparse.diags_array(1.0 / weight) if sparse.issparse(problem.X) else problem.X / weight
        strength = problem.alpha
    binary = LogisticProblem(
        A=A,
        y=2.0 * problem.y - 1.0,
        alpha=strength * problem.l1_ratio,
        l2=strength * (1.0 - problem.l1_ratio),
        fit_intercept=True,
        sample_weight=problem.sample_weight,
    )
    return binary, weight
