"""The coefficients of a model along a grid of penalties."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from ._axes import axes_or_new, legend

__all__ = ["CoefficientPathDisplay"]

FloatArray = npt.NDArray[np.float64]

#: From the lowest boundary to the highest, which is solid.
_STYLES: tuple[Any, ...] = (":", "-.", "--", "-")


class CoefficientPathDisplay:
    """Curves of the coefficients against the strength of the penalty, which falls from left to right.

    :meth:`from_path` draws what a function such as :func:`estimand.presto_path` or :func:`estimand.lasso_path` returns.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        The penalties, at least 0.
    coefs : array-like of shape (n_alphas, n_features) or (n_alphas, n_boundaries, n_features)
        The coefficients at each penalty.
    feature_names : array-like of shape (n_features,) or None, default=None
        Names of the features; None numbers them.
    boundary_names : array-like of shape (n_boundaries,) or None, default=None
        Names of the boundaries between ordered classes; None numbers them. Of two-dimensional `coefs` one name or none.

    Attributes
    ----------
    lines_ : ndarray of shape (n_features,) or (n_boundaries, n_features)
        The curves, after :meth:`plot`.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If the shapes or the numbers of names do not match, or a penalty is negative.

    See Also
    --------
    PrestoDisplay : Fitted probabilities of ordered classes against one feature.

    Examples
    --------
    >>> from estimand import presto_path
    >>> from estimand.datasets import make_ordinal_regression
    >>> from estimand.displays import CoefficientPathDisplay
    >>> data = make_ordinal_regression(random_state=0)
    >>> path = presto_path(data.X, data.y, n_alphas=10)
    >>> display = CoefficientPathDisplay(path.alphas, path.coefs[:, -1], boundary_names=["P(y > 2)"])
    >>> display.coefs.shape
    (10, 10)

    ``display.plot()`` draws it, and ``CoefficientPathDisplay.from_path(path, boundary=-1)`` does both at once.
    """

    alphas: FloatArray
    coefs: FloatArray
    lines_: npt.NDArray[Any]
    ax_: Any
    figure_: Any

    def __init__(
        self,
        alphas: npt.ArrayLike,
        coefs: npt.ArrayLike,
        *,
        feature_names: npt.ArrayLike | None = None,
        boundary_names: npt.ArrayLike | None = None,
    ) -> None:
        self.alphas = np.asarray(alphas, dtype=np.float64)
        self.coefs = np.asarray(coefs, dtype=np.float64)
        if self.alphas.ndim != 1 or self.alphas.size == 0 or not np.all(self.alphas >= 0):
            raise ValueError(f"alphas={self.alphas.tolist()} must hold penalties of at least 0, one or more.")
        if self.coefs.ndim not in (2, 3) or self.coefs.shape[0] != self.alphas.size:
            raise ValueError(
                f"coefs has shape {self.coefs.shape}, which must begin with the {self.alphas.size} penalties and end "
                "with the features; between them there may be the boundaries."
            )
        n_boundaries = self.coefs.shape[1] if self.coefs.ndim == 3 else 1
        self.feature_names = _names(feature_names, self.coefs.shape[-1], "feature")
        self.boundary_names = _names(boundary_names, n_boundaries, "boundary")
        self._named_boundaries = boundary_names is not None

    @classmethod
    def from_path(
        cls,
        path: Any,
        *,
        boundary: int | None = None,
        feature_names: npt.ArrayLike | None = None,
        ax: Any = None,
        name: str | None = None,
        n_labels: int = 10,
        **kwargs: Any,
    ) -> CoefficientPathDisplay:
        """Draw the coefficients of a path.

        Parameters
        ----------
        path : object
            With ``alphas`` of shape (n_alphas,) and ``coefs`` of shape (n_alphas, n_boundaries, n_features), as
            :func:`estimand.presto_path` returns them, or (n_features, n_alphas), as :func:`estimand.lasso_path` does.
            A matrix that has the length of ``alphas`` only in its rows is read as (n_alphas, n_features). Boundaries
            are named after ``categories``, the ordered classes, where the path has them.
        boundary : int or None, default=None
            The boundary to draw: 0 is the one above the lowest class, -1 the one below the highest. None: all of them,
            each in a style of its own.
        feature_names : array-like of shape (n_features,) or None, default=None
            Names of the features; None numbers them.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        n_labels : int, default=10
            How many features get a colour and a line in the legend, see :meth:`plot`.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : CoefficientPathDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such boundary, or shapes do not match.
        """
        alphas, coefs = np.asarray(path.alphas, dtype=np.float64), np.asarray(path.coefs, dtype=np.float64)
        if coefs.ndim == 2 and coefs.shape[1] == alphas.size:
            coefs = coefs.T
        names = None
        if coefs.ndim == 3:
            categories = getattr(path, "categories", None)
            names = None if categories is None else [f"P(y > {category})" for category in list(categories)[:-1]]
        if boundary is not None:
            coefs, names = _one_boundary(coefs, names, boundary)
        display = cls(alphas, coefs, feature_names=feature_names, boundary_names=names)
        return display.plot(ax, name=name, n_labels=n_labels, **kwargs)

    def plot(
        self, ax: Any = None, *, name: str | None = None, n_labels: int = 10, **kwargs: Any
    ) -> CoefficientPathDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        n_labels : int, default=10
            How many features get a colour and a line in the legend: those with the largest coefficients anywhere on the
            curves. The others are grey.
        **kwargs : dict
            Passed to ``ax.plot``, such as ``linewidth``.

        Returns
        -------
        display : CoefficientPathDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        curves = self.coefs if self.coefs.ndim == 3 else self.coefs[:, np.newaxis]
        _, n_boundaries, n_features = curves.shape
        colours = _colours(curves, n_labels)
        single = {"marker": "o"} if self.alphas.size == 1 else {}
        self.ax_.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        lines = np.empty((n_boundaries, n_features), dtype=object)
        for k in range(n_boundaries):
            for j in range(n_features):
                style = {"color": "0.8", "linewidth": 0.8, "zorder": 1.5}
                if j in colours:
                    style = {"color": colours[j], "zorder": 2}
                style["linestyle"] = _STYLES[(k - n_boundaries) % len(_STYLES)]
                (lines[k, j],) = self.ax_.plot(self.alphas, curves[:, k, j], **{**style, **single, **kwargs})
        self.lines_ = lines if self.coefs.ndim == 3 else lines[0]
        self._describe(name)
        legend(self.ax_, self._handles(curves, colours))
        return self

    def _describe(self, name: str | None) -> None:
        """Set scales, labels and the title."""
        positive = self.alphas[self.alphas > 0]
        if positive.size == self.alphas.size:
            self.ax_.set_xscale("log")
        elif positive.size:
            self.ax_.set_xscale("symlog", linthresh=positive.min())
        if np.ptp(self.alphas) > 0:
            self.ax_.set_xlim(self.alphas.max(), self.alphas.min())
        one = self._named_boundaries and len(self.boundary_names) == 1
        self.ax_.set(xlabel="alpha", ylabel=f"coefficient for {self.boundary_names[0]}" if one else "coefficient")
        if name is not None:
            self.ax_.set_title(name)

    def _handles(self, curves: FloatArray, colours: dict[int, Any]) -> list[Any]:
        """Return the lines of the legend: features from the highest curve at the smallest penalty, then boundaries."""
        from matplotlib.lines import Line2D

        end = curves[self.alphas.argmin(), -1]
        shown = sorted(colours, key=lambda j: -float(end[j]))
        handles = [Line2D([], [], color=colours[j], label=self.feature_names[j]) for j in shown]
        if curves.shape[1] > 1:
            handles += [
                Line2D([], [], color="0.3", linestyle=_STYLES[(k - curves.shape[1]) % len(_STYLES)], label=label)
                for k, label in enumerate(self.boundary_names)
            ]
        return handles


def _names(names: npt.ArrayLike | None, size: int, kind: str) -> list[str]:
    """Return the names as text, or numbers in their place."""
    if names is None:
        return [f"{kind} {k}" for k in range(size)]
    texts = [str(name) for name in np.asarray(names).ravel().tolist()]
    if len(texts) != size:
        raise ValueError(f"{kind}_names holds {len(texts)} names for {size}: give one each.")
    return texts


def _one_boundary(coefs: FloatArray, names: list[str] | None, boundary: int) -> tuple[FloatArray, list[str] | None]:
    """Return the coefficients and the name of one boundary."""
    if coefs.ndim != 3:
        raise ValueError(f"boundary={boundary!r} was given, but the path has no boundaries: leave it out.")
    n_boundaries = coefs.shape[1]
    if not (isinstance(boundary, Integral) and -n_boundaries <= boundary < n_boundaries):
        raise ValueError(
            f"boundary={boundary!r} must be an integer in [{-n_boundaries}, {n_boundaries - 1}], or None for all."
        )
    return coefs[:, boundary], None if names is None else [names[boundary]]


def _colours(curves: FloatArray, n_labels: int) -> dict[int, Any]:
    """Return a colour for each of the features with the largest coefficients."""
    import matplotlib as mpl

    largest = np.abs(curves).max(axis=(0, 1))
    shown = np.argsort(-largest, kind="stable")[: max(int(n_labels), 0)]
    shown = np.sort(shown[largest[shown] > 0])
    palette = mpl.colormaps["tab10" if shown.size <= 10 else "tab20"]
    return {int(j): palette(i % palette.N) for i, j in enumerate(shown)}
