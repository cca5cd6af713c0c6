"""What a search tree proves: never less than the best member, whatever the tree holds; and the relaxation behind it."""

import numpy as np
import pytest

from estimand.solvers.pose_bound.ascent import REFRESH_BARRIERS, climb, climb_from_samples
from estimand.solvers.pose_bound.boundedness import boundedness
from estimand.solvers.pose_bound.branch_and_bound import BranchAndBound, root_box
from estimand.solvers.pose_bound.objectives import squared_error
from estimand.solvers.pose_bound.verification import _Tree, verify_enclosure, verify_tree

KINDS = ("rotation", "translation")
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def searched(instance):
    """Return a finished search with its proof, and the best member."""
    done = {}

    def make(kind, seed=30, **options):
        key = (kind, seed, *options)
        if key not in done:
            case = instance(seed, **options)
            poses = case.pose_set
            member = climb_from_samples(poses, kind, case.R0, case.t0, case.Rs, case.ts)
            enclosure = boundedness(poses, case.t0).enclosure
            run = BranchAndBound(
                poses,
                kind,
                case.R0,
                case.t0,
                enclosure=enclosure,
                tol=0.02,
                member=member,
                refresh=lambda R, t: climb(poses, kind, case.R0, case.t0, R, t, barriers=REFRESH_BARRIERS),
                keep_proof=True,
            )
            while not run.done:
                run.advance()
            done[key] = (case, run, run.proof())
        return done[key]

    return make


def verified(case, kind, proof):
    return verify_tree(case.pose_set, kind, case.R0, case.t0, proof)


@each_kind
@pytest.mark.parametrize(
    "options", [{}, {"elongated": True}, {"n_points": 3}, {"depth": 0.15}, {"radius": 1e-3}], ids=str
)
def test_agrees_with_the_search(searched, kind, options):
    case, run, proof = searched(kind, **options)
    assert verified(case, kind, proof) == pytest.approx(run.upper, rel=1e-8)


@each_kind
def test_open_nodes_count(instance, kind):
    case = instance(31)
    enclosure = boundedness(case.pose_set, case.t0).enclosure
    run = BranchAndBound(case.pose_set, kind, case.R0, case.t0, enclosure=enclosure, tol=0.0, keep_proof=True)
    assert verified(case, kind, run.proof()) <= run.upper
    for n_nodes in (2, 30, 300):
        run.advance(n_nodes)
        assert verified(case, kind, run.proof()) == pytest.approx(run.upper, rel=1e-7)


def noisy(proof, rng, *, size, directions):
    """Return the proof with other multipliers: some percent off, or anything, and other cuts."""
    cuts = proof.cuts.copy()
    cuts["multiplier"] *= 1 + size * rng.standard_normal(len(cuts))
    if directions:
        angles = rng.uniform(0, 2 * np.pi, len(cuts))
        cuts["n1"], cuts["n2"] = 3 * np.cos(angles), 3 * np.sin(angles)
        cuts["code"] = rng.integers(0, 18, len(cuts))
    cuts["multiplier"][rng.random(len(cuts)) < 0.01] = np.nan
    return proof._replace(cuts=cuts)


@each_kind
@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.1, 100.0])
@pytest.mark.parametrize("directions", [False, True])
def test_garbage_proves_no_less_than_the_best_member(searched, kind, size, directions):
    case, run, proof = searched(kind)
    rng = np.random.default_rng(7)
    for _ in range(3):
        assert verified(case, kind, noisy(proof, rng, size=size, directions=directions)) >= run.lower * (1 - 1e-12)


@each_kind
def test_other_splits_and_thresholds_prove_no_less(searched, kind):
    case, run, proof = searched(kind)
    rng = np.random.default_rng(8)
    births = proof.births.copy()
    split = births["child"] >= 0
    births["cut"][split] += 0.3 * rng.standard_normal(split.sum())
    births["dimension"][split] = rng.integers(0, 6, split.sum())
    assert verified(case, kind, proof._replace(births=births)) >= run.lower
    births = proof.births.copy()
    births["target"] *= 0.5
    assert verified(case, kind, proof._replace(births=births)) >= run.lower
    steps = proof.steps.copy()
    steps["kind"] = rng.integers(0, 15, len(steps))
    assert verified(case, kind, proof._replace(steps=steps)) >= run.lower


def damages(proof):
    """Return proofs that do not say what belongs to what, or leave boxes out."""
    births, steps = proof.births, proof.steps
    split = int(np.flatnonzero(births["child"] >= 0)[5])
    changes = {
        "child": births["child"][split] + 2,
        "parent": births["parent"][split] ^ 1,
        "dimension": 6,
        "cut": np.nan,
    }
    for name, value in changes.items():
        damaged = births.copy()
        damaged[name][split] = value
        yield proof._replace(births=damaged)
    yield proof._replace(births=births[:-2])
    yield proof._replace(births=births[:3])
    childless = births.copy()
    childless["child"][split] = -1
    yield proof._replace(births=childless)
    yield proof._replace(cuts=proof.cuts[:-1])
    lost = steps.copy()
    lost["node"][0] = len(births)
    yield proof._replace(steps=lost)
    unknown = proof.cuts.copy()
    unknown["code"][0] = -1
    yield proof._replace(cuts=unknown)


