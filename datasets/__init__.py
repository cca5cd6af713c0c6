"""Data with known truth, and patches of photographs, for experiments, benchmarks and tests; nothing is downloaded."""

from .images import extract_whitened_patches, make_bars, whiten_image
from .keypoints import make_keypoint_pose_dataset
from .ordinal import make_ordinal_regression
from .regression import make_ill_conditioned_regression, make_sparse_regression, make_text_regression
from .textured_plane import make_textured_plane_dataset

__all__ = [
    "extract_whitened_patches",
    "make_bars",
    "make_ill_conditioned_regression",
    "make_keypoint_pose_dataset",
    "make_ordinal_regression",
    "make_sparse_regression",
    "make_text_regression",
    "make_textured_plane_dataset",
    "whiten_image",
]
