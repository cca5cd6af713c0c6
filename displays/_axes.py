"""What the displays share: axes to draw on, and a legend that hides no curve."""

from __future__ import annotations

from typing import Any

__all__ = ["axes_or_new", "legend"]


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
