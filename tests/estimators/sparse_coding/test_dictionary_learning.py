"""Dictionary learning: what is minimised, what is recovered, and what a run leaves behind."""

import copy
import pickle
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from estimand import LqDictionaryLearning, PenalizedSparseCoder
from estimand.datasets import make_bars
from estimand.estimators.sparse_coding._initial import initial_dictionary
from estimand.estimators.sparse_coding._learning import Learner, Statistics, settle, update_atoms
from estimand.penalties import MCP
from estimand.solvers.sparse_coding.ista import ISTA

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
def test_the_objective_of_the_batch_method_never_rises(data, penalty, alpha):
    model = LqDictionaryLearning(
        25, penalty=penalty, alpha=alpha, gamma=3.7, method="batch", max_iter=15, tol=0, random_state=0
    ).fit(data)
    history = model.objective_history_
    assert len(history) == model.n_iter_ == model.n_steps_ == 15
    assert np.diff(history).max() <= 1e-9 * history[0]
    assert history[-1] < 0.9 * history[0]
    assert model.solution_.converged
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("dead_atoms", ["residual", "data"])
def test_new_atoms_do_not_raise_the_objective_of_the_batch_method(data, dead_atoms, monkeypatch):
    replaced = []
    replace = Learner.replace_dead
    monkeypatch.setattr(
        Learner, "replace_dead", lambda self, dead, *args: replaced.append(dead) or replace(self, dead, *args)
    )
    X = np.hstack([data, np.zeros((len(data), 1))])
    start = np.vstack([np.eye(13)[:12], [np.eye(13)[12]] * 8])  # no signal has the last feature
    options = {"penalty": "l0", "alpha": 0.1, "method": "batch", "max_iter": 15, "tol": 0, "random_state": 0}
    model = LqDictionaryLearning(20, init=start, dead_atoms=dead_atoms, **options).fit(X)
    assert replaced[0].size == 8
    assert np.all(model.usage_ > 0)
    assert np.diff(model.objective_history_).max() <= 1e-9 * model.objective_history_[0]


@pytest.mark.parametrize(("penalty", "alpha"), [("l0", 0.1), ("lq", 0.1)])
def test_batches_of_everything_leave_poor_codes_behind(penalty, alpha):
    # Codes that begin with those before stay in the minimum next to them: with seed 0 and l0 one atom is found.
    for seed in range(2):
        X, D = planted(seed, 1500, d=16, n_components=24)
        model = LqDictionaryLearning(
            24, penalty=penalty, alpha=alpha, method="batch", max_iter=30, tol=0, random_state=seed
        ).fit(X)
        cosines = np.abs(model.components_ @ D.T)
        assert np.sum(cosines.max(axis=0) > 0.95) >= 15


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
    for seed in range(8):
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


def test_a_dictionary_is_learned_from_the_blocks_of_a_dask_array(data):
    dask, arrays = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    blocks = arrays.from_array(data, chunks=(71, -1)).to_delayed().ravel()
    model = LqDictionaryLearning(15, penalty="l0", alpha=0.1, max_iter=1, random_state=0).fit(data[:200])
    plain = copy.deepcopy(model)
    for _ in range(2):
        model.update(dask.delayed(sum)([dask.delayed(model.statistics)(block) for block in blocks]).compute())
        plain.update(plain.statistics(data))
    np.testing.assert_allclose(model.components_, plain.components_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.objective_history_, plain.objective_history_, rtol=1e-9)


def test_updates_from_statistics_lower_the_objective(data):
    model = LqDictionaryLearning(15, penalty="l0", alpha=0.1, max_iter=1, random_state=0).fit(data)
    scores, steps = [model.score(data)], model.n_steps_
    for _ in range(6):
        model.update(sum(model.statistics(chunk) for chunk in np.array_split(data, 3)))
        scores.append(model.score(data))
    assert model.n_steps_ == steps + 6
    assert scores[-1] > 0.95 * scores[0]
    with pytest.raises(ValueError, match="statistics are those of"):
        model.update(Statistics(np.eye(2), np.ones((2, 12)), np.ones(2), 1.0, 1.0, np.ones((0, 12))))


