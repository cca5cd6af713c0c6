"""PenalizedRegressor: scikit-learn's checks, all penalties, own penalties, searches, bad input."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import ElasticNet, Lasso, PenalizedRegressor
from estimand.exceptions import BackendUnavailableError
from estimand.penalties import CEL0, L0, L1, L1L2, MCP, PENALTIES, SCAD, CappedL1, LogSum, Lq, Penalty, make_penalty
from estimand.solvers.penalized_least_squares.coordinate_descent import CoordinateDescent
from estimand.solvers.penalized_least_squares.ista import ISTA

#: The backend for another penalty where it is installed, and how to install it where it is not.
SKGLM_REFUSES = (
    (ValueError, "coordinate_descent") if find_spec("skglm") else (BackendUnavailableError, "pip install skglm")
)


def expected_failures(estimator):
    if estimator.penalty == "mcp":
        return {
            "check_regressors_train": "the default strength 1 leaves standardised data no coefficient; for estimators "
            "with a parameter alpha the check itself lowers it to 0.01"
        }
    return {}


@parametrize_with_checks(
    [
        PenalizedRegressor(),
        PenalizedRegressor(L1(0.01)),
        PenalizedRegressor(MCP(0.01)),
        PenalizedRegressor(L0(0.01), warm_start=True),
        PenalizedRegressor(Lq(0.01), solver=ISTA()),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 20)) + 3.0
    coef = np.zeros(20)
    coef[[2, 7, 11]] = [2.0, -1.5, 1.0]
    return X, X @ coef + 5.0 + 0.1 * rng.standard_normal(80), coef


@pytest.mark.parametrize("name", [name for name in PENALTIES if name not in ("l1", "elastic_net", "log")])
def test_non_convex_penalties_recover_the_support_without_bias(name, data):
    X, y, coef = data
    alpha = 0.2**2 / 2 if name in ("l0", "cel0") else 0.2
    knot = {"theta": 0.5} if name == "capped_l1" else {}
    model = PenalizedRegressor(make_penalty(name, alpha=alpha, **knot)).fit(X, y)
    assert np.array_equal(model.coef_ != 0, coef != 0)
    if name != "lq":  # beyond their knots the others are flat: least squares on the support
        support = coef != 0
        oracle = LinearRegression().fit(X[:, support], y)
        np.testing.assert_allclose(model.coef_[support], oracle.coef_, atol=1e-5)
        assert model.intercept_ == pytest.approx(oracle.intercept_, abs=1e-4)
    assert model.solution_.converged
    assert model.solution_.certificate.kind == "fixed_point"
    assert model.penalty_ is not model.penalty


def test_convex_penalties_equal_their_own_estimators(data):
    X, y, _ = data
    for mine, theirs in [
        (PenalizedRegressor(L1(0.1), tol=1e-10), Lasso(0.1, solver="cvxpy", tol=1e-7)),
        (PenalizedRegressor(L1L2(0.1, 0.3), tol=1e-10), ElasticNet(0.1, l1_ratio=0.3, solver="cvxpy", tol=1e-7)),
    ]:
        mine.fit(X, y)
        theirs.fit(X, y)
        np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-5)
        assert mine.solution_.certificate.kind == "gap"


class Firm(Penalty):
    """Firm thresholding, a penalty of one's own in a few lines."""

    def __init__(self, alpha=0.2, mu=2.0):
        self.alpha = alpha
        self.mu = mu

    def value_elementwise(self, w):
        z = np.minimum(np.abs(w), self.mu)
        return self.alpha * (z - z**2 / (2 * self.mu))

    def prox(self, x, step, positive=False):
        x, eta = np.maximum(x, 0.0) if positive else np.asarray(x), step * self.alpha
        hard = np.where(np.abs(x) > np.sqrt(eta * self.mu), x, 0.0)
        inner = (np.abs(x) - eta) / np.where(eta < self.mu, 1 - eta / self.mu, 1.0)
        firm = np.sign(x) * np.where(np.abs(x) >= self.mu, np.abs(x), np.maximum(inner, 0.0))
        return np.where(eta < self.mu, firm, hard)


