"""Signals whose squares would under- or overflow, coded in units of their own length."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from ...penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq, Penalty

__all__ = ["extreme", "rescaled"]

FloatArray = npt.NDArray[np.float64]

_SMALLEST, _LARGEST = 1e-100, 1e100
#: Strengths and scales out of this range act on signals of length 1 like its ends, whose squares float64 can hold.
_WEAKEST, _STRONGEST = float(np.finfo(np.float64).tiny), 1e150


def extreme(X: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which signals are so short or long that their squares leave the range of float64, those that are 0 not."""
    largest = np.abs(X).max(axis=1, initial=0.0).astype(np.float64)
    return np.asarray((largest > 0) & ((largest < _SMALLEST) | (largest > _LARGEST)))


def rescaled(penalty: Penalty, factor: float) -> Penalty:
    """Return the penalty whose code of `factor` times a signal is `factor` times the code of the signal.

    Raises
    ------
    ValueError
        For a penalty of the user's own, of which nobody knows how it scales.
    """
    if isinstance(penalty, L1L2):
        l1, l2 = factor * penalty.alpha * penalty.l1_ratio, penalty.alpha * (1 - penalty.l1_ratio)
        l1 = float(np.clip(l1, _WEAKEST, _STRONGEST))
        return L1L2(l1 + l2, l1 / (l1 + l2))
    values: dict[str, Any] = {}
    if isinstance(penalty, (L1, MCP, SCAD)):
        values["alpha"] = factor * penalty.alpha
    elif isinstance(penalty, CappedL1):
        values.update(alpha=factor * penalty.alpha, theta=factor * penalty.theta)
    elif isinstance(penalty, (L0, CEL0)):
        values["alpha"] = factor * (factor * penalty.alpha)
    elif isinstance(penalty, LogSum):
        values.update(alpha=factor * (factor * penalty.alpha), eps=factor * penalty.eps)
    elif isinstance(penalty, Lq):
        with np.errstate(over="ignore"):  # a float of Python raises
            values["alpha"] = np.float64(factor) ** (2 - penalty.q) * penalty.alpha
    else:
        raise ValueError(
            f"Signals are shorter than {_SMALLEST:g} or longer than {_LARGEST:g}, and nobody knows how "
            f"penalty={penalty!r} scales: bring X into that range."
        )
    scaled: Penalty = clone(penalty)
    return cast(
        Penalty,
        scaled.set_params(**{name: float(np.clip(value, _WEAKEST, _STRONGEST)) for name, value in values.items()}),
    )
