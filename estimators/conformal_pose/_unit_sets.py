"""The unit sets of the nonconformity scores: boxes, balls and ellipsoids of residuals whose score is at most 1.

A residual has K blocks of d coordinates; the score of a row is the largest of its blocks, so that a set holds all
blocks at once. Calibration and data live elsewhere.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.special import gammaln

__all__ = ["Ball", "Box", "Ellipsoid", "UnitSet", "log_ball_volume"]

FloatArray = npt.NDArray[np.float64]

#: Ridge of the correlations of residuals.
_RIDGE = 1e-9
_SAFE = (1e-100, 1e100)
#: Scales below this count as 0: their inverses overflow.
_TINY = 1e-290


class UnitSet(ABC):
    """A set of residuals, of which every threshold of the score makes a scaled copy."""

    kind: ClassVar[str]

    @abstractmethod
    def score(self, residuals: FloatArray) -> FloatArray:
        """Return the scores of residuals of shape (n, K, d), of shape (n,)."""

    @abstractmethod
    def half_widths(self) -> FloatArray:
        """Return half of the extent of the set along each coordinate, of shape (K, d)."""

    @abstractmethod
    def precisions(self) -> FloatArray:
        """Return the matrices P of the set, of shape (K, d, d)."""

    @abstractmethod
    def log_volume(self) -> float:
        """Return the logarithm of the volume, of all blocks together."""

    def radii(self, thresholds: FloatArray) -> FloatArray:
        """Return by how much a threshold of the score scales the set."""
        return thresholds


@dataclass(frozen=True, eq=False)
class Box(UnitSet):
    """The score ``max_j |r_j| / s_j``.

    Attributes
    ----------
    scales : ndarray of shape (K, d)
        The s_j, positive.
    """

    kind: ClassVar[str] = "box"
    scales: FloatArray

    @classmethod
    def from_residuals(cls, residuals: FloatArray) -> Box:
        """Take the median of ``|r_j|`` as s_j, and 1 where that is 0."""
        medians = np.median(np.abs(residuals), axis=0)
        return cls(np.where(medians > _TINY, medians, 1.0))

    def score(self, residuals: FloatArray) -> FloatArray:
        """Return the largest ratio of each row."""
        with np.errstate(over="ignore"):
            ratios = (np.abs(residuals) / self.scales).reshape(residuals.shape[0], -1)
        return ratios[:, 0] if ratios.shape[1] == 1 else np.asarray(ratios.max(axis=1))

    def half_widths(self) -> FloatArray:
        """Return the scales."""
        return self.scales

    def precisions(self) -> FloatArray:
        """Return ``diag(s_j ** -2)``."""
        with np.errstate(over="ignore"):
            diagonals = np.square(1 / self.scales)
        return np.where(np.eye(self.scales.shape[1]) > 0, diagonals[..., None], 0.0)

    def log_volume(self) -> float:
        """Return the sum of ``log(2 s_j)``."""
        return float(np.sum(np.log(2 * self.scales)))


@dataclass(frozen=True, eq=False)
class Ball(UnitSet):
    """The score ``max_k ||r_k||``.

    Attributes
    ----------
    n_blocks, n_dims : int
        K and d.
    """

    kind: ClassVar[str] = "ball"
    n_blocks: int
    n_dims: int

    def score(self, residuals: FloatArray) -> FloatArray:
        """Return the largest norm of each row."""
        return np.asarray(_norms(residuals).max(axis=1))

    def half_widths(self) -> FloatArray:
        """Return ones."""
        return np.ones((self.n_blocks, self.n_dims))

    def precisions(self) -> FloatArray:
        """Return identities."""
        return np.broadcast_to(np.eye(self.n_dims), (self.n_blocks, self.n_dims, self.n_dims))

    def log_volume(self) -> float:
        """Return the logarithm of the product of the volumes of K unit balls."""
        return self.n_blocks * log_ball_volume(self.n_dims)


@dataclass(frozen=True, eq=False)
class Ellipsoid(UnitSet):
    """The score ``max_k r_k' inv(Sigma_k) r_k``, a square: radii are roots of thresholds.

    Attributes
    ----------
    whitening : ndarray of shape (K, d, d)
        W_k with ``W_k' W_k = inv(Sigma_k)``, lower triangular.
    deviations : ndarray of shape (K, d)
        Roots of the diagonals of Sigma_k.
    """

    kind: ClassVar[str] = "ellipsoid"
    whitening: FloatArray
    deviations: FloatArray
    _log_volume: float = field(repr=False)

    @classmethod
    def from_residuals(cls, residuals: FloatArray) -> Ellipsoid:
        """Take the mean of ``r_k r_k'`` as Sigma_k, with a ridge that counts in the scale of each coordinate."""
        n, _, d = residuals.shape
        largest = np.abs(residuals).max(axis=0)
        unit = np.where(largest > _TINY, largest, 1.0)
        spread = np.sqrt(np.mean(np.square(residuals / unit), axis=0))
        scales = unit * np.where(largest > _TINY, spread, 1.0)
        blocks = np.moveaxis(residuals / scales, 1, 0)
        correlations = np.swapaxes(blocks, 1, 2) @ blocks / n
        diagonal = np.arange(d)
        # A coordinate without residuals has scale 1.
        correlations[:, diagonal, diagonal] = 1 + _RIDGE
        factors = np.linalg.cholesky(correlations)
        inverses = np.stack([solve_triangular(factor, np.eye(d), lower=True) for factor in factors])
        roots = factors[:, diagonal, diagonal]
        log_volume = factors.shape[0] * log_ball_volume(d) + float(np.sum(np.log(scales) + np.log(roots)))
        return cls(inverses / scales[:, None, :], scales * math.sqrt(1 + _RIDGE), log_volume)

    def score(self, residuals: FloatArray) -> FloatArray:
        """Return the largest squared Mahalanobis length of each row."""
        with np.errstate(over="ignore", invalid="ignore"):
            white = np.matmul(np.moveaxis(residuals, 1, 0), np.swapaxes(self.whitening, 1, 2))
            lengths = np.einsum("kni,kni->kn", white, white).max(axis=0)
        return np.asarray(lengths)

    def half_widths(self) -> FloatArray:
        """Return the deviations."""
        return self.deviations

    def precisions(self) -> FloatArray:
        """Return the inverses of Sigma_k."""
        return np.asarray(np.swapaxes(self.whitening, 1, 2) @ self.whitening)

    def log_volume(self) -> float:
        """Return the logarithm of the product of the volumes of K ellipsoids."""
        return self._log_volume

    def radii(self, thresholds: FloatArray) -> FloatArray:
        """Return the roots of the thresholds."""
        return np.sqrt(thresholds)


def log_ball_volume(n_dims: int) -> float:
    """Return the logarithm of the volume of the unit ball."""
    return n_dims / 2 * math.log(math.pi) - float(gammaln(n_dims / 2 + 1))


def _norms(vectors: FloatArray) -> FloatArray:
    """Return Euclidean norms along the last axis, scaled by a power of two where squares would under- or overflow."""
    largest = float(np.abs(vectors).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest) or _SAFE[0] <= largest <= _SAFE[1]:
        return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))
    exponent = math.frexp(largest)[1]
    scaled = np.ldexp(vectors, -exponent)
    return np.asarray(np.ldexp(np.sqrt(np.einsum("...i,...i->...", scaled, scaled)), exponent))
