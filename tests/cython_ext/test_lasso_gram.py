"""The Gram kernel against NumPy twins: epochs, gap, Newton steps, and the factor that follows the support."""

import numpy as np
import pytest

from estimand.cython_ext import _lasso_gram as kernel

BLOCK = 4


class Buffers:
    """A restricted problem with all the buffers that the kernel wants."""

    def __init__(self, design, response, threshold, ridge, positive=False, room=None):
        n, m = design.shape
        norms = np.sqrt(np.square(design).mean(axis=0))
        self.design = design / np.where(norms > 0, norms, 1.0)
        self.gram = np.asfortranarray(self.design.T @ self.design / n)
        np.fill_diagonal(self.gram, 1.0)
        self.b = self.design.T @ response / n
        self.u, self.q = np.zeros(m), self.b.copy()
        self.threshold, self.ridge, self.positive = np.full(m, threshold), np.full(m, ridge), positive
        self.yy = float(response @ response) / n
        room = m if room is None else room
        self.lower = np.zeros((room, room), order="F")
        self.order = np.zeros(room, dtype=np.int32)
        self.place = np.full(m, -1, dtype=np.int32)
        self.factored = 0
        self.work = np.empty(BLOCK * (room + BLOCK) + 2 * room)

    def run(self, n_rounds, target=0.0, n_support_epochs=0, newton=False):
        status, self.factored, gap, rounds = kernel.solve_restricted(
            self.gram, self.b, self.u, self.q, self.threshold, self.ridge, self.b.size, self.positive, self.yy, target,
            self.lower, self.order, self.place, self.factored, self.work, np.empty(BLOCK, dtype=np.int32), BLOCK,
            n_rounds, n_support_epochs, newton,
        )  # fmt: skip
        return status, gap, rounds

    def factor_error(self):
        k = self.factored
        lower, active = np.tril(self.lower[:k, :k]), self.order[:k]
        expected = self.gram[np.ix_(active, active)] + np.diag(self.ridge[active])
        return np.abs(lower @ lower.T - expected).max(initial=0.0)


def soft(z, threshold, positive):
    return max(z - threshold, 0.0) if positive else np.sign(z) * max(abs(z) - threshold, 0.0)


def twin_epoch(gram, b, u, threshold, ridge, positive, columns):
    for j in columns:
        z = b[j] - gram[j] @ u + u[j]
        u[j] = soft(z, threshold[j], positive) / (1 + ridge[j])


def twin_gap(gram, b, u, threshold, ridge, positive, yy):
    q = b - gram @ u
    rr, yr = yy - b @ u - q @ u, yy - b @ u
    primal = rr / 2 + threshold @ np.abs(u) + ridge @ u**2 / 2
    size = q if positive else np.abs(q)
    free = max(yr / rr, 0.0)
    longest = min((t / s for t, s in zip(threshold, size, strict=True) if s > 0), default=np.inf)
    steps = [min(free, longest)] if not ridge.any() else [min(free, longest), 1.0, free]
    duals = []
    for a in steps:
        over = np.maximum(a * size - threshold, 0.0)
        cost = over[over > 0] ** 2 @ (1 / (2 * ridge[over > 0])) if ridge.all() else 0.0
        duals.append(a * yr - a * a * rr / 2 - cost)
    return primal - max(duals)


def problem(seed, n=30, m=12, threshold=0.05, ridge=0.0, positive=False):
    rng = np.random.default_rng(seed)
    design, response = rng.standard_normal((n, m)), rng.standard_normal(n)
    return Buffers(design, response, threshold, ridge, positive)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_epochs_and_gap_equal_the_twin(seed, ridge, positive):
    p = problem(seed, ridge=ridge, positive=positive)
    u = np.zeros_like(p.u)
    _, gap, rounds = p.run(3, target=-1.0, n_support_epochs=2)
    for _ in range(3):
        twin_epoch(p.gram, p.b, u, p.threshold, p.ridge, positive, range(u.size))
        for _ in range(2):
            twin_epoch(p.gram, p.b, u, p.threshold, p.ridge, positive, np.flatnonzero(u))
    assert rounds == 3
    np.testing.assert_allclose(p.u, u, atol=1e-13)
    np.testing.assert_allclose(p.q, p.b - p.gram @ u, atol=1e-13)
    np.testing.assert_allclose(gap, twin_gap(p.gram, p.b, u, p.threshold, p.ridge, positive, p.yy), atol=1e-13)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_newton_steps_reach_the_optimum_that_epochs_reach(seed, ridge, positive):
    slow, fast = (problem(seed, ridge=ridge, positive=positive) for _ in range(2))
    slow.run(3000)
    status, gap, rounds = fast.run(60, target=1e-14, newton=True)
    assert status == kernel.CONVERGED
    assert rounds < 60
    assert gap <= 1e-14
    np.testing.assert_allclose(fast.u, slow.u, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_factor_follows_the_support_through_additions_and_deletions(seed):
    p, rng = problem(seed, n=60, m=40), np.random.default_rng(seed)
    for _ in range(25):
        p.threshold[:] = 10 ** rng.uniform(-3, 0) * rng.uniform(0.2, 1, p.threshold.size)
        status, _, _ = p.run(100, target=1e-13, newton=True)
        assert status == kernel.CONVERGED
        assert p.factor_error() < 1e-12
        assert sorted(np.flatnonzero(p.place >= 0)) == sorted(p.order[: p.factored])
        np.testing.assert_array_equal(p.order[p.place[p.place >= 0]], np.flatnonzero(p.place >= 0))


def test_dependent_columns_are_reported():
    rng = np.random.default_rng(0)
    column, response = rng.standard_normal(20), rng.standard_normal(20)
    p = Buffers(np.stack([column, column * (1 + 1e-12)], axis=1), 10 * column + response, 0.01, 0.0)
    p.u[:] = 0.5
    p.q[:] = p.b - p.gram @ p.u
    assert p.run(5, newton=True)[0] == kernel.ILL_CONDITIONED


def test_full_factor_is_reported_and_left_as_it_was():
    rng = np.random.default_rng(1)
    p = Buffers(rng.standard_normal((50, 12)), rng.standard_normal(50), 1e-4, 0.0, room=5)
    assert p.run(5, newton=True)[0] == kernel.FACTOR_FULL
    assert p.factored <= 5
    assert p.factor_error() < 1e-12


def test_one_column_and_zero_response():
    p = Buffers(np.ones((3, 1)), np.zeros(3), 0.1, 0.0)
    status, gap, rounds = p.run(5, target=0.0, newton=True)
    assert (status, gap, rounds) == (kernel.CONVERGED, 0.0, 0)
    np.testing.assert_array_equal(p.u, [0.0])


def test_newton_steps_go_on_with_an_independent_part_of_the_support():
    rng = np.random.default_rng(0)
    design = rng.standard_normal((30, 8))
    design[:, 7] = design[:, 0] * (1 + 1e-9)
    p = Buffers(design, design @ np.arange(1.0, 9.0) + rng.standard_normal(30), 1e-3, 0.0)
    p.u[:] = 0.1
    p.q[:] = p.b - p.gram @ p.u
    before = twin_gap(p.gram, p.b, p.u, p.threshold, p.ridge, False, p.yy)
    status, gap, _ = p.run(10, newton=True)
    assert status == kernel.ILL_CONDITIONED
    assert p.factored == 7
    assert p.factor_error() < 1e-12
    assert gap < 1e-3 * before
