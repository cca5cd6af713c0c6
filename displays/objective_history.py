"""How the learning of a dictionary went."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from ._axes import axes_or_new, full_legend, named
from .dictionary import fitted_model

__all__ = ["ObjectiveHistoryDisplay"]

FloatArray = npt.NDArray[np.float64]

_HISTORY = "objective_history_"


class ObjectiveHistoryDisplay:
    """Curves of the objective over the updates of a dictionary, and their running means.

    :meth:`from_estimator` draws that of one fitted model, :meth:`from_estimators` those of several.

    Parameters
    ----------
    histories : mapping of str to array-like of shape (n_updates,)
        By the name of the model, the mean objective of the signals of each update.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The running means by name, after :meth:`plot`.
    history_lines_ : dict of str to matplotlib Line2D
        The objectives themselves.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    TypeError
        If `histories` has no names.
    ValueError
        If there is no history, or one of them is empty, not a vector or not finite.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against the number of samples.

    Examples
    --------
    >>> from estimand import LqDictionaryLearning
    >>> from estimand.datasets import make_bars
    >>> from estimand.displays import ObjectiveHistoryDisplay
    >>> X = make_bars(500, size=4, noise=0.5, random_state=0).X
    >>> model = LqDictionaryLearning(8, penalty="l0", alpha=50.0, max_iter=5, random_state=0).fit(X)
    >>> display = ObjectiveHistoryDisplay({"l0": model.objective_history_})
    >>> display.histories["l0"].shape
    (10,)

    ``display.plot()`` draws it, and ``ObjectiveHistoryDisplay.from_estimator(model)`` does both at once.
    """

    histories: dict[str, FloatArray]
    lines_: dict[str, Any]
    history_lines_: dict[str, Any]
    ax_: Any
    figure_: Any

    def __init__(self, histories: Mapping[str, npt.ArrayLike]) -> None:
        self.histories = {}
        for name, history in named(histories, "histories").items():
            values = np.asarray(history, dtype=np.float64)
            if values.ndim != 1 or values.size == 0:
                raise ValueError(f"histories[{name!r}] has shape {values.shape}, it must be (n_updates,), not empty.")
            if not np.all(np.isfinite(values)):
                raise ValueError(f"histories[{name!r}] holds {values[~np.isfinite(values)][0]}: it must be finite.")
            self.histories[name] = values

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        window: int | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> ObjectiveHistoryDisplay:
        """Draw the objective of one fitted model.

        Parameters
        ----------
        estimator : object
            A fitted model with ``objective_history_``, a pipeline that ends in one, or a search over one.
        window : int or None, default=None
            Updates in a running mean, see :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of another model's display. None: a new figure.
        name : str or None, default=None
            Name of the model, for the legend. None: that of its class.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : ObjectiveHistoryDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` has no ``objective_history_``, nor does it hold a model that has.
        ValueError
            If `window` is not a positive integer.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        model = fitted_model(estimator, _HISTORY)
        display = cls({type(model).__name__ if name is None else name: model.objective_history_})
        return display.plot(ax, window=window, **kwargs)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], *, window: int | None = None, ax: Any = None, **kwargs: Any
    ) -> ObjectiveHistoryDisplay:
        """Draw the objectives of several fitted models on the same axes.

        Parameters
        ----------
        estimators : mapping of str to object
            By name, fitted models with ``objective_history_``, pipelines that end in one, or searches over one.
        window : int or None, default=None
            Updates in a running mean, see :meth:`plot`.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : ObjectiveHistoryDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimators` has no names, or one of them no ``objective_history_``.
        ValueError
            If `window` is not a positive integer.
        sklearn.exceptions.NotFittedError
            If a model is not fitted.
        """
        models = named(estimators, "estimators")
        display = cls({key: fitted_model(model, _HISTORY).objective_history_ for key, model in models.items()})
        return display.plot(ax, window=window, **kwargs)

    def plot(self, ax: Any = None, *, window: int | None = None, **kwargs: Any) -> ObjectiveHistoryDisplay:
        """Draw the curves, and in a pale shade of their colours the objectives that they are means of.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        window : int or None, default=None
            Updates in a running mean, the present one and those before it, at least 1; at the beginning there are
            fewer. None: a twentieth of all updates of the model.
        **kwargs : dict
            Passed to ``ax.plot`` for the running means, such as ``linestyle``.

        Returns
        -------
        display : ObjectiveHistoryDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `window` is not a positive integer.
        """
        if window is not None and not (isinstance(window, Integral) and window >= 1):
            raise ValueError(f"window={window!r} must be an integer of at least 1, or None.")
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        self.lines_, self.history_lines_ = {}, {}
        for key, history in self.histories.items():
            updates = np.arange(1, history.size + 1)
            mean = _running_mean(history, -(-history.size // 20) if window is None else int(window))
            single = {"marker": "o"} if history.size == 1 else {}
            (line,) = self.ax_.plot(updates, mean, **{"label": key, "zorder": 2.2, **single, **kwargs})
            pale = {"color": line.get_color(), "alpha": 0.3, "linewidth": 0.8}
            (self.history_lines_[key],) = self.ax_.plot(updates, history, **pale)
            self.lines_[key] = line
        self.ax_.set(xlabel="update of the dictionary", ylabel="objective per signal")
        full_legend(self.ax_)
        return self


def _running_mean(values: FloatArray, window: int) -> FloatArray:
    """Return means of the last `window` values, of all so far where there are fewer."""
    counts = np.minimum(np.arange(1, values.size + 1), window)
    return np.asarray(np.convolve(values, np.ones(min(window, values.size)))[: values.size] / counts)
