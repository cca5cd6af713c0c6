"""What the relaxations that cvxpy solves share: linear matrix inequalities in scaled monomials of a quaternion.

In these monomials first-order methods need some hundred iterations, where they do not converge in others. Which
inequalities there are, and what is proved with their multipliers, are other modules' business.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from ....exceptions import SolverError
from ..validation import FloatArray
from .local_basis import LocalBasis
from .quaternion_monomials import quaternion_products
from .quotient import N_BASIS, N_MOMENTS
from .relaxation import MomentBound, MomentRelaxation

__all__ = ["QuaternionMoments", "bounded", "run_task"]


class QuaternionMoments:
    """Moments of a relaxation as a variable of cvxpy, and the matrices that are linear in them.

    Parameters
    ----------
    relaxation : MomentRelaxation
        The problem.
    degree : int
        The degree of the moments, 2 or 4.

    Attributes
    ----------
    basis : LocalBasis
        The monomials that the moments are of.
    variable : cvxpy.Variable
        The moments.
    polynomials : ndarray of shape (2K + 1, 71)
        The localizing polynomials in these monomials, over `scales`.
    scales : ndarray of shape (2K + 1,)
        The largest of their coefficients.
    objective : ndarray of shape (n,)
        The coefficients of the objective, over `unit`.
    unit : float
        The largest of them.
    """

    def __init__(self, relaxation: MomentRelaxation, degree: int) -> None:
        import cvxpy as cp

        problem = relaxation.polynomials
        self.basis = LocalBasis(problem, relaxation.t0, relaxation.max_distance, relaxation.frame)
        self.degree = degree
        one, objective = np.zeros((2, N_BASIS if degree == 2 else N_MOMENTS))
        one[0], objective[:N_BASIS] = 1.0, problem.objective[:, 0]
        one, objective = self.basis.coefficients(np.stack([one, objective]), degree)
        self.variable = cp.Variable(len(one))
        self.unit = float(np.abs(objective).max())
        self.objective: FloatArray = objective / self.unit
        polynomials = self.basis.coefficients(problem.localizers[:, :, 0], 2)
        self.scales: FloatArray = np.abs(polynomials).max(axis=1)
        self.polynomials: FloatArray = polynomials / self.scales[:, None]
        self.normalization = one @ self.variable == 1.0

    def matrix(self, degree: int, shift: FloatArray | None = None) -> Any:
        """Return the matrix of products of monomials of a degree, times a polynomial of degree 2 if there is one."""
        import cvxpy as cp

        targets = quaternion_products(degree, degree)
        entries = _selection(targets.ravel(), int(targets.max()) + 1)
        if shift is not None:
            products = quaternion_products(2, 2)
            weights = sparse.kron(sparse.csr_array(shift[None]), sparse.eye_array(len(products)), format="csr")
            entries = entries @ (weights @ _selection(products.ravel(), len(self.objective)))
        return cp.reshape(entries @ self.variable, targets.shape, order="C")

    def task(self, matrices: list[Any], constraints: list[Any], margin: float) -> Any:
        """Return the problem of cvxpy to maximise the objective plus a little of the traces of matrices.

        The multipliers of the original problem are those of the matrices plus `margin` times the identity: definite,
        although conic solvers end on the border of the cone.
        """
        import cvxpy as cp

        traces = sum(cp.trace(matrix) for matrix in matrices)
        goal = self.objective @ self.variable + margin * traces
        return cp.Problem(cp.Maximize(goal), [self.normalization, *constraints])

    @property
    def value(self) -> float:
        """The objective of the moments that were found, over `unit`."""
        return float(self.objective @ self.variable.value)


def _selection(columns: np.ndarray[Any, np.dtype[np.intp]], n_columns: int) -> sparse.csr_array:
    rows = np.arange(len(columns))
    return sparse.csr_array((np.ones(len(columns)), (rows, columns)), shape=(len(columns), n_columns))


def run_task(task: Any, run: Callable[[Any], int]) -> int:
    """Solve a problem of cvxpy, for better or worse: multipliers of any accuracy prove something.

    Returns
    -------
    n_iter : int
        What `run` returns.

    Raises
    ------
    SolverError
        If the conic solver finds that the problem is infeasible, or has no multipliers.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        n_iter = run(task)
    if task.value is None or not math.isfinite(task.value):
        raise SolverError(f"The conic solver found no moments: status {task.status!r}. The set of poses may be empty.")
    if any(constraint.dual_value is None for constraint in task.constraints):
        raise SolverError(f"The conic solver returned no multipliers: status {task.status!r}.")
    return n_iter


def bounded(
    relaxation: MomentRelaxation,
    bound: float,
    value: float,
    blocks: FloatArray,
    pose: tuple[FloatArray, FloatArray] | None = None,
) -> MomentBound:
    """Return what multipliers prove and a conic solver claims, both at most the trivial bound.

    Raises
    ------
    InfeasibleProblemError
        If the bound proves that the set is empty.
    """
    relaxation.check_nonempty(bound)
    trivial = relaxation.trivial_bound
    return MomentBound(
        relaxation.kind,
        relaxation.max_distance,
        min(bound, trivial),
        min(value, trivial),
        blocks if bound < trivial else None,
        pose,
    )
