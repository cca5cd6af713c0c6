"""The heatmap kernel against a twin that sorts, with ties, plateaus and entries of any size."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from estimand.cython_ext._heatmap import clean, moments

TINY = np.finfo(float).smallest_subnormal
MOST = np.finfo(float).max


def run_clean(heatmaps):
    out, summary = np.full(heatmaps.shape, np.nan), np.full((len(heatmaps), 3), np.nan)
    clean(heatmaps, summary, out)
    return out, summary


def run_moments(heatmaps, topk=100):
    m = len(heatmaps)
    summary, peak, mean, covariance = (np.full(shape, np.nan) for shape in [(m, 3), (m, 3), (m, 2), (m, 2, 2)])
    moments(heatmaps, topk, summary, peak, mean, covariance)
    return summary, peak, mean, covariance


def sorted_clean(heatmaps, totals=None):
    """Return clean heatmaps, minima, medians and sums; with the sums given, the heatmaps are exact."""
    flat = heatmaps.reshape(len(heatmaps), -1)
    minimum = flat.min(axis=1, keepdims=True)
    y = flat - minimum
    middle = np.sort(y, axis=1)[:, [(y.shape[1] - 1) // 2, y.shape[1] // 2]]
    median = 0.5 * (middle[:, :1] + middle[:, 1:])
    y = np.where(y < median, 0.0, y)
    total = y.sum(axis=1, keepdims=True) if totals is None else totals[:, np.newaxis]
    return (y / total).reshape(heatmaps.shape), minimum[:, 0], median[:, 0], total[:, 0]


def sorted_moments(z, topk=100):
    """Return first maxima, means and covariances of clean heatmaps."""
    m, _, width = z.shape
    order = np.argsort(-z.reshape(m, -1), axis=1, kind="stable")[:, :topk]
    places = np.stack([order % width + 0.5, order // width + 0.5], axis=-1)
    weights = np.take_along_axis(z.reshape(m, -1), order, axis=1)
    peak = np.column_stack([places[:, 0], weights[:, 0]])
    weights /= weights.sum(axis=1, keepdims=True)
    mean = np.einsum("mk,mki->mi", weights, places)
    apart = places - mean[:, np.newaxis]
    return peak, mean, np.einsum("mk,mki,mkj->mij", weights, apart, apart)


def check(heatmaps, topk=100):
    """Compare everything; nothing but sums and moments is rounded differently."""
    out, summary = run_clean(heatmaps)
    z, minimum, median, _ = sorted_clean(heatmaps, summary[:, 2])
    np.testing.assert_array_equal(out, z)
    np.testing.assert_array_equal(summary[:, :2], np.column_stack([minimum, median]))
    kept = np.where(heatmaps - minimum[:, None, None] < median[:, None, None], 0, heatmaps - minimum[:, None, None])
    exact = [math.fsum(one.ravel()) for one in kept]
    np.testing.assert_allclose(summary[:, 2], exact, rtol=1e-14)
    found = run_moments(heatmaps, topk)
    np.testing.assert_array_equal(found[0], summary)
    peak, mean, covariance = sorted_moments(z, topk)
    np.testing.assert_array_equal(found[1], peak)
    side = max(heatmaps.shape[1:])
    np.testing.assert_allclose(found[2], mean, rtol=0, atol=1e-14 * side)
    np.testing.assert_allclose(found[3], covariance, rtol=0, atol=1e-14 * side**2)
    np.testing.assert_array_equal(found[3], found[3].transpose(0, 2, 1))


def bumps(rng, m, height, width, noise=0.01):
    x, y = rng.uniform(0, width, (m, 1, 1)), rng.uniform(0, height, (m, 1, 1))
    size = rng.uniform(1, 4, (m, 1, 1))
    rows, columns = np.arange(height)[:, np.newaxis] + 0.5, np.arange(width) + 0.5
    bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * size**2))
    return bump + noise * rng.standard_normal((m, height, width))


SHAPES = [(64, 64), (8, 8), (1, 2), (2, 1), (1, 700), (700, 1), (3, 5), (23, 23), (30, 17), (90, 131), (13, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("topk", [1, 5, 100, 511, 10**9])
def test_random_heatmaps(shape, topk):
    rng = np.random.default_rng(shape[0])
    check(bumps(rng, 8, *shape), min(topk, shape[0] * shape[1]))
    check(rng.standard_normal((8, *shape)), min(topk, shape[0] * shape[1]))


@pytest.mark.parametrize("noise", [0.01, 0.0])
def test_against_a_twin_of_its_own(noise):
    heatmaps = bumps(np.random.default_rng(0), 100, 64, 64, noise)
    _, peak, mean, covariance = run_moments(heatmaps)
    z = sorted_clean(heatmaps)[0]
    np.testing.assert_allclose(run_clean(heatmaps)[0], z, rtol=1e-14)
    for found, expected in zip((peak, mean, covariance), sorted_moments(z), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("levels", [2, 3, 10, 200])
@pytest.mark.parametrize("shape", [(64, 64), (1, 600), (5, 7), (30, 31)])
def test_ties(shape, levels):
    rng = np.random.default_rng(levels)
    heatmaps = rng.integers(0, levels, (20, *shape)).astype(float)
    heatmaps[:, 0, 0], heatmaps[:, -1, -1] = 0, levels
    for topk in (1, 7, 35, 100):
        check(heatmaps, min(topk, heatmaps[0].size))
        check(-heatmaps, min(topk, heatmaps[0].size))


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.5, 0.7, 0.99])
def test_plateaus(share):
    rng = np.random.default_rng(1)
    flat, high = rng.random((2, 30, 50, 41)) < share
    flat[:, 25, 20], random = True, rng.standard_normal((30, 50, 41))
    check(np.where(flat, 0.25, random))
    check(np.where(flat, random, 0.25))
    check(np.where(high, 1.0, 0.0) + (np.arange(41) == 3))


@pytest.mark.parametrize("n", [512, 513])
def test_medians_at_the_edge_of_the_bracket_or_outside(n):
    heatmaps = np.random.default_rng(n).random((10000, 1, n))
    expected = sorted_clean(heatmaps)[2]
    np.testing.assert_array_equal(run_clean(heatmaps)[1][:, 1], expected)


def test_one_pixel():
    for shape in [(64, 64), (1, 2), (9, 1), (5, 5)]:
        places = np.random.default_rng(0).integers(0, shape[0] * shape[1], 10)
        heatmaps = np.full((10, shape[0] * shape[1]), -2.0)
        heatmaps[np.arange(10), places] = 5.0
        heatmaps = heatmaps.reshape(-1, *shape)
        check(heatmaps)
        _, peak, mean, covariance = run_moments(heatmaps)
        expected = np.column_stack([places % shape[1] + 0.5, places // shape[1] + 0.5])
        np.testing.assert_array_equal(peak, np.column_stack([expected, np.ones(10)]))
        np.testing.assert_array_equal(mean, expected)
        np.testing.assert_array_equal(covariance, 0.0)


def test_patterns_that_are_hard_to_select_from():
    n = 4096
    ramp = np.arange(n, dtype=float)
    saw = np.concatenate([ramp[::2], ramp[::-2]])
    waves = np.sin(ramp * (2 * np.pi / 64)) + 1e-3 * np.cos(ramp * 0.1)
    powers = 2.0 ** -(ramp % 1000)
    softmax = np.exp(-np.abs(ramp - 2000.3))
    check(np.stack([ramp, -ramp, saw, -saw, waves, powers, softmax, softmax[::-1]]).reshape(-1, 64, 64))


def test_adjacent_numbers_and_equal_quotients():
    # Neighbours can become equal when they are divided, and the first of them in C order is the peak then.
    rng = np.random.default_rng(2)
    high = rng.random((200, 8, 9)) < 0.85
    heatmaps = np.where(high, 1.0 - rng.integers(0, 4, high.shape) * 2.0**-53, 0.0)
    heatmaps[:, 0, 0] = 0
    z = run_clean(heatmaps)[0].reshape(200, -1)
    merged = [np.argmax(one) != np.argmax(h) for one, h in zip(z, heatmaps, strict=True)]
    assert np.any(merged)
    check(heatmaps, 10)


def test_subnormal_numbers():
    rng = np.random.default_rng(3)
    check(TINY * rng.integers(0, 50, (30, 20, 20)), 40)
    check(TINY * rng.integers(-(2**52), 2**52, (30, 30, 30)), 40)
    check(1e-300 * bumps(rng, 10, 64, 64))


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e290, 1e300, 1e303])
def test_scale_does_not_matter(size):
    heatmaps = bumps(np.random.default_rng(4), 20, 64, 64)
    # Of the powers of 2 nothing is rounded.
    size = 2.0 ** round(math.log2(size))
    expected, found = run_moments(heatmaps), run_moments(heatmaps * size)
    for one, other in zip(expected[1:], found[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(run_clean(heatmaps)[0], run_clean(heatmaps * size)[0])
    shrunk = 2.0**-100 if size * heatmaps.max() > 2.0**960 else 1.0
    np.testing.assert_array_equal(found[0], expected[0] * (size * shrunk))


def test_the_largest_numbers():
    rng = np.random.default_rng(5)
    unit = np.clip(rng.standard_normal((20, 30, 30)) / 3, -1, 1)
    unit[:, 0, 0], unit[:, 0, 1] = -1, 1
    found, expected = run_clean(unit * MOST)[0], run_clean(unit)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert np.all(np.isfinite(run_moments(unit * MOST)[3]))
    one = np.zeros((1, 4, 4))
    one[0, 2, 1] = MOST
    np.testing.assert_array_equal(run_clean(one)[0], one / MOST)
    np.testing.assert_array_equal(run_clean(one - MOST)[0], one / MOST)


def test_constant_heatmaps_have_sum_0_and_no_others():
    heatmaps = np.ones((6, 3, 3)) * np.array([0.0, -0.0, 7.0, TINY, -MOST, MOST])[:, np.newaxis, np.newaxis]
    out, summary = run_clean(heatmaps)
    np.testing.assert_array_equal(summary[:, 2], 0.0)
    assert np.all(np.isnan(out))
    found = run_moments(heatmaps)
    np.testing.assert_array_equal(found[0], summary)
    assert all(np.all(np.isnan(one)) for one in found[1:])
    heatmaps[:, 1, 1] = [TINY, -TINY, np.nextafter(7.0, 8.0), 0.0, MOST, np.nextafter(MOST, 0.0)]
    assert np.all(run_clean(heatmaps)[1][:, 2] > 0)
    check(heatmaps[:4], 9)
    np.testing.assert_array_equal(run_moments(heatmaps)[1][[0, 2, 4], :2], 1.5)


FINITE = st.floats(-(2.0**959), 2.0**959)
ENTRIES = st.one_of(FINITE, st.integers(-3, 3).map(float), st.integers(0, 9).map(lambda k: 1.0 + k * 2.0**-52))


@settings(max_examples=100, deadline=None)
@given(
    heatmap=hnp.array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(
        lambda shape: hnp.arrays(np.float64, shape, elements=ENTRIES)
    ),
    topk=st.integers(1, 2000),
)
def test_any_heatmap(heatmap, topk):
    topk = min(topk, heatmap.size)
    out, summary = run_clean(heatmap[np.newaxis])
    if heatmap.min() == heatmap.max():
        assert summary[0, 2] == 0
        return
    z = sorted_clean(heatmap[np.newaxis], summary[:, 2])[0]
    np.testing.assert_array_equal(out, z)
    found = run_moments(heatmap[np.newaxis], topk)
    peak, mean, covariance = sorted_moments(z, topk)
    np.testing.assert_array_equal(found[1], peak)
    np.testing.assert_allclose(found[2], mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[3], covariance, rtol=0, atol=1e-11)


def test_heatmaps_do_not_depend_on_their_neighbours_or_on_threads():
    heatmaps = bumps(np.random.default_rng(6), 200, 64, 64)
    heatmaps.flags.writeable = False
    together = run_moments(heatmaps)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda first: run_moments(heatmaps[first : first + 7]), range(0, 200, 7)))
    for whole, *pieces in zip(together, *parts, strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_no_heatmaps():
    assert run_clean(np.empty((0, 4, 4)))[0].shape == (0, 4, 4)
    assert run_moments(np.empty((0, 4, 4)))[2].shape == (0, 2)