@each_kind
def test_incomplete_trees_prove_nothing(searched, kind):
    case, _, proof = searched(kind)
    for damaged in damages(proof):
        assert verified(case, kind, damaged) == np.inf


@each_kind
def test_the_root_box_is_proved_too(searched, kind):
    case, run, proof = searched(kind)
    box = proof.enclosure
    shrunk = box._replace(lower=0.5 * box.lower, upper=0.5 * box.upper)
    assert verified(case, kind, proof._replace(enclosure=shrunk)) == pytest.approx(run.upper, rel=1e-9)
    weak = box._replace(multipliers=0.5 * box.multipliers)
    assert verify_enclosure(case.pose_set, box.frame, weak) is None
    assert verified(case, kind, proof._replace(enclosure=weak)) >= run.lower


@each_kind
@pytest.mark.parametrize("chart", range(4))
@pytest.mark.parametrize("size", [1e-3, 0.05, 0.5])
def test_relaxation_contains_every_pose_of_a_box(searched, kind, chart, size):
    """For any pose, ``a.y - b <= g.X`` at the variables y that belong to it, and the linear objective is above it."""
    case, _, proof = searched(kind)
    rng = np.random.default_rng(int(1e4 * size) + chart)
    unit = case.pose_set.unit
    root = root_box(case.pose_set, kind, case.R0, case.t0, proof.enclosure)
    if kind == "translation":
        # A pivot away from the origin, as objects may have.
        root = root._replace(points=root.points + 0.7, pivot=root.pivot + 0.7)
    tree = _Tree(case.pose_set, kind, case.R0, root, proof)
    node = np.array([0])
    for _ in range(20):
        half, tau_half = size * rng.uniform(0.1, 1, 3), size * rng.uniform(0.1, 2, 3)
        center, tau = rng.uniform(-1 + size, 1 - size, 3), rng.uniform(-1, 1, 3)
        tree.chart[0] = chart
        tree.lo[0], tree.hi[0] = np.append(center - half, tau - tau_half), np.append(center + half, tau + tau_half)
        at = tree._linearize(node)
        costs, constants = tree._objective(node, node, at)
        cuts = np.zeros(30, dtype=proof.cuts.dtype)
        angles = rng.uniform(0, 2 * np.pi, 30)
        cuts["code"], cuts["n1"], cuts["n2"] = rng.integers(0, 18, 30), np.cos(angles), np.sin(angles)
        a, b, _ = tree._columns(cuts, np.zeros(30, dtype=int), at)
        for _ in range(10):
            # A corner, or anywhere.
            where = rng.choice([-1.0, 1.0], 3) if rng.random() < 0.5 else rng.uniform(-1, 1, 3)
            v, moved = center + half * where, tau + tau_half * rng.uniform(-1, 1, 3)
            R = case.R0 @ np.diag(np.eye(4)[chart, 1:] * 2 - 1 + 2 * (chart == 0)) @ rotation_of(v)
            y = variables_of(at, root, center, v, R, moved)
            assert np.abs(y).max() <= 1 + 1e-12
            X = root.points @ R.T + root.origin + root.frame @ moved
            k, depth = cuts["code"] % 9, cuts["code"] >= 9
            n = np.where(depth[:, None], 0.0, np.column_stack([cuts["n1"], cuts["n2"]]))
            g = np.einsum("ci,cij->cj", n, unit.cones[k]) - np.eye(3)[2]
            violation = np.einsum("cj,cj->c", g, X[k]) + np.where(depth, unit.min_depth, 0.0)
            assert np.all(a @ y - b <= violation / np.linalg.norm(g, axis=1) + 1e-12)
            value = np.square(R - case.R0).sum() if kind == "rotation" else moved @ moved
            assert costs[0] @ y + constants[0] >= value - 1e-12


def rotation_of(v):
    W = np.cross(v, np.eye(3)).T
    return np.linalg.solve(np.eye(3) - W, np.eye(3) + W)


def variables_of(at, root, center, v, R, tau):
    """Return the variables of a pose, in units of their half-widths."""
    A = np.eye(3) - np.cross(center, np.eye(3)).T
    z = (v - center) / (1 + center @ v)
    u = 2 * z / (1 + np.square(A @ z).sum())
    # R(v) = R(v0) (I + [A u]x + E)
    E = at.rotation[0].T @ R - np.eye(3) - np.cross(A @ u, np.eye(3)).T
    shifted = tau + root.frame.T @ at.rotation[0] @ E @ root.pivot
    return np.append(0.5 * u / at.half[0], (shifted - at.middle[0]) / at.width[0])


def test_rounding_is_rounded_up(searched):
    """Tiny sets are where rounding errors would show: members must not exceed the bound."""
    for kind in KINDS:
        case, run, proof = searched(kind, radius=1e-6)
        values = squared_error(kind, case.Rs, case.ts, case.R0, case.t0)
        assert values.max() <= verified(case, kind, proof)
        assert values.max() <= run.upper
