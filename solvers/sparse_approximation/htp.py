"""Hard thresholding pursuit."""

from __future__ import annotations

import time

import numpy as np

from ..sparse_coding.atoms import FloatArray
from .thresholding import Code, Dictionary, Thresholding, largest_entries

__all__ = ["HTP"]


class HTP(Thresholding):
    r"""Gradient steps to new atoms, after each of which these are fitted by least squares.

    .. math:: S \leftarrow \text{the atoms of the } k \text{ largest entries of } |w + (x - w D) D^\top|, \qquad
        w \leftarrow \arg\min_{\operatorname{supp} w \subseteq S} \|x - w D\|^2

    Parameters
    ----------
    max_iter : int, default=100
        Steps a signal.
    time_limit : float or None, default=None
        Seconds; looked at after every step of 256 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    Atoms are scaled to length 1 first. The residual may grow in a step; a signal is left when its atoms are those of an
    earlier step, with the best of its codes. In place of atoms that depend on others a pursuit takes new ones.

    References
    ----------
    S. Foucart, "Hard thresholding pursuit: an algorithm for compressive sensing", SIAM J. Numerical Analysis 49 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.sparse_approximation import SparseApproximationProblem
    >>> from estimand.solvers.sparse_approximation.htp import HTP
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseApproximationProblem(X=np.array([[1.2, 1.6]]), D=D, n_nonzero_coefs=1)
    >>> HTP().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 2.0]]
    """

    name = "htp"

    def __init__(self, max_iter: int = 100, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def iterate(
        self, dictionary: Dictionary, X: FloatArray, q: FloatArray, code: Code, square: FloatArray, deadline: float
    ) -> tuple[FloatArray, int]:
        """Step until the atoms of a signal are those of an earlier step."""
        k, n_atoms, correlation = dictionary.k, dictionary.n_atoms, q
        number = np.random.default_rng(0).integers(2**64, size=n_atoms, dtype=np.uint64)
        visited = [number[code.support].sum(axis=1)]
        current, best = dictionary.least_squares(code.marks(n_atoms), correlation, square)
        x, rows = current.copy(), np.arange(X.shape[0])
        for made in range(self.max_iter):
            if not rows.size or time.perf_counter() >= deadline:
                return x, made
            q = (X[rows] - dictionary.synthesis(largest_entries(current, k))) @ dictionary.D.T
            code = largest_entries(current + q, k)
            key = number[code.support].sum(axis=1)
            new = np.flatnonzero(~np.any([past[rows] == key for past in visited], axis=0))
            rows = rows[new]
            visited.append(np.zeros_like(visited[0]))
            visited[-1][rows] = key[new]
            current, rest = dictionary.least_squares(code.part(new).marks(n_atoms), correlation[rows], square[rows])
            better = rest < best[rows]
            x[rows[better]], best[rows[better]] = current[better], rest[better]
        return x, self.max_iter
