"""Sparse coders and dictionary learning."""
