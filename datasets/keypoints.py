"""Heatmaps of keypoints of an object with known poses, as a detector that errs would give them."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from sklearn.utils import Bunch, check_random_state

from ._camera import CAMERA, CROP, FloatArray, apply_affine, crop_affine, project

__all__ = ["make_keypoint_pose_dataset"]

Seed = int | np.random.RandomState | None

#: Objects of LineMOD-Occlusion: number of keypoints, and diagonal of the bounding box in metres.
_OBJECTS = {
    1: (9, 0.138),
    5: (8, 0.228),
    6: (10, 0.175),
    8: (11, 0.303),
    9: (9, 0.128),
    10: (9, 0.179),
    11: (10, 0.186),
    12: (10, 0.153),
}
_SEMI_AXES = np.array([1.0, 0.7, 0.55])
_N_SURFACE = 2000

_DEPTHS = (0.7, 1.3)
#: Largest offsets of the object from the optical axis, over its depth.
_OFFSETS = (0.25, 0.2)

#: Sizes of peaks in heatmap pixels, their spread in logarithms over images and over axes, and the effect of occlusion.
_PEAK_SIZE, _IMAGE_SPREAD, _AXIS_SPREAD, _OCCLUDED_SIZE = 1.6, 0.35, 0.25, 1.8
#: Errors of peaks over their sizes, for keypoints that are seen and for those that are occluded; then the heights.
_ERRORS, _HEIGHTS = (0.6, 0.8), (1.0, 0.5)
#: Of the false peak of an occluded keypoint: its height, its size, and its distance from the keypoint.
_FALSE_HEIGHT, _FALSE_SIZE, _FALSE_DISTANCE = 0.25, 2.0, 6.0
_NOISE = 0.01

#: Entries of the heatmaps that are drawn at a time.
_BLOCK = 1 << 18


def make_keypoint_pose_dataset(
    n_images: int,
    *,
    object_id: int = 9,
    n_keypoints: int | None = None,
    occlusion: float = 0.2,
    heatmap_size: int = 64,
    random_state: Seed = None,
) -> Bunch:
    r"""Draw poses of an object, and a heatmap for each of its keypoints.

    The objects are ellipsoids with semi-axes in the ratio 1 : 0.7 : 0.55 that are as large, and have as many keypoints,
    as those of LineMOD-Occlusion. A pose (R, t) takes a point P of the object to the point ``R P + t`` in front of the
    camera. Rotations are uniform; the depth ``t_z`` is uniform in [0.7, 1.3] m, and ``t_x / t_z`` and ``t_y / t_z`` are
    uniform in [-0.25, 0.25] and [-0.2, 0.2]. The heatmaps cover a square crop of the image, the side of which is 1.25
    times the larger side of the box around the object.

    The heatmap of a keypoint y is, at the centre x of a pixel,

    .. math::

        h(x) = a \exp\bigl(-\tfrac12 (x - y - e)^T Q S^{-2} Q^T (x - y - e)\bigr) + 0.01 \varepsilon(x), \qquad
        S = \mathrm{diag}(s_1, s_2)

    with standard normal noise. In heatmap pixels, the sizes are ``s_j = 1.6 D exp(0.25 n_j)`` with normal ``n_j``,
    where ``log D``, which the keypoints of an image share, is normal with the standard deviation 0.35; Q is a uniform
    rotation; and the error e is normal with the covariance :math:`Q (0.6 S)^2 Q^T`; the height a is 1. A keypoint is
    occluded with the probability `occlusion`: then sizes are 1.8 times as large, 0.8 takes the place of 0.6, the height
    is 0.5, and a round peak of height 0.25 and size 2 is added, at a normal distance from y of standard deviation 6.

    Parameters
    ----------
    n_images : int
        Number of images, at least 1. Each takes ``8 K heatmap_size ** 2`` bytes, 295 MB for 1000 with 9 keypoints.
    object_id : {1, 5, 6, 8, 9, 10, 11, 12}, default=9
        Number of the object in the LineMOD data.
    n_keypoints : int or None, default=None
        Number K of keypoints, from 3 to 2000. None: that of the object, from 8 to 11.
    occlusion : float, default=0.2
        Probability, in [0, 1], that a keypoint is occluded.
    heatmap_size : int, default=64
        Height and width of the heatmaps in pixels, at least 2. Peaks are as many pixels large in small heatmaps.
    random_state : int, RandomState or None, default=None
        Seed of poses and heatmaps. The object depends on `object_id` alone.

    Returns
    -------
    data : Bunch
        With the following arrays, where all lengths are in metres.

        heatmaps : (n_images, K, heatmap_size, heatmap_size)
            One for each keypoint.
        keypoints : (n_images, K, 2), in heatmap pixels
            x is the column, y the row, and the centre of the pixel in row 0 and column 0 is (0.5, 0.5).
        affine : (n_images, 2, 3)
            Takes image to heatmap coordinates, ``affine[i, :, :2] @ u + affine[i, :, 2]``.
        poses : (n_images, 3, 4)
            ``[R, t]``, from the coordinates of the object to those of the camera.
        points : (K, 3)
            Keypoints of the object: of 2000 points on it, each the farthest from those before.
        camera : (3, 3)
            Of an image of 640 x 480 pixels.
        diameter : float
            Diagonal of the bounding box of the object.
        occluded : (n_images, K), bool
            Which keypoints are hidden.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), for the use of these objects and heatmaps.
    E. Brachmann et al., "Learning 6D object pose estimation using 3D object coordinates", ECCV (2014), for the objects.

    Examples
    --------
    >>> from estimand.datasets import make_keypoint_pose_dataset
    >>> data = make_keypoint_pose_dataset(20, random_state=0)
    >>> data.heatmaps.shape, data.keypoints.shape, data.poses.shape
    ((20, 9, 64, 64), (20, 9, 2), (20, 3, 4))
    """
    _check(n_images, object_id, n_keypoints, occlusion, heatmap_size)
    default, diameter = _OBJECTS[object_id]
    semi_axes = _SEMI_AXES * (diameter / (2 * np.linalg.norm(_SEMI_AXES)))
    points = _farthest_points(_surface(semi_axes, object_id), default if n_keypoints is None else n_keypoints)
    # A generator fills arrays in a third of the time that a RandomState takes.
    rng = np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32))

    poses = _draw_poses(rng, n_images)
    lower, upper = _project_ellipsoid(semi_axes, poses)
    affine = crop_affine((lower + upper) / 2, CROP * (upper - lower).max(axis=1), heatmap_size)
    keypoints = apply_affine(affine, project(points, poses))
    occluded = rng.uniform(size=keypoints.shape[:2]) < occlusion
    return Bunch(
        heatmaps=_draw_heatmaps(rng, keypoints, occluded, heatmap_size),
        keypoints=keypoints,
        affine=affine,
        poses=poses,
        points=points,
        camera=CAMERA.copy(),
        diameter=diameter,
        occluded=occluded,
    )


def _check(n_images: int, object_id: int, n_keypoints: int | None, occlusion: float, heatmap_size: int) -> None:
    if object_id not in _OBJECTS:
        raise ValueError(f"object_id={object_id!r} is not known: use one of {', '.join(map(str, _OBJECTS))}.")
    for name, count, least in (("n_images", n_images, 1), ("heatmap_size", heatmap_size, 2)):
        if not isinstance(count, Integral) or count < least:
            raise ValueError(f"{name}={count!r} must be an integer of at least {least}.")
    if n_keypoints is not None and not (isinstance(n_keypoints, Integral) and 3 <= n_keypoints <= _N_SURFACE):
        raise ValueError(
            f"n_keypoints={n_keypoints!r} must be an integer from 3 to {_N_SURFACE}, or None for those of the object."
        )
    if not 0 <= occlusion <= 1:
        raise ValueError(f"occlusion={occlusion!r} must lie in [0, 1].")


def _surface(semi_axes: FloatArray, seed: int) -> FloatArray:
    directions = np.random.default_rng(seed).standard_normal((_N_SURFACE, 3))
    return np.asarray(semi_axes * directions / np.linalg.norm(directions, axis=1, keepdims=True))


def _farthest_points(points: FloatArray, n: int) -> FloatArray:
    """Return points, beginning with the farthest from the origin, each the farthest from all before it."""
    chosen = [int(np.argmax(np.linalg.norm(points, axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < n:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]


def _draw_poses(rng: np.random.Generator, n: int) -> FloatArray:
    poses = np.empty((n, 3, 4))
    poses[:, :, :3] = Rotation.from_quat(rng.standard_normal((n, 4))).as_matrix()
    poses[:, 2, 3] = rng.uniform(*_DEPTHS, n)
    poses[:, :2, 3] = rng.uniform(-1, 1, (n, 2)) * _OFFSETS * poses[:, 2:, 3]
    return poses


def _project_ellipsoid(semi_axes: FloatArray, poses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the boxes around the images of an ellipsoid, which are ellipses: lower and upper corners (n, 2).

    With the projection matrix M, a line l touches the image where ``l^T M diag(a^2, b^2, c^2, -1) M^T l = 0``.
    """
    matrix = CAMERA @ poses
    dual = (matrix * np.append(semi_axes**2, -1.0)) @ matrix.transpose(0, 2, 1)
    corner = dual[:, 2, 2:]
    center, square = dual[:, 2, :2] / corner, np.stack([dual[:, 0, 0], dual[:, 1, 1]], axis=1) / corner
    reach = np.sqrt(center**2 - square)
    return center - reach, center + reach


