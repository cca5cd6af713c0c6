"""ConformalRegressor beside MAPIE and crepes: the same intervals from the same fitted model, digit for digit."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression

from estimand import ConformalRegressor

X, y = make_regression(700, 5, noise=20.0, random_state=0)
#: The peers take (n + 1)(1 - level) as it is rounded: no integer here.
ALPHAS = (0.05, 0.1, 0.33, 0.6)
CAL, NEW = slice(200, 503), slice(503, None)


@pytest.mark.parametrize("model", [LinearRegression(), RandomForestRegressor(10, random_state=0)])
def test_intervals_of_mapie(model):
    regression = pytest.importorskip("mapie.regression")
    model.fit(X[:200], y[:200])
    est = ConformalRegressor(model, prefit=True).fit(X[CAL], y[CAL])
    for alpha in ALPHAS:
        peer = regression.SplitConformalRegressor(model, confidence_level=1 - alpha, prefit=True)
        _, interval = peer.conformalize(X[CAL], y[CAL]).predict_interval(X[NEW])
        np.testing.assert_array_equal(est.predict_interval(X[NEW], alpha), interval[:, :, 0])


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_and_p_values_of_crepes(normalized, grouped):
    crepes = pytest.importorskip("crepes")
    model = BayesianRidge().fit(X[:200], y[:200])
    est = ConformalRegressor(model, nonconformity="normalized" if normalized else "abs", prefit=True)
    groups = np.where(X[:, 0] > 0, "right", "left")
    est.fit(X[CAL], y[CAL], groups=groups[CAL] if grouped else None)
    (f_cal, s_cal), (f, s) = (model.predict(X[rows], return_std=True) for rows in (CAL, NEW))
    bins, new_bins = (groups[CAL], groups[NEW]) if grouped else (None, None)
    peer = crepes.ConformalRegressor()
    peer.fit(y[CAL] - f_cal, sigmas=s_cal if normalized else None, bins=bins)
    sigmas = s if normalized else None
    for alpha in ALPHAS:
        theirs = peer.predict_int(f, sigmas=sigmas, bins=new_bins, confidence=1 - alpha)
        mine = est.predict_interval(X[NEW], alpha, groups=groups[NEW] if grouped else None)
        np.testing.assert_array_equal(mine, theirs)
    theirs = peer.predict_p(f, y[NEW], sigmas=sigmas, bins=new_bins, smoothing=False)
    np.testing.assert_allclose(est.predict_pvalue(X[NEW], y[NEW], groups=groups[NEW] if grouped else None), theirs)
