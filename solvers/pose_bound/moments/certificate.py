r"""Upper bounds on a pose-bound problem that hold whatever was rounded, from approximate sums of squares.

With symmetric matrices X_0 of size 71 and X_b of size 13, the vector m of the monomials of degree at most 2 and the
vector n of those of degree at most 1, let

.. math:: r = f + m^T X_0 m + \sum_b q_b \, n^T X_b n

be reduced to standard monomials. Where the matrices are positive semidefinite and all ``q_b >= 0``, the objective f is
at most r, and that is at most its constant plus the absolute values of its other coefficients. Which matrices are good
ones is other modules' business.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ....cython_ext import _double_double
from ...threads import one_blas_thread
from ..cones import KeypointCones
from ..objectives import Kind
from ..validation import FloatArray
from .double_double import ROUNDING
from .pose_polynomials import PosePolynomials, pose_polynomials
from .quotient import N_BASIS, N_LINEAR, N_MOMENTS, product_table

__all__ = ["certified_bound", "pack_blocks", "residual", "safe_bound", "unpack_blocks"]

#: Eigenvalues are off by about this share of the largest.
_ROUNDED = 1e-15
#: Shifts of a matrix that are tried, each twice as far from its least eigenvalue as the one before.
_N_SHIFTS = 40
#: A Cholesky factor of A in twice the precision of a double proves that ``A + 2^-90 tr(A) I`` is semidefinite.
_FACTOR_ROUNDING = 2.0**-90
#: The sums of doubles at the end are off by less than this times the sum of the absolute values.
_SUMMATION = 1e-12


def safe_bound(
    cones: KeypointCones,
    R0: npt.ArrayLike,
    t0: npt.ArrayLike,
    max_distance: float,
    kind: Kind,
    blocks: npt.ArrayLike,
) -> float:
    r"""Upper bound on the largest distance of a set of poses from a centre, from any approximate sums of squares.

    The bound holds for every array of blocks, whatever method it comes from. Residuals are computed in twice the
    precision of a double; blocks are made symmetric; and ``X + eta I`` is proved to be semidefinite by its Cholesky
    factorisation, which costs ``eta tr S`` with a bound on the trace of the matrix S that the block multiplies. Where
    blocks are indefinite, that is also done with their projections, and the better bound returned.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    R0, t0 : array-likes of shapes (3, 3) and (3,)
        The centre.
    max_distance : float
        A radius T around t0 within which all translations of the set are known to lie.
    kind : {"rotation", "translation"}
        Whether ``||R - R_0||_F^2`` is bounded, or ``||t - t_0||^2``.
    blocks : array-like of shape (71^2 + (2 K + 1) 13^2,)
        The matrices, as `pack_blocks` stacks them.

    Returns
    -------
    bound : float
        The bound, in the unit of the objective, infinity where blocks hold NaN or infinity. It may be above 8, or above
        ``T^2``, which bound the objectives as well.

    Raises
    ------
    ValueError
        For another number of entries, and for centres and radii that `pose_polynomials` refuses.

    References
    ----------
    C. Jansson, D. Chaykin and C. Keil, "Rigorous error bounds for the optimal value in semidefinite programming", SIAM
    Journal on Numerical Analysis 46 (2007). S. M. Rump, "Verification of positive definiteness", BIT 46 (2006).

    Examples
    --------
    Without multipliers the bound is the sum of the absolute values of the coefficients of the objective:

    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.moments.certificate import safe_bound
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], np.tile(1e4 * np.eye(2), (3, 1, 1)), points)
    >>> blocks = np.zeros(71**2 + 7 * 13**2)
    >>> round(safe_bound(cones, np.eye(3), [0.0, 0.0, 1.0], 0.5, "rotation", blocks), 6)
    12.0
    """
    moment, localizers = unpack_blocks(blocks, cones.n_keypoints)
    return certified_bound(pose_polynomials(cones, R0, t0, max_distance, kind), moment, localizers)


def certified_bound(polynomials: PosePolynomials, moment: FloatArray, localizers: FloatArray) -> float:
    """Return the bound of `safe_bound` for polynomials, and blocks of shapes (71, 71) and (2K + 1, 13, 13)."""
    if not (np.all(np.isfinite(moment)) and np.all(np.isfinite(localizers))):
        return math.inf
    # Two threads are twenty times as slow as one with matrices as small as these.
    with np.errstate(over="ignore", invalid="ignore"), one_blas_thread():
        bound = _bound(polynomials, moment, localizers)
        projected = [_projection(block) for block in (moment, *localizers)]
        if any(block is not None for block in projected):
            # Which is better depends on whether eigenvalues are negative by rounding, or because blocks are no good.
            pairs = zip(projected, (moment, *localizers), strict=True)
            first, *others = (old if new is None else new for new, old in pairs)
            bound = min(bound, _bound(polynomials, first, np.array(others)))
    return bound


def _bound(polynomials: PosePolynomials, moment: FloatArray, localizers: FloatArray) -> float:
    eta, *shifts = (_shift(block) for block in (moment, *localizers))
    remainder = residual(polynomials, moment, localizers)
    # No monomial exceeds 1: that bounds the traces of the matrices m m^T and q n n^T.
    sizes = np.abs(polynomials.localizers[:, :, :2]).sum(axis=(1, 2))
    losses = N_BASIS * eta + N_LINEAR * float(sizes @ shifts)
    values, errors = np.abs(remainder[:, :2]).sum(axis=1), ROUNDING * remainder[:, 2]
    total = remainder[0, 0] + values[1:].sum() + errors.sum() + losses
    slack = _SUMMATION * (values.sum() + losses) + abs(remainder[0, 1])
    bound = float((total + slack) * polynomials.unit * (1.0 + math.copysign(1e-14, total)))
    return bound if math.isfinite(bound) else math.inf


def residual(polynomials: PosePolynomials, moment: FloatArray, localizers: FloatArray) -> FloatArray:
    """Return the coefficients of ``f + m^T X_0 m + sum_b q_b n^T X_b n``, numbers of twice the precision of a double.

    Parameters
    ----------
    polynomials : PosePolynomials
        The problem.
    moment, localizers : ndarrays of shapes (71, 71) and (2K + 1, 13, 13)
        The matrices, C-contiguous and symmetric.

    Returns
    -------
    coefficients : ndarray of shape (742, 3)
        The coefficients, as in `double_double`.
    """
    total = np.zeros((N_MOMENTS, 3))
    total[:N_BASIS] = polynomials.objective
    _double_double.add_form(*product_table(N_BASIS), moment, total)
    for q, block in zip(polynomials.localizers, localizers, strict=True):
        square = np.zeros((N_BASIS, 3))
        _double_double.add_form(*product_table(N_LINEAR), block, square)
        _double_double.add_products(*product_table(N_BASIS), q, square, 1.0, total)
    return total


def pack_blocks(moment: FloatArray, localizers: FloatArray) -> FloatArray:
    """Return blocks of shapes (71, 71) and (2K + 1, 13, 13) as one array of shape (71^2 + (2 K + 1) 13^2,)."""
    return np.concatenate([moment.ravel(), localizers.ravel()])


def unpack_blocks(blocks: npt.ArrayLike, n_keypoints: int) -> tuple[FloatArray, FloatArray]:
    """Return the two arrays that `pack_blocks` has joined, symmetric.

    Raises
    ------
    ValueError
        For another number of entries.
    """
    packed = np.asarray(blocks, dtype=np.float64)
    n_blocks = 2 * n_keypoints + 1
    wanted = N_BASIS**2 + n_blocks * N_LINEAR**2
    if packed.shape != (wanted,):
        raise ValueError(f"blocks has shape {packed.shape}, but must have shape ({wanted},) for {n_keypoints} points.")
    moment = packed[: N_BASIS**2].reshape(N_BASIS, N_BASIS)
    localizers = packed[N_BASIS**2 :].reshape(n_blocks, N_LINEAR, N_LINEAR)
    return 0.5 * moment + 0.5 * moment.T, 0.5 * localizers + 0.5 * np.swapaxes(localizers, 1, 2)


def _projection(matrix: FloatArray) -> FloatArray | None:
    """Return a matrix without its negative eigenvalues, or None if it has none beyond rounding."""
    values = np.linalg.eigvalsh(matrix)
    if values[0] >= -_ROUNDED * np.abs(values).max():
        return None
    values, vectors = np.linalg.eigh(matrix)  # seldom needed, and many times as slow
    projected = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return np.asarray(0.5 * (projected + projected.T))


def _shift(matrix: FloatArray) -> float:
    """Return an eta for which ``X + eta I`` is proved to be positive semidefinite."""
    if not matrix.any():
        return 0.0
    values = np.linalg.eigvalsh(matrix)
    size = float(np.abs(values).max())
    factor, shift = np.empty((*matrix.shape, 2)), 0.0
    for attempt in range(_N_SHIFTS):
        if _double_double.factors(matrix, shift, factor):
            return shift + _FACTOR_ROUNDING * (float(np.abs(matrix.diagonal()).sum()) + len(matrix) * shift)
        shift = max(-float(values[0]), 0.0) + 2.0**attempt * _ROUNDED * size
    return math.inf
