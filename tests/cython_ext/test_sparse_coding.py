"""The coding kernel against a twin that recomputes everything, and on dictionaries of dependent atoms."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimand.cython_ext._sparse_coding import encode
from estimand.penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq

PENALTIES = [
    L1(0.3),
    L1L2(0.3, 0.6),
    Lq(0.3, 0.5),
    Lq(0.2, 0.1),
    L0(0.05),
    CEL0(0.05),
    CEL0(0.05, 0.5),
    MCP(0.3, 3.0),
    MCP(0.3, 0.3),
    SCAD(0.3, 3.7),
    SCAD(0.3, 2.01),
    LogSum(0.3, 1.0),
    LogSum(0.1, 0.05),
    CappedL1(0.3, 1.0),
    CappedL1(0.3, 0.05),
]
each_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=repr)


class Case:
    """Signals, atoms and a penalty, with what the kernel takes."""

    def __init__(self, X, D, penalty, positive=False):
        self.X, self.D, self.penalty, self.positive = X, D, penalty, positive
        self.gram, self.norm = D @ D.T, np.linalg.norm(D, axis=1)
        self.correlation, self.square = X @ D.T, np.einsum("ij,ij->i", X, X)
        # The norm of CEL0 counts in lengths of the atom.
        self.unit = self.norm if isinstance(penalty, CEL0) else np.ones(len(D))
        self.code, *parameters = penalty.kernel_arguments()
        self.parameters = np.tile(np.array(parameters), (len(D), 1))
        if isinstance(penalty, CEL0):
            self.parameters[:, 1] *= self.norm
        self.threshold = np.asarray(penalty.threshold(self.unit**2 / self.norm**2) / self.unit)

    def run(self, codes=None, *, tol=1e-9, gap_tol=1.0, fraction=0.3, largest=256, max_rounds=1000, rows=slice(None)):
        codes = np.zeros((len(self.X), len(self.D))) if codes is None else codes.copy()
        q, rounds = self.correlation - codes @ self.gram, np.full(len(self.X), 7777, dtype=np.int32)
        encode(
            self.gram,
            self.norm,
            self.code,
            self.parameters,
            self.positive,
            self.threshold,
            self.correlation[rows],
            self.square[rows],
            q[rows],
            codes[rows],
            rounds[rows],
            tol,
            gap_tol,
            fraction,
            largest,
            max_rounds,
        )
        return codes, q, rounds

    def objectives(self, codes):
        values = self.penalty.value_elementwise(codes * self.unit)
        return 0.5 * np.sum((self.X - codes @ self.D) ** 2, axis=1) + values.sum(axis=1)

    def best(self, w, i, j):
        """Return the best value of one entry of a code, and what it would gain."""
        a, unit = self.norm[j], self.unit[j]
        u = w[j] + (self.X[i] - w @ self.D) @ self.D[j] / a**2
        z = float(self.penalty.prox(u * unit, (unit / a) ** 2, self.positive)) / unit
        cost = [0.5 * a**2 * (v - u) ** 2 + float(self.penalty.value_elementwise(v * unit)) for v in (w[j], z)]
        return z, cost[0] - cost[1]

    def violations(self, codes):
        """Return how far each signal's worst coordinate is from its best value, over the length of the signal."""
        worst = np.zeros(len(codes))
        for i, j in np.ndindex(codes.shape):
            z, gain = self.best(codes[i], i, j)
            move = self.norm[j] * abs(z - codes[i, j])
            if not isinstance(self.penalty, L1) and abs(z - codes[i, j]) > 1e-3 * self.threshold[j]:
                move = min(move, np.sqrt(2 * gain) if gain > 1e-14 * self.square[i] else 0.0)
            worst[i] = max(worst[i], move)
        return worst / np.where(self.square > 0, np.sqrt(self.square), 1.0)

    def gaps(self, codes):
        """Return the duality gap of l1 over that of the code 0 with no dual."""
        residual = self.X - codes @ self.D
        size = np.max(residual @ self.D.T if self.positive else np.abs(residual @ self.D.T), axis=1)
        s = np.minimum(1.0, self.penalty.alpha / np.maximum(size, self.penalty.alpha))
        dual = s * np.einsum("ij,ij->i", residual, self.X) - 0.5 * s**2 * np.einsum("ij,ij->i", residual, residual)
        return (self.objectives(codes) - dual) / (0.5 * self.square)

    def consistent(self, codes, q):
        """Return whether `q` is that of the codes, up to rounding errors of the products behind it."""
        size = np.abs(self.X) @ np.abs(self.D).T + np.abs(codes) @ np.abs(self.gram)
        return np.all(np.abs(q - (self.X - codes @ self.D) @ self.D.T) <= 1e-12 * (1 + size))


