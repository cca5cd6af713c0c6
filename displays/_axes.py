"""What the displays share: axes to draw on, legends that hide no curve, and checks of what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["axes_or_new", "full_legend", "legend", "named"]


def axes_or_new(ax: Any, owner: str) -> Any:
    """Return `ax`, or the axes of a new figure where it is None.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message names the line that installs it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{owner}.plot needs matplotlib: pip install "estimand[plot]"') from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


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
