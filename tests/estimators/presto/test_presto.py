import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import (
    PrestoClassifier,
    PrestoClassifierCV,
    ProportionalOddsClassifier,
    SeparateLogitClassifier,
    presto_path,
)

CLASSIFIERS = (PrestoClassifier, PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier)


@parametrize_with_checks([classifier() for classifier in CLASSIFIERS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def make(n=300, p=4, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.array([1.0, 3.0, 0.2, 1.0])[:p] + np.array([0.0, 5.0, -1.0, 0.0])[:p]
    latent = X[:, 0] - X[:, min(1, p - 1)] / 3 + rng.logistic(size=n)
    shares = np.linspace(1.0, 0.2, n_classes)
    return X, np.searchsorted(np.quantile(latent, np.cumsum(shares / shares.sum())[:-1]), latent)


def objective(model, X, y, weight=None):
    """The objective of 1.2 of the standardised problem, from the fitted attributes alone."""
    w = np.ones(len(y)) if weight is None else weight
    w = w / w.sum()
    p = model.predict_proba(X)[np.arange(len(y)), y]
    scale = np.sqrt(w @ (X - w @ X) ** 2)
    psi = np.diff(model.coef_ * scale, axis=0, prepend=0.0)
    v = np.ones_like(psi)
    v[0] = model.base_penalty
    penalty = model.l1_ratio * np.sum(v * np.abs(psi)) + (1 - model.l1_ratio) / 2 * np.sum(v * psi**2)
    return -(w @ np.log(p)) + model.alpha * penalty


@pytest.mark.parametrize("options", [{}, {"l1_ratio": 0.5}, {"base_penalty": 0.3}, {"link": "probit"}])
def test_objective_from_the_attributes_alone(options):
    X, y = make()
    model = PrestoClassifier(alpha=0.02, tol=1e-9, **options).fit(X, y)
    assert model.crossing_fraction_ == 0
    assert model.objective_ == pytest.approx(objective(model, X, y), rel=1e-12)
    assert model.kkt_ <= 1e-9
    assert model.loglik_ == pytest.approx(np.log(model.predict_proba(X)[np.arange(len(y)), y]).sum(), rel=1e-12)
    assert model.aic_ == pytest.approx(-2 * model.loglik_ + 2 * model.df_)


def test_the_gap_is_controlled_where_it_is_asked_for():
    X, y = make()
    model = PrestoClassifier(alpha=0.01, gap_tol=1e-8).fit(X, y)
    assert model.converged_
    assert model.dual_gap_ <= 1e-8 * -model.null_loglik_ / len(y)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_a_large_penalty_gives_the_class_shares(l1_ratio):
    X, y = make()
    top = presto_path(X, y, n_alphas=1, l1_ratio=l1_ratio).alphas[0]
    model = PrestoClassifier(alpha=1.001 * top, l1_ratio=l1_ratio).fit(X, y)
    assert np.all(model.coef_ == 0)
    exceedance = [(y >= k).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(model.intercept_, special.logit(exceedance), rtol=1e-10)


def test_without_a_base_penalty_a_large_one_gives_proportional_odds():
    X, y = make()
    model = PrestoClassifier(alpha=1e3, base_penalty=0.0, tol=1e-10).fit(X, y)
    odds = ProportionalOddsClassifier(tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_, np.repeat(odds.coef_, 3, axis=0), rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, odds.intercept_, rtol=1e-8)


def test_two_classes_are_logistic_regression():
    X, y = make(n_classes=2)
    model = PrestoClassifier(alpha=0.02, tol=1e-10).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    peer = LogisticRegression(C=1 / (len(y) * 0.02), l1_ratio=1, solver="saga", tol=1e-12, max_iter=100_000)
    peer.fit(Z, y)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(Z), atol=1e-6)
    assert np.array_equal(model.decision_function(X) > 0, model.predict(X) == 1)


def test_no_penalty_is_the_unparallel_maximum_likelihood_fit():
    X, y = make(2000, 2)
    model = PrestoClassifier(alpha=0.0, tol=1e-10).fit(X, y)
    parallel = ProportionalOddsClassifier(tol=1e-10).fit(X, y)
    assert model.loglik_ > parallel.loglik_
    assert np.isnan(model.dual_gap_)


def test_constant_columns_have_no_slope():
    X, y = make()
    Z = np.hstack([X, np.full((len(y), 1), 7.0), np.full((len(y), 1), 1e-300)])
    for alpha in (0.0, 0.02):
        model, plain = (PrestoClassifier(alpha=alpha, tol=1e-9).fit(A, y) for A in (Z, X))
        assert np.all(model.coef_[:, 4:] == 0)
        np.testing.assert_allclose(model.coef_[:, :4], plain.coef_, rtol=1e-12)
    only = PrestoClassifier().fit(np.ones((len(y), 2)), y)
    np.testing.assert_allclose(only.predict_proba(np.ones((1, 2)))[0], np.bincount(y) / len(y), rtol=1e-12)


fitted = settings(max_examples=15, deadline=None)


@fitted
@given(st.integers(0, 1000))
def test_integer_weights_are_repeated_rows(seed):
    X, y = make(120, 3, 3, seed)
    weight = np.random.default_rng(seed).integers(0, 4, len(y))
    weight[[np.flatnonzero(y == c)[0] for c in range(3)]] = 1
    options = {"alpha": 0.02, "tol": 1e-11}
    weighted = PrestoClassifier(**options).fit(X, y, sample_weight=weight)
    repeated = PrestoClassifier(**options).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-8)
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-11)
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, rel=1e-9)
    assert weighted.bic_ == pytest.approx(repeated.bic_, rel=1e-9)


