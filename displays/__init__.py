"""Pictures of what was fitted, in the manner of scikit-learn's displays; matplotlib is imported when they are drawn."""

from .bound_error import BoundErrorDisplay
from .coefficient_path import CoefficientPathDisplay
from .dictionary import DictionaryDisplay
from .gabor import GaborDisplay
from .heatmap import HeatmapDisplay
from .keypoint_sets import KeypointSetsDisplay
from .objective_history import ObjectiveHistoryDisplay
from .pose_set import PoseSetDisplay
from .presto import PrestoDisplay
from .sparse_coding import AtomUsageDisplay, SparsityErrorDisplay

__all__ = [
    "AtomUsageDisplay",
    "BoundErrorDisplay",
    "CoefficientPathDisplay",
    "DictionaryDisplay",
    "GaborDisplay",
    "HeatmapDisplay",
    "KeypointSetsDisplay",
    "ObjectiveHistoryDisplay",
    "PoseSetDisplay",
    "PrestoDisplay",
    "SparsityErrorDisplay",
]