def random_case(seed, penalty, *, n=6, d=7, K=12, spread=0.5, positive=False):
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((K, d))
    D *= np.exp(rng.uniform(-spread, spread, (K, 1))) / np.linalg.norm(D, axis=1, keepdims=True)
    return Case(rng.standard_normal((n, d)), D, penalty, positive)


def start(case, seed):
    codes = np.random.default_rng(seed).standard_normal((len(case.X), len(case.D)))
    codes[np.random.default_rng(seed + 1).random(codes.shape) < 0.5] = 0.0
    return np.abs(codes) if case.positive else codes


def twin(case, i, w, tol, max_rounds):
    """Cyclic sweeps over all atoms of one signal, each round to a finer tolerance."""
    w, rounds, scale = w.copy(), 0, np.sqrt(case.square[i])
    one = Case(case.X[i : i + 1], case.D, case.penalty, case.positive)
    while True:
        worst = one.violations(w[None])[0] * scale
        if worst <= tol * scale:
            return w, rounds
        if rounds == max_rounds:
            return w, -1 - rounds
        rounds += 1
        for _ in range(200):
            change = 0.0
            for j in range(len(w)):
                z = one.best(w, 0, j)[0]
                change = max(change, case.norm[j] * abs(z - w[j]))
                w[j] = z
            if change <= max(0.1 * worst, 0.3 * tol * scale):
                break


@each_penalty
@pytest.mark.parametrize("positive", [False, True])
def test_sweeps_over_all_atoms_equal_the_twin(penalty, positive):
    for seed, (d, K) in enumerate([(6, 9), (8, 5), (1, 3), (4, 1)]):
        case = random_case(seed, penalty, n=1, d=d, K=K, positive=positive)
        for begin in (np.zeros((1, K)), start(case, seed)):
            for max_rounds in (1, 2, 100):
                codes, q, rounds = case.run(begin, tol=1e-3, fraction=0.0, largest=0, max_rounds=max_rounds)
                expected, count = twin(case, 0, begin[0], 1e-3, max_rounds)
                np.testing.assert_allclose(codes[0], expected, rtol=1e-9, atol=1e-12)
                assert rounds[0] == count
                assert case.consistent(codes, q)


@each_penalty
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("largest", [256, 4, 0])
def test_no_coordinate_can_gain_where_it_ends(penalty, positive, largest):
    for seed in range(3):
        case = random_case(seed, penalty, positive=positive)
        for begin in (np.zeros((6, 12)), start(case, seed)):
            codes, q, rounds = case.run(begin, tol=1e-9, largest=largest)
            assert np.all(rounds >= 0)
            assert case.violations(codes).max() <= 1.01e-9
            assert case.consistent(codes, q)
            assert np.all(case.objectives(codes) <= case.objectives(begin) + 1e-12)
            assert codes.any()
            assert not positive or codes.min() >= 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(PENALTIES), st.booleans(), st.integers(1, 9), st.integers(1, 14))
def test_random_problems(seed, penalty, positive, d, K):
    case = random_case(seed, penalty, n=3, d=d, K=K, spread=2.0, positive=positive)
    codes, q, rounds = case.run(tol=1e-8)
    assert np.all(rounds >= 0)
    assert case.violations(codes).max() <= 1.01e-8
    assert case.consistent(codes, q)
    assert np.all(case.objectives(codes) <= 0.5 * case.square + 1e-12)


