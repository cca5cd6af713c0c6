"""Working sets in residual form: for sparse designs, and for more columns than a Gram matrix should hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...cython_ext import _lasso_residual
from .frame import FloatArray, Frame
from .gram import ColumnCache, Point
from .polish import polish
from .problem import LassoProblem

__all__ = ["DenseWorkingSet", "SparseWorkingSet", "extrapolate"]

_MEMORY = 6
#: Multiplications that a factorisation may cost at the first slow pass; each further one doubles them.
_POLISH_BUDGET = 1e6
_SUSPECT = 1e-8
_DEPENDENT = 1e-24
#: Entries of the design that a kernel call may visit: about a tenth of a second.
_ENTRIES_A_CALL = 3e7


def extrapolate(iterates: FloatArray) -> FloatArray | None:
    """Return the Anderson extrapolation of successive iterates (rows), or None where it is not defined."""
    steps = np.diff(iterates, axis=0)
    gram = steps @ steps.T
    size = float(np.trace(gram))
    if not size > 0:
        return None
    try:
        mix = np.linalg.solve(gram + 1e-14 * size * np.eye(len(gram)), np.ones(len(gram)))
    except np.linalg.LinAlgError:
        return None
    total = float(mix.sum())
    return mix @ iterates[1:] / total if total != 0 and np.isfinite(total) else None


def _run_epochs(
    kernel: Callable[..., None], data: tuple[Any, ...], iterates: FloatArray, n_epochs: int, size: int
) -> None:
    """Run epochs over `size` entries in calls short enough for Ctrl-C; `iterates` receives the last points."""
    chunk = max(1, int(_ENTRIES_A_CALL / max(size, 1)))
    skipped = n_epochs - len(iterates)
    for first in range(0, n_epochs, chunk):
        last = min(first + chunk, n_epochs)
        kernel(*data, last - first, iterates[max(first - skipped, 0) : max(last - skipped, 0)])


class DenseWorkingSet:
    """The restricted Lasso on cached dense columns, in residual form."""

    n_epochs = 10

    def __init__(self, frame: Frame) -> None:
        self.cache = ColumnCache(frame)

    @property
    def size(self) -> int:
        """How many columns are cached."""
        return self.cache.size

    def uncached(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return those of `columns` that would have to be added."""
        return self.cache.uncached(columns)

    def add(self, columns: npt.NDArray[np.intp]) -> None:
        """Cache more columns."""
        self.cache.add(columns)

    def descend(self, problem: LassoProblem, point: Point, target: float, *, newton: bool, effort: int) -> FloatArray:
        """Run epochs over the cached columns from `point`, and extrapolate them where this lowers the objective."""
        cache = self.cache
        x = np.zeros_like(point.x)
        if cache.size == 0:
            return x
        threshold, ridge = cache.penalties(problem)
        coef, residual = point.x[cache.columns] * cache.norms, point.projected.copy()
        iterates = np.empty((_MEMORY, cache.size))
        data = (cache.design, coef, residual, threshold, ridge, problem.positive)
        _run_epochs(_lasso_residual.dense_epochs, data, iterates, self.n_epochs, cache.design.size)
        restricted = Restricted(cache.design, cache.frame.response, threshold, ridge, problem.positive, cache.frame)
        x[cache.columns] = restricted.improve(coef, iterates, effort=effort) / cache.norms
        return x


