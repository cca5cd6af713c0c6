"""The atoms of dictionaries of image patches."""

from __future__ import annotations

from math import ceil, isqrt
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._axes import axes_or_new, check_count, checked_indices

__all__ = ["DictionaryDisplay", "active_share", "atom_images", "fitted_model"]

FloatArray = npt.NDArray[np.float64]

_ORDERS = ("usage", "index", None)
_SCALES = ("atom", "common")
#: Atoms are drawn between -1 and 1, so that this takes the colour that is kept for larger values.
_SEPARATOR = 2.0


class DictionaryDisplay:
    """Mosaic of atoms that are image patches, in grey: 0 is the middle, and signs of either kind are alike.

    :meth:`from_estimator` draws what a model has learned, the atoms that it uses most first.

    Parameters
    ----------
    components : array-like of shape (n_atoms, height * width) or (n_atoms, 2 * height * width)
        The atoms, the rows of an image one after the other. Of atoms that are twice as long, for signals split into
        their positive and their negative parts, the difference of the halves is drawn. Pixels that are not finite are
        drawn in red.
    image_shape : tuple of two int or None, default=None
        Height and width of the atoms, in pixels. None: those of a square.
    indices : array-like of int or None, default=None
        Numbers of the atoms to draw, in this order. None: all of them as they come.

    Attributes
    ----------
    images : ndarray of shape (n_atoms, height, width)
        The atoms as images.
    image_ : matplotlib AxesImage
        The mosaic, after :meth:`plot`.
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If `components` is empty or not of two dimensions, `image_shape` is not that of the atoms or cannot be told, or
        there are no such atoms as `indices` names.

    See Also
    --------
    GaborDisplay : Shapes of the Gabor functions fitted to the atoms.
    AtomUsageDisplay : Shares of signals that use them.

    Examples
    --------
    >>> from estimand.datasets import make_bars
    >>> from estimand.displays import DictionaryDisplay
    >>> bars = make_bars(10, size=4).components
    >>> display = DictionaryDisplay(bars, indices=[7, 6, 5])
    >>> display.images.shape, display.image_shape
    ((8, 4, 4), (4, 4))

    ``display.plot()`` draws it, and ``DictionaryDisplay.from_estimator(model)`` does both for a fitted model.
    """

    components: FloatArray
    images: FloatArray
    image_shape: tuple[int, int]
    indices: npt.NDArray[np.intp]
    image_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        components: npt.ArrayLike,
        image_shape: tuple[int, int] | None = None,
        *,
        indices: npt.ArrayLike | None = None,
    ) -> None:
        self.components = np.asarray(components, dtype=np.float64)
        self.images = atom_images(self.components, image_shape)
        self.image_shape = (self.images.shape[1], self.images.shape[2])
        self.indices = checked_indices(indices, len(self.images), "the atoms of components")

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        image_shape: tuple[int, int] | None = None,
        order: str | None = None,
        max_atoms: int | None = 400,
        n_columns: int | None = None,
        scale: str = "atom",
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> DictionaryDisplay:
        """Draw the atoms of a fitted model.

        Parameters
        ----------
        estimator : object
            A fitted model with ``components_``, a pipeline that ends in one, or a search over one. A pipeline's atoms
            are those of its last step.
        X : array-like of shape (n_samples, n_features) or None, default=None
            Signals, the codes of which tell how often the atoms are used. None: the model's ``usage_`` does.
        image_shape : tuple of two int or None, default=None
            Height and width of the atoms, in pixels. None: those of a square.
        order : {"usage", "index"} or None, default=None
            Whether the atoms that most signals use come first, or atoms stand as they do in the dictionary. None: by
            usage where it is known.
        max_atoms : int or None, default=400
            How many atoms are drawn at most, the first ones. None: all of them.
        n_columns : int or None, default=None
            Atoms in a row, see :meth:`plot`.
        scale : {"atom", "common"}, default="atom"
            What white and black stand for, see :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.imshow``.

        Returns
        -------
        display : DictionaryDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` has no ``components_``, nor does it hold a model that has.
        ValueError
            If a parameter is none of those allowed, the usage is not known, or shapes do not match.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        if order not in _ORDERS:
            raise ValueError(f"order={order!r} must be 'usage', 'index' or None.")
        if max_atoms is not None:
            check_count("max_atoms", max_atoms)
        model = fitted_model(estimator, "components_")
        components = np.asarray(model.components_, dtype=np.float64)
        usage = None
        if order != "index":
            usage = getattr(model, "usage_", None) if X is None else active_share(estimator.transform(X))
        if order == "usage" and usage is None:
            raise ValueError("order='usage' needs X, signals to encode: the model has no usage_.")
        indices = np.arange(len(components)) if usage is None else np.argsort(-np.asarray(usage), kind="stable")
        images = atom_images(components, image_shape, getattr(model, "split_sign", None))
        display = cls(components, (images.shape[1], images.shape[2]), indices=indices[:max_atoms])
        return display.plot(ax, n_columns=n_columns, scale=scale, name=name, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_columns: int | None = None,
        scale: str = "atom",
        name: str | None = None,
        cmap: Any = "gray",
        **kwargs: Any,
    ) -> DictionaryDisplay:
        """Draw the mosaic, row by row.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        n_columns : int or None, default=None
            Atoms in a row, at least 1. None: as many as make the mosaic about square.
        scale : {"atom", "common"}, default="atom"
            Whether white and black stand for plus and minus the largest absolute value of each atom, or of all atoms
            that are drawn.
        name : str or None, default=None
            Title of the axes.
        cmap : str or matplotlib Colormap, default="gray"
            Colours from the most negative to the most positive value.
        **kwargs : dict
            Passed to ``ax.imshow``.

        Returns
        -------
        display : DictionaryDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `n_columns` or `scale` is none of those allowed.
        """
        if scale not in _SCALES:
            raise ValueError(f"scale={scale!r} must be 'atom' or 'common'.")
        if n_columns is not None:
            check_count("n_columns", n_columns)
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        import matplotlib as mpl

        colours = mpl.colormaps.get_cmap(cmap).with_extremes(bad="tab:red", over="white")
        # Colours rather than numbers are resampled: a mean of an atom and a separator would be a value of neither.
        style = {"interpolation": "antialiased", "interpolation_stage": "rgba", "vmin": -1, "vmax": 1}
        self.image_ = self.ax_.imshow(self._mosaic(n_columns, scale), **{**style, "cmap": colours, **kwargs})
        self.ax_.set(xticks=[], yticks=[])
        self.ax_.spines[:].set_visible(False)
        if self.indices.size < len(self.images):
            self.ax_.set_xlabel(f"{self.indices.size} of {len(self.images)} atoms")
        if name is not None:
            self.ax_.set_title(name)
        return self

    def _mosaic(self, n_columns: int | None, scale: str) -> FloatArray:
        """Return the scaled atoms side by side, a pixel apart."""
        images = np.where(np.isfinite(self.images), self.images, np.nan)[self.indices]
        sizes = np.nan_to_num(np.abs(images)).max(axis=(1, 2), keepdims=True)
        if scale == "common":
            sizes = np.full_like(sizes, sizes.max())
        images = images / np.where(sizes > 0, sizes, 1.0)
        n_atoms, height, width = images.shape
        columns = ceil(np.sqrt(n_atoms * (height + 1) / (width + 1))) if n_columns is None else int(n_columns)
        columns = min(columns, n_atoms)
        rows = -(-n_atoms // columns)
        tiles = np.full((rows * columns, height + 1, width + 1), _SEPARATOR)
        tiles[:n_atoms, :height, :width] = images
        mosaic = tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
        return mosaic.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def fitted_model(estimator: Any, attribute: str, *, hint: str = "") -> Any:
    """Return the fitted model within pipelines and searches that has this attribute.

    Raises
    ------
    TypeError
        If there is none.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    model = estimator
    while not hasattr(model, attribute):
        if isinstance(model, Pipeline):
            model = model.steps[-1][1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            if hasattr(model, "fit"):
                check_is_fitted(model)
            raise TypeError(
                f"estimator must be a fitted model with {attribute}, a pipeline that ends in one, or a fitted search "
                f"over one, got {type(estimator).__name__}.{hint}"
            )
    return model


def active_share(codes: Any) -> FloatArray:
    """Return the share of signals whose code uses each atom."""
    values = codes if sparse.issparse(codes) else np.asarray(codes)
    return np.asarray((values != 0).mean(axis=0), dtype=np.float64).ravel()


def atom_images(components: FloatArray, shape: tuple[int, int] | None, split: bool | None = None) -> FloatArray:
    """Return atoms as images of shape (n_atoms, height, width); `split` tells whether signals are, None that it may be.

    Raises
    ------
    ValueError
        If they have no such shape.
    """
    if components.ndim != 2 or components.size == 0:
        raise ValueError(f"components has shape {components.shape}, it must be (n_atoms, height * width), not empty.")
    n_features = components.shape[1]
    height, width = _square(n_features, split) if shape is None else _sides(shape)
    n_pixels = height * width
    if n_features != n_pixels and (split is False or n_features != 2 * n_pixels):
        raise ValueError(
            f"image_shape={shape!r} makes {n_pixels} pixels, but components has {n_features} columns: it must have as "
            "many, or twice as many for signals split by sign."
        )
    atoms = components if n_features == n_pixels else components[:, :n_pixels] - components[:, n_pixels:]
    return np.asarray(atoms.reshape(-1, height, width))


def _square(n_features: int, split: bool | None) -> tuple[int, int]:
    """Return the shape of a square of all features or of half of them."""
    for twice in (False, True) if split is None else (split,):
        n_pixels = n_features // 2 if twice else n_features
        side = isqrt(n_pixels)
        if side**2 == n_pixels and n_features == n_pixels * (2 if twice else 1):
            return side, side
    of_them = {None: ", or half of them,", True: ", or rather half of them,", False: ""}[split]
    raise ValueError(
        f"image_shape=None is that of a square, which {n_features} features{of_them} do not make: give (height, width)."
    )


def _sides(shape: Any) -> tuple[int, int]:
    sides: tuple[int, ...] = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise ValueError(f"image_shape={shape!r} must be two positive integers, the height and the width of the atoms.")
    return int(sides[0]), int(sides[1])
