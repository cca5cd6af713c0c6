"""Validation and scaling shared by the linear estimators: what happens to the data before a problem is stated."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

__all__ = [
    "LinearData",
    "LinearPredictorMixin",
    "check_strength",
    "penalty_weights",
    "prepare_design",
    "prepare_linear_data",
    "row_weights",
    "validate_linear_data",
    "warn_of_missing_penalty",
]

FloatArray = npt.NDArray[np.float64]

_SAFE = (1e-100, 1e100)
_FLOAT = np.finfo(np.float64)


@dataclass(frozen=True, eq=False)
class LinearData:
    """Validated data, scaled by powers of two where squares would under- or overflow.

    Attributes
    ----------
    X : array or CSC/CSR matrix of shape (n_samples, n_features)
        The design, times ``2**-x_exponent``.
    y : array of shape (n_samples, n_targets)
        The response, times ``2**-y_exponent``.
    sample_weight : array of shape (n_samples,) or None
        As given, with rows of weight 0 kept.
    x_exponent, y_exponent : int
        The scaling.
    single_target : bool
        Whether the user's y had one dimension.
    """

    X: Any
    y: FloatArray
    sample_weight: FloatArray | None
    x_exponent: int
    y_exponent: int
    single_target: bool

    def l1(self, alpha: float) -> float:
        """Return the l1 strength that `alpha` becomes in the scaled coordinates."""
        strength = _scaled(alpha, -self.x_exponent - self.y_exponent)
        # Without any penalty a column would be free, of a sign constraint too.
        return max(strength, float(_FLOAT.tiny)) if alpha > 0 else 0.0

    def l2(self, strength: float) -> float:
        """Return the squared-penalty strength in the scaled coordinates."""
        return _scaled(strength, -2 * self.x_exponent)

    def strengths(self, alphas: npt.ArrayLike, l1_ratio: float) -> tuple[list[float], list[float]]:
        """Return the l1 and the squared-penalty strengths in the scaled coordinates for elastic-net penalties."""
        grid = [float(alpha) for alpha in np.ravel(alphas)]
        return [self.l1(alpha * l1_ratio) for alpha in grid], [self.l2(alpha * (1 - l1_ratio)) for alpha in grid]

    def alpha(self, l1: float) -> float:
        """Return the user's l1 strength that is `l1` in the scaled coordinates.

        Raises
        ------
        ValueError
            If float64 cannot hold it.
        """
        try:
            return math.ldexp(l1, self.x_exponent + self.y_exponent)
        except OverflowError:
            raise ValueError(
                "X and y are so large that the penalties which set coefficients to 0 exceed float64: rescale them."
            ) from None

    def coef(self, v: FloatArray) -> FloatArray:
        """Return coefficients in the user's coordinates.

        Raises
        ------
        ValueError
            If float64 cannot hold them.
        """
        with np.errstate(over="ignore"):
            coef = np.ldexp(v, self.y_exponent - self.x_exponent)
        if not np.all(np.isfinite(coef)):
            raise ValueError("X is so small beside y that coefficients exceed float64: rescale X or y.")
        return coef

    def gaps(self, values: npt.ArrayLike) -> FloatArray:
        """Return gaps in the user's coordinates: infinite where squares of the response are beyond float64."""
        with np.errstate(over="ignore"):
            return np.ldexp(np.asarray(values, dtype=np.float64), 2 * self.y_exponent)

    def scaled_coef(self, coef: FloatArray) -> FloatArray:
        """Return the user's coefficients in the scaled coordinates."""
        return np.ldexp(np.asarray(coef, dtype=np.float64), self.x_exponent - self.y_exponent)


def _exponent(values: Any) -> int:
    """Return e such that ``values * 2**-e`` is of order one, 0 where squares are safe as they are."""
    data = values.data if sparse.issparse(values) else values
    largest = max(float(data.max(initial=0.0)), -float(data.min(initial=0.0))) if data.size else 0.0
    if largest == 0.0 or _SAFE[0] <= largest <= _SAFE[1]:
        return 0
    return math.frexp(largest)[1]


def _scaled(strength: float, exponent: int) -> float:
    """Return ``strength * 2**exponent``, at most the largest float64."""
    try:
        return math.ldexp(float(strength), exponent)
    except OverflowError:
        return float(_FLOAT.max)


