import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from estimand import chordal_mean, rotation_angle
from estimand.displays import PoseSetDisplay

matplotlib = pytest.importorskip("matplotlib")


RNG = np.random.default_rng(0)
TURN = Rotation.from_rotvec([2.0, 1.0, -0.5])
R = (TURN * Rotation.from_rotvec(0.1 * RNG.standard_normal((200, 3)))).as_matrix()
T = [0.1, -0.05, 1.0] + RNG.standard_normal((200, 3)) @ np.array([[0.01, 0.0, 0.1], [0.0, 0.01, 0.0], [0.0, 0.0, 0.02]])
TRUTH = np.column_stack([TURN.as_matrix(), [0.1, -0.05, 1.1]])


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines(ax, marker):
    return [line for line in ax.get_lines() if line.get_marker() == marker and len(line.get_xdata())]


def outline(patch):
    """Return points on the boundary of a patch, in the coordinates of the axes."""
    turn = np.linspace(0, 2 * np.pi, 500)
    return patch.get_patch_transform().transform(np.column_stack([np.cos(turn), np.sin(turn)]))


def limits(ax):
    return np.array([ax.get_xlim(), ax.get_ylim()]).T


def test_the_axes_of_the_object_as_the_camera_sees_them():
    display = PoseSetDisplay(R, T, truth=TRUTH).plot(name="object")
    sphere = display.axes_[0]
    assert sphere.get_ylim()[0] > sphere.get_ylim()[1]  # y points down, as in images
    assert sphere.get_title() == "object"
    for j, points in enumerate(display.body_axes_):
        np.testing.assert_allclose(points.get_offsets(), R[:, :2, j])
    stars = [line.get_xydata()[0] for line in lines(sphere, "*")]
    np.testing.assert_allclose(stars, TURN.as_matrix()[:2].T)
    mean = chordal_mean(R)
    ends = [line.get_xydata()[1] for line in sphere.get_lines() if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(ends, mean[:2].T)
    styles = [line.get_linestyle() for line in sphere.get_lines() if len(line.get_xdata()) == 2]
    assert styles == ["-" if z <= 0 else ":" for z in mean[2]]
    assert [text.get_text() for text in sphere.texts] == ["x", "y", "z"]
    assert labels(sphere) == ["axes of the centre", "axes in 200 poses", "true axes"]
    assert display.caps_ == []


def test_directions_away_from_the_camera_are_pale():
    everywhere = Rotation.random(100, random_state=0).as_matrix()
    display = PoseSetDisplay(everywhere, T[:100]).plot()
    fronts = []
    for j, points in enumerate(display.body_axes_):
        toward, away = (points.get_facecolors()[side] for side in (everywhere[:, 2, j] <= 0, everywhere[:, 2, j] > 0))
        assert len(np.unique(toward, axis=0)) == len(np.unique(away, axis=0)) == 1
        assert np.all(away[0, :3] > toward[0, :3])
        fronts.append(toward[0])
    assert len(np.unique(fronts, axis=0)) == 3


def test_axes_all_in_front():
    display = PoseSetDisplay(R, T, rotation_bound_deg=20).plot(view="object")
    mean = chordal_mean(R)
    assert "in front" in display.axes_[0].get_xlabel()
    drawn = np.array([points.get_offsets() for points in display.body_axes_])
    ends = np.array([line.get_xydata()[1] for line in display.axes_[0].get_lines() if len(line.get_xdata()) == 2])
    # All three are as far from the middle, with z on top (the vertical axis points down) and x on the left.
    np.testing.assert_allclose(np.linalg.norm(ends, axis=1), np.sqrt(2 / 3))
    np.testing.assert_allclose(ends[2], [0, -np.sqrt(2 / 3)], atol=1e-12)
    assert ends[0, 0] < 0 < ends[1, 0]
    assert {line.get_linestyle() for line in display.axes_[0].get_lines() if len(line.get_xdata()) == 2} == {"-"}
    # It is the orthographic projection of rotated directions: what is lost is the component towards the viewer.
    for j in range(3):
        toward = R[:, :, j] @ mean @ np.ones(3) / np.sqrt(3)
        np.testing.assert_allclose(np.linalg.norm(drawn[j], axis=1) ** 2 + toward**2, 1)


@pytest.mark.parametrize("view", ["camera", "object"])
@pytest.mark.parametrize("angle", [12.5, 60.0, 120.0])
def test_caps_have_the_certified_angle(angle, view):
    display = PoseSetDisplay(R, T, rotation_bound_deg=angle).plot(view=view)
    ends = [line.get_xydata()[1] for line in display.axes_[0].get_lines() if len(line.get_xdata()) == 2]
    mean, toward = display.center.R, display.center.R @ np.ones(3) / np.sqrt(3)
    depths = mean[2] if view == "camera" else -toward @ mean
    for j in range(3):
        front, back = display.caps_[2 * j : 2 * j + 2]
        assert (front.get_linestyle(), back.get_linestyle()) == ("-", ":")
        shown = []
        for line, sign in ((front, -1), (back, 1)):
            x, y = line.get_xydata()[np.isfinite(line.get_xydata()[:, 0])].T
            depth = sign * np.sqrt(np.maximum(1 - x**2 - y**2, 0))
            cosine = ends[j][0] * x + ends[j][1] * y + depths[j] * depth
            np.testing.assert_allclose(cosine, np.cos(np.deg2rad(angle)), atol=1e-7)
            shown.append(len(x))
        assert sum(shown) == 361
    assert f"certified: within {angle:g}° of the centre" in labels(display.axes_[0])


def test_caps_hold_the_axes_of_all_rotations_within_the_angle():
    display = PoseSetDisplay(R, T)
    angle = rotation_angle(display.center.R, R)
    turned = np.rad2deg(np.arccos(np.einsum("ij,mij->mj", display.center.R, R)))
    assert np.all(turned <= angle[:, None] + 1e-9)
    for bound in (180, None):
        whole = PoseSetDisplay(R, T, rotation_bound_deg=bound).plot()
        assert whole.caps_ == []
        assert not any("certified" in label for label in labels(whole.axes_[0]))


def test_translations_against_the_depth():
    display = PoseSetDisplay(R, T, truth=TRUTH, translation_bound=0.4567).plot()
    mean = T.mean(axis=0)
    for panel, points, ellipse, circle, pair in zip(
        display.axes_[1:],
        display.translations_,
        display.ellipses_,
        display.circles_,
        ([0, 2], [1, 2]),
        strict=True,
    ):
        np.testing.assert_allclose(points.get_offsets(), T[:, pair])
        np.testing.assert_allclose([lines(panel, "+")[0].get_xydata()[0]], [mean[pair]])
        np.testing.assert_allclose([lines(panel, "*")[0].get_xydata()[0]], [TRUTH[pair, 3]])
        np.testing.assert_allclose(circle.get_center(), mean[pair])
        assert circle.get_radius() == 0.4567
        np.testing.assert_allclose(ellipse.get_center(), mean[pair])
        v = outline(ellipse) - mean[pair]
        S = display.ellipsoid[np.ix_(pair, pair)]
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", v, np.linalg.inv(S), v), 1)
        assert panel.get_aspect() == 1
        lower, upper = limits(panel)
        assert np.all(lower < np.minimum(T[:, pair].min(axis=0), mean[pair] - 0.4567))
        assert np.all(upper > np.maximum(T[:, pair].max(axis=0), mean[pair] + 0.4567))
        assert panel.get_ylabel() == "z, the depth, in m"
    assert [panel.get_xlabel() for panel in display.axes_[1:]] == ["x, to the right, in m", "y, downwards, in m"]
    names = ["200 poses", "ellipsoid around them", "certified: within 0.457 m of the centre", "centre", "true pose"]
    assert labels(display.axes_[1]) == names
    assert display.figure_ is display.axes_[0].figure


def test_the_ellipsoid_holds_all_samples():
    display = PoseSetDisplay(R, T)
    v = T - display.ellipsoid_center
    forms = np.einsum("ni,ij,nj->n", v, np.linalg.inv(display.ellipsoid), v)
    assert forms.max() == pytest.approx(1)
    covariance = np.cov(T.T)
    np.testing.assert_allclose(display.ellipsoid / display.ellipsoid[2, 2], covariance / covariance[2, 2], atol=1e-12)


def test_a_certified_ellipsoid_is_drawn_as_it_is_given():
    center, shape = np.array([0.1, -0.05, 1.0]), np.diag([0.02, 0.03, 0.5]) ** 2
    display = PoseSetDisplay(R, T, certified_ellipsoid=(center, shape), translation_bound=0.4).plot()
    np.testing.assert_array_equal(display.ellipsoid, shape)
    for j, ellipse in enumerate(display.ellipses_):
        off = outline(ellipse) - center[[j, 2]]
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", off, np.linalg.inv(shape[np.ix_([j, 2], [j, 2])]), off), 1)
    assert "certified: within this ellipsoid" in labels(display.axes_[1])
    # What the bound has excluded is not worth the space.
    alone = PoseSetDisplay(R, T, translation_bound=0.4).plot()
    np.testing.assert_allclose(limits(display.axes_[1]), limits(alone.axes_[1]))
    single = PoseSetDisplay(R[:1], T[:1], certified_ellipsoid=(center, shape)).plot()
    assert len(single.ellipses_) == 2


@pytest.mark.parametrize(
    ("ellipsoid", "message"),
    [
        (([0.0, 0.0], np.eye(3)), r"certified_ellipsoid\[0\]"),
        (([0.0, 0.0, 0.0], np.eye(2)), r"certified_ellipsoid\[1\]"),
        (([0.0, 0.0, 0.0], -np.eye(3)), "symmetric positive definite"),
        (([0.0, 0.0, 0.0], np.eye(3) + np.eye(3, k=1)), "symmetric positive definite"),
    ],
)
def test_bad_ellipsoids(ellipsoid, message):
    with pytest.raises(ValueError, match=message):
        PoseSetDisplay(R, T, certified_ellipsoid=ellipsoid)


def test_flat_sets_and_single_poses():
    flat = T.copy()
    flat[:, 1] = -0.05
    display = PoseSetDisplay(R, flat).plot()
    v = flat - display.ellipsoid_center
    forms = np.einsum("ni,ij,nj->n", v, np.linalg.pinv(display.ellipsoid, rcond=1e-9), v)
    assert forms.max() == pytest.approx(1)
    assert min(display.ellipses_[1].width, display.ellipses_[1].height) == pytest.approx(0, abs=1e-9)
    line = PoseSetDisplay(R, np.add([0.1, -0.05, 1.0], np.outer(np.linspace(-1, 1, 200), [0.0, 0.0, 0.1])))
    np.testing.assert_allclose(line.ellipsoid, np.diag([0, 0, 0.01]), atol=1e-12)
    one = PoseSetDisplay(R[:1], T[:1]).plot()
    np.testing.assert_array_equal(one.center.t, T[0])
    np.testing.assert_allclose(one.center.R, R[0], atol=1e-12)
    assert one.ellipses_ == []
    assert labels(one.axes_[1]) == ["1 pose", "centre"]
    assert np.all(limits(one.axes_[1])[0] < T[0, [0, 2]])
    assert np.all(limits(one.axes_[1])[1] > T[0, [0, 2]])
    one.figure_.canvas.draw()


def test_the_centre_and_the_truth_as_matrices_or_pairs():
    np.testing.assert_allclose(PoseSetDisplay(R, T).center.R, chordal_mean(R), atol=1e-12)
    for center in (TRUTH, TRUTH.tolist(), (TRUTH[:, :3], TRUTH[:, 3])):
        display = PoseSetDisplay(R, T, center=center, truth=center, translation_bound=0.3)
        for pose in (display.center, display.truth):
            np.testing.assert_array_equal(pose.R, TRUTH[:, :3])
            np.testing.assert_array_equal(pose.t, TRUTH[:, 3])
    display.plot()
    np.testing.assert_allclose(display.circles_[1].get_center(), TRUTH[[1, 2], 3])


@pytest.mark.parametrize(
    ("bound", "text"), [(0.2, "0.2"), (0.20001, "0.201"), (12.344, "12.4"), (17, "17"), (0.09999, "0.1"), (0.0, "0")]
)
def test_bounds_are_rounded_up(bound, text):
    display = PoseSetDisplay(R, T, translation_bound=bound, rotation_bound_deg=bound, unit="mm").plot()
    assert f"certified: within {text} mm of the centre" in labels(display.axes_[1])
    assert f"certified: within {text}° of the centre" in labels(display.axes_[0])


def test_no_bound():
    display = PoseSetDisplay(R, T, translation_bound=np.inf, rotation_bound_deg=180).plot()
    assert display.circles_ == display.caps_ == []
    assert not any("certified" in label for panel in display.axes_[:2] for label in labels(panel))
    assert np.all(np.isfinite(limits(display.axes_[1])))


def test_two_sets_share_axes():
    first = PoseSetDisplay.from_predictions(R, T, translation_bound=0.4, name="first")
    second = PoseSetDisplay.from_predictions(R[:50], np.add(T[:50], [0.5, 0, 0]), ax=first.axes_, color="tab:red", s=20)
    assert all(a is b for a, b in zip(first.axes_, second.axes_, strict=True))
    assert first.axes_[0].get_title() == "first"
    red = matplotlib.colors.to_rgb("tab:red")
    for points in (*second.body_axes_, *second.translations_):
        np.testing.assert_allclose(points.get_facecolor()[0, :3], red)
        assert points.get_sizes() == [20]
    names = labels(second.axes_[1])
    assert [name for name in names if "poses" in name] == ["200 poses", "50 poses"]
    assert names.count("centre") == 1
    lower, upper = limits(first.axes_[1])
    assert lower[0] < T[:, 0].mean() - 0.4
    assert upper[0] > T[:50, 0].max() + 0.5


def test_one_axes_is_divided():
    figure, (left, right) = matplotlib.pyplot.subplots(1, 2, layout="constrained")
    display = PoseSetDisplay(R, T).plot(right)
    assert display.figure_ is figure
    assert not right.axison
    assert left.axison
    place = right.get_subplotspec()
    assert [panel.get_subplotspec().get_topmost_subplotspec() for panel in display.axes_] == [place] * 3
    with pytest.raises(
        ValueError, match=r"ax is switched off, as if it were divided before: give 3 axes.*PoseSetDisplay"
    ):
        PoseSetDisplay(R, T).plot(right)
    with pytest.raises(ValueError, match="ax has no place in a grid of subplots"):
        PoseSetDisplay(R, T).plot(figure.add_axes((0, 0, 0.1, 0.1)))
    with pytest.raises(ValueError, match="ax holds 2 axes, but PoseSetDisplay draws on 3"):
        PoseSetDisplay(R, T).plot([left, right])
    rows = matplotlib.pyplot.subplots(1, 3)[1]
    assert PoseSetDisplay(R, T).plot(rows).axes_[2] is rows[2]
    assert PoseSetDisplay(R, T).plot(list(rows)).axes_[0] is rows[0]


MIRROR = np.diag([1.0, 1.0, -1.0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((R[0], T[0]), {}, r"R has shape \(3, 3\), it must be \(m, 3, 3\)"),
        ((R, T[:5]), {}, r"t has shape \(5, 3\), it must be \(200, 3\)"),
        ((R[:0], T[:0]), {}, "R and t are empty"),
        ((R * 1.01, T), {}, r"R\[0\] = .* is no rotation"),
        ((R @ MIRROR, T), {}, r"R\[0\] = .* is no rotation"),
        ((R, T * np.inf), {}, "t holds NaN or infinity"),
        ((R, T), {"center": R[0]}, r"center has shape \(3, 3\), it must be \(3, 4\)"),
        ((R, T), {"truth": (MIRROR, T[0])}, r"the rotation of truth = .* is no rotation"),
        ((R, T), {"truth": (R[0], T)}, r"the translation of truth has shape \(200, 3\), it must be \(3,\)"),
        ((R, T), {"rotation_bound_deg": 181}, r"rotation_bound_deg=181 must lie in \[0, 180\]"),
        ((R, T), {"translation_bound": -1.0}, r"translation_bound=-1.0 must lie in \[0, inf\]"),
        (
            (R, T),
            {"translation_bound": np.nan},
            "translation_bound=nan must lie in .* or be None where there is no bound",
        ),
    ],
)
def test_what_is_drawn_is_checked(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        PoseSetDisplay(*arguments, **options)


def test_views_are_checked():
    with pytest.raises(ValueError, match="view='top' must be 'camera' or 'object'"):
        PoseSetDisplay(R, T).plot(view="top")
    assert matplotlib.pyplot.get_fignums() == []


def test_nothing_is_cut_off():
    options = {"truth": TRUTH, "translation_bound": 0.1234, "rotation_bound_deg": 12.34, "name": "title"}
    display = PoseSetDisplay.from_predictions(R, T, **options)
    figure = display.figure_
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    artists = [panel.xaxis.label for panel in display.axes_] + [panel.yaxis.label for panel in display.axes_[1:]]
    for artist in (*artists, display.axes_[0].title, *(panel.get_legend() for panel in display.axes_[:2])):
        box = artist.get_window_extent(renderer)
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = PoseSetDisplay(R, T)
    with pytest.raises(ImportError, match=r'PoseSetDisplay.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
