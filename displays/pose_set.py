"""Poses that are consistent with uncertain keypoints: how far they turn, and how far they lie apart."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._axes import axes_row
from ._sets import MISSED, SET, TRUTH, finite_array, halo, legend_below, legend_entry, scatter_style

__all__ = ["PoseSetDisplay"]

FloatArray = npt.NDArray[np.float64]

_VIEWS = ("camera", "object")
#: Of the x, y and z axis of the object.
_AXES = (("x", MISSED), ("y", TRUTH), ("z", SET))
_TRUTH_STYLE = {
    "color": "#F0E442",
    "marker": "*",
    "markersize": 10,
    "markeredgecolor": "black",
    "markeredgewidth": 0.8,
    "linestyle": "none",
    "zorder": 4.0,
}
_CENTER_STYLE = {
    "color": "black",
    "marker": "+",
    "markersize": 9,
    "markeredgewidth": 1.8,
    "linestyle": "none",
    "zorder": 3.5,
}
_SAMPLES, _ELLIPSOID = "#56B4E9", SET
_ORTHONORMAL = 1e-6
#: How white directions are that point away from the viewer.
_PALE = 0.65
#: Limits of the axes that the unit sphere is drawn on.
_REACH = 1.2
_MARGIN = 0.06


class Pose(NamedTuple):
    """A rotation R and a translation t, of shapes (3, 3) and (3,)."""

    R: FloatArray
    t: FloatArray


class PoseSetDisplay:
    """Sampled poses of an object: its axes on the unit sphere, and its positions in the frame of the camera.

    On the left, the directions ``R e_x``, ``R e_y`` and ``R e_z`` of the axes of the object; in the middle and on the
    right, the translations t against the depth, which a single image determines least. Certified bounds are drawn
    around the centre: a rotation by at most an angle keeps each axis within a cap of that angle.

    Parameters
    ----------
    R : array-like of shape (m, 3, 3)
        Rotations from the frame of the object to that of the camera, in which z is the depth, x points to the right and
        y downwards.
    t : array-like of shape (m, 3)
        Translations.
    center : array-like of shape (3, 4), tuple of array-likes (R, t), or None, default=None
        The pose that bounds are about. None: the average pose, the mean of t and the rotation that is nearest to the
        mean of R.
    truth : array-like of shape (3, 4), tuple of array-likes (R, t), or None, default=None
        The true pose. None: it is not known.
    rotation_bound_deg : float or None, default=None
        Certified angle in degrees by which rotations differ from that of the centre at most, from 0 to 180. None: it is
        not known.
    translation_bound : float or None, default=None
        Certified distance of translations from that of the centre, in the unit of t; inf if there is no bound.
    certified_ellipsoid : tuple of array-likes of shapes (3,) and (3, 3), or None, default=None
        Centre c and matrix S of an ellipsoid ``(y - c)' S^-1 (y - c) <= 1`` that is certified to hold all translations,
        as :meth:`estimand.PoseUncertaintySet.translation_ellipsoid` returns it. None: one around `t` is drawn.
    unit : str, default="m"
        The unit of t.

    Attributes
    ----------
    ellipsoid_center, ellipsoid : ndarrays of shape (3,) and (3, 3)
        Those of `certified_ellipsoid`, or the mean of t and the multiple of its covariance with which the ellipsoid
        holds all t.
    body_axes_ : list of matplotlib PathCollection
        Directions of the three axes, after :meth:`plot`; pale where they point away from the viewer.
    caps_ : list of matplotlib Line2D
        Certified caps around the axes of the centre, solid where they face the viewer and dotted elsewhere; none where
        there is no bound below 180 degrees.
    translations_ : list of matplotlib PathCollection
        Translations, x against z and y against z.
    ellipses_ : list of matplotlib Ellipse
        The ellipsoid in the same projections; none for a single pose unless it is certified.
    circles_ : list of matplotlib Circle
        The certified distance; none where there is no bound.
    axes_ : ndarray of 3 matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds them.

    Raises
    ------
    ValueError
        If shapes do not match, numbers are not finite, a matrix is no rotation, or a bound is out of its range.

    See Also
    --------
    KeypointSetsDisplay : What the object looks like in these poses.
    BoundErrorDisplay : Bounds and errors of many images.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.spatial.transform import Rotation
    >>> from estimand.displays import PoseSetDisplay
    >>> rng = np.random.default_rng(0)
    >>> R = Rotation.from_rotvec(0.1 * rng.standard_normal((100, 3))).as_matrix()
    >>> t = [0.0, 0.0, 1.0] + [0.01, 0.01, 0.1] * rng.standard_normal((100, 3))
    >>> display = PoseSetDisplay(R, t, rotation_bound_deg=25.0, translation_bound=0.4)
    >>> np.sqrt(np.diag(display.ellipsoid)).round(2)  # how far it reaches along x, y and z
    array([0.04, 0.04, 0.41])

    ``display.plot()`` draws it, and ``PoseSetDisplay.from_predictions(R, t)`` does both at once.
    """

    R: FloatArray
    t: FloatArray
    center: Pose
    truth: Pose | None
    rotation_bound_deg: float | None
    translation_bound: float | None
    ellipsoid_center: FloatArray
    ellipsoid: FloatArray
    body_axes_: list[Any]
    caps_: list[Any]
    translations_: list[Any]
    ellipses_: list[Any]
    circles_: list[Any]
    axes_: npt.NDArray[Any]
    figure_: Any

    def __init__(
        self,
        R: npt.ArrayLike,
        t: npt.ArrayLike,
        *,
        center: Any = None,
        truth: Any = None,
        rotation_bound_deg: float | None = None,
        translation_bound: float | None = None,
        certified_ellipsoid: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        unit: str = "m",
    ) -> None:
        self.R, self.unit = _rotations(R, "R", ("m", 3, 3)), unit
        self.t = finite_array(t, "t", (len(self.R), 3))
        if len(self.R) == 0:
            raise ValueError("R and t are empty: there is no pose to draw.")
        self.center = Pose(_mean_rotation(self.R), self.t.mean(axis=0)) if center is None else _pose(center, "center")
        self.truth = None if truth is None else _pose(truth, "truth")
        self.rotation_bound_deg = _bound(rotation_bound_deg, "rotation_bound_deg", 180.0)
        self.translation_bound = _bound(translation_bound, "translation_bound", np.inf)
        self.certified = certified_ellipsoid is not None
        if certified_ellipsoid is None:
            self.ellipsoid_center, self.ellipsoid = _ellipsoid(self.t)
        else:
            self.ellipsoid_center, self.ellipsoid = _given_ellipsoid(certified_ellipsoid)

    @classmethod
    def from_predictions(
        cls,
        R: npt.ArrayLike,
        t: npt.ArrayLike,
        *,
        center: Any = None,
        truth: Any = None,
        rotation_bound_deg: float | None = None,
        translation_bound: float | None = None,
        certified_ellipsoid: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        unit: str = "m",
        view: str = "camera",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> PoseSetDisplay:
        """Draw sampled poses.

        Parameters
        ----------
        R, t, center, truth, rotation_bound_deg, translation_bound, certified_ellipsoid, unit
            As in the constructor.
        view, ax, name, **kwargs
            As in :meth:`plot`.

        Returns
        -------
        display : PoseSetDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            As for the constructor and :meth:`plot`.
        """
        display = cls(
            R,
            t,
            center=center,
            truth=truth,
            rotation_bound_deg=rotation_bound_deg,
            translation_bound=translation_bound,
            certified_ellipsoid=certified_ellipsoid,
            unit=unit,
        )
        return display.plot(ax, view=view, name=name, **kwargs)

    def plot(self, ax: Any = None, *, view: str = "camera", name: str | None = None, **kwargs: Any) -> PoseSetDisplay:
        """Draw the axes and the translations.

        Parameters
        ----------
        ax : matplotlib Axes, array of 3 matplotlib Axes or None, default=None
            Where to draw. One is divided into three, ``axes_`` of another display are those of the same name, and None
            is a new figure.
        view : {"camera", "object"}, default="camera"
            From where the sphere is seen: by the camera, so that axes point where they point in the image; or from the
            side that all three axes of the centre face, with z on top.
        name : str or None, default=None
            Title of the left axes.
        **kwargs : dict
            Passed to ``ax.scatter`` of the samples, such as ``s``, or ``color``, which takes the place of the colours.

        Returns
        -------
        display : PoseSetDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `view` is none of those allowed, or `ax` cannot be used.
        """
        if view not in _VIEWS:
            raise ValueError(f"view={view!r} must be 'camera' or 'object'.")
        self.axes_ = axes_row(ax, type(self).__name__, (1.0, 1.0, 1.0), (11.0, 4.6))
        self.figure_ = self.axes_[0].figure
        self._draw_sphere(self.axes_[0], view, kwargs)
        self.translations_, self.ellipses_, self.circles_ = [], [], []
        for panel, coordinate in zip(self.axes_[1:], (0, 1), strict=True):
            self._draw_translations(panel, coordinate, kwargs)
        legend_below(self.axes_[0], 3.5, 1)
        legend_below(self.axes_[1], 3.5, 1)
        if name is not None:
            self.axes_[0].set_title(name)
        return self

    def _draw_sphere(self, ax: Any, view: str, kwargs: dict[str, Any]) -> None:
        from matplotlib.colors import to_rgba
        from matplotlib.patches import Circle

        seen = np.eye(3) if view == "camera" else _facing(self.center.R)
        if not ax.patches:
            ax.add_patch(Circle((0, 0), 1, facecolor="0.97", edgecolor="0.6", linewidth=0.8, zorder=0.5))
        self.body_axes_, self.caps_ = [], []
        angle = self.rotation_bound_deg
        for j, (letter, colour) in enumerate(_AXES):
            x, y, away = seen @ self.R[:, :, j].T
            full, pale = np.array(to_rgba(colour, 0.5)), np.array([1.0, 1.0, 1.0, 0.5])
            colours = np.where(away[:, None] > 0, _PALE * pale + (1 - _PALE) * full, full)
            style = scatter_style({"s": 9, "linewidths": 0, "zorder": 2.0, "c": colours}, kwargs)
            self.body_axes_.append(ax.scatter(x, y, **style))
            if angle is not None and angle < 180:
                self.caps_ += _draw_cap(ax, seen @ self.center.R[:, j], np.deg2rad(angle), colour)
            x, y, away = seen @ self.center.R[:, j]
            solid = {"linestyle": "-" if away <= 0 else ":", "linewidth": 2.5, "solid_capstyle": "round"}
            ax.plot([0, x], [0, y], color=colour, zorder=3.0, path_effects=halo(2.5), **solid)
            # Beside the line, because at its end there may be samples, and the true axis.
            beside = 0.1 * np.array([-y, x]) / max(np.hypot(x, y), 1e-9)
            text = {"ha": "center", "va": "center", "weight": "bold", "path_effects": halo(1.5), "zorder": 5}
            ax.text(0.55 * x + beside[0], 0.55 * y + beside[1], letter, color=colour, **text)
            if self.truth is not None:
                x, y, _ = seen @ self.truth.R[:, j]
                ax.plot(x, y, **_TRUTH_STYLE)
        legend_entry(ax, "axes of the centre", color="0.3", linewidth=2.5)
        legend_entry(ax, f"axes in {_counted(len(self.R))}", color="0.3", marker=".", linestyle="none")
        if angle is not None and self.caps_:
            legend_entry(ax, f"certified: within {_rounded_up(angle)}° of the centre", color="0.3", linewidth=1.0)
        if self.truth is not None:
            legend_entry(ax, "true axes", **_TRUTH_STYLE)
        where = "as the camera sees them" if view == "camera" else "all three in front"
        ax.set(xlim=(-_REACH, _REACH), ylim=(_REACH, -_REACH), aspect="equal", xticks=[], yticks=[])
        ax.set_xlabel(f"axes of the object, {where};\npale and dotted: pointing away")
        ax.spines[:].set_visible(False)

    def _draw_translations(self, ax: Any, coordinate: int, kwargs: dict[str, Any]) -> None:
        from matplotlib.patches import Circle, Ellipse

        pair = [coordinate, 2]
        lower, upper = self._box()
        if ax.collections:  # keep another display's samples in view
            (left, right), (bottom, top) = np.sort(ax.get_xlim()), np.sort(ax.get_ylim())
            lower[pair], upper[pair] = np.minimum(lower[pair], (left, bottom)), np.maximum(upper[pair], (right, top))
        usual = {"s": 9, "linewidths": 0, "alpha": 0.5, "color": _SAMPLES, "zorder": 2.0}
        points = ax.scatter(*self.t[:, pair].T, **scatter_style(usual, kwargs))
        self.translations_.append(points)
        legend_entry(ax, _counted(len(self.t)), color=points.get_facecolor()[0, :3], marker=".", linestyle="none")
        if len(self.t) > 1 or self.certified:
            values, vectors = np.linalg.eigh(self.ellipsoid[np.ix_(pair, pair)])
            width, height = 2 * np.sqrt(np.maximum(values, 0))
            angle = np.rad2deg(np.arctan2(vectors[1, 0], vectors[0, 0]))
            outline = {"fill": False, "edgecolor": _ELLIPSOID, "linewidth": 1.5, "zorder": 3.0}
            ellipse = Ellipse(tuple(self.ellipsoid_center[pair]), width, height, angle=angle, **outline)
            self.ellipses_.append(ax.add_patch(ellipse))
            label = "certified: within this ellipsoid" if self.certified else "ellipsoid around them"
            legend_entry(ax, label, color=_ELLIPSOID, linewidth=1.5)
        radius = self.translation_bound
        if radius is not None and np.isfinite(radius):
            outline = {"fill": False, "edgecolor": "0.3", "linewidth": 1.0, "linestyle": "--", "zorder": 2.5}
            self.circles_.append(ax.add_patch(Circle(tuple(self.center.t[pair]), radius, **outline)))
            label = f"certified: within {_rounded_up(radius)} {self.unit} of the centre"
            legend_entry(ax, label, color="0.3", linestyle="--", linewidth=1.0)
        ax.plot(*self.center.t[pair], **_CENTER_STYLE, path_effects=halo(1.8))
        legend_entry(ax, "centre", **_CENTER_STYLE)
        if self.truth is not None:
            ax.plot(*self.truth.t[pair], **_TRUTH_STYLE)
            legend_entry(ax, "true pose", **_TRUTH_STYLE)
        ax.set(xlim=(lower[coordinate], upper[coordinate]), ylim=(lower[2], upper[2]), aspect="equal")
        direction = ("x, to the right", "y, downwards")[coordinate]
        ax.set(xlabel=f"{direction}, in {self.unit}", ylabel=f"z, the depth, in {self.unit}")
        ax.locator_params(nbins=5)

    def _box(self) -> tuple[FloatArray, FloatArray]:
        """Return the corners of a cube around all that is drawn of translations."""
        parts = [self.t.min(axis=0), self.t.max(axis=0), self.center.t]
        radius = np.inf if self.translation_bound is None else self.translation_bound
        # A certified ellipsoid reaches farther than a bound in some directions, which then say nothing new.
        if not (self.certified and np.isfinite(radius)):
            half = np.sqrt(np.diagonal(self.ellipsoid))
            parts += [self.ellipsoid_center - half, self.ellipsoid_center + half]
        if self.truth is not None:
            parts.append(self.truth.t)
        if np.isfinite(radius):
            parts += [self.center.t - radius, self.center.t + radius]
        lower, upper = np.min(parts, axis=0), np.max(parts, axis=0)
        size = float((upper - lower).max())
        middle, reach = (
            (lower + upper) / 2,
            (0.5 + _MARGIN) * (size if size > 0 else 0.1 * np.linalg.norm(upper) + 1e-9),
        )
        return middle - reach, middle + reach


def _counted(n_poses: int) -> str:
    return "1 pose" if n_poses == 1 else f"{n_poses} poses"


def _rounded_up(bound: float) -> str:
    """Return three digits of a bound that are not below it."""
    step = 10.0 ** (np.floor(np.log10(bound)) - 2) if bound > 0 else 1.0
    return f"{np.ceil(bound / step * (1 - 1e-12)) * step:.3g}"


def _draw_cap(ax: Any, axis: FloatArray, angle: float, colour: str) -> list[Any]:
    """Draw the circle of all directions at an angle from one: solid where it faces the viewer, elsewhere dotted."""
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    turn = np.linspace(0, 2 * np.pi, 361)
    around = np.outer(first, np.cos(turn)) + np.outer(np.cross(axis, first), np.sin(turn))
    x, y, away = np.cos(angle) * axis[:, None] + np.sin(angle) * around
    lines = []
    for hidden, style in ((away > 0, "-"), (away <= 0, ":")):
        lines += ax.plot(np.where(hidden, np.nan, x), np.where(hidden, np.nan, y), style, color=colour, linewidth=1.0)
    return lines


def _facing(R: FloatArray) -> FloatArray:
    """Return the rows right, down and away of a viewer whom all three axes face, with z on top."""
    toward = R @ np.full(3, 1 / np.sqrt(3))
    up = R[:, 2] - (R[:, 2] @ toward) * toward
    up /= np.linalg.norm(up)
    return np.stack([np.cross(up, toward), -up, -toward])


def _ellipsoid(t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of points, and the covariance scaled so that the ellipsoid holds them all."""
    mean = t.mean(axis=0)
    U, values, V = np.linalg.svd(t - mean, full_matrices=False)
    # Directions in which there is nothing but rounding have no say in how far away a point is.
    kept = values > 1e-12 * max(values[0], np.linalg.norm(mean) * 1e-3)
    scale = np.max(np.sum(U[:, kept] ** 2, axis=1), initial=0.0)
    return mean, scale * (V.T * (values * kept) ** 2) @ V


