"""What the ordinal classifiers share: predictions from boundaries, and what a fit leaves behind."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...solvers import Solution, Solver
from ...solvers.certificate import changed
from ...solvers.ordinal.links import (
    LINKS,
    class_log_probabilities,
    class_probabilities,
    cumulative_probabilities,
    quantile,
)
from ...solvers.ordinal.problem import OrdinalPoint, OrdinalProblem
from .._base import SolverMixin
from ._crossing import CROSSINGS, crosses, ordered_predictors, raw_probabilities
from ._data import Classes, OrdinalData, validate_features

__all__ = ["OrdinalClassifier"]

FloatArray = npt.NDArray[np.float64]

_SEPARATED = 50.0
_CROSSING_SHARE = 0.01


class _Link(StrOptions):
    """The names of the links, with a word on the one that users of other packages look for."""

    def __init__(self) -> None:
        super().__init__(set(LINKS))

    def __str__(self) -> str:
        return f"{super().__str__()} (not 'cauchit', whose likelihood is not concave)"


def _is_binary(estimator: Any) -> bool:
    return bool(estimator.coef_.shape[0] == 1 and estimator.intercept_.size == 1)


class OrdinalClassifier(ClassifierMixin, SolverMixin):  # type: ignore[misc]
    """Predictions of a fitted model ``P(y > k - 1 | x) = F(a_k + x' b_k)``; columns follow the sorted ``classes_``."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "link": [_Link()],
        "standardize": ["boolean"],
        "categories": [StrOptions({"auto"}), "array-like"],
        "rare": [StrOptions({"first", "last"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "crossing": [StrOptions(set(CROSSINGS))],
        "verbose": ["verbose"],
    }

    #: Of estimators whose boundaries cannot cross, or that leave no choice.
    crossing = "rare"
    link: str
    rare: str

    def boundary_function(self, X: Any) -> FloatArray:
        """Return the linear predictors of the boundaries as they were fitted, which may cross.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        eta : ndarray of shape (n_samples, n_boundaries)
            Link of ``P(y > k - 1 | x)``, in ordinal order.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        X = validate_features(self, X)
        coef = self.coef_
        coef = coef.T if not sparse.issparse(coef) else coef.toarray().T
        return np.asarray(safe_sparse_dot(X, coef, dense_output=True) + self.intercept_)

    def _ordered(self, X: Any) -> FloatArray:
        return ordered_predictors(self.boundary_function(X), self.crossing, self.link, rare_first=self.rare == "first")

    def _in_class_order(self, columns: FloatArray) -> FloatArray:
        sorted_columns = np.empty_like(columns)
        sorted_columns[:, self.class_order_] = columns
        return sorted_columns

    def predict_cumulative(self, X: Any) -> FloatArray:
        """Return ``P(y > k - 1 | x)`` for each boundary, repaired where boundaries cross, in ordinal order.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_boundaries)
            Not increasing along a row.
        """
        return cumulative_probabilities(self._ordered(X), self.link)

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities of the classes, in the sorted order of ``classes_``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Not negative, and 1 in sum, unless ``crossing="raw"``.
        """
        return self._in_class_order(self._ordinal_probabilities(X))

    def _ordinal_probabilities(self, X: Any) -> FloatArray:
        if self.crossing == "raw":
            return raw_probabilities(self.boundary_function(X), self.link)
        return class_probabilities(self._ordered(X), self.link)

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Return the logarithms of the probabilities, also where these underflow; `X` is as in `predict_proba`."""
        if self.crossing == "raw":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(self.predict_proba(X))
        return self._in_class_order(class_log_probabilities(self._ordered(X), self.link))

    def predict_rare_proba(self, X: Any) -> FloatArray:
        """Return the probability of the rare class, shape (n_samples,); `X` is as in `predict_proba`."""
        return np.asarray(self._ordinal_probabilities(X)[:, 0 if self.rare == "first" else -1])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class, the lower one of a tie; `X` is as in `predict_proba`."""
        codes = np.argmax(self._ordinal_probabilities(X), axis=1)
        return np.asarray(self.categories_[codes])

    def predict_quantile(self, X: Any, q: float = 0.5) -> npt.NDArray[Any]:
        """Return the lowest class whose cumulative probability is at least `q`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        q : float, default=0.5
            In [0, 1].

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If `q` is not in [0, 1].
        """
        if not (isinstance(q, Real) and 0 <= q <= 1):
            raise ValueError(f"q={q!r} must be a number in [0, 1].")
        codes = np.sum(self.predict_cumulative(X) > 1 - q, axis=1)
        return np.asarray(self.categories_[codes])

    @available_if(_is_binary)
    def decision_function(self, X: Any) -> FloatArray:
        """Return scores of two classes: positive where ``classes_[1]`` is the more probable one, shape (n_samples,)."""
        scores = self.boundary_function(X)[:, 0] - quantile(0.5, self.link)
        return np.asarray(scores if self.categories_[1] == self.classes_[1] else -scores)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _store_classes(self, classes: Classes) -> None:
        self.classes_, self.categories_, self.class_order_ = classes.sorted, classes.ordinal, classes.order

    def _store_likelihood(self, data: OrdinalData, problem: OrdinalProblem, x: OrdinalPoint, eta: FloatArray) -> None:
        """Set the log-likelihood and the criteria made from it, with the user's weights as frequencies."""
        totals = np.bincount(problem.y, data.frequency)
        total, df = float(totals.sum()), problem.degrees_of_freedom(x)
        self.n_observations_ = total
        unweighted = changed(problem.loss, row_weight=data.frequency / total)
        self.loglik_ = -total * unweighted.value(eta)
        self.null_loglik_ = float(totals @ np.log(totals / total))
        self.df_ = df
        self.aic_ = -2 * self.loglik_ + 2 * df
        self.bic_ = -2 * self.loglik_ + np.log(total) * df

    def _store_solution(self, problem: OrdinalProblem, solution: Solution[OrdinalPoint]) -> None:
        parts = solution.certificate.parts
        self.solution_: Solution[Any] = solution.compact()
        self.n_iter_ = max(1, solution.n_iter)
        self.objective_ = solution.objective
        self.kkt_, self.dual_gap_ = parts["kkt"], parts["gap"]
        self.converged_ = solution.converged

    def _store_crossing(self, data: OrdinalData, eta: FloatArray) -> None:
        """Set the weighted share of training rows whose boundaries cross, and warn if it is not small."""
        self.crossing_fraction_ = float(np.average(crosses(eta), weights=data.frequency))
        if self.crossing_fraction_ > _CROSSING_SHARE:
            warnings.warn(
                f"Boundaries cross at {self.crossing_fraction_:.1%} of the training rows: predictions there are "
                f"repaired (crossing={self.crossing!r}). A larger alpha brings the boundaries closer to parallel.",
                UserWarning,
                stacklevel=4,
            )

    @staticmethod
    def _warn_if_separated(problem: OrdinalProblem, eta: FloatArray) -> None:
        """Warn where nothing keeps a coefficient finite and the predictors have run away."""
        if "free" in problem.needs() and np.abs(eta).max(initial=0.0) > _SEPARATED:
            warnings.warn(
                "Coefficients without a penalty separate classes: the likelihood has no maximum, and they grow without "
                "bound as tol falls. Pass alpha > 0 (with base_penalty and penalty weights > 0).",
                ConvergenceWarning,
                stacklevel=4,
            )
