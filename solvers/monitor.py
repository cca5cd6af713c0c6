"""The monitor: the one loop condition, history, clock and interrupt handler of every backend that owns its loop.

It decides when to stop from the problem's certificate and the solver's budget, and nothing else.
"""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import numpy as np

from .base import Problem, Solver
from .certificate import Certificate
from .solution import Callback, CallbackState, Check, Solution, State, asks_to_stop
from .threads import default_threads

__all__ = ["Monitor", "certify_once"]

X = TypeVar("X")

_MAX_REFUTED_CLAIMS = 3


def _copy(x: X) -> X:
    if isinstance(x, tuple):
        return cast(X, type(x)(*(block.copy() for block in x)))
    return cast(X, cast(Any, x).copy())


def _read_only(x: X) -> X:
    if isinstance(x, tuple):
        return cast(X, type(x)(*(_read_only(block) for block in x)))
    view = np.asarray(x).view()
    view.flags.writeable = False
    return cast(X, view)


class Monitor(Generic[X]):
    """Watch one run of a solver: certify, record, call back, look at the clock, survive Ctrl-C.

    Parameters
    ----------
    solver : Solver
        Its `max_iter` and `time_limit` bound the run.
    problem : Problem
        Certifies the points.
    tol : float
        Relative tolerance.
    callback : callable or None
        Called at every check.

    Examples
    --------
    A solver's loop reads::

        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x):
                x = step(x)
        return run.solution()
    """

    def __init__(
        self, solver: Solver[Any, X], problem: Problem[X], *, tol: float, callback: Callback | None = None
    ) -> None:
        _check_limits(solver, tol)
        self.solver, self.problem, self.tol, self.callback = solver, problem, tol, callback
        self.status: str | None = None
        self.message = ""
        self.n_iter = -1
        self.history: list[Check] = []
        self.certificate: Certificate | None = None
        self._best: tuple[X, Any, Certificate] | None = None
        self._lower = -math.inf
        self._lower_dual: Any = None
        self._claim_factor = 1.0
        self._refuted = 0
        self._last: X | None = None
        self._last_certified = False
        self._start = time.perf_counter()

    def __enter__(self) -> Monitor[X]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._last is not None:
            self.status = "interrupted"
            self.message = "interrupted from the keyboard"
            return True
        return False

    @property
    def upper(self) -> float:
        """The upper bound on the optimal value that the last check proved, infinity if it proved none."""
        return math.inf if self.certificate is None else self.certificate.upper

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.perf_counter() - self._start

    def go_on(self, x: X, *, dual: Any = None, value: float | None = None, objective: float | None = None) -> bool:
        """Check the point `x` and return whether the solver should go on.

        Parameters
        ----------
        x : point
            The current iterate; it is copied where it is kept.
        dual : object or None
            A candidate for the dual point.
        value : float or None
            The solver's running estimate of the certificate's value. The problem is asked only once this is small
            enough; a claim that the problem refutes makes the next test ten times stricter, and the third refuted
            claim ends the run as stalled.
        objective : float or None
            The solver's running objective, for the history of a check that does not ask the problem.
        """
        self.n_iter += 1
        self._last = x
        threshold = self.tol * self.problem.scale
        self._last_certified = value is None or value <= self._claim_factor * threshold
        if self._last_certified:
            certificate = self._certify(x, dual)
            shown = certificate.value
            objective = _objective(self.problem, x, certificate)
            if certificate.converged:
                self.status = "converged"
            elif certificate.value <= certificate.floor:
                self.stall("the certificate is at the rounding error of the objective")
            elif value is not None:
                self._refute_claim()
        else:
            self.certificate = None
            shown = cast(float, value)
            objective = self.problem.objective(x) if objective is None else objective
        self.history.append(Check(self.n_iter, self.seconds, objective, shown, self._last_certified))
        if self.callback is not None:
            public = None if self.certificate is None else self.certificate.compact()  # solvers reuse the arrays
            state = CallbackState(self.n_iter, self.seconds, objective, public, _read_only(x))
            if asks_to_stop(self.callback(state)) and self.status is None:
                self.status = "callback"
        if self.status is None:
            limit = self.solver.time_limit
            if self.n_iter >= self.solver.max_iter:
                self.status = "max_iter"
            elif limit is not None and self.seconds >= limit:
                self.status = "time_limit"
        return self.status is None

    def stall(self, message: str) -> None:
        """End the run: no further progress is possible, for the reason given."""
        self.status, self.message = "stalled", message

    def certify(self, x: X, dual: Any) -> None:
        """Certify the point `x` once more, after the last check: with a dual that takes the whole run to prove."""
        self._last, self._last_certified = x, True
        self._certify(x, dual)

    def solution(self, *, state: State | None = None) -> Solution[X]:
        """Return the best point seen with its certificate."""
        if self._last is None:
            raise RuntimeError("Monitor.solution() was called before any point was checked.")
        if not self._last_certified or self.status in (None, "interrupted"):
            self._certify(self._last, None)
        assert self._best is not None
        x, dual, certificate = self._best
        certificate = certificate.with_lower(self._lower) if certificate.kind == "gap" else certificate
        status = "converged" if certificate.converged else self.status or "stalled"
        return Solution(
            x=x,
            dual=self._lower_dual if certificate.kind == "gap" else dual,
            objective=_objective(self.problem, x, certificate),
            certificate=certificate.compact(),
            status=status,
            n_iter=self.n_iter,
            history=tuple(self.history),
            solver=self.solver.name,
            message=self.message,
            state=state,
        )

    def _refute_claim(self) -> None:
        self._claim_factor /= 10
        self._refuted += 1
        if self._refuted >= _MAX_REFUTED_CLAIMS:
            self.stall("the solver's own residual is small, but the problem does not certify the point")

    def _certify(self, x: X, dual: Any) -> Certificate:
        certificate = self.problem.certify(x, dual, tol=self.tol)
        if certificate.kind == "gap":
            # A lower bound on the optimal value stays one, whichever point it came with.
            if certificate.lower > self._lower:
                self._lower, self._lower_dual = certificate.lower, certificate.byproducts.get("dual", dual)
            certificate = certificate.with_lower(self._lower)
        if self._best is None or not certificate.value >= self._best[2].value:
            self._best = (_copy(x), dual, certificate.compact())
        self.certificate = certificate
        return certificate


