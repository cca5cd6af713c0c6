"""Conformal quantiles and p-values: rank by rank, by the exact finite-sample law, by group, and with bad input."""

import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from estimand import conformal_quantile
from estimand.estimators.conformal_pose.quantile import Calibration, encode_groups, tail_rank

SCORES = st.lists(st.one_of(st.integers(0, 5).map(float), st.floats(-1e6, 1e6), st.just(math.inf)), max_size=40)
ALPHAS = st.one_of(
    st.floats(1e-3, 0.999), st.integers(1, 99).map(lambda k: k / 100), st.integers(1, 99).map(lambda k: 1 - k / 100)
)


def quiet(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*args)


@pytest.mark.parametrize(("alpha", "rank"), [(0.1, 20), (0.4, 80), (0.05, 10), (0.005, 1), (0.2, 40), (0.999, 200)])
def test_ranks_of_200_scores(alpha, rank):
    scores = np.random.default_rng(0).permutation(np.arange(200.0))
    assert conformal_quantile(scores, alpha) == 200 - rank
    assert conformal_quantile(scores, alpha) == math.ceil(201 * (1 - Fraction(str(alpha)))) - 1


@pytest.mark.parametrize("n", [9, 19, 99, 999, 99_999, 10**7 - 1])
def test_products_that_are_integers_up_to_rounding_count_as_such(n):
    for k in range(1, 100):
        exact = (n + 1) * k // 100 if (n + 1) * k % 100 == 0 else math.floor(Fraction((n + 1) * k, 100))
        for alpha in (k / 100, 1 - (100 - k) / 100, math.nextafter(k / 100, 0)):
            assert tail_rank(n, alpha) == exact


def test_the_largest_level_keeps_the_smallest_score():
    assert conformal_quantile([3.0, 1.0, 2.0], math.nextafter(1, 0)) == 1.0


def test_too_few_scores_give_infinity_and_one_warning_that_points_here():
    for scores in ([], [1.0] * 8):
        with pytest.warns(UserWarning, match="alpha=0.1 needs at least 9 calibration scores, there are") as caught:
            assert conformal_quantile(scores, 0.1) == math.inf
        assert len(caught) == 1
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conformal_quantile([1.0] * 9, 0.1) == 1.0


def test_infinite_scores_are_the_largest():
    scores = [1.0, math.inf, 2.0, math.inf, 0.0]
    assert conformal_quantile(scores, 2 / 6) == math.inf
    assert conformal_quantile(scores, 3 / 6) == 2.0


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, math.nan, math.inf, "0.1", None, 0.1j])
def test_alpha_outside_0_1_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha="):
        conformal_quantile([1.0, 2.0], alpha)
    with pytest.raises(ValueError, match="alpha="):
        Calibration.from_scores([1.0, 2.0]).quantiles(alpha)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0, math.nan], r"scores\[1\]=nan"),
        ([-math.inf, 1.0], r"scores\[0\]=-inf"),
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
    ],
)
def test_bad_scores_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        conformal_quantile(scores, 0.1)
    with pytest.raises(ValueError, match=message):
        Calibration.from_scores(scores)


@given(SCORES, ALPHAS)
@settings(max_examples=200, deadline=None)
def test_the_quantile_is_the_score_of_its_rank(scores, alpha):
    rank = tail_rank(len(scores), alpha)
    expected = sorted(scores, reverse=True)[rank - 1] if rank else math.inf
    assert quiet(conformal_quantile, scores, alpha) == expected
    assert Calibration.from_scores(scores).quantile(alpha) == expected


