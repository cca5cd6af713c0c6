"""Coordinate descent with working sets: the default backend of the Lasso.

This file decides which columns to look at and how accurately; the loops are compiled, and the buffers belong to the
working sets in `gram` and `residual`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..base import Solver
from ..certificate import Certificate
from ..monitor import Monitor
from ..solution import Callback, Check, Solution, Start, State
from .frame import FloatArray, Frame
from .gram import GramWorkingSet, Point
from .problem import LassoProblem
from .residual import DenseWorkingSet, SparseWorkingSet

__all__ = ["CoordinateDescent"]

#: A start from a penalty more than this factor larger goes through intermediate penalties.
_LONGEST_STEP = 2.0
_CONTINUATION_RATIO = 0.55
_CONTINUATION_GAP = 3e-4
_STRONG_RULE_FLOOR = 0.95
_VIOLATION = 0.98
_INNER = 0.3
_INNER_FLOOR = 1e-15
_STALLS = 3
_PATIENCE = 4
#: As many passes that do not halve the smallest gap end the run.
_LONG = 100
_FEWEST_NEW = 64
_TINY = float(np.finfo(np.float64).tiny)
_MAX_CONTINUATION = 60
#: Once a working set is this much larger than a sparse column, residual updates touch less memory than a Gram matrix.
_SPARSE_FACTOR = 4
#: Entries of dense columns that are always allowed; beyond, twice as many as the sparse design has.
_SMALL = 4_000_000
#: Two passes that do not divide the gap by this call for more effort.
_SLOW = 5.0

WorkingSet: TypeAlias = GramWorkingSet | DenseWorkingSet | SparseWorkingSet


class Engine:
    """What coordinate descent keeps along a path: a working set, and the last point that was evaluated."""

    def __init__(self, frame: Frame, gram_max_bytes: int) -> None:
        self.frame = frame
        self.gram_columns = math.isqrt(gram_max_bytes // 8)
        if sparse.issparse(frame.A):
            n, p = frame.A.shape
            wide = int(_SPARSE_FACTOR * frame.A.nnz / max(p, 1))
            self.gram_columns = min(self.gram_columns, wide, (2 * frame.A.nnz + _SMALL) // max(n, 1))
        self.working_set: WorkingSet = GramWorkingSet(frame)
        self.point = Point(np.zeros(frame.A.shape[1]), frame.response, frame.correlation(frame.response))
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """Take the engine for one run; False if another run has it, or was cut short amid an update."""
        return self._claimed.acquire(blocking=False)

    def release(self) -> None:
        """Hand the engine back in a sound state."""
        self._claimed.release()

    def add(self, columns: npt.NDArray[np.intp]) -> None:
        """Extend the working set, in residual form where a Gram matrix would be too large."""
        if isinstance(self.working_set, GramWorkingSet):
            cache = self.working_set.cache
            if cache.size + cache.uncached(columns).size > self.gram_columns:
                columns = np.union1d(columns, cache.columns)
                form = SparseWorkingSet if sparse.issparse(self.frame.A) else DenseWorkingSet
                self.working_set = form(self.frame)
        self.working_set.add(columns)


class CoordinateDescent(Solver[LassoProblem, FloatArray]):
    """Coordinate descent on a growing working set, polished by Newton steps on the support.

    Parameters
    ----------
    max_iter : int, default=1000
        Passes over the whole design.
    time_limit : float or None, default=None
        Seconds.
    gram_max_bytes : int, default=2**29
        Largest Gram matrix that is kept; beyond it, and for sparse designs, the residual is updated instead.

    Notes
    -----
    Columns enter by the sequential strong rule, and by violation of the optimality conditions after each pass. On the
    cached columns coordinate descent alternates with Newton steps, whose Cholesky factor follows the support; where
    that is ill conditioned, a QR factorisation takes its place. A cold start far below the largest penalty goes through
    intermediate penalties. In residual form, epochs are extrapolated (Anderson acceleration), and Gap Safe rules
    (Ndiaye, Fercoq, Gramfort and Salmon 2017) exclude columns.

    References
    ----------
    R. Tibshirani et al., "Strong rules for discarding predictors in lasso-type problems", JRSS B 74 (2012). M. Massias,
    A. Gramfort and J. Salmon, "Celer: a fast solver for the Lasso with dual extrapolation", ICML (2018). E. Ndiaye,
    O. Fercoq, A. Gramfort and J. Salmon, "Gap safe screening rules for sparsity enforcing penalties", JMLR 18 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.lasso import LassoProblem
    >>> from estimand.solvers.lasso.coordinate_descent import CoordinateDescent
    >>> problem = LassoProblem(A=np.eye(3), y=np.array([3.0, -1.0, 0.1]), alpha=0.2)
    >>> CoordinateDescent().solve(problem, tol=1e-10).x.round(6) + 0.0
    array([ 2.4, -0.4,  0. ])
    """

    name = "coordinate_descent"
    problem = LassoProblem
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset(
        {"sparse", "float32", "weights", "free", "sample_weight", "positive", "l2", "intercept", "callback"}
    )

    def __init__(self, max_iter: int = 1000, time_limit: float | None = None, gram_max_bytes: int = 2**29) -> None:
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.gram_max_bytes = gram_max_bytes

    def refuses(self, problem: LassoProblem) -> str | None:
        """Decline sparse designs whose entries 32-bit indices cannot count."""
        if sparse.issparse(problem.A) and problem.A.nnz > np.iinfo(np.int32).max:
            return f"the design has {problem.A.nnz} nonzero entries, more than 32-bit indices can count"
        return None

    def solve(
        self,
        problem: LassoProblem,
        *,
        start: Start[FloatArray] = None,
        tol: float,
        callback: Callback | None = None,
    ) -> Solution[FloatArray]:
        """Descend until `problem` certifies the point."""
        if self.gram_max_bytes < 0:
            raise ValueError(f"gram_max_bytes={self.gram_max_bytes!r} must be at least 0 (0: no Gram matrix is kept).")
        frame = problem.view
        engine = self.cached(start, (frame,), lambda: Engine(frame, self.gram_max_bytes))
        if not engine.claim():
            engine = Engine(frame, self.gram_max_bytes)
            engine.claim()
        x = frame.complete(_feasible(problem, self.start_point(problem, start)))
        target = max(_INNER * tol, _INNER_FLOOR) * problem.scale
        stalls, fresh, slow = 0, True, 0
        with Monitor(self, problem, tol=tol, callback=callback) as run:
            value, objective = _known_gap(problem, engine.point, x)
            while run.go_on(x, value=value, objective=objective):
                value = objective = None
                if run.certificate is not None:
                    stalls = stalls + 1 if not fresh and np.array_equal(x, engine.point.x) else 0
                    engine.point = _certified_point(x, run.certificate)
                if stalls == _STALLS or _is_stuck(run.history):
                    run.stall("coordinate descent makes no further progress in float64 arithmetic")
                    break
                slow += 1 if slow or _is_slow(run.history) else 0
                level = _VIOLATION
                if fresh:
                    _continue(problem, engine)
                    level, fresh = _strong_rule(problem, engine.point), False
                x = frame.complete(_descend(problem, engine, level, target, effort=slow, upper=run.upper))
            if run.certificate is not None:
                engine.point = _certified_point(x, run.certificate)
        if run.status == "interrupted":
            return run.solution()
        engine.release()
        return run.solution(state=State(self.name, arrays=(frame,), data=engine))


def _is_slow(history: Sequence[Check]) -> bool:
    return len(history) > _PATIENCE and history[-1].value * _SLOW > history[-3].value


def _is_stuck(history: Sequence[Check]) -> bool:
    if len(history) <= 2 * _LONG:
        return False
    return min(check.value for check in history[-_LONG:]) > 0.5 * min(check.value for check in history[:-_LONG])


def _feasible(problem: LassoProblem, x: FloatArray) -> FloatArray:
    x[problem.excluded] = 0.0
    if problem.positive:
        x[problem.penalised] = np.maximum(x[problem.penalised], 0.0)
    return x


def _known_gap(problem: LassoProblem, point: Point, x: FloatArray) -> tuple[float | None, float | None]:
    """Return the gap and the objective of `x` if it is the point evaluated last: that costs no pass over the data."""
    penalised = problem.penalised
    if not np.array_equal(x[penalised], point.x[penalised]):
        return None, None
    primal = float(point.projected @ point.projected) / (2 * point.projected.size) + problem.penalty(x)
    return primal - problem.dual_value(point.projected, point.correlation), primal


def _certified_point(x: FloatArray, certificate: Certificate) -> Point:
    return Point(x.copy(), certificate.byproducts["dual"], certificate.byproducts["correlation"])


def _size(problem: LassoProblem, correlation: FloatArray) -> FloatArray:
    return correlation if problem.positive else np.abs(correlation)


def _penalty_of(problem: LassoProblem, point: Point) -> float:
    """Return the smallest penalty strength at which the correlations of `point` are feasible."""
    penalised = problem.penalised
    size = _size(problem, point.correlation - problem.l2 * point.x)[penalised]
    return float((size / problem.omega[penalised]).max(initial=0.0))


def _strong_rule(problem: LassoProblem, point: Point) -> float:
    """Return the level of the sequential strong rule, as a factor of the thresholds."""
    if problem.alpha == 0:
        return 0.0
    level = 2 - _penalty_of(problem, point) / problem.alpha
    return min(max(level, _STRONG_RULE_FLOOR), _VIOLATION)


def _continue(problem: LassoProblem, engine: Engine) -> None:
    """Bring the engine's point near the solution through a sequence of smaller and smaller penalties."""
    previous = _penalty_of(problem, engine.point)
    if not previous > _LONGEST_STEP * problem.alpha > 0:
        return
    n_steps = math.ceil((math.log(previous) - math.log(problem.alpha)) / -math.log(_CONTINUATION_RATIO))
    for alpha in np.geomspace(previous, problem.alpha, min(n_steps, _MAX_CONTINUATION) + 1)[1:-1]:
        easier = problem.at(float(alpha))
        target = _CONTINUATION_GAP * problem.scale
        engine.point = Point.at(engine.frame, _descend(easier, engine, 1.0, target, newton=False))


