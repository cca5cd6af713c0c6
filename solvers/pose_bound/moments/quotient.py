r"""Moments of poses up to the degree 4: polynomials in a rotation R and a vector tau, modulo those that vanish.

A monomial is a standard monomial in the entries of R times a monomial in tau. Moments are the values of a linear
functional at these; products of monomials reduce to them by a table of integers. What is asked of a functional, and
what is bounded with it, are other modules' business.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..validation import FloatArray
from .standard_monomials import MAX_DEGREE, Monomial, reductions

__all__ = [
    "N_BASIS",
    "N_LINEAR",
    "N_MOMENTS",
    "Moment",
    "ProductTable",
    "evaluate_moments",
    "localizing_map",
    "moments",
    "product_table",
    "quadratic_form_map",
]

#: Moments of the degrees up to 4, up to 2, and up to 1.
N_MOMENTS, N_BASIS, N_LINEAR = 742, 71, 13

#: A monomial in R and one in tau.
Moment = tuple[Monomial, Monomial]


@cache
def moments() -> tuple[Moment, ...]:
    """Return the 742 monomials in the order in which all arrays have them.

    They are ordered by their degree, then by that of their part in tau, then lexicographically: at first 1, then the
    nine entries of R column by column, then the three of tau. There are 13 of degree at most 1, and 71 of degree at
    most 2.

    Examples
    --------
    >>> from estimand.solvers.pose_bound.moments.quotient import moments
    >>> moments()[:3], moments()[12]
    ((((), ()), ((0,), ()), ((1,), ())), ((), (2,)))
    """
    standard = (m for m, terms in reductions().items() if terms == ((m, 1),))
    degrees = range(MAX_DEGREE + 1)
    offsets = [m for degree in degrees for m in combinations_with_replacement(range(3), degree)]
    pairs = [(r, t) for r in standard for t in offsets if len(r) + len(t) <= MAX_DEGREE]
    return tuple(sorted(pairs, key=lambda pair: (len(pair[0]) + len(pair[1]), len(pair[1]), pair)))


class ProductTable(NamedTuple):
    """Products of monomials: entry e adds ``coefficient[e]`` times the moment `target[e]` to one of them.

    Attributes
    ----------
    first, second : ndarrays of shape (n,), int32
        The numbers of the factors, first <= second: each product stands there once.
    target : ndarray of shape (n,), int32
        The number of a moment in it.
    coefficient : ndarray of shape (n,)
        Its coefficient, an integer.
    """

    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    coefficient: FloatArray


@cache
def product_table(size: int) -> ProductTable:
    """Return the products of the first `size` monomials, N_BASIS or N_LINEAR, with one another.

    Examples
    --------
    >>> from estimand.solvers.pose_bound.moments.quotient import N_BASIS, product_table
    >>> product_table(N_BASIS).target.size
    4172
    """
    names, table = moments(), reductions()
    number = {moment: i for i, moment in enumerate(names)}
    entries = []
    for i in range(size):
        for j in range(i, size):
            rotation, offset = (tuple(sorted(a + b)) for a, b in zip(names[i], names[j], strict=True))
            entries += [(i, j, number[standard, offset], c) for standard, c in table[rotation]]
    columns = np.array(entries).T
    first, second, target = np.ascontiguousarray(columns[:3], dtype=np.int32)
    return ProductTable(first, second, target, np.ascontiguousarray(columns[3], dtype=np.float64))


def evaluate_moments(R: FloatArray, tau: FloatArray, size: int = N_MOMENTS) -> FloatArray:
    """Return the values of the first `size` monomials at poses, one pose a row.

    Parameters
    ----------
    R, tau : ndarrays of shapes (m, 3, 3) and (m, 3)
        The poses.
    size : int, default=N_MOMENTS
        How many monomials.

    Returns
    -------
    values : ndarray of shape (m, size)
        The values.
    """
    entries, columns = np.swapaxes(R, 1, 2).reshape(-1, 9), np.empty((size, len(R)))
    known: dict[Moment, FloatArray] = {((), ()): np.ones(len(R))}
    # A standard monomial without its last factor is standard, or its multiples would not be.
    for i, (rotation, offset) in enumerate(moments()[:size]):
        if offset:
            known[rotation, offset] = known[rotation, offset[:-1]] * tau[:, offset[-1]]
        elif rotation:
            known[rotation, offset] = known[rotation[:-1], offset] * entries[:, rotation[-1]]
        columns[i] = known[rotation, offset]
    return np.ascontiguousarray(columns.T)


@cache
def quadratic_form_map(size: int) -> sparse.csr_array:
    """Return the sparse matrix from moments to the matrix of their products, of shape (size^2, moments).

    Its row ``size * i + j`` holds the product of the monomials i and j; the number of its columns is 742 for
    ``size=N_BASIS`` and 71 for ``size=N_LINEAR``.
    """
    first, second, target, coefficient = product_table(size)
    mirrored = first != second
    rows = np.concatenate([size * first + second, (size * second + first)[mirrored]])
    columns = np.concatenate([target, target[mirrored]])
    values = np.concatenate([coefficient, coefficient[mirrored]])
    shape = (size * size, N_MOMENTS if size == N_BASIS else N_BASIS)
    return sparse.csr_array((values, (rows, columns)), shape=shape)


def localizing_map(polynomial: FloatArray) -> sparse.csr_array:
    """Return the sparse matrix from moments to the matrix ``L(q m_i m_j)`` of a polynomial q of degree 2.

    Its row ``13 i + j`` is that of the monomials i and j of degree at most 1.

    Parameters
    ----------
    polynomial : ndarray of shape (71,)
        The coefficients of q.

    Returns
    -------
    entries : sparse array of shape (169, 742)
        The matrix.
    """
    weights = sparse.kron(sparse.csr_array(polynomial[None]), sparse.eye_array(N_BASIS), format="csr")
    return sparse.csr_array(quadratic_form_map(N_LINEAR) @ (weights @ quadratic_form_map(N_BASIS)))
