"""Losses of the probabilities of ordered classes, one of which may be rare, and a calibration error.

They work on labels and probabilities alone; what reads these from a fitted classifier is in `scorers`. Losses that
estimators minimise are in :mod:`estimand.solvers`.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "brier_score_multi",
    "equal_frequency_calibration_error",
    "ranked_probability_score",
    "rare_brier",
    "rare_log_loss",
]

FloatArray = npt.NDArray[np.float64]

_EPSILON = float(np.finfo(np.float64).eps)
_RANGE_TOLERANCE = 1e-8
_SUM_TOLERANCE = 1e-6
_SHOWN = 10


def _listed(values: npt.NDArray[Any] | list[Any]) -> str:
    """Return the first of `values` as text."""
    plain = values if isinstance(values, list) else values.tolist()
    return f"[{', '.join(map(repr, plain[:_SHOWN]))}{', ...' if len(plain) > _SHOWN else ''}]"


def _check_labels(y_true: npt.NDArray[Any], labels: npt.ArrayLike | None) -> npt.NDArray[Any]:
    """Return the distinct labels, two or more, in the order of the columns."""
    if labels is None:
        check_classification_targets(y_true)
    order = np.asarray(unique_labels(y_true) if labels is None else column_or_1d(labels))
    if len(set(order.tolist())) < order.size:
        raise ValueError(f"labels={_listed(order)} holds a label more than once: name each class once.")
    if order.size < 2:
        where = "y_true holds" if labels is None else "labels holds"
        raise ValueError(f"{where} only {_listed(order)}: pass labels with all classes, at least two.")
    return order


def _codes(values: list[Any], labels: npt.NDArray[Any], name: str) -> npt.NDArray[np.intp]:
    """Return the positions of `values` among `labels`."""
    # A dictionary and not np.searchsorted, which would take the number 1 for the string "1".
    positions = {label: position for position, label in enumerate(labels.tolist())}
    unknown = [value for value in dict.fromkeys(values) if value not in positions]
    if unknown:
        raise ValueError(
            f"{name} holds {_listed(unknown)}, which the labels {_listed(labels)} do not: pass labels with all classes."
        )
    return np.fromiter((positions[value] for value in values), dtype=np.intp, count=len(values))


def _check_range(probabilities: FloatArray) -> FloatArray:
    lowest, highest = float(probabilities.min()), float(probabilities.max())
    if lowest < -_RANGE_TOLERANCE or highest > 1 + _RANGE_TOLERANCE:
        raise ValueError(f"y_proba must hold probabilities in [0, 1], it ranges from {lowest!r} to {highest!r}.")
    return np.clip(probabilities, 0.0, 1.0)


def _check_vector(y_proba: Any) -> FloatArray:
    """Return the probabilities of one class, in [0, 1]."""
    checked = check_array(y_proba, dtype=np.float64, ensure_2d=False, input_name="y_proba")
    return _check_range(column_or_1d(checked))


def _check_matrix(y_proba: Any, labels: npt.NDArray[Any]) -> FloatArray:
    """Return the probabilities of all classes, in [0, 1]."""
    checked = check_array(y_proba, dtype=np.float64, input_name="y_proba")
    if checked.shape[1] != labels.size:
        raise ValueError(
            f"y_proba has {checked.shape[1]} columns for the {labels.size} classes {_listed(labels)}: pass labels with "
            "one label per column, in the order of the columns."
        )
    probabilities = _check_range(checked)
    sums = checked.sum(axis=1)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row] - 1) > _SUM_TOLERANCE:
        raise ValueError(f"The rows of y_proba must sum to 1, but row {row} sums to {float(sums[row])!r}.")
    return probabilities


def _check_classes(
    y_true: npt.ArrayLike, y_proba: Any, labels: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.intp], FloatArray, npt.NDArray[Any]]:
    """Return the column of each row's label, the probabilities, and the labels of the columns."""
    check_consistent_length(y_true, y_proba)
    observed = column_or_1d(y_true)
    order = _check_labels(observed, labels)
    probabilities = _check_matrix(y_proba, order)
    return _codes(observed.tolist(), order, "y_true"), probabilities, order