@fitted
@given(st.integers(0, 1000))
def test_columns_may_be_permuted_shifted_scaled_and_reflected(seed):
    rng = np.random.default_rng(seed)
    X, y = make(150, 4, 3, seed)
    order, shift = rng.permutation(4), rng.normal(size=4)
    factor = np.exp(rng.uniform(-3, 3, 4)) * rng.choice([-1, 1], 4)
    rows = rng.permutation(len(y))
    options = {"alpha": 0.02, "tol": 1e-11}
    one = PrestoClassifier(**options).fit(X, y)
    Z = (X * factor + shift)[:, order]
    other = PrestoClassifier(**options).fit(Z[rows], y[rows])
    np.testing.assert_allclose(other.coef_ * factor[order], one.coef_[:, order], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.predict_proba(Z), one.predict_proba(X), atol=1e-7)


@fitted
@given(st.integers(0, 1000))
def test_a_repeated_column_changes_no_prediction(seed):
    X, y = make(150, 4, 3, seed)
    options = {"alpha": 0.01, "tol": 1e-11}
    one = PrestoClassifier(**options).fit(X, y)
    other = PrestoClassifier(**options).fit(X[:, [0, 1, 2, 3, 1]], y)
    assert other.objective_ == pytest.approx(one.objective_, rel=1e-11)
    np.testing.assert_allclose(other.predict_proba(X[:, [0, 1, 2, 3, 1]]), one.predict_proba(X), atol=1e-7)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
def test_the_rare_class_may_be_the_first(link):
    X, y = make()
    mirrored = {"cloglog": "loglog", "loglog": "cloglog"}.get(link, link)
    one = PrestoClassifier(alpha=0.02, link=link, tol=1e-10).fit(X, y)
    other = PrestoClassifier(alpha=0.02, link=mirrored, rare="first", tol=1e-10).fit(X, 3 - y)
    np.testing.assert_allclose(other.coef_, -one.coef_[::-1], rtol=1e-12)
    np.testing.assert_allclose(other.intercept_, -one.intercept_[::-1], rtol=1e-12)
    np.testing.assert_allclose(other.diff_coef_, -one.diff_coef_[::-1], rtol=1e-12)
    np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X)[:, ::-1], rtol=1e-10)
    np.testing.assert_allclose(other.predict_rare_proba(X), one.predict_rare_proba(X), rtol=1e-10)
    assert other.loglik_ == pytest.approx(one.loglik_, rel=1e-12)