def _descend(
    problem: LassoProblem,
    engine: Engine,
    level: float,
    target: float,
    *,
    newton: bool = True,
    effort: int = 0,
    upper: float = math.inf,
) -> FloatArray:
    """Solve the problem restricted to the columns whose correlation is at least `level` of their threshold."""
    point, penalised = engine.point, problem.penalised
    size = _size(problem, point.correlation)
    wanted = penalised & (size >= level * problem.thresholds)
    if not isinstance(engine.working_set, GramWorkingSet):
        screened = problem.gap_safe(point.projected, point.correlation, upper)
        wanted &= ~screened
        if np.any(point.x[screened] != 0):
            engine.point = point = Point.at(engine.frame, np.where(screened, 0.0, point.x))
    support = np.flatnonzero(penalised & (point.x != 0))
    wanted |= _likely_next(problem, engine, size, wanted)
    engine.add(np.union1d(support, _most_violating(problem, engine, size, np.flatnonzero(wanted), support.size)))
    return engine.working_set.descend(problem, point, target, newton=newton, effort=effort)


def _likely_next(
    problem: LassoProblem, engine: Engine, size: FloatArray, wanted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return columns to add besides those wanted, so that a tall design's Gram matrix grows in few large blocks."""
    extra = np.zeros_like(wanted)
    n, p = engine.frame.A.shape
    costly = engine.working_set.uncached(np.flatnonzero(wanted))
    if n < p or costly.size == 0:
        return extra
    others = engine.working_set.uncached(np.flatnonzero(problem.penalised & ~wanted))
    count = min(max(engine.working_set.size, _FEWEST_NEW) - costly.size, others.size)
    if count > 0:
        near = size[others] / np.maximum(problem.thresholds[others], _TINY)
        extra[others[np.argpartition(-near, count - 1)[:count]]] = True
    return extra


def _most_violating(
    problem: LassoProblem, engine: Engine, size: FloatArray, candidates: npt.NDArray[np.intp], n_support: int
) -> npt.NDArray[np.intp]:
    """Keep the strongest candidates that would cost memory, at most half the support or 64; and all the others."""
    costly = engine.working_set.uncached(candidates)
    limit = max(n_support // 2, _FEWEST_NEW)
    if costly.size <= limit:
        return candidates
    violation = size[costly] / np.maximum(problem.thresholds[costly], _TINY)
    weakest = costly[np.argpartition(-violation, limit)[limit:]]
    return np.setdiff1d(candidates, weakest, assume_unique=True)
