"""What every estimator that solves a problem shares: choosing the solver, warnings, and all-or-nothing fits."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from ..solvers import Problem, Solution, Solver, Start, resolve_solver

__all__ = [
    "InterruptedFit",
    "SolverMixin",
    "fit_or_nothing",
    "partial_fit_or_former",
    "refuse_parameters_of_names",
    "report",
]

Fit = TypeVar("Fit", bound=Callable[..., Any])

_ADVICE = {
    "max_iter": "increase max_iter, loosen tol, or rescale the features",
    "time_limit": "increase the solver's time_limit or loosen tol",
    "stalled": "this backend cannot reach the tolerance here: loosen tol, increase alpha, or try another solver",
    "callback": "a callback stopped the run",
}


class InterruptedFit(KeyboardInterrupt):
    """Ctrl-C during a fit that was able to keep its best point."""


def fit_or_nothing(fit: Fit) -> Fit:
    """Decorate `fit` so that it validates the constructor's parameters and, if it raises, leaves nothing fitted.

    A warning turned into an error by a filter, and Ctrl-C, keep the attributes once this fit has stored its solution.
    """

    @functools.wraps(fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = vars(self).get("solution_")
        try:
            self._validate_params()
            return fit(self, *args, **kwargs)
        except BaseException as error:
            stored = vars(self).get("solution_") is not before
            if not (stored and isinstance(error, (InterruptedFit, Warning))):
                forget(self)
            raise

    return cast(Fit, wrapped)


def partial_fit_or_former(partial_fit: Fit) -> Fit:
    """Decorate `partial_fit` so that it validates the constructor's parameters, and changes nothing if it raises."""

    @functools.wraps(partial_fit)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            self._validate_params()
            return partial_fit(self, *args, **kwargs)
        except Warning:
            raise
        except BaseException:
            forget(self)
            vars(self).update(before)
            raise

    return cast(Fit, wrapped)


def forget(estimator: BaseEstimator) -> None:
    """Remove all fitted attributes."""
    for name in [name for name in vars(estimator) if name.endswith("_") and not name.startswith("_")]:
        delattr(estimator, name)


def refuse_parameters_of_names(penalty: Any, params: Mapping[str, Any]) -> None:
    """Say what to do about parameters ``penalty__...`` where the penalty is, or becomes, a name.

    Raises
    ------
    ValueError
        If there are any.
    """
    penalty = params.get("penalty", penalty)
    nested = sorted(name for name in params if name.startswith("penalty__"))
    if nested and isinstance(penalty, str):
        raise ValueError(
            f"{nested[0]}={params[nested[0]]!r}: penalty={penalty!r} is a name and has no parameters: pass an "
            f"object, such as penalty=make_penalty({penalty!r})."
        )


class SolverMixin(BaseEstimator):  # type: ignore[misc]
    """Give an estimator a ``solver`` parameter: resolution, warnings, and the attributes ``solver_`` and ``solution_``.

    The estimator's constructor has at least `solver` and `tol`; options such as `max_iter` that its constructor shares
    with a backend chosen by name are passed on to that backend.
    """

    solver: str | Solver[Any, Any]
    tol: float

    #: Options that a backend chosen by name takes from the estimator, where both have them and they are not None.
    _solver_options: tuple[str, ...] = ("max_iter", "time_limit", "verbose", "random_state")

    def set_params(self, **params: Any) -> Any:
        """Set parameters, with a word of help for options of a solver that was given by name."""
        solver = params.get("solver", self.solver)
        nested = sorted(name for name in params if name.startswith("solver__"))
        if nested and isinstance(solver, str):
            option = nested[0].removeprefix("solver__")
            raise ValueError(
                f"{nested[0]}={params[nested[0]]!r}: solver={solver!r} is a name and has no parameters: "
                f"pass an instance, such as solver=CoordinateDescent({option}=...)."
            )
        return super().set_params(**params)

    def _resolve(self, problem: Problem[Any]) -> tuple[Solver[Any, Any], str]:
        options = {name: getattr(self, name, None) for name in self._solver_options}
        options = {name: value for name, value in options.items() if value is not None}
        if isinstance(self.solver, Solver) and "max_iter" in options:
            default = inspect.signature(type(self).__init__).parameters["max_iter"].default
            if self.max_iter not in (default, self.solver.max_iter):  # type: ignore[attr-defined]
                warnings.warn(
                    f"max_iter={options['max_iter']} has no effect: solver={self.solver!r} keeps its own "
                    f"max_iter={self.solver.max_iter}.",
                    UserWarning,
                    stacklevel=6,
                )
        return resolve_solver(self.solver, problem, options=options)

    def _solve(self, problem: Problem[Any], *, start: Start[Any] = None) -> Solution[Any]:
        """Solve one problem with the estimator's solver; sets ``solver_``."""
        self.solver_, choice = self._resolve(problem)
        solution = self.solver_.solve(problem, start=start, tol=self.tol)
        return replace(solution, choice=choice)


def report(solutions: Iterable[Solution[Any]], *, remedy: str | None = None, stacklevel: int = 3) -> None:
    """Raise or warn, once all results are stored, about solves that did not converge; `remedy` replaces the usual one.

    Raises
    ------
    KeyboardInterrupt
        If a solve was interrupted: the search or pool around this call is to stop as well.
    """
    unfinished = [solution for solution in solutions if not solution.converged]
    if any(solution.status == "interrupted" for solution in unfinished):
        raise InterruptedFit("the fit was interrupted; the best point reached is kept")
    if unfinished:
        worst = max(unfinished, key=lambda solution: solution.certificate.relative)
        certificate = worst.certificate
        count = f"{len(unfinished)} solves" if len(unfinished) > 1 else "The solver"
        remedy = remedy or _ADVICE.get(worst.status, "loosen tol")
        warnings.warn(
            f"{count} did not converge (solver={worst.solver!r}, status {worst.status!r}): relative "
            f"{certificate.kind} {certificate.relative:.2e}, tolerance {certificate.tol:.0e}"
            f"{', ' + worst.message if worst.message else ''}. Remedy: {remedy}.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
