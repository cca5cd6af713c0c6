"""PRESTO's problem: a cumulative-link model whose adjacent slope vectors are shrunk towards each other.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from ..certificate import Certificate, changed
from ..ordinal.likelihood import Derivatives, FloatArray, assemble_hessian, weighted_grams
from ..ordinal.problem import OrdinalPoint, OrdinalProblem

__all__ = ["PrestoProblem"]


@dataclass(frozen=True, eq=False, kw_only=True)
class PrestoProblem(OrdinalProblem):
    r"""A cumulative-link model with a penalty on the differences of adjacent slope vectors.

    Over the intercepts ``a`` and the differences ``psi`` of slopes, with ``b_k = psi_1 + ... + psi_k``,

    .. math:: P(a, \psi) = \frac{1}{W} \sum_i w_i
        \left[-\log\left(F(\eta_{i, y_i}) - F(\eta_{i, y_i + 1})\right)\right]
        + \alpha \sum_{k, j} v_{kj} \left[\rho |\psi_{kj}| + \frac{1 - \rho}{2} \psi_{kj}^2\right],
        \qquad \eta_{i k} = a_k + x_i^\top b_k

    where ``rho = l1_ratio``, ``v_1j`` is `base_penalty` times the weight of feature j, and ``v_kj`` that weight for
    k > 1.

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
        Weights w of the rows, positive.
    gap_tol : float or None
        If given, a point has converged only if its bound on the suboptimality is at most ``gap_tol`` times the loss of
        the model without features, too.
    likelihood : Likelihood or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is first needed.
    base_penalty : float, default 1
        Weight of the first boundary's slopes, at least 0. With 0 and a large `alpha` this is the model of proportional
        odds without a penalty.
    monotone : {"likelihood", "train", "box"}, default "likelihood"
        Whether adjacent boundaries may cross at rows of other classes, must not at any row
        (``eta_ik >= eta_i,k+1``), or must not anywhere in the box of the features: with its centre c and half ranges
        r, ``a_k - a_k+1 >= psi_k+1' c + r' |psi_k+1|``.

    Raises
    ------
    ValueError
        For wrong shapes, classes without weight, and numbers out of range.

    Notes
    -----
    The value of the certificate is the largest entry of the fixed-point residual of a proximal gradient step,
    ``psi - soft(psi - g, alpha rho v)``. Its part ``"gap"`` bounds ``P(x) - min P`` by convexity: the loss lies above
    its tangent, and the penalty of a minimiser is at most ``P(x)``. Where intercepts are the only coordinates without a
    penalty that is a proof, because the class shares bound how far they are from their optimum. With constraints the
    residual and the bound are those of the Lagrangian; complementarity and violation are in the parts.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> X, y = np.array([[-1.0], [0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 2, 2])
    >>> problem = PrestoProblem(X=X - 1.0, y=y, n_classes=3, alpha=1.0)
    >>> round(problem.alpha_max(), 6), problem.certify(problem.initial_point(), tol=1e-8).converged
    (0.6, True)
    """

    name: ClassVar[str] = "presto"

    words: ClassVar[frozenset[str]] = OrdinalProblem.words | {"monotone_train", "monotone_box"}

    base_penalty: float = 1.0
    monotone: str = "likelihood"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.base_penalty) and self.base_penalty >= 0):
            raise ValueError(f"base_penalty={self.base_penalty!r} must be a finite number of at least 0.")
        if self.monotone not in ("likelihood", "train", "box"):
            raise ValueError(f"monotone={self.monotone!r} must be 'likelihood', 'train' or 'box'.")

    @property
    def constrained(self) -> bool:
        """Whether there are constraints on the gaps between boundaries."""
        return self.monotone != "likelihood" and self.n_boundaries > 1

    @property
    def multipliers_shape(self) -> tuple[int, int]:
        """The shape of the multipliers: one for each gap between boundaries, at each row or over the box."""
        return (self.y.size if self.monotone == "train" else 1, self.n_boundaries - 1)

    @cached_property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """The centre and the half ranges of the features."""
        ends: list[Any] = [self.X.max(axis=0), self.X.min(axis=0)] if self.X.shape[1] else [np.zeros(0)] * 2
        high, low = (np.ravel(end.toarray() if sparse.issparse(end) else end) for end in ends)
        return (high + low) / 2, (high - low) / 2

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        return super().needs() | (frozenset({f"monotone_{self.monotone}"}) if self.constrained else frozenset())

    @cached_property
    def penalty_weights(self) -> FloatArray:
        """The weights v, of shape (m, p)."""
        v = np.tile(self.feature_weights, (self.n_boundaries, 1))
        v[0] *= self.base_penalty
        return v

    def slopes(self, coef: FloatArray) -> FloatArray:
        """Return the slopes b of the boundaries, of shape (m, p), for differences psi."""
        return np.cumsum(coef, axis=0)

    def coef_gradient(self, derivatives: Derivatives) -> FloatArray:
        """Return the gradient of the loss in the differences, of shape (m, p)."""
        return np.ascontiguousarray((self.X.T @ derivatives.gradient).T)

    def loss_hessian(self, Z: FloatArray, derivatives: Derivatives) -> FloatArray:
        """Return the Hessian of the loss in intercepts and differences; see :class:`OrdinalProblem`."""
        curvature, rows, m = derivatives.curvature, self.loss.class_rows, self.n_boundaries
        # The first class has no boundary below, the last one none above.
        upper = weighted_grams(Z, rows[0], curvature[:, 2:])
        grams = [weighted_grams(Z, rows[c], curvature) for c in range(1, m)]
        shift = weighted_grams(Z, rows[m], curvature[:, :1])
        # Of these, one curvature each is used.
        first, last = np.broadcast_to(upper, (3, *upper.shape[1:])), np.broadcast_to(shift, (3, *shift.shape[1:]))
        matrix = assemble_hessian([first, *grams, last])
        if derivatives.barrier_curvature is not None:
            bends = weighted_grams(Z, self.loss.all_rows, derivatives.barrier_curvature)
            for boundary in range(1, m):
                matrix[boundary, :, boundary, :] += bends[boundary - 1]
        return matrix.reshape(m * matrix.shape[1], -1)

    def stacked(self, intercept: FloatArray, coef: FloatArray) -> FloatArray:
        """Return the numbers of each boundary, that of its intercept first."""
        return np.hstack([intercept[:, None], coef]).ravel()

    def certify(self, x: OrdinalPoint, dual: Any = None, *, tol: float) -> Certificate:
        """Measure how far `x` is from a fixed point, and bound its suboptimality; see :class:`OrdinalProblem`.

        Parameters
        ----------
        x : OrdinalPoint
            Intercepts and differences.
        dual : array of shape (n, m - 1), or (1, m - 1) for the box, or None
            With constraints, candidates for their multipliers; negative ones count as 0.
        tol : float
            The residual, the complementarity over the loss of the model without features, and the violation are to be
            at most `tol`, the residual relative to the scale.

        Returns
        -------
        Certificate
            Of kind ``"kkt"``.
        """
        certificate = super().certify(x, tol=tol)
        if not self.constrained or not math.isfinite(certificate.value):
            return certificate
        multipliers = np.zeros(self.multipliers_shape) if dual is None else np.maximum(dual, 0.0)
        slack, gradient, extra = self._lagrangian(x, multipliers, certificate.byproducts)
        complementarity, violation = float(np.sum(multipliers * slack)), max(0.0, -float(slack.min(initial=0.0)))
        gap, proved = self._gap(x, gradient, certificate.upper, extra)
        gap += max(complementarity, 0.0)
        parts = {
            "kkt": self.residual(x, gradient, extra) / self.scale,
            "gap": gap,
            "complementarity": abs(complementarity) / self.loss.null_value,
            "violation": violation,
        }
        worst = max(parts["kkt"], parts["complementarity"], violation, self._gap_excess(gap) * tol)
        return changed(
            certificate,
            value=worst * self.scale,
            lower=certificate.upper - gap if proved else -math.inf,
            parts=MappingProxyType(parts),
        )

    def _lagrangian(
        self, x: OrdinalPoint, multipliers: FloatArray, known: Mapping[str, Any]
    ) -> tuple[FloatArray, OrdinalPoint, FloatArray | float]:
        """Return the slack of the constraints, the Lagrangian's gradient, and what it adds to the l1 penalty."""
        eta, plain, gradient = known["predictors"], known["derivatives"], known["gradient"]
        total = multipliers.sum(axis=0)
        # Raising a boundary's intercept widens the gap above it and narrows the one below.
        intercept = gradient.intercept + np.append(0.0, total) - np.append(total, 0.0)
        if self.monotone == "box":
            centre, reach = self.box
            slack = -np.diff(x.intercept) - x.coef[1:] @ centre - np.abs(x.coef[1:]) @ reach
            weight = np.vstack([np.zeros((1, 1)), multipliers.T])
            return slack, OrdinalPoint(intercept, gradient.coef + weight * centre), weight * reach
        # Shifting the boundaries from l on narrows the gap below the first of them only.
        shifted = plain.gradient.copy()
        shifted[:, 1:] += multipliers
        return -np.diff(eta, axis=1), OrdinalPoint(intercept, self.coef_gradient(plain._replace(gradient=shifted))), 0.0
