"""From the user's data to an ordinal problem, and back: order of the classes, weights, standardised features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

__all__ = [
    "Classes",
    "OrdinalData",
    "ordinal_classes",
    "prepare",
    "standardise",
    "standardised",
    "validate_features",
    "validated",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

#: A column whose standard deviation is below this fraction of its largest entry is constant.
_CONSTANT = 1e-12


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes in sorted and in ordinal order.

    Attributes
    ----------
    sorted : array of shape (K,)
        The labels, sorted.
    ordinal : array of shape (K,)
        The labels, from the lowest to the highest class.
    order : int array of shape (K,)
        ``sorted[order] == ordinal``.
    """

    sorted: npt.NDArray[Any]
    ordinal: npt.NDArray[Any]
    order: npt.NDArray[np.intp]

    def codes(self, y: npt.NDArray[Any]) -> IntArray:
        """Return the ordinal codes of labels that are all known."""
        place = np.empty(self.order.size, dtype=np.int32)
        place[self.order] = np.arange(self.order.size, dtype=np.int32)
        return np.asarray(place[np.searchsorted(self.sorted, y)])


@dataclass(frozen=True, eq=False)
class OrdinalData:
    """Validated data in the problem's coordinates.

    Attributes
    ----------
    X : array or CSR matrix of shape (n, q)
        The features that vary, standardised; rows of weight 0 are left out.
    y : int array of shape (n,)
        Ordinal codes, reversed if the first class is the rare one.
    sample_weight : array of shape (n,) or None
        Products of sample and class weights.
    frequency : array of shape (n,)
        The sample weights as the user gave them.
    mean, scale : arrays of shape (p,)
        What was subtracted from each feature, and by what it was divided.
    varying : bool array of shape (p,)
        Which features vary.
    reverse : bool
        Whether the codes are reversed.
    """

    X: Any
    y: IntArray
    sample_weight: FloatArray | None
    frequency: FloatArray
    mean: FloatArray
    scale: FloatArray
    varying: npt.NDArray[np.bool_]
    reverse: bool

    def original(self, intercept: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return intercepts (m,) and slopes (m, p) or (1, p) for the user's features and order of classes."""
        coef = np.zeros((slopes.shape[0], self.varying.size))
        coef[:, self.varying] = slopes / self.scale[self.varying]
        intercept = intercept - coef @ self.mean
        return (-intercept[::-1], -coef[::-1]) if self.reverse else (intercept, coef)

    def scaled(self, intercept: FloatArray, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return intercepts and slopes in the problem's coordinates, the inverse of `original`."""
        if self.reverse:
            intercept, coef = -intercept[::-1], -coef[::-1]
        return intercept + coef @ self.mean, (coef * self.scale)[:, self.varying]


def _ordered_levels(y: Any) -> list[Any] | None:
    """Return the categories of a pandas ordered categorical, None for anything else."""
    dtype = getattr(y, "dtype", None)
    levels = getattr(dtype, "categories", None)
    return list(levels) if levels is not None and getattr(dtype, "ordered", False) else None


def ordinal_classes(y: Any, labels: npt.NDArray[Any], categories: Any) -> Classes:
    """Return the classes of the labels, ordered as the user says.

    Parameters
    ----------
    y : array-like
        The target as the user gave it.
    labels : array of shape (n,)
        The validated labels.
    categories : "auto" or array-like
        The order from the lowest to the highest class; ``"auto"`` takes that of a pandas ordered categorical, otherwise
        the sorted labels.

    Raises
    ------
    ValueError
        If there is one class only, or `categories` and the labels do not match.
    """
    if labels.dtype.kind not in "biuUS":  # these are classes, whatever their values
        check_classification_targets(labels)
    present = np.unique(labels)
    levels = _ordered_levels(y) if isinstance(categories, str) and categories == "auto" else None
    if levels is not None:
        unused = [level for level in levels if not np.any(present == level)]
        if unused:
            warnings.warn(f"No row has the category {_listed(unused)}: left out.", UserWarning, stacklevel=5)
        ordinal = np.array([level for level in levels if level not in unused], dtype=present.dtype)
    elif isinstance(categories, str) and categories == "auto":
        ordinal = present
        if present.size >= 3 and present.dtype.kind in "USO":
            warnings.warn(
                f"The classes {_listed(present.tolist())} are taken in alphabetical order: pass categories=[...] from "
                "the lowest to the highest, or an ordered pandas Categorical.",
                UserWarning,
                stacklevel=5,
            )
    else:
        ordinal = _given_order(np.asarray(categories), present)
    if present.size < 2:
        raise ValueError(
            f"An ordinal model needs at least 2 ordered classes, got 1 class: {_listed(present.tolist())}."
        )
    return Classes(present, ordinal, np.searchsorted(present, ordinal))


def _given_order(categories: npt.NDArray[Any], present: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if categories.ndim != 1 or np.unique(categories).size != categories.size:
        raise ValueError(f"categories={categories.tolist()!r} must be a list of different labels.")
    unknown = np.setdiff1d(present, categories)
    if unknown.size:
        raise ValueError(
            f"y holds the class {_listed(unknown.tolist())}, which is not in categories={categories.tolist()!r}."
        )
    empty = np.setdiff1d(categories, present)
    if empty.size:
        raise ValueError(f"No row has the class {_listed(empty.tolist())}: take it out of categories.")
    return categories.astype(present.dtype)


def validate_features(estimator: Any, X: Any) -> Any:
    """Validate features for prediction."""
    return validate_data(estimator, X, accept_sparse=["csr", "csc"], dtype=np.float64, reset=False)


def validated(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, npt.NDArray[Any], FloatArray | None, Classes]:
    """Validate the data of a fit; return features, labels, weights and classes.

    Raises
    ------
    ValueError
        For bad data, and weights that are negative or all 0.
    """
    original = y
    X, y = validate_data(estimator, X, y, accept_sparse=["csr", "csc"], dtype=np.float64)
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not np.any(weight > 0):
            raise ValueError("sample_weight sums to 0: at least one sample needs a positive weight.")
    return X, y, weight, ordinal_classes(original, y, estimator.categories)


def prepare(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[OrdinalData, Classes]:
    """Validate the data of a fit and bring them into the problem's coordinates.

    Raises
    ------
    ValueError
        For bad data, and classes without weight.
    """
    X, y, weight, classes = validated(estimator, X, y, sample_weight)
    return standardised(estimator, X, classes.codes(y), weight, classes), classes


def standardised(estimator: Any, X: Any, codes: IntArray, weight: FloatArray | None, classes: Classes) -> OrdinalData:
    """Return the rows of positive weight, standardised, with the weights of rows and classes."""
    n_classes = classes.ordinal.size
    if weight is not None and not np.all(weight > 0):
        rows = weight > 0
        X, codes, weight = X[rows], codes[rows], weight[rows]
    frequency = np.broadcast_to(1.0, codes.size) if weight is None else weight
    totals: FloatArray = np.bincount(codes, frequency, minlength=n_classes).astype(np.float64)
    factors = _class_factors(estimator.class_weight, classes, totals)
    totals = totals if factors is None else totals * factors
    if not np.all(totals > 0):
        empty = classes.ordinal[~(totals > 0)].tolist()
        raise ValueError(f"The class {_listed(empty)} has no sample of positive weight: every class needs one.")
    if factors is not None:
        weight = frequency * factors[codes]
    if weight is not None:
        weight = weight / weight.max()  # losses are divided by the sum: only ratios matter
    X, mean, scale, varying = standardise(X, weight, estimator.standardize)
    reverse = estimator.rare == "first"
    y = (n_classes - 1 - codes if reverse else codes).astype(np.int32)
    return OrdinalData(X, y, weight, frequency, mean, scale, varying, reverse)


def _class_factors(class_weight: Any, classes: Classes, totals: FloatArray) -> FloatArray | None:
    """Return a factor a class, in ordinal order."""
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        factors = compute_class_weight(class_weight, classes=classes.sorted, y=classes.sorted)[classes.order]
        if not (np.all(np.isfinite(factors)) and np.all(factors >= 0)):
            raise ValueError(f"class_weight={class_weight!r} must hold finite weights of at least 0.")
        return np.asarray(factors)
    with np.errstate(divide="ignore"):
        factors = totals.sum() / (totals.size * totals)
    return np.where(totals > 0, factors, 0.0)


def standardise(
    X: Any, weight: FloatArray | None, standardize: bool
) -> tuple[Any, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Return new features that vary, in C order or CSR, with the means and scales of all features.

    Sparse features are scaled only. Moments are those of columns whose largest entry is 1, so that none overflows.
    """
    n, p = X.shape
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    if sparse.issparse(X):
        largest = np.asarray(abs(X).max(axis=0).toarray()).ravel() if p else np.zeros(0)
        unit = np.where(largest > 0, largest, 1.0)
        small = (X @ sparse.diags_array(1.0 / unit)).tocsc()
        mean = small.T @ share
        column = np.repeat(np.arange(p), np.diff(small.indptr))
        share_of = share[small.indices]
        squares = np.bincount(column, share_of * np.square(small.data - mean[column]), minlength=p)
        stored = np.bincount(column, share_of, minlength=p)
        deviation = np.sqrt(squares + np.maximum(1.0 - stored, 0.0) * np.square(mean))
    else:
        largest = np.maximum(X.max(axis=0, initial=0.0), -X.min(axis=0, initial=0.0))
        unit = np.where(largest > 0, largest, 1.0)
        small = np.divide(X, unit, order="C")
        mean = share @ small
        small -= mean
        deviation = np.sqrt(np.einsum("ij,ij,i->j", small, small, share))
    varying = deviation > _CONSTANT
    scale = np.where(varying, deviation, 1.0) if standardize else 1.0 / unit
    if sparse.issparse(X):
        return (
            sparse.csr_array(small[:, varying] @ sparse.diags_array(1.0 / scale[varying])),
            np.zeros(p), scale * unit, varying,
        )  # fmt: skip
    features = small if varying.all() else np.ascontiguousarray(small[:, varying])
    features /= scale[varying]
    return features, mean * unit, scale * unit, varying


def _listed(labels: list[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:10]) + (", ..." if len(labels) > 10 else "")
