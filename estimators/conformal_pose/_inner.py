"""What is inside: the regressor's arguments and residuals, and the scales that scores take from these."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.validation import _check_sample_weight, has_fit_parameter, validate_data

from ._targets import TargetLayout
from ._unit_sets import Ball, Box, Ellipsoid, UnitSet

__all__ = [
    "RowScales",
    "check_features",
    "fit_arguments",
    "fit_residuals",
    "needs_scales",
    "predicted",
    "split_rows",
    "unit_set",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Residuals below this share of the largest ``|y_j|`` are rounding: the regressor interpolates.
_INTERPOLATES = 1e-9
_FOLDS = 5
#: Share of the median of predicted scales that the others are at least.
_FLOOR = 1e-9

_FROM_RESIDUALS: dict[str, Callable[[FloatArray], UnitSet]] = {
    "box": Box.from_residuals,
    "ellipse": Ellipsoid.from_residuals,
}


def split_rows(n_rows: int, cal_size: float, random_state: Any) -> tuple[IntArray, IntArray]:
    """Return the rows of the first part and, at random, `cal_size` rows (a share if it is a float) that calibrate.

    Raises
    ------
    ValueError
        If a part is empty.
    """
    n_cal = int(cal_size) if isinstance(cal_size, Integral) else math.ceil(cal_size * n_rows)
    if not 0 < n_cal < n_rows:
        raise ValueError(
            f"n_samples = {n_rows} with cal_size={cal_size!r}: {max(n_rows - n_cal, 0)} samples are left for the first "
            "part and the rest is for calibration, but both need at least one. Pass more samples, or another cal_size."
        )
    order = check_random_state(random_state).permutation(n_rows)
    return order[n_cal:], order[:n_cal]


def predicted(values: Any, n_rows: int, layout: TargetLayout) -> FloatArray:
    """Return what a regressor predicts in the shape of y.

    Raises
    ------
    ValueError
        If it has another number of outputs, or predicts NaN.
    """
    predictions = np.asarray(values, dtype=np.float64)
    if predictions.size != n_rows * math.prod(layout.shape):
        raise ValueError(
            f"estimator predicts shape {predictions.shape} for {n_rows} rows, but y has rows of shape {layout.shape}."
        )
    if math.isnan(predictions.sum()) and np.isnan(predictions).any():
        bad = int(np.argwhere(np.isnan(predictions))[0, 0])
        raise ValueError(f"estimator predicts NaN for row {bad}.")
    return predictions.reshape(n_rows, *layout.shape)


def fit_arguments(owner: Any, regressor: Any, X: Any, sample_weight: Any) -> dict[str, FloatArray]:
    """Return what the `fit` of the regressor takes besides data.

    Raises
    ------
    ValueError
        If there are weights, and they are bad or the regressor takes none.
    """
    if sample_weight is None:
        return {}
    if owner.prefit:
        raise ValueError("sample_weight goes to the regressor alone, and prefit=True does not fit it: pass None.")
    weight = _check_sample_weight(sample_weight, X)
    if _routing_enabled():
        return dict(process_routing(owner, "fit", sample_weight=weight).estimator.fit)
    if not has_fit_parameter(regressor, "sample_weight"):
        raise ValueError(f"{type(regressor).__name__}.fit takes no sample_weight: pass None, or another regressor.")
    return {"sample_weight": weight}


def fit_residuals(
    fitted: Any, again: Any, X: Any, y: FloatArray, layout: TargetLayout, weights: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the residuals of rows that a regressor was fitted to, out of 5 folds if it interpolates.

    Parameters
    ----------
    fitted : regressor
        The fitted one.
    again : regressor or None
        What is cloned for the folds; None if there is no way of fitting again.
    X, y : array-likes of n rows
        Data, `y` in the shape of `layout`.
    layout : TargetLayout
        The layout of y.
    weights : mapping
        Arguments of `fit` with one entry a row.
    """
    n_rows = y.shape[0]
    residuals = y - predicted(fitted.predict(X), n_rows, layout)
    if again is None or n_rows < 2 or not _vanishing(layout.blocks(residuals), layout.blocks(y)):
        return residuals
    flat = y.reshape(n_rows, -1) if y.ndim > 2 else y
    for rest, fold in KFold(min(_FOLDS, n_rows)).split(flat):
        part = {name: values[rest] for name, values in weights.items()}
        model = clone(again).fit(_safe_indexing(X, rest), flat[rest], **part)
        residuals[fold] = y[fold] - predicted(model.predict(_safe_indexing(X, fold)), fold.size, layout)
    return residuals


