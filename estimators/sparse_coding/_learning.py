"""The steps of dictionary learning: how atoms follow the codes, and which of them are dead.

The loops around them are the estimator's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Learner", "Statistics", "longest_residuals", "settle", "update_atoms"]

FloatArray = npt.NDArray[np.float64]

#: An atom whose codes carry less than this share of the mean energy of an atom is not updated.
_IDLE = 1e-10
#: An atom shorter than this, and a residual shorter than this share of the longest signal, is no direction.
_NOTHING = 1e-10
#: Rounds of updates, and the movement below which they end.
_SWEEPS = 10
_SETTLED = 1e-4
#: An atom is dead if none of so many signals an atom uses it.
_WINDOW = 10


@dataclass(frozen=True, eq=False)
class Statistics:
    """What codes say about a dictionary; the statistics of two sets of signals add up to those of both.

    Attributes
    ----------
    A : array of shape (K, K)
        The sum of ``w^T w`` over the signals.
    B : array of shape (K, d)
        The sum of ``w^T x``.
    use : array of shape (K,)
        How many signals use each atom.
    n_signals : float
        The number of signals.
    objective : float
        The sum of their objectives.
    residuals : array of shape (m, d)
        The longest of the residuals ``x - w D``, at most one for each atom, the longest first.
    """

    A: FloatArray
    B: FloatArray
    use: FloatArray
    n_signals: float
    objective: float
    residuals: FloatArray

    def __add__(self, other: Statistics) -> Statistics:
        residuals = np.vstack([self.residuals, other.residuals])
        longest = np.argsort(-np.linalg.norm(residuals, axis=1), kind="stable")[: len(self.A)]
        return Statistics(
            self.A + other.A,
            self.B + other.B,
            self.use + other.use,
            self.n_signals + other.n_signals,
            self.objective + other.objective,
            residuals[longest],
        )

    def __radd__(self, other: int) -> Statistics:
        return self if other == 0 else NotImplemented  # where ``sum`` begins

    @classmethod
    def of(cls, X: FloatArray, codes: FloatArray, objective: float, residuals: FloatArray | None = None) -> Statistics:
        """Return those of some signals with their codes, with no residuals unless they are given."""
        residuals = X[:0] if residuals is None else residuals
        use = np.count_nonzero(codes, axis=0).astype(np.float64)
        return cls(codes.T @ codes, codes.T @ X, use, float(len(X)), objective, residuals)


def update_atoms(
    D: FloatArray, A: FloatArray, B: FloatArray, random_state: np.random.RandomState, *, positive: bool
) -> npt.NDArray[np.intp]:
    """Minimise over one atom after another, in random order, in the ball of radius 1; return those that vanished.

    With the statistics A and B that is the squared error ``tr(D^T A D) / 2 - tr(B^T D)``; `D` is updated.
    """
    energy = np.diag(A)
    active = np.flatnonzero(energy > _IDLE * energy.mean()) if energy.any() else np.empty(0, dtype=np.intp)
    vanished = []
    for j in random_state.permutation(active):
        atom = D[j] + (B[j] - A[j] @ D) / energy[j]
        if positive:
            np.maximum(atom, 0.0, out=atom)
        length = float(np.sqrt(atom @ atom))
        if length < _NOTHING:
            vanished.append(j)
        else:
            D[j] = atom / max(length, 1.0)
    return np.array(vanished, dtype=np.intp)


def settle(D: FloatArray, A: FloatArray, B: FloatArray, random_state: np.random.RandomState, *, positive: bool) -> None:
    """Update all atoms again and again, until they hardly move."""
    for _ in range(_SWEEPS):
        before = D.copy()
        update_atoms(D, A, B, random_state, positive=positive)
        if np.linalg.norm(D - before) <= _SETTLED * np.linalg.norm(before):
            break


@dataclass
class Learner:
    """A dictionary with the statistics that it was learned from.

    Attributes
    ----------
    D : array of shape (K, d)
        Atoms, in the unit ball.
    A, B : arrays of shape (K, K) and (K, d)
        Decayed sums, over batches, of the means of ``w^T w`` and ``w^T x`` in a batch.
    n_steps : int
        Batches seen.
    waiting : array of shape (K,)
        Signals since each atom was used last, or made.
    """

    D: FloatArray
    A: FloatArray
    B: FloatArray
    n_steps: int
    waiting: FloatArray

    @classmethod
    def begin(cls, D: FloatArray) -> Learner:
        """Return a dictionary that has learned nothing yet."""
        K, d = D.shape
        return cls(D, np.zeros((K, K)), np.zeros((K, d)), 0, np.zeros(K))

    def remember(self, batch: Statistics, forget: float) -> None:
        """Add the statistics of a batch to the decayed ones."""
        self.n_steps += 1
        decay = (1.0 - 1.0 / (self.n_steps + 1)) ** forget
        self.A = decay * self.A + batch.A / batch.n_signals
        self.B = decay * self.B + batch.B / batch.n_signals
        self.waiting = np.where(batch.use > 0, 0.0, self.waiting + batch.n_signals)

    def replace_statistics(self, everything: Statistics, batch_size: int) -> None:
        """Take the statistics of all signals for those of so many batches of the same means."""
        batches = max(1.0, everything.n_signals / batch_size)
        self.n_steps += 1
        self.A = batches * everything.A / everything.n_signals
        self.B = batches * everything.B / everything.n_signals

    def replace_dead(self, dead: npt.NDArray[np.intp], directions: FloatArray) -> None:
        """Give dead atoms new directions, as far as there are any, and forget what they learned."""
        length = np.linalg.norm(directions, axis=1)
        for j, i in zip(dead, np.flatnonzero(length > 0), strict=False):
            self.D[j] = directions[i] / length[i]
            self.A[j, :] = self.A[:, j] = 0.0
            self.B[j] = 0.0
            self.waiting[j] = 0.0

    def dead(self) -> npt.NDArray[np.intp]:
        """Return the atoms that none of the last signals, ten for each atom, used."""
        return np.flatnonzero(self.waiting >= _WINDOW * len(self.D))

    def normalise(self) -> None:
        """Give all atoms length 1; the statistics of codes follow."""
        length = np.linalg.norm(self.D, axis=1)
        length = np.where(length > 0, length, 1.0)
        self.D = self.D / length[:, None]
        self.A = length[:, None] * self.A * length
        self.B = length[:, None] * self.B


def longest_residuals(X: FloatArray, codes: FloatArray, D: FloatArray, count: int, *, positive: bool) -> FloatArray:
    """Return the longest residuals, or positive parts of residuals, the longest first."""
    residuals = np.maximum(X - codes @ D, 0.0) if positive else X - codes @ D
    length = np.linalg.norm(residuals, axis=1)
    longest = np.argsort(-length, kind="stable")[:count]
    # What is left of signals that are described exactly has no direction.
    floor = _NOTHING * np.linalg.norm(X, axis=1).max(initial=0.0)
    return np.asarray(residuals[longest[length[longest] > floor]])
