"""Probabilities and quantiles of the links against decimal arithmetic."""

import decimal
import itertools
import warnings
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimand.solvers.ordinal.links import (
    LINKS,
    class_log_probabilities,
    class_probabilities,
    cumulative_probabilities,
    quantile,
    tail_quantile,
)

EVERY_LINK = pytest.mark.parametrize("link", list(LINKS))
REFLECTED = {"logit": "logit", "probit": "probit", "cloglog": "loglog", "loglog": "cloglog"}
PRECISION = 420
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def log_mills(t):
    """Return log((1 - F(t)) / f(t)) of the normal distribution to 30 digits, for t not below -16."""
    total, term, n = Decimal(1), Decimal(1), 1
    if t > 16:
        while abs(term) > Decimal("1e-40"):
            term, n = -term * n / (t * t), n + 2
            total += term
        return (total / t).ln()
    total = term = t
    while abs(term) > Decimal("1e-100") * abs(total):
        n += 2
        term *= t * t / n
        total += term
    return ((PI / 2).sqrt() * (t * t / 2).exp() - total).ln()


@cache
def log_survival(link, t):
    """Return the logarithm of 1 - F(t)."""
    if link == "logit":
        return -(1 + t.exp()).ln()
    if link == "probit" and t < -16:
        return (1 - log_survival(link, -t).exp()).ln()
    if link == "probit":
        return log_mills(t) - t * t / 2 - (2 * PI).ln() / 2
    return -t.exp() if link == "cloglog" else (1 - (-(-t).exp()).exp()).ln()


def log_cdf(link, t):
    return log_survival(REFLECTED[link], -t)


def exact_log_probabilities(row, link):
    with decimal.localcontext(prec=PRECISION):
        row = [Decimal(float(t)) for t in row]
        result = [log_survival(link, row[0])]
        for u, z in itertools.pairwise(row):
            tail = log_survival if u + z > 0 else log_cdf
            near, far = (tail(link, t) for t in ((z, u) if u + z > 0 else (u, z)))
            result.append(near + (1 - (far - near).exp()).ln())
        return np.array([float(p) for p in [*result, log_cdf(link, row[-1])]])


@EVERY_LINK
@pytest.mark.parametrize("t", [40.0, 700.0])
def test_rare_ends(link, t):
    rows = np.array([[t, 0.5, -t], [0.5, 0.0, -0.5], [t, t - 1.5, t - 4.0], [4.0 - t, 1.5 - t, -t]])
    log_p = class_log_probabilities(rows, link)
    assert log_p.shape == (4, 4)
    for row, found in zip(rows, log_p, strict=True):
        expected = exact_log_probabilities(row, link)
        rare = expected < -0.1
        assert rare[0] or rare[-1]
        np.testing.assert_allclose(found[rare], expected[rare], rtol=1e-12)
        np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=1e-12, atol=1e-15)
    for end in (t, -t):
        np.testing.assert_allclose(
            class_log_probabilities(np.array([[end]]), link)[0, 0 if end > 0 else 1],
            exact_log_probabilities([end], link)[0 if end > 0 else 1],
            rtol=1e-12,
        )


@EVERY_LINK
def test_moderate_predictors(link):
    rng = np.random.default_rng(0)
    rows = np.sort(rng.uniform(-4, 4, (15, 3)), axis=1)[:, ::-1] + np.array([0.1, 0.0, -0.1])
    expected = np.exp([exact_log_probabilities(row, link) for row in rows])
    np.testing.assert_allclose(class_probabilities(rows, link), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-14)  # the reference itself
    np.testing.assert_allclose(cumulative_probabilities(rows[:, -1], link), expected[:, -1], rtol=1e-12)


@EVERY_LINK
@settings(deadline=None, max_examples=200)
@given(st.integers(1, 6), st.sampled_from([0.1, 1.0, 8.0, 60.0, 300.0]), st.floats(-15, 1), st.integers(0, 10**6))
def test_probabilities_sum_to_one(link, m, scale, log_gap, seed):
    rng = np.random.default_rng(seed)
    spread = -np.sort(-rng.normal(0, scale, (20, m)), axis=1)
    close = rng.normal(0, scale, (20, 1)) - np.cumsum(rng.uniform(0, 10.0**log_gap, (20, m)), axis=1)
    tied = np.repeat(spread[:, :1], m, axis=1)
    rows = np.clip(np.vstack([spread, close, tied]), -700, 700)
    p = class_probabilities(rows, link)
    assert p.shape == (60, m + 1)
    assert np.all(p >= 0)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.exp(class_log_probabilities(rows, link)), p, rtol=1e-15)
    # The classes above a boundary have its probability together.
    np.testing.assert_allclose(p[:, ::-1].cumsum(axis=1)[:, -2::-1], cumulative_probabilities(rows, link), atol=1e-12)


