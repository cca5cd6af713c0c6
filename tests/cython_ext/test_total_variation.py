"""The proximal map of anchored chains against its optimality conditions, an exact formula, and cvxpy."""

from fractions import Fraction

import cvxpy as cp
import numpy as np
import pytest

from estimand.cython_ext._total_variation import prox_anchored_chains

TINY = np.finfo(float).smallest_subnormal


def prox(z, weights, step=1.0):
    out = np.full_like(z, np.nan)
    prox_anchored_chains(z, weights, step, out)
    return out


def violations(z, weights, b):
    """Return, chain by chain, how far ``nu_l = sum_{i>=l} (z_i - b_i)`` is from ``t_l`` times a sign of the difference.

    In units of the rounding of sums of z.
    """
    nu = np.cumsum((z - b)[:, ::-1], axis=1)[:, ::-1]
    difference = np.diff(b, axis=1, prepend=0.0)
    off = np.maximum(np.abs(nu) - weights, 0.0)
    moves = difference != 0
    off[moves] = np.abs(nu[moves] - np.copysign(weights[moves], difference[moves]))
    return off.max(axis=1) / (np.finfo(float).eps * np.abs(z).sum(axis=1) + TINY)


def minmax(z, weights):
    """Return the minimiser in exact arithmetic, as a maximum over intervals of a minimum over intervals inside.

    The value at k is ``max_J min_{I in J} (sum_I z +- t_left +- t_right) / |I|``, over intervals that contain k. An end
    of I counts with minus where it is an end of J as well, else with plus. The weight after the last coefficient is 0,
    and intervals that reach the anchor have the value 0.
    """
    m = len(z)
    # No dual variable exceeds m times the range, so that larger weights are all the same.
    bound = 2 * m * max(abs(Fraction(v)) for v in z) + 1
    t = [bound if v >= bound else Fraction(v) for v in weights] + [Fraction(0)]
    sums = [Fraction(0)]
    for v in z:
        sums.append(sums[-1] + Fraction(v))

    def value(a, b, left, right):
        # I = a..b, with -1 for the anchor; J = left..right.
        if a < 0:
            return Fraction(0)
        ends = (-t[a] if a == left else t[a]) + (-t[b + 1] if b == right else t[b + 1])
        return (sums[b + 1] - sums[a] + ends) / (b + 1 - a)

    return [
        max(
            min(value(a, b, left, right) for a in range(left, k + 1) for b in range(k, right + 1))
            for left in range(-1, k + 1)
            for right in range(k, m)
        )
        for k in range(m)
    ]


def chains(rng, n, m):
    """Return n chains of length m, of many kinds: ties, levels, scales; weights that are none, huge and infinite."""
    z = rng.standard_normal((n, m))
    kind = rng.integers(0, 6, n)
    z[kind == 1] = np.round(z[kind == 1])
    z[kind == 2] = z[kind == 2][:, :1]
    z[kind == 3] *= 10.0 ** rng.uniform(-8, 8, (np.count_nonzero(kind == 3), m))
    z[kind == 4] *= rng.random((np.count_nonzero(kind == 4), m)) < 0.5
    weights = rng.exponential(np.abs(z).mean(axis=1, keepdims=True), (n, m)) * 10.0 ** rng.uniform(-2, 1, (n, 1))
    # Whole numbers on both sides, so that many optima lie on a knot.
    weights[(kind == 1) & (rng.random(n) < 0.5)] = rng.integers(0, 4, m)
    weights[(kind == 2) & (rng.random(n) < 0.5)] = 0.5
    special = (rng.random((n, 1)) < 0.6) & (rng.random((n, m)) < 0.4)
    weights[special] = rng.choice([0.0, 0.0, 1e-20, 1e10, 1e16, 1e300, np.inf], np.count_nonzero(special))
    scale = np.where(rng.random((n, 1)) < 0.1, 1e-310, 10.0 ** rng.uniform(-3, 3, (n, 1)))
    return z * scale, weights * scale


@pytest.mark.parametrize("m", range(1, 21))
def test_optimality(m):
    z, weights = chains(np.random.default_rng(m), 5000, m)
    b = prox(z, weights)
    assert np.all(np.isfinite(b))
    assert violations(z, weights, b).max() < 8 + m
    infinite = np.isinf(weights)
    assert np.all(np.diff(b, axis=1, prepend=0.0)[infinite] == 0)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7])
def test_exact_formula(m):
    z, weights = chains(np.random.default_rng(m), 60, m)
    b = prox(z, weights)
    for row in range(len(z)):
        expected = minmax(z[row], weights[row])
        tolerance = Fraction(4e-16) * sum(abs(Fraction(v)) for v in z[row]) + Fraction(TINY)
        assert max(abs(Fraction(x) - y) for x, y in zip(b[row], expected, strict=True)) <= tolerance


