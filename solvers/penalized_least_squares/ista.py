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
# Blocks after which steps that will not come to rest are polished anyway.
_PATIENCE = 20


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
    Coordinate ``j`` takes the step ``1 / (L nu_j)``, where ``nu_j`` is the mean square of its column and ``L`` an
    estimate of the largest eigenvalue of the Gram matrix of the columns brought to mean square 1, which doubles where a
    step refutes it: the scales of the columns do not matter. Where the steps come to rest, or after two hundred of
    them, coordinate sweeps, whose own steps are longer, go on until no coordinate can improve the point.

    References
    ----------
    I. Daubechies, M. Defrise and C. De Mol, "An iterative thresholding algorithm for linear inverse problems with a
    sparsity constraint", Comm. Pure and Applied Mathematics 57 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import MCP
    >>> from estimand.solvers.penalized_least_squares import PenalizedLeastSquaresProblem
    >>> from estimand.solvers.penalized_least_squares.ista import ISTA
    >>> A, y = np.sqrt(2) * np.eye(2), np.array([3.0, -0.5])
    >>> problem = PenalizedLeastSquaresProblem(A=A, y=y, penalty=MCP(alpha=0.5))
    >>> ISTA().solve(problem, tol=1e-8).x.round(4) + 0.0
    array([2.1213, 0.    ])
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
                resting = movement <= accuracy
                if resting or run.n_iter % _PATIENCE == _PATIENCE - 1:
                    x = self._polish(problem, sweeps, x, 0.1 * accuracy)
                    accuracy *= 0.1 if resting else 1.0
                    if np.array_equal(x, before):
                        run.stall("neither gradient nor coordinate steps change the point any more")
                        break
        return run.solution()

    @staticmethod
    def _lipschitz(problem: PenalizedLeastSquaresProblem) -> float:
        """Return the largest eigenvalue of the scaled Gram matrix by power iteration, with one percent on top."""
        view, inverse = problem.view, ISTA._inverse_norms(problem)
        direction = (inverse > 0).astype(np.float64)
        reference = view.residual(np.zeros_like(direction))
        value = 0.0
        for _ in range(_POWER_ITERATIONS):
            norm = float(np.linalg.norm(direction))
            if norm == 0:
                break
            direction = direction / norm
            moved = reference - view.residual(inverse * direction)
            value = float(moved @ moved) / moved.size
            direction = inverse * view.correlation(moved)
        return 1.01 * value or 1.0

    @staticmethod
    def _inverse_norms(problem: PenalizedLeastSquaresProblem) -> FloatArray:
        """Return ``1 / sqrt(nu_j)``, 0 for columns that cannot move."""
        curvature = np.where(problem.excluded, 0.0, problem.columns.curvature)
        return np.divide(1.0, np.sqrt(curvature), out=np.zeros_like(curvature), where=curvature > 0)

    @staticmethod
    def _steps(
        problem: PenalizedLeastSquaresProblem, x: FloatArray, lipschitz: float
    ) -> tuple[FloatArray, float, float]:
        """Take a block of steps; return the point, the estimate, and the last movement in units of the response."""
        view, inverse = problem.view, ISTA._inverse_norms(problem)
        unit = inverse * inverse
        residual = view.residual(x)
        movement = 0.0
        for _ in range(_BLOCK):
            correlation = view.correlation(residual)
            while True:
                new = problem.prox(x + unit / lipschitz * correlation, unit / lipschitz)
                after = view.residual(new)
                moved = residual - after
                difference = (new - x) * np.sqrt(problem.columns.curvature)
                squared = float(difference @ difference)
                # The slack is for differences that rounding has already eaten.
                noise = 1e-12 * problem.response_scale**2
                bound = lipschitz * squared * (1 + 1e-9) + noise
                if float(moved @ moved) / moved.size <= bound or lipschitz >= x.size:
                    break
                lipschitz = min(2.0 * lipschitz, float(x.size))  # the trace bounds the largest eigenvalue
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
