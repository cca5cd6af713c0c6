"""Codes of any number of signals, block by block: memory stays bounded, and one certificate speaks of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...penalties import Penalty
from ...solvers import Problem, Solution, Solver
from ...solvers.certificate import changed
from ...solvers.sparse_coding import SparseCodingProblem
from ...solvers.sparse_coding.atoms import Atoms
from ._scaling import extreme, rescaled

__all__ = ["Statement", "encode", "penalised"]

FloatArray = npt.NDArray[np.float64]

#: Numbers in the codes of a block.
_BLOCK = 2**22
_RANGE = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)

#: States the problem of some signals in units of which there are `factor` in one of theirs, and the penalty along.
Statement = Callable[[FloatArray, float], Problem[FloatArray]]


def penalised(atoms: Atoms, penalty: Penalty, positive: bool) -> Statement:
    """Return what states the penalised problem of some signals."""

    def state(X: FloatArray, factor: float) -> SparseCodingProblem:
        scaled = penalty if factor == 1 else rescaled(penalty, factor)
        return SparseCodingProblem(X=X, D=atoms.source, penalty=scaled, positive=positive, atoms=atoms)

    return state


def encode(
    solver: Solver[Any, FloatArray],
    state: Statement,
    X: npt.NDArray[Any],
    n_atoms: int,
    *,
    tol: float,
    mean: FloatArray | None = None,
    csr: bool = False,
) -> Solution[Any]:
    """Return the codes of all signals.

    Parameters
    ----------
    solver : Solver
        A backend for the problems of `state`.
    state : Statement
        States the problem of some signals.
    X : array of shape (n, d)
        Signals, float64 or float32.
    n_atoms : int
        The number K of atoms.
    tol : float
        Relative tolerance.
    mean : array of shape (d,) or None
        What is subtracted from each signal.
    csr : bool
        Whether the codes are a CSR array.

    Returns
    -------
    solution : Solution
        Its ``x`` holds the codes, in the precision of `X`; its certificate is that of the worst signal.
    """
    n, rows = X.shape[0], max(1, _BLOCK // n_atoms)
    codes: Any = [] if csr else np.empty((n, n_atoms), dtype=X.dtype)
    solutions: list[Solution[Any]] = []
    for first in range(0, n, rows):
        block = np.ascontiguousarray(X[first : first + rows], dtype=np.float64)
        block = block if mean is None else block - mean
        part, found = _encode_block(solver, state, block, n_atoms, tol)
        if any(solution.status == "interrupted" for solution in found):
            raise KeyboardInterrupt
        if csr:
            codes.append(sparse.csr_array(part).astype(X.dtype))
        else:
            codes[first : first + rows] = part
        solutions += [replace(solution.compact(), x=None) for solution in found]
    return _merged(sparse.vstack(codes, format="csr") if csr else codes, solutions)


def _encode_block(
    solver: Solver[Any, FloatArray], state: Statement, X: FloatArray, n_atoms: int, tol: float
) -> tuple[FloatArray, list[Solution[Any]]]:
    """Return the codes of all signals, and the solutions that they come from."""
    far = extreme(X)
    if not far.any():
        solution = solver.solve(state(X, 1.0), tol=tol)
        return solution.x, [solution]
    codes, found, near = np.zeros((X.shape[0], n_atoms)), [], np.flatnonzero(~far)
    if near.size:
        found.append(solver.solve(state(X[near], 1.0), tol=tol))
        codes[near] = found[-1].x
    for i in np.flatnonzero(far):
        exponent = min(max(-int(np.frexp(np.abs(X[i]).max())[1]), -1022), 1022)
        factor = float(np.ldexp(1.0, exponent))
        problem = state(np.ldexp(X[i : i + 1], exponent), factor)
        solution = solver.solve(problem, tol=tol)
        codes[i] = solution.x / factor
        if "error_tol" not in problem.needs():  # there the objective is a number of atoms
            solution = _in_units(solution, factor)
        found.append(solution)
    return codes, found


def _in_units(solution: Solution[FloatArray], factor: float) -> Solution[FloatArray]:
    """Return the solution for a multiplied signal with the objective, and the gap, of the signal itself."""
    objective, certificate = solution.objective / factor / factor, solution.certificate
    if certificate.kind == "gap":
        scale = float(np.clip(certificate.scale / factor / factor, *_RANGE))
        certificate = changed(certificate, value=certificate.relative * scale, scale=scale, upper=objective)
    return changed(solution, objective=objective, certificate=certificate)


def _merged(codes: Any, solutions: Sequence[Solution[Any]]) -> Solution[Any]:
    """Return one solution for the signals of several, with the certificate of the worst."""
    worst = max(solutions, key=lambda solution: solution.certificate.relative)
    objective = float(sum(solution.objective for solution in solutions))
    certificate = worst.certificate
    if certificate.kind == "gap":
        scale = min(float(sum(solution.certificate.scale for solution in solutions)), _RANGE[1])
        certificate = changed(certificate, value=certificate.relative * scale, scale=scale, upper=objective)
    n_iter = max(solution.n_iter for solution in solutions)
    return replace(worst, x=codes, certificate=certificate, objective=objective, n_iter=n_iter, history=())
