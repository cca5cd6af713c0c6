"""The likelihood kernel against decimal arithmetic, and its sums and steps against NumPy twins."""

import decimal
import math
from decimal import Decimal
from functools import cache, lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from estimand.cython_ext._cumulative_loss import evaluate, longest_step, value

LOGIT, PROBIT, CLOGLOG, LOGLOG = range(4)
LINKS = pytest.mark.parametrize("link", [LOGIT, PROBIT, CLOGLOG, LOGLOG], ids=["logit", "probit", "cloglog", "loglog"])


def run(eta, y, link, weight=None):
    """Call `evaluate`; return the value and the arrays, where nothing but the kernel may have written."""
    eta, y = np.ascontiguousarray(eta, dtype=float), np.asarray(y, dtype=np.int32)
    weight = np.ones(y.size) if weight is None else weight
    n, m = eta.shape
    arrays = [np.full(shape, np.nan) for shape in ((n, m), (n, 3), (m,), (m + 1, 3))]
    return evaluate(eta, y, weight, link, *arrays), *arrays


def run_row(link, u, z):
    """Return value, shift, upper, (shift, shift), (shift, upper), (upper, upper) of a row; u or z is None at an end."""
    y, eta = (0, [z, -1.0]) if u is None else (2, [1.0, u]) if z is None else (1, [u, z])
    loss, gradient, curvature, _, _ = run([eta], [y], link)
    shift = gradient[0, 0]
    return [loss, shift, shift if u is None else gradient[0, 1] if y == 1 else 0.0, *curvature[0]]


# The reference: probabilities and densities with so many digits that their differences keep enough of them.

DIGITS = {LOGIT: 720, PROBIT: 400, CLOGLOG: 400, LOGLOG: 400}


@lru_cache
def root_two_pi(digits):
    def arctan_of_inverse(k):
        total = term = Decimal(1) / k
        n = 1
        while abs(term) > Decimal(10) ** -digits:
            term, n = -term / (k * k), n + 2
            total += term / n
        return total

    return (8 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))).sqrt()


@cache
def distribution(link, t):
    """Return F, its density and the slope of its density."""
    if link == LOGIT:
        e = (-t).exp()
        f = e / (1 + e) ** 2
        return 1 / (1 + e), f, f * (e - 1) / (1 + e)
    if link == PROBIT:
        f = (-t * t / 2).exp() / root_two_pi(DIGITS[link])
        if abs(t) > 45:  # 0 or 1 to all digits
            return Decimal(int(t > 0)), f, -t * f
        total, term, n = t, t, 1
        while abs(term) > Decimal(10) ** -DIGITS[link] * abs(total):
            n += 2
            term *= t * t / n
            total += term
        return f * total + Decimal("0.5"), f, -t * f
    e = (t if link == CLOGLOG else -t).exp()
    tail = (-e).exp()
    return (1 - tail, e * tail, e * tail * (1 - e)) if link == CLOGLOG else (tail, e * tail, e * tail * (e - 1))


def reference(link, u, z):
    """Return the probability and what `run_row` returns."""
    with decimal.localcontext(prec=DIGITS[link], Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX):
        F_u, f_u, slope_u = (Decimal(1), Decimal(0), Decimal(0)) if u is None else distribution(link, Decimal(u))
        F_z, f_z, slope_z = (Decimal(0), Decimal(0), Decimal(0)) if z is None else distribution(link, Decimal(z))
        p = F_u - F_z
        if p < Decimal("1e-300"):
            return p, []
        r_u, r_z = f_u / p, f_z / p
        h_uu, h_zz, h_uz = r_u * r_u - slope_u / p, r_z * r_z + slope_z / p, -r_u * r_z
        derivatives = [r_z - r_u, r_z, h_uu + 2 * h_uz + h_zz, h_zz + h_uz, h_zz]
    return p, [-(+p).ln(decimal.Context(prec=40)), *derivatives]


