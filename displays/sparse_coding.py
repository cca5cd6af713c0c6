"""How a dictionary is used, and how well sparse codes rebuild signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..metrics import mean_active, reconstruction_error
from ._axes import axes_or_new, full_legend, named
from .dictionary import active_share, fitted_model

__all__ = ["AtomUsageDisplay", "SparsityErrorDisplay"]

FloatArray = npt.NDArray[np.float64]


class AtomUsageDisplay:
    """Shares of signals that use each atom, from the most used one to the least used, on a logarithmic scale.

    :meth:`from_estimator` draws those of a fitted model. Atoms that are never used have no place on the scale; the
    legend counts them.

    Parameters
    ----------
    usage : array-like of shape (n_atoms,)
        Share of signals whose code uses each atom, in [0, 1].
    name : str or None, default=None
        Name of the dictionary, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve, after :meth:`plot`.
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If `usage` is not a vector of shares.

    See Also
    --------
    DictionaryDisplay : The atoms themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PenalizedSparseCoder
    >>> from estimand.datasets import make_bars
    >>> from estimand.displays import AtomUsageDisplay
    >>> data = make_bars(200, size=4, noise=0, random_state=0)
    >>> codes = PenalizedSparseCoder(data.components, penalty="l0").transform(data.X)
    >>> display = AtomUsageDisplay(np.mean(codes != 0, axis=0), name="l0")
    >>> display.usage.shape
    (8,)

    ``display.plot()`` draws it, and ``AtomUsageDisplay.from_codes(codes)`` does both at once.
    """

    usage: FloatArray
    line_: Any
    ax_: Any
    figure_: Any

    def __init__(self, usage: npt.ArrayLike, *, name: str | None = None) -> None:
        self.usage, self.name = np.asarray(usage, dtype=np.float64), name
        if self.usage.ndim != 1 or self.usage.size == 0:
            raise ValueError(f"usage has shape {self.usage.shape}, it must be (n_atoms,), of one or more.")
        wrong = self.usage[~((self.usage >= 0) & (self.usage <= 1))]
        if wrong.size:
            raise ValueError(f"usage holds {float(wrong[0])!r}: shares of signals lie in [0, 1].")

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, ax: Any = None, name: str | None = None, **kwargs: Any
    ) -> AtomUsageDisplay:
        """Draw how often a fitted model uses its atoms.

        Parameters
        ----------
        estimator : object
            A fitted model, a pipeline that ends in one, or a search over one.
        X : array-like of shape (n_samples, n_features) or None, default=None
            Signals to encode. None: the model's ``usage_`` is drawn, the shares of the signals that it learned from.
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of another model's display. None: a new figure.
        name : str or None, default=None
            Name of the dictionary, for the legend.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : AtomUsageDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If there is neither `X` nor a model with ``usage_``.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        if X is not None:
            return cls.from_codes(_call(estimator, "transform", X), ax=ax, name=name, **kwargs)
        model = fitted_model(estimator, "usage_", hint=" Or give X, signals to encode.")
        return cls(model.usage_, name=name).plot(ax, **kwargs)

    @classmethod
    def from_codes(cls, codes: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any) -> AtomUsageDisplay:
        """Draw how often codes use each atom.

        Parameters
        ----------
        codes : array-like or sparse matrix of shape (n_samples, n_atoms)
            The codes. Coefficients count that are not exactly 0.
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of another model's display. None: a new figure.
        name : str or None, default=None
            Name of the dictionary, for the legend.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : AtomUsageDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `codes` is empty, not of two dimensions or not finite.
        """
        checked = check_array(codes, accept_sparse=["csr", "csc"], input_name="codes")
        return cls(active_share(checked), name=name).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> AtomUsageDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of another model's display. None: a new figure.
        name : str or None, default=None
            Name of the dictionary, for the legend. None: that of the display.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : AtomUsageDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        falling = np.sort(self.usage)[::-1]
        unused = int(np.count_nonzero(falling == 0))
        texts = [name or self.name, f"{unused} of {falling.size} never used" if unused else None]
        label = ": ".join(text for text in texts if text)
        style = {"marker": ".", "linewidth": 1, **({"label": label} if label else {})}
        (self.line_,) = self.ax_.plot(np.arange(1, falling.size + 1), falling, **{**style, **kwargs})
        if unused < falling.size:
            self.ax_.set_yscale("log", nonpositive="mask")
        self.ax_.set(xlabel="atoms, from the most used to the least used", ylabel="share of signals")
        full_legend(self.ax_)
        return self


