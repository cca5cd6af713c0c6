r"""Moments of poses as weights of 742 points at which polynomials of degree 4 are interpolated.

In these weights the matrices of a moment relaxation are sums of matrices of rank one, ``sum_p w_p q(x_p) v_p v_p^T``,
with bases v that are orthonormal over the points. What is done with the matrices is other modules' business.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import lapack

from ..cones import KeypointCones
from ..validation import FloatArray
from .local_basis import LocalBasis
from .local_frame import LocalFrame
from .pose_polynomials import PosePolynomials
from .quotient import N_BASIS, N_LINEAR, N_MOMENTS, evaluate_moments
from .standard_monomials import MAX_DEGREE

__all__ = ["NodalRelaxation", "unit_nodes"]

#: Spheres of candidates in the unit ball, and points of the outer one.
_N_SPHERES, _N_CANDIDATES = 8, 250


@cache
def unit_nodes() -> tuple[FloatArray, FloatArray]:
    r"""Return pairs of points in the unit ball that determine polynomials of degree 4 in a rotation and a vector.

    A polynomial of degree d in the entries of a rotation is one of degree 2d in the vector xi, over
    ``(1 + ||xi||^2)^d``. Of both factors points are taken from Leja sequences, so that the first ones determine the
    polynomials of each lower degree, and a pair for each two levels whose sum is at most 4.

    Returns
    -------
    xi, zeta : ndarrays of shape (742, 3)
        The points.

    References
    ----------
    L. Bos, S. De Marchi, A. Sommariva and M. Vianello, "Computing multivariate Fekete and Leja points by numerical
    linear algebra", SIAM Journal on Numerical Analysis 48 (2010).
    """
    candidates = _candidates()
    xi, zeta = _leja(candidates, 2 * MAX_DEGREE), _leja(candidates, MAX_DEGREE)
    degrees = range(MAX_DEGREE + 1)
    ends = [_n_monomials(2 * degree) for degree in degrees]
    pairs = [
        (i, j)
        for degree, first, last in zip(degrees, [0, *ends], ends, strict=False)
        for i in range(first, last)
        for j in range(_n_monomials(MAX_DEGREE - degree))
    ]
    rows, columns = np.array(pairs).T
    return xi[rows], zeta[columns]


class NodalRelaxation:
    r"""The moment relaxation of a pose-bound problem in the weights w of 742 poses.

    .. math::
        \max_w \; f^T w \quad \text{s.t.} \quad 1^T w = 1, \quad
        \sum_p w_p \, q_b(x_p) \, v_b(x_p) v_b(x_p)^T \succeq 0, \; b = 0, \dots, 2K + 1

    with ``q_0 = 1``, its basis of length 71, and bases of length 13 for the other polynomials. Objective and
    polynomials are scaled to about 1 at the points.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    polynomials : PosePolynomials
        The problem.
    center : ndarray of shape (3,)
        The translation t0.
    max_distance : float
        The radius T.
    frame : LocalFrame
        Coordinates in which the points are in the unit ball.

    Attributes
    ----------
    basis : ndarray of shape (71, 742)
        The basis of the polynomials of degree 2 at the points.
    linear, linear_squares : ndarrays of shapes (13, 742) and (169, 742)
        The basis of the polynomials of degree 1, and the products of two of them.
    localizers : ndarray of shape (2K + 1, 742)
        The polynomials.
    objective : ndarray of shape (742,)
        The objective.
    R, tau : ndarrays of shapes (742, 3, 3) and (742, 3)
        The points, in the variables of `polynomials`.
    local : LocalBasis
        The monomials that the bases are combinations of.
    unit : float
        What the objective is divided by, besides the unit of `polynomials`.
    """

    def __init__(
        self,
        cones: KeypointCones,
        polynomials: PosePolynomials,
        center: FloatArray,
        max_distance: float,
        frame: LocalFrame,
    ) -> None:
        xi, zeta = unit_nodes()
        R, t = frame.poses(xi, zeta)
        self.R, self.tau = polynomials.rotation.T @ R, (t - center) / max_distance
        self.local = LocalBasis(polynomials, center, max_distance, frame)
        (self.basis, self._of_basis), (self.linear, self._of_linear) = (
            _orthonormal(self.local.values(xi, zeta, degree)) for degree in (2, 1)
        )
        self.linear_squares: FloatArray = (self.linear[:, None] * self.linear).reshape(-1, N_MOMENTS)
        values = _localizer_values(cones, R, t, self.tau)
        self._scales = np.sqrt(np.mean(values**2, axis=1))
        self.localizers: FloatArray = values / self._scales[:, None]
        objective = evaluate_moments(self.R, self.tau, N_BASIS) @ polynomials.objective[:, 0]
        self.unit = float(np.abs(objective).max())
        self.objective: FloatArray = objective / self.unit

    def matrices(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the matrices of the weights, of shapes (71, 71) and (2K + 1, 13, 13)."""
        moment = (self.basis * w) @ self.basis.T
        localizing = (self.localizers * w) @ self.linear_squares.T
        return moment, localizing.reshape(-1, N_LINEAR, N_LINEAR)

    def values(self, moment: FloatArray, localizing: FloatArray) -> FloatArray:
        """Return what is adjoint to `matrices`: ``v_0^T X_0 v_0 + sum_b q_b v^T X_b v`` at the points."""
        squares = localizing.reshape(-1, N_LINEAR**2) @ self.linear_squares
        return np.asarray(
            np.sum(self.basis * (moment @ self.basis), axis=0) + np.sum(self.localizers * squares, axis=0)
        )

    def to_monomials(self, moment: FloatArray, localizing: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the blocks of a certificate in the monomials of `quotient`, for polynomials without scaling."""
        first = self.unit * (self._of_basis.T @ moment @ self._of_basis)
        others = self.unit / self._scales[:, None, None] * (self._of_linear.T @ localizing @ self._of_linear)
        return self.local.to_monomials(first, 2), self.local.to_monomials(others, 1)

    def mean_pose(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the means of rotation and vector under the weights: a pose where these are all at one point."""
        return np.einsum("p,pij->ij", w, self.R), w @ self.tau


def _localizer_values(cones: KeypointCones, R: FloatArray, t: FloatArray, tau: FloatArray) -> FloatArray:
    X = np.einsum("pij,kj->kpi", R, cones.points) + t
    reach = np.linalg.norm(np.einsum("kri,kpi->kpr", cones.cones, X), axis=2)
    depth = X[:, :, 2]
    ball = 1.0 - np.sum(tau**2, axis=1)
    return np.concatenate([(depth - reach) * (depth + reach), depth - cones.min_depth, ball[None]])


def _orthonormal(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a basis of functions that are given by columns of values, rows with mean squares of 1, and its matrix."""
    Q, triangle = np.linalg.qr(values)
    size = np.sqrt(len(values))
    return np.ascontiguousarray(size * Q.T), size * np.linalg.inv(triangle).T


def _powers(x: FloatArray, degrees: range) -> FloatArray:
    """Return the monomials of some degrees in three variables, one a row."""
    exponents = [m for degree in degrees for m in combinations_with_replacement(range(3), degree)]
    return np.stack([np.prod(x[:, list(m)], axis=1) for m in exponents])


def _n_monomials(degree: int) -> int:
    """Return the number of monomials of degree at most `degree` in three variables."""
    return (degree + 1) * (degree + 2) * (degree + 3) // 6


def _candidates() -> FloatArray:
    """Return points of the unit ball, on spheres that are denser near its border, each with a spiral of points."""
    spheres = [np.zeros((1, 3))]
    for turn, radius in enumerate(np.cos(0.5 * np.pi * np.arange(_N_SPHERES) / _N_SPHERES)):
        n = max(6, round(_N_CANDIDATES * radius**2))
        height = 1.0 - (2.0 * np.arange(n) + 1.0) / n
        angle = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(n) + turn
        across = np.sqrt(1.0 - height**2)
        points = np.stack([across * np.cos(angle), across * np.sin(angle), height], axis=1)
        spheres.append(radius * np.roll(points, turn, axis=1))
    return np.concatenate(spheres)


def _leja(candidates: FloatArray, degree: int) -> FloatArray:
    """Return the points of a discrete Leja sequence: each maximises the determinant, given those before it."""
    Q, _ = np.linalg.qr(_powers(candidates, range(degree + 1)).T)
    _, swaps, _ = lapack.dgetrf(Q)
    order = np.arange(len(candidates))
    for i, j in enumerate(swaps):
        order[[i, j]] = order[[j, i]]
    return candidates[order[: Q.shape[1]]]