def errors(link, u, z):
    """Return the errors of a row, relative to the sizes below; None where the probability is below 1e-300.

    The value is compared with itself, or with 0.01 where it is next to nothing, the shift with the step that its error
    would cause, and curvatures with the terms ``(p' / p)^2`` that they are what remains of. The curvatures of the logit
    have to be right themselves.
    """
    _, exact = reference(link, u, z)
    if not exact:
        return None
    with decimal.localcontext(prec=50, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX):
        loss, shift, upper, shift_shift, shift_upper, upper_upper = (+number for number in exact)
        bend, bend_upper = shift_shift, upper_upper
        if link != LOGIT:
            bend, bend_upper = bend + shift**2, bend_upper + upper**2
        mixed = abs(shift_upper) if link == LOGIT else (bend * bend_upper).sqrt()
        sizes = loss + Decimal("0.01"), abs(shift) + shift_shift, upper, bend, mixed, bend_upper
        off = [abs(Decimal(float(got)) - want) for got, want in zip(run_row(link, u, z), exact, strict=True)]
        # Results below the smallest normal number cannot be right to many digits.
        return [float(d / size) if size > Decimal("1e-290") else float(d) for d, size in zip(off, sizes, strict=True)]


#: Bounds on the errors in the order of `run_row`, a small multiple of those that were found. In narrow gaps the
#: curvature along the shift is an expansion without the term in gap^2; just above, probabilities are differences.
BOUNDS = {
    LOGIT: (1e-15, 1e-15, 1e-15, 1e-15, 1e-15, 1e-15),
    PROBIT: (1e-12, 1e-12, 5e-12, 5e-12, 1e-12, 5e-12),
    CLOGLOG: (1e-15, 1e-15, 2e-14, 1e-15, 1e-15, 2e-14),
    LOGLOG: (1e-15, 1e-15, 2e-14, 1e-15, 1e-15, 2e-14),
}
#: The same for the first and the last class.
END_BOUNDS = {LOGIT: 1e-15, PROBIT: 5e-13, CLOGLOG: 1e-13, LOGLOG: 1e-13}
TAILS = {
    LOGIT: [-700.0, -300.0, -40.0, -20.0, -5.0, -1.0, -0.3, 0.0, 0.3, 1.0, 5.0, 20.0, 40.0, 300.0, 700.0],
    PROBIT: [-36.7, -20.1, -6.0, -3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, 6.0, 20.1, 36.7],
    CLOGLOG: [-690.0, -300.0, -40.0, -20.1, -5.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0, 4.1, 6.5],
}
TAILS[LOGLOG] = [-t for t in TAILS[CLOGLOG]]


def gaps(link, t):
    """Those of all sizes, and those just beside the one where the formula changes."""
    score = {LOGIT: 0.0, PROBIT: -t, CLOGLOG: 1 - math.exp(min(t, 300)), LOGLOG: math.exp(min(-t, 300)) - 1}[link]
    change = 1e-3 / max(1.0, abs(score))
    return [1e-10, 1e-6, 1e-3, 1.0, 40.0, 800.0, 0.99 * change, 1.01 * change, 30 * change]


def worst(cases):
    found = [case for case in cases if case is not None]
    assert len(found) >= 10
    return np.max(found, axis=0)


@LINKS
def test_between_two_boundaries(link):
    pairs = [(t + d / 2, t - d / 2) for t in TAILS[link] for d in gaps(link, t)]
    pairs += [(700.0, -100.0), (100.0, -700.0), (3e-99, 1e-99)]
    pairs = [(u, z) for u, z in pairs if u > z and max(u, -z) <= 700]
    found = worst(errors(link, u, z) for u, z in pairs)
    assert np.all(found <= BOUNDS[link]), found


@LINKS
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_first_and_last_class(link, last):
    found = worst(errors(link, t, None) if last else errors(link, None, t) for t in TAILS[link])
    assert np.all(found <= END_BOUNDS[link]), found
    # Along its one boundary a row of the first class shifts as its upper boundary does.
    if not last:
        _, shift, upper, *curvature = run_row(link, None, 0.7)
        assert shift == upper
        assert curvature[0] == curvature[1] == curvature[2]


