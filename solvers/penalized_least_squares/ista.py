"""Proximal gradient descent, which asks a penalty for nothing but its proximal map."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..lasso.frame import FloatArray
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from .backend import Backend
from .problem import PenalizedLeastSquaresProblem
from .sweeps import Sweeps

__all__ = ["ISTA"]

_BLOCK = 10
_POWER_ITERATIONS = 20
_POLISHING_ROUNDS = 5


class ISTA(Backend):
    """Iterative shrinkage-thresholding, polished by coordinate descent.

    Parameters
    ----------
    max_iter : int, default=1000
        Blocks of ten proximal gradient steps.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The step is ``1 / L`` with an estimate of the largest eigenvalue ``L`` of the Gram matrix that doubles where a step
    refutes it. Where the steps come to rest, coordinate sweeps, whose own steps are longer, go on until no coordinate
    can improve the point.

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An iterative thresholding algorithm for linear inverse problems with a
    sparsity constraint", Comm. Pure and Applied Mathematics 57 (2004).
    """

    name = "ista"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {
            "sparse",
            "float32",
            "weights",
            "free",
            "sample_weight",
            "positive",
            "intercept",
            "nonconvex",
            "own_penalty",
            "callback",
        }
    )

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def solve(
        self,
        problem: PenalizedLeastSquaresProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Take proximal gradient steps until they come to rest, polish, and so on until `problem` certifies."""
        x = problem.repair(self.start_point(problem, start))
        lipschitz = self._lipschitz(problem)
        sweeps = Sweeps(problem)
        accuracy = max(tol, 1e-6) * problem.response_scale
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            while run.go_on(x):
                before = x
                x, lipschitz, movement = self._steps(problem, x, lipschitz)
                if movement <= accuracy:
                    x = self._polish(problem, sweeps, x, 0.1 * accuracy)
                    accuracy *= 0.1
                    if np.array_equal(x, before):
                        run.stall("neither gradient nor coordinate steps change the point any more")
                        break
        return run.solution()

    @staticmethod
    def _lipschitz(problem: PenalizedLeastSquaresProblem) -> float:
        """Return an estimate of the largest eigenvalue of the Gram matrix, from below, with one percent on top."""
        view, movable = problem.view, ~problem.excluded
        direction = np.where(movable, np.sqrt(problem.columns.curvature), 0.0)
        reference = view.residual(np.zeros_like(direction))
        value = 0.0
        for _ in range(_POWER_ITERATIONS):
            norm = float(np.linalg.norm(direction))
            if norm == 0:
                break
            direction = direction / norm
            moved = reference - view.residual(direction)
            value = float(moved @ moved) / moved.size
            direction = np.where(movable, view.correlation(moved), 0.0)
        return 1.01 * value or 1.0

    @staticmethod
    def _steps(
        problem: PenalizedLeastSquaresProblem, x: FloatArray, lipschitz: float
    ) -> tuple[FloatArray, float, float]:
        """Take a block of steps; return the point, the estimate, and the last movement in units of the response."""
        view = problem.view
        residual = view.residual(x)
        movement = 0.0
        for _ in range(_BLOCK):
            correlation = view.correlation(residual)
            while True:
                new = problem.prox(x + correlation / lipschitz, 1.0 / lipschitz)
                difference, after = new - x, view.residual(new)
                moved = residual - after
                squared = float(difference @ difference)
                # The slack is for differences that rounding has already eaten.
                noise = 1e-12 * problem.response_scale**2
                if float(moved @ moved) / moved.size <= lipschitz * squared * (1 + 1e-9) + noise:
                    break
                lipschitz *= 2.0
            movement = np.sqrt(lipschitz) * float(np.abs(difference).max(initial=0.0))
            x, residual = new, after
            if movement == 0:
                break
        return x, lipschitz, movement

    @staticmethod
    def _polish(problem: PenalizedLeastSquaresProblem, sweeps: Sweeps, x: FloatArray, accuracy: float) -> FloatArray:
        x = np.array(problem.view.complete(x))
        for _ in range(_POLISHING_ROUNDS):
            violations, correlation = sweeps.look(x)
            if violations.max(initial=0.0) <= accuracy:
                break
            sweeps.descend(x, sweeps.working_set(x, violations), 0.3 * accuracy, correlation)
        return x
