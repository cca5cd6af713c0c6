import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from estimand import LqDictionaryLearning, PenalizedSparseCoder
from estimand.datasets import make_bars
from estimand.displays import DictionaryDisplay, GaborDisplay
from estimand.metrics import fit_gabor

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def X():
    return make_bars(300, size=4, noise=0.5, signed=True, random_state=0).X


def learner(**options):
    return LqDictionaryLearning(8, penalty="l0", alpha=50.0, max_iter=3, random_state=0, **options)


@pytest.fixture(scope="module")
def model(X):
    return learner().fit(X)


@pytest.fixture(scope="module")
def gabors():
    y, x = np.mgrid[:12, :12]
    atoms = [
        np.exp(-((x - 5.5) ** 2 / (2 * s**2)) - (y - 5.5) ** 2 / (2 * t**2)) * np.cos(2 * np.pi * f * (x - 5.5) + 0.3)
        for s, t, f in [(2.0, 3.0, 0.2), (3.0, 1.5, 0.3)]
    ]
    noise = np.random.default_rng(0).standard_normal((12, 12))
    return np.array([atom.ravel() for atom in [*atoms, noise, np.ones((12, 12))]])


def tiles(display, n_columns):
    """Return the atoms in the picture, of shape (n_tiles, height, width), and what lies between them."""
    mosaic = np.asarray(display.image_.get_array().filled(np.nan))
    height, width = display.image_shape
    padded = np.pad(mosaic, ((0, 1), (0, 1)), constant_values=2)
    blocks = padded.reshape(-1, height + 1, n_columns, width + 1).swapaxes(1, 2).reshape(-1, height + 1, width + 1)
    between = np.concatenate([blocks[:, -1].ravel(), blocks[:, :, -1].ravel()])
    return blocks[:, :-1, :-1], between


def scaled(images):
    return images / np.abs(images).max(axis=(1, 2), keepdims=True)


def test_atoms_stand_side_by_side_a_pixel_apart():
    images = np.random.default_rng(0).standard_normal((5, 3, 2))
    display = DictionaryDisplay(images.reshape(5, 6), (3, 2)).plot(n_columns=3, name="atoms")
    drawn, between = tiles(display, 3)
    assert drawn.shape == (6, 3, 2)
    np.testing.assert_allclose(drawn[:5], scaled(images))
    assert np.all(between == 2)
    assert np.all(drawn[5] == 2)
    assert display.image_.get_clim() == (-1, 1)
    np.testing.assert_array_equal(display.image_.cmap(2.0), (1, 1, 1, 1))
    np.testing.assert_allclose(display.image_.cmap(display.image_.norm(0.0))[:3], 0.5, atol=0.01)
    assert display.ax_.get_title() == "atoms"
    assert display.ax_.get_xlabel() == ""
    assert list(display.ax_.get_xticks()) == []
    assert display.figure_ is display.ax_.figure
    np.testing.assert_array_equal(display.images, images)


def test_a_common_scale():
    components = np.array([[1.0, -0.5, 0.0, 0.0], [0.0, -4.0, 2.0, 0.0], [8.0, 0.0, 0.0, 0.0]])
    drawn, _ = tiles(DictionaryDisplay(components).plot(n_columns=1, scale="common"), 1)
    np.testing.assert_array_equal(drawn.reshape(3, 4), components / 8)
    drawn, _ = tiles(DictionaryDisplay(components, indices=[1, 0]).plot(n_columns=1, scale="common"), 1)
    np.testing.assert_array_equal(drawn.reshape(2, 4), components[[1, 0]] / 4)
    drawn, _ = tiles(DictionaryDisplay(components).plot(n_columns=1), 1)
    np.testing.assert_array_equal(drawn.reshape(3, 4), components / [[1.0], [4.0], [8.0]])


@pytest.mark.parametrize("shape", [None, (2, 2)])
def test_split_atoms_are_differences(shape):
    halves = np.abs(np.random.default_rng(0).standard_normal((3, 8)))
    display = DictionaryDisplay(halves, shape)
    np.testing.assert_array_equal(display.images.reshape(3, 4), halves[:, :4] - halves[:, 4:])
    assert display.image_shape == (2, 2)
    np.testing.assert_array_equal(display.components, halves)


def test_atoms_that_are_not_finite_or_0():
    components = np.arange(16.0).reshape(4, 4)
    components[0] = np.nan
    components[1, 2] = np.inf
    components[2] = 0
    for scale, largest in [("atom", (7, 15)), ("common", (15, 15))]:
        display = DictionaryDisplay(components).plot(n_columns=2, scale=scale)
        drawn = tiles(display, 2)[0].reshape(4, 4)
        assert np.all(np.isnan(drawn[0]))
        np.testing.assert_allclose(drawn[1], np.array([4, 5, np.nan, 7]) / largest[0])
        np.testing.assert_array_equal(drawn[2], 0)
        np.testing.assert_allclose(drawn[3], components[3] / largest[1])
        display.figure_.canvas.draw()
    assert tuple(display.image_.cmap(np.ma.masked)) == matplotlib.colors.to_rgba("tab:red")
    DictionaryDisplay(np.full((1, 4), np.nan)).plot().figure_.canvas.draw()


