"""The adapter to scikit-learn's LogisticRegression."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np

from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .problem import LogisticPoint, LogisticProblem

__all__ = ["Sklearn"]


class Sklearn(Solver[LogisticProblem, LogisticPoint]):
    """Scikit-learn's SAGA, or LIBLINEAR where there is neither an intercept nor a squared penalty.

    Parameters
    ----------
    algorithm : {"saga", "liblinear"}, default="saga"
        LIBLINEAR would penalise the intercept and is refused for problems with one.
    max_iter : int, default=10000
        Iterations of the algorithm.
    time_limit : None, default=None
        Scikit-learn has no time limit; anything else is refused.
    random_state : int or None, default=0
        Seed of the order of the samples or coordinates.

    Notes
    -----
    Scikit-learn's strength is ``C = 1 / (sum(q) (alpha + l2))``, its ``l1_ratio`` is ``alpha / (alpha + l2)``. Its
    tolerance counts in other units than the gap: a thousandth of `tol` is passed on.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.logistic import LogisticProblem
    >>> from estimand.solvers.logistic.sklearn import Sklearn
    >>> A, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0])
    >>> problem = LogisticProblem(A=A, y=y, alpha=0.1, fit_intercept=True)
    >>> solution = Sklearn().solve(problem, tol=1e-5)
    >>> solution.converged, solution.x.coef.round(1)
    (True, array([0.5]))
    """

    name = "sklearn"
    problem = LogisticProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "sample_weight", "l2", "intercept"})

    def __init__(
        self,
        algorithm: str = "saga",
        max_iter: int = 10000,
        time_limit: float | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.algorithm = algorithm
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state

    def refuses(self, problem: LogisticProblem) -> str | None:
        """Return why scikit-learn cannot state `problem`, or None."""
        if self.algorithm not in ("saga", "liblinear"):
            return f"algorithm={self.algorithm!r} is neither 'saga' nor 'liblinear'"
        if self.time_limit is not None:
            return "scikit-learn has no time limit"
        if problem.A.shape[1] == 0:
            return "scikit-learn needs at least one column"
        if problem.alpha + problem.l2 == 0:
            return "it needs a penalty"
        if np.unique(problem.y[problem.row_weight > 0]).size < 2:
            return "scikit-learn needs samples of both classes"
        if self.algorithm == "liblinear" and (problem.fit_intercept or problem.l2 > 0):
            return "LIBLINEAR penalises the intercept and has no elastic net"
        return None

    def solve(
        self,
        problem: LogisticProblem,
        *,
        start: Start[LogisticPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[LogisticPoint]:
        """Fit a LogisticRegression, then certify its coefficients."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        self.start_point(problem, start)
        strength = problem.alpha + problem.l2
        weight = problem.row_weight * problem.y.size
        model = LogisticRegression(
            C=1.0 / (problem.y.size * strength),
            l1_ratio=problem.alpha / strength,
            solver=self.algorithm,
            fit_intercept=problem.fit_intercept,
            tol=tol / 1000,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        with warnings.catch_warnings():
            # Whether it converged is for the certificate to say.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(problem.A, problem.y, sample_weight=None if problem.sample_weight is None else weight)
        intercept = np.asarray(model.intercept_, dtype=np.float64)[: int(problem.fit_intercept)]
        x = LogisticPoint(np.asarray(model.coef_, dtype=np.float64).ravel(), intercept)
        n_iter = int(np.max(model.n_iter_))
        stopped = "max_iter" if n_iter >= self.max_iter else "stalled"
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)
