"""The Lasso and the elastic net with their penalty chosen by cross-validation along warm-started paths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import RegressorMixin
from sklearn.model_selection import check_cv
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from ..solvers import Solution, Solver
from ..solvers.lasso import LassoProblem
from ._base import SolverMixin, fit_or_nothing, report
from ._linear import LinearData, LinearPredictorMixin, check_strength, penalty_weights, validate_linear_data
from .lasso_path import alpha_grid, lasso_problem, solve_path

__all__ = ["ElasticNetCV", "LassoCV"]

FloatArray = npt.NDArray[np.float64]


def _rows(X: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Return some rows in the order (C or F) of `X`."""
    if sparse.issparse(X):
        return X[rows]
    return X[rows] if X.flags.c_contiguous else np.take(X.T, rows, axis=1).T


def _check_folds(folds: list[Any], sample_weight: FloatArray | None) -> None:
    """Refuse folds in which nothing could be fitted, or no error measured."""
    if sample_weight is None:
        return
    for number, fold in enumerate(folds):
        for part, rows in zip(("training", "test"), fold, strict=True):
            if not np.any(sample_weight[rows] > 0):
                raise ValueError(
                    f"All {part} rows of fold {number} of cv have sample_weight 0: drop the rows of weight 0, or pass "
                    "a cv that spreads the others over the folds, such as KFold(shuffle=True)."
                )


def _fold_errors(
    solver: Solver[Any, Any],
    problem: LassoProblem,
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    l1: list[float],
    l2: list[float],
    tol: float,
) -> tuple[FloatArray, list[Solution[FloatArray]]]:
    """Fit a path on the training rows; return the mean squared error on the test rows at each penalty."""
    weight = problem.sample_weight
    fold = replace(
        problem,
        A=_rows(problem.A, train),
        y=problem.y[train],
        sample_weight=None if weight is None else weight[train],
        frame=None,
    )
    solutions = solve_path(solver, fold, l1, l2, tol)
    if any(each.status == "interrupted" for each in solutions):
        raise KeyboardInterrupt("the cross-validation was interrupted")  # the other folds are not to begin
    coefs = np.stack([each.x for each in solutions], axis=1)
    intercepts = np.array([fold.intercept(each.x) for each in solutions])
    residuals = problem.y[test][:, None] - _rows(problem.A, test) @ coefs - intercepts
    errors = np.average(np.square(residuals), axis=0, weights=None if weight is None else weight[test])
    return errors, [each.compact() for each in solutions]


