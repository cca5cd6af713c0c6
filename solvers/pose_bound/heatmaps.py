"""What is read off heatmaps, block by block, so that a memory map is never copied whole.

Finds out what the entries say: which of them are not finite, which heatmaps are constant. Shapes and parameters come
checked, and what the numbers mean for sets of keypoints is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cython_ext import _heatmap

__all__ = ["FloatArray", "clean", "moments"]

FloatArray = npt.NDArray[np.float64]

#: Entries of a block; the kernel returns within a few milliseconds.
_BLOCK = 1 << 18


def clean(heatmaps: npt.NDArray[Any]) -> FloatArray:
    """Return the clean heatmaps.

    Parameters
    ----------
    heatmaps : array of shape (H, W), (K, H, W) or (n, K, H, W)
        Real numbers; H and W are positive.

    Returns
    -------
    cleaned : array of the same shape
        Entries from 0 to 1 that sum to 1 in each heatmap.

    Raises
    ------
    ValueError
        If a heatmap is constant or holds NaN or infinity; the message says which.
    """
    cleaned = np.empty(heatmaps.shape)
    flat = cleaned.reshape(-1, *heatmaps.shape[-2:])
    for first, block in _blocks(heatmaps):
        summary = np.empty((len(block), 3))
        _heatmap.clean(block, summary, flat[first : first + len(block)])
        _refuse_constant(summary, first, heatmaps.shape)
    return cleaned


def moments(heatmaps: npt.NDArray[Any], topk: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the peak of each clean heatmap, and mean and covariance of the places of its largest entries.

    Parameters
    ----------
    heatmaps : array of shape (H, W), (K, H, W) or (n, K, H, W)
        Real numbers; H and W are positive.
    topk : int
        How many entries count, at least 1.

    Returns
    -------
    peaks : array of shape (..., 3)
        Column + 0.5, row + 0.5 and size of the first maximum.
    means, covariances : arrays of shape (..., 2) and (..., 2, 2)
        In pixels, columns before rows; the weights are the entries.

    Raises
    ------
    ValueError
        If a heatmap is constant or holds NaN or infinity; the message says which.
    """
    lead, (height, width) = heatmaps.shape[:-2], heatmaps.shape[-2:]
    n = int(np.prod(lead))
    peaks, means, covariances = np.empty((n, 3)), np.empty((n, 2)), np.empty((n, 2, 2))
    for first, block in _blocks(heatmaps):
        rows, summary = slice(first, first + len(block)), np.empty((len(block), 3))
        _heatmap.moments(block, min(topk, height * width), summary, peaks[rows], means[rows], covariances[rows])
        _refuse_constant(summary, first, heatmaps.shape)
    return peaks.reshape(*lead, 3), means.reshape(*lead, 2), covariances.reshape(*lead, 2, 2)


def _blocks(heatmaps: npt.NDArray[Any]) -> Iterator[tuple[int, FloatArray]]:
    """Yield parts of shape (m, H, W) as float64 in C order, and the number of heatmaps before each."""
    if heatmaps.size == 0:
        return
    images = heatmaps if heatmaps.ndim > 2 else heatmaps[np.newaxis]
    each, size = int(np.prod(images.shape[1:-2])), int(np.prod(images.shape[1:]))
    step = max(1, _BLOCK // size)
    for start in range(0, len(images), step):
        block = np.ascontiguousarray(images[start : start + step], dtype=np.float64)
        block = block.reshape(-1, *images.shape[-2:])
        finite = np.isfinite(block)
        if not finite.all():
            bad = int(np.argmin(finite.all(axis=(1, 2))))
            raise ValueError(
                f"heatmaps holds NaN or infinity{_where(start * each + bad, heatmaps.shape)}: every entry must be a "
                f"finite number."
            )
        yield start * each, block


def _refuse_constant(summary: FloatArray, first: int, shape: tuple[int, ...]) -> None:
    constant = np.flatnonzero(summary[:, 2] == 0)
    if constant.size:
        raise ValueError(
            f"heatmaps is constant{_where(first + int(constant[0]), shape)}: it does not say where the keypoint is. "
            f"Leave out images without an answer of the detector, or pass what it said before any threshold."
        )


def _where(number: int, shape: tuple[int, ...]) -> str:
    """Return in words where the heatmap of this number is."""
    if len(shape) == 2:
        return ""
    if len(shape) == 3:
        return f" at keypoint {number}"
    return f" at image {number // shape[1]}, keypoint {number % shape[1]}"
