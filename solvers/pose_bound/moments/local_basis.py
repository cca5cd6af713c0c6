r"""Monomials of a quaternion and a vector that are scaled to a set of poses: a basis that is good for rounding.

It leads from coordinates of a `LocalFrame` to the monomials of `quotient`, in which bounds are certified.
"""

from __future__ import annotations

import numpy as np

from ..validation import FloatArray
from .local_frame import LocalFrame
from .pose_polynomials import PosePolynomials
from .quaternion_monomials import (
    change_of_basis,
    evaluate_quaternion_monomials,
    linear_forms,
    monomial_scales,
    spread,
)

__all__ = ["LocalBasis"]


class LocalBasis:
    """The monomials of `quaternion_monomials` over their values at the coordinates (1, 1, 1) of a frame.

    Parameters
    ----------
    polynomials : PosePolynomials
        The problem, whose variables are ``R' = Q^T R`` and ``tau = (t - t_0) / T``.
    center : ndarray of shape (3,)
        The translation t0.
    max_distance : float
        The radius T.
    frame : LocalFrame
        Coordinates of poses.
    """

    def __init__(
        self, polynomials: PosePolynomials, center: FloatArray, max_distance: float, frame: LocalFrame
    ) -> None:
        self._turns, self._shifts = frame.turns, frame.shifts / max_distance
        self._forms = linear_forms(
            polynomials.rotation.T @ frame.left,
            frame.right,
            frame.coupling / max_distance,
            frame.axes,
            (frame.center - center) / max_distance,
        )
        self._changes: dict[int, FloatArray] = {}
        self._inverses: dict[int, FloatArray] = {}

    def values(self, xi: FloatArray, zeta: FloatArray, degree: int) -> FloatArray:
        """Return the monomials of a degree at poses with coordinates of shape (m, 3), one pose a row."""
        return evaluate_quaternion_monomials(self._turns * xi, self._shifts * zeta, degree) / self._scales(degree)

    def coefficients(self, polynomials: FloatArray, degree: int) -> FloatArray:
        """Return the coefficients of polynomials that have those of shape (..., n) in the monomials of `quotient`.

        Parameters
        ----------
        polynomials : ndarray of shape (..., 13), (..., 71) or (..., 742)
            The coefficients there.
        degree : int
            The degree 1, 2 or 4.
        """
        return polynomials @ self._change(degree) * self._scales(degree)

    def to_monomials(self, blocks: FloatArray, degree: int) -> FloatArray:
        """Return the matrices in the monomials of `quotient` of forms that have those of shape (..., n, n) here."""
        scales, inverse = self._scales(degree), self._inverse(degree)
        matrices = inverse.T @ (blocks / (scales[:, None] * scales)) @ inverse
        return 0.5 * (matrices + np.swapaxes(matrices, -1, -2))

    def absorb(self, remainder: FloatArray, degree: int = 2) -> FloatArray:
        """Return a block of shape (n, n) whose form is minus a polynomial, both in the monomials of `quotient`.

        It is the smallest one in this basis. Added to a block that leaves the polynomial as a remainder, it leaves none
        and hardly changes the eigenvalues.

        Parameters
        ----------
        remainder : ndarray of shape (742,) or (71,)
            The coefficients of the polynomial, of degree 4 or 2.
        degree : int, default=2
            Half of that.
        """
        inverse = self._inverse(degree)
        return np.asarray(-(inverse.T @ spread(remainder @ self._change(2 * degree), degree) @ inverse))

    def _scales(self, degree: int) -> FloatArray:
        return monomial_scales(self._turns, self._shifts, degree)

    def _change(self, degree: int) -> FloatArray:
        if degree not in self._changes:
            self._changes[degree] = change_of_basis(self._forms, degree)
        return self._changes[degree]

    def _inverse(self, degree: int) -> FloatArray:
        if degree not in self._inverses:
            self._inverses[degree] = np.asarray(np.linalg.inv(self._change(degree)))
        return self._inverses[degree]