def _given_ellipsoid(pair: tuple[npt.ArrayLike, npt.ArrayLike]) -> tuple[FloatArray, FloatArray]:
    center, shape = (finite_array(value, f"certified_ellipsoid[{i}]", (3,) * (i + 1)) for i, value in enumerate(pair))
    if np.abs(shape - shape.T).max() > 1e-8 * np.abs(shape).max() or np.linalg.eigvalsh(shape)[0] <= 0:
        raise ValueError("certified_ellipsoid[1] must be a symmetric positive definite matrix.")
    return center, shape


def _mean_rotation(R: FloatArray) -> FloatArray:
    U, _, V = np.linalg.svd(R.sum(axis=0))
    U[:, 2] *= np.sign(np.linalg.det(U @ V))
    return np.asarray(U @ V)


def _rotations(R: Any, name: str, shape: tuple[int | str, ...]) -> FloatArray:
    array = finite_array(R, name, shape)
    stack = array.reshape(-1, 3, 3)
    off = np.abs(stack.transpose(0, 2, 1) @ stack - np.eye(3)).max(axis=(1, 2), initial=0.0)
    for i in np.flatnonzero((off > _ORTHONORMAL) | (np.linalg.det(stack) < 0)):
        where = name if array.ndim == 2 else f"{name}[{i}]"
        raise ValueError(f"{where} = {stack[i].tolist()} is no rotation.")
    return array


def _pose(pose: Any, name: str) -> Pose:
    """Return a pose from (R, t) or [R, t]."""
    if isinstance(pose, tuple) and len(pose) == 2:
        R, t = pose
    else:
        matrix = finite_array(pose, name, (3, 4))
        R, t = matrix[:, :3], matrix[:, 3]
    return Pose(_rotations(R, f"the rotation of {name}", (3, 3)), finite_array(t, f"the translation of {name}", (3,)))


def _bound(bound: Any, name: str, largest: float) -> float | None:
    if bound is None:
        return None
    if not (isinstance(bound, Real) and 0 <= float(bound) <= largest):
        raise ValueError(f"{name}={bound!r} must lie in [0, {largest:g}], or be None where there is no bound.")
    return float(bound)
