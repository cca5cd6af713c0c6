"""Proximal maps against brute force, closed forms, identities and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimand.penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq

CASES = 3000


def random_penalty(cls, rng):
    alpha = 10.0 ** rng.uniform(-2, 1)
    extra = {
        L1: {},
        L0: {},
        L1L2: {"l1_ratio": rng.uniform(0, 1)},
        Lq: {"q": rng.uniform(0.02, 0.98)},
        CEL0: {"norm": 10.0 ** rng.uniform(-1, 1)},
        MCP: {"gamma": 10.0 ** rng.uniform(-1, 1.5)},
        SCAD: {"gamma": 2.0 + 10.0 ** rng.uniform(-2, 1.5)},
        LogSum: {"eps": 10.0 ** rng.uniform(-2, 1.5)},
        CappedL1: {"theta": 10.0 ** rng.uniform(-1.5, 1.5)},
    }[cls]
    return cls(alpha, **extra)


def convexity_limit(penalty):
    """The step at which the minimised function stops to be convex."""
    return {
        CEL0: lambda: 1 / penalty.norm**2,
        MCP: lambda: penalty.gamma,
        SCAD: lambda: penalty.gamma - 1,
        LogSum: lambda: penalty.eps**2 / penalty.alpha,
    }.get(type(penalty), lambda: None)()


def objective(penalty, z, x, step):
    return 0.5 * z * (z - 2 * x) + step * penalty.value_elementwise(z)


def brute_force(penalty, x, step, points=400, rounds=4):
    """The least value over [0, x] of (z - x)^2 / 2 + step P(z), less x^2 / 2, by a grid and refinement."""
    x, step = x[:, None], step[:, None]
    fine = np.concatenate([[0.0], np.geomspace(1e-9, 1, points // 2), np.linspace(0, 1, points // 2)[1:]])
    grid = np.sort(fine) * x
    best = np.full(x.shape[0], np.inf)
    for _ in range(rounds):
        values = objective(penalty, grid, x, step)
        at = values.argmin(axis=1)
        rows = np.arange(at.size)
        best = np.minimum(best, values[rows, at])
        low, high = grid[rows, np.maximum(at - 1, 0)], grid[rows, np.minimum(at + 1, grid.shape[1] - 1)]
        grid = low[:, None] + np.linspace(0, 1, points)[None, :] * (high - low)[:, None]
    return best


ALL = [L1, L1L2, Lq, L0, CEL0, MCP, SCAD, LogSum, CappedL1]


@pytest.mark.parametrize("cls", ALL)
def test_prox_is_a_global_minimiser(cls):
    rng = np.random.default_rng(ALL.index(cls))
    for _ in range(CASES // 50):
        penalty = random_penalty(cls, rng)
        step = 10.0 ** rng.uniform(-3, 3, 50)
        limit = convexity_limit(penalty)
        if limit is not None:
            step[::3] = limit * rng.choice([1.0, 1 - 1e-15, 1 + 1e-15, 1 - 1e-9, 1 + 1e-9, 0.5, 2.0], step[::3].size)
        # Half the points near the threshold, where minimisers compete.
        x = np.where(
            rng.random(50) < 0.5,
            penalty.threshold(step) * rng.uniform(0.5, 2.0, 50),
            10.0 ** rng.uniform(-3, 3, 50),
        )
        z = penalty.prox(x, step)
        assert np.all((z >= 0) & (z <= x))
        excess = objective(penalty, z, x, step) - brute_force(penalty, x, step)
        assert np.all(excess <= 2e-15 * x * x), (penalty, excess.max())


@pytest.mark.parametrize("cls", ALL)
def test_threshold_is_where_the_prox_leaves_zero(cls):
    rng = np.random.default_rng(1)
    for _ in range(100):
        penalty = random_penalty(cls, rng)
        step = 10.0 ** rng.uniform(-3, 3, 20)
        threshold = penalty.threshold(step)
        assert np.all(penalty.prox(threshold * (1 - 1e-9), step) == 0)
        assert np.all(penalty.prox(threshold * (1 + 1e-6) + 1e-300, step) > 0)


@pytest.mark.parametrize("cls", ALL)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), step=st.floats(1e-6, 1e6))
def test_prox_properties(cls, seed, step):
    rng = np.random.default_rng(seed)
    penalty = random_penalty(cls, rng)
    x = np.sort(rng.standard_normal(40) * 10.0 ** rng.uniform(-3, 3))
    z = penalty.prox(x, step)
    assert np.array_equal(penalty.prox(-x, step), -z)
    assert penalty.prox(0.0, step) == 0.0
    assert np.all(np.diff(z) >= -1e-12 * np.abs(x).max())
    # The last digit of vectorised powers depends on how many there are.
    rtol = 1e-14 if cls is Lq else 0
    np.testing.assert_allclose(penalty.prox(x, step, positive=True), np.where(x > 0, z, 0.0), rtol=rtol)
    np.testing.assert_allclose([penalty.prox(entry, step) for entry in x], z, rtol=rtol)
    assert np.array_equal(penalty.prox(x.reshape(4, 10), np.full((4, 10), step)), z.reshape(4, 10))
    values = penalty.value_elementwise(np.sort(np.abs(x)))
    assert np.all(np.diff(values) >= -1e-15 * values.max())
    assert penalty.value(x) == pytest.approx(penalty.value(-x))


@pytest.mark.parametrize("cls", ALL)
def test_a_zero_step_and_a_zero_strength_change_nothing(cls):
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.standard_normal(50) * 10.0 ** rng.uniform(-8, 8, 50), [0.0, 1e-300, -1e-300]])
    penalty = random_penalty(cls, rng)
    np.testing.assert_allclose(penalty.prox(x, 0.0), x, rtol=1e-15)
    np.testing.assert_allclose(penalty.set_params(alpha=0.0).prox(x, 0.7), x, rtol=1e-15)
    assert penalty.value(x) == 0.0


@pytest.mark.parametrize("cls", ALL)
def test_slopes_are_derivatives(cls):
    rng = np.random.default_rng(3)
    penalty = random_penalty(cls, rng)
    w = np.concatenate([rng.uniform(0.05, 5, 200), -rng.uniform(0.05, 5, 200)])
    h = 1e-6
    slope = (penalty.value_elementwise(w + h) - penalty.value_elementwise(w - h)) / (2 * h)
    # A kink between the two points is the one place where the difference is no derivative.
    kink = np.abs(np.abs(w) - penalty.theta) <= 2 * h if cls is CappedL1 else np.zeros(w.size, dtype=bool)
    distance = penalty.subgradient_distance(w, -slope)
    assert np.all(distance[~kink] <= 1e-6 * max(1.0, np.abs(slope).max()))


def test_subgradients_at_zero():
    zero = np.zeros(2)
    gradient = np.array([0.9, -1.6])
    alpha = 1.0
    for penalty, slope in [
        (L1(alpha), 1.0),
        (L1L2(alpha, 0.5), 0.5),
        (MCP(alpha), 1.0),
        (SCAD(alpha), 1.0),
        (LogSum(alpha, 0.8), 1.25),
        (CEL0(alpha, 0.5), 0.5 * np.sqrt(2)),
        (CappedL1(alpha, 2.0), 1.0),
        (L0(alpha), np.inf),
        (Lq(alpha), np.inf),
    ]:
        np.testing.assert_allclose(
            penalty.subgradient_distance(zero, gradient), np.maximum(np.abs(gradient) - slope, 0), err_msg=repr(penalty)
        )
    at_kink = CappedL1(1.0, 2.0).subgradient_distance(np.array([2.0, 2.0]), np.array([-1.0, 0.0]))
    assert np.array_equal(at_kink, [0.0, 0.0])


def test_cel0_is_mcp():
    rng = np.random.default_rng(4)
    for _ in range(200):
        alpha, norm = 10.0 ** rng.uniform(-2, 1), 10.0 ** rng.uniform(-1, 1)
        cel0, mcp = CEL0(alpha, norm), MCP(norm * np.sqrt(2 * alpha), 1 / norm**2)
        x = rng.uniform(0, 3, 50) * np.sqrt(2 * alpha) / norm
        step = rng.uniform(0.01, 3, 50) / norm**2
        np.testing.assert_allclose(cel0.value_elementwise(x), mcp.value_elementwise(x), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(cel0.prox(x, step), mcp.prox(x, step), rtol=1e-9)


def test_cel0_at_a_coordinate_step_is_hard_thresholding():
    rng = np.random.default_rng(5)
    for norm in 10.0 ** rng.uniform(-3, 3, 200):
        x = rng.standard_normal(20) * 3 / norm
        step = 1 / (norm * norm)
        assert np.array_equal(CEL0(1.0, norm).prox(x, step), L0(1.0).prox(x, step))


def test_cel0_keeps_the_digits_of_small_values():
    small = CEL0(1.0).value_elementwise(1e-20)
    assert small == pytest.approx(np.sqrt(2) * 1e-20, rel=1e-14)


def half(x, eta):
    """The closed form of the prox of |z|^(1/2) for x above its threshold."""
    return 2 * x / 3 * (1 + np.cos(2 * np.pi / 3 - 2 / 3 * np.arccos(eta / 4 * (x / 3) ** -1.5)))


def two_thirds(x, eta):
    """The closed form of the prox of |z|^(2/3) for x above its threshold."""
    c = 2 * eta / 3
    y = 2 * np.sqrt(c / 3) * np.cosh(np.arccosh(x**2 / 16 * (3 / c) ** 1.5) / 3)
    a = np.sqrt(2 * y)
    return ((a + np.sqrt(2 * x / a - a**2)) / 2) ** 3


@pytest.mark.parametrize(
    ("q", "closed", "threshold"),
    [
        (1 / 2, half, lambda eta: 1.5 * eta ** (2 / 3)),
        (2 / 3, two_thirds, lambda eta: 2 * (2 * eta / 3) ** 0.75),
    ],
)
def test_powers_against_closed_forms(q, closed, threshold):
    rng = np.random.default_rng(6)
    eta = 10.0 ** rng.uniform(-3, 3, 2000)
    h = threshold(eta)
    np.testing.assert_allclose(Lq(1.0, q).threshold(eta), h, rtol=1e-13)
    x = h * (1 + 10.0 ** rng.uniform(-6, 3, 2000))
    np.testing.assert_allclose(Lq(1.0, q).prox(x, eta), closed(x, eta), rtol=1e-10)


def test_powers_tend_to_soft_and_to_hard_thresholding():
    x = np.concatenate([np.linspace(0, 0.95, 50), np.linspace(1.05, 5, 100)])
    np.testing.assert_allclose(Lq(1.0, 1 - 1e-6).prox(x, 1.0), L1(1.0).prox(x, 1.0), atol=2e-4)
    np.testing.assert_allclose(Lq(1.0, 0.999).threshold(2.0), 2.0, rtol=1e-2)
    x = x * np.sqrt(2.0)
    np.testing.assert_allclose(Lq(1.0, 1e-7).prox(x, 1.0), L0(1.0).prox(x, 1.0), atol=1e-6)
    np.testing.assert_allclose(Lq(1.0, 1e-9).threshold(2.0), 2.0, rtol=1e-8)


@pytest.mark.parametrize("q", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("eta", [5e-324, 1e-300, 1e-200, 1e200])
def test_powers_at_the_edge_of_the_floating_range(q, eta):
    penalty = Lq(1.0, q)
    h = penalty.threshold(eta)
    assert 0 < h < np.inf
    z = penalty.prox(np.array([h * 0.999, h * 1.001, h * 1e3, 1e300]), eta)
    assert z[0] == 0
    assert 0 < z[1] <= h * 1.001
    assert z[2] == pytest.approx(h * 1e3, rel=1e-2 if q < 0.9 else 2e-3)
    assert z[3] == 1e300


def test_ties_go_to_the_smaller_minimiser():
    assert L0(0.5).prox(1.0, 1.0) == 0
    assert CEL0(0.5).prox(1.0, 1.0) == 0
    assert MCP(1.0, 1.0).prox(1.0, 1.0) == 0
    assert CappedL1(1.0, 2.0).prox(2.5, 1.0) == 1.5
    assert SCAD(1.0, 3.0).prox(3.0, 2.0) == 1.0  # and 3 is as good


def test_infinite_and_missing_points():
    for cls in ALL:
        z = cls(1.0).prox(np.array([np.nan, 1e300, -1e300]), 1.0)
        assert np.isnan(z[0])
        assert np.all(np.isfinite(z[1:]))
