r"""An ellipsoid around the translations of a set of poses, by the S-lemma."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..cones import KeypointCones
from ..validation import FloatArray, finite_array
from .certificate import certified_bound
from .double_double import exact
from .pose_polynomials import PosePolynomials, add_product, pose_polynomials
from .quotient import N_BASIS, N_LINEAR, quadratic_form_map

__all__ = ["Ellipsoid", "slue", "slue_bound"]


class Ellipsoid(NamedTuple):
    """The points t with ``(t - center)^T shape^-1 (t - center) <= 1``.

    Parameters
    ----------
    center : ndarray of shape (3,)
        The centre.
    shape : ndarray of shape (3, 3)
        A positive definite matrix, whose eigenvalues are the squares of the semi-axes.
    """

    center: FloatArray
    shape: FloatArray

    def contains(self, t: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return for points of shape (m, 3) whether the ellipsoid holds them, of shape (m,)."""
        off = np.atleast_2d(np.asarray(t, dtype=np.float64)) - self.center
        return np.asarray(np.einsum("ni,ni->n", off, np.linalg.solve(self.shape, off.T).T) <= 1.0)

    @property
    def semi_axes(self) -> FloatArray:
        """The lengths of the semi-axes, ascending, of shape (3,)."""
        return np.asarray(np.sqrt(np.linalg.eigvalsh(self.shape)))


def slue(cones: KeypointCones, R0: npt.ArrayLike, t0: npt.ArrayLike, max_distance: float) -> Ellipsoid:
    r"""Return a small ellipsoid that holds the translations of all poses of a set.

    .. math::
        \max_{A \succeq 0, b, \lambda \ge 0} \; \log \det A \quad \text{s.t.} \quad
        1 - \|A \tau + b\|^2 - \sum_b \lambda_b q_b \; \text{ is a sum of squares on the rotations}

    with ``tau = (t - t_0) / T`` and the polynomials q_b that are nonnegative on the set (`pose_polynomials`). The
    ellipsoid is enlarged by what the multipliers lack of a proof, so that it holds the set however accurate the conic
    solver was; where that is worth less than the ball with the radius T around t0, it is this ball.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    R0, t0 : array-likes of shapes (3, 3) and (3,)
        A pose near the set.
    max_distance : float
        The radius T around t0 within which all translations of the set are known to lie.

    Returns
    -------
    ellipsoid : Ellipsoid
        In the unit of the points.

    Raises
    ------
    ValueError
        For wrong shapes, an R0 that is no rotation, and a radius that is not positive and finite.

    References
    ----------
    L. Shaikewitz, T. Georgiou and L. Carlone, "Uncertainty quantification for visual object pose estimation" (2025),
    for ellipsoids around sets of poses by the S-lemma. S. Boyd, L. El Ghaoui, E. Feron and V. Balakrishnan, "Linear
    matrix inequalities in system and control theory" (1994), section 3.7.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.moments.slue import slue
    >>> points = 0.1 * np.array([[1, 0, 0], [-1, 1, 0], [0, -1, 1], [1, 1, -1], [-1, -1, -1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.01**2, (5, 1, 1))
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> slue(cones, np.eye(3), [0.0, 0.0, 1.0], 0.1).semi_axes.round(2)
    array([0.01, 0.01, 0.17])
    """
    polynomials = pose_polynomials(cones, R0, t0, max_distance, "translation")
    center, unit = finite_array(t0, "t0", (3,)), float(max_distance)
    ball = Ellipsoid(center, unit**2 * np.eye(3))
    found = _solve(polynomials)
    if found is None:
        return ball
    A, b, sum_of_squares, weights = found
    bound = slue_bound(polynomials, A, b, sum_of_squares, weights)
    condition = float(np.linalg.cond(A))
    if not 0 < bound < math.inf or not condition < 1e6:
        return ball
    inverse = np.linalg.inv(A)
    # Rounding errors of the largest entries of the shape are weighed against its least eigenvalue.
    shape = unit**2 * bound * (1.0 + 1e-9 + 1e-14 * condition**2) * (inverse @ inverse.T)
    if not np.linalg.det(shape) < np.linalg.det(ball.shape):
        return ball
    return Ellipsoid(center - unit * inverse @ b, 0.5 * (shape + shape.T))


def slue_bound(
    polynomials: PosePolynomials, A: FloatArray, b: FloatArray, sum_of_squares: FloatArray, weights: FloatArray
) -> float:
    """Upper bound on ``||A tau + b||^2`` over a set of poses, from any approximate multipliers.

    It holds whatever was rounded, as `certificate.safe_bound` does.

    Parameters
    ----------
    polynomials : PosePolynomials
        The set.
    A, b : ndarrays of shapes (3, 3) and (3,)
        The ellipsoid.
    sum_of_squares : ndarray of shape (13, 13)
        A matrix Z: its form is added to the objective.
    weights : ndarray of shape (2K + 1,)
        A multiplier for each localizing polynomial; negative ones count as 0.
    """
    objective = np.zeros((N_BASIS, 3))
    for row, offset in zip(A, b, strict=True):
        form = np.zeros((N_LINEAR, 3))
        form[0], form[-3:] = exact(offset), exact(row)
        add_product(form, form, 1.0, objective)
    moment = np.zeros((N_BASIS, N_BASIS))
    moment[:N_LINEAR, :N_LINEAR] = 0.5 * (sum_of_squares + sum_of_squares.T)
    localizers = np.zeros((len(weights), N_LINEAR, N_LINEAR))
    localizers[:, 0, 0] = np.maximum(weights, 0.0)
    return certified_bound(replace(polynomials, objective=objective, unit=1.0), moment, localizers)


def _solve(polynomials: PosePolynomials) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray] | None:
    """Return A, b, the matrix of the sum of squares and the weights, or None if the conic solver fails."""
    import cvxpy as cp

    values = polynomials.localizers[:, :, 0] / polynomials.scales[:, None]
    A, b = cp.Variable((3, 3), PSD=True), cp.Variable(3)
    weights, gram = cp.Variable(len(values), nonneg=True), cp.Variable((N_LINEAR, N_LINEAR), symmetric=True)
    forms = cp.hstack([cp.reshape(b, (3, 1), order="C"), np.zeros((3, N_LINEAR - 4)), A])
    one = np.zeros(N_BASIS)
    one[0] = 1.0
    # The form of `gram` is 1 - sum_b weight_b q_b, and is at least the square of the forms.
    equations = quadratic_form_map(N_LINEAR).T @ cp.vec(gram, order="C") == one - values.T @ weights
    task = cp.Problem(cp.Maximize(cp.log_det(A)), [equations, cp.bmat([[gram, forms.T], [forms, np.eye(3)]]) >> 0])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            task.solve(solver="CLARABEL")
    except cp.error.SolverError:
        return None
    parts: list[Any] = [variable.value for variable in (A, b, gram, weights)]
    if any(part is None or not np.all(np.isfinite(part)) for part in parts):
        return None
    G = np.hstack([parts[1][:, None], np.zeros((3, N_LINEAR - 4)), parts[0]])
    return parts[0], parts[1], parts[2] - G.T @ G, parts[3] / polynomials.scales
