"""What the two thresholding backends share: codes by their k largest entries, least squares, signals in blocks."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...cython_ext import _matching_pursuit
from ..base import Solver
from ..monitor import certify_once
from ..solution import Callback, Solution, Start
from ..sparse_coding.atoms import FloatArray
from ..threads import map_blocks
from .problem import SparseApproximationProblem
from .pursuit import completed, floors

__all__ = ["Code", "Dictionary", "Thresholding", "largest_entries"]

IndexArray = npt.NDArray[np.intp]

_ROWS = 256


class Code(NamedTuple):
    """Codes of some signals, by their k largest entries.

    Attributes
    ----------
    support : int array of shape (b, k)
        Atoms, in ascending order.
    values : array of shape (b, k)
        Their weights, which may be 0.
    """

    support: IndexArray
    values: FloatArray

    def part(self, rows: IndexArray) -> Code:
        """Return the codes of some of the signals."""
        return Code(self.support[rows], self.values[rows])

    def marks(self, n_atoms: int) -> FloatArray:
        """Return ones at the entries, as an array of shape (b, K)."""
        return Code(self.support, np.ones_like(self.values)).dense(n_atoms)

    def dense(self, n_atoms: int) -> FloatArray:
        """Return the codes as an array of shape (b, K)."""
        x = np.zeros((self.support.shape[0], n_atoms))
        np.put_along_axis(x, self.support, self.values, axis=1)
        return x


def largest_entries(x: FloatArray, k: int) -> Code:
    """Return the k entries of each row that are largest in magnitude."""
    support = np.argpartition(-np.abs(x), k - 1, axis=1)[:, :k] if k < x.shape[1] else np.arange(x.shape[1])
    support = np.sort(np.broadcast_to(support, (x.shape[0], k)), axis=1)
    return Code(support, np.take_along_axis(x, support, axis=1))


class Dictionary:
    """The atoms of a problem scaled to length 1, so that their lengths do not decide which entries of a code are large.

    Parameters
    ----------
    problem : SparseApproximationProblem
        The problem; its codes are those of this dictionary over `norm`.
    tol : float
        The tolerance that the solver is asked for.
    """

    def __init__(self, problem: SparseApproximationProblem, tol: float) -> None:
        atoms = problem.dictionary
        self.norm = atoms.norm
        self.D: FloatArray = atoms.D / atoms.norm[:, None]
        self.gram: FloatArray = atoms.gram / atoms.norm / atoms.norm[:, None]
        self.k, self.n_atoms = problem.largest, problem.n_atoms
        self.tol = tol

    def synthesis(self, code: Code) -> FloatArray:
        """Return the signals of the codes."""
        n, k = code.support.shape
        rows = np.arange(0, n * k + 1, k)
        shape = (n, self.n_atoms)
        return np.asarray(sparse.csr_array((code.values.ravel(), code.support.ravel(), rows), shape) @ self.D)

    def least_squares(
        self, x: FloatArray, correlation: FloatArray, square: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit the atoms that are not 0 in `x`; a pursuit replaces those that depend on others.

        Parameters
        ----------
        x, correlation : arrays of shape (b, K)
            Codes, and the correlations of the signals with the atoms.
        square : array of shape (b,)
            ``||x||^2`` of the signals.

        Returns
        -------
        x : array of shape (b, K)
            The codes, in place.
        rest : array of shape (b,)
            The squared norms of the residuals.
        """
        rest = square.copy()
        floor = floors(square, self.tol)
        ones = np.ones(self.n_atoms)
        _matching_pursuit.pursue(self.gram, ones, correlation, rest, floor, x, self.k, -np.inf, 0.0)
        return x, rest


class Thresholding(Solver[SparseApproximationProblem, FloatArray]):
    """Base of the backends that take gradient steps and keep the k largest entries.

    Parameters
    ----------
    max_iter : int
        Steps a signal.
    time_limit : float or None, default=None
        Seconds; looked at after every step of 256 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.
    """

    problem = SparseApproximationProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"n_nonzero_coefs"})

    max_iter: int
    time_limit: float | None
    n_jobs: int | None

    @abstractmethod
    def iterate(
        self, dictionary: Dictionary, X: FloatArray, q: FloatArray, code: Code, square: FloatArray, deadline: float
    ) -> tuple[FloatArray, int]:
        """Return codes of the signals `X` and the number of steps, from `code` and the correlations `q` of `X`."""

    def solve(
        self,
        problem: SparseApproximationProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Iterate on the signals of one block after another, then fit the atoms chosen and certify all codes."""
        deadline = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
        x = np.nan_to_num(self.start_point(problem, start), posinf=0.0, neginf=0.0)
        dictionary = Dictionary(problem, tol)

        def encode(rows: slice) -> int:
            """Encode a block; return the number of steps."""
            X, square = problem.X[rows], problem.square[rows]
            q = X @ dictionary.D.T
            code = self._begin(x[rows] * dictionary.norm, q, dictionary.k)
            found, made = self.iterate(dictionary, X, q, code, square, deadline)
            found, _ = dictionary.least_squares(found, q, square)
            x[rows] = found / dictionary.norm
            return made

        steps, late = map_blocks(encode, x.shape[0], _ROWS, self.n_jobs, deadline=deadline)
        n_iter = max(steps, default=0)
        if late:
            return certify_once(self, problem, x, tol=tol, n_iter=n_iter, stopped="time_limit")
        return completed(self, problem, x, tol=tol, n_iter=n_iter, n_jobs=self.n_jobs)

    @staticmethod
    def _begin(x: FloatArray, q: FloatArray, k: int) -> Code:
        """Return the k largest entries of `x`, and where it has fewer, the atoms that correlate most."""
        size = np.abs(q)
        order = np.where(x != 0, np.abs(x) + size.max(axis=1, keepdims=True), size)
        support = largest_entries(order, k).support
        return Code(support, np.take_along_axis(x, support, axis=1))
