"""Least squares with a separable penalty, and the certificate that no single coordinate can improve a point.

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

from ...penalties import L1, L1L2, Penalty
from ..base import Problem
from ..certificate import Certificate
from ..lasso.frame import FloatArray, Frame
from ..lasso.problem import LassoProblem
from .columns import Columns

__all__ = ["PenalizedLeastSquaresProblem"]

# A move of more than this fraction of the threshold counts as a jump between two minimisers.
_JUMP = 1e-3
# Decreases of the objective below this fraction of the mean square of the response are rounding errors.
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False, kw_only=True)
class PenalizedLeastSquaresProblem(Problem[FloatArray]):
    r"""Penalised least squares over ``v``, with an intercept ``b`` that is profiled out.

    .. math:: F(v) = \min_b \frac{1}{2 \sum_i q_i} \sum_i q_i (y_i - a_i^\top v - b)^2 + \sum_j \omega_j P(v_j)

    Parameters
    ----------
    A : ndarray, CSC or CSR matrix or array of shape (n, p)
        The design, float64 or float32.
    y : ndarray of shape (n,)
        The response.
    penalty : Penalty
        The function ``P``.
    weights : ndarray of shape (p,) or None
        The weights omega, in ``[0, inf]``: 0 leaves a column free of any penalty (and of the sign constraint),
        infinity excludes it. None means ones.
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
    For l1 and the elastic net with a positive strength the certificate is the duality gap of the equivalent
    :class:`~estimand.solvers.lasso.LassoProblem`. Otherwise its kind is ``"fixed_point"``: with the curvatures
    ``nu_j`` (the mean squares of the weighted, centred columns), ``u_j`` the best value of coefficient ``j`` without
    its penalty, ``z_j`` a minimiser of ``F`` along coordinate ``j`` and ``delta_j`` the decrease that it brings,

    .. math:: \max_j \min(\sqrt{\nu_j} |v_j - z_j|, \sqrt{2 \delta_j})

    in the units of the response, where the second term only enters where ``v_j - z_j`` is a jump between two
    minimisers: there the first is the size of the threshold, and rounding would decide. It is zero if and only if no
    single coordinate can improve ``F`` beyond rounding, and says nothing of the distance to a global minimum.

    Raises
    ------
    TypeError
        If `penalty` is no penalty, or `A` neither an array nor a sparse matrix.
    ValueError
        For wrong shapes, and for weights out of range.

    References
    ----------
    P. Breheny and J. Huang, "Coordinate descent algorithms for nonconvex penalized regression", Annals of Applied
    Statistics 5 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import MCP
    >>> from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem
    >>> A, y = np.sqrt(2) * np.eye(2), np.array([3.0, -0.5])
    >>> problem = PenalizedLeastSquaresProblem(A=A, y=y, penalty=MCP(alpha=0.5))
    >>> certificate = problem.certify(np.array([y[0] / np.sqrt(2), 0.0]), tol=1e-8)
    >>> certificate.kind, certificate.converged
    ('fixed_point', True)
    """

    name: ClassVar[str] = "penalized_least_squares"
    words: ClassVar[frozenset[str]] = frozenset({"intercept", "free", "nonconvex", "own_penalty"})

    A: Any
    y: npt.NDArray[np.floating[Any]]
    penalty: Penalty
    weights: FloatArray | None = None
    positive: bool = False
    fit_intercept: bool = False
    sample_weight: FloatArray | None = None
    frame: Frame | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, Penalty):
            raise TypeError(f"penalty={self.penalty!r} must be an instance of estimand.penalties.Penalty.")
        if not (isinstance(self.A, np.ndarray) or sparse.issparse(self.A)):
            raise TypeError(f"A is a {type(self.A).__name__}: it must be an array or a sparse matrix.")
        object.__setattr__(self, "frame", self.lasso.frame)

    @cached_property
    def compiled(self) -> tuple[int, float, float, float] | None:
        """The penalty as compiled kernels know it, None for a user's own."""
        return self.penalty.kernel_arguments()

    @cached_property
    def has_gap(self) -> bool:
        """Whether the certificate is a duality gap."""
        return isinstance(self.penalty, (L1, L1L2)) and self.compiled is not None and sum(self.compiled[1:]) > 0

    @cached_property
    def lasso(self) -> LassoProblem:
        """The elastic net with these data: the same problem if `has_gap`, otherwise with another penalty.

        The squared penalty of an elastic net with weights beside 0, 1 and infinity is brought to unit weights by
        scaling the columns, see `column_scale`.
        """
        l1, l2 = (self.compiled[1], self.compiled[2]) if self.has_gap and self.compiled is not None else (1.0, 0.0)
        return LassoProblem(
            A=self.A,
            y=self.y,
            alpha=l1,
            l2=l2,
            weights=self.weights,
            positive=self.positive,
            fit_intercept=self.fit_intercept,
            sample_weight=self.sample_weight,
            frame=self.frame,
        )

    @cached_property
    def column_scale(self) -> FloatArray | None:
        """``sqrt(omega)`` where the elastic net's certificate needs its columns divided by it, otherwise None."""
        if not (self.has_gap and self.lasso.l2 > 0 and np.any(self.omega[self.penalised] != 1)):
            return None
        return np.sqrt(np.where(self.penalised, self.omega, 1.0))

    @cached_property
    def _scaled_lasso(self) -> LassoProblem:
        assert self.column_scale is not None
        inverse = 1.0 / self.column_scale
        A = sparse.csc_array(self.A @ sparse.diags_array(inverse)) if sparse.issparse(self.A) else self.A * inverse
        weights = np.where(self.penalised, self.column_scale, self.omega)
        lasso = self.lasso
        return LassoProblem(
            A=A,
            y=self.y,
            alpha=lasso.alpha,
            l2=lasso.l2,
            weights=weights,
            positive=self.positive,
            fit_intercept=self.fit_intercept,
            sample_weight=self.sample_weight,
        )

    @property
    def view(self) -> Frame:
        """The frame: data with weights, intercept and free columns taken care of."""
        assert self.frame is not None
        return self.frame

    @cached_property
    def columns(self) -> Columns:
        """Means and curvatures of the columns."""
        return Columns(self.A, self.sample_weight, self.fit_intercept)

    @property
    def omega(self) -> FloatArray:
        """The penalty weights, ones by default."""
        return self.lasso.omega

    @property
    def free(self) -> npt.NDArray[np.intp]:
        """The columns without any penalty."""
        return self.lasso.free

    @property
    def excluded(self) -> npt.NDArray[np.bool_]:
        """The columns whose coefficient must be 0."""
        return self.lasso.excluded

    @property
    def penalised(self) -> npt.NDArray[np.bool_]:
        """The columns that carry a penalty and are not excluded."""
        return self.lasso.penalised

    @property
    def scale(self) -> float:
        """``F(0)`` of the centred response for a gap, its root mean square otherwise; 1 where it is constant."""
        return self.view.scale if self.has_gap else self.response_scale

    @property
    def response_scale(self) -> float:
        """The root mean square of the weighted, centred response, 1 where it is constant."""
        return math.sqrt(2.0 * self.view.scale) if self.view.response.any() or self.free.size else 1.0

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        words = {
            "own_penalty": self.compiled is None,
            "nonconvex": not self.penalty.is_convex,
        }
        return frozenset(word for word, needed in words.items() if needed) | (self.lasso.needs() - {"l2"})

    def initial_point(self) -> FloatArray:
        """Return zeros."""
        return np.zeros(self.A.shape[1])

    def feasible(self, x: FloatArray) -> bool:
        """Return whether `x` obeys the exclusions and the sign constraint."""
        return not (np.any(x[self.excluded] != 0) or (self.positive and np.any(x[self.penalised] < 0)))

    def repair(self, x: FloatArray) -> FloatArray:
        """Return `x` made feasible, with zeros for penalised columns that carry no information; zeros if not finite."""
        if not np.all(np.isfinite(x)):
            return self.initial_point()
        useless = self.excluded | (self.penalised & (self.columns.curvature == 0))
        return np.where(useless | (self.positive & self.penalised & (x < 0)), 0.0, x)

    def penalty_value(self, x: FloatArray) -> float:
        """Return the penalty at `x`, infinity outside the feasible set."""
        if not self.feasible(x):
            return math.inf
        penalised = self.penalised
        return float(self.omega[penalised] @ self.penalty.value_elementwise(x[penalised]))

    def objective(self, x: FloatArray) -> float:
        """Return ``F(x)``."""
        residual = self.view.residual(x)
        return float(residual @ residual) / (2 * residual.size) + self.penalty_value(x)

    def intercept(self, x: FloatArray) -> float:
        """Return the intercept that belongs to `x`."""
        return self.view.intercept(x)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Return the gradient of the squared loss at `x`, with the intercept at its best."""
        return -self.view.correlation(self.view.residual(x))

    def prox(self, x: FloatArray, step: float | FloatArray) -> FloatArray:
        """Return the proximal map of the whole penalty, with weights and constraints, at `x`."""
        penalised = self.penalised
        result = np.where(self.excluded, 0.0, x)
        steps = np.broadcast_to(np.asarray(step, dtype=np.float64), x.shape)[penalised] * self.omega[penalised]
        result[penalised] = self.penalty.prox(x[penalised], steps, self.positive)
        return result

    @cached_property
    def _jump(self) -> FloatArray:
        """Moves beyond this are jumps, for every column."""
        jump = np.full(self.A.shape[1], np.inf)
        active = self.penalised & (self.columns.curvature > 0)
        jump[active] = _JUMP * self.penalty.threshold(self.omega[active] / self.columns.curvature[active])
        return jump

    def violations(self, x: FloatArray, correlation: FloatArray) -> FloatArray:
        """Return what each coordinate could still gain, in the units of the response.

        Parameters
        ----------
        x : array of shape (p,)
            A feasible point.
        correlation : array of shape (p,)
            ``A^T r / n``, minus the gradient at `x`.
        """
        curvature = self.columns.curvature
        inverse = np.divide(1.0, curvature, out=np.zeros_like(curvature), where=curvature > 0)
        target = np.where(curvature > 0, x + correlation * inverse, np.where(self.penalised, 0.0, x))
        best = np.where(self.excluded, x, self.prox(target, inverse))
        moves = np.sqrt(curvature) * np.abs(x - best)
        doubtful = np.flatnonzero((np.abs(x - best) > self._jump) | ((curvature == 0) & (x != best)))
        if doubtful.size:
            moves[doubtful] = np.minimum(
                np.where(curvature[doubtful] > 0, moves[doubtful], np.inf),
                np.sqrt(2.0 * self._decreases(x, best, target, doubtful)),
            )
        return moves

    def _decreases(
        self, x: FloatArray, best: FloatArray, target: FloatArray, columns: npt.NDArray[np.intp]
    ) -> FloatArray:
        old, new, centre = x[columns], best[columns], target[columns]
        quadratic = 0.5 * self.columns.curvature[columns] * (old - new) * (old + new - 2.0 * centre)
        values = self.penalty.value_elementwise(old) - self.penalty.value_elementwise(new)
        decrease = quadratic + np.where(self.penalised[columns], self.omega[columns], 0.0) * values
        return np.where(decrease > _ROUNDING * self.response_scale**2, decrease, 0.0)

    def certify(self, x: FloatArray, dual: FloatArray | None = None, *, tol: float) -> Certificate:
        """Bound the suboptimality of `x` by a duality gap, or measure what single coordinates could still gain.

        Parameters
        ----------
        x : array of shape (p,)
            Coefficients.
        dual : array of shape (n,) or None
            For a gap, a residual whose ray is searched for a dual point; None takes that of `x`.
        tol : float
            Recorded in the certificate.

        Returns
        -------
        Certificate
            Of kind ``"gap"`` or ``"fixed_point"``. By-products of the latter are the array ``"violations"``,
            whose maximum is its value, and the ``"correlation"`` of the residual with the columns.
        """
        if self.has_gap:
            if self.column_scale is not None:
                return self._scaled_lasso.certify(x * self.column_scale, dual, tol=tol)
            return self.lasso.certify(x, dual, tol=tol)
        residual = self.view.residual(x)
        objective = float(residual @ residual) / (2 * residual.size) + self.penalty_value(x)
        correlation = self.view.correlation(residual)
        violations = self.violations(x, correlation)
        return Certificate(
            kind="fixed_point",
            value=float(violations.max(initial=0.0)) if self.feasible(x) else math.inf,
            scale=self.scale,
            tol=tol,
            upper=objective,
            parts={"objective": objective},
            byproducts={"violations": violations, "correlation": correlation},
        )
