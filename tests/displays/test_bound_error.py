import sys

import numpy as np
import pytest

from estimand.displays import BoundErrorDisplay

matplotlib = pytest.importorskip("matplotlib")


FIELDS = ["rotation_deg", "rotation_lower_deg", "translation", "translation_lower"]
DTYPE = [*((name, float) for name in FIELDS), ("empty", bool), ("unbounded", bool), ("status", "U12")]


def certified(*rows):
    """Return bounds of rotations and translations as estimators do, the lower ones half as large."""
    bounds = np.zeros(len(rows), dtype=DTYPE)
    for i, (rotation, translation) in enumerate(rows):
        empty, unbounded = np.isnan(rotation), np.isinf(translation)
        status = "empty" if empty else "unbounded" if unbounded else "converged"
        bounds[i] = (rotation, rotation / 2, translation, translation / 2, empty, unbounded, status)
    return bounds


#: Of six images both errors of the first two are below the bounds, then one and none; the last two have no bounds.
BOUNDS = certified((10.0, 0.1), (20.0, 0.2), (5.0, 0.4), (8.0, 0.1), (180.0, np.inf), (np.nan, np.nan))
ERRORS = np.array([[2.0, 0.03], [20.0, 0.01], [6.0, 0.02], [16.0, 0.3], [90.0, 0.9], [3.0, 0.1]])


def labels(display):
    return [text.get_text() for text in display.axes_[0].get_legend().get_texts()]


def titles(display):
    return [panel.get_title() for panel in display.axes_]


def drawn(artists):
    return [artist.get_offsets().tolist() for artist in artists]


def test_bounds_against_errors():
    display = BoundErrorDisplay(BOUNDS, ERRORS).plot(name="object 9")
    assert drawn(display.covered_) == [[[2, 10], [20, 20]], [[0.03, 0.1], [0.01, 0.2]]]
    assert drawn(display.missed_) == [[[6, 5], [16, 8]], [[0.02, 0.4], [0.3, 0.1]]]
    assert titles(display) == [
        "object 9\nrotation: 2 of 4 below the line (50.0 %)",
        "translation: 1 of 4 below the line (25.0 %)",
    ]
    within = [[True, True], [True, True], [False, True], [False, False], [True, True], [False, False]]
    np.testing.assert_array_equal(display.within, within)
    np.testing.assert_array_equal(np.flatnonzero(display.unbounded), [4])
    np.testing.assert_array_equal(np.flatnonzero(display.empty), [5])
    assert labels(display) == ["gap of the certificate", "errors within both bounds", "an error above its bound"]
    for panel, what, unit in zip(display.axes_, ("rotation", "translation"), ("degrees", "m"), strict=True):
        assert panel.get_xlabel() == f"error of the {what} in {unit}"
        assert panel.get_ylabel() == f"certified bound in {unit}"
        assert panel.get_xscale() == panel.get_yscale() == "log"
        assert panel.get_xlim() == panel.get_ylim()
        assert panel.get_aspect() == 1
    assert display.axes_[0].get_xlim()[0] < 2 < 20 < display.axes_[0].get_xlim()[1]
    assert display.figure_ is display.axes_[0].figure
    (diagonal,) = [line for line in display.axes_[0].get_lines() if line.get_gid() == "error = bound"]
    assert diagonal.get_xy1() == (1, 1)
    assert diagonal.get_xy2() == (10, 10)


def test_bars_end_at_the_lower_bounds():
    display = BoundErrorDisplay(BOUNDS, ERRORS).plot()
    np.testing.assert_allclose(
        display.gaps_[0].get_segments()[:3], [[[2, 5], [2, 10]], [[20, 10], [20, 20]], [[6, 2.5], [6, 5]]]
    )
    np.testing.assert_allclose(display.gaps_[1].get_segments()[3], [[0.3, 0.05], [0.3, 0.1]])
    without = BoundErrorDisplay({name: BOUNDS[name] for name in ("rotation_deg", "translation")}, ERRORS).plot()
    assert without.gaps_ == []
    assert labels(without) == ["errors within both bounds", "an error above its bound"]
    np.testing.assert_array_equal(without.unbounded, display.unbounded)
    np.testing.assert_array_equal(without.empty, display.empty)


