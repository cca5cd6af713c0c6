import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from estimand.solvers.lasso import LassoProblem

SWITCHES = ("positive", "intercept", "free", "l2", "excluded", "duplicate", "dependent")
COMBINATIONS = list(itertools.product([False, True], repeat=len(SWITCHES)))


def make(positive, intercept, free, l2, excluded, duplicate, dependent, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(14, 6))
    y = A @ np.array([1.0, -1.0, 0.7, 0.0, 0.0, 0.4]) + 0.5 * rng.normal(size=14) + 1.0
    weights = rng.uniform(0.5, 1.5, size=6)
    if free:
        weights[0] = 0.0
    if excluded:
        weights[1] = np.inf
    if duplicate:
        A[:, 3] = -A[:, 2]
    if dependent:  # on the span of the intercept and the free column, as far as there are any
        A[:, 4] = 2.0 * intercept + 3.0 * free * A[:, 0]
    return LassoProblem(A=A, y=y, alpha=0.15, weights=weights, l2=0.3 * l2, positive=positive, fit_intercept=intercept)


def objective(problem, v, b):
    n = problem.y.size
    q = np.ones(n) if problem.sample_weight is None else problem.sample_weight
    r = problem.y - problem.A @ v - b
    pen = (problem.weights > 0) & np.isfinite(problem.weights)
    l1 = problem.alpha * problem.weights[pen] @ np.abs(v[pen])
    return float(q @ r**2 / (2 * q.sum()) + l1 + problem.l2 / 2 * v[pen] @ v[pen])


def minimise(problem, sweeps=5000):
    """Coordinate descent on the raw problem, coefficient by coefficient and then the intercept: slow and plain."""
    A, y, w, n = problem.A, problem.y, problem.weights, problem.y.size
    v, b = np.zeros(A.shape[1]), 0.0
    columns = [j for j in range(A.shape[1]) if np.isfinite(w[j]) and np.any(A[:, j])]
    for _ in range(sweeps):
        before = v.copy()
        for j in columns:
            r = y - A @ v - b + A[:, j] * v[j]
            z, h = A[:, j] @ r / n, A[:, j] @ A[:, j] / n
            if w[j] == 0:
                v[j] = z / h
            else:
                step = np.sign(z) * max(abs(z) - problem.alpha * w[j], 0.0) / (h + problem.l2)
                v[j] = max(step, 0.0) if problem.positive else step
        if problem.fit_intercept:
            b = float(np.mean(y - A @ v))
        if np.abs(v - before).max() < 1e-15:
            break
    return v, b


@pytest.mark.parametrize("switches", COMBINATIONS, ids=lambda s: "+".join(np.array(SWITCHES)[list(s)]) or "plain")
def test_certificate_closes_at_the_optimum_and_bounds_the_excess(switches):
    problem = make(*switches)
    v, b = minimise(problem)
    optimum = objective(problem, v, b)
    certificate = problem.certify(v, tol=1e-9)
    assert certificate.value <= 1e-9 * problem.scale
    assert problem.objective(v) == pytest.approx(optimum, abs=1e-12)
    assert problem.intercept(v) == pytest.approx(b, abs=1e-9)
    assert certificate.lower <= optimum + 1e-13
    rng = np.random.default_rng(1)
    for size in 10.0 ** np.arange(-8, 2):
        x = v + size * rng.normal(size=v.size)
        x[problem.excluded] = 0.0
        if problem.positive:
            x[problem.penalised] = np.maximum(x[problem.penalised], 0.0)
        for dual in (None, rng.normal(size=problem.y.size), problem.y - problem.A @ x):
            at = problem.certify(x, dual, tol=1e-9)
            assert at.value >= problem.objective(x) - optimum - 1e-13
            assert at.lower <= optimum + 1e-13


@pytest.mark.parametrize("l2", [0.0, 0.2])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_sample_weights_equal_repeated_rows(l2, fit_intercept):
    base = make(False, fit_intercept, True, False, False, False, False)
    counts = np.arange(14) % 4
    weighted = replace(base, l2=l2, sample_weight=counts.astype(float))
    repeated = replace(base, l2=l2, A=np.repeat(base.A, counts, axis=0), y=np.repeat(base.y, counts))
    x = np.random.default_rng(2).normal(size=6)
    assert weighted.scale == pytest.approx(repeated.scale, rel=1e-12)
    assert weighted.objective(x) == pytest.approx(repeated.objective(x), rel=1e-12)
    assert weighted.objective(x) == pytest.approx(objective(weighted, x, weighted.intercept(x)), rel=1e-12)
    assert weighted.intercept(x) == pytest.approx(repeated.intercept(x), rel=1e-12, abs=1e-14)
    one, other = weighted.certify(x, tol=1e-6), repeated.certify(x, tol=1e-6)
    assert one.lower == pytest.approx(other.lower, rel=1e-10)
    assert weighted.alpha_max() == pytest.approx(repeated.alpha_max(), rel=1e-10)


