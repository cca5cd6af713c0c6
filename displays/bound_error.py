"""Certified bounds on the errors of poses, and the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._axes import axes_row
from ._sets import MISSED, SET, checked_alpha, finite_array, legend_below, legend_entry, scatter_style

__all__ = ["BoundErrorDisplay"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_FIELDS = ("rotation_deg", "translation")
_LOWER = ("rotation_lower_deg", "translation_lower")
_DIAGONAL = "error = bound"
#: Around the points, as a factor.
_MARGIN = 1.25


class BoundErrorDisplay:
    """Certified bounds on the rotation and the translation errors of poses against these errors, in two panels.

    Above the diagonal a bound holds, below it the error is larger. A bound from keypoint sets cannot be exceeded where
    all true keypoints are in their sets, which a share of at least ``1 - alpha`` of all images should have.

    Parameters
    ----------
    bounds : structured array of shape (n,), or mapping of str to array-like of shape (n,)
        With the fields ``rotation_deg``, in degrees, and ``translation``. Others are optional:
        ``rotation_lower_deg`` and ``translation_lower``, the errors that some pose of the set has; ``unbounded``, where
        there is no bound, as there is not where it is inf either; ``empty``, where the set has no pose, as where a
        bound is NaN. More fields do not matter.
    errors : array-like of shape (n, 2), or two array-likes of shape (n,)
        Errors of rotations, in degrees, and of translations. For two images a list holds one row for each, a tuple is
        that of the rotations and that of the translations.
    covered : array-like of bool, of shape (n,), or None, default=None
        Whether all true keypoints of the image are in their sets, as ``contains`` of
        :class:`estimand.KeypointSets` tells. None: this is not known, and images are told apart by whether both errors
        are within their bounds.
    alpha : float or None, default=None
        Miscoverage level of the sets, for the caption.
    unit : str, default="m"
        The unit of translations.

    Attributes
    ----------
    unbounded, empty : ndarrays of bool, of shape (n,)
        Images without bounds, which are counted and not drawn.
    within : ndarray of bool, of shape (n, 2)
        Which errors are within their bounds.
    covered_, missed_ : list of matplotlib PathCollection
        The images of either kind in the two panels, after :meth:`plot`.
    gaps_ : list of matplotlib LineCollection
        Bars from the lower to the upper ends of bounds; none where the lower ones are not given.
    caption_ : matplotlib Text
        What is not drawn, and what the level promises.
    axes_ : ndarray of 2 matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds them.

    Raises
    ------
    TypeError
        If `bounds` has no fields.
    ValueError
        If fields are missing, lengths do not match, errors are negative or not finite, or bounds are negative.

    See Also
    --------
    PoseSetDisplay : The poses of one image.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.displays import BoundErrorDisplay
    >>> bounds = np.zeros(3, dtype=[("rotation_deg", float), ("translation", float)])
    >>> bounds["rotation_deg"] = [12.0, 20.0, 180.0]
    >>> bounds["translation"] = [0.1, 0.2, np.inf]
    >>> display = BoundErrorDisplay(bounds, [(3.0, 0.02), (25.0, 0.05), (40.0, 0.6)])
    >>> display.within.tolist(), display.unbounded.tolist()
    ([[True, True], [False, True], [True, True]], [False, False, True])

    ``display.plot()`` draws it, and ``BoundErrorDisplay.from_predictions(bounds, errors)`` does both at once.
    """

    bounds: FloatArray
    lower_bounds: FloatArray | None
    errors: FloatArray
    covered: BoolArray | None
    unbounded: BoolArray
    empty: BoolArray
    within: BoolArray
    covered_: list[Any]
    missed_: list[Any]
    gaps_: list[Any]
    caption_: Any
    axes_: npt.NDArray[Any]
    figure_: Any

    def __init__(
        self,
        bounds: Any,
        errors: Any,
        *,
        covered: npt.ArrayLike | None = None,
        alpha: float | None = None,
        unit: str = "m",
    ) -> None:
        self.alpha, self.unit = checked_alpha(alpha), unit
        self.bounds = np.column_stack([_field(bounds, name) for name in _FIELDS])
        n_images = len(self.bounds)
        if n_images == 0:
            raise ValueError("bounds is empty: there is no image to draw.")
        names = _names(bounds)
        self.lower_bounds = None
        if set(_LOWER) <= set(names):
            self.lower_bounds = np.column_stack([_field(bounds, name) for name in _LOWER])
        if np.any(self.bounds < 0):
            i, j = (int(k) for k in np.argwhere(self.bounds < 0)[0])
            raise ValueError(f"bounds[{_FIELDS[j]!r}][{i}] = {self.bounds[i, j]:g} is negative.")
        flags = {name: _field(bounds, name) != 0 if name in names else False for name in ("empty", "unbounded")}
        self.empty = np.asarray(flags["empty"] | np.isnan(self.bounds).any(axis=1))
        self.unbounded = np.asarray((flags["unbounded"] | np.isinf(self.bounds).any(axis=1)) & ~self.empty)
        self.errors = _checked_errors(errors, n_images)
        # An empty set has no pose, the true one neither.
        exceeded = ~self.unbounded[:, None] & ~(self.errors <= self.bounds)
        self.within = ~(exceeded | self.empty[:, None])
        self.covered = None if covered is None else _flags(covered, n_images)

    @classmethod
    def from_predictions(
        cls,
        bounds: Any,
        errors: Any,
        *,
        covered: npt.ArrayLike | None = None,
        alpha: float | None = None,
        unit: str = "m",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> BoundErrorDisplay:
        """Draw bounds against errors.

        Parameters
        ----------
        bounds, errors, covered, alpha, unit
            As in the constructor; `bounds` may be what ``predict_bounds`` of a pose estimator returns.
        ax, name, **kwargs
            As in :meth:`plot`.

        Returns
        -------
        display : BoundErrorDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `bounds` has no fields.
        ValueError
            As for the constructor, or if `ax` cannot be used.
        """
        display = cls(bounds, errors, covered=covered, alpha=alpha, unit=unit)
        return display.plot(ax, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> BoundErrorDisplay:
        """Draw the points on logarithmic scales.

        Errors of 0 are drawn at the border.

        Parameters
        ----------
        ax : matplotlib Axes, array of 2 matplotlib Axes or None, default=None
            Where to draw. One is divided into two, ``axes_`` of another display are those of the same name, and None is
            a new figure.
        name : str or None, default=None
            First line of the title.
        **kwargs : dict
            Passed to ``ax.scatter``, such as ``s`` or ``alpha``.

        Returns
        -------
        display : BoundErrorDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` cannot be used.
        """
        self.axes_ = axes_row(ax, type(self).__name__, (1.0, 1.0), (9.5, 4.7))
        self.figure_ = self.axes_[0].figure
        self.covered_, self.missed_, self.gaps_ = [], [], []
        for j, (panel, what, unit) in enumerate(
            zip(self.axes_, ("rotation", "translation"), ("degrees", self.unit), strict=True)
        ):
            title = self._draw(panel, j, kwargs)
            panel.set_title(f"{name}\n{what}: {title}" if name and j == 0 else f"{what}: {title}", fontsize="medium")
            panel.set(xlabel=f"error of the {what} in {unit}", ylabel=f"certified bound in {unit}")
        legend_below(self.axes_[0], 3.8, 1)
        self.axes_[1].set_anchor("S")
        place = {"xytext": (0.5, -40), "textcoords": ("axes fraction", "offset points"), "ha": "center", "va": "top"}
        self.caption_ = self.axes_[1].annotate(self._caption(), (0, 0), xycoords="axes fraction", **place)
        return self

    def _draw(self, ax: Any, j: int, kwargs: dict[str, Any]) -> str:
        """Draw a panel and return the share of points below the diagonal, in words."""
        from matplotlib.collections import LineCollection
        from matplotlib.ticker import LogLocator

        drawn = ~(self.unbounded | self.empty)
        errors, bounds = self.errors[drawn, j], self.bounds[drawn, j]
        lowest, highest = _limits(np.concatenate([errors, bounds]))
        if ax.collections:  # keep another display's points in view
            lowest, highest = min(lowest, ax.get_xlim()[0]), max(highest, ax.get_xlim()[1])
        _draw_diagonal(ax)
        ax.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if highest < 300 * lowest else (1,)))
            axis.set_major_formatter("{x:g}")
        x, y = np.maximum(errors, lowest), np.maximum(bounds, lowest)
        if self.lower_bounds is not None:
            foot = np.maximum(self.lower_bounds[drawn, j], lowest)
            bars = np.stack([np.column_stack([x, foot]), np.column_stack([x, y])], axis=1)
            style: dict[str, Any] = {"colors": "0.5", "linewidths": 0.8, "zorder": 1.5}
            self.gaps_.append(ax.add_collection(LineCollection(list(bars), **style), autolim=False))
            legend_entry(ax, "gap of the certificate", color="0.5", linewidth=0.8)
        good = np.asarray(self.within.all(axis=1) if self.covered is None else self.covered)
        for artists, chosen, marker, size, colour, label in (
            (self.covered_, good[drawn], "o", 18, SET, ("errors within both bounds", "all keypoints in their sets")),
            (self.missed_, ~good[drawn], "X", 36, MISSED, ("an error above its bound", "a keypoint outside its set")),
        ):
            usual = {"marker": marker, "s": size, "color": colour, "alpha": 0.7, "linewidths": 0, "zorder": 2.0}
            points = ax.scatter(x[chosen], y[chosen], clip_on=False, **scatter_style(usual, kwargs))
            artists.append(points)
            if chosen.any():
                shape = {"marker": kwargs.get("marker", marker), "linestyle": "none"}
                legend_entry(ax, label[self.covered is not None], color=points.get_facecolor()[0, :3], **shape)
        below = int(np.count_nonzero(errors > bounds))
        if errors.size == 0:
            return "no bound"
        return f"{below} of {errors.size} below the line ({100 * below / errors.size:.1f} %)"

    def _caption(self) -> str:
        lines = []
        if self.unbounded.any():
            lines.append(f"not drawn: {self.unbounded.sum()} of {self.unbounded.size} images, without a bound")
        if self.empty.any():
            lines.append(f"not drawn: {self.empty.sum()} of {self.empty.size} images, whose set is empty")
        if self.alpha is not None:
            lines.append(f"promised: sets hold all keypoints in {100 * (1 - self.alpha):g} %")
        return "\n".join(lines)


def _draw_diagonal(ax: Any) -> None:
    if any(line.get_gid() == _DIAGONAL for line in ax.get_lines()):
        return
    ax.axline((1, 1), (10, 10), color="0.4", linewidth=1, zorder=1, gid=_DIAGONAL)
    ax.fill_between([1e-30, 1e30], [1e-30, 1e-30], [1e-30, 1e30], color="0.95", linewidth=0, zorder=0.5)
    text = {"transform": ax.transAxes, "color": "0.4", "fontsize": "small"}
    ax.text(0.97, 0.03, "error above the bound", ha="right", va="bottom", **text)
    ax.text(0.03, 0.97, "bound holds", ha="left", va="top", **text)


def _limits(values: FloatArray) -> tuple[float, float]:
    """Return limits of a logarithmic scale for values, of which those that are 0 lie at the border."""
    positive = values[values > 0]
    if positive.size == 0:
        return 0.1, 10.0
    return float(positive.min()) / _MARGIN, float(positive.max()) * _MARGIN


def _names(bounds: Any) -> list[str]:
    """Return the names of the fields.

    Raises
    ------
    TypeError
        If there are none.
    """
    names = getattr(getattr(bounds, "dtype", None), "names", None)
    if names is None and hasattr(bounds, "keys"):
        names = list(bounds.keys())
    if names is None:
        raise TypeError(
            f"bounds must be a structured array with the fields {' and '.join(_FIELDS)}, or a mapping of these names, "
            f"got {type(bounds).__name__}."
        )
    return list(names)


def _field(bounds: Any, name: str) -> FloatArray:
    """Return one of the fields, a vector."""
    names = _names(bounds)
    if name not in names:
        raise ValueError(f"bounds has no field {name!r}: its fields are {', '.join(map(str, names))}.")
    values = np.asarray(bounds[name], dtype=np.float64)
    n_images = np.shape(bounds[_FIELDS[0]])
    if values.ndim != 1 or values.shape != n_images:
        raise ValueError(
            f"bounds[{name!r}] has shape {values.shape} and bounds[{_FIELDS[0]!r}] {n_images}: they must be vectors of "
            "the same length."
        )
    return values


def _checked_errors(errors: Any, n_images: int) -> FloatArray:
    if isinstance(errors, tuple) or (isinstance(errors, list) and len(errors) == 2 != n_images):
        if len(errors) != 2:
            raise ValueError(f"errors holds {len(errors)} arrays, it must be two: of rotations and of translations.")
        kinds = ("errors of rotations", "errors of translations")
        columns = [finite_array(values, kind, (n_images,)) for values, kind in zip(errors, kinds, strict=True)]
        values = np.column_stack(columns)
    else:
        values = finite_array(errors, "errors", (n_images, 2))
    if np.any(values < 0):
        raise ValueError(f"errors holds {values.min():g}: errors are at least 0.")
    return values


def _flags(covered: Any, n_images: int) -> BoolArray:
    flags = np.asarray(covered)
    if flags.shape != (n_images,) or flags.dtype.kind != "b":
        raise ValueError(f"covered has shape {flags.shape} and type {flags.dtype}, it must be ({n_images},) and bool.")
    return flags
