r"""An infeasible primal-dual interior-point method for moment relaxations in the weights of points.

It solves the pair

.. math::
    \max_w \; f^T w : \; 1^T w = 1, \; S_b(w) \succeq 0
    \qquad
    \min_{\lambda, X} \; \lambda : \; f + \sum_b q_b \, v_b^T X_b v_b = \lambda \text{ at all points}, \; X_b \succeq 0

along the direction of Helmberg, Rendl, Vanderbei and Wolkowicz, Kojima, Shindoh and Hara, and Monteiro (HKM), with a
predictor and a corrector. What its iterates prove, and when to stop, are other modules' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg

from ....cython_ext import _lmi
from ..validation import FloatArray
from .interpolation import NodalRelaxation
from .quotient import N_BASIS, N_LINEAR, N_MOMENTS

__all__ = ["Iterate", "interior_point"]

#: The multiples of the identity that the dual matrices, and those of the moments, start at.
_FIRST_DUAL, _FIRST_PRIMAL = 0.03, 1.0
#: The shares of the way to the border of the cone that are gone: in general, and after short steps.
_STEP, _CAREFUL_STEP = 0.97, 0.9
#: Affine steps below it show that the centre has to be approached first.
_SHORT, _CENTERING = 0.1, 0.5
_LEAST_CENTERING = 1e-3
#: Steps in the weights and in the dual matrices that are both shorter do not lead anywhere.
_STUCK = 1e-4
#: What is added to the diagonal of a Newton system that rounding has made indefinite, over the diagonal, and tries.
_REGULARIZATION, _GROWTH, _N_TRIES = 1e-14, 100.0, 4
#: Refinements of the solution of the Newton system, which is accurate where equations are off by less.
_REFINEMENTS, _REFINED = 1, 1e-9
#: Entries of the scratch space of the kernel.
_SCRATCH = 2 * 96**2


class Matrices(NamedTuple):
    """A symmetric matrix for each block: the moment matrix of size 71, and the localizing ones of size 13.

    Attributes
    ----------
    moment : ndarray of shape (71, 71)
        The first.
    localizing : ndarray of shape (2K + 1, 13, 13)
        The others.
    """

    moment: FloatArray
    localizing: FloatArray

    def plus(self, other: Matrices, factor: float = 1.0) -> Matrices:
        """Return ``self + factor * other``."""
        return Matrices(self.moment + factor * other.moment, self.localizing + factor * other.localizing)

    def times(self, factor: float) -> Matrices:
        """Return ``factor * self``."""
        return Matrices(factor * self.moment, factor * self.localizing)

    def inner(self, other: Matrices) -> float:
        """Return the inner product with other symmetric matrices."""
        return float(np.vdot(self.moment, other.moment) + np.vdot(self.localizing, other.localizing))


class Iterate(NamedTuple):
    """A point on the way.

    Attributes
    ----------
    w : ndarray of shape (742,)
        The weights, which may sum up to something else than 1 and have indefinite matrices at first.
    dual : Matrices
        The matrices X_b, positive definite.
    value : float
        The objective ``f^T w``.
    bound : float
        The dual objective ``lambda``.
    primal_infeasibility, dual_infeasibility : float
        The largest entry by which matrices differ from those of the weights, and values at points from the bound.
    gap : float
        The mean of the products of eigenvalues of matrices and dual matrices.
    """

    w: FloatArray
    dual: Matrices
    value: float
    bound: float
    primal_infeasibility: float
    dual_infeasibility: float
    gap: float


def interior_point(relaxation: NodalRelaxation) -> Iterator[Iterate]:
    """Yield the iterates, the start among them, until rounding errors end the run.

    Parameters
    ----------
    relaxation : NodalRelaxation
        The relaxation.

    Yields
    ------
    iterate : Iterate
        About fifteen until the bound and the value agree to four digits.

    References
    ----------
    C. Helmberg, F. Rendl, R. J. Vanderbei and H. Wolkowicz, "An interior-point method for semidefinite programming",
    SIAM Journal on Optimization 6 (1996). K. Fujisawa, M. Kojima and K. Nakata, "Exploiting sparsity in primal-dual
    interior-point methods for semidefinite programming", Mathematical Programming 79 (1997). J. Löfberg and P. Parrilo,
    "From coefficients to samples: a new approach to SOS optimization", CDC 2004 (matrices of rank one).
    """
    run = _Run(relaxation)
    while run.factorize():
        yield run.iterate()
        try:
            moved = run.advance()
        except np.linalg.LinAlgError:  # A direction of a system that rounding has spoiled.
            return
        if not moved:
            return


class _Factors(NamedTuple):
    """Cholesky factors L of matrices, and their inverses."""

    lower: Matrices
    inverse: Matrices


class _Run:
    """The state of a run."""

    def __init__(self, relaxation: NodalRelaxation) -> None:
        self.relaxation = relaxation
        n_blocks = len(relaxation.localizers)
        eye = Matrices(np.eye(N_BASIS), np.broadcast_to(np.eye(N_LINEAR), (n_blocks, N_LINEAR, N_LINEAR)))
        self.X, self.S = eye.times(_FIRST_DUAL), eye.times(_FIRST_PRIMAL)
        self.w = np.full(N_MOMENTS, 1.0 / N_MOMENTS)
        self.bound = float(np.mean(relaxation.objective + relaxation.values(*self.X)))
        self.size = N_BASIS + n_blocks * N_LINEAR
        self.scratch, self.schur = np.empty(_SCRATCH), np.empty((N_MOMENTS, N_MOMENTS))
        self.first, self.second = np.empty((2, n_blocks, N_LINEAR, N_MOMENTS))

    def factorize(self) -> bool:
        """Take the residuals and the factors of the current matrices; return whether these are positive definite."""
        dual, primal = _factors(self.X), _factors(self.S)
        if dual is None or primal is None:
            return False
        self.dual, self.primal = dual, primal
        self.dual_residual = self.bound - self.relaxation.objective - self.relaxation.values(*self.X)
        self.primal_residual = Matrices(*self.relaxation.matrices(self.w)).plus(self.S, -1.0)
        self.gap = self.X.inner(self.S) / self.size
        return bool(np.isfinite(self.gap))

    def iterate(self) -> Iterate:
        """Return the current point."""
        off = max(float(np.abs(block).max()) for block in self.primal_residual)
        return Iterate(
            self.w,
            self.X,
            float(self.relaxation.objective @ self.w),
            self.bound,
            max(off, abs(1.0 - float(self.w.sum()))),
            float(np.abs(self.dual_residual).max()),
            self.gap,
        )

    def advance(self) -> bool:
        """Take a step; return whether there was one."""
        newton = self._newton_system()
        if newton is None:
            return False
        inverse = _map(_gram, self.primal.inverse)
        affine = self._direction(newton, inverse, self.X.times(-1.0), 0)
        steps = self._steps(affine)
        after = self.X.plus(affine[2], steps[0]).inner(self.S.plus(affine[3], steps[1])) / self.size
        centering = float(np.clip((after / self.gap) ** 2, _LEAST_CENTERING, 1.0))
        if min(steps) < _SHORT:
            centering = _CENTERING
        target = inverse.times(centering * self.gap).plus(self.X, -1.0)
        second_order = _map(_symmetric_product, affine[2], affine[3], inverse)
        direction = self._direction(newton, inverse, target.plus(second_order, -1.0), _REFINEMENTS)
        steps = self._steps(direction)
        share = _STEP if min(steps) > 0.5 else _CAREFUL_STEP
        dual_step, primal_step = (min(1.0, share * step) for step in steps)
        if not max(dual_step, primal_step) > _STUCK:
            return False
        self.w = self.w + primal_step * direction[0]
        self.bound += dual_step * direction[1]
        self.X, self.S = self.X.plus(direction[2], dual_step), self.S.plus(direction[3], primal_step)
        return True

    def _newton_system(self) -> tuple[tuple[FloatArray, bool], FloatArray] | None:
        """Return the factor of the matrix ``<F_p, X F_q S^-1>``, and its solution for a right-hand side of ones."""
        basis, linear, localizers = self.relaxation.basis, self.relaxation.linear, self.relaxation.localizers
        self.schur[:] = 0.0
        first, second = self.dual.lower.moment.T @ basis, self.primal.inverse.moment @ basis
        _lmi.add_schur(first[None], second[None], self.scratch, self.schur)
        np.matmul(np.swapaxes(self.dual.lower.localizing, 1, 2), linear, out=self.first)
        np.matmul(self.primal.inverse.localizing, linear, out=self.second)
        self.first *= localizers[:, None]
        _lmi.add_schur(self.first, self.second, self.scratch, self.schur)
        diagonal, shift = self.schur.diagonal().copy(), 0.0
        for attempt in range(_N_TRIES):
            try:
                # The upper triangle of an array by rows is the lower one of its transpose, which LAPACK takes as it is.
                factor = linalg.cho_factor(self.schur.T, lower=True, overwrite_a=False, check_finite=False)
            except linalg.LinAlgError:
                shift = _REGULARIZATION * _GROWTH**attempt
                np.fill_diagonal(self.schur, (1.0 + shift) * diagonal)
                continue
            return factor, linalg.cho_solve(factor, np.ones(N_MOMENTS), check_finite=False)
        return None

    def _direction(
        self,
        newton: tuple[tuple[FloatArray, bool], FloatArray],
        inverse: Matrices,
        target: Matrices,
        n_refinements: int,
    ) -> tuple[FloatArray, float, Matrices, Matrices]:
        """Return the directions of weights, bound, dual matrices and matrices for ``dX + sym(X dS S^-1) = target``."""
        factor, of_ones = newton
        d_w, d_bound, d_S = np.zeros(N_MOMENTS), 0.0, self.primal_residual
        for _ in range(1 + n_refinements):
            d_X = target.plus(_map(_symmetric_product, self.X, d_S, inverse), -1.0)
            right = self.relaxation.values(*d_X) - self.dual_residual - d_bound
            if np.abs(right).max() <= _REFINED:
                break
            solution = linalg.cho_solve(factor, right, check_finite=False)
            more = float((solution.sum() + d_w.sum() - 1.0 + self.w.sum()) / of_ones.sum())
            d_bound += more
            d_w = d_w + solution - more * of_ones
            d_S = Matrices(*self.relaxation.matrices(d_w)).plus(self.primal_residual)
        d_X = target.plus(_map(_symmetric_product, self.X, d_S, inverse), -1.0)
        return d_w, d_bound, d_X, d_S

    def _steps(self, direction: tuple[FloatArray, float, Matrices, Matrices]) -> tuple[float, float]:
        return _longest_step(self.dual, direction[2]), _longest_step(self.primal, direction[3])


def _map(function: Callable[..., FloatArray], *matrices: Matrices) -> Matrices:
    return Matrices(*(function(*blocks) for blocks in zip(*matrices, strict=True)))


def _gram(factor: FloatArray) -> FloatArray:
    return np.swapaxes(factor, -1, -2) @ factor


def _symmetric_product(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    product = a @ b @ c
    return 0.5 * (product + np.swapaxes(product, -1, -2))


def _factors(matrices: Matrices) -> _Factors | None:
    try:
        lower = Matrices(*(np.asarray(np.linalg.cholesky(block)) for block in matrices))
    except np.linalg.LinAlgError:
        return None
    return _Factors(lower, Matrices(*(np.asarray(np.linalg.inv(block)) for block in lower)))


def _longest_step(factors: _Factors, direction: Matrices) -> float:
    """Return the largest multiple of a direction that leaves matrices semidefinite."""
    pairs = zip(factors.inverse, direction, strict=True)
    scaled = (inverse @ block @ np.swapaxes(inverse, -1, -2) for inverse, block in pairs)
    least = min(float(np.linalg.eigvalsh(block)[..., 0].min()) for block in scaled)
    return -1.0 / least if least < 0 else np.inf