class SparsityErrorDisplay:
    """Curves of the reconstruction error against the number of active atoms, one for each penalty.

    A curve that lies lower rebuilds the signals better with as many atoms. :meth:`from_estimators` and
    :meth:`from_codes` compute the points.

    Parameters
    ----------
    curves : mapping of str to array-like of shape (n_points, 2)
        By the name of the penalty, the mean number of active atoms of a signal and the relative error, at each strength
        of the penalty. They are sorted by the number.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The curves by name, after :meth:`plot`.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    TypeError
        If `curves` has no names.
    ValueError
        If there is no curve, or one of them is of another shape, negative or not finite.

    See Also
    --------
    estimand.metrics.mean_active : The mean number of active atoms.
    estimand.metrics.reconstruction_error : The error.

    Examples
    --------
    >>> from estimand import sparse_encode
    >>> from estimand.datasets import make_bars
    >>> from estimand.displays import SparsityErrorDisplay
    >>> from estimand.metrics import mean_active, reconstruction_error
    >>> data = make_bars(50, size=4, random_state=0)
    >>> points = []
    >>> for alpha in (10, 30, 100):
    ...     codes = sparse_encode(data.X, data.components, penalty="l0", alpha=alpha)
    ...     error = reconstruction_error(data.X, codes, data.components, relative=True)
    ...     points.append((mean_active(codes), error))
    >>> display = SparsityErrorDisplay({"l0": points})
    >>> display.curves["l0"].shape
    (3, 2)

    ``display.plot()`` draws it. ``SparsityErrorDisplay.from_codes({"l0": [(codes, data.components), ...]}, data.X)``
    does all of this for codes, and ``SparsityErrorDisplay.from_estimators({"l0": models}, data.X)`` for fitted models.
    """

    curves: dict[str, FloatArray]
    lines_: dict[str, Any]
    ax_: Any
    figure_: Any

    def __init__(self, curves: Mapping[str, npt.ArrayLike]) -> None:
        self.curves = {}
        for name, curve in named(curves, "curves").items():
            points = np.asarray(curve, dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != 2 or points.size == 0:
                raise ValueError(
                    f"curves[{name!r}] has shape {points.shape}, it must be (n_points, 2): the number of active atoms "
                    "and the error of one or more points."
                )
            if not np.all((points >= 0) & np.isfinite(points)):
                raise ValueError(f"curves[{name!r}]={points.tolist()} must be finite and at least 0.")
            self.curves[name] = points[np.lexsort(points.T[::-1])]

    @classmethod
    def from_codes(
        cls,
        codes: Mapping[str, Iterable[tuple[Any, npt.ArrayLike]]],
        X: npt.ArrayLike,
        *,
        mean: npt.ArrayLike | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> SparsityErrorDisplay:
        """Draw the points of codes in dictionaries.

        Parameters
        ----------
        codes : mapping of str to iterable of tuple
            By the name of the penalty, pairs of the codes, of shape (n_samples, n_atoms), which may be sparse, and the
            components, of shape (n_atoms, n_features). Each pair is a point.
        X : array-like of shape (n_samples, n_features)
            The signals.
        mean : array-like of shape (n_features,) or None, default=None
            What was subtracted from the signals before they were coded. None: nothing.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : SparsityErrorDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `codes` has no names.
        ValueError
            If shapes do not match, or the signals are 0 everywhere.
        """
        curves = {}
        for key, pairs in named(codes, "codes").items():
            points = []
            for k, pair in enumerate(pairs):
                if not (isinstance(pair, tuple | list) and len(pair) == 2):
                    raise ValueError(f"codes[{key!r}][{k}] must be a pair of codes and components.")
                weights = pair[0].toarray() if sparse.issparse(pair[0]) else pair[0]
                try:
                    error = reconstruction_error(X, weights, pair[1], mean, relative=True)
                except ValueError as refusal:
                    raise ValueError(f"codes[{key!r}][{k}]: {refusal}") from refusal
                points.append((mean_active(weights), error))
            curves[key] = np.reshape(points, (-1, 2))
        return cls(curves).plot(ax, name=name, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Iterable[Any]],
        X: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> SparsityErrorDisplay:
        """Draw the points of fitted models, which encode the signals.

        Parameters
        ----------
        estimators : mapping of str to iterable of objects
            By the name of the penalty, fitted models, pipelines or searches with ``transform`` and
            ``inverse_transform``, such as dictionaries learned with different strengths of it. Each is a point.
        X : array-like of shape (n_samples, n_features)
            The signals. Errors are relative to the mean square of what codes of 0 leave of them, so that 1 is no better
            than these, for models that subtract means too.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : SparsityErrorDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimators` has no names, or an estimator lacks one of the methods.
        ValueError
            If shapes do not match, or codes of 0 leave nothing of the signals.
        sklearn.exceptions.NotFittedError
            If an estimator is not fitted.
        """
        curves = {}
        for key, models in named(estimators, "estimators").items():
            # A pipeline is iterable: over its steps.
            if hasattr(models, "fit"):
                raise TypeError(
                    f"estimators must map names to lists of fitted models: {key!r} is {type(models).__name__}."
                )
            curves[key] = np.reshape([_point(model, X) for model in models], (-1, 2))
        return cls(curves).plot(ax, name=name, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> SparsityErrorDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Title of the axes.
        **kwargs : dict
            Passed to ``ax.plot``, such as ``linewidth``.

        Returns
        -------
        display : SparsityErrorDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        for key, points in self.curves.items():
            (line,) = self.ax_.plot(*points.T, **{"marker": "o", "label": key, **kwargs})
            line.sticky_edges.x.append(0)
            line.sticky_edges.y.append(0)
            self.lines_[key] = line
        # Fixed limits would hide what another display draws on the same axes.
        self.ax_.update_datalim([(0, 0)])
        self.ax_.autoscale_view()
        self.ax_.set(xlabel="active atoms per signal", ylabel="relative squared error")
        if name is not None:
            self.ax_.set_title(name)
        full_legend(self.ax_)
        return self


def _call(estimator: Any, method: str, values: Any) -> Any:
    """Return what a method of a fitted estimator makes of values."""
    if not hasattr(estimator, method):
        if hasattr(estimator, "fit"):
            check_is_fitted(estimator)
        raise TypeError(f"estimator must have {method}, got {type(estimator).__name__}.")
    return getattr(estimator, method)(values)


def _point(estimator: Any, X: Any) -> tuple[float, float]:
    """Return the mean number of active atoms and the relative error."""
    codes = _call(estimator, "transform", X)
    weights = codes.toarray() if sparse.issparse(codes) else np.asarray(codes)
    signals = check_array(X, dtype=np.float64, input_name="X")
    rebuilt = np.asarray(_call(estimator, "inverse_transform", weights), dtype=np.float64)
    nothing = np.asarray(_call(estimator, "inverse_transform", np.zeros_like(weights[:1])), dtype=np.float64)
    power = float(np.mean((signals - nothing) ** 2))
    if power == 0:
        raise ValueError("X is what codes of 0 stand for everywhere, so that no error is relative to it.")
    return mean_active(weights), float(np.mean((signals - rebuilt) ** 2)) / power