def test_images_that_the_sets_cover():
    covered = np.array([True, True, False, False, True, False])
    display = BoundErrorDisplay(BOUNDS, ERRORS, covered=covered).plot()
    assert labels(display)[1:] == ["all keypoints in their sets", "a keypoint outside its set"]
    other = BoundErrorDisplay(BOUNDS, ERRORS, covered=~covered).plot()
    assert drawn(display.covered_) == drawn(other.missed_) == [[[2, 10], [20, 20]], [[0.03, 0.1], [0.01, 0.2]]]
    assert drawn(display.missed_) == drawn(other.covered_)
    assert titles(other) == titles(display)
    everywhere = BoundErrorDisplay(BOUNDS[:2], ERRORS[:2], covered=[True, True]).plot()
    assert labels(everywhere)[1:] == ["all keypoints in their sets"]
    assert drawn(everywhere.missed_) == [[], []]


def test_what_is_not_drawn_is_counted():
    display = BoundErrorDisplay(BOUNDS, ERRORS, alpha=0.1).plot()
    assert display.caption_.get_text().split("\n") == [
        "not drawn: 1 of 6 images, without a bound",
        "not drawn: 1 of 6 images, whose set is empty",
        "promised: sets hold all keypoints in 90 %",
    ]
    assert BoundErrorDisplay(BOUNDS[:4], ERRORS[:4]).plot().caption_.get_text() == ""
    nothing = BoundErrorDisplay(BOUNDS[4:], ERRORS[4:]).plot()
    assert titles(nothing) == ["rotation: no bound", "translation: no bound"]
    nothing.figure_.canvas.draw()


def test_flags_of_bounds():
    bounds = certified((30.0, 0.1), (40.0, 0.2), (180.0, 0.3))
    bounds["unbounded"][0] = bounds["empty"][1] = True
    display = BoundErrorDisplay(bounds, np.ones((3, 2)))
    np.testing.assert_array_equal(display.unbounded, [True, False, False])
    np.testing.assert_array_equal(display.empty, [False, True, False])
    np.testing.assert_array_equal(display.within, [[True, True], [False, False], [True, False]])


def test_errors_as_a_table_or_two_vectors():
    for errors in (ERRORS, ERRORS.tolist(), tuple(ERRORS.T), [ERRORS[:, 0], ERRORS[:, 1]]):
        np.testing.assert_array_equal(BoundErrorDisplay(BOUNDS, errors).errors, ERRORS)
    np.testing.assert_array_equal(BoundErrorDisplay(BOUNDS[:2], ERRORS[:2].tolist()).errors, ERRORS[:2])
    np.testing.assert_array_equal(BoundErrorDisplay(BOUNDS[:2], tuple(ERRORS[:2].T)).errors, ERRORS[:2])


def test_frames():
    pd = pytest.importorskip("pandas")
    display = BoundErrorDisplay(pd.DataFrame(BOUNDS), ERRORS)
    np.testing.assert_array_equal(display.bounds, BoundErrorDisplay(BOUNDS, ERRORS).bounds)
    np.testing.assert_array_equal(display.within, BoundErrorDisplay(BOUNDS, ERRORS).within)


def test_errors_of_0_are_drawn_at_the_border():
    display = BoundErrorDisplay(certified((10.0, 0.0), (20.0, 0.2)), [(0.0, 0.0), (0.5, 0.1)]).plot()
    lowest = display.axes_[0].get_xlim()[0]
    assert 0 < lowest < 0.5
    assert drawn(display.covered_)[0] == [[lowest, 10], [0.5, 20]]
    assert drawn(display.covered_)[1][0] == [display.axes_[1].get_xlim()[0]] * 2
    exact = BoundErrorDisplay(certified((0.0, 0.0)), [(0.0, 0.0)]).plot()
    exact.figure_.canvas.draw()
    assert titles(exact)[0] == "rotation: 0 of 1 below the line (0.0 %)"


@pytest.mark.parametrize(("highest", "expected"), [(100.0, [1, 2, 5, 10, 20, 50, 100]), (1e4, [1, 10, 100, 1000, 1e4])])
def test_ticks_are_plain_numbers(highest, expected):
    display = BoundErrorDisplay(certified((highest, 0.1)), [(1.0, 0.1)]).plot()
    display.figure_.canvas.draw()
    axis = display.axes_[0].xaxis
    shown = {float(tick.get_text()) for tick in axis.get_ticklabels() if tick.get_text()}
    assert set(expected) <= shown


