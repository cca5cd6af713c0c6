"""Prediction sets: boxes, balls and ellipsoids around predictions, and around all keypoints of a row at once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from ._nonconformity import Nonconformity
from ._unit_sets import log_ball_volume

__all__ = ["KeypointSets", "ScoreSets", "SetPrediction"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_KINDS = ("box", "ball", "ellipsoid")
_SYMMETRY = 1e-8
#: Relative error of a quadratic form that is taken for rounding.
_ROUNDING = 1e-12


class SetPrediction:
    r"""One set a row: a box, ball or ellipsoid, or one for each of K keypoints.

    The set around a centre c with precision matrix P holds the y for which

    .. math:: (y - c)' P (y - c) \le 1 \qquad\text{or, for a box,}\qquad \max_j P_{jj} (y_j - c_j)^2 \le 1 .

    With keypoints y is in the set if each keypoint is in its own. A matrix of zeros stands for the whole space.

    Parameters
    ----------
    centers : array-like of shape (n_samples,), (n_samples, d) or (n_samples, K, d)
        Centres, in the unit of y.
    precisions : array-like of shape (n_samples, d, d) or (n_samples, K, d, d)
        Symmetric matrices, positive definite or 0, in the inverse square of the unit of y; d is 1 for centres of shape
        (n_samples,). Boxes have diagonal matrices, balls multiples of the identity.
    kind : {"box", "ball", "ellipsoid"}
        The shape of the sets.

    Attributes
    ----------
    centers, precisions, kind
        As given, the arrays in float64.

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers that are not finite, and matrices that are neither symmetric positive
        definite nor 0, with the index of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import SetPrediction
    >>> sets = SetPrediction([[0.0, 0.0], [1.0, 1.0]], [np.diag([0.25, 1.0]), np.zeros((2, 2))], "ellipsoid")
    >>> sets.contains([[1.9, 0.0], [70.0, -70.0]])
    array([ True,  True])
    >>> sets.volume().round(4)
    array([6.2832,    inf])
    """

    def __init__(self, centers: npt.ArrayLike, precisions: npt.ArrayLike, kind: str) -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind={kind!r} must be one of {', '.join(map(repr, _KINDS))}.")
        self.centers = _finite(centers, "centers")
        self.kind = kind
        if self.centers.ndim not in (1, 2, 3):
            raise ValueError(f"centers has shape {self.centers.shape}, but must have 1, 2 or 3 dimensions.")
        self._precisions: FloatArray = _finite(precisions, "precisions")
        shape = self._block_shape
        wanted = (*(shape if self.centers.ndim == 3 else (shape[0], shape[2])), shape[2])
        if self._precisions.shape != wanted:
            raise ValueError(
                f"precisions has shape {self._precisions.shape}, but must have shape {wanted} for centers of shape "
                f"{self.centers.shape}: one matrix a set."
            )
        self._factors = _factors(self._precisions.reshape(*shape, shape[2]), kind, self.centers.ndim == 3)

    @property
    def precisions(self) -> FloatArray:
        """The matrices P, 0 where a set is the whole space."""
        return self._precisions

    @property
    def _block_shape(self) -> tuple[int, int, int]:
        """Return (n_samples, K, d)."""
        n, *row = self.centers.shape
        return (n, *([1] * (2 - len(row))), *row)  # type: ignore[return-value]

    def __len__(self) -> int:
        return int(self.centers.shape[0])

    def __repr__(self) -> str:
        return f"<{type(self).__name__.replace('ScoreSets', 'SetPrediction')}: {len(self)} sets, kind={self.kind!r}>"

    def contains(self, y: npt.ArrayLike) -> BoolArray:
        """Return for each row whether its set holds y.

        Parameters
        ----------
        y : array-like of the shape of `centers`
            One point, or one layout of keypoints, a row; keypoints may be flat, of shape (n_samples, K * d).

        Returns
        -------
        inside : ndarray of bool, shape (n_samples,)
            Membership; points on the boundary are inside, up to rounding.

        Raises
        ------
        ValueError
            If y has another shape or is not finite.
        """
        return np.asarray(np.all(self._forms(self._read(y)) <= 1 + _ROUNDING, axis=1))

    def half_widths(self) -> FloatArray:
        """Return half of the extent of the sets along each coordinate, of the shape of `centers`."""
        return self._block_half_widths().reshape(self.centers.shape)

    def bounding_box(self) -> FloatArray:
        """Return the ends of the smallest box around each set, of shape (``*centers.shape``, 2)."""
        half = self.half_widths()
        box = np.empty((*half.shape, 2))
        np.subtract(self.centers, half, out=box[..., 0])
        np.add(self.centers, half, out=box[..., 1])
        return box

    def log_volume(self) -> FloatArray:
        """Return the logarithms of the volumes; for keypoints of the product of their volumes.

        Returns
        -------
        log_volume : ndarray of shape (n_samples,)
            For one output the length of the interval counts. ``inf`` where a set is unbounded.
        """
        return np.asarray(self._block_log_volumes().sum(axis=1))

    def volume(self) -> FloatArray:
        """Return the volumes, of shape (n_samples,); see `log_volume`."""
        with np.errstate(over="ignore"):
            return np.exp(self.log_volume())

    def _read(self, y: npt.ArrayLike) -> FloatArray:
        values = _finite(y, "y")
        n, K, d = self._block_shape
        if values.shape != self.centers.shape and values.shape != (n, K * d):
            raise ValueError(
                f"y has shape {values.shape}, but must have the shape of the centres, {self.centers.shape}."
            )
        return values.reshape(n, K, d)

    def _forms(self, y: FloatArray) -> FloatArray:
        v = y - self.centers.reshape(self._block_shape)
        white = np.einsum("nkji,nkj->nki", self._factors, v)
        squares = np.square(white)
        return np.asarray(squares.max(axis=2) if self.kind == "box" else squares.sum(axis=2))

    def _block_half_widths(self) -> FloatArray:
        bounded = self._bounded
        safe = np.where(bounded[..., None, None], self._factors, np.eye(self._block_shape[2]))
        deviations = np.linalg.norm(np.linalg.inv(safe), axis=2)
        return np.where(bounded[..., None], deviations, np.inf)

    def _block_log_volumes(self) -> FloatArray:
        d = self._block_shape[2]
        unit = d * np.log(2.0) if self.kind == "box" else log_ball_volume(d)
        with np.errstate(divide="ignore"):
            return np.asarray(unit - np.log(np.diagonal(self._factors, axis1=2, axis2=3)).sum(axis=2))

    @property
    def _bounded(self) -> BoolArray:
        return np.asarray(self._factors[..., 0, 0] > 0)


class KeypointSets(SetPrediction):
    """Ellipses in the plane, one for each of K keypoints of a row.

    A row is inside if all its keypoints are in their ellipses ``(y - c)' P (y - c) <= 1``. A matrix of zeros stands for
    the whole plane.

    Parameters
    ----------
    centers : array-like of shape (n_samples, K, 2)
        Centres, in pixels.
    precisions : array-like of shape (n_samples, K, 2, 2)
        Symmetric matrices, positive definite or 0, in 1/px^2; ``I / r**2`` is a disc of radius r.

    Attributes
    ----------
    centers, precisions
        As given, in float64.

    Raises
    ------
    ValueError
        As in :class:`SetPrediction`, and if keypoints are not in the plane.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import KeypointSets
    >>> sets = KeypointSets([[[0.0, 0.0], [5.0, 5.0]]], [[np.eye(2), np.eye(2) / 4]])
    >>> sets.contains([[[0.5, 0.5], [5.0, 6.9]]])
    array([ True])
    >>> sets.areas().round(4)
    array([[ 3.1416, 12.5664]])
    """

    def __init__(self, centers: npt.ArrayLike, precisions: npt.ArrayLike) -> None:
        if np.ndim(centers) != 3 or np.shape(centers)[2] != 2:
            raise ValueError(f"centers has shape {np.shape(centers)}, but must have shape (n_samples, K, 2).")
        super().__init__(centers, precisions, "ellipsoid")

    def contains_keypoints(self, y: npt.ArrayLike) -> BoolArray:
        """Return for each keypoint whether its ellipse holds it, of shape (n_samples, K); `y` is as in `contains`."""
        return np.asarray(self._forms(self._read(y)) <= 1 + _ROUNDING)

    def log_areas(self) -> FloatArray:
        """Return the logarithms of the areas, of shape (n_samples, K)."""
        return self._block_log_volumes()

    def areas(self) -> FloatArray:
        """Return the areas, of shape (n_samples, K), ``inf`` where an ellipse is the whole plane."""
        with np.errstate(over="ignore"):
            return np.exp(self._block_log_volumes())


class ScoreSets(SetPrediction):
    """The sets of all y whose nonconformity is at most a threshold; membership is decided by the score itself.

    Parameters
    ----------
    predictions : ndarray of shape (n_samples, *layout.shape)
        Predictions.
    nonconformity : Nonconformity
        The score.
    thresholds : ndarray of shape (n_samples,)
        Thresholds, ``inf`` allowed.
    row_scales : ndarray of shape (n_samples,) or None
        Scales that the score of a row is divided by.
    """

    def __init__(
        self,
        predictions: FloatArray,
        nonconformity: Nonconformity,
        thresholds: FloatArray,
        row_scales: FloatArray | None,
    ) -> None:
        self.centers = predictions.reshape(predictions.shape[0], *nonconformity.layout.centers_shape)
        self.kind = "function" if nonconformity.unit is None else nonconformity.unit.kind
        self._predictions, self._nonconformity = predictions, nonconformity
        self._thresholds, self._row_scales = thresholds, row_scales

    @cached_property
    def _radii(self) -> FloatArray:
        return self._nonconformity.radii(self._thresholds, self._row_scales)

    @property
    def precisions(self) -> FloatArray:
        """The matrices P, 0 where a set is the whole space; where it is a point the diagonal is inf."""
        unit = self._nonconformity.shape("precisions").precisions()
        radii = self._radii[:, None, None, None]
        with np.errstate(over="ignore"):
            precisions = np.divide(unit, radii, out=np.zeros((len(self), *unit.shape)), where=radii > 0)
            np.divide(precisions, radii, out=precisions, where=radii > 0)
        np.copyto(precisions, np.inf, where=(radii == 0) & np.eye(unit.shape[-1], dtype=bool))
        return precisions if self._nonconformity.layout.keypoints else precisions[:, 0]

    def contains(self, y: npt.ArrayLike) -> BoolArray:
        """Return for each row whether its set holds y; points on the boundary are inside."""
        values = self._nonconformity.layout.read(y)
        if values.shape[0] != len(self):
            raise ValueError(f"y has {values.shape[0]} rows, but there are {len(self)} sets.")
        scores = self._nonconformity.score(values, self._predictions, self._row_scales)
        return np.asarray(scores <= self._thresholds)

    def half_widths(self) -> FloatArray:
        """Return half of the extent of the sets along each coordinate, of the shape of `centers`."""
        return self._nonconformity.half_widths(self._radii).reshape(self.centers.shape)

    def log_volume(self) -> FloatArray:
        """Return the logarithms of the volumes; for keypoints of the product of their volumes."""
        layout = self._nonconformity.layout
        unit = self._nonconformity.shape("volumes").log_volume()
        with np.errstate(divide="ignore"):
            return np.asarray(layout.n_blocks * layout.n_dims * np.log(self._radii) + unit)


def _finite(values: Any, name: str) -> FloatArray:
    return np.asarray(
        check_array(
            values,
            ensure_2d=False,
            allow_nd=True,
            dtype=np.float64,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    )


def _factors(precisions: FloatArray, kind: str, keypoints: bool) -> FloatArray:
    """Return lower triangular L with ``L L' = P``, 0 where P is 0.

    Raises
    ------
    ValueError
        If a matrix is not symmetric and positive definite, nor 0, or not of the form that `kind` asks for.
    """
    d = precisions.shape[-1]
    eye = np.eye(d)
    size = np.abs(precisions).max(axis=(2, 3), initial=0.0)

    def refuse(bad: BoolArray, what: str) -> None:
        if bad.any():
            n, k = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"precisions[{f'{n}, {k}' if keypoints else n}] is not {what}.")

    excess = np.abs(precisions - np.swapaxes(precisions, 2, 3)).max(axis=(2, 3), initial=0.0)
    refuse(excess > _SYMMETRY * size, "symmetric")
    diagonals = np.diagonal(precisions, axis1=2, axis2=3)
    if kind == "box":
        refuse(np.abs(precisions * (1 - eye)).max(axis=(2, 3), initial=0.0) > 0, "diagonal, as that of a box is")
    if kind == "ball":
        excess = np.abs(precisions - diagonals[..., :1, None] * eye).max(axis=(2, 3), initial=0.0)
        refuse(excess > _SYMMETRY * size, "a multiple of the identity, as that of a ball is")
    bounded = size > 0
    safe = np.where(bounded[..., None, None], precisions, eye)
    try:
        factors = np.linalg.cholesky(safe)
    except np.linalg.LinAlgError:
        # Which ones fail: those that have no factor when they are alone.
        refuse(np.array([[_singular(P) for P in row] for row in safe]), "positive definite (or all 0: the whole space)")
        raise
    return np.where(bounded[..., None, None], factors, 0.0)


def _singular(matrix: FloatArray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return True
    return False
