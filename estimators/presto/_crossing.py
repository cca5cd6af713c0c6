"""Repair of boundaries that cross: predictors that should not increase from one boundary to the next, but do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import isotonic_regression

from ...solvers.ordinal.links import class_probabilities, cumulative_probabilities, quantile

__all__ = ["CROSSINGS", "crosses", "ordered_predictors", "raw_probabilities"]

FloatArray = npt.NDArray[np.float64]

#: The ways of repairing, and ``"raw"`` for none.
CROSSINGS = ("rare", "isotonic", "sort", "raw")


def crosses(eta: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell for each row whether some boundary's predictor exceeds that of the boundary below."""
    return np.asarray(np.any(eta[:, :-1] < eta[:, 1:], axis=1))


def ordered_predictors(eta: FloatArray, crossing: str, link: str, *, rare_first: bool) -> FloatArray:
    """Return predictors that do not increase along a row.

    Parameters
    ----------
    eta : array of shape (n, m)
        Linear predictors of ``P(y > k - 1)``.
    crossing : {"rare", "isotonic", "sort", "raw"}
        ``"rare"`` keeps the boundary of the rare class and moves the others, ``"sort"`` sorts, ``"isotonic"`` projects
        the probabilities in least squares; ``"raw"`` repairs like ``"rare"``.
    link : str
        Name of the link.
    rare_first : bool
        Whether the first class is the rare one.
    """
    rows = crosses(eta)
    if not rows.any():
        return eta
    repaired = eta.copy()
    if crossing == "sort":
        repaired[rows] = -np.sort(-eta[rows], axis=1)
    elif crossing == "isotonic":
        q = cumulative_probabilities(eta[rows], link)
        repaired[rows] = quantile([isotonic_regression(row, increasing=False) for row in q], link)
    elif rare_first:
        repaired[rows] = np.minimum.accumulate(eta[rows], axis=1)
    else:
        repaired[rows] = np.maximum.accumulate(eta[rows, ::-1], axis=1)[:, ::-1]
    return repaired


def raw_probabilities(eta: FloatArray, link: str) -> FloatArray:
    """Return the class probabilities without a repair: rows that cross have negative entries, and sum to 1."""
    rows, probabilities = crosses(eta), np.empty((eta.shape[0], eta.shape[1] + 1))
    probabilities[~rows] = class_probabilities(eta[~rows], link)
    q = cumulative_probabilities(eta[rows], link)
    ones, zeros = np.ones((q.shape[0], 1)), np.zeros((q.shape[0], 1))
    probabilities[rows] = -np.diff(np.hstack([ones, q, zeros]), axis=1)
    return probabilities
