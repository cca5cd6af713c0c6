import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from estimand.cython_ext._quadratic_cd import descend


def twin(H, g, x, threshold, ridge, tol, max_sweeps):
    """The same sweeps, with the slope computed afresh at every coordinate."""
    start, x, sweeps, moved = x, x.copy(), 0, 0.0

    def sweep(coordinates):
        largest = 0.0
        for j in coordinates:
            bend = H[j, j] + ridge[j]
            if bend > 0:
                z = H[j, j] * x[j] - (g[j] + H[j] @ (x - start))
                change = np.sign(z) * max(abs(z) - threshold[j], 0) / bend - x[j]
                x[j] += change
                largest = max(largest, abs(change) * np.sqrt(bend))
        return largest

    while sweeps < max_sweeps:
        moved, sweeps = sweep(range(x.size)), sweeps + 1
        if moved <= tol:
            break
        while sweeps < max_sweeps:
            moved, sweeps = sweep([j for j in range(x.size) if x[j] != 0 or threshold[j] == 0]), sweeps + 1
            if moved <= tol:
                break
    return x, g + H @ (x - start), sweeps, moved


def run(H, g, x, threshold, ridge, tol, max_sweeps):
    kept, slope, x = H.copy(), g.copy(), x.copy()
    sweeps, moved = descend(H, slope, x, threshold, ridge, tol, max_sweeps)
    np.testing.assert_array_equal(H, kept)
    return x, slope, sweeps, moved


def quadratic(rng, p, rank, dead=0):
    """Return H of at most this rank with `dead` zero rows, and a g for which the quadratic is bounded below."""
    A = rng.standard_normal((rank, p))
    A[:, rng.permutation(p)[:dead]] = 0.0
    H = A.T @ A / max(rank, 1)
    return H, H @ rng.standard_normal(p)


def cases():
    rng = np.random.default_rng(0)
    for p, rank, dead in ((1, 1, 0), (2, 2, 0), (5, 8, 0), (12, 30, 0), (12, 4, 0), (9, 12, 3), (4, 0, 4)):
        H, g = quadratic(rng, p, rank, dead)
        threshold = rng.uniform(0, 0.5, p) * (rng.uniform(size=p) < 0.7)
        ridge = rng.uniform(0, 0.5, p) * (rng.uniform(size=p) < 0.5)
        x = rng.standard_normal(p) * (rng.uniform(size=p) < 0.5) * (np.diag(H) > 0)
        yield H, g, x, threshold, ridge
        yield H, g, x, threshold, np.zeros(p)
        yield H, g, x, np.zeros(p), np.zeros(p)
        yield H, g, np.zeros(p), np.full(p, 1e3), ridge
    empty = np.zeros(0)
    yield np.zeros((0, 0)), empty, empty, empty, empty


CASES = list(cases())


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("max_sweeps", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("tol", [0.0, 1e-1])
def test_sweeps(case, max_sweeps, tol):
    H, g, x, threshold, ridge = CASES[case]
    expected_x, expected_slope, expected_sweeps, expected_moved = twin(H, g, x, threshold, ridge, tol, max_sweeps)
    out, slope, sweeps, moved = run(H, g, x, threshold, ridge, tol, max_sweeps)
    np.testing.assert_allclose(out, expected_x, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(out == 0, expected_x == 0)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moved, expected_moved, rtol=1e-6, atol=1e-12)
    # Without a tolerance the last sweep is a matter of rounding.
    if tol:
        assert sweeps == expected_sweeps


def violation(slope, x, threshold, ridge):
    slope = slope + ridge * x
    return np.max(
        np.where(x != 0, np.abs(slope + threshold * np.sign(x)), np.maximum(np.abs(slope) - threshold, 0)), initial=0.0
    )


@settings(deadline=None, max_examples=150)
@given(
    p=st.integers(1, 10),
    rank=st.integers(0, 14),
    dead=st.integers(0, 3),
    free=st.floats(0, 1),
    ridged=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_optimal_when_nothing_moves(p, rank, dead, free, ridged, seed):
    rng = np.random.default_rng(seed)
    H, g = quadratic(rng, p, rank, min(dead, p))
    threshold = np.where(rng.uniform(size=p) < free, 0.0, rng.uniform(0.01, 0.5, p))
    ridge = np.where(rng.uniform(size=p) < ridged, rng.uniform(0.01, 0.5, p), 0.0)
    x = np.where((rng.uniform(size=p) < 0.5) & (np.diag(H) > 0), rng.standard_normal(p), 0.0)
    g = g - H @ x  # the slope at x of a quadratic that is bounded below
    out, slope, sweeps, moved = run(H, g, x, threshold, ridge, 1e-13, 20_000)
    assume(sweeps < 20_000)  # hardly any H is so close to a singular one
    assert moved <= 1e-13
    np.testing.assert_allclose(slope, g + H @ (out - x), rtol=0, atol=1e-10 * (1 + np.abs(out).max() * np.abs(H).max()))
    assert violation(slope, out, threshold, ridge) <= 1e-10 * (1 + np.abs(out).max())


def test_a_diagonal_needs_one_sweep():
    H, g = np.diag([2.0, 0.5, 4.0, 0.0]), np.array([-3.0, 0.2, 8.0, 0.1])
    threshold, ridge = np.array([1.0, 0.5, 0.0, 0.5]), np.array([0.0, 1.0, 4.0, 0.0])
    out, slope, sweeps, moved = run(H, g, np.zeros(4), threshold, ridge, 1e-12, 100)
    np.testing.assert_allclose(out, [1.0, 0.0, -1.0, 0.0], rtol=1e-15)
    np.testing.assert_allclose(slope, g + H @ out, rtol=1e-15, atol=1e-15)
    assert sweeps == 3  # one that moves, one over the nonzero coordinates and one over all that do not
    assert moved == 0.0


def test_coordinates_without_curvature_stay_at_zero():
    H, g = np.zeros((3, 3)), np.array([0.0, 0.3, -5.0])
    out, slope, sweeps, moved = run(H, g, np.zeros(3), np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.0, 2.0]), 0.0, 10)
    np.testing.assert_array_equal(out, [0.0, 0.0, 2.0])  # the ridge alone bends the last one
    np.testing.assert_array_equal(slope, g)
    assert moved == 0.0
    assert sweeps == 3


def test_penalised_coordinates_without_curvature_go_to_zero():
    # The penalty alone is least at zero, and the slope within the threshold cannot hold against it.
    zeros = np.zeros(1)
    out, slope, _, _ = run(np.zeros((1, 1)), np.array([0.5]), np.ones(1), np.ones(1), zeros, 0.0, 10)
    np.testing.assert_array_equal(out, zeros)
    np.testing.assert_array_equal(slope, [0.5])
