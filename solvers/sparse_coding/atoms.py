"""What depends on the dictionary alone: lengths and Gram matrix of its atoms."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Atoms", "FloatArray"]

FloatArray = npt.NDArray[np.float64]


#: Squares of shorter atoms lose digits.
_SHORTEST = 1e-150


class Atoms:
    """The atoms of a dictionary, with what coders compute from them once.

    Parameters
    ----------
    D : array of shape (K, d)
        One atom a row, none of them 0.

    Raises
    ------
    ValueError
        For another shape, and for atoms that are 0 or not finite.
    """

    def __init__(self, D: FloatArray) -> None:
        if D.ndim != 2 or 0 in D.shape:
            raise ValueError(f"D has shape {D.shape}: a dictionary has one atom a row, and at least one of them.")
        self.source = D
        self.D: FloatArray = np.ascontiguousarray(D, dtype=np.float64)
        with np.errstate(over="ignore"):
            self.norm: FloatArray = np.linalg.norm(self.D, axis=1)
        if not np.all(np.isfinite(self.norm)):
            raise ValueError("D holds NaN or infinity, or numbers whose squares overflow.")
        shortest = int(np.argmin(self.norm))
        if self.norm[shortest] == 0 and not self.D[shortest].any():
            raise ValueError(f"atom {shortest} of D is 0: every atom needs a positive length.")
        if self.norm[shortest] < _SHORTEST:
            raise ValueError(f"atom {shortest} of D is shorter than {_SHORTEST:g}: its square underflows, rescale it.")

    @cached_property
    def gram(self) -> FloatArray:
        """The Gram matrix ``D D^T``, of shape (K, K)."""
        return self.D @ self.D.T

    @cached_property
    def curvature(self) -> FloatArray:
        """The squared lengths, of shape (K,)."""
        return self.norm**2

    @cached_property
    def lipschitz(self) -> float:
        """An upper bound on the largest eigenvalue of the Gram matrix, tight to rounding."""
        smaller = self.gram if self.D.shape[0] <= self.D.shape[1] else self.D.T @ self.D
        return float(np.linalg.eigvalsh(smaller)[-1]) * (1 + 1e-12)
