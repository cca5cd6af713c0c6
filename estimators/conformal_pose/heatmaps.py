"""Heatmaps of keypoint detectors: what is read off them before anything is calibrated.

A heatmap is cleaned in three steps: its minimum is subtracted, entries strictly below the median become 0, and the rest
is divided by its sum. Peaks and moments are those of the clean heatmap, in heatmap coordinates: x is the column, y the
row, and the centre of the pixel in row 0 and column 0 is (0.5, 0.5).
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ...solvers.pose_bound import heatmaps as backend

__all__ = ["clean_heatmap", "heatmap_moments", "heatmap_peaks"]

FloatArray = npt.NDArray[np.float64]


def _checked(heatmaps: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return heatmaps as an array, without a copy of one."""
    array = np.asarray(heatmaps)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"heatmaps has the dtype {array.dtype}: its entries must be real numbers.")
    if not 2 <= array.ndim <= 4:
        raise ValueError(
            f"heatmaps has shape {array.shape}: it must be (H, W) for one heatmap, (K, H, W) for one image or "
            f"(n_images, K, H, W)."
        )
    if 0 in array.shape[-2:]:
        raise ValueError(f"heatmaps has shape {array.shape}: height and width must be at least 1 pixel.")
    return array


def clean_heatmap(heatmaps: npt.ArrayLike) -> FloatArray:
    r"""Subtract the minimum of each heatmap, set what is below the median to 0, and divide by the sum.

    With the entries ``h_i`` of a heatmap, :math:`y_i = h_i - \min_j h_j` and their median m, the result is

    .. math:: z_i = \frac{y_i [y_i \ge m]}{\sum_j y_j [y_j \ge m]}

    All is computed in float64, whatever the data type, so that the result is exactly that of a float64 copy.

    Parameters
    ----------
    heatmaps : array-like of shape (H, W), (K, H, W) or (n_images, K, H, W)
        Heatmaps of any scale, one for each keypoint. Memory maps are read in blocks of images.

    Returns
    -------
    cleaned : ndarray of the same shape
        Entries from 0 to 1 that sum to 1 in each heatmap.

    Raises
    ------
    ValueError
        If `heatmaps` has another shape, is not real, or holds NaN, infinity or a constant heatmap; the message says at
        which image and keypoint.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023).

    Examples
    --------
    >>> from estimand.estimators.conformal_pose.heatmaps import clean_heatmap
    >>> clean_heatmap([[1, 2, 2], [5, 3, 1]]).round(3).tolist()
    [[0.0, 0.125, 0.125], [0.5, 0.25, 0.0]]
    """
    return backend.clean(_checked(heatmaps))


def heatmap_peaks(heatmaps: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Find the largest entry of each clean heatmap.

    Parameters
    ----------
    heatmaps : array-like of shape (H, W), (K, H, W) or (n_images, K, H, W)
        Heatmaps of any scale, one for each keypoint. Memory maps are read in blocks of images.

    Returns
    -------
    peaks : ndarray of shape (2,), (K, 2) or (n_images, K, 2)
        Centres ``(column + 0.5, row + 0.5)`` of the largest entries in heatmap pixels, the first in C order if there
        are several.
    values : ndarray of shape (), (K,) or (n_images, K)
        Their sizes after cleaning, in (0, 1].

    Raises
    ------
    ValueError
        If `heatmaps` has another shape, is not real, or holds NaN, infinity or a constant heatmap; the message says at
        which image and keypoint.

    See Also
    --------
    clean_heatmap : Says what cleaning is.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023).

    Examples
    --------
    >>> from estimand.estimators.conformal_pose.heatmaps import heatmap_peaks
    >>> peak, value = heatmap_peaks([[1, 2, 2], [5, 3, 1]])
    >>> peak.tolist(), float(value)
    ([0.5, 1.5], 0.5)
    """
    found, _, _ = backend.moments(_checked(heatmaps), 1)
    return found[..., :2].copy(), found[..., 2].copy()


def heatmap_moments(heatmaps: npt.ArrayLike, topk: int = 100, cov_floor: float = 1e-6) -> tuple[FloatArray, FloatArray]:
    r"""Find mean and covariance of the places of the largest entries of each clean heatmap.

    With the `topk` largest entries ``z_i`` of the clean heatmap, the first in C order among equal ones, and the centres
    ``x_i`` of their pixels, these are

    .. math::

        \mu = \sum_i v_i x_i, \qquad \Sigma = \sum_i v_i (x_i - \mu) (x_i - \mu)^T, \qquad v_i = z_i / \sum_j z_j

    where eigenvalues of the covariance that are below `cov_floor` are raised to it.

    Parameters
    ----------
    heatmaps : array-like of shape (H, W), (K, H, W) or (n_images, K, H, W)
        Heatmaps of any scale, one for each keypoint. Memory maps are read in blocks of images.
    topk : int, default=100
        Number of entries, at least 1. If there are fewer, or fewer are positive, all of these count.
    cov_floor : float, default=1e-6
        Least eigenvalue of the covariances in squared heatmap pixels, at least 0. With 0 they can be singular.

    Returns
    -------
    means : ndarray of shape (2,), (K, 2) or (n_images, K, 2)
        In heatmap pixels, columns before rows; the centre of the pixel in row 0 and column 0 is (0.5, 0.5).
    covariances : ndarray of shape (2, 2), (K, 2, 2) or (n_images, K, 2, 2)
        In squared heatmap pixels.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or if `heatmaps` has another shape, is not real, or holds NaN, infinity or a
        constant heatmap; the message says at which image and keypoint.

    See Also
    --------
    clean_heatmap : Says what cleaning is.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023).

    Examples
    --------
    >>> from estimand.estimators.conformal_pose.heatmaps import heatmap_moments
    >>> mean, covariance = heatmap_moments([[0, 0, 0, 0], [0, 2, 2, 0], [0, 0, 0, 0]])
    >>> mean.tolist(), covariance.tolist()
    ([2.0, 1.5], [[0.25, 0.0], [0.0, 1e-06]])
    """
    if not isinstance(topk, Integral) or isinstance(topk, bool) or topk < 1:
        raise ValueError(f"topk={topk!r} must be an integer of at least 1.")
    if not isinstance(cov_floor, Real) or not 0 <= cov_floor < np.inf:
        raise ValueError(f"cov_floor={cov_floor!r} must be finite and at least 0, in squared heatmap pixels.")
    _, means, covariances = backend.moments(_checked(heatmaps), int(topk))
    _raise_eigenvalues(covariances, float(cov_floor))
    return means, covariances


def _raise_eigenvalues(covariances: FloatArray, floor: float) -> None:
    """Raise eigenvalues of 2 x 2 matrices below `floor` to it, in place; the eigenvectors stay."""
    a, b, c = covariances[..., 0, 0], covariances[..., 0, 1], covariances[..., 1, 1]
    middle, half = (a + c) / 2, np.hypot((a - c) / 2, b)
    low = middle - half < floor
    if not np.any(low):
        return
    small, large = np.maximum(middle - half, floor), np.maximum(middle + half, floor)
    # Cosine and sine of twice the angle of the first eigenvector, of which a multiple of the identity has any.
    cosine = np.divide((a - c) / 2, half, out=np.ones_like(half), where=half > 0)
    sine = np.divide(b, half, out=np.zeros_like(half), where=half > 0)
    raised, excess = np.empty_like(covariances), (large - small) / 2
    raised[..., 0, 0], raised[..., 1, 1] = small + excess * (1 + cosine), small + excess * (1 - cosine)
    raised[..., 0, 1] = raised[..., 1, 0] = excess * sine
    covariances[low] = raised[low]
