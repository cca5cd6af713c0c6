import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from estimand import LqDictionaryLearning, PenalizedSparseCoder, sparse_encode
from estimand.datasets import make_bars
from estimand.displays import AtomUsageDisplay, ObjectiveHistoryDisplay, SparsityErrorDisplay
from estimand.metrics import mean_active, reconstruction_error

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def data():
    return make_bars(300, size=4, noise=0.5, signed=True, random_state=0)


def learner(alpha=50.0, **options):
    return LqDictionaryLearning(8, penalty="l0", alpha=alpha, max_iter=3, tol=0, random_state=0, **options)


@pytest.fixture(scope="module")
def model(data):
    return learner(batch_size=50).fit(data.X)


def labels(display):
    legend = display.ax_.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_usage_falls():
    display = AtomUsageDisplay([0.1, 0.5, 0.02, 0.3], name="l0").plot()
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(display.line_.get_ydata(), [0.5, 0.3, 0.1, 0.02])
    np.testing.assert_array_equal(display.usage, [0.1, 0.5, 0.02, 0.3])
    assert display.ax_.get_yscale() == "log"
    assert labels(display) == ["l0"]
    assert display.figure_ is display.ax_.figure


def test_atoms_never_used_are_counted():
    display = AtomUsageDisplay([0.0, 0.5, 0.0], name="l0").plot(linestyle="--")
    assert labels(display) == ["l0: 2 of 3 never used"]
    assert display.line_.get_linestyle() == "--"
    display.figure_.canvas.draw()
    assert display.ax_.get_ylim()[0] > 0
    assert labels(AtomUsageDisplay([0.5, 0.0]).plot()) == ["1 of 2 never used"]
    assert labels(AtomUsageDisplay([0.5]).plot()) == []
    nothing = AtomUsageDisplay([0.0, 0.0]).plot()
    assert nothing.ax_.get_yscale() == "linear"
    nothing.figure_.canvas.draw()


def test_usage_of_a_model(data, model):
    display = AtomUsageDisplay.from_estimator(model, name="online")
    np.testing.assert_array_equal(display.usage, model.usage_)
    codes = model.transform(data.X[:50])
    other = AtomUsageDisplay.from_estimator(model, data.X[:50], ax=display.ax_, name="codes", marker="x")
    np.testing.assert_allclose(other.usage, np.count_nonzero(codes, axis=0) / 50)
    assert other.ax_ is display.ax_
    assert labels(other) == ["online", "codes"]
    assert other.line_.get_marker() == "x"
    assert other.line_.get_color() != display.line_.get_color()


