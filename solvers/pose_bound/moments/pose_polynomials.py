r"""A pose-bound problem as polynomials: its objective, and what is not negative at its members.

The poses are written as ``R = Q R'`` and ``t = t_0 + T tau`` with a rotation Q that is R_0 up to rounding, so that no
monomial in the entries of R' and tau exceeds 1 where ``||t - t_0|| <= T``. Coefficients are computed in twice the
precision of a double: bounds that rest on them hold. How bounds are found is other modules' business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from ....cython_ext import _double_double
from ..cones import KeypointCones
from ..objectives import Kind
from ..validation import FloatArray, check_rotations, finite_array
from .double_double import dot, exact, minus, plus, quotient, times
from .quotient import N_BASIS, N_LINEAR, product_table

__all__ = ["PosePolynomials", "add_product", "pose_polynomials"]

_LEAST_DISTANCE = 1e-150


@dataclass(frozen=True, eq=False)
class PosePolynomials:
    r"""The objective f and the polynomials ``q_b >= 0`` of a pose-bound problem, all of degree at most 2.

    Parameters
    ----------
    objective : ndarray of shape (71, 3)
        The coefficients of ``3 + ||R_0||_F^2 - 2 tr(R_0^T R)``, or of ``||tau||^2``, as numbers of twice the precision
        of a double (`double_double`).
    localizers : ndarray of shape (2K + 1, 71, 3)
        The coefficients of ``(b_k^T s)^2 - ||M_k s||^2`` for all k, then of ``b_k^T s - d_min`` for all k, then of
        ``1 - ||tau||^2``.
    forms : ndarray of shape (K, 3, 13, 3)
        The coefficients of the two rows of ``M_k s``, and of ``b_k^T s``.
    unit : float
        What the objective is multiplied with: 1, or ``T^2``.
    rotation : ndarray of shape (3, 3)
        The rotation Q, rounded.
    """

    objective: FloatArray
    localizers: FloatArray
    forms: FloatArray
    unit: float
    rotation: FloatArray

    @property
    def scales(self) -> FloatArray:
        """The largest coefficients of the `localizers`, in absolute value, of shape (2K + 1,)."""
        return np.asarray(np.abs(self.localizers[:, :, 0]).max(axis=1))


def pose_polynomials(
    cones: KeypointCones, R0: npt.ArrayLike, t0: npt.ArrayLike, max_distance: float, kind: Kind
) -> PosePolynomials:
    """Write a pose-bound problem in polynomials.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    R0, t0 : array-likes of shapes (3, 3) and (3,)
        The centre. R0 may be off a rotation by rounding.
    max_distance : float
        The radius T around t0 within which all translations are known to lie, positive.
    kind : {"rotation", "translation"}
        What is bounded: ``||R - R_0||_F^2``, or ``||t - t_0||^2``.

    Returns
    -------
    polynomials : PosePolynomials
        The problem.

    Raises
    ------
    ValueError
        For wrong shapes, an R0 that is no rotation, a radius that is not positive and finite, and another kind.
    """
    rotation, center = finite_array(R0, "R0", (3, 3)), finite_array(t0, "t0", (3,))
    check_rotations(rotation[None], "R0")
    if not _LEAST_DISTANCE < max_distance < 1.0 / _LEAST_DISTANCE:
        raise ValueError(
            f"max_distance={max_distance!r} must be a positive finite number, between {_LEAST_DISTANCE} and "
            f"{1.0 / _LEAST_DISTANCE}: its square is needed."
        )
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, get_args(Kind)))}.")
    Q, T = _nearby_rotation(rotation), exact(float(max_distance))
    forms = _linear_forms(cones, Q, center, T)
    K = cones.n_keypoints
    localizers = np.zeros((2 * K + 1, N_BASIS, 3))
    for k in range(K):
        for row, sign in zip(forms[k], (-1.0, -1.0, 1.0), strict=True):
            add_product(row, row, sign, localizers[k])
        localizers[K + k, :N_LINEAR] = forms[k, 2]
        localizers[K + k, 0] = minus(localizers[K + k, 0], exact(cones.min_depth))
    localizers[-1, 0] = exact(1.0)
    distance = np.zeros((N_BASIS, 3))
    for tau in np.eye(N_LINEAR)[-3:]:
        add_product(exact(tau), exact(tau), 1.0, distance)
    localizers[-1] = minus(localizers[-1], distance)
    if kind == "translation":
        return PosePolynomials(distance, localizers, forms, float(T[0] ** 2), Q[..., 0])
    objective = np.zeros((N_BASIS, 3))
    # ||R - R_0||^2 for a rotation R, whether or not R_0 is one to the last digit.
    squares = times(exact(rotation.ravel()), exact(rotation.ravel()))
    objective[0] = dot(np.concatenate([exact([3.0]), squares]), exact(np.ones(10)))
    # tr(R_0^T Q R') is the sum over columns j of the entries of (Q^T R_0)_j times those of R'_j.
    for j in range(3):
        objective[1 + 3 * j : 4 + 3 * j] = times(exact(-2.0), dot(np.swapaxes(Q, 0, 1), exact(rotation[:, j])[None]))
    return PosePolynomials(objective, localizers, forms, 1.0, Q[..., 0])


def _linear_forms(cones: KeypointCones, Q: FloatArray, center: FloatArray, T: FloatArray) -> FloatArray:
    """Return the coefficients of the two rows of ``N_k X_k``, and of the depths, of shape (K, 3, 13, 3)."""
    K = cones.n_keypoints
    depth = np.broadcast_to([0.0, 0.0, 1.0], (K, 1, 3))
    rows = exact(np.concatenate([cones.cones, depth], axis=1))
    forms = np.empty((K, 3, N_LINEAR, 3))
    forms[:, :, 0] = dot(rows, exact(center))
    # X_k = sum_j P_kj Q R'_j + t_0 + T tau, with the columns R'_j.
    turned = dot(rows[:, :, None], np.swapaxes(Q, 0, 1))
    for j in range(3):
        forms[:, :, 1 + 3 * j : 4 + 3 * j] = times(turned, exact(cones.points[:, j])[:, None, None])
    forms[:, :, 10:] = times(rows, T)
    return forms


def _nearby_rotation(rotation: FloatArray) -> FloatArray:
    """Return a rotation that is exact to twice the precision of a double, of shape (3, 3, 3)."""
    x, y, z, w = (exact(value) for value in Rotation.from_matrix(rotation).as_quat())
    xx, yy, zz, ww = (times(value, value) for value in (x, y, z, w))
    xy, xz, yz, wx, wy, wz = (times(*pair) for pair in ((x, y), (x, z), (y, z), (w, x), (w, y), (w, z)))
    two = exact(2.0)
    entries = [
        [minus(plus(ww, xx), plus(yy, zz)), times(two, minus(xy, wz)), times(two, plus(xz, wy))],
        [times(two, plus(xy, wz)), minus(plus(ww, yy), plus(xx, zz)), times(two, minus(yz, wx))],
        [times(two, minus(xz, wy)), times(two, plus(yz, wx)), minus(plus(ww, zz), plus(xx, yy))],
    ]
    return quotient(np.array(entries), plus(plus(xx, yy), plus(zz, ww)))


def add_product(left: FloatArray, right: FloatArray, sign: float, total: FloatArray) -> None:
    """Add the product of two linear forms, times a sign, to the coefficients of a polynomial of degree 2."""
    _double_double.add_products(
        *product_table(N_LINEAR), np.ascontiguousarray(left), np.ascontiguousarray(right), sign, total
    )
