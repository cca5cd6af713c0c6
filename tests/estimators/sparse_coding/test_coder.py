"""PenalizedSparseCoder: scikit-learn's checks and coders, any container and scale of signals, bad input."""

import pickle
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.decomposition import sparse_encode as reference_encode
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import PenalizedSparseCoder, sparse_encode
from estimand.estimators.sparse_coding import _encode
from estimand.penalties import L0, L1, L1L2, MCP, SCAD, Lq, Penalty
from estimand.solvers.lasso.cvxpy import CVXPY as LassoCVXPY
from estimand.solvers.lasso.homotopy import Homotopy as LassoHomotopy
from estimand.solvers.sparse_coding import SparseCodingProblem
from estimand.solvers.sparse_coding.cyclic_cd import CyclicCD
from estimand.solvers.sparse_coding.fista import FISTA
from estimand.solvers.sparse_coding.graduated import Graduated
from estimand.solvers.sparse_coding.homotopy import Homotopy

NAMES = ("l1", "elastic_net", "lq", "l0", "cel0", "mcp", "scad", "log", "capped_l1")
#: The number of features of the data of scikit-learn's checks, where it is not 3.
WIDTHS = {
    "check_dtype_object": 10,
    "check_estimators_dtypes": 5,
    "check_estimators_fit_returns_self": 2,
    "check_estimators_overwrite_params": 2,
    "check_fit2d_1feature": 1,
    "check_fit2d_1sample": 10,
    "check_fit_check_is_fitted": 2,
    "check_fit_idempotent": 2,
    "check_n_features_in": 2,
    "check_n_features_in_after_fitting": 4,
    "check_positive_only_tag_during_fit": 4,
    "check_readonly_memmap_input": 2,
    "check_transformers_unfitted_stateless": 5,
}


def atoms(seed, n_atoms, d, *, unit=True):
    D = np.random.default_rng(seed).standard_normal((n_atoms, d))
    return D / np.linalg.norm(D, axis=1, keepdims=True) if unit else D


def signals(seed, n, d):
    return np.random.default_rng(seed + 1000).standard_normal((n, d))


X, D = signals(0, 12, 10), atoms(0, 24, 10)


@parametrize_with_checks(
    [
        PenalizedSparseCoder(atoms(0, 5, 3), alpha=0.1),
        PenalizedSparseCoder(atoms(0, 5, 3), penalty="l0", alpha=0.1, fit_intercept=True, debias=True),
        PenalizedSparseCoder(atoms(0, 5, 3), n_nonzero_coefs=1, code_format="csr"),
    ],
    expected_failed_checks=lambda coder: {
        "check_transformer_n_iter": "max_iter limits the work of transform: fit has no iterations to count"
    },
)
def test_scikit_learn_checks(estimator, check):
    width = WIDTHS.get(check.func.__name__, 3)
    check(clone(estimator).set_params(dictionary=atoms(0, 5, width)))


def objectives(X, D, codes, value):
    """The objective of each signal by a formula of its own; `value` is the penalty of an array of entries."""
    return 0.5 * np.sum((X - codes @ D) ** 2, axis=1) + np.sum(value(np.abs(codes)), axis=1)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", [(12, 10, 24), (20, 16, 8), (5, 1, 3), (5, 6, 1)])