@pytest.mark.parametrize("t", [20.1, 40.0, 300.0, 690.0])
def test_extreme_value_links_where_the_probability_underflows(t):
    # The survival function is exp(-e^t): a first class has the loss e^t, and so have its derivatives.
    np.testing.assert_allclose(run_row(CLOGLOG, None, t), math.exp(t), rtol=1e-12)
    np.testing.assert_allclose(run_row(LOGLOG, -t, None), np.exp(t) * np.array([1, -1, 0, 1, 0, 0]), rtol=1e-12)
    # Far below the hazard of the boundary above, that is the loss of the classes between, too.
    np.testing.assert_allclose(run_row(CLOGLOG, t + 0.0625, t), math.exp(t), rtol=1e-12)


@LINKS
@settings(deadline=None, max_examples=300)
@given(st.floats(-700, 700), st.floats(-12, 3.1), st.sampled_from(["between", "first", "last"]))
def test_rows_are_convex_and_without_nan(link, t, log_gap, where):
    u, z = t + 10.0**log_gap / 2, t - 10.0**log_gap / 2
    u, z = {"between": (u, z), "first": (None, z), "last": (u, None)}[where]
    with np.errstate(all="raise"):
        row = np.array(run_row(link, u, z))
    if math.isinf(row[0]):
        assert row[0] > 0
        limit = 700 if link in (CLOGLOG, LOGLOG) else np.inf
        assert (where == "between" and not u - z > 1e-100) or max(abs(b) for b in (u, z) if b is not None) > limit
        return
    assert np.all(np.isfinite(row))
    assert row[0] >= 0
    shift, upper, shift_shift, shift_upper, upper_upper = row[1:]
    assert min(shift_shift, upper_upper) >= 0
    if row[0] > 690:
        return
    # To rounding of the terms that the curvatures are what remains of.
    size = np.hypot(np.sqrt([shift_shift, upper_upper]), [shift, upper]) + 1e-150
    scaled = np.array([[shift_shift, shift_upper], [shift_upper, upper_upper]]) / np.outer(size, size)
    assert np.linalg.eigvalsh(scaled)[0] >= -1e-12


def outside(link):
    nan, inf = np.nan, np.inf
    yield from [(1, [0.5, 0.5]), (1, [0.5, 0.6]), (1, [-3.0, 3.0]), (1, [1e-101, 0.0]), (1, [700.0, 700.0])]
    yield from [(0, [nan, 0.0]), (1, [nan, 0.0]), (1, [0.0, nan]), (1, [nan, nan]), (2, [0.0, nan])]
    yield from [(0, [inf, 0.0]), (2, [0.0, -inf]), (1, [inf, inf]), (1, [-inf, -inf]), (1, [-inf, inf])]
    if link == CLOGLOG:
        yield from [(0, [700.1, 0.0]), (1, [701.0, 700.1]), (0, [1e300, 0.0])]
    if link == LOGLOG:
        yield from [(2, [0.0, -700.1]), (1, [-700.1, -701.0]), (2, [0.0, -1e300])]


@LINKS
def test_infinite_outside_the_domain(link):
    for y, eta in outside(link):
        assert run([eta], [y], link)[0] == np.inf, (y, eta)
        assert value(np.array([eta]), np.zeros((1, 2)), 0.0, np.array([y], dtype=np.int32), np.ones(1), link) == np.inf
        # One such row is enough, wherever it is and whatever its weight.
        rows = np.array([[1.0, -1.0]] * 1030 + [eta] + [[1.0, -1.0]] * 3)
        classes = np.array([1] * 1030 + [y] + [1] * 3, dtype=np.int32)
        weight = np.where(np.arange(classes.size) == 1030, 1e-300, 1.0)
        assert run(rows, classes, link, weight)[0] == np.inf
        assert value(rows, rows, 0.0, classes, weight, link) == np.inf


