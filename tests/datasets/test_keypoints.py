"""Keypoint heatmaps against the law that they are drawn from, and poses against the keypoints."""

import inspect

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit, minimize
from sklearn.utils import Bunch

from estimand.datasets import make_keypoint_pose_dataset
from estimand.datasets.keypoints import _OBJECTS, _project_ellipsoid
from estimand.estimators.conformal_pose.heatmaps import heatmap_peaks

CAMERA = np.array([[572.4114, 0, 325.2611], [0, 573.57043, 242.04899], [0, 0, 1]])


@pytest.fixture(scope="module")
def data():
    return make_keypoint_pose_dataset(400, random_state=0)


def projected(data):
    """Return the keypoints that points, poses, camera and affine maps give, one after the other."""
    places = np.empty(data.keypoints.shape)
    for i, pose in enumerate(data.poses):
        for k, point in enumerate(data.points):
            u = data.camera @ (pose[:, :3] @ point + pose[:, 3])
            places[i, k] = data.affine[i] @ np.append(u[:2] / u[2], 1.0)
    return places


@pytest.mark.parametrize("object_id", _OBJECTS)
def test_objects(object_id):
    data = make_keypoint_pose_dataset(3, object_id=object_id, heatmap_size=4, random_state=0)
    n_keypoints, diameter = _OBJECTS[object_id]
    assert data.points.shape == (n_keypoints, 3)
    assert data.diameter == diameter
    axes = np.array([1, 0.7, 0.55]) * diameter / 2 / np.sqrt(1 + 0.7**2 + 0.55**2)
    np.testing.assert_allclose(np.sum((data.points / axes) ** 2, axis=1), 1.0)
    np.testing.assert_array_equal(data.camera, CAMERA)
    # Farthest points: no two as close as the object is thin, and the first ones are those of a smaller set.
    apart = np.linalg.norm(data.points[:, np.newaxis] - data.points, axis=2)
    assert apart[np.triu_indices(n_keypoints, 1)].min() > axes[2]
    fewer = make_keypoint_pose_dataset(1, object_id=object_id, n_keypoints=4, heatmap_size=4, random_state=7)
    np.testing.assert_array_equal(fewer.points, data.points[:4])


@pytest.mark.parametrize("n_keypoints", [3, 200])
def test_shapes(n_keypoints):
    data = make_keypoint_pose_dataset(
        5, n_keypoints=n_keypoints, heatmap_size=20, random_state=np.random.RandomState(0)
    )
    assert isinstance(data, Bunch)
    assert {name: np.shape(value) for name, value in data.items()} == {
        "heatmaps": (5, n_keypoints, 20, 20),
        "keypoints": (5, n_keypoints, 2),
        "affine": (5, 2, 3),
        "poses": (5, 3, 4),
        "points": (n_keypoints, 3),
        "camera": (3, 3),
        "diameter": (),
        "occluded": (5, n_keypoints),
    }
    assert data.heatmaps.flags.c_contiguous
    np.testing.assert_allclose(projected(data), data.keypoints, atol=1e-11)


def test_poses(data):
    rotations, t = data.poses[:, :, :3], data.poses[:, :, 3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (400, 1, 1)), atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    for values, low, width in ((t[:, 2], 0.7, 0.6), (t[:, 0] / t[:, 2], -0.25, 0.5), (t[:, 1] / t[:, 2], -0.2, 0.4)):
        assert stats.kstest(values, stats.uniform(low, width).cdf).pvalue > 1e-3
    # Entries of uniform rotations are uniform in [-1, 1], and their angles have the density (1 - cos) / pi.
    for i in range(3):
        for j in range(3):
            assert stats.kstest(rotations[:, i, j], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    angles = np.arccos((np.trace(rotations, axis1=1, axis2=2) - 1) / 2)
    assert stats.kstest(angles, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-3


def test_keypoints_are_where_the_poses_put_them(data):
    np.testing.assert_allclose(projected(data), data.keypoints, rtol=0, atol=1e-11)
    assert data.keypoints.min() > 0
    assert data.keypoints.max() < 64


def test_crops(data):
    np.testing.assert_array_equal(data.affine[:, 0, 1], 0.0)
    np.testing.assert_array_equal(data.affine[:, 0, 0], data.affine[:, 1, 1])
    # The image of a fine grid on the ellipsoid fills 4/5 of the crop along one side, and is in the middle.
    axes = np.array([1, 0.7, 0.55]) * 0.128 / 2 / np.sqrt(1 + 0.7**2 + 0.55**2)
    a, b = np.meshgrid(np.linspace(0, np.pi, 200), np.linspace(0, 2 * np.pi, 400))
    surface = axes * np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], axis=-1).reshape(-1, 3)
    for pose, affine in zip(data.poses[:20], data.affine, strict=False):
        u = (surface @ pose[:, :3].T + pose[:, 3]) @ CAMERA.T
        places = u[:, :2] / u[:, 2:] @ affine[:, :2].T + affine[:, 2]
        lower, upper = places.min(axis=0), places.max(axis=0)
        assert (upper - lower).max() == pytest.approx(64 / 1.25, rel=1e-3)
        np.testing.assert_allclose((lower + upper) / 2, 32, atol=0.02)


