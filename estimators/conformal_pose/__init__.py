"""Conformal prediction: calibrated sets around any regressor, for all outputs of a row, or all keypoints, at once."""

from ...solvers.pose_bound.p3p import p3p
from ...solvers.pose_bound.rotations import chordal_mean, rotation_angle
from ._pose_bounds import PoseBounds
from .heatmaps import clean_heatmap, heatmap_moments, heatmap_peaks
from .keypoints import ConformalKeypointDetector
from .pose import ConformalPoseEstimator
from .pose_set import PoseUncertaintySet
from .quantile import conformal_quantile
from .regressor import ConformalRegressor
from .sets import KeypointSets, SetPrediction

__all__ = [
    "ConformalKeypointDetector",
    "ConformalPoseEstimator",
    "ConformalRegressor",
    "KeypointSets",
    "PoseBounds",
    "PoseUncertaintySet",
    "SetPrediction",
    "chordal_mean",
    "clean_heatmap",
    "conformal_quantile",
    "heatmap_moments",
    "heatmap_peaks",
    "p3p",
    "rotation_angle",
]
