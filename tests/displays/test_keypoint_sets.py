import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from estimand import ConformalKeypointDetector
from estimand.datasets import make_keypoint_pose_dataset
from estimand.displays import KeypointSetsDisplay

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def data():
    return make_keypoint_pose_dataset(40, heatmap_size=24, n_keypoints=4, random_state=0)


@pytest.fixture(scope="module")
def detector(data):
    return ConformalKeypointDetector(alpha=0.2, nonconformity="ellipse").fit(data.heatmaps[:30], data.keypoints[:30])


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def outline(ellipse):
    """Return points on the boundary of a patch, in the coordinates of the axes."""
    turn = np.linspace(0, 2 * np.pi, 50)
    return ellipse.get_patch_transform().transform(np.column_stack([np.cos(turn), np.sin(turn)]))


def view(display):
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert left < right
    assert bottom > top  # y points down, as in images
    return np.array([[left, top], [right, bottom]])


CENTERS = np.array([[200.0, 150.0], [240.0, 160.0], [220.0, 190.0]])
PRECISIONS = np.array([[[0.02, 0.01], [0.01, 0.03]], [[0.01, 0.0], [0.0, 0.04]], [[0.25, -0.1], [-0.1, 0.25]]])
KEYPOINTS = np.add(CENTERS, [[1.0, 2.0], [9.0, 0.0], [0.0, 2.5]])
CAMERA = np.array([[500.0, 1.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]])
POINTS = np.array([[-0.1, -0.1, 0.0], [0.1, -0.1, 0.0], [0.1, 0.1, 0.0], [-0.1, 0.1, 0.1]])
EDGES = [(0, 1), (1, 2), (3, 0)]
ROTATIONS = Rotation.from_rotvec(0.3 * np.random.default_rng(0).standard_normal((6, 3))).as_matrix()
POSES = np.concatenate([ROTATIONS, np.tile([[-0.2], [-0.1], [1.2]], (6, 1, 1))], axis=2)
OBJECT = {"poses": POSES, "points": POINTS, "camera": CAMERA}


def seen(R, t, point):
    x, y, z = R @ point + t
    return [(500 * x + y) / z + 320, 510 * y / z + 240]


