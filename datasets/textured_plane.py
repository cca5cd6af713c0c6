"""Photographs on a plane, seen from known poses, and the answers of a plain detector of their corners."""

from __future__ import annotations

from functools import cached_property
from numbers import Integral

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation
from sklearn.datasets import load_sample_image
from sklearn.utils import Bunch, check_random_state

from ._camera import CAMERA, CROP, HEIGHT, WIDTH, FloatArray, apply_affine, crop_affine, project

__all__ = ["make_textured_plane_dataset"]

Seed = int | np.random.RandomState | None

#: Each texture, and the photograph behind the plane and on what hides it.
_TEXTURES = {"china.jpg": "flower.jpg", "flower.jpg": "china.jpg"}
_LUMINANCE = (0.299, 0.587, 0.114)
_PLANE_WIDTH = 0.2
_N_KEYPOINTS = 9

_DEPTHS = (0.4, 0.8)
#: Largest offsets of the plane from the optical axis, over its depth.
_OFFSETS = (0.2, 0.15)
_MAX_TILT, _MAX_ROLL = np.deg2rad(40.0), np.deg2rad(15.0)

#: Sides of the rectangle that hides a part of the plane, over the larger side of the plane's box.
_HIDDEN = (0.25, 0.55)
#: Size of the blur in pixels, contrast and brightness of the images, and their noise.
_BLUR, _CONTRAST, _BRIGHTNESS, _NOISE = (0.4, 1.2), (0.7, 1.1), (-0.1, 0.1), 0.02

#: Of the box that the detector is given: error of the centre over the side, and of the logarithm of the side.
_BOX_ERRORS = (0.03, 0.05)
_HEATMAP = 64
#: Pixels of a crop along a pixel of the heatmap, and the crop's height and width.
_FINER = 2
_CROP_SIZE = _FINER * _HEATMAP
#: Height and width of patches, and how far from a corner its rivals begin and other corners may be, in crop pixels.
_PATCH, _RIVAL_DISTANCE, _CORNER_DISTANCE = 21, 8, 10
#: Least response of a corner over that of the strongest.
_LEAST_RESPONSE = 0.05
_ROLLS, _SCALES = np.deg2rad([-12.0, 0.0, 12.0]), (0.85, 1.0)
_SHARPNESS = 20.0
#: Where grey values vary less, it is noise.
_LEAST_DEVIATION = 0.01


