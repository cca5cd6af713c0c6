"""The adapter to scikit-learn's l1 coders."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning

from ...penalties import L1
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from .atoms import FloatArray
from .problem import SparseCodingProblem

__all__ = ["Sklearn"]


class Sklearn(Solver[SparseCodingProblem, FloatArray]):
    """Scikit-learn's ``sparse_encode`` for l1.

    Parameters
    ----------
    algorithm : {"lasso_lars", "lasso_cd"}, default="lasso_lars"
        Least angle regression, or coordinate descent, which has a tolerance of its own.
    max_iter : int, default=1000
        Steps, or sweeps, a signal.
    time_limit : None, default=None
        Scikit-learn has no time limit; anything else is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L1
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.sklearn import Sklearn
    >>> problem = SparseCodingProblem(X=np.array([[1.2, 1.6]]), D=np.eye(2), penalty=L1(0.1))
    >>> Sklearn().solve(problem, tol=1e-8).x.round(6).tolist()
    [[1.1, 1.5]]
    """

    name = "sklearn"
    problem = SparseCodingProblem
    guarantee = "heuristic"
    supports: ClassVar[frozenset[str]] = frozenset({"positive"})

    def __init__(self, algorithm: str = "lasso_lars", max_iter: int = 1000, time_limit: float | None = None) -> None:
        self.algorithm = algorithm
        self.max_iter = max_iter
        self.time_limit = time_limit

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why scikit-learn cannot code the signals of `problem`, or None."""
        if self.time_limit is not None:
            return "scikit-learn has no time limit"
        return None if isinstance(problem.penalty, L1) else "scikit-learn's penalised coders know l1 only"

    def solve(
        self,
        problem: SparseCodingProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Encode all signals, then certify the codes."""
        x = self.start_point(problem, start)
        if problem.X.shape[0]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the certificate says so
                x = sparse_encode(
                    problem.X,
                    problem.D,
                    algorithm=self.algorithm,
                    alpha=problem.penalty.alpha,
                    max_iter=self.max_iter,
                    positive=problem.positive,
                    check_input=False,
                )
        return certify_once(self, problem, np.asarray(x, dtype=np.float64), tol=tol, n_iter=1)
