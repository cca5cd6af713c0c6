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
from ._learning import Learner, Statistics, longest_residuals, settle, update_atoms

__all__ = ["Run", "batches", "split"]

FloatArray = npt.NDArray[np.float64]

#: Tolerance of the codes that a dictionary is learned from.
_CODE_TOL = 1e-6
#: The dictionary counts as still if it moves by this share of the tolerance.
_STILL = 1e-3
#: Of the paper mode: the rate of the dictionary, and the step, the number and the resting point of coding steps.
_PAPER_RATE = 5e-3
_PAPER_STEP = 0.05
_PAPER_STEPS = 5000
#: Coding steps are shorter where that is needed for them to descend.
_SHORTER = 0.99
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
        self._updates, self._smooth = 0, 0.0
        self._best, self._calm, self._still = np.inf, 0, 0

    def steps(self, X: FloatArray) -> Iterator[int]:
        """Update the dictionary, and yield the number of passes after each update, until it settles."""
        if self.settings.method == "batch":
            return self._all_signals(X)
        return self._batchwise(X)

    def encode(self, X: FloatArray, start: FloatArray | None = None) -> Solution[FloatArray]:
        """Return the codes of signals in the present dictionary."""
        problem = SparseCodingProblem(X=X, D=self.learner.D, penalty=self.penalty, positive=self.settings.positive_code)
        # From the codes before, a descent would only reach the minimum next to them.
        convex = self.penalty.is_convex
        found = self.solver.solve(problem, start=start if convex else None, tol=_CODE_TOL)
        if start is not None and not convex:
            worse = problem.objectives(start) < problem.objectives(found.x)
            if worse.any():
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
        self._replace(np.union1d(learner.dead(), vanished), X, codes.x)

    def _replace(self, dead: npt.NDArray[np.intp], X: FloatArray, codes: FloatArray) -> None:
        """Give dead atoms the directions of the longest residuals, or of random signals."""
        learner, how, positive = self.learner, self.settings.dead_atoms, self.settings.positive_dict
        if how is None or not dead.size:
            return
        if how == "residual":
            directions = longest_residuals(X, codes, learner.D, dead.size, positive=positive)
        else:
            directions = X[self.random_state.permutation(len(X))]
            directions = np.maximum(directions, 0.0) if positive else directions
        learner.replace_dead(dead, directions)

    def _batchwise(self, X: FloatArray) -> Iterator[int]:
        paper = self.settings.method == "paper"
        step = self._paper_step if paper else self.online_step
        passes, limit = 0, self.settings.max_iter
        updates = -(-len(X) // self.settings.batch_size)
        while True:
            passes += 1
            self._use[:], self._seen = 0.0, 0.0
            order = self.random_state.permutation(len(X)) if self.settings.shuffle else np.arange(len(X))
            for batch in batches(order, self.settings.batch_size):
                before = self.learner.D.copy()
                step(X[batch])
                yield passes
                if self._settled(before, updates) or (paper and len(self.history) == limit):
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
            learner.replace_statistics(everything, settings.batch_size)
            settle(learner.D, learner.A, learner.B, self.random_state, positive=settings.positive_dict)
            self._replace(np.flatnonzero(everything.use == 0), X, codes)
            yield passes
            if self._settled(before, 1):
                return

    def _paper_step(self, X: FloatArray) -> None:
        """Take a gradient step on the squared error of a batch, from atoms of length 1."""
        learner = self.learner
        learner.normalise()
        problem = SparseCodingProblem(X=X, D=learner.D, penalty=self.penalty, positive=self.settings.positive_code)
        step = min(_PAPER_STEP, _SHORTER / problem.dictionary.lipschitz)
        coder = ISTA(step, _PAPER_REST, polish=False, max_iter=_PAPER_STEPS, n_jobs=self.settings.n_jobs)
        codes = coder.solve(problem, tol=_CODE_TOL).compact()
        self._record(codes, Statistics.of(X, codes.x, codes.objective))
        self.worst = []  # these codes are meant to stop early
        learner.n_steps += 1
        learner.D = learner.D + _PAPER_RATE * codes.x.T @ (X - codes.x @ learner.D)
        if self.settings.positive_dict:
            learner.D = np.maximum(learner.D, 0.0)
        with np.errstate(over="ignore"):
            length = np.linalg.norm(learner.D, axis=1)
        if not np.all(np.isfinite(length) & (length > 0)):
            raise ValueError(
                "method='paper' takes steps of a fixed length, with which the dictionary diverged: whiten and scale the"
                " signals, or use method='online'."
            )

    def _record(self, codes: Solution[FloatArray], batch: Statistics) -> None:
        self.history.append(batch.objective / batch.n_signals)
        self._use, self._seen = self._use + batch.use, self._seen + batch.n_signals
        self.usage = self._use / self._seen
        self.last = codes
        self.worst = [max([*self.worst, codes], key=lambda solution: solution.certificate.relative)]

    def _settled(self, before: FloatArray, a_pass: int) -> bool:
        """Whether the smoothed objective has stopped to fall, or the dictionary to move.

        `a_pass` is the number of updates in a pass: the objective is smoothed over about half of one, the whole first
        pass counts as one value, and what has not happened in less than it was smoothed over says nothing.
        """
        tol, now = self.settings.tol, self.history[-1]
        self._updates += 1
        span = (a_pass + 1) / 2
        self._smooth += (now - self._smooth) / (span if self._updates > a_pass else self._updates)
        still = np.linalg.norm(self.learner.D - before) <= _STILL * tol * np.linalg.norm(before)
        self._still = self._still + 1 if still else 0
        if self._updates < a_pass:
            return False
        if self._smooth < self._best * (1 - tol):
            self._best, self._calm = self._smooth, 0
        else:
            self._calm += 1
        patience = max(self.settings.n_iter_no_change, span)
        return bool(tol > 0 and (self._still >= a_pass or self._calm >= patience))
