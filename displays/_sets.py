"""What the displays of keypoint sets and of poses share: shapes of ellipses, checks, colours, and lines of legends."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .dictionary import fitted_model

__all__ = [
    "MISSED",
    "POSE",
    "SET",
    "TRUTH",
    "PlaneSets",
    "checked_alpha",
    "draw_points",
    "draw_sets",
    "finite_array",
    "halo",
    "legend_below",
    "legend_entry",
    "predicted_sets",
    "scatter_style",
    "set_label",
]

FloatArray = npt.NDArray[np.float64]

#: Four of the colours that M. Okabe and K. Ito chose for readers who see colours differently.
SET, TRUTH, MISSED, POSE = "#0072B2", "#009E73", "#D55E00", "#E69F00"

#: What points can be given their colour by.
_COLOURS = frozenset({"c", "color", "facecolor", "facecolors"})
_SYMMETRY = 1e-8
#: Relative error of a quadratic form that is taken for rounding.
_ROUNDING = 1e-12


class PlaneSets(NamedTuple):
    """Ellipses ``(y - c_k)' P_k (y - c_k) <= 1`` of the K keypoints of an image.

    Parameters
    ----------
    centers : ndarray of shape (K, 2)
        The points ``c_k``.
    precisions : ndarray of shape (K, 2, 2)
        The matrices ``P_k``; 0 stands for the whole plane.
    semi_axes : ndarray of shape (K, 2)
        The larger one first, inf for the whole plane.
    angles : ndarray of shape (K,)
        From the x to the y direction by which the longer axis is turned, in degrees from 0 to 180.
    """

    centers: FloatArray
    precisions: FloatArray
    semi_axes: FloatArray
    angles: FloatArray

    @classmethod
    def checked(cls, centers: npt.ArrayLike, precisions: npt.ArrayLike, n_keypoints: int | None = None) -> PlaneSets:
        """Check the arrays and find the axes of the ellipses.

        Raises
        ------
        ValueError
            For wrong shapes, numbers that are not finite, and matrices that are neither symmetric and positive definite
            nor 0.
        """
        c = finite_array(centers, "centers", ("K" if n_keypoints is None else n_keypoints, 2))
        P = finite_array(precisions, "precisions", (len(c), 2, 2))
        if len(c) == 0:
            raise ValueError("centers is empty: there is nothing to draw.")
        size = np.abs(P).max(axis=(1, 2))
        for k in np.flatnonzero(np.abs(P[:, 0, 1] - P[:, 1, 0]) > _SYMMETRY * size):
            raise ValueError(f"precisions[{k}] = {P[k].tolist()} is not symmetric.")
        values, vectors = np.linalg.eigh(P)
        for k in np.flatnonzero((values[:, 0] <= 0) & (size > 0)):
            raise ValueError(f"precisions[{k}] = {P[k].tolist()} is not positive definite (or 0: the whole plane).")
        with np.errstate(divide="ignore"):
            semi_axes = 1 / np.sqrt(values)
        return cls(c, P, semi_axes, np.rad2deg(np.arctan2(vectors[:, 1, 0], vectors[:, 0, 0])) % 180)

    @property
    def bounded(self) -> npt.NDArray[np.bool_]:
        """Which sets are ellipses, of shape (K,)."""
        return np.isfinite(self.semi_axes[:, 0])

    def contain(self, keypoints: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which keypoints, of shape (K, 2), are in their sets."""
        v = keypoints - self.centers
        return np.asarray(np.einsum("ki,kij,kj->k", v, self.precisions, v) <= 1 + _ROUNDING)

    def box(self) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper corner of the box around the ellipses, and the centres of the other sets."""
        half = np.zeros_like(self.centers)
        half[self.bounded] = np.sqrt(np.diagonal(np.linalg.inv(self.precisions[self.bounded]), axis1=1, axis2=2))
        return (self.centers - half).min(axis=0), (self.centers + half).max(axis=0)


def finite_array(values: Any, name: str, shape: tuple[int | str, ...]) -> FloatArray:
    """Return an array of float64, whose lengths match those that are numbers.

    Raises
    ------
    ValueError
        For another shape, and for entries that are not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    wanted = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    if array.ndim != len(shape) or any(isinstance(n, int) and n != m for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has shape {array.shape}, it must be {wanted}.")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds NaN or infinity: all its entries must be finite.")
    return array


def predicted_sets(
    estimator: Any, heatmaps: npt.ArrayLike, alpha: float | None, group: Any, affine: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, float]:
    """Return what a fitted detector says of one image: centres, precisions, and the level alpha.

    Raises
    ------
    TypeError
        If `estimator` has no ``predict_set``.
    ValueError
        If `heatmaps` are not those of one image, or the detector refuses them.
    """
    model = fitted_model(estimator, "predict_set")
    if getattr(model, "input", "heatmap") != "heatmap":
        raise ValueError(
            f"estimator takes {model.input}, not heatmaps: pass the centres and precisions of its sets to "
            "from_predictions."
        )
    shape = np.shape(heatmaps)
    matrix = None if affine is None else finite_array(affine, "affine", (2, 3))
    if len(shape) != 3:
        raise ValueError(f"heatmaps has shape {shape}, it must be (K, height, width), those of one image.")
    sets = model.predict_set(
        np.asarray(heatmaps)[None],
        alpha=alpha,
        affine=None if matrix is None else matrix[None],
        groups=None if group is None else [group],
    )
    return sets.centers[0], sets.precisions[0], float(model.alpha if alpha is None else alpha)