@pytest.mark.parametrize("m", [1, 2, 3, 6, 12])
def test_cvxpy(m):
    rng = np.random.default_rng(m)
    z, weights = 2 * rng.standard_normal((4, m)), rng.exponential(0.7, (4, m))
    weights[0, m // 2] = 0.0
    b = prox(z, weights)
    for row in range(4):
        x = cp.Variable(m)
        differences = cp.diff(cp.hstack([0.0, x]))
        problem = cp.Problem(cp.Minimize(cp.sum_squares(x - z[row]) / 2 + weights[row] @ cp.abs(differences)))
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        np.testing.assert_allclose(b[row], x.value, atol=1e-7)


def test_one_coefficient_is_soft_thresholding():
    z, weights = chains(np.random.default_rng(0), 20000, 1)
    expected = np.sign(z) * np.maximum(np.abs(z) - weights, 0.0)
    np.testing.assert_array_equal(prox(z, weights), expected)


@pytest.mark.parametrize("m", [1, 2, 3, 6, 20])
def test_no_weights_change_nothing(m):
    z = chains(np.random.default_rng(m), 500, m)[0]
    np.testing.assert_array_equal(prox(z, np.zeros_like(z)), z)


@pytest.mark.parametrize("weight", [1e12, 1e300, np.finfo(float).max, np.inf])
@pytest.mark.parametrize("m", [1, 2, 3, 6, 20])
def test_huge_weights_leave_zero(m, weight):
    z = np.random.default_rng(m).standard_normal((500, m))
    np.testing.assert_array_equal(prox(z, np.full_like(z, weight)), 0.0)


@pytest.mark.parametrize("weight", [1e12, 1e300, np.finfo(float).max, np.inf])
@pytest.mark.parametrize("m", [2, 3, 6, 20])
def test_huge_weights_glue_and_leave_the_digits_of_the_rest(m, weight):
    rng = np.random.default_rng(m)
    z, weights = rng.standard_normal((500, m)), np.full((500, m), weight)
    weights[:, 0] = 0.0
    expected = np.tile(z.mean(axis=1, keepdims=True), m)
    b = prox(z, weights)
    np.testing.assert_allclose(b, expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(b, b[:, :1] + np.zeros(m))
    # A huge weight between two light chains makes them one, and a start without weight leaves the rest alone.
    light = rng.uniform(0, 0.1, (500, m))
    light[:, m // 2] = weight
    assert violations(z, light, prox(z, light)).max() < 8 + m


def test_tied_input_and_thresholds_on_the_edge():
    z = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [3.0, 1.0, 2.0], [2.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    weights = np.array([[3.0, 2.0, 1.0], [1.5, 5.0, 5.0], [0.0, 1.0, 0.5], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]])
    expected = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(prox(z, weights), expected)


def test_subnormal_input():
    rng = np.random.default_rng(0)
    z, weights = TINY * rng.integers(-9, 10, (5000, 4)), TINY * rng.integers(0, 9, (5000, 4))
    b = prox(z, weights)
    # Means are rounded to whole units, once per coefficient.
    assert violations(z, weights, b).max() <= 4


@pytest.mark.parametrize("step", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("m", [1, 3, 8])
def test_step_multiplies_weights(m, step):
    z, weights = chains(np.random.default_rng(m), 500, m)
    np.testing.assert_array_equal(prox(z, weights, step), prox(z, step * weights))


@pytest.mark.parametrize("m", [1, 3, 8])
def test_sign_flips_with_the_input(m):
    z, weights = chains(np.random.default_rng(m), 2000, m)
    tolerance = 4e-16 * np.abs(z).sum(axis=1, keepdims=True) + TINY
    assert np.all(np.abs(prox(z, weights) + prox(-z, weights)) <= tolerance)


def test_in_place_and_on_slices():
    z, weights = chains(np.random.default_rng(0), 300, 5)
    expected, out = prox(z, weights), np.zeros_like(z)
    prox_anchored_chains(z[100:200], weights[100:200], 1.0, out[100:200])
    np.testing.assert_array_equal(out[100:200], expected[100:200])
    assert not out[:100].any()
    assert not out[200:].any()
    prox_anchored_chains(z, weights, 1.0, z)
    np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty(shape):
    assert prox(np.zeros(shape), np.zeros(shape)).shape == shape


def test_nan_stays_in_its_chain():
    z, weights = np.ones((3, 4)), np.full((3, 4), 0.1)
    z[1, 2] = np.nan
    b = prox(z, weights)
    assert np.isnan(b[1]).any()
    np.testing.assert_array_equal(b[[0, 2]], prox(z[[0, 2]], weights[[0, 2]]))
