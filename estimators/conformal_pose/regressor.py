"""ConformalRegressor: split conformal prediction around any regressor.

Quantiles and p-values live in `quantile`, scores in `_nonconformity` and `_unit_sets`, sets in `sets`.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.utils import _safe_indexing, check_consistent_length, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, _routing_enabled
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._base import fit_or_nothing, forget
from ._inner import (
    RowScales,
    check_features,
    fit_arguments,
    fit_residuals,
    needs_scales,
    predicted,
    split_rows,
    unit_set,
)
from ._nonconformity import Nonconformity
from ._targets import TargetLayout, read_target
from .quantile import Calibration, check_alpha, encode_groups, row_thresholds, store_calibration
from .sets import ScoreSets, SetPrediction

__all__ = ["ConformalRegressor"]

FloatArray = npt.NDArray[np.float64]

_SCALAR = ("abs", "normalized")


def _has_volumes(regressor: ConformalRegressor) -> bool:
    """Whether the volumes of sets are known, which searches go by.

    Raises
    ------
    AttributeError
        If they are not.
    """
    if callable(regressor.nonconformity):
        raise AttributeError(
            f"nonconformity={regressor.nonconformity!r} is a function, and the volumes of its sets are not known: pass "
            "`scoring` to searches, or choose one of the table."
        )
    return True


class ConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Sets that hold y with a given probability, around the predictions of any regressor.

    One part of the rows fits the regressor f, the other one calibrates: with the nonconformity scores
    :math:`s_i = s(y_i, f(x_i))` of its n rows, and q the j-th largest of them,
    :math:`j = \lfloor (n + 1) \alpha \rfloor`,

    .. math:: C(x) = \{ y : s(y, f(x)) \le q \}, \qquad 1 - \alpha \le P(y \in C(x)) \le 1 - \alpha + \frac{1}{n + 1}

    for a new row that is exchangeable with these; the upper bound is for scores without ties. Nothing else is assumed,
    neither of the distribution nor of f. For several outputs C(x) is one set that holds all of them at once.

    Parameters
    ----------
    estimator : regressor or None, default=None
        The regressor f; it is cloned, unless `prefit`. None stands for :class:`sklearn.linear_model.Ridge`.
    alpha : float, default=0.1
        Miscoverage level, in (0, 1). Do not tune it with `score`: larger values always win.
    nonconformity : {"auto", "abs", "box", "ball", "ellipse", "normalized"} or callable, default="auto"
        The nonconformity of a residual r = y - f(x):

        - ``"abs"``: ``|r|``, for one output.
        - ``"box"``: ``max_j |r_j| / s_j`` with ``s_j`` the median of ``|r_ij|`` over the first part of the rows.
        - ``"ball"``: ``||r||``.
        - ``"ellipse"``: ``r' inv(Sigma) r`` with Sigma the mean of ``r_i r_i'`` over the first part of the rows.
        - ``"normalized"``: ``|r| / sigma(x)``, for one output; sigma comes from `scale_estimator`, or from
          ``estimator.predict(X, return_std=True)``, and is at least 1e-9 of its median over the first part of the rows.
        - a callable ``f(y, predictions)`` that returns an array of shape (n_samples,), for arguments of the shape
          of y. Its sets can be asked what they hold, but have neither intervals nor volumes; nor is there a `score`.

        ``"auto"`` is ``"abs"`` for one output and ``"ellipse"`` for several.
    scale_estimator : regressor or None, default=None
        For ``nonconformity="normalized"``: it is cloned and fitted to ``|r|`` on the first part of the rows.
    n_keypoints : int or None, default=None
        K, if y of shape (n_samples, K * d) holds K points. The score is then the largest of the K points', as it is for
        y of shape (n_samples, K, d).
    prefit : bool, default=False
        Whether `estimator` is fitted already. All rows then calibrate, unless the score needs scales (``"box"``,
        ``"ellipse"``, and ``"normalized"`` with a `scale_estimator`): the first part of the rows gives these. No row
        may be one that `estimator` was fitted to. As cloning forgets a fit, use
        :class:`sklearn.frozen.FrozenEstimator` in searches.
    cal_size : float or int, default=0.5
        Share, or number, of the rows that calibrate where rows are split.
    random_state : int, RandomState instance or None, default=None
        Splits the rows.

    Attributes
    ----------
    estimator_ : regressor
        The fitted regressor.
    scores_ : ndarray of shape (n_calibration,) or dict
        Calibration scores in ascending order. This and the next two are dicts by label if there are groups.
    quantile_ : float or dict
        The threshold q for `alpha`.
    n_calibration_ : int or dict
        The number n of calibration rows.
    alpha_ : float
        The level of `quantile_`.
    calibration_ : Calibration
        The scores of all groups, from which other levels follow.
    nonconformity_ : Nonconformity
        The score with its scales.
    row_scales_ : RowScales or None
        What predicts ``sigma(x)`` for ``nonconformity="normalized"``.
    scale_estimator_ : regressor
        The fitted `scale_estimator`, if there is one and the score uses it.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has names that are strings.

    Raises
    ------
    ValueError
        For bad data or parameters, and if no row is left for one of the two parts.

    Warns
    -----
    UserWarning
        If there are fewer than ``1 / alpha - 1`` calibration rows, in a group or in all: sets then hold everything.

    See Also
    --------
    conformal_quantile : The threshold of given scores.

    Notes
    -----
    The guarantee is for a regressor and scales that do not depend on the calibration rows. Searching parameters inside,
    ``ConformalRegressor(GridSearchCV(...))``, keeps it. Choosing among calibrated models by the volume of their sets
    does not: calibrate the winner on fresh rows with `calibrate`.

    Scales come from residuals of the rows that the regressor was fitted to. Where these vanish, as those of trees do,
    they are replaced by residuals out of 5 folds. Any positive scale keeps the guarantee, only the shape depends on it.

    `sample_weight` is for the regressor alone; calibration counts each row once. Metadata routing hands it to a
    regressor that requests it, while `groups` are requested by this estimator.

    References
    ----------
    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-free predictive inference for
    regression", JASA 113 (2018), Algorithm 2 and section 5.2.

    V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", Springer (2005), sections 2.2, 4.5.

    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 3.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from estimand import ConformalRegressor
    >>> X, y = make_regression(400, 5, n_targets=2, noise=10.0, random_state=0)
    >>> regressor = ConformalRegressor(alpha=0.1, random_state=0).fit(X[:200], y[:200])
    >>> sets = regressor.predict_set(X[200:])
    >>> sets
    <SetPrediction: 200 sets, kind='ellipsoid'>
    >>> sets.contains(y[200:]).mean()
    np.float64(0.91)
    >>> regressor.predict_interval(X[200:]).shape
    (200, 2, 2)
    """

    calibration_: Calibration
    alpha_: float

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["predict"]), None],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "nonconformity": [StrOptions({"auto", "box", "ball", "ellipse", *_SCALAR}), callable],
        "scale_estimator": [HasMethods(["fit", "predict"]), None],
        "n_keypoints": [Interval(Integral, 1, None, closed="left"), None],
        "prefit": ["boolean"],
        "cal_size": [Interval(RealNotInt, 0, 1, closed="neither"), Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    # Whether weights are taken is up to the regressor that they go to.
    __metadata_request__fit: ClassVar[dict[str, str]] = {"sample_weight": UNUSED}

    def __init__(
        self,
        estimator: Any = None,
        *,
        alpha: float = 0.1,
        nonconformity: str | Callable[[Any, Any], Any] = "auto",
        scale_estimator: Any = None,
        n_keypoints: int | None = None,
        prefit: bool = False,
        cal_size: float = 0.5,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.nonconformity = nonconformity
        self.scale_estimator = scale_estimator
        self.n_keypoints = n_keypoints
        self.prefit = prefit
        self.cal_size = cal_size
        self.random_state = random_state

    @fit_or_nothing
    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> ConformalRegressor:
        """Fit the regressor to one part of the rows and calibrate on the other one.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples, in any form that the regressor takes.
        y : array-like of shape (n_samples,), (n_samples, p) or (n_samples, K, d)
            Targets; those of three dimensions are flattened for the regressor.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels: each label has a quantile of its own, and the guarantee holds within it.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights for the regressor.

        Returns
        -------
        self : ConformalRegressor
            The fitted regressor.

        Raises
        ------
        ValueError
            For bad data or parameters.
        """
        forget(self)
        option = self.nonconformity
        values, layout = read_target(y, self.n_keypoints, scalar=option in _SCALAR)
        score = ("ellipse" if layout.shape else "abs") if option == "auto" else option
        check_consistent_length(X, values, groups, sample_weight)
        self._check_regressor(score)
        weights = fit_arguments(self, self._regressor(), X, sample_weight)
        known = [] if groups is None else encode_groups(groups, values.shape[0])[0]
        check_features(self, X, reset=True)
        self.estimator_ = self.estimator
        if self.prefit and not needs_scales(score, self.scale_estimator):
            self._fit_scales(None, layout, score, None)
        else:
            (X,) = indexable(X)
            first, rows = split_rows(values.shape[0], self.cal_size, self.random_state)
            part, weights = _safe_indexing(X, first), {name: weight[first] for name, weight in weights.items()}
            self._fit_scales(part, layout, score, self._fit_first(part, values[first], layout, score, weights))
            X, values = _safe_indexing(X, rows), values[rows]
            groups = None if groups is None else np.asarray(groups)[rows]
        store_calibration(self, self._calibration(X, values, groups, known), stacklevel=3)
        return self

    def calibrate(self, X: Any, y: Any, *, groups: Any = None) -> ConformalRegressor:
        """Calibrate again on other rows; the regressor and the scales stay. If this fails the former calibration stays.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples that neither the regressor nor the scales were fitted to.
        y : array-like of the shape in `fit`
            Targets.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels.

        Returns
        -------
        self : ConformalRegressor
            The regressor.

        Raises
        ------
        ValueError
            For bad data.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_is_fitted()
        check_alpha(self.alpha)
        values = self.nonconformity_.layout.read(y)
        check_consistent_length(X, values, groups)
        check_features(self, X)
        store_calibration(self, self._calibration(X, values, groups, ()), stacklevel=2)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return what the regressor predicts.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of the shape of y in `fit`
            Predictions.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_is_fitted()
        check_features(self, X)
        predictions: npt.NDArray[Any] = np.asarray(self.estimator_.predict(X))
        return predictions.reshape(_num_samples(X), *self.nonconformity_.layout.shape)

    def predict_set(self, X: Any, alpha: float | None = None, groups: Any = None) -> SetPrediction:
        """Return one set a row that holds y with probability at least ``1 - alpha``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples.
        alpha : float or None, default=None
            Miscoverage level, None for the estimator's.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        sets : SetPrediction
            Sets, that say what they hold and how large they are.

        Raises
        ------
        ValueError
            For bad data, an `alpha` outside (0, 1) and labels that calibration has not seen.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        return self._sets(X, alpha, groups)

    def predict_interval(self, X: Any, alpha: float | None = None, groups: Any = None) -> FloatArray:
        """Return the prediction interval of each output; for several outputs the bounding box of the set.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples.
        alpha : float or None, default=None
            Miscoverage level, None for the estimator's.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        interval : ndarray of the shape of y, and a last axis of length 2
            Lower and upper ends. They hold all outputs of a row at once with probability at least ``1 - alpha``.

        Raises
        ------
        ValueError
            As in `predict_set`, and if the score is a callable.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_is_fitted()
        self.nonconformity_.shape("intervals")
        box = self._sets(X, alpha, groups).bounding_box()
        return box.reshape(box.shape[0], *self.nonconformity_.layout.shape, 2)

    def predict_pvalue(self, X: Any, y: Any, groups: Any = None) -> FloatArray:
        """Return the p-value of each y: ``(1 + #{i : s_i >= s}) / (n + 1)`` with its score s.

        It is at most alpha exactly where the set of that level does not hold y, unless rounding has moved an integer
        ``(n + 1) alpha``.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples.
        y : array-like of the shape in `fit`
            Targets.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            Between ``1 / (n + 1)`` and 1.

        Raises
        ------
        ValueError
            For bad data and labels that calibration has not seen.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_is_fitted()
        values = self.nonconformity_.layout.read(y)
        check_consistent_length(X, values, groups)
        check_features(self, X)
        predictions, row_scales = self._predictions(X)
        return self.calibration_.p_values(self.nonconformity_.score(values, predictions, row_scales), groups)

    def coverage(self, X: Any, y: Any, alpha: float | None = None, groups: Any = None) -> float:
        """Return the share of rows whose set holds y; parameters are those of `predict_pvalue` and `predict_set`."""
        self._check_is_fitted()
        values = self.nonconformity_.layout.read(y)
        check_consistent_length(X, values)
        return float(np.mean(self._sets(X, alpha, groups).contains(values)))

    @available_if(_has_volumes)
    def score(self, X: Any, y: Any = None, *, groups: Any = None) -> float:
        """Return minus the mean logarithm of the volumes of the sets: of the same level, smaller sets are better.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples.
        y : object
            Not used.
        groups : array-like of shape (n_samples,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        score : float
            ``-inf`` if a set is unbounded.

        Raises
        ------
        ValueError
            As in `predict_set`.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        volumes = self._sets(X, None, groups).log_volume()
        return float(-np.inf if np.any(volumes == np.inf) else -np.mean(volumes))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata go: `groups` to this estimator, `sample_weight` to a regressor that requests it."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return (
            MetadataRouter(owner=self).add_self_request(self).add(estimator=self._regressor(), method_mapping=mapping)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        regressor = self._regressor()
        if hasattr(regressor, "__sklearn_tags__"):
            inner = get_tags(regressor)
            tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
            tags.non_deterministic = inner.non_deterministic
        tags.target_tags.required = True
        tags.target_tags.multi_output &= self.nonconformity not in _SCALAR
        # The score is about the size of sets, not a share of explained variance.
        tags.regressor_tags.poor_score = True
        return tags

    def _regressor(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        return Ridge().set_fit_request(sample_weight=True) if _routing_enabled() else Ridge()

    def _check_regressor(self, score: Any) -> None:
        """Check that the regressor can do what is asked of it.

        Raises
        ------
        ValueError
            If it cannot.
        """
        if self.prefit and self.estimator is None:
            raise ValueError("prefit=True needs a fitted estimator, but estimator=None.")
        if not self.prefit and not hasattr(self._regressor(), "fit"):
            raise ValueError(f"estimator={self.estimator!r} has no method fit: pass a regressor, or prefit=True.")
        if score == "normalized":
            RowScales.check(self._regressor(), self.scale_estimator)

    def _fit_first(
        self, X: Any, y: FloatArray, layout: TargetLayout, score: Any, weights: dict[str, FloatArray]
    ) -> FloatArray | None:
        """Fit the regressor to the first part of the rows, unless prefit; return its residuals if scales need them."""
        if not self.prefit:
            self.estimator_ = clone(self._regressor()).fit(X, y.reshape(y.shape[0], -1) if y.ndim > 2 else y, **weights)
        if not needs_scales(score, self.scale_estimator):
            return None
        again = None if self.prefit else self._regressor()
        return fit_residuals(self.estimator_, again, X, y, layout, weights)

    def _fit_scales(self, X: Any, layout: TargetLayout, score: Any, residuals: FloatArray | None) -> None:
        """Set what scores are made of; `X` and `residuals` are those of the first part of the rows, or None."""
        self.row_scales_: RowScales | None = None
        if score == "normalized":
            self.row_scales_ = RowScales.fit(self.scale_estimator, self.estimator_, X, residuals)
            if self.row_scales_.estimator is not None:
                self.scale_estimator_ = self.row_scales_.estimator
            residuals = None
        if callable(score):
            self.nonconformity_ = Nonconformity(layout, None, score)
        else:
            blocks = None if residuals is None else layout.blocks(residuals)
            self.nonconformity_ = Nonconformity(layout, unit_set(score, layout, blocks))

    def _check_is_fitted(self) -> None:
        if "calibration_" not in vars(self):
            check_is_fitted(self)

    def _predictions(self, X: Any) -> tuple[FloatArray, FloatArray | None]:
        """Return predictions in the shape of y, and the scales of rows if the score has some."""
        scales = None
        if self.row_scales_ is None:
            predictions = self.estimator_.predict(X)
        else:
            predictions, scales = self.row_scales_.predict(self.estimator_, X)
        return predicted(predictions, _num_samples(X), self.nonconformity_.layout), scales

    def _calibration(self, X: Any, y: FloatArray, groups: Any, known: Any) -> Calibration:
        predictions, row_scales = self._predictions(X)
        scores = self.nonconformity_.score(y, predictions, row_scales)
        return Calibration.from_scores(scores, groups, known=known)

    def _sets(self, X: Any, alpha: float | None, groups: Any) -> ScoreSets:
        """Return the sets of rows; it is called by public methods only, so that warnings point to their callers."""
        self._check_is_fitted()
        level = check_alpha(self.alpha if alpha is None else alpha)
        check_features(self, X)
        if groups is not None:
            check_consistent_length(X, groups)
        thresholds = row_thresholds(self, level, groups, _num_samples(X), stacklevel=3)
        predictions, row_scales = self._predictions(X)
        return ScoreSets(predictions, self.nonconformity_, thresholds, row_scales)
