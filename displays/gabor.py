"""Which Gabor functions the atoms of a dictionary are."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ..metrics import GaborFit, fit_gabor
from ._axes import axes_or_new
from .dictionary import atom_images, fitted_model

__all__ = ["GaborDisplay"]

FloatArray = npt.NDArray[np.float64]

_PARAMETERS = ("n_x", "n_y", "frequency", "r_squared")
#: Areas of markers in square points, at the frequencies 0 and 0.5.
_AREAS = (8.0, 80.0)


class GaborDisplay:
    """Widths of the Gabor functions fitted to atoms, in cycles: across the stripes against along them.

    Near the origin lie blobs, far to the right atoms of many stripes, far up those of long ones. :meth:`from_estimator`
    fits the functions to what a model has learned.

    Parameters
    ----------
    fit : GaborFit
        What :func:`estimand.metrics.fit_gabor` returns, or another object with vectors ``n_x``, ``n_y``, ``frequency``
        and ``r_squared``.
    threshold : float, default=0.7
        The share of its variance that the function has to explain of an atom for it to be drawn.

    Attributes
    ----------
    shown : ndarray of bool, of shape (n_atoms,)
        Which atoms are drawn.
    points_ : matplotlib PathCollection
        The atoms drawn, after :meth:`plot`: the larger, the higher the frequency.
    text_ : matplotlib Text
        Their share of all atoms.
    colorbar_ : matplotlib Colorbar or None
        Colours of the shares explained; None where another colour was given.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    TypeError
        If `fit` lacks one of the vectors.
    ValueError
        If they are not vectors of the same length, or `threshold` is not a number up to 1.

    See Also
    --------
    DictionaryDisplay : The atoms themselves.

    References
    ----------
    D. Ringach, "Spatial structure and symmetry of simple-cell receptive fields in macaque primary visual cortex", J.
    Neurophysiology 88 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.displays import GaborDisplay
    >>> from estimand.metrics import fit_gabor
    >>> y, x = np.mgrid[:12, :12]
    >>> atom = np.exp(-((x - 5) ** 2 + (y - 6) ** 2) / 8) * np.cos(0.4 * np.pi * (x - 5))
    >>> noise = np.random.default_rng(0).standard_normal(atom.shape)
    >>> display = GaborDisplay(fit_gabor([atom.ravel(), noise.ravel()], (12, 12)))
    >>> display.shown
    array([ True, False])

    ``display.plot()`` draws it, and ``GaborDisplay.from_estimator(model)`` does all of this for a fitted model.
    """

    fit: Any
    threshold: float
    shown: npt.NDArray[np.bool_]
    points_: Any
    text_: Any
    colorbar_: Any
    ax_: Any
    figure_: Any

    def __init__(self, fit: GaborFit | Any, *, threshold: float = 0.7) -> None:
        missing = [key for key in _PARAMETERS if not hasattr(fit, key)]
        if missing:
            raise TypeError(f"fit must be a GaborFit, got {type(fit).__name__}, which has no {', '.join(missing)}.")
        if not (isinstance(threshold, Real) and threshold <= 1):
            raise ValueError(f"threshold={threshold!r} must be a number of at most 1.")
        vectors = {key: np.asarray(getattr(fit, key), dtype=np.float64) for key in _PARAMETERS}
        shape = vectors["n_x"].shape
        for key, vector in vectors.items():
            if vector.ndim != 1 or vector.size == 0 or vector.shape != shape:
                raise ValueError(
                    f"fit.{key} has shape {vector.shape} and fit.n_x {shape}: they must be vectors of the same length, "
                    "with at least one atom."
                )
        self.fit, self.threshold = fit, float(threshold)
        self.shown = (vectors["r_squared"] >= threshold) & np.isfinite(list(vectors.values())).all(axis=0)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        threshold: float = 0.7,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> GaborDisplay:
        """Fit Gabor functions to the atoms of a fitted model, and draw their widths.

        Parameters
        ----------
        estimator : object
            A fitted model with ``components_``, a pipeline that ends in one, or a search over one. A pipeline's atoms
            are those of its last step. An atom that is not finite counts as one that no function fits.
        image_shape : tuple of two int or None, default=None
            Height and width of the atoms, in pixels. None: those of a square.
        threshold : float, default=0.7
            The share of its variance that the function has to explain of an atom for it to be drawn.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.scatter``.

        Returns
        -------
        display : GaborDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` has no ``components_``, nor does it hold a model that has.
        ValueError
            If shapes do not match, or `threshold` is not a number up to 1.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        model = fitted_model(estimator, "components_")
        components = np.asarray(model.components_, dtype=np.float64)
        images = atom_images(components, image_shape, getattr(model, "split_sign", None))
        finite = np.isfinite(images).all(axis=(1, 2), keepdims=True)
        atoms = np.where(finite, images, 0.0).reshape(len(images), -1)
        display = cls(fit_gabor(atoms, (images.shape[1], images.shape[2])), threshold=threshold)
        return display.plot(ax, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> GaborDisplay:
        """Draw the widths.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.scatter``, such as ``color``, which takes the place of the shares explained, or ``s``.

        Returns
        -------
        display : GaborDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        n_x, n_y, frequency, r_squared = (np.asarray(getattr(self.fit, key))[self.shown] for key in _PARAMETERS)
        areas = _AREAS[0] + (_AREAS[1] - _AREAS[0]) * frequency / 0.5
        style: dict[str, Any] = {"s": areas, "linewidths": 0, "alpha": 0.8}
        plain = not {"c", "color", "facecolor", "facecolors"}.isdisjoint(kwargs)
        if not plain:
            style |= {"c": r_squared, "vmin": min(self.threshold, 0.999), "vmax": 1.0, "cmap": "viridis"}
        self.ax_.axline((0, 0), slope=1, color="0.7", linewidth=0.8, zorder=0.5)
        self.points_ = self.ax_.scatter(n_x, n_y, **{**style, **kwargs})
        self.colorbar_ = None if plain else self.figure_.colorbar(self.points_, ax=self.ax_, label="R²")
        n_shown, n_atoms = int(self.shown.sum()), self.shown.size
        share = f"{n_shown} of {n_atoms} atoms ({100 * n_shown / n_atoms:.0f}%) with R² ≥ {self.threshold:g}"
        self.text_ = self.ax_.text(1, 1.02, share, transform=self.ax_.transAxes, ha="right", va="bottom")
        self.ax_.set(xlabel="$n_x$: width across the stripes, in cycles", ylabel="$n_y$: width along them, in cycles")
        if name is not None:
            self.ax_.set_title(name, loc="left")
        return self
