"""The steps of dictionary learning: where to begin, how atoms follow the codes, which of them are dead.

The loops around them are the estimator's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.utils.extmath import randomized_svd

__all__ = ["Learner", "Statistics", "initial_dictionary", "settle", "update_atoms"]

FloatArray = npt.NDArray[np.float64]

#: An atom whose codes carry less than this share of the mean energy of an atom is not updated.
_IDLE = 1e-10
#: A new atom shorter than this is no direction.
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
    """

    A: FloatArray
    B: FloatArray
    use: FloatArray
    n_signals: float
    objective: float

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.A + other.A,
            self.B + other.B,
            self.use + other.use,
            self.n_signals + other.n_signals,
            self.objective + other.objective,
        )

    def __radd__(self, other: int) -> Statistics:
        return self if other == 0 else NotImplemented  # where ``sum`` begins

    @classmethod
    def of(cls, X: FloatArray, codes: FloatArray, objective: float) -> Statistics:
        """Return those of some signals with their codes."""
        use = np.count_nonzero(codes, axis=0).astype(np.float64)
        return cls(codes.T @ codes, codes.T @ X, use, float(len(X)), objective)


def initial_dictionary(
    X: FloatArray, n_components: int, init: str | FloatArray, random_state: np.random.RandomState, *, positive: bool
) -> FloatArray:
    """Return atoms of length 1 to begin with.

    Parameters
    ----------
    X : array of shape (n, d)
        Signals.
    n_components : int
        The number K of atoms.
    init : {"data", "random", "svd"} or array of shape (K, d)
        Distinct signals, Gaussian directions, right singular vectors (then random ones), or the atoms themselves.
    random_state : RandomState
        Source of randomness.
    positive : bool
        Whether atoms are nonnegative.
    """
    D = _directions(X, n_components, init, random_state)
    if positive:
        D = np.abs(D) if isinstance(init, str) else np.maximum(D, 0.0)
    norm = np.linalg.norm(D, axis=1)
    empty = norm <= _NOTHING
    D[empty] = np.abs(random_state.standard_normal((int(empty.sum()), D.shape[1])))
    return np.asarray(D / np.linalg.norm(D, axis=1, keepdims=True))


def _directions(
    X: FloatArray, n_components: int, init: str | FloatArray, random_state: np.random.RandomState
) -> FloatArray:
    d = X.shape[1]
    if not isinstance(init, str):
        if init.shape != (n_components, d):
            raise ValueError(f"init has shape {init.shape}, but there are {n_components} components and {d} features.")
        return np.array(init, dtype=np.float64)
    if init == "data":
        scale = np.abs(X).max(axis=1, keepdims=True)
        directions = np.unique((X / np.where(scale > 0, scale, 1.0))[scale[:, 0] > 0], axis=0)
        if len(directions) >= n_components:
            return directions[random_state.choice(len(directions), n_components, replace=False)]
        warnings.warn(
            f"init='data' needs {n_components} different signals that are not 0, and X has {len(directions)}: random "
            "atoms are used instead.",
            UserWarning,
            stacklevel=6,
        )
    D = random_state.standard_normal((n_components, d))
    if init == "svd":
        rank = min(n_components, *X.shape)
        _, values, vectors = randomized_svd(X, rank, random_state=random_state)
        vectors = vectors[values > 1e-10 * values.max(initial=0.0)]
        places = np.abs(vectors).argmax(axis=1)
        D[: len(vectors)] = vectors * np.sign(vectors[np.arange(len(vectors)), places])[:, None]
    return D


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
        Decayed means of ``w^T w`` and ``w^T x``.
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

    def replace_dead(
        self,
        dead: npt.NDArray[np.intp],
        X: FloatArray,
        codes: FloatArray,
        how: str,
        random_state: np.random.RandomState,
        *,
        positive: bool,
    ) -> None:
        """Give dead atoms the direction of the worst residuals, or of random signals, and forget what they learned."""
        candidates = X - codes @ self.D if how == "residual" else X
        candidates = np.maximum(candidates, 0.0) if positive else candidates
        length = np.linalg.norm(candidates, axis=1)
        usable = np.flatnonzero(length > _NOTHING)
        order = usable[np.argsort(-length[usable])] if how == "residual" else random_state.permutation(usable)
        for j, i in zip(dead, order, strict=False):
            self.D[j] = candidates[i] / length[i]
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