def test_every_kind_of_design_gives_the_same_numbers():
    rng = np.random.default_rng(3)
    A = np.where(rng.random((12, 7)) < 0.5, rng.normal(size=(12, 7)), 0.0).astype(np.float32)
    y, x = rng.normal(size=12), rng.normal(size=7)
    weights = np.array([0.0, 1.0, 2.0, 1.0, 1.0, 0.5, 1.0])
    options = {"alpha": 0.1, "weights": weights, "fit_intercept": True, "sample_weight": rng.random(12), "y": y}
    wide = A.astype(np.float64)
    designs = [
        A, wide, np.asfortranarray(wide), sparse.csc_matrix(wide), sparse.csr_array(A), aslinearoperator(wide)
    ]  # fmt: skip
    problems = [LassoProblem(A=design, **options) for design in designs]
    expected = problems[1]
    for problem in problems:
        assert problem.objective(x) == pytest.approx(expected.objective(x), rel=1e-13)
        assert problem.certify(x, tol=1).value == pytest.approx(expected.certify(x, tol=1).value, rel=1e-12)
        assert problem.alpha_max() == pytest.approx(expected.alpha_max(), rel=1e-12)
        np.testing.assert_allclose(problem.gradient(x), expected.gradient(x), atol=1e-13)
        np.testing.assert_allclose(problem.view.complete(x), expected.view.complete(x), atol=1e-12)
        np.testing.assert_allclose(problem.view.columns(np.array([2, 0])), expected.view.columns(np.array([2, 0])),
                                   atol=1e-14)  # fmt: skip


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_column_norms(kind, fit_intercept):
    problem = make(False, fit_intercept, True, False, False, False, True)
    problem = replace(problem, A=sparse.csc_array(problem.A)) if kind == "sparse" else problem
    norms = problem.view.column_norms()
    expected = np.sqrt((problem.view.columns(np.arange(6)) ** 2).mean(axis=0))
    np.testing.assert_allclose(norms, expected, atol=1e-12)
    assert norms[4] == 0  # in the free span, exactly


@pytest.mark.parametrize("switches", COMBINATIONS[::3], ids=lambda s: "+".join(np.array(SWITCHES)[list(s)]) or "plain")
def test_alpha_max_is_the_smallest_that_leaves_nothing(switches):
    problem = make(*switches)
    top = problem.alpha_max()
    at, below = replace(problem, alpha=top), replace(problem, alpha=0.99 * top)
    assert at.vanishes()
    assert not below.vanishes()
    null = problem.view.complete(problem.initial_point())
    assert at.certify(null, tol=1e-13).converged
    v, _ = minimise(below, sweeps=300)
    assert np.any(v[problem.penalised] != 0)


def test_alpha_max_on_the_positive_side_only():
    problem = LassoProblem(A=np.eye(3), y=np.array([-5.0, 1.0, 0.5]), alpha=1.0, positive=True)
    assert problem.alpha_max() == pytest.approx(1 / 3)
    assert replace(problem, positive=False).alpha_max() == pytest.approx(5 / 3)
    assert replace(problem, y=-np.ones(3)).alpha_max() == 0.0
    assert replace(problem, weights=np.zeros(3)).alpha_max() == 0.0


def test_scale_is_half_the_mean_square_of_the_response():
    y = np.array([1.0, 2.0, 6.0])
    problem = LassoProblem(A=np.ones((3, 1)), y=y, alpha=1.0)
    assert problem.scale == pytest.approx(y @ y / 6)
    assert replace(problem, fit_intercept=True).scale == pytest.approx(np.var(y) / 2)
    # Free columns do not count: the scale is the same for every set of them.
    assert replace(problem, weights=np.zeros(1)).scale == pytest.approx(y @ y / 6)
    assert replace(problem, y=np.zeros(3)).scale == 1.0
    assert replace(problem, y=np.full(3, 0.1), fit_intercept=True).scale == 1.0


def test_infeasible_points_have_infinite_objectives():
    problem = LassoProblem(A=np.eye(3), y=np.ones(3), alpha=0.1, positive=True, weights=np.array([0.0, 1.0, np.inf]))
    assert math.isfinite(problem.objective(np.array([-1.0, 1.0, 0.0])))
    assert problem.objective(np.array([0.0, -1.0, 0.0])) == math.inf
    assert problem.objective(np.array([0.0, 1.0, 1e-30])) == math.inf
    assert not problem.certify(np.array([0.0, 1.0, 1.0]), tol=1e9).converged