def test_box_around_an_ellipsoid():
    axes = np.array([0.1, 0.2, 0.05])
    pose = make_keypoint_pose_dataset(1, heatmap_size=2, random_state=3).poses
    lower, upper = _project_ellipsoid(axes, pose)

    def coordinate(angles, axis, sign):
        point = axes * [
            np.sin(angles[0]) * np.cos(angles[1]),
            np.sin(angles[0]) * np.sin(angles[1]),
            np.cos(angles[0]),
        ]
        u = CAMERA @ (pose[0, :, :3] @ point + pose[0, :, 3])
        return sign * u[axis] / u[2]

    for axis in range(2):
        for sign, bound in ((1, lower), (-1, upper)):
            starts = [(0.5, 0.5), (2.5, 2.0), (1.5, 4.0), (1.0, 5.5)]
            best = min(minimize(coordinate, start, args=(axis, sign), tol=1e-12).fun for start in starts)
            assert sign * best == pytest.approx(bound[0, axis], abs=1e-6)


def test_heatmaps_are_peaks_with_noise(data):
    # Far from their peaks nothing but noise is left, and a peak at its centre is as high as said.
    corners = data.heatmaps[:, :, ::63, ::63]
    far = np.linalg.norm(data.keypoints - 32, axis=-1) < 12
    noise = corners[far & ~data.occluded]
    assert noise.std() == pytest.approx(0.01, rel=0.03)
    assert abs(noise.mean()) < 1e-3
    top = data.heatmaps.max(axis=(2, 3))
    assert np.median(top[~data.occluded]) == pytest.approx(1.0, abs=0.05)
    assert 0.45 < np.median(top[data.occluded]) < 0.65


def gaussian(xy, x, y, log_size, a, b, height):
    """A peak with the covariance ``exp(2 (log_size I + [[a, b], [b, -a]]))``, of which any a and b will do."""
    r = np.hypot(a, b)
    part = np.sinh(2 * r) / r if r > 0 else 2.0
    middle, cross = np.cosh(2 * r), part * b
    dx, dy = xy[0] - x, xy[1] - y
    square = (middle - part * a) * dx**2 - 2 * cross * dx * dy + (middle + part * a) * dy**2
    return height * np.exp(-0.5 * np.exp(-2 * log_size) * square)


@pytest.fixture(scope="module")
def peaks():
    """Parameters of all peaks without occlusion, of shape (n, K, 6), found by least squares."""
    data = make_keypoint_pose_dataset(250, n_keypoints=3, occlusion=0.0, random_state=1)
    rows, columns = np.indices((64, 64)) + 0.5
    found = np.empty((250, 3, 6))
    for i, k in np.ndindex(250, 3):
        x, y = data.keypoints[i, k]
        near = np.maximum(np.abs(columns - x), np.abs(rows - y)) < 12
        start = *heatmap_peaks(data.heatmaps[i, k])[0], 0.5, 0.05, 0.05, 1.0
        xy = columns[near], rows[near]
        found[i, k] = curve_fit(gaussian, xy, data.heatmaps[i, k][near], start)[0] - [x, y, 0, 0, 0, 0]
    return found


