"""Adapter to celer's working-set coordinate descent."""

from __future__ import annotations

from typing import Any, ClassVar

from ._adapter import Adapter
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["Celer"]


class Celer(Adapter):
    """celer's Lasso and elastic net, certified by the problem.

    No free columns and no sample weights, a squared penalty only together with an l1 penalty of equal weights; float32
    data is converted.

    Parameters
    ----------
    max_iter : int, default=1000
        Working sets, of all attempts together.
    time_limit : float or None, default=None
        Seconds, looked at between attempts.

    References
    ----------
    M. Massias, A. Gramfort and J. Salmon, "Celer: a fast solver for the Lasso with dual extrapolation", ICML (2018).
    """

    name = "celer"
    supports: ClassVar[frozenset[str]] = frozenset({"sparse", "float32", "weights", "positive", "l2", "intercept"})
    requires = ("celer",)

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None) -> None:
        super().__init__(max_iter=max_iter, time_limit=time_limit)

    def refuses(self, problem: LassoProblem) -> str | None:
        """Return why celer cannot take this combination of penalties, or None."""
        if problem.l2 and (problem.alpha == 0 or "weights" in problem.needs()):
            return "it combines l2 with an l1 penalty of equal weights only"
        return None

    def _run(
        self, problem: LassoProblem, A: Any, weights: FloatArray, start: FloatArray, tol: float, max_iter: int
    ) -> tuple[FloatArray, int]:
        from celer import ElasticNet

        total = problem.alpha + problem.l2
        model = ElasticNet(
            alpha=total,
            l1_ratio=problem.alpha / total,
            max_iter=max_iter,
            tol=tol,
            fit_intercept=problem.fit_intercept,
            positive=problem.positive,
            weights=weights,
            warm_start=True,
        )
        model.coef_ = start.copy()
        model.fit(A, problem.y)
        return model.coef_, int(model.n_iter_)