def make_textured_plane_dataset(
    n_images: int, *, texture: str = "china.jpg", occlusion: float = 0.3, random_state: Seed = None
) -> Bunch:
    r"""Render a photograph on a plane from random poses, and let a detector look for corners by correlation.

    The plane is a photograph that comes with scikit-learn, 0.2 m wide and 0.133 m high, in front of the other one that
    comes with it. The keypoints are 9 corners of the photograph: points where the smaller eigenvalue of the structure
    tensor has a maximum that is not far below the largest one, and, among them, those that look least like other
    places.

    A pose (R, t) takes a point of the plane to ``R P + t`` in front of the camera, where R turns by up to 15 degrees in
    the plane, then by up to 40 degrees about a random axis in it. Images are sampled linearly from the photograph,
    smoothed according to the depth, then blurred, changed in contrast and brightness, made noisy and rounded to 8 bits.
    With the probability `occlusion` a rectangle with the texture of the background hides a part of the plane.

    The detector is given a coarse box: the one around the plane, the centre of which is wrong by 3 % of the side, and
    the size by 5 % (standard deviations). It samples a square crop with 1.25 times that side at 128 x 128 pixels, and
    correlates it with the patches of 21 x 21 pixels around the corners in the frontal view, in which the plane is as
    wide as the box. With the normalised cross-correlation c, the largest over rotations of the patch by -12, 0 and 12
    degrees, scales of 0.85 and 1, and 2 x 2 pixels, the heatmap is

    .. math:: h = e^{20 (c - 1)}

    so that errors come from what is seen of a real texture: foreshortening, similar places, blur, occlusion.

    Parameters
    ----------
    n_images : int
        Number of images, at least 1. Each takes 0.6 MB, and about 0.05 s.
    texture : {"china.jpg", "flower.jpg"}, default="china.jpg"
        Photograph on the plane; see :func:`sklearn.datasets.load_sample_image`.
    occlusion : float, default=0.3
        Probability, in [0, 1], that a rectangle, the sides of which are from 25 to 55 % of that of the box, hides a
        part of the plane.
    random_state : int, RandomState or None, default=None
        Seed. The keypoints depend on `texture` alone.

    Returns
    -------
    data : Bunch
        With the following arrays, where all lengths are in metres.

        heatmaps : (n_images, 9, 64, 64)
            One for each keypoint.
        keypoints : (n_images, 9, 2), in heatmap pixels
            x is the column, y the row, and the centre of the pixel in row 0 and column 0 is (0.5, 0.5).
        affine : (n_images, 2, 3)
            Takes image to heatmap coordinates, ``affine[i, :, :2] @ u + affine[i, :, 2]``.
        poses : (n_images, 3, 4)
            ``[R, t]``, from the coordinates of the plane, the third of which is 0 on it, to those of the camera.
        points : (9, 3)
            Keypoints on the plane, with the origin in its centre, x to the right and y downwards.
        camera : (3, 3)
            Of an image of 640 x 480 pixels.
        diameter : float
            Diagonal of the plane.
        occluded : (n_images, 9), bool
            Which keypoints the rectangle hides.
        images : (n_images, 480, 640), uint8
            Grey values.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    ImportError
        If pillow, which reads the photographs, is not installed.

    References
    ----------
    J. Shi and C. Tomasi, "Good features to track", CVPR (1994).
    J. P. Lewis, "Fast normalized cross-correlation", Vision Interface (1995).

    Examples
    --------
    >>> from estimand.datasets import make_textured_plane_dataset
    >>> data = make_textured_plane_dataset(2, random_state=0)
    >>> data.images.shape, data.heatmaps.shape, data.points.shape
    ((2, 480, 640), (2, 9, 64, 64), (9, 3))
    """
    if texture not in _TEXTURES:
        raise ValueError(f"texture={texture!r} is not known: use one of {', '.join(map(repr, _TEXTURES))}.")
    if not isinstance(n_images, Integral) or n_images < 1:
        raise ValueError(f"n_images={n_images!r} must be an integer of at least 1.")
    if not 0 <= occlusion <= 1:
        raise ValueError(f"occlusion={occlusion!r} must lie in [0, 1].")
    rng = check_random_state(random_state)
    plane, background = _Plane(_load(texture)), _load(_TEXTURES[texture])
    background = np.pad(background, ((0, HEIGHT - len(background)), (0, 0)), mode="reflect")
    other = np.roll(background, (HEIGHT // 5, WIDTH // 3), axis=(0, 1))

    poses = _draw_poses(rng, n_images)
    corners = project(plane.corners, poses)
    lower, upper = corners.min(axis=1), corners.max(axis=1)
    side = (upper - lower).max(axis=1)
    center_error, side_error = _BOX_ERRORS
    box_center = (lower + upper) / 2 + center_error * side[:, np.newaxis] * rng.standard_normal((n_images, 2))
    affine = crop_affine(box_center, CROP * side * np.exp(side_error * rng.standard_normal(n_images)), _HEATMAP)
    places = project(plane.points, poses)

    images = np.empty((n_images, HEIGHT, WIDTH), dtype=np.uint8)
    occluded = np.zeros((n_images, _N_KEYPOINTS), dtype=np.bool_)
    heatmaps = np.empty((n_images, _N_KEYPOINTS, _HEATMAP, _HEATMAP))
    for i in range(n_images):
        scene = background.copy()
        plane.draw(scene, poses[i], lower[i], upper[i])
        if rng.uniform() < occlusion:
            first, last = _draw_rectangle(rng, lower[i], upper[i])
            hidden = np.s_[first[1] : last[1], first[0] : last[0]]
            scene[hidden] = other[hidden]
            occluded[i] = np.all((places[i] >= first) & (places[i] < last), axis=1)
        images[i] = _photograph(rng, scene)
        heatmaps[i] = plane.detect(_crop(images[i], affine[i]))
    return Bunch(
        heatmaps=heatmaps,
        keypoints=apply_affine(affine, places),
        affine=affine,
        poses=poses,
        points=plane.points,
        camera=CAMERA.copy(),
        diameter=float(np.linalg.norm(plane.corners[2] - plane.corners[0])),
        occluded=occluded,
        images=images,
    )


def _load(name: str) -> FloatArray:
    """Return the grey values of a photograph, from 0 to 1."""
    return np.asarray(load_sample_image(name) @ np.array(_LUMINANCE) / 255)


def _draw_poses(rng: np.random.RandomState, n: int) -> FloatArray:
    poses = np.empty((n, 3, 4))
    direction, tilt = rng.uniform(0, 2 * np.pi, n), _MAX_TILT * np.sqrt(rng.uniform(size=n))
    axes = np.column_stack([np.cos(direction), np.sin(direction), np.zeros(n)])
    roll = rng.uniform(-_MAX_ROLL, _MAX_ROLL, n)
    rotations = Rotation.from_rotvec(tilt[:, np.newaxis] * axes) * Rotation.from_rotvec(np.outer(roll, [0, 0, 1]))
    poses[:, :, :3] = rotations.as_matrix()
    poses[:, 2, 3] = rng.uniform(*_DEPTHS, n)
    poses[:, :2, 3] = rng.uniform(-1, 1, (n, 2)) * _OFFSETS * poses[:, 2:, 3]
    return poses


def _draw_rectangle(
    rng: np.random.RandomState, lower: FloatArray, upper: FloatArray
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first column and row of a rectangle that is centred in a box, and those behind it."""
    sides = rng.uniform(*_HIDDEN, 2) * (upper - lower).max()
    center = lower + rng.uniform(size=2) * (upper - lower)
    bounds = np.clip(np.rint([center - sides / 2, center + sides / 2]), 0, (WIDTH, HEIGHT)).astype(np.intp)
    return bounds[0], bounds[1]


def _photograph(rng: np.random.RandomState, scene: FloatArray) -> npt.NDArray[np.uint8]:
    """Return the scene as a camera out of focus records it."""
    seen = ndimage.gaussian_filter(scene, rng.uniform(*_BLUR))
    seen = 0.5 + rng.uniform(*_CONTRAST) * (seen - 0.5) + rng.uniform(*_BRIGHTNESS)
    seen += _NOISE * rng.standard_normal(seen.shape)
    return np.asarray(np.clip(np.rint(255 * seen), 0, 255).astype(np.uint8))


def _crop(image: npt.NDArray[np.uint8], affine: FloatArray) -> FloatArray:
    """Return the grey values, from 0 to 1, that a heatmap covers, with the finer pixels of a crop."""
    step = 1 / (_FINER * affine[0, 0])
    columns, rows = ((np.arange(_CROP_SIZE) + 0.5) * step - affine[:, 2:] / affine[0, 0]) - 0.5
    # Pixels beyond the edges repeat it; a margin is for the filter.
    margin = 8
    first = np.clip(np.floor([rows[0], columns[0]]).astype(np.intp) - margin, 0, [HEIGHT - 1, WIDTH - 1])
    last = np.clip(np.ceil([rows[-1], columns[-1]]).astype(np.intp) + margin, 1, [HEIGHT, WIDTH])
    part = ndimage.gaussian_filter(image[first[0] : last[0], first[1] : last[1]] / 255, 0.35 * step)
    grid = np.meshgrid(rows - first[0], columns - first[1], indexing="ij")
    return np.asarray(ndimage.map_coordinates(part, grid, order=1, mode="nearest"))


def _normalise(patches: FloatArray) -> FloatArray:
    """Return patches of mean 0 and norm 1."""
    centered = patches - patches.mean(axis=(-2, -1), keepdims=True)
    return np.asarray(centered / np.linalg.norm(centered, axis=(-2, -1), keepdims=True))


class _Correlator:
    """Normalised cross-correlation of square images with some patches.

    Parameters
    ----------
    patches : array of shape (m, p, p)
        Of mean 0 and norm 1; p is odd.
    size : int
        Height and width of the images.
    """

    def __init__(self, patches: FloatArray, size: int) -> None:
        self.width, self.size = patches.shape[-1], size
        self._shape = 2 * (fft.next_fast_len(size + self.width - 1, real=True),)
        self._spectrum = np.conj(fft.rfft2(patches, self._shape))

    def __call__(self, image: FloatArray) -> FloatArray:
        """Return the correlation (m, size, size) with what is around each pixel, from -1 to 1."""
        reach = self.width // 2
        padded = np.pad(image, reach, mode="reflect")
        products = fft.irfft2(fft.rfft2(padded, self._shape) * self._spectrum, self._shape)
        inner = np.s_[reach : reach + self.size, reach : reach + self.size]
        mean = ndimage.uniform_filter(padded, self.width)[inner]
        variance = ndimage.uniform_filter(padded**2, self.width)[inner] - mean**2
        deviation = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))
        return np.asarray(products[:, : self.size, : self.size] / (self.width * deviation))


class _Plane:
    """A photograph on a plane, and the detector of its corners.

    Parameters
    ----------
    texture : array of shape (height, width)
        Grey values from 0 to 1.

    Attributes
    ----------
    corners : array of shape (4, 3)
        Of the photograph, in metres, as they follow around it.
    points : array of shape (K, 3)
        The keypoints, in metres.
    """

    def __init__(self, texture: FloatArray) -> None:
        self.texture = texture
        self._middle = np.array([texture.shape[1], texture.shape[0]]) / 2
        self._metres = _PLANE_WIDTH / texture.shape[1]
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        self.corners = np.column_stack([signs * self._middle * self._metres, np.zeros(4)])
        self._frontal = self._view_from_the_front()
        self._corners = self._choose_corners()
        scale = texture.shape[1] / self._frontal.shape[1]
        self.points = np.column_stack(
            [(self._corners * scale - self._middle) * self._metres, np.zeros(len(self._corners))]
        )

    def _view_from_the_front(self) -> FloatArray:
        """Return the photograph as wide as the box in a crop."""
        scale = self.texture.shape[1] / round(_CROP_SIZE / CROP)
        rows, columns = (np.arange(round(size / scale)) for size in self.texture.shape)
        smooth = ndimage.gaussian_filter(self.texture, 0.5 * scale)
        grid = np.meshgrid((rows + 0.5) * scale - 0.5, (columns + 0.5) * scale - 0.5, indexing="ij")
        return np.asarray(ndimage.map_coordinates(smooth, grid, order=1, mode="nearest"))

    def _patches(self, corners: FloatArray, roll: float, scale: float) -> FloatArray:
        """Return patches of the frontal view around corners, turned and scaled."""
        offsets = np.arange(_PATCH) - _PATCH // 2
        dx, dy = offsets / scale, offsets[:, np.newaxis] / scale
        x = corners[:, 0, np.newaxis, np.newaxis] - 0.5 + np.cos(roll) * dx + np.sin(roll) * dy
        y = corners[:, 1, np.newaxis, np.newaxis] - 0.5 - np.sin(roll) * dx + np.cos(roll) * dy
        return _normalise(ndimage.map_coordinates(self._frontal, [y, x], order=1, mode="reflect"))

    def _choose_corners(self) -> FloatArray:
        """Return the places (K, 2) in the frontal view of corners that few other places look like."""
        view, reach = self._frontal, _PATCH // 2
        along_x = ndimage.gaussian_filter(view, 1.0, order=(0, 1))
        along_y = ndimage.gaussian_filter(view, 1.0, order=(1, 0))
        xx, xy, yy = (ndimage.gaussian_filter(p, 2.0) for p in (along_x**2, along_x * along_y, along_y**2))
        smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
        peaks = (ndimage.maximum_filter(smaller, 5) == smaller)[reach:-reach, reach:-reach]
        strong = smaller[reach:-reach, reach:-reach]
        y, x = np.nonzero(peaks & (strong >= _LEAST_RESPONSE * strong.max()))
        places = np.column_stack([x, y]).astype(np.float64) + (reach + 0.5)

        side = max(view.shape)
        square = np.pad(view, [(0, side - length) for length in view.shape], mode="reflect")
        likeness = _Correlator(self._patches(places, 0.0, 1.0), side)(square)[:, : view.shape[0], : view.shape[1]]
        rows, columns = np.indices(view.shape) + 0.5
        distance = np.hypot(columns - places[:, :1, np.newaxis], rows - places[:, 1:, np.newaxis])
        rival = np.where(distance > _RIVAL_DISTANCE, likeness, -1.0).max(axis=(1, 2))
        chosen: list[int] = []
        for i in np.argsort(rival, kind="stable"):
            if np.all(np.linalg.norm(places[i] - places[chosen], axis=1) >= _CORNER_DISTANCE):
                chosen.append(int(i))
        return np.asarray(places[chosen[:_N_KEYPOINTS]])

    def draw(self, scene: FloatArray, pose: FloatArray, lower: FloatArray, upper: FloatArray) -> None:
        """Draw the plane into an image, inside the box around it."""
        first = np.clip(np.floor(lower).astype(np.intp), 0, (WIDTH, HEIGHT))
        last = np.clip(np.ceil(upper).astype(np.intp), 0, (WIDTH, HEIGHT))
        u, v = np.meshgrid(np.arange(first[0], last[0]) + 0.5, np.arange(first[1], last[1]) + 0.5)
        pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
        # From the plane's coordinates to the image, and back.
        homography = CAMERA @ np.column_stack([pose[:, 0], pose[:, 1], pose[:, 3]])
        met = pixels @ np.linalg.inv(homography).T
        x, y = np.moveaxis(met[..., :2] / met[..., 2:] / self._metres + self._middle, -1, 0)
        height, width = self.texture.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        smooth = ndimage.gaussian_filter(self.texture, 0.45 * pose[2, 3] / (CAMERA[0, 0] * self._metres))
        grey = ndimage.map_coordinates(smooth, [y[inside] - 0.5, x[inside] - 0.5], order=1, mode="nearest")
        scene[first[1] : last[1], first[0] : last[0]][inside] = grey

    @cached_property
    def _detectors(self) -> _Correlator:
        patches = [self._patches(self._corners, roll, scale) for roll in _ROLLS for scale in _SCALES]
        return _Correlator(np.concatenate(patches), _CROP_SIZE)

    def detect(self, crop: FloatArray) -> FloatArray:
        """Return the heatmaps (K, 64, 64) of a crop."""
        correlation = self._detectors(crop)
        best = correlation.reshape(-1, len(self._corners), _CROP_SIZE, _CROP_SIZE).max(axis=0)
        best = best.reshape(-1, _HEATMAP, _FINER, _HEATMAP, _FINER).max(axis=(2, 4))
        return np.asarray(np.exp(_SHARPNESS * (best - 1)))
