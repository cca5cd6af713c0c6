"""The sweeps and the scalar proximal maps against NumPy twins."""

import numpy as np
import pytest
from scipy import sparse

from estimand.cython_ext._penalized_cd import penalty_values, prox_values, sweep_dense, sweep_gram, sweep_sparse
from estimand.penalties import CEL0, L0, L1, L1L2, MCP, PENALTIES, SCAD, CappedL1, LogSum, Lq

EMPTY = np.empty(0)


@pytest.mark.parametrize("cls", list(PENALTIES.values()))
def test_scalar_and_vector_faces_agree(cls):
    rng = np.random.default_rng(0)
    for trial in range(60):
        ranges = {"q": rng.uniform(0.02, 0.98), "l1_ratio": rng.uniform(), "gamma": 2.01 + rng.exponential(3)}
        others = [name for name in cls().get_params() if name != "alpha"]
        shape = {name: ranges.get(name, 10.0 ** rng.uniform(-1, 1)) for name in others}
        penalty = cls(alpha=10.0 ** rng.uniform(-2, 1) if trial else 0.0, **shape)
        step = 10.0 ** rng.uniform(-3, 3, 200)
        x = np.where(rng.random(200) < 0.5, penalty.threshold(step) * rng.uniform(0.5, 2, 200), rng.exponential(3, 200))
        step[:3], x[3:6] = [0.0, 1e-300, 1e-10], [0.0, 1e-300, 1e300]
        out = np.empty(200)
        prox_values(*penalty.kernel_arguments(), x, step, out)
        np.testing.assert_allclose(out, penalty.prox(x, step), rtol=1e-13, atol=0, err_msg=repr(penalty))


@pytest.mark.parametrize("cls", list(PENALTIES.values()))
def test_values_and_derivatives(cls):
    rng = np.random.default_rng(1)
    for _ in range(30):
        ranges = {"q": rng.uniform(0.02, 0.98), "l1_ratio": rng.uniform(), "gamma": 2.01 + rng.exponential(3)}
        others = [name for name in cls().get_params() if name != "alpha"]
        shape = {name: ranges.get(name, 10.0 ** rng.uniform(-1, 1)) for name in others}
        penalty = cls(alpha=10.0 ** rng.uniform(-2, 1), **shape)
        z, h = rng.exponential(2, 100) + 0.01, 1e-6
        out = np.empty((3, 100))
        penalty_values(*penalty.kernel_arguments(), z, out)
        np.testing.assert_allclose(out[0], penalty.value_elementwise(z), rtol=1e-13)
        low, high = np.empty((3, 100)), np.empty((3, 100))
        penalty_values(*penalty.kernel_arguments(), z - h, low)
        penalty_values(*penalty.kernel_arguments(), z + h, high)
        smooth = np.abs(high[2] - low[2]) < 1e-3 * (1 + np.abs(out[2]))  # no knot is near
        if cls is CappedL1:
            smooth = np.abs(z - penalty.theta) > 2 * h
        assert smooth.sum() > 90
        np.testing.assert_allclose(out[1][smooth], ((high[0] - low[0]) / (2 * h))[smooth], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(out[2][smooth], ((high[1] - low[1]) / (2 * h))[smooth], rtol=1e-5, atol=1e-6)


def twin(A, residual, row_weight, centred, weights, working, v, penalty, positive, tol, max_sweeps):
    """Cyclic coordinate descent with everything written out."""
    s = row_weight if row_weight.size else np.ones(A.shape[0])
    means = s @ A / s.sum() if centred else np.zeros(A.shape[1])
    centred_A = A - means
    r = residual / np.where(s > 0, s, 1) if row_weight.size else residual.copy()
    if centred:
        r = r - s @ r / s.sum()
    nu = s @ centred_A**2 / s.size
    change = 0.0
    sweep = 0
    while sweep < max_sweeps:
        sweep += 1
        change = 0.0
        for j in working:
            u = v[j] + (s * centred_A[:, j]) @ r / s.size / nu[j]
            z = u if weights[j] == 0 else float(penalty.prox(u, weights[j] / nu[j], positive))
            r -= (z - v[j]) * centred_A[:, j]
            change = max(change, np.sqrt(nu[j]) * abs(z - v[j]))
            v[j] = z
        if change <= tol:
            break
    return sweep, change


def state(rng, n, p, weighted, centred):
    A = rng.standard_normal((n, p)) * (rng.random((n, p)) < 0.6)
    A[0] += 1.0
    s = rng.uniform(0.2, 2.0, n) if weighted else EMPTY
    s = s / s.mean() if weighted else s
    full = s if weighted else np.ones(n)
    v = np.where(rng.random(p) < 0.3, rng.standard_normal(p), 0.0)
    y = rng.standard_normal(n) * 2 + A @ v
    means = full @ A / n if centred else np.zeros(p)
    curvature = full @ (A - means) ** 2 / n
    weights = rng.choice([0.0, 0.5, 1.0, 2.0], p)
    return A, y, s, full, v, means, curvature, weights


PENALTY_CASES = [
    L1(0.2),
    L1L2(0.2, 0.5),
    Lq(0.2, 0.4),
    L0(0.05),
    CEL0(0.05),
    MCP(0.2, 3.0),
    SCAD(0.2, 3.0),
    LogSum(0.2, 0.5),
    CappedL1(0.2, 1.0),
]


@pytest.mark.parametrize("penalty", PENALTY_CASES, ids=repr)
@pytest.mark.parametrize("form", ["dense", "float32", "csc", "csc32", "csc64"])
@pytest.mark.parametrize(("weighted", "centred", "positive"), [(False, False, False), (True, True, True)])
def test_sweeps_equal_their_twin(penalty, form, weighted, centred, positive):
    rng = np.random.default_rng(1)
    for n, p in [(17, 6), (4, 9), (2, 1), (3, 3)]:
        A, y, s, full, v, means, curvature, weights = state(rng, n, p, weighted, centred)
        if form in ("float32", "csc32"):
            A = A.astype(np.float32).astype(np.float64)
            means = full @ A / n if centred else np.zeros(p)
            curvature = full @ (A - means) ** 2 / n
        working = np.flatnonzero(curvature > 1e-12)[::2].astype(np.int64)
        r = full * (y - A @ v)
        expected, mine = v.copy(), v.copy()
        count = twin(A, r, s, centred, weights, working, expected, penalty, positive, 1e-3, 5)
        rest = (r, s, means, centred, curvature, weights, working, mine, *penalty.kernel_arguments(), positive, 1e-3, 5)
        if form in ("dense", "float32"):
            got = sweep_dense(np.asfortranarray(A, dtype=np.float32 if form == "float32" else np.float64), *rest)
        else:
            C = sparse.csc_array(A, dtype=np.float32 if form == "csc32" else np.float64)
            index = np.int64 if form == "csc64" else np.int32
            got = sweep_sparse(C.data, C.indices.astype(index), C.indptr.astype(index), *rest)
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)
        assert got[0] == count[0]
        assert got[1] == pytest.approx(count[1], rel=1e-7, abs=1e-12)
        # The residual that the kernel leaves is that of its coefficients.
        np.testing.assert_allclose(r, full * (y - A @ mine), atol=1e-11)