def test_labels_keep_their_order():
    X, y = make()
    names = np.array(["low", "mid", "high", "top"])
    model = PrestoClassifier(categories=names.tolist()).fit(X, names[y])
    codes = PrestoClassifier().fit(X, y)
    assert model.classes_.tolist() == sorted(names)
    assert np.array_equal(model.classes_[model.class_order_], model.categories_)
    np.testing.assert_array_equal(model.coef_, codes.coef_)
    np.testing.assert_array_equal(model.predict_proba(X)[:, model.class_order_], codes.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), names[codes.predict(X)])
    np.testing.assert_array_equal(model.predict_quantile(X), names[codes.predict_quantile(X)])
    frame = pd.Series(pd.Categorical(names[y], categories=names, ordered=True))
    np.testing.assert_array_equal(PrestoClassifier().fit(X, frame).coef_, codes.coef_)
    for scoring in ("neg_log_loss", "roc_auc_ovr"):
        one, other = (
            cross_val_score(estimator, X, labels, scoring=scoring, cv=3, error_score="raise")
            for estimator, labels in ((clone(model), names[y]), (clone(codes), y))
        )
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_unused_levels_are_left_out_and_text_is_doubted():
    X, y = make()
    names = np.array(["a", "b", "c", "d"])
    levels = pd.Categorical(names[y], categories=["a", "b", "x", "c", "d"], ordered=True)
    with pytest.warns(UserWarning, match="category 'x'"):
        assert PrestoClassifier().fit(X, levels).categories_.tolist() == list("abcd")
    with pytest.warns(UserWarning, match="alphabetical"):
        PrestoClassifier().fit(X, names[y])


def crossing_model(intercept, crossing="rare", rare="last", **options):
    """A fitted model with chosen boundaries that do not depend on the feature."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 1))
    model = PrestoClassifier(alpha=1.0, crossing=crossing, rare=rare, **options).fit(X, np.arange(40) % 4)
    model.intercept_, model.coef_ = np.asarray(intercept, dtype=float), np.zeros((3, 1))
    return model


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog"])
@pytest.mark.parametrize("crossing", ["rare", "sort", "isotonic"])
@pytest.mark.parametrize("rare", ["first", "last"])
def test_crossing_boundaries_never_leave_the_unit_interval(link, crossing, rare):
    x = np.zeros((1, 1))
    for intercept in ([-1.0, 0.5, 2.0], [0.0, 1.0, -1.0], [1.0, 1.0, 1.0], [2.0, 0.0, -2.0]):
        model = crossing_model(intercept, crossing, rare, link=link)
        p = model.predict_proba(x)
        assert np.all(p >= 0)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        q = model.predict_cumulative(x)[0]
        assert np.all(np.diff(q) <= 1e-15)
        assert model.predict_rare_proba(x)[0] == p[0, 0 if rare == "first" else 3]
        raw = crossing_model(intercept, "raw", rare, link=link)
        if crossing == "rare":
            assert model.predict_rare_proba(x)[0] == pytest.approx(raw.predict_rare_proba(x)[0], rel=1e-12)
        assert raw.predict_proba(x).sum() == pytest.approx(1, abs=1e-12)
        if intercept == sorted(intercept, reverse=True):
            np.testing.assert_allclose(p, raw.predict_proba(x), atol=1e-15)


def test_repairs():
    x = np.zeros((1, 1))
    eta = [-1.0, 0.5, 0.0]
    assert crossing_model(eta).predict_cumulative(x)[0] == pytest.approx(special.expit([0.5, 0.5, 0.0]))
    assert crossing_model(eta, rare="first").predict_cumulative(x)[0] == pytest.approx(special.expit([-1, -1, -1]))
    assert crossing_model(eta, "sort").predict_cumulative(x)[0] == pytest.approx(special.expit([0.5, 0.0, -1.0]))
    mean = special.expit(eta).mean()
    assert crossing_model(eta, "isotonic").predict_cumulative(x)[0] == pytest.approx([mean] * 3)


@pytest.mark.parametrize(("rare", "sign"), [("last", -1), ("first", 1)])
def test_small_probabilities_keep_their_digits(rare, sign):
    model = crossing_model(sign * 40.0 + np.array([1.0, 0.5, 0.0]), rare=rare)
    expected = np.exp(-40.0) if rare == "last" else np.exp(-41.0)
    assert model.predict_rare_proba(np.zeros((1, 1)))[0] == pytest.approx(expected, rel=1e-12)


def test_heavy_crossing_is_reported():
    X, y = crossing_data()
    with pytest.warns(UserWarning, match="Boundaries cross"):
        model = PrestoClassifier(alpha=1e-4).fit(X, y)
    eta = model.boundary_function(X)
    assert model.crossing_fraction_ == pytest.approx(np.mean(np.any(np.diff(eta, axis=1) > 0, axis=1)))
    assert np.all(model.predict_proba(X) >= 0)


def crossing_data(n=300):
    """Towards low X both end classes become more frequent, which the boundaries do not see of each other."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 1))
    return X, np.where(rng.uniform(size=n) < special.expit(3 * X[:, 0]), 1, rng.choice([0, 2], n))