def _check_rare(
    y_true: npt.ArrayLike, y_proba: Any, labels: npt.ArrayLike | None, rare: Any
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Return which rows are of the rare class, and its probabilities."""
    check_consistent_length(y_true, y_proba)
    observed = column_or_1d(y_true)
    order = _check_labels(observed, labels)
    column = order.size - 1 if rare is None else int(_codes([rare], order, "rare")[0])
    probabilities = _check_vector(y_proba) if np.ndim(y_proba) == 1 else _check_matrix(y_proba, order)[:, column]
    return _codes(observed.tolist(), order, "y_true") == column, probabilities


def _mean(losses: FloatArray, sample_weight: npt.ArrayLike | None) -> float:
    if sample_weight is None:
        return float(losses.mean())
    weight = _check_sample_weight(sample_weight, losses, dtype=np.float64, ensure_non_negative=True)
    if not np.any(weight > 0):
        raise ValueError("sample_weight sums to 0: at least one sample needs a positive weight.")
    return float(np.average(losses, weights=weight / weight.max()))


def brier_score_multi(
    y_true: npt.ArrayLike,
    y_proba: Any,
    *,
    labels: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""Mean squared distance of the probabilities of all classes from what occurred.

    For ``n`` rows with labels ``y_i`` and probabilities ``p_ic`` of the classes ``c``,

    .. math:: \frac{1}{n} \sum_i \sum_c (1\{y_i = c\} - p_{ic})^2

    which lies between 0 and 2. With two classes it is twice the loss of the probability of one of them.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The labels.
    y_proba : array-like of shape (n_samples, n_classes)
        The probabilities, whose rows sum to 1.
    labels : array-like of shape (n_classes,) or None, default=None
        The classes in the order of the columns. None: the sorted distinct labels of `y_true`, which must then hold
        every class.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Nonnegative weights of the rows in the mean.

    Returns
    -------
    loss : float
        The mean, smaller is better.

    Raises
    ------
    ValueError
        If `y_true` holds a label that `labels` does not, the columns are not as many as the labels, `y_proba` holds
        what are not probabilities, its rows do not sum to 1, lengths differ, there are no rows, or weights are negative
        or all 0.

    See Also
    --------
    brier_scorer : The same for ``scoring=``, see :class:`OrdinalScorer`.

    References
    ----------
    G. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).

    Examples
    --------
    >>> from estimand.metrics import brier_score_multi
    >>> brier_score_multi([0, 2], [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]], labels=[0, 1, 2])
    0.25
    """
    codes, probabilities, _ = _check_classes(y_true, y_proba, labels)
    occurred = codes[:, np.newaxis] == np.arange(probabilities.shape[1])
    return _mean(np.sum((occurred - probabilities) ** 2, axis=1), sample_weight)


def ranked_probability_score(
    y_true: npt.ArrayLike,
    y_proba: Any,
    *,
    labels: npt.ArrayLike | None = None,
    categories: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""Mean squared distance of the cumulative probabilities of ordered classes from what occurred.

    For ``n`` rows whose labels are the ``y_i``-th of ``K`` ordered classes, and probabilities ``p_ic``,

    .. math:: \frac{1}{n} \sum_i \sum_{k=1}^{K-1} \Bigl(1\{y_i \le k\} - \sum_{c \le k} p_{ic}\Bigr)^2

    which lies between 0 and ``K - 1``: the sum over the boundaries is not divided by their number, as some authors do.
    Probability costs the more the farther it is from the class that occurred.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The labels.
    y_proba : array-like of shape (n_samples, n_classes)
        The probabilities, whose rows sum to 1.
    labels : array-like of shape (n_classes,) or None, default=None
        The classes in the order of the columns. None: the sorted distinct labels of `y_true`, which must then hold
        every class.
    categories : array-like of shape (n_classes,) or None, default=None
        The classes from the lowest to the highest. None: the order of `labels`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Nonnegative weights of the rows in the mean.

    Returns
    -------
    loss : float
        The mean, smaller is better.

    Raises
    ------
    ValueError
        If `categories` does not hold each label once, and where :func:`brier_score_multi` raises.

    See Also
    --------
    ranked_probability_scorer : The same for ``scoring=``, see :class:`OrdinalScorer`.

    References
    ----------
    E. Epstein, "A scoring system for probability forecasts of ranked categories", J. Applied Meteorology 8 (1969).

    Examples
    --------
    >>> from estimand.metrics import ranked_probability_score
    >>> near, far = [[0.5, 0.5, 0.0]], [[0.5, 0.0, 0.5]]
    >>> [ranked_probability_score([0], proba, labels=[0, 1, 2]) for proba in (near, far)]
    [0.25, 0.5]

    Columns in alphabetical order, and the order of the classes apart from it:

    >>> proba = [[0.0, 0.5, 0.5]]
    >>> labels, categories = ["high", "low", "middle"], ["low", "middle", "high"]
    >>> ranked_probability_score(["low"], proba, labels=labels, categories=categories)
    0.25
    """
    codes, probabilities, order = _check_classes(y_true, y_proba, labels)
    columns = np.arange(order.size)
    if categories is not None:
        ranked = column_or_1d(categories)
        columns = _codes(ranked.tolist(), order, "categories")
        if not np.array_equal(np.sort(columns), np.arange(order.size)):
            raise ValueError(
                f"categories={_listed(ranked)} must hold each of the labels {_listed(order)} once, from the lowest to "
                "the highest."
            )
    ranks = np.argsort(columns)[codes]
    reached = ranks[:, np.newaxis] <= np.arange(order.size - 1)
    cumulated = np.cumsum(probabilities[:, columns[:-1]], axis=1)
    return _mean(np.sum((reached - cumulated) ** 2, axis=1), sample_weight)


def rare_log_loss(
    y_true: npt.ArrayLike,
    y_proba: Any,
    *,
    labels: npt.ArrayLike | None = None,
    rare: Any = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""Mean negative log-likelihood of whether the rare class occurs.

    For ``n`` rows, with ``r_i = 1`` where the label is the rare class, 0 elsewhere, and its probabilities ``p_i``,

    .. math:: -\frac{1}{n} \sum_i \bigl(r_i \log p_i + (1 - r_i) \log(1 - p_i)\bigr)

    where ``p_i`` is clipped to ``[e, 1 - e]``, ``e = 2.2e-16`` being the precision of float64: a wrong certainty costs
    36, not infinity.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The labels.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        The probabilities of the rare class, or those of all classes, whose rows sum to 1.
    labels : array-like of shape (n_classes,) or None, default=None
        The classes, in the order of the columns of `y_proba` where it has columns. None: the sorted distinct labels of
        `y_true`, which must then hold every class, the rare one included.
    rare : label or None, default=None
        The rare class. None: the last one of `labels`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Nonnegative weights of the rows in the mean.

    Returns
    -------
    loss : float
        The mean, smaller is better.

    Raises
    ------
    ValueError
        If `labels` does not hold `rare`, and where :func:`brier_score_multi` raises.

    See Also
    --------
    rare_log_loss_scorer : The same for ``scoring=``, see :class:`OrdinalScorer`.

    References
    ----------
    I. Good, "Rational decisions", JRSS B 14 (1952).

    Examples
    --------
    >>> from estimand.metrics import rare_log_loss
    >>> round(rare_log_loss(["no", "yes", "no"], [0.1, 0.8, 0.1], rare="yes"), 4)
    0.1446
    """
    occurred, probabilities = _check_rare(y_true, y_proba, labels, rare)
    clipped = np.clip(probabilities, _EPSILON, 1 - _EPSILON)
    return _mean(-np.where(occurred, np.log(clipped), np.log1p(-clipped)), sample_weight)


def rare_brier(
    y_true: npt.ArrayLike,
    y_proba: Any,
    *,
    labels: npt.ArrayLike | None = None,
    rare: Any = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    r"""Mean squared distance of the probability of the rare class from what occurred.

    For ``n`` rows, with ``r_i = 1`` where the label is the rare class, 0 elsewhere, and its probabilities ``p_i``,

    .. math:: \frac{1}{n} \sum_i (r_i - p_i)^2

    which lies between 0 and 1.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The labels.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        The probabilities of the rare class, or those of all classes, whose rows sum to 1.
    labels : array-like of shape (n_classes,) or None, default=None
        The classes, in the order of the columns of `y_proba` where it has columns. None: the sorted distinct labels of
        `y_true`, which must then hold every class, the rare one included.
    rare : label or None, default=None
        The rare class. None: the last one of `labels`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Nonnegative weights of the rows in the mean.

    Returns
    -------
    loss : float
        The mean, smaller is better.

    Raises
    ------
    ValueError
        If `labels` does not hold `rare`, and where :func:`brier_score_multi` raises.

    See Also
    --------
    rare_brier_scorer : The same for ``scoring=``, see :class:`OrdinalScorer`.

    References
    ----------
    G. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).

    Examples
    --------
    >>> from estimand.metrics import rare_brier
    >>> rare_brier([0, 1, 2, 2], [0.0, 0.0, 1.0, 0.5])
    0.0625
    """
    occurred, probabilities = _check_rare(y_true, y_proba, labels, rare)
    return _mean((occurred - probabilities) ** 2, sample_weight)


def equal_frequency_calibration_error(y_true: npt.ArrayLike, y_proba: Any, *, n_bins: int | None = None) -> float:
    r"""Mean squared distance of the probabilities of an event from its frequency among similar probabilities.

    The rows are sorted by their probabilities ``p_i`` and cut into consecutive bins whose sizes differ by at most one,
    larger bins first. With ``b(i)`` the bin of row ``i`` and ``f_b`` the share of events in bin ``b``,

    .. math:: \frac{1}{n} \sum_i (p_i - f_{b(i)})^2

    It is not a proper loss: the spread of the probabilities within a bin counts, and so does the noise of the
    frequencies, so that values are to be compared at one size and one number of bins. Equal probabilities keep the
    order of their rows, which decides where a bin ends among them. Rows have no weights, because bins count rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Whether the event occurred: 0 and 1, or False and True.
    y_proba : array-like of shape (n_samples,)
        The probabilities of the event.
    n_bins : int or None, default=None
        Number of bins, at least 1; more than there are rows count as one for each row. None: one for each hundred
        rows, rounded, and at least 10.

    Returns
    -------
    error : float
        The mean, smaller is better.

    Raises
    ------
    ValueError
        If `y_true` holds other values than 0 and 1, `y_proba` holds what are not probabilities, lengths differ, there
        are no rows, or `n_bins` is not a positive integer.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023).

    Examples
    --------
    >>> from estimand.metrics import equal_frequency_calibration_error
    >>> equal_frequency_calibration_error([0, 1, 1, 1], [0.5, 0.5, 1.0, 1.0], n_bins=2)
    0.0
    """
    check_consistent_length(y_true, y_proba)
    observed, probabilities = column_or_1d(y_true), _check_vector(y_proba)
    other = [value for value in dict.fromkeys(observed.tolist()) if value not in (0, 1)]
    if other:
        raise ValueError(f"y_true must hold 0 and 1 only, it holds {_listed(other)}: pass y == label of the event.")
    if n_bins is None:
        n_bins = max(round(probabilities.size / 100), 10)
    elif not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r} must be an integer of at least 1, or None.")
    order = np.argsort(probabilities, kind="stable")
    sizes = np.full(min(int(n_bins), order.size), order.size // min(int(n_bins), order.size))
    sizes[: order.size % sizes.size] += 1
    bins = np.repeat(np.arange(sizes.size), sizes)
    frequencies = np.bincount(bins, weights=observed[order].astype(np.float64)) / sizes
    return float(np.mean((probabilities[order] - frequencies[bins]) ** 2))
