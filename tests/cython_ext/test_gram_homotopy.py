"""The homotopy kernel against a twin that solves a linear system at every breakpoint."""

import numpy as np
import pytest

from estimand.cython_ext._gram_homotopy import encode


def data(seed, n, d, K, *, unit=True):
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((K, d))
    D /= np.linalg.norm(D, axis=1, keepdims=True) if unit else np.exp(rng.uniform(-1, 1, (K, 1)))
    return rng.standard_normal((n, d)), D


def run(X, D, alpha, *, positive=False, fraction=0.5, largest=None, max_steps=10000):
    codes, steps = np.full((X.shape[0], D.shape[0]), np.nan), np.zeros(X.shape[0], dtype=np.int32)
    largest = min(D.shape) if largest is None else largest
    encode(D @ D.T, X @ D.T, codes, steps, alpha, positive, fraction, largest, max_steps)
    return codes, steps


def twin(x, D, alpha, *, positive=False):
    """The end of the path of the Lasso, and its breakpoints; for signals and atoms without ties."""
    p, G = D @ x, D @ D.T
    active, sign, mu, breakpoints = [], np.zeros(0), np.inf, []
    while True:
        M = np.linalg.inv(G[np.ix_(active, active)])
        base, rate = M @ p[active], M @ sign
        q, a = p - base @ G[active], rate @ G[active]
        events = [(alpha, "end", -1, 0.0)]
        for i, j in enumerate(active):
            if sign[i] * (base[i] - alpha * rate[i]) < 0:
                events.append((min(base[i] / rate[i], mu), "drop", j, 0.0))
        for j in set(range(len(p))) - set(active):
            for s in (1.0,) if positive else (1.0, -1.0):
                if s * (q[j] + alpha * a[j]) > alpha:
                    events.append((min(s * q[j] / (1 - s * a[j]), mu), "join", j, s))
        mu, event, j, s = max(events)
        if event == "end":
            w = np.zeros(len(p))
            w[active] = base - mu * rate
            return w, breakpoints
        breakpoints.append((event, j))
        if event == "join":
            active, sign = [*active, j], np.append(sign, s)
        else:
            i = active.index(j)
            active, sign = active[:i] + active[i + 1 :], np.delete(sign, i)


def assert_optimal(X, D, codes, alpha, *, positive=False, atol=1e-11):
    scale = np.maximum(np.abs(X @ D.T).max(axis=1, keepdims=True), alpha)
    q = (X - codes @ D) @ D.T
    assert np.all((q if positive else np.abs(q)) <= alpha + atol * scale)
    gap = np.where(codes != 0, np.abs(q - alpha * np.sign(codes)), 0.0)
    assert np.all(gap <= atol * scale)
    assert not positive or codes.min(initial=0.0) >= 0


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(("n", "d", "K"), [(20, 7, 15), (10, 9, 9), (10, 9, 4), (5, 1, 3), (5, 6, 1), (3, 40, 150)])
def test_codes_equal_the_twin(n, d, K, positive):
    X, D = data(d + K, n, d, K, unit=d > 7)
    top = np.abs(X @ D.T).max()
    for alpha in (0.01 * top, 0.1 * top, 0.5 * top):
        for fraction in (0.0, 0.5, 0.9):
            codes, steps = run(X, D, alpha, positive=positive, fraction=fraction)
            assert np.all(steps >= np.count_nonzero(codes, axis=1))
            expected = np.array([twin(x, D, alpha, positive=positive)[0] for x in X])
            np.testing.assert_array_equal(codes != 0, expected != 0)
            np.testing.assert_allclose(codes, expected, rtol=1e-9, atol=1e-11)
            assert_optimal(X, D, codes, alpha, positive=positive)


def test_breakpoints_are_those_of_the_path_where_all_atoms_are_candidates():
    X, D = data(1, 20, 10, 15)
    alpha = 0.9 * np.abs(X @ D.T).min()
    steps = run(X, D, alpha, fraction=0.0)[1]
    assert steps.tolist() == [len(twin(x, D, alpha)[1]) for x in X]
    assert np.any(steps > 12)


def test_a_path_that_is_cut_short_ends_on_the_path():
    X, D = data(2, 20, 10, 15)
    alpha = 0.9 * np.abs(X @ D.T).min()
    whole = run(X, D, alpha, fraction=0.0)[1]
    for most in (0, 1, 3, 6):
        codes, steps = run(X, D, alpha, fraction=0.0, max_steps=most)
        np.testing.assert_array_equal(steps, np.where(whole > most, -1 - most, whole))
        for x, w in zip(X[whole > most], codes[whole > most], strict=True):
            if most > 1:
                q = D @ (x - w @ D)
                mu = np.abs(q).max()
                np.testing.assert_allclose(np.abs(q[w != 0]), mu, rtol=1e-10)
                np.testing.assert_allclose(w, twin(x, D, mu)[0], rtol=1e-8, atol=1e-12)
            else:
                assert not w.any()


def test_too_little_room_is_reported():
    X, D = data(3, 20, 10, 15)
    codes, steps = run(X, D, 0.05, largest=4)
    assert np.all(steps < 0)
    assert np.count_nonzero(codes, axis=1).max() <= 4


