import numpy as np
import pytest

from estimand.cython_ext._homotopy import walk


def state_of(Z, y, rank):
    n, p = Z.shape
    fields = {
        "Z": np.asfortranarray(Z),
        "norms": np.linalg.norm(Z, axis=0),
        "r": y.copy(),
        "Q": np.zeros((n, rank), order="F"),
        "R": np.zeros((rank, rank), order="F"),
        "b": np.zeros(rank),
        "w": np.zeros(rank),
        "c": Z.T @ y,
        "a": np.zeros(p),
        "g": np.zeros(p),
        "work": np.zeros((rank, 3), order="F"),
        "active": np.zeros(rank, dtype=np.intc),
        "state": np.zeros(p, dtype=np.int8),
        "sign": np.zeros(p, dtype=np.int8),
        "counts": np.zeros(3, dtype=np.intc),
    }
    return fields


def run(fields, lam, target, max_steps=1000):
    x = np.zeros(fields["Z"].shape[1])
    return (*walk(**fields, lam=lam, target=target, x=x, floor=1e-13, max_steps=max_steps), x)


def reference(Z, y, target):
    """The path by normal equations, for columns in general position: the breakpoints and the point at `target`."""
    lam, active, signs, breakpoints = np.abs(Z.T @ y).max(), [], [], []
    while True:
        S, s = np.array(active, dtype=int), np.array(signs)
        G = Z[:, S].T @ Z[:, S]
        least, slope = np.linalg.solve(G, np.column_stack([Z[:, S].T @ y, s])).T if active else (s, s)
        c, a = Z.T @ (y - Z[:, S] @ least), Z.T @ (Z[:, S] @ slope)
        events = []
        for j in set(range(Z.shape[1])) - set(active):
            for sign in (1, -1):
                at = sign * c[j] / (1 - sign * a[j])
                if 0 < at <= lam * (1 + 1e-12) and 1 - sign * a[j] > 0:
                    events.append((at, j, sign))
        for i, j in enumerate(active):
            at = least[i] / slope[i]
            if 0 < at < lam and slope[i] * signs[i] < 0:
                events.append((at, j, 0))
        at, j, sign = max(events, default=(0.0, -1, 0))
        if at <= target:
            x = np.zeros(Z.shape[1])
            x[S] = least - target * slope
            return breakpoints, x
        lam = at
        breakpoints.append(at)
        if sign:
            active.append(j)
            signs.append(sign)
        else:
            del signs[active.index(j)], active[active.index(j)]


@pytest.mark.parametrize(("n", "p"), [(20, 8), (10, 30), (30, 30), (1, 4), (6, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_walk_is_the_path_of_the_normal_equations(n, p, seed):
    rng = np.random.default_rng(seed)
    # A common factor makes the path drop columns, not only add them.
    Z, y = rng.normal(size=(n, p)) + 2 * rng.normal(size=(n, 1)), rng.normal(size=n)
    fields = state_of(Z, y, min(n, p))
    top = np.abs(Z.T @ y).max()
    lam = top
    for target in top * np.array([0.9, 0.5, 0.1, 0.02]):
        lam, _, arrived, x = run(fields, lam, target)
        assert arrived
        assert lam == target
        np.testing.assert_allclose(x, reference(Z, y, target)[1], atol=1e-8 * max(1.0, np.abs(x).max()))


def test_walk_passes_the_breakpoints_one_by_one():
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(15, 10)) + 2 * rng.normal(size=(15, 1)), rng.normal(size=15)
    top = np.abs(Z.T @ y).max()
    breakpoints, x = reference(Z, y, 0.01 * top)
    assert len(breakpoints) > 10  # some columns leave again
    fields, lam, seen = state_of(Z, y, 10), top, []
    while True:
        lam, taken, arrived, point = run(fields, lam, 0.01 * top, max_steps=1)
        if arrived and not taken:
            break
        seen.append(lam if not arrived else seen[-1])
        assert taken == 1
        k = fields["counts"][0]
        S, Q, R = fields["active"][:k], fields["Q"][:, :k], fields["R"][:k, :k]
        np.testing.assert_allclose(Q @ R, Z[:, S], atol=1e-12)
        np.testing.assert_allclose(Q.T @ Q, np.eye(k), atol=1e-12)
        np.testing.assert_allclose(fields["r"], y - Q @ (Q.T @ y), atol=1e-12)
        np.testing.assert_allclose(fields["c"], Z.T @ fields["r"], atol=1e-11)
        np.testing.assert_allclose(fields["a"], Z.T @ (Q @ fields["w"][:k]), atol=1e-11)
        if arrived:
            break
    np.testing.assert_allclose(seen[:-1], breakpoints[: len(seen) - 1], rtol=1e-10)
    np.testing.assert_allclose(point, x, atol=1e-10)


def test_columns_in_the_active_span_are_barred():
    rng = np.random.default_rng(1)
    Z, y = rng.normal(size=(12, 4)), rng.normal(size=12)
    doubled = np.hstack([Z, Z, np.zeros((12, 1))])
    fields = state_of(doubled, y, 9)
    top = np.abs(Z.T @ y).max()
    _, _, arrived, x = run(fields, top, 1e-3 * top)
    assert arrived
    assert fields["counts"][0] == 4
    np.testing.assert_allclose(x[:4] + x[4:8], reference(Z, y, 1e-3 * top)[1], atol=1e-10)
    assert np.count_nonzero(x) == 4
    assert set(fields["state"]) <= {0, 1, 2}


def test_ties_go_to_the_lowest_index():
    fields = state_of(np.eye(4), np.array([1.0, -2.0, 2.0, 0.5]), 4)
    run(fields, 2.0, 1.5, max_steps=1)
    assert fields["counts"][0] == 1
    assert fields["active"][0] == 1
    _, _, _, x = run(fields, 2.0, 1.5)
    np.testing.assert_allclose(x, [0, -0.5, 0.5, 0])


def test_zero_response_has_no_breakpoints():
    fields = state_of(np.eye(3), np.zeros(3), 3)
    lam, taken, arrived, x = run(fields, 0.0, 0.0)
    assert (lam, taken, arrived) == (0.0, 0, True)
    assert not x.any()
