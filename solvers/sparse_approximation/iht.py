"""Normalised iterative hard thresholding."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from ..sparse_coding.atoms import FloatArray
from .thresholding import Code, Dictionary, Thresholding, largest_entries

__all__ = ["IHT"]

# A step to other atoms may be this share of the longest one that is sure to descend.
_SAFE = 0.99
# The gradient, over the length of the signal, at which weights are so close to their fit that the atoms will stay.
_CLOSE = 1e-4


class IHT(Thresholding):
    r"""Gradient steps of adapted length, after each of which all but the k largest entries become 0.

    .. math:: w \leftarrow H_k\left(w + \mu \, (x - w D) D^\top\right), \qquad \mu = \|g_S\|^2 / \|g_S D_S\|^2

    with the gradient g on the atoms S of the code, and ``mu`` halved where the step leads to other atoms, until it is
    sure to descend.

    Parameters
    ----------
    max_iter : int, default=300
        Steps a signal.
    time_limit : float or None, default=None
        Seconds; looked at after every step of 256 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    Atoms are scaled to length 1 first. The code begins at 0, with the atoms that correlate most. A signal is left when
    a step has changed none of its atoms, and the gradient on them is at most 1e-4 of its length, or the tolerance if
    that is larger; the weights are then fitted by least squares, and in place of atoms that depend on others a pursuit
    takes new ones.

    References
    ----------
    T. Blumensath and M. E. Davies, "Normalized iterative hard thresholding: guaranteed stability and performance", IEEE
    J. Selected Topics in Signal Processing 4 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.sparse_approximation import SparseApproximationProblem
    >>> from estimand.solvers.sparse_approximation.iht import IHT
    >>> D = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> problem = SparseApproximationProblem(X=np.array([[1.2, 1.6]]), D=D, n_nonzero_coefs=1)
    >>> IHT().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 2.0]]
    """

    name = "iht"

    def __init__(self, max_iter: int = 300, time_limit: float | None = None, n_jobs: int | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.n_jobs = n_jobs

    def iterate(
        self, dictionary: Dictionary, X: FloatArray, q: FloatArray, code: Code, square: FloatArray, deadline: float
    ) -> tuple[FloatArray, int]:
        """Step until the atoms stay and their weights are close to the least-squares fit."""
        x = code.dense(dictionary.n_atoms)
        rows = np.arange(X.shape[0])
        enough = max(dictionary.tol, _CLOSE) * np.sqrt(square)
        stable = np.zeros(rows.size, dtype=bool)
        for made in range(self.max_iter):
            q = (X[rows] - dictionary.synthesis(code)) @ dictionary.D.T
            gradient = Code(code.support, np.take_along_axis(q, code.support, axis=1))
            left = np.abs(gradient.values).max(axis=1)
            on = np.flatnonzero((left > 0) & ~(stable & (left <= enough[rows])))
            rows, code, gradient, q = rows[on], code.part(on), gradient.part(on), q[on]
            if not rows.size or time.perf_counter() >= deadline:
                return x, made
            code, stable = _step(dictionary, code, gradient, q)
            x[rows] = code.dense(dictionary.n_atoms)
        return x, self.max_iter


def _step(dictionary: Dictionary, code: Code, gradient: Code, q: FloatArray) -> tuple[Code, npt.NDArray[np.bool_]]:
    """Return the codes after a step, and whether they have kept their atoms; `gradient` holds `q` at these atoms."""
    fitted = dictionary.synthesis(gradient)
    mu = _quotient(gradient.values, fitted)
    old = code.dense(dictionary.n_atoms)
    new = largest_entries(old + mu[:, None] * q, dictionary.k)
    open_ = np.flatnonzero(np.any(new.support != code.support, axis=1))
    while open_.size:
        move = new.part(open_).dense(dictionary.n_atoms) - old[open_]
        open_ = open_[mu[open_] > _SAFE * _quotient(move, move @ dictionary.D)]
        mu[open_] *= 0.5
        new.support[open_], new.values[open_] = largest_entries(old[open_] + mu[open_, None] * q[open_], dictionary.k)
        open_ = open_[np.any(new.support[open_] != code.support[open_], axis=1)]
    return new, np.all(new.support == code.support, axis=1)


def _quotient(codes: FloatArray, signals: FloatArray) -> FloatArray:
    """Return ``||w||^2 / ||w D||^2`` of codes and their signals, infinity for a signal that is 0."""
    size, fitted = np.einsum("ij,ij->i", codes, codes), np.einsum("ij,ij->i", signals, signals)
    return np.asarray(np.divide(size, fitted, out=np.full(size.size, np.inf), where=fitted > 0))
