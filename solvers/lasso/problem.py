"""The weighted Lasso and elastic net, and their duality gap.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..certificate import Certificate
from ..linear import PenalizedLinearProblem
from .frame import FloatArray, Frame

__all__ = ["LassoProblem"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LassoProblem(PenalizedLinearProblem[FloatArray]):
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

    Raises
    ------
    ValueError
        For wrong shapes, and for strengths or weights out of range.

    References
    ----------
    M. Massias, A. Gramfort and J. Salmon, "Celer: a fast solver for the Lasso with dual extrapolation", ICML (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> problem = LassoProblem(A=np.eye(2), y=np.array([3.0, -1.0]), alpha=0.5)
    >>> problem.objective(np.zeros(2)), problem.alpha_max()
    (2.5, 1.5)
    >>> problem.certify(np.array([2.0, 0.0]), tol=1e-8).converged
    True
    """

    name: ClassVar[str] = "lasso"

    positive: bool = False
    frame: Frame | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        frame = self.frame
        if frame is None or not frame.matches(self.A, self.y, self.sample_weight, self.fit_intercept, self.free):
            frame = Frame(self.A, self.y, self.sample_weight, self.fit_intercept, self.free)
            object.__setattr__(self, "frame", frame)

    @property
    def view(self) -> Frame:
        """The frame: data with weights, intercept and free columns taken care of."""
        assert self.frame is not None
        return self.frame

    @property
    def scale(self) -> float:
        """``P(0)`` without free columns: half the mean square of the centred response, 1 where it is constant."""
        return self.view.scale

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        return super().needs() | (frozenset({"positive"}) if self.positive else frozenset())

    def initial_point(self) -> FloatArray:
        """Return zeros."""
        return np.zeros(self.A.shape[1])

    def penalty(self, v: FloatArray) -> float:
        """Return the penalty at `v`, infinity outside the feasible set."""
        if self.positive and np.any(v[self.selection] < 0):
            return math.inf
        return super().penalty(v)

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
        if squared == 0:
            return 0.0, 0.0
        correlation = correlation[self.selection]
        size = correlation if self.positive else np.abs(correlation)
        bound = self.thresholds[self.selection]
        # The smallest of bound/size by its reciprocal: a size of 0 sets no limit.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            shortest = float(np.fmax.reduce(size / bound, initial=0.0))
            longest = float(np.divide(1.0, shortest))
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
        """Return the smallest `alpha` at which all penalised coefficients are 0; 0 where that is so at any `alpha`."""
        columns = np.flatnonzero(self.penalised)
        correlation = self.view.correlation(self.view.response)[columns]
        ratio = (correlation if self.positive else np.abs(correlation)) / self.omega[columns]
        if ratio.size and self.view.is_dependent(columns[[np.argmax(ratio)]]).any():
            # What such columns correlate with is rounding noise, which must not pass for a penalty.
            ratio[self.view.is_dependent(columns)] = 0.0
        return max(float(ratio.max(initial=0.0)), 0.0)