def test_large_penalties_and_zero_signals_have_the_code_zero():
    X, D = data(4, 5, 6, 9)
    X[2] = 0.0
    top = np.abs(X @ D.T).max()
    for alpha in (top, 2.0 * top):
        codes, steps = run(X, D, alpha)
        assert not codes.any()
        assert not steps.any()
    codes, steps = run(X, D, 0.999 * top)
    assert np.count_nonzero(codes) == 1
    assert not run(X, D, 1e-3)[0][2].any()
    assert run(np.empty((0, 6)), D, 0.1)[0].shape == (0, 9)


def degenerate(kind, seed):
    rng = np.random.default_rng(seed)
    d, K = rng.integers(1, 12), rng.integers(2, 40)
    X, D = rng.standard_normal((40, d)), rng.standard_normal((K, d))
    if kind == "integers":
        X, D = rng.integers(-3, 4, (40, d)).astype(float), rng.integers(-2, 3, (K, d)).astype(float)
    elif kind == "integer_atoms":
        D = rng.integers(-1, 2, (K, d)).astype(float)
    elif kind == "signs":
        X, D = rng.choice([-1.0, 1.0, 2.0], (40, d)), rng.choice([-1.0, 1.0], (K, d))
    elif kind == "copies":
        D = np.vstack([D, D[: K // 2 + 1], -D[: K // 2 + 1], 3.0 * D[:1]])
    elif kind == "sums":
        D = np.vstack([D, D[0 : K - 1 : 2] + D[1:K:2], D.sum(axis=0, keepdims=True)])
    elif kind == "low_rank":
        D[:, d // 2 + 1 :] = 0.0
    elif kind == "lengths":
        D *= 10.0 ** rng.uniform(-4, 4, (K, 1))
    elif kind == "orthonormal":
        X, D = rng.integers(-2, 3, (40, d)).astype(float), np.vstack([np.eye(d), -np.eye(d)])
    D[~D.any(axis=1)] = 1.0
    return X, D


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    "kind", ["integers", "integer_atoms", "signs", "copies", "sums", "low_rank", "lengths", "orthonormal"]
)
def test_ties_and_dependent_atoms(kind, positive):
    short = 0
    for seed in range(12):
        X, D = degenerate(kind, seed)
        top = np.abs(X @ D.T).max()
        for alpha in (1e-3 * top, 0.1 * top, 0.5 * top):
            for fraction in (0.0, 0.5):
                codes, steps = run(X, D, alpha, positive=positive, fraction=fraction, max_steps=2000)
                assert np.all(np.isfinite(codes))
                fine = steps >= 0
                assert_optimal(X[fine], D, codes[fine], alpha, positive=positive)
                short += np.count_nonzero(~fine)
                for w in codes[fine]:
                    chosen = D[w != 0] / np.linalg.norm(D[w != 0], axis=1, keepdims=True)
                    assert np.linalg.matrix_rank(chosen, tol=1e-9) == len(chosen)
    assert short <= 3


def test_atoms_leave_and_return():
    returns = 0
    for seed in range(60):
        X, D = data(seed, 1, 12, 30)
        alpha = 1e-3 * np.abs(X @ D.T).max()
        expected, breakpoints = twin(X[0], D, alpha)
        codes, _ = run(X, D, alpha, fraction=0.0)
        np.testing.assert_allclose(codes[0], expected, rtol=1e-7, atol=1e-10)
        returns += len(breakpoints) - len(set(breakpoints)) > 0
    assert returns >= 5


def test_the_order_of_signals_does_not_matter():
    X, D = data(7, 101, 30, 90)
    order = np.random.default_rng(0).permutation(101)
    gram, correlation = D @ D.T, X @ D.T
    results = []
    for given in (correlation, correlation[order]):
        codes, steps = np.zeros((101, 90)), np.zeros(101, dtype=np.int32)
        encode(gram, given, codes, steps, 0.1, False, 0.5, 30, 1000)
        results.append((codes, steps))
    np.testing.assert_array_equal(results[1][0], results[0][0][order])
    np.testing.assert_array_equal(results[1][1], results[0][1][order])


@pytest.mark.parametrize(("signals", "atoms"), [(1e-80, 1.0), (1e80, 1.0), (1.0, 1e-80), (1e80, 1e70), (1e-80, 1e80)])
def test_scales(signals, atoms):
    X, D = data(8, 10, 6, 9)
    codes, steps = run(X, D, 0.1)
    scaled, taken = run(signals * X, atoms * D, 0.1 * signals * atoms)
    np.testing.assert_allclose(scaled * (atoms / signals), codes, rtol=1e-9)
    np.testing.assert_array_equal(taken, steps)


def test_long_codes_use_products_of_blas():
    X, D = data(9, 3, 220, 260)
    codes, _ = run(X, D, 0.05)
    assert np.count_nonzero(codes, axis=1).min() > 150
    assert_optimal(X, D, codes, 0.05)


def test_read_only_data_is_accepted():
    X, D = data(10, 4, 5, 6)
    arrays = [D @ D.T, X @ D.T]
    for array in arrays:
        array.flags.writeable = False
    codes, steps = np.zeros((4, 6)), np.zeros(4, dtype=np.int32)
    encode(*arrays, codes, steps, 0.1, False, 0.5, 5, 100)
    assert_optimal(X, D, codes, 0.1)