def _vanishing(residuals: FloatArray, y: FloatArray) -> bool:
    """Return whether the median ``|r_j|`` of an output is 0 up to rounding; both arrays have shape (n, K, d)."""
    medians = np.median(np.abs(residuals), axis=0)
    return bool(np.any(medians <= _INTERPOLATES * np.abs(y).max(axis=0)))


def needs_scales(score: Any, scale_estimator: Any) -> bool:
    """Return whether a score cannot do without residuals of rows that do not calibrate."""
    return isinstance(score, str) and (
        score in _FROM_RESIDUALS or (score == "normalized" and scale_estimator is not None)
    )


def unit_set(score: str, layout: TargetLayout, residuals: FloatArray | None) -> UnitSet:
    """Return the unit set of a score; `residuals`, of shape (n, K, d), give a box or an ellipsoid its scale."""
    if score == "ball":
        return Ball(layout.n_blocks, layout.n_dims)
    if residuals is None:
        return Box(np.ones((layout.n_blocks, layout.n_dims)))
    return _FROM_RESIDUALS[score](residuals)


@dataclass(frozen=True, eq=False)
class RowScales:
    """The scales ``sigma(x)`` of rows.

    Attributes
    ----------
    estimator : regressor or None
        Predicts scales; None if those are the second thing that the regressor of y predicts, its ``return_std``.
    floor : float
        Scales are at least this, positive.
    """

    estimator: Any
    floor: float

    @staticmethod
    def check(regressor: Any, scale_estimator: Any) -> None:
        """Check that there will be scales.

        Raises
        ------
        ValueError
            If there is no regressor for them, and that of y does not know any.
        """
        if scale_estimator is not None:
            return
        parameters = inspect.signature(regressor.predict).parameters
        if "return_std" not in parameters and all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            raise ValueError(
                f"nonconformity='normalized' needs a scale of each row, but {type(regressor).__name__}.predict has no "
                "return_std: pass a scale_estimator, or a regressor that has it."
            )

    @classmethod
    def fit(cls, scale_estimator: Any, regressor: Any, X: Any, residuals: FloatArray | None) -> RowScales:
        """Fit a clone of `scale_estimator` to ``|r|``, and take the floor from the same rows, where there are any."""
        floor = float(np.finfo(np.float64).tiny)
        if X is None:
            return cls(None, floor)
        fitted = None if residuals is None else clone(scale_estimator).fit(X, np.abs(residuals))
        _, scales = cls(fitted, floor).predict(regressor, X)
        return cls(fitted, max(floor, _FLOOR * float(np.median(scales))))

    def predict(self, regressor: Any, X: Any) -> tuple[Any, FloatArray]:
        """Return what the regressor of y predicts, and the scales of rows.

        Raises
        ------
        ValueError
            If scales are not one number a row.
        """
        if self.estimator is None:
            predictions, values = regressor.predict(X, return_std=True)
        else:
            predictions, values = regressor.predict(X), self.estimator.predict(X)
        scales = np.asarray(values, dtype=np.float64)
        n_rows = len(predictions)
        if scales.size != n_rows or np.isnan(scales).any():
            raise ValueError(
                f"Scales of rows have shape {scales.shape} for {n_rows} rows, or are NaN: one a row is needed."
            )
        return predictions, np.maximum(scales.reshape(n_rows), self.floor)


def check_features(estimator: Any, X: Any, *, reset: bool = False) -> None:
    """Check, or with `reset` store, number and names of features; what they hold is for the regressor to check.

    Raises
    ------
    ValueError
        If they are not those of `fit`.
    """
    shape = getattr(X, "shape", ())
    if type(X) is np.ndarray and X.ndim == 2:  # as validate_data does, but it also looks for data frames at length
        if reset:
            estimator.n_features_in_ = X.shape[1]
            return
        if X.shape[1] == estimator.n_features_in_ and not hasattr(estimator, "feature_names_in_"):
            return
    if len(shape) == 1 and hasattr(estimator, "n_features_in_"):
        raise ValueError(
            f"X has one dimension, shape {shape}, but there are {estimator.n_features_in_} features. Reshape your data:"
            " X.reshape(1, -1) is one sample, X.reshape(-1, 1) are samples of one feature."
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
