"""Data with known truth, and patches of photographs, for experiments, benchmarks and tests; nothing is downloaded."""

from .images import extract_whitened_patches, make_bars, whiten_image
from .ordinal import make_ordinal_regression
from .regression import make_ill_conditioned_regression, make_sparse_regression, make_text_regression

__all__ = [
    "extract_whitened_patches",
    "make_bars",
    "make_ill_conditioned_regression",
    "make_ordinal_regression",
    "make_sparse_regression",
    "make_text_regression",
    "whiten_image",
]