def test_free_columns_that_centring_annihilates_get_coefficient_0():
    rng = np.random.default_rng(0)
    A = np.column_stack([rng.normal(size=9), np.full(9, 0.1), rng.normal(size=9)])
    problem = LassoProblem(
        A=A, y=rng.normal(size=9), alpha=0.1, weights=np.array([0.0, 0.0, 1.0]), fit_intercept=True,
        sample_weight=rng.random(9),
    )  # fmt: skip
    v = problem.view.complete(np.zeros(3))
    assert v[1] == 0
    assert problem.objective(v) <= problem.objective(np.zeros(3))


def test_free_duplicates_share_the_least_norm():
    rng = np.random.default_rng(0)
    column, y = rng.normal(size=(8, 1)), rng.normal(size=8)
    problem = LassoProblem(A=np.hstack([column, column]), y=y, alpha=0.0)
    v = problem.view.complete(np.zeros(2))
    np.testing.assert_allclose(v, np.linalg.lstsq(problem.A, y)[0], atol=1e-12)


def test_frame_travels_with_replace():
    problem = make(False, True, True, False, False, False, False)
    assert replace(problem, alpha=0.3).view is problem.view
    assert replace(problem, y=problem.y.copy()).view is not problem.view
    assert replace(problem, fit_intercept=False).view is not problem.view
    assert replace(problem, weights=np.ones(6)).view is not problem.view


def test_needs():
    assert make(*[False] * 7).needs() == {"weights"}
    assert make(*[True] * 7).needs() == {"positive", "intercept", "free", "l2", "weights"}
    plain = LassoProblem(A=np.eye(2, dtype=np.float32), y=np.ones(2), alpha=0.1, weights=np.ones(2))
    assert plain.needs() == {"float32"}
    assert replace(plain, A=sparse.eye_array(2).tocsc(), sample_weight=np.ones(2)).needs() == {
        "sparse", "sample_weight"
    }  # fmt: skip
    assert replace(plain, A=aslinearoperator(np.eye(2)), alpha=0.0).needs() == {"operator", "free"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(3)}, r"y has shape \(3,\), but A has 4 rows"),
        ({"y": np.ones((4, 1))}, r"y has shape \(4, 1\)"),
        ({"alpha": -0.1}, "alpha=-0.1 must be a finite number of at least 0"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"alpha": math.inf}, "alpha=inf"),
        ({"l2": -1.0}, r"l2=-1\.0"),
        ({"weights": np.ones(3)}, "weights has shape .* but A has 2 columns"),
        ({"weights": np.array([1.0, -1.0])}, "weights must be at least 0"),
        ({"weights": np.array([1.0, np.nan])}, "weights must be at least 0 .* and not NaN"),
        ({"sample_weight": np.ones(2)}, "sample_weight has shape"),
        ({"sample_weight": -np.ones(4)}, "sample_weight must be finite and at least 0"),
        ({"sample_weight": np.full(4, np.inf)}, "sample_weight must be finite"),
        ({"sample_weight": np.zeros(4)}, "sample_weight sums to 0"),
    ],
)
def test_bad_fields(change, message):
    with pytest.raises(ValueError, match=message):
        LassoProblem(**{"A": np.ones((4, 2)), "y": np.ones(4), "alpha": 0.1, **change})


@pytest.mark.parametrize("weights", [None, np.array([0.0, 1.0, np.inf])])
@pytest.mark.parametrize(("alpha", "l2"), [(0.1, None), (0.1, 0.2), (0.0, 0.2), (0.0, 0.0)])
def test_at_is_replace_without_checking_the_data_again(weights, alpha, l2):
    rng = np.random.default_rng(0)
    problem = LassoProblem(A=rng.standard_normal((5, 3)), y=rng.standard_normal(5), alpha=0.5, l2=0.1, weights=weights)
    at = problem.at(alpha, l2)
    fresh = replace(problem, alpha=alpha, l2=problem.l2 if l2 is None else l2)
    x = np.array([0.3, -0.2, 0.0])
    assert at.objective(x) == fresh.objective(x)
    assert at.certify(x, tol=1.0).value == fresh.certify(x, tol=1.0).value
    np.testing.assert_array_equal(at.thresholds, fresh.thresholds)
    if alpha or l2 != 0.0:
        assert at.view is problem.view
        assert at.penalised is problem.penalised


@pytest.mark.parametrize(("alpha", "l2"), [(-1.0, None), (np.inf, None), (0.1, -1.0)])
def test_at_refuses_strengths_out_of_range(alpha, l2):
    problem = LassoProblem(A=np.eye(2), y=np.ones(2), alpha=0.5)
    with pytest.raises(ValueError, match="must be a finite number of at least 0"):
        problem.at(alpha, l2)
