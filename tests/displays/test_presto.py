import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from estimand import PrestoClassifier, PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier
from estimand.datasets import make_ordinal_regression
from estimand.displays import PrestoDisplay

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def data():
    return make_ordinal_regression(n_samples=600, n_features=4, intercepts=(-0.5, 1.0, 2.5), random_state=0)


def rows(X, feature, values, others=None):
    made = np.tile(X.mean(axis=0) if others is None else others, (values.size, 1))
    made[:, feature] = values
    return made


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize(
    "model",
    [
        PrestoClassifier(),
        PrestoClassifier(rare="first"),
        PrestoClassifier(crossing="raw", link="cloglog"),
        PrestoClassifierCV(n_alphas=3, alpha_min_ratio=0.1),
        ProportionalOddsClassifier(),
        SeparateLogitClassifier(),
        SeparateLogitClassifier(rare="first"),
    ],
    ids=repr,
)
def test_curves_are_predictions(data, model):
    model = model.fit(data.X, data.y)
    display = PrestoDisplay.from_estimator(model, data.X, 1, grid_resolution=7)
    values = np.linspace(data.X[:, 1].min(), data.X[:, 1].max(), 7)
    X = rows(data.X, 1, values)
    np.testing.assert_allclose(display.values, values)
    np.testing.assert_allclose(display.rare_line_.get_ydata(), model.predict_rare_proba(X))
    assert len(display.lines_) == 3
    np.testing.assert_allclose([line.get_ydata() for line in display.lines_], model.predict_cumulative(X).T)
    np.testing.assert_array_equal(display.rare_line_.get_xdata(), values)
    if model.rare == "last":
        assert display.lines_[-1] is display.rare_line_
        assert labels(display) == ["P(y > 0)", "P(y > 1)", "P(y = 3)"]
    else:
        assert labels(display) == ["P(y > 0)", "P(y > 1)", "P(y > 2)", "P(y = 0)"]
    assert display.ax_.get_xlabel() == "feature 1"
    assert display.figure_ is display.ax_.figure


def test_two_models_of_the_rare_class_share_axes(data):
    first = PrestoDisplay.from_estimator(
        PrestoClassifier().fit(data.X, data.y), data.X, 0, rare_only=True, name="PRESTO"
    )
    rare = SeparateLogitClassifier(boundaries="rare").fit(data.X, data.y)
    second = PrestoDisplay.from_estimator(rare, data.X, 0, ax=first.ax_, name="logit", linestyle="--")
    assert second.cumulative is None
    assert second.lines_ == []
    assert second.ax_ is first.ax_
    assert labels(second) == ["PRESTO: P(y = 3)", "logit: P(y = 3)"]
    assert first.rare_line_.get_color() != second.rare_line_.get_color()
    assert second.rare_line_.get_linestyle() == "--"
    np.testing.assert_allclose(second.rare_proba, rare.predict_rare_proba(rows(data.X, 0, second.values)))


def test_a_given_row_takes_the_place_of_the_means(data):
    model = PrestoClassifier().fit(data.X, data.y)
    display = PrestoDisplay.from_estimator(model, data.X, 2, row=data.X[5], grid_resolution=4)
    expected = model.predict_rare_proba(rows(data.X, 2, display.values, data.X[5]))
    np.testing.assert_allclose(display.rare_proba, expected)
    with pytest.raises(ValueError, match="row holds 3 values, but X has 4"):
        PrestoDisplay.from_estimator(model, data.X, 2, row=[0, 0, 0])


def test_pipelines_and_searches(data):
    pipeline = make_pipeline(StandardScaler(), PrestoClassifier())
    search = GridSearchCV(pipeline, {"prestoclassifier__alpha": [0.01, 0.1]}, scoring="neg_log_loss", cv=3)
    search.fit(data.X, data.y)
    display = PrestoDisplay.from_estimator(search, data.X, 0, grid_resolution=5)
    X = rows(data.X, 0, display.values)
    np.testing.assert_allclose(display.rare_proba, search.predict_proba(X)[:, -1])
    single = make_pipeline(PrestoClassifier()).fit(data.X, data.y)
    display = PrestoDisplay.from_estimator(single, data.X, 0, grid_resolution=5)
    np.testing.assert_allclose(display.rare_proba, single.predict_proba(X)[:, -1])