def test_edges_of_the_domain():
    for link, y, edge in ((CLOGLOG, 0, [700.0, 0.0]), (LOGLOG, 2, [0.0, -700.0])):
        assert run([edge], [y], link)[0] == pytest.approx(math.exp(700), rel=1e-12)
    for link in range(4):
        loss, gradient, curvature, _, _ = run([[1e-99, 0.0]], [1], link)
        assert loss == pytest.approx(99 * math.log(10) - math.log(densities(link, 0.0)[1]), rel=1e-14)
        np.testing.assert_allclose([gradient[0, 1], curvature[0, 2]], [1e99, 1e198], rtol=1e-12)
    # Infinite predictors on the sure side are in the domain of links without a limit; other boundaries do not matter.
    for link in (LOGIT, PROBIT):
        for eta, y in (([-np.inf, np.nan], 0), ([np.nan, np.inf], 2), ([np.inf, -np.inf], 1)):
            loss, gradient, curvature, _, _ = run([eta], [y], link)
            assert loss == 0
            assert np.all(gradient == 0)
            assert np.all(curvature == 0)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_are_logistic_regression(weighted):
    rng = np.random.default_rng(0)
    eta = np.concatenate([rng.normal(0, 3, 500), [-700.0, -40.0, 0.0, 40.0, 700.0] * 2])
    y = np.concatenate([rng.integers(0, 2, 500), np.repeat([0, 1], 5)])
    w = rng.uniform(0, 2, y.size) if weighted else np.ones(y.size)
    loss, gradient, curvature, total_gradient, total_curvature = run(eta[:, None], y, LOGIT, w)
    sign = 1 - 2 * y
    assert loss == pytest.approx(math.fsum(w * np.logaddexp(0, sign * eta)), rel=1e-14)
    slope, bend = w * sign * special.expit(sign * eta), w * special.expit(eta) * special.expit(-eta)
    np.testing.assert_allclose(gradient[:, 0], slope, rtol=1e-14)
    np.testing.assert_allclose(np.where(y == 0, curvature[:, 2], curvature[:, 0]), bend, rtol=1e-14)
    np.testing.assert_allclose(total_gradient, [math.fsum(slope)], atol=1e-12)
    for c, column in ((0, 2), (1, 0)):
        assert total_curvature[c, column] == pytest.approx(math.fsum(bend[y == c]), rel=1e-13)


def sample(n, m, seed=0):
    rng = np.random.default_rng(seed)
    eta = np.cumsum(np.hstack([rng.uniform(0, 2, (n, 1)), -rng.uniform(0.05, 3 / m, (n, m - 1))]), axis=1)
    return eta, rng.integers(0, m + 1, n).astype(np.int32), rng.uniform(0, 2, n), rng


def densities(link, t):
    """Return F and its density in double precision, for predictors of moderate size."""
    if link == LOGIT:
        return special.expit(t), special.expit(t) * special.expit(-t)
    if link == PROBIT:
        return special.ndtr(t), np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
    e = np.exp(t if link == CLOGLOG else -t)
    return (-np.expm1(-e) if link == CLOGLOG else np.exp(-e)), e * np.exp(-e)


@LINKS
@pytest.mark.parametrize(("n", "m"), [(0, 3), (1, 1), (1023, 1), (1024, 2), (1025, 3), (2500, 6)])
def test_sums_over_rows(link, n, m):
    eta, y, w, _ = sample(n, m)
    loss, gradient, curvature, total_gradient, total_curvature = run(eta, y, link, w)
    F, f = densities(link, np.clip(np.hstack([np.full((n, 1), 40.0), eta, np.full((n, 1), -40.0)]), -40, 40))
    rows = np.arange(n)
    p = F[rows, y] - F[rows, y + 1]
    assert loss == pytest.approx(math.fsum(-w * np.log(p)), rel=1e-12)
    # The gradient in the predictors, summed from the right over common shifts.
    plain = np.zeros((n, m + 2))
    plain[rows, y] -= w * f[rows, y] / p
    plain[rows, y + 1] += w * f[rows, y + 1] / p
    shifts = np.cumsum(plain[:, m:0:-1], axis=1)[:, ::-1]
    np.testing.assert_allclose(gradient, shifts, rtol=1e-9, atol=1e-12)
    assert np.all(gradient[np.arange(m) > y[:, None]] == 0)
    np.testing.assert_allclose(total_gradient, gradient.sum(axis=0), rtol=1e-12, atol=1e-12)
    classes = np.array([curvature[y == c].sum(axis=0) for c in range(m + 1)])
    np.testing.assert_allclose(total_curvature, classes, rtol=1e-12, atol=1e-14)


