"""What the backends that state a problem for cvxpy share: options, the call of the conic solver, and its failures.

How a problem is stated, and how its point is read back, is each backend's own.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from ..exceptions import SolverError
from .base import Problem, Solver

__all__ = ["ConicSolver"]

P = TypeVar("P", bound=Problem[Any])
X = TypeVar("X")


class ConicSolver(Solver[P, X]):
    """Base of the backends named ``cvxpy``.

    Parameters
    ----------
    conic_solver : str, default="CLARABEL"
        Any solver that cvxpy has installed for the cones of the problem.
    max_iter : int, default=200
        Iterations of the interior-point method.
    time_limit : float or None, default=None
        Seconds.
    verbose : bool, default=False
        Whether the conic solver prints.

    Attributes
    ----------
    accuracy : float
        Tolerance that Clarabel is asked for; a backend sets it to what its cones can reach.
    """

    requires = ("cvxpy",)
    accuracy: ClassVar[float]

    def __init__(
        self,
        conic_solver: str = "CLARABEL",
        max_iter: int = 200,
        time_limit: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.conic_solver = conic_solver
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.verbose = verbose

    def _run(self, task: Any) -> int:
        """Solve a cvxpy problem and return the iterations done.

        Raises
        ------
        SolverError
            If the conic solver fails or returns no point.
        """
        import cvxpy as cp

        try:
            task.solve(solver=self.conic_solver, verbose=self.verbose, **self._options())
        except cp.error.SolverError as error:
            raise SolverError(f"{self.conic_solver} failed: {error}") from error
        if any(variable.value is None for variable in task.variables()):
            raise SolverError(f"{self.conic_solver} returned no point: status {task.status!r}.")
        return int(task.solver_stats.num_iters or 0)

    def _is_installed(self) -> bool:
        """Whether cvxpy has the conic solver, so that its failure is not that it is missing."""
        import cvxpy as cp

        return self.conic_solver in cp.installed_solvers()

    def _options(self) -> dict[str, Any]:
        if self.conic_solver != "CLARABEL":
            return {}
        tight = {f"tol_{word}": self.accuracy for word in ("gap_abs", "gap_rel", "feas")}
        limit = {} if self.time_limit is None else {"time_limit": float(self.time_limit)}
        return {**tight, **limit, "max_iter": self.max_iter}
