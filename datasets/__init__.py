"""Generators of data with known truth, for experiments, benchmarks and tests; nothing is downloaded."""

from .ordinal import make_ordinal_regression
from .regression import make_ill_conditioned_regression, make_sparse_regression, make_text_regression

__all__ = [
    "make_ill_conditioned_regression",
    "make_ordinal_regression",
    "make_sparse_regression",
    "make_text_regression",
]
