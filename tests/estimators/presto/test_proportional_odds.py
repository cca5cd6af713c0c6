import numpy as np
import pandas as pd
import pytest
from scipy import special
from statsmodels.datasets import anes96
from statsmodels.miscmodels.ordinal_model import OrderedModel

from estimand import PrestoClassifier, PrestoClassifierCV, ProportionalOddsClassifier, SeparateLogitClassifier


@pytest.fixture(scope="module")
def survey():
    data = anes96.load_pandas().data
    return data[["logpopul", "TVnews", "PID", "age", "educ", "income"]], data["selfLR"].astype(int)


@pytest.mark.parametrize(("link", "expected"), [("logit", -1368.32766498816), ("probit", -1382.27970965)])
def test_log_likelihood_of_r(survey, link, expected):
    model = ProportionalOddsClassifier(link=link, tol=1e-10).fit(*survey)
    assert model.loglik_ == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_estimates_and_standard_errors_of_statsmodels(survey, link):
    X, y = survey
    peer = OrderedModel(y, X, distr=link).fit(method="bfgs", gtol=1e-9, disp=0)
    model = ProportionalOddsClassifier(link=link, tol=1e-10).fit(X, y)
    assert model.loglik_ == pytest.approx(peer.llf, abs=1e-5)
    np.testing.assert_allclose(model.coef_[0], peer.params[:6], atol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_))[6:], peer.bse[:6], rtol=1e-4)
    thresholds = peer.model.transform_threshold_params(np.asarray(peer.params))[1:-1]
    np.testing.assert_allclose(model.intercept_, -thresholds, atol=1e-3)


def test_the_covariance_follows_the_features_and_the_weights(survey):
    X, y = survey[0].to_numpy(), survey[1].to_numpy()
    one = ProportionalOddsClassifier(tol=1e-11).fit(X, y)
    factor, shift = np.array([10.0, -1.0, 1.0, 0.1, 1.0, 2.0]), np.arange(6.0)
    other = ProportionalOddsClassifier(tol=1e-11).fit(X * factor + shift, y)
    np.testing.assert_allclose(other.covariance_[6:, 6:] * np.outer(factor, factor), one.covariance_[6:, 6:], rtol=1e-6)
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    weighted = ProportionalOddsClassifier(tol=1e-11).fit(X, y, sample_weight=weight)
    repeated = ProportionalOddsClassifier(tol=1e-11).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.covariance_, repeated.covariance_, rtol=1e-6)
    mirrored = ProportionalOddsClassifier(tol=1e-11, rare="first").fit(X, 8 - y)
    np.testing.assert_allclose(mirrored.covariance_[6:, 6:], one.covariance_[6:, 6:], rtol=1e-6)
    np.testing.assert_allclose(np.diag(mirrored.covariance_)[:6], np.diag(one.covariance_)[5::-1], rtol=1e-6)
    constant = ProportionalOddsClassifier().fit(np.hstack([X, np.ones((len(y), 1))]), y)
    assert np.isnan(constant.covariance_[-1]).all()
    assert not hasattr(ProportionalOddsClassifier(alpha=0.1).fit(X, y), "covariance_")


def test_confidence_intervals_cover():
    rng, covered, replicates = np.random.default_rng(0), 0, 300
    truth = np.array([1.0, -0.5])
    for _ in range(replicates):
        X = rng.standard_normal((300, 2))
        y = np.searchsorted([0.0, 1.5], X @ truth + rng.logistic(size=300))
        model = ProportionalOddsClassifier(tol=1e-8).fit(X, y)
        half = 1.96 * np.sqrt(np.diag(model.covariance_)[2:])
        covered += np.sum(np.abs(model.coef_[0] - truth) < half)
    # Five standard deviations of 600 intervals around 95 percent.
    assert abs(covered / (2 * replicates) - 0.95) < 5 * np.sqrt(0.05 * 0.95 / (2 * replicates))


def test_summaries(survey):
    X, y = survey
    odds = ProportionalOddsClassifier().fit(X, y)
    text = str(odds.summary())
    for word in ("ProportionalOddsClassifier", "-1368.3277", "y > 6", "logpopul", "std err", f"{odds.coef_[0, 2]:.4f}"):
        assert word in text
    model = PrestoClassifier(alpha=0.03).fit(X, y)
    text = str(model.summary())
    broken = np.any(np.diff(model.coef_, axis=0) != 0, axis=0)
    assert 0 < broken.sum() < 6
    for name, breaks in zip(X.columns, broken, strict=True):
        assert (f"{name} *" in text) == breaks
    assert f"{model.bic_:.4f}" in text
    assert "<table" in model.summary().as_html()
    chosen = PrestoClassifierCV(n_alphas=4, random_state=0).fit(X.to_numpy(), y)
    assert "x0" in str(chosen.summary())
    assert f"{chosen.alpha_:.4g}" in str(chosen.summary())
    assert "std err" not in str(ProportionalOddsClassifier(alpha=0.1).fit(X, y).summary())


def test_a_penalty_shrinks_the_slopes(survey):
    X, y = survey
    sizes = [
        np.abs(ProportionalOddsClassifier(alpha=alpha, l1_ratio=ratio).fit(X, y).coef_ * X.std().to_numpy()).sum()
        for ratio in (0.0, 1.0)
        for alpha in (0.0, 0.01, 0.1, 1.0)
    ]
    assert np.all(np.diff(sizes[:4]) < 0)
    assert np.all(np.diff(sizes[4:]) < 0)
    assert sizes[7] == 0 < sizes[3]


def test_separate_logits_are_fits_of_each_boundary():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, 3))
    y = np.searchsorted([-0.5, 0.5, 2.0], X[:, 0] + rng.logistic(size=400))
    model = SeparateLogitClassifier(tol=1e-12).fit(X, y)
    for k in range(3):
        binary = PrestoClassifier(alpha=0.0, tol=1e-10).fit(X, (y > k).astype(int))
        np.testing.assert_allclose(model.coef_[k], binary.coef_[0], atol=1e-5)
    np.testing.assert_allclose(model.boundary_function(X), X @ model.coef_.T + model.intercept_)
    rare = SeparateLogitClassifier(boundaries="rare", tol=1e-12).fit(X, y)
    np.testing.assert_allclose(rare.predict_rare_proba(X), model.predict_rare_proba(X), atol=1e-6)
    assert rare.predict_rare_proba(X) == pytest.approx(special.expit(X @ rare.coef_[0] + rare.intercept_[0]))
    for method in ("predict", "predict_proba", "predict_log_proba", "predict_cumulative", "predict_quantile"):
        assert not hasattr(rare, method)
    first = SeparateLogitClassifier(boundaries="rare", rare="first", tol=1e-12).fit(X, 3 - y)
    np.testing.assert_allclose(first.predict_rare_proba(X), rare.predict_rare_proba(X), atol=1e-6)
    two = SeparateLogitClassifier(boundaries="rare").fit(X, np.minimum(y, 1))
    assert two.predict_proba(X).shape == (400, 2)


def test_a_separable_rare_class_is_reported():
    X = np.arange(20.0)[:, None]
    y = np.array([0, 1] * 8 + [2] * 4)
    with pytest.warns(UserWarning, match="1 of 2 boundaries separate"):
        model = SeparateLogitClassifier().fit(X, y)
    assert np.all(np.isfinite(model.predict_proba(X)))
    frame = pd.DataFrame(X)
    assert SeparateLogitClassifier(alpha=0.1).fit(frame, y).converged_
