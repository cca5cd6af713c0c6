"""The likelihood of a cumulative-link model, as a function of its linear predictors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...cython_ext import _cumulative_loss, _weighted_gram
from .links import LINKS, quantile

__all__ = ["Derivatives", "FloatArray", "Likelihood", "assemble_hessian", "class_sums", "weighted_grams"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

_GRAM_BLOCK = 256


class Derivatives(NamedTuple):
    """The averaged loss at linear predictors, with its derivatives row by row.

    Attributes
    ----------
    value : float
        The average; infinity outside the domain, where the derivatives are unspecified.
    gradient : array of shape (n, m)
        Column l holds the derivative along the common shift of the boundaries l, l + 1, ...
    curvature : array of shape (n, 3)
        Second derivatives of a row of class c along the common shift of the boundaries beside the class, and along its
        upper boundary alone: (shift, shift), (shift, upper) and (upper, upper).
    total_gradient : array of shape (m,)
        Sums of `gradient` over the rows.
    total_curvature : array of shape (K, 3)
        Sums of `curvature` over the rows of each class.
    barrier_curvature : array of shape (n, m - 1) or None
        Second derivatives of a barrier on the gaps between adjacent boundaries, where there is one.
    """

    value: float
    gradient: FloatArray
    curvature: FloatArray
    total_gradient: FloatArray
    total_curvature: FloatArray
    barrier_curvature: FloatArray | None = None

    def copy(self) -> Derivatives:
        """Return the same with arrays of its own."""
        bends = self.barrier_curvature
        return Derivatives(
            self.value,
            self.gradient.copy(),
            self.curvature.copy(),
            self.total_gradient.copy(),
            self.total_curvature.copy(),
            None if bends is None else bends.copy(),
        )

    def intercept_hessian(self) -> FloatArray:
        """Return the Hessian in the changes ``a_1, a_2 - a_1, ...`` of the intercepts, of shape (m, m)."""
        matrix = assemble_hessian(self.total_curvature[:, :, None, None])[:, 0, :, 0]
        if self.barrier_curvature is not None:
            matrix[np.diag_indices_from(matrix)] += np.append(0.0, self.barrier_curvature.sum(axis=0))
        return matrix


class Likelihood:
    r"""The averaged negative log-likelihood of a cumulative-link model, as a function of the linear predictors.

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \left(-\log\left(F(\eta_{i, y_i}) - F(\eta_{i, y_i + 1})\right)\right),
        \qquad \eta_{i, 0} = \infty, \ \eta_{i, K} = -\infty

    Parameters
    ----------
    y : int array of shape (n,)
        Classes 0 to K - 1.
    n_classes : int
        The number K of classes.
    link : str
        One of `LINKS`.
    sample_weight : array of shape (n,) or None
        The weights w.
    """

    def __init__(
        self, y: npt.NDArray[np.integer[Any]], n_classes: int, link: str, sample_weight: FloatArray | None
    ) -> None:
        self.source = (y, sample_weight)
        self.y: IntArray = np.ascontiguousarray(y, dtype=np.int32)
        self.n_boundaries, self.link = n_classes - 1, link
        weight = np.ones(y.size) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self.total_weight = float(weight.sum())
        self.row_weight: FloatArray = np.ascontiguousarray(weight / self.total_weight)
        self._link = LINKS[link]

    def matches(self, y: Any, n_classes: int, link: str, sample_weight: Any) -> bool:
        """Whether the likelihood was made from these very arrays."""
        same = y is self.source[0] and sample_weight is self.source[1]
        return same and n_classes == self.n_boundaries + 1 and link == self.link

    @cached_property
    def class_rows(self) -> list[IntArray]:
        """The rows of each class."""
        return [np.flatnonzero(self.y == c).astype(np.int32) for c in range(self.n_boundaries + 1)]

    @cached_property
    def all_rows(self) -> IntArray:
        """All rows."""
        return np.arange(self.y.size, dtype=np.int32)

    @cached_property
    def class_shares(self) -> FloatArray:
        """The share of each class in the total weight."""
        return np.bincount(self.y, self.row_weight, minlength=self.n_boundaries + 1).astype(np.float64)

    @cached_property
    def null_intercepts(self) -> FloatArray:
        """The maximum-likelihood intercepts of the model without features: links of the shares of exceedance."""
        exceedance = np.cumsum(self.class_shares[::-1])[::-1][1:]
        return quantile(exceedance, self.link)

    @cached_property
    def null_value(self) -> float:
        """The loss of the model without features."""
        return -float(np.sum(self.class_shares * np.log(self.class_shares)))

    def derivatives(self, eta: FloatArray, out: Derivatives | None = None) -> Derivatives:
        """Evaluate at linear predictors of shape (n, m), in C order; the arrays of `out` are overwritten if given."""
        n, m = eta.shape
        if out is None:
            arrays = np.empty((n, m)), np.empty((n, 3)), np.empty(m), np.empty((m + 1, 3))
        else:
            arrays = out.gradient, out.curvature, out.total_gradient, out.total_curvature
        value = _cumulative_loss.evaluate(eta, self.y, self.row_weight, self._link, *arrays)
        return Derivatives(value, *arrays)

    def null_derivatives(self) -> Derivatives:
        """Evaluate at the model without features, where all rows of a class are alike."""
        m = self.n_boundaries
        arrays = np.empty((m + 1, m)), np.empty((m + 1, 3)), np.empty(m), np.empty((m + 1, 3))
        eta, classes = np.tile(self.null_intercepts, (m + 1, 1)), np.arange(m + 1, dtype=np.int32)
        value = _cumulative_loss.evaluate(eta, classes, self.class_shares, self._link, *arrays)
        gradient, curvature = ((array / self.class_shares[:, None]).take(self.y, axis=0) for array in arrays[:2])
        gradient *= self.row_weight[:, None]
        curvature *= self.row_weight[:, None]
        return Derivatives(value, gradient, curvature, *arrays[2:])

    def value(self, eta: FloatArray, direction: FloatArray | None = None, step: float = 0.0) -> float:
        """Return the loss at ``eta + step * direction``, infinity outside the domain."""
        direction = eta if direction is None else direction
        return _cumulative_loss.value(eta, direction, step, self.y, self.row_weight, self._link)

    def longest_step(self, eta: FloatArray, direction: FloatArray, *, everywhere: bool = False) -> float:
        """Return the step along `direction` at which a row leaves the domain.

        Parameters
        ----------
        eta, direction : arrays of shape (n, m)
            Linear predictors and their change.
        everywhere : bool, default False
            Whether adjacent boundaries must not cross at any row, rather than only beside the row's own class.
        """
        return _cumulative_loss.longest_step(eta, direction, self.y, everywhere)


def class_sums(Z: FloatArray, y: IntArray, weight: FloatArray, n_classes: int) -> FloatArray:
    """Return ``sum_i weight[i, k] Z_i`` over the rows of each class, of shape (2, K, q), for the columns 0 and 1."""
    sums = np.empty((2, n_classes, Z.shape[1]))
    _weighted_gram.class_sums(Z, y, weight, 2, sums)
    return sums


def weighted_grams(Z: FloatArray, rows: IntArray, weight: FloatArray) -> FloatArray:
    """Return ``sum_i weight[i, k] z_i z_i^T`` over `rows`, with ``z_i = (1, Z_i)``, for each column k of `weight`."""
    q = Z.shape[1] + 1
    grams = np.empty((weight.shape[1], q, q))
    _weighted_gram.weighted_gram(Z, rows, weight, np.empty(_GRAM_BLOCK * q), grams)
    return grams


def assemble_hessian(grams: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """Return the Hessian in differences of boundaries, of shape (m, q, m, q), from the Gram matrices of the classes.

    Parameters
    ----------
    grams : sequence of K arrays of shape (3, q, q)
        Gram matrices of a class, weighted by the curvatures (shift, shift), (shift, upper) and (upper, upper) of its
        rows: these bend along the common shift of the boundaries 1 to c, and along the boundary c + 1 above the class.
    """
    m, q = len(grams) - 1, grams[0].shape[1]
    matrix, shift = np.empty((m, q, m, q)), grams[m][0]
    for c in range(m - 1, -1, -1):
        matrix[c, :, c, :] = shift + grams[c][2]
        matrix[:c, :, c, :] = shift + grams[c][1]
        matrix[c, :, :c, :] = (shift + grams[c][1])[:, None, :]
        shift = shift + grams[c][0]
    return matrix
