"""Losses of predicted probabilities, and scorers that ask fitted classifiers for what these losses need."""

from .ordinal import (
    brier_score_multi,
    equal_frequency_calibration_error,
    ranked_probability_score,
    rare_brier,
    rare_log_loss,
)
from .scorers import (
    OrdinalScorer,
    brier_scorer,
    log_loss_scorer,
    ranked_probability_scorer,
    rare_brier_scorer,
    rare_log_loss_scorer,
)

__all__ = [
    "OrdinalScorer",
    "brier_score_multi",
    "brier_scorer",
    "equal_frequency_calibration_error",
    "log_loss_scorer",
    "ranked_probability_score",
    "ranked_probability_scorer",
    "rare_brier",
    "rare_brier_scorer",
    "rare_log_loss",
    "rare_log_loss_scorer",
]
