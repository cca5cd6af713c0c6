"""The loops of dictionary learning: online, in batches of everything, and by gradient steps.

What a step does to the atoms is in `_learning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...penalties import Penalty
from ...solvers import Solution, Solver
from ...solvers.sparse_coding import SparseCodingProblem
from ...solvers.sparse_coding.ista import ISTA
from ...solvers.sparse_coding.working_set_cd import WorkingSetCD
from ._learning import Learner, Statistics, settle, update_atoms

__all__ = ["Run", "batches", "split"]

FloatArray = npt.NDArray[np.float64]

#: Tolerance of the codes that a dictionary is learned from.
_CODE_TOL = 1e-6
#: The dictionary counts as settled if it moves by this share of the tolerance.
_STILL = 1e-3
#: Of the paper mode: the rate of the dictionary, and the step, the number and the resting point of coding steps.
_PAPER_RATE = 5e-3
_PAPER_STEP = 0.05
_PAPER_STEPS = 5000
_PAPER_REST = 1e-2


def batches(order: npt.NDArray[np.intp], size: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield parts of so many signals, the last one with what is left."""
    for first in range(0, order.size, size):
        yield order[first : first + size]


def split(X: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the positive and the negative parts of signals side by side."""
    return np.hstack([np.maximum(X, 0), np.maximum(-X, 0)])


class Run:
    """One run of learning.

    Parameters
    ----------
    settings : LqDictionaryLearning
        Its parameters are read.
    learner : Learner
        The dictionary.
    solver : Solver
        The coder.
    choice : str
        Why ``"auto"`` chose it.
    penalty : Penalty
        Of the codes.
    random_state : RandomState
        Source of randomness.

    Attributes
    ----------
    history : list of float
        The mean objective of the signals of each update.
    usage : array of shape (K,)
        The share of signals that used each atom, over the pass.
    last : Solution or None
        The codes of the last update.
    worst : list of Solution
        The codes with the largest certificate so far, if there are any.
    """

    def __init__(
        self,
        settings: Any,
        learner: Learner,
        solver: Solver[Any, Any],
        choice: str,
        penalty: Penalty,
        random_state: np.random.RandomState,
    ) -> None:
        self.settings, self.learner, self.solver, self.choice = settings, learner, solver, choice
        self.penalty, self.random_state = penalty, random_state
        self.history: list[float] = []
        self.usage = np.zeros(len(learner.D))
        self.last: Solution[FloatArray] | None = None
        self.worst: list[Solution[FloatArray]] = []
        self._use, self._seen = np.zeros(len(learner.D)), 0.0
        self._smooth: float | None = None
        self._best, self._calm = np.inf, 0

    def steps(self, X: FloatArray) -> Iterator[int]:
        """Update the dictionary, and yield the number of passes after each update, until it settles."""
        if self.settings.method == "batch":
            return self._all_signals(X)
        return self._batchwise(X)

    def encode(self, X: FloatArray, start: FloatArray | None = None) -> Solution[FloatArray]:
        """Return the codes of signals in the present dictionary."""
        problem = SparseCodingProblem(X=X, D=self.learner.D, penalty=self.penalty, positive=self.settings.positive_code)
        found = self.solver.solve(problem, start=start, tol=_CODE_TOL)
        if start is not None:
            worse = problem.objectives(start) < problem.objectives(found.x)
            if worse.any():
                # Continuation has left the codes before for worse ones: descend from these instead.
                descent = self.solver if problem.compiled is None else WorkingSetCD(n_jobs=self.settings.n_jobs)
                found = descent.solve(problem, start=np.where(worse[:, None], start, found.x), tol=_CODE_TOL)
        if found.status == "interrupted":
            raise KeyboardInterrupt
        return replace(found, choice=self.choice).compact()

    def online_step(self, X: FloatArray) -> None:
        """Encode a batch, remember its statistics, and bring every atom to its best place."""
        codes = self.encode(X)
        batch = Statistics.of(X, codes.x, codes.objective)
        self._record(codes, batch)
        learner, positive = self.learner, self.settings.positive_dict
        learner.remember(batch, self.settings.forget)
        vanished = update_atoms(learner.D, learner.A, learner.B, self.random_state, positive=positive)
        if self.settings.dead_atoms is not None:
            dead = np.union1d(learner.dead(), vanished)
            how = self.settings.dead_atoms
            learner.replace_dead(dead, X, codes.x, how, self.random_state, positive=positive)

    def _batchwise(self, X: FloatArray) -> Iterator[int]:
        paper = self.settings.method == "paper"
        step = self._paper_step if paper else self.online_step
        passes, limit = 0, self.settings.max_iter
        weight = min(1.0, 2.0 * self.settings.batch_size / (len(X) + 1))
        while True:
            passes += 1
            self._use[:], self._seen = 0.0, 0.0
            order = self.random_state.permutation(len(X)) if self.settings.shuffle else np.arange(len(X))
            for batch in batches(order, self.settings.batch_size):
                before = self.learner.D.copy()
                step(X[batch])
                yield passes
                if self._settled(before, weight) or (paper and len(self.history) == limit):
                    return
            if not paper and passes == limit:
                return

    def _all_signals(self, X: FloatArray) -> Iterator[int]:
        learner, settings = self.learner, self.settings
        codes: FloatArray | None = None
        for passes in range(1, settings.max_iter + 1):
            before = learner.D.copy()
            found = self.encode(X, codes)
            codes = found.x
            everything = Statistics.of(X, codes, found.objective)
            self._use[:], self._seen = 0.0, 0.0
            self._record(found, everything)
            learner.n_steps += 1
            learner.A, learner.B = everything.A / len(X), everything.B / len(X)
            settle(learner.D, learner.A, learner.B, self.random_state, positive=settings.positive_dict)
            unused = np.flatnonzero(everything.use == 0)
            if settings.dead_atoms is not None and unused.size:
                how, positive = settings.dead_atoms, settings.positive_dict
                learner.replace_dead(unused, X, codes, how, self.random_state, positive=positive)
            yield passes
            if self._settled(before, 1.0):
                return

    def _paper_step(self, X: FloatArray) -> None:
        """Take a gradient step on the squared error of a batch, from atoms of length 1."""
        learner = self.learner
        learner.normalise()
        coder = ISTA(step=_PAPER_STEP, rest=_PAPER_REST, polish=False, max_iter=_PAPER_STEPS)
        problem = SparseCodingProblem(X=X, D=learner.D, penalty=self.penalty, positive=self.settings.positive_code)
        codes = coder.solve(problem, tol=_CODE_TOL).compact()
        self._record(codes, Statistics.of(X, codes.x, codes.objective))
        self.worst = []  # these codes are meant to stop early
        learner.n_steps += 1
        learner.D = learner.D + _PAPER_RATE * codes.x.T @ (X - codes.x @ learner.D)
        if self.settings.positive_dict:
            learner.D = np.maximum(learner.D, 0.0)

    def _record(self, codes: Solution[FloatArray], batch: Statistics) -> None:
        self.history.append(batch.objective / batch.n_signals)
        self._use, self._seen = self._use + batch.use, self._seen + batch.n_signals
        self.usage = self._use / self._seen
        self.last = codes
        self.worst = [max([*self.worst, codes], key=lambda solution: solution.certificate.relative)]

    def _settled(self, before: FloatArray, weight: float) -> bool:
        """Whether the smoothed objective has stopped to fall, or the dictionary hardly moved."""
        tol, now = self.settings.tol, self.history[-1]
        self._smooth = now if self._smooth is None else weight * now + (1 - weight) * self._smooth
        if self._smooth < self._best * (1 - tol):
            self._best, self._calm = self._smooth, 0
        else:
            self._calm += 1
        still = np.linalg.norm(self.learner.D - before) <= _STILL * tol * np.linalg.norm(before)
        return bool(tol > 0 and (still or self._calm >= self.settings.n_iter_no_change))
