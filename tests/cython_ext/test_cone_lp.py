"""The cone programmes against HiGHS on polygons, and their bounds against a twin that adds up the cuts."""

import numpy as np
import pytest
from scipy.optimize import linprog

from estimand.cython_ext._cone_lp import ConeProgram

SOLVED, STOPPED, INFEASIBLE = 0, 1, 2
SIDES = 32
STEP = np.pi / SIDES
ANGLES = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
CIRCLE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])


class Case:
    """Cones around a point, or past it, in a box."""

    def __init__(self, seed, *, n=6, K=7, far=0.0, radius=0.0, least_depth=-np.inf):
        rng = np.random.default_rng(seed)
        self.n, self.K, self.least_depth = n, K, least_depth
        self.N = rng.standard_normal((K, 2, 3)) * 10 ** rng.uniform(0, 2, (K, 1, 1))
        axes = np.cross(self.N[:, 0], self.N[:, 1])
        axes *= rng.uniform(0.5, 3, (K, 1)) / np.linalg.norm(axes, axis=1, keepdims=True)
        axes *= np.where(axes[:, 2:] < 0, -1.0, 1.0)
        self.linear = rng.standard_normal((K, 3, n))
        self.constant = axes + far * rng.standard_normal((K, 3)) - self.linear @ rng.uniform(-0.5, 0.5, n)
        self.radius = radius * rng.uniform(0, 1, K)
        self.lower, self.upper = -rng.uniform(0.5, 2, n), rng.uniform(0.5, 2, n)
        self.cost = rng.standard_normal(n)

    def program(self):
        return ConeProgram(self.lower, self.upper, self.N, self.linear, self.constant, self.radius, self.least_depth)

    def rows(self, directions, k):
        """Return ``a.x <= b`` for cuts, divided by |g|."""
        g = np.einsum("ci,cij->cj", directions, self.N[k]) - np.eye(3)[2]
        g /= np.linalg.norm(g, axis=1, keepdims=True)
        return np.einsum("cj,cji->ci", g, self.linear[k]), self.radius[k] - np.einsum("cj,cj->c", g, self.constant[k])

    def rows_inside(self):
        """Return rows whose polygons are inside the cones and the room around them."""
        projected = np.einsum("mi,kij->kmj", CIRCLE, self.N)
        least = (
            np.linalg.norm(projected - np.eye(3)[2], axis=2).min(axis=1) - np.linalg.norm(self.N, axis=(1, 2)) * STEP
        )
        g = projected - np.cos(STEP) * np.eye(3)[2]
        room = np.cos(STEP) * self.radius * np.maximum(least, 0)
        a, b = np.einsum("kmj,kji->kmi", g, self.linear), room[:, None] - np.einsum("kmj,kj->km", g, self.constant)
        return a.reshape(-1, self.n), b.ravel()

    def polygon_value(self, *, inside):
        """Return the maximum over polygons around the cones, or inside; minus infinity if there is no point."""
        k = np.repeat(np.arange(self.K), SIDES)
        a, b = self.rows_inside() if inside else self.rows(np.tile(CIRCLE, (self.K, 1)), k)
        if np.isfinite(self.least_depth):
            a = np.concatenate([a, -self.linear[:, 2]])
            b = np.concatenate([b, self.radius + self.constant[:, 2] - self.least_depth])
        box = np.column_stack([self.lower, self.upper])
        result = linprog(-self.cost, A_ub=a, b_ub=b, bounds=box, method="highs")
        assert result.status in (0, 2)
        return -result.fun if result.status == 0 else -np.inf


def check_against_polygons(case):
    """Compare with polygons around the cones and inside; return the status."""
    status, bound, point, *_ = case.program().maximize(case.cost)
    assert status in (SOLVED, INFEASIBLE)
    slack = 3e-5 * np.abs(case.cost * (case.upper - case.lower)).max() + 1e-4 * (not case.cost.any())
    outer, inner = case.polygon_value(inside=False), case.polygon_value(inside=True)
    assert inner - slack <= bound <= outer + slack
    if status == SOLVED:
        assert bound == pytest.approx(case.cost @ point, abs=slack)
    return status


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("far", [0.0, 0.02, 0.3])
def test_random_programs(n, far):
    found = {check_against_polygons(Case(seed, n=n, far=far)) for seed in range(75)}
    assert found == {0.0: {SOLVED}, 0.02: {SOLVED, INFEASIBLE}, 0.3: {INFEASIBLE}}[far]


