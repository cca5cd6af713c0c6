"""Lasso and ElasticNet as estimators: scikit-learn's contract, its reference results, invariances, bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from estimand import ElasticNet, ElasticNetCV, Lasso, LassoCV
from estimand.exceptions import BackendUnavailableError, UnsupportedProblemError
from estimand.solvers.lasso import LassoProblem
from estimand.solvers.lasso.coordinate_descent import CoordinateDescent
from estimand.solvers.lasso.cvxpy import CVXPY
from estimand.solvers.lasso.fista import FISTA

DIABETES = load_diabetes(return_X_y=True)


@parametrize_with_checks([Lasso(), ElasticNet(), LassoCV(), ElasticNetCV()])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def data(n=60, p=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X[:, :4] @ [3.0, -2.0, 1.0, 0.5] + 0.5 * rng.standard_normal(n) + 7.0


class TestReferenceResults:
    @pytest.mark.parametrize("alpha", [0.01, 0.1, 1.0, 10.0])
    @pytest.mark.parametrize("l1_ratio", [1.0, 0.7, 0.2])
    def test_scikit_learn_on_diabetes(self, alpha, l1_ratio):
        X, y = DIABETES
        ours = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12).fit(X, y)
        theirs = linear_model.ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000).fit(X, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max() + 1e-12)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)

    def test_longley_without_penalty_to_seven_digits(self):
        longley = sm.datasets.longley.load()
        X, y = longley.exog.to_numpy(float), longley.endog.to_numpy(float)
        certified = [15.0618722713733, -0.358191792925910e-01, -2.02022980381683, -1.03322686717359]
        certified += [-0.511041056535807e-01, 1829.15146461355]
        for model in (Lasso(alpha=0.0), Lasso(alpha=1e-9, tol=1e-16)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y)
            np.testing.assert_allclose(model.coef_, certified, rtol=1e-7)
            np.testing.assert_allclose(model.intercept_, -3482258.63459582, rtol=1e-7)

    def test_lasso_cv_agrees_with_scikit_learn(self):
        X, y = DIABETES
        ours = LassoCV(cv=5, tol=1e-9).fit(X, y)
        theirs = linear_model.LassoCV(cv=5, tol=1e-9, max_iter=100_000).fit(X, y)
        np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-10)
        np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-5)
        assert ours.alpha_ == pytest.approx(theirs.alpha_)

    def test_elastic_net_cv_agrees_with_scikit_learn(self):
        X, y = DIABETES
        options = {"l1_ratio": [0.3, 0.9], "cv": 4, "alphas": 20}
        ours = ElasticNetCV(**options, tol=1e-9).fit(X, y)
        theirs = linear_model.ElasticNetCV(**options, tol=1e-9, max_iter=100_000).fit(X, y)
        assert ours.mse_path_.shape == theirs.mse_path_.shape == (2, 20, 4)
        np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-5)
        assert (ours.alpha_, ours.l1_ratio_) == (pytest.approx(theirs.alpha_), theirs.l1_ratio_)


class TestInvariances:
    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000))
    def test_permutation_of_features_and_samples(self, seed):
        X, y = data(seed=seed)
        rng = np.random.default_rng(seed)
        features, samples = rng.permutation(X.shape[1]), rng.permutation(X.shape[0])
        plain = Lasso(alpha=0.1, tol=1e-12).fit(X, y)
        permuted = Lasso(alpha=0.1, tol=1e-12).fit(X[samples][:, features], y[samples])
        np.testing.assert_allclose(permuted.coef_, plain.coef_[features], atol=1e-6)

    @settings(max_examples=25, deadline=None)
    @given(exponent=st.integers(-250, 250), seed=st.integers(0, 1000))
    def test_scale_of_the_response(self, exponent, seed):
        X, y = data(seed=seed)
        factor = 10.0**exponent
        plain = Lasso(alpha=0.1, tol=1e-10).fit(X, y)
        scaled = Lasso(alpha=0.1 * factor, tol=1e-10).fit(X, y * factor)
        np.testing.assert_allclose(scaled.coef_ / factor, plain.coef_, atol=1e-5)
        assert scaled.solution_.converged

    @settings(max_examples=25, deadline=None)
    @given(exponent=st.integers(-250, 250), seed=st.integers(0, 1000))
    def test_scale_of_the_design(self, exponent, seed):
        X, y = data(seed=seed)
        factor = 10.0**exponent
        plain = ElasticNet(alpha=0.1, l1_ratio=1.0, tol=1e-10).fit(X, y)
        scaled = ElasticNet(alpha=0.1 * factor, l1_ratio=1.0, tol=1e-10).fit(X * factor, y)
        np.testing.assert_allclose(scaled.coef_ * factor, plain.coef_, atol=1e-5)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 1000), fit_intercept=st.booleans())
    def test_integer_weights_equal_repeated_rows(self, seed, fit_intercept):
        X, y = data(n=30, seed=seed)
        weight = np.random.default_rng(seed).integers(0, 4, 30)
        weight[0] = 1
        weighted = Lasso(alpha=0.1, tol=1e-12, fit_intercept=fit_intercept).fit(X, y, sample_weight=weight)
        repeated = Lasso(alpha=0.1, tol=1e-12, fit_intercept=fit_intercept).fit(X.repeat(weight, 0), y.repeat(weight))
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-5)

    def test_rescaled_column_divides_its_coefficient_when_its_weight_follows(self):
        X, y = data()
        factor = 10.0 ** np.random.default_rng(0).uniform(-8, 8, X.shape[1])
        plain = Lasso(alpha=0.1, tol=1e-12).fit(X, y)
        scaled = Lasso(alpha=0.1, tol=1e-12, weights=factor).fit(X * factor, y)
        np.testing.assert_allclose(scaled.coef_ * factor, plain.coef_, atol=1e-6)

    def test_duplicate_and_zero_columns_change_no_prediction(self):
        X, y = data()
        plain = Lasso(alpha=0.1, tol=1e-12).fit(X, y)
        more = np.column_stack([X, X[:, 0], np.zeros(len(y)), np.full(len(y), 3.0)])
        model = Lasso(alpha=0.1, tol=1e-12).fit(more, y)
        np.testing.assert_allclose(model.predict(more), plain.predict(X), atol=1e-5)
        np.testing.assert_array_equal(model.coef_[-2:], 0.0)

    def test_objective_falls_with_alpha(self):
        X, y = data()
        values = [Lasso(alpha=a).fit(X, y).solution_.objective for a in (1.0, 0.5, 0.1, 0.01)]
        assert values == sorted(values, reverse=True)

    @pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csc_array, np.asfortranarray, pd.DataFrame])
    def test_containers(self, convert):
        X, y = data()
        X[np.abs(X) < 0.7] = 0.0
        plain, other = Lasso(alpha=0.1, tol=1e-12).fit(X, y), Lasso(alpha=0.1, tol=1e-12).fit(convert(X), y)
        np.testing.assert_allclose(other.coef_, plain.coef_, atol=1e-6)
        np.testing.assert_allclose(other.predict(convert(X)), plain.predict(X), atol=1e-5)

    def test_float32_stays_float32(self):
        X, y = data()
        model = Lasso(alpha=0.1).fit(X.astype(np.float32), y.astype(np.float32))
        assert model.coef_.dtype == model.predict(X.astype(np.float32)).dtype == np.float32
        np.testing.assert_allclose(model.coef_, Lasso(alpha=0.1).fit(X, y).coef_, atol=1e-3)

    def test_threads_do_not_change_the_answer(self):
        X, y = data(n=200, p=500)
        answers = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                answers.append(Lasso(alpha=0.05, tol=1e-10).fit(X, y).coef_)
        np.testing.assert_allclose(*answers, atol=1e-8)

    def test_multiple_targets_equal_separate_fits(self):
        X, y = data()
        Y = np.column_stack([y, -2 * y, np.ones_like(y)])
        joint = Lasso(alpha=0.1).fit(X, Y)
        assert joint.coef_.shape == (3, 20)
        assert joint.predict(X).shape == Y.shape
        for k in range(3):
            np.testing.assert_allclose(joint.coef_[k], Lasso(alpha=0.1).fit(X, Y[:, k]).coef_)

    def test_alpha_max_gives_exact_zeros(self):
        X, y = data()
        alpha_max = LassoProblem(A=X, y=y, alpha=1.0, fit_intercept=True).alpha_max()
        model = Lasso(alpha=alpha_max).fit(X, y)
        assert not model.coef_.any()
        assert model.intercept_ == pytest.approx(y.mean())

    def test_weights_free_and_exclude(self):
        X, y = data()
        weights = np.ones(20)
        weights[[0, 5]], weights[1] = 0.0, np.inf
        model = Lasso(alpha=100.0, weights=weights).fit(X, y)
        assert np.flatnonzero(model.coef_).tolist() == [0, 5]
        least_squares = linear_model.LinearRegression().fit(X[:, [0, 5]], y)
        np.testing.assert_allclose(model.coef_[[0, 5]], least_squares.coef_, rtol=1e-9)


class TestToolkit:
    def test_pickle_and_clone(self):
        X, y = data()
        model = Lasso(alpha=0.1, solver=FISTA(max_iter=5000)).fit(X, y)
        copy = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
        assert copy.solution_.state is None
        assert len(pickle.dumps(model)) < 20_000
        assert clone(model).get_params()["solver__max_iter"] == 5000

    def test_grid_search_over_solver_its_options_and_alpha(self):
        X, y = data()
        grid = [
            {"lasso__solver": ["coordinate_descent", CVXPY()], "lasso__alpha": [0.01, 0.1]},
            {"lasso__solver": [CoordinateDescent()], "lasso__solver__max_iter": [50, 100]},
        ]
        search = GridSearchCV(make_pipeline(StandardScaler(), Lasso()), grid, cv=3).fit(X, y)
        scores = search.cv_results_["mean_test_score"]
        assert np.isfinite(scores).all()
        np.testing.assert_allclose(scores[[0, 2]], scores[[1, 3]], atol=1e-5)

    def test_warm_start_needs_fewer_passes(self):
        X, y = DIABETES
        model = Lasso(alpha=0.1, tol=1e-10, warm_start=True, solver="fista", max_iter=100_000).fit(X, y)
        cold = model.n_iter_
        assert model.fit(X, y).n_iter_ < cold / 2

    def test_instance_solver_is_cloned_and_parameters_are_left_alone(self):
        X, y = data()
        solver = CoordinateDescent(max_iter=7)
        model = Lasso(solver=solver).fit(X, y)
        assert model.solver is solver
        assert model.solver_ is not solver
        assert model.solver_.max_iter == 7

    def test_read_only_memory_map(self, tmp_path):
        X, y = data()
        np.save(tmp_path / "X.npy", np.asfortranarray(X))
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        np.testing.assert_allclose(Lasso(alpha=0.1).fit(mapped, y).coef_, Lasso(alpha=0.1).fit(X, y).coef_, atol=1e-9)

    def test_fortran_ordered_data_is_not_copied(self):
        import tracemalloc

        rng = np.random.default_rng(0)
        X, y = np.asfortranarray(rng.standard_normal((1000, 5000))), rng.standard_normal(1000)
        tracemalloc.start()
        Lasso(alpha=0.08).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.5 * X.nbytes


class TestBadInput:
    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            ([[np.nan], [1.0]], [1.0, 2.0], "NaN"),
            ([[np.inf], [1.0]], [1.0, 2.0], "infinity"),
            ([[1.0], [2.0]], [1.0, np.nan], "NaN"),
            ([1.0, 2.0], [1.0, 2.0], "Expected 2D array"),
            (np.empty((0, 3)), [], "0 sample"),
            (np.empty((3, 0)), [1.0, 2.0, 3.0], "0 feature"),
            ([[1.0], [2.0]], [1.0, 2.0, 3.0], "inconsistent numbers of samples"),
            ([["a"], ["b"]], [1.0, 2.0], "could not convert string"),
        ],
    )
    @pytest.mark.parametrize(
        "model", [Lasso(), ElasticNet(), LassoCV(), ElasticNetCV()], ids=lambda m: type(m).__name__
    )
    def test_data(self, model, X, y, message):
        model = clone(model)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
        assert not [name for name in vars(model) if name.endswith("_")]

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"alpha": -1.0}, "'alpha' parameter"),
            ({"alpha": np.nan}, "'alpha' parameter"),
            ({"alpha": np.inf}, "'alpha' parameter"),
            ({"tol": -1.0}, "'tol' parameter"),
            ({"max_iter": 0}, "'max_iter' parameter"),
            ({"weights": [1.0]}, "weights has shape"),
            ({"weights": -np.ones(20)}, r"weights\[0\]=-1"),
            ({"weights": np.full(20, np.nan)}, r"weights\[0\]=nan"),
            ({"alpha": 0.0, "positive": True}, "nonnegative least squares"),
            ({"solver": "newton"}, "'coordinate_descent'"),
        ],
    )
    def test_parameters(self, parameters, message):
        X, y = data()
        model = Lasso(**parameters)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
        assert not hasattr(model, "n_features_in_")

    @pytest.mark.parametrize("weight", [[-1.0, 1.0], [0.0, 0.0], [np.nan, 1.0], [1.0]])
    def test_sample_weight(self, weight):
        with pytest.raises(ValueError, match=r"weight|Sample|shape"):
            Lasso().fit([[1.0], [2.0]], [1.0, 2.0], sample_weight=weight)

    def test_solver_that_is_not_a_solver(self):
        X, y = data()
        with pytest.raises(TypeError, match="is a class: pass an instance"):
            Lasso(solver=CoordinateDescent).fit(X, y)
        with pytest.raises(ValueError, match="is a name and has no parameters"):
            Lasso(solver="fista").set_params(solver__max_iter=3)

    def test_backend_that_cannot_do_what_is_asked(self):
        X, y = data()
        with pytest.raises(UnsupportedProblemError, match=r"does not support free, weights.*'coordinate_descent'"):
            Lasso(solver="sklearn", weights=np.arange(20.0)).fit(X, y)

    def test_missing_package_names_its_install_line(self, monkeypatch):
        from estimand.solvers.lasso.celer import Celer

        monkeypatch.setattr(Celer, "requires", ("a_package_that_is_not_there",))
        X, y = data()
        with pytest.raises(BackendUnavailableError, match="pip install a_package_that_is_not_there"):
            Lasso(solver="celer").fit(X, y)
        with pytest.raises(ValueError, match="'celer' after pip install"):
            Lasso(solver="unknown").fit(X, y)

    def test_alpha_zero_with_more_features_than_samples(self):
        X, y = data(n=5)
        with pytest.warns(UserWarning, match="the one of least norm is returned"):
            model = Lasso(alpha=0.0).fit(X, y)
        centred = np.linalg.pinv(X - X.mean(0)) @ (y - y.mean())
        np.testing.assert_allclose(model.coef_, centred, atol=1e-10)

    def test_constant_response_and_zero_design(self):
        X, y = data()
        constant = Lasso(alpha=0.1).fit(X, np.full_like(y, 0.1))
        assert not constant.coef_.any()
        assert constant.intercept_ == pytest.approx(0.1)
        zero = Lasso(alpha=0.1).fit(np.zeros_like(X), y)
        assert not zero.coef_.any()
        assert zero.intercept_ == pytest.approx(y.mean())
        assert zero.solution_.converged

    def test_one_row(self):
        model = Lasso(alpha=0.1).fit([[1.0, 2.0]], [3.0])
        assert not model.coef_.any()
        assert model.intercept_ == 3.0

    def test_object_array_of_numbers_is_converted(self):
        X, y = data()
        np.testing.assert_allclose(Lasso().fit(X.astype(object), y).coef_, Lasso().fit(X, y).coef_)

    def test_predict_before_fit_and_with_other_features(self):
        with pytest.raises(NotFittedError):
            Lasso().predict([[1.0]])
        X, y = data()
        with pytest.raises(ValueError, match="features"):
            Lasso().fit(X, y).predict(X[:, :3])

    def test_iteration_limit_warns_with_figures_and_a_remedy(self):
        X, y = DIABETES
        with pytest.warns(ConvergenceWarning, match=r"relative gap .* tolerance 1e-12.*increase max_iter") as caught:
            model = Lasso(alpha=0.01, solver="fista", max_iter=2, tol=1e-12).fit(X, y)
        assert caught[0].filename == __file__
        assert not model.solution_.converged
        assert model.solution_.certificate.value > 0

    def test_max_iter_beside_an_instance_warns(self):
        X, y = data()
        with pytest.warns(UserWarning, match="keeps its own max_iter=1000"):
            Lasso(solver=CoordinateDescent(), max_iter=5).fit(X, y)


class Killed(CoordinateDescent):
    """A solver that Ctrl-C hits before it has a point."""

    def solve(self, problem, *, start=None, tol, callback=None):
        raise KeyboardInterrupt


class Interrupted(CoordinateDescent):
    """A solver that Ctrl-C hits after its first point."""

    def solve(self, problem, *, start=None, tol, callback=None):
        def press(state):
            raise KeyboardInterrupt

        return super().solve(problem, start=start, tol=tol, callback=press)


class TestInterruption:
    def test_killed_fit_leaves_nothing_fitted(self):
        X, y = data()
        model = Lasso().fit(X, y)
        model.set_params(solver=Killed())
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        with pytest.raises(NotFittedError):
            model.predict(X)

    def test_interrupted_fit_keeps_its_best_point_and_stops_the_search(self):
        X, y = data()
        model = Lasso(alpha=0.1, solver=Interrupted())
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        assert model.solution_.status == "interrupted"
        assert model.predict(X).shape == y.shape
        with pytest.raises(KeyboardInterrupt):
            GridSearchCV(Lasso(solver=Interrupted()), {"alpha": [0.1, 1.0]}).fit(X, y)
