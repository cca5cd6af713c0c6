"""The contract as a test: what every backend, built in or plugged in, has to honour.

It runs on the instances of the problem's ``examples`` module and needs no test framework.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any, cast

import numpy as np
from sklearn.base import clone

from .base import CAPABILITIES, Problem, Solver
from .registry import PROBLEMS
from .solution import CallbackState, Solution

__all__ = ["check_solver", "example_problems", "qualifies"]

_BUDGET = 1e-30


def example_problems(problem: str | type[Problem[Any]]) -> list[tuple[str, Problem[Any]]]:
    """Return the named example instances of a problem."""
    name = problem if isinstance(problem, str) else problem.name
    module = import_module(PROBLEMS[name] + ".examples", __package__)
    instances: list[tuple[str, Problem[Any]]] = module.examples()
    return instances


def qualifies(solver: Solver[Any, Any], problem: Problem[Any]) -> bool:
    """Whether `solver` declares that it can solve `problem`."""
    return problem.needs() <= solver.supports and solver.refuses(problem) is None


def check_solver(
    solver: type[Solver[Any, Any]] | Solver[Any, Any], *, tol: float = 1e-6, skip: Sequence[str] = ()
) -> None:
    """Check that a backend honours the contract of :class:`~estimand.solvers.Solver`.

    Parameters
    ----------
    solver : Solver class or instance
        The backend; a class is built with its default options.
    tol : float, default=1e-6
        The tolerance that is asked for.
    skip : sequence of str, default=()
        Names of example instances on which the backend need not converge.

    Raises
    ------
    AssertionError
        If the backend breaks the contract; the message says where.

    Examples
    --------
    >>> from estimand.solvers.lasso.fista import FISTA
    >>> from estimand.solvers.testing import check_solver
    >>> check_solver(FISTA)
    """
    instance = cast(Solver[Any, Any], solver() if isinstance(solver, type) else solver)
    _check_declaration(instance)
    _check_parameters(instance)
    solved: list[tuple[str, Problem[Any], Solution[Any]]] = []
    for name, problem in example_problems(instance.problem):
        if qualifies(instance, problem):
            solved.append((name, problem, _check_instance(instance, name, problem, tol, name in skip)))
    if not solved:
        raise AssertionError(f"{instance.name}: there is no example that it qualifies for.")
    hardest = max((item for item in solved if item[0] not in skip), key=lambda item: _effort(item[1], item[2], tol))
    checks = [_check_start, _check_determinism, _check_budgets, _check_pickle]
    if "callback" in instance.supports:
        checks += [_check_callback, _check_interrupt]
    for check in checks:
        check(instance, *hardest, tol)


def _effort(problem: Problem[Any], solution: Solution[Any], tol: float) -> tuple[bool, int]:
    """Rank an instance: one whose default start is already good enough says nothing about a run."""
    return not problem.certify(problem.initial_point(), tol=tol).converged, solution.n_iter


def _check_declaration(solver: Solver[Any, Any]) -> None:
    cls = type(solver)
    _require(isinstance(cls.name, str) and cls.name.isidentifier(), solver, "its name is not an identifier")
    _require(cls.guarantee in ("exact", "relaxation", "heuristic"), solver, f"guarantee={cls.guarantee!r}")
    unknown = cls.supports - CAPABILITIES - cls.problem.words
    _require(not unknown, solver, f"supports has words that nobody knows: {', '.join(sorted(unknown))}")
    for option in ("max_iter", "time_limit"):
        _require(option in solver.get_params() or hasattr(solver, option), solver, f"it has no option {option}")


def _check_parameters(solver: Solver[Any, Any]) -> None:
    params = solver.get_params()
    twin = clone(solver)
    _require(twin is not solver and twin.get_params().keys() == params.keys(), solver, "clone changes its options")
    for name, value in params.items():
        _require(twin.get_params()[name] is value or twin.get_params()[name] == value, solver, f"clone changes {name}")
    _require(
        set(vars(solver)) == set(params), solver, "its constructor sets more or less than the options that it takes"
    )


def _check_instance(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], tol: float, may_fail: bool
) -> Solution[Any]:
    options = dict(vars(solver))
    solution = _quietly(lambda: solver.solve(problem, tol=tol))
    _check_solution(solver, name, problem, solution, tol)
    _require(vars(solver) == options, solver, f"it keeps something on itself after solving {name!r}")
    if solver.guarantee == "exact" and not may_fail:
        _require(solution.converged, solver, f"it does not converge on {name!r}: {_words(solution)}")
    return solution


def _check_solution(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    where = f"on {name!r}"
    initial = problem.initial_point()
    blocks = zip(_blocks(solution.x), _blocks(initial), strict=True)
    for block, expected in blocks:
        _require(block.shape == expected.shape, solver, f"x has shape {block.shape}, not {expected.shape}, {where}")
        _require(block.dtype == expected.dtype, solver, f"x has dtype {block.dtype}, not {expected.dtype}, {where}")
        _require(bool(np.all(np.isfinite(block))), solver, f"x is not finite {where}")
    again = problem.certify(solution.x, solution.dual, tol=tol)
    given = solution.certificate
    _require(given.kind == again.kind, solver, f"the kind of its certificate is not the problem's {where}")
    _require(given.tol == tol, solver, f"the certificate's tol is {given.tol}, not the {tol} asked for, {where}")
    size = abs(given.value) if np.isfinite(given.value) else 0.0
    slack = 1e-9 * size + 16 * np.finfo(float).eps * (abs(solution.objective) + problem.scale)
    _require(
        given.value >= again.value - slack or again.kind in ("gap", "bounds"),
        solver,
        f"its certificate {given.value:.3e} is smaller than the problem's {again.value:.3e} {where}",
    )
    if again.kind in ("gap", "bounds"):
        _require(given.lower <= again.upper + slack, solver, f"its lower bound exceeds the objective {where}")
        # A lower bound may stem from another point of the run, but then it comes with the dual that proves it.
        _require(given.value >= again.value - slack, solver, f"its dual does not prove its certificate {where}")
    _require(
        solution.converged == (given.value <= tol * given.scale), solver, f"converged contradicts its value {where}"
    )
    _require((solution.status == "converged") == solution.converged, solver, f"status {solution.status!r} lies {where}")
    _require(np.isclose(solution.objective, problem.objective(solution.x), rtol=1e-9, atol=slack), solver,
             f"its objective is not that of its point {where}")  # fmt: skip
    _require(solution.solver == solver.name, solver, f"it signs as {solution.solver!r} {where}")
    _require(solution.n_iter >= 0, solver, f"n_iter is {solution.n_iter} {where}")


def _check_start(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    wrong = _longer(problem.initial_point())
    try:
        solver.solve(problem, start=wrong, tol=tol)
    except ValueError:
        pass
    else:
        raise AssertionError(f"{solver.name}: a start of the wrong shape is not refused with a ValueError.")
    for start in (solution, solution.compact(), solution.x):
        warm = _quietly(partial(solver.solve, problem, start=start, tol=tol))
        _check_solution(solver, name, problem, warm, tol)
        kept = warm.converged or solver.guarantee != "exact"
        _require(kept, solver, f"it does not converge from its own solution of {name!r}")
        _agree(solver, problem, warm, solution, tol, "a warm start")


def _check_determinism(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    again = _quietly(lambda: clone(solver).solve(problem, tol=tol))
    same = all(np.array_equal(a, b) for a, b in zip(_blocks(again.x), _blocks(solution.x), strict=True))
    _require(same or solver.guarantee == "heuristic", solver, f"two runs on {name!r} differ")


def _check_budgets(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    if solution.n_iter > 1 and "max_iter" in solver.get_params():
        short = _quietly(lambda: clone(solver).set_params(max_iter=1).solve(problem, tol=tol))
        _check_solution(solver, name, problem, short, tol)
        _require(short.n_iter <= 1, solver, f"with max_iter=1 it takes {short.n_iter} iterations")
        _require(short.status in ("max_iter", "converged"), solver, f"with max_iter=1 its status is {short.status!r}")
    if solution.n_iter > 1 and "time_limit" in solver.get_params():
        late = _quietly(lambda: clone(solver).set_params(time_limit=_BUDGET).solve(problem, tol=tol))
        _check_solution(solver, name, problem, late, tol)
        _require(
            late.status in ("time_limit", "converged"), solver, f"out of time its status is {late.status!r}: {name!r}"
        )


def _check_pickle(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    loaded = pickle.loads(pickle.dumps(solution))
    _require(loaded.state is None, solver, "a pickled solution carries the solver's state")
    _check_solution(solver, name, problem, loaded, tol)


def _check_callback(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    seen: list[CallbackState[Any]] = []
    watched = _quietly(lambda: solver.solve(problem, tol=tol, callback=seen.append))
    _require(len(seen) > 0, solver, "the callback is never called")
    _require(
        all(a.n_iter <= b.n_iter and a.seconds <= b.seconds for a, b in pairwise(seen)),
        solver,
        "the callbacks are out of order",
    )
    _require(not any(b.flags.writeable for s in seen for b in _blocks(s.x)), solver, "a callback may write to x")
    _require(len(watched.history) == len(seen), solver, "the history does not have one entry a callback")
    _agree(solver, problem, watched, solution, tol, "watching")
    stopped = _quietly(lambda: solver.solve(problem, tol=tol, callback=lambda state: True))
    _check_solution(solver, name, problem, stopped, tol)
    _require(stopped.status in ("callback", "converged"), solver, f"a callback stops it as {stopped.status!r}")
    _require(len(stopped.history) <= 1, solver, "it goes on after the callback returned True")


def _check_interrupt(
    solver: Solver[Any, Any], name: str, problem: Problem[Any], solution: Solution[Any], tol: float
) -> None:
    def interrupt(state: CallbackState[Any]) -> None:
        raise KeyboardInterrupt

    stopped = _quietly(lambda: solver.solve(problem, tol=tol, callback=interrupt))
    _check_solution(solver, name, problem, stopped, tol)
    _require(stopped.status in ("interrupted", "converged"), solver, f"Ctrl-C ends it with status {stopped.status!r}")


def _agree(
    solver: Solver[Any, Any], problem: Problem[Any], one: Solution[Any], other: Solution[Any], tol: float, what: str
) -> None:
    if one.certificate.kind not in ("gap", "bounds"):
        return
    allowed = (one.certificate.value + other.certificate.value) * (1 + 1e-9)
    _require(
        abs(one.objective - other.objective) <= allowed, solver, f"{what} changes the answer beyond its certificates"
    )


def _blocks(x: Any) -> list[Any]:
    return [np.asarray(block) for block in (x if isinstance(x, tuple) else (x,))]


def _longer(x: Any) -> Any:
    """Return a point of the same kind with one entry too many."""
    if isinstance(x, tuple):
        return type(x)(*(_longer(block) for block in x))
    return np.zeros((np.shape(x)[0] + 1, *np.shape(x)[1:]))


def _quietly(run: Callable[[], Solution[Any]]) -> Solution[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run()


def _words(solution: Solution[Any]) -> str:
    return f"status {solution.status!r}, relative {solution.certificate.kind} {solution.certificate.relative:.2e}"


def _require(condition: bool | np.bool_, solver: Solver[Any, Any], complaint: str) -> None:
    if not condition:
        raise AssertionError(f"{solver.name}: {complaint}.")