def test_ellipses_are_the_boundaries_of_sets():
    display = KeypointSetsDisplay(CENTERS, PRECISIONS, KEYPOINTS, alpha=0.1).plot(name="sets")
    for ellipse, c, P in zip(display.ellipses_, CENTERS, PRECISIONS, strict=True):
        np.testing.assert_allclose(ellipse.get_center(), c)
        v = outline(ellipse) - c
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", v, P, v), 1)
        assert ellipse.get_facecolor()[3] == 0
    np.testing.assert_allclose(display.semi_axes[1], [10, 5])
    np.testing.assert_allclose(display.angles[1:], [0, 45])
    np.testing.assert_array_equal(display.centers_.get_xydata(), CENTERS)
    np.testing.assert_array_equal(display.inside, [True, True, False])
    np.testing.assert_array_equal(display.keypoints_.get_xydata(), KEYPOINTS[:2])
    np.testing.assert_array_equal(display.missed_.get_xydata(), KEYPOINTS[2:])
    assert display.keypoints_.get_marker() != display.missed_.get_marker()
    assert labels(display) == ["joint 90 % sets", "true keypoint", "true keypoint outside its set"]
    assert [text.get_text() for text in display.ax_.texts] == ["0", "1", "2"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x in px", "y in px")
    assert display.ax_.get_title() == "sets"
    assert display.ax_.get_aspect() == 1
    assert display.figure_ is display.ax_.figure
    assert display.image_ is display.poses_ is None


def test_which_keypoints_are_inside():
    boundary = CENTERS[1] + [[10, 0], [0, 5], [-6, 4]]
    for scale, expected in ((1, True), (0.99, True), (1.01, False)):
        keypoints = CENTERS[1] + scale * (boundary - CENTERS[1])
        display = KeypointSetsDisplay(np.tile(CENTERS[1], (3, 1)), PRECISIONS[[1, 1, 1]], keypoints)
        np.testing.assert_array_equal(display.inside, expected)


def test_the_view_holds_a_large_set():
    display = KeypointSetsDisplay([[0, 0]], [[[0.0003, 0.0002], [0.0002, 0.0004]]]).plot()
    lower, upper = view(display)
    points = outline(display.ellipses_[0])
    assert np.all(points > lower)
    assert np.all(points < upper)
    assert np.all(upper - lower < 1.2 * np.ptp(points, axis=0).max())


def test_the_view_holds_all_sets_and_keypoints():
    far = np.add(KEYPOINTS, [[0, 0], [0, 0], [0, 300]])
    display = KeypointSetsDisplay(CENTERS, PRECISIONS, far, image_shape=(2000, 1000)).plot()
    lower, upper = view(display)
    points = np.concatenate([far, *(outline(ellipse) for ellipse in display.ellipses_)])
    assert np.all(points > lower)
    assert np.all(points < upper)
    assert np.all(upper - lower < 1.2 * np.ptp(points, axis=0).max())
    (frame,) = [patch for patch in display.ax_.patches if isinstance(patch, matplotlib.patches.Rectangle)]
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((0, 0), 1000, 2000)
    whole = KeypointSetsDisplay(CENTERS, PRECISIONS, far, image_shape=(2000, 1000)).plot(zoom=False)
    np.testing.assert_array_equal(view(whole), [[0, 0], [1000, 2000]])
    unframed = KeypointSetsDisplay(CENTERS, PRECISIONS, far).plot(zoom=False)
    np.testing.assert_array_equal(view(unframed), [lower, upper])


@pytest.mark.parametrize("shape", [(300, 400), (300, 400, 3), (300, 400, 4)])
def test_images(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    display = KeypointSetsDisplay(CENTERS, PRECISIONS, image=image).plot(cmap="viridis", zoom=False)
    np.testing.assert_array_equal(display.image_.get_array(), image)
    assert display.image_.get_extent() == [0, 400, 300, 0]
    assert display.image_.cmap.name == "viridis"
    assert display.image_.get_zorder() < display.ellipses_[0].get_zorder()
    assert display.image_shape == (300, 400)
    np.testing.assert_array_equal(view(display), [[0, 0], [400, 300]])
    zoomed = KeypointSetsDisplay(CENTERS, PRECISIONS, image=image).plot()
    assert np.all(np.diff(view(zoomed), axis=0) < 80)


def test_objects_in_their_poses():
    display = KeypointSetsDisplay(CENTERS, PRECISIONS, edges=EDGES, **OBJECT).plot()
    expected = np.array([[seen(pose[:, :3], pose[:, 3], point) for point in POINTS] for pose in POSES])
    np.testing.assert_allclose(display.projections, expected)
    segments = np.array(display.poses_.get_segments()).reshape(6, 3, 2, 2)
    np.testing.assert_allclose(segments, expected[:, EDGES])
    lower, upper = view(display)
    assert np.all((expected > lower) & (expected < upper))
    assert labels(display) == ["object in 6 poses", "set"]
    assert display.poses_.get_alpha() == 1
    dots = KeypointSetsDisplay(CENTERS, PRECISIONS, **OBJECT).plot(numbers=False)
    np.testing.assert_allclose(dots.poses_.get_xydata(), expected.reshape(-1, 2))
    assert list(dots.ax_.texts) == []
    one = KeypointSetsDisplay(CENTERS, PRECISIONS, edges=EDGES, **{**OBJECT, "poses": POSES[2]}).plot()
    np.testing.assert_allclose(np.array(one.poses_.get_segments()), expected[2, EDGES])
    assert labels(one) == ["object in its pose", "set"]
    many = KeypointSetsDisplay(CENTERS, PRECISIONS, edges=EDGES, **{**OBJECT, "poses": np.tile(POSES, (50, 1, 1))})
    assert 0 < many.plot().poses_.get_alpha() < 0.5
    (handle,) = [line for line in many.ax_.get_legend().get_lines() if line.get_label() == "object in 300 poses"]
    assert handle.get_alpha() is None


def test_two_levels_share_axes():
    figure, ax = matplotlib.pyplot.subplots()
    first = KeypointSetsDisplay(CENTERS, PRECISIONS, KEYPOINTS, alpha=0.1, image_shape=(480, 640)).plot(ax)
    near = view(first)
    second = KeypointSetsDisplay(CENTERS, 4 * PRECISIONS, alpha=0.4)
    assert second.plot(ax, edgecolor="tab:pink", linestyle="--", numbers=False) is second
    assert first.ax_ is second.ax_ is ax
    assert first.figure_ is figure
    np.testing.assert_array_equal(view(second), near)
    joint, *_, other = labels(second)
    assert (joint, other) == ("joint 90 % sets", "joint 60 % sets")
    assert second.ellipses_[0].get_edgecolor() == matplotlib.colors.to_rgba("tab:pink")
    assert second.ellipses_[0].width == pytest.approx(first.ellipses_[0].width / 2)
    KeypointSetsDisplay(CENTERS + 100, PRECISIONS).plot(ax, label="elsewhere")
    assert labels(second)[-1] == "elsewhere"
    np.testing.assert_array_equal(view(second)[0], near[0])
    assert np.all(view(second)[1] > near[1] + 50)
    assert len(ax.texts) == 6


def test_the_plane_as_a_set():
    precisions = PRECISIONS.copy()
    precisions[1] = 0
    keypoints = np.add(KEYPOINTS, [[0, 0], [1e6, 0], [0, 0]])
    display = KeypointSetsDisplay(CENTERS, precisions, keypoints).plot(zoom=False)
    assert display.ellipses_[1] is None
    np.testing.assert_array_equal(display.semi_axes[1], np.inf)
    np.testing.assert_array_equal(display.inside, [True, True, False])
    assert [text.get_text() for text in display.ax_.texts] == ["0", "1: whole plane", "2"]
    nowhere = KeypointSetsDisplay(CENTERS[:1], np.zeros((1, 2, 2))).plot()
    assert np.all((CENTERS[0] > view(nowhere)[0]) & (CENTERS[0] < view(nowhere)[1]))


def test_sets_of_a_detector(data, detector):
    heatmaps, affine = data.heatmaps[35], data.affine[35]
    image = np.random.default_rng(0).uniform(size=(480, 640))
    options = {"poses": data.poses[35], "points": data.points, "camera": data.camera, "edges": [(0, 1)]}
    display = KeypointSetsDisplay.from_estimator(
        detector, heatmaps, data.keypoints[35], affine=affine, image=image, name="35", linewidth=2, **options
    )
    sets = detector.predict_set(data.heatmaps[35:36], affine=data.affine[35:36])
    np.testing.assert_array_equal(display.centers, sets.centers[0])
    np.testing.assert_array_equal(display.precisions, sets.precisions[0])
    # The true pose puts the points of the object where the keypoints are.
    np.testing.assert_allclose(display.keypoints, display.projections[0], atol=1e-9)
    np.testing.assert_array_equal(display.inside, sets.contains_keypoints(display.keypoints[None])[0])
    assert labels(display)[:2] == ["object in its pose", "joint 80 % sets"]
    assert display.ellipses_[0].get_linewidth() == 2
    assert display.image_.get_extent() == [0, 640, 480, 0]
    assert display.ax_.get_title() == "35"
    given = KeypointSetsDisplay.from_predictions(
        sets.centers[0], sets.precisions[0], display.keypoints, image=image, alpha=0.2, **options
    )
    np.testing.assert_array_equal(given.inside, display.inside)
    assert labels(given) == labels(display)
    np.testing.assert_array_equal(view(given), view(display))


def test_sets_in_the_heatmaps_themselves(data, detector):
    display = KeypointSetsDisplay.from_estimator(detector, data.heatmaps[35], data.keypoints[35], alpha=0.1)
    np.testing.assert_array_equal(display.keypoints, data.keypoints[35])
    expected = detector.predict_set(data.heatmaps[35:36], alpha=0.1)
    np.testing.assert_array_equal(display.precisions, expected.precisions[0])
    assert labels(display)[0] == "joint 90 % sets"


def test_what_no_detector_predicts(data, detector):
    with pytest.raises(TypeError, match=r"must be a fitted model with predict_set.*got LinearRegression"):
        KeypointSetsDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), data.heatmaps[0])
    with pytest.raises(NotFittedError):
        KeypointSetsDisplay.from_estimator(ConformalKeypointDetector(), data.heatmaps[0])
    with pytest.raises(ValueError, match=r"affine has shape \(3, 3\), it must be \(2, 3\)"):
        KeypointSetsDisplay.from_estimator(detector, data.heatmaps[0], affine=np.eye(3))
    with pytest.raises(ValueError, match="keypoints holds NaN"):
        KeypointSetsDisplay.from_estimator(detector, data.heatmaps[0], np.full((4, 2), np.nan), affine=data.affine[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keypoints": KEYPOINTS[:2]}, r"keypoints has shape \(2, 2\), it must be \(3, 2\)"),
        ({"image": np.zeros((4, 4, 2))}, r"image has shape \(4, 4, 2\) and type float64"),
        ({"image": np.zeros((0, 4))}, r"image has shape \(0, 4\)"),
        ({"image": [["a"]]}, "type <U1"),
        ({"image": np.zeros((4, 4)), "image_shape": (4, 4)}, "give image or image_shape, not both"),
        ({"image_shape": (480, 0)}, r"image_shape=\(480, 0\) must be two positive integers"),
        ({"image_shape": (480, 640, 3)}, "must be two positive integers"),
        ({"poses": POSES}, "points and camera must be given too"),
        ({"points": POINTS, "camera": CAMERA}, "poses must be given too"),
        ({**OBJECT, "poses": POSES[:, :, :3]}, r"poses has shape \(6, 3, 3\), it must be \(m, 3, 4\)"),
        ({**OBJECT, "poses": POSES[:0]}, "poses holds 0 poses"),
        ({**OBJECT, "points": POINTS[:, :2]}, r"points has shape \(4, 2\), it must be \(n_points, 3\)"),
        ({**OBJECT, "camera": np.eye(2)}, r"camera has shape \(2, 2\), it must be \(3, 3\)"),
        ({**OBJECT, "points": POINTS - [0, 0, 5]}, r"points\[0\] has the depth -.* in poses\[0\]: it is not in front"),
        ({"edges": EDGES}, "edges join points of the object: give poses, points and camera too"),
        ({**OBJECT, "edges": [(0, 4)]}, "edges holds numbers from 0 to 4, but points are 0 to 3"),
        ({**OBJECT, "edges": [(-1, 2)]}, "edges holds numbers from -1 to 2"),
        ({**OBJECT, "edges": [0, 1]}, r"edges has shape \(2,\)"),
        ({**OBJECT, "edges": [(0.0, 1.0)]}, "type float64, it must be integers"),
        ({"alpha": 0}, "alpha=0 must lie between 0 and 1"),
    ],
)
def test_what_is_drawn_is_checked(options, message):
    with pytest.raises(ValueError, match=message):
        KeypointSetsDisplay(CENTERS, PRECISIONS, **options)