@pytest.mark.parametrize(
    ("n_atoms", "shape", "columns"), [(1, (3, 3), 1), (9, (3, 3), 3), (10, (3, 3), 4), (8, (3, 1), 4), (3, (20, 1), 3)]
)
def test_mosaics_are_about_square(n_atoms, shape, columns):
    display = DictionaryDisplay(np.ones((n_atoms, shape[0] * shape[1])), shape).plot()
    rows = -(-n_atoms // columns)
    expected = (rows * (shape[0] + 1) - 1, columns * (shape[1] + 1) - 1)
    assert display.image_.get_array().shape == expected


def test_atoms_of_a_model_are_drawn_by_usage(model):
    display = DictionaryDisplay.from_estimator(model, n_columns=4)
    assert np.all(np.diff(model.usage_[display.indices]) <= 0)
    assert sorted(display.indices) == list(range(8))
    drawn, _ = tiles(display, 4)
    np.testing.assert_allclose(drawn, scaled(model.components_[display.indices].reshape(8, 4, 4)))
    assert display.image_shape == (4, 4)
    again = DictionaryDisplay.from_estimator(model, order="usage")
    np.testing.assert_array_equal(again.indices, display.indices)
    by_index = DictionaryDisplay.from_estimator(model, order="index")
    np.testing.assert_array_equal(by_index.indices, np.arange(8))


def test_codes_of_signals_tell_the_usage(model):
    X = 30 * model.components_[[5, 5, 5, 2, 2, 7]]
    display = DictionaryDisplay.from_estimator(model, X, order="usage", max_atoms=3, name="used")
    np.testing.assert_array_equal(display.indices, [5, 2, 7])
    assert display.ax_.get_xlabel() == "3 of 8 atoms"
    assert display.ax_.get_title() == "used"
    coder = PenalizedSparseCoder(model.components_, penalty="l0", code_format="csr")
    assert sparse.issparse(coder.transform(X))
    display = DictionaryDisplay.from_estimator(coder, X, max_atoms=3)
    np.testing.assert_array_equal(display.indices, [5, 2, 7])


def test_models_without_a_usage(X, model):
    for other in [PCA(5).fit(X), PenalizedSparseCoder(model.components_)]:
        display = DictionaryDisplay.from_estimator(other)
        np.testing.assert_array_equal(display.indices, np.arange(len(other.components_)))
        np.testing.assert_array_equal(display.components, other.components_)
        with pytest.raises(ValueError, match="order='usage' needs X"):
            DictionaryDisplay.from_estimator(other, order="usage")


def test_a_model_of_split_signals(X):
    model = learner(split_sign=True).fit(X)
    display = DictionaryDisplay.from_estimator(model, order="index")
    expected = model.components_[:, :16] - model.components_[:, 16:]
    np.testing.assert_array_equal(display.images.reshape(8, 16), expected)
    halves = DictionaryDisplay.from_estimator(model, image_shape=(8, 4), order="index")
    np.testing.assert_array_equal(halves.images.reshape(8, 32), model.components_)


def test_a_model_that_does_not_split_has_no_halves():
    model = SimpleNamespace(components_=np.ones((3, 8)), split_sign=False)
    with pytest.raises(ValueError, match="which 8 features do not make"):
        DictionaryDisplay.from_estimator(model)
    with pytest.raises(ValueError, match=r"image_shape=\(2, 2\) makes 4 pixels, but components has 8 columns"):
        DictionaryDisplay.from_estimator(model, image_shape=(2, 2))
    model.split_sign, model.components_ = True, np.ones((3, 36))
    with pytest.raises(ValueError, match="which 36 features, or rather half of them, do not make"):
        DictionaryDisplay.from_estimator(model)
    assert DictionaryDisplay.from_estimator(model, image_shape=(3, 6)).image_shape == (3, 6)


def test_pipelines_and_searches(X, model):
    pipeline = make_pipeline(StandardScaler(), learner()).fit(X)
    display = DictionaryDisplay.from_estimator(pipeline)
    np.testing.assert_array_equal(display.components, pipeline[-1].components_)
    np.testing.assert_array_equal(display.indices, np.argsort(-pipeline[-1].usage_, kind="stable"))
    search = GridSearchCV(make_pipeline(learner()), {"lqdictionarylearning__alpha": [50.0]}, cv=2).fit(X)
    display = DictionaryDisplay.from_estimator(search, X)
    np.testing.assert_array_equal(display.components, model.components_)
    usage = np.mean(search.transform(X) != 0, axis=0)
    np.testing.assert_array_equal(display.indices, np.argsort(-usage, kind="stable"))


def test_gabors_within_pipelines_and_searches(X):
    expected = fit_gabor(PCA(2).fit(X).components_, (4, 4))
    pipeline = make_pipeline(PCA(2)).fit(X)
    search = GridSearchCV(pipeline, {"pca__n_components": [2]}, cv=2).fit(X)
    for estimator in (pipeline, search):
        np.testing.assert_allclose(GaborDisplay.from_estimator(estimator).fit.r_squared, expected.r_squared)


@pytest.mark.parametrize("display", [DictionaryDisplay, GaborDisplay])
def test_models_without_atoms(X, display):
    for unfitted in [learner(), make_pipeline(learner()), GridSearchCV(learner(), {"alpha": [1.0]})]:
        with pytest.raises(NotFittedError):
            display.from_estimator(unfitted)
    for other in [LinearRegression().fit(X, X[:, 0]), "model"]:
        with pytest.raises(TypeError, match="must be a fitted model with components_"):
            display.from_estimator(other)


def test_given_axes_are_drawn_on(model, gabors):
    figure, axes = matplotlib.pyplot.subplots(1, 2)
    mosaic = DictionaryDisplay.from_estimator(model, ax=axes[0], alpha=0.5)
    scatter = GaborDisplay(fit_gabor(gabors[:1], (12, 12))).plot(axes[1])
    assert mosaic.ax_ is axes[0]
    assert scatter.ax_ is axes[1]
    assert mosaic.figure_ is scatter.figure_ is figure
    assert mosaic.image_.get_alpha() == 0.5
    assert mosaic.plot(axes[0], cmap="bwr", name="again") is mosaic
    assert axes[0].get_title() == "again"
    np.testing.assert_allclose(mosaic.image_.cmap(1.0), (1, 0, 0, 1))
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(4),), {}, r"components has shape \(4,\)"),
        ((np.ones((0, 4)),), {}, r"components has shape \(0, 4\)"),
        ((np.ones((2, 6)),), {}, "which 6 features, or half of them, do not make"),
        ((np.ones((2, 6)), (2, 4)), {}, r"image_shape=\(2, 4\) makes 8 pixels, but components has 6 columns"),
        ((np.ones((2, 6)), (6,)), {}, r"image_shape=\(6,\) must be two positive integers"),
        ((np.ones((2, 6)), (1.5, 4)), {}, r"image_shape=\(1.5, 4\) must be two positive integers"),
        ((np.ones((2, 6)), 6), {}, "image_shape=6 must be two positive integers"),
        ((np.ones((2, 4)),), {"indices": [0, 2]}, r"indices=\[0, 2\] must lie in \[0, 1\]"),
        ((np.ones((2, 4)),), {"indices": [-1]}, r"indices=\[-1\] must lie in \[0, 1\]"),
        ((np.ones((2, 4)),), {"indices": [0.5]}, r"indices=\[0.5\] must be a vector of integers"),
        ((np.ones((2, 4)),), {"indices": []}, r"indices=\[\] must be a vector of integers, one or more"),
    ],
)
def test_shapes_are_checked(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        DictionaryDisplay(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "size"}, "order='size' must be 'usage', 'index' or None"),
        ({"max_atoms": 0}, "max_atoms=0 must be an integer of at least 1, or None"),
        ({"max_atoms": 2.5}, "max_atoms=2.5 must be"),
        ({"n_columns": 0}, "n_columns=0 must be an integer of at least 1, or None"),
        ({"scale": "none"}, "scale='none' must be 'atom' or 'common'"),
    ],
)
def test_options_are_checked(model, options, message):
    with pytest.raises(ValueError, match=message):
        DictionaryDisplay.from_estimator(model, **options)


