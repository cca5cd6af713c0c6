"""Rotations of space as 3 x 3 matrices: distances, means, charts and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from .validation import FloatArray, check_rotations, finite_array

__all__ = [
    "chordal_mean",
    "exponential_map",
    "logarithmic_map",
    "nearest_rotation",
    "random_rotations",
    "rotation_angle",
]


def rotation_angle(R1: npt.ArrayLike, R2: npt.ArrayLike, degrees: bool = True) -> Any:
    r"""Angle of the rotation that takes one rotation to another.

    .. math:: \theta = 2 \arcsin\left(\|R_1 - R_2\|_F / \sqrt 8\right) \in [0, \pi]

    Above 90 degrees, where the arcsine loses digits, it is computed as ``pi - arcsin(||R - R^T||_F / sqrt 8)`` with
    ``R = R_1^T R_2``: the same for rotations, and accurate up to 180 degrees.

    Parameters
    ----------
    R1, R2 : array-like of shape (3, 3) or (..., 3, 3)
        Rotations, whose leading axes broadcast against each other.
    degrees : bool, default=True
        Whether to return degrees, otherwise radians.

    Returns
    -------
    angle : float or ndarray
        A float for two matrices, otherwise an array of the leading axes.

    Raises
    ------
    ValueError
        If the last two axes are not of length 3, or the others do not broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import rotation_angle
    >>> rotation_angle(np.eye(3), np.diag([-1.0, -1.0, 1.0]))
    180.0
    """
    first, second = np.asarray(R1, dtype=np.float64), np.asarray(R2, dtype=np.float64)
    for name, array in (("R1", first), ("R2", second)):
        if array.shape[-2:] != (3, 3):
            raise ValueError(f"{name} has shape {array.shape}, but the last two axes of rotations have length 3.")
    try:
        chord = np.linalg.norm(first - second, axis=(-2, -1)) / np.sqrt(8.0)
    except ValueError:
        raise ValueError(f"R1 and R2 have shapes {first.shape} and {second.shape}, which do not broadcast.") from None
    between = np.swapaxes(first, -2, -1) @ second
    skew = np.linalg.norm(between - np.swapaxes(between, -2, -1), axis=(-2, -1)) / np.sqrt(8.0)
    angle = np.where(
        chord <= np.sqrt(0.5), 2.0 * np.arcsin(np.minimum(chord, 1.0)), np.pi - np.arcsin(np.minimum(skew, 1.0))
    )
    angle = np.degrees(angle) if degrees else angle
    return float(angle) if angle.ndim == 0 else angle


def nearest_rotation(matrices: npt.ArrayLike) -> FloatArray:
    r"""Rotation that is nearest to a matrix in the Frobenius norm.

    .. math:: \arg\max_{R \in SO(3)} \mathrm{tr}(R^T A) = U \,\mathrm{diag}(1, 1, \det(U V^T))\, V^T

    with the singular value decomposition ``A = U S V^T``. It is unique unless the two smallest singular values are
    equal and ``det A <= 0``, or both are 0; then it is one of several.

    Parameters
    ----------
    matrices : array-like of shape (3, 3) or (..., 3, 3)
        Finite matrices.

    Returns
    -------
    rotations : ndarray of the same shape
        Rotations.

    Raises
    ------
    ValueError
        For other shapes, and for entries that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import nearest_rotation
    >>> nearest_rotation(2.0 * np.eye(3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    shape = np.shape(matrices)
    if shape[-2:] != (3, 3):
        raise ValueError(f"matrices has shape {shape}, but the last two axes must have length 3.")
    stacked = finite_array(np.reshape(np.asarray(matrices), (-1, 3, 3)), "matrices", ("m", 3, 3))
    U, _, V = np.linalg.svd(stacked)
    U[:, :, 2] *= np.sign(np.linalg.det(U @ V))[:, None]
    return np.asarray((U @ V).reshape(shape))


def chordal_mean(rotations: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> FloatArray:
    r"""Mean rotation in the chordal metric.

    .. math:: \arg\min_{R \in SO(3)} \sum_i w_i \|R - R_i\|_F^2

    which is the rotation that is nearest to ``sum_i w_i R_i``. For any rotations ``A`` and ``B`` the mean of
    ``A R_i B`` is ``A R B``.

    Parameters
    ----------
    rotations : array-like of shape (m, 3, 3)
        Rotations.
    weights : array-like of shape (m,) or None, default=None
        Weights, nonnegative and not all 0. None: all 1.

    Returns
    -------
    mean : ndarray of shape (3, 3)
        The mean. Rotations that are spread all over may have more than one, then it is one of these.

    Raises
    ------
    ValueError
        If there are no rotations, some matrices are none, or weights are negative, all 0, or of another number.

    References
    ----------
    R. Hartley, J. Trumpf, Y. Dai and H. Li, "Rotation averaging", International Journal of Computer Vision 103 (2013),
    section 5.3.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import chordal_mean, exponential_map
    >>> turns = exponential_map([[0.0, 0.0, 0.1], [0.0, 0.0, 0.3]])
    >>> bool(np.allclose(chordal_mean(turns), exponential_map([0.0, 0.0, 0.2])))
    True
    """
    stacked = finite_array(rotations, "rotations", ("m", 3, 3))
    if not stacked.shape[0]:
        raise ValueError("rotations is empty: a mean needs at least one rotation.")
    check_rotations(stacked, "rotations")
    if weights is None:
        return nearest_rotation(stacked.sum(axis=0))
    checked = finite_array(weights, "weights", (stacked.shape[0],))
    if checked.min() < 0 or not checked.max() > 0:
        raise ValueError(f"weights lie in [{checked.min():g}, {checked.max():g}]: none may be negative, nor all 0.")
    return nearest_rotation(np.einsum("i,ijk->jk", checked / checked.max(), stacked))


def exponential_map(rotation_vectors: npt.ArrayLike) -> FloatArray:
    r"""Rotation about the direction of a vector, by its length in radians.

    .. math:: \exp([w]_\times), \qquad [w]_\times v = w \times v

    Parameters
    ----------
    rotation_vectors : array-like of shape (3,) or (..., 3)
        Finite vectors.

    Returns
    -------
    rotations : ndarray of shape (3, 3) or (..., 3, 3)
        Rotations.

    Raises
    ------
    ValueError
        For other shapes, and for entries that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import exponential_map
    >>> exponential_map([0.0, 0.0, np.pi / 2]).round(12).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    shape = np.shape(rotation_vectors)
    if shape[-1:] != (3,):
        raise ValueError(f"rotation_vectors has shape {shape}, but the last axis must have length 3.")
    stacked = finite_array(np.reshape(np.asarray(rotation_vectors), (-1, 3)), "rotation_vectors", ("m", 3))
    return np.asarray(Rotation.from_rotvec(stacked).as_matrix().reshape(*shape, 3))


def logarithmic_map(rotations: npt.ArrayLike) -> FloatArray:
    """Rotation vector of at most the length pi that `exponential_map` takes to a rotation.

    Parameters
    ----------
    rotations : array-like of shape (3, 3) or (..., 3, 3)
        Rotations.

    Returns
    -------
    rotation_vectors : ndarray of shape (3,) or (..., 3)
        The vectors; of the two for a rotation by 180 degrees it is one.

    Raises
    ------
    ValueError
        For other shapes, and for matrices that are no rotations.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import logarithmic_map
    >>> logarithmic_map([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).round(6).tolist()
    [0.0, 0.0, 1.570796]
    """
    shape = np.shape(rotations)
    if shape[-2:] != (3, 3):
        raise ValueError(f"rotations has shape {shape}, but the last two axes must have length 3.")
    stacked = finite_array(np.reshape(np.asarray(rotations), (-1, 3, 3)), "rotations", ("m", 3, 3))
    check_rotations(stacked, "rotations")
    return np.asarray(Rotation.from_matrix(stacked).as_rotvec().reshape(shape[:-1]))


def random_rotations(n: int, rng: np.random.Generator) -> FloatArray:
    """Uniformly distributed rotations, from normalised Gaussian quaternions.

    Parameters
    ----------
    n : int
        Their number, at least 0.
    rng : numpy.random.Generator
        Where the random numbers come from.

    Returns
    -------
    rotations : ndarray of shape (n, 3, 3)
        Rotations.

    References
    ----------
    K. Shoemake, "Uniform random rotations", Graphics Gems III (1992).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.rotations import random_rotations
    >>> random_rotations(2, np.random.default_rng(0)).shape
    (2, 3, 3)
    """
    if n == 0:
        return np.empty((0, 3, 3))
    return np.asarray(Rotation.from_quat(rng.standard_normal((n, 4))).as_matrix())