def test_two_displays_share_axes():
    first = BoundErrorDisplay.from_predictions(BOUNDS, ERRORS)
    wide = certified((100.0, 0.001))
    second = BoundErrorDisplay.from_predictions(wide, [(0.1, 5.0)], ax=first.axes_, color="black", s=50, unit="cm")
    assert all(a is b for a, b in zip(first.axes_, second.axes_, strict=True))
    for panel, numbers in zip(first.axes_, ([0.1, 2, 20, 100], [0.001, 0.01, 0.4, 5]), strict=True):
        assert panel.get_xlim()[0] < min(numbers)
        assert panel.get_xlim()[1] > max(numbers)
        assert panel.get_xlim() == panel.get_ylim()
        assert sum(line.get_gid() == "error = bound" for line in panel.get_lines()) == 1
    np.testing.assert_allclose(second.missed_[0].get_facecolor()[0, :3], 0)
    assert second.missed_[0].get_sizes() == [50]
    assert second.axes_[1].get_xlabel() == "error of the translation in cm"
    view = [panel.get_xlim() for panel in first.axes_]
    BoundErrorDisplay.from_predictions(certified((3.0, 0.1)), [(2.0, 0.05)], ax=first.axes_)
    assert [panel.get_xlim() for panel in first.axes_] == view


def test_one_axes_is_divided():
    figure, ax = matplotlib.pyplot.subplots()
    display = BoundErrorDisplay(BOUNDS, ERRORS).plot(ax)
    assert display.figure_ is figure
    assert len(display.axes_) == 2
    assert not ax.axison
    with pytest.raises(ValueError, match="ax holds 3 axes, but BoundErrorDisplay draws on 2"):
        BoundErrorDisplay(BOUNDS, ERRORS).plot([ax, ax, ax])


@pytest.mark.parametrize(
    ("bounds", "errors", "options", "error", "message"),
    [
        (
            ERRORS,
            ERRORS,
            {},
            TypeError,
            "bounds must be a structured array with the fields rotation_deg and translation",
        ),
        (
            {"rotation_deg": [1.0]},
            [(1, 1)],
            {},
            ValueError,
            "bounds has no field 'translation': its fields are rotation",
        ),
        ({"rotation_deg": [1.0], "translation": [1, 2]}, [(1, 1)], {}, ValueError, "vectors of the same length"),
        (BOUNDS[:0], ERRORS[:0], {}, ValueError, "bounds is empty"),
        (BOUNDS.reshape(2, 3), ERRORS, {}, ValueError, r"bounds\['rotation_deg'\] has shape \(2, 3\)"),
        (certified((-1.0, 1.0)), [(1, 1)], {}, ValueError, r"bounds\['rotation_deg'\]\[0\] = -1 is negative"),
        (BOUNDS, ERRORS[:5], {}, ValueError, r"errors has shape \(5, 2\), it must be \(6, 2\)"),
        (BOUNDS, (ERRORS[:, 0], ERRORS[:5, 1]), {}, ValueError, r"errors of translations has shape \(5,\)"),
        (BOUNDS, (ERRORS[:, 0],) * 3, {}, ValueError, "errors holds 3 arrays, it must be two"),
        (BOUNDS, -ERRORS, {}, ValueError, "errors holds -90: errors are at least 0"),
        (BOUNDS, ERRORS * np.nan, {}, ValueError, "errors holds NaN or infinity"),
        (BOUNDS, ERRORS, {"covered": [True]}, ValueError, r"covered has shape \(1,\) and type bool, it must be \(6,\)"),
        (BOUNDS, ERRORS, {"covered": np.ones(6)}, ValueError, "type float64, it must be"),
        (BOUNDS, ERRORS, {"alpha": 2}, ValueError, "alpha=2 must lie between 0 and 1"),
    ],
)
def test_what_is_drawn_is_checked(bounds, errors, options, error, message):
    with pytest.raises(error, match=message):
        BoundErrorDisplay(bounds, errors, **options)


@pytest.mark.parametrize("name", [None, "title"])
def test_nothing_is_cut_off(name):
    display = BoundErrorDisplay(BOUNDS, ERRORS, alpha=0.1).plot(name=name)
    figure = display.figure_
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    parts = [part for panel in display.axes_ for part in (panel.title, panel.xaxis.label, panel.yaxis.label)]
    for artist in (*parts, display.caption_, display.axes_[0].get_legend()):
        box = artist.get_window_extent(renderer)
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = BoundErrorDisplay(BOUNDS, ERRORS)
    with pytest.raises(ImportError, match=r'BoundErrorDisplay.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
