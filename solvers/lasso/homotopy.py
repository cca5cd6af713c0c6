"""The homotopy (LARS-Lasso) backend: the exact piecewise linear path, on a QR factorisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from scipy import linalg

from ...cython_ext import _homotopy
from ..base import Solver
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["Homotopy"]

_REFACTOR_EVERY = 200
_MAX_BYTES = 1 << 31
_FLOPS_A_CALL = 3e7
_TILT = 1e-8


class Homotopy(Solver[LassoProblem, FloatArray]):
    r"""Follow the solution from ``alpha_max`` down to `alpha`, one breakpoint after another.

    Between breakpoints the coefficients are linear in alpha; at one, a column joins the active ones or leaves them. The
    active columns are kept as ``Q R``, updated by Givens rotations and never through their Gram matrix, so that
    ill-conditioned designs keep their accuracy. One walk serves a whole :meth:`path`.

    Parameters
    ----------
    floor : float, default=1e-13
        A column joins only if its part outside the span of the active columns exceeds `floor` times its norm.
    max_iter : int, default=100000
        Breakpoints.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The walk always begins at ``alpha_max``: a `start` is certified, and returned if it is good enough, but not
    continued from. Sparse designs are made dense.

    References
    ----------
    M. Osborne, B. Presnell and B. Turlach, "A new approach to variable selection in least squares problems", IMA J.
    Numerical Analysis 20 (2000). B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", Annals
    of Statistics 32 (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> from estimand.solvers.lasso.homotopy import Homotopy
    >>> problem = LassoProblem(A=np.eye(3), y=np.array([3.0, -1.0, 0.1]), alpha=0.2)
    >>> [s.x.round(6).tolist() for s in Homotopy().path(problem, [0.3, 0.2], tol=1e-10)]
    [[2.1, -0.1, 0.0], [2.4, -0.4, 0.0]]
    """

    name = "homotopy"
    problem = LassoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "weights", "free", "sample_weight", "intercept", "callback"}
    )

    def __init__(self, floor: float = 1e-13, max_iter: int = 100000, time_limit: float | None = None) -> None:
        self.floor = floor
        self.max_iter = max_iter
        self.time_limit = time_limit

    def refuses(self, problem: LassoProblem) -> str | None:
        """Return why the factors would not fit into memory, or None."""
        n, p = problem.A.shape
        rank = min(n, p)
        wanted = 8 * (n * p + n * rank + rank * rank)
        if wanted > _MAX_BYTES:
            return f"it would need {wanted / 2**30:.1f} GiB for dense columns and factors"
        return None

    def solve(
        self,
        problem: LassoProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Walk down to ``problem.alpha``.

        Parameters
        ----------
        problem : LassoProblem
            An instance without `positive` and `l2`.
        start : Solution, array of shape (p,) or None
            Returned if it is already good enough.
        tol : float
            The duality gap is to be at most ``tol * problem.scale``.
        callback : callable or None
            Called at every check, about every tenth of a second.

        Returns
        -------
        Solution
            The point at ``problem.alpha``, or the last one reached.
        """
        x = self.start_point(problem, start)
        if start is None or problem.vanishes() or not np.isfinite(problem.penalty(x)):
            x = problem.view.complete(np.zeros_like(x))
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            if run.go_on(x):
                self._advance(run, _Walk(problem, self.floor), problem)
        return run.solution()

    def path(
        self,
        problem: LassoProblem,
        alphas: Iterable[float],
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> list[Solution[FloatArray]]:
        """Solve for each of `alphas` along one walk; see :meth:`Solver.path`. The walk follows falling alphas."""
        self.start_point(problem, start)
        wanted = [float(alpha) for alpha in alphas]
        solutions: dict[int, Solution[FloatArray]] = {}
        walk: _Walk | None = None
        for index in sorted(range(len(wanted)), key=lambda i: -wanted[i]):
            item = problem.at(wanted[index])
            if item.penalised is not problem.penalised or problem.alpha == 0:
                solutions[index] = self.solve(item, tol=tol, callback=callback)
            else:
                walk = _Walk(problem, self.floor) if walk is None else walk
                with Monitor(self, item, tol=tol, callback=callback) as run:
                    walk = self._advance(run, walk, item)
                solutions[index] = run.solution()
            if solutions[index].status in ("interrupted", "callback"):
                break
        found = [solutions[index] for index in range(len(wanted)) if index in solutions]
        return [*(solution.compact() for solution in found[:-1]), *found[-1:]]

    def _advance(self, run: Monitor[FloatArray], walk: _Walk, problem: LassoProblem) -> _Walk:
        """Walk down to the problem's alpha, one check a chunk of breakpoints; return the walk to go on with."""
        arrived = False
        while not arrived:
            taken, arrived = walk.advance(problem.alpha, self.max_iter - max(run.n_iter, 0))
            run.n_iter += max(taken - 1, 0)
            if not (walk.perturbed and arrived) and not run.go_on(walk.point(), dual=walk.residual()):
                return walk
            if walk.stuck:
                if walk.perturbed:
                    break
                # Ties keep dropping what they have just added. With no ties the same active columns are found.
                walk = _Walk(walk.problem, self.floor, perturbed=True)
        point, residual = walk.polished()
        if run.go_on(point, dual=residual):
            reason = "ties keep dropping what they added" if walk.stuck else "rounding errors of the coefficients"
            run.stall(f"{reason}: try solver='coordinate_descent'")
        return walk


class _Walk:
    """The state of one walk: the columns that move, the factors of the active ones, and where it stands."""

    def __init__(self, problem: LassoProblem, floor: float, *, perturbed: bool = False) -> None:
        self.problem, self.floor, self.perturbed = problem, floor, perturbed
        view = problem.view
        moving = problem.penalised & (view.column_norms() > 0) if view.basis.shape[1] else problem.penalised
        columns = np.flatnonzero(moving)
        self.columns, self.omega = columns, problem.omega[columns]
        n, p = view.n_samples, columns.size
        self.n_samples = n
        weighted = bool(np.any(self.omega != 1))
        untouched = view.is_plain and columns.size == problem.A.shape[1] and not weighted and not perturbed
        self.Z = problem.A if untouched else view.columns(columns)
        if weighted:
            self.Z /= self.omega
        # Fractions of multiples of the golden ratio: no two columns tie, and every run is the same.
        self.tilt = 1.0 + _TILT * np.mod(0.6180339887498949 * np.arange(1, p + 1), 1.0) if perturbed else np.ones(p)
        if perturbed:
            self.Z *= self.tilt
        self.norms = np.sqrt(np.einsum("ij,ij->j", self.Z, self.Z))
        self.response = view.response
        rank = max(1, min(n - view.basis.shape[1], p))
        self.Q, self.R = np.zeros((n, rank), order="F"), np.zeros((rank, rank), order="F")
        self.b, self.w, self.work = np.zeros(rank), np.zeros(rank), np.zeros((rank, 3), order="F")
        self.r, self.c, self.a, self.g = view.response.copy(), self.Z.T @ view.response, np.zeros(p), np.zeros(p)
        self.active = np.zeros(rank, dtype=np.intc)
        self.state, self.sign = np.zeros(p, dtype=np.int8), np.zeros(p, dtype=np.int8)
        self.counts = np.zeros(3, dtype=np.intc)
        self.lam = float(np.abs(self.c).max(initial=0.0))
        self.chunk = max(1, int(_FLOPS_A_CALL / (n * max(p, 1) + rank * rank)))
        self.x = np.zeros(p)

    @property
    def stuck(self) -> bool:
        """Whether ties keep dropping what they have just added."""
        return bool(self.counts[1] > self.R.shape[0])

    def advance(self, alpha: float, budget: int) -> tuple[int, bool]:
        """Pass some breakpoints on the way to `alpha`; return how many, and whether it was reached."""
        target = alpha * self.n_samples
        if self.columns.size == 0:
            return 0, True
        if self.counts[2] >= _REFACTOR_EVERY:
            self.refactor()
        steps = min(self.chunk, budget, _REFACTOR_EVERY)
        self.x[:] = 0.0
        self.lam, taken, arrived = _homotopy.walk(
            self.Z, self.norms, self.r, self.Q, self.R, self.b, self.w, self.c, self.a, self.g, self.work,
            self.active, self.state, self.sign, self.counts, self.lam, min(target, self.lam), self.x, self.floor, steps,
        )  # fmt: skip
        return taken, arrived

    def refactor(self) -> None:
        """Compute the factors, residual and correlations anew."""
        k = int(self.counts[0])
        active = self.active[:k]
        Q, R = linalg.qr(self.Z[:, active], mode="economic")
        self.Q[:, :k], self.R[:k, :k] = Q, R
        self.w[:k] = linalg.solve_triangular(R, self.sign[active].astype(np.float64), trans="T")
        self.b[:k] = Q.T @ self.response
        self.r[:] = self.response - Q @ self.b[:k]
        self.r -= Q @ (Q.T @ self.r)
        self.c[:], self.a[:] = self.Z.T @ self.r, self.Z.T @ (Q @ self.w[:k])
        self.counts[2] = 0

    def residual(self) -> FloatArray:
        """Return the residual from the factors: large coefficients that cancel leave no rounding errors in it."""
        k = int(self.counts[0])
        fitted: FloatArray = self.Q[:, :k] @ self.w[:k]
        return self.r + self.lam * fitted

    def point(self) -> FloatArray:
        """Return the point where the walk stands, in the problem's coordinates."""
        return self._complete(self.x)

    def polished(self) -> tuple[FloatArray, FloatArray]:
        """Return the point and residual that belong to the active columns and signs, from a fresh factorisation."""
        active = self.active[: int(self.counts[0])]
        Z, signs = self.Z[:, active] / self.tilt[active], self.sign[active].astype(np.float64)
        Q, R = linalg.qr(Z, mode="economic")
        w = linalg.solve_triangular(R, signs, trans="T")
        residual = self.response - Q @ (Q.T @ self.response)
        residual += Q @ (self.lam * w - Q.T @ residual)
        x = np.zeros_like(self.x)
        x[active] = linalg.solve_triangular(R, Q.T @ (self.response - residual))
        # Once more with what these coefficients leave over.
        x[active] += linalg.solve_triangular(R, Q.T @ (self.response - residual - Z @ x[active]))
        return self._complete(x), residual

    def _complete(self, x: FloatArray) -> FloatArray:
        v = self.problem.initial_point()
        v[self.columns] = x / self.omega
        return self.problem.view.complete(v)