@pytest.mark.parametrize("solver", ["auto", "ista", "coordinate_descent"])
def test_a_penalty_of_ones_own(solver, data):
    X, y, coef = data
    model = PenalizedRegressor(Firm(), solver=solver, tol=1e-8).fit(X, y)
    assert np.array_equal(model.coef_ != 0, coef != 0)
    # It is MCP in other words.
    reference = PenalizedRegressor(MCP(0.2, gamma=10.0), tol=1e-8).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-6)
    assert clone(model).get_params()["penalty__mu"] == 2.0


def test_grid_search_over_the_penalty(data):
    X, y, coef = data
    model = PenalizedRegressor(MCP())
    search = GridSearchCV(model, {"penalty__alpha": [10.0, 1.0, 0.1], "penalty__gamma": [2.0, 4.0]}, cv=3).fit(X, y)
    assert search.best_params_["penalty__alpha"] == 0.1
    assert np.all((search.best_estimator_.coef_ != 0)[coef != 0])
    kinds = GridSearchCV(model, {"penalty": [L0(0.02), SCAD(10.0)], "solver": [CoordinateDescent(), "ista"]}, cv=3)
    assert isinstance(kinds.fit(X, y).best_params_["penalty"], L0)


def test_pickle_clone_and_parameters(data):
    X, y, _ = data
    model = PenalizedRegressor(SCAD(0.1, 3.0)).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict(X), model.predict(X))
    assert clone(model).penalty.gamma == 3.0
    assert clone(model).penalty is not model.penalty
    model.set_params(penalty__alpha=5.0)
    assert model.penalty.alpha == 5.0
    assert model.penalty_.alpha == 0.1


@pytest.mark.parametrize("penalty", [MCP(0.1), L1(0.1), Firm(0.1)], ids=repr)
def test_sparse_float32_and_several_targets(penalty, data):
    X, y, _ = data
    X = X * (np.random.default_rng(1).random(X.shape) < 0.5)
    model = PenalizedRegressor(penalty, tol=1e-9)
    dense = clone(model).fit(X, y)
    for form in (sparse.csc_matrix, sparse.csr_array):
        again = clone(model).fit(form(X), y)
        np.testing.assert_allclose(again.coef_, dense.coef_, atol=1e-6)
        np.testing.assert_allclose(again.predict(form(X)), dense.predict(X), atol=1e-6)
    single = clone(model).set_params(tol=1e-6).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, dense.coef_, atol=1e-4)
    both = clone(model).fit(X, np.column_stack([y, -2 * y]))
    assert both.coef_.shape == (2, 20)
    assert both.intercept_.shape == (2,)
    assert both.predict(X).shape == (80, 2)
    np.testing.assert_allclose(both.coef_[0], dense.coef_, atol=1e-8)
    assert len(both.n_iter_) == 2


def test_sample_weight_positive_and_weights(data):
    X, y, _ = data
    counts = np.random.default_rng(2).integers(0, 4, 80)
    weighted = PenalizedRegressor(MCP(0.1), tol=1e-9).fit(X, y, sample_weight=counts)
    repeated = PenalizedRegressor(MCP(0.1), tol=1e-9).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-7)
    positive = PenalizedRegressor(MCP(0.1), positive=True).fit(X, y)
    assert np.all(positive.coef_ >= 0)
    assert positive.coef_[7] == 0
    weights = np.ones(20)
    weights[2], weights[7], weights[0] = np.inf, 0.0, 0.0
    chosen = PenalizedRegressor(MCP(0.1), positive=True, weights=weights).fit(X, y)
    assert chosen.coef_[2] == 0
    assert chosen.coef_[7] < 0
    assert chosen.coef_[0] != 0


