"""Losses by hand, against scikit-learn and under what must not matter; scorers as cross-validation uses them."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, get_scorer, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from estimand.metrics import (
    OrdinalScorer,
    brier_score_multi,
    brier_scorer,
    equal_frequency_calibration_error,
    ranked_probability_score,
    ranked_probability_scorer,
    rare_brier,
    rare_brier_scorer,
    rare_log_loss,
    rare_log_loss_scorer,
)

LOSSES = [brier_score_multi, ranked_probability_score, rare_brier, rare_log_loss]
SCORERS = [brier_scorer, ranked_probability_scorer, rare_brier_scorer, rare_log_loss_scorer]
HAND_Y = [0, 1, 2, 2]
HAND_PROBA = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0], [0.6, 0.3, 0.1]]


@st.composite
def predictions(draw):
    """Labels of ordered classes that all occur, and probabilities whose rows sum to 1."""
    n_classes, further = draw(st.integers(2, 6)), draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, further)]))
    proba = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.05, 1.0, 20.0]))), y.size)
    return y, proba


@pytest.mark.parametrize(
    ("loss", "rows"),
    [
        (brier_score_multi, [0.25 + 0.09 + 0.04, 0.01 + 0.04 + 0.01, 0.0, 0.36 + 0.09 + 0.81]),
        (ranked_probability_score, [0.5**2 + 0.2**2, 0.1**2 + 0.1**2, 0.0, 0.6**2 + 0.9**2]),
        (rare_brier, [0.04, 0.01, 0.0, 0.81]),
        (rare_log_loss, [-np.log(0.8), -np.log(0.9), 0.0, -np.log(0.1)]),
    ],
)
def test_losses_by_hand(loss, rows):
    assert loss(HAND_Y, HAND_PROBA) == pytest.approx(np.mean(rows), abs=1e-14)
    weight = [1.0, 0.0, 2.5, 4.0]
    assert loss(HAND_Y, HAND_PROBA, sample_weight=weight) == pytest.approx(np.dot(weight, rows) / 7.5, abs=1e-14)
    assert type(loss(HAND_Y, HAND_PROBA)) is float


@settings(deadline=None)
@given(predictions())
def test_losses_agree_with_scikit_learn(case):
    y, proba = case
    rare = y == y.max()
    assert rare_brier(y, proba) == pytest.approx(brier_score_loss(rare, proba[:, -1]), rel=1e-12)
    assert rare_log_loss(y, proba) == pytest.approx(log_loss(rare, proba[:, -1]), rel=1e-10)
    assert rare_brier(y, proba[:, -1]) == rare_brier(y, proba)
    assert rare_log_loss(y, proba[:, -1]) == rare_log_loss(y, proba)
    by_class = [brier_score_loss(y == label, proba[:, label]) for label in range(proba.shape[1])]
    assert brier_score_multi(y, proba) == pytest.approx(sum(by_class), rel=1e-12)
    by_boundary = [
        brier_score_loss(y > label, proba[:, label + 1 :].sum(axis=1).clip(0, 1)) for label in range(y.max())
    ]
    assert ranked_probability_score(y, proba) == pytest.approx(sum(by_boundary), rel=1e-10, abs=1e-15)


@settings(deadline=None)
@given(predictions())
def test_losses_of_two_classes_are_one(case):
    y, proba = case
    binary, rare = (y == y.max()).astype(int), proba[:, -1]
    both = np.column_stack([1 - rare, rare])
    assert ranked_probability_score(binary, both) == pytest.approx(rare_brier(binary, rare), rel=1e-10)
    assert brier_score_multi(binary, both) == pytest.approx(2 * rare_brier(binary, rare), rel=1e-10)


@settings(deadline=None)
@given(predictions(), st.randoms(use_true_random=False))
def test_names_and_order_of_the_columns_do_not_matter(case, random):
    y, proba = case
    names = [f"class {letter}" for letter in "qazwsx"[: proba.shape[1]]]
    columns = list(range(proba.shape[1]))
    random.shuffle(columns)
    named, labels, shuffled = np.array(names)[y], [names[column] for column in columns], proba[:, columns]
    assert brier_score_multi(named, shuffled, labels=labels) == pytest.approx(brier_score_multi(y, proba), rel=1e-12)
    ranked = ranked_probability_score(named, shuffled, labels=labels, categories=names)
    assert ranked == pytest.approx(ranked_probability_score(y, proba), rel=1e-10, abs=1e-15)
    assert rare_brier(named, shuffled, labels=labels, rare=names[-1]) == rare_brier(y, proba)
    assert rare_log_loss(named, shuffled, labels=labels, rare=names[-1]) == rare_log_loss(y, proba)
    assert rare_brier(named, shuffled, labels=labels) == rare_brier(y, proba[:, columns[-1]], rare=columns[-1])


@settings(deadline=None)
@given(predictions(), st.randoms(use_true_random=False))
def test_sample_weights_are_repeated_rows(case, random):
    y, proba = case
    weight = np.array([random.randint(0, 3) for _ in y])
    weight[0] += 1
    for loss in LOSSES:
        repeated = loss(np.repeat(y, weight), np.repeat(proba, weight, axis=0), labels=np.arange(proba.shape[1]))
        for scale in (1.0, 1e-300, 1e308 / 4):
            assert loss(y, proba, sample_weight=weight * scale) == pytest.approx(repeated, rel=1e-10, abs=1e-15)


@settings(deadline=None)
@given(predictions())
def test_ranked_score_is_the_same_from_the_other_end_and_grows_with_distance(case):
    y, proba = case
    categories = np.arange(proba.shape[1])
    reversed_score = ranked_probability_score(y, proba, categories=categories[::-1])
    assert reversed_score == pytest.approx(ranked_probability_score(y, proba), rel=1e-10, abs=1e-15)
    certain = [ranked_probability_score([0], [row], labels=categories) for row in np.eye(categories.size)]
    assert certain == list(range(categories.size))


@pytest.mark.parametrize("rare", [0, 1, 2])
def test_rare_class_is_the_one_named(rare):
    proba = np.array(HAND_PROBA)
    occurred = np.array(HAND_Y) == rare
    expected = np.mean((occurred - proba[:, rare]) ** 2)
    assert rare_brier(HAND_Y, proba, rare=rare) == pytest.approx(expected)
    assert rare_brier(HAND_Y, proba[:, rare], rare=rare) == pytest.approx(expected)
    assert rare_log_loss(HAND_Y, proba[:, rare], rare=rare) == pytest.approx(log_loss(occurred, proba[:, rare]))


def test_rare_class_may_be_missing_from_the_rows_when_labels_name_it():
    labels = ["common", "odd", "rare"]
    assert rare_brier(["common", "odd"], [0.5, 0.0], labels=labels) == 0.125
    assert rare_brier(["common", "odd"], [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], labels=labels) == 0.125
    assert rare_log_loss(["odd", "odd"], [0.5, 0.5], labels=labels) == pytest.approx(np.log(2))


def test_log_loss_of_wrong_certainty_is_clipped():
    epsilon = np.finfo(float).eps
    assert rare_log_loss([0, 1], [0.0, 0.0]) == pytest.approx(-np.log(epsilon) / 2)
    assert rare_log_loss([0, 1], [1.0, 1.0]) == pytest.approx(-np.log(epsilon) / 2)
    assert rare_log_loss([0, 1], [0.0, 1.0]) == pytest.approx(0.0, abs=1e-15)
    # Probabilities above the clip keep their digits.
    assert rare_log_loss([0, 1], [0.0, 1e-12]) == pytest.approx(6 * np.log(10), rel=1e-14)


def test_rounding_of_probabilities_is_let_through():
    rounded = np.array([[1 + 1e-9, -1e-9, 0.0], [0.25, 0.25, 0.5]], dtype=np.float64)
    assert brier_score_multi([0, 2], rounded, labels=[0, 1, 2]) == pytest.approx(0.1875)
    assert np.isfinite(rare_log_loss([0, 1], [-1e-9, 1 + 1e-9]))
    assert brier_score_multi(HAND_Y, np.multiply(HAND_PROBA, 1 - 5e-7)) > 0
    single = np.random.default_rng(0).dirichlet(np.ones(50), 20).astype(np.float32)
    assert brier_score_multi(np.arange(20), single, labels=np.arange(50)) > 0


def test_containers():
    names = ["low", "middle", "high"]
    y = pd.Series(pd.Categorical.from_codes(HAND_Y, names, ordered=True))
    proba = pd.DataFrame(HAND_PROBA, columns=names)
    for loss in LOSSES:
        assert loss(y, proba, labels=names) == loss(HAND_Y, HAND_PROBA)
        assert loss(np.array(HAND_Y, dtype=float), HAND_PROBA, labels=[0, 1, 2]) == loss(HAND_Y, HAND_PROBA)
    assert rare_brier([False, True], [0.0, 0.5]) == 0.125


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_true": [0, 1, 2, 3], "labels": [0, 1, 2]}, r"y_true holds \[3\]"),
        ({"y_true": ["0", "1", "2", "2"], "labels": [0, 1, 2]}, r"y_true holds \['0', '1', '2'\]"),
        ({"y_true": [0, 1, 1, 1]}, "y_proba has 3 columns for the 2 classes"),
        ({"y_true": [0, 1, 1, 1], "labels": [0, 1, 2, 3]}, "y_proba has 3 columns for the 4 classes"),
        ({"y_true": [0, 0, 0, 0]}, r"y_true holds only \[0\]"),
        ({"labels": [0, 1, 1]}, "more than once"),
        ({"y_true": [0.5, 1.2, 2.0, 2.0]}, "continuous"),
        ({"y_true": [0, 1, 2]}, "inconsistent numbers of samples"),
        ({"y_true": [[0, 1], [1, 2], [2, 0], [0, 1]]}, "1d array"),
        ({"y_true": [], "y_proba": np.empty((0, 3)), "labels": [0, 1, 2]}, "0 sample"),
        ({"y_proba": [[0.5, 0.3, np.nan]] * 4}, "NaN"),
        ({"y_proba": [[1.5, -0.5, 0.0]] * 4}, r"in \[0, 1\], it ranges from -0.5 to 1.5"),
        ({"y_proba": [[1.0, -1e-7, 1e-7]] * 4}, r"in \[0, 1\]"),
        ({"y_proba": [[1 + 1e-7, 0.0, 0.0]] * 4}, r"in \[0, 1\]"),
        ({"y_proba": [[0.5, 0.3, 0.2]] * 3 + [[0.5, 0.3, 0.3]]}, "row 3 sums to 1.1"),
        ({"y_proba": [[0.5, 0.3, 0.2]] * 3 + [[0.5, 0.3, 0.2 - 2e-6]]}, "row 3 sums to 0.999"),
        ({"sample_weight": [1.0, 1.0, 1.0]}, "sample_weight"),
        ({"sample_weight": [1.0, 1.0, 1.0, -1.0]}, "(?i)negative"),
        ({"sample_weight": [0.0, 0.0, 0.0, 0.0]}, "(?i)zero|0"),
        ({"sample_weight": [1.0, 1.0, 1.0, np.inf]}, "infinity"),
    ],
)
def test_bad_input(loss, changes, message):
    arguments = {"y_true": HAND_Y, "y_proba": HAND_PROBA} | changes
    with pytest.raises(ValueError, match=message):
        loss(arguments.pop("y_true"), arguments.pop("y_proba"), **arguments)


@pytest.mark.parametrize("loss", [rare_brier, rare_log_loss])
@pytest.mark.parametrize(
    ("y_proba", "options", "message"),
    [
        ([0.1, 0.2, 0.3, 1.2], {}, r"in \[0, 1\]"),
        ([0.1, 0.2, 0.3, np.nan], {}, "NaN"),
        ([0.1, 0.2, 0.3], {}, "inconsistent"),
        ([0.1, 0.2, 0.3, 0.4], {"rare": 7}, r"rare holds \[7\]"),
        ([0.1, 0.2, 0.3, 0.4], {"rare": "2"}, r"rare holds \['2'\]"),
        ([[0.1], [0.2], [0.3], [0.4]], {}, "1 columns for the 3 classes"),
    ],
)
def test_bad_probabilities_of_the_rare_class(loss, y_proba, options, message):
    with pytest.raises(ValueError, match=message):
        loss(HAND_Y, y_proba, **options)


@pytest.mark.parametrize("categories", [[0, 1], [0, 1, 1], [0, 1, 2, 2], [0, 1, 3]])
def test_bad_categories(categories):
    with pytest.raises(ValueError, match="categories"):
        ranked_probability_score(HAND_Y, HAND_PROBA, categories=categories)


def test_calibration_error_by_hand():
    # Sorted by probability the events are 1 0 | 0 1 | 1, in bins of 2, 2 and 1.
    y, proba = [0, 1, 1, 0, 1], [0.4, 0.9, 0.1, 0.2, 0.6]
    expected = ((0.1 - 0.5) ** 2 + (0.2 - 0.5) ** 2 + (0.4 - 0.5) ** 2 + (0.6 - 0.5) ** 2 + (0.9 - 1) ** 2) / 5
    assert equal_frequency_calibration_error(y, proba, n_bins=3) == pytest.approx(expected, abs=1e-15)
    assert equal_frequency_calibration_error(y, proba, n_bins=1) == pytest.approx(np.mean((np.array(proba) - 0.6) ** 2))


def test_calibration_error_keeps_the_order_of_equal_probabilities():
    for proba in (np.full(1000, 0.5), np.repeat([0.5, 0.25, 0.5, 0.75], 250)):
        y = np.random.default_rng(0).permutation(np.arange(1000) % 2)
        ranked = sorted(range(1000), key=lambda row: (proba[row], row))
        expected = np.mean([(proba[part] - y[part].mean()) ** 2 for part in np.reshape(ranked, (20, 50))])
        assert equal_frequency_calibration_error(y, proba, n_bins=20) == pytest.approx(expected, abs=1e-14)
    y = np.array([0, 0, 0, 1, 1, 1])
    assert equal_frequency_calibration_error(y, np.full(6, 0.5), n_bins=2) == 0.25
    assert equal_frequency_calibration_error(y[[0, 3, 1, 4, 2, 5]], np.full(6, 0.5), n_bins=3) == 0.0


@settings(deadline=None)
@given(predictions(), st.integers(1, 50))
def test_calibration_error_against_splitting_the_sorted_rows(case, n_bins):
    event, proba = case[0] == 0, case[1][:, 0]
    order = np.argsort(proba, kind="stable")
    parts = np.array_split(order, min(n_bins, order.size))
    expected = np.concatenate([(proba[part] - event[part].mean()) ** 2 for part in parts]).mean()
    assert equal_frequency_calibration_error(event, proba, n_bins=n_bins) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("n", "n_bins"), [(4, 4), (40, 10), (1049, 10), (1051, 11), (1149, 11), (2500, 25)])
def test_calibration_error_has_a_bin_for_each_hundred_rows(n, n_bins):
    rng = np.random.default_rng(n)
    proba = rng.uniform(size=n)
    y = rng.uniform(size=n) < proba
    error = equal_frequency_calibration_error(y, proba)
    assert error == equal_frequency_calibration_error(y.astype(int), proba, n_bins=n_bins)
    if n_bins < n:
        assert error not in [equal_frequency_calibration_error(y, proba, n_bins=n_bins + step) for step in (-1, 1)]


def test_calibration_error_with_a_bin_for_each_row_is_the_brier_loss():
    y, proba = np.array([0, 1, 1]), np.array([0.2, 0.9, 0.4])
    assert equal_frequency_calibration_error(y, proba, n_bins=99) == pytest.approx(rare_brier(y, proba))


@pytest.mark.parametrize(
    ("y_true", "y_proba", "options", "message"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], {}, r"it holds \[2\]"),
        (["0", "1", "1"], [0.1, 0.2, 0.3], {}, r"it holds \['0', '1'\]"),
        ([0, 1, np.nan], [0.1, 0.2, 0.3], {}, "nan"),
        ([0, 1], [0.1, 0.2, 0.3], {}, "inconsistent"),
        ([0, 1, 1], [0.1, 0.2, 1.3], {}, r"in \[0, 1\]"),
        ([0, 1, 1], [[0.1, 0.9]] * 3, {}, "1d array"),
        ([], [], {}, "0 sample"),
        ([0, 1, 1], [0.1, 0.2, 0.3], {"n_bins": 0}, "n_bins=0"),
        ([0, 1, 1], [0.1, 0.2, 0.3], {"n_bins": 2.0}, "n_bins=2.0"),
    ],
)
def test_bad_input_of_the_calibration_error(y_true, y_proba, options, message):
    with pytest.raises(ValueError, match=message):
        equal_frequency_calibration_error(y_true, y_proba, **options)


class Ordered(ClassifierMixin, BaseEstimator):
    """Sorted columns, an order of their own, and a rare end, as the classifiers of ordered classes have them."""

    def __init__(self, categories=("low", "middle", "high"), rare="last", C=1.0):
        self.categories = categories
        self.rare = rare
        self.C = C

    def fit(self, X, y, sample_weight=None):
        self.model_ = LogisticRegression(C=self.C).fit(X, y, sample_weight=sample_weight)
        self.classes_, self.categories_ = self.model_.classes_, np.array(self.categories)
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class RareOnly(BaseEstimator):
    """A classifier that predicts the probability of its rare class, and no other."""

    def __init__(self, rare="last"):
        self.rare = rare

    def fit(self, X, y):
        self.model_ = Ordered(rare=self.rare).fit(X, y)
        self.classes_, self.categories_ = self.model_.classes_, self.model_.categories_
        return self

    def predict_rare_proba(self, X):
        rare = self.categories_[0 if self.rare == "first" else -1]
        return self.model_.predict_proba(X)[:, list(self.classes_).index(rare)]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    score = X[:, 0] + rng.logistic(size=300)
    return X, np.array(["low", "middle", "high"])[np.digitize(score, [0.0, 2.0])]


def by_definition(scorer, model, X, y, rare="high", weight=None):
    """The score from probabilities in the order of the categories."""
    names = ["low", "middle", "high"]
    proba = model.predict_proba(X)[:, [1, 2, 0]]
    occurred = y[:, None] == np.array(names)
    column = names.index(rare)
    losses = {
        "brier_scorer": np.sum((occurred - proba) ** 2, axis=1),
        "ranked_probability_scorer": np.sum((np.cumsum(occurred, 1) - np.cumsum(proba, 1))[:, :-1] ** 2, axis=1),
        "rare_brier_scorer": (occurred[:, column] - proba[:, column]) ** 2,
        "rare_log_loss_scorer": -np.log(np.where(occurred[:, column], proba[:, column], 1 - proba[:, column])),
    }[repr(scorer)]
    return -np.average(losses, weights=weight)


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_follow_the_order_and_the_rare_class_of_the_classifier(data, scorer):
    X, y = data
    weight = np.random.default_rng(1).uniform(size=300)
    for rare, name in (("last", "high"), ("first", "low")):
        model = Ordered(rare=rare).fit(X, y)
        assert list(model.classes_) != list(model.categories_)
        assert scorer(model, X, y) == pytest.approx(by_definition(scorer, model, X, y, name))
        weighted = by_definition(scorer, model, X, y, name, weight)
        assert scorer(model, X, y, sample_weight=weight) == scorer(model, X, y, weight) == pytest.approx(weighted)
    part = y != "high"
    assert scorer(model, X[part], y[part]) == pytest.approx(by_definition(scorer, model, X[part], y[part], "low"))


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_look_into_pipelines_and_searches(data, scorer):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), Ordered(rare="first")).fit(X, y)
    assert scorer(pipeline, X, y) == pytest.approx(by_definition(scorer, pipeline, X, y, "low"))
    search = GridSearchCV(pipeline, {"ordered__C": [0.1, 1.0]}, scoring=scorer, cv=3).fit(X, y)
    expected = by_definition(scorer, search.best_estimator_, X, y, "low")
    assert search.score(X, y) == scorer(search, X, y) == pytest.approx(expected)
    nested = cross_val_score(search, X, y, scoring=scorer, cv=3, error_score="raise")
    assert np.all(nested < 0)


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_select_as_their_loss_does(data, scorer):
    X, y = data
    C = [1e-4, 1.0]
    search = GridSearchCV(Ordered(), {"C": C}, scoring=scorer, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"C": 1.0}
    folds = list(search.cv_results_["split0_test_score"])
    split = cross_validate(Ordered(C=1.0), X, y, cv=3, scoring=scorer, return_estimator=True, return_indices=True)
    test = split["indices"]["test"][0]
    assert folds[1] == pytest.approx(by_definition(scorer, split["estimator"][0], X[test], y[test]))


def test_scorers_together(data):
    X, y = data
    scoring = {repr(scorer): scorer for scorer in SCORERS} | {"accuracy": get_scorer("accuracy")}
    scores = cross_validate(Ordered(), X, y, scoring=scoring, cv=3, error_score="raise")
    for scorer in SCORERS:
        alone = cross_val_score(Ordered(), X, y, scoring=scorer, cv=3)
        np.testing.assert_array_equal(scores[f"test_{scorer!r}"], alone)
    search = GridSearchCV(Ordered(), {"C": [1.0]}, scoring=scoring, refit="accuracy", cv=3).fit(X, y)
    assert search.cv_results_["mean_test_brier_scorer"][0] == pytest.approx(scores["test_brier_scorer"].mean())


def test_scorers_of_classifiers_without_an_order_take_the_classes_for_ordered(data):
    X, y = data
    codes = np.searchsorted(np.unique(y), y)
    model = LogisticRegression().fit(X, codes)
    proba = model.predict_proba(X)
    assert brier_scorer(model, X, codes) == -brier_score_multi(codes, proba)
    assert ranked_probability_scorer(model, X, codes) == -ranked_probability_score(codes, proba)
    assert rare_brier_scorer(model, X, codes) == -rare_brier(codes, proba[:, -1])


@pytest.mark.parametrize("rare", ["first", "last"])
def test_rare_scorers_of_classifiers_that_predict_the_rare_class_only(data, rare):
    X, y = data
    only, full = RareOnly(rare).fit(X, y), Ordered(rare=rare).fit(X, y)
    for scorer in (rare_brier_scorer, rare_log_loss_scorer):
        assert scorer(only, X, y) == scorer(full, X, y)
    for scorer in (brier_scorer, ranked_probability_scorer):
        with pytest.raises(AttributeError, match="predict_proba"):
            scorer(only, X, y)


def test_scorers_refuse_labels_that_the_classifier_does_not_know(data):
    X, y = data
    model = Ordered().fit(X, y)
    with pytest.raises(ValueError, match="y_true holds"):
        brier_scorer(model, X, np.where(y == "low", "none", y))
    with pytest.raises(NotFittedError):
        brier_scorer(LogisticRegression(), X, y)


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_are_pickled_and_cloned(data, scorer):
    X, y = data
    model = Ordered().fit(X, y)
    for copy in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert isinstance(copy, OrdinalScorer)
        assert copy == scorer
        assert copy(model, X, y) == scorer(model, X, y)
        assert repr(copy) == scorer.name


class TestWeights:
    """Weights of a search reach the scorer, with and without routing of metadata."""

    @pytest.fixture
    def weight(self):
        return np.random.default_rng(2).uniform(size=300) ** 2

    @pytest.fixture
    def splits(self, data):
        return list(StratifiedKFold(3).split(*data))

    @pytest.fixture
    def expected(self, data, weight, splits):
        """The mean score with weights, and without, of models that are fitted with weights."""
        (X, y), scores = data, []
        for train, test in splits:
            model = Ordered().fit(X[train], y[train], weight[train])
            scores.append([brier_scorer(model, X[test], y[test], part) for part in (weight[test], None)])
        weighted, plain = np.mean(scores, axis=0)
        assert abs(weighted - plain) > 1e-3
        return weighted, plain

    @pytest.fixture(params=["alone", "together"])
    def mean_score(self, request, data, weight, splits):
        def search(model, scorer):
            alone = request.param == "alone"
            scoring = scorer if alone else {"one": scorer, "two": scorer}
            search = GridSearchCV(model, {"C": [1.0]}, scoring=scoring, refit=False, cv=splits, error_score="raise")
            search.fit(*data, sample_weight=weight)
            return search.cv_results_["mean_test_score" if alone else "mean_test_one"][0]

        return search

    def test_without_routing(self, mean_score, expected):
        assert mean_score(Ordered(), brier_scorer) == pytest.approx(expected[0])

    def test_with_routing(self, mean_score, expected):
        with config_context(enable_metadata_routing=True):
            model = Ordered().set_fit_request(sample_weight=True)
            for answer, score in zip((True, False), expected, strict=True):
                scorer = brier_scorer.set_score_request(sample_weight=answer)
                assert mean_score(model, scorer) == pytest.approx(score)
            with pytest.raises(UnsetMetadataPassedError, match="brier_scorer"):
                mean_score(model, brier_scorer)
        assert brier_scorer.sample_weight_request is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_losses_are_proper(seed):
    rng = np.random.default_rng(seed)
    truth, other = rng.dirichlet(np.ones(4), 2)
    y = np.arange(4)
    for loss in LOSSES:
        expected = [loss(y, np.tile(stated, (4, 1)), sample_weight=truth) for stated in (truth, other)]
        assert expected[0] < expected[1]