def test_usage_of_codes():
    codes = np.array([[1.0, 0.0, 0.0], [-1.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    stored = sparse.csr_array(codes)
    stored.data[0] = 0.0
    for given, expected in [
        (codes, [0.75, 0.25, 0]),
        (sparse.csr_array(codes), [0.75, 0.25, 0]),
        (sparse.csc_matrix(codes), [0.75, 0.25, 0]),
        (stored, [0.5, 0.25, 0]),
    ]:
        np.testing.assert_array_equal(AtomUsageDisplay.from_codes(given).usage, expected)
    with pytest.raises(ValueError, match="codes contains NaN"):
        AtomUsageDisplay.from_codes([[np.nan, 1.0]])
    with pytest.raises(ValueError, match="2D array"):
        AtomUsageDisplay.from_codes([1.0, 0.0])


def test_usage_within_pipelines_and_searches(data):
    pipeline = make_pipeline(StandardScaler(), learner()).fit(data.X)
    np.testing.assert_array_equal(AtomUsageDisplay.from_estimator(pipeline).usage, pipeline[-1].usage_)
    search = GridSearchCV(pipeline, {"lqdictionarylearning__alpha": [1.0]}, cv=2).fit(data.X)
    inner = search.best_estimator_[-1]
    np.testing.assert_array_equal(AtomUsageDisplay.from_estimator(search).usage, inner.usage_)
    expected = np.mean(search.transform(data.X) != 0, axis=0)
    np.testing.assert_array_equal(AtomUsageDisplay.from_estimator(search, data.X).usage, expected)


def test_usage_that_is_not_known(data):
    coder = PenalizedSparseCoder(data.components / 2)
    with pytest.raises(TypeError, match=r"must be a fitted model with usage_.* Or give X"):
        AtomUsageDisplay.from_estimator(coder)
    assert AtomUsageDisplay.from_estimator(coder, data.X).usage.shape == (8,)
    for X in (None, data.X):
        with pytest.raises(NotFittedError):
            AtomUsageDisplay.from_estimator(learner(), X)
        with pytest.raises(TypeError, match="estimator must"):
            AtomUsageDisplay.from_estimator(LinearRegression().fit(data.X, data.X[:, 0]), X)


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ([[0.5]], r"usage has shape \(1, 1\), it must be \(n_atoms,\)"),
        ([], r"usage has shape \(0,\)"),
        ([0.5, 1.5], "usage holds 1.5: shares of signals lie in"),
        ([-0.1], "usage holds -0.1"),
        ([0.1, np.nan], "usage holds nan"),
    ],
)
def test_usages_are_checked(usage, message):
    with pytest.raises(ValueError, match=message):
        AtomUsageDisplay(usage)


def test_a_curve_for_each_penalty():
    display = SparsityErrorDisplay({"l1": [(4.0, 0.1), (1.0, 0.5), (2.0, 0.3)], "l0": [(1.5, 0.2)]}).plot(name="bars")
    np.testing.assert_array_equal(display.lines_["l1"].get_xydata(), [[1.0, 0.5], [2.0, 0.3], [4.0, 0.1]])
    np.testing.assert_array_equal(display.lines_["l0"].get_xydata(), [[1.5, 0.2]])
    assert list(display.lines_) == labels(display) == ["l1", "l0"]
    assert display.ax_.get_title() == "bars"
    assert display.ax_.get_xlim()[0] == display.ax_.get_ylim()[0] == 0
    assert display.figure_ is display.ax_.figure


def test_two_displays_of_errors_share_axes():
    figure, ax = matplotlib.pyplot.subplots()
    first = SparsityErrorDisplay({"l1": [(1.0, 0.5)]}).plot(ax)
    second = SparsityErrorDisplay({"l0": [(9.0, 0.9)]})
    assert second.plot(ax, marker="x") is second
    assert first.ax_ is second.ax_ is ax
    assert first.figure_ is figure
    assert labels(second) == ["l1", "l0"]
    assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0
    assert ax.get_xlim()[1] > 9
    assert ax.get_ylim()[1] > 0.9
    assert second.lines_["l0"].get_marker() == "x"


def test_errors_of_codes(data):
    D = data.components / 2
    alphas = (300.0, 30.0, 3.0)
    codes = {p: [sparse_encode(data.X, D, penalty=p, alpha=alpha) for alpha in alphas] for p in ("l1", "l0")}
    display = SparsityErrorDisplay.from_codes({p: [(w, D) for w in ws] for p, ws in codes.items()}, data.X)
    for penalty, curve in codes.items():
        expected = [(mean_active(w), reconstruction_error(data.X, w, D, relative=True)) for w in curve]
        np.testing.assert_allclose(display.curves[penalty], sorted(expected))
        np.testing.assert_array_equal(display.lines_[penalty].get_xydata(), display.curves[penalty])
    as_csr = {p: ((sparse.csr_array(w), D) for w in ws) for p, ws in codes.items()}
    again = SparsityErrorDisplay.from_codes(as_csr, data.X)
    np.testing.assert_allclose(again.curves["l1"], display.curves["l1"])
    w = codes["l0"][1]
    moved = SparsityErrorDisplay.from_codes({"l0": [(w, D)]}, data.X + 5, mean=np.full(16, 5.0))
    np.testing.assert_allclose(moved.curves["l0"], display.curves["l0"][[1]])


def test_errors_of_models(data):
    models = [learner(alpha=alpha).fit(data.X) for alpha in (10.0, 100.0)]
    display = SparsityErrorDisplay.from_estimators({"l0": models}, data.X, name="l0", linewidth=3)
    codes = [(model.transform(data.X), model.components_) for model in models]
    expected = SparsityErrorDisplay.from_codes({"l0": codes}, data.X)
    np.testing.assert_allclose(display.curves["l0"], expected.curves["l0"])
    assert display.lines_["l0"].get_linewidth() == 3


def test_errors_of_split_signals_sparse_codes_and_means(data):
    split = learner(split_sign=True).fit(data.X)
    coder = PenalizedSparseCoder(data.components / 2, alpha=5.0, fit_intercept=True, code_format="csr").fit(data.X + 3)
    display = SparsityErrorDisplay.from_estimators({"split": [split], "coder": [coder]}, data.X + 3)
    X = data.X + 3
    rebuilt = split.inverse_transform(split.transform(X))
    np.testing.assert_allclose(display.curves["split"][0, 1], np.mean((X - rebuilt) ** 2) / np.mean(X**2))
    codes = coder.transform(X).toarray()
    expected = reconstruction_error(X, codes, coder.components_, coder.mean_, relative=True)
    np.testing.assert_allclose(display.curves["coder"], [[mean_active(codes), expected]])


def test_errors_of_pipelines_and_searches(data):
    X = data.X * np.arange(1, 17) + 2
    pipeline = make_pipeline(StandardScaler(), learner()).fit(X)
    search = GridSearchCV(pipeline, {"lqdictionarylearning__alpha": [1.0]}, cv=2).fit(X)
    display = SparsityErrorDisplay.from_estimators({"pipeline": [pipeline], "search": [search]}, X)
    for name, model in [("pipeline", pipeline), ("search", search)]:
        codes = model.transform(X)
        rest = X - model.inverse_transform(codes)
        expected = np.mean(rest**2) / np.mean((X - X.mean(axis=0)) ** 2)
        np.testing.assert_allclose(display.curves[name], [[mean_active(codes), expected]])
    pca = SparsityErrorDisplay.from_estimators({"PCA": [PCA(k).fit(X) for k in (1, 16)]}, X)
    np.testing.assert_allclose(pca.curves["PCA"][1], [16, 0], atol=1e-12)


def test_what_has_no_error(data, model):
    X, D, codes = data.X, data.components, np.ones((300, 8))
    with pytest.raises(TypeError, match="must have transform"):
        SparsityErrorDisplay.from_estimators({"a": [LinearRegression().fit(X, X[:, 0])]}, X)
    with pytest.raises(TypeError, match="must have inverse_transform, got PolynomialFeatures"):
        SparsityErrorDisplay.from_estimators({"a": [PolynomialFeatures(1).fit(X)]}, X)
    with pytest.raises(NotFittedError):
        SparsityErrorDisplay.from_estimators({"a": [learner()]}, X)
    with pytest.raises(ValueError, match="what codes of 0 stand for everywhere"):
        SparsityErrorDisplay.from_estimators({"a": [model]}, np.zeros((3, 16)))
    with pytest.raises(ValueError, match=r"codes\['a'\]\[1\]: components has shape \(8, 5\), it must be \(8, 16\)"):
        SparsityErrorDisplay.from_codes({"a": [(codes, D), (codes, D[:, :5])]}, X)
    with pytest.raises(ValueError, match=r"codes\['a'\]\[0\] must be a pair"):
        SparsityErrorDisplay.from_codes({"a": [codes]}, X)
    with pytest.raises(ValueError, match=r"curves\['a'\] has shape \(0, 2\)"):
        SparsityErrorDisplay.from_estimators({"a": []}, X)
    for wrong in ([model], model):
        with pytest.raises(TypeError, match="estimators must map names to"):
            SparsityErrorDisplay.from_estimators(wrong, X)
    with pytest.raises(TypeError, match="estimators must map names to lists"):
        SparsityErrorDisplay.from_estimators({"a": model}, X)


@pytest.mark.parametrize(
    ("curves", "error", "message"),
    [
        ({}, ValueError, "curves is empty"),
        ([[1.0, 2.0]], TypeError, "curves must map names to .*, got list"),
        ({"l1": [1.0, 2.0]}, ValueError, r"curves\['l1'\] has shape \(2,\), it must be \(n_points, 2\)"),
        ({"l1": [[1.0, 2.0, 3.0]]}, ValueError, r"curves\['l1'\] has shape \(1, 3\)"),
        ({"l1": [[1.0, -2.0]]}, ValueError, "must be finite and at least 0"),
        ({"l1": [[np.nan, 1.0]]}, ValueError, "must be finite and at least 0"),
    ],
)
def test_curves_are_checked(curves, error, message):
    with pytest.raises(error, match=message):
        SparsityErrorDisplay(curves)


def test_objectives_and_their_running_means(model):
    display = ObjectiveHistoryDisplay({"l0": model.objective_history_}).plot(window=4, linestyle="--")
    history = model.objective_history_
    updates = np.arange(1, model.n_steps_ + 1)
    np.testing.assert_array_equal(display.history_lines_["l0"].get_xydata(), np.column_stack([updates, history]))
    means = [history[max(t - 4, 0) : t].mean() for t in updates]
    np.testing.assert_allclose(display.lines_["l0"].get_xydata(), np.column_stack([updates, means]))
    assert display.lines_["l0"].get_linestyle() == "--"
    assert display.lines_["l0"].get_color() == display.history_lines_["l0"].get_color()
    assert labels(display) == ["l0"]
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize(("size", "window"), [(1, 1), (20, 1), (21, 2), (100, 5)])
def test_means_are_over_a_twentieth(size, window):
    history = np.random.default_rng(0).uniform(size=size)
    display = ObjectiveHistoryDisplay({"a": history}).plot()
    assert display.lines_["a"].get_ydata()[-1] == pytest.approx(history[-window:].mean())
    np.testing.assert_array_equal(display.history_lines_["a"].get_ydata(), history)
    assert display.lines_["a"].get_marker() == ("o" if size == 1 else "None")


def test_means_forget_large_objectives():
    display = ObjectiveHistoryDisplay({"a": [1e20, 1.0, 1.0, 1.0]}).plot(window=2)
    np.testing.assert_allclose(display.lines_["a"].get_ydata(), [1e20, 5e19, 1, 1])
    display = ObjectiveHistoryDisplay({"a": [1.0, 3.0]}).plot(window=10)
    np.testing.assert_allclose(display.lines_["a"].get_ydata(), [1, 2])


def test_objectives_of_models(data, model):
    batch = learner(method="batch").fit(data.X)
    display = ObjectiveHistoryDisplay.from_estimators({"online": model, "batch": make_pipeline(batch)}, window=1)
    assert list(display.lines_) == labels(display) == ["online", "batch"]
    np.testing.assert_array_equal(display.lines_["online"].get_ydata(), model.objective_history_)
    np.testing.assert_array_equal(display.lines_["batch"].get_ydata(), batch.objective_history_)
    assert display.lines_["online"].get_color() != display.lines_["batch"].get_color()
    third = ObjectiveHistoryDisplay.from_estimator(batch, ax=display.ax_, linestyle=":")
    assert third.ax_ is display.ax_
    assert labels(third) == ["online", "batch", "LqDictionaryLearning"]
    search = GridSearchCV(learner(), {"alpha": [50.0]}, cv=2).fit(data.X)
    found = ObjectiveHistoryDisplay.from_estimator(search, name="search")
    np.testing.assert_array_equal(found.histories["search"], search.best_estimator_.objective_history_)


def test_models_without_objectives(data, model):
    coder = PenalizedSparseCoder(data.components)
    for unfitted in (learner(), make_pipeline(learner()), GridSearchCV(learner(), {"alpha": [1.0]})):
        with pytest.raises(NotFittedError):
            ObjectiveHistoryDisplay.from_estimator(unfitted)
    with pytest.raises(TypeError, match="must be a fitted model with objective_history_"):
        ObjectiveHistoryDisplay.from_estimators({"a": model, "b": coder})
    with pytest.raises(TypeError, match=r"estimators must map names to .*, got LqDictionaryLearning"):
        ObjectiveHistoryDisplay.from_estimators(model)
    for window in (0, 1.5):
        with pytest.raises(ValueError, match=f"window={window} must be an integer of at least 1, or None"):
            ObjectiveHistoryDisplay.from_estimator(model, window=window)


@pytest.mark.parametrize(
    ("histories", "error", "message"),
    [
        ({}, ValueError, "histories is empty"),
        ([1.0, 2.0], TypeError, "histories must map names to .*, got list"),
        ({"a": []}, ValueError, r"histories\['a'\] has shape \(0,\), it must be \(n_updates,\)"),
        ({"a": [[1.0]]}, ValueError, r"histories\['a'\] has shape \(1, 1\)"),
        ({"a": [1.0, np.inf]}, ValueError, r"histories\['a'\] holds inf: it must be finite"),
    ],
)
def test_histories_are_checked(histories, error, message):
    with pytest.raises(error, match=message):
        ObjectiveHistoryDisplay(histories)


@pytest.mark.parametrize(
    "display",
    [AtomUsageDisplay([0.5]), SparsityErrorDisplay({"a": [(1, 0.5)]}), ObjectiveHistoryDisplay({"a": [1.0]})],
    ids=lambda display: type(display).__name__,
)
def test_without_matplotlib(monkeypatch, display):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    name = type(display).__name__
    with pytest.raises(ImportError, match=rf'{name}.plot needs matplotlib: pip install "estimand\[plot\]"'):
        display.plot()
