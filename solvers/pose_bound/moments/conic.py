r"""The moment relaxation of order 2 handed to any solver of cvxpy, and made rigorous by its multipliers."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from ..rotations import nearest_rotation
from ..validation import FloatArray
from .certificate import certified_bound, pack_blocks
from .conic_lmi import QuaternionMoments, bounded, run_task
from .quotient import N_LINEAR, N_MOMENTS
from .relaxation import MomentBound, MomentRelaxation, close_blocks

__all__ = ["ConicMomentProblem", "conic_moment_bound"]

#: The least eigenvalue of multipliers that are exact: more than what conic solvers are off.
_MARGIN = 1e-5
#: Constants that approximate multipliers are completed for, over the optimal value: the least that they prove counts.
_CONSTANTS = (1.0, 1.0 + 1e-5, 1.0 + 1e-4, 1.0 + 1e-3, 1.01, 1.1)


class ConicMomentProblem:
    """The moment relaxation of order 2 as a problem of cvxpy.

    Parameters
    ----------
    relaxation : MomentRelaxation
        What is stated.

    Attributes
    ----------
    task : cvxpy.Problem
        The problem, for ``task.solve(...)``.
    """

    def __init__(self, relaxation: MomentRelaxation) -> None:
        self.relaxation = relaxation
        self._moments = QuaternionMoments(relaxation, 4)
        matrices = [self._moments.matrix(2), *(self._moments.matrix(1, q) for q in self._moments.polynomials)]
        self._constraints = [matrix >> 0 for matrix in matrices]
        self.task: Any = self._moments.task(matrices, self._constraints, _MARGIN)

    @property
    def value(self) -> float:
        """The optimal value that the solver has found, in the unit of the objective."""
        return self._moments.value * self._moments.unit * self.relaxation.polynomials.unit

    def pose(self) -> tuple[FloatArray, FloatArray]:
        """Return the pose of the moments of degree 1, rounded to a rotation; in general no member."""
        linear = self._moments.basis.coefficients(np.eye(N_LINEAR, N_MOMENTS), 4) @ self._moments.variable.value
        return self.relaxation.pose(nearest_rotation(linear[1:10].reshape(3, 3).T), linear[10:])

    def certificate(self) -> tuple[float, FloatArray]:
        """Return the best bound that the solver's multipliers prove, and the blocks that prove it by `safe_bound`."""
        moments, polynomials = self._moments, self.relaxation.polynomials
        duals = (np.asarray(constraint.dual_value) for constraint in self._constraints)
        first, *others = (dual + _MARGIN * np.eye(len(dual)) for dual in duals)
        moment = moments.basis.to_monomials(moments.unit * first, 2)
        scales = moments.unit / moments.scales
        localizers = moments.basis.to_monomials(scales[:, None, None] * np.array(others), 1)
        constants = (factor * float(self.task.value) * moments.unit for factor in _CONSTANTS)
        proofs = [close_blocks(polynomials, moments.basis, moment, localizers, constant) for constant in constants]
        bound, blocks = min(((certified_bound(polynomials, *each), each) for each in proofs), key=itemgetter(0))
        return bound, pack_blocks(*blocks)


def conic_moment_bound(relaxation: MomentRelaxation, run: Callable[[Any], int]) -> tuple[MomentBound, int]:
    """Solve a relaxation with a solver of cvxpy.

    Parameters
    ----------
    relaxation : MomentRelaxation
        What is solved.
    run : callable
        Solves a problem of cvxpy, and returns the number of iterations.

    Returns
    -------
    bound : MomentBound
        A bound that holds however accurate the conic solver was.
    n_iter : int
        The number of iterations.

    Raises
    ------
    SolverError
        If the conic solver finds no moments, or no multipliers.
    InfeasibleProblemError
        If the bound proves that the set is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.moments.conic import conic_moment_bound
    >>> from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation
    >>> points = 0.1 * np.array([[1, 0, 0], [-1, 1, 0], [0, -1, 1], [1, 1, -1], [-1, -1, -1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.01**2, (5, 1, 1))
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> relaxation = MomentRelaxation(cones, np.eye(3), [0.0, 0.0, 1.0], 0.1, "translation")
    >>> def run(task):
    ...     task.solve(solver="SCS")
    ...     return task.solver_stats.num_iters
    >>> bound, n_iter = conic_moment_bound(relaxation, run)
    >>> print(f"{bound.upper:.4f}")
    0.0037
    """
    stated = ConicMomentProblem(relaxation)
    n_iter = run_task(stated.task, run)
    bound, blocks = stated.certificate()
    return bounded(relaxation, bound, stated.value, blocks, stated.pose()), n_iter
