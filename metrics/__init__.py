"""Losses of predicted probabilities, scorers that ask fitted classifiers for what these need, and measures of codes."""

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
from .sparse import (
    GaborFit,
    circular_variance,
    fit_gabor,
    gini_index,
    hoyer_sparsity,
    lifetime_sparseness,
    mean_active,
    population_sparseness,
    reconstruction_error,
)

__all__ = [
    "GaborFit",
    "OrdinalScorer",
    "brier_score_multi",
    "brier_scorer",
    "circular_variance",
    "equal_frequency_calibration_error",
    "fit_gabor",
    "gini_index",
    "hoyer_sparsity",
    "lifetime_sparseness",
    "log_loss_scorer",
    "mean_active",
    "population_sparseness",
    "ranked_probability_score",
    "ranked_probability_scorer",
    "rare_brier",
    "rare_brier_scorer",
    "rare_log_loss",
    "rare_log_loss_scorer",
    "reconstruction_error",
]
