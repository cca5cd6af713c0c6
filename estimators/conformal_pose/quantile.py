"""Quantiles and p-values of calibration scores, of all rows together or of each Mondrian group.

Nothing here knows what a score measures; larger means further away from the prediction.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils._missing import is_pandas_na, is_scalar_nan

__all__ = [
    "Calibration",
    "check_alpha",
    "conformal_quantile",
    "encode_groups",
    "row_thresholds",
    "store_calibration",
    "tail_rank",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Relative error of ``(n + 1) alpha`` that is taken for rounding.
_ROUNDING = 1e-12
_LISTED = 10


def conformal_quantile(scores: npt.ArrayLike, alpha: float) -> float:
    r"""Return the threshold of split conformal prediction: the j-th largest calibration score.

    .. math:: j = \lfloor (n + 1) \alpha \rfloor

    or, what is the same, the ``ceil((n + 1)(1 - alpha))``-th smallest. If the n scores and one more are exchangeable,
    the new one is at most this threshold with probability at least ``1 - alpha``, and at most ``1 - alpha + 1/(n + 1)``
    if there are no ties. A product ``(n + 1) alpha`` that is an integer up to rounding counts as that integer.

    Parameters
    ----------
    scores : array-like of shape (n_scores,)
        Nonconformity scores of the calibration rows; ``inf`` is allowed.
    alpha : float
        Miscoverage level, strictly between 0 and 1.

    Returns
    -------
    quantile : float
        The threshold; ``inf``, with a warning, if j = 0 because there are fewer than ``1 / alpha - 1`` scores.

    Raises
    ------
    ValueError
        If a score is NaN or ``-inf``, or `alpha` is not in (0, 1).

    Warns
    -----
    UserWarning
        If the quantile is infinite for lack of scores.

    References
    ----------
    V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", Springer (2005), section 2.2.

    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, "Distribution-free predictive inference for
    regression", JASA 113 (2018), Algorithm 2.

    Examples
    --------
    >>> from estimand import conformal_quantile
    >>> conformal_quantile([0.3, 0.1, 0.9, 0.5], alpha=0.4)
    0.5
    """
    values, alpha = _checked_scores(scores), check_alpha(alpha)
    j = tail_rank(values.size, alpha)
    if j == 0:
        _warn_of_infinity([values.size], alpha, stacklevel=2)
        return math.inf
    return float(np.partition(values, values.size - j)[values.size - j])


def check_alpha(alpha: Any) -> float:
    """Return `alpha` as a float.

    Raises
    ------
    ValueError
        If it is not a number strictly between 0 and 1.
    """
    if not (isinstance(alpha, Real) and 0 < float(alpha) < 1):
        raise ValueError(f"alpha={alpha!r} must be a number strictly between 0 and 1, the miscoverage level.")
    return float(alpha)


def tail_rank(n: int, alpha: float) -> int:
    """Return ``floor((n + 1) alpha)``, at most n, where a product that is an integer up to rounding counts as it."""
    product = (n + 1) * alpha
    nearest = round(product)
    return min(n, nearest if abs(product - nearest) <= _ROUNDING * max(1.0, product) else math.floor(product))


@dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration scores of all rows, or of each Mondrian group, and what follows from them.

    Attributes
    ----------
    blocks : tuple of ndarray
        The scores in ascending order: one array, or one a label.
    labels : tuple or None
        The labels of the blocks, without groups None.
    """

    blocks: tuple[FloatArray, ...]
    labels: tuple[Hashable, ...] | None = None

    @classmethod
    def from_scores(
        cls, scores: npt.ArrayLike, groups: npt.ArrayLike | None = None, *, known: Iterable[Hashable] = ()
    ) -> Calibration:
        """Sort the scores, those of each label apart.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Nonconformity scores, not NaN and not ``-inf``.
        groups : array-like of shape (n,) or None
            Mondrian labels.
        known : iterable of labels
            Labels that may lack scores; their quantile is then infinite.

        Raises
        ------
        ValueError
            For bad scores or labels.
        """
        values = _checked_scores(scores)
        if groups is None:
            return cls((np.sort(values),))
        labels, codes = encode_groups(groups, values.size)
        missing = sorted(set(known) - set(labels))  # type: ignore[type-var]
        order = np.lexsort((values, codes))
        ends = np.cumsum(np.bincount(codes, minlength=len(labels)))
        blocks = np.split(values[order], ends[:-1]) if labels else []
        return cls((*blocks, *(np.empty(0) for _ in missing)), (*labels, *missing))

    def __add__(self, other: Calibration) -> Calibration:
        """Return the calibration with the scores of both.

        Raises
        ------
        ValueError
            If one of them has groups and the other has none.
        """
        if (self.labels is None) != (other.labels is None):
            raise ValueError("Scores with groups and scores without do not add up: pass groups always, or never.")
        if self.labels is None:
            return Calibration((np.sort(np.concatenate([*self.blocks, *other.blocks])),))
        blocks = dict(zip(self.labels, self.blocks, strict=True))
        for label, block in zip(other.labels or (), other.blocks, strict=True):
            blocks[label] = np.sort(np.concatenate([blocks.get(label, block[:0]), block]))
        labels = tuple(sorted(blocks))  # type: ignore[type-var]
        return Calibration(tuple(blocks[label] for label in labels), labels)

    @cached_property
    def _position(self) -> dict[Hashable, int]:
        return {label: i for i, label in enumerate(self.labels or ())}

    @property
    def sizes(self) -> list[int]:
        """Number of scores of each block."""
        return [block.size for block in self.blocks]

    def by_label(self, values: Iterable[Any]) -> Any:
        """Return one value a block as a dict by label, or the only one if there are no groups."""
        if self.labels is None:
            (value,) = values
            return value
        return dict(zip(self.labels, values, strict=True))

    def codes(self, groups: npt.ArrayLike | None, n_rows: int | None = None) -> IntArray | None:
        """Return the block of each row, None if there is but one.

        Raises
        ------
        ValueError
            For labels without calibration, labels that are missing, labels where calibration had none, and if there are
            not `n_rows` of them.
        """
        if self.labels is None:
            if groups is not None:
                raise ValueError(
                    "groups was given, but calibration had no groups: calibrate with groups, or pass None."
                )
            return None
        if groups is None:
            raise ValueError("groups=None, but calibration had groups: pass the label of each row.")
        labels, codes = encode_groups(groups, n_rows)
        unseen = [label for label in labels if label not in self._position]
        if unseen:
            raise ValueError(
                f"groups holds {_listed(unseen)}, which calibration has not seen; it has seen {_listed(self.labels)}."
            )
        return np.array([self._position[label] for label in labels], dtype=np.intp)[codes]

    def quantiles(self, alpha: float) -> FloatArray:
        """Return the threshold of each block, infinite where it has too few scores."""
        alpha = check_alpha(alpha)
        ranks = [tail_rank(size, alpha) for size in self.sizes]
        return np.array([block[-j] if j else math.inf for block, j in zip(self.blocks, ranks, strict=True)])

    def quantile(self, alpha: float, groups: npt.ArrayLike | None = None) -> Any:
        """Return the threshold of each row, an array of shape (n_rows,); a float if there are no groups.

        Parameters
        ----------
        alpha : float
            Miscoverage level, in (0, 1).
        groups : array-like of shape (n_rows,) or None
            The label of each row, if there were labels at calibration.

        Raises
        ------
        ValueError
            For a bad `alpha`, and labels that are not those of the calibration.
        """
        values, codes = self.quantiles(alpha), self.codes(groups)
        return float(values[0]) if codes is None else values[codes]

    def warn_of_infinity(self, alpha: float, groups: npt.ArrayLike | None = None, *, stacklevel: int = 1) -> None:
        """Warn, once, of blocks with too few scores for `alpha`; with `groups` only of those that rows belong to.

        A `stacklevel` of 1 points to the caller.
        """
        short = [i for i, size in enumerate(self.sizes) if tail_rank(size, alpha) == 0]
        if groups is not None and short:
            short = np.intersect1d(short, self.codes(groups)).tolist()  # type: ignore[arg-type]
        if short:
            labels = None if self.labels is None else [self.labels[i] for i in short]
            _warn_of_infinity([self.sizes[i] for i in short], alpha, labels, stacklevel=stacklevel + 1)

    def p_values(self, scores: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> FloatArray:
        """Return ``(1 + #{calibration scores >= s}) / (n + 1)`` for each score s, among those of its label.

        Parameters
        ----------
        scores : array-like of shape (n_rows,)
            Scores, not NaN and not ``-inf``.
        groups : array-like of shape (n_rows,) or None
            The label of each row, if there were labels at calibration.

        Raises
        ------
        ValueError
            For bad scores, and labels that are not those of the calibration.
        """
        values = _checked_scores(scores)
        codes = self.codes(groups, values.size)
        if codes is None:
            return _p_values(self.blocks[0], values)
        result = np.empty(values.size)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(self.blocks)))
        for block, rows in zip(self.blocks, np.split(order, ends[:-1]), strict=True):
            result[rows] = _p_values(block, values[rows])
        return result

    def rejects(self, p_values: FloatArray, alpha: float, groups: npt.ArrayLike | None = None) -> npt.NDArray[np.bool_]:
        """Return where a p-value is at most `alpha`, with the care for rounding that the quantile takes.

        These are exactly the rows whose score exceeds the quantile.
        """
        alpha, codes = check_alpha(alpha), self.codes(groups)
        sizes = np.array(self.sizes)
        ranks = np.array([tail_rank(size, alpha) for size in self.sizes])
        at = 0 if codes is None else codes
        return np.asarray(np.rint(p_values * (sizes[at] + 1)) <= ranks[at])