@pytest.mark.parametrize("penalty", PENALTY_CASES, ids=repr)
@pytest.mark.parametrize("positive", [False, True])
def test_sweeps_on_a_gram_matrix_equal_their_twin(penalty, positive):
    rng = np.random.default_rng(2)
    for n, p in [(17, 6), (4, 9), (2, 1)]:
        A, y, s, _, v, means, curvature, weights = state(rng, n, p, True, True)
        keep = curvature > 1e-12
        A, v, weights, C = A[:, keep], v[keep], weights[keep], (A - means)[:, keep]
        r = s * (y - A @ v)
        expected, mine = v.copy(), v.copy()
        every = np.arange(v.size)
        count = twin(A, r, s, True, weights, every, expected, penalty, positive, 1e-3, 5)
        gram, correlation = (s * C.T) @ C / n, C.T @ (r - s * (r.sum() / n)) / n
        got = sweep_gram(gram, correlation, weights, mine, *penalty.kernel_arguments(), positive, 1e-3, 5)
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)
        assert got[0] == count[0]
        assert got[1] == pytest.approx(count[1], rel=1e-7, abs=1e-12)
        np.testing.assert_allclose(correlation, C.T @ (s * (y - A @ mine)) / n, atol=1e-11)


def test_an_empty_working_set_changes_nothing():
    A = np.asfortranarray(np.ones((2, 1)))
    v, r = np.ones(1), np.ones(2)
    none = np.empty(0, dtype=np.int64)
    result = sweep_dense(A, r, EMPTY, np.zeros(1), False, np.ones(1), np.ones(1), none, v, 0, 1.0, 0, 0, False, 0.0, 7)
    assert result == (1, 0.0)
    assert v[0] == 1
    assert np.array_equal(r, [1, 1])


def test_read_only_data_is_accepted():
    A = np.asfortranarray(np.ones((2, 1)))
    A.flags.writeable = False
    v, r = np.zeros(1), np.array([2.0, 2.0])
    sweep_dense(
        A, r, EMPTY, np.zeros(1), False, np.ones(1), np.ones(1), np.zeros(1, np.int64), v, 0, 1.0, 0, 0, False, 0.0, 7
    )
    assert v[0] == 1.0