class _LassoCVBase(LinearPredictorMixin, RegressorMixin, SolverMixin, ABC):  # type: ignore[misc]
    """Choice of the penalty by cross-validation; the subclasses say which l1 ratios are tried."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "fit_intercept": ["boolean"],
        "positive": ["boolean"],
        "weights": ["array-like", None],
        "cv": ["cv_object"],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _l1_ratios(self) -> list[float]:
        """Return the shares of the l1 penalty to try."""

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata is routed: to `fit` itself and to the splitter."""
        mapping = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(splitter=check_cv(self.cv), method_mapping=mapping)

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Any:
        """Choose the penalty by cross-validation, then fit on all samples.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The design.
        y : array-like of shape (n_samples,)
            The response.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights, used in the fits and in the errors on the test folds.
        **params : dict
            Passed to the splitter where metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        routed = process_routing(self, "fit", sample_weight=sample_weight, **params) if params else None
        data = validate_linear_data(self, X, y, sample_weight, multi_output=False)
        weights = penalty_weights(self.weights, data.X.shape[1])
        problem = lasso_problem(data, weights=weights, positive=self.positive, fit_intercept=self.fit_intercept)
        ratios = self._l1_ratios()
        alpha_max = data.alpha(problem.alpha_max())
        grids = [alpha_grid(alpha_max / ratio, self.eps, self.alphas) for ratio in ratios]
        check_strength(min(float(grid[-1]) for grid in grids), self.positive)
        strengths = [data.strengths(grid, ratio) for grid, ratio in zip(grids, ratios, strict=True)]
        self.solver_, choice = self._resolve(problem.at(strengths[0][0][-1], strengths[0][1][-1]))
        folds = list(check_cv(self.cv).split(data.X, data.y[:, 0], **(routed.splitter.split if routed else {})))
        _check_folds(folds, data.sample_weight)
        jobs = (
            delayed(_fold_errors)(self.solver_, problem, train, test, l1, l2, self.tol)
            for l1, l2 in strengths
            for train, test in folds
        )
        results = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)(jobs)
        solutions = [solution for _, path in results for solution in path]
        errors = np.stack([fold for fold, _ in results])
        paths = np.moveaxis(errors.reshape(len(ratios), len(folds), -1), 1, 2)
        best_ratio, best = np.unravel_index(np.argmin(paths.mean(axis=2)), paths.shape[:2])
        l1, l2 = strengths[best_ratio][0][best], strengths[best_ratio][1][best]
        final = self.solver_.solve(problem.at(l1, l2), tol=self.tol)
        final = replace(final.compact(), choice=choice)
        self._store(data, problem, final)
        self.alpha_ = float(grids[best_ratio][best])
        self._store_paths(data.gaps(paths), grids, ratios[best_ratio])
        report([final, *solutions], stacklevel=4)
        return self

    def _store(self, data: LinearData, problem: LassoProblem, final: Solution[FloatArray]) -> None:
        self.coef_ = data.coef(final.x).astype(data.X.dtype)
        self.intercept_ = float(np.ldexp(problem.intercept(final.x), data.y_exponent))
        self.dual_gap_ = float(data.gaps(final.certificate.value))
        self.n_iter_ = final.n_iter
        self.solution_ = final

    @abstractmethod
    def _store_paths(self, mse: FloatArray, grids: list[FloatArray], best_ratio: float) -> None:
        """Store the errors and the grids in the shape that scikit-learn gives them."""


class LassoCV(_LassoCVBase):
    r"""The Lasso with its penalty chosen by cross-validation.

    Minimises :math:`\frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \sum_j \omega_j |w_j|` at the alpha of the smallest
    mean squared error over the folds. Paths are warm started, and every point on them is certified.

    Parameters
    ----------
    eps : float, default=1e-3
        Ratio of the smallest to the largest penalty of a generated grid, in (0, 1).
    alphas : int or array-like, default=100
        Number of penalties of a generated grid, or the penalties.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    positive : bool, default=False
        Whether the penalised coefficients must be nonnegative.
    weights : array-like of shape (n_features,) or None, default=None
        Penalty weights omega, at least 0; 0 means no penalty, infinity a coefficient of 0.
    cv : int, splitter, iterable or None, default=None
        Folds, as in scikit-learn; None means 5.
    solver : str or Solver, default="auto"
        A backend of the Lasso.
    tol : float, default=1e-6
        Every duality gap is to be at most ``tol`` times the objective at zero.
    max_iter : int, default=1000
        Passes of the backend's main loop for each penalty.
    n_jobs : int or None, default=None
        Folds fitted at the same time.
    verbose : bool or int, default=False
        Whether joblib reports progress.

    Attributes
    ----------
    alpha_ : float
        The penalty chosen.
    alphas_ : ndarray of shape (n_alphas,)
        The penalties tried, largest first.
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared errors on the test folds.
    coef_ : ndarray of shape (n_features,)
        Coefficients of the fit on all samples.
    intercept_ : float
        Its intercept.
    dual_gap_ : float
        The proved bound on the excess of its objective.
    n_iter_ : int
        Passes of the backend in that fit.
    solver_ : Solver
        The backend that was used.
    solution_ : Solution
        The solution in the problem's coordinates, with its certificate.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
    descent", JSS 33 (2010).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from estimand import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LassoCV(cv=5).fit(X, y)
    >>> round(model.alpha_, 4), int((model.coef_ != 0).sum())
    (0.0038, 9)
    """

    def __init__(
        self,
        *,
        eps: float = 1e-3,
        alphas: int | npt.ArrayLike = 100,
        fit_intercept: bool = True,
        positive: bool = False,
        weights: npt.ArrayLike | None = None,
        cv: Any = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.cv = cv
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _l1_ratios(self) -> list[float]:
        return [1.0]

    def _store_paths(self, mse: FloatArray, grids: list[FloatArray], best_ratio: float) -> None:
        self.mse_path_, self.alphas_ = mse[0], grids[0]


class ElasticNetCV(_LassoCVBase):
    r"""The elastic net with its penalty, and its l1 ratio, chosen by cross-validation.

    Minimises :math:`\frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \sum_j \omega_j |w_j| + \frac{\alpha (1 -
    \rho)}{2} \sum_j w_j^2` at the alpha and the :math:`\rho` of the smallest mean squared error over the folds.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Shares of the l1 penalty to try, in (0, 1].
    eps, alphas, fit_intercept, positive, weights, cv, solver, tol, max_iter, n_jobs, verbose
        As for :class:`LassoCV`.

    Attributes
    ----------
    l1_ratio_ : float
        The share chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        The penalties tried, largest first; one row a share if several were given.
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared errors on the test folds.
    alpha_, coef_, intercept_, dual_gap_, n_iter_, solver_, solution_, n_features_in_, feature_names_in_
        As for :class:`LassoCV`.

    Raises
    ------
    ValueError
        For bad data or parameters.

    References
    ----------
    H. Zou and T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67 (2005).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from estimand import ElasticNetCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ElasticNetCV(l1_ratio=[0.5, 0.9, 1.0], cv=5).fit(X, y).l1_ratio_
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_LassoCVBase._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="right"), "array-like"],
    }

    def __init__(
        self,
        *,
        l1_ratio: float | npt.ArrayLike = 0.5,
        eps: float = 1e-3,
        alphas: int | npt.ArrayLike = 100,
        fit_intercept: bool = True,
        positive: bool = False,
        weights: npt.ArrayLike | None = None,
        cv: Any = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.cv = cv
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _l1_ratios(self) -> list[float]:
        ratios = [float(ratio) for ratio in np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64))]
        bad = [ratio for ratio in ratios if not 0 < ratio <= 1]
        if bad or not ratios:
            raise ValueError(f"l1_ratio={self.l1_ratio!r} must hold numbers in (0, 1], at least one of them.")
        return ratios

    def _store_paths(self, mse: FloatArray, grids: list[FloatArray], best_ratio: float) -> None:
        single = np.ndim(self.l1_ratio) == 0
        self.l1_ratio_ = best_ratio
        self.mse_path_ = mse[0] if single else mse
        self.alphas_ = grids[0] if single else np.stack(grids)
