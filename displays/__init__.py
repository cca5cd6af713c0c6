"""Pictures of what was fitted, in the manner of scikit-learn's displays; matplotlib is imported when they are drawn."""

from .coefficient_path import CoefficientPathDisplay
from .presto import PrestoDisplay

__all__ = ["CoefficientPathDisplay", "PrestoDisplay"]
