"""ConformalRegressor among scikit-learn's tools: its checks, searches, containers, metadata, and bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_linnerud, make_regression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import ConformalRegressor

NAMES = ("box", "ball", "ellipse")


def largest(y, predictions):
    return np.abs(y - predictions).reshape(len(y), -1).max(axis=1)


class RidgeWithScale(RegressorMixin, BaseEstimator):
    """A ridge regression whose scale grows with the first feature."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None):
        self.model_ = Ridge(self.alpha).fit(check_array(X, dtype=float), y, sample_weight)
        return self

    def predict(self, X, return_std=False):
        X = check_array(X, dtype=float)
        predictions = self.model_.predict(X)
        return (predictions, 1 + np.abs(X[:, 0])) if return_std else predictions


class Zero(RegressorMixin, BaseEstimator):
    """Predicts 0 of a shape."""

    def __init__(self, shape=()):
        self.shape = shape

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.shape))


X, y = load_diabetes(return_X_y=True)
X3, Y3 = make_regression(400, 5, n_targets=3, noise=20.0, random_state=1)
NEW, NEW_Y = X3[300:], Y3[300:]


def fitted(score, **options):
    return ConformalRegressor(nonconformity=score, random_state=0, **options).fit(X3[:300], Y3[:300])


def parts(n, random_state=0):
    """The rows of the two halves, as documented: a permutation whose first half calibrates."""
    order = np.random.RandomState(random_state).permutation(n)
    return order[n // 2 :], order[: n // 2]


WEIGHTS = "rows are split at random, and calibration counts each row once whatever its weight"


@pytest.mark.filterwarnings("ignore:alpha=.* needs at least:UserWarning")
@parametrize_with_checks(
    [
        *(ConformalRegressor(nonconformity=score) for score in ("auto", "abs", *NAMES, largest)),
        ConformalRegressor(nonconformity="normalized", scale_estimator=DecisionTreeRegressor(random_state=0)),
        ConformalRegressor(RidgeWithScale(), nonconformity="normalized"),
        ConformalRegressor(DecisionTreeRegressor(random_state=0), nonconformity="box", cal_size=0.3),
    ],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": WEIGHTS,
        "check_sample_weight_equivalence_on_sparse_data": WEIGHTS,
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("wrong", [np.zeros((100, 3)), np.zeros(99), np.full(150, np.nan), np.full(150, -np.inf)])
def test_functions_that_do_not_return_a_number_a_row_are_refused(wrong):
    with pytest.raises(ValueError, match="score returned"):
        fitted(lambda y, predictions: wrong)


def test_searches_inside_and_outside():
    grid = {"alpha": [0.01, 1.0, 100.0]}
    inside = ConformalRegressor(GridSearchCV(Ridge(), grid, cv=3), random_state=0).fit(X, y)
    assert inside.estimator_.best_params_["alpha"] in grid["alpha"]
    search = GridSearchCV(
        ConformalRegressor(Ridge(), random_state=0),
        {"estimator__alpha": [0.01, 1e6], "nonconformity": ["abs", "box"]},
        cv=3,
    ).fit(X, y)
    assert search.best_params_["estimator__alpha"] == 0.01
    est = search.best_estimator_
    assert est.get_params()["nonconformity"] in ("abs", "box")
    assert search.best_score_ == pytest.approx(np.mean([-np.log(2 * 95)]), abs=0.5)
    pipeline = make_pipeline(StandardScaler(), ConformalRegressor(random_state=0)).fit(X, y)
    assert pipeline.score(X, y) == pytest.approx(pipeline[-1].score(pipeline[0].transform(X), y))
    frozen = ConformalRegressor(FrozenEstimator(Ridge().fit(X[:50], y[:50])), prefit=True)
    assert np.all(np.isfinite(cross_val_score(frozen, X[50:], y[50:], cv=3)))


def test_parameters():
    est = ConformalRegressor(nonconformity="box", alpha=0.2)
    assert repr(est.set_params(nonconformity="ball")) == "ConformalRegressor(alpha=0.2, nonconformity='ball')"
    assert pickle.loads(pickle.dumps(est)).get_params() == est.get_params()
    assert ConformalRegressor(Ridge(alpha=3.0)).get_params()["estimator__alpha"] == 3.0
    assert clone(ConformalRegressor(nonconformity=largest)).nonconformity is largest
    assert is_regressor(est)


def test_functions_have_no_volumes_to_score():
    assert not hasattr(ConformalRegressor(nonconformity=largest), "score")
    with pytest.raises(AttributeError, match="no attribute 'score'") as error:
        fitted(largest).score(X3)
    assert "the volumes of its sets are not known" in str(error.value.__cause__)


def test_any_container_that_the_regressor_takes():
    expected = ConformalRegressor(random_state=0).fit(X, y).predict_interval(X)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(10)])
    est = ConformalRegressor(random_state=0).fit(frame, pd.Series(y))
    np.testing.assert_allclose(est.predict_interval(frame), expected)
    assert est.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        est.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        est.predict(X)
    for make in (sparse.csr_array, sparse.coo_array, np.asfortranarray, np.ndarray.tolist):
        est = ConformalRegressor(random_state=0).fit(make(X), y.tolist())
        np.testing.assert_allclose(est.predict_interval(make(X)), expected, rtol=1e-2)
    est = ConformalRegressor(random_state=0).fit(X3, pd.DataFrame(Y3, columns=list("abc")))
    assert est.predict_interval(NEW).shape == (100, 3, 2)
    words = pd.DataFrame({"kind": np.random.default_rng(0).choice(["a", "b"], 442), "x": X[:, 2]})
    encoded = make_pipeline(make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough"), Ridge())
    assert ConformalRegressor(encoded, random_state=0).fit(words, y).predict_set(words).contains(y).mean() > 0.8
    missing = np.where(np.random.default_rng(0).uniform(size=X.shape) < 0.1, np.nan, X)
    est = ConformalRegressor(HistGradientBoostingRegressor(max_iter=5), random_state=0).fit(missing, y)
    assert np.all(np.isfinite(est.predict_interval(missing)))


def test_a_column_is_one_output_with_a_warning_where_one_is_asked_for():
    with pytest.warns(DataConversionWarning):
        est = ConformalRegressor(nonconformity="abs", random_state=0).fit(X, y[:, None])
    assert est.predict_interval(X).shape == (442, 2)
    assert est.coverage(X, y[:, None]) == est.coverage(X, y)
    est = ConformalRegressor(random_state=0).fit(X, y[:, None])
    assert est.predict_interval(X).shape == (442, 1, 2)
    assert est.predict(X).shape == (442, 1)


def test_metadata_are_routed():
    weight, groups = np.random.default_rng(0).uniform(size=442), np.repeat(["a", "b"], 221)
    first, _ = parts(442)
    with sklearn.config_context(enable_metadata_routing=True):
        model = Ridge().fit(X[first], y[first], sample_weight=weight[first])
        inner = make_pipeline(StandardScaler(), Ridge().set_fit_request(sample_weight=True))
        inner[0].set_fit_request(sample_weight=False)
        est = ConformalRegressor(inner, random_state=0).fit(X, y, sample_weight=weight)
        scaler = StandardScaler().fit(X[first])
        expected = Ridge().fit(scaler.transform(X[first]), y[first], sample_weight=weight[first])
        np.testing.assert_allclose(est.predict(X), expected.predict(scaler.transform(X)))
        est = ConformalRegressor(random_state=0).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(est.predict(X), model.predict(X))
        asked = ConformalRegressor(random_state=0).set_fit_request(groups=True).set_score_request(groups=True)
        search = GridSearchCV(asked, {"alpha": [0.1, 0.2]}, cv=3).fit(X, y, sample_weight=weight, groups=groups)
        assert set(search.best_estimator_.quantile_) == {"a", "b"}
        with pytest.raises(ValueError, match="sample_weight"):
            ConformalRegressor(Ridge()).fit(X, y, sample_weight=weight)


def test_a_failing_fit_leaves_nothing_fitted():
    est = ConformalRegressor(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        est.fit(np.where(X > 0.1, np.nan, X), y)
    assert not [name for name in vars(est) if name.endswith("_")]
    for call in (est.predict, est.predict_interval, est.predict_set, est.score):
        with pytest.raises(NotFittedError):
            call(X)
    for call in (est.predict_pvalue, est.coverage, est.calibrate):
        with pytest.raises(NotFittedError):
            call(X, y)


def test_fits_depend_on_the_random_state_alone():
    one, two, other = (ConformalRegressor(random_state=s).fit(X, y).quantile_ for s in (0, 0, 1))
    assert one == two != other


def test_real_data_of_three_outputs():
    Z, W = load_linnerud(return_X_y=True)
    est = ConformalRegressor(MultiOutputRegressor(SVR()), alpha=0.3, random_state=0).fit(Z, W)
    assert est.predict_set(Z).kind == "ellipsoid"
    assert est.coverage(Z, W) > 0.5
    copy = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(copy.predict_interval(Z), est.predict_interval(Z))
    sets = pickle.loads(pickle.dumps(est.predict_set(Z)))
    np.testing.assert_array_equal(sets.contains(W), est.predict_set(Z).contains(W))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "'alpha' parameter"),
        ({"alpha": 1.0}, "'alpha' parameter"),
        ({"alpha": np.nan}, "'alpha' parameter"),
        ({"nonconformity": "huber"}, "'nonconformity' parameter"),
        ({"cal_size": 1.0}, "'cal_size' parameter"),
        ({"cal_size": 0}, "'cal_size' parameter"),
        ({"n_keypoints": 0}, "'n_keypoints' parameter"),
        ({"estimator": "ridge"}, "'estimator' parameter"),
        ({"scale_estimator": 3.0}, "'scale_estimator' parameter"),
        ({"prefit": "yes"}, "'prefit' parameter"),
        ({"cal_size": 442}, "n_samples = 442 with cal_size=442"),
        ({"cal_size": 500}, "n_samples = 442 with cal_size=500"),
        ({"cal_size": 0.9999}, "n_samples = 442 with cal_size=0.9999"),
        ({"nonconformity": "normalized"}, "Ridge.predict has no return_std"),
        ({"prefit": True}, "prefit=True needs a fitted estimator"),
        ({"prefit": True, "estimator": Ridge()}, "not fitted"),
        ({"n_keypoints": 2}, r"y has shape \(442,\), which does not fit n_keypoints=2"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises((ValueError, NotFittedError), match=message):
        ConformalRegressor(**options).fit(X, y)


@pytest.mark.parametrize(
    ("options", "target", "message"),
    [
        ({"nonconformity": "abs"}, Y3, r"y has shape \(400, 3\), but nonconformity='abs'"),
        ({"nonconformity": "normalized", "scale_estimator": Ridge()}, Y3, "are for one output"),
        ({"n_keypoints": 2}, Y3, r"y has shape \(400, 3\), which does not fit n_keypoints=2"),
        ({"n_keypoints": 2}, np.zeros((400, 3, 2)), r"y has shape \(400, 3, 2\), which does not fit n_keypoints=2"),
        ({}, np.zeros((400, 1, 1, 2)), "at most 3 dimensions"),
        ({}, np.zeros((400, 0)), "there is no output"),
        ({}, np.where(Y3 > 0, np.nan, Y3), "y contains NaN"),
        ({}, np.where(Y3 > 0, np.inf, Y3), "y contains infinity"),
        ({}, Y3[:300], "inconsistent numbers of samples"),
        ({}, None, "requires y to be passed"),
        ({}, np.array([["a"] * 3] * 400), "could not convert"),
        ({"estimator": SVR()}, Y3, "1d array"),
        (
            {"estimator": Zero((2,))},
            Y3,
            r"estimator predicts shape \(200, 2\) for 200 rows, but y has rows of shape \(3,\)",
        ),
    ],
)
def test_bad_targets_are_refused(options, target, message):
    with pytest.raises(ValueError, match=message):
        ConformalRegressor(**options).fit(X3, target)


def test_bad_data_of_fit_and_predict_are_refused():
    est = ConformalRegressor(random_state=0)
    with pytest.raises(ValueError, match="n_samples = 1 "):
        est.fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        est.fit(X, y, groups=["a"])
    with pytest.raises(ValueError, match="groups holds"):
        est.fit(X, y, groups=np.where(X[:, 0] > 0, 1.0, np.nan))
    with pytest.raises(ValueError, match="sample_weight"):
        est.fit(X, y, sample_weight=np.where(X[:, 0] > 0, 1.0, np.nan))
    with pytest.raises(ValueError, match=r"KNeighborsRegressor\.fit takes no sample_weight"):
        ConformalRegressor(KNeighborsRegressor()).fit(X, y, sample_weight=np.ones(442))
    with pytest.raises(ValueError, match="prefit=True does not fit it"):
        ConformalRegressor(Ridge().fit(X, y), prefit=True).fit(X, y, sample_weight=np.ones(442))
    with pytest.raises(ValueError, match="has no method fit"):
        ConformalRegressor(type("Model", (), {"predict": len})()).fit(X, y)

    class Broken(Ridge):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match="estimator predicts NaN for row 0"):
        ConformalRegressor(Broken()).fit(X, y)
    est.fit(X, y)
    for alpha in (0, 1, np.nan, "a"):
        with pytest.raises(ValueError, match="alpha="):
            est.predict_interval(X, alpha)
    with pytest.raises(ValueError, match="calibration had no groups"):
        est.predict_interval(X, groups=["a"] * 442)
    with pytest.raises(ValueError, match="X has 9 features, but ConformalRegressor is expecting 10"):
        est.predict_pvalue(X[:, 1:], y)
    for W in (y[:5], Y3[:, :1]):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            est.coverage(X, W)
    with pytest.raises(ValueError, match=r"y has shape \(442, 3\), but must have shape \(n,\) or \(n, 1\)"):
        est.coverage(X, np.zeros((442, 3)))
    with pytest.raises(ValueError, match="y has 5 rows, but there are 442 sets"):
        est.predict_set(X).contains(y[:5])
