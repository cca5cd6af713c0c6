r"""The relaxation of order 1 of pose-bound problems, by Shor: small and loose, a first bound and a yardstick.

A functional on polynomials of degree 2 takes the place of the pose: its matrix of size 13 is positive semidefinite, the
polynomials that are nonnegative on the set have nonnegative values, and so has every cone ``||M_k s|| <= b_k^T s``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cones import KeypointCones
from ..objectives import Kind
from ..validation import FloatArray
from .certificate import certified_bound, residual
from .conic_lmi import QuaternionMoments, bounded, run_task
from .double_double import exact, plus, times
from .pose_polynomials import PosePolynomials, pose_polynomials
from .quotient import N_BASIS, N_LINEAR
from .relaxation import MomentBound, MomentRelaxation

__all__ = ["safe_shor_bound", "shor_bound"]

#: The least eigenvalue of multipliers that are exact: more than what conic solvers are off.
_MARGIN = 1e-6
#: Constants that approximate multipliers are completed for, over the optimal value: the least that they prove counts.
_CONSTANTS = (1.0, 1.0 + 1e-6, 1.0 + 1e-4, 1.01)


def safe_shor_bound(
    cones: KeypointCones,
    R0: npt.ArrayLike,
    t0: npt.ArrayLike,
    max_distance: float,
    kind: Kind,
    multipliers: npt.ArrayLike,
) -> float:
    """Upper bound on a pose-bound problem from any approximate multipliers of the relaxation of order 1.

    It holds for every array, and is computed as `certificate.safe_bound` is; multipliers of inequalities and
    cones are projected first.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    R0, t0 : array-likes of shapes (3, 3) and (3,)
        The centre.
    max_distance : float
        A radius around t0 within which all translations of the set are known to lie.
    kind : {"rotation", "translation"}
        Whether ``||R - R_0||_F^2`` is bounded, or ``||t - t_0||^2``.
    multipliers : array-like of shape (13^2 + 2 K + 1 + 3 K,)
        The matrix Z, in monomials of degree at most 1; a multiplier for each localizing polynomial; and for each cone
        three, of the rows of ``M_k s`` and of ``b_k^T s``.

    Returns
    -------
    bound : float
        The bound, infinity where multipliers are NaN or infinite.

    Raises
    ------
    ValueError
        For another number of multipliers, and for centres and radii that `pose_polynomials` refuses.
    """
    packed = np.asarray(multipliers, dtype=np.float64)
    K = cones.n_keypoints
    wanted = N_LINEAR**2 + 2 * K + 1 + 3 * K
    if packed.shape != (wanted,):
        raise ValueError(f"multipliers has shape {packed.shape}, but must have shape ({wanted},) for {K} points.")
    polynomials = pose_polynomials(cones, R0, t0, max_distance, kind)
    if not np.all(np.isfinite(packed)):
        return math.inf
    Z, weights, directions = np.split(packed, [N_LINEAR**2, N_LINEAR**2 + 2 * K + 1])
    return _certified(polynomials, Z.reshape(N_LINEAR, N_LINEAR), weights, directions.reshape(K, 3))


def _certified(polynomials: PosePolynomials, Z: FloatArray, weights: FloatArray, directions: FloatArray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return certified_bound(*_as_moment_certificate(polynomials, Z, weights, directions))


def _as_moment_certificate(
    polynomials: PosePolynomials, Z: FloatArray, weights: FloatArray, directions: FloatArray
) -> tuple[PosePolynomials, FloatArray, FloatArray]:
    """Return multipliers as blocks of a moment certificate, for a problem with one more polynomial for each cone.

    With u and v >= ||u|| the linear form ``u^T M_k s + v b_k^T s`` is nonnegative on the set.
    """
    cone = directions.copy()
    cone[:, 2] = np.maximum(cone[:, 2], np.linalg.norm(cone[:, :2], axis=1) * (1.0 + 1e-15))
    extra = np.zeros((len(cone), N_BASIS, 3))
    for row in range(3):
        product = times(exact(cone[:, row])[:, None], polynomials.forms[:, row])
        extra[:, :N_LINEAR] = plus(extra[:, :N_LINEAR], product)
    extended = replace(polynomials, localizers=np.concatenate([polynomials.localizers, extra]))
    moment = np.zeros((N_BASIS, N_BASIS))
    moment[:N_LINEAR, :N_LINEAR] = 0.5 * (Z + Z.T)
    localizers = np.zeros((len(extended.localizers), N_LINEAR, N_LINEAR))
    localizers[:, 0, 0] = np.concatenate([np.maximum(weights, 0.0), np.ones(len(cone))])
    return extended, moment, localizers


def shor_bound(
    relaxation: MomentRelaxation, run: Callable[[Any], int], *, second_order_cones: bool = True
) -> tuple[MomentBound, int]:
    """Solve the relaxation of order 1 with a solver of cvxpy.

    Parameters
    ----------
    relaxation : MomentRelaxation
        The problem.
    run : callable
        Solves a problem of cvxpy, and returns the number of iterations.
    second_order_cones : bool, default=True
        Whether means of poses have to be in the cones of the keypoints. Without, the relaxation is never tighter than
        that of order 2.

    Returns
    -------
    bound : MomentBound
        A bound that holds however accurate the conic solver was. Its `blocks` are what `safe_shor_bound` takes as
        multipliers.
    n_iter : int
        The number of iterations.

    Raises
    ------
    SolverError
        If the conic solver finds no moments, or no multipliers.
    InfeasibleProblemError
        If the bound proves that the set is empty.

    References
    ----------
    N. Z. Shor, "Quadratic optimization problems", Soviet Journal of Computer and Systems Sciences 25 (1987).
    """
    import cvxpy as cp

    moments = QuaternionMoments(relaxation, 2)
    polynomials = relaxation.polynomials
    K = relaxation.cones.n_keypoints
    second_moments = moments.matrix(1)
    matrix, inequalities = second_moments >> 0, moments.polynomials @ moments.variable >= 0
    constraints = [matrix, inequalities]
    forms = np.zeros((3, K, N_BASIS))
    forms[:, :, :N_LINEAR] = np.swapaxes(polynomials.forms[..., 0], 0, 1)
    rows = moments.basis.coefficients(forms, 2)
    sizes = np.abs(rows).max(axis=(0, 2))
    if second_order_cones:
        scaled = rows / sizes[:, None]
        reach = cp.vstack([scaled[0] @ moments.variable, scaled[1] @ moments.variable])
        constraints.append(cp.SOC(scaled[2] @ moments.variable, reach, axis=0))
    task = moments.task([second_moments], constraints, _MARGIN)
    n_iter = run_task(task, run)
    dual = np.asarray(matrix.dual_value) + _MARGIN * np.eye(N_LINEAR)
    Z = moments.basis.to_monomials(moments.unit * dual, 1)
    weights = moments.unit * np.asarray(inequalities.dual_value) / moments.scales
    directions = np.zeros((K, 3))
    if second_order_cones:
        depth, along = constraints[-1].dual_value
        directions = moments.unit * np.concatenate([np.reshape(along, (2, K)), np.reshape(depth, (1, K))]).T
        directions /= sizes[:, None]
    constants = (factor * float(task.value) * moments.unit for factor in _CONSTANTS)
    proofs = [_close(moments, polynomials, (Z, weights, directions), constant) for constant in constants]
    bound, best = min(((_certified(polynomials, Z, weights, directions), Z) for Z in proofs), key=itemgetter(0))
    multipliers = np.concatenate([best.ravel(), weights, directions.ravel()])
    return bounded(relaxation, bound, moments.value * moments.unit * polynomials.unit, multipliers), n_iter


def _close(
    moments: QuaternionMoments,
    polynomials: PosePolynomials,
    multipliers: tuple[FloatArray, FloatArray, FloatArray],
    constant: float,
) -> FloatArray:
    """Return the matrix Z with what the multipliers leave of the equations moved into it."""
    Z, weights, directions = multipliers
    for _ in range(2):
        remainder = residual(*_as_moment_certificate(polynomials, Z, weights, directions))[:N_BASIS, 0]
        remainder[0] -= constant
        Z = Z + moments.basis.absorb(remainder, 1)
        Z = 0.5 * (Z + Z.T)
    return Z
