"""Sets of keypoints in an image, and what poses of the object would look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._axes import axes_or_new
from ._sets import (
    POSE,
    PlaneSets,
    checked_alpha,
    draw_points,
    draw_sets,
    finite_array,
    halo,
    legend_below,
    legend_entry,
    predicted_sets,
    set_label,
)

__all__ = ["KeypointSetsDisplay"]

FloatArray = npt.NDArray[np.float64]

#: Around what is drawn, as a share of its larger side.
_MARGIN = 0.06
#: Width and height in inches that the picture in a new figure has at most.
_PICTURE = np.array([5.6, 4.6])


class KeypointSetsDisplay:
    """Sets of the keypoints of an object in an image, true keypoints, and the object in some poses.

    The set of keypoint k are the points y with ``(y - c_k)' P_k (y - c_k) <= 1``. :meth:`from_estimator` draws those of
    a fitted :class:`estimand.ConformalKeypointDetector`. Poses that are consistent with them show what they leave open.

    Parameters
    ----------
    centers : array-like of shape (K, 2)
        The centres ``c_k`` in pixels: x is the column, y the row, and the centre of the first pixel is (0.5, 0.5).
    precisions : array-like of shape (K, 2, 2)
        The matrices ``P_k``, in 1/px^2; ``I / r**2`` is a disc of radius r, and 0 the whole plane.
    keypoints : array-like of shape (K, 2) or None, default=None
        True keypoints, in pixels. None: they are not known.
    image : array-like of shape (height, width) or (height, width, 3 or 4), or None, default=None
        Grey values, which are drawn from the smallest to the largest, or colours, floats up to 1 or bytes.
    image_shape : tuple of two int or None, default=None
        Height and width of a frame in the place of the image. None, and no image: there is no frame.
    poses : array-like of shape (3, 4) or (m, 3, 4), or None, default=None
        Poses ``[R, t]``, from the coordinates of the object to those of the camera.
    points : array-like of shape (n_points, 3) or None, default=None
        Points of the object to draw in these poses, such as its corners; it takes `poses` and `camera`.
    camera : array-like of shape (3, 3) or None, default=None
        The camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]``, in pixels.
    edges : array-like of int, of shape (n_edges, 2), or None, default=None
        Pairs of points that lines join. None: the points are drawn as dots.
    alpha : float or None, default=None
        Miscoverage level of the sets, for the legend.

    Attributes
    ----------
    semi_axes : ndarray of shape (K, 2)
        Of the sets, in pixels, the longer one first; inf for the whole plane.
    angles : ndarray of shape (K,)
        From the x to the y direction by which the longer axis is turned, in degrees from 0 to 180.
    inside : ndarray of bool, of shape (K,), or None
        Which true keypoints are in their sets.
    projections : ndarray of shape (m, n_points, 2) or None
        Where the camera sees the points of the object, in pixels.
    image_ : matplotlib AxesImage or None
        The image, after :meth:`plot`.
    ellipses_ : list of matplotlib Ellipse or None
        The sets; None for the whole plane.
    centers_ : matplotlib Line2D
        Their centres.
    keypoints_, missed_ : matplotlib Line2D or None
        True keypoints in their sets, and those that are not.
    poses_ : matplotlib LineCollection, Line2D or None
        The edges of the object, or its points, in all poses.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If shapes do not match, numbers are not finite, a matrix is neither symmetric and positive definite nor 0, one
        of `poses`, `points` and `camera` is missing, or points are behind the camera.

    See Also
    --------
    HeatmapDisplay : What the sets are concluded from.
    PoseSetDisplay : The poses that put all keypoints in their sets.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), sections 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.displays import KeypointSetsDisplay
    >>> square = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]])
    >>> camera = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    >>> pose = np.column_stack([np.eye(3), [0, 0, 1]])
    >>> display = KeypointSetsDisplay(
    ...     [[272, 190], [368, 192]], [np.eye(2) / 5**2] * 2, image_shape=(480, 640), poses=pose, points=square,
    ...     camera=camera, edges=[(0, 1), (1, 2), (2, 3), (3, 0)]
    ... )
    >>> display.projections[0].tolist()
    [[270.0, 190.0], [370.0, 190.0], [370.0, 290.0], [270.0, 290.0]]

    ``display.plot()`` draws it.
    """

    centers: FloatArray
    precisions: FloatArray
    keypoints: FloatArray | None
    image: npt.NDArray[Any] | None
    image_shape: tuple[int, int] | None
    edges: npt.NDArray[np.intp] | None
    semi_axes: FloatArray
    angles: FloatArray
    inside: npt.NDArray[np.bool_] | None
    projections: FloatArray | None
    image_: Any
    ellipses_: list[Any]
    centers_: Any
    keypoints_: Any
    missed_: Any
    poses_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        image: npt.ArrayLike | None = None,
        image_shape: Sequence[int] | None = None,
        poses: npt.ArrayLike | None = None,
        points: npt.ArrayLike | None = None,
        camera: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        alpha: float | None = None,
    ) -> None:
        self._sets, self.alpha = PlaneSets.checked(centers, precisions), checked_alpha(alpha)
        self.centers, self.precisions, self.semi_axes, self.angles = self._sets
        self.keypoints = None if keypoints is None else finite_array(keypoints, "keypoints", (len(self.centers), 2))
        self.inside = None if self.keypoints is None else self._sets.contain(self.keypoints)
        self.image, self.image_shape = _checked_image(image, image_shape)
        self.projections = _projections(poses, points, camera)
        self.edges = _checked_edges(edges, self.projections)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        heatmaps: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        affine: npt.ArrayLike | None = None,
        alpha: float | None = None,
        group: Any = None,
        image: npt.ArrayLike | None = None,
        image_shape: Sequence[int] | None = None,
        poses: npt.ArrayLike | None = None,
        points: npt.ArrayLike | None = None,
        camera: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        zoom: bool = True,
        numbers: bool = True,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> KeypointSetsDisplay:
        """Draw the sets that a fitted detector predicts for one image.

        Parameters
        ----------
        estimator : object
            A fitted :class:`estimand.ConformalKeypointDetector` of heatmaps, or a search over one.
        heatmaps : array-like of shape (K, height, width)
            Those of one image.
        keypoints : array-like of shape (K, 2) or None, default=None
            True keypoints in heatmap coordinates, as for the detector's ``fit``.
        affine : array-like of shape (2, 3) or None, default=None
            Matrix ``[A, b]`` that takes image coordinates u to the heatmap coordinates ``A u + b``. None: heatmaps have
            the pixels of the image.
        alpha : float or None, default=None
            Miscoverage level of the sets. None: that of the detector.
        group : object or None, default=None
            Label of the image, such as the class of the object, if the detector was calibrated with groups.
        image, image_shape, poses, points, camera, edges
            As in the constructor.
        zoom, numbers, ax, name, **kwargs
            As in :meth:`plot`.

        Returns
        -------
        display : KeypointSetsDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` has no ``predict_set``.
        ValueError
            As for the constructor, and if the detector refuses the heatmaps, `affine`, `alpha` or `group`.
        sklearn.exceptions.NotFittedError
            If the detector is not fitted.
        """
        centers, precisions, level = predicted_sets(estimator, heatmaps, alpha, group, affine)
        if keypoints is not None and affine is not None:
            matrix, places = np.asarray(affine, dtype=np.float64), finite_array(keypoints, "keypoints", ("K", 2))
            keypoints = np.linalg.solve(matrix[:, :2], (places - matrix[:, 2]).T).T
        display = cls(
            centers,
            precisions,
            keypoints,
            image=image,
            image_shape=image_shape,
            poses=poses,
            points=points,
            camera=camera,
            edges=edges,
            alpha=level,
        )
        return display.plot(ax, zoom=zoom, numbers=numbers, name=name, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        keypoints: npt.ArrayLike | None = None,
        *,
        image: npt.ArrayLike | None = None,
        image_shape: Sequence[int] | None = None,
        poses: npt.ArrayLike | None = None,
        points: npt.ArrayLike | None = None,
        camera: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        alpha: float | None = None,
        zoom: bool = True,
        numbers: bool = True,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> KeypointSetsDisplay:
        """Draw given sets.

        Parameters
        ----------
        centers, precisions, keypoints, image, image_shape, poses, points, camera, edges, alpha
            As in the constructor. For ``sets``, what ``predict_set`` returns for several images,
            ``sets.centers[i]`` and ``sets.precisions[i]`` are those of one.
        zoom, numbers, ax, name, **kwargs
            As in :meth:`plot`.

        Returns
        -------
        display : KeypointSetsDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            As for the constructor.
        """
        display = cls(
            centers,
            precisions,
            keypoints,
            image=image,
            image_shape=image_shape,
            poses=poses,
            points=points,
            camera=camera,
            edges=edges,
            alpha=alpha,
        )
        return display.plot(ax, zoom=zoom, numbers=numbers, name=name, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        zoom: bool = True,
        numbers: bool = True,
        name: str | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> KeypointSetsDisplay:
        """Draw the image, the object, the sets and the true keypoints.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of the display of another level. None: a new figure.
        zoom : bool, default=True
            Whether only the part of the image is shown in which there is something. False: all of it, where it has
            a size.
        numbers : bool, default=True
            Whether the keypoints are numbered.
        name : str or None, default=None
            Title of the axes.
        cmap : str or matplotlib Colormap, default="gray"
            Colours of grey values, from the smallest to the largest.
        **kwargs : dict
            Passed to the outlines, matplotlib Ellipses, such as ``edgecolor`` or ``linestyle``.

        Returns
        -------
        display : KeypointSetsDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        lower, upper = self._region(zoom)
        self.ax_ = axes_or_new(ax, type(self).__name__, _figure_size(upper - lower))
        self.figure_ = self.ax_.figure
        from matplotlib.patches import Ellipse, Rectangle

        if any(isinstance(patch, Ellipse) for patch in self.ax_.patches):  # keep another display's sets in view
            (left, right), (top, bottom) = np.sort(self.ax_.get_xlim()), np.sort(self.ax_.get_ylim())
            lower, upper = np.minimum(lower, (left, top)), np.maximum(upper, (right, bottom))
        self.image_ = self.poses_ = self.keypoints_ = self.missed_ = None
        if self.image_shape is not None:
            height, width = self.image_shape
            if self.image is None:
                self.ax_.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor="0.6", linewidth=1))
            else:
                self.image_ = self.ax_.imshow(self.image, extent=(0, width, height, 0), cmap=cmap)
        self.ax_.set_aspect("equal")
        if self.projections is not None:
            self.poses_ = self._draw_poses(self.projections)
        self.ellipses_, self.centers_ = draw_sets(self.ax_, self._sets, set_label(self.alpha), kwargs)
        if self.keypoints is not None and self.inside is not None:
            self.keypoints_, self.missed_ = draw_points(self.ax_, self.keypoints, self.inside)
        if numbers:
            self._draw_numbers()
        self.ax_.set(xlim=(lower[0], upper[0]), ylim=(upper[1], lower[1]), xlabel="x in px", ylabel="y in px")
        legend_below(self.ax_, 3.5)
        if name is not None:
            self.ax_.set_title(name)
        return self

    def _draw_poses(self, projections: FloatArray) -> Any:
        from matplotlib.collections import LineCollection

        n_poses = len(projections)
        # So that many poses make a cloud, in which those that are alike add up.
        opacity = float(np.clip(8 / n_poses, 0.2, 1.0))
        style: dict[str, Any] = {"color": POSE, "alpha": opacity, "zorder": 2.0}
        label = "object in its pose" if n_poses == 1 else f"object in {n_poses} poses"
        if self.edges is None:
            points = projections.reshape(-1, 2)
            dots = {"marker": ".", "markersize": 6, "markeredgewidth": 0, "linestyle": "none"}
            (artist,) = self.ax_.plot(*points.T, **style, **dots, scalex=False, scaley=False)
            legend_entry(self.ax_, label, color=POSE, **{**dots, "markersize": 8})
        else:
            segments = list(projections[:, self.edges].reshape(-1, 2, 2))
            artist = self.ax_.add_collection(LineCollection(segments, linewidths=1.0, **style), autolim=False)
            legend_entry(self.ax_, label, color=POSE, linewidth=1.5)
        return artist

    def _draw_numbers(self) -> None:
        for k, center in enumerate(self.centers):
            # Beside the set where it is small, otherwise beside its centre.
            text = f"{k}" if self._sets.bounded[k] else f"{k}: whole plane"
            self.ax_.annotate(
                text,
                tuple(center),
                xytext=(6, 6),
                textcoords="offset points",
                fontsize="small",
                zorder=4,
                path_effects=halo(1.0),
                annotation_clip=True,
            )

    def _region(self, zoom: bool) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper corner of what is shown."""
        if not zoom and self.image_shape is not None:
            return np.zeros(2), np.array(self.image_shape[::-1], dtype=np.float64)
        parts = [array.reshape(-1, 2) for array in (self.keypoints, self.projections) if array is not None]
        corners = np.vstack([*self._sets.box(), *parts])
        lower, upper = corners.min(axis=0), corners.max(axis=0)
        margin = max(_MARGIN * float((upper - lower).max()), 1.0)
        return lower - margin, upper + margin


def _figure_size(sides: FloatArray) -> tuple[float, float]:
    """Return width and height in inches of a figure, so low that its layout keeps room for title and legend."""
    width, height = sides * min(_PICTURE / sides)
    return max(float(width) + 0.8, 6.0), float(height) + 0.9


def _checked_image(image: Any, shape: Any) -> tuple[npt.NDArray[Any] | None, tuple[int, int] | None]:
    """Return the image and its height and width, or None where there is none."""
    if image is None:
        if shape is None:
            return None, None
        sides = tuple(shape)
        if len(sides) != 2 or not all(isinstance(side, int | np.integer) and side >= 1 for side in sides):
            raise ValueError(f"image_shape={shape!r} must be two positive integers, the height and the width.")
        return None, (int(sides[0]), int(sides[1]))
    if shape is not None:
        raise ValueError("image_shape is for a frame in the place of an image: give image or image_shape, not both.")
    pixels = np.asarray(image)
    colours = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.size == 0 or pixels.dtype.kind not in "buif" or not (pixels.ndim == 2 or colours):
        raise ValueError(
            f"image has shape {pixels.shape} and type {pixels.dtype}, it must be numbers of shape (height, width), or "
            "(height, width, 3 or 4) for colours."
        )
    return pixels, (pixels.shape[0], pixels.shape[1])


def _projections(poses: Any, points: Any, camera: Any) -> FloatArray | None:
    """Return where the camera sees the points in all poses, of shape (m, n_points, 2)."""
    given = {"poses": poses, "points": points, "camera": camera}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == 3:
        return None
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given too: poses, points and camera go together.")
    stack = np.asarray(poses, dtype=np.float64)
    stack = finite_array(stack[None] if stack.ndim == 2 else stack, "poses", ("m", 3, 4))
    P, C = finite_array(points, "points", ("n_points", 3)), finite_array(camera, "camera", (3, 3))
    if len(stack) == 0 or len(P) == 0:
        raise ValueError(f"poses holds {len(stack)} poses, and points {len(P)} points: give one or more of each.")
    seen = P @ stack[:, :, :3].transpose(0, 2, 1) + stack[:, None, :, 3]
    if np.any(seen[..., 2] <= 0):
        i, k = (int(j) for j in np.argwhere(seen[..., 2] <= 0)[0])
        raise ValueError(
            f"points[{k}] has the depth {seen[i, k, 2]:g} in poses[{i}]: it is not in front of the camera."
        )
    pixels = seen @ C.T
    return np.asarray(pixels[..., :2] / pixels[..., 2:])


def _checked_edges(edges: Any, projections: FloatArray | None) -> npt.NDArray[np.intp] | None:
    if edges is None:
        return None
    if projections is None:
        raise ValueError("edges join points of the object: give poses, points and camera too.")
    pairs, n_points = np.asarray(edges), projections.shape[1]
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(f"edges has shape {pairs.shape} and type {pairs.dtype}, it must be integers, (n_edges, 2).")
    if pairs.size and not (pairs.min() >= 0 and pairs.max() < n_points):
        raise ValueError(
            f"edges holds numbers from {pairs.min()} to {pairs.max()}, but points are 0 to {n_points - 1}."
        )
    return pairs.astype(np.intp)