def test_boundaries_that_must_not_cross_at_training_rows():
    X, y = crossing_data()
    model = PrestoClassifier(alpha=1e-3, monotone="train").fit(X, y)
    assert model.converged_
    assert model.crossing_fraction_ == 0
    assert np.all(np.diff(model.boundary_function(X), axis=1) < 0)
    assert model.dual_gap_ >= 0
    null = -model.null_loglik_ / len(y)
    assert model.objective_ < null
    weight = np.random.default_rng(1).integers(0, 3, len(y))
    weighted, repeated = (
        PrestoClassifier(alpha=1e-3, monotone="train", tol=1e-7).fit(*data)
        for data in ((X, y, weight), (np.repeat(X, weight, axis=0), np.repeat(y, weight)))
    )
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-6)
    harmless = make(400, 2)
    one, other = (PrestoClassifier(alpha=0.01, monotone=m, tol=1e-7).fit(*harmless) for m in ("likelihood", "train"))
    assert one.crossing_fraction_ == 0
    assert other.objective_ == pytest.approx(one.objective_, abs=1e-6)
    binary = PrestoClassifier(alpha=0.01, monotone="train").fit(X, np.minimum(y, 1))
    assert binary.converged_


def test_boundaries_that_must_not_cross_in_the_box_of_the_features():
    X, y = crossing_data()
    model = PrestoClassifier(alpha=0.01, monotone="box").fit(X, y)
    assert model.converged_
    assert model.solver_.name == "cvxpy"
    corners = np.array([[X.min()], [X.max()]])
    assert np.diff(model.boundary_function(corners), axis=1).max() <= 1e-6
    train = PrestoClassifier(alpha=0.01, monotone="train").fit(X, y)
    free = PrestoClassifier(alpha=0.01).fit(X, y)
    assert model.objective_ >= train.objective_ - 1e-5 > free.objective_
    with pytest.raises(ValueError, match="cvxpy"):
        PrestoClassifier(monotone="box", solver="newton_cd").fit(X, y)
    with pytest.raises(ValueError, match="newton_cd"):
        PrestoClassifier(link="probit", solver="cvxpy").fit(X, y)


