"""What the displays share: axes to draw on, legends that hide no curve, and checks of what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["axes_or_new", "axes_row", "check_count", "checked_indices", "full_legend", "legend", "named"]


def axes_or_new(ax: Any, owner: str, figsize: tuple[float, float] | None = None) -> Any:
    """Return `ax`, or the axes of a new figure where it is None.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the line that installs it.
    """
    plt = _pyplot(owner)
    return plt.subplots(layout="constrained", figsize=figsize)[1] if ax is None else ax


def _pyplot(owner: str) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{owner}.plot needs matplotlib: pip install "estimand[plot]"') from error
    return plt


def axes_row(ax: Any, owner: str, widths: tuple[float, ...], figsize: tuple[float, float]) -> npt.NDArray[Any]:
    """Return axes side by side: those given, new ones in the place of a single one, or those of a new figure.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If another number of axes is given, or a single one that has no place to divide, or was divided before.
    """
    plt, n_axes = _pyplot(owner), len(widths)
    if ax is None:
        return np.asarray(plt.subplots(1, n_axes, width_ratios=widths, figsize=figsize, layout="constrained")[1])
    axes = np.ravel(np.asarray(ax, dtype=object))
    if axes.size == n_axes:
        return axes
    if axes.size != 1:
        raise ValueError(f"ax holds {axes.size} axes, but {owner} draws on {n_axes}: give as many, or one to divide.")
    place = axes[0].get_subplotspec()
    if place is None or not axes[0].axison:
        why = "has no place in a grid of subplots" if place is None else "is switched off, as if it were divided before"
        raise ValueError(f"ax {why}: give {n_axes} axes, such as the axes_ of another {owner}.")
    axes[0].set_axis_off()
    grid = place.subgridspec(1, n_axes, width_ratios=widths)
    return np.array([axes[0].figure.add_subplot(cell) for cell in grid])


def legend(ax: Any, handles: list[Any]) -> None:
    """Put a legend of `handles` beside the axes if the figure arranges itself, otherwise where there is room."""
    outside = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    ax.legend(handles=handles, frameon=False, **(outside if ax.figure.get_layout_engine() else {}))


def full_legend(ax: Any) -> None:
    """Put a legend of all that is named on the axes, those of other displays too."""
    handles = ax.get_legend_handles_labels()[0]
    if handles:
        legend(ax, handles)


def named(values: Any, argument: str) -> dict[str, Any]:
    """Return a mapping with names, as a dictionary."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{argument} must map names to what each of them stands for, got {type(values).__name__}.")
    if not values:
        raise ValueError(f"{argument} is empty: give one name or more.")
    return {str(name): value for name, value in values.items()}


def check_count(name: str, count: int) -> None:
    """Refuse what is not a positive integer.

    Raises
    ------
    ValueError
        If it is none.
    """
    if not (isinstance(count, Integral) and count >= 1):
        raise ValueError(f"{name}={count!r} must be an integer of at least 1, or None.")


def checked_indices(indices: npt.ArrayLike | None, size: int, what: str) -> npt.NDArray[np.intp]:
    """Return numbers of some of the first `size` integers, of all of them for None; `what` says what they stand for.

    Raises
    ------
    ValueError
        If they are no vector of integers, or too small or too large.
    """
    if indices is None:
        return np.arange(size)
    numbers = np.asarray(indices)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
        raise ValueError(f"indices={numbers.tolist()} must be a vector of integers, one or more.")
    if numbers.min() < 0 or numbers.max() >= size:
        raise ValueError(f"indices={numbers.tolist()} must lie in [0, {size - 1}], {what}.")
    return numbers.astype(np.intp)
