"""Data as the linear estimators receive it: memory that is not theirs, extreme scales, and fits that fail."""

import warnings
from typing import ClassVar

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GroupKFold

from estimand import (
    ElasticNet,
    ElasticNetCV,
    Lasso,
    LassoCV,
    PenalizedLogisticRegression,
    PenalizedRegressor,
    lasso_path,
)
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.coordinate_descent import CoordinateDescent

ESTIMATORS = [
    Lasso(alpha=0.01),
    ElasticNet(alpha=0.01),
    LassoCV(cv=2, alphas=3),
    ElasticNetCV(cv=2, alphas=3),
    PenalizedRegressor(),
    PenalizedLogisticRegression(),
]


def data(n=60, p=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ (rng.standard_normal(p) * (rng.random(p) < 0.2)) + 0.1 * rng.standard_normal(n)


def unsorted(X):
    """Return a CSR matrix with the entries of each row in reverse order."""
    X = sparse.csr_matrix(X)
    for first, last in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[first:last] = X.indices[first:last][::-1].copy()
        X.data[first:last] = X.data[first:last][::-1].copy()
    X.has_sorted_indices = False
    return X


def read_only(X):
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    return X


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("locked", [False, True], ids=["writable", "read-only"])
def test_unsorted_sparse_input_stays_as_it_is(estimator, locked):
    X, y = data()
    X = X * (np.abs(X) > 0.7)
    y = y > 0 if isinstance(estimator, PenalizedLogisticRegression) else y
    given = unsorted(X)
    before = given.indices.copy()
    model = clone(estimator).fit(read_only(given) if locked else given, y)
    np.testing.assert_array_equal(given.indices, before)
    np.testing.assert_allclose(model.coef_, clone(estimator).fit(sparse.csr_matrix(X), y).coef_, atol=1e-12)


@pytest.mark.parametrize("solver", ["auto", CoordinateDescent(gram_max_bytes=0)], ids=["auto", "residual"])
def test_read_only_sparse_columns(solver):
    X = sparse.random(300, 100, 0.05, random_state=0, format="csc")
    y = X @ np.linspace(-1, 1, 100)
    expected = Lasso(alpha=1e-3, solver=solver).fit(X.copy(), y).coef_
    np.testing.assert_array_equal(Lasso(alpha=1e-3, solver=solver).fit(read_only(X), y).coef_, expected)


@pytest.mark.parametrize("estimator", [Lasso(), ElasticNet(), PenalizedLogisticRegression()])
@pytest.mark.parametrize("scale", [1e-300, 1e-315])
def test_penalties_that_overflow_in_scaled_coordinates_give_zeros(estimator, scale):
    X, y = data()
    y = y > 0 if isinstance(estimator, PenalizedLogisticRegression) else y
    model = clone(estimator).fit(X * scale, y)
    assert model.solution_.converged
    np.testing.assert_array_equal(model.coef_, 0)


def test_penalty_that_underflows_in_scaled_coordinates_keeps_the_sign_constraint():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = Lasso(alpha=1e-200, positive=True).fit(X * 1e150, y * 1e150)
    assert model.coef_.min() >= 0
    assert model.coef_.max() > 0


def test_results_beyond_float64_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match="coefficients exceed float64"):
        LassoCV(alphas=5).fit(X * 1e-315, y)
    with pytest.raises(ValueError, match="penalties which set coefficients to 0 exceed float64"):
        LassoCV(alphas=5).fit(X * 1e200, y * 1e200)


def test_subnormal_penalty_does_not_overflow():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert np.all(Lasso(alpha=1e-320, positive=True).fit(X, y).coef_ >= 0)


def test_penalty_weights_that_overflow_exclude_without_a_warning():
    X, y = data()
    weights = np.ones(20)
    weights[0] = 1e308
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Lasso(alpha=100.0, weights=weights, solver="coordinate_descent").fit(X * 1e3, y * 1e3)
    assert model.solution_.converged
    assert model.coef_[0] == 0


def test_huge_sample_weights_do_not_overflow():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Lasso(alpha=0.1).fit(X, y, sample_weight=np.full(60, 1e308))
    np.testing.assert_allclose(model.coef_, Lasso(alpha=0.1).fit(X, y).coef_, rtol=1e-10)


@pytest.mark.parametrize("l1_ratio", [0.5, [0.2, 1.0]])
def test_grids_refuse_positive_without_a_penalty(l1_ratio):
    X, y = data()
    with pytest.raises(ValueError, match="alpha=0 with positive=True"):
        LassoCV(alphas=[1.0, 0.0], positive=True).fit(X, y)
    with pytest.raises(ValueError, match="alpha=0 with positive=True"):
        ElasticNetCV(l1_ratio=l1_ratio, alphas=[1.0, 0.0], positive=True).fit(X, y)
    with pytest.raises(ValueError, match="alpha=0 with positive=True"):
        lasso_path(X, y, alphas=[1.0, 0.0], positive=True)


def test_folds_without_weight_are_named():
    X, y = data()
    weight = np.r_[np.zeros(15), np.ones(45)]
    with pytest.raises(ValueError, match=r"All test rows of fold 0 of cv have sample_weight 0"):
        LassoCV(cv=4, alphas=3).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"All training rows of fold 0 of cv have sample_weight 0"):
        LassoCV(cv=4, alphas=3).fit(X, y, sample_weight=1 - weight)


class InterruptedOnce(CoordinateDescent):
    """A solver that Ctrl-C hits at its first check, once."""

    calls: ClassVar[list[float]] = []

    def solve(self, problem, *, start=None, tol, callback=None):
        self.calls.append(problem.alpha)

        def press(state):
            if len(self.calls) == 1:
                raise KeyboardInterrupt

        return super().solve(problem, start=start, tol=tol, callback=press)


def test_ctrl_c_in_one_fold_stops_the_others():
    X, y = data()
    model = LassoCV(cv=3, alphas=4, solver=InterruptedOnce())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(InterruptedOnce.calls) == 1
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_warning_raised_as_an_error_before_the_solve_leaves_nothing_fitted():
    X, y = data(n=10)
    model = Lasso(alpha=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="least norm"):
            model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_warning_raised_as_an_error_after_the_solve_keeps_the_fit():
    X, y = data()
    model = Lasso(alpha=0.01, solver="fista", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(X, y)
    assert model.predict(X).shape == y.shape


def test_columns_in_the_free_span_have_no_penalty_of_their_own():
    X, y = np.ones((30, 3)), np.arange(30.0)
    assert LassoProblem(A=X, y=y, alpha=1.0, fit_intercept=True).alpha_max() == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LassoCV(cv=3).fit(X, y)
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.intercept_ == pytest.approx(14.5)


def test_cross_validation_routes_groups_to_the_splitter():
    X, y = data()
    groups = np.repeat(np.arange(6), 10)
    with config_context(enable_metadata_routing=True):
        model = LassoCV(cv=GroupKFold(3), alphas=5).fit(X, y, groups=groups)
    by_hand = LassoCV(cv=list(GroupKFold(3).split(X, y, groups)), alphas=5).fit(X, y)
    np.testing.assert_array_equal(model.mse_path_, by_hand.mse_path_)
    with pytest.raises(TypeError, match="groups"):
        LassoCV().fit(X, y, groups=groups)
