"""The contract between estimators and backends: :class:`Problem` and :class:`Solver`.

A problem knows the mathematics and nothing else; a solver knows an algorithm. Finding a solver for a problem is the
registry's work, watching a run the monitor's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator

from .certificate import Certificate
from .solution import Callback, Solution, Start

__all__ = ["CAPABILITIES", "Problem", "Solver"]

X = TypeVar("X")
P = TypeVar("P", bound="Problem[Any]")
T = TypeVar("T")

#: The words in which problems ask and solvers answer. A problem may declare more of its own (`Problem.words`).
CAPABILITIES = frozenset({"sparse", "operator", "float32", "weights", "sample_weight", "positive", "callback"})


def _shapes(x: Any) -> Any:
    return tuple(np.shape(block) for block in x) if isinstance(x, tuple) else np.shape(x)


class Problem(ABC, Generic[X]):
    """A mathematical problem: data, an objective, and a way to certify any point.

    Subclasses are dataclasses with ``frozen=True, eq=False, kw_only=True`` that hold plain arrays and scalars. They
    check shapes and ranges, copy nothing and are never written to.

    Attributes
    ----------
    name : str
        The problem's name in the registry, such as ``"lasso"``.
    sense : {"min", "max"}
        Whether the objective is minimised or maximised.
    words : frozenset of str
        Capability words of this problem beyond the shared list.
    """

    name: ClassVar[str]
    sense: ClassVar[Literal["min", "max"]] = "min"
    words: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def objective(self, x: X) -> float:
        """Return the value at `x` of what is optimised."""

    @abstractmethod
    def certify(self, x: X, dual: Any = None, *, tol: float) -> Certificate:
        """Return an optimality certificate for `x`, from whichever backend it comes, computed from raw data."""

    @abstractmethod
    def initial_point(self) -> X:
        """Return the default start."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """What `tol` counts in: positive and finite."""

    def needs(self) -> frozenset[str]:
        """Return the capability words that a backend must support to solve this instance."""
        return frozenset()

    def at(self, alpha: float) -> Self:
        """Return the problem with the penalty strength `alpha` and the same arrays, for problems that have one."""
        return cast(Self, replace(cast(Any, self), alpha=float(alpha)))


class Solver(BaseEstimator, ABC, Generic[P, X]):  # type: ignore[misc]
    """An algorithm for one class of problems.

    The constructor only stores options, so that ``get_params``, ``clone`` and grid searches over ``solver__max_iter``
    work. An instance keeps nothing of a run and can serve many estimators and threads.

    Attributes
    ----------
    name : str
        Lower case with underscores; the same name means the same algorithm for every problem.
    problem : type of Problem
        What the solver solves.
    guarantee : {"exact", "relaxation", "heuristic"}
        ``"exact"`` reaches any tolerance, ``"relaxation"`` proves looser bounds, ``"heuristic"`` promises nothing.
    supports : frozenset of str
        Capability words.
    requires : tuple of str
        Optional packages, by the name that both ``import`` and ``pip install`` use.
    """

    name: ClassVar[str]
    problem: ClassVar[type[Problem[Any]]]
    guarantee: ClassVar[Literal["exact", "relaxation", "heuristic"]]
    supports: ClassVar[frozenset[str]] = frozenset()
    requires: ClassVar[tuple[str, ...]] = ()

    max_iter: int
    time_limit: float | None

    @abstractmethod
    def solve(self, problem: P, *, start: Start[X] = None, tol: float, callback: Callback | None = None) -> Solution[X]:
        """Solve `problem` to the relative tolerance `tol`.

        Parameters
        ----------
        problem : Problem
            An instance of the class that the solver names.
        start : Solution, point or None
            From another penalty strength, other rows or another backend. None starts at the problem's default point.
        tol : float
            The certificate's value is to be at most ``tol * problem.scale``.
        callback : callable or None
            Called once per check with a :class:`CallbackState`; stops the run by returning True.

        Returns
        -------
        Solution
            Certified by the problem, whether or not the tolerance was met.
        """

    def refuses(self, problem: P) -> str | None:
        """Return why this solver declines `problem` although it supports its kind (size limits), or None."""
        return None

    def path(
        self,
        problem: P,
        alphas: Iterable[float],
        *,
        start: Start[X] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> list[Solution[X]]:
        """Solve `problem` for each penalty strength in `alphas`, each from the solution before it.

        All solutions but the last are compact.
        """
        problems = (problem.at(float(alpha)) for alpha in alphas)
        return self.solve_sequence(problems, start=start, tol=tol, callback=callback)

    def solve_sequence(
        self, problems: Iterable[P], *, start: Start[X] = None, tol: float, callback: Callback | None = None
    ) -> list[Solution[X]]:
        """Solve `problems` in order, each from the solution before it; stop after an interrupted one."""
        solutions: list[Solution[X]] = []
        for problem in problems:
            solution = self.solve(problem, start=start, tol=tol, callback=callback)
            if solutions:
                solutions[-1] = solutions[-1].compact()
            solutions.append(solution)
            start = solution
            if solution.status in ("interrupted", "callback"):
                break
        return solutions

    @classmethod
    def missing_packages(cls) -> tuple[str, ...]:
        """Return the required packages that are not installed."""
        return tuple(package for package in cls.requires if find_spec(package) is None)

    @staticmethod
    def start_point(problem: Problem[X], start: Start[X]) -> X:
        """Return the point of `start` as a fresh array, or the problem's default start.

        Raises
        ------
        ValueError
            If the shape of `start` is not that of the problem's unknown.
        """
        initial = problem.initial_point()
        if start is None:
            return initial
        x = start.x if isinstance(start, Solution) else start
        expected, given = _shapes(initial), _shapes(x)
        if given != expected:
            raise ValueError(f"start has shape {given}, but this problem's unknown has shape {expected}.")
        if isinstance(initial, tuple):
            pairs = zip(initial, cast(Any, x), strict=True)
            return cast(X, type(initial)(*(np.array(new, dtype=old.dtype) for old, new in pairs)))
        return cast(X, np.array(x, dtype=cast(Any, initial).dtype))

    def cached(self, start: Start[X], arrays: Sequence[Any], make: Callable[[], T]) -> T:
        """Return the data that this solver left in ``start.state`` for the very `arrays`, or ``make()``."""
        if isinstance(start, Solution) and start.state is not None:
            data = start.state.data_for(self.name, arrays)
            if data is not None:
                return cast(T, data)
        return make()