@given(SCORES, SCORES, ALPHAS)
@settings(max_examples=200, deadline=None)
def test_a_p_value_is_at_most_alpha_exactly_beyond_the_quantile(scores, new, alpha):
    calibration = Calibration.from_scores(scores)
    p_values = calibration.p_values(new)
    outside = np.array(new) > calibration.quantile(alpha)
    np.testing.assert_array_equal(calibration.rejects(p_values, alpha), outside)
    product = (len(scores) + 1) * alpha
    if abs(product - round(product)) > 1e-9:
        np.testing.assert_array_equal(p_values <= alpha, outside)
    counts = [1 + sum(score >= s for score in scores) for s in new]
    np.testing.assert_array_equal(p_values, np.array(counts) / (len(scores) + 1))


@given(SCORES, st.lists(ALPHAS, min_size=2, max_size=2))
@settings(max_examples=100, deadline=None)
def test_a_smaller_alpha_never_lowers_the_quantile(scores, alphas):
    calibration = Calibration.from_scores(scores)
    assert calibration.quantile(min(alphas)) >= calibration.quantile(max(alphas))


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.1), (200, 0.1), (200, 0.4), (37, 0.25)])
def test_coverage_given_the_calibration_has_a_beta_law(n, alpha):
    draws, j = 3000, tail_rank(n, alpha)
    scores = np.random.default_rng(n).exponential(size=(draws, n))
    coverage = -np.expm1([-conformal_quantile(row, alpha) for row in scores])
    law = stats.beta(n + 1 - j, j)
    assert stats.kstest(coverage, law.cdf).pvalue > 1e-4
    assert abs(coverage.mean() - (n + 1 - j) / (n + 1)) < 4 * law.std() / math.sqrt(draws)
    # The test has the power to see a rank that is off by one.
    assert stats.kstest(coverage, stats.beta(n - j, j + 1).cdf).pvalue < 1e-4


def test_p_values_of_exchangeable_scores_are_uniform_on_their_grid():
    n, draws = 9, 4000
    scores = np.random.default_rng(3).normal(size=(draws, n + 1))
    p_values = [Calibration.from_scores(row[:-1]).p_values(row[-1:])[0] for row in scores]
    counts = np.bincount(np.rint(np.array(p_values) * (n + 1)).astype(int), minlength=n + 2)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-4


def test_groups_are_calibrated_apart():
    rng = np.random.default_rng(0)
    groups = rng.choice(["b", "a", "c"], size=300)
    scores, new = rng.exponential(size=300), rng.exponential(size=50)
    new_groups = rng.choice(["a", "b", "c"], size=50)
    calibration = Calibration.from_scores(scores, groups)
    assert calibration.labels == ("a", "b", "c")
    alone = {label: Calibration.from_scores(scores[groups == label]) for label in "abc"}
    np.testing.assert_array_equal(
        calibration.quantile(0.1, new_groups), [alone[label].quantile(0.1) for label in new_groups]
    )
    p_values = calibration.p_values(new, new_groups)
    np.testing.assert_array_equal(
        p_values, [alone[label].p_values([s])[0] for label, s in zip(new_groups, new, strict=True)]
    )
    np.testing.assert_array_equal(
        calibration.rejects(p_values, 0.1, new_groups), new > calibration.quantile(0.1, new_groups)
    )
    sizes = calibration.by_label(calibration.sizes)
    assert sizes == {label: int(np.sum(groups == label)) for label in "abc"}
    for label, block in calibration.by_label(calibration.blocks).items():
        np.testing.assert_array_equal(block, np.sort(scores[groups == label]))


def test_each_group_has_its_own_coverage():
    rng, n, draws = np.random.default_rng(5), 40, 1500
    groups = np.repeat(["exponential", "uniform"], n)
    coverage = np.empty((draws, 2))
    for i in range(draws):
        scores = np.concatenate([rng.exponential(100, size=n), rng.uniform(size=n)])
        q = Calibration.from_scores(scores, groups).quantiles(0.2)
        coverage[i] = -math.expm1(-q[0] / 100), q[1]
    law = stats.beta(n + 1 - 8, 8)
    for column in coverage.T:
        assert stats.kstest(column, law.cdf).pvalue > 1e-4