@pytest.mark.parametrize("method", ["batch", "update", "online"])
def test_a_small_batch_changes_little_of_what_was_learned(method):
    X, _ = planted(0, 5000, d=16, n_components=24)
    options = {"penalty": "l1", "alpha": 0.2, "tol": 0, "random_state": 0}
    model = LqDictionaryLearning(24, method="batch" if method == "batch" else "online", max_iter=20, **options).fit(X)
    if method == "update":
        model.update(model.statistics(X))
    before = model.score(X)
    assert model.partial_fit(X[:20]).score(X) > before * 1.001  # scores are negative


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
@pytest.mark.parametrize("how", ["fit", "update"])
def test_dead_atoms_are_replaced_on_any_scale(how, scale):
    X = scale * np.hstack([np.random.default_rng(0).standard_normal((2000, 10)), np.zeros((2000, 1))])
    start = np.vstack([np.eye(11)[:6], [np.eye(11)[10]] * 6])
    options = {"penalty": "l1", "alpha": 0.3 * scale, "init": start, "random_state": 0, "tol": 0, "method": "batch"}
    if how == "fit":
        model = LqDictionaryLearning(12, max_iter=5, **options).fit(X)
    else:
        model = LqDictionaryLearning(12, max_iter=1, dead_atoms=None, **options).fit(X).set_params(dead_atoms="data")
        assert np.sum(np.any(model.transform(X) != 0, axis=0)) == 6
        for _ in range(4):
            model.update(sum(model.statistics(chunk) for chunk in np.array_split(X, 3)))
        assert model.n_iter_ == model.n_steps_ == 5
    assert np.all(np.any(model.transform(X) != 0, axis=0))


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
    options = {**SMALL, "batch_size": 300}  # more than a thread takes at a time
    one = LqDictionaryLearning(**options, n_jobs=1).fit(data)
    two = LqDictionaryLearning(**options, n_jobs=2).fit(data)
    np.testing.assert_array_equal(one.components_, two.components_)
    other = LqDictionaryLearning(**{**options, "random_state": 1}).fit(data)
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


@pytest.mark.parametrize("answer", [bool, np.bool_])
def test_callbacks_stop_a_run(data, capsys, answer):
    seen = []

    def stop(model):
        seen.append(model.objective_history_[-1])
        return answer(len(seen) == 3)

    model = LqDictionaryLearning(**SMALL, callback=stop, verbose=True).fit(data)
    assert model.n_steps_ == 3
    assert capsys.readouterr().out.count("objective") == 3


def test_learning_stops_once_it_settles(data):
    model = LqDictionaryLearning(6, penalty="l1", alpha=0.3, max_iter=500, tol=1e-2, random_state=0).fit(data)
    assert model.n_iter_ < 500
    batch = LqDictionaryLearning(6, penalty="l1", alpha=0.3, method="batch", max_iter=500, random_state=0).fit(data)
    assert batch.n_iter_ < 500


def test_small_batches_are_given_the_time_to_show_that_the_objective_falls():
    X, D = planted(0, 20000, d=12, n_components=20)
    X += 0.5 * X.std() * np.random.default_rng(1).standard_normal(X.shape)
    model = LqDictionaryLearning(20, penalty="l1", alpha=0.4, batch_size=32, random_state=0).fit(X)
    assert model.n_iter_ > 1
    assert np.sum(np.abs(model.components_ @ D.T).max(axis=0) > 0.95) >= 16


def test_batches_that_say_nothing_end_no_run():
    rng = np.random.default_rng(0)
    rare = rng.standard_normal((5000, 8)) * (rng.random((5000, 1)) < 0.004)
    for seed in range(3):
        model = LqDictionaryLearning(8, penalty="l1", alpha=0.3, random_state=seed).fit(rare)
        assert model.n_iter_ > 1
    X = rng.standard_normal((1000, 8))
    X[:64] *= 0.05
    model = LqDictionaryLearning(8, penalty="l1", alpha=0.3, shuffle=False, batch_size=64, random_state=0).fit(X)
    assert model.n_iter_ > 1


