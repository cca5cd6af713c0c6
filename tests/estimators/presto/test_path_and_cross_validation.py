import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import KFold, StratifiedKFold

from estimand import PrestoClassifier, PrestoClassifierCV, presto_path
from estimand.datasets import make_ordinal_regression
from estimand.metrics import brier_score_multi, rare_log_loss


@pytest.fixture(scope="module")
def data():
    intercepts = (-0.5, 1.0, 2.5)
    return make_ordinal_regression(
        "dense", n_samples=600, n_features=4, intercepts=intercepts, base=1.0, random_state=1
    )


def test_a_path_is_that_of_single_fits(data):
    path = presto_path(data.X, data.y, n_alphas=8, tol=1e-10)
    assert path.alphas[0] / path.alphas[-1] == pytest.approx(100)
    assert np.all(path.coefs[0] == 0)
    assert np.count_nonzero(path.coefs[1]) > 0
    for k in (1, 4, 7):
        model = PrestoClassifier(alpha=path.alphas[k], tol=1e-10).fit(data.X, data.y)
        np.testing.assert_allclose(path.coefs[k], model.coef_, atol=1e-7)
        np.testing.assert_allclose(path.intercepts[k], model.intercept_, atol=1e-7)
        assert path.objectives[k] == pytest.approx(model.objective_, rel=1e-12)
        assert path.dual_gaps[k] >= 0
    assert np.all(path.n_iters <= 15)
    assert all(solution.converged for solution in path.solutions)


def test_the_loss_falls_along_a_path(data):
    path = presto_path(data.X, data.y, n_alphas=15)
    scale = data.X.std(axis=0)
    psi = np.diff(path.coefs * scale, axis=1, prepend=0.0)
    penalty = np.abs(psi).sum(axis=(1, 2))
    assert np.all(np.diff(path.objectives - path.alphas * penalty) <= 1e-12)
    assert np.all(np.diff(penalty) >= -1e-9)
    assert np.all(np.diff(path.objectives) <= 1e-12)


def test_grids(data):
    ridge = presto_path(data.X, data.y, n_alphas=3, l1_ratio=0.0)
    assert ridge.alphas[0] / ridge.alphas[-1] == pytest.approx(1e5)
    own = presto_path(data.X, data.y, alphas=[0.001, 0.1])
    assert own.alphas.tolist() == [0.1, 0.001]
    short = presto_path(data.X, data.y, n_alphas=3, alpha_min_ratio=0.5)
    assert short.alphas[0] / short.alphas[-1] == pytest.approx(2)
    constant = presto_path(np.ones((600, 2)), data.y, n_alphas=4)
    assert constant.alphas.tolist() == [1.0]
    free = presto_path(data.X, data.y, n_alphas=3, base_penalty=0.0, tol=1e-9)
    assert np.all(np.ptp(free.coefs[0], axis=0) < 1e-8)
    assert np.any(free.coefs[0] != 0)
    with pytest.raises(ValueError, match="Nothing is penalised"):
        presto_path(data.X, data.y, penalty_weights=np.zeros(4))
    assert presto_path(data.X, data.y, penalty_weights=np.zeros(4), alphas=[0.1]).alphas.size == 1


def test_an_automatic_grid_stops_where_nothing_is_left_to_explain():
    X = np.repeat(np.eye(3), 20, axis=0)[:, 1:]
    y = np.repeat([0, 1, 2], 20)
    path = presto_path(X, y, n_alphas=40, alpha_min_ratio=1e-8)
    assert path.solutions[-1].status == "stalled"
    assert "repeated" in path.solutions[-1].message
    assert path.n_iters[-1] == 0
    np.testing.assert_array_equal(path.coefs[-1], path.coefs[-2])
    assert path.objectives[-1] < path.objectives[-2]
    full = presto_path(X, y, alphas=path.alphas)
    assert full.objectives[-1] < path.objectives[-1]
    assert all(solution.converged for solution in full.solutions)


def manual_scores(data, alphas, folds, loss):
    scores = np.empty((len(alphas), len(folds)))
    for j, (train, test) in enumerate(folds):
        for i, alpha in enumerate(alphas):
            model = PrestoClassifier(alpha=alpha, tol=1e-9).fit(data.X[train], data.y[train])
            scores[i, j] = -loss(data.y[test], model.predict_proba(data.X[test]))
    return scores