@EVERY_LINK
def test_ties_have_no_probability(link):
    rows = np.array(
        [[0.0, 0.0, 0.0], [1.0, 1.0, -2.0], [-40.0, -40.0, -40.0], [700.0, 700.0, 700.0], [3.0, -1.0, -1.0]]
    )
    log_p = class_log_probabilities(rows, link)
    tied = rows[:, :-1] == rows[:, 1:]
    assert np.all(log_p[:, 1:-1][tied] == -np.inf)
    assert np.all(class_probabilities(rows, link)[:, 1:-1][tied] == 0)
    assert np.all(np.isfinite(log_p[:, 1:-1][~tied]))
    np.testing.assert_allclose(class_probabilities(rows, link).sum(axis=1), 1, rtol=1e-14)


@EVERY_LINK
def test_neighbouring_numbers_have_next_to_no_probability(link):
    # Over so small a gap the computed distribution function need not grow.
    z = np.concatenate([[-0.9676945911058663], np.linspace(-6, 6, 1201), np.linspace(-1.1, -0.8, 3001)])
    for ulps in (1, 2, 5):
        u = z + ulps * np.spacing(np.abs(z))
        p = class_probabilities(np.column_stack([u, z]), link)
        assert np.all((p[:, 1] >= 0) & (p[:, 1] < 1e-13))
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


@EVERY_LINK
@pytest.mark.parametrize(
    "row",
    [
        [720.0, 715.0],
        [-715.0, -720.0],
        [1e5, -1e5],
        [1e200, 1e199],
        [-1e199, -1e200],
        [np.inf, 0.0],
        [0.0, -np.inf],
        [np.inf, -np.inf],
        [np.inf, np.inf],
        [-np.inf, -np.inf],
    ],
    ids=str,
)
def test_probabilities_beyond_the_range_of_logarithms(link, row):
    rows = np.array([row])
    log_p, p = class_log_probabilities(rows, link), class_probabilities(rows, link)
    assert not np.any(np.isnan(log_p))
    assert np.all(p >= 0)
    assert p.sum() == pytest.approx(1, abs=1e-12)


@EVERY_LINK
def test_quantiles_invert_probabilities(link):
    p = np.concatenate([10.0 ** -np.linspace(0.5, 300, 400), np.linspace(0.01, 0.99, 99), 1 - 2.0 ** -np.arange(2, 53)])
    np.testing.assert_allclose(cumulative_probabilities(quantile(p, link), link), p, rtol=2e-12)
    t = np.linspace(-3.0, 2.0, 51)
    np.testing.assert_allclose(quantile(cumulative_probabilities(t, link), link), t, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(quantile([0.0, 1.0], link), [-np.inf, np.inf])
    assert quantile(0.25, link).shape == ()
    np.testing.assert_array_equal(cumulative_probabilities(np.array([-np.inf, np.inf]), link), [0, 1])


def exact_tail_quantile(link, log_p):
    """Return F^-1(exp(log_p)) for the links where it has a formula."""
    if link == "loglog":
        return -(-log_p).ln()
    # -log(1 - p), where 1 - p may be 1 to all digits
    p = log_p.exp()
    size = p * (1 + p / 2) if log_p < -PRECISION else -(1 - p).ln()
    return size.ln() if link == "cloglog" else log_p + size


TAILS = [-1e-12, -1e-9, -1e-6, -1e-3, -0.1, -0.5, -0.7, -1.0, -3.0, -20.0, -36.9, -37.1, -100.0, -745.0, -1e4, -1e5]


@EVERY_LINK
@pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
def test_tail_quantiles(link, upper):
    found = tail_quantile(np.array(TAILS), link, upper=upper)
    lower, sign = (REFLECTED[link], -1) if upper else (link, 1)
    for log_p, t in zip(TAILS, sign * found, strict=True):
        with decimal.localcontext(prec=PRECISION):
            if link == "probit":
                # The error of log F(t), over the derivative of log F.
                off = (log_cdf(lower, Decimal(t)) - Decimal(log_p)) * log_mills(-Decimal(t)).exp()
            else:
                off = Decimal(t) - exact_tail_quantile(lower, Decimal(log_p))
        tol = 1e-12 if link == "probit" else 1e-14
        assert abs(float(off)) <= tol * max(1.0, abs(t)), (log_p, t, float(off))


@EVERY_LINK
def test_tail_quantiles_agree_with_quantiles(link):
    p = np.linspace(0.001, 0.999, 333)
    np.testing.assert_allclose(tail_quantile(np.log(p), link), quantile(p, link), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tail_quantile(np.log1p(-p), link, upper=True), quantile(p, link), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(tail_quantile(np.array([-np.inf, 0.0]), link), [-np.inf, np.inf])
    np.testing.assert_array_equal(tail_quantile(np.array([-np.inf, 0.0]), link, upper=True), [np.inf, -np.inf])
