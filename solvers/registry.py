"""The registry: which backends exist for a problem, which of them can be used, and which one "auto" means.

Every problem folder holds a table of names and import paths and a rule ``choose``; third parties add backends through
the entry-point group ``estimand.solvers`` under keys ``<problem>.<name>``.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sklearn.base import clone

from ..exceptions import BackendUnavailableError, UnsupportedProblemError
from .base import Problem, Solver

__all__ = ["SolverInfo", "SolverTable", "get_solver", "list_solvers", "register_solver", "resolve_solver"]

#: Problem name -> module (below this package) that holds its table BACKENDS, its class PROBLEM and its rule choose.
PROBLEMS: Mapping[str, str] = {
    "lasso": ".lasso",
    "logistic": ".logistic",
    "presto": ".presto",
    "sparse_approximation": ".sparse_approximation",
    "sparse_coding": ".sparse_coding",
    "proportional_odds": ".proportional_odds",
    "penalized_least_squares": ".penalized_least_squares",
    "pose_bound": ".pose_bound",
}
ENTRY_POINT_GROUP = "estimand.solvers"

_registered: dict[tuple[str, str], type[Solver[Any, Any]]] = {}


@dataclass(frozen=True)
class SolverInfo:
    """One line of the table of backends.

    Parameters
    ----------
    problem, name : str
        Names of the problem and of the backend.
    guarantee : str
        What :class:`Solver` means by it.
    supports : tuple of str
        Capability words.
    requires : tuple of str
        Optional packages.
    available : bool
        Whether the backend can be used on this machine.
    note : str
        Why not, with the line that installs what is missing.
    """

    problem: str
    name: str
    guarantee: str
    supports: tuple[str, ...]
    requires: tuple[str, ...]
    available: bool
    note: str = ""


class SolverTable(list[SolverInfo]):
    """A list of :class:`SolverInfo` that prints as a table."""

    def __repr__(self) -> str:
        header = ("problem", "solver", "available", "guarantee", "supports")
        rows = [header] + [
            (s.problem, s.name, "yes" if s.available else f"no: {s.note}", s.guarantee, " ".join(s.supports))
            for s in self
        ]
        widths = [max(len(row[k]) for row in rows) for k in range(len(header))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])

    __str__ = __repr__


@cache
def _entry_points() -> dict[tuple[str, str], EntryPoint]:
    found: dict[tuple[str, str], EntryPoint] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        problem, _, name = entry.name.partition(".")
        if problem not in PROBLEMS or not name:
            warnings.warn(
                f"The entry point {entry.name!r} of {_origin(entry)} is ignored: the key must read "
                f"<problem>.<name> with a problem out of {', '.join(PROBLEMS)}.",
                RuntimeWarning,
                stacklevel=3,
            )
        elif name in _builtin(problem):
            warnings.warn(
                f"The entry point {entry.name!r} of {_origin(entry)} is ignored: "
                "the name is taken by a built-in backend.",
                RuntimeWarning,
                stacklevel=3,
            )
        else:
            found[problem, name] = entry
    return found


def _origin(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name!r}" if entry.dist is not None else f"{entry.value!r}"


def _module(problem: str) -> Any:
    return import_module(PROBLEMS[problem], __package__)


def _builtin(problem: str) -> Mapping[str, str]:
    table: Mapping[str, str] = _module(problem).BACKENDS
    return table


def _names(problem: str) -> list[str]:
    plugins = [name for owner, name in _entry_points() if owner == problem]
    session = [name for owner, name in _registered if owner == problem]
    return [*_builtin(problem), *plugins, *session]


def _load(problem: str, name: str) -> type[Solver[Any, Any]]:
    if (problem, name) in _registered:
        return _registered[problem, name]
    table = _builtin(problem)
    if name in table:
        module, _, attribute = table[name].partition(":")
        solver: type[Solver[Any, Any]] = getattr(import_module(module, _module(problem).__name__), attribute)
        return solver
    entry = _entry_points()[problem, name]
    try:
        loaded = entry.load()
        _check_class(loaded, problem, name)
    except Exception as error:
        raise BackendUnavailableError(
            f"The backend {name!r} of {_origin(entry)} does not load: {type(error).__name__}: {error}"
        ) from error
    return loaded  # type: ignore[no-any-return]


def _check_class(cls: Any, problem: str, name: str) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Solver)):
        raise TypeError(f"{cls!r} is not a subclass of estimand.solvers.Solver.")
    if getattr(cls, "name", None) != name or cls.problem.name != problem:
        raise TypeError(
            f"{cls.__name__} has name={cls.name!r} and problem={cls.problem.name!r}, but its key says {problem}.{name}."
        )


def _problem_name(problem: Problem[Any] | type[Problem[Any]] | str) -> str:
    name = problem if isinstance(problem, str) else problem.name
    if name not in PROBLEMS:
        raise ValueError(f"problem={name!r} is not in the registry: use one of {', '.join(PROBLEMS)}.")
    return name


def register_solver(cls: type[Solver[Any, Any]]) -> type[Solver[Any, Any]]:
    """Add a backend until the interpreter exits; usable as a decorator.

    Raises
    ------
    TypeError
        If `cls` is not a :class:`Solver` subclass.
    ValueError
        If its name is taken.
    """
    if not (isinstance(cls, type) and issubclass(cls, Solver)):
        raise TypeError(f"{cls!r} is not a subclass of estimand.solvers.Solver.")
    problem = _problem_name(cls.problem)
    if cls.name in _names(problem) and _registered.get((problem, cls.name)) is not cls:
        raise ValueError(f"name={cls.name!r} is taken by another backend of {problem!r}: choose another name.")
    _registered[problem, cls.name] = cls
    return cls


def unregister_solver(cls: type[Solver[Any, Any]]) -> None:
    """Remove a backend that :func:`register_solver` added."""
    _registered.pop((cls.problem.name, cls.name), None)


def list_solvers(problem: Problem[Any] | type[Problem[Any]] | str | None = None) -> SolverTable:
    """Return the table of backends, of one problem or of all.

    Parameters
    ----------
    problem : Problem, Problem class, str or None
        A problem or its name; None lists all problems.

    Returns
    -------
    SolverTable
        A list that prints as a table.

    Examples
    --------
    >>> from estimand import list_solvers
    >>> [s.name for s in list_solvers("lasso") if s.guarantee == "exact"][0]
    'coordinate_descent'
    """
    problems = list(PROBLEMS) if problem is None else [_problem_name(problem)]
    return SolverTable(_info(owner, name) for owner in problems for name in _names(owner))


def _info(problem: str, name: str) -> SolverInfo:
    try:
        cls = _load(problem, name)
    except BackendUnavailableError as error:
        return SolverInfo(problem, name, "?", (), (), False, str(error))
    missing = cls.missing_packages()
    note = f"pip install {' '.join(missing)}" if missing else ""
    return SolverInfo(problem, name, cls.guarantee, tuple(sorted(cls.supports)), cls.requires, not missing, note)


def get_solver(name: str, problem: Problem[Any] | type[Problem[Any]] | str, **options: Any) -> Solver[Any, Any]:
    """Return a new solver by its name.

    Parameters
    ----------
    name : str
        A name from :func:`list_solvers`.
    problem : Problem, Problem class or str
        What it is to solve.
    **options
        Passed to the solver's constructor.

    Raises
    ------
    ValueError
        If there is no such backend.
    BackendUnavailableError
        If it needs a package that is not installed.
    """
    owner = _problem_name(problem)
    if name not in _names(owner):
        raise ValueError(f"solver={name!r} is not a backend of {owner!r}: use {_usable(owner)}.")
    cls = _load(owner, name)
    missing = cls.missing_packages()
    if missing:
        raise BackendUnavailableError(f"solver={name!r} needs {', '.join(missing)}: pip install {' '.join(missing)}")
    return cls(**options)


def _usable(problem: str) -> str:
    infos = list_solvers(problem)
    ready = ", ".join(repr(s.name) for s in infos if s.available)
    others = "; ".join(f"{s.name!r} after {s.note}" for s in infos if not s.available and s.note.startswith("pip"))
    return f"'auto', {ready}" + (f" (or {others})" if others else "")


def _objection(
    cls: type[Solver[Any, Any]], problem: Problem[Any], solver: Solver[Any, Any] | None = None
) -> str | None:
    """Say why a backend cannot solve this instance, or return None."""
    lacking = sorted(problem.needs() - cls.supports)
    if lacking:
        return f"it does not support {', '.join(lacking)}"
    return (solver if solver is not None else cls()).refuses(problem)


@dataclass(frozen=True, eq=False)
class _Qualified(Container[str]):
    """The backends that can solve an instance; each is looked at, and its module loaded, only when it is asked for."""

    problem: Problem[Any]

    def __contains__(self, name: object) -> bool:
        owner = _problem_name(self.problem)
        if not isinstance(name, str) or name not in _names(owner):
            return False
        try:
            cls = _load(owner, name)
        except BackendUnavailableError:
            return False
        return not cls.missing_packages() and _objection(cls, self.problem) is None

    def names(self) -> list[str]:
        return [name for name in _names(_problem_name(self.problem)) if name in self]


def resolve_solver(
    solver: str | Solver[Any, Any],
    problem: Problem[Any],
    *,
    options: Mapping[str, Any] | None = None,
) -> tuple[Solver[Any, Any], str]:
    """Turn what a user passed as ``solver=`` into a solver that can solve `problem`.

    Parameters
    ----------
    solver : {"auto"}, str or Solver
        ``"auto"`` picks by the problem's rule, a name builds that backend, an instance is cloned.
    problem : Problem
        The instance to solve.
    options : mapping or None
        Options that a backend built here takes if its constructor knows them; an instance keeps its own.

    Returns
    -------
    solver : Solver
        Ready to solve `problem`.
    choice : str
        Why ``"auto"`` chose it, otherwise empty.

    Raises
    ------
    TypeError
        If `solver` is a class, or an instance for another problem.
    UnsupportedProblemError
        If the backend cannot solve this instance; the message names those that can.
    """
    owner = _problem_name(problem)
    if isinstance(solver, type):
        raise TypeError(f"solver={solver.__name__} is a class: pass an instance, solver={solver.__name__}().")
    if isinstance(solver, Solver):
        if not isinstance(problem, solver.problem):
            raise TypeError(f"solver={solver!r} solves {solver.problem.__name__}, not {type(problem).__name__}.")
        chosen, choice = clone(solver), ""
        missing = type(solver).missing_packages()
        if missing:
            raise BackendUnavailableError(
                f"solver={solver.name!r} needs {', '.join(missing)}: pip install {' '.join(missing)}"
            )
    elif isinstance(solver, str):
        name, choice = solver, ""
        if name == "auto":
            name, choice = _module(owner).choose(problem, _Qualified(problem))
        chosen = get_solver(name, owner)
        for option, value in (options or {}).items():
            if option in _options(type(chosen)):
                setattr(chosen, option, value)
    else:
        raise TypeError(f"solver={solver!r} must be 'auto', the name of a backend or a Solver instance.")
    objection = _objection(type(chosen), problem, chosen)
    if objection is not None:
        able = ", ".join(repr(name) for name in _Qualified(problem).names()) or "none of those installed"
        raise UnsupportedProblemError(
            f"solver={chosen.name!r} cannot solve this problem: {objection}. Use one of: {able}."
        )
    return chosen, choice


@cache
def _options(cls: type[Solver[Any, Any]]) -> frozenset[str]:
    """Return the names of the parameters of a backend's constructor; to read them takes as long as a small fit."""
    return frozenset(inspect.signature(cls.__init__).parameters) - {"self"}
