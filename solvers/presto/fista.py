"""Accelerated proximal gradient descent: the backend that only multiplies with the features."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import sparse

from ...cython_ext._total_variation import prox_anchored_chains
from ..base import Solver
from ..monitor import Monitor
from ..ordinal.likelihood import Derivatives, FloatArray
from ..ordinal.problem import OrdinalPoint
from ..ordinal.restricted import polish_intercepts
from ..solution import Callback, Solution, Start, State
from .problem import PrestoProblem

__all__ = ["FISTA"]

_STEPS = 10
#: Factors of the reciprocal of the step, after a trial that failed and after one that did not.
_GROW = 2.0
_SHRINK = 0.9
#: Where the loss bends by less than this share of what the step allows, the step was far too short.
_FLAT = 0.1
_SHRINK_FAST = 0.5
#: The loss may bend this many times more along the intercepts than where their metric was taken.
_MARGIN = 3.0
#: Share of its trace that keeps the metric of the intercepts definite.
_FLOOR = 1e-10
#: Change of a linear predictor over which the loss is nearly quadratic.
_NEARBY = 1e-3
#: Differences of losses below this share of them have lost their digits to rounding.
_ROUNDING = 1e-12
_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
#: Variances below this share of the mean square are rounding error.
_NOISE = 1e-14
#: Rows of sparse features are squared in so many parts.
_BLOCKS = 16


class FISTA(Solver[PrestoProblem, OrdinalPoint]):
    r"""Accelerated proximal gradient descent on intercepts and slopes, with adaptive restart.

    With the slopes ``b_k = psi_1 + ... + psi_k`` and ``b_0 = 0`` the problem is

    .. math:: \min_{a, b} \ f(a, b) + \alpha \rho \sum_{k, j} v_{kj} |b_{kj} - b_{k - 1, j}|,
        \qquad \rho = \mathtt{l1\_ratio},

    where ``f`` is the loss with the squared part of the penalty. A step is the proximal map of the total variation on
    the chain ``0 - b_1j - ... - b_mj`` of each feature, after a gradient step of ``f``. It multiplies about once with
    ``X`` and once with its transpose, which is never copied or made dense.

    Parameters
    ----------
    max_iter : int, default=1000
        Rounds of at most ten steps; each round ends with a check.
    time_limit : float or None, default=None
        Seconds, looked at between rounds.

    Notes
    -----
    The gradient of the loss has no Lipschitz constant, since the loss is a barrier where the probability of an observed
    class vanishes. So the length of the steps follows from backtracking, for which a trial outside the domain has
    failed; where rounding hides the difference of the losses, that of their gradients decides. An extrapolated point
    outside the domain restarts the momentum, as one does that points uphill.

    Features are standardised implicitly, and the intercepts move in the metric of their Hessian, which is renewed at
    each restart: their curvature is that of the rare classes, far below that of the slopes. At a check the intercepts
    are polished by Newton steps, so that the bound on the suboptimality is not dominated by their gradient. The problem
    is asked for its certificate once the subgradient that a step leaves behind is small.

    References
    ----------
    A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", SIAM J.
    Imaging Sciences 2 (2009), with backtracking. B. O'Donoghue and E. Candes, "Adaptive restart for accelerated
    gradient schemes", Found. Comput. Math. 15 (2015), the gradient scheme. N. Johnson, "A dynamic programming algorithm
    for the fused lasso and L0-segmentation", J. Comput. Graph. Stat. 22 (2013), the proximal map.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.presto import PrestoProblem
    >>> from estimand.solvers.presto.fista import FISTA
    >>> X, y = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]]), np.array([0, 1, 0, 1, 2])
    >>> problem = PrestoProblem(X=X, y=y, n_classes=3, alpha=0.1)
    >>> solution = FISTA().solve(problem, tol=1e-8)
    >>> solution.converged, solution.x.coef.round(3).tolist()
    (True, [[1.029], [0.398]])
    """

    name = "fista"
    problem = PrestoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "weights", "sample_weight", "l2", "free", "other_links", "callback"}
    )

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit

    def solve(
        self,
        problem: PrestoProblem,
        *,
        start: Start[OrdinalPoint] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[OrdinalPoint]:
        """Take accelerated proximal gradient steps until `problem` certifies the point."""
        x = self.start_point(problem, start)
        if start is not None and not problem.objective(x) <= problem.loss.null_value:
            x = problem.initial_point()  # the start is outside the domain, or worse than no slopes at all
        arrays = (problem.X, problem.likelihood)
        memory = self.cached(start, arrays, lambda: _Memory(*_moments(problem), None))
        target = aim = tol * problem.scale
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            descent = _Descent(problem, x, memory)
            x, objective = descent.point()
            value: float | None = None
            while run.go_on(x, value=value, objective=objective):
                if descent.residual <= aim:
                    aim /= 2  # the certificate asks for more
                moved = descent.round(aim)
                x, objective = descent.point()
                value = descent.residual if moved and descent.residual > target else None
                if not moved:
                    if run.go_on(x):
                        run.stall("no step moves the point any more")
                    break
        return run.solution(state=State(self.name, arrays, memory._replace(lipschitz=descent.lipschitz)))


class _Memory(NamedTuple):
    """What the next problem on the same data can use: moments of the features, and the reciprocal of the last step."""

    mean: FloatArray
    deviation: FloatArray
    lipschitz: float | None


class _Iterate(NamedTuple):
    """A point, with its linear predictors and the loss there.

    Row 0 of `w` holds the intercepts of the standardised features, in a basis in which their metric is that of the
    slopes; the rows that follow are these features and hold their slopes.
    """

    w: FloatArray
    eta: FloatArray
    derivatives: Derivatives


class _Descent:
    """The iterate and the extrapolated point ahead of it."""

    def __init__(self, problem: PrestoProblem, x: OrdinalPoint, memory: _Memory) -> None:
        self.problem, self.loss = problem, problem.loss
        m = problem.n_boundaries
        self.mean, self.unit = memory.mean, np.repeat(1.0 / memory.deviation, m).reshape(-1, m)
        self.threshold = np.ascontiguousarray(self.unit * problem.thresholds.T)
        self.ridge = self.unit**2 * problem.ridge.T if np.any(problem.ridge) else None
        self.basis = np.eye(m)
        #: Largest entry of the subgradient, in differences of slopes, that the last step left behind.
        self.residual = math.inf
        self.momentum = 1.0
        slopes = problem.slopes(x.coef).T
        start = np.vstack([x.intercept + self.mean @ slopes, slopes / self.unit])
        self.x = self._at(np.ascontiguousarray(start))
        self.lipschitz = memory.lipschitz or self._curvature()
        self._restart()

    def point(self) -> tuple[OrdinalPoint, float]:
        """Return the iterate with polished intercepts, and the objective there."""
        w, eta, derivatives = self.x
        slopes = w[1:] * self.unit
        intercept = self.basis @ w[0] - self.mean @ slopes
        shift, derivatives = polish_intercepts(self.problem.loss, eta.copy(), derivatives.copy())
        x = OrdinalPoint(intercept + shift, np.ascontiguousarray(np.diff(slopes, axis=1, prepend=0.0).T))
        return x, derivatives.value + self.problem.penalty(x.coef)

    def round(self, aim: float) -> bool:
        """Take ten steps, fewer if the residual falls to `aim`; return whether the last one moved the point."""
        for _ in range(_STEPS):
            if not self._step():
                return False
            if self.residual <= aim:
                break
        return True

    def _step(self) -> bool:
        """Take one accelerated step, and restart the momentum where it points uphill."""
        old, ahead = self.x, self.ahead
        gradient = self._gradient(ahead)
        slope = gradient + self._ridge_gradient(ahead.w)
        while True:
            w = ahead.w - slope / self.lipschitz
            prox_anchored_chains(w[1:], self.threshold, 1.0 / self.lipschitz, w[1:])
            new, change = self._at(w), w - ahead.w
            bend = self._bend(ahead, new, gradient, change)
            allowed = 0.5 * self.lipschitz * _dot(change, change)
            if bend <= allowed:
                break
            if not np.abs(change).max() > _EPS * np.abs(w).max():
                return False
            self.lipschitz *= _GROW
        self.residual = self.lipschitz * float(np.abs(_together(change[1:] / self.unit)).max(initial=0.0))
        self.lipschitz *= _SHRINK_FAST if bend < _FLAT * allowed else _SHRINK
        move = w - old.w
        uphill = _dot(change, move) < 0
        self.x = new
        if uphill or not self._extrapolate(old, move):
            self._restart()
        return allowed > 0 or bool(np.any(move))

    def _extrapolate(self, old: _Iterate, move: FloatArray) -> bool:
        """Go on from the iterate in the direction of its move; return whether the domain allows it."""
        momentum = (1 + math.sqrt(1 + 4 * self.momentum**2)) / 2
        weight = (self.momentum - 1) / momentum
        self.momentum, self.ahead = momentum, self.x
        if weight > 0:
            eta = self.x.eta + weight * (self.x.eta - old.eta)
            self.ahead = _Iterate(self.x.w + weight * move, eta, self.loss.derivatives(eta))
        return math.isfinite(self.ahead.derivatives.value)

    def _restart(self) -> None:
        """Forget the momentum, and measure intercepts by their Hessian at the iterate."""
        intercept = self.basis @ self.x.w[0]
        hessian = _apart(_apart(self.x.derivatives.intercept_hessian()).T)
        metric = _MARGIN / self.lipschitz * hessian
        metric += (_FLOOR * np.trace(metric) + _TINY) * np.eye(intercept.size)
        root = np.linalg.cholesky(metric)
        self.basis = np.linalg.inv(root).T
        self.x.w[0] = root.T @ intercept
        self.ahead, self.momentum = self.x, 1.0

    def _curvature(self) -> float:
        """Return how much the loss bends along its gradient in the slopes."""
        direction = self._gradient(self.x)
        direction[0] = 0.0
        eta, change = self.x.eta, self._at(direction).eta
        largest = float(np.abs(change).max())
        if largest == 0:
            return 1.0
        step = min(_NEARBY / largest, 0.5 * self.loss.longest_step(eta, change))
        turn = self.loss.derivatives(eta + step * change).gradient - self.x.derivatives.gradient
        bend = _dot(turn, np.diff(change, axis=1, prepend=0.0)) / step
        return bend / _dot(direction, direction) if bend > 0 else 1.0

    def _at(self, w: FloatArray) -> _Iterate:
        slopes = w[1:] * self.unit
        eta = self.problem.X @ slopes
        eta += self.basis @ w[0] - self.mean @ slopes
        eta = np.ascontiguousarray(eta)
        return _Iterate(w, eta, self.loss.derivatives(eta))

    def _gradient(self, at: _Iterate) -> FloatArray:
        """Return the gradient of the loss."""
        total = _apart(at.derivatives.total_gradient)
        gradient = np.empty_like(at.w)
        gradient[0] = self.basis.T @ total
        gradient[1:] = self.problem.X.T @ _apart(at.derivatives.gradient)
        for k in range(total.size):  # faster than to broadcast over short rows
            gradient[1:, k] -= total[k] * self.mean
        gradient[1:] *= self.unit
        return gradient

    def _ridge_gradient(self, w: FloatArray) -> FloatArray | float:
        """Return the gradient of the squared part of the penalty."""
        if self.ridge is None:
            return 0.0
        gradient = np.zeros_like(w)
        gradient[1:] = _apart(self.ridge * np.diff(w[1:], axis=1, prepend=0.0))
        return gradient

    def _bend(self, old: _Iterate, new: _Iterate, gradient: FloatArray, change: FloatArray) -> float:
        """Return by how much the smooth part at `new` lies above its tangent at `old`."""
        if not math.isfinite(new.derivatives.value):
            return math.inf
        bend = new.derivatives.value - old.derivatives.value - _dot(gradient, change)
        if bend <= _ROUNDING * old.derivatives.value:
            turn = new.derivatives.gradient - old.derivatives.gradient
            bend = 0.5 * _dot(turn, np.diff(new.eta - old.eta, axis=1, prepend=0.0))
        return bend + 0.5 * float(np.sum(change * self._ridge_gradient(change)))


def _moments(problem: PrestoProblem) -> tuple[FloatArray, FloatArray]:
    """Return means and standard deviations of the features; where these are rounding error, something positive."""
    X, weight = problem.X, problem.loss.row_weight
    mean = X.T @ weight
    if sparse.issparse(X):
        squares, rows = np.zeros_like(mean), -(-X.shape[0] // _BLOCKS)
        for first in range(0, X.shape[0], rows):
            block = X[first : first + rows]
            squares += block.multiply(block).T @ weight[first : first + rows]
    else:
        squares = np.einsum("i,ij,ij->j", weight, X, X)
    variance = np.maximum(squares - mean * mean, _NOISE * squares)
    return mean, np.sqrt(np.where(variance > 0, variance, 1.0))


def _dot(one: FloatArray, other: FloatArray) -> float:
    """Return the sum of products, without the threads of BLAS, which cost more than they save here."""
    return float(np.einsum("ij,ij->", one, other))


def _apart(sums: FloatArray) -> FloatArray:
    """Return the terms of reverse cumulative sums along the last axis."""
    terms = sums.copy()
    terms[..., :-1] -= sums[..., 1:]
    return terms


def _together(terms: FloatArray) -> FloatArray:
    """Return reverse cumulative sums along the last axis, which is short."""
    sums = terms.copy()
    for k in range(sums.shape[-1] - 2, -1, -1):
        sums[..., k] += sums[..., k + 1]
    return sums
