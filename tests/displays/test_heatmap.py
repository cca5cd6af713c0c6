import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from estimand import ConformalKeypointDetector
from estimand.datasets import make_keypoint_pose_dataset
from estimand.displays import HeatmapDisplay

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def data():
    return make_keypoint_pose_dataset(40, heatmap_size=24, n_keypoints=4, random_state=0)


@pytest.fixture(scope="module")
def detector(data):
    return ConformalKeypointDetector(alpha=0.2).fit(data.heatmaps[:30], data.keypoints[:30])


def turned(major, minor, degrees):
    """Return the precision of the ellipse with these semi-axes, the longer one turned from x to y."""
    angle = np.deg2rad(degrees)
    Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Q @ np.diag([major**-2.0, minor**-2.0]) @ Q.T


def outline(ellipse):
    """Return points on the boundary of a patch, in the coordinates of the axes."""
    turn = np.linspace(0, 2 * np.pi, 50)
    return ellipse.get_patch_transform().transform(np.column_stack([np.cos(turn), np.sin(turn)]))


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def numbers(display):
    return [text.get_text() for text in display.ax_.texts]


RNG = np.random.default_rng(0)
HEATMAPS = RNG.uniform(size=(5, 20, 30))
CENTERS = np.array([[5.0, 6.0], [10.0, 3.0], [29.0, 10.0], [15.0, 15.0], [0.5, 0.5]])
PRECISIONS = np.array([turned(4, 2, 30), turned(3, 1, 150), np.eye(2) / 36, np.zeros((2, 2)), turned(10, 1, 90)])


def test_ellipses_have_the_axes_of_their_sets():
    display = HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS, indices=[1, 0, 4]).plot(n_columns=2)
    np.testing.assert_allclose(display.semi_axes, [[4, 2], [3, 1], [6, 6], [np.inf, np.inf], [10, 1]])
    np.testing.assert_allclose(display.angles[[0, 1, 4]], [30, 150, 90])
    for ellipse, image, k in zip(display.ellipses_, display.images_, (1, 0, 4), strict=True):
        left, _, _, top = image.get_extent()
        np.testing.assert_allclose(ellipse.get_center(), CENTERS[k] + (left, top))
        assert ellipse.width == pytest.approx(2 * display.semi_axes[k, 0])
        assert ellipse.height == pytest.approx(2 * display.semi_axes[k, 1])
        assert ellipse.angle == pytest.approx(display.angles[k])
        v = outline(ellipse) - CENTERS[k] - (left, top)
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", v, PRECISIONS[k], v), 1)


def test_heatmaps_stand_side_by_side():
    display = HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS, indices=[3, 0, 2]).plot(n_columns=2, name="five")
    extents = np.array([image.get_extent() for image in display.images_])
    np.testing.assert_allclose(extents - extents[:, [0, 0, 3, 3]], [[0, 30, 20, 0]] * 3)
    np.testing.assert_allclose(extents[:, 0], [0, extents[1, 0], 0])
    np.testing.assert_allclose(extents[:, 3], [0, 0, extents[2, 3]])
    assert 30 < extents[1, 0] < 36
    assert 20 < extents[2, 3] < 26
    for image, k in zip(display.images_, (3, 0, 2), strict=True):
        np.testing.assert_array_equal(image.get_array(), HEATMAPS[k])
        assert image.get_clim() == (HEATMAPS[k].min(), HEATMAPS[k].max())
    assert numbers(display) == ["3: whole plane", "0", "2"]
    assert display.ax_.get_title() == "five"
    assert display.ax_.get_xlabel() == "heatmaps of 30 × 20 px, each on a scale of its own"
    assert list(display.ax_.get_xticks()) == []
    assert display.ax_.get_xlim()[0] <= 0 < extents[:, 1].max() <= display.ax_.get_xlim()[1]
    assert display.ax_.get_ylim()[0] >= extents[:, 2].max() > 0 >= display.ax_.get_ylim()[1]
    assert display.figure_ is display.ax_.figure