@pytest.mark.parametrize("make_sparse", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_features(make_sparse):
    X, y = make()
    X = np.where(np.abs(X - X.mean(axis=0)) > 0.7 * X.std(axis=0), X, 0.0)
    for classifier in (PrestoClassifier(alpha=0.01), ProportionalOddsClassifier(), SeparateLogitClassifier(alpha=0.01)):
        dense = clone(classifier).set_params(tol=1e-11).fit(X, y)
        other = clone(classifier).set_params(tol=1e-11).fit(make_sparse(X), y)
        # A gap of 1e-11 lets coefficients differ by the order of its root.
        atol = 3e-6 if isinstance(classifier, SeparateLogitClassifier) else 1e-8
        np.testing.assert_allclose(other.coef_, dense.coef_, atol=atol)
        np.testing.assert_allclose(other.predict_proba(make_sparse(X)), dense.predict_proba(X), atol=atol)


def test_scales_from_tiny_to_huge():
    X, y = make()
    plain = PrestoClassifier(alpha=0.02, tol=1e-10).fit(X, y)
    factor = np.array([1e300, 1e-300, 1e150, 1.0])
    model = PrestoClassifier(alpha=0.02, tol=1e-10).fit(X * factor, y)
    np.testing.assert_allclose(model.predict_proba(X * factor), plain.predict_proba(X), rtol=1e-7)


def test_separation_without_a_penalty_is_reported():
    X = np.arange(12.0)[:, None]
    with pytest.warns(ConvergenceWarning, match=r"separate|did not converge"):
        model = PrestoClassifier(alpha=0.0).fit(X, np.arange(12) // 4)
    assert np.all(np.isfinite(model.predict_proba(X)))
    assert PrestoClassifier(alpha=0.01).fit(X, np.arange(12) // 4).converged_


def test_an_iteration_limit_is_reported_and_leaves_a_fit():
    X, y = make()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model = PrestoClassifier(alpha=1e-4, max_iter=1).fit(X, y)
    assert not model.converged_
    assert model.n_iter_ == 1
    assert np.all(np.isfinite(model.predict_proba(X)))


def test_warm_start():
    X, y = make()
    model = PrestoClassifier(alpha=0.01, tol=1e-9, warm_start=True).fit(X, y)
    coef, steps = model.coef_.copy(), model.n_iter_
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-12)
    assert model.solution_.n_iter <= 1 < steps
    assert model.fit(X, np.minimum(y, 2)).coef_.shape == (2, 4)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"l1_ratio": 1.5}, "l1_ratio"),
        ({"rare": "middle"}, "rare"),
        ({"class_weight": "uneven"}, "class_weight"),
        ({"categories": [0, 1]}, "not in categories"),
        ({"categories": [0, 1, 2, 3, 4]}, "No row has the class 4"),
        ({"categories": [0, 1, 2, 3, 3]}, "different labels"),
        ({"class_weight": {0: 0.0}}, "class 0 has no sample"),
        ({"solver": "no_such"}, "no_such"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_bad_parameters(classifier, parameters, message):
    X, y = make()
    model = classifier(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict_proba(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1.0}, "alpha"),
        ({"base_penalty": -1.0}, "base_penalty"),
        ({"penalty_weights": [1.0, 2.0]}, "penalty_weights has shape"),
        ({"penalty_weights": [1.0, -1.0, 1.0, 1.0]}, r"penalty_weights\[1\]=-1.0"),
        ({"penalty_weights": [1.0, np.inf, 1.0, 1.0]}, r"penalty_weights\[1\]=inf"),
        ({"link": "cauchit"}, "not concave"),
        ({"crossing": "none"}, "crossing"),
        ({"gap_tol": 0.0}, "gap_tol"),
    ],
)
def test_bad_parameters_of_presto(parameters, message):
    X, y = make()
    with pytest.raises(ValueError, match=message):
        PrestoClassifier(**parameters).fit(X, y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_bad_data(classifier):
    X, y = make()
    model = classifier()
    weight = np.ones(len(y))
    for bad_X, bad_y, bad_weight, message in [
        (np.where(np.arange(4) == 1, np.nan, X), y, None, "NaN"),
        (np.where(np.arange(4) == 1, np.inf, X), y, None, "infinity"),
        (X, np.where(y == 0, np.nan, y), None, "NaN"),
        (X[:, :, None], y, None, "dim 3"),
        (X[:0], y[:0], None, "0 sample"),
        (X, y[:-1], None, "inconsistent"),
        (X, y + 0.5, None, "continuous|Unknown label type"),
        (X, np.zeros(len(y), dtype=int), None, "1 class"),
        (X[:1], y[:1], None, "1 class"),
        (X, y, weight[:-1], "sample_weight"),
        (X, y, -weight, "egative"),
        (X, y, 0 * weight, "(?i)sample.weight"),
        (X, y, np.where(y == 3, 0.0, weight), "class 3 has no sample"),
        (X.astype(complex), y, None, "omplex"),
        (X.astype(str), np.array(["a"] * len(y)), None, "1 class|convert"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(bad_X, bad_y, sample_weight=bad_weight)
        with pytest.raises(NotFittedError):
            model.predict(X)
    model.fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, :2])


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_pickle_clone_pipeline_and_frames(classifier):
    X, y = make()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), classifier()).fit(frame, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert model[-1].feature_names_in_.tolist() == list("abcd")
    assert not hasattr(clone(model)[-1], "coef_")
    scaled = model[0].transform(frame).astype(np.float32)
    np.testing.assert_allclose(model[-1].predict_proba(scaled), model.predict_proba(frame), atol=1e-5)


def test_grid_search():
    X, y = make()
    grid = {"alpha": [0.1, 0.01, 0.001], "crossing": ["rare", "sort"]}
    search = GridSearchCV(PrestoClassifier(), grid, scoring="neg_log_loss", cv=3).fit(X, y)
    assert search.best_params_["alpha"] < 0.1
    assert search.best_score_ > -np.log(4)


def test_an_interrupted_fit_keeps_its_point_and_stops_the_caller(monkeypatch):
    from estimand.solvers.ordinal.restricted import Restricted

    def interrupt(*args):
        raise KeyboardInterrupt

    X, y = make()
    model = PrestoClassifier(alpha=0.001)
    monkeypatch.setattr(Restricted, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.solution_.status == "interrupted"
    assert np.all(np.isfinite(model.predict_proba(X)))
