"""Working sets in Gram form: cached columns with their Gram matrix, grown along a path and never rebuilt.

The compiled kernel works on these buffers in place. Which columns enter, and how accurate a solve must be, is the
solver's decision.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ...cython_ext import _lasso_gram
from .frame import FloatArray, Frame, dense_columns
from .polish import polish
from .problem import LassoProblem

__all__ = ["ColumnCache", "GramWorkingSet", "Point"]

_BLOCK = 64
_LARGE = 2000
_DEPENDENT = 1e-12
_LARGEST_FACTOR = 3000
_ROUND_BUDGET = 10
_SECONDS = 0.5
_PATIENCE = 3
_PROGRESS = 0.9
_FLOPS_PER_CALL = 1e8


class Point:
    """Coefficients with their projected residual and its correlations with all columns."""

    def __init__(self, x: FloatArray, projected: FloatArray, correlation: FloatArray) -> None:
        self.x, self.projected, self.correlation = x, projected, correlation

    @classmethod
    def at(cls, frame: Frame, x: FloatArray) -> Point:
        """Evaluate a point: one pass over the data."""
        projected = frame.project(frame.residual(x))
        return cls(x.copy(), projected, frame.correlation(projected))


class ColumnCache:
    """Projected columns scaled to mean square 1, in the order in which they were asked for."""

    def __init__(self, frame: Frame) -> None:
        n, p = frame.A.shape
        self.frame, self.size = frame, 0
        self.place = np.full(p, -1, dtype=np.intp)
        self.dependent = np.zeros(p, dtype=np.bool_)
        self._capacity = 0
        self._columns = np.empty(0, dtype=np.intp)
        self._norms = np.empty(0)
        self._rows = np.empty((0, n))  # the columns as rows, so that making room for more copies nothing

    @property
    def columns(self) -> npt.NDArray[np.intp]:
        """The cached columns' indices."""
        return self._columns[: self.size]

    @property
    def norms(self) -> FloatArray:
        """Their root mean squares after projection."""
        return self._norms[: self.size]

    @property
    def design(self) -> FloatArray:
        """The scaled columns, of shape (n, size)."""
        return self._rows[: self.size].T

    def penalties(self, problem: LassoProblem) -> tuple[FloatArray, FloatArray]:
        """Return the l1 and squared-penalty strengths of the scaled columns."""
        return problem.thresholds[self.columns] / self.norms, problem.l2 / self.norms**2

    def uncached(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return those of `columns` that would have to be added."""
        return columns[(self.place[columns] < 0) & ~self.dependent[columns]]

    def add(self, columns: npt.NDArray[np.intp]) -> int:
        """Cache more columns and return how many were added.

        Columns in the free span count as dependent: their projection is rounding noise, and they are left out.
        """
        new, before = self.uncached(columns), self.size
        self._reserve(before + new.size)
        width = self.frame.block_width
        for first in range(0, new.size, width):
            self._add_block(new[first : first + width])
        return self.size - before

    def _add_block(self, new: npt.NDArray[np.intp]) -> None:
        raw = self.frame.weigh(dense_columns(self.frame.A, new))
        block = self.frame.project(raw)
        norms = np.linalg.norm(block, axis=0)
        good = norms > _DEPENDENT * np.linalg.norm(raw, axis=0)
        self.dependent[new[~good]] = True
        new, norms = new[good], norms[good] / np.sqrt(block.shape[0])
        first, last = self.size, self.size + new.size
        np.divide(block if good.all() else block[:, good], norms, out=self._rows[first:last].T)
        self._columns[first:last], self._norms[first:last] = new, norms
        self.place[new] = np.arange(first, last)
        self.size = last

    def _reserve(self, size: int) -> None:
        if size <= self._capacity:
            return
        self._capacity = min(_capacity(self._capacity, size), self.place.size)
        self._columns = _grown(self._columns, (self._capacity,))
        self._norms = _grown(self._norms, (self._capacity,))
        # No view outlives a call. The memory is moved, not held twice, where the system can do that.
        self._rows.resize((self._capacity, self._rows.shape[1]), refcheck=False)


def _capacity(before: int, size: int) -> int:
    """Return how many columns to make room for: twice as many while that is little, a quarter more later."""
    return max(2 * before if before < _LARGE else before + before // 4, size, 64)


def _grown(array: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    bigger = np.zeros(shape, dtype=array.dtype, order="F")
    bigger[tuple(slice(0, length) for length in array.shape)] = array
    return bigger


class GramWorkingSet:
    """The restricted Lasso on cached columns in Gram form, with a Cholesky factor that follows the support."""

    def __init__(self, frame: Frame) -> None:
        self.cache = ColumnCache(frame)
        self.mean_square = float(frame.response @ frame.response) / frame.n_samples
        self._capacity = 0
        self._gram = np.empty((0, 0), order="F")
        self._response, self._coef, self._correlation = np.empty(0), np.empty(0), np.empty(0)
        self._ridge = np.empty(0)
        self._lower = np.zeros((1, 1), order="F")
        self._order = np.zeros(1, dtype=np.int32)
        self._factor_place = np.empty(0, dtype=np.int32)
        self._factored = 0

    @property
    def size(self) -> int:
        """How many columns are cached."""
        return self.cache.size

    def uncached(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Return those of `columns` that would have to be added."""
        return self.cache.uncached(columns)

    def add(self, columns: npt.NDArray[np.intp]) -> None:
        """Cache more columns, with their rows and columns of the Gram matrix."""
        first = self.size
        if self.cache.add(columns) == 0:
            return
        last, n = self.size, self.cache.frame.n_samples
        self._reserve()
        new = self.cache.design[:, first:]
        self._gram[:last, first:last] = self.cache.design.T @ new / n
        self._gram[first:last, :first] = self._gram[:first, first:last].T
        np.fill_diagonal(self._gram[first:last, first:last], 1.0)
        self._response[first:last] = new.T @ self.cache.frame.response / n

    def _reserve(self) -> None:
        if self.size <= self._capacity:
            return
        before = self._capacity
        self._capacity = min(_capacity(before, self.size), self.cache.place.size)
        self._gram = _grown(self._gram, (self._capacity, self._capacity))
        self._response = _grown(self._response, (self._capacity,))
        self._coef = _grown(self._coef, (self._capacity,))
        self._correlation = _grown(self._correlation, (self._capacity,))
        places = np.full(self._capacity, -1, dtype=np.int32)
        places[:before] = self._factor_place
        self._factor_place = places

    def descend(self, problem: LassoProblem, point: Point, target: float, *, newton: bool, effort: int) -> FloatArray:
        """Lower the objective over the cached columns from `point` until the restricted gap is at most `target`.

        Parameters
        ----------
        problem : LassoProblem
            Says the penalties.
        point : Point
            Where to start; its support must be cached.
        target : float
            The gap to reach.
        newton : bool
            Whether Newton steps pay.
        effort : int
            How many passes in a row were slow; from the first on, Newton steps use a QR factorisation.

        Returns
        -------
        x : array of shape (p,)
            The new coefficients, without the free ones.
        """
        cache, m = self.cache, self.size
        x = np.zeros_like(point.x)
        if m == 0:
            return x
        threshold, ridge = cache.penalties(problem)
        self._use_ridge(ridge)
        self._coef[:m] = point.x[cache.columns] * cache.norms
        self._correlation[:m] = point.correlation[cache.columns] / cache.norms
        accurate = effort > 0
        if accurate:
            self._polish(problem, threshold, ridge)
        begin = time.perf_counter()
        n_rounds = int(np.clip(_FLOPS_PER_CALL / (5.0 * m * (1 + np.count_nonzero(self._coef[:m]))), 1, _ROUND_BUDGET))
        gap, idle = np.inf, 0
        while time.perf_counter() - begin < _SECONDS and idle < _PATIENCE:
            last = gap
            status, gap = self._call_kernel(threshold, ridge, problem.positive, target, n_rounds, newton)
            idle = idle + 1 if gap > _PROGRESS * last else 0
            if status == _lasso_gram.CONVERGED:
                break
            if status == _lasso_gram.FACTOR_FULL:
                newton = self._enlarge_factor()
            elif status == _lasso_gram.ILL_CONDITIONED or accurate:
                # From here on the Gram matrix only serves coordinate descent.
                newton, accurate, n_rounds = False, True, 2
                self._polish(problem, threshold, ridge)
        x[cache.columns] = self._coef[:m] / cache.norms
        return x

    def _use_ridge(self, ridge: FloatArray) -> None:
        """Drop the factor where the diagonal that it belongs to has changed."""
        if not np.array_equal(ridge[: self._ridge.size], self._ridge):
            self._factor_place[self._order[: self._factored]] = -1
            self._factored = 0
        self._ridge = ridge

    def _enlarge_factor(self) -> bool:
        """Make room in the factor; return whether there can be more."""
        # More columns than rows are dependent: they never all enter.
        limit = min(self._capacity, self.cache.frame.n_samples + 1, _LARGEST_FACTOR)
        capacity = min(max(2 * self._lower.shape[0], 2 * _BLOCK), limit)
        if capacity <= self._lower.shape[0]:
            return False
        self._lower = _grown(self._lower, (capacity, capacity))
        self._order = _grown(self._order, (capacity,))
        return True

    def _call_kernel(
        self, threshold: FloatArray, ridge: FloatArray, positive: bool, target: float, n_rounds: int, newton: bool
    ) -> tuple[int, float]:
        ld = self._lower.shape[0]
        status, self._factored, gap, _ = _lasso_gram.solve_restricted(
            self._gram,
            self._response,
            self._coef,
            self._correlation,
            threshold,
            ridge,
            self.size,
            positive,
            self.mean_square,
            target,
            self._lower,
            self._order,
            self._factor_place,
            self._factored,
            np.empty(_BLOCK * (ld + _BLOCK) + 2 * ld),
            np.empty(_BLOCK, dtype=np.int32),
            _BLOCK,
            n_rounds,
            4 if newton else 8,
            newton,
        )
        return status, gap

    def _polish(self, problem: LassoProblem, threshold: FloatArray, ridge: FloatArray) -> None:
        m = self.size
        support = np.flatnonzero(self._coef[:m])
        if support.size == 0:
            return
        design, response = self.cache.design, self.cache.frame.response
        coef = polish(
            design[:, support], response, self._coef[support], threshold[support], ridge[support], problem.positive
        )
        self._coef[support] = coef
        residual = self.cache.frame.project(response - design[:, support] @ coef)
        self._correlation[:m] = design.T @ residual / residual.size