def test_what_lies_beyond_a_heatmap():
    keypoints = np.array([[5.0, 6.5], [50.0, -3.0], [31.0, 10.0], [99.0, 7.0], [0.5, 1.0]])
    centers = CENTERS.copy()
    centers[0] = [-2.0, 6.0]
    display = HeatmapDisplay(HEATMAPS, centers, PRECISIONS, keypoints).plot(n_columns=5)
    lefts = [image.get_extent()[0] for image in display.images_]
    assert display.ellipses_[3] is None
    for ellipse, left in [(display.ellipses_[k], lefts[k]) for k in (0, 1, 2, 4)]:
        corners = display.ax_.transData.inverted().transform(ellipse.get_clip_box().get_points())
        expected = [[left, 0], [left + 30, 20]]
        np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], expected, atol=1e-9)
    np.testing.assert_array_equal(display.inside, [False, False, True, True, True])
    np.testing.assert_allclose(display.missed_.get_xydata(), [[5, 6.5], [lefts[1] + 30, 0]])
    np.testing.assert_allclose(
        display.keypoints_.get_xydata(), [[lefts[2] + 30, 10], [lefts[3] + 30, 7], [lefts[4] + 0.5, 1]]
    )
    drawn = display.centers_.get_xydata()
    assert np.all(np.isnan(drawn[0]))
    np.testing.assert_allclose(drawn[1:], centers[1:] + np.column_stack([lefts[1:], np.zeros(4)]))
    assert labels(display) == ["set", "true keypoint", "true keypoint outside its set"]


def test_scales():
    heatmaps = HEATMAPS * np.arange(1, 6)[:, None, None]
    heatmaps[0, 0, 0] = np.inf
    heatmaps[1, 2, 3] = np.nan
    display = HeatmapDisplay(heatmaps, CENTERS, PRECISIONS, indices=[0, 1, 2]).plot(scale="common", cmap="viridis")
    finite = heatmaps[:3][np.isfinite(heatmaps[:3])]
    assert {image.get_clim() for image in display.images_} == {(finite.min(), finite.max())}
    assert display.images_[0].cmap.name == "viridis"
    assert display.ax_.get_xlabel().endswith("on one scale")
    own = HeatmapDisplay(heatmaps, CENTERS, PRECISIONS).plot()
    assert own.images_[0].get_clim() == (heatmaps[0].min(), np.sort(heatmaps[0].ravel())[-2])
    assert own.images_[2].get_clim() == (heatmaps[2].min(), heatmaps[2].max())
    nothing = HeatmapDisplay(np.full((1, 4, 4), np.nan), [[2, 2]], [np.eye(2)]).plot()
    nothing.figure_.canvas.draw()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, bool])
def test_other_types(dtype):
    heatmaps = (255 * HEATMAPS).astype(dtype)
    display = HeatmapDisplay(heatmaps, CENTERS, PRECISIONS).plot()
    np.testing.assert_array_equal(display.images_[1].get_array(), heatmaps[1])


def test_two_levels_share_axes():
    figure, ax = matplotlib.pyplot.subplots()
    first = HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS, CENTERS, alpha=0.1).plot(ax)
    second = HeatmapDisplay(HEATMAPS, CENTERS, 4 * PRECISIONS, CENTERS, alpha=0.4)
    assert second.plot(ax, color="tab:red", linestyle="--", lw=3) is second
    assert first.ax_ is second.ax_ is ax
    assert first.figure_ is figure
    assert labels(second) == ["joint 90 % sets", "true keypoint", "joint 60 % sets"]
    assert second.ellipses_[0].get_linestyle() == "--"
    assert second.ellipses_[0].get_linewidth() == 3
    assert second.ellipses_[0].get_edgecolor() == matplotlib.colors.to_rgba("tab:red")
    assert second.centers_.get_color() == "tab:red"
    assert first.ellipses_[0].width == pytest.approx(2 * second.ellipses_[0].width)
    assert max(image.get_zorder() for image in ax.images) < first.ellipses_[0].get_zorder()
    view = ax.get_xlim(), ax.get_ylim()
    HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS, indices=[2]).plot(ax)
    assert (ax.get_xlim(), ax.get_ylim()) == view


