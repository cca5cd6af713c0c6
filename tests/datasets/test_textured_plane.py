"""Views of a textured plane: poses against keypoints and pictures, and what the detector finds."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.datasets import load_sample_image

from estimand.datasets import make_textured_plane_dataset
from estimand.datasets.textured_plane import _Correlator, _normalise
from estimand.estimators.conformal_pose.heatmaps import heatmap_peaks

TEXTURES = ["china.jpg", "flower.jpg"]


@pytest.fixture(scope="module", params=TEXTURES)
def data(request):
    data = make_textured_plane_dataset(24, texture=request.param, random_state=0)
    data.texture = request.param
    return data


def seen(data, i, points):
    """Return where points of the plane are in an image."""
    u = (points @ data.poses[i, :, :3].T + data.poses[i, :, 3]) @ data.camera.T
    return u[..., :2] / u[..., 2:]


def test_fields(data):
    shapes = {name: np.shape(value) for name, value in data.items() if name != "texture"}
    assert shapes == {
        "heatmaps": (24, 9, 64, 64),
        "keypoints": (24, 9, 2),
        "affine": (24, 2, 3),
        "poses": (24, 3, 4),
        "points": (9, 3),
        "camera": (3, 3),
        "diameter": (),
        "occluded": (24, 9),
        "images": (24, 480, 640),
    }
    assert data.images.dtype == np.uint8
    assert data.heatmaps.dtype == np.float64
    assert np.all((data.heatmaps > 0) & (data.heatmaps <= 1))
    assert data.diameter == pytest.approx(0.2 * np.hypot(1, 427 / 640))


def test_keypoints_are_where_the_poses_put_them(data):
    for i in range(24):
        expected = seen(data, i, data.points) @ data.affine[i, :, :2].T + data.affine[i, :, 2]
        np.testing.assert_allclose(data.keypoints[i], expected, rtol=0, atol=1e-11)
    assert data.keypoints.min() > 0
    assert data.keypoints.max() < 64


def test_poses(data):
    rotations, t = data.poses[:, :, :3], data.poses[:, :, 3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (24, 1, 1)), atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    assert np.all(rotations[:, 2, 2] >= np.cos(np.deg2rad(40)))
    assert np.ptp(np.arccos(rotations[:, 2, 2])) > np.deg2rad(20)
    assert np.all((t[:, 2] >= 0.4) & (t[:, 2] <= 0.8))
    assert np.all(np.abs(t[:, :2] / t[:, 2:]) <= [0.2, 0.15])
    assert data.points.shape == (9, 3)
    np.testing.assert_array_equal(data.points[:, 2], 0.0)
    assert np.all(np.abs(data.points[:, :2]) < [0.1, 0.1 * 427 / 640])
    apart = np.linalg.norm(data.points[:, np.newaxis] - data.points, axis=2)
    assert apart[np.triu_indices(9, 1)].min() > 0.019


def test_pictures_show_the_texture_where_the_poses_put_it(data):
    texture = load_sample_image(data.texture) @ [0.299, 0.587, 0.114]
    rows, columns = np.mgrid[10:417:6, 10:630:6]
    points = np.stack([columns + 0.5 - 320, rows + 0.5 - 213.5, np.zeros(rows.shape)], axis=-1) * (0.2 / 640)
    best, shifted = [], []
    for i in np.flatnonzero(~data.occluded.any(axis=1)):
        smooth = ndimage.gaussian_filter(texture, 0.5 * 3200 * data.poses[i, 2, 3] / 572)[rows, columns]
        places = np.moveaxis(seen(data, i, points), -1, 0)[::-1] - 0.5
        image = data.images[i].astype(np.float64)
        likeness = [
            np.corrcoef(ndimage.map_coordinates(image, places + move, order=1).ravel(), smooth.ravel())[0, 1]
            for move in np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])[:, :, np.newaxis, np.newaxis]
        ]
        best.append(likeness[0])
        shifted.append(max(likeness[1:]))
    assert np.median(best) > 0.9
    # Rectangles may hide what is not a keypoint.
    assert np.mean(np.array(best) > shifted) > 0.9


def test_detector_finds_most_keypoints(data):
    peaks = heatmap_peaks(data.heatmaps)[0]
    errors = np.linalg.norm(peaks - data.keypoints, axis=-1)
    visible = ~data.occluded
    assert np.median(errors) < 1
    assert np.mean(errors[visible] < 3) > 0.9
    # As good for every keypoint, and without a preferred direction.
    assert np.all(np.median(errors, axis=0) < 2)
    close = visible & (errors < 3)
    assert np.all(np.abs((peaks - data.keypoints)[close].mean(axis=0)) < 0.3)


def test_occlusion():
    whole = make_textured_plane_dataset(8, occlusion=0.0, random_state=1)
    hidden = make_textured_plane_dataset(40, occlusion=1.0, random_state=1)
    assert not whole.occluded.any()
    assert 0.05 < hidden.occluded.mean() < 0.3
    assert np.mean(hidden.occluded.any(axis=1)) > 0.3
    errors = np.linalg.norm(heatmap_peaks(hidden.heatmaps)[0] - hidden.keypoints, axis=-1)
    assert np.median(errors[hidden.occluded]) > 5
    assert np.median(errors[~hidden.occluded]) < 1
    assert hidden.heatmaps.max(axis=(2, 3))[hidden.occluded].mean() < 0.5 * whole.heatmaps.max(axis=(2, 3)).mean()


def test_seeds():
    first, second, other = (make_textured_plane_dataset(2, random_state=seed) for seed in (5, 5, 6))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    assert not np.array_equal(first.images, other.images)
    np.testing.assert_array_equal(first.points, other.points)


@pytest.mark.parametrize("width", [3, 7])
def test_correlator(width):
    rng = np.random.default_rng(width)
    image, patches = rng.random((16, 16)), _normalise(rng.random((4, width, width)))
    found = _Correlator(patches, 16)(image)
    reach = width // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, reach, mode="reflect"), (width, width))
    expected = np.einsum("mij,yxij->myx", patches, _normalise(windows))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    own = _Correlator(_normalise(windows[5:6, 9]), 16)(image)[0]
    assert np.unravel_index(np.argmax(own), own.shape) == (5, 9)
    assert own.max() == pytest.approx(1.0)
    # Where there is nothing to see there is nothing to find.
    np.testing.assert_allclose(_Correlator(patches, 16)(np.full((16, 16), 0.7)), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_images": 0}, "n_images=0 must be an integer of at least 1"),
        ({"n_images": 1.5}, r"n_images=1\.5"),
        ({"texture": "face.jpg"}, r"texture='face\.jpg' is not known: use one of 'china\.jpg', 'flower\.jpg'"),
        ({"occlusion": 1.5}, r"occlusion=1\.5 must lie in \[0, 1\]"),
        ({"occlusion": np.nan}, "occlusion=nan"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_textured_plane_dataset(**{"n_images": 1, **parameters})
