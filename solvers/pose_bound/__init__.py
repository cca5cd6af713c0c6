"""Poses that are consistent with uncertain keypoints: their geometry, random members, and bounds on their errors."""
