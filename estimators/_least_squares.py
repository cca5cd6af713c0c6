"""Regressors that minimise penalised least squares, one target after the other: start, loop, and fitted attributes.

Which problem is stated for a target is each estimator's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin

from ..solvers import Solution
from ._base import SolverMixin
from ._linear import LinearData, LinearPredictorMixin

__all__ = ["LeastSquaresRegressor"]

FloatArray = npt.NDArray[np.float64]


class LeastSquaresRegressor(LinearPredictorMixin, MultiOutputMixin, RegressorMixin, SolverMixin):  # type: ignore[misc]
    """Base of the regressors with ``coef_`` and ``intercept_`` and a parameter ``warm_start``."""

    warm_start: bool

    def _fit_targets(self, data: LinearData, state_problem: Callable[[FloatArray], Any]) -> list[Solution[FloatArray]]:
        """Solve the problem of each target and store what was found.

        Parameters
        ----------
        data : LinearData
            Validated data.
        state_problem : callable
            Makes the problem of one target from its response; the problem has ``intercept(x)``.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C leaves a target without a solution.
        """
        start = self._warm_start(data)
        solutions, intercepts = [], []
        for target in range(data.y.shape[1]):
            problem = state_problem(np.ascontiguousarray(data.y[:, target]))
            solution = self._solve(problem, start=None if start is None else start[target])
            solutions.append(solution)
            intercepts.append(problem.intercept(solution.x))
            if solution.status == "interrupted":
                break
        if len(solutions) < data.y.shape[1]:
            raise KeyboardInterrupt("the fit was interrupted before every target had a solution")
        self._store(data, solutions, np.array(intercepts))
        return solutions

    def _warm_start(self, data: LinearData) -> FloatArray | None:
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is None:
            return None
        coef = np.atleast_2d(coef)
        return data.scaled_coef(coef) if coef.shape == (data.y.shape[1], data.X.shape[1]) else None

    def _store(self, data: LinearData, solutions: list[Solution[FloatArray]], intercepts: FloatArray) -> None:
        coef = np.stack([data.coef(solution.x) for solution in solutions]).astype(data.X.dtype)
        intercept = np.ldexp(intercepts, data.y_exponent)
        iterations = [solution.n_iter for solution in solutions]
        if data.single_target:
            self.coef_, self.intercept_ = coef[0], float(intercept[0])
            self.n_iter_: int | list[int] = iterations[0]
            self.solution_ = solutions[0].compact()
        else:
            self.coef_, self.intercept_ = coef, intercept
            self.n_iter_ = iterations
            self.solution_ = Solution.stack(solutions)
