"""Pictures of what was fitted, in the manner of scikit-learn's displays; matplotlib is imported when they are drawn."""

from .coefficient_path import CoefficientPathDisplay
from .dictionary import DictionaryDisplay
from .gabor import GaborDisplay
from .objective_history import ObjectiveHistoryDisplay
from .presto import PrestoDisplay
from .sparse_coding import AtomUsageDisplay, SparsityErrorDisplay

__all__ = [
    "AtomUsageDisplay",
    "CoefficientPathDisplay",
    "DictionaryDisplay",
    "GaborDisplay",
    "ObjectiveHistoryDisplay",
    "PrestoDisplay",
    "SparsityErrorDisplay",
]
