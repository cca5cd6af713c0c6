"""The coverage of ConformalRegressor: its exact law, in groups too, and what would spoil it."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from estimand import ConformalRegressor, conformal_quantile


class Zero(RegressorMixin, BaseEstimator):
    """Predicts 0 of a shape."""

    def __init__(self, shape=()):
        self.shape = shape

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.shape))


def law(n, alpha):
    j = math.floor((n + 1) * alpha + 1e-9)
    return stats.beta(n + 1 - j, j)


@pytest.mark.parametrize(("score", "shape"), [("abs", ()), ("ball", (3,)), ("ball", (4, 2))])
def test_coverage_given_the_calibration_has_a_beta_law(score, shape):
    n, alpha, draws, rng = 59, 0.1, 800, np.random.default_rng(0)
    est, X = ConformalRegressor(Zero(shape), nonconformity=score, prefit=True, alpha=alpha), np.zeros((n, 1))
    q = np.array([est.fit(X, rng.normal(size=(n, *shape))).quantile_ for _ in range(draws)])
    d = shape[-1] if shape else 1
    coverage = stats.chi2(d).cdf(q**2) ** (shape[0] if len(shape) == 2 else 1)
    assert stats.kstest(coverage, law(n, alpha).cdf).pvalue > 1e-4
    assert abs(coverage.mean() - 54 / 60) < 4 * law(n, alpha).std() / math.sqrt(draws)


def test_each_group_has_the_law_of_its_own_size():
    rng, draws, sizes, scale = np.random.default_rng(1), 800, {"a": 19, "b": 80}, {"a": 1.0, "b": 100.0}
    groups = np.repeat(list(sizes), list(sizes.values()))
    sd = np.array([scale[label] for label in groups])
    est, X = ConformalRegressor(Zero(), prefit=True, alpha=0.2), np.zeros((groups.size, 1))
    coverage = {label: [] for label in sizes}
    for _ in range(draws):
        est.fit(X, sd * rng.normal(size=sd.size), groups=groups)
        for label, q in est.quantile_.items():
            coverage[label].append(stats.chi2(1).cdf((q / scale[label]) ** 2))
    for label, n in sizes.items():
        assert stats.kstest(coverage[label], law(n, 0.2).cdf).pvalue > 1e-4


def mean_coverage(est, draw, reps, n_new):
    return np.array([est.fit(*draw()).coverage(*draw(n_new)) for _ in range(reps)])


SCORES = [
    ("box", (20,), {}),
    ("ball", (20,), {}),
    ("ellipse", (20,), {}),
    ("ellipse", (10, 2), {}),
    ("box", (20,), {"estimator": DecisionTreeRegressor(random_state=0)}),
    ("normalized", (), {"scale_estimator": Ridge()}),
    (lambda y, predictions: np.abs(y - predictions).sum(axis=1), (20,), {}),
]


@pytest.mark.parametrize(("score", "shape", "options"), SCORES)
def test_mean_coverage_is_exact_whatever_the_score(score, shape, options):
    """With 20 outputs and 50 calibration rows, where scales from the calibration rows would lose most of it."""
    rng, reps, n, n_new = np.random.default_rng(2), 120, 50, 150
    mix = rng.normal(size=(20, 20))

    def draw(rows=2 * n):
        X, noise = rng.normal(size=(rows, 2)), rng.standard_t(4, size=(rows, 20)) @ mix
        Y = X[:, :1] + noise * (1 + np.abs(X[:, 1:]))
        return X, Y[:, 0] if shape == () else Y.reshape(rows, *shape)

    coverage = mean_coverage(
        ConformalRegressor(nonconformity=score, random_state=0, **{"estimator": None, **options}), draw, reps, n_new
    )
    m = 46 / 51
    sd = math.sqrt((law(n, 0.1).var() + m * (1 - m) / n_new) / reps)
    assert abs(coverage.mean() - m) < 4 * sd


def test_scales_from_the_calibration_rows_would_lose_coverage():
    rng, reps, n, d = np.random.default_rng(3), 100, 50, 20
    wrong, right = [], []
    est = ConformalRegressor(Zero((d,)), nonconformity="ellipse", prefit=True, random_state=0)
    for _ in range(reps):
        r, new = rng.normal(size=(n, d)), rng.normal(size=(200, d))
        inverse = np.linalg.inv(r.T @ r / n)
        q = conformal_quantile(np.einsum("ni,ij,nj->n", r, inverse, r), 0.1)
        wrong.append(np.mean(np.einsum("ni,ij,nj->n", new, inverse, new) <= q))
        est.fit(np.zeros((2 * n, 1)), np.concatenate([r, rng.normal(size=(n, d))]))
        right.append(est.coverage(np.zeros((200, 1)), new))
    assert np.mean(wrong) < 0.5
    assert abs(np.mean(right) - 46 / 51) < 4 * math.sqrt((law(n, 0.1).var() + 0.09 / 200) / reps)


def test_a_model_that_was_chosen_by_its_sets_needs_fresh_rows():
    rng, reps, n, models = np.random.default_rng(4), 40, 50, 40
    kept, fresh = [], []
    for _ in range(reps):
        candidates = [
            ConformalRegressor(Zero(), prefit=True).fit(np.zeros((n, 1)), rng.normal(size=n)) for _ in range(models)
        ]
        best = max(candidates, key=lambda est: est.score(np.zeros((1, 1))))
        kept.append(stats.chi2(1).cdf(best.quantile_**2))
        best.calibrate(np.zeros((n, 1)), rng.normal(size=n))
        fresh.append(stats.chi2(1).cdf(best.quantile_**2))
    assert np.mean(kept) < 0.85
    assert abs(np.mean(fresh) - 46 / 51) < 4 * law(n, 0.1).std() / math.sqrt(reps)
