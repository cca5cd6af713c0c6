"""What detectors say about images: centres of keypoints, and the shapes of the sets around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .heatmaps import heatmap_moments, heatmap_peaks

__all__ = ["Detections", "flat_keypoints", "read_affine", "read_detections"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: Semi-axes of sets, in pixels, are at least this long.
_SHORTEST = 1e-9
_SYMMETRIC = 1e-8
#: A matrix that takes images to heatmaps with a smaller determinant, over its squared norm, is singular.
_SINGULAR = 1e-12


@dataclass(frozen=True, eq=False)
class Detections:
    """Keypoints of some images one after another, with forms ``(y - c)' P (y - c)`` that the scores are made of.

    Attributes
    ----------
    centers : array of shape (m, 2)
        The points c.
    forms : array of shape (m, 2, 2)
        The matrices P.
    power : float
        The score of a keypoint is its form to this power.
    counts : array of shape (n_images,)
        Keypoints of each image.
    ragged : bool
        Whether images came as a list.
    """

    centers: FloatArray
    forms: FloatArray
    power: float
    counts: IntArray
    ragged: bool

    def image_scores(self, y: FloatArray) -> FloatArray:
        """Return the largest score of the keypoints of each image, for true keypoints of shape (m, 2)."""
        off = y - self.centers
        scores = np.maximum(np.einsum("mi,mij,mj->m", off, self.forms, off), 0.0) ** self.power
        first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        return np.asarray(np.maximum.reduceat(scores, first))

    def precisions(self, thresholds: FloatArray) -> FloatArray:
        """Return the matrices of the sets ``(y - c)' P (y - c) <= 1``, of shape (m, 2, 2), for a threshold an image."""
        q = np.repeat(thresholds, self.counts)
        largest = np.linalg.eigvalsh(self.forms)[:, 1]
        with np.errstate(over="ignore", divide="ignore"):
            factor = np.minimum(q ** (-1.0 / self.power), _SHORTEST**-2 / largest)
        return np.asarray(self.forms * factor[:, None, None])

    def in_image(self, affine: tuple[FloatArray, FloatArray] | None) -> Detections:
        """Return the same in image coordinates u, where ``A u + b`` are those of heatmaps.

        Raises
        ------
        ValueError
            If there is not one matrix an image.
        """
        if affine is None:
            return self
        A, b = affine
        if len(A) != self.counts.size:
            raise ValueError(f"affine holds {len(A)} matrices, but there are {self.counts.size} images.")
        A, b = np.repeat(A, self.counts, axis=0), np.repeat(b, self.counts, axis=0)
        centers: FloatArray = np.asarray(np.linalg.solve(A, (self.centers - b)[:, :, None])[:, :, 0], dtype=np.float64)
        return replace(self, centers=centers, forms=np.swapaxes(A, 1, 2) @ self.forms @ A)

    def by_image(self, values: FloatArray) -> Any:
        """Return values of keypoints as an array of shape (n_images, K, ...), or if images are a list as a list."""
        if self.ragged:
            return np.split(values, np.cumsum(self.counts)[:-1])
        return values.reshape(self.counts.size, -1, *values.shape[1:])


def read_detections(X: Any, kind: str, nonconformity: str, topk: int, cov_floor: float) -> Detections:
    """Read heatmaps, or points with or without covariances.

    Raises
    ------
    ValueError
        For bad data.
    """
    if kind == "points":
        return _read_points(X, nonconformity, cov_floor)
    ragged = isinstance(X, (list, tuple)) and len({np.shape(image) for image in X}) > 1
    if not ragged:
        X = np.asarray(X)
        if X.ndim != 4 or 0 in X.shape[:2]:
            raise ValueError(
                f"X has shape {X.shape}, but heatmaps must have shape (n_images, K, H, W), n_images, K >= 1."
            )
        counts = np.full(X.shape[0], X.shape[1])
        parts = [_read_heatmaps(X, nonconformity, topk, cov_floor)]
    else:
        counts, parts = np.array([len(image) for image in X]), []
        for i, image in enumerate(X):
            if np.ndim(image) != 3 or not len(image):
                raise ValueError(
                    f"X[{i}] has shape {np.shape(image)}, but heatmaps of an image must be (K, H, W), K >= 1."
                )
            try:
                parts.append(_read_heatmaps(image, nonconformity, topk, cov_floor))
            except ValueError as error:
                raise ValueError(f"X[{i}]: {error}") from error
    centers, forms = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return Detections(centers, forms, _power(nonconformity), counts, ragged)


def flat_keypoints(y: Any, counts: IntArray) -> FloatArray:
    """Return true keypoints as an array of shape (m, 2).

    Raises
    ------
    ValueError
        If their shapes are not those of the detections, or they are not finite.
    """
    images = _images(y, "y")
    if len(images) != counts.size:
        raise ValueError(f"y has {len(images)} images, but X has {counts.size}.")
    for i, (image, count) in enumerate(zip(images, counts, strict=True)):
        if image.shape != (count, 2):
            raise ValueError(
                f"y[{i}] has shape {image.shape}, but X[{i}] has {count} keypoints: it must be ({count}, 2)."
            )
    return _finite(np.concatenate(images), "y", counts)


