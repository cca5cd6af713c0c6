"""Upper bounds of the search: above every member, close to the best one, whatever stops it and however it is posed."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from estimand.solvers.pose_bound.ascent import REFRESH_BARRIERS, Member, climb, climb_from_samples, least_violation
from estimand.solvers.pose_bound.boundedness import boundedness
from estimand.solvers.pose_bound.branch_and_bound import BranchAndBound, prove_empty
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.objectives import squared_error
from estimand.solvers.pose_bound.rotations import nearest_rotation
from estimand.solvers.pose_bound.verification import verify_tree

KINDS = ("rotation", "translation")
each_kind = pytest.mark.parametrize("kind", KINDS)
TOL = 0.02
CASES = {
    "plain": {},
    "ellipses": {"elongated": True},
    "planar": {"planar": True},
    "three points": {"n_points": 3},
    "many points": {"n_points": 50},
    "small": {"radius": 0.1},
    "tiny": {"radius": 1e-6},
    "large": {"radius": 20.0},
    "near": {"depth": 0.12},
    "at the least depth": {"depth": 1.0, "min_depth": 0.9},
}


def search(pose_set, kind, R0, t0, Rs, ts, *, tol=TOL, max_nodes=10_000, keep_proof=False):
    """Run to the end as a solver does."""
    member = climb_from_samples(pose_set, kind, R0, t0, Rs, ts)
    run = BranchAndBound(
        pose_set,
        kind,
        R0,
        t0,
        enclosure=boundedness(pose_set, t0).enclosure,
        tol=tol,
        member=member,
        refresh=lambda R, t: climb(pose_set, kind, R0, t0, R, t, barriers=REFRESH_BARRIERS),
        keep_proof=keep_proof,
    )
    while not run.done and run.n_nodes < max_nodes:
        run.advance()
    return run


def farthest_by_slsqp(case, kind, n_starts=2):
    """Return the best value of a member that another optimiser finds."""
    order = np.argsort(-squared_error(kind, case.Rs, case.ts, case.R0, case.t0))
    poses, best = case.pose_set, 0.0
    for i in order[:n_starts]:
        result = minimize(
            lambda x, i=i: -squared_error(kind, *case.moved(i, x), case.R0, case.t0),
            np.zeros(6),
            constraints={"type": "ineq", "fun": lambda x, i=i: np.maximum(poses.margins(*case.moved(i, x))[0], -1.0)},
            bounds=[(-2, 2)] * 6,
            method="SLSQP",
            options={"maxiter": 40},
        )
        if poses.margins(*case.moved(i, result.x)).min() >= -1e-12:
            best = max(best, -result.fun)
    return best


@each_kind
@pytest.mark.parametrize("name", CASES)
def test_bounds_all_members(instance, name, kind):
    case = instance(list(CASES).index(name), **CASES[name])
    run = search(case.pose_set, kind, case.R0, case.t0, case.Rs, case.ts)
    values = squared_error(kind, case.Rs, case.ts, case.R0, case.t0)
    assert values.max() <= run.lower * (1 + 1e-9) <= run.upper * (1 + 1e-9)
    assert run.upper - run.lower <= TOL * max(run.lower, run.absolute)
    assert case.pose_set.contains(run.member.R, run.member.t)[0]
    assert run.lower == squared_error(kind, run.member.R, run.member.t, case.R0, case.t0)
    np.testing.assert_allclose(run.member.R.T @ run.member.R, np.eye(3), atol=1e-14)
    if CASES[name].get("radius", 1.0) >= 0.1:
        assert farthest_by_slsqp(case, kind) <= run.lower * (1 + 1e-6)


@each_kind
@pytest.mark.parametrize("seed", range(20, 26))
def test_closes_at_small_tolerances(instance, seed, kind):
    case = instance(seed)
    run = search(case.pose_set, kind, case.R0, case.t0, case.Rs, case.ts, tol=1e-4)
    assert run.upper - run.lower <= 1e-4 * run.lower


@each_kind
@pytest.mark.parametrize("center", ["camera", "far", "turned"])
def test_any_center(instance, kind, center):
    case = instance(3)
    R0 = nearest_rotation(np.random.default_rng(1).standard_normal((3, 3))) if center == "turned" else case.R0
    t0 = {"camera": np.zeros(3), "far": np.array([2.0, -1.0, 0.5]), "turned": case.t0}[center]
    run = search(case.pose_set, kind, R0, t0, case.Rs, case.ts)
    assert squared_error(kind, case.Rs, case.ts, R0, t0).max() <= run.upper
    assert run.upper - run.lower <= TOL * run.lower


@each_kind
def test_origin_far_from_the_points(instance, kind):
    case = instance(4)
    shift = np.array([0.4, -0.3, 0.2])
    poses = dataclasses.replace(case.pose_set, points=case.points + shift)
    ts = case.ts - case.Rs @ shift
    run = search(poses, kind, case.R0, ts.mean(axis=0), case.Rs, ts)
    assert squared_error(kind, case.Rs, ts, case.R0, ts.mean(axis=0)).max() <= run.upper
    assert run.upper - run.lower <= TOL * run.lower


@each_kind
@pytest.mark.parametrize("known", [True, False])
def test_valid_whenever_it_is_stopped(instance, kind, known):
    case = instance(5)
    poses = case.pose_set
    best = climb_from_samples(poses, kind, case.R0, case.t0, case.Rs, case.ts)
    run = BranchAndBound(
        poses,
        kind,
        case.R0,
        case.t0,
        enclosure=boundedness(poses, case.t0).enclosure,
        tol=0.0,
        member=Member(0.3 * best.value, best.R, best.t) if known else None,
    )
    uppers = [run.advance(n).upper for n in (2, 4, 10, 50, 100, 300, 300)]
    assert all(upper >= best.value for upper in uppers)
    assert all(after <= before for before, after in itertools.pairwise(uppers))
    assert uppers[-1] < 8 * best.value


@each_kind
def test_finishes_even_with_a_member_that_is_not_the_best(instance, kind):
    case = instance(6)
    poses = case.pose_set
    best = climb_from_samples(poses, kind, case.R0, case.t0, case.Rs, case.ts)
    run = BranchAndBound(
        poses,
        kind,
        case.R0,
        case.t0,
        enclosure=boundedness(poses, case.t0).enclosure,
        tol=TOL,
        member=Member(0.9 * best.value, best.R, best.t),
    )
    while not run.done:
        run.advance()
        assert run.n_nodes < 50_000
    assert best.value <= run.upper <= best.value * 1.001


def test_refresh_finds_better_members(instance):
    case = instance(7)
    poses = case.pose_set
    poor = Member(float(squared_error("rotation", case.R, case.t, case.R0, case.t0)), case.R, case.t)
    seen = []

    def refresh(R, t):
        seen.append((R, t))
        return climb(poses, "rotation", case.R0, case.t0, R, t)

    run = BranchAndBound(
        poses,
        "rotation",
        case.R0,
        case.t0,
        enclosure=boundedness(poses, case.t0).enclosure,
        tol=TOL,
        member=poor,
        refresh=refresh,
    )
    while not run.done:
        run.advance(100)
    assert run.lower > poor.value
    assert run.upper - run.lower <= TOL * run.lower
    assert all(np.allclose(R.T @ R, np.eye(3)) for R, _ in seen)


@each_kind
def test_no_node_is_lost_when_arrays_grow(instance, kind):
    case = instance(8)
    poses = case.pose_set
    enclosure = boundedness(poses, case.t0).enclosure
    run = BranchAndBound(poses, kind, case.R0, case.t0, enclosure=enclosure, tol=0.0, keep_proof=True)
    largest = 0
    for _ in range(40):
        state = run.advance(100)
        largest = max(largest, run._tree.n_open)
    assert largest > 200
    births = run.proof().births
    assert len(births) == 4 + state.n_nodes
    assert np.count_nonzero(births["child"] < 0) == 4 + state.n_nodes // 2
    assert verify_tree(poses, kind, case.R0, case.t0, run.proof()) == pytest.approx(run.upper, rel=1e-9)


@each_kind
@pytest.mark.parametrize("change", ["points", "frame", "unit"])
def test_invariances(instance, kind, change):
    case = instance(9)
    poses, R0, t0, Rs, ts, factor = case.pose_set, case.R0, case.t0, case.Rs, case.ts, 1.0
    first = search(poses, kind, R0, t0, Rs, ts)
    if change == "points":
        order = np.random.default_rng(0).permutation(len(case.points))
        poses = dataclasses.replace(poses, points=poses.points[order], cones=poses.cones[order])
    elif change == "frame":
        G = nearest_rotation(np.random.default_rng(0).standard_normal((3, 3)))
        poses, R0, Rs = dataclasses.replace(poses, points=poses.points @ G.T), R0 @ G.T, Rs @ G.T
    else:
        poses = dataclasses.replace(poses, points=1e3 * poses.points, min_depth=1e3 * poses.min_depth)
        t0, ts, factor = 1e3 * t0, 1e3 * ts, 1e6 if kind == "translation" else 1.0
    second = search(poses, kind, R0, t0, Rs, ts)
    assert first.lower * factor <= second.upper * (1 + 1e-9)
    assert second.lower <= first.upper * factor * (1 + 1e-9)
    assert second.upper == pytest.approx(first.upper * factor, rel=TOL)


@each_kind
def test_larger_sets_have_larger_bounds(instance, kind):
    case = instance(10)
    small = search(case.pose_set, kind, case.R0, case.t0, case.Rs, case.ts)
    wider = dataclasses.replace(case.pose_set, cones=case.pose_set.cones / 1.3)
    fewer = dataclasses.replace(case.pose_set, points=case.points[:-1], cones=case.pose_set.cones[:-1])
    for larger in (wider, fewer):
        assert search(larger, kind, case.R0, case.t0, case.Rs, case.ts).upper >= small.lower


def emptied(case, pixels):
    """Return the set with one ellipse moved away."""
    centers = case.centers.copy()
    centers[2, 0] += pixels / 572
    return KeypointCones.from_sets(centers, case.precisions, case.points, min_depth=case.min_depth)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pixels", [25.0, 80.0])
def test_proves_emptiness(instance, seed, pixels):
    case = instance(seed, n_points=8)
    poses = emptied(case, pixels)
    R, t, ratio = least_violation(poses, case.R, case.t)
    assert ratio > 1
    answer = prove_empty(poses, R, t)
    assert answer.empty is True
    assert answer.member is None
    run = BranchAndBound(poses, "rotation", R, t, enclosure=boundedness(poses, t).enclosure, tol=0.0, keep_proof=True)
    while not run.done:
        run.advance()
    assert run.upper == -np.inf
    assert verify_tree(poses, "rotation", R, t, run.proof()) == -np.inf


def test_finds_a_member_where_there_is_one(instance):
    case = instance(11)
    poses = case.pose_set
    answer = prove_empty(poses, nearest_rotation(-case.R), case.t + np.array([0.3, 0.3, 1.0]))
    assert answer.empty is False
    assert poses.contains(*answer.member)[0]


def test_a_small_budget_leaves_emptiness_undecided(instance):
    case = instance(0, n_points=8)
    poses = emptied(case, 25.0)
    assert prove_empty(poses, case.R, case.t, max_nodes=20).empty is None
    assert prove_empty(poses, case.R, case.t, time_limit=0.0).empty is None


def test_sets_with_a_common_point(instance):
    case = instance(12)
    same = np.tile(case.centers[:1], (9, 1))
    poses = KeypointCones.from_sets(same, case.precisions, case.points, min_depth=case.min_depth)
    assert prove_empty(poses, case.R, case.t).empty is False
    with pytest.raises(ValueError, match="not proved to be bounded"):
        BranchAndBound(poses, "rotation", case.R0, case.t0, enclosure=None, tol=TOL)


def test_a_pair_of_ellipses_gives_a_box_too(instance):
    case = instance(13)
    run = BranchAndBound(case.pose_set, "translation", case.R0, case.t0, enclosure=None, tol=TOL, keep_proof=True)
    while run.n_nodes < 1000:
        run.advance()
    assert squared_error("translation", case.Rs, case.ts, case.R0, case.t0).max() <= run.upper
    assert verify_tree(case.pose_set, "translation", case.R0, case.t0, run.proof()) == pytest.approx(run.upper)


def test_a_proof_has_to_be_kept(instance):
    case = instance(13)
    run = BranchAndBound(case.pose_set, "rotation", case.R0, case.t0, enclosure=None, tol=TOL)
    with pytest.raises(ValueError, match="keep_proof=True"):
        run.proof()