def test_sets_are_checked():
    with pytest.raises(ValueError, match=r"centers has shape \(3, 3\), it must be \(K, 2\)"):
        KeypointSetsDisplay(POINTS[:3], PRECISIONS)
    with pytest.raises(ValueError, match="centers is empty"):
        KeypointSetsDisplay(CENTERS[:0], PRECISIONS[:0])
    with pytest.raises(ValueError, match=r"precisions\[2\] = .* is not positive definite"):
        KeypointSetsDisplay(CENTERS, PRECISIONS * np.array([1, 1, -1])[:, None, None])


@pytest.mark.parametrize("name", [None, "title"])
@pytest.mark.parametrize("stretch", [(1, 1), (6, 1), (1, 6)])
def test_nothing_is_cut_off(name, stretch):
    centers = (CENTERS - 180) * stretch
    keypoints = np.add(centers, [[0, 0], [0, 0], [5, 0]])
    display = KeypointSetsDisplay(centers, PRECISIONS, keypoints, alpha=0.1).plot(name=name)
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for artist in (ax.get_legend(), ax.xaxis.label, ax.yaxis.label, *([ax.title] if name else [])):
        box = artist.get_window_extent(renderer)
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = KeypointSetsDisplay(CENTERS, PRECISIONS)
    with pytest.raises(ImportError, match=r'KeypointSetsDisplay.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
