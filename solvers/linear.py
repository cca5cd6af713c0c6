"""What problems of penalised linear predictors share: the data's checks, the weights of the penalty, capability words.

Losses, objectives and certificates are each problem's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from .base import Problem
from .certificate import changed

__all__ = ["PenalizedLinearProblem"]

FloatArray = npt.NDArray[np.float64]
X = TypeVar("X")


def _check_strengths(alpha: float, l2: float) -> None:
    for name, value in (("alpha", alpha), ("l2", l2)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r} must be a finite number of at least 0.")


@dataclass(frozen=True, eq=False, kw_only=True)
class PenalizedLinearProblem(Problem[X]):
    """A loss of ``A v + b`` with the penalty ``alpha sum_j omega_j |v_j| + l2/2 sum_{j: omega_j > 0} v_j^2``.

    Parameters
    ----------
    A : ndarray, CSC or CSR matrix or array, or LinearOperator, of shape (n, p)
        The design, float64 or float32.
    y : ndarray of shape (n,)
        The response.
    alpha : float
        Strength of the l1 penalty, at least 0. With ``alpha = l2 = 0`` every column is free.
    weights : ndarray of shape (p,) or None
        The weights omega, in ``[0, inf]``: 0 leaves a column free of any penalty, infinity excludes it. None means
        ones.
    l2 : float, default 0
        Strength of the squared penalty.
    fit_intercept : bool, default False
        Whether there is an intercept.
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows, nonnegative with a positive sum.

    Raises
    ------
    ValueError
        For wrong shapes, and strengths or weights out of range.
    """

    words: ClassVar[frozenset[str]] = frozenset({"l2", "intercept", "free"})

    A: Any
    y: npt.NDArray[np.floating[Any]]
    alpha: float
    weights: FloatArray | None = None
    l2: float = 0.0
    fit_intercept: bool = False
    sample_weight: FloatArray | None = None

    def __post_init__(self) -> None:
        n, p = self.A.shape
        if self.y.shape != (n,):
            raise ValueError(f"y has shape {self.y.shape}, but A has {n} rows: y must have shape ({n},).")
        _check_strengths(self.alpha, self.l2)
        if self.weights is not None:
            if self.weights.shape != (p,):
                raise ValueError(f"weights has shape {self.weights.shape}, but A has {p} columns.")
            if not np.all(self.weights >= 0):
                raise ValueError("weights must be at least 0 (0: no penalty, inf: excluded) and not NaN.")
        if self.sample_weight is not None:
            if self.sample_weight.shape != (n,):
                raise ValueError(f"sample_weight has shape {self.sample_weight.shape}, but A has {n} rows.")
            if not (np.all(np.isfinite(self.sample_weight)) and np.all(self.sample_weight >= 0)):
                raise ValueError("sample_weight must be finite and at least 0.")
            if not self.sample_weight.sum() > 0:
                raise ValueError("sample_weight sums to 0: at least one row needs a positive weight.")

    def at(self, alpha: float, l2: float | None = None) -> Self:
        """Return the problem with other penalty strengths; whatever does not depend on them is shared.

        Parameters
        ----------
        alpha : float
            Strength of the l1 penalty, at least 0.
        l2 : float or None
            Strength of the squared penalty; None keeps it.

        Returns
        -------
        PenalizedLinearProblem
            What :func:`dataclasses.replace` would give, without checking the arrays again.

        Raises
        ------
        ValueError
            For a strength out of range.
        """
        l2 = self.l2 if l2 is None else l2
        _check_strengths(alpha, l2)
        if (alpha == 0 and l2 == 0) != (self.alpha == 0 and self.l2 == 0):
            return replace(self, alpha=alpha, l2=l2)  # without any penalty every column is free
        other = changed(self, selection=self.selection, alpha=alpha, l2=l2)
        vars(other).pop("thresholds", None)
        return other

    @cached_property
    def omega(self) -> FloatArray:
        """The penalty weights, ones by default, all 0 where nothing is penalised."""
        p = self.A.shape[1]
        omega = np.ones(p) if self.weights is None else np.asarray(self.weights, dtype=np.float64)
        if self.alpha == 0 and self.l2 == 0:
            omega = np.where(np.isinf(omega), omega, 0.0)
        return omega

    @cached_property
    def free(self) -> npt.NDArray[np.intp]:
        """The columns without any penalty."""
        return np.flatnonzero(self.omega == 0)

    @cached_property
    def excluded(self) -> npt.NDArray[np.bool_]:
        """The columns whose coefficient must be 0."""
        return np.isinf(self.omega)

    @cached_property
    def penalised(self) -> npt.NDArray[np.bool_]:
        """The columns that carry a penalty and are not excluded."""
        return (self.omega > 0) & ~self.excluded

    @cached_property
    def selection(self) -> slice | npt.NDArray[np.bool_]:
        """An index of the penalised columns, which makes no copy where these are all columns."""
        return slice(None) if self.penalised.all() else self.penalised

    @cached_property
    def thresholds(self) -> FloatArray:
        """``alpha * omega``, with 0 for free and infinity for excluded columns."""
        if self.weights is None:
            return self.alpha * self.omega
        with np.errstate(over="ignore"):  # beyond float64 a penalty excludes like an infinite one
            return np.where(self.excluded, np.inf, self.alpha * np.where(self.excluded, 0.0, self.omega))

    def penalty(self, v: FloatArray) -> float:
        """Return the penalty at `v`, infinity where an excluded coefficient is not 0."""
        if self.weights is not None and np.any(v[self.excluded] != 0):
            return math.inf
        values = v[self.selection]
        l1 = float(self.omega[self.selection] @ np.abs(values))
        return self.alpha * l1 + (0.5 * self.l2 * float(values @ values) if self.l2 else 0.0)

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        words = {
            "sparse": sparse.issparse(self.A),
            "operator": isinstance(self.A, LinearOperator),
            "float32": self.A.dtype == np.float32,
            "weights": bool(self.weights is not None and np.any((self.omega != 1) & (self.omega != 0))),
            "free": self.free.size > 0,
            "sample_weight": self.sample_weight is not None,
            "l2": self.l2 > 0,
            "intercept": self.fit_intercept,
        }
        return frozenset(word for word, needed in words.items() if needed)
