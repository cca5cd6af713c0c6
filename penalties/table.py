"""The table of the built-in penalties, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from .base import BuiltinPenalty
from .convex import L1, L1L2
from .counting import CEL0, L0, Lq
from .folded import MCP, SCAD, CappedL1, LogSum

__all__ = ["PENALTIES", "make_penalty"]

#: Name -> class.
PENALTIES: Mapping[str, type[BuiltinPenalty]] = {
    cls.name: cls for cls in (L1, L1L2, Lq, L0, CEL0, MCP, SCAD, LogSum, CappedL1)
}


def make_penalty(name: str, **params: Any) -> BuiltinPenalty:
    """Return a built-in penalty by its name.

    Parameters
    ----------
    name : {"l1", "elastic_net", "lq", "l0", "cel0", "mcp", "scad", "log", "capped_l1"}
        Which penalty.
    **params
        Its constructor's parameters.

    Raises
    ------
    ValueError
        If there is no penalty of that name; the message lists the names.
    TypeError
        If the penalty has no such parameter.

    Examples
    --------
    >>> from estimand.penalties import make_penalty
    >>> make_penalty("mcp", alpha=0.1)
    MCP(alpha=0.1)
    """
    if name not in PENALTIES:
        raise ValueError(f"penalty={name!r} is not in the table: use one of {', '.join(PENALTIES)}.")
    cls = PENALTIES[name]
    known = list(inspect.signature(cls).parameters)
    unknown = [key for key in params if key not in known]
    if unknown:
        raise TypeError(f"penalty={name!r} has no parameter {unknown[0]!r}: it has {', '.join(known)}.")
    return cls(**params)