def read_affine(affine: Any) -> tuple[FloatArray, FloatArray] | None:
    """Return the matrices A and the vectors b of affine maps.

    Raises
    ------
    ValueError
        For wrong shapes, entries that are not finite, and singular matrices.
    """
    if affine is None:
        return None
    maps = np.asarray(affine, dtype=np.float64)
    if maps.ndim != 3 or maps.shape[1:] != (2, 3):
        raise ValueError(f"affine has shape {maps.shape}, but must have shape (n_images, 2, 3).")
    if not np.all(np.isfinite(maps)):
        raise ValueError("affine holds NaN or infinity.")
    A = maps[:, :, :2]
    singular = np.flatnonzero(np.abs(np.linalg.det(A)) <= _SINGULAR * np.sum(A**2, axis=(1, 2)))
    if singular.size:
        raise ValueError(f"affine[{singular[0]}] is singular: it takes images to lines.")
    return A, maps[:, :, 2]


def _power(nonconformity: str) -> float:
    return 1.0 if nonconformity == "ellipse" else 0.5


def _read_heatmaps(heatmaps: Any, nonconformity: str, topk: int, cov_floor: float) -> tuple[FloatArray, FloatArray]:
    """Return centres and forms of heatmaps, of shapes (m, 2) and (m, 2, 2)."""
    if nonconformity == "ball":
        peaks, values = heatmap_peaks(heatmaps)
        return peaks.reshape(-1, 2), values.reshape(-1, 1, 1) ** 2 * np.eye(2)
    means, covariances = heatmap_moments(heatmaps, topk, cov_floor)
    return means.reshape(-1, 2), _forms(covariances.reshape(-1, 2, 2), nonconformity)


def _forms(covariances: FloatArray, nonconformity: str) -> FloatArray:
    if nonconformity == "ellipse":
        return np.asarray(np.linalg.inv(covariances), dtype=np.float64)
    return np.asarray(np.eye(2) / np.trace(covariances, axis1=1, axis2=2)[:, None, None])


def _read_points(X: Any, nonconformity: str, cov_floor: float) -> Detections:
    points, matrices = X if isinstance(X, tuple) and len(X) == 2 else (X, None)
    images = _images(points, "X")
    counts = np.array([len(image) for image in images])
    for i, image in enumerate(images):
        if image.ndim != 2 or image.shape[1] != 2 or not len(image):
            raise ValueError(f"X[{i}] has shape {image.shape}, but the points of an image must be (K, 2), K >= 1.")
    centers = _finite(np.concatenate(images), "X", counts)
    ragged = len(set(counts.tolist())) > 1
    if nonconformity == "ball":
        return Detections(centers, np.tile(np.eye(2), (len(centers), 1, 1)), 0.5, counts, ragged)
    if matrices is None:
        raise ValueError(
            f"nonconformity={nonconformity!r} needs covariances: pass X=(points, covariances), or use 'ball'."
        )
    given = _images(matrices, "covariances")
    for i, (image, count) in enumerate(zip(given, counts, strict=False)):
        if image.shape != (count, 2, 2):
            raise ValueError(f"The covariances of image {i} have shape {image.shape}, but must be ({count}, 2, 2).")
    if len(given) != counts.size:
        raise ValueError(f"There are covariances of {len(given)} images, but points of {counts.size}.")
    covariances = _finite(np.concatenate(given), "covariances", counts)
    off = np.abs(covariances[:, 0, 1] - covariances[:, 1, 0])
    values, vectors = np.linalg.eigh(0.5 * (covariances + np.swapaxes(covariances, 1, 2)))
    rounding = _SYMMETRIC * np.abs(covariances).max(axis=(1, 2))
    bad = np.flatnonzero((off > rounding) | (values[:, 0] < -rounding))
    if bad.size:
        raise ValueError(f"The covariance{_where(int(bad[0]), counts)} is not symmetric and positive semidefinite.")
    floored = (vectors * np.maximum(values, cov_floor)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return Detections(centers, _forms(floored, nonconformity), _power(nonconformity), counts, ragged)


def _images(values: Any, name: str) -> Sequence[FloatArray]:
    """Return an array, or a list of arrays, as one float64 array an image."""
    images = values if isinstance(values, (list, tuple)) else np.atleast_1d(np.asarray(values))
    if not len(images):
        raise ValueError(f"{name} holds no images: it must hold at least one.")
    try:
        return [np.asarray(image, dtype=np.float64) for image in images]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold one array of numbers an image: {error}") from error


def _finite(values: FloatArray, name: str, counts: IntArray) -> FloatArray:
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if bad.size:
        raise ValueError(f"{name} holds NaN or infinity{_where(int(bad[0]), counts)}.")
    return values


def _where(row: int, counts: IntArray) -> str:
    """Return in words which keypoint this is."""
    image = int(np.searchsorted(np.cumsum(counts), row, side="right"))
    return f" at image {image}, keypoint {row - int(counts[:image].sum())}"