@LINKS
def test_rows_do_not_depend_on_their_neighbours_and_scale_with_their_weight(link):
    eta, y, w, _ = sample(60, 4)
    loss, gradient, curvature, _, _ = run(eta, y, link, w)
    alone = [run(eta[[i]], y[[i]], link) for i in range(y.size)]
    assert loss == pytest.approx(math.fsum(w * [row[0] for row in alone]), rel=1e-13)
    np.testing.assert_allclose(gradient, w[:, None] * np.vstack([row[1] for row in alone]), rtol=1e-14)
    np.testing.assert_allclose(curvature, w[:, None] * np.vstack([row[2] for row in alone]), rtol=1e-14)
    # A row of weight 2 counts as two rows.
    twice = np.repeat(np.arange(y.size), 2)
    np.testing.assert_allclose(run(eta[twice], y[twice], link)[0], run(eta, y, link, np.full(60, 2.0))[0], rtol=1e-13)


@LINKS
@pytest.mark.parametrize(("n", "m"), [(0, 2), (1, 1), (1024, 2), (1500, 5)])
def test_value_is_that_of_evaluate(link, n, m):
    eta, y, w, rng = sample(n, m, seed=1)
    direction = rng.standard_normal((n, m))
    longest = longest_step(eta, direction, y, False)
    for step in (0.0, min(0.5 * longest, 1.0), min(0.99 * longest, 2.0)):
        expected = run(eta + step * direction, y, link, w)[0]
        assert np.isfinite(expected)
        assert value(eta, direction, step, y, w, link) == pytest.approx(expected, rel=1e-11)
    if np.isfinite(longest):
        assert value(eta, direction, 1.01 * longest, y, w, link) == np.inf


def longest_step_twin(eta, direction, y, everywhere):
    gap, closing = eta[:, :-1] - eta[:, 1:], direction[:, 1:] - direction[:, :-1]
    counted = closing > 0
    if not everywhere:
        counted &= np.arange(1, eta.shape[1]) == y[:, None]
    return np.min(gap[counted] / closing[counted], initial=np.inf)


@pytest.mark.parametrize("everywhere", [False, True])
@settings(deadline=None, max_examples=100)
@given(st.integers(0, 12), st.integers(1, 5), st.integers(0, 10**6), st.floats(0, 1))
def test_longest_step(everywhere, n, m, seed, still):
    eta, y, _, rng = sample(n, m, seed)
    direction = np.where(rng.random((n, m)) < still, 0.0, rng.standard_normal((n, m)))
    expected = longest_step_twin(eta, direction, y, everywhere)
    assert longest_step(eta, direction, y, everywhere) == pytest.approx(expected, rel=1e-15)


def test_longest_step_without_a_row_that_closes():
    eta, y = np.array([[2.0, 1.0, 0.0]] * 4), np.arange(4, dtype=np.int32)
    apart, common = np.array([[1.0, 0.0, -1.0]] * 4), np.ones((4, 3))
    for direction in (apart, common, np.zeros((4, 3))):
        assert longest_step(eta, direction, y, False) == longest_step(eta, direction, y, True) == np.inf
    # The first and the last class see one boundary only, and no row sees the gaps of other classes.
    direction = np.array([[-1.0, 1.0, 0.0], [0.0, 0.0, 4.0], [-4.0, 0.0, 0.0], [-1.0, 1.0, 0.0]])
    assert longest_step(eta, direction, y, False) == np.inf
    assert longest_step(eta, direction, y, True) == 0.25
    assert longest_step(eta, -apart, y, False) == 1.0
    assert longest_step(eta[:, :1].copy(), -common[:, :1].copy(), np.minimum(y, 1), True) == np.inf
