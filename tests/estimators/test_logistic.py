import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import PenalizedLogisticRegression
from estimand.solvers.logistic.fista import FISTA
from estimand.solvers.logistic.newton_cd import NewtonCD


@parametrize_with_checks([PenalizedLogisticRegression(), PenalizedLogisticRegression(l1_ratio=0.5)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 20))
    y = np.where(X[:, 0] - X[:, 1] + rng.standard_normal(120) > 0.4, "yes", "no")
    return X, y


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_agrees_with_scikit_learn(data, l1_ratio, fit_intercept, weighted):
    X, y = data
    q = np.random.default_rng(1).uniform(0.2, 2.0, 120) if weighted else np.ones(120)
    model = PenalizedLogisticRegression(0.02, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-10)
    model.fit(X, y, sample_weight=q)
    peer = LogisticRegression(
        C=1 / (0.02 * q.sum()), l1_ratio=l1_ratio, solver="saga", fit_intercept=fit_intercept, tol=1e-9, max_iter=20000
    ).fit(X, y, sample_weight=q)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=2e-5)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=2e-5)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=2e-5)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)), atol=1e-12)


def test_sample_weights_are_repeated_rows(data):
    X, y = data
    q = np.arange(120) % 3
    weighted = PenalizedLogisticRegression(tol=1e-10).fit(X, y, sample_weight=q)
    repeated = PenalizedLogisticRegression(tol=1e-10).fit(np.repeat(X, q, axis=0), np.repeat(y, q))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    scaled = PenalizedLogisticRegression(tol=1e-10).fit(X, y, sample_weight=q * 1e200)
    np.testing.assert_allclose(weighted.coef_, scaled.coef_, atol=1e-6)


def test_class_weights(data):
    X, y = data
    share = {label: float(np.mean(y == label)) for label in ("no", "yes")}
    by_hand = np.array([1 / (2 * share[label]) for label in y])
    expected = PenalizedLogisticRegression(tol=1e-10).fit(X, y, sample_weight=by_hand).coef_
    balanced = PenalizedLogisticRegression(class_weight="balanced", tol=1e-10).fit(X, y)
    mapped = PenalizedLogisticRegression(class_weight={k: 1 / (2 * v) for k, v in share.items()}, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(balanced.coef_, expected, atol=1e-6)
    np.testing.assert_allclose(mapped.coef_, expected, atol=1e-6)
    q = np.random.default_rng(0).uniform(size=120)
    model = PenalizedLogisticRegression(alpha=10.0, class_weight="balanced").fit(X, y, sample_weight=q)
    assert model.intercept_[0] == pytest.approx(0.0, abs=1e-7)


def test_penalty_weights(data):
    X, y = data
    weights = np.ones(20)
    weights[0], weights[1] = 0.0, np.inf
    model = PenalizedLogisticRegression(alpha=10.0, weights=weights).fit(X, y)
    assert model.coef_[0, 0] != 0
    assert np.all(model.coef_[0, 1:] == 0)


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, np.asfortranarray, pd.DataFrame]
)
def test_containers_agree(data, make):
    X, y = data
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    expected = PenalizedLogisticRegression(tol=1e-10).fit(X, y)
    model = PenalizedLogisticRegression(tol=1e-10).fit(make(X), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(model.decision_function(make(X)), expected.decision_function(X), atol=1e-5)


def test_frames_keep_their_names(data):
    X, y = data
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(20)])
    model = PenalizedLogisticRegression().fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


def test_float32_is_kept(data):
    X, y = data
    model = PenalizedLogisticRegression().fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    assert model.intercept_.dtype == np.float32
    assert model.solution_.converged
    assert model.decision_function(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(model.coef_, PenalizedLogisticRegression().fit(X, y).coef_, atol=1e-2)


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e20, 1e150])
def test_extreme_scales(data, scale):
    X, y = data
    plain = PenalizedLogisticRegression(0.02, tol=1e-10).fit(X, y)
    scaled = PenalizedLogisticRegression(0.02 * scale, tol=1e-10).fit(X * scale, y)
    assert scaled.solution_.converged
    np.testing.assert_allclose(scaled.coef_ * scale, plain.coef_, atol=1e-5)


