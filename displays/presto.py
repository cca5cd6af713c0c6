"""Fitted probabilities of ordered classes, and of the rare one among them, against one feature."""

from __future__ import annotations

from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ._axes import axes_or_new, legend

__all__ = ["PrestoDisplay"]

FloatArray = npt.NDArray[np.float64]


class PrestoDisplay:
    """Curves of the fitted ``P(y > k - 1 | x)`` and of the probability of the rare class while one feature varies.

    :meth:`from_estimator` computes the probabilities and draws them, for every ordinal classifier of this package.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Values of the feature.
    rare_proba : array-like of shape (n_values,)
        Probability of the rare class at each of them.
    categories : array-like of shape (n_classes,)
        The classes from the lowest to the highest.
    cumulative : array-like of shape (n_values, n_classes - 1) or None, default=None
        Probabilities of more than each class but the last one. None: only the rare class is drawn.
    rare : {"last", "first"}, default="last"
        Which of the classes is the rare one.
    feature_name : str or None, default=None
        What the values are values of.
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    rare_line_ : matplotlib Line2D
        The curve of the rare class, after :meth:`plot`.
    lines_ : list of matplotlib Line2D
        The curves of the boundaries from the lowest to the highest. With ``rare="last"`` the highest is the curve of
        the rare class.
    ax_ : matplotlib Axes
        Where they were drawn.
    figure_ : matplotlib Figure
        The figure that holds it.

    Raises
    ------
    ValueError
        If the shapes do not match, or `rare` is neither of the two.

    See Also
    --------
    CoefficientPathDisplay : Coefficients along a grid of penalties.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PrestoClassifier
    >>> from estimand.datasets import make_ordinal_regression
    >>> from estimand.displays import PrestoDisplay
    >>> data = make_ordinal_regression(random_state=0)
    >>> model = PrestoClassifier().fit(data.X, data.y)
    >>> X = np.zeros((5, 10))
    >>> X[:, 0] = np.linspace(-1, 1, 5)
    >>> display = PrestoDisplay(
    ...     X[:, 0], model.predict_rare_proba(X), model.categories_, cumulative=model.predict_cumulative(X)
    ... )
    >>> display.cumulative.shape
    (5, 3)

    ``display.plot()`` draws it, and ``PrestoDisplay.from_estimator(model, data.X, 0)`` does all of this at once.
    """

    values: FloatArray
    rare_proba: FloatArray
    cumulative: FloatArray | None
    categories: npt.NDArray[Any]
    lines_: list[Any]
    rare_line_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        values: npt.ArrayLike,
        rare_proba: npt.ArrayLike,
        categories: npt.ArrayLike,
        *,
        cumulative: npt.ArrayLike | None = None,
        rare: str = "last",
        feature_name: str | None = None,
        name: str | None = None,
    ) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self.rare_proba = np.asarray(rare_proba, dtype=np.float64)
        self.categories = np.asarray(categories)
        self.cumulative = None if cumulative is None else np.asarray(cumulative, dtype=np.float64)
        self.rare, self.feature_name, self.name = rare, feature_name, name
        if rare not in ("last", "first"):
            raise ValueError(f"rare={rare!r} must be 'last' or 'first'.")
        if self.values.ndim != 1 or self.rare_proba.shape != self.values.shape:
            raise ValueError(
                f"values has shape {self.values.shape} and rare_proba {self.rare_proba.shape}: both must be vectors of "
                "the same length."
            )
        expected = (self.values.size, self.categories.size - 1)
        if self.cumulative is not None and self.cumulative.shape != expected:
            raise ValueError(
                f"cumulative has shape {self.cumulative.shape}, but {expected[0]} values and {expected[1] + 1} classes "
                f"make it {expected}."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        feature: int | str,
        *,
        row: npt.ArrayLike | None = None,
        grid_resolution: int = 100,
        rare_only: bool = False,
        feature_names: npt.ArrayLike | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> PrestoDisplay:
        """Draw the probabilities that a fitted classifier gives while one feature varies and the others do not.

        Parameters
        ----------
        estimator : object
            A fitted ordinal classifier, a pipeline that ends in one, or a search over one. A pipeline's features are
            those that go into it.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Samples. The feature varies between its smallest and its largest value in them.
        feature : int or str
            Number of the feature or its name; its values are numbers.
        row : array-like of shape (n_features,) or None, default=None
            Values of the other features. None: their means, and the most frequent value of features that are not
            numbers. A mean need not be a value that occurs, as between the categories of a dummy variable.
        grid_resolution : int, default=100
            Number of values of the feature, at least 2.
        rare_only : bool, default=False
            Whether only the rare class is drawn. It always is where the classifier knows no other.
        feature_names : array-like of shape (n_features,) or None, default=None
            Names of the features. None: the columns of a data frame.
        ax : matplotlib Axes or None, default=None
            Where to draw. None: a new figure.
        name : str or None, default=None
            Name of the model, for the legend.
        **kwargs : dict
            Passed to ``ax.plot``.

        Returns
        -------
        display : PrestoDisplay
            What was drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` is no ordinal classifier, nor does it hold one.
        ValueError
            If there is no such feature, its values are not numbers, or lengths do not match.
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        """
        if not (isinstance(grid_resolution, Integral) and grid_resolution >= 2):
            raise ValueError(f"grid_resolution={grid_resolution!r} must be an integer of at least 2.")
        frame = X if hasattr(X, "columns") else None
        if frame is None:
            X = check_array(X, accept_sparse="csc", dtype=None, ensure_all_finite="allow-nan")
        names = _feature_names(X, frame, feature_names)
        j = _position(feature, names, X.shape[1])
        values = _grid(_column(X, frame, j), int(grid_resolution), feature)
        model, samples = _ordinal_model(estimator, _samples(X, frame, j, values, row))
        predicts_all = hasattr(model, "predict_cumulative")
        display = cls(
            values,
            model.predict_rare_proba(samples),
            model.categories_,
            cumulative=model.predict_cumulative(samples) if predicts_all else None,
            rare=model.rare,
            feature_name=f"feature {j}" if names is None else names[j],
            name=name,
        )
        return display.plot(ax, rare_only=rare_only, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, rare_only: bool = False, **kwargs: Any) -> PrestoDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, such as the ``ax_`` of another model's display. None: a new figure.
        name : str or None, default=None
            Name of the model, for the legend. None: that of the display.
        rare_only : bool, default=False
            Whether only the rare class is drawn, in the next colour of the axes.
        **kwargs : dict
            Passed to ``ax.plot``, such as ``color`` or ``linestyle``.

        Returns
        -------
        display : PrestoDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = axes_or_new(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}: "
        last = self.rare == "last"
        boundaries = self.cumulative is not None and not rare_only
        rare_label = f"{prefix}P(y = {self.categories[-1 if last else 0]})"
        emphasis = {"color": "tab:red", "linewidth": 2.5} if boundaries else {}
        self.lines_ = []
        if self.cumulative is not None and boundaries:
            n_others = self.cumulative.shape[1] - last
            for k in range(n_others):
                style = {"color": _shade(k, n_others), "label": f"{prefix}P(y > {self.categories[k]})", **kwargs}
                self.lines_ += self.ax_.plot(self.values, self.cumulative[:, k], **style)
        (self.rare_line_,) = self.ax_.plot(self.values, self.rare_proba, **{**emphasis, "label": rare_label, **kwargs})
        if boundaries and last:
            self.lines_.append(self.rare_line_)
        self.ax_.set(xlabel=self.feature_name, ylabel="probability", xlim=(self.values.min(), self.values.max()))
        if boundaries:
            self.ax_.set_ylim(-0.02, 1.02)
        else:
            self.ax_.set_ylim(0, None, auto=True)  # a second model on these axes may need more room
        legend(self.ax_, self.ax_.get_legend_handles_labels()[0])
        return self


def _feature_names(X: Any, frame: Any, feature_names: npt.ArrayLike | None) -> list[str] | None:
    """Return the names of the features where there are some."""
    if feature_names is None:
        return None if frame is None else [str(column) for column in frame.columns]
    names = [str(name) for name in np.asarray(feature_names).ravel().tolist()]
    if len(names) != X.shape[1]:
        raise ValueError(f"feature_names holds {len(names)} names, but X has {X.shape[1]} features.")
    return names


def _position(feature: int | str, names: list[str] | None, n_features: int) -> int:
    """Return the number of the feature."""
    if isinstance(feature, str):
        if names is None or feature not in names:
            known = "X has no names of features" if names is None else f"the features are {', '.join(names[:10])}"
            raise ValueError(f"feature={feature!r} is not known: {known}.")
        return names.index(feature)
    if not (isinstance(feature, Integral) and 0 <= feature < n_features):
        raise ValueError(f"feature={feature!r} must be a name, or an integer in [0, {n_features - 1}].")
    return int(feature)


def _column(X: Any, frame: Any, j: int) -> npt.NDArray[Any]:
    """Return the values of one feature; those of a categorical as objects, whatever they are."""
    if frame is not None:
        series = frame[frame.columns[j]]
        return np.asarray(series, dtype=object if hasattr(series.dtype, "categories") else None)
    return np.asarray(X[:, [j]].toarray().ravel() if sparse.issparse(X) else X[:, j])


def _grid(column: npt.NDArray[Any], size: int, feature: int | str) -> FloatArray:
    """Return equidistant values over the range of a feature."""
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"feature={feature!r} does not hold numbers, so that it has no range to vary in.") from error
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size == 0:
        raise ValueError(f"feature={feature!r} holds no finite number in X.")
    return np.linspace(numbers.min(), numbers.max(), size)


