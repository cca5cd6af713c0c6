"""The one table of separable penalties, shared by the regression and the sparse coding problems.

What lives here knows values and proximal maps; problems and algorithms are elsewhere.
"""

from .base import Penalty
from .convex import L1, L1L2
from .counting import CEL0, L0, Lq
from .folded import MCP, SCAD, CappedL1, LogSum
from .table import PENALTIES, make_penalty

__all__ = [
    "CEL0",
    "L0",
    "L1",
    "L1L2",
    "MCP",
    "PENALTIES",
    "SCAD",
    "CappedL1",
    "LogSum",
    "Lq",
    "Penalty",
    "make_penalty",
]
