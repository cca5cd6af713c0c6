"""Means and curvatures of the columns of a weighted design, the numbers that coordinate steps need."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..lasso.frame import FloatArray

__all__ = ["Columns"]

_BLOCK = 1 << 20
# A column whose variance is below this fraction of its mean square is constant.
_CONSTANT = 1e-24


class Columns:
    """Weighted means and mean squares of the columns of `A`.

    Attributes
    ----------
    means : array of shape (p,)
        Weighted means, zeros without an intercept.
    curvature : array of shape (p,)
        Weighted mean squares of the columns minus their means; exactly 0 for a column that is constant up to rounding
        (with an intercept) or zero.
    """

    def __init__(self, A: Any, sample_weight: FloatArray | None, fit_intercept: bool) -> None:
        n = A.shape[0]
        share = np.full(n, 1.0 / n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        share = share / share.sum()
        make = self._sparse if sparse.issparse(A) else self._dense
        self.means, self.curvature = make(A, share, fit_intercept)

    @staticmethod
    def _dense(A: Any, share: FloatArray, fit_intercept: bool) -> tuple[FloatArray, FloatArray]:
        p = A.shape[1]
        means, curvature = np.zeros(p), np.zeros(p)
        width = max(1, _BLOCK // max(1, A.shape[0]))
        for first in range(0, p, width):
            block = np.asarray(A[:, first : first + width], dtype=np.float64)
            here = slice(first, first + width)
            if fit_intercept:
                means[here] = share @ block
                raw = share @ (block * block)
                block = block - means[here]
                squares = share @ (block * block)
                curvature[here] = np.where(squares > _CONSTANT * raw, squares, 0.0)
            else:
                curvature[here] = share @ (block * block)
        return means, curvature

    @staticmethod
    def _sparse(A: Any, share: FloatArray, fit_intercept: bool) -> tuple[FloatArray, FloatArray]:
        p = A.shape[1]
        entries = sparse.csc_array(A, dtype=np.float64)
        column = np.repeat(np.arange(p), np.diff(entries.indptr))
        weight, values = share[entries.indices], entries.data
        raw = np.bincount(column, weight * values * values, minlength=p).astype(np.float64)
        if not fit_intercept:
            return np.zeros(p), raw
        means = np.bincount(column, weight * values, minlength=p).astype(np.float64)
        stored = np.bincount(column, weight, minlength=p)
        squares = np.bincount(column, weight * (values - means[column]) ** 2, minlength=p)
        squares = squares + means * means * np.maximum(1.0 - stored, 0.0)
        return means, np.where(squares > _CONSTANT * raw, squares, 0.0)