def test_sets_of_a_detector(data, detector):
    heatmaps, keypoints = data.heatmaps[35], data.keypoints[35]
    display = HeatmapDisplay.from_estimator(detector, heatmaps, keypoints, indices=[2, 1], n_columns=1, name="35")
    sets = detector.predict_set(data.heatmaps[35:36])
    np.testing.assert_array_equal(display.centers, sets.centers[0])
    np.testing.assert_array_equal(display.precisions, sets.precisions[0])
    np.testing.assert_array_equal(display.inside, sets.contains_keypoints(keypoints[None])[0])
    radii = 1 / np.sqrt(sets.precisions[0, :, 0, 0])
    np.testing.assert_allclose([ellipse.width / 2 for ellipse in display.ellipses_], radii[[2, 1]])
    assert display.ax_.get_title() == "35"
    assert labels(display)[0] == "joint 80 % sets"
    wider = HeatmapDisplay.from_estimator(
        detector, heatmaps, alpha=0.1, ax=display.ax_, edgecolor="red", scale="common"
    )
    assert np.all(wider.semi_axes > display.semi_axes)
    assert wider.keypoints_ is wider.missed_ is None
    assert "joint 90 % sets" in labels(wider)
    given = HeatmapDisplay.from_predictions(heatmaps, sets.centers[0], sets.precisions[0], keypoints, alpha=0.2)
    np.testing.assert_allclose(given.semi_axes, display.semi_axes)
    assert labels(given)[0] == "joint 80 % sets"


def test_the_plane_as_a_set(data):
    few = ConformalKeypointDetector(alpha=0.2).fit(data.heatmaps[:5], data.keypoints[:5])
    with pytest.warns(UserWarning, match="alpha"):
        display = HeatmapDisplay.from_estimator(few, data.heatmaps[35], alpha=0.01)
    assert display.ellipses_ == [None] * 4
    assert numbers(display) == [f"{k}: whole plane" for k in range(4)]


def test_detectors_with_groups_and_searches(data):
    groups = np.repeat(["a", "b"], 15)
    detector = ConformalKeypointDetector(alpha=0.2, nonconformity="ellipse")
    detector.fit(data.heatmaps[:30], data.keypoints[:30], groups=groups)
    for group in ("a", "b"):
        display = HeatmapDisplay.from_estimator(detector, data.heatmaps[35], group=group)
        expected = detector.predict_set(data.heatmaps[35:36], groups=[group])
        np.testing.assert_array_equal(display.precisions, expected.precisions[0])
    with pytest.raises(ValueError, match="'c'"):
        HeatmapDisplay.from_estimator(detector, data.heatmaps[35], group="c")
    search = GridSearchCV(ConformalKeypointDetector(alpha=0.2), {"nonconformity": ["ball"]}, cv=2)
    search.fit(data.heatmaps[:30], data.keypoints[:30])
    display = HeatmapDisplay.from_estimator(search, data.heatmaps[35])
    np.testing.assert_array_equal(display.centers, search.best_estimator_.predict(data.heatmaps[35:36])[0])


