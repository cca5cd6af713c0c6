"""Heatmaps of keypoints, and what is concluded from them."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ._axes import axes_or_new, check_count, checked_indices
from ._sets import (
    PlaneSets,
    checked_alpha,
    draw_points,
    draw_sets,
    finite_array,
    halo,
    legend_below,
    predicted_sets,
    set_label,
)

__all__ = ["HeatmapDisplay"]

FloatArray = npt.NDArray[np.float64]

_SCALES = ("heatmap", "common")
#: Between heatmaps, as a share of their larger side.
_GAP = 0.06
#: Of the larger side of a heatmap in a new figure, and of that of all of them together at most.
_INCHES, _LARGEST = 2.2, 12.0
#: Width and height in inches of a new figure that leave room for a legend.
_SMALLEST = (5.0, 2.5)


class HeatmapDisplay:
    """Heatmaps of the keypoints of an image side by side, with the outlines of their sets.

    The set of keypoint k are the points y with ``(y - c_k)' P_k (y - c_k) <= 1``. :meth:`from_estimator` draws those of
    a fitted :class:`estimand.ConformalKeypointDetector`. Outlines are cut off at the borders of the heatmaps.

    Parameters
    ----------
    heatmaps : array-like of shape (K, height, width)
        One for each keypoint.
    centers : array-like of shape (K, 2)
        The centres ``c_k`` in heatmap pixels: x is the column, y the row, and the centre of the first pixel is
        (0.5, 0.5).
    precisions : array-like of shape (K, 2, 2)
        The matrices ``P_k``, in 1/px^2; ``I / r**2`` is a disc of radius r, and 0 the whole plane.
    keypoints : array-like of shape (K, 2) or None, default=None
        True keypoints, in heatmap pixels. None: they are not known.
    indices : array-like of int or None, default=None
        Numbers of the keypoints to draw, in this order. None: all of them.
    alpha : float or None, default=None
        Miscoverage level of the sets, for the legend.

    Attributes
    ----------
    semi_axes : ndarray of shape (K, 2)
        Of the sets, in pixels, the longer one first; inf for the whole plane.
    angles : ndarray of shape (K,)
        From the columns' to the rows' direction by which the longer axis is turned, in degrees from 0 to 180.
    inside : ndarray of bool, of shape (K,), or None
        Which true keypoints are in their sets.
    images_ : list of matplotlib AxesImage
        The heatmaps that are drawn, after :meth:`plot`.
    ellipses_ : list of matplotlib Ellipse or None
        Their sets; None for the whole plane.
    centers_ : matplotlib Line2D
        Their centres; NaN for one beyond the border of its heatmap.
    keypoints_, missed_ : matplotlib Line2D or None
        True keypoints in their sets, and those that are not. One beyond the border of its heatmap is drawn on it.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If shapes do not match, numbers of the sets are not finite, a matrix is neither symmetric and positive definite
        nor 0, or there are no such keypoints as `indices` names.

    See Also
    --------
    KeypointSetsDisplay : The sets in the image.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.displays import HeatmapDisplay
    >>> y, x = np.mgrid[:32, :32] + 0.5
    >>> heatmap = np.exp(-((x - 12) ** 2) / 50 - (y - 20) ** 2 / 8)
    >>> display = HeatmapDisplay([heatmap], [[12, 20]], [np.diag([1 / 10**2, 1 / 4**2])], keypoints=[[13, 25]])
    >>> display.semi_axes, display.inside
    (array([[10.,  4.]]), array([False]))

    ``display.plot()`` draws it, and ``HeatmapDisplay.from_estimator(detector, heatmaps)`` does all of this for a
    detector.
    """

    heatmaps: npt.NDArray[Any]
    centers: FloatArray
    precisions: FloatArray
    keypoints: FloatArray | None
    indices: npt.NDArray[np.intp]
    semi_axes: FloatArray
    angles: FloatArray
    inside: npt.NDArray[np.bool_] | None
    images_: list[Any]
    ellipses_: list[Any]
    centers_: Any
    keypoints_: Any
    missed_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        heatmaps: npt.ArrayLike,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        indices: npt.ArrayLike | None = None,
        alpha: float | None = None,
    ) -> None:
        self.heatmaps, self.alpha = np.asarray(heatmaps), checked_alpha(alpha)
        if self.heatmaps.ndim != 3 or self.heatmaps.size == 0 or self.heatmaps.dtype.kind not in "buif":
            raise ValueError(
                f"heatmaps has shape {self.heatmaps.shape} and type {self.heatmaps.dtype}, it must be numbers of shape "
                "(K, height, width), not empty."
            )
        n_keypoints = len(self.heatmaps)
        self._sets = PlaneSets.checked(centers, precisions, n_keypoints)
        self.centers, self.precisions, self.semi_axes, self.angles = self._sets
        self.keypoints = None if keypoints is None else finite_array(keypoints, "keypoints", (n_keypoints, 2))
        self.inside = None if self.keypoints is None else self._sets.contain(self.keypoints)
        self.indices = checked_indices(indices, n_keypoints, "the keypoints")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        heatmaps: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        alpha: float | None = None,
        group: Any = None,
        indices: npt.ArrayLike | None = None,
        n_columns: int | None = None,
        scale: str = "heatmap",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> HeatmapDisplay:
        """Draw heatmaps of one image with the sets that a fitted detector predicts.

        Parameters
        ----------
        estimator : object
            A fitted :class:`estimand.ConformalKeypointDetector` of heatmaps, or a search over one.
        heatmaps : array-like of shape (K, height, width)
            Those of one image.
        keypoints : array-like of shape (K, 2) or None, default=None
            True keypoints, in heatmap pixels.
        alpha : float or None, default=None
            Miscoverage level of the sets. None: that of the detector.
        group : object or None, default=None
            Label of the image, such as the class of the object, if the detector was calibrated with groups.
        indices : array-like of int or None, default=None
            Numbers of the keypoints to draw, in this order. None: all of them.
        n_columns : int or None, default=None
            Heatmaps in a row, see :meth:`plot`.
        scale : {"heatmap", "common"}, default="heatmap"
            What white and black stand for, see :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to the outlines, matplotlib Ellipses.

        Returns
        -------
        display : HeatmapDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` has no ``predict_set``.
        ValueError
            If shapes do not match, or the detector refuses the heatmaps, `alpha` or `group`.
        sklearn.exceptions.NotFittedError
            If the detector is not fitted.
        """
        centers, precisions, level = predicted_sets(estimator, heatmaps, alpha, group)
        display = cls(heatmaps, centers, precisions, keypoints, indices=indices, alpha=level)
        return display.plot(ax, n_columns=n_columns, scale=scale, name=name, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        heatmaps: npt.ArrayLike,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        indices: npt.ArrayLike | None = None,
        alpha: float | None = None,
        n_columns: int | None = None,
        scale: str = "heatmap",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> HeatmapDisplay:
        """Draw heatmaps of one image with given sets.

        Parameters
        ----------
        heatmaps, centers, precisions, keypoints, indices, alpha
            As in the constructor. For ``sets``, what ``predict_set`` returns for several images,
            ``sets.centers[i]`` and ``sets.precisions[i]`` are those of one.
        n_columns, scale, ax, name, **kwargs
            As in :meth:`plot`.

        Returns
        -------
        display : HeatmapDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            As for the constructor and :meth:`plot`.
        """
        display = cls(heatmaps, centers, precisions, keypoints, indices=indices, alpha=alpha)
        return display.plot(ax, n_columns=n_columns, scale=scale, name=name, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_columns: int | None = None,
        scale: str = "heatmap",
        name: str | None = None,
        cmap: Any = "Greys",
        **kwargs: Any,
    ) -> HeatmapDisplay:
        """Draw the heatmaps, row by row.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of the display of another level. None: a new figure.
        n_columns : int or None, default=None
            Heatmaps in a row, at least 1. None: as many as make the picture about square.
        scale : {"heatmap", "common"}, default="heatmap"
            Whether white and black stand for the smallest and the largest entry of each heatmap, or of all heatmaps
            that are drawn.
        name : str or None, default=None
            Title of the axes.
        cmap : str or matplotlib Colormap, default="Greys"
            Colours from the smallest to the largest entry.
        **kwargs : dict
            Passed to the outlines, matplotlib Ellipses, such as ``edgecolor`` or ``linestyle``.

        Returns
        -------
        display : HeatmapDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `n_columns` or `scale` is none of those allowed.
        """
        if scale not in _SCALES:
            raise ValueError(f"scale={scale!r} must be 'heatmap' or 'common'.")
        if n_columns is not None:
            check_count("n_columns", n_columns)
        origins = self._origins(n_columns)
        self.ax_ = axes_or_new(ax, type(self).__name__, self._figure_size(origins))
        self.figure_ = self.ax_.figure
        frames = self._draw_heatmaps(origins, scale, cmap)
        shown = PlaneSets(*(part[self.indices] for part in self._sets))
        drawn = draw_sets(self.ax_, shown, set_label(self.alpha), kwargs, offsets=origins, clips=frames)
        self.ellipses_, self.centers_ = drawn
        corner = np.array(self.heatmaps.shape[:0:-1])
        beyond = np.any((shown.centers < 0) | (shown.centers > corner), axis=1)  # on another heatmap, or between them
        self.centers_.set_data(*np.where(beyond[:, None], np.nan, shown.centers + origins).T)
        self.keypoints_ = self.missed_ = None
        if self.keypoints is not None and self.inside is not None:
            on_border = np.clip(self.keypoints, 0, corner)[self.indices]
            self.keypoints_, self.missed_ = draw_points(self.ax_, on_border + origins, self.inside[self.indices])
        legend_below(self.ax_, 2.2)
        if name is not None:
            self.ax_.set_title(name)
        return self

    def _origins(self, n_columns: int | None) -> FloatArray:
        """Return where the heatmaps that are drawn begin, of shape (n_drawn, 2)."""
        height, width = self.heatmaps.shape[1:]
        n_drawn = self.indices.size
        columns = min(ceil(sqrt(n_drawn * height / width)) if n_columns is None else int(n_columns), n_drawn)
        row, column = np.divmod(np.arange(n_drawn), columns)
        gap = _GAP * max(height, width)
        return np.column_stack([column * (width + gap), row * (height + gap)])

    def _figure_size(self, origins: FloatArray) -> tuple[float, float]:
        """Return width and height in inches of a figure in which the heatmaps are large enough.

        It is less high than it could be: a layout that is limited in height keeps room for title and legend.
        """
        sizes = origins.max(axis=0) + self.heatmaps.shape[:0:-1]
        per_pixel = _INCHES / max(self.heatmaps.shape[1:])
        width, height = np.clip(sizes * min(per_pixel, _LARGEST / sizes.max()), _SMALLEST, None)
        return float(width), float(height) + 0.5

    def _draw_heatmaps(self, origins: FloatArray, scale: str, cmap: Any) -> list[Any]:
        """Draw the heatmaps, their numbers and frames, and return the frames."""
        from matplotlib.patches import Rectangle

        ax, (height, width) = self.ax_, self.heatmaps.shape[1:]
        shown = self.heatmaps[self.indices].astype(np.float64)
        common = _colour_limits(shown)
        self.images_, frames = [], []
        for k, heatmap, (x, y) in zip(self.indices, shown, origins, strict=True):
            limits = common if scale == "common" else _colour_limits(heatmap)
            extent = (x, x + width, y + height, y)
            self.images_.append(ax.imshow(heatmap, extent=extent, cmap=cmap, interpolation="nearest", **limits))
            frames.append(ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="0.6", linewidth=0.8)))
            text = f"{k}" if self._sets.bounded[k] else f"{k}: whole plane"
            place = {"xytext": (3, -3), "textcoords": "offset points", "ha": "left", "va": "top"}
            ax.annotate(text, (x, y), **place, fontsize="small", path_effects=halo(1.0), zorder=4)
        right, bottom = np.max([image.get_extent()[1:3] for image in ax.images], axis=0)
        margin = 0.01 * max(right, bottom)
        ax.set(xticks=[], yticks=[], xlim=(-margin, right + margin), ylim=(bottom + margin, -margin))
        ax.spines[:].set_visible(False)
        ax.set_xlabel(
            f"heatmaps of {width} × {height} px, "
            + ("each on a scale of its own" if scale == "heatmap" else "on one scale")
        )
        return frames


def _colour_limits(values: FloatArray) -> dict[str, float]:
    """Return the smallest and the largest of the finite values."""
    finite = values[np.isfinite(values)]
    return {"vmin": float(finite.min()), "vmax": float(finite.max())} if finite.size else {}
