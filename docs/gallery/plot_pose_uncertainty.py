"""
Where is it, and how sure is that?
==================================

A detector says where nine corners of a photograph are in an image; from these follows the pose of the photograph in
front of the camera. How far off can that pose be? Conformal calibration on images with known corners turns the
detector's heatmaps into sets that hold all corners at once with probability 80 %, and the poses that agree with these
sets into error bars that hold as often. Nothing is assumed about the detector (Yang and Pavone, CVPR 2023).
"""

# %%
# Rendered views of one of the photographs that come with scikit-learn, from random poses, blurred, noisy and partly
# hidden. The detector correlates the image with patches of the frontal view. Two hundred images calibrate.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from estimand import ConformalKeypointDetector, ConformalPoseEstimator, rotation_angle
from estimand.datasets import make_textured_plane_dataset
from estimand.displays import BoundErrorDisplay, HeatmapDisplay, KeypointSetsDisplay, PoseSetDisplay

data = make_textured_plane_dataset(260, occlusion=0.1, random_state=0)
X, y, affine = data.heatmaps[:200], data.keypoints[:200], data.affine[:200]
X_new, y_new, affine_new, truth = data.heatmaps[200:], data.keypoints[200:], data.affine[200:], data.poses[200:]
ALPHA = 0.2
detector = ConformalKeypointDetector(alpha=ALPHA).fit(X, y)
print(f"sets of level {1 - ALPHA:.0%} hold all corners in {detector.coverage(X_new, y_new):.0%} of new images")

# %%
# What the detector sees in one image, and the sets: wide where its answer is weak.

IMAGE = 4
HeatmapDisplay.from_estimator(detector, X_new[IMAGE], y_new[IMAGE])
plt.show()

# %%
# The poses that put all corners in their sets hold the true one where the sets hold the corners. Their average is the
# answer, and how far any of them is from it is bounded, by proof. Depth is what a single camera knows least about, and
# a plane that is seen from afar looks nearly the same when it is tilted the other way: rotations are uncertain, too.

estimator = ConformalPoseEstimator(data.points, data.camera, alpha=ALPHA, random_state=0, n_jobs=2).fit(X, y)
poses = estimator.predict_pose_set(X_new[[IMAGE]], affine_new[[IMAGE]])[0]
bounds = poses.bounds(random_state=0)
print(f"status {bounds.status}: within {bounds.rotation_deg:.1f} degrees and {bounds.translation * 100:.1f} cm")
R, t = poses.sample(1000, "hit_and_run", random_state=0)
outline = np.column_stack([bounds.center.rotation, bounds.center.translation])
KeypointSetsDisplay.from_predictions(
    poses.centers,
    poses.precisions,
    image=data.images[200 + IMAGE],
    poses=outline[None],
    points=data.points,
    camera=data.camera,
)
PoseSetDisplay.from_predictions(
    R,
    t,
    center=bounds.center,
    truth=(truth[IMAGE][:, :3], truth[IMAGE][:, 3]),
    rotation_bound_deg=bounds.rotation_deg,
    translation_bound=bounds.translation,
    certified_ellipsoid=poses.translation_ellipsoid(random_state=0),
)
plt.show()

# %%
# Sixty new images: wherever the sets hold the corners, errors are below their bounds; that is promised for eight
# images in ten. Where no pose agrees with the sets, they certainly miss a corner, and the estimator says so.

warnings.simplefilter("ignore", UserWarning)  # of these images, which the picture counts
predicted, certified = estimator.predict(X_new, affine_new), estimator.predict_bounds(X_new, affine_new)
turn = rotation_angle(predicted[:, :, :3], truth[:, :, :3])
move = np.linalg.norm(predicted[:, :, 3] - truth[:, :, 3], axis=1)
covered = detector.predict_set(X_new).contains(y_new)
print(f"median error: {np.median(turn):.1f} degrees, {np.median(move) * 100:.1f} cm")
BoundErrorDisplay.from_predictions(certified, (turn, move), covered=covered)
plt.show()
