import numpy as np
import pytest
from scipy import stats

from estimand import PrestoClassifier, ProportionalOddsClassifier, parallel_test
from estimand.datasets import make_ordinal_regression


def parallel_world(n, seed, p=3, intercepts=(0.0, 1.5, 3.0), link="logit"):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    noise = {"logit": rng.logistic, "probit": rng.standard_normal}[link](size=n)
    return X, np.searchsorted(intercepts, X @ np.linspace(-1, 1, p) + noise)


def run(X, y, weight=None, **options):
    model = ProportionalOddsClassifier(tol=1e-9, **options).fit(X, y, sample_weight=weight)
    return parallel_test(model, X, y, sample_weight=weight)


@pytest.mark.parametrize(("link", "n", "intercepts"), [("logit", 500, (0, 1.5, 3)), ("probit", 500, (-1, 0, 1)),
                                                       ("logit", 600, (0, 2.5, 5.5))])  # fmt: skip
def test_the_level_is_kept(link, n, intercepts):
    replicates, level = 400, 0.05
    rejected = 0
    for seed in range(replicates):
        X, y = parallel_world(n, seed, intercepts=intercepts, link=link)
        y = np.unique(y, return_inverse=True)[1]
        rejected += run(X, y, link=link).pvalue < level
    # Five in a million by chance, if the test has its level up to the error of the large-sample approximation.
    low, high = stats.binom.ppf([2.5e-6, 1 - 2.5e-6], replicates, [0.6 * level, 1.6 * level])
    assert low <= rejected <= high


def test_slopes_that_differ_are_found():
    data = make_ordinal_regression("dense", base=1.0, deviation=1.0, intercepts=(0, 2.5, 4.5), random_state=0)
    result = run(data.X, data.y)
    assert result.degrees_of_freedom == 20
    assert result.pvalue < 1e-10


def test_against_the_likelihood_ratio():
    X, y = parallel_world(20_000, 1)
    X[:, 0] *= 1 + 0.05 * (y > 1)  # a small departure, where the two tests agree
    odds = ProportionalOddsClassifier(tol=1e-9).fit(X, y)
    free = PrestoClassifier(alpha=0.0, tol=1e-9).fit(X, y)
    ratio, score = 2 * (free.loglik_ - odds.loglik_), parallel_test(odds, X, y).statistic
    assert score == pytest.approx(ratio, rel=0.1)


def test_invariances():
    X, y = parallel_world(300, 2)
    result = run(X, y)
    assert run(X * [1e3, -1e-3, 2] + [5, 0, -1], y).statistic == pytest.approx(result.statistic, rel=1e-6)
    assert run(X, 3 - y, rare="first").statistic == pytest.approx(result.statistic, rel=1e-6)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    repeated = run(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert run(X, y, weight).statistic == pytest.approx(repeated.statistic, rel=1e-6)
    doubled = run(np.hstack([X, X[:, :1], np.ones((len(y), 1))]), y)
    assert doubled.degrees_of_freedom == result.degrees_of_freedom == 6
    assert doubled.statistic == pytest.approx(result.statistic, rel=1e-6)
    names = np.array(["d", "c", "b", "a"])
    assert run(X, names[y], categories=names.tolist()).statistic == pytest.approx(result.statistic, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"), [({"alpha": 0.1}, "without a penalty"), ({"class_weight": "balanced"}, "class_weight")]
)
def test_what_is_refused(options, message):
    X, y = parallel_world(300, 2)
    with pytest.raises(ValueError, match=message):
        run(X, y, **options)
    with pytest.raises(ValueError, match="two classes"):
        run(X, np.minimum(y, 1))
    with pytest.raises(ValueError, match="must be a fitted ProportionalOddsClassifier"):
        parallel_test(PrestoClassifier().fit(X, y), X, y)
    with pytest.raises(ValueError, match="not fitted to"):
        parallel_test(ProportionalOddsClassifier().fit(X, y), X, y + 1)
