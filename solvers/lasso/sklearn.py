"""Adapter to scikit-learn's coordinate descent."""

from __future__ import annotations

from typing import Any, ClassVar

from ._adapter import Adapter
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["Sklearn"]


class Sklearn(Adapter):
    """:class:`sklearn.linear_model.ElasticNet`, certified by the problem.

    Neither penalty weights nor free columns; float32 data is converted.

    Parameters
    ----------
    max_iter : int, default=10000
        Epochs of coordinate descent, of all attempts together.
    time_limit : float or None, default=None
        Seconds, looked at between attempts.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> from estimand.solvers.lasso.sklearn import Sklearn
    >>> problem = LassoProblem(A=np.eye(3), y=np.array([3.0, -1.0, 0.1]), alpha=0.2)
    >>> Sklearn().solve(problem, tol=1e-8).x.round(4) + 0.0
    array([ 2.4, -0.4,  0. ])
    """

    name = "sklearn"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "sample_weight", "positive", "l2", "intercept"}
    )

    def _run(
        self, problem: LassoProblem, A: Any, weights: FloatArray, start: FloatArray, tol: float, max_iter: int
    ) -> tuple[FloatArray, int]:
        from sklearn.linear_model import ElasticNet

        total = problem.alpha + problem.l2
        model = ElasticNet(
            alpha=total,
            l1_ratio=problem.alpha / total,
            fit_intercept=problem.fit_intercept,
            positive=problem.positive,
            tol=tol,
            max_iter=max_iter,
            warm_start=True,
        )
        model.coef_ = start.copy()
        model.fit(A, problem.y, sample_weight=problem.sample_weight)
        return model.coef_, int(model.n_iter_)