def store_calibration(estimator: Any, calibration: Calibration, *, stacklevel: int = 1) -> None:
    """Set the fitted attributes of a calibration, then warn, once, where there are too few scores.

    A `stacklevel` of 1 points to the caller.
    """
    estimator.calibration_, estimator.alpha_ = calibration, float(estimator.alpha)
    estimator.scores_ = calibration.by_label(calibration.blocks)
    estimator.quantile_ = calibration.by_label(calibration.quantiles(estimator.alpha_).tolist())
    estimator.n_calibration_ = calibration.by_label(calibration.sizes)
    calibration.warn_of_infinity(estimator.alpha_, stacklevel=stacklevel + 1)


def row_thresholds(estimator: Any, alpha: float | None, groups: Any, n_rows: int, *, stacklevel: int = 1) -> FloatArray:
    """Return the threshold of each row at a level, None for the estimator's, and warn where fit did not.

    Raises
    ------
    ValueError
        For a bad `alpha`, and labels that are not those of the calibration, or not one a row.
    """
    level = check_alpha(estimator.alpha if alpha is None else alpha)
    thresholds = np.asarray(estimator.calibration_.quantile(level, groups))
    if level != estimator.alpha_:
        estimator.calibration_.warn_of_infinity(level, groups, stacklevel=stacklevel + 1)
    if thresholds.ndim and thresholds.size != n_rows:
        raise ValueError(f"groups has {thresholds.size} labels, but there are {n_rows} rows.")
    return np.broadcast_to(thresholds, (n_rows,))


