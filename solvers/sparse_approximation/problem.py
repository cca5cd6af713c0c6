"""Approximation of many signals by few atoms each, and what certifies a code.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..base import Problem
from ..certificate import Certificate
from ..sparse_coding.atoms import Atoms, FloatArray

__all__ = ["SparseApproximationProblem"]

# Rounding errors of a squared residual: of the bound on it, and of ||x||^2.
_SLACK = 1e-9
_ROUNDING = 1e-12
# A residual whose correlations are below this, in the units of the certificate, is orthogonal to every atom.
_EXHAUSTED = 1e-8
_BLOCK = 2**21


@dataclass(frozen=True, eq=False, kw_only=True)
class SparseApproximationProblem(Problem[FloatArray]):
    r"""Least squares with few atoms, for many signals that share a dictionary: one small problem a signal.

    Given the number k of atoms, `n_nonzero_coefs`,

    .. math:: \min_W \ \sum_i \frac{1}{2} \|x_i - w_i D\|_2^2
        \quad \text{subject to} \quad \|w_i\|_0 \le k \ \text{ for all } i,

    and given the bound `error_tol` on the squared residual of a signal,

    .. math:: \min_W \ \sum_i \|w_i\|_0
        \quad \text{subject to} \quad \|x_i - w_i D\|_2^2 \le \mathtt{error\_tol} \ \text{ for all } i,

    where a signal that no code brings below the bound has its least-squares fit.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Signals, one a row, float64.
    D : ndarray of shape (K, d)
        The dictionary, one atom a row, float64; no atom is 0.
    n_nonzero_coefs : int or None, default None
        The largest number of atoms in a code, in [1, min(d, K)].
    error_tol : float or None, default None
        The bound on the squared norm of the residual of a signal, finite and at least 0. Exactly one of the two is
        given.
    atoms : Atoms or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is not given for this `D`.

    Notes
    -----
    Both problems are NP-hard. The certificate is that of the worst signal and of kind ``"fixed_point"``: it measures
    whether a code is a least-squares fit, and says nothing of the choice of its atoms. With the correlations
    ``q = (x - w D) D^T`` and the lengths ``a_j`` of the atoms it is

    .. math:: \max_{j \in S} \frac{|q_j|}{a_j \|x\|}

    where S holds the atoms of the code; if that has fewer than k atoms, all atoms, since any of them may then be added.
    At 0 no code with the same atoms, or with more, is better, which is basic feasibility in the words of Beck and
    Eldar. It is infinite if a code has more than k atoms or is not finite. It is also infinite if the squared residual
    exceeds `error_tol` beyond rounding while ``|q_j| > 1e-8 a_j ||x||`` for some atom: otherwise nothing is left to
    gain. A signal that is 0 has the code 0, with the residual 0.

    Raises
    ------
    ValueError
        For wrong shapes, atoms that are 0, signals that are not finite, numbers out of range, and unless exactly one of
        `n_nonzero_coefs` and `error_tol` is given.

    References
    ----------
    B. K. Natarajan, "Sparse approximate solutions to linear systems", SIAM J. Computing 24 (1995). A. Beck and Y. C.
    Eldar, "Sparsity constrained nonlinear optimization: optimality conditions and algorithms", SIAM J. Optimization 23
    (2013).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.sparse_approximation import SparseApproximationProblem
    >>> problem = SparseApproximationProblem(X=np.array([[3.0, 0.1]]), D=np.eye(2), n_nonzero_coefs=1)
    >>> problem.certify(np.array([[3.0, 0.0]]), tol=1e-8).converged
    True
    """

    name: ClassVar[str] = "sparse_approximation"
    words: ClassVar[frozenset[str]] = frozenset({"n_nonzero_coefs", "error_tol"})

    X: FloatArray
    D: FloatArray
    n_nonzero_coefs: int | None = None
    error_tol: float | None = None
    atoms: Atoms | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.atoms is None or self.atoms.source is not self.D:
            object.__setattr__(self, "atoms", Atoms(self.D))
        if self.X.ndim != 2 or self.X.shape[1] != self.D.shape[1]:
            raise ValueError(f"X has shape {self.X.shape}, but the atoms of D have {self.D.shape[1]} features.")
        if not np.all(np.isfinite(self.square)):
            raise ValueError("X holds NaN or infinity, or numbers whose squares overflow.")
        k, error_tol = self.n_nonzero_coefs, self.error_tol
        if (k is None) == (error_tol is None):
            raise ValueError(f"Give either n_nonzero_coefs or error_tol: they are {k!r} and {error_tol!r}.")
        most = min(self.D.shape)
        if k is not None and not (isinstance(k, Integral) and 1 <= k <= most):
            raise ValueError(
                f"n_nonzero_coefs={k!r} must be an integer in [1, {most}]: the dictionary has {self.n_atoms} atoms of "
                f"{self.D.shape[1]} features."
            )
        if error_tol is not None and not 0 <= error_tol < math.inf:
            raise ValueError(f"error_tol={error_tol!r} must be finite and at least 0.")

    @property
    def dictionary(self) -> Atoms:
        """The atoms, with their lengths and Gram matrix."""
        assert self.atoms is not None
        return self.atoms

    @property
    def n_atoms(self) -> int:
        """The number K of atoms."""
        return int(self.D.shape[0])

    @property
    def largest(self) -> int:
        """The largest number of atoms that a code can have, or needs."""
        return min(self.D.shape) if self.n_nonzero_coefs is None else int(self.n_nonzero_coefs)

    @cached_property
    def square(self) -> FloatArray:
        """``||x||^2`` of the signals, of shape (n,)."""
        return np.asarray(np.einsum("ij,ij->i", self.X, self.X))

    @property
    def scale(self) -> float:
        """Return 1."""
        return 1.0

    def needs(self) -> frozenset[str]:
        """Return which of the two problems this is."""
        return frozenset({"error_tol" if self.n_nonzero_coefs is None else "n_nonzero_coefs"})

    def initial_point(self) -> FloatArray:
        """Return zeros."""
        return np.zeros((self.X.shape[0], self.n_atoms))

    def blocks(self) -> Iterator[slice]:
        """Yield slices of signals whose codes and correlations fit into a few megabytes."""
        n, size = self.X.shape[0], max(1, _BLOCK // self.n_atoms)
        for first in range(0, n, size):
            yield slice(first, min(first + size, n))

    def residual(self, x: FloatArray, rows: slice = slice(None)) -> FloatArray:
        """Return ``X - W D`` for some of the signals; `x` holds their codes."""
        return np.asarray(self.X[rows] - _sparse(x)[0] @ self.dictionary.D)

    def objective(self, x: FloatArray) -> float:
        """Return half the sum of the squared residuals, or the number of atoms in all codes, whichever is minimised."""
        if self.n_nonzero_coefs is None:
            return float(np.count_nonzero(x))
        total = 0.0
        for rows in self.blocks():
            residual = self.residual(x[rows], rows)
            total += 0.5 * float(np.vdot(residual, residual))
        return total

    def relative(self, x: FloatArray) -> FloatArray:
        """Return the certificate's value of each signal, of shape (n,)."""
        values = np.empty(x.shape[0])
        for rows in self.blocks():
            values[rows] = self._relative(x[rows], rows)
        return values

    def _relative(self, x: FloatArray, rows: slice) -> FloatArray:
        atoms, square = self.dictionary, self.square[rows]
        fine: npt.NDArray[np.bool_] = np.all(np.isfinite(x), axis=1)
        x = x if fine.all() else np.where(fine[:, None], x, 0.0)
        codes, entries = _sparse(x)
        n_atoms = np.diff(codes.indptr)
        with np.errstate(over="ignore", invalid="ignore"):  # of codes that are finite and useless
            residual = np.asarray(self.X[rows] - codes @ atoms.D)
            q = residual @ atoms.D.T
            worst = np.zeros(x.shape[0])
            if entries.size:
                used = np.abs(q.ravel()[entries]) / atoms.norm[codes.indices]
                worst[n_atoms > 0] = np.maximum.reduceat(used, codes.indptr[:-1][n_atoms > 0])
            if self.n_nonzero_coefs is not None:
                fine &= n_atoms <= self.n_nonzero_coefs
                some = np.flatnonzero(n_atoms < self.n_nonzero_coefs)
            else:
                assert self.error_tol is not None
                rest = np.einsum("ij,ij->i", residual, residual)
                some = np.flatnonzero(~(rest <= self.error_tol * (1.0 + _SLACK) + _ROUNDING * square))
            every = (np.abs(q[some]) / atoms.norm).max(axis=1)
        if self.n_nonzero_coefs is not None:
            worst[some] = every
        else:
            fine[some] &= every <= _EXHAUSTED * np.sqrt(square[some])
        fine &= np.isfinite(worst)
        relative = np.divide(worst, np.sqrt(square), out=np.where(worst > 0, np.inf, 0.0), where=square > 0)
        return np.where(fine, relative, np.inf)

    def certify(self, x: FloatArray, dual: Any = None, *, tol: float) -> Certificate:
        """Measure how far codes are from a least-squares fit with their atoms, and whether they obey the constraint.

        Parameters
        ----------
        x : array of shape (n, K)
            Codes.
        dual : object
            Not used.
        tol : float
            Recorded in the certificate.

        Returns
        -------
        Certificate
            Of kind ``"fixed_point"``. The by-product ``"relative"`` holds the values of all signals.
        """
        relative = self.relative(x)
        worst = float(relative.max(initial=0.0))
        return Certificate(
            kind="fixed_point",
            value=worst,
            scale=self.scale,
            tol=tol,
            parts={"worst": worst},
            byproducts={"relative": relative},
        )


def _sparse(x: FloatArray) -> tuple[sparse.csr_array, npt.NDArray[np.intp]]:
    """Return codes as a sparse array, and where its entries are in the flat array."""
    # Faster than the conversion of SciPy, which here takes as long as the product.
    used = x != 0
    entries = np.flatnonzero(used)
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(used, axis=1))])
    return sparse.csr_array((x.ravel()[entries], entries % x.shape[1], ends), shape=x.shape), entries
