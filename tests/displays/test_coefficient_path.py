import sys
from types import SimpleNamespace

import numpy as np
import pytest

from estimand import lasso_path, presto_path
from estimand.datasets import make_ordinal_regression
from estimand.displays import CoefficientPathDisplay

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def path():
    data = make_ordinal_regression(n_samples=600, n_features=4, intercepts=(-0.5, 1.0, 2.5), random_state=0)
    return presto_path(data.X, data.y, n_alphas=8)


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_one_boundary_of_a_path(path):
    display = CoefficientPathDisplay.from_path(path, boundary=-1, feature_names=list("abcd"), name="rare")
    assert display.lines_.shape == (4,)
    for j, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), path.alphas)
        np.testing.assert_array_equal(line.get_ydata(), path.coefs[:, -1, j])
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_title() == "rare"
    assert display.ax_.get_ylabel() == "coefficient for P(y > 2)"
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlim() == (path.alphas[0], path.alphas[-1])
    assert set(labels(display)) <= set("abcd")


def test_all_boundaries_have_styles_of_their_own(path):
    display = CoefficientPathDisplay.from_path(path)
    assert display.lines_.shape == (3, 4)
    for k in range(3):
        for j in range(4):
            np.testing.assert_array_equal(display.lines_[k, j].get_ydata(), path.coefs[:, k, j])
    styles = [[line.get_linestyle() for line in row] for row in display.lines_]
    assert all(len(set(row)) == 1 for row in styles)
    assert len({row[0] for row in styles}) == 3
    assert styles[-1][0] == "-"
    colours = [[line.get_color() for line in column] for column in display.lines_.T]
    assert all(len(set(column)) == 1 for column in colours)
    assert labels(display)[-3:] == ["P(y > 0)", "P(y > 1)", "P(y > 2)"]


def test_only_the_largest_features_are_coloured(path):
    display = CoefficientPathDisplay.from_path(path, boundary=0, n_labels=2, linewidth=3)
    largest = np.argsort(-np.abs(path.coefs[:, 0]).max(axis=0))[:2]
    grey = [j for j, line in enumerate(display.lines_) if line.get_color() == "0.8"]
    assert sorted({0, 1, 2, 3} - set(largest.tolist())) == grey
    assert sorted(labels(display)) == sorted(f"feature {j}" for j in largest)
    assert all(line.get_linewidth() == 3 for line in display.lines_)


def test_many_features_get_different_colours():
    coefs = np.linspace(1, 2, 3)[:, None] * np.arange(1, 26)
    display = CoefficientPathDisplay([3.0, 2.0, 1.0], coefs).plot(n_labels=20)
    colours = {line.get_color() for line in display.lines_}
    assert len(colours) == 21
    assert len(labels(display)) == 20
    assert labels(display)[0] == "feature 24"


def test_a_path_of_the_lasso_has_its_penalties_in_columns():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 5))
    for n_alphas in (5, 7):
        path = lasso_path(X, X @ np.arange(5.0), alphas=n_alphas)
        display = CoefficientPathDisplay.from_path(path)
        np.testing.assert_array_equal(display.coefs, path.coefs.T)
        np.testing.assert_array_equal(display.lines_[4].get_ydata(), path.coefs[4])
        assert display.ax_.get_ylabel() == "coefficient"


def test_a_matrix_with_the_penalties_in_rows():
    coefs = np.arange(6.0).reshape(3, 2)
    display = CoefficientPathDisplay.from_path(SimpleNamespace(alphas=[3.0, 2.0, 1.0], coefs=coefs))
    np.testing.assert_array_equal(display.coefs, coefs)


def test_given_axes_are_drawn_on(path):
    figure, ax = matplotlib.pyplot.subplots()
    display = CoefficientPathDisplay.from_path(path, boundary=0, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.plot(ax, name="again") is display
    assert ax.get_title() == "again"


def test_a_penalty_of_0_and_a_single_one():
    display = CoefficientPathDisplay([1.0, 0.1, 0.0], np.ones((3, 2))).plot()
    assert display.ax_.get_xscale() == "symlog"
    display.figure_.canvas.draw()
    display = CoefficientPathDisplay([1.0], np.ones((1, 2))).plot()
    assert display.lines_[0].get_marker() == "o"
    display = CoefficientPathDisplay([0.0], np.zeros((1, 2))).plot()
    assert labels(display) == []
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("alphas", "coefs", "options", "message"),
    [
        ([1.0, 2.0], np.ones((3, 2)), {}, "must begin with the 2 penalties"),
        ([1.0, 2.0], np.ones(2), {}, "must begin with the 2 penalties"),
        ([-1.0], np.ones((1, 2)), {}, "at least 0"),
        ([], np.ones((0, 2)), {}, "one or more"),
        ([1.0], np.ones((1, 2)), {"feature_names": ["a"]}, "1 names for 2"),
        ([1.0], np.ones((1, 3, 2)), {"boundary_names": ["a"]}, "1 names for 3"),
    ],
)
def test_shapes_are_checked(alphas, coefs, options, message):
    with pytest.raises(ValueError, match=message):
        CoefficientPathDisplay(alphas, coefs, **options)


def test_boundaries_are_checked(path):
    with pytest.raises(ValueError, match=r"boundary=3 must be an integer in \[-3, 2\]"):
        CoefficientPathDisplay.from_path(path, boundary=3)
    with pytest.raises(ValueError, match="has no boundaries"):
        CoefficientPathDisplay.from_path(SimpleNamespace(alphas=[1.0], coefs=np.ones((1, 2))), boundary=0)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = CoefficientPathDisplay([1.0], np.ones((1, 2)))
    with pytest.raises(ImportError, match=r'pip install "estimand\[plot\]"'):
        display.plot()
