"""A camera, what it sees of points, and the crops that keypoint detectors look at.

Coordinates of an image, and of a heatmap, are pixels: x is the column, y the row, and the centre of the pixel in row 0
and column 0 is (0.5, 0.5).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["CAMERA", "CROP", "HEIGHT", "WIDTH", "FloatArray", "apply_affine", "crop_affine", "project"]

FloatArray = npt.NDArray[np.float64]

#: The intrinsics of the LineMOD cameras, for images of 640 x 480 pixels.
CAMERA: FloatArray = np.array([[572.4114, 0.0, 325.2611], [0.0, 573.57043, 242.04899], [0.0, 0.0, 1.0]])
CAMERA.flags.writeable = False
WIDTH, HEIGHT = 640, 480
#: Side of a crop over the larger side of the box that it is for.
CROP = 1.25


def project(points: FloatArray, poses: FloatArray) -> FloatArray:
    """Return where the camera sees points of shape (K, 3) from poses of shape (n, 3, 4), as an array (n, K, 2)."""
    seen = (points @ poses[:, :, :3].transpose(0, 2, 1) + poses[:, np.newaxis, :, 3]) @ CAMERA.T
    return np.asarray(seen[..., :2] / seen[..., 2:])


def crop_affine(centers: FloatArray, sides: FloatArray, size: int) -> FloatArray:
    """Return the maps (n, 2, 3) from the image to crops of `size` pixels, squares given by centres (n, 2) and sides."""
    scale = size / sides
    affine = np.zeros((sides.size, 2, 3))
    affine[:, 0, 0] = affine[:, 1, 1] = scale
    affine[:, :, 2] = size / 2 - scale[:, np.newaxis] * centers
    return affine


def apply_affine(affine: FloatArray, points: FloatArray) -> FloatArray:
    """Map points (n, K, 2) by one map (n, 2, 3) for each n."""
    return np.asarray(points @ affine[:, :, :2].transpose(0, 2, 1) + affine[:, np.newaxis, :, 2])