def _draw_heatmaps(
    rng: np.random.Generator, keypoints: FloatArray, occluded: npt.NDArray[np.bool_], size: int
) -> FloatArray:
    n, k = occluded.shape
    hidden = occluded.astype(np.intp)
    difficulty = np.exp(_IMAGE_SPREAD * rng.standard_normal((n, 1, 1)))
    axes = _PEAK_SIZE * difficulty * np.exp(_AXIS_SPREAD * rng.standard_normal((n, k, 2)))
    axes *= np.where(occluded, _OCCLUDED_SIZE, 1.0)[..., np.newaxis]
    angle = rng.uniform(0, np.pi, (n, k))
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([cosine, -sine, sine, cosine], axis=-1).reshape(n, k, 2, 2)
    errors = np.array(_ERRORS)[hidden][..., np.newaxis] * axes * rng.standard_normal((n, k, 2))
    peaks = keypoints + np.einsum("nkij,nkj->nki", turn, errors)
    precisions = np.einsum("nkij,nkj,nklj->nkil", turn, axes**-2, turn)
    false_peaks = keypoints + _FALSE_DISTANCE * rng.standard_normal((n, k, 2))
    heights = np.array(_HEIGHTS)[hidden]

    heatmaps = np.empty((n, k, size, size))
    flat = heatmaps.reshape(-1, size, size)
    step = max(1, _BLOCK // size**2)
    noise = np.empty((min(step, len(flat)), size, size))
    for first in range(0, len(flat), step):
        rows = np.arange(first, min(first + step, len(flat)))
        block = flat[first : first + step]
        _fill_peaks(block, peaks.reshape(-1, 2)[rows], precisions.reshape(-1, 2, 2)[rows])
        block *= heights.reshape(-1, 1, 1)[rows]
        spoilt = np.flatnonzero(occluded.reshape(-1)[rows])
        block[spoilt] += _false_peaks(false_peaks.reshape(-1, 2)[rows[spoilt]], size)
        errors = rng.standard_normal(out=noise[: len(rows)])
        errors *= _NOISE
        block += errors
    return heatmaps


def _fill_peaks(block: FloatArray, centers: FloatArray, precisions: FloatArray) -> None:
    """Fill heatmaps (m, size, size) with ``exp(-d^T precision d / 2)``, d the distance of a pixel from the centre."""
    pixels = np.arange(block.shape[1]) + 0.5
    dx, dy = pixels - centers[:, :1], pixels - centers[:, 1:]
    np.multiply((-precisions[:, 0, 1:] * dy)[:, :, np.newaxis], dx[:, np.newaxis, :], out=block)
    block -= (0.5 * precisions[:, 0, :1] * dx**2)[:, np.newaxis, :]
    block -= (0.5 * precisions[:, 1, 1:] * dy**2)[:, :, np.newaxis]
    np.exp(block, out=block)


def _false_peaks(centers: FloatArray, size: int) -> FloatArray:
    pixels = np.arange(size) + 0.5
    profile = np.exp(-0.5 * ((pixels - centers[:, :, np.newaxis]) / _FALSE_SIZE) ** 2)
    return np.asarray(_FALSE_HEIGHT * profile[:, 1, :, np.newaxis] * profile[:, 0, np.newaxis, :])
