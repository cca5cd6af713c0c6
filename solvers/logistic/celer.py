"""The adapter to celer's LogisticRegression."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .problem import LogisticPoint, LogisticProblem

__all__ = ["Celer"]


class Celer(Solver[LogisticProblem, LogisticPoint]):
    """Celer's working sets with proximal Newton steps; a pure l1 penalty without an intercept.

    Parameters
    ----------
    max_iter : int, default=100
        Working sets.
    time_limit : None, default=None
        Celer has no time limit; anything else is refused.

    References
    ----------
    M. Massias, S. Vaiter, A. Gramfort and J. Salmon, "Dual extrapolation for sparse generalized linear models",
    JMLR 21 (2020).
    """

    name = "celer"
    problem = LogisticProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse"})
    requires = ("celer",)

    def __init__(self, max_iter: int = 100, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def refuses(self, problem: LogisticProblem) -> str | None:
        """Return why celer cannot state `problem`, or None."""
        if self.time_limit is not None:
            return "celer has no time limit"
        if problem.alpha == 0:
            return "it needs alpha > 0"
        if np.unique(problem.y).size < 2:
            return "celer needs samples of both classes"
        if problem.A.shape[1] == 0:
            return "celer needs at least one column"
        return None

    def solve(
        self,
        problem: LogisticProblem,
        *,
        start: Start[LogisticPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[LogisticPoint]:
        """Fit celer's LogisticRegression, then certify its coefficients."""
        from celer import LogisticRegression
        from sklearn.exceptions import ConvergenceWarning

        self.start_point(problem, start)
        model = LogisticRegression(C=1.0 / (problem.y.size * problem.alpha), tol=tol / 2, max_iter=self.max_iter)
        A = problem.A.tocsc() if sparse.issparse(problem.A) else np.asfortranarray(problem.A)
        with warnings.catch_warnings():
            # Whether it converged is for the certificate to say.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(A, problem.y)
        x = LogisticPoint(np.asarray(model.coef_, dtype=np.float64).ravel(), np.zeros(0))
        return certify_once(self, problem, x, tol=tol, n_iter=0, stopped="max_iter")