@pytest.mark.parametrize("penalty", [L1(0.1), L1(0.01), L1L2(0.1, 0.5)], ids=repr)
def test_convex_penalties_have_the_same_codes_however_sets_are_chosen(penalty):
    case = random_case(0, penalty, n=10, d=15, K=20)
    first = case.run(tol=1e-13)[0]
    for options in ({"fraction": 0.0}, {"fraction": 1.0}, {"largest": 7}, {"largest": 0}):
        codes, _, rounds = case.run(start(case, 1), tol=1e-13, max_rounds=10000, **options)
        assert np.all(rounds >= 0)
        np.testing.assert_allclose(codes, first, atol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
def test_the_gap_is_reached_where_it_is_asked_for(positive):
    case = random_case(2, L1(0.05), n=40, d=20, K=40, positive=positive)
    loose = case.run(tol=1e-4)[0]
    codes, _, rounds = case.run(tol=1e-4, gap_tol=1e-10)
    assert np.all(rounds >= 0)
    assert case.gaps(loose).max() > 1e-6
    assert case.gaps(codes).max() <= 1.1e-10


def dependent(kind, seed, *, n=10, d=15, K=40):
    rng = np.random.default_rng(seed)
    D, X = rng.standard_normal((K, d)), rng.standard_normal((n, d))
    if kind == "copies":
        D[K // 2 : K // 2 + 10], D[-5:] = D[:10], -D[:5]
    elif kind == "nearly copies":
        D[K // 2 :] = D[: K // 2] + 1e-5 * rng.standard_normal((K // 2, d))
    elif kind == "few dimensions":
        D = rng.standard_normal((K, 3)) @ rng.standard_normal((3, d))
    elif kind == "integers":
        D, X = rng.integers(-2, 3, (K, d)).astype(float), rng.integers(-2, 3, (n, d)).astype(float)
    elif kind == "one direction":
        D += 3.0 * rng.standard_normal((1, d))
    return X, D


KINDS = ("more than features", "copies", "nearly copies", "few dimensions", "integers", "one direction")
STRENGTHS = (0.3, 1e-2, 1e-4, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", STRENGTHS)
def test_dependent_atoms_and_weak_penalties_need_few_rounds(kind, alpha):
    penalties = [
        L1(alpha),
        L1L2(alpha, 0.5),
        Lq(alpha, 0.5),
        Lq(alpha, 0.1),
        L0(alpha),
        CEL0(alpha, 0.5),
        MCP(alpha, 3.0),
        MCP(alpha, 0.3),
        SCAD(alpha, 3.7),
        LogSum(alpha, 0.1),
    ]
    for seed, penalty in enumerate(penalties):
        case = Case(*dependent(kind, seed), penalty)
        gap_tol = 1e-8 if isinstance(penalty, L1) else 1.0
        codes, q, rounds = case.run(tol=1e-8, gap_tol=gap_tol, max_rounds=150)
        assert np.all(rounds >= 0), penalty
        assert np.median(rounds) <= 15, penalty
        assert case.consistent(codes, q), penalty
        assert np.all(case.objectives(codes) <= 0.5 * case.square * (1 + 1e-12)), penalty
        some = slice(0, 3)
        part = Case(case.X[some], case.D, penalty)
        assert part.violations(codes[some]).max() <= 2e-8, penalty
        if gap_tol < 1:
            assert case.gaps(codes).max() <= 2e-8


@each_penalty
def test_codes_on_copies_of_atoms_stay_within_reach(penalty):
    # Along two copies F does not bend: a Newton step of rounding errors over a pivot of rounding errors goes anywhere.
    for seed in range(4):
        rng = np.random.default_rng(seed)
        D = rng.integers(-2, 3, (12, 6)) + 0.1 * rng.standard_normal((12, 6))
        case = Case(rng.standard_normal((10, 6)), np.vstack([D, D, -D[:3]]), penalty)
        for begin in (None, start(case, seed)):
            codes, q, rounds = case.run(begin, tol=1e-8, max_rounds=200)
            assert np.abs(codes).max() < 100
            assert case.consistent(codes, q)
            assert np.all(rounds >= 0)
            before = 0.5 * case.square if begin is None else case.objectives(begin)
            assert np.all(case.objectives(codes) <= before + 1e-10)


@pytest.mark.parametrize("penalty", [L1(0.1), L1L2(0.1, 0.9), LogSum(0.05, 1.0), MCP(0.05, 20.0)], ids=repr)
def test_newton_steps_end_what_sweeps_would_not(penalty):
    rng = np.random.default_rng(0)
    D = 10.0 + rng.standard_normal((8, 12))
    case = Case(rng.standard_normal((6, 8)) @ D, D, penalty)
    codes, _, rounds = case.run(tol=1e-10, fraction=0.0)
    assert 0 <= rounds.min() <= rounds.max() <= 10
    assert case.violations(codes).max() <= 1.1e-10
    assert np.all(case.run(tol=1e-10, fraction=0.0, largest=0, max_rounds=10)[2] == -11)


def test_a_direction_along_which_a_concave_penalty_bends_down():
    # Two nearly equal atoms share a signal at a saddle point: along each coordinate it is a minimum.
    angle = 0.1
    D = np.array([[np.cos(angle), np.sin(angle)], [np.cos(angle), -np.sin(angle)]])
    case = Case(np.array([[1.0, 0.0]]), D, LogSum(0.02, 0.05))
    w = 0.5
    for _ in range(200):  # the symmetric point
        w = (np.cos(angle) - case.penalty.alpha / (case.penalty.eps + w)) / (1 + np.cos(2 * angle))
    nudged = np.array([[w + 1e-6, w - 1e-6]])
    codes, _, rounds = case.run(nudged, tol=1e-10)
    assert 0 <= rounds[0] <= 5
    assert case.violations(codes)[0] <= 1e-10
    assert np.count_nonzero(codes) == 1
    assert case.objectives(codes)[0] < case.objectives(nudged)[0] - 1e-3


def test_the_sign_of_rounds_says_whether_the_limit_ended_it():
    case = random_case(3, L1(0.01), n=30, d=20, K=40)
    needed = case.run(tol=1e-10)[2]
    assert needed.min() >= 2
    assert np.ptp(needed) > 0
    for limit in (0, 1, int(np.median(needed)), int(needed.max())):
        codes, q, rounds = case.run(tol=1e-10, max_rounds=limit)
        np.testing.assert_array_equal(rounds, np.where(needed <= limit, needed, -1 - limit))
        assert case.consistent(codes, q)
    assert not case.run(max_rounds=0)[0].any()


@each_penalty
def test_a_solution_needs_no_round(penalty):
    case = random_case(4, penalty, n=10)
    codes, q, _ = case.run(tol=1e-9)
    again, q_again, rounds = case.run(codes, tol=1.1e-9)
    assert np.all(rounds == 0)
    np.testing.assert_array_equal(again, codes)
    np.testing.assert_allclose(q_again, q, rtol=0, atol=1e-13)


def test_signals_that_are_zero():
    case = random_case(5, Lq(0.1, 0.5), n=4)
    case.X[[0, 2]] = 0.0
    case = Case(case.X, case.D, case.penalty)
    codes, _, rounds = case.run()
    assert rounds[[0, 2]].tolist() == [0, 0]
    assert rounds[[1, 3]].min() > 0
    assert np.array_equal(codes.any(axis=1), [False, True, False, True])


def test_strong_penalties_need_no_round():
    for penalty in (L1(100.0), L0(100.0), MCP(100.0), Lq(100.0)):
        codes, _, rounds = random_case(6, penalty).run()
        assert not codes.any()
        assert not rounds.any()


@pytest.mark.parametrize("penalty", [L1(0.1), Lq(0.1), L0(0.02), MCP(0.1)], ids=repr)
@pytest.mark.parametrize("largest", [256, 5])
def test_neither_threads_nor_other_signals_nor_their_order_matter(penalty, largest):
    case = random_case(7, penalty, n=101, d=20, K=50)
    codes, q, rounds = case.run(largest=largest)
    for n_threads in (1, 2, 3):
        ends = np.linspace(0, 101, n_threads + 1).astype(int)
        parts = [slice(*pair) for pair in pairwise(ends)]
        with ThreadPoolExecutor(n_threads) as pool:
            found = list(pool.map(lambda rows: case.run(rows=rows, largest=largest), parts))
        for rows, (some, some_q, some_rounds) in zip(parts, found, strict=True):
            np.testing.assert_array_equal(some[rows], codes[rows])
            np.testing.assert_array_equal(some_q[rows], q[rows])
            np.testing.assert_array_equal(some_rounds[rows], rounds[rows])
            assert np.count_nonzero(some_rounds == 7777) == 101 - (rows.stop - rows.start)
    order = np.random.default_rng(0).permutation(101)
    # The correlations are the same to the last bit if the product that makes them is.
    shuffled = random_case(7, penalty, n=101, d=20, K=50)
    shuffled.X, shuffled.square = case.X[order], case.square[order]
    shuffled.correlation = np.ascontiguousarray(case.correlation[order])
    again, _, counts = shuffled.run(largest=largest)
    np.testing.assert_array_equal(again, codes[order])
    np.testing.assert_array_equal(counts, rounds[order])


@pytest.mark.parametrize(("cls", "power"), [(L1, 1), (MCP, 1), (SCAD, 1), (L0, 2), (CEL0, 2)])
@pytest.mark.parametrize("exponent", [-300, -3, 5, 300])
def test_powers_of_two_change_no_digit(cls, power, exponent):
    base = random_case(8, cls(0.1), n=10)
    scaled = Case(np.ldexp(base.X, exponent), base.D, cls(float(np.ldexp(0.1, power * exponent))))
    codes, _, rounds = base.run()
    again, _, counts = scaled.run()
    np.testing.assert_array_equal(np.ldexp(again, -exponent), codes)
    np.testing.assert_array_equal(counts, rounds)


def test_read_only_data_is_accepted():
    case = random_case(9, L1(0.1))
    expected = case.run()[0]
    arrays = (case.gram, case.norm, case.parameters, case.threshold, case.correlation, case.square)
    for array in arrays:
        array.flags.writeable = False
    np.testing.assert_array_equal(case.run()[0], expected)


def test_no_signals():
    case = Case(np.empty((0, 3)), np.eye(3), L1(0.1))
    codes, q, rounds = case.run()
    assert codes.shape == q.shape == (0, 3)
    assert rounds.shape == (0,)
