"""ConformalRegressor: scikit-learn's checks and tools, its sets by plain formulas, scales, groups, and bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_diabetes, make_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_array

from estimand import ConformalRegressor, conformal_quantile
from estimand.estimators.conformal_pose.sets import SetPrediction

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


@pytest.mark.parametrize("score", NAMES)
def test_sets_are_those_of_the_formulas(score):
    first, rows = parts(300)
    model = Ridge().fit(X3[first], Y3[first])
    r, cal, new = (Y - model.predict(Z) for Z, Y in ((X3[first], Y3[first]), (X3[rows], Y3[rows]), (NEW, NEW_Y)))
    if score == "box":
        s = np.median(np.abs(r), axis=0)
        value, half, P = (
            (lambda v: np.max(np.abs(v) / s, axis=1)),
            (lambda q: q * s),
            (lambda q: np.diag((q * s) ** -2)),
        )
        volume = lambda q: np.prod(2 * q * s)  # noqa: E731
    elif score == "ball":
        value, half, P = (lambda v: np.linalg.norm(v, axis=1)), (lambda q: [q] * 3), (lambda q: np.eye(3) / q**2)
        volume = lambda q: 4 / 3 * np.pi * q**3  # noqa: E731
    else:
        S = r.T @ r / len(r)
        value = lambda v: np.einsum("ij,jk,ik->i", v, np.linalg.inv(S), v)  # noqa: E731
        half, P = (lambda q: np.sqrt(q * np.diag(S))), (lambda q: np.linalg.inv(S) / q)
        volume = lambda q: 4 / 3 * np.pi * np.sqrt(q**3 * np.linalg.det(S))  # noqa: E731
    est = fitted(score)
    np.testing.assert_allclose(est.scores_, np.sort(value(cal)), rtol=1e-6)
    assert est.n_calibration_ == 150
    for alpha in (0.05, 0.1, 0.5):
        q = conformal_quantile(value(cal), alpha)
        sets, interval = est.predict_set(NEW, alpha), est.predict_interval(NEW, alpha)
        np.testing.assert_array_equal(sets.centers, model.predict(NEW))
        np.testing.assert_array_equal(sets.contains(NEW_Y), value(new) <= q)
        np.testing.assert_allclose(sets.precisions, np.broadcast_to(P(q), (100, 3, 3)), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(sets.volume(), volume(q), rtol=1e-6)
        np.testing.assert_allclose(
            (interval[..., 1] - interval[..., 0]) / 2, np.broadcast_to(half(q), (100, 3)), rtol=1e-6
        )
        np.testing.assert_allclose(interval.mean(axis=2), sets.centers, atol=1e-9)
        assert est.coverage(NEW, NEW_Y, alpha) == np.mean(value(new) <= q)
    assert est.quantile_ == est.calibration_.quantile(0.1)
    assert est.score(NEW, NEW_Y) == pytest.approx(-np.log(volume(est.quantile_)), rel=1e-6)


def test_one_output_gets_intervals():
    first, rows = parts(442)
    model = Ridge().fit(X[first], y[first])
    est = ConformalRegressor(random_state=0).fit(X, y)
    q = conformal_quantile(np.abs(y[rows] - model.predict(X[rows])), 0.1)
    f = model.predict(X)
    assert est.quantile_ == q
    np.testing.assert_array_equal(est.predict_interval(X), np.stack([f - q, f + q], axis=1))
    np.testing.assert_array_equal(est.predict(X), f)
    np.testing.assert_array_equal(est.predict_set(X).precisions, np.full((442, 1, 1), 1 / q / q))
    assert est.score(X, y) == pytest.approx(-np.log(2 * q))


@pytest.mark.parametrize("own", [True, False])
def test_normalized_intervals_follow_the_scale(own):
    first, rows = parts(300)
    if own:
        est = ConformalRegressor(RidgeWithScale(), nonconformity="normalized", random_state=0).fit(X[:300], y[:300])
        model = RidgeWithScale().fit(X[first], y[first])
        f, sigma = model.predict(X, return_std=True)
    else:
        scale = KNeighborsRegressor(20)
        est = ConformalRegressor(nonconformity="normalized", scale_estimator=scale, random_state=0).fit(
            X[:300], y[:300]
        )
        model = Ridge().fit(X[first], y[first])
        f = model.predict(X)
        sigma = clone(scale).fit(X[first], np.abs(y - f)[first]).predict(X)
        assert not hasattr(scale, "n_features_in_")
        np.testing.assert_allclose(est.scale_estimator_.predict(X), sigma)
    scores = np.abs(y - f) / sigma
    q = conformal_quantile(scores[rows], 0.2)
    interval = est.predict_interval(X[300:], 0.2)
    np.testing.assert_allclose(interval, np.stack([f - q * sigma, f + q * sigma], axis=1)[300:])
    sets = est.predict_set(X[300:], 0.2)
    np.testing.assert_array_equal(sets.contains(y[300:]), (scores <= q)[300:])
    np.testing.assert_allclose(sets.volume(), (2 * q * sigma)[300:])
    assert not hasattr(est.set_params(nonconformity="abs").fit(X, y), "scale_estimator_")


def test_scales_that_are_0_or_negative_are_floored():
    class Signs(DecisionTreeRegressor):
        def predict(self, X):
            return np.where(np.asarray(X)[:, 0] > 0, 1.0, -1.0) * (np.asarray(X)[:, 0] > -0.02)

    est = ConformalRegressor(nonconformity="normalized", scale_estimator=Signs(), random_state=0).fit(X, y)
    assert est.row_scales_.floor == 1e-9
    widths = est.predict_set(X, 0.6).half_widths()
    np.testing.assert_allclose(widths, widths.max() * np.where(X[:, 0] > 0, 1, 1e-9))
    assert 0 < np.sum(X[:, 0] > 0) < 442


@pytest.mark.parametrize("score", ["auto", *NAMES])
@pytest.mark.parametrize("flat", [False, True])
def test_keypoints_are_held_all_at_once(score, flat):
    Y = np.concatenate([Y3, np.random.default_rng(2).normal(size=(400, 3)) * 30], axis=1).reshape(400, 3, 2)
    target = Y.reshape(400, 6) if flat else Y
    est = ConformalRegressor(nonconformity=score, n_keypoints=3 if flat else None, random_state=0).fit(
        X3[:300], target[:300]
    )
    sets = est.predict_set(NEW)
    assert sets.centers.shape == (100, 3, 2)
    assert sets.precisions.shape == (100, 3, 2, 2)
    assert est.predict(NEW).shape == target[300:].shape
    assert est.predict_interval(NEW).shape == (*target[300:].shape, 2)
    first, rows = parts(300)
    model = Ridge().fit(X3[first], Y.reshape(400, 6)[first])
    r = Y[:300] - model.predict(X3[:300]).reshape(300, 3, 2)
    new = Y[300:] - model.predict(NEW).reshape(100, 3, 2)
    if score == "box":
        s = np.median(np.abs(r[first]), axis=0)
        value = lambda v: np.max(np.abs(v) / s, axis=(1, 2))  # noqa: E731
    elif score == "ball":
        value = lambda v: np.linalg.norm(v, axis=2).max(axis=1)  # noqa: E731
    else:
        S = np.einsum("nki,nkj->kij", r[first], r[first]) / 150
        value = lambda v: np.einsum("nki,kij,nkj->nk", v, np.linalg.inv(S), v).max(axis=1)  # noqa: E731
    q = conformal_quantile(value(r[rows]), 0.1)
    assert est.quantile_ == pytest.approx(q, rel=1e-6)
    for Z in (Y[300:], Y[300:].reshape(100, 6)):
        np.testing.assert_array_equal(sets.contains(Z), value(new) <= q)
        assert est.coverage(NEW, Z) == np.mean(value(new) <= q)
        assert est.predict_pvalue(NEW, Z).shape == (100,)
    # The same sets from their precisions alone.
    again = SetPrediction(sets.centers, sets.precisions, sets.kind)
    np.testing.assert_array_equal(again.contains(Y[300:]), sets.contains(Y[300:]))
    np.testing.assert_allclose(again.log_volume(), sets.log_volume())
    np.testing.assert_allclose(again.bounding_box(), sets.bounding_box())


def test_a_function_as_score_has_sets_that_know_their_members_only():
    est = fitted(largest)
    first, rows = parts(300)
    model = Ridge().fit(X3[first], Y3[first])
    q = conformal_quantile(largest(Y3[rows], model.predict(X3[rows])), 0.1)
    inside = largest(NEW_Y, model.predict(NEW)) <= q
    sets = est.predict_set(NEW)
    np.testing.assert_array_equal(sets.contains(NEW_Y), inside)
    np.testing.assert_array_equal(est.predict_pvalue(NEW, NEW_Y) > 0.1, inside)
    assert est.coverage(NEW, NEW_Y) == inside.mean()
    for call in (lambda: est.predict_interval(NEW), sets.volume, sets.bounding_box, lambda: sets.precisions):
        with pytest.raises(ValueError, match="score is a function"):
            call()
    with pytest.raises(AttributeError, match="has no attribute"):
        est.score(NEW, NEW_Y)
    assert cross_val_score(est, X3, Y3, scoring=lambda e, Z, W: e.coverage(Z, W), cv=3).min() > 0.8


integers = st.lists(st.integers(-4, 4), min_size=2, max_size=30)
ALPHAS = st.one_of(st.floats(0.01, 0.99), st.integers(1, 99).map(lambda k: k / 100))


@given(integers, integers, ALPHAS, ALPHAS, st.sampled_from(["abs", *NAMES, "normalized"]))
@settings(max_examples=60, deadline=None)
def test_p_values_sets_and_levels_agree(cal, new, alpha, other, score):
    X, y, Z, w = (np.array(v, dtype=float) for v in ([[v] for v in cal], cal, [[v] for v in new], new))
    model = RidgeWithScale().fit([[0.0], [1.0]], [1.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        est = ConformalRegressor(model, nonconformity=score, prefit=True, alpha=alpha, random_state=0).fit(X, y)
        inside = est.predict_set(Z).contains(w)
        p_values = est.predict_pvalue(Z, w)
        np.testing.assert_array_equal(est.calibration_.rejects(p_values, alpha), ~inside)
        small, large = (est.predict_set(Z, level) for level in sorted((alpha, other)))
        assert np.all(small.contains(w) | ~large.contains(w))
        assert np.all(small.volume() >= large.volume())
        assert np.all(small.half_widths() >= large.half_widths())
        interval = est.predict_interval(Z, 1e-9)
    np.testing.assert_array_equal(interval, np.broadcast_to([-np.inf, np.inf], interval.shape))
    assert p_values.min() >= 1 / (est.n_calibration_ + 1)
    assert p_values.max() <= 1


def test_quantiles_that_are_infinite_or_0():
    with pytest.warns(UserWarning, match="needs at least 9 calibration scores, there are 5") as caught:
        est = ConformalRegressor(nonconformity="ellipse", random_state=0).fit(X3[:10], Y3[:10])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert est.quantile_ == np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sets = est.predict_set(NEW)
    assert sets.contains(1e9 * NEW_Y).all()
    assert np.all(sets.volume() == np.inf)
    assert np.all(sets.precisions == 0)
    assert est.score(NEW, NEW_Y) == -np.inf
    with pytest.warns(UserWarning, match="alpha=0.01 needs at least 99") as caught:
        est.predict_interval(NEW, 0.01)
    assert caught[0].filename == __file__
    for score in NAMES:
        est = ConformalRegressor(Zero((2,)), nonconformity=score, prefit=True, random_state=0).fit(
            X3[:60], np.zeros((60, 2))
        )
        sets = est.predict_set(NEW)
        assert est.quantile_ == 0
        assert sets.contains(np.zeros((100, 2))).all()
        assert not sets.contains(np.full((100, 2), 1e-300)).any() or score == "ellipse"
        assert np.all(sets.volume() == 0)
        np.testing.assert_array_equal(np.diagonal(sets.precisions, axis1=1, axis2=2), np.inf)
        assert est.score(NEW) == np.inf


def test_the_level_is_that_of_the_parameter_unless_given():
    est = ConformalRegressor(random_state=0).fit(X, y)
    wide = est.predict_interval(X, 0.05)
    assert np.all(np.diff(wide) > np.diff(est.predict_interval(X)))
    np.testing.assert_array_equal(est.set_params(alpha=0.05).predict_interval(X), wide)


@pytest.mark.parametrize("model", [DecisionTreeRegressor(random_state=0), KNeighborsRegressor(1), LinearRegression()])
@pytest.mark.parametrize("score", ["box", "ellipse"])
def test_scales_of_interpolating_regressors_come_from_other_folds(model, score):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 60))  # more features than rows of the first part
    Y = X[:, :2] * [1.0, 100.0] + rng.normal(size=(80, 2)) * [1.0, 100.0]
    first, _ = parts(80)
    assert np.abs(Y[first] - clone(model).fit(X[first], Y[first]).predict(X[first])).max() < 1e-9
    est = ConformalRegressor(model, nonconformity=score, random_state=0).fit(X, Y)
    width = np.diff(est.predict_interval(X[:1]))[0, :, 0]
    assert 30 < width[1] / width[0] < 300


def test_outputs_without_any_noise_have_scale_1():
    Y = np.column_stack([np.zeros(100), np.random.default_rng(0).normal(size=100)])
    for score in ("box", "ellipse"):
        est = ConformalRegressor(Zero((2,)), nonconformity=score, random_state=0).fit(X3[:100], Y)
        widths = np.diff(est.predict_interval(X3[:1]))[0, :, 0]
        assert np.all(widths > 0)
        assert np.all(np.isfinite(est.predict_set(X3[:1]).precisions))
        assert est.nonconformity_.unit.half_widths()[0, 0] == pytest.approx(1)


def test_weights_reach_the_regressor_alone():
    weight = np.random.default_rng(0).uniform(size=442)
    first, rows = parts(442)
    est = ConformalRegressor(random_state=0).fit(X, y, sample_weight=weight)
    model = Ridge().fit(X[first], y[first], sample_weight=weight[first])
    np.testing.assert_array_equal(est.predict(X), model.predict(X))
    np.testing.assert_allclose(est.scores_, np.sort(np.abs(y - model.predict(X))[rows]))
    tree = DecisionTreeRegressor(random_state=0)
    with_weights = ConformalRegressor(tree, nonconformity="box", random_state=0).fit(X, y, sample_weight=weight)
    without = ConformalRegressor(tree, nonconformity="box", random_state=0).fit(X, y)
    assert with_weights.nonconformity_.unit.scales != without.nonconformity_.unit.scales  # out of folds


def test_prefit_regressors_stay_and_all_rows_calibrate_if_no_scale_is_needed():
    model = Ridge().fit(X3[:100], Y3[:100])
    before = model.coef_.copy()
    for score, n in (("ball", 200), (largest, 200), ("box", 150), ("ellipse", 150), ("auto", 150)):
        est = ConformalRegressor(model, nonconformity=score, prefit=True, cal_size=150, random_state=0).fit(
            X3[100:300], Y3[100:300]
        )
        assert est.n_calibration_ == n
        assert est.estimator_ is model
    np.testing.assert_array_equal(model.coef_, before)
    # Scales come from the part that does not calibrate.
    rows = np.random.RandomState(0).permutation(200)
    Z, W = X3[100:300], Y3[100:300]
    est = ConformalRegressor(model, nonconformity="box", prefit=True, cal_size=150, random_state=0).fit(Z, W)
    scales = np.median(np.abs(W - model.predict(Z))[rows[150:]], axis=0)
    np.testing.assert_array_equal(est.nonconformity_.unit.scales[0], scales)
    single = LinearRegression().fit(X[:100], y[:100])
    assert ConformalRegressor(single, prefit=True).fit(X[100:], y[100:]).n_calibration_ == 342
    with_std = BayesianRidge().fit(X[:100], y[:100])
    est = ConformalRegressor(with_std, nonconformity="normalized", prefit=True).fit(X[100:], y[100:])
    f, sigma = with_std.predict(X, return_std=True)
    assert est.n_calibration_ == 342
    np.testing.assert_array_equal(est.predict_interval(X)[:, 1], f + est.quantile_ * sigma)


def test_calibrate_replaces_the_calibration_and_nothing_else():
    est = fitted("ellipse")
    whitening, model = est.nonconformity_, est.estimator_
    copy = pickle.loads(pickle.dumps(est))
    assert est.calibrate(NEW, NEW_Y) is est
    assert est.n_calibration_ == 100
    assert est.nonconformity_ is whitening
    assert est.estimator_ is model
    residuals = NEW_Y - model.predict(NEW)
    np.testing.assert_allclose(est.scores_, np.sort(whitening.unit.score(residuals[:, None])), rtol=1e-12)
    for bad in (NEW_Y[:, :2], NEW_Y[:50], NEW_Y * np.nan):
        with pytest.raises(ValueError, match=r"y has shape|y contains NaN|inconsistent numbers"):
            copy.calibrate(NEW, bad)
        assert copy.n_calibration_ == 150
    groups = np.repeat(["a", "b"], 50)
    est.calibrate(NEW, NEW_Y, groups=groups)
    assert est.n_calibration_ == {"a": 50, "b": 50}


def test_each_group_has_its_own_quantile():
    rng = np.random.default_rng(0)
    groups = rng.choice(["easy", "hard"], size=442)
    est = ConformalRegressor(random_state=0).fit(X, y, groups=groups)
    _, rows = parts(442)
    residuals = np.abs(y - est.predict(X))
    for label in ("easy", "hard"):
        scores = residuals[rows][groups[rows] == label]
        np.testing.assert_allclose(est.scores_[label], np.sort(scores))
        assert est.quantile_[label] == pytest.approx(conformal_quantile(scores, 0.1))
        assert est.n_calibration_[label] == scores.size
    half = [est.quantile_[label] for label in groups]
    np.testing.assert_array_equal(est.predict_interval(X, groups=groups)[:, 1], est.predict(X) + half)
    for container in (list, pd.Series, lambda v: v.astype(object)):
        np.testing.assert_array_equal(est.predict_set(X, groups=container(groups)).contains(y), residuals <= half)
    p_values = est.predict_pvalue(X, y, groups=groups)
    np.testing.assert_array_equal(est.calibration_.rejects(p_values, 0.1, groups), residuals > half)
    assert est.coverage(X, y, groups=groups) == np.mean(residuals <= half)
    assert est.score(X, groups=groups) == pytest.approx(-np.mean(np.log(2 * np.array(half))))
    with pytest.raises(
        ValueError, match="groups holds 'new', which calibration has not seen; it has seen 'easy', 'hard'"
    ):
        est.predict_interval(X[:1], groups=["new"])
    with pytest.raises(ValueError, match="groups=None, but calibration had groups"):
        est.predict_interval(X)


def test_a_group_that_no_calibration_row_has_gets_everything():
    groups = np.where(np.arange(442) == parts(442)[0][0], "rare", "common")
    with pytest.warns(UserWarning, match="for 'rare'"):
        est = ConformalRegressor(random_state=0).fit(X, y, groups=groups)
    assert est.n_calibration_ == {"common": 221, "rare": 0}
    np.testing.assert_array_equal(est.predict_interval(X[:1], groups=["rare"]), [[-np.inf, np.inf]])
    assert est.score(X, groups=groups) == -np.inf


@given(st.integers(-250, 250), st.sampled_from(["abs", *NAMES]))
@settings(max_examples=30, deadline=None)
def test_the_unit_of_y_does_not_matter(exponent, score):
    scale = 2.0**exponent
    Y = Y3[:, 0] if score == "abs" else Y3
    model, scaled = (
        ConformalRegressor(LinearRegression(), nonconformity=score, random_state=0).fit(X3[:300], Y[:300] * c)
        for c in (1.0, scale)
    )
    np.testing.assert_array_equal(
        model.predict_set(NEW).contains(Y[300:]), scaled.predict_set(NEW).contains(Y[300:] * scale)
    )
    np.testing.assert_allclose(scaled.predict_interval(NEW), model.predict_interval(NEW) * scale, rtol=1e-9)
    d = 1 if score == "abs" else 3
    assert scaled.score(NEW) == pytest.approx(model.score(NEW) - d * np.log(scale), rel=1e-9, abs=1e-9)


def test_units_that_differ_between_outputs_do_not_matter():
    scale = np.array([1e-6, 1.0, 1e9])
    for score in ("box", "ellipse"):
        model = ConformalRegressor(LinearRegression(), nonconformity=score, random_state=0).fit(X3[:300], Y3[:300])
        scaled = ConformalRegressor(LinearRegression(), nonconformity=score, random_state=0).fit(
            X3[:300], Y3[:300] * scale
        )
        np.testing.assert_allclose(scaled.quantile_, model.quantile_, rtol=1e-6)
        np.testing.assert_allclose(
            scaled.predict_interval(NEW), model.predict_interval(NEW) * scale[:, None], rtol=1e-6
        )


def test_gaussian_processes_bring_their_own_scale():
    rng = np.random.default_rng(0)
    Z = rng.uniform(-3, 3, size=(120, 1))
    w = np.sin(Z[:, 0]) + 0.1 * rng.normal(size=120)
    est = ConformalRegressor(GaussianProcessRegressor(alpha=0.01), nonconformity="normalized", random_state=0).fit(Z, w)
    near, far = np.diff(est.predict_interval([[0.0], [9.0]]))[:, 0]
    assert far > 3 * near
