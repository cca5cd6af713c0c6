"""The weighted Lasso and elastic net, and their duality gap.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from ..base import Problem
from ..certificate import Certificate
from .frame import FloatArray, Frame

__all__ = ["LassoProblem"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LassoProblem(Problem[FloatArray]):
    r"""The weighted Lasso and elastic net with free columns, over ``v`` and an intercept ``b`` that is profiled out.

    .. math:: P(v) = \min_b \frac{1}{2 \sum_i q_i} \sum_i q_i (y_i - a_i^\top v - b)^2
        + \alpha \sum_j \omega_j |v_j| + \frac{\lambda_2}{2} \sum_{j: \omega_j > 0} v_j^2

    Parameters
    ----------
    A : ndarray, CSC or CSR matrix or array, or LinearOperator, of shape (n, p)
        The design, float64 or float32.
    y : ndarray of shape (n,)
        The response.
    alpha : float
        Strength of the l1 penalty, at least 0. With ``alpha = l2 = 0`` every column is free.
    weights : ndarray of shape (p,) or None
        The weights omega, in ``[0, inf]``: 0 leaves a column free of any penalty (and of the sign constraint),
        infinity excludes it. None means ones.
    l2 : float, default 0
        Strength of the squared penalty.
    positive : bool, default False
        Whether the penalised coefficients are restricted to be nonnegative.
    fit_intercept : bool, default False
        Whether there is an intercept.
    sample_weight : ndarray of shape (n,) or None
        The weights q, nonnegative with a positive sum.
    frame : Frame or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is first needed.

    Notes
    -----
    The dual of the projected problem is searched along the ray of one residual, as in Massias, Gramfort and Salmon
    (2018), section 2, with the step that is best on it.
    """

    name: ClassVar[str] = "lasso"
    words: ClassVar[frozenset[str]] = frozenset({"l2", "intercept", "free"})

    A: Any
    y: npt.NDArray[np.floating[Any]]
    alpha: float
    weights: FloatArray | None = None
    l2: float = 0.0
    positive: bool = False
    fit_intercept: bool = False
    sample_weight: FloatArray | None = None
    frame: Frame | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n, p = self.A.shape
        if self.y.shape != (n,):
            raise ValueError(f"y has shape {self.y.shape}, but A has {n} rows: y must have shape ({n},).")
        for name, value in (("alpha", self.alpha), ("l2", self.l2)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r} must be a finite number of at least 0.")
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
        frame = self.frame
        if frame is None or not frame.matches(self.A, self.y, self.sample_weight, self.fit_intercept, self.free):
            frame = Frame(self.A, self.y, self.sample_weight, self.fit_intercept, self.free)
            object.__setattr__(self, "frame", frame)

    @property
    def view(self) -> Frame:
        """The frame: data with weights, intercept and free columns taken care of."""
        assert self.frame is not None
        return self.frame

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
    def thresholds(self) -> FloatArray:
        """``alpha * omega``, with 0 for free and infinity for excluded columns."""
        with np.errstate(over="ignore"):  # beyond float64 a penalty excludes like an infinite one
            return np.where(self.excluded, np.inf, self.alpha * np.where(self.excluded, 0.0, self.omega))

    @property
    def scale(self) -> float:
        """``P(0)`` without free columns: half the mean square of the centred response, 1 where it is constant."""
        return self.view.scale

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        words = {
            "sparse": sparse.issparse(self.A),
            "operator": isinstance(self.A, LinearOperator),
            "float32": self.A.dtype == np.float32,
            "weights": bool(self.weights is not None and np.any((self.omega != 1) & (self.omega != 0))),
            "free": self.free.size > 0,
            "sample_weight": self.sample_weight is not None,
            "positive": self.positive,
            "l2": self.l2 > 0,
            "intercept": self.fit_intercept,
        }
        return frozenset(word for word, needed in words.items() if needed)

    def initial_point(self) -> FloatArray:
        """Return zeros."""
        return np.zeros(self.A.shape[1])

    def penalty(self, v: FloatArray) -> float:
        """Return the penalty at `v`, infinity outside the feasible set."""
        penalised = self.penalised
        if np.any(v[self.excluded] != 0) or (self.positive and np.any(v[penalised] < 0)):
            return math.inf
        values = v[penalised]
        l1 = float(self.omega[penalised] @ np.abs(values))
        return self.alpha * l1 + (0.5 * self.l2 * float(values @ values) if self.l2 else 0.0)

    def objective(self, x: FloatArray) -> float:
        """Return ``P(x)``."""
        residual = self.view.residual(x)
        return float(residual @ residual) / (2 * residual.size) + self.penalty(x)

    def intercept(self, x: FloatArray) -> float:
        """Return the intercept that belongs to `x`."""
        return self.view.intercept(x)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Return the gradient of the squared loss at `x`, with the intercept at its best."""
        return -self.view.correlation(self.view.residual(x))

    def certify(self, x: FloatArray, dual: FloatArray | None = None, *, tol: float) -> Certificate:
        """Bound the suboptimality of `x` by the duality gap.

        Parameters
        ----------
        x : array of shape (p,)
            Coefficients.
        dual : array of shape (n,) or None
            A residual, in weighted coordinates, whose ray is searched for a dual point; None takes that of `x`.
        tol : float
            Recorded in the certificate.

        Returns
        -------
        Certificate
            Of kind ``"gap"``; its by-products are the projected residual (``"dual"``) and its ``"correlation"`` with
            the columns.
        """
        residual = self.view.residual(x)
        primal = float(residual @ residual) / (2 * residual.size) + self.penalty(x)
        projected = self.view.project(residual if dual is None else np.asarray(dual, dtype=np.float64))
        correlation = self.view.correlation(projected)
        return Certificate.from_bounds(
            "gap",
            self.dual_value(projected, correlation),
            primal,
            scale=self.scale,
            tol=tol,
            parts={"primal": primal},
            byproducts={"dual": projected, "correlation": correlation},
        )

    def dual_value(self, projected: FloatArray, correlation: FloatArray) -> float:
        """Return the best dual value on the ray of a projected residual with the given correlations."""
        n = projected.size
        squared = float(projected @ projected) / n
        inner = float(self.view.response @ projected) / n
        step, excess = self._dual_step(squared, inner, correlation)
        return max(step * inner - 0.5 * step * step * squared - excess, 0.0)

    def _dual_step(self, squared: float, inner: float, correlation: FloatArray) -> tuple[float, float]:
        penalised = self.penalised
        size = correlation[penalised] if self.positive else np.abs(correlation[penalised])
        bound = self.thresholds[penalised]
        active = size > 0
        with np.errstate(over="ignore"):
            longest = float((bound[active] / size[active]).min(initial=math.inf))
        if squared == 0:
            return 0.0, 0.0
        unconstrained = max(inner / squared, 0.0)
        shrunk = min(unconstrained, longest)
        if self.l2 == 0:
            return shrunk, 0.0
        # With a squared penalty every point of the ray is feasible, at the price of a quadratic excess.
        steps = [(step, self._excess(step, size, bound)) for step in (shrunk, 1.0, unconstrained)]
        return max(steps, key=lambda pair: pair[0] * inner - 0.5 * pair[0] ** 2 * squared - pair[1])

    def _excess(self, step: float, size: FloatArray, bound: FloatArray) -> float:
        over = np.maximum(step * size - bound, 0.0)
        return float(over @ over) / (2 * self.l2)

    def gap_safe(self, projected: FloatArray, correlation: FloatArray, upper: float) -> npt.NDArray[np.bool_]:
        """Return the penalised columns whose coefficient is 0 at every solution, by the sphere test.

        Parameters
        ----------
        projected, correlation : arrays of shape (n,) and (p,)
            A projected residual and its correlations with the columns.
        upper : float
            An upper bound on the optimal value; infinity screens nothing.

        Returns
        -------
        screened : bool array of shape (p,)
            Proved zeros.

        References
        ----------
        E. Ndiaye, O. Fercoq, A. Gramfort and J. Salmon, "Gap safe screening rules for sparsity enforcing
        penalties" (2017).
        """
        if not math.isfinite(upper):
            return np.zeros(correlation.size, dtype=np.bool_)
        n = projected.size
        squared, inner = float(projected @ projected) / n, float(self.view.response @ projected) / n
        step, excess = self._dual_step(squared, inner, correlation)
        gap = max(upper - (step * inner - 0.5 * step * step * squared - excess), 0.0)
        reach = self.view.root_mean_squares * math.sqrt(2 * gap)
        size = step * (correlation if self.positive else np.abs(correlation))
        screened: npt.NDArray[np.bool_] = self.penalised & (size + reach < self.thresholds)
        return screened

    def vanishes(self) -> bool:
        """Whether all penalised coefficients are 0 at the optimum, `alpha_max` being known up to rounding."""
        correlation = self.view.correlation(self.view.response)[self.penalised]
        size = correlation if self.positive else np.abs(correlation)
        return bool(np.all(size * (1 - 1e-14) <= self.thresholds[self.penalised]))

    def alpha_max(self) -> float:
        """Return the smallest `alpha` at which all penalised coefficients are 0.

        Raises
        ------
        ValueError
            If a column is penalised by `l2` alone, in which case there is none.
        """
        penalised = (self.omega > 0) & ~self.excluded
        correlation = self.view.correlation(self.view.response)[penalised]
        size = correlation if self.positive else np.abs(correlation)
        return max(float((size / self.omega[penalised]).max(initial=0.0)), 0.0)