def test_paper_mode_says_what_it_is_for():
    X = 1e90 * np.random.default_rng(0).standard_normal((200, 8))
    model = LqDictionaryLearning(40, penalty="l1", alpha=0.1, method="paper", max_iter=200, random_state=0)
    with pytest.raises(ValueError, match="diverged: whiten and scale the signals"):
        model.fit(X)
    assert not [name for name in vars(model) if name.endswith("_")]
    digits = load_digits().data  # steps of 0.05 would be too long for their codes
    model = LqDictionaryLearning(100, penalty="l1", alpha=5.0, method="paper", max_iter=4, random_state=0).fit(digits)
    assert np.isfinite(model.objective_history_).all()


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


def test_given_atoms_keep_their_directions(data):
    D = initial_dictionary(data, 3, 1e-200 * data[:3], np.random.RandomState(0), positive=False)
    np.testing.assert_allclose(D, data[:3] / np.linalg.norm(data[:3], axis=1, keepdims=True), rtol=1e-12)
    model = LqDictionaryLearning(init=np.ones((4, 24)), penalty="l1", alpha=0.1, split_sign=True, max_iter=1).fit(data)
    assert model.n_components_ == 4


def test_multiples_of_a_signal_are_one_direction():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (600, 1)) * rng.standard_normal((1, 8))
    with pytest.warns(UserWarning, match="needs 2 signals of different directions, and X has 1"):
        initial_dictionary(X, 2, "data", np.random.RandomState(0), positive=False)
    X[[7, 555]] = rng.standard_normal((2, 8))
    D = initial_dictionary(X, 3, "data", np.random.RandomState(0), positive=False)
    assert np.linalg.matrix_rank(D) == 3


def test_too_few_signals_for_atoms_of_their_own():
    X = np.vstack([np.eye(4)[:2], 2 * np.eye(4)[:2], np.zeros((2, 4))])
    with pytest.warns(UserWarning, match="needs 3 signals of different directions, and X has 2"):
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
        ({"init": np.eye(3, 12) - np.eye(3, 12, k=0)}, "row 0 has no entry that is not 0"),
        ({"init": -np.eye(3, 12), "positive_dict": True}, "row 0 has no positive entry"),
        ({"n_jobs": 0}, "The 'n_jobs' parameter"),
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
    with pytest.raises(ValueError, match=message):
        model.partial_fit(data)
    assert not [name for name in vars(model) if name.endswith("_")]
    for call in (model.transform, model.statistics, model.score):
        with pytest.raises(NotFittedError):
            call(data)


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


def test_an_interrupted_fit_keeps_the_last_update(data):
    def interrupt(model):
        if model.n_steps_ == 4:
            raise KeyboardInterrupt

    model = LqDictionaryLearning(**SMALL, callback=interrupt)
    with pytest.raises(KeyboardInterrupt, match="the dictionary of the last update is kept"):
        model.fit(data)
    stopped = LqDictionaryLearning(**SMALL, callback=lambda model: model.n_steps_ == 4).fit(data)
    np.testing.assert_array_equal(model.components_, stopped.components_)
    assert len(model.objective_history_) == model.n_steps_ == 4


def test_an_interrupt_before_the_first_update_leaves_nothing(data, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    model = LqDictionaryLearning(**SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "remember", interrupt)
        for fit in (model.fit, model.partial_fit):
            with pytest.raises(KeyboardInterrupt):
                fit(data)
            assert not [name for name in vars(model) if name.endswith("_")]
    before = model.fit(data).components_
    monkeypatch.setattr(Learner, "remember", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(data)
    np.testing.assert_array_equal(model.components_, before)


def test_codes_that_miss_the_tolerance_have_a_remedy_of_their_own(data):
    model = LqDictionaryLearning(5, penalty="l1", alpha=0.01, solver=ISTA(max_iter=3, polish=False), max_iter=1)
    with pytest.warns(ConvergenceWarning, match="Remedy: pass an instance of the solver with a larger max_iter"):
        model.fit(data)


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
