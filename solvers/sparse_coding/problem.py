"""Penalised sparse coding of many signals, and what certifies a code.

The mathematics only: the backends beside this file import it, and it imports none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ...penalties import CEL0, L1, Penalty
from ..base import Problem
from ..certificate import Certificate
from ..threads import map_blocks
from .atoms import Atoms, FloatArray

__all__ = ["SparseCodingProblem"]

# A move of more than this fraction of the threshold counts as a jump between two minimisers.
_JUMP = 1e-3
# Decreases of the objective below this fraction of ||x||^2 are rounding errors.
_ROUNDING = 1e-14
_BLOCK = 2**18
#: Codes with fewer nonzero entries than this share are multiplied as sparse matrices.
_SPARSE = 0.2


@dataclass(frozen=True, eq=False, kw_only=True)
class SparseCodingProblem(Problem[FloatArray]):
    r"""Penalised least squares for many signals that share a dictionary: one small problem a signal.

    .. math:: F(W) = \sum_i \left(\frac{1}{2} \|x_i - w_i D\|_2^2 + \sum_j P(w_{ij})\right)

    There is no division by the number of signals or of features, as in scikit-learn's sparse coders and unlike the
    regression problems of this package.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Signals, one a row, float64.
    D : ndarray of shape (K, d)
        The dictionary, one atom a row, float64; no atom is 0.
    penalty : Penalty
        The function ``P``, with a positive strength. For :class:`~estimand.penalties.CEL0` its ``norm`` counts in
        lengths of the atom, so that 1, its default, makes it the exact relaxation of l0 for any dictionary.
    positive : bool, default False
        Whether codes are restricted to be nonnegative.
    atoms : Atoms or None
        Derived data, carried along by :func:`dataclasses.replace`; computed when it is not given for this `D`.

    Notes
    -----
    The certificate is that of the worst signal. For l1 it is the duality gap over ``||x||^2 / 2``: with the residual r,
    its correlations ``q = D r`` and ``s = min(1, alpha / max|q|)``, the point ``s r`` is dual feasible. Its `value` is
    that figure times the sum of ``||x||^2 / 2`` over the signals, and bounds the suboptimality of all codes together.
    Otherwise its kind is ``"fixed_point"``: with the lengths ``a_j`` of the atoms, a minimiser ``z_j`` of F along
    coordinate j and the decrease ``delta_j`` that it brings,

    .. math:: \max_j \min(a_j |w_j - z_j|, \sqrt{2 \delta_j}) / \|x\|

    where the second term only enters if ``w_j - z_j`` is a jump between two minimisers: there the first is the size of
    the threshold, and rounding would decide. It is 0 if and only if no single coordinate can improve F beyond rounding,
    and says nothing of the distance to a global minimum. A signal that is 0 has the code 0, with the residual 0.

    Raises
    ------
    TypeError
        If `penalty` is no penalty.
    ValueError
        For wrong shapes, atoms that are 0, and a penalty of strength 0.

    References
    ----------
    J. Mairal, F. Bach, J. Ponce and G. Sapiro, "Online learning for matrix factorization and sparse coding", JMLR 11
    (2010). E. Soubies, L. Blanc-Feraud and G. Aubert, "A continuous exact l0 penalty (CEL0) for least squares
    regularized problem", SIAM J. Imaging Sciences 8 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> problem = SparseCodingProblem(X=np.array([[3.0, 0.1]]), D=np.eye(2), penalty=L0(0.5))
    >>> problem.certify(np.array([[3.0, 0.0]]), tol=1e-8).converged
    True
    """

    name: ClassVar[str] = "sparse_coding"
    words: ClassVar[frozenset[str]] = frozenset({"nonconvex", "own_penalty"})

    X: FloatArray
    D: FloatArray
    penalty: Penalty
    positive: bool = False
    atoms: Atoms | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.penalty, Penalty):
            raise TypeError(f"penalty={self.penalty!r} must be an instance of estimand.penalties.Penalty.")
        if self.atoms is None or self.atoms.source is not self.D:
            object.__setattr__(self, "atoms", Atoms(self.D))
        if self.X.ndim != 2 or self.X.shape[1] != self.D.shape[1]:
            raise ValueError(f"X has shape {self.X.shape}, but the atoms of D have {self.D.shape[1]} features.")
        if self.compiled is not None and not sum(self.compiled[1:2]) > 0:
            raise ValueError(
                f"penalty={self.penalty!r} has strength 0 at 0, so that no entry of a code would be 0: use "
                "least squares instead."
            )

    @property
    def dictionary(self) -> Atoms:
        """The atoms, with their lengths and Gram matrix."""
        assert self.atoms is not None
        return self.atoms

    @property
    def n_atoms(self) -> int:
        """The number K of atoms."""
        return int(self.D.shape[0])

    @cached_property
    def compiled(self) -> tuple[int, float, float, float] | None:
        """The penalty as compiled kernels know it, None for a user's own."""
        return self.penalty.kernel_arguments()

    @property
    def has_gap(self) -> bool:
        """Whether the certificate is a duality gap."""
        return isinstance(self.penalty, L1)

    @cached_property
    def unit(self) -> FloatArray:
        """What codes are multiplied by before the penalty sees them, of shape (K,)."""
        return np.asarray(self.dictionary.norm if isinstance(self.penalty, CEL0) else np.ones(self.n_atoms))

    @cached_property
    def parameters(self) -> FloatArray:
        """The parameters of the penalty for each atom, as compiled kernels take them, of shape (K, 3)."""
        assert self.compiled is not None
        table = np.tile(np.array(self.compiled[1:]), (self.n_atoms, 1))
        if isinstance(self.penalty, CEL0):
            table[:, 1] *= self.unit
        return table

    @cached_property
    def threshold(self) -> FloatArray:
        """What coordinate steps, of length ``1 / a_j^2``, set to 0, of shape (K,)."""
        return np.asarray(self.penalty.threshold(self.unit**2 / self.dictionary.curvature) / self.unit)

    @cached_property
    def half_square(self) -> FloatArray:
        """``||x||^2 / 2`` of the signals, of shape (n,)."""
        return np.asarray(0.5 * np.einsum("ij,ij->i", self.X, self.X))

    @cached_property
    def scale(self) -> float:
        """The sum of ``||x||^2 / 2`` for a gap, 1 where it is 0; 1 otherwise."""
        total = float(self.half_square.sum()) if self.has_gap else 1.0
        return min(total, float(np.finfo(np.float64).max)) if total > 0 else 1.0

    def at(self, alpha: float) -> Self:
        """Return the problem with the penalty strength `alpha` and the same arrays."""
        penalty = clone(self.penalty).set_params(alpha=float(alpha))
        return type(self)(X=self.X, D=self.D, penalty=penalty, positive=self.positive, atoms=self.atoms)

    def needs(self) -> frozenset[str]:
        """Return the capability words of this instance."""
        words = {
            "positive": self.positive,
            "nonconvex": not self.penalty.is_convex,
            "own_penalty": self.compiled is None,
        }
        return frozenset(word for word, needed in words.items() if needed)

    def initial_point(self) -> FloatArray:
        """Return zeros."""
        return np.zeros((self.X.shape[0], self.n_atoms))

    def feasible(self, x: FloatArray) -> bool:
        """Return whether the codes are finite, and obey the sign constraint."""
        return bool(np.all(np.isfinite(x))) and not (self.positive and x.min(initial=0.0) < 0)

    def repair(self, x: FloatArray) -> FloatArray:
        """Return codes that obey the sign constraint; zeros for signals that are 0 and codes that are not finite."""
        fine = np.all(np.isfinite(x), axis=1) & (self.half_square > 0)
        return np.where(fine[:, None], np.maximum(x, 0.0) if self.positive else x, 0.0)

    def blocks(self) -> Iterator[slice]:
        """Yield slices of signals whose codes and correlations fit into a few megabytes."""
        n, size = self.X.shape[0], self._block_rows
        for first in range(0, n, size):
            yield slice(first, min(first + size, n))

    @property
    def _block_rows(self) -> int:
        return max(1, _BLOCK // self.n_atoms)

    def penalty_values(self, x: FloatArray) -> FloatArray:
        """Return the penalty of each signal."""
        if not self.positive or x.min(initial=0.0) >= 0:
            return self._penalties(sparse.csr_array(x))
        return np.full(x.shape[0], math.inf)

    def _penalties(self, codes: sparse.csr_array) -> FloatArray:
        values = self.penalty.value_elementwise(codes.data * self.unit[codes.indices])
        rows = np.repeat(np.arange(codes.shape[0]), np.diff(codes.indptr))
        return np.bincount(rows, values, minlength=codes.shape[0]).astype(np.float64)

    def _evaluated(self, x: FloatArray, rows: slice) -> tuple[FloatArray, FloatArray]:
        """Return ``X - W D`` and the objectives of some of the signals; `x` holds their codes, which are feasible."""
        codes = sparse.csr_array(x)
        fitted = (codes if codes.nnz < _SPARSE * x.size else x) @ self.dictionary.D
        residual = np.asarray(self.X[rows] - fitted)
        return residual, 0.5 * np.einsum("ij,ij->i", residual, residual) + self._penalties(codes)

    def objectives(self, x: FloatArray) -> FloatArray:
        """Return the objective of each signal, infinity where codes are to be nonnegative and are not."""
        values = np.empty(x.shape[0])
        for rows in self.blocks():
            values[rows] = self._evaluated(x[rows], rows)[1]
        return np.where((x < 0).any(axis=1), math.inf, values) if self.positive else values

    def objective(self, x: FloatArray) -> float:
        """Return ``F(W)``."""
        return float(self.objectives(x).sum())

    def prox(self, x: FloatArray, step: float | FloatArray) -> FloatArray:
        """Return the proximal map of the penalty, with the sign constraint, at codes of all atoms."""
        return self._prox(x, np.asarray(step), self.unit)

    def _prox(self, x: FloatArray, step: FloatArray, unit: FloatArray) -> FloatArray:
        return np.asarray(self.penalty.prox(x * unit, step * unit**2, self.positive) / unit)

    def violations(self, x: FloatArray, q: FloatArray, square: FloatArray) -> FloatArray:
        """Return what single coordinates could still gain, over the length of the signal: the worst of each signal.

        Parameters
        ----------
        x, q : arrays of shape (b, K)
            Codes, and the correlations ``(X - W D) D^T``.
        square : array of shape (b,)
            ``||x||^2`` of the signals.
        """
        atoms = self.dictionary
        rows, j = np.nonzero((x != 0) | (np.abs(q) > atoms.curvature * self.threshold))
        w, nu, unit = x[rows, j], atoms.curvature[j], self.unit[j]
        target = w + q[rows, j] / nu
        best = self._prox(target, 1.0 / nu, unit)
        moves = atoms.norm[j] * np.abs(w - best)
        jumps = np.flatnonzero(np.abs(w - best) > _JUMP * self.threshold[j])
        old, new, centre = w[jumps], best[jumps], target[jumps]
        decrease = 0.5 * nu[jumps] * (old - new) * (old + new - 2.0 * centre)
        decrease += self.penalty.value_elementwise(old * unit[jumps])
        decrease -= self.penalty.value_elementwise(new * unit[jumps])
        decrease = np.where(decrease > _ROUNDING * square[rows[jumps]], decrease, 0.0)
        moves[jumps] = np.minimum(moves[jumps], np.sqrt(2.0 * decrease))
        worst = np.zeros(x.shape[0])
        if rows.size:
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            worst[rows[first]] = np.maximum.reduceat(moves, first)
        return self._relative(worst, np.sqrt(square))

    @staticmethod
    def _relative(values: FloatArray, unit: FloatArray) -> FloatArray:
        """Return the quotients; for signals that are 0 these are 0, or infinity if the value is not 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(unit > 0, values / unit, np.where(values > 0, np.inf, 0.0)))

    def _dual_scale(self, q: FloatArray) -> FloatArray:
        """Return by how much residuals are to be shrunk so that their correlations `q` do not exceed alpha."""
        assert self.compiled is not None
        alpha = self.compiled[1]
        largest = q.max(axis=1) if self.positive else np.abs(q).max(axis=1)
        return np.where(largest > alpha, alpha / np.where(largest > alpha, largest, 1.0), 1.0)

    def gaps(self, x: FloatArray, residual: FloatArray, q: FloatArray, objectives: FloatArray) -> FloatArray:
        """Return the duality gap of each signal, for the l1 penalty.

        Parameters
        ----------
        x, residual, q : arrays of shape (b, K), (b, d) and (b, K)
            Codes, ``R = X - W D`` and ``R D^T``.
        objectives : array of shape (b,)
            The objective of each signal.
        """
        s = self._dual_scale(q)
        dual_residual = s[:, None] * residual
        # ||x||^2/2 - ||x - s r||^2/2 = s r.x - ||s r||^2/2, and r.x = ||r||^2 + r.(w D) without the cancellation.
        square = np.einsum("ij,ij->i", residual, residual)
        fitted = np.einsum("ij,ij->i", x, q)
        dual = s * (square + fitted) - 0.5 * np.einsum("ij,ij->i", dual_residual, dual_residual)
        return np.asarray(objectives - dual)

    def running(self, x: FloatArray, correlation: FloatArray, q: FloatArray, square: FloatArray) -> FloatArray:
        """Return what a certificate would say of each signal, from correlations alone: for loops that have these.

        Parameters
        ----------
        x, correlation, q : arrays of shape (b, K)
            Codes, ``X D^T`` and ``(X - W D) D^T``.
        square : array of shape (b,)
            ``||x||^2`` of the signals.
        """
        if not self.has_gap:
            return self.violations(x, q, square)
        s = self._dual_scale(q)
        fitted = np.einsum("ij,ij->i", x, correlation)
        left = square - fitted - np.einsum("ij,ij->i", x, q)
        gap = 0.5 * (1 + s * s) * left + self.penalty_values(x) - s * (square - fitted)
        return self._relative(np.maximum(gap, 0.0), 0.5 * square)

    def certify(self, x: FloatArray, dual: Any = None, *, tol: float) -> Certificate:
        """Bound the suboptimality of codes by duality gaps, or measure what single coordinates could still gain.

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
            Of kind ``"gap"`` or ``"fixed_point"``; the upper bound of a gap is the objective. The part ``"worst"`` is
            the relative value of the worst signal. The by-product ``"relative"`` holds those of all signals.
        """
        relative = np.empty(x.shape[0])
        if not self.feasible(x):
            return Certificate(kind=self._kind, value=math.inf, scale=self.scale, tol=tol)

        def judge(rows: slice) -> float:
            """Fill in some signals; return the sum of their objectives."""
            codes, half = x[rows], self.half_square[rows]
            residual, values = self._evaluated(codes, rows)
            q = residual @ self.dictionary.D.T
            if self.has_gap:
                gap = np.maximum(self.gaps(codes, residual, q, values), 0.0)
                relative[rows] = self._relative(gap, half)
            else:
                relative[rows] = self.violations(codes, q, 2.0 * half)
            return float(values.sum())

        objectives, _ = map_blocks(judge, x.shape[0], self._block_rows)
        worst = float(relative.max(initial=0.0))
        return Certificate(
            kind=self._kind,
            value=worst * self.scale,
            scale=self.scale,
            tol=tol,
            upper=math.fsum(objectives),
            parts={"worst": worst},
            byproducts={"relative": relative},
        )

    @property
    def _kind(self) -> str:
        return "gap" if self.has_gap else "fixed_point"

    def alpha_max(self) -> float:
        """Return the smallest `alpha` at which the code of every signal is 0, for the l1 penalty.

        Raises
        ------
        ValueError
            For another penalty.
        """
        if not self.has_gap:
            raise ValueError(f"alpha_max is that of the l1 penalty, and penalty={self.penalty!r} is another one.")
        largest = 0.0
        for rows in self.blocks():
            q = self.X[rows] @ self.dictionary.D.T
            largest = max(largest, float((q if self.positive else np.abs(q)).max(initial=0.0)))
        return largest
