"""What the backends of this problem share: a path over the strength of the penalty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sklearn.base import clone

from ..base import Solver
from ..lasso.frame import FloatArray
from ..solution import Callback, Solution, Start
from .problem import PenalizedLeastSquaresProblem

__all__ = ["Backend"]


class Backend(Solver[PenalizedLeastSquaresProblem, FloatArray]):
    """A solver of :class:`PenalizedLeastSquaresProblem`."""

    problem = PenalizedLeastSquaresProblem

    def path(
        self,
        problem: PenalizedLeastSquaresProblem,
        alphas: Iterable[float],
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> list[Solution[FloatArray]]:
        """Solve `problem` for each value of the parameter `alpha` of its penalty, each from the solution before it.

        All solutions but the last are compact.

        Raises
        ------
        ValueError
            If the penalty has no parameter `alpha`.
        """
        problems = (replace(problem, penalty=clone(problem.penalty).set_params(alpha=float(alpha))) for alpha in alphas)
        return self.solve_sequence(problems, start=start, tol=tol, callback=callback)
