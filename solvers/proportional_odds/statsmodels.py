"""The adapter to statsmodels' OrderedModel."""

from __future__ import annotations

import time
import warnings
from typing import Any, ClassVar

import numpy as np

from ..base import Solver
from ..monitor import certify_once
from ..ordinal.likelihood import FloatArray
from ..ordinal.problem import OrdinalPoint
from ..solution import Callback, Solution, Start
from .problem import ProportionalOddsProblem

__all__ = ["Statsmodels"]

_LINKS = ("logit", "probit")
#: Its gradient in the logarithms of gaps can be smaller than that in the intercepts.
_SHARE_OF_TOL = 0.1
_NEWTON_STEPS = 5


class Statsmodels(Solver[ProportionalOddsProblem, OrdinalPoint]):
    r"""The maximum-likelihood fit of statsmodels, by BFGS and, where that is not accurate enough, Newton steps.

    Statsmodels' model has increasing thresholds and a minus sign,

    .. math:: P(y \le k - 1) = F(\theta_k - x^\top \beta), \qquad a_k = -\theta_k, \quad b = \beta,

    which is the same for symmetric links.

    Parameters
    ----------
    max_iter : int, default=500
        Iterations of both methods.
    time_limit : float or None, default=None
        Seconds; looked at once an iteration.

    Notes
    -----
    Statsmodels differentiates numerically, which limits the certificate to about 1e-9 of its scale. A tenth of `tol` is
    passed on, and the point is certified at the end. There are no penalties, weights of rows or sparse features, and
    only the links logit and probit.

    References
    ----------
    S. Seabold and J. Perktold, "statsmodels: Econometric and statistical modeling with Python", SciPy (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.proportional_odds import ProportionalOddsProblem
    >>> from estimand.solvers.proportional_odds.statsmodels import Statsmodels
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 2, 1])
    >>> problem = ProportionalOddsProblem(X=X, y=y, n_classes=3, alpha=0.0)
    >>> solution = Statsmodels().solve(problem, tol=1e-6)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[0.83]])
    """

    name = "statsmodels"
    problem = ProportionalOddsProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"free", "other_links"})
    requires = ("statsmodels",)

    def __init__(self, max_iter: int = 500, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def refuses(self, problem: ProportionalOddsProblem) -> str | None:
        """Return why statsmodels cannot state `problem`, or None."""
        if problem.link not in _LINKS:
            return f"statsmodels has the links {' and '.join(_LINKS)}, not {problem.link}"
        if problem.alpha > 0:
            return f"statsmodels has no penalty, but alpha is {problem.alpha:g} and not 0"
        if problem.X.shape[1] == 0:
            return "statsmodels needs at least one column"
        return None

    def solve(
        self,
        problem: ProportionalOddsProblem,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Fit an OrderedModel, then certify its coefficients."""
        from statsmodels.miscmodels.ordinal_model import OrderedModel

        began, n_iter, late = time.perf_counter(), 0, False
        x = self.start_point(problem, start)
        x = x if np.isfinite(problem.objective(x)) else problem.initial_point()
        latest = _parameters(x)

        def watch(parameters: FloatArray) -> None:
            nonlocal n_iter, late, latest
            n_iter, latest = n_iter + 1, parameters
            late = self.time_limit is not None and time.perf_counter() - began >= self.time_limit
            if late:
                raise StopIteration

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Whether it converged is for the certificate to say.
            warnings.simplefilter("ignore")
            model = OrderedModel(problem.y, problem.X, distr=problem.link, hasconst=False)
            stages: list[tuple[str, int, dict[str, Any]]] = [
                ("bfgs", self.max_iter, {"gtol": _SHARE_OF_TOL * tol * problem.scale}),
                ("newton", _NEWTON_STEPS, {"tol": _SHARE_OF_TOL * tol}),
            ]
            best = problem.certify(x, tol=tol)
            for method, most, options in stages:
                limit = min(most, self.max_iter - n_iter)
                if late or limit <= 0 or best.converged:
                    break
                try:
                    model.fit(
                        _parameters(x),
                        method=method,
                        maxiter=limit,
                        callback=watch,
                        disp=False,
                        skip_hessian=True,
                        warn_convergence=False,
                        **options,
                    )
                except (StopIteration, np.linalg.LinAlgError):
                    pass  # out of time, or a singular Hessian: the latest point counts
                found = _point(latest, problem)
                certificate = problem.certify(found, tol=tol)
                if certificate.value < best.value:
                    x, best = found, certificate
        stopped = "time_limit" if late else "max_iter" if n_iter >= self.max_iter else "stalled"
        return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped=stopped)


def _parameters(x: OrdinalPoint) -> FloatArray:
    """Return statsmodels' parameters: slopes, first threshold and logarithms of the gaps of the thresholds."""
    return np.concatenate([x.coef[0], -x.intercept[:1], np.log(-np.diff(x.intercept))])


def _point(parameters: FloatArray, problem: ProportionalOddsProblem) -> OrdinalPoint:
    coef, first, gaps = np.split(parameters, [problem.X.shape[1], problem.X.shape[1] + 1])
    return OrdinalPoint(-np.cumsum(np.append(first, np.exp(gaps))), coef[None, :].copy())
