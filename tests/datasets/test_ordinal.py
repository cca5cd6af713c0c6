"""The cumulative logit generator: its probabilities, its classes, the paper's rare shares, and its refusals."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from estimand.datasets import make_ordinal_regression

DESIGNS = ["sparse", "dense", "parallel"]


def exceedance(data):
    return expit(data.intercept + data.X @ data.coef.T)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(DESIGNS),
    st.integers(1, 8),
    st.lists(st.floats(2.0, 3.0), min_size=0, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_probabilities_are_those_of_the_model(design, n_features, gaps, seed):
    intercepts = -2.0 + np.cumsum([0.0, *gaps])
    data = make_ordinal_regression(
        design,
        n_samples=300,
        n_features=n_features,
        intercepts=intercepts,
        deviation=0.2,
        n_draws=10000,
        random_state=seed,
    )
    n_classes = intercepts.size + 1
    assert data.X.shape == (300, n_features)
    assert data.X.flags.f_contiguous
    assert data.X.min() >= -1
    assert data.X.max() <= 1
    assert data.coef.shape == (n_classes - 1, n_features)
    np.testing.assert_array_equal(data.intercept, -intercepts)
    assert data.probabilities.shape == (300, n_classes)
    assert data.probabilities.min() > 0
    np.testing.assert_allclose(data.probabilities.sum(axis=1), 1.0, rtol=1e-13)
    above = np.column_stack([np.ones(300), exceedance(data), np.zeros(300)])
    np.testing.assert_allclose(data.probabilities, above[:, :-1] - above[:, 1:], atol=1e-14)
    assert np.issubdtype(data.y.dtype, np.integer)
    np.testing.assert_array_equal(np.unique(data.y), np.arange(n_classes))


def test_small_probabilities_keep_their_digits():
    data = make_ordinal_regression(base=50.0, base_probability=1.0, deviation=0.0, n_samples=100, random_state=0)
    assert data.probabilities.min() < 1e-40
    with localcontext() as context:
        context.prec = 150
        for log_odds, row in zip(data.intercept + data.X @ data.coef.T, data.probabilities, strict=True):
            above = [Decimal(1), *(1 / (1 + (-Decimal(float(value))).exp()) for value in log_odds), Decimal(0)]
            exact = [float(above[k] - above[k + 1]) for k in range(4)]
            np.testing.assert_allclose(row, exact, rtol=1e-12)


@pytest.mark.parametrize("design", DESIGNS)
def test_classes_occur_with_their_probabilities(design):
    for seed in range(20):
        parameters = {"n_samples": 4000, "intercepts": (-1.0, 1.0, 3.0), "deviation": 0.3, "base_probability": 0.8}
        data = make_ordinal_regression(design, **parameters, random_state=seed)
        deviations = np.sqrt(np.sum(data.probabilities * (1 - data.probabilities), axis=0))
        counts = np.bincount(data.y, minlength=4)
        assert np.all(np.abs(counts - data.probabilities.sum(axis=0)) < 4.5 * deviations)
        # Not only the sums agree, the rows do.
        odds, above = data.X @ data.coef.T, exceedance(data)
        for boundary in range(3):
            spread = np.sqrt(np.sum(odds[:, boundary] ** 2 * above[:, boundary] * (1 - above[:, boundary])))
            assert abs(odds[:, boundary] @ ((data.y > boundary) - above[:, boundary])) < 4.5 * spread


@pytest.mark.parametrize(
    ("design", "probability", "intercepts", "percent"),
    [
        ("sparse", 1 / 3, (0.0, 3.0, 5.0), 0.996),
        ("sparse", 1 / 3, (0.0, 3.5, 5.5), 0.614),
        ("sparse", 1 / 3, (0.0, 4.0, 6.0), 0.370),
        ("sparse", 1 / 2, (0.0, 3.0, 5.0), 1.166),
        ("sparse", 1 / 2, (0.0, 3.5, 5.5), 0.709),
        ("sparse", 1 / 2, (0.0, 4.0, 6.0), 0.435),
        ("dense", 1 / 3, (0.0, 2.5, 4.5), 1.598),
        ("dense", 1 / 3, (0.0, 3.0, 5.0), 0.994),
        ("dense", 1 / 3, (0.0, 3.5, 5.5), 0.616),
        ("dense", 1 / 3, (0.0, 4.0, 6.0), 0.364),
    ],
)
def test_last_class_is_as_rare_as_published(design, probability, intercepts, percent):
    samples = [
        make_ordinal_regression(design, base_probability=probability, intercepts=intercepts, random_state=seed)
        for seed in range(200)
    ]
    assert 100 * np.mean([data.probabilities[:, -1].mean() for data in samples]) == pytest.approx(percent, rel=0.05)
    assert 100 * np.mean([np.mean(data.y == 3) for data in samples]) == pytest.approx(percent, rel=0.06)


def test_slopes_are_drawn_as_documented():
    def slopes(design, **further):
        """The coefficients of P(y <= k - 1) of fifty draws."""
        parameters = {"intercepts": (-2.0, 0.0, 2.0), "n_features": 40, "n_samples": 200} | further
        return -np.stack([make_ordinal_regression(design, **parameters, random_state=seed).coef for seed in range(50)])

    sparse = slopes("sparse", base=0.3, deviation=0.02, base_probability=0.25, deviation_probability=0.5)
    base, differences = sparse[:, 0], np.diff(sparse, axis=1)
    assert set(np.unique(base)) == {0.0, 0.3}
    assert np.mean(base > 0) == pytest.approx(0.25, abs=0.04)
    for value, share in ((-0.02, 0.25), (0.0, 0.5), (0.02, 0.25)):
        assert np.mean(np.isclose(differences, value, atol=1e-9)) == pytest.approx(share, abs=0.04)
    # Zeros and signs of one difference say nothing of the other.
    for first, second in (np.abs(differences).swapaxes(0, 1), differences.swapaxes(0, 1)):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    together = slopes("sparse", base=0.3, deviation=0.02, base_probability=0.25)
    assert np.mean(np.abs(np.diff(together, axis=1)) > 1e-9) == pytest.approx(0.25, abs=0.04)

    dense = slopes("dense", base=0.3, deviation=0.02)
    for values, size in ((dense[:, 0], 0.3), (np.diff(dense, axis=1), 0.02)):
        assert np.abs(values).max() == pytest.approx(size, rel=0.01)
        assert values.mean() == pytest.approx(0, abs=0.05 * size)
        assert values.std() == pytest.approx(size / np.sqrt(3), rel=0.05)

    parallel = slopes("parallel", base=0.3, deviation=5.0)
    assert np.abs(parallel[:, 0]).max() == pytest.approx(0.3, rel=0.01)
    np.testing.assert_array_equal(parallel[:, 0], parallel[:, 1])


def test_coefficients_are_drawn_again_until_no_probability_is_negative():
    crossed = 0
    for seed in range(30):
        data = make_ordinal_regression(base_probability=1 / 2, deviation=0.8, n_samples=500, random_state=seed)
        assert np.all(np.diff(exceedance(data), axis=1) < 0)
        # At other features the same coefficients would cross, which is why this takes more than one draw.
        corners = np.sum(np.abs(np.diff(data.coef, axis=0)), axis=1)
        crossed += np.any(corners > -np.diff(data.intercept))
    assert crossed > 10


@pytest.mark.parametrize(("design", "deviation"), [("parallel", 0.0), ("dense", 0.8)])
def test_classes_are_drawn_again_until_all_occur(design, deviation):
    parameters = {"n_samples": 100, "deviation": deviation}
    missing = 0
    for seed in range(30):
        try:
            make_ordinal_regression(design, **parameters, n_draws=1, random_state=seed)
        except ValueError:
            missing += 1
            data = make_ordinal_regression(design, **parameters, n_draws=1000, random_state=seed)
            assert np.unique(data.y).size == 4
            assert np.all(np.diff(exceedance(data), axis=1) < 0)
            if design == "parallel":
                # The coefficients are those of the first draw, the features are not.
                likely = make_ordinal_regression(design, **parameters, intercepts=(-1.0, 0.0, 1.0), random_state=seed)
                np.testing.assert_array_equal(data.coef, likely.coef)
                assert not np.array_equal(data.X, likely.X)
    assert 5 < missing < 25


def test_workloads_of_the_benchmarks():
    dense = make_ordinal_regression(
        "dense", n_samples=20000, n_features=30, intercepts=(-1.0, 1.0, 3.5, 5.5), deviation=0.2, random_state=0
    )
    assert dense.coef.shape == (4, 30)
    several = make_ordinal_regression(
        n_samples=20000,
        n_features=50,
        intercepts=(-1.0, 1.5, 4.5, 7.0),
        base=0.3,
        deviation=0.3,
        deviation_probability=0.1,
        random_state=0,
    )
    assert several.probabilities.shape == (20000, 5)
    equal = make_ordinal_regression(
        base=1.0, base_probability=1.0, deviation=0.0, intercepts=(0.0, 4.0), random_state=0
    )
    np.testing.assert_array_equal(equal.coef, -np.ones((2, 10)))
    assert equal.probabilities[:, 2].mean() == pytest.approx(0.059, abs=0.006)


def test_seeds_repeat():
    first, second, other = (make_ordinal_regression("dense", random_state=seed) for seed in (7, 7, 8))
    for name in ("X", "y", "coef", "intercept", "probabilities"):
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first.X, other.X)
    generator = np.random.RandomState(7)
    np.testing.assert_array_equal(make_ordinal_regression("dense", random_state=generator).y, first.y)
    assert not np.array_equal(make_ordinal_regression("dense", random_state=generator).y, first.y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"design": "odd"}, "'sparse', 'dense', 'parallel'"),
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_features": 2.5}, "n_features=2.5"),
        ({"n_draws": 0}, "n_draws=0"),
        ({"base": -0.5}, "base=-0.5"),
        ({"deviation": np.inf}, "deviation=inf"),
        ({"deviation": np.nan}, "deviation=nan"),
        ({"base_probability": 1.5}, "base_probability=1.5"),
        ({"deviation_probability": -0.1}, "deviation_probability=-0.1"),
        ({"intercepts": ()}, "intercepts="),
        ({"intercepts": (0.0, 0.0)}, "intercepts="),
        ({"intercepts": (3.0, 0.0)}, "must hold finite numbers that increase"),
        ({"intercepts": (0.0, np.inf)}, "intercepts="),
        ({"intercepts": [[0.0, 1.0], [2.0, 3.0]]}, "1d array"),
        ({"intercepts": (0.0, 0.1), "deviation": 5.0, "base_probability": 1.0}, "1000 draws.*Spread them"),
        ({"intercepts": (0.0, 30.0)}, r"last \[2\]: raise n_samples=2500 or n_draws"),
        ({"n_samples": 3}, "n_draws=10"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_ordinal_regression(**parameters, random_state=0)
