"""Errors and warnings that estimand raises beyond those of scikit-learn.

What leaves a usable point (an iteration limit, a time limit) is a status of the :class:`~estimand.solvers.Solution`,
not an exception.
"""

__all__ = [
    "BackendUnavailableError",
    "InfeasibleProblemError",
    "SolverError",
    "UnboundedProblemError",
    "UnsupportedProblemError",
]


class InfeasibleProblemError(ValueError):
    """The problem has no feasible point."""


class UnboundedProblemError(ValueError):
    """The objective is unbounded on the feasible set."""


class UnsupportedProblemError(ValueError):
    """The backend asked for cannot solve this kind of problem; the message names those that can."""


class SolverError(RuntimeError):
    """A backend failed and left no usable point."""


class BackendUnavailableError(ImportError):
    """The backend needs a package that is not installed; the message names the line that installs it."""