def test_more_columns_than_atoms(model):
    display = DictionaryDisplay.from_estimator(model, n_columns=100, max_atoms=None)
    assert display.image_.get_array().shape == (4, 8 * 5 - 1)


def test_widths_of_gabors_are_drawn(gabors):
    fit = fit_gabor(gabors, (12, 12))
    display = GaborDisplay(fit).plot(name="gabors")
    np.testing.assert_array_equal(display.shown, [True, True, False, False])
    np.testing.assert_allclose(display.points_.get_offsets(), [[0.4, 0.6], [0.9, 0.45]], rtol=1e-3)
    np.testing.assert_array_equal(display.points_.get_array(), fit.r_squared[:2])
    assert display.points_.get_sizes()[0] < display.points_.get_sizes()[1]
    assert display.text_.get_text() == "2 of 4 atoms (50%) with R² ≥ 0.7"
    assert display.points_.get_clim() == (0.7, 1)
    assert display.colorbar_.mappable is display.points_
    assert display.ax_.get_title(loc="left") == "gabors"
    assert display.figure_ is display.ax_.figure
    display.figure_.canvas.draw()


def test_thresholds(gabors):
    fit = fit_gabor(gabors, (12, 12))
    low = GaborDisplay(fit, threshold=-np.inf).plot()
    np.testing.assert_array_equal(low.shown, [True, True, True, False])
    low.figure_.canvas.draw()
    none = GaborDisplay(fit_gabor(gabors[2:], (12, 12)), threshold=1).plot()
    assert none.points_.get_offsets().shape == (0, 2)
    assert none.text_.get_text() == "0 of 2 atoms (0%) with R² ≥ 1"
    none.figure_.canvas.draw()


