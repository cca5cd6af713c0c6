"""Newton steps of the Lasso through a QR factorisation, for supports too ill conditioned for a Gram matrix."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from .frame import FloatArray

__all__ = ["polish"]

_RANK_FLOOR = 1e-10
_STEPS = 100
#: Multiplications after which no further factorisation begins.
_BUDGET = 1e9


def polish(
    design: FloatArray,
    response: FloatArray,
    coef: FloatArray,
    threshold: FloatArray,
    ridge: FloatArray,
    positive: bool,
) -> FloatArray:
    """Take Newton steps on a support, each cut where a line search over the sign changes says so, until one is full.

    Parameters
    ----------
    design : array of shape (n, s)
        The columns of the support.
    response : array of shape (n,)
        The response.
    coef : array of shape (s,)
        Their coefficients, none of them 0.
    threshold, ridge : arrays of shape (s,)
        Strengths of the l1 and of the squared penalty.
    positive : bool
        Whether coefficients must stay nonnegative.

    Returns
    -------
    coef : array of shape (s,)
        Coefficients of no larger objective; dependent columns were reduced to an independent subset.
    """
    if np.any(ridge > 0):
        # The squared penalty as extra rows; the loss stays divided by the n of the data.
        design = np.vstack([design, np.diag(np.sqrt(response.size * ridge))])
        response = np.concatenate([response, np.zeros(coef.size)])
        threshold = threshold * ((response.size - coef.size) / response.size)
    coef, full, work = coef.copy(), False, 0.0
    for _ in range(_STEPS):
        support = np.flatnonzero(coef)
        if full or support.size == 0 or work > _BUDGET:
            break
        work += float(response.size) * support.size**2
        coef[support], full = _newton_step(design[:, support], response, coef[support], threshold[support], positive)
    return coef


def _newton_step(
    design: FloatArray, response: FloatArray, coef: FloatArray, threshold: FloatArray, positive: bool
) -> tuple[FloatArray, bool]:
    """Return the point after one step, and whether the step was full."""
    n = response.size
    q, r, order = linalg.qr(design, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    rank = int((diagonal > _RANK_FLOOR * diagonal[0]).sum())
    moved = coef.copy()
    if rank < coef.size:
        null = np.zeros(coef.size)
        null[:rank] = -linalg.solve_triangular(r[:rank, :rank], r[:rank, rank])
        null[rank] = 1.0
        moved[order] = _leave_along(coef[order], null, threshold[order])
        return moved, False
    dual = linalg.solve_triangular(r, (threshold * np.sign(coef))[order], trans="T")
    direction = linalg.solve_triangular(r, q.T @ (response - design @ coef) - n * dual)
    decrease = float(np.square(r @ direction).sum()) / n
    moved[order], full = _line_search(coef[order], direction, threshold[order], decrease, positive)
    return moved, full


def _leave_along(coef: FloatArray, null: FloatArray, threshold: FloatArray) -> FloatArray:
    """Move along a direction that leaves the fit unchanged and does not raise the penalty until a coefficient is 0."""
    if threshold @ (np.sign(coef) * null) > 0:
        null = -null
    shrinking = coef * null < 0
    if not shrinking.any():
        null, shrinking = -null, coef * null > 0
    steps = np.full(coef.size, np.inf)
    steps[shrinking] = -coef[shrinking] / null[shrinking]
    leaving = int(np.argmin(steps))
    moved: FloatArray = coef + steps[leaving] * null
    moved[leaving] = 0.0
    return moved


def _line_search(
    coef: FloatArray, direction: FloatArray, threshold: FloatArray, decrease: float, positive: bool
) -> tuple[FloatArray, bool]:
    """Take the best step in ``[0, 1]`` along a Newton direction, over sign changes; say whether it was 1."""
    crossing = np.flatnonzero(coef * direction < 0)
    steps = -coef[crossing] / direction[crossing]
    jumps = 0.0
    for index in np.argsort(steps, kind="stable"):
        step, j = float(steps[index]), crossing[index]
        if step >= 1 or 1 - jumps / max(decrease, np.finfo(float).tiny) <= step:
            break
        jumps += 2 * threshold[j] * abs(direction[j])
        if positive or jumps >= (1 - step) * decrease:
            moved: FloatArray = coef + step * direction
            moved[j] = 0.0
            return _clipped(moved, positive), False
    step = min(max(1 - jumps / decrease, 0.0), 1.0) if decrease > 0 else 0.0
    return _clipped(coef + step * direction, positive), jumps == 0


def _clipped(coef: FloatArray, positive: bool) -> FloatArray:
    return np.maximum(coef, 0.0) if positive else coef