def test_what_no_detector_predicts(data, detector):
    with pytest.raises(TypeError, match=r"must be a fitted model with predict_set.*got LinearRegression"):
        HeatmapDisplay.from_estimator(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), data.heatmaps[0])
    with pytest.raises(NotFittedError):
        HeatmapDisplay.from_estimator(ConformalKeypointDetector(), data.heatmaps[0])
    with pytest.raises(ValueError, match=r"heatmaps has shape \(1, 4, 24, 24\), it must be \(K, height, width\)"):
        HeatmapDisplay.from_estimator(detector, data.heatmaps[:1])
    with pytest.raises(ValueError, match="alpha"):
        HeatmapDisplay.from_estimator(detector, data.heatmaps[0], alpha=1.5)
    points = ConformalKeypointDetector(input="points").fit(data.keypoints[:30] + 0.1, data.keypoints[:30])
    with pytest.raises(ValueError, match="estimator takes points, not heatmaps"):
        HeatmapDisplay.from_estimator(points, data.heatmaps[0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((HEATMAPS[0], CENTERS, PRECISIONS), {}, r"heatmaps has shape \(20, 30\) and type float64"),
        ((HEATMAPS[:0], CENTERS, PRECISIONS), {}, r"heatmaps has shape \(0, 20, 30\)"),
        ((HEATMAPS + 1j, CENTERS, PRECISIONS), {}, "type complex128"),
        ((HEATMAPS, CENTERS[:4], PRECISIONS), {}, r"centers has shape \(4, 2\), it must be \(5, 2\)"),
        ((HEATMAPS, CENTERS, PRECISIONS[:, 0]), {}, r"precisions has shape \(5, 2\), it must be \(5, 2, 2\)"),
        ((HEATMAPS, CENTERS * np.nan, PRECISIONS), {}, "centers holds NaN or infinity"),
        ((HEATMAPS, CENTERS, np.add(PRECISIONS, [[0, 0.1], [0, 0]])), {}, r"precisions\[0\] = .* is not symmetric"),
        (
            (HEATMAPS, CENTERS, -PRECISIONS),
            {},
            r"precisions\[0\] = .* is not positive definite \(or 0: the whole plane",
        ),
        ((HEATMAPS, CENTERS, PRECISIONS, CENTERS[:2]), {}, r"keypoints has shape \(2, 2\), it must be \(5, 2\)"),
        ((HEATMAPS, CENTERS, PRECISIONS), {"indices": [5]}, r"must lie in \[0, 4\], the keypoints"),
        ((HEATMAPS, CENTERS, PRECISIONS), {"indices": []}, "must be a vector of integers, one or more"),
        ((HEATMAPS, CENTERS, PRECISIONS), {"alpha": 1.0}, "alpha=1.0 must lie between 0 and 1"),
    ],
)
def test_what_is_drawn_is_checked(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        HeatmapDisplay(*arguments, **options)


def test_how_it_is_drawn_is_checked():
    display = HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS)
    with pytest.raises(ValueError, match="scale='atom' must be 'heatmap' or 'common'"):
        display.plot(scale="atom")
    with pytest.raises(ValueError, match="n_columns=0 must be an integer of at least 1"):
        display.plot(n_columns=0)
    assert matplotlib.pyplot.get_fignums() == []


@pytest.mark.parametrize(("n_keypoints", "name"), [(1, "title"), (3, None), (9, "title"), (60, "title")])
def test_nothing_is_cut_off(n_keypoints, name):
    rng = np.random.default_rng(0)
    centers = rng.uniform(2, 14, (n_keypoints, 2))
    keypoints = centers + rng.normal(size=centers.shape)
    precisions = np.tile(np.eye(2), (n_keypoints, 1, 1))
    display = HeatmapDisplay(rng.uniform(size=(n_keypoints, 16, 16)), centers, precisions, keypoints, alpha=0.1)
    figure = display.plot(name=name).figure_
    figure.canvas.draw()
    ax, renderer = display.ax_, figure.canvas.get_renderer()
    for artist in (ax.get_legend(), ax.xaxis.label, *([ax.title] if name else [])):
        box = artist.get_window_extent(renderer)
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = HeatmapDisplay(HEATMAPS, CENTERS, PRECISIONS)
    with pytest.raises(ImportError, match=r'HeatmapDisplay.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
