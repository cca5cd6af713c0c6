r"""The same polynomials as `quotient` has, in monomials of a quaternion and a vector.

An entry of the rotation of a unit quaternion q is quadratic in q. So polynomials of degree n in a rotation and a vector
zeta are those spanned by ``q^a zeta^b`` with ``|a| = 2 (n - |b|)``: 13, 71, 259 and 742 for n from 1 to 4. Products of
such monomials are such monomials, and small turns make powers of the vector part of q small, entry by entry: that makes
them good for rounding, whereas bounds are stated in the others, which need no quaternion.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from ..validation import FloatArray
from .quotient import N_LINEAR, Moment, moments
from .standard_monomials import MAX_DEGREE

__all__ = [
    "change_of_basis",
    "evaluate_quaternion_monomials",
    "linear_forms",
    "monomial_scales",
    "quaternion_monomials",
    "quaternion_products",
    "spread",
]

IndexArray = npt.NDArray[np.intp]

#: Entry (i, j) of the rotation of a unit quaternion: pairs of factors, with signs.
_ROTATION = (
    (((0, 0, 1), (1, 1, 1), (2, 2, -1), (3, 3, -1)), ((1, 2, 2), (0, 3, -2)), ((1, 3, 2), (0, 2, 2))),
    (((1, 2, 2), (0, 3, 2)), ((0, 0, 1), (1, 1, -1), (2, 2, 1), (3, 3, -1)), ((2, 3, 2), (0, 1, -2))),
    (((1, 3, 2), (0, 2, -2)), ((2, 3, 2), (0, 1, 2)), ((0, 0, 1), (1, 1, -1), (2, 2, -1), (3, 3, 1))),
)


@cache
def quaternion_monomials(degree: int) -> tuple[tuple[int, ...], ...]:
    """Return the exponents of the four entries of q, and of the three of zeta, of the monomials of a degree.

    Ordered by the degree in zeta, then by that in the vector part of q.
    """
    names = []
    for offset in range(degree + 1):
        for turns in range(2 * (degree - offset) + 1):
            for factors in combinations_with_replacement(range(3), turns):
                exponents = (2 * (degree - offset) - turns, *(factors.count(i) for i in range(3)))
                for shifts in combinations_with_replacement(range(3), offset):
                    names.append((*exponents, *(shifts.count(i) for i in range(3))))
    return tuple(names)


def monomial_scales(turns: FloatArray, shifts: FloatArray, degree: int) -> FloatArray:
    """Return the monomials at a quaternion with the scalar part 1 and the vector part `turns`, and at ``zeta=shifts``.

    Parameters
    ----------
    turns, shifts : ndarrays of shape (..., 3)
        Values of the ratios of the vector part to the scalar part, and of zeta.
    degree : int
        The degree.

    Returns
    -------
    scales : ndarray of shape (..., n)
        The values.
    """
    exponents = np.array(quaternion_monomials(degree))[:, 1:]
    values = np.concatenate([turns, shifts], axis=-1)
    powers = values[..., None] ** np.arange(2 * MAX_DEGREE + 1)
    scales = np.ones((*values.shape[:-1], len(exponents)))
    for i in range(exponents.shape[1]):
        scales *= powers[..., i, exponents[:, i]]
    return scales


def evaluate_quaternion_monomials(turns: FloatArray, shifts: FloatArray, degree: int) -> FloatArray:
    """Return the monomials at unit quaternions: `monomial_scales` times a power of the scalar part, which is positive.

    Parameters
    ----------
    turns, shifts : ndarrays of shape (m, 3)
        The ratios of the vector part to the scalar part, and zeta.
    degree : int
        The degree.

    Returns
    -------
    values : ndarray of shape (m, n)
        The values.
    """
    offsets = np.array(quaternion_monomials(degree))[:, 4:].sum(axis=1)
    square = 1.0 / (1.0 + np.sum(turns**2, axis=-1))
    powers = square[:, None] ** np.arange(degree + 1)
    return np.asarray(monomial_scales(turns, shifts, degree) * powers[:, degree - offsets])


@cache
def quaternion_products(left: int, right: int) -> IndexArray:
    """Return the numbers of the products of monomials of two degrees, of shape (n_left, n_right)."""
    number = {name: i for i, name in enumerate(quaternion_monomials(left + right))}
    rows, columns = quaternion_monomials(left), quaternion_monomials(right)
    return np.array([[number[tuple(np.add(a, b).tolist())] for b in columns] for a in rows])


def spread(coefficients: FloatArray, degree: int) -> FloatArray:
    """Return the smallest symmetric matrix whose form in the monomials of a degree is a polynomial of twice the degree.

    Parameters
    ----------
    coefficients : ndarray of shape (742,) or (71,)
        The coefficients of the polynomial.
    degree : int
        The degree 2 or 1 of the monomials.

    Returns
    -------
    matrix : ndarray of shape (71, 71) or (13, 13)
        Each coefficient, shared equally among the products that are its monomial. However the entries of the quaternion
        and of zeta are scaled, this is the matrix of least Frobenius norm.
    """
    products = quaternion_products(degree, degree)
    return np.asarray((coefficients / np.bincount(products.ravel()))[products])


def linear_forms(
    left: FloatArray, right: FloatArray, coupling: FloatArray, axes: FloatArray, origin: FloatArray
) -> FloatArray:
    """Return the monomials of `quotient` of degree at most 1 in those of this module, of shape (13, 13).

    Parameters
    ----------
    left, right : ndarrays of shape (3, 3)
        The rotation of `quotient` is ``left R(q) right``.
    coupling, axes : ndarrays of shape (3, 3)
        Its vector is ``origin + coupling omega + axes zeta``, with ``omega = 2 q_0 (q_1, q_2, q_3)``.
    origin : ndarray of shape (3,)
        See there.
    """
    names = quaternion_monomials(1)
    number = {name: i for i, name in enumerate(names)}

    def pair(i: int, j: int) -> int:
        exponents = [0] * 7
        exponents[i] += 1
        exponents[j] += 1
        return number[tuple(exponents)]

    one, rotation, omega = np.zeros(N_LINEAR), np.zeros((3, 3, N_LINEAR)), np.zeros((3, N_LINEAR))
    for i in range(4):
        one[pair(i, i)] = 1.0
    for i in range(3):
        omega[i, pair(0, i + 1)] = 2.0
        for j in range(3):
            for first, second, sign in _ROTATION[i][j]:
                rotation[i, j, pair(first, second)] = sign
    zeta = np.eye(N_LINEAR)[-3:]
    entries = np.einsum("ia,abn,bj->jin", left, rotation, right).reshape(9, N_LINEAR)
    vector = origin[:, None] * one + coupling @ omega + axes @ zeta
    return np.concatenate([one[None], entries, vector])


def change_of_basis(forms: FloatArray, degree: int) -> FloatArray:
    """Return the monomials of `quotient` of degree at most `degree` in those of this module.

    Parameters
    ----------
    forms : ndarray of shape (13, 13)
        Those of degree at most 1, as `linear_forms` returns them.
    degree : int
        The degree, at most 4.

    Returns
    -------
    matrix : ndarray of shape (n, n)
        One of the monomials of `quotient` a row. Polynomials with coefficients c there have ``c @ matrix`` here.
    """
    matrix: FloatArray = np.ones((1, 1))
    names: list[Moment] = [((), ())]
    for step in range(degree):
        products = quaternion_products(1, step)
        wanted = [name for name in moments() if len(name[0]) + len(name[1]) <= step + 1]
        number = {name: i for i, name in enumerate(names)}
        # Every monomial is one of a degree less times a factor, which is 1 for those that are of this degree already.
        known, factor = np.array([_without_last(name, number) for name in wanted]).T
        extended = np.zeros((len(wanted), len(quaternion_monomials(step + 1))))
        for i in range(N_LINEAR):
            extended[:, products[i]] += forms[factor, i][:, None] * matrix[known]
        matrix, names = extended, wanted
    return matrix


def _without_last(name: Moment, number: dict[Moment, int]) -> tuple[int, int]:
    """Return the numbers of a monomial of lower degree and of a factor, among 1, the entries of R and those of tau."""
    rotation, offset = name
    if name in number:
        return number[name], 0
    if offset:
        return number[rotation, offset[:-1]], 10 + offset[-1]
    return number[rotation[:-1], offset], 1 + rotation[-1]
