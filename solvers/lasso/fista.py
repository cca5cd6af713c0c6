"""Accelerated proximal gradient for the Lasso: the backend that only multiplies with the design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..base import Solver
from ..monitor import Monitor
from ..solution import Callback, Solution, Start
from .frame import FloatArray, multiply
from .problem import LassoProblem

__all__ = ["FISTA"]

_POWER_STEPS = 20
_SUBNORMAL = 1e-290


class FISTA(Solver[LassoProblem, FloatArray]):
    r"""Accelerated proximal gradient descent with adaptive restart.

    Each iteration multiplies once with ``A`` and once with ``A^T``, so that the design may be a
    :class:`scipy.sparse.linalg.LinearOperator`. Intercept and free columns are projected out. Columns are scaled to
    unit norm where the norms can be read off, which leaves the proximal operator separable; an operator should come
    with columns of similar norms.

    Parameters
    ----------
    check_every : int, default=10
        Iterations between two certificates.
    max_iter : int, default=10000
        Iterations.
    time_limit : float or None, default=None
        Seconds.

    Notes
    -----
    The step is one over a power-iteration estimate of the largest eigenvalue, lengthened or shortened by backtracking
    on ``|A d|^2 / n <= L |d|^2``. The momentum restarts when it points uphill.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm", SIAM J. Imaging Sciences 2 (2009).
    B. O'Donoghue and E. Candes, "Adaptive restart for accelerated gradient schemes", Found. Comput. Math. 15 (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> from estimand.solvers.lasso.fista import FISTA
    >>> problem = LassoProblem(A=np.eye(3), y=np.array([3.0, -1.0, 0.1]), alpha=0.2)
    >>> FISTA().solve(problem, tol=1e-10).x.round(6) + 0.0
    array([ 2.4, -0.4,  0. ])
    """

    name = "fista"
    problem = LassoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "operator", "float32", "weights", "free", "sample_weight", "positive", "l2", "intercept", "callback"}
    )

    def __init__(self, check_every: int = 10, max_iter: int = 10000, time_limit: float | None = None) -> None:
        self.check_every = check_every
        self.max_iter = max_iter
        self.time_limit = time_limit

    def solve(
        self,
        problem: LassoProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Take accelerated proximal gradient steps until `problem` certifies the point.

        Parameters
        ----------
        problem : LassoProblem
            Any instance.
        start : Solution, array of shape (p,) or None
            Where to begin.
        tol : float
            The duality gap is to be at most ``tol * problem.scale``.
        callback : callable or None
            Called at every check.

        Returns
        -------
        Solution
            The best point checked.

        Raises
        ------
        ValueError
            If `start` has the wrong shape or `check_every` is below 1.
        """
        if self.check_every < 1:
            raise ValueError(f"check_every={self.check_every!r} must be at least 1.")
        x = self.start_point(problem, start)
        if start is not None and problem.vanishes():
            x[:] = 0.0
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            geometry = _Geometry.of(problem)
            descent = _Descent(problem, geometry, x)
            while run.go_on(descent.point()):
                steps = min(self.check_every, self.max_iter - run.n_iter)
                for _ in range(steps):
                    descent.step()
                run.n_iter += steps - 1
        return run.solution()


@dataclass(frozen=True, eq=False)
class _Geometry:
    """The metric of the iteration: which columns move, and the norm that each is divided by."""

    moving: npt.NDArray[np.bool_]
    norms: FloatArray

    @classmethod
    def of(cls, problem: LassoProblem) -> _Geometry:
        norms = problem.view.column_norms()
        moving = problem.penalised & (norms > 0)
        return cls(moving, np.where(moving, norms, 1.0))


class _Descent:
    """The iterate, the extrapolated point, and their images under the projected design."""

    def __init__(self, problem: LassoProblem, geometry: _Geometry, x: FloatArray) -> None:
        self.problem, self.geometry = problem, geometry
        x = np.where(geometry.moving, x, 0.0)
        self.u = (np.maximum(x, 0.0) if problem.positive else x) * geometry.norms
        self.image = self._apply(self.u)
        self.z, self.z_image = self.u, self.image
        self.momentum = 1.0
        self.thresholds = np.where(geometry.moving, problem.thresholds / geometry.norms, 0.0)
        self.curvature = problem.l2 / geometry.norms**2
        self.lipschitz = self._power_iteration()

    def _apply(self, u: FloatArray) -> FloatArray:
        view = self.problem.view
        return view.project(view.weigh(multiply(self.problem.A, u / self.geometry.norms)))

    def _adjoint(self, image: FloatArray) -> FloatArray:
        return np.where(self.geometry.moving, self.problem.view.correlation(image) / self.geometry.norms, 0.0)

    def _power_iteration(self) -> float:
        direction = np.where(self.geometry.moving, np.cos(np.arange(self.u.size)), 0.0)
        largest = 0.0
        for _ in range(_POWER_STEPS):
            norm = float(np.linalg.norm(direction))
            if norm < _SUBNORMAL:
                break
            direction = self._adjoint(self._apply(direction / norm))
            largest = max(largest, float(np.linalg.norm(direction)))
        return largest if largest > 0 else 1.0

    def point(self) -> FloatArray:
        """Return the iterate in the problem's coordinates, with the free columns at their best."""
        x = np.where(self.u == 0, 0.0, self.u / self.geometry.norms)
        return self.problem.view.complete(x)

    def step(self) -> None:
        """Take one accelerated proximal gradient step."""
        view = self.problem.view
        descent = self._adjoint(view.response - self.z_image)
        n = view.n_samples
        while True:
            u = self._prox(self.z + descent / self.lipschitz)
            image = self._apply(u)
            move, image_move = u - self.z, image - self.z_image
            # The slack is the rounding error of the two images.
            slack = 1e-14 * float(image @ image + self.z_image @ self.z_image) / n
            bent, allowed = float(image_move @ image_move) / n, self.lipschitz * float(move @ move)
            if bent <= allowed + slack:
                break
            self.lipschitz *= max(1.5, min(10.0, bent / allowed if allowed > 0 else 1.5))
        restart = float((self.z - u) @ (u - self.u)) > 0
        momentum = 1.0 if restart else (1 + np.sqrt(1 + 4 * self.momentum**2)) / 2
        factor = 0.0 if restart else (self.momentum - 1) / momentum
        self.z, self.z_image = u + factor * (u - self.u), image + factor * (image - self.image)
        self.u, self.image, self.momentum = u, image, float(momentum)

    def _prox(self, target: FloatArray) -> FloatArray:
        shrink = self.thresholds / self.lipschitz
        if self.problem.positive:
            shrunk = np.maximum(target - shrink, 0.0)
        else:
            shrunk = np.sign(target) * np.maximum(np.abs(target) - shrink, 0.0)
        return np.where(self.geometry.moving, shrunk / (1 + self.curvature / self.lipschitz), 0.0)