def _typical(column: npt.NDArray[Any]) -> Any:
    """Return the mean of numbers, and the most frequent of other values."""
    if column.dtype.kind in "biuf":
        return float(np.nanmean(column)) if not np.all(np.isnan(column.astype(np.float64))) else np.nan
    return Counter(column.tolist()).most_common(1)[0][0]


def _samples(X: Any, frame: Any, j: int, values: FloatArray, row: npt.ArrayLike | None) -> Any:
    """Return rows that differ in feature `j` only, as an array or as a frame like the one given."""
    if row is None:
        others = [_typical(_column(X, frame, i)) for i in range(X.shape[1])]
    else:
        others = np.asarray(row, dtype=object).ravel().tolist()
    if len(others) != X.shape[1]:
        raise ValueError(f"row holds {len(others)} values, but X has {X.shape[1]} features.")
    columns = [values if i == j else _repeated(value, values.size) for i, value in enumerate(others)]
    return np.column_stack(columns) if frame is None else type(frame)(dict(zip(frame.columns, columns, strict=True)))


def _repeated(value: Any, size: int) -> npt.NDArray[Any]:
    """Return a column of equal values; numbers are floats, so that they can stand beside those of the grid."""
    if isinstance(value, int | float | np.number | np.bool_):
        return np.full(size, float(value))
    column = np.empty(size, dtype=object)
    column[:] = [value] * size
    return column


def _ordinal_model(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the ordinal classifier within pipelines and searches, and what reaches it of `X`."""
    model = estimator
    while not hasattr(model, "predict_rare_proba"):
        if isinstance(model, Pipeline):
            X = model[:-1].transform(X) if len(model.steps) > 1 else X
            model = model.steps[-1][1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            raise TypeError(
                "estimator must be a fitted ordinal classifier, a pipeline that ends in one, or a fitted search over "
                f"one, got {estimator!r}."
            )
    check_is_fitted(model)
    return model, X


def _shade(k: int, size: int) -> Any:
    """Return a blue, the darker the higher the boundary."""
    import matplotlib as mpl

    return mpl.colormaps["Blues"](0.35 + 0.65 * (k + 1) / (size + 1))
