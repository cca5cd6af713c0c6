"""Dictionary learning: what is minimised, what is recovered, and what a run leaves behind."""

import pickle
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import LqDictionaryLearning, PenalizedSparseCoder
from estimand.datasets import make_bars
from estimand.estimators.sparse_coding._learning import Statistics, initial_dictionary, settle, update_atoms
from estimand.penalties import MCP

SMALL = {"n_components": 3, "alpha": 0.1, "max_iter": 5, "batch_size": 20, "random_state": 0}


def planted(seed, n=3000, d=20, n_components=30, active=3):
    """Signals that are sums of a few random atoms, and noise 30 dB below them."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_components, d))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    codes = np.zeros((n, n_components))
    for row in codes:
        chosen = rng.choice(n_components, active, replace=False)
        row[chosen] = rng.choice([-1, 1], active) * rng.uniform(0.5, 1.5, active)
    X = codes @ D
    return X + rng.standard_normal(X.shape) * np.sqrt(np.mean(X**2)) * 10**-1.5, D


@pytest.fixture(scope="module")
def data():
    return planted(5, n=400, d=12, n_components=18)[0]


@parametrize_with_checks(
    [
        LqDictionaryLearning(**SMALL),
        LqDictionaryLearning(**SMALL, penalty="l1", method="batch"),
        LqDictionaryLearning(**SMALL, penalty="mcp", positive_code=True, positive_dict=True, split_sign=True),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("penalty", "alpha"), [("l1", 0.1), ("l0", 0.1), ("lq", 0.1), ("scad", 0.2), ("log", 0.1)])
@pytest.mark.parametrize("dead_atoms", [None, "residual", "data"])
def test_the_objective_of_the_batch_method_never_rises(data, penalty, alpha, dead_atoms):
    model = LqDictionaryLearning(
        25, penalty=penalty, alpha=alpha, gamma=3.7, method="batch", max_iter=15, tol=0, dead_atoms=dead_atoms,
        random_state=0,
    ).fit(data)  # fmt: skip
    history = model.objective_history_
    assert len(history) == model.n_iter_ == model.n_steps_ == 15
    assert np.diff(history).max() <= 1e-9 * history[0]
    assert history[-1] < 0.9 * history[0]
    assert model.solution_.converged
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize(("penalty", "alpha"), [("l1", 0.2), ("l0", 0.1), ("lq", 0.15)])
@pytest.mark.parametrize("seed", [11, 12])
def test_a_planted_dictionary_is_recovered(penalty, alpha, seed):
    X, D = planted(seed)
    model = LqDictionaryLearning(30, penalty=penalty, alpha=alpha, max_iter=25, tol=0, random_state=seed).fit(X)
    assert np.sum(np.abs(model.components_ @ D.T).max(axis=0) > 0.95) >= 27
    assert model.n_steps_ == 300
    assert model.usage_.min() > 0


@pytest.mark.parametrize(("penalty", "alpha"), [("l1", 0.2), ("lq", 0.15)])
def test_a_stream_is_as_good_as_passes(penalty, alpha):
    scores = []
    for seed in range(4):
        X, held = np.split(planted(seed, n=7000)[0], [6000])
        options = {"n_components": 30, "penalty": penalty, "alpha": alpha, "random_state": seed}
        fit = LqDictionaryLearning(**options, max_iter=2, tol=0).fit(X)
        stream, rng = LqDictionaryLearning(**options), np.random.default_rng(seed)
        for _ in range(2):
            for chunk in np.array_split(rng.permutation(len(X)), 12):
                stream.partial_fit(X[chunk])
        assert stream.n_steps_ == len(stream.objective_history_) == fit.n_steps_ == 48
        assert stream.n_iter_ == 24
        scores.append((fit.score(held), stream.score(held)))
    fit_score, stream_score = np.mean(scores, axis=0)
    assert stream_score >= 1.03 * fit_score  # scores are negative


def test_statistics_of_chunks_add_up(data):
    model = LqDictionaryLearning(15, penalty="l0", alpha=0.1, max_iter=1, random_state=0).fit(data)
    whole = model.statistics(data)
    chunks = sum(model.statistics(chunk) for chunk in np.array_split(data, 7))
    for one, other in zip(astuple(whole), astuple(chunks), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    codes = model.transform(data)
    np.testing.assert_allclose(whole.A, codes.T @ codes, atol=1e-10)
    assert whole.objective == pytest.approx(-model.score(data) * len(data), rel=1e-12)
    assert whole.n_signals == len(data)


def test_updates_from_statistics_lower_the_objective(data):
    model = LqDictionaryLearning(15, penalty="l0", alpha=0.1, max_iter=1, random_state=0).fit(data)
    scores, steps = [model.score(data)], model.n_steps_
    for _ in range(6):
        model.update(sum(model.statistics(chunk) for chunk in np.array_split(data, 3)))
        scores.append(model.score(data))
    assert model.n_steps_ == steps + 6
    assert scores[-1] > 0.95 * scores[0]
    with pytest.raises(ValueError, match="statistics are those of"):
        model.update(Statistics(np.eye(2), np.ones((2, 12)), np.ones(2), 1.0, 1.0))


@pytest.mark.parametrize("positive", [False, True])
def test_atoms_settle_where_no_single_one_can_improve(positive):
    rng = np.random.default_rng(0)
    codes, D = rng.standard_normal((50, 6)), rng.standard_normal((6, 8))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    D = np.abs(D) if positive else D
    A, B = codes.T @ codes, codes.T @ rng.standard_normal((50, 8))

    def error(D):
        return 0.5 * np.sum(D * (A @ D)) - np.sum(B * D)

    before = error(D)
    for _ in range(30):
        settle(D, A, B, np.random.RandomState(0), positive=positive)
    assert error(D) < before
    assert np.all(np.linalg.norm(D, axis=1) <= 1 + 1e-12)
    for j in range(6):
        for _ in range(50):
            other = D.copy()
            other[j] += 0.05 * rng.standard_normal(8)
            other[j] = np.maximum(other[j], 0) if positive else other[j]
            other[j] /= max(np.linalg.norm(other[j]), 1.0)
            assert error(other) >= error(D) - 1e-6


def test_idle_and_vanishing_atoms_are_left_alone():
    D, A = np.eye(3), np.diag([1.0, 0.0, 1.0])
    B = np.array([[0.0, 2.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    vanished = update_atoms(D, A, B, np.random.RandomState(0), positive=True)
    assert vanished.tolist() == [2]
    np.testing.assert_array_equal(D, [[0, 1, 0], [0, 1, 0], [0, 0, 1]])


def test_dead_atoms_come_to_life():
    bars = make_bars(2000, size=4, noise=0.5, random_state=0).X
    X = np.hstack([bars, np.zeros((2000, 1))])
    nowhere = np.eye(17)[16]  # no signal has this feature
    start = np.vstack([np.eye(17)[:4], [nowhere] * 4])
    options = {"penalty": "l0", "alpha": 30.0, "positive_code": True, "max_iter": 10, "tol": 0, "random_state": 0}
    dead = LqDictionaryLearning(8, init=start, dead_atoms=None, **options).fit(X)
    np.testing.assert_array_equal(dead.components_[4:], start[4:])
    assert np.all(dead.usage_[4:] == 0)
    for how in ("residual", "data"):
        alive = LqDictionaryLearning(8, init=start, dead_atoms=how, **options).fit(X)
        assert np.all(alive.usage_ > 0)
        assert alive.score(X) > dead.score(X)


def test_the_bars_are_found():
    bars = make_bars(3000, size=5, noise=0.5, random_state=1)
    model = LqDictionaryLearning(
        10, penalty="l0", alpha=60.0, positive_code=True, positive_dict=True, max_iter=30, random_state=3
    ).fit(bars.X)
    truth = bars.components / np.linalg.norm(bars.components, axis=1, keepdims=True)
    assert np.all((model.components_ @ truth.T).max(axis=0) > 0.95)


def test_equal_seeds_give_equal_dictionaries_whatever_the_threads(data):
    one = LqDictionaryLearning(**SMALL, n_jobs=1).fit(data)
    two = LqDictionaryLearning(**SMALL, n_jobs=2).fit(data)
    np.testing.assert_array_equal(one.components_, two.components_)
    other = LqDictionaryLearning(**{**SMALL, "random_state": 1}).fit(data)
    assert not np.allclose(one.components_, other.components_)


def test_the_final_normalisation_changes_no_reconstruction(data):
    run = []
    model = LqDictionaryLearning(6, penalty="l1", alpha=0.5, max_iter=3, tol=0, random_state=0,
                                 callback=lambda m: run.append((m.components_, *m.inner_stats_)))  # fmt: skip
    model.fit(data)
    D, A, B = run[-1]
    length = np.linalg.norm(D, axis=1)
    assert np.all(length <= 1 + 1e-12)
    np.testing.assert_allclose(model.components_ * length[:, None], D, rtol=1e-12)
    np.testing.assert_allclose(model.inner_stats_[0], A * np.outer(length, length), rtol=1e-12)
    np.testing.assert_allclose(model.inner_stats_[1], B * length[:, None], rtol=1e-12)


def test_callbacks_stop_a_run(data, capsys):
    seen = []

    def stop(model):
        seen.append(model.objective_history_[-1])
        return len(seen) == 3

    model = LqDictionaryLearning(**SMALL, callback=stop, verbose=True).fit(data)
    assert model.n_steps_ == 3
    assert capsys.readouterr().out.count("objective") == 3


def test_learning_stops_once_it_settles(data):
    model = LqDictionaryLearning(6, penalty="l1", alpha=0.3, max_iter=500, tol=1e-2, random_state=0).fit(data)
    assert model.n_iter_ < 500
    batch = LqDictionaryLearning(6, penalty="l1", alpha=0.3, method="batch", max_iter=500, random_state=0).fit(data)
    assert batch.n_iter_ < 500


def test_paper_mode_improves_the_dictionary(data):
    model = LqDictionaryLearning(
        18, penalty="cel0", alpha=0.05, method="paper", init="random", max_iter=60, batch_size=100, random_state=0
    ).fit(data)
    assert model.n_steps_ == len(model.objective_history_) <= 60
    assert np.mean(model.objective_history_[-10:]) < 0.85 * np.mean(model.objective_history_[:10])
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1.0, rtol=1e-12)


def test_signs_and_halves(data):
    model = LqDictionaryLearning(10, penalty="l1", alpha=0.1, positive_code=True, positive_dict=True, split_sign=True,
                                 max_iter=10, random_state=0).fit(data)  # fmt: skip
    assert model.components_.shape == (10, 24)
    assert model.n_features_in_ == 12
    assert model.components_.min() >= 0
    codes = model.transform(data)
    assert codes.min() >= 0
    halves = codes @ model.components_
    np.testing.assert_allclose(model.inverse_transform(codes), halves[:, :12] - halves[:, 12:])


def test_transform_has_its_own_penalty(data):
    model = LqDictionaryLearning(10, penalty="l0", alpha=0.1, transform_penalty="l1", transform_alpha=0.2, max_iter=2,
                                 random_state=0).fit(data)  # fmt: skip
    coder = PenalizedSparseCoder(model.components_, penalty="l1", alpha=0.2)
    np.testing.assert_allclose(model.transform(data), coder.transform(data), atol=1e-12)
    assert model.score(data) == pytest.approx(coder.score(data), rel=1e-12)
    own = LqDictionaryLearning(10, penalty=MCP(0.2, 2.0), max_iter=2, random_state=0).fit(data)
    other = LqDictionaryLearning(10, penalty="mcp", alpha=0.2, gamma=2.0, max_iter=2, random_state=0).fit(data)
    np.testing.assert_array_equal(own.components_, other.components_)


def test_float32_stays_float32(data):
    model = LqDictionaryLearning(**{**SMALL, "alpha": 0.2}, penalty="l1").fit(data.astype(np.float32))
    assert model.components_.dtype == model.transform(data.astype(np.float32)).dtype == np.float32
    wide = LqDictionaryLearning(**{**SMALL, "alpha": 0.2}, penalty="l1").fit(data.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(model.components_, wide.components_, atol=1e-6)


@pytest.mark.parametrize("init", ["data", "random", "svd"])
def test_first_atoms(data, init):
    random_state = np.random.RandomState(0)
    D = initial_dictionary(data, 20, init, random_state, positive=False)
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1.0, rtol=1e-12)
    if init == "data":
        assert np.all((D @ (data / np.linalg.norm(data, axis=1, keepdims=True)).T).max(axis=1) > 1 - 1e-12)
        assert len(np.unique(D.round(9), axis=0)) == 20
    if init == "svd":
        vectors = np.linalg.svd(data, full_matrices=False)[2]
        np.testing.assert_allclose(np.abs(np.sum(D[:12] * vectors, axis=1)), 1.0, rtol=1e-6)
        assert np.all(D[np.arange(12), np.abs(D[:12]).argmax(axis=1)] > 0)
    assert initial_dictionary(data, 20, init, random_state, positive=True).min() >= 0


def test_too_few_signals_for_atoms_of_their_own():
    X = np.vstack([np.eye(4)[:2], 2 * np.eye(4)[:2], np.zeros((2, 4))])
    with pytest.warns(UserWarning, match="needs 3 different signals that are not 0, and X has 2"):
        model = LqDictionaryLearning(3, alpha=0.1, max_iter=2, random_state=0).fit(X)
    assert model.components_.shape == (3, 4)


def test_constant_and_zero_signals_are_no_trouble(recwarn):
    for X in (np.zeros((10, 3)), np.ones((10, 3)), np.ones((1, 3))):
        model = LqDictionaryLearning(2, alpha=0.1, init="random", max_iter=3, random_state=0).fit(X)
        assert np.all(np.isfinite(model.components_))
        assert np.all(np.isfinite(model.transform(X)))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"q": 1.0}, "Use L1 for q=1"),
        ({"penalty": "scad", "gamma": 1.5}, "gamma=1.5 must be finite and above 2"),
        ({"alpha": 0.0}, "The 'alpha' parameter"),
        ({"alpha": np.nan}, "The 'alpha' parameter"),
        ({"transform_alpha": -1.0}, "The 'transform_alpha' parameter"),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"method": "offline"}, "The 'method' parameter"),
        ({"init": np.ones((2, 12))}, "init has shape"),
        ({"init": "zeros"}, "The 'init' parameter"),
        ({"penalty": "l2"}, "penalty='l2' is not in the table"),
        ({"penalty": "l0", "solver": "fista"}, "Use one of: 'working_set_cd', 'graduated'"),
        ({"solver": "lars"}, "is not a backend"),
    ],
)
def test_bad_parameters(data, parameters, message):
    model = LqDictionaryLearning(**{**SMALL, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(data)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_bad_data(data):
    model = LqDictionaryLearning(**SMALL)
    for X, message in ((np.full((3, 2), np.nan), "NaN"), (np.ones(3), "1D array"), (np.ones((0, 3)), "0 sample"),
                       (np.full((3, 2), 1e200), "shorter than 1e-100 or longer than 1e100"),
                       (np.array([["a", "b"]]), "could not convert")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            model.fit(X)
        assert not [name for name in vars(model) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        model.transform(data)
    model.fit(data)
    components = model.components_
    for X in (np.full((3, 12), np.nan), np.ones((3, 5))):
        with pytest.raises(ValueError, match=r"NaN|features"):
            model.partial_fit(X)
        np.testing.assert_array_equal(model.components_, components)
    with pytest.raises(ValueError, match="codes has 2 columns, but there are 3 components"):
        model.inverse_transform(np.ones((1, 2)))


def test_an_interrupted_fit_leaves_nothing(data):
    def interrupt(model):
        raise KeyboardInterrupt

    model = LqDictionaryLearning(**SMALL, callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_pickle_clone_frames_and_pipelines(data):
    frame = pd.DataFrame(data, columns=[f"x{j}" for j in range(12)])
    model = LqDictionaryLearning(**SMALL).set_output(transform="pandas")
    codes = model.fit_transform(frame)
    assert list(codes.columns) == [f"lqdictionarylearning{j}" for j in range(3)]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(frame), codes)
    assert not hasattr(clone(model), "components_")
    X, y = load_digits(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(LqDictionaryLearning(20, penalty="l1", max_iter=1, random_state=0),
                      LogisticRegression(max_iter=300)),
        {"lqdictionarylearning__alpha": [1.0, 10.0], "lqdictionarylearning__penalty": ["l1", "lq"]},
        cv=2,
    ).fit(X[:400], y[:400])  # fmt: skip
    assert search.best_score_ > 0.7
