"""What is bounded: sets of poses, each with the pose that errors are measured from."""

import numpy as np

from estimand import ConformalPoseEstimator
from estimand.datasets import make_keypoint_pose_dataset
from estimand.solvers.pose_bound import PoseBoundProblem
from estimand.solvers.pose_bound.examples import random_instance

N_CALIBRATION = 200


def heatmap_sets(n_images, seed, object_id=9, alpha=0.1, nonconformity="ball"):
    """Return the pose sets of images of one object, whose discs are calibrated on 200 other ones."""
    data = make_keypoint_pose_dataset(N_CALIBRATION + n_images, object_id=object_id, random_state=seed)
    known, new = slice(N_CALIBRATION), slice(N_CALIBRATION, None)
    estimator = ConformalPoseEstimator(data.points, data.camera, alpha=alpha, nonconformity=nonconformity)
    estimator.fit(data.heatmaps[known], data.keypoints[known])
    return estimator.predict_pose_set(data.heatmaps[new], affine=data.affine[new])


def heatmaps(n_instances, seed, object_id=9, alpha=0.1):
    """Return problems of heatmaps, about the average pose; images are passed over whose sets hold no pose, or all."""
    problems = []
    for number, poses in enumerate(heatmap_sets(2 * n_instances, seed, object_id, alpha)):
        members = poses.members(1000, np.random.default_rng([seed, number]))
        if len(members.R) and poses.is_bounded():
            problems.append(about(poses.cones, *poses.mean_pose(members.R, members.t)))
    if len(problems) < n_instances:
        raise ValueError(f"Only {len(problems)} of {2 * n_instances} sets are bounded and not empty: change the seed.")
    return problems[:n_instances]


def random_discs(n_instances, seed, n_keypoints=9):
    """Return problems of discs of 3 to 10 pixels around keypoints, about a pose that is near the true one."""
    seeds = range(1000 * seed, 1000 * seed + n_instances)
    return [random_instance(each, "rotation", n_keypoints=n_keypoints) for each in seeds]


def about(cones, R, t):
    """Return the problem of rotations; that of translations is the same with another kind."""
    return PoseBoundProblem(cones=cones, R0=R, t0=t, kind="rotation")


def distance(kind, value):
    """Return the angle in degrees, or the length, of a value of the objective; 0 for that of no member."""
    root = np.sqrt(max(value, 0.0))
    return np.rad2deg(2 * np.arcsin(min(root / np.sqrt(8), 1.0))) if kind == "rotation" else root