@dataclass(frozen=True, eq=False)
class Restricted:
    """The Lasso on a few columns, `design` dense or sparse and projected onto the complement of `basis`."""

    design: Any
    response: FloatArray
    threshold: FloatArray
    ridge: FloatArray
    positive: bool
    frame: Frame

    def objective(self, coef: FloatArray) -> float:
        """Return the objective at `coef`."""
        residual = self.response - self.frame.project(self.design @ coef)
        squares = float(residual @ residual) / (2 * residual.size) + 0.5 * float(self.ridge @ coef**2)
        return squares + float(self.threshold @ np.abs(coef))

    def improve(self, coef: FloatArray, iterates: FloatArray, *, effort: int) -> FloatArray:
        """Return the best of `coef`, its extrapolation, and (if asked for) a Newton step on its support."""
        best, value = coef, self.objective(coef)
        candidates = [extrapolate(iterates)]
        if effort:
            candidates.append(self._polished(coef, effort))
        for candidate in candidates:
            if candidate is None:
                continue
            candidate = np.maximum(candidate, 0.0) if self.positive else candidate
            other = self.objective(candidate)
            if other < value:
                best, value = candidate, other
        return best

    def _polished(self, coef: FloatArray, effort: int) -> FloatArray | None:
        support = np.flatnonzero(coef)
        if support.size == 0 or self.response.size * support.size**2 > _POLISH_BUDGET * 2.0**effort:
            return None
        columns = self.design[:, support]
        columns = self.frame.project(columns.toarray() if sparse.issparse(columns) else columns)
        moved = np.zeros_like(coef)
        moved[support] = polish(
            columns, self.response, coef[support], self.threshold[support], self.ridge[support], self.positive
        )
        return moved


class SparseWorkingSet:
    """The restricted Lasso on columns of a sparse design, in residual form; nothing is made dense.

    The intercept and the free columns are projected out implicitly.
    """

    n_epochs = 20

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        design = sparse.csc_matrix(frame.A, dtype=np.float64)
        if frame.root_weight is not None:
            design = sparse.csc_matrix(sparse.diags(frame.root_weight) @ design)
        self.design = design
        self._indices, self._indptr = design.indices.astype(np.int32), design.indptr.astype(np.int32)
        self.overlap = np.asfortranarray((design.T @ frame.basis).T)
        raw = frame.n_samples * np.square(frame.root_mean_squares)
        squares = raw - np.square(self.overlap).sum(axis=0)
        # A column close to the free span cancels: its norm is computed from the column itself.
        for j in np.flatnonzero((raw > 0) & (squares <= _SUSPECT * raw)):
            squares[j] = float(np.square(frame.project(design[:, [j]].toarray().ravel())).sum())
        self.dependent = squares <= _DEPENDENT * raw
        self.mean_square = squares / frame.n_samples
        self._chosen = np.empty(0, dtype=np.int32)

    @property
    def size(self) -> int:
        """How many columns the working set has."""
        return int(self._chosen.size)

    def uncached(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return nothing: no column costs memory here."""
        return columns[:0]

    def add(self, columns: npt.NDArray[np.intp]) -> None:
        """Make `columns` the working set."""
        self._chosen = columns[~self.dependent[columns]].astype(np.int32)

    def descend(self, problem: LassoProblem, point: Point, target: float, *, newton: bool, effort: int) -> FloatArray:
        """Run epochs over the working set from `point`, and extrapolate them where this lowers the objective."""
        chosen = self._chosen
        x = np.zeros_like(point.x)
        if chosen.size == 0:
            return x
        threshold, ridge = problem.thresholds[chosen], np.full(chosen.size, problem.l2)
        coef, residual = point.x[chosen], point.projected.copy()
        iterates = np.empty((_MEMORY, chosen.size))
        overlap = np.asfortranarray(self.overlap[:, chosen])
        entries = int((self._indptr[chosen + 1] - self._indptr[chosen]).sum()) + overlap.size
        matrix = (self.design.data, self._indices, self._indptr, chosen, self.mean_square[chosen], overlap)
        state = (coef, residual, np.zeros(overlap.shape[0]), threshold, ridge, problem.positive)
        _run_epochs(_lasso_residual.sparse_epochs, (*matrix, *state), iterates, self.n_epochs, entries)
        if effort:
            columns = self.design[:, chosen]
            restricted = Restricted(columns, self.frame.response, threshold, ridge, problem.positive, self.frame)
            coef = restricted.improve(coef, iterates, effort=effort)
        x[chosen] = coef
        return x
