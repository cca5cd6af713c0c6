"""Ordinal classifiers: PRESTO, proportional odds and separate logistic regressions."""
