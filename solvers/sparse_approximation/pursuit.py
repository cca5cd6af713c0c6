"""The pursuit that the backends share: it codes signals, and completes codes that fall short of the tolerance."""

from __future__ import annotations

import math

import numpy as np

from ...cython_ext import _matching_pursuit
from ..base import Solver
from ..monitor import certify_once
from ..solution import Solution
from ..sparse_coding.atoms import FloatArray
from ..threads import map_blocks
from .problem import SparseApproximationProblem

__all__ = ["completed", "floors", "pursue"]

_REFINEMENTS = 2
_ROWS = 128


def floors(square: FloatArray, tol: float) -> FloatArray:
    """Return the correlations, over the lengths of the atoms, below which a signal with ``||x||^2`` needs no atom."""
    return np.sqrt(square) * min(max(0.1 * tol, 1e-14), 1e-10)


def pursue(
    problem: SparseApproximationProblem,
    correlation: FloatArray,
    square: FloatArray,
    floor: FloatArray,
    codes: FloatArray,
) -> None:
    """Code signals greedily under the constraint of `problem`; the arguments are those of the kernel."""
    atoms = problem.dictionary
    error_tol = -math.inf if problem.error_tol is None else float(problem.error_tol)
    _matching_pursuit.pursue(atoms.gram, atoms.norm, correlation, square, floor, codes, problem.largest, error_tol, 0.0)


def completed(
    solver: Solver[SparseApproximationProblem, FloatArray],
    problem: SparseApproximationProblem,
    x: FloatArray,
    *,
    tol: float,
    n_iter: int,
    n_jobs: int | None,
) -> Solution[FloatArray]:
    """Return the codes `x` with their certificate, after more steps for the signals that miss the tolerance.

    They miss it by the rounding errors of nearly dependent atoms, or since a backend gave them too few atoms. A step is
    a pursuit that begins with the atoms of a code and approximates its residual; it is taken back where it does not
    help.
    """
    solution = certify_once(solver, problem, x, tol=tol, n_iter=n_iter)
    for _ in range(_REFINEMENTS):
        if solution.converged:
            break
        relative = problem.relative(x)
        missing = np.flatnonzero(~(relative <= tol))
        some = SparseApproximationProblem(
            X=problem.X[missing],
            D=problem.D,
            n_nonzero_coefs=problem.n_nonzero_coefs,
            error_tol=problem.error_tol,
            atoms=problem.atoms,
        )
        better = _refined(some, x[missing], tol, n_jobs)
        improved = some.relative(better) < relative[missing]
        x[missing[improved]] = better[improved]
        solution = certify_once(solver, problem, x, tol=tol, n_iter=n_iter)
    return solution


def _refined(problem: SparseApproximationProblem, x: FloatArray, tol: float, n_jobs: int | None) -> FloatArray:
    """Return `x` with the codes of its residuals added."""
    step = np.where(x != 0, 1.0, 0.0)
    _ = problem.dictionary.gram  # computed before threads share it

    def encode(rows: slice) -> None:
        residual = problem.residual(x[rows], rows)
        square = np.einsum("ij,ij->i", residual, residual)
        floor = floors(problem.square[rows], tol)
        pursue(problem, residual @ problem.dictionary.D.T, square, floor, step[rows])

    map_blocks(encode, x.shape[0], _ROWS, n_jobs)
    return x + step
