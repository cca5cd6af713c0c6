"""The Gram matrix of the columns that working sets have asked for, kept while they grow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..lasso.frame import FloatArray, Frame

__all__ = ["GramCache"]

_ENTRIES = 1 << 23  # of the columns that are kept, 64 MB
_COLUMNS = 1000


class GramCache:
    """Weighted, centred columns of a design, and their products, in the order in which they were first used.

    Parameters
    ----------
    view : Frame
        The data.
    """

    def __init__(self, view: Frame) -> None:
        self.view = view
        self.limit = min(view.n_samples, _COLUMNS, _ENTRIES // max(view.n_samples, 1))
        self.slot = np.full(view.A.shape[1], -1)
        self.used = 0
        self.columns = np.empty((view.n_samples, 0), order="F")
        self.gram = np.empty((0, 0))

    def admits(self, working: npt.NDArray[np.int64]) -> bool:
        """Return whether sweeps over `working` are to be done on Gram matrices."""
        return 0 < working.size <= self.limit // 2

    def restrict(self, working: npt.NDArray[np.int64]) -> FloatArray:
        """Return the Gram matrix, over n, of the columns in `working`."""
        new = working[self.slot[working] < 0]
        if self.used + new.size > self.limit:
            self.slot[:] = -1
            self.used, new = 0, working
        self._add(new)
        slots = self.slot[working]
        return np.ascontiguousarray(self.gram[slots].T[slots])

    def _add(self, new: npt.NDArray[np.int64]) -> None:
        if new.size == 0:
            return
        first, last = self.used, self.used + new.size
        if last > self.columns.shape[1]:
            self._grow(min(max(2 * last, 64), self.limit))
        view = self.view
        # Fortran order makes a row-major view of A.T, from which columns are gathered fast.
        self.columns[:, first:last] = view.center(view.weigh(view.A.T[new].astype(np.float64).T))
        products = self.columns[:, :last].T @ self.columns[:, first:last] / view.n_samples
        self.gram[:last, first:last] = products
        self.gram[first:last, :last] = products.T
        self.slot[new] = np.arange(first, last)
        self.used = last

    def _grow(self, size: int) -> None:
        columns, gram = np.empty((self.view.n_samples, size), order="F"), np.empty((size, size))
        columns[:, : self.used] = self.columns[:, : self.used]
        gram[: self.used, : self.used] = self.gram[: self.used, : self.used]
        self.columns, self.gram = columns, gram