@pytest.mark.parametrize("seed", range(20))
def test_degenerate_programs(seed):
    case = Case(seed, K=4)
    # Each cone twice, costs of single coordinates or of none, and a coordinate that is fixed.
    for name in ("N", "linear", "constant", "radius"):
        setattr(case, name, np.concatenate([getattr(case, name)] * 2))
    case.K = 8
    case.cost[seed % 7 :] = 0.0
    case.upper[5] = case.lower[5] = 0.1
    check_against_polygons(case)


@pytest.mark.parametrize("seed", range(20))
def test_room_around_the_cones(seed):
    case = Case(seed, far=0.1, radius=0.2)
    _, bound, *_ = case.program().maximize(case.cost)
    assert bound >= case.polygon_value(inside=True) - 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_least_depth(seed):
    # The cones reach down to their apex, and the cost goes there.
    case = Case(seed, K=2, n=3, least_depth=0.2)
    case.linear, case.constant, case.cost = np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)), np.array([0.0, 0.0, -1.0])
    case.N[1], case.lower[:], case.upper[:] = case.N[0], -1.0, 1.0
    case.N[:, :, 2] *= 0.1
    assert check_against_polygons(case) == SOLVED
    assert case.program().maximize(case.cost)[1] == pytest.approx(-0.2, abs=1e-5)


def test_no_costs():
    case = Case(3)
    case.cost[:] = 0.0
    status, bound, *_ = case.program().maximize(case.cost)
    assert (status, bound) == (SOLVED, pytest.approx(0.0, abs=1e-4))


@pytest.mark.parametrize("seed", range(10))
def test_stops_at_a_value(seed):
    case = Case(seed)
    _, best, *_ = case.program().maximize(case.cost)
    status, bound, *_ = case.program().maximize(case.cost, best + 0.1)
    assert status == STOPPED
    assert best - 1e-9 <= bound <= best + 0.1 + 1e-9


def twin(case, cost, codes, directions, multipliers):
    """Return the bound that cuts prove with multipliers in the box."""
    a, b = case.rows(directions, codes)
    x = np.maximum(multipliers, 0)
    rest = cost - x @ a
    return x @ b + np.maximum(rest * case.lower, rest * case.upper).sum()


@pytest.mark.parametrize("seed", range(30))
def test_multipliers_prove_the_bound(seed):
    case = Case(seed, far=0.02, radius=0.05 * (seed % 2))
    status, bound, _, codes, directions, multipliers = case.program().maximize(case.cost)
    if status == INFEASIBLE:
        assert bound == -np.inf
        assert twin(case, 0 * case.cost, codes, directions, multipliers) < 0
    else:
        close = pytest.approx(bound, abs=1e-9 * (1 + multipliers.sum()))
        assert twin(case, case.cost, codes, directions, multipliers) == close
        assert case.program().bound(case.cost, codes, directions, multipliers) == close


@pytest.mark.parametrize("seed", range(30))
def test_any_multipliers_prove_a_bound(seed):
    case = Case(seed, far=0.02)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, case.K, 6).astype(np.int32)
    angles = rng.uniform(0, 2 * np.pi, 6)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    least = case.polygon_value(inside=True)
    for size in (0.0, 1e-3, 1.0, 1e6):
        multipliers = size * rng.standard_normal(6)
        bound = case.program().bound(case.cost, codes, directions, multipliers)
        assert bound >= least - 1e-9
        assert bound == pytest.approx(twin(case, case.cost, codes, directions, multipliers), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("size", [1e6, 1e10, 1e12, 1e14, 1e16])
def test_rounding_errors_prove_nothing_infeasible(size):
    """Where the cones are as thin as rays, only rounding errors tell a programme with one point from one with none."""
    for seed in range(40):
        case = Case(seed)
        case.N *= size
        inside = case.linear @ np.random.default_rng(seed + 1000).uniform(-0.4, 0.4, 6)
        axes = np.cross(case.N[:, 0], case.N[:, 1])
        axes *= 10.0 / np.linalg.norm(axes, axis=1, keepdims=True)
        case.constant = axes * np.where(axes[:, 2:] < 0, -1.0, 1.0) - inside
        status, bound, *_ = case.program().maximize(case.cost)
        assert status != INFEASIBLE
        assert bound > -np.abs(case.cost) @ np.maximum(case.upper, -case.lower)
