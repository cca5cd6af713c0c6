"""Poses that are consistent with uncertain keypoints: their geometry, random members, and bounds on their errors."""

from __future__ import annotations

from collections.abc import Container, Mapping

from .cones import KeypointCones
from .problem import Pose, PoseBoundProblem

__all__ = ["BACKENDS", "PROBLEM", "KeypointCones", "Pose", "PoseBoundProblem", "choose"]

PROBLEM = PoseBoundProblem

BACKENDS: Mapping[str, str] = {
    "bnb": ".bnb:Bnb",
    "local": ".local:Local",
    "moment2": ".moment2:Moment2",
    "moment2_cvxpy": ".moment2_cvxpy:Moment2CVXPY",
    "sampling": ".sample:Sampling",
    "shor": ".shor:Shor",
}


def choose(problem: PoseBoundProblem, qualified: Container[str]) -> tuple[str, str]:
    """Return the backend that ``"auto"`` means for `problem`, and why."""
    if "bnb" in qualified:
        return "bnb", "it proves tight bounds, and the fastest"
    raise ValueError("No installed backend can solve this problem.")