def _canonical(X: Any) -> Any:
    """Return a sparse matrix with sorted indices and no duplicates; the user's own matrix is left as it is."""
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def _ldexp(values: Any, exponent: int) -> Any:
    if exponent == 0:
        return values
    if sparse.issparse(values):
        scaled = values.copy()
        scaled.data = np.ldexp(scaled.data, -exponent)
        return scaled
    return np.ldexp(values, -exponent)


def validate_linear_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, *, multi_output: bool = True
) -> LinearData:
    """Validate ``X, y, sample_weight`` as scikit-learn does and bring them into a safe range.

    Raises
    ------
    ValueError
        For NaN, infinities, wrong shapes, too few samples, or weights that are negative or all zero.
    """
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse=["csc", "csr"],
        dtype=[np.float64, np.float32],
        multi_output=multi_output,
        y_numeric=True,
    )
    return prepare_linear_data(X, y, sample_weight)


def prepare_design(X: Any) -> tuple[Any, int]:
    """Bring a design that is already validated into a safe range, contiguous or canonical; return its exponent too."""
    if sparse.issparse(X):
        X = _canonical(X)
    elif not (X.flags.f_contiguous or X.flags.c_contiguous):
        X = np.asfortranarray(X)
    exponent = _exponent(X)
    return _ldexp(X, exponent), exponent


def row_weights(sample_weight: Any, X: Any) -> FloatArray | None:
    """Validate sample weights and scale them to at most 1 by a power of two.

    Raises
    ------
    ValueError
        If they are negative, not finite, of a wrong length, or all 0.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not np.any(weight > 0):
        raise ValueError("sample_weight sums to 0: at least one sample needs a positive weight.")
    return np.asarray(np.ldexp(weight, -math.frexp(float(weight.max()))[1]))


def prepare_linear_data(X: Any, y: Any, sample_weight: Any = None) -> LinearData:
    """Bring data that is already validated into a safe range, contiguous and sorted."""
    y, sample_weight = np.asarray(y, dtype=np.float64), row_weights(sample_weight, X)
    (X, x_exponent), y_exponent = prepare_design(X), _exponent(y)
    single_target = y.ndim == 1
    return LinearData(
        X=X,
        y=_ldexp(y.reshape(y.shape[0], -1), y_exponent),
        sample_weight=sample_weight,
        x_exponent=x_exponent,
        y_exponent=y_exponent,
        single_target=single_target,
    )


def check_strength(alpha: float, positive: bool) -> None:
    """Refuse the one combination whose optimality no dual point of this family can prove."""
    if alpha == 0 and positive:
        raise ValueError(
            "alpha=0 with positive=True is nonnegative least squares: use scipy.optimize.nnls, or a small alpha > 0."
        )


def warn_of_missing_penalty(alpha: float, data: LinearData) -> None:
    """Say what ``alpha=0`` returns where least squares has many solutions."""
    n_samples, n_features = data.X.shape
    if alpha == 0 and n_features > n_samples:
        warnings.warn(
            f"alpha=0 with {n_features} features and {n_samples} samples: least squares has many solutions, "
            "the one of least norm is returned. Pass alpha > 0 for a sparse one.",
            UserWarning,
            stacklevel=4,
        )


def penalty_weights(weights: npt.ArrayLike | None, n_features: int) -> FloatArray | None:
    """Validate per-feature penalty weights: at least 0, infinity allowed.

    Raises
    ------
    ValueError
        If the length is not that of the features, or a weight is negative or NaN.
    """
    if weights is None:
        return None
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (n_features,):
        raise ValueError(
            f"weights has shape {values.shape}, but X has {n_features} features: give one weight a feature."
        )
    if not np.all(values >= 0):
        bad = int(np.flatnonzero(~(values >= 0))[0])
        raise ValueError(
            f"weights[{bad}]={values[bad]} must be at least 0 (0: no penalty, inf: the coefficient is 0) and not NaN."
        )
    return values


class LinearPredictorMixin:
    """Prediction with ``coef_`` and ``intercept_``."""

    coef_: Any
    intercept_: Any

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict the response.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        predictions: npt.NDArray[Any] = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return predictions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags
