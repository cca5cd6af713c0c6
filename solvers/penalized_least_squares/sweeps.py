"""Coordinate sweeps on working sets, compiled for the built-in penalties and in Python for a user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...cython_ext._penalized_cd import sweep_dense, sweep_gram, sweep_sparse
from ..lasso.frame import FloatArray
from .gram import GramCache
from .problem import PenalizedLeastSquaresProblem

__all__ = ["Sweeps"]

_WORK = 1 << 26  # multiplications of one kernel call, well under 0.1 s
_SHARE = 0.3  # of the largest violation that brings a coordinate into the working set
_ROUND = 1 << 29  # multiplications between two looks at all coordinates, about half a second
_PYTHON = 5_000  # multiplications that one coordinate step in Python is worth


class Sweeps:
    """Coordinate descent on one problem, with the residual as its state.

    Parameters
    ----------
    problem : PenalizedLeastSquaresProblem
        Dense designs in C order and CSR matrices are copied to column order, once.
    """

    def __init__(self, problem: PenalizedLeastSquaresProblem) -> None:
        self.problem = problem
        self.sparse = sparse.issparse(problem.A)
        design: Any = sparse.csc_array(problem.A) if self.sparse else np.asfortranarray(problem.A)
        self.design = design
        n, p = problem.A.shape
        root = problem.view.root_weight
        self.row_weight = np.empty(0) if root is None else root * root
        self.weights = np.where(problem.excluded, 0.0, problem.omega)
        self.movable = (problem.columns.curvature > 0) & ~problem.excluded
        compiled_dense = problem.compiled is not None and not self.sparse
        self.gram = GramCache(problem.view) if compiled_dense else None
        self.length = max(1, design.nnz // max(p, 1) if self.sparse else n)

    def look(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the violations at `x` and the correlation of its residual with all columns, computed anew."""
        correlation = -self.problem.gradient(x)
        return self.problem.violations(x, correlation), correlation

    def working_set(self, x: FloatArray, violations: FloatArray) -> npt.NDArray[np.int64]:
        """Return the support of `x` and the worst violators among the movable coordinates."""
        worst = float(violations.max(initial=0.0))
        chosen = self.movable & ((x != 0) | ((violations >= _SHARE * worst) & (violations > 0)))
        chosen[self.problem.free] = self.movable[self.problem.free]
        return np.flatnonzero(chosen).astype(np.int64)

    def descend(self, x: FloatArray, working: npt.NDArray[np.int64], accuracy: float, correlation: FloatArray) -> float:
        """Sweep over `working` until no step moves the fit by more than `accuracy`, or a budget is spent.

        `x` is updated in place, `correlation` is that of its residual with all columns; the largest movement of the
        first sweep is returned: 0 where nothing could move.
        """
        if self.gram is not None and self.gram.admits(working):
            return self._descend_on_gram(self.gram, x, working, accuracy, correlation)
        residual = self._residual(x)
        first, done = 0.0, 0
        cost = self.length * max(working.size, 1)
        pieces = np.array_split(working, max(1, cost // _WORK))
        sweeps = 1 if len(pieces) > 1 else max(1, _WORK // (4 * cost))
        budget = self._budget(cost if self.problem.compiled is not None else max(cost, _PYTHON * working.size))
        while done < budget:
            change = 0.0
            for piece in pieces:
                # The very first sweep runs alone, to learn whether anything moves.
                count, moved = self._sweep(x, residual, piece, accuracy, 1 if done == 0 else min(sweeps, budget))
                change = max(change, moved)
            done += count
            first = first or change
            if change <= accuracy:
                break
        return first

    @staticmethod
    def _budget(cost: int) -> int:
        """Return how many sweeps of `cost` multiplications may pass between two looks at all coordinates."""
        return min(max(_ROUND // max(cost, 1), 10), 10_000)

    def _descend_on_gram(
        self,
        cache: GramCache,
        x: FloatArray,
        working: npt.NDArray[np.int64],
        accuracy: float,
        correlation: FloatArray,
    ) -> float:
        problem = self.problem
        assert problem.compiled is not None
        v, weights = x[working], self.weights[working]
        shared = (
            cache.restrict(working),
            correlation[working],
            weights,
            v,
            *problem.compiled,
            problem.positive,
            accuracy,
        )
        done, first = sweep_gram(*shared, 1)
        change, sweeps = first, max(1, _WORK // max(working.size**2, 1))
        budget = self._budget(working.size**2)
        while change > accuracy and done < budget:
            count, change = sweep_gram(*shared, min(sweeps, budget))
            done += count
        x[working] = v
        return first

    def _residual(self, x: FloatArray) -> FloatArray:
        view = self.problem.view
        return np.ascontiguousarray(view.weigh(view.residual(x)))

    def _sweep(
        self, x: FloatArray, residual: FloatArray, working: npt.NDArray[np.int64], accuracy: float, sweeps: int
    ) -> tuple[int, float]:
        problem = self.problem
        if problem.compiled is None:
            return self._sweep_python(x, residual, working)
        columns = problem.columns
        shared = (
            residual,
            self.row_weight,
            columns.means,
            problem.fit_intercept,
            columns.curvature,
            self.weights,
            working,
            x,
            *problem.compiled,
            problem.positive,
            accuracy,
            sweeps,
        )
        if self.sparse:
            return sweep_sparse(self.design.data, self.design.indices, self.design.indptr, *shared)
        return sweep_dense(self.design, *shared)

    def _column(self, j: int) -> tuple[Any, FloatArray]:
        if not self.sparse:
            return slice(None), self.design[:, j].astype(np.float64, copy=False)
        entries = slice(self.design.indptr[j], self.design.indptr[j + 1])
        return self.design.indices[entries], self.design.data[entries].astype(np.float64, copy=False)

    def _sweep_python(self, x: FloatArray, residual: FloatArray, working: npt.NDArray[np.int64]) -> tuple[int, float]:
        problem, columns = self.problem, self.problem.columns
        mean = float(residual.mean()) if problem.fit_intercept else 0.0
        change = 0.0
        for j in working:
            rows, column = self._column(j)
            curvature, weight = columns.curvature[j], self.weights[j]
            new = x[j] + (column @ residual[rows] / residual.size - columns.means[j] * mean) / curvature
            if weight > 0:
                new = problem.penalty.prox(np.array([new]), np.array([weight / curvature]), problem.positive)[0]
            difference = float(new - x[j])
            if difference != 0:
                x[j] = new
                share = self.row_weight[rows] * column if self.row_weight.size else column
                residual[rows] -= difference * share
                mean -= difference * columns.means[j] if problem.fit_intercept else 0.0
                change = max(change, float(np.sqrt(curvature)) * abs(difference))
        return 1, change
