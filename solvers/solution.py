"""What every backend returns: the point, its certificate, and how the run went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from .certificate import Certificate, changed

__all__ = ["STATUSES", "Callback", "CallbackState", "Check", "Solution", "Start", "State", "asks_to_stop"]

X = TypeVar("X")

#: How a run can end with a point. Whatever leaves no point raises instead.
STATUSES = ("converged", "max_iter", "time_limit", "callback", "interrupted", "stalled")


@dataclass(frozen=True, eq=False)
class Check:
    """One line of a solver's history.

    Parameters
    ----------
    n_iter : int
        Passes of the main loop done so far.
    seconds : float
        Since the solver started.
    objective : float
        At the current point.
    value : float
        The certificate's value, or the solver's running value where `certified` is false.
    certified : bool
        Whether `value` was computed by the problem.
    """

    n_iter: int
    seconds: float
    objective: float
    value: float
    certified: bool = True


@dataclass(frozen=True, eq=False)
class CallbackState(Generic[X]):
    """What a callback sees at a check; `x` is a read-only view that is valid during the call only.

    Parameters
    ----------
    n_iter : int
        Passes of the main loop done so far.
    seconds : float
        Since the solver started.
    objective : float
        At `x`.
    certificate : Certificate or None
        That of `x`, with the best lower bound of the run; None at checks where the solver passed a running value of its
        own and the problem was not asked.
    x : array, or NamedTuple of arrays
        The current point.
    """

    n_iter: int
    seconds: float
    objective: float
    certificate: Certificate | None
    x: X


Callback = Callable[[CallbackState[Any]], "bool | None"]


def asks_to_stop(answer: object) -> bool:
    """Whether a callback has returned True; NumPy's counts too, other answers do not."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


@dataclass(frozen=True, eq=False)
class State:
    """What a solver may reuse at its next call: `data`, owned by the solver `owner` and computed from `arrays`.

    It is ignored unless the arrays are the same objects, so that an answer never depends on it.

    Parameters
    ----------
    owner : str
        Name of the solver.
    arrays : tuple of arrays
        What `data` was computed from.
    data : object
        Whatever the solver keeps.
    """

    owner: str
    arrays: tuple[Any, ...]
    data: Any

    def data_for(self, owner: str, arrays: Sequence[Any]) -> Any | None:
        """Return `data` if it was made by `owner` from these very arrays, otherwise None."""
        same = self.owner == owner and len(self.arrays) == len(arrays)
        return self.data if same and all(a is b for a, b in zip(self.arrays, arrays, strict=True)) else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Solution(Generic[X]):
    """A point with its certificate and the record of the run.

    Parameters
    ----------
    x : array, or NamedTuple of arrays
        The point, in the problem's coordinates.
    dual : array or None
        A candidate for the dual point that `certificate` used; None where the problem derives it from `x`.
    objective : float
        The problem's objective at `x`.
    certificate : Certificate
        Computed by the problem from raw data.
    status : {"converged", "max_iter", "time_limit", "callback", "interrupted", "stalled"}
        How the run ended.
    n_iter : int
        Passes of the backend's main loop.
    history : tuple of Check
        One entry a check.
    solver : str
        Name of the backend.
    choice : str
        For ``solver="auto"``, why this backend was chosen; otherwise empty.
    message : str
        What the backend has to say beyond its status.
    state : State or None
        What the backend can reuse; never pickled.

    Raises
    ------
    ValueError
        If `status` is not in the list.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import get_solver
    >>> from estimand.solvers.lasso import LassoProblem
    >>> problem = LassoProblem(A=np.eye(2), y=np.array([3.0, -1.0]), alpha=0.5)
    >>> solution = get_solver("homotopy", "lasso").solve(problem, tol=1e-10)
    >>> solution.status, solution.x.round(6).tolist(), solution.certificate.kind
    ('converged', [2.0, 0.0], 'gap')
    """

    x: X
    dual: Any = None
    objective: float
    certificate: Certificate
    status: str
    n_iter: int
    history: tuple[Check, ...] = ()
    solver: str = ""
    choice: str = ""
    message: str = ""
    state: State | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status={self.status!r} is not a status: use one of {', '.join(STATUSES)}.")

    @property
    def converged(self) -> bool:
        """Whether the certificate meets the tolerance, whatever the backend says."""
        return self.certificate.converged

    def compact(self) -> Solution[X]:
        """Return the solution without dual point, solver state and by-products: what an estimator keeps."""
        certificate = self.certificate.compact()
        if self.dual is None and self.state is None and certificate is self.certificate:
            return self
        return changed(self, dual=None, state=None, certificate=certificate)

    @staticmethod
    def stack(solutions: Sequence[Solution[npt.NDArray[Any]]]) -> Solution[npt.NDArray[Any]]:
        """Join the solutions of separate solves into one: points as rows, the worst item's certificate.

        Raises
        ------
        ValueError
            If there are no solutions.
        """
        if not solutions:
            raise ValueError("solutions is empty: there is nothing to stack.")
        worst = max(solutions, key=lambda s: s.certificate.relative)
        unfinished = [s for s in solutions if not s.converged]
        return replace(
            worst.compact(),
            x=np.stack([s.x for s in solutions]),
            objective=float(sum(s.objective for s in solutions)),
            status=unfinished[0].status if unfinished else worst.status,
            n_iter=max(s.n_iter for s in solutions),
            history=(),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "state": None}


Start: TypeAlias = Solution[X] | X | None