def test_sparse_features(data):
    X = np.where(np.abs(data.X) < 0.5, 0.0, data.X)
    model = PrestoClassifier().fit(sparse.csr_array(X), data.y)
    display = PrestoDisplay.from_estimator(model, sparse.csr_array(X), 3, grid_resolution=5)
    np.testing.assert_allclose(display.rare_proba, model.predict_rare_proba(rows(X, 3, display.values)))


def test_frames_keep_their_columns(data):
    pd = pytest.importorskip("pandas")
    kinds = np.array(["b", "a", "b"])[np.arange(data.y.size) % 3]
    grades = pd.Categorical(np.arange(data.y.size) % 5 // 2)
    X = pd.DataFrame({"width": data.X[:, 0], "kind": kinds, "grade": grades, "height": data.X[:, 1]})
    encoder = make_column_transformer((OneHotEncoder(), ["kind", "grade"]), remainder="passthrough")
    model = make_pipeline(encoder, PrestoClassifier()).fit(X, data.y)
    display = PrestoDisplay.from_estimator(model, X, "height", grid_resolution=5)
    expected = pd.DataFrame({"width": X["width"].mean(), "kind": "b", "grade": 0, "height": display.values})
    np.testing.assert_allclose(display.rare_proba, model.predict_proba(expected)[:, -1])
    assert display.ax_.get_xlabel() == "height"
    display = PrestoDisplay.from_estimator(model, X, 0, row=X.iloc[1], grid_resolution=5)
    expected = pd.DataFrame({"width": display.values, "kind": "a", "grade": 0, "height": X["height"].iloc[1]})
    np.testing.assert_allclose(display.rare_proba, model.predict_proba(expected)[:, -1])
    with pytest.raises(ValueError, match="feature='kind' does not hold numbers"):
        PrestoDisplay.from_estimator(model, X, "kind")


def test_names_of_features_and_classes(data):
    names = np.array(["low", "middle", "high", "severe"])
    model = PrestoClassifier(categories=names).fit(data.X, names[data.y])
    display = PrestoDisplay.from_estimator(model, data.X, "c", feature_names=list("abcd"), grid_resolution=3)
    np.testing.assert_allclose(display.values, np.linspace(data.X[:, 2].min(), data.X[:, 2].max(), 3))
    assert display.ax_.get_xlabel() == "c"
    assert labels(display) == ["P(y > low)", "P(y > middle)", "P(y = severe)"]


def test_what_cannot_be_drawn(data):
    model = PrestoClassifier().fit(data.X, data.y)
    with pytest.raises(ValueError, match=r"feature=4 must be a name, or an integer in \[0, 3\]"):
        PrestoDisplay.from_estimator(model, data.X, 4)
    with pytest.raises(ValueError, match="feature='z' is not known: X has no names"):
        PrestoDisplay.from_estimator(model, data.X, "z")
    with pytest.raises(ValueError, match="feature='z' is not known: the features are a, b"):
        PrestoDisplay.from_estimator(model, data.X, "z", feature_names=list("abcd"))
    with pytest.raises(ValueError, match="holds 2 names, but X has 4"):
        PrestoDisplay.from_estimator(model, data.X, 0, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="grid_resolution=1 must be"):
        PrestoDisplay.from_estimator(model, data.X, 0, grid_resolution=1)
    with pytest.raises(ValueError, match="no finite number"):
        PrestoDisplay.from_estimator(model, np.full((3, 4), np.nan), 0)
    with pytest.raises(NotFittedError):
        PrestoDisplay.from_estimator(PrestoClassifier(), data.X, 0)
    with pytest.raises(TypeError, match="must be a fitted ordinal classifier"):
        PrestoDisplay.from_estimator(LogisticRegression().fit(data.X, data.y), data.X, 0)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0.0, 1.0], [0.1], [0, 1]), {}, "vectors of the same length"),
        (([0.0, 1.0], [0.1, 0.2], [0, 1, 2]), {"cumulative": np.ones((2, 1))}, r"make it \(2, 2\)"),
        (([0.0], [0.1], [0, 1]), {"rare": "middle"}, "must be 'last' or 'first'"),
    ],
)
def test_shapes_are_checked(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        PrestoDisplay(*arguments, **options)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    display = PrestoDisplay([0.0, 1.0], [0.1, 0.2], [0, 1])
    with pytest.raises(ImportError, match=r'PrestoDisplay.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