@pytest.mark.parametrize(
    ("scoring", "loss"),
    [
        ("brier", brier_score_multi),
        ("log_loss", log_loss),
        ("rare_log_loss", rare_log_loss),
        ("neg_log_loss", log_loss),
        (make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"), log_loss),
    ],
)
def test_scores_are_those_of_fits_by_hand(data, scoring, loss):
    alphas, splitter = [0.05, 0.01, 0.002], StratifiedKFold(4)
    model = PrestoClassifierCV(alphas=alphas, cv=splitter, scoring=scoring, tol=1e-9).fit(data.X, data.y)
    expected = manual_scores(data, alphas, list(splitter.split(data.X, data.y)), loss)
    np.testing.assert_allclose(model.scores_, expected, rtol=1e-6)
    assert model.best_index_ == np.argmax(expected.mean(axis=1))
    refit = PrestoClassifier(alpha=model.alpha_, tol=1e-9).fit(data.X, data.y)
    np.testing.assert_allclose(model.coef_, refit.coef_, atol=1e-6)
    assert model.loglik_ == pytest.approx(refit.loglik_, rel=1e-9)


def test_one_standard_error(data):
    options = {"n_alphas": 10, "random_state": 0}
    best = PrestoClassifierCV(**options).fit(data.X, data.y)
    sparser = PrestoClassifierCV(selection="1se", **options).fit(data.X, data.y)
    means = best.scores_.mean(axis=1)
    limit = means.max() - best.scores_[best.best_index_].std(ddof=1) / np.sqrt(5)
    assert sparser.best_index_ == np.flatnonzero(means >= limit)[0] <= best.best_index_


def test_jobs_and_seeds_change_nothing(data):
    one = PrestoClassifierCV(n_alphas=5, random_state=3, n_jobs=1).fit(data.X, data.y)
    two = PrestoClassifierCV(n_alphas=5, random_state=3, n_jobs=2).fit(data.X, data.y)
    np.testing.assert_array_equal(one.scores_, two.scores_)
    other = PrestoClassifierCV(n_alphas=5, random_state=4).fit(data.X, data.y)
    assert np.any(one.scores_ != other.scores_)


def test_weights_are_repeated_rows_fold_by_fold(data):
    weight = np.random.default_rng(0).integers(0, 3, data.y.size)
    groups = np.arange(data.y.size) % 3
    rows = np.repeat(np.arange(data.y.size), weight)
    folds, repeated = (
        [(np.flatnonzero(g != k), np.flatnonzero(g == k)) for k in range(3)] for g in (groups, groups[rows])
    )
    options = {"alphas": [0.05, 0.01], "tol": 1e-10}
    one = PrestoClassifierCV(cv=folds, **options).fit(data.X, data.y, sample_weight=weight)
    other = PrestoClassifierCV(cv=repeated, **options).fit(data.X[rows], data.y[rows])
    np.testing.assert_allclose(one.scores_, other.scores_, rtol=1e-8)


def test_a_class_missing_from_a_training_part(data):
    order = np.argsort(data.y, kind="stable")
    with pytest.raises(ValueError, match="stratified"):
        PrestoClassifierCV(cv=KFold(5)).fit(data.X[order], data.y[order])


@pytest.mark.parametrize("scoring", ["brier", "log_loss", "rare_brier", "rare_log_loss"])
def test_test_parts_may_lack_the_rare_class(data, scoring):
    y = data.y.copy()
    rare = np.flatnonzero(y == 3)
    y[rare[4:]] = 2  # four rows for five folds
    with pytest.warns(UserWarning, match="least populated class"):
        model = PrestoClassifierCV(n_alphas=4, scoring=scoring, random_state=0).fit(data.X, y)
    assert np.all(np.isfinite(model.scores_))


def test_a_grid_that_ends_too_early_is_reported(data):
    with pytest.warns(UserWarning, match="smallest of the grid"):
        PrestoClassifierCV(alphas=[1.0, 0.02], scoring="log_loss", random_state=0).fit(data.X, data.y)


def test_solves_that_did_not_converge_are_reported(data):
    with pytest.warns(ConvergenceWarning, match="solves did not converge"):
        PrestoClassifierCV(n_alphas=3, max_iter=1, random_state=0).fit(data.X, data.y)


def test_folds_with_reversed_and_named_classes(data):
    names = np.array(["z", "y", "x", "w"])  # alphabetical order is the reverse
    options = {"alphas": [0.05, 0.01], "cv": StratifiedKFold(3), "scoring": "rare_brier", "tol": 1e-9}
    plain = PrestoClassifierCV(**options).fit(data.X, data.y)
    named = PrestoClassifierCV(categories=names.tolist(), **options).fit(data.X, names[data.y])
    np.testing.assert_allclose(named.scores_, plain.scores_, rtol=1e-9)
    reverse = PrestoClassifierCV(rare="first", **options).fit(data.X, 3 - data.y)
    np.testing.assert_allclose(reverse.scores_, plain.scores_, rtol=1e-9)
