"""The search tree by itself: its bookkeeping, and bounds above every pose of a small problem.

The bounds of single boxes are compared with a NumPy twin in the tests of the verification.
"""

import numpy as np
import pytest

from estimand.cython_ext._bnb_pose import PoseTree

ROTATION, TRANSLATION = 0, 1
each_kind = pytest.mark.parametrize("kind", [ROTATION, TRANSLATION])


class Case:
    """A few points seen head-on, 5 away, in discs that leave some play."""

    def __init__(self, K=6, radius=0.01, seed=0):
        rng = np.random.default_rng(seed)
        self.points = np.ascontiguousarray(rng.uniform(-0.5, 0.5, (K, 3)))
        self.origin = np.array([0.0, 0.0, 5.0])
        X = self.points + self.origin
        self.cones = np.zeros((K, 2, 3))
        self.cones[:, 0, 0] = self.cones[:, 1, 1] = 1 / radius
        self.cones[:, :, 2] = -X[:, :2] / X[:, 2:] / radius

    def tree(self, kind, *, reach=3.0, keep_proof=False, least_depth=0.1, pivot=0.0):
        return PoseTree(
            kind,
            self.points,
            np.full(3, pivot),
            self.cones,
            np.eye(3),
            self.origin,
            np.eye(3),
            np.full(3, -reach),
            np.full(3, reach),
            least_depth,
            keep_proof,
        )

    def best(self, kind, n=20_000):
        """Return the largest objective among random poses near the centre that are in the set."""
        rng = np.random.default_rng(1)
        v, tau = rng.normal(0, 0.015, (n, 3)), rng.normal(0, [0.01, 0.01, 0.15], (n, 3))
        W = np.cross(v[:, None], np.eye(3)).swapaxes(1, 2)
        R = np.linalg.solve(np.eye(3) - W, np.eye(3) + W)
        X = self.points @ R.swapaxes(1, 2) + (self.origin + tau)[:, None]
        projected = np.einsum("kij,mkj->mki", self.cones, X)
        inside = np.all(np.linalg.norm(projected, axis=2) <= X[:, :, 2], axis=1)
        values = np.square(R - np.eye(3)).sum(axis=(1, 2)) if kind == ROTATION else np.square(tau).sum(axis=1)
        return values[inside].max()


@each_kind
@pytest.mark.parametrize("pivot", [0.0, 0.3])
def test_bounds_stay_above_every_pose(kind, pivot):
    case = Case()
    best, tree = case.best(kind), case.tree(kind, pivot=pivot)
    before = np.inf
    while tree.n_nodes < 600:
        tree.run(-1.0, 20)
        assert best <= tree.open_upper <= before
        before = tree.open_upper
    assert tree.open_upper < 40 * best


@each_kind
def test_ends_at_the_target(kind):
    case = Case()
    target = 10 * case.best(kind)
    tree = case.tree(kind)
    assert tree.run(target, 10_000) == tree.n_nodes < 10_000
    assert tree.open_upper == -np.inf or tree.open_upper <= target
    assert 0 < max(tree.open_upper, tree.closed_upper) <= target
    assert tree.run(target, 100) == 0


@each_kind
def test_slices_do_not_change_the_search(kind):
    case = Case(seed=2)
    whole, sliced = case.tree(kind, keep_proof=True), case.tree(kind, keep_proof=True)
    whole.run(1e-4, 400)
    while sliced.n_nodes < 400:
        assert sliced.run(1e-4, 2) == 2
    for name in ("n_nodes", "n_programs", "n_open", "open_upper", "closed_upper"):
        assert getattr(whole, name) == getattr(sliced, name)
    for ours, theirs in zip(whole.proof(), sliced.proof(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@each_kind
def test_every_node_is_open_split_or_closed(kind):
    tree = Case(seed=3).tree(kind, keep_proof=True)
    for n in (0, 2, 100, 3000):
        tree.run(-1.0, n)
        births, steps, cuts = tree.proof()
        assert len(births) == 4 + tree.n_nodes
        children = births["child"][births["child"] >= 0]
        np.testing.assert_array_equal(np.sort(np.concatenate([children, children + 1])), np.arange(4, len(births)))
        assert tree.n_open <= np.count_nonzero(births["child"] < 0)
        assert len(steps) == tree.n_programs
        assert steps["n_cuts"].sum() == len(cuts)
        assert np.all(cuts["multiplier"] > 0)
    # The arrays have doubled several times.
    assert tree.n_open > 200


@each_kind
def test_record_is_a_choice(kind):
    case = Case()
    kept, not_kept = case.tree(kind, keep_proof=True), case.tree(kind)
    kept.run(-1.0, 300)
    not_kept.run(-1.0, 300)
    assert kept.open_upper == not_kept.open_upper
    assert all(len(part) == 0 for part in not_kept.proof())


@each_kind
def test_top_is_a_pose_of_the_box(kind):
    tree = Case().tree(kind)
    for _ in range(20):
        tree.run(-1.0, 20)
        R, tau = tree.top()
        np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-13)
        assert np.linalg.det(R) > 0
        assert np.abs(tau).max() <= 3.0 * (1 + 1e-9) + (kind == TRANSLATION)


def test_everything_infeasible_leaves_nothing():
    case = Case()
    # The position of the points is kept away from where it has to be.
    case.cones[:, :, 2] += 300.0 * np.arange(6)[:, None]
    tree = case.tree(ROTATION)
    tree.run(-1.0, 5000)
    assert (tree.n_open, tree.open_upper, tree.closed_upper) == (0, -np.inf, -np.inf)
    assert not tree.exhausted


def test_least_depth_excludes_what_is_nearer():
    case = Case()
    far, near = case.tree(ROTATION, least_depth=5.8), case.tree(ROTATION, least_depth=0.1)
    for tree in (far, near):
        tree.run(-1.0, 1000)
    assert far.open_upper < near.open_upper or far.n_open == 0


def test_a_point_like_set_exhausts_the_search():
    tree = Case(radius=1e-12).tree(ROTATION)
    while not tree.exhausted and tree.n_open > 0:
        tree.run(-1.0, 200)
        assert tree.n_nodes < 100_000
    assert max(tree.open_upper, tree.closed_upper) < 1e-10


def test_reads_arrays_that_are_not_writable():
    case = Case()
    for array in (case.points, case.cones, case.origin):
        array.setflags(write=False)
    tree = case.tree(ROTATION)
    assert tree.run(-1.0, 10) == 10