def test_l1_codes_equal_those_of_scikit_learn(shape, positive, unit):
    n, d, n_atoms = shape
    X, D = signals(1, n, d), atoms(1, n_atoms, d, unit=unit)
    for alpha in (0.03, 0.3, 3.0):
        mine = sparse_encode(X, D, alpha=alpha, positive=positive, tol=1e-11)
        value = objectives(X, D, mine, lambda w: alpha * w)  # noqa: B023
        # The first does not reach the minimum among nonnegative codes, the second has a tolerance of 1e-4.
        for algorithm, accuracy in (("lasso_lars", 0.1 if positive else 1e-8), ("lasso_cd", 1e-2)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                theirs = reference_encode(X, D, algorithm=algorithm, alpha=alpha, positive=positive, max_iter=10000)
            other = objectives(X, D, theirs, lambda w: alpha * w)  # noqa: B023
            assert np.all(value <= other * (1 + 1e-8))
            np.testing.assert_allclose(value, other, rtol=accuracy)


def test_few_atoms_equal_the_pursuit_of_scikit_learn():
    for k in (1, 3, 10):
        theirs = reference_encode(X, D, algorithm="omp", n_nonzero_coefs=k)
        mine = sparse_encode(X, D, n_nonzero_coefs=k)
        assert np.all(np.count_nonzero(mine, axis=1) == k)
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


def test_a_bound_on_the_error_is_kept():
    codes = sparse_encode(X, D, error_tol=0.5)
    error = np.sum((X - codes @ D) ** 2, axis=1)
    assert np.all(error <= 0.5 * (1 + 1e-9))
    count = np.count_nonzero(codes, axis=1)
    fewer = [sparse_encode(X[i : i + 1], D, n_nonzero_coefs=k - 1) for i, k in enumerate(count) if k > 1]
    assert len(fewer) > 6
    left = [np.sum((X[i] - w[0] @ D) ** 2) for i, w in zip(np.flatnonzero(count > 1), fewer, strict=True)]
    assert min(left) > 0.5


VALUES = [
    ({"alpha": 0.2}, lambda w: 0.2 * w),
    ({"penalty": "lq", "alpha": 0.2, "q": 0.3}, lambda w: 0.2 * w**0.3),
    ({"penalty": "l0", "alpha": 0.2}, lambda w: 0.2 * (w > 0)),
    ({"penalty": "mcp", "alpha": 0.2, "gamma": 4.0}, lambda w: np.where(w < 0.8, 0.2 * w - w**2 / 8, 0.08)),
    ({"penalty": L1L2(0.2, 0.7)}, lambda w: 0.14 * w + 0.03 * w**2),
    ({"n_nonzero_coefs": 2}, lambda w: 0.0 * w),
]


@pytest.mark.parametrize(("params", "value"), VALUES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_score_is_minus_the_mean_objective(params, value, fit_intercept):
    coder = PenalizedSparseCoder(D, fit_intercept=fit_intercept, **params).fit(X)
    codes = coder.transform(X)
    centred = X - X.mean(axis=0) if fit_intercept else X
    expected = objectives(centred, D, codes, value)
    assert coder.score(X) == pytest.approx(-expected.mean(), rel=1e-12)
    assert coder.encode(X).objective == pytest.approx(expected.sum(), rel=1e-12)


def test_the_score_under_a_bound_on_the_error_counts_atoms():
    coder = PenalizedSparseCoder(D, error_tol=0.5)
    assert coder.score(X) == -np.count_nonzero(coder.transform(X)) / len(X)


def test_encode_tells_how_it_went():
    coder = PenalizedSparseCoder(D, penalty="l0", alpha=0.1, tol=1e-9)
    solution = coder.encode(X)
    assert solution.converged
    assert solution.status == "converged"
    assert solution.certificate.kind == "fixed_point"
    assert solution.solver == "graduated"
    assert "continuation" in solution.choice
    np.testing.assert_array_equal(solution.x, coder.transform(X))
    lasso = coder.set_params(penalty="l1", solver="cyclic_cd").encode(X)
    assert lasso.certificate.kind == "gap"
    assert (lasso.solver, lasso.choice) == ("cyclic_cd", "")


@pytest.mark.parametrize("params", [{"penalty": name, "alpha": 0.1} for name in NAMES] + [{"n_nonzero_coefs": 3}])
def test_signals_do_not_see_each_other(params, monkeypatch):
    many = signals(3, 70, 10)
    coder = PenalizedSparseCoder(D, tol=1e-10, **params)
    whole = coder.transform(many)
    one_by_one = np.vstack([coder.transform(many[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one_by_one, whole[:5], rtol=1e-10, atol=1e-10)
    for size in (7, 64):
        parts = [coder.transform(many[first : first + size]) for first in range(0, len(many), size)]
        np.testing.assert_allclose(np.vstack(parts), whole, rtol=1e-10, atol=1e-10)
    monkeypatch.setattr(_encode, "_BLOCK", 13 * 24)
    np.testing.assert_allclose(coder.transform(many), whole, rtol=1e-10, atol=1e-10)


def test_blocks_change_neither_the_certificate_nor_the_objective(monkeypatch):
    coder = PenalizedSparseCoder(D, alpha=0.1, tol=1e-3)
    whole = coder.encode(X)
    monkeypatch.setattr(_encode, "_BLOCK", 5 * 24)
    parts = coder.encode(X)
    assert parts.objective == pytest.approx(whole.objective, rel=1e-12)
    for name in ("scale", "upper", "value", "tol"):
        expected = getattr(whole.certificate, name)
        assert getattr(parts.certificate, name) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    best = coder.set_params(tol=1e-12).encode(X).objective
    assert whole.objective - whole.certificate.value <= best <= whole.objective


@pytest.mark.parametrize("params", [{"alpha": 0.1}, {"penalty": "lq", "alpha": 0.1}, {"n_nonzero_coefs": 3}])
def test_codes_do_not_depend_on_threads(params):
    many = signals(4, 500, 10)
    one, two = (PenalizedSparseCoder(D, n_jobs=n_jobs, **params).transform(many) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("params", [{"alpha": 0.1}, {"penalty": "l0", "alpha": 0.1}, {"n_nonzero_coefs": 3}])
def test_containers(params, tmp_path):
    whole = np.round(3 * X)
    coder = PenalizedSparseCoder(D, **params)
    expected = coder.transform(whole)
    frozen = whole.copy()
    frozen.flags.writeable = False
    disk = np.memmap(tmp_path / "signals", dtype=np.float64, mode="w+", shape=whole.shape)
    disk[:] = whole
    disk.flush()
    read = np.memmap(tmp_path / "signals", dtype=np.float64, mode="r", shape=whole.shape)
    kinds = (
        frozen,
        read,
        np.asfortranarray(whole),
        whole.tolist(),
        whole.astype(int),
        np.repeat(whole, 2, axis=0)[::2],
    )
    for kind in kinds:
        codes = coder.transform(kind)
        assert codes.dtype == np.float64
        np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(coder.transform(pd.DataFrame(whole)), expected)
    D_frozen = D.copy()
    D_frozen.flags.writeable = False
    for dictionary in (D_frozen, np.asfortranarray(D), D.tolist(), pd.DataFrame(D)):
        np.testing.assert_array_equal(clone(coder).set_params(dictionary=dictionary).transform(whole), expected)


def test_inputs_are_not_written_to():
    signal, dictionary = X.copy(), D.copy()
    coder = PenalizedSparseCoder(dictionary, penalty="l0", alpha=0.1, fit_intercept=True, debias=True)
    coder.fit_transform(signal)
    np.testing.assert_array_equal(signal, X)
    np.testing.assert_array_equal(dictionary, D)
    assert coder.dictionary is dictionary


def test_single_precision():
    single = X.astype(np.float32)
    for params in ({"alpha": 0.1}, {"alpha": 0.1, "fit_intercept": True}, {"n_nonzero_coefs": 3}, {"debias": True}):
        coder = PenalizedSparseCoder(D, **params).fit(single)
        codes = coder.transform(single)
        assert codes.dtype == np.float32
        np.testing.assert_allclose(codes, clone(coder).fit_transform(single.astype(np.float64)), rtol=1e-5, atol=1e-6)
    assert PenalizedSparseCoder(D, code_format="csr").transform(single).dtype == np.float32
    with pytest.warns(UserWarning, match="tol=1e-08 is out of reach for codes that are rounded to float32: 1e-07"):
        solution = PenalizedSparseCoder(D, tol=1e-8).encode(single)
    assert solution.certificate.tol == 1e-7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PenalizedSparseCoder(D, tol=1e-7).transform(single)
        PenalizedSparseCoder(D, tol=1e-8).transform(X)


@pytest.mark.parametrize("debias", [False, True])
@pytest.mark.parametrize("params", [{"alpha": 0.3}, {"penalty": "mcp", "alpha": 0.3}, {"error_tol": 0.5}])
def test_sparse_codes_equal_dense_ones(params, debias, monkeypatch):
    monkeypatch.setattr(_encode, "_BLOCK", 5 * 24)
    dense = PenalizedSparseCoder(D, debias=debias, **params)
    codes = dense.transform(X)
    table = clone(dense).set_params(code_format="csr").transform(X)
    assert isinstance(table, sparse.csr_array)
    assert table.nnz == np.count_nonzero(codes) < codes.size
    np.testing.assert_array_equal(table.toarray(), codes)
    np.testing.assert_allclose(dense.inverse_transform(table), codes @ D, rtol=1e-12, atol=1e-14)


def test_memory_is_that_of_the_codes_and_a_few_blocks(monkeypatch):
    monkeypatch.setattr(_encode, "_BLOCK", 2**14)
    many, dictionary = signals(5, 20000, 8), atoms(5, 64, 8)
    coder = PenalizedSparseCoder(dictionary, alpha=2.0, code_format="csr", n_jobs=1)
    coder.transform(many[:100])
    tracemalloc.start()
    try:
        codes = coder.transform(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    output = codes.data.nbytes + codes.indices.nbytes + codes.indptr.nbytes
    assert codes.nnz > 20000
    assert peak < 3 * output + 2e6 < many.shape[0] * 64 * 8 / 2


def test_mean_and_inverse():
    shifted = X + 5.0
    coder = PenalizedSparseCoder(D, alpha=0.1, fit_intercept=True).fit(shifted)
    np.testing.assert_allclose(coder.mean_, shifted.mean(axis=0), rtol=1e-14)
    codes = coder.transform(shifted)
    np.testing.assert_allclose(codes, sparse_encode(shifted - coder.mean_, D, alpha=0.1), rtol=1e-12, atol=1e-14)
    for form in (codes, sparse.csr_array(codes), sparse.csc_matrix(codes), codes.tolist()):
        restored = coder.inverse_transform(form)
        assert isinstance(restored, np.ndarray)
        np.testing.assert_allclose(restored, codes @ D + coder.mean_, rtol=1e-12)
    assert np.linalg.norm(restored - shifted) < 0.2 * np.linalg.norm(X)
    with pytest.raises(ValueError, match="codes has 23 columns, but the dictionary has 24 atoms"):
        coder.inverse_transform(codes[:, 1:])
    # Another fit without a mean leaves none behind.
    coder.set_params(fit_intercept=False).fit(shifted)
    assert not hasattr(coder, "mean_")
    with pytest.raises(NotFittedError):
        coder.set_params(fit_intercept=True).transform(shifted)


@pytest.mark.parametrize("method", ["transform", "encode", "score", "inverse_transform"])
def test_a_mean_has_to_be_fitted(method):
    coder = PenalizedSparseCoder(D, fit_intercept=True)
    given = np.zeros((2, 24)) if method == "inverse_transform" else X
    with pytest.raises(NotFittedError, match="This PenalizedSparseCoder instance is not fitted yet"):
        getattr(coder, method)(given)
    getattr(coder.set_params(fit_intercept=False), method)(given)  # which needs none


def test_without_bias():
    plain = PenalizedSparseCoder(D, alpha=0.4).transform(X)
    codes = PenalizedSparseCoder(D, alpha=0.4, debias=True).transform(X)
    np.testing.assert_array_equal(codes != 0, plain != 0)
    assert np.ptp(np.count_nonzero(codes, axis=1)) > 0
    q = (X - codes @ D) @ D.T
    assert np.abs(q[codes != 0]).max() < 1e-13
    assert np.abs(((X - plain @ D) @ D.T)[codes != 0]).max() > 0.1


def test_without_bias_and_nonnegative():
    many = signals(6, 100, 6) + 0.5
    D = np.abs(atoms(6, 12, 6, unit=False))
    plain = PenalizedSparseCoder(D, alpha=0.05, positive=True, tol=1e-9).transform(many)
    codes = PenalizedSparseCoder(D, alpha=0.05, positive=True, tol=1e-9, debias=True).transform(many)
    assert codes.min() == 0
    q = (many - codes @ D) @ D.T
    assert np.abs(q[codes > 0]).max() < 1e-12
    dropped = (plain > 0) & (codes == 0)
    assert dropped.any()
    assert q[dropped].max() < 1e-12
    i = int(np.argmax(dropped.sum(axis=1)))
    fit = optimize.nnls(D[plain[i] > 0].T, many[i])[0]
    np.testing.assert_allclose(codes[i, plain[i] > 0], fit, rtol=1e-12)


def test_without_bias_on_copies_of_an_atom():
    double = np.vstack([D, D[:4]])
    codes = PenalizedSparseCoder(double, alpha=0.1, debias=True).transform(X)
    q = (X - codes @ double) @ double.T
    assert np.abs(q[codes != 0]).max() < 1e-12
    assert np.abs(codes).max() < 100


def test_names_and_frames():
    frame = pd.DataFrame(X, columns=list("abcdefghij"), index=np.arange(100, 112))
    coder = PenalizedSparseCoder(D, alpha=0.1)
    names = coder.get_feature_names_out()
    assert names.tolist() == [f"penalizedsparsecoder{j}" for j in range(24)]
    coder.set_output(transform="pandas").fit(frame)
    assert coder.feature_names_in_.tolist() == list("abcdefghij")
    assert coder.n_features_in_ == 10
    codes = coder.transform(frame)
    assert codes.columns.tolist() == names.tolist()
    assert codes.index.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(codes, sparse_encode(X, D, alpha=0.1))
    with pytest.raises(ValueError, match="feature names"):
        coder.transform(frame[list("bacdefghij")])
    with pytest.raises(ValueError, match="sparse"):
        coder.set_params(code_format="csr").transform(frame)


def test_attributes_before_and_after_fit():
    coder = PenalizedSparseCoder(D.tolist())
    np.testing.assert_array_equal(coder.components_, D)
    assert coder.n_components_ == 24
    assert not hasattr(coder, "n_features_in_")
    assert vars(coder.fit(X)).keys() == {*coder.get_params(), "n_features_in_"}
    coder.transform(X)
    assert vars(coder).keys() == {*coder.get_params(), "n_features_in_"}


def labelled(n=120):
    rng = np.random.default_rng(7)
    y = rng.integers(0, 2, n)
    centres = 2.0 * atoms(7, 2, 12)
    return centres[y] * rng.uniform(0.5, 2, (n, 1)) + 0.4 * rng.standard_normal((n, 12)), y


def test_in_a_pipeline():
    X, y = labelled()
    model = make_pipeline(PCA(5), PenalizedSparseCoder(atoms(8, 15, 5), alpha=0.1), LogisticRegression())
    model.fit(X, y)
    assert model.score(X, y) > 0.9
    assert model[:-1].get_feature_names_out().shape == (15,)
    codes = model[:-1].transform(X)
    np.testing.assert_array_equal(codes, sparse_encode(model[0].transform(X), atoms(8, 15, 5), alpha=0.1))
    with pytest.raises(ValueError, match="X has 5 features, but the atoms of the dictionary have 12"):
        clone(model).set_params(penalizedsparsecoder__dictionary=atoms(8, 15, 12)).fit(X, y)


def test_grid_searches():
    X, y = labelled()
    D = atoms(9, 20, 12)
    model = make_pipeline(PenalizedSparseCoder(D), LogisticRegression())
    grids = [
        {"penalizedsparsecoder__alpha": [0.1, 100.0], "penalizedsparsecoder__solver": ["auto", "fista", CyclicCD()]},
        {"penalizedsparsecoder__penalty": ["lq"], "penalizedsparsecoder__q": [0.3, 0.7]},
        {"penalizedsparsecoder__penalty": ["l0", MCP(0.1), SCAD(0.1)], "penalizedsparsecoder__alpha": [0.1]},
        {"penalizedsparsecoder__penalty": [Lq(1.0, 0.5)], "penalizedsparsecoder__penalty__alpha": [0.05, 50.0]},
    ]
    search = GridSearchCV(model, grids, cv=3, error_score="raise").fit(X, y)
    scores = dict(zip(map(str, search.cv_results_["params"]), search.cv_results_["mean_test_score"], strict=True))
    assert len(scores) == 13
    assert search.best_score_ > 0.9
    blind = [score for params, score in scores.items() if "100.0" in params or "50.0" in params]
    assert len(blind) == 4
    assert max(blind) < 0.7 < 0.9 < np.median(list(scores.values()))


def test_clone_pickle_and_parameters():
    coder = PenalizedSparseCoder(D, penalty=Lq(0.1, 0.4), fit_intercept=True).fit(X)
    again = pickle.loads(pickle.dumps(coder))
    np.testing.assert_array_equal(again.transform(X), coder.transform(X))
    copy = clone(coder)
    assert copy.penalty is not coder.penalty
    assert not hasattr(copy, "mean_")
    np.testing.assert_array_equal(copy.fit_transform(X), coder.transform(X))
    copy.set_params(penalty__q=0.6, penalty__alpha=0.2)
    assert (copy.penalty.q, copy.penalty.alpha) == (0.6, 0.2)
    expected = sparse_encode(X - X.mean(axis=0), D, penalty="lq", q=0.6, alpha=0.2)
    np.testing.assert_allclose(copy.transform(X), expected, rtol=1e-10, atol=1e-12)
    assert coder.penalty.q == 0.4


def test_parameters_of_a_penalty_that_is_a_name():
    coder = PenalizedSparseCoder(D, penalty="mcp")
    with pytest.raises(ValueError, match=r"penalty='mcp' is a name and has no parameters.*make_penalty\('mcp'\)"):
        coder.set_params(penalty__alpha=0.1)
    coder.set_params(penalty=MCP(), penalty__alpha=0.1)
    assert coder.penalty.alpha == 0.1
    with pytest.raises(ValueError, match=r"solver='auto' is a name and has no parameters"):
        coder.set_params(solver__max_iter=3)


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_by_name_takes_its_parameters_from_the_coder(name):
    extra = {"lq": {"q": 0.3}, "mcp": {"gamma": 5.0}, "scad": {"gamma": 5.0}}.get(name, {})
    coder = PenalizedSparseCoder(D, penalty=name, alpha=0.15, q=0.3, gamma=5.0)
    made = coder._penalty(coder.penalty, coder.alpha, coder.q, coder.gamma)
    assert made.get_params().items() >= {"alpha": 0.15, **extra}.items()
    codes = coder.transform(X)
    np.testing.assert_array_equal(codes, sparse_encode(X, D, penalty=made, alpha=77.0, q=0.9, gamma=9.0))
    assert 0 < np.count_nonzero(codes)
    assert coder.score(X) > -0.5 * np.sum(X**2) / len(X)


few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 10**6)


def power(name, q=0.5):
    """Return how the strength of a penalty grows with the signals."""
    return {"l1": 1.0, "l0": 2.0, "cel0": 2.0, "mcp": 1.0, "scad": 1.0, "lq": 2.0 - q}[name]


@few
@given(seeds)
def test_permuted_atoms_have_permuted_l1_codes(seed):
    D, order = atoms(seed, 15, 10), np.random.default_rng(seed).permutation(15)
    codes, other = (sparse_encode(X, A, alpha=0.2, tol=1e-12) for A in (D, D[order]))
    np.testing.assert_allclose(other, codes[:, order], atol=1e-8)


@few
@given(seeds, st.sampled_from(["l1", "lq", "l0", "mcp"]))
def test_rotated_features_have_the_same_codes(seed, name):
    D, rotation = atoms(seed, 15, 10), np.linalg.qr(atoms(seed + 1, 10, 10))[0]
    codes, other = (sparse_encode(X @ R, D @ R, penalty=name, alpha=0.2, tol=1e-11) for R in (np.eye(10), rotation))
    np.testing.assert_allclose(other, codes, atol=1e-7)


@few
@given(seeds, st.floats(-3, 3), st.sampled_from(["l1", "lq", "l0", "cel0"]), st.sampled_from([0.2, 0.5, 0.9]))
def test_scaled_signals_have_scaled_codes(seed, exponent, name, q):
    D, c = atoms(seed, 15, 10), 10.0**exponent
    options = {"penalty": name, "q": q, "tol": 1e-11}
    codes = sparse_encode(X, D, alpha=0.2, **options)
    scaled = sparse_encode(c * X, D, alpha=0.2 * c ** power(name, q), **options)
    np.testing.assert_allclose(scaled / c, codes, atol=1e-7)


@pytest.mark.parametrize("c", [1e-150, 1e150, 1e-105, 1e105])
@pytest.mark.parametrize("name", ["l1", "lq", "l0", "cel0", "mcp", "scad"])
def test_extreme_signals_are_coded_in_units_of_their_own(name, c):
    alpha = 0.2 * c ** power(name)
    gamma = {"gamma": 3.0} if name in ("mcp", "scad") else {}
    codes = sparse_encode(X, D, penalty=name, alpha=0.2, tol=1e-9, **gamma)
    scaled = sparse_encode(c * X, D, penalty=name, alpha=alpha, tol=1e-9, **gamma)
    np.testing.assert_allclose(scaled / c, codes, rtol=1e-9, atol=1e-9)
    if name not in ("mcp", "scad"):
        score = PenalizedSparseCoder(D, penalty=name, alpha=0.2, tol=1e-9).score(X)
        extreme = PenalizedSparseCoder(D, penalty=name, alpha=alpha, tol=1e-9).score(c * X)
        assert extreme == pytest.approx(score * c * c, rel=1e-9, abs=0)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_signals_among_others(name):
    A = atoms(10, 10, 10)
    mixed = np.vstack([X[:3], 1e-150 * X[:2], X[3:6], 1e150 * X[:2], np.zeros((1, 10)), 1e-300 * X[:1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = sparse_encode(mixed, A, penalty=name, alpha=0.1, tol=1e-9)
    normal = sparse_encode(X[:6], A, penalty=name, alpha=0.1, tol=1e-9)
    np.testing.assert_allclose(codes[[0, 1, 2, 5, 6, 7]], normal, rtol=1e-10, atol=1e-10)
    assert not codes[[3, 4, 10, 11]].any()
    fit = np.linalg.solve(A.T, X[:2].T).T
    if name != "elastic_net":  # whose ridge does not scale
        np.testing.assert_allclose(codes[8:10] / 1e150, fit, atol=1e-6)


@pytest.mark.parametrize("c", [5e-324 * 2**20, 1e-200, 1e200, 1.7e308])
def test_least_squares_at_the_ends_of_float64(c):
    signal = c * np.array([[1.0, 0.5, -0.25]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for params in ({"n_nonzero_coefs": 3}, {"error_tol": 0.0}):
            for given in (signal, np.vstack([np.ones((1, 3)), signal])):
                np.testing.assert_allclose(sparse_encode(given, np.eye(3), **params)[-1:], signal, rtol=1e-12)


def test_a_bound_on_the_error_scales_with_extreme_signals():
    for c in (1e-120, 1e120):
        codes = sparse_encode(c * X, D, error_tol=0.5 * c * c)
        np.testing.assert_allclose(codes / c, sparse_encode(X, D, error_tol=0.5), rtol=1e-9)
        coder = PenalizedSparseCoder(D, error_tol=0.5 * c * c)
        assert coder.score(c * X) == PenalizedSparseCoder(D, error_tol=0.5).score(X)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("c", [1e-307, 1e-210, 1e210, 1e307])
@pytest.mark.parametrize("alpha", [1e-20, 1.0, 1e20])
def test_strengths_that_leave_float64_in_the_units_of_a_signal(name, c, alpha):
    signal = c * np.array([[1.0, 0.5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = sparse_encode(signal, np.eye(2), penalty=name, alpha=alpha)
    if c < 1:
        assert not codes.any()
    elif name != "elastic_net":
        np.testing.assert_allclose(codes, signal, rtol=1e-9)


class Own(Penalty):
    def value_elementwise(self, w):
        return np.abs(w)

    def prox(self, x, step, positive=False):
        return np.sign(x) * np.maximum(np.abs(x) - step, 0)


def test_a_penalty_of_ones_own():
    codes = sparse_encode(X, D, penalty=Own(), tol=1e-9)
    np.testing.assert_allclose(codes, sparse_encode(X, D, alpha=1.0, tol=1e-9), atol=1e-6)
    with pytest.raises(ValueError, match=r"nobody knows how penalty=Own\(\) scales: bring X into that range"):
        sparse_encode(1e-150 * X, D, penalty=Own())


def fitted_attributes(coder):
    return {name for name in vars(coder) if name.endswith("_")}


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"penalty": "lq", "q": 1}, ValueError, "q=1 must lie between 0 and 1, both excluded. Use L1 for q=1"),
        ({"penalty": "lq", "q": 0.0}, ValueError, r"q=0.0 must lie between 0 and 1, both excluded. Use L0 for q=0"),
        ({"penalty": "lq", "q": 1.5}, ValueError, r"'q' .* range \[0.0, 1.0\]. Got 1.5"),
        ({"penalty": "lq", "q": -0.5}, ValueError, r"'q' .* range \[0.0, 1.0\]. Got -0.5"),
        ({"penalty": "lq", "q": np.nan}, ValueError, r"'q' .* range"),
        ({"penalty": "mcp", "gamma": 0.0}, ValueError, r"'gamma' .* range \(0.0, inf\).* Got 0.0"),
        ({"n_jobs": 0}, ValueError, "'n_jobs' .* Got 0"),
        ({"penalty": "scad", "gamma": 2.0}, ValueError, "gamma=2.0 must be finite and above 2"),
        ({"alpha": 0.0}, ValueError, r"'alpha' .* range \(0.0, inf\). Got 0.0"),
        ({"alpha": -1}, ValueError, r"'alpha' .* range \(0.0, inf\). Got -1"),
        ({"alpha": np.nan}, ValueError, r"'alpha' .* range \(0.0, inf\). Got nan"),
        ({"alpha": np.inf}, ValueError, r"'alpha' .* range \(0.0, inf\). Got inf"),
        ({"alpha": "1"}, ValueError, r"'alpha' .* Got '1'"),
        ({"penalty": L1(0.0)}, ValueError, r"penalty=L1\(alpha=0.0\) has strength 0"),
        ({"penalty": L1(-1.0)}, ValueError, "L1: alpha=-1.0 must be finite and at least 0"),
        ({"penalty": "lasso"}, ValueError, "penalty='lasso' is not in the table: use one of l1, elastic_net, lq, l0"),
        ({"penalty": L1}, ValueError, "'penalty' parameter"),
        ({"solver": "nope"}, ValueError, "solver='nope' is not a backend of 'sparse_coding': use 'auto', 'working_set"),
        ({"solver": CyclicCD}, TypeError, r"solver=CyclicCD is a class: pass an instance, solver=CyclicCD\(\)"),
        ({"solver": 3}, ValueError, "'solver' parameter"),
        ({"solver": LassoHomotopy()}, TypeError, "solves LassoProblem, not SparseCodingProblem"),
        ({"n_nonzero_coefs": 11}, ValueError, r"n_nonzero_coefs=11 must be an integer in \[1, 10\]"),
        ({"n_nonzero_coefs": 0}, ValueError, r"'n_nonzero_coefs' .* range \[1, inf\)"),
        ({"n_nonzero_coefs": 2.0}, ValueError, "'n_nonzero_coefs' .* int"),
        ({"n_nonzero_coefs": 2, "error_tol": 0.1}, ValueError, "Give either n_nonzero_coefs or error_tol"),
        ({"error_tol": -1.0}, ValueError, r"'error_tol' .* range \[0.0, inf\)"),
        ({"positive": True, "n_nonzero_coefs": 2}, ValueError, "positive=True has no backend for n_nonzero_coefs"),
        ({"n_nonzero_coefs": 2, "solver": "fista"}, ValueError, "solver='fista' is not a backend of 'sparse_approx"),
        ({"tol": -1.0}, ValueError, "'tol'"),
        ({"max_iter": 0}, ValueError, "'max_iter'"),
        ({"code_format": "coo"}, ValueError, "'code_format' .*'csr'"),
        ({"n_jobs": 1.5}, ValueError, "'n_jobs'"),
        ({"dictionary": None}, ValueError, "'dictionary' parameter"),
        ({"dictionary": D[0]}, ValueError, "dictionary: Expected 2D array"),
        ({"dictionary": D[:0]}, ValueError, r"dictionary: Found array with 0 sample"),
        ({"dictionary": np.vstack([D, np.zeros(10)])}, ValueError, "dictionary: atom 24 of D is 0"),
        ({"dictionary": np.where(D == D[3, 2], np.nan, D)}, ValueError, "dictionary: Input contains NaN"),
        ({"dictionary": np.where(D == D[3, 2], np.inf, D)}, ValueError, "dictionary: Input contains infinity"),
        ({"dictionary": 1e200 * D}, ValueError, "dictionary: .* overflow"),
        ({"dictionary": [["a"] * 10]}, ValueError, "dictionary: could not convert"),
        ({"dictionary": D[:, :7]}, ValueError, "X has 10 features, but the atoms of the dictionary have 7"),
        ({"dictionary": sparse.csr_array(D)}, ValueError, "'dictionary' parameter"),
    ],
)
def test_bad_parameters(params, error, message):
    coder = PenalizedSparseCoder(D, fit_intercept="dictionary" not in params).fit(X)
    coder.set_params(**params)
    with pytest.raises(error, match=message):
        coder.transform(X)
    with pytest.raises(error, match=message):
        coder.fit(X)
    assert not fitted_attributes(coder)
    with pytest.raises(error, match=message):
        PenalizedSparseCoder(**{"dictionary": D, **params}).transform(X)


@pytest.mark.parametrize(
    ("solver", "reason"),
    [
        ("fista", "it does not support nonconvex"),
        ("homotopy", "it does not support nonconvex"),
        ("sklearn", "it does not support nonconvex"),
        ("cvxpy", "it does not support nonconvex"),
        ("lca", "it needs atoms of length 1"),
        ("enumerate", r"there are 2\^24 sets of atoms"),
    ],
)
def test_solvers_that_do_not_apply_name_those_that_do(solver, reason):
    coder = PenalizedSparseCoder(2.0 * D, penalty="l0", alpha=0.1, solver=solver)
    message = f"solver='{solver}' cannot solve this problem: {reason}"
    for call in (coder.fit, coder.transform, coder.score):
        with pytest.raises(ValueError, match=message) as error:
            call(X)
        named = str(error.value).split("Use one of: ")[1].rstrip(".").replace("'", "").split(", ")
        assert {"working_set_cd", "graduated", "ista", "omp"} <= set(named)
        assert solver not in named
    for other in named:
        assert coder.set_params(solver=other).transform(X).any()


def test_bad_data():
    frozen = vars(PenalizedSparseCoder(D, fit_intercept=True))
    for bad, error, message in [
        (np.where(X == X[2, 3], np.nan, X), ValueError, "Input X contains NaN"),
        (np.where(X == X[2, 3], np.inf, X), ValueError, "Input X contains infinity"),
        (X[:0], ValueError, "0 sample"),
        (X[0], ValueError, "Expected 2D array, got 1D array"),
        (X[:, :, None], ValueError, "dim 3"),
        ([["a"] * 10], ValueError, "could not convert string to float"),
        (1j * X, ValueError, "Complex data not supported"),
        (sparse.csr_array(X), TypeError, "Sparse data was passed for X, but dense data is required"),
        (X[:, :7], ValueError, "X has 7 features"),
        (None, ValueError, "array"),
    ]:
        for coder in (PenalizedSparseCoder(D), PenalizedSparseCoder(D, n_nonzero_coefs=2).fit(X)):
            with pytest.raises(error, match=message):
                coder.transform(bad)
            with pytest.raises(error, match=message):
                coder.score(bad)
        coder = PenalizedSparseCoder(D, fit_intercept=True).fit(X)
        with pytest.raises(error, match=message):
            coder.fit(bad)
        assert vars(coder).keys() == frozen.keys()
        with pytest.raises(NotFittedError):
            coder.transform(X)
    with pytest.raises(ValueError, match="X holds numbers whose sum overflows"):
        PenalizedSparseCoder(D, fit_intercept=True).fit(np.full((3, 10), 1.5e308))


def test_the_function():
    with pytest.raises(ValueError, match="fit_intercept=True needs a PenalizedSparseCoder"):
        sparse_encode(X, D, fit_intercept=True)
    with pytest.raises(TypeError, match="regularizer"):
        sparse_encode(X, D, regularizer="l1")
    codes = sparse_encode(X, D, penalty="l0", alpha=0.1, code_format="csr")
    np.testing.assert_array_equal(codes.toarray(), PenalizedSparseCoder(D, penalty="l0", alpha=0.1).transform(X))


@pytest.mark.parametrize("name", ["l1", "l0", "lq"])
def test_a_short_run_warns_and_returns_its_codes(name):
    coder = PenalizedSparseCoder(atoms(11, 60, 10), penalty=name, alpha=0.001, max_iter=1, tol=1e-10)
    with pytest.warns(ConvergenceWarning, match=r"status 'max_iter'.*tolerance 1e-10.*increase max_iter"):
        codes = coder.transform(X)
    assert codes.any()
    assert np.all(np.isfinite(codes))
    solution = coder.encode(X)
    assert not solution.converged
    assert solution.n_iter == 1


def test_an_option_that_an_instance_keeps_for_itself():
    with pytest.warns(UserWarning, match=r"max_iter=7 has no effect: solver=CyclicCD\(max_iter=500\) keeps its own"):
        PenalizedSparseCoder(D, max_iter=7, solver=CyclicCD(max_iter=500)).transform(X)


@pytest.mark.parametrize("params", [{"penalty": name, "alpha": 0.1} for name in NAMES] + [{"n_nonzero_coefs": 2}])
def test_constant_signals_have_the_code_zero(params):
    constant = np.full((5, 10), 3.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder = PenalizedSparseCoder(D, fit_intercept=True, **params)
        codes = coder.fit_transform(constant)
        solution = coder.encode(constant)
        refit = coder.set_params(debias=True).transform(constant)
    assert not codes.any()
    assert not refit.any()
    assert solution.converged
    np.testing.assert_array_equal(coder.inverse_transform(codes), constant)


@pytest.mark.parametrize(("backend", "name"), [(Homotopy, "l1"), (Graduated, "l0")])
def test_an_interrupted_transform_leaves_the_coder_as_it_was(backend, name, monkeypatch):
    coder = PenalizedSparseCoder(D, penalty=name, alpha=0.1, fit_intercept=True).fit(X)
    before, codes = dict(vars(coder)), coder.transform(X)
    solve, calls = backend.solve, []

    def interrupt(self, problem, **options):
        calls.append(problem)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return solve(self, problem, **options)

    with monkeypatch.context() as patch:
        patch.setattr(backend, "solve", interrupt)
        patch.setattr(_encode, "_BLOCK", 5 * 24)
        with pytest.raises(KeyboardInterrupt):
            coder.transform(X)
    assert len(calls) == 2
    assert vars(coder).keys() == before.keys()
    assert all(vars(coder)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(coder.transform(X), codes)


def test_a_backend_that_survives_ctrl_c_does_not_swallow_it(monkeypatch):
    solve, calls = LassoCVXPY.solve, []

    def interrupt(self, problem, **options):
        calls.append(problem)
        found = solve(self, problem, **options)
        return replace(found, status="interrupted") if len(calls) == 9 else found

    monkeypatch.setattr(LassoCVXPY, "solve", interrupt)
    with pytest.raises(KeyboardInterrupt):
        PenalizedSparseCoder(D, alpha=0.01, solver="cvxpy").transform(X)
    assert len(calls) == 9


def test_penalties_that_are_objects_are_not_changed():
    penalty = L0(0.1)
    coder = PenalizedSparseCoder(D, penalty=penalty)
    coder.fit_transform(1e-120 * X)
    assert coder.penalty is penalty
    assert penalty.alpha == 0.1


def test_options_left_to_the_penalty_and_the_backend():
    np.testing.assert_array_equal(
        sparse_encode(X, D, penalty="scad", alpha=0.1), sparse_encode(X, D, penalty=SCAD(0.1, gamma=3.7))
    )
    np.testing.assert_array_equal(
        sparse_encode(X, D, penalty="mcp", alpha=0.1), sparse_encode(X, D, penalty=MCP(0.1, gamma=3.0))
    )
    coder = PenalizedSparseCoder(D, alpha=0.1, solver="fista")
    problem = SparseCodingProblem(X=X, D=D, penalty=L1(0.1))
    assert coder._resolve(problem)[0].max_iter == FISTA().max_iter
    assert coder.set_params(max_iter=7)._resolve(problem)[0].max_iter == 7
