"""What the problems of penalised cumulative-link models share: data, penalties, residual and certificate.

How coefficients make linear predictors is each problem's own.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..base import Problem
from ..certificate import Certificate, changed
from .likelihood import Derivatives, FloatArray, Likelihood
from .links import LINKS, tail_quantile

__all__ = ["OrdinalPoint", "OrdinalProblem"]

_EPS = float(np.finfo(np.float64).eps)
#: Smallest share of the l1 penalty that the largest useful penalty is computed with.
_SMALLEST_RATIO = 0.01
#: Of so many features, those in use are gathered if they are this many times fewer.
_WIDE = 100
_FEW = 4


class OrdinalPoint(NamedTuple):
    """Intercepts and coefficients.

    Attributes
    ----------
    intercept : array of shape (m,)
        The intercepts a of the m boundaries.
    coef : array of shape (m, p) or (1, p)
        What the penalty acts on: for PRESTO the differences psi of the slopes of adjacent boundaries, the first row
        being the slopes of the first boundary; for proportional odds the common slopes.
    """

    intercept: FloatArray
    coef: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalProblem(Problem[OrdinalPoint]):
    """The data of a penalised cumulative-link model for ``P(y > k - 1 | x) = F(eta_k(x))``, k = 1, ..., K - 1.

    The residual is that of all coefficients in their own units, relative to the largest gradient: standardise features
    of very different size, whose small ones it hardly sees otherwise.

    Parameters
    ----------
    X : ndarray of shape (n, p), or CSR or CSC matrix or array
        The features, float64.
    y : int array of shape (n,)
        Classes 0 to K - 1, each with a positive total weight.
    n_classes : int
        The number K of classes, at least 2.
    alpha : float
        Strength of the penalty, at least 0.
    l1_ratio : float, default 1
        Share of the l1 penalty, in [0, 1].
    weights : array of shape (p,) or None
        Penalty weights of the features, finite and at least 0; None means ones.
    link : {"logit", "probit", "cloglog", "loglog"}, default "logit"
        The inverse of F.
    sample_weight : array of shape (n,) or None
        Weights of the rows, positive.
    gap_tol : float or None
        If given, a point has converged only if its bound on the suboptimality is at most ``gap_tol`` times the loss of
        the model without features, too.
    likelihood : Likelihood or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is first needed.

    Raises
    ------
    ValueError
        For wrong shapes, classes without weight, and numbers out of range.
    """

    words: ClassVar[frozenset[str]] = frozenset({"l2", "free", "other_links"})

    X: Any
    y: npt.NDArray[np.integer[Any]]
    n_classes: int
    alpha: float
    l1_ratio: float = 1.0
    weights: FloatArray | None = None
    link: str = "logit"
    sample_weight: FloatArray | None = None
    gap_tol: float | None = None
    likelihood: Likelihood | None = None

    def __post_init__(self) -> None:
        n, p = self.X.shape
        if self.y.shape != (n,):
            raise ValueError(f"y has shape {self.y.shape}, but X has {n} rows: y must have shape ({n},).")
        if self.n_classes < 2:
            raise ValueError(f"n_classes={self.n_classes} must be at least 2.")
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ValueError(f"alpha={self.alpha!r} must be a finite number of at least 0.")
        if not 0 <= self.l1_ratio <= 1:
            raise ValueError(f"l1_ratio={self.l1_ratio!r} must lie in [0, 1].")
        if self.link not in LINKS:
            raise ValueError(f"link={self.link!r} must be one of {', '.join(LINKS)}.")
        if self.gap_tol is not None and not self.gap_tol > 0:
            raise ValueError(f"gap_tol={self.gap_tol!r} must be positive, or None.")
        self._check_weights(n, p)
        data = (self.y, self.n_classes, self.link, self.sample_weight)
        if self.likelihood is None or not self.likelihood.matches(*data):
            object.__setattr__(self, "likelihood", Likelihood(*data))
        if not np.all(self.loss.class_shares > 0):
            empty = int(np.flatnonzero(~(self.loss.class_shares > 0))[0])
            raise ValueError(f"class {empty} has no row of positive weight: each of the classes needs one.")

    def _check_weights(self, n: int, p: int) -> None:
        if n and not (self.y.min() >= 0 and self.y.max() < self.n_classes):
            raise ValueError(f"y must hold classes from 0 to {self.n_classes - 1}.")
        if self.weights is not None:
            if self.weights.shape != (p,):
                raise ValueError(f"weights has shape {self.weights.shape}, but X has {p} columns.")
            if not (np.all(np.isfinite(self.weights)) and np.all(self.weights >= 0)):
                raise ValueError("weights must be finite and at least 0.")
        if self.sample_weight is not None:
            if self.sample_weight.shape != (n,):
                raise ValueError(f"sample_weight has shape {self.sample_weight.shape}, but X has {n} rows.")
            if not (np.all(np.isfinite(self.sample_weight)) and np.all(self.sample_weight > 0)):
                raise ValueError("sample_weight must be finite and positive: leave out rows of weight 0.")

    @property
    def loss(self) -> Likelihood:
        """The likelihood of the data."""
        assert self.likelihood is not None
        return self.likelihood

    @property
    def n_boundaries(self) -> int:
        """The number ``m = K - 1`` of boundaries between classes."""
        return self.n_classes - 1

    @cached_property
    def feature_weights(self) -> FloatArray:
        """The penalty weights of the features, ones by default."""
        p = self.X.shape[1]
        return np.ones(p) if self.weights is None else np.asarray(self.weights, dtype=np.float64)

    @property
    def thresholds(self) -> FloatArray:
        """Strengths of the l1 penalty, in the shape of the coefficients."""
        return self.alpha * self.l1_ratio * self.penalty_weights

    @property
    def ridge(self) -> FloatArray:
        """Strengths of the squared penalty, in the shape of the coefficients."""
        return self.alpha * (1.0 - self.l1_ratio) * self.penalty_weights

    @cached_property
    def largest_entry(self) -> float:
        """The largest absolute entry of the features."""
        values = self.X.data if sparse.issparse(self.X) else self.X
        return float(max(values.max(initial=0.0), -values.min(initial=0.0)))

    @cached_property
    def null_gradient(self) -> FloatArray:
        """The gradient in the coefficients at the model without features."""
        return self.coef_gradient(self.loss.null_derivatives())

    @cached_property
    def scale(self) -> float:
        """The largest entry of the gradient at the model without features, 1 if that is 0."""
        return float(np.abs(self.null_gradient).max(initial=0.0)) or 1.0

    def at(self, alpha: float) -> Self:
        """Return the problem with another penalty strength; whatever does not depend on it is shared."""
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha={alpha!r} must be a finite number of at least 0.")
        shared = {name: getattr(self, name) for name in ("penalty_weights", "largest_entry", "null_gradient", "scale")}
        return changed(self, alpha=float(alpha), **shared)

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        words = {
            "sparse": sparse.issparse(self.X),
            "weights": self.weights is not None and bool(np.any(self.feature_weights != 1.0)),
            "sample_weight": self.sample_weight is not None,
            "l2": self.alpha > 0 and self.l1_ratio < 1,
            "free": self.X.shape[1] > 0 and (self.alpha == 0 or not np.all(self.penalty_weights > 0)),
            "other_links": self.link != "logit",
        }
        return frozenset(word for word, needed in words.items() if needed)

    @property
    @abstractmethod
    def penalty_weights(self) -> FloatArray:
        """The weights v of the coefficients in the penalty."""

    @abstractmethod
    def slopes(self, coef: FloatArray) -> FloatArray:
        """Return the slopes of the boundaries, of shape (m, p) or (1, p) if they are equal."""

    @abstractmethod
    def coef_gradient(self, derivatives: Derivatives) -> FloatArray:
        """Return the gradient of the loss in the coefficients."""

    @abstractmethod
    def loss_hessian(self, Z: FloatArray, derivatives: Derivatives) -> FloatArray:
        """Return the Hessian of the loss, in C order, restricted to some features.

        Parameters
        ----------
        Z : array of shape (n, q)
            The features, in C order.
        derivatives : Derivatives
            Those of the loss at the point.

        Returns
        -------
        hessian : array of shape (m + k, m + k)
            In the order of `stacked`, with the coordinates ``a_1, a_2 - a_1, ...`` of the intercepts.
        """

    @abstractmethod
    def stacked(self, intercept: FloatArray, coef: FloatArray) -> FloatArray:
        """Return numbers that belong to the m intercepts and to the k coefficients of some features as one vector."""

    def initial_point(self) -> OrdinalPoint:
        """Return the best model without features."""
        return OrdinalPoint(self.loss.null_intercepts.copy(), np.zeros_like(self.penalty_weights))

    def predictors(self, x: OrdinalPoint) -> FloatArray:
        """Return the linear predictors ``eta``, of shape (n, m)."""
        X, slopes = self.X, self.slopes(x.coef)
        if slopes.shape[1] > _WIDE and not sparse.issparse(X):
            used = np.flatnonzero(np.any(slopes != 0, axis=0))
            if _FEW * used.size < slopes.shape[1]:
                X, slopes = X[:, used], slopes[:, used]
        eta = np.ascontiguousarray(X @ slopes.T)
        if slopes.shape[0] < x.intercept.size:
            return eta + x.intercept
        eta += x.intercept
        return eta

    def columns(self, features: npt.NDArray[np.intp]) -> FloatArray:
        """Return some features, in increasing order, as a dense array in C order: X itself if that is what it is."""
        X = self.X[:, features] if features.size < self.X.shape[1] else self.X
        return np.ascontiguousarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)

    def gradient(self, derivatives: Derivatives) -> OrdinalPoint:
        """Return the gradient of the loss in intercepts and coefficients."""
        suffix = derivatives.total_gradient
        return OrdinalPoint(suffix - np.append(suffix[1:], 0.0), self.coef_gradient(derivatives))

    def penalty(self, coef: FloatArray) -> float:
        """Return the penalty."""
        size = np.abs(coef)
        return float(np.sum(self.thresholds * size) + 0.5 * np.sum(self.ridge * size * size))

    def objective(self, x: OrdinalPoint) -> float:
        """Return ``P(x)``, infinity where an observed class has no probability."""
        return self.loss.value(self.predictors(x)) + self.penalty(x.coef)

    def residual(self, x: OrdinalPoint, gradient: OrdinalPoint, extra: FloatArray | float = 0.0) -> float:
        """Return the largest entry of the fixed-point residual at `x`.

        Parameters
        ----------
        x : OrdinalPoint
            The point.
        gradient : OrdinalPoint
            The gradient of the loss there.
        extra : array of the shape of the coefficients, or 0
            What is added to the strengths of the l1 penalty.
        """
        coef = x.coef
        moved = coef - (gradient.coef + self.ridge * coef)
        shrunk = np.sign(moved) * np.maximum(np.abs(moved) - self.thresholds - extra, 0.0)
        return float(max(np.abs(coef - shrunk).max(initial=0.0), np.abs(gradient.intercept).max()))

    def certify(self, x: OrdinalPoint, dual: Any = None, *, tol: float) -> Certificate:
        """Measure how far `x` is from a fixed point, and bound its suboptimality.

        Parameters
        ----------
        x : OrdinalPoint
            Intercepts and coefficients.
        dual : object
            Not used.
        tol : float
            The fixed-point residual is to be at most ``tol * scale``.

        Returns
        -------
        Certificate
            Of kind ``"kkt"``, with the parts ``"kkt"`` (relative to the scale) and ``"gap"`` (NaN where there is no
            bound). The upper bound is the objective; the lower one is finite where the gap is proved. Its by-products
            are the ``"gradient"`` of the loss and the ``"predictors"`` with their ``"derivatives"``.
        """
        eta = self.predictors(x)
        derivatives = self.loss.derivatives(eta)
        if not math.isfinite(derivatives.value):
            return Certificate(kind="kkt", value=math.inf, scale=self.scale, tol=tol)
        gradient = self.gradient(derivatives)
        objective = derivatives.value + self.penalty(x.coef)
        kkt = self.residual(x, gradient)
        gap, proved = self._gap(x, gradient, objective)
        value = max(kkt, self._gap_excess(gap) * tol * self.scale)
        return Certificate(
            kind="kkt",
            value=value,
            scale=self.scale,
            tol=tol,
            lower=objective - gap if proved else -math.inf,
            upper=objective,
            parts={"kkt": kkt / self.scale, "gap": gap},
            byproducts={"gradient": gradient, "predictors": eta, "derivatives": derivatives},
        )

    def _gap_excess(self, gap: float) -> float:
        """Return a bound on the suboptimality over the largest allowed, 0 where none is asked for or there is none."""
        if self.gap_tol is None or math.isnan(gap):
            return 0.0
        return gap / (self.gap_tol * self.loss.null_value)

    def _gap(
        self, x: OrdinalPoint, gradient: OrdinalPoint, objective: float, extra: FloatArray | float = 0.0
    ) -> tuple[float, bool]:
        """Return a bound on ``P(x) - min P``, NaN where there is none, and whether it is proved; see `residual`."""
        penalised = self.penalty_weights > 0
        more = np.broadcast_to(extra, x.coef.shape)[penalised]
        v, coef = self.penalty_weights[penalised], x.coef[penalised]
        if self.alpha == 0 or (v.size == 0 and x.coef.size > 0):
            return math.nan, False
        slope = gradient.coef[penalised] + self.ridge[penalised] * coef
        strength = self.alpha * self.l1_ratio
        if strength > 0:
            excess = float(((np.abs(slope) - more) / v).max(initial=0.0)) - strength
            gap = float(slope @ coef + (strength * v + more) @ np.abs(coef))
            gap += objective / strength * max(excess, 0.0)
            reach = self.largest_entry * objective / (strength * float(v.min(initial=math.inf)))
        else:
            # The subgradient of least size.
            slope = np.where(coef != 0, slope + more * np.sign(coef), np.maximum(np.abs(slope) - more, 0.0))
            gap = float(np.sum(slope * slope / (2 * self.alpha * v)))
            smallest = self.alpha * float(v.min(initial=math.inf))
            reach = self.largest_entry * math.sqrt(2 * v.size * objective / smallest)
        gap = max(gap, _EPS * objective)
        if not np.all(penalised):
            return gap, False
        return gap + float(np.abs(gradient.intercept).sum()) * self._intercept_reach(x, objective, reach), True

    def _intercept_reach(self, x: OrdinalPoint, objective: float, reach: float) -> float:
        """Return how far an intercept can be from its optimal value, if ``x' b`` is at most `reach` there."""
        # Some row of each class has at most this loss at the optimum, which bounds the predictors beside the class.
        log_share = -objective / self.loss.class_shares
        lower = tail_quantile(log_share[1:], self.link) - reach
        upper = tail_quantile(log_share[:-1], self.link, upper=True) + reach
        return float(np.maximum(upper - x.intercept, x.intercept - lower).max())

    def degrees_of_freedom(self, x: OrdinalPoint) -> float:
        """Return the effective number of parameters at a solution: nonzero ones, less what the squared penalty takes.

        With the Hessian H of the loss in the intercepts and the nonzero coefficients, and strengths D of the squared
        penalty, that is their number minus ``tr((H + D)^-1 D)``.
        """
        count = x.intercept.size + int(np.count_nonzero(x.coef))
        if not np.any(self.ridge[x.coef != 0]):
            return float(count)
        features = np.flatnonzero(np.any(x.coef != 0, axis=0))
        Z = self.columns(features)
        nonzero = self.stacked(np.ones(x.intercept.size), x.coef[:, features]) != 0
        ridge = self.stacked(np.zeros(x.intercept.size), self.ridge[:, features])[nonzero]
        H = self.loss_hessian(Z, self.loss.derivatives(self.predictors(x)))[np.ix_(nonzero, nonzero)]
        return count - float(np.trace(np.linalg.lstsq(H + np.diag(ridge), np.diag(ridge), rcond=None)[0]))

    def alpha_max(self, x: OrdinalPoint | None = None) -> float:
        """Return the smallest `alpha` at which all penalised coefficients are 0; 0 where nothing is penalised.

        Parameters
        ----------
        x : OrdinalPoint or None
            The minimiser over the coordinates without a penalty, the others being 0; None where these are the
            intercepts only.
        """
        gradient = self.null_gradient if x is None else self.coef_gradient(self.loss.derivatives(self.predictors(x)))
        penalised = self.penalty_weights > 0
        ratio = np.abs(gradient[penalised]) / self.penalty_weights[penalised]
        return float(ratio.max(initial=0.0)) / max(self.l1_ratio, _SMALLEST_RATIO)