def test_points_of_one_colour(gabors):
    display = GaborDisplay(fit_gabor(gabors[:2], (12, 12))).plot(color="black", s=7)
    assert display.colorbar_ is None
    np.testing.assert_array_equal(display.points_.get_sizes(), [7])
    np.testing.assert_array_equal(display.points_.get_facecolor()[:, :3], np.zeros((1, 3)))
    other = GaborDisplay(SimpleNamespace(n_x=[5.0], n_y=[9.0], frequency=[0.2], r_squared=[0.9]))
    other.plot(display.ax_, color="tab:red")
    assert display.ax_.get_xlim()[1] > 5
    assert display.ax_.get_ylim()[1] > 9


def test_gabors_of_a_model(gabors):
    split = np.hstack([np.maximum(gabors, 0), np.maximum(-gabors, 0)])
    expected = fit_gabor(gabors, (12, 12))
    for components, shape in [(gabors, None), (split, None), (split, (12, 12))]:
        model = SimpleNamespace(components_=components)
        display = GaborDisplay.from_estimator(model, image_shape=shape, threshold=0.9)
        np.testing.assert_allclose(display.fit.n_x, expected.n_x)
        assert display.text_.get_text() == "2 of 4 atoms (50%) with R² ≥ 0.9"
    wide = SimpleNamespace(components_=gabors[:1].reshape(12, 12)[2:10].reshape(1, -1))
    display = GaborDisplay.from_estimator(wide, image_shape=(8, 12), name="wide")
    np.testing.assert_allclose(display.fit.n_x, [0.4], rtol=1e-3)
    assert display.ax_.get_title(loc="left") == "wide"
    with pytest.raises(ValueError, match="which 96 features, or half of them, do not make"):
        GaborDisplay.from_estimator(wide)


def test_no_gabor_fits_an_atom_that_is_not_finite(gabors):
    components = gabors[[0, 0, 1]].copy()
    components[0] = np.nan
    components[1, 5] = np.inf
    display = GaborDisplay.from_estimator(SimpleNamespace(components_=components))
    np.testing.assert_array_equal(display.shown, [False, False, True])
    np.testing.assert_array_equal(np.isnan(display.fit.n_x), [True, True, False])
    assert display.text_.get_text().startswith("1 of 3 atoms (33%)")


def test_fits_are_checked(gabors):
    fit = {"n_x": [1.0], "n_y": [1.0], "frequency": [0.1], "r_squared": [1.0]}
    with pytest.raises(ValueError, match=r"fit.n_y has shape \(2,\) and fit.n_x \(1,\)"):
        GaborDisplay(SimpleNamespace(**{**fit, "n_y": [1.0, 2.0]}))
    with pytest.raises(ValueError, match=r"fit.n_x has shape \(0,\)"):
        GaborDisplay(SimpleNamespace(**{key: [] for key in fit}))
    with pytest.raises(ValueError, match=r"fit.n_x has shape \(1, 1\)"):
        GaborDisplay(SimpleNamespace(**{**fit, "n_x": [[1.0]]}))
    with pytest.raises(TypeError, match="fit must be a GaborFit, got ndarray, which has no n_x, n_y, frequency"):
        GaborDisplay(gabors)
    for threshold in (1.5, np.nan, "0.7", None):
        with pytest.raises(ValueError, match="must be a number of at most 1"):
            GaborDisplay(SimpleNamespace(**fit), threshold=threshold)


@pytest.mark.parametrize("name", ["DictionaryDisplay", "GaborDisplay"])
def test_without_matplotlib(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    fit = SimpleNamespace(n_x=[1.0], n_y=[1.0], frequency=[0.1], r_squared=[1.0])
    display = DictionaryDisplay(np.ones((2, 4))) if name == "DictionaryDisplay" else GaborDisplay(fit)
    with pytest.raises(ImportError, match=rf'{name}.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