def test_warm_start_never_ends_above_a_cold_start(data):
    X, y, _ = data
    model = PenalizedRegressor(L0(5.0), warm_start=True)
    for alpha in (5.0, 1.0, 0.1, 0.01, 1.0):
        model.set_params(penalty__alpha=alpha).fit(X, y)
        cold = PenalizedRegressor(L0(alpha)).fit(X, y)
        assert model.solution_.objective <= cold.solution_.objective * (1 + 1e-12)
    before = model.solution_.n_iter
    assert model.fit(X, y).solution_.n_iter <= before


def test_a_short_run_warns_and_keeps_its_point(data):
    X, y, _ = data
    model = PenalizedRegressor(MCP(0.01), max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match=r"fixed_point .*tolerance 1e-12.*increase max_iter"):
        model.fit(X, y)
    assert model.coef_.any()
    assert not model.solution_.converged


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"penalty": "lasso"}, ValueError, "penalty='lasso' is not in the table: use one of l1, elastic_net"),
        ({"penalty": 3}, ValueError, "penalty"),
        ({"penalty": MCP}, ValueError, "penalty"),
        ({"penalty": MCP(-0.1)}, ValueError, "MCP: alpha=-0.1"),
        ({"penalty": MCP(np.nan)}, ValueError, "MCP: alpha=nan"),
        ({"penalty": Lq(0.1, 1.0)}, ValueError, "Use L1"),
        ({"penalty": SCAD(0.1, 2.0)}, ValueError, "gamma=2.0 must be finite and above 2"),
        ({"tol": -1.0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"weights": [1.0]}, ValueError, "weights has shape"),
        ({"weights": [-1.0] * 20}, ValueError, r"weights\[0\]=-1.0"),
        ({"solver": "fista"}, ValueError, "fista"),
        ({"solver": CoordinateDescent}, TypeError, "is a class"),
        ({"penalty": L0(0.1), "solver": "skglm"}, *SKGLM_REFUSES),
    ],
)
def test_bad_parameters_leave_nothing_fitted(params, error, message, data):
    X, y, _ = data
    model = PenalizedRegressor(MCP(0.1)).fit(X, y)
    with pytest.raises(error, match=message):
        model.set_params(**params).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_parameters_of_a_penalty_that_is_a_name():
    with pytest.raises(ValueError, match=r"penalty='mcp' is a name and has no parameters.*make_penalty\('mcp'\)"):
        PenalizedRegressor("mcp").set_params(penalty__alpha=0.1)
    model = PenalizedRegressor("mcp").set_params(penalty=MCP(), penalty__alpha=0.1)
    assert model.penalty.alpha == 0.1


@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_extreme_data_are_refused_with_a_remedy(factor, data):
    X, y, _ = data
    with pytest.raises(ValueError, match=r"X has entries of the order of 2\*\*.*bring X into 1e-100 to 1e100"):
        PenalizedRegressor(MCP(0.1)).fit(X * factor, y)
    with pytest.raises(ValueError, match=r"bring y into"):
        PenalizedRegressor(MCP(0.1)).fit(X, y * factor)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_large_and_small_data_within_the_range(factor, data):
    X, y, _ = data
    base = PenalizedRegressor(L0(0.02), tol=1e-8).fit(X, y)
    scaled = PenalizedRegressor(L0(0.02 * factor**2), tol=1e-8).fit(X, y * factor)
    np.testing.assert_allclose(scaled.coef_, base.coef_ * factor, rtol=1e-6)
    other = PenalizedRegressor(L0(0.02), tol=1e-8).fit(X * factor, y)
    np.testing.assert_allclose(other.coef_, base.coef_ / factor, rtol=1e-6)


@pytest.mark.parametrize("penalty", [CEL0(0.02), LogSum(0.1), CappedL1(0.1)], ids=repr)
def test_in_a_pipeline(penalty, data):
    X, y, _ = data
    assert make_pipeline(StandardScaler(), PenalizedRegressor(penalty)).fit(X, y).score(X, y) > 0.9
