"""Problems, solvers, certificates and the registry that brings them together.

What lives here speaks optimisation; labels, feature names and data frames are the estimators' concern.
"""

from .base import CAPABILITIES, Problem, Solver
from .certificate import Certificate
from .info import show_versions
from .monitor import Monitor, certify_once
from .registry import SolverInfo, SolverTable, get_solver, list_solvers, register_solver, resolve_solver
from .solution import Callback, CallbackState, Check, Solution, Start, State

__all__ = [
    "CAPABILITIES",
    "Callback",
    "CallbackState",
    "Certificate",
    "Check",
    "Monitor",
    "Problem",
    "Solution",
    "Solver",
    "SolverInfo",
    "SolverTable",
    "Start",
    "State",
    "certify_once",
    "get_solver",
    "list_solvers",
    "register_solver",
    "resolve_solver",
    "show_versions",
]