def _check_limits(solver: Solver[Any, Any], tol: float) -> None:
    if not tol >= 0:
        raise ValueError(f"tol={tol!r} must be at least 0.")
    if not solver.max_iter >= 0:
        raise ValueError(f"max_iter={solver.max_iter!r} of {solver!r} must be at least 0.")
    if solver.time_limit is not None and not solver.time_limit >= 0:
        raise ValueError(f"time_limit={solver.time_limit!r} of {solver!r} must be at least 0 seconds, or None.")


def certify_once(
    solver: Solver[Any, X],
    problem: Problem[X],
    x: X,
    *,
    tol: float,
    n_iter: int,
    dual: Any = None,
    stopped: str = "stalled",
    message: str = "",
    state: State | None = None,
) -> Solution[X]:
    """Return the solution of a backend that does not own its loop, certified once at its end.

    Parameters
    ----------
    solver : Solver
        The backend.
    problem : Problem
        Certifies the point.
    x : array, or NamedTuple of arrays
        The point.
    tol : float
        Relative tolerance.
    n_iter : int
        Passes that the backend reports.
    dual : array or None
        A candidate for the dual point.
    stopped : str, default="stalled"
        The status of a point that misses the tolerance.
    message : str
        What the backend has to say.
    state : State or None
        What the backend can reuse.

    Returns
    -------
    Solution
        Without a history.
    """
    _check_limits(solver, tol)
    with default_threads(vars(solver).get("n_jobs")):
        certificate = problem.certify(x, dual, tol=tol)
    return Solution(
        x=x,
        dual=dual,
        objective=_objective(problem, x, certificate),
        certificate=certificate.compact(),
        status="converged" if certificate.converged else stopped,
        n_iter=n_iter,
        solver=solver.name,
        message=message,
        state=state,
    )


def _objective(problem: Problem[X], x: X, certificate: Certificate) -> float:
    """Return the objective at a certified point: the upper bound of a gap, or of a residual, is that already."""
    known = certificate.kind in ("gap", "kkt", "fixed_point") and problem.sense == "min"
    if known and math.isfinite(certificate.upper):
        return certificate.upper
    return problem.objective(x)