def test_peaks_have_the_law_that_is_documented(peaks):
    x, y, log_size, a, b, height = np.moveaxis(peaks, -1, 0)
    assert np.mean(np.abs(height - 1) < 0.05) > 0.95
    # Of the logarithms of both sizes the mean has the variance 0.35^2 + 0.25^2 / 2, half the difference 0.25^2 / 2.
    for k in range(3):
        centred = log_size[:, k] - np.log(1.6)
        assert stats.kstest(centred, stats.norm(0, np.sqrt(0.35**2 + 0.25**2 / 2)).cdf).pvalue > 1e-3
    half = np.hypot(a, b).ravel()
    assert stats.kstest(half, stats.halfnorm(0, 0.25 / np.sqrt(2)).cdf).pvalue > 1e-3
    angle = 0.5 * np.arctan2(b, a).ravel()
    assert stats.kstest(angle, stats.uniform(-np.pi / 2, np.pi).cdf).pvalue > 1e-3
    for size, along in ((log_size.ravel() + half, angle), (log_size.ravel() - half, angle + np.pi / 2)):
        error = (np.cos(along) * x.ravel() + np.sin(along) * y.ravel()) / np.exp(size)
        assert stats.kstest(error, stats.norm(0, 0.6).cdf).pvalue > 1e-3


def test_keypoints_of_an_image_share_its_difficulty(peaks):
    expected = 0.35**2 / (0.35**2 + 0.25**2 / 2)
    found = np.corrcoef(peaks[..., 2].T)[np.triu_indices(3, 1)]
    # Fisher's transformation: standard deviation 1 / sqrt(n - 3).
    assert np.all(np.abs(np.arctanh(found) - np.arctanh(expected)) < 4 / np.sqrt(247))


@pytest.mark.parametrize("occlusion", [0.0, 0.2, 0.7, 1.0])
def test_occlusion(occlusion):
    data = make_keypoint_pose_dataset(400, occlusion=occlusion, heatmap_size=8, random_state=0)
    assert data.occluded.dtype == np.bool_
    sd = np.sqrt(occlusion * (1 - occlusion) / data.occluded.size)
    assert abs(data.occluded.mean() - occlusion) <= 4 * sd


def test_occluded_keypoints_are_found_less_well(data):
    errors = np.linalg.norm(heatmap_peaks(data.heatmaps)[0] - data.keypoints, axis=-1)
    assert np.median(errors[~data.occluded]) == pytest.approx(1.1, abs=0.15)
    assert np.median(errors[data.occluded]) == pytest.approx(2.7, abs=0.4)


def test_seeds():
    first, second, other = (make_keypoint_pose_dataset(20, heatmap_size=16, random_state=seed) for seed in (3, 3, 4))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    assert not np.array_equal(first.heatmaps, other.heatmaps)
    assert not np.array_equal(first.poses, other.poses)
    np.testing.assert_array_equal(first.points, other.points)
    generator = np.random.RandomState(3)
    np.testing.assert_array_equal(
        make_keypoint_pose_dataset(20, heatmap_size=16, random_state=generator).heatmaps, first.heatmaps
    )
    again = make_keypoint_pose_dataset(20, heatmap_size=16, random_state=generator)
    assert not np.array_equal(again.heatmaps, first.heatmaps)
    first.camera[0, 0] = 0.0
    assert make_keypoint_pose_dataset(1, heatmap_size=16).camera[0, 0] == CAMERA[0, 0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_images": 0}, "n_images=0 must be an integer of at least 1"),
        ({"n_images": 2.0}, r"n_images=2\.0"),
        ({"object_id": 2}, "object_id=2 is not known: use one of 1, 5, 6, 8, 9, 10, 11, 12"),
        ({"n_keypoints": 2}, "n_keypoints=2 must be an integer from 3 to 2000"),
        ({"n_keypoints": 2001}, "n_keypoints=2001"),
        ({"n_keypoints": 4.5}, r"n_keypoints=4\.5"),
        ({"occlusion": -0.1}, r"occlusion=-0\.1 must lie in \[0, 1\]"),
        ({"occlusion": np.nan}, "occlusion=nan"),
        ({"heatmap_size": 1}, "heatmap_size=1 must be an integer of at least 2"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_keypoint_pose_dataset(**{"n_images": 3, **parameters})


def test_signature():
    parameters = inspect.signature(make_keypoint_pose_dataset).parameters
    assert [name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY] == list(parameters)[1:]
