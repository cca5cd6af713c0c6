"""The nonconformity of rows: how far y is from a prediction, and the sets that a threshold of it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._targets import TargetLayout
from ._unit_sets import UnitSet

__all__ = ["Nonconformity"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nonconformity:
    """A score of rows: that of a unit set, over a scale of the row where there is one, or a function of the user.

    Attributes
    ----------
    layout : TargetLayout
        The layout of y and of predictions.
    unit : UnitSet or None
        The set of residuals whose score is at most 1; None for a function.
    function : callable or None
        ``function(y, predictions)`` returns one score a row.
    """

    layout: TargetLayout
    unit: UnitSet | None
    function: Callable[[Any, Any], Any] | None = None

    def score(self, y: FloatArray, predictions: FloatArray, row_scales: FloatArray | None = None) -> FloatArray:
        """Return one score a row, larger for a y further from its prediction.

        Raises
        ------
        ValueError
            If a function returns something else than one number a row, which is not NaN or ``-inf``.
        """
        if self.unit is None:
            return self._function_scores(y, predictions)
        scores = self.unit.score(self.layout.blocks(y) - self.layout.blocks(predictions))
        if row_scales is None:
            return scores
        with np.errstate(over="ignore"):
            return scores / row_scales

    def radii(self, thresholds: FloatArray, row_scales: FloatArray | None = None) -> FloatArray:
        """Return by how much the unit set is scaled in each row."""
        radii = self.shape("the sets").radii(thresholds)
        return radii if row_scales is None else radii * row_scales

    def half_widths(self, radii: FloatArray) -> FloatArray:
        """Return half of the extent of sets along the coordinates, of the shape of predictions."""
        widths = self.shape("intervals").half_widths().reshape(self.layout.shape)
        return radii.reshape(radii.shape + (1,) * widths.ndim) * widths

    def shape(self, what: str) -> UnitSet:
        """Return the unit set.

        Raises
        ------
        ValueError
            If the score is a function: its sets have no known shape.
        """
        if self.unit is None:
            raise ValueError(
                f"score is a function, {self.function!r}: {what} of an unknown shape cannot be computed. `contains`, "
                "predict_pvalue and coverage work; for the others choose 'ellipse', 'box', 'ball' or 'abs'."
            )
        return self.unit

    def _function_scores(self, y: FloatArray, predictions: FloatArray) -> FloatArray:
        assert self.function is not None
        scores = np.asarray(self.function(y, predictions), dtype=np.float64)
        if scores.shape != (y.shape[0],):
            raise ValueError(
                f"score returned shape {scores.shape} for {y.shape[0]} rows: it must return one number a row."
            )
        if not np.all(scores > -np.inf):
            bad = int(np.flatnonzero(~(scores > -np.inf))[0])
            raise ValueError(f"score returned {scores[bad]} for row {bad}: it must return numbers, or inf.")
        return scores