def test_labels_of_any_kind(data):
    X, y = data
    expected = PenalizedLogisticRegression().fit(X, y)
    for labels in (y == "yes", np.where(y == "yes", 7, 3), np.where(y == "yes", "b", "a").astype(object)):
        model = PenalizedLogisticRegression().fit(X, labels)
        np.testing.assert_array_equal(model.classes_, np.unique(labels))
        np.testing.assert_array_equal(model.coef_, expected.coef_)
        assert set(model.predict(X)) == set(labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.arange(120) % 3}, "3 classes 0, 1, 2"),
        ({"y": np.full(120, "a")}, "only one class, 'a'"),
        ({"y": np.linspace(0, 1, 120)}, "continuous"),
        ({"sample_weight": np.zeros(120)}, "sums to 0|at least one non-zero"),
        ({"sample_weight": -np.ones(120)}, "Negative"),
        ({"params": {"alpha": -1.0}}, "'alpha'"),
        ({"params": {"alpha": np.nan}}, "alpha"),
        ({"params": {"alpha": np.inf}}, "'alpha'"),
        ({"params": {"l1_ratio": 1.5}}, "'l1_ratio'"),
        ({"params": {"weights": np.ones(3)}}, "20 features"),
        ({"params": {"weights": -np.ones(20)}}, "weights\\[0\\]"),
        ({"params": {"class_weight": {"yes": 0.0, "no": 1.0}}}, "'no' of 'no', 'yes'"),
        ({"params": {"class_weight": {"yes": -1.0, "no": 1.0}}}, "at least 0"),
        ({"params": {"solver": "simplex"}}, "simplex"),
        ({"params": {"solver": "celer"}}, "celer"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing_fitted(data, change, message):
    X, y = data
    model = PenalizedLogisticRegression().fit(X, y)
    model.set_params(**change.get("params", {}))
    with pytest.raises((ValueError, ImportError), match=message):
        model.fit(X, change.get("y", y), sample_weight=change.get("sample_weight"))
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_refused(data, value):
    X, y = data
    X[3, 4] = value
    with pytest.raises(ValueError, match="X contains"):
        PenalizedLogisticRegression().fit(X, y)


def test_a_class_without_weight_is_named(data):
    X, y = data
    with pytest.raises(ValueError, match="Only the class 'yes' of 'no', 'yes'"):
        PenalizedLogisticRegression().fit(X, y, sample_weight=(y == "yes").astype(float))


def test_separated_classes(data):
    X, _ = data
    y = X[:, 0] > 0
    with pytest.warns(UserWarning, match="separate the classes False, True"):
        model = PenalizedLogisticRegression(alpha=0.0).fit(X, y)
    assert np.all(model.predict(X) == y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PenalizedLogisticRegression(alpha=1e-6).fit(X, y)
    assert model.solution_.converged
    probabilities = model.predict_proba(1e6 * X)
    assert np.all(np.isfinite(model.predict_log_proba(1e6 * X)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_unpenalised_maximum_likelihood(data):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PenalizedLogisticRegression(alpha=0.0, tol=1e-12).fit(X, y)
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


def test_a_run_that_stops_early_warns(data):
    X, y = data
    with pytest.warns(ConvergenceWarning, match="status 'max_iter'.*increase max_iter"):
        model = PenalizedLogisticRegression(solver="fista", max_iter=1, tol=1e-12).fit(X, y)
    assert not model.solution_.converged
    assert model.n_iter_[0] == 1


def test_solver_instances_and_warm_starts(data):
    X, y = data
    solver = FISTA(max_iter=500)
    model = PenalizedLogisticRegression(solver=solver, warm_start=True, tol=1e-8).fit(X, y)
    assert model.solver_ is not solver
    assert model.solver_.max_iter == 500
    cold = model.n_iter_[0]
    assert model.fit(X, y).n_iter_[0] < cold
    assert model.set_params(fit_intercept=False).fit(X, y).intercept_[0] == 0.0
    assert model.fit(X[:, :5], y).coef_.shape == (1, 5)
    expected = PenalizedLogisticRegression(tol=1e-8).fit(X, y)
    assert expected.solver_.name == "newton_cd"
    assert expected.solution_.choice


def test_pickle_and_clone(data):
    X, y = data
    model = PenalizedLogisticRegression(weights=np.ones(20), solver=NewtonCD(max_iter=50)).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    assert copy.solution_.certificate.value == model.dual_gap_
    assert copy.solution_.state is None
    assert len(pickle.dumps(model)) < 20000
    assert not hasattr(clone(model), "coef_")


def test_searches_pipelines_and_one_versus_rest(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), PenalizedLogisticRegression())
    grid = {"penalizedlogisticregression__alpha": [1.0, 0.1, 0.01]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_["penalizedlogisticregression__alpha"] < 1.0
    assert search.score(X, y) > -np.log(2)
    several = np.digitize(X[:, 0], [-0.5, 0.5])
    assert OneVsRestClassifier(PenalizedLogisticRegression()).fit(X, several).score(X, several) > 0.6


def test_a_read_only_memory_map_is_accepted(data, tmp_path):
    X, y = data
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = PenalizedLogisticRegression().fit(mapped, y)
    np.testing.assert_array_equal(model.coef_, PenalizedLogisticRegression().fit(X, y).coef_)