def test_labels_of_any_type_agree_between_containers():
    for labels in (["x", "y", "x"], [3, 1, 3], [0.5, 1.5, 0.5], [True, False, True]):
        expected = encode_groups(labels, 3)
        for container in (np.array, np.asarray(labels).astype(object), pd.Series, lambda v: np.array(v)[:, None]):
            groups = container if isinstance(container, np.ndarray) else container(labels)
            names, codes = encode_groups(groups, 3)
            assert names == expected[0]
            np.testing.assert_array_equal(codes, expected[1])
    names, _ = encode_groups(pd.Series(["x", "y", "x"], dtype="category"), 3)
    assert names == ["x", "y"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", "b"], r"groups has shape \(2,\), .* each of 3 rows"),
        ([["a", "b"]] * 3, r"groups has shape \(3, 2\)"),
        ([1.0, math.nan, 2.0], "groups holds nan"),
        (pd.Series(["a", None, "b"]), "groups holds"),
        (np.array(["a", 1, "b"], dtype=object), "cannot be ordered"),
        (np.array(["2020", "NaT", "2021"], dtype="M8[Y]"), "groups holds NaT"),
    ],
)
def test_bad_labels_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        Calibration.from_scores([1.0, 2.0, 3.0], groups)


def test_unseen_labels_are_named():
    calibration = Calibration.from_scores(np.arange(6.0), list("aabbcc"))
    with pytest.raises(ValueError, match="groups holds 'd', which calibration has not seen; it has seen 'a', 'b', 'c'"):
        calibration.quantile(0.1, ["a", "d"])
    with pytest.raises(ValueError, match="groups=None, but calibration had groups"):
        calibration.p_values([1.0])
    with pytest.raises(ValueError, match="calibration had no groups"):
        Calibration.from_scores([1.0]).quantile(0.1, ["a"])


def test_one_warning_names_the_groups_that_are_too_small():
    calibration = Calibration.from_scores(np.arange(12.0), ["big"] * 9 + ["two"] * 2 + ["one"], known=["none", "big"])
    assert calibration.by_label(calibration.sizes) == {"big": 9, "one": 1, "two": 2, "none": 0}
    with pytest.warns(UserWarning, match="there are 0 in the smallest group: .* for 'one', 'two', 'none'") as caught:
        calibration.warn_of_infinity(0.1)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibration.warn_of_infinity(0.1, ["big", "big"])
    np.testing.assert_array_equal(calibration.quantiles(0.1), [8.0, math.inf, math.inf, math.inf])
    assert calibration.p_values([5.0], ["none"]) == 1.0


@pytest.mark.parametrize("grouped", [False, True])
def test_any_partition_adds_up_to_the_calibration_of_all(grouped):
    rng = np.random.default_rng(0)
    scores = np.append(rng.exponential(size=99), np.inf)
    groups = rng.choice(["a", "b", "c"], 100) if grouped else None
    whole = Calibration.from_scores(scores, groups)
    for _ in range(5):
        ends = np.sort(rng.choice(np.arange(1, 100), 4, replace=False))
        parts = [
            Calibration.from_scores(scores[rows], None if groups is None else groups[rows])
            for rows in np.split(rng.permutation(100), ends)
        ]
        total = sum(parts[1:], start=parts[0])
        assert total.labels == whole.labels
        for block, expected in zip(total.blocks, whole.blocks, strict=True):
            np.testing.assert_array_equal(block, expected)


def test_groups_and_none_do_not_add_up():
    with pytest.raises(ValueError, match="pass groups always, or never"):
        Calibration.from_scores([1.0, 2.0]) + Calibration.from_scores([1.0], ["a"])


def test_a_calibration_survives_pickling():
    calibration = Calibration.from_scores(np.arange(12.0), list("ab") * 6)
    copy = pickle.loads(pickle.dumps(calibration))
    np.testing.assert_array_equal(copy.quantiles(0.2), calibration.quantiles(0.2))
    assert copy.labels == calibration.labels