def checked_alpha(alpha: float | None) -> float | None:
    """Return the miscoverage level.

    Raises
    ------
    ValueError
        If it does not lie between 0 and 1.
    """
    if alpha is not None and not (isinstance(alpha, Real) and 0 < alpha < 1):
        raise ValueError(f"alpha={alpha!r} must lie between 0 and 1, or be None where it is not known.")
    return None if alpha is None else float(alpha)


def set_label(alpha: float | None) -> str:
    """Return the name of sets in a legend."""
    return "set" if alpha is None else f"joint {100 * (1 - alpha):g} % sets"


def scatter_style(usual: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return properties of points: those that are given, and the usual ones that they say nothing about."""
    style = {**usual, **given}
    if not _COLOURS.isdisjoint(given):
        style = {name: value for name, value in style.items() if name not in _COLOURS or name in given}
    return style


def halo(width: float) -> list[Any]:
    """Return path effects: a white rim around a line of this width, which keeps it visible on any picture."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width + 1.2, foreground="white"), Normal()]


def draw_sets(
    ax: Any, sets: PlaneSets, label: str, style: dict[str, Any], *, offsets: Any = 0.0, clips: list[Any] | None = None
) -> tuple[list[Any], Any]:
    """Draw ellipses and their centres.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    sets : PlaneSets
        What to draw.
    label : str
        Their name in the legend.
    style : dict
        Properties of ellipses that take the place of the usual ones.
    offsets : float or ndarray of shape (K, 2), default=0.0
        By how much each is moved.
    clips : list of matplotlib Patch or None, default=None
        Where each is cut off.

    Returns
    -------
    ellipses : list of matplotlib Ellipse or None
        None for the whole plane.
    centers : matplotlib Line2D
        The centres.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.patches import Ellipse

    given = {"facecolor": "none", "edgecolor": SET, "linewidth": 1.5, "zorder": 3.0, **normalize_kwargs(style, Ellipse)}
    colour = given["edgecolor"] = given.pop("color", given["edgecolor"])
    label, width = given.pop("label", label), given["linewidth"]
    given.setdefault("path_effects", halo(width))
    centers = sets.centers + offsets
    ellipses: list[Any] = [None] * len(centers)
    for k in np.flatnonzero(sets.bounded):
        major, minor = 2 * sets.semi_axes[k]
        ellipses[k] = ax.add_patch(Ellipse(tuple(centers[k]), major, minor, angle=sets.angles[k], **given))
        if clips is not None:
            ellipses[k].set_clip_path(clips[k])
    cross = {"color": colour, "marker": "+", "markersize": 6, "markeredgewidth": width, "zorder": given["zorder"]}
    (line,) = ax.plot(*centers.T, **cross, linestyle="none", path_effects=halo(width), scalex=False, scaley=False)
    legend_entry(ax, label, **cross, linestyle=given.get("linestyle", "-"), linewidth=width)
    return ellipses, line


def draw_points(ax: Any, points: FloatArray, inside: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
    """Draw true keypoints that are in their sets, and those that are not; return the two lines."""
    common = {"linestyle": "none", "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 3.2}
    lines = []
    for chosen, marker, size, colour, label in (
        (inside, "o", 4.5, TRUTH, "true keypoint"),
        (~inside, "X", 7.0, MISSED, "true keypoint outside its set"),
    ):
        style = {**common, "marker": marker, "markersize": size, "color": colour}
        (line,) = ax.plot(*points[chosen].T, **style, scalex=False, scaley=False)
        if chosen.any():
            legend_entry(ax, label, **style)
        lines.append(line)
    return lines[0], lines[1]


def legend_entry(ax: Any, label: str, **style: Any) -> None:
    """Add a line to the legend, unless there is one that looks alike."""
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D

    colour = to_hex(style["color"])
    known = [line for line in ax.get_lines() if line.get_label() == label]
    if not any(to_hex(line.get_color()) == colour for line in known):
        ax.add_artist(Line2D([], [], label=label, **style))


def legend_below(ax: Any, pad: float, n_columns: int = 2) -> None:
    """Put a legend of all that is named below the axes, `pad` letters away, if the figure arranges itself."""
    handles = ax.get_legend_handles_labels()[0]
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": pad, "ncols": n_columns}
    arranged = ax.figure.get_layout_engine() is not None
    ax.legend(handles=handles, frameon=False, **(below if arranged else {}))
    if arranged:
        # Where a picture's shape leaves room, leave it above: the layout then knows how far down the legend reaches.
        ax.set_anchor("S")