def encode_groups(groups: npt.ArrayLike, n_rows: int | None = None) -> tuple[list[Hashable], IntArray]:
    """Return the distinct labels in order, and for each row the position of its label.

    Raises
    ------
    ValueError
        If there is not one label a row, a label is missing, or labels cannot be ordered.
    """
    values = np.asarray(groups)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or (n_rows is not None and values.size != n_rows):
        rows = "" if n_rows is None else f" of {n_rows} rows"
        raise ValueError(f"groups has shape {values.shape}, but must have one dimension: the label of each{rows}.")
    if values.dtype.kind == "O":
        labels, codes = _encode_objects(values)
    else:
        unique, codes = np.unique(values, return_inverse=True)
        if unique.size and unique[-1] != unique[-1]:
            raise ValueError(f"groups holds {unique[-1]}: every row needs a label.")
        labels = unique.tolist()
    return labels, codes.astype(np.intp, copy=False)


def _encode_objects(values: npt.NDArray[np.object_]) -> tuple[list[Hashable], IntArray]:
    unique = set(values.tolist())
    missing = [label for label in unique if label is None or is_pandas_na(label) or is_scalar_nan(label)]
    if missing:
        raise ValueError(f"groups holds {missing[0]}: every row needs a label.")
    try:
        labels = sorted(unique)
    except TypeError as error:
        raise ValueError(f"groups holds labels that cannot be ordered ({error}): use one type for all.") from None
    position = {label: i for i, label in enumerate(labels)}
    return labels, np.fromiter((position[label] for label in values), dtype=np.intp, count=values.size)


def _checked_scores(scores: npt.ArrayLike) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"scores has shape {values.shape}, but must have one dimension: one score a row.")
    if values.size and not values.min() > -math.inf:  # NaN fails this, too
        bad = int(np.flatnonzero(~(values > -math.inf))[0])
        raise ValueError(f"scores[{bad}]={values[bad]}: scores must be numbers, or inf, but not NaN or -inf.")
    return values


def _p_values(block: FloatArray, scores: FloatArray) -> FloatArray:
    smaller = np.searchsorted(block, scores, side="left")
    return np.asarray((1 + block.size - smaller) / (block.size + 1))


def _warn_of_infinity(
    sizes: Sequence[int], alpha: float, labels: Sequence[Hashable] | None = None, *, stacklevel: int
) -> None:
    found = f"{sizes[0]}" if labels is None else f"{min(sizes)} in the smallest group"
    where = "" if labels is None else f" for {_listed(labels)}"
    needed = np.ceil((1 / alpha - 1) * (1 - _ROUNDING))
    warnings.warn(
        f"alpha={alpha:g} needs at least {needed:.15g} calibration scores, there are {found}: "
        f"the quantile{where} is inf, and sets hold everything. Calibrate on more rows, or raise alpha.",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def _listed(labels: Sequence[Hashable]) -> str:
    return ", ".join(repr(label) for label in labels[:_LISTED]) + (", ..." if len(labels) > _LISTED else "")
