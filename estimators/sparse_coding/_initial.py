"""Where dictionary learning begins: signals, random directions, singular vectors, or given atoms."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.utils.extmath import randomized_svd

__all__ = ["initial_dictionary"]

FloatArray = npt.NDArray[np.float64]

#: Singular vectors of singular values below this share of the largest are rounding errors.
_RANK = 1e-10
#: Directions whose cosine is this close to 1 are the same.
_SAME = 1e-10
#: Signals that are looked at together.
_ROWS = 256


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
        Signals of different directions, Gaussian directions, right singular vectors (then random ones), or the atoms
        themselves.
    random_state : RandomState
        Source of randomness.
    positive : bool
        Whether atoms are nonnegative.

    Raises
    ------
    ValueError
        If an array has another shape, or a row that is 0.
    """
    if not isinstance(init, str):
        return _given(init, (n_components, X.shape[1]), positive=positive)
    D = _different(np.abs(X) if positive else X, n_components, random_state) if init == "data" else None
    if D is None:
        D = random_state.standard_normal((n_components, X.shape[1]))
        if init == "svd":
            vectors = _singular_vectors(X, n_components, random_state)
            D[: len(vectors)] = vectors
    return _unit(np.abs(D) if positive else D)


def _given(init: FloatArray, shape: tuple[int, int], *, positive: bool) -> FloatArray:
    if init.shape != shape:
        raise ValueError(f"init has shape {init.shape}, and is to have a row for each atom: {shape}.")
    D = np.maximum(init, 0.0) if positive else init
    zero = np.flatnonzero(~D.any(axis=1))
    if zero.size:
        what = "no positive entry, and positive_dict=True" if positive else "no entry that is not 0"
        raise ValueError(f"init has atoms without a direction: row {zero[0]} has {what}.")
    return _unit(D)


def _unit(D: FloatArray) -> FloatArray:
    """Return the rows over their lengths, whatever their scale."""
    D = D / np.abs(D).max(axis=1, keepdims=True)
    return np.asarray(D / np.linalg.norm(D, axis=1, keepdims=True))


def _different(X: FloatArray, count: int, random_state: np.random.RandomState) -> FloatArray | None:
    """Return random signals that span different lines, or None, with a warning, if there are too few."""
    order = random_state.permutation(np.flatnonzero(X.any(axis=1)))
    chosen = np.empty((0, X.shape[1]))
    for first in range(0, order.size, _ROWS):
        rows = _unit(X[order[first : first + _ROWS]])
        rows = rows[np.all(np.abs(rows @ chosen.T) < 1 - _SAME, axis=1)]
        cosines, kept = np.abs(rows @ rows.T), np.ones(len(rows), dtype=bool)
        for i in range(1, len(rows)):
            kept[i] = not np.any(cosines[i, :i][kept[:i]] >= 1 - _SAME)
        chosen = np.vstack([chosen, rows[kept]])
        if len(chosen) >= count:
            return chosen[:count]
    warnings.warn(
        f"init='data' needs {count} signals of different directions, and X has {len(chosen)}: random atoms are used "
        "instead.",
        UserWarning,
        stacklevel=7,
    )
    return None


def _singular_vectors(X: FloatArray, count: int, random_state: np.random.RandomState) -> FloatArray:
    """Return right singular vectors, with positive largest entries, of singular values that are not 0."""
    _, values, vectors = randomized_svd(X, min(count, *X.shape), random_state=random_state)
    vectors = vectors[values > _RANK * values.max(initial=0.0)]
    places = np.abs(vectors).argmax(axis=1)
    return np.asarray(vectors * np.sign(vectors[np.arange(len(vectors)), places])[:, None])
