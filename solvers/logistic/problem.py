"""Penalised binary logistic regression and its duality gap.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import linalg, special

from ..certificate import Certificate
from ..lasso.frame import FloatArray, correlate, dense_columns, multiply
from ..linear import PenalizedLinearProblem

__all__ = ["LogisticPoint", "LogisticProblem"]

_RANK_FLOOR = 1e-12
_LARGEST_MARGIN = 700.0
#: The free coefficients move the scores by at most this when the dual point is projected; the box then holds.
_PROJECTION_REACH = 0.1
_EXACT_REACH = 1e-10
_SMALLEST_MOVE = 1e-12
_PROFILE_STEPS = 60


class LogisticPoint(NamedTuple):
    """The unknown of :class:`LogisticProblem`.

    Parameters
    ----------
    coef : ndarray of shape (p,)
        The coefficients.
    intercept : ndarray of shape (1,) or (0,)
        The intercept, empty where the problem has none.
    """

    coef: FloatArray
    intercept: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class LogisticProblem(PenalizedLinearProblem[LogisticPoint]):
    r"""Binary logistic regression with an l1 or elastic-net penalty, over ``v`` and an intercept ``b``.

    .. math:: P(v, b) = \frac{1}{\sum_i q_i} \sum_i q_i \log(1 + e^{-y_i (a_i^\top v + b)})
        + \alpha \sum_j \omega_j |v_j| + \frac{\lambda_2}{2} \sum_{j: \omega_j > 0} v_j^2

    Parameters
    ----------
    A : ndarray, CSC or CSR matrix or array, or LinearOperator, of shape (n, p)
        The design, float64 or float32.
    y : ndarray of shape (n,)
        The classes, -1 and +1.
    alpha : float
        Strength of the l1 penalty, at least 0. With ``alpha = l2 = 0`` every column is free.
    weights : ndarray of shape (p,) or None, default None
        The weights omega, in ``[0, inf]``: 0 leaves a column free of any penalty, infinity excludes it. None means
        ones.
    l2 : float, default 0
        Strength of the squared penalty.
    fit_intercept : bool, default False
        Whether there is an intercept.
    sample_weight : ndarray of shape (n,) or None, default None
        The weights q, nonnegative with a positive sum.

    Raises
    ------
    ValueError
        For wrong shapes, strengths or weights out of range, and classes other than -1 and +1.

    Notes
    -----
    With ``qbar = q / sum(q)``, the binary entropy ``H`` and ``c = A^T (qbar y u)`` the dual is

    .. math:: \max_{u \in [0, 1]^n} \sum_i \bar q_i H(u_i)
        - \frac{1}{2 \lambda_2} \sum_{j: \omega_j > 0} \max(|c_j| - \alpha \omega_j, 0)^2
        \quad \text{subject to} \quad F^\top (\bar q y u) = 0,

    where the columns of ``F`` are the free ones and the constant, and the sum is the constraint
    ``|c_j| <= alpha omega_j`` where ``lambda_2 = 0``. A dual point is made from any scores ``z`` in three steps.

    1. Newton steps move the free coefficients until the next one, ``F s``, changes no score by more than 0.1.
    2. With ``u_i = 1 / (1 + exp(y_i z_i))``, the point ``u - u (1 - u) y (F s)`` satisfies the equalities: it is the
       projection in the metric of the Hessian, and stays in the box because ``u (1 - u) <= min(u, 1 - u)``.
    3. A factor ``t`` in ``[0, 1]`` shrinks it until the inequalities hold. The equalities and the box survive, as 0
       is feasible.

    Where step 1 fails, the free directions separate the classes, and ``u = 0`` gives the bound 0, the infimum. All
    steps are the identity at a solution, so that the gap closes there. See S.-J. Kim, K. Koh, M. Lustig, S. Boyd and
    D. Gorinevsky, "An interior-point method for large-scale l1-regularized logistic regression", JMLR 8 (2007),
    section 3.3, for the rescaling.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.logistic import LogisticPoint, LogisticProblem
    >>> A, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([-1.0, 1.0, -1.0, 1.0])
    >>> problem = LogisticProblem(A=A, y=y, alpha=0.3, fit_intercept=True)
    >>> problem.alpha_max()
    0.25
    >>> problem.certify(LogisticPoint(np.zeros(1), np.zeros(1)), tol=1e-8).converged
    True
    """

    name: ClassVar[str] = "logistic"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.abs(self.y) == 1):
            raise ValueError("y must hold the classes -1 and +1 only.")

    @cached_property
    def row_weight(self) -> FloatArray:
        """The weights ``q / sum(q)``."""
        if self.sample_weight is None:
            return np.full(self.y.size, 1.0 / self.y.size)
        weight = np.asarray(self.sample_weight, dtype=np.float64)
        return np.asarray(weight / weight.sum())

    @cached_property
    def free_basis(self) -> FloatArray:
        """Basis of the span of the constant (with an intercept) and of the free columns, shape (n, f)."""
        constant = np.ones((self.y.size, int(self.fit_intercept)))
        if self.free.size == 0:
            return constant
        columns = np.hstack([constant, dense_columns(self.A, self.free)])
        norms = np.abs(columns).max(axis=0)
        columns = np.asarray(columns[:, norms > 0] / norms[norms > 0])
        if columns.shape[1] == 0:
            return columns
        q, r, _ = linalg.qr(columns, mode="economic", pivoting=True)
        diagonal = np.abs(np.diag(r))
        return np.asfortranarray(q[:, diagonal > _RANK_FLOOR * diagonal[0]])

    @cached_property
    def scale(self) -> float:
        """The objective at zero, with the best intercept if there is one; 1 where that is 0."""
        if not self.fit_intercept:
            return math.log(2.0)
        share = float(self.row_weight @ (self.y > 0))
        return float(special.entr(share) + special.entr(1 - share)) or 1.0

    def initial_point(self) -> LogisticPoint:
        """Return zeros with the best intercept, 0 where only one class has weight."""
        share = float(self.row_weight @ (self.y > 0))
        odds = share / (1 - share) if share < 1 else 0.0
        intercept = np.full(int(self.fit_intercept), math.log(odds) if odds > 0 else 0.0)
        return LogisticPoint(np.zeros(self.A.shape[1]), intercept)

    def repaired(self, x: LogisticPoint) -> LogisticPoint:
        """Return `x` with the excluded coefficients set to 0."""
        return LogisticPoint(np.where(self.excluded, 0.0, x.coef), x.intercept)

    def scores(self, x: LogisticPoint) -> FloatArray:
        """Return ``A v + b``."""
        return np.asarray(multiply(self.A, x.coef) + float(x.intercept.sum()))

    def loss(self, scores: FloatArray) -> float:
        """Return the weighted mean of the logistic loss."""
        return float(self.row_weight @ np.logaddexp(0.0, -self.y * scores))

    def residual(self, scores: FloatArray) -> FloatArray:
        """Return minus the gradient of the loss in the scores: ``qbar y / (1 + exp(y z))``."""
        return np.asarray(self.row_weight * self.y * special.expit(-self.y * scores))

    def curvature(self, scores: FloatArray) -> FloatArray:
        """Return the second derivatives of the loss in the scores."""
        return np.asarray(self.row_weight * special.expit(scores) * special.expit(-scores))

    def objective(self, x: LogisticPoint) -> float:
        """Return ``P(v, b)``."""
        return self.loss(self.scores(x)) + self.penalty(x.coef)

    def gradient(self, x: LogisticPoint) -> LogisticPoint:
        """Return the gradient of the loss."""
        residual = self.residual(self.scores(x))
        return LogisticPoint(-correlate(self.A, residual), np.full(x.intercept.size, -residual.sum()))

    def certify(self, x: LogisticPoint, dual: FloatArray | None = None, *, tol: float) -> Certificate:
        """Bound the suboptimality of `x` by the duality gap.

        Parameters
        ----------
        x : LogisticPoint
            Coefficients and intercept.
        dual : array of shape (n,) or None
            A candidate for ``u``, which is made feasible; None takes that of `x`.
        tol : float
            Recorded in the certificate.

        Returns
        -------
        Certificate
            Of kind ``"gap"``; its by-products are the point before it is shrunk (``"dual"``) and its correlation
            ``A^T (qbar y u)`` with the columns (``"correlation"``).
        """
        scores = self.scores(x)
        primal = self.loss(scores) + self.penalty(x.coef)
        u = self.balanced(scores if dual is None else self._scores_of(np.asarray(dual, dtype=np.float64)))
        correlation = correlate(self.A, self.row_weight * self.y * u)
        return Certificate.from_bounds(
            "gap",
            self.dual_value(u, correlation),
            primal,
            scale=self.scale,
            tol=tol,
            parts={"primal": primal},
            byproducts={"dual": u, "correlation": correlation},
        )

    def _scores_of(self, u: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            margins = -special.logit(np.clip(u, 0.0, 1.0))
        return np.asarray(self.y * np.clip(margins, -_LARGEST_MARGIN, _LARGEST_MARGIN))

    def dual_value(self, u: FloatArray, correlation: FloatArray) -> float:
        """Return the best of a few dual values on the ray of a balanced `u` with the given correlations."""
        size, bound = np.abs(correlation[self.selection]), self.thresholds[self.selection]
        active = size > bound
        shrunk = float((bound[active] / size[active]).min(initial=1.0))
        steps = (shrunk,) if self.l2 == 0 else (shrunk, 1.0)
        return max(0.0, *(self._entropy(t * u) - self._excess(t * size, bound) for t in steps))

    def _entropy(self, u: FloatArray) -> float:
        return float(self.row_weight @ -(special.xlogy(u, u) + special.xlog1py(1.0 - u, -u)))

    def _excess(self, size: FloatArray, bound: FloatArray) -> float:
        if self.l2 == 0:
            return 0.0
        over = np.maximum(size - bound, 0.0)
        return float(over @ over) / (2 * self.l2)

    def balanced(self, scores: FloatArray) -> FloatArray:
        """Return a point of the box, near that of `scores`, that is orthogonal to the free directions.

        It is 0 where no other was found, in particular where the free directions separate the classes.
        """
        F, q, y = self.free_basis, self.row_weight, self.y
        if F.shape[1] == 0:
            return np.asarray(special.expit(-y * scores))
        profiled = self.profiled(scores, _PROJECTION_REACH)
        if profiled is None:
            return np.zeros_like(y)
        u = special.expit(-y * profiled)
        spread = u * special.expit(y * profiled)
        hessian = _Hessian(F, q * spread)
        for _ in range(2):  # the second pass removes the rounding error of the first
            u = u - spread * y * (F @ hessian.solve(F.T @ (q * y * u)))
        return u if self._is_balanced(u) else np.zeros_like(u)

    def profiled(self, scores: FloatArray, reach: float) -> FloatArray | None:
        """Return `scores` after Newton steps along the free directions, until the next changes none by `reach`.

        None where this does not happen, in particular where the free directions separate the classes.
        """
        F = self.free_basis
        if F.shape[1] == 0:
            return scores
        loss = self.loss(scores)
        for _ in range(_PROFILE_STEPS):
            move = F @ _Hessian(F, self.curvature(scores)).solve(F.T @ self.residual(scores))
            length = float(np.abs(move[self.row_weight > 0]).max(initial=0.0))
            if not math.isfinite(length):
                return None
            if length <= reach:
                return scores if np.any(self.curvature(scores) > 0) else None
            step = 1.0
            while (trial := self.loss(scores + step * move)) > loss and step * length > _SMALLEST_MOVE:
                step /= 2
            scores, loss = scores + step * move, trial
        return None

    def _is_balanced(self, u: FloatArray) -> bool:
        residual = np.abs(self.free_basis.T @ (self.row_weight * self.y * u))
        size = np.abs(self.free_basis).T @ (self.row_weight * u)
        return bool(np.all(u >= 0) and np.all(u <= 1) and np.all(residual <= 1e-12 * size))

    def separates(self, x: LogisticPoint) -> bool:
        """Whether the unpenalised part of `x` separates the classes, so that no minimum is attained."""
        part = LogisticPoint(np.where(self.omega == 0, x.coef, 0.0), x.intercept)
        return bool(np.all((self.y * self.scores(part))[self.row_weight > 0] > 0))

    def alpha_max(self) -> float:
        """Return the smallest `alpha` at which all penalised coefficients are 0."""
        problem = self.at(1.0)
        scores = problem.profiled(problem.scores(problem.initial_point()), _EXACT_REACH)
        if scores is None:
            return 0.0
        size = np.abs(correlate(self.A, self.residual(scores)))[problem.penalised]
        return float((size / problem.omega[problem.penalised]).max(initial=0.0))


class _Hessian:
    """The Hessian ``F^T diag(h) F`` of the free coefficients, solved in a scale-free way."""

    def __init__(self, F: FloatArray, h: FloatArray) -> None:
        matrix = F.T @ (h[:, None] * F)
        diagonal = np.sqrt(np.diag(matrix))
        self.root = np.where(diagonal > 0, diagonal, 1.0)
        matrix = matrix / self.root / self.root[:, None]
        values, self.vectors = linalg.eigh(matrix)
        kept = values > _RANK_FLOOR * max(float(values[-1]), 1e-300)
        self.inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)

    def solve(self, right: FloatArray) -> FloatArray:
        inner = self.vectors @ (self.inverse * (self.vectors.T @ (right / self.root)))
        return np.asarray(inner / self.root)
