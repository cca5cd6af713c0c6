"""How the rows of y are laid out: as numbers, vectors, or keypoints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array, column_or_1d

__all__ = ["TargetLayout", "read_target"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TargetLayout:
    """The shape of a row of y, and of its blocks: the K keypoints, or the whole row as the only block.

    Attributes
    ----------
    shape : tuple of int
        What follows n_samples in the shape of y: ``()``, ``(p,)`` or ``(K, d)``.
    n_blocks, n_dims : int
        K and d; without keypoints 1 and the number of outputs.
    keypoints : bool
        Whether blocks are keypoints.
    """

    shape: tuple[int, ...]
    n_blocks: int
    n_dims: int
    keypoints: bool

    @property
    def centers_shape(self) -> tuple[int, ...]:
        """What follows n_samples in the shape of the centres of sets."""
        return (self.n_blocks, self.n_dims) if self.keypoints else self.shape

    def blocks(self, values: FloatArray) -> FloatArray:
        """Return rows as an array of shape (n_samples, n_blocks, n_dims)."""
        return values.reshape(values.shape[0], self.n_blocks, self.n_dims)

    def read(self, y: Any) -> FloatArray:
        """Validate a y for prediction; keypoints may be flat or not.

        Raises
        ------
        ValueError
            If it holds NaN or infinity, or has another shape.
        """
        values = _numbers(y)
        allowed = {self.shape, (1,)} if self.shape == () else {self.shape}
        if self.keypoints:
            allowed = {(self.n_blocks, self.n_dims), (self.n_blocks * self.n_dims,)}
        if values.shape[1:] not in allowed:
            wanted = " or ".join(str(("n", *shape)).replace("'n'", "n") for shape in sorted(allowed, key=len))
            raise ValueError(f"y has shape {values.shape}, but must have shape {wanted}, as in fit.")
        return values.reshape(values.shape[0], *self.shape)


def read_target(y: Any, n_keypoints: int | None, *, scalar: bool) -> tuple[FloatArray, TargetLayout]:
    """Validate the y of a fit and find out its layout.

    Parameters
    ----------
    y : array-like of shape (n_samples,), (n_samples, p) or (n_samples, K, d)
        Targets.
    n_keypoints : int or None
        K, for a flat y of shape (n_samples, K * d).
    scalar : bool
        Whether rows have to be numbers; a column is then flattened, with scikit-learn's warning.

    Raises
    ------
    ValueError
        For bad values and shapes.
    """
    values = _numbers(y)
    if scalar and values.ndim == 2 and values.shape[1] == 1:
        values = np.asarray(column_or_1d(values, warn=True))
    shape = values.shape[1:]
    if scalar and shape:
        raise ValueError(
            f"y has shape {values.shape}, but nonconformity='abs' and 'normalized' are for one output a row: "
            "use 'ellipse', 'box' or 'ball', whose sets hold all outputs at once."
        )
    if values.ndim > 3:
        raise ValueError(f"y has shape {values.shape}, but must have at most 3 dimensions: (n_samples, K, d).")
    if math.prod(shape) == 0:
        raise ValueError(f"y has shape {values.shape}: there is no output.")
    if n_keypoints is None:
        n_blocks, n_dims = shape if len(shape) == 2 else (1, math.prod(shape))
        return values, TargetLayout(shape, n_blocks, n_dims, keypoints=len(shape) == 2)
    if not shape or math.prod(shape) % n_keypoints or (len(shape) == 2 and shape[0] != n_keypoints):
        raise ValueError(
            f"y has shape {values.shape}, which does not fit n_keypoints={n_keypoints}: it must be "
            f"(n_samples, {n_keypoints}, d) or (n_samples, {n_keypoints} * d)."
        )
    return values, TargetLayout(shape, n_keypoints, math.prod(shape) // n_keypoints, keypoints=True)


def _numbers(y: Any) -> FloatArray:
    if y is None:
        raise ValueError("ConformalRegressor requires y to be passed, but the target y is None.")
    if type(y) is np.ndarray and y.dtype == np.float64 and y.size and math.isfinite(y.sum()):
        return y  # as check_array would say, in a tenth of its time
    values = check_array(
        y,
        ensure_2d=False,
        allow_nd=True,
        dtype=np.float64,
        ensure_min_features=0,
        input_name="y",
        estimator="ConformalRegressor",
    )
    return np.asarray(values)
