"""Members found locally: they pass the membership test, and are about as far as another optimiser gets."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

from estimand.solvers.pose_bound.ascent import climb, climb_from_samples, find_member, least_violation
from estimand.solvers.pose_bound.cones import KeypointCones
from estimand.solvers.pose_bound.objectives import squared_error
from estimand.solvers.pose_bound.rotations import nearest_rotation

KINDS = ("rotation", "translation")
each_kind = pytest.mark.parametrize("kind", KINDS)


def slsqp(case, kind, i):
    result = minimize(
        lambda x: -squared_error(kind, *case.moved(i, x), case.R0, case.t0),
        np.zeros(6),
        constraints={
            "type": "ineq",
            "fun": lambda x: 10 * np.maximum(case.pose_set.margins(*case.moved(i, x))[0], -1.0),
        },
        bounds=[(-2, 2)] * 6,
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 80},
    )
    feasible = case.pose_set.margins(*case.moved(i, result.x)).min() >= -1e-9
    return -result.fun if feasible else 0.0


@each_kind
def test_gets_as_far_as_slsqp(instance, kind):
    ours, theirs = [], []
    for seed in range(60, 64):
        case = instance(seed)
        order = np.argsort(-squared_error(kind, case.Rs, case.ts, case.R0, case.t0))[:4:2]
        members = [climb(case.pose_set, kind, case.R0, case.t0, case.Rs[i], case.ts[i]) for i in order]
        assert all(case.pose_set.contains(m.R, m.t)[0] for m in members)
        ours.append(max(m.value for m in members))
        theirs.append(max(slsqp(case, kind, i) for i in order))
    short = np.array(ours) < (1 - 1e-5) * np.array(theirs)
    assert np.count_nonzero(short) <= 1


@each_kind
@pytest.mark.parametrize(
    "options", [{}, {"elongated": True}, {"radius": 1e-6}, {"n_points": 3}, {"planar": True}], ids=str
)
def test_members_pass_the_test_without_tolerance(instance, kind, options):
    case = instance(67, **options)
    values = squared_error(kind, case.Rs, case.ts, case.R0, case.t0)
    best = climb_from_samples(case.pose_set, kind, case.R0, case.t0, case.Rs, case.ts)
    assert case.pose_set.contains(best.R, best.t)[0]
    assert best.value == squared_error(kind, best.R, best.t, case.R0, case.t0)
    assert best.value >= values.max()
    np.testing.assert_allclose(best.R.T @ best.R, np.eye(3), atol=1e-14)
    for i in range(0, len(case.Rs), 9):
        member = climb(case.pose_set, kind, case.R0, case.t0, case.Rs[i], case.ts[i])
        assert case.pose_set.contains(member.R, member.t)[0]
        assert best.value >= 0.2 * member.value


@pytest.mark.parametrize("seed", range(68, 74))
def test_finds_members_from_outside(instance, seed):
    case = instance(seed)
    rng = np.random.default_rng(seed)
    R = case.R @ nearest_rotation(np.eye(3) + 0.2 * rng.standard_normal((3, 3)))
    t = case.t + np.array([0.05, -0.05, 0.2])
    assert not case.pose_set.contains(R, t)[0]
    found = find_member(case.pose_set, R, t)
    assert found is not None
    assert case.pose_set.contains(*found)[0]
    assert case.pose_set.violations(*found) < 1


def test_members_inside_are_kept(instance):
    case = instance(74)
    i = int(np.argmax(case.pose_set.margins(case.Rs, case.ts).min(axis=1)))
    R, t = find_member(case.pose_set, case.Rs[i], case.ts[i])
    np.testing.assert_allclose(R, case.Rs[i], atol=1e-14)
    np.testing.assert_array_equal(t, case.ts[i])


@pytest.mark.parametrize("t", [[0.0, 0.0, 0.0], [0.1, 0.0, -1.0], [0.0, 0.2, 0.05]])
def test_starts_behind_the_camera_are_brought_in_front(instance, t):
    case = instance(75)
    R, found, ratio = least_violation(case.pose_set, case.R, np.array(t))
    assert ratio == case.pose_set.violations(R, found)
    assert ratio < 1
    assert (case.points @ R.T + found)[:, 2].min() >= case.min_depth


def test_empty_sets_have_no_members(instance):
    case = instance(76)
    centers = case.centers.copy()
    centers[0] += 0.1
    poses = KeypointCones.from_sets(centers, case.precisions, case.points, min_depth=case.min_depth)
    _, _, ratio = least_violation(poses, case.R, case.t)
    assert 1 < ratio < poses.violations(case.R, case.t)
    assert find_member(poses, case.R, case.t) is None
    assert climb(poses, "rotation", case.R0, case.t0, case.R, case.t) is None
    assert climb_from_samples(poses, "rotation", case.R0, case.t0, case.Rs, case.ts) is None


def test_least_violation_is_a_local_minimum(instance):
    case = instance(77)
    centers = case.centers.copy()
    centers[0] += 0.1
    poses = KeypointCones.from_sets(centers, case.precisions, case.points, min_depth=case.min_depth)
    R, t, ratio = least_violation(poses, case.R, case.t)
    rng = np.random.default_rng(0)
    for size in (1e-2, 1e-3, 1e-4):
        for _ in range(100):
            near = nearest_rotation(R + size * rng.standard_normal((3, 3)))
            assert poses.violations(near, t + size * rng.standard_normal(3)) >= ratio * (1 - 1e-7)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_unit_of_length_does_not_matter(instance, scale):
    case = instance(78)
    poses = dataclasses.replace(case.pose_set, points=scale * case.points, min_depth=scale * case.min_depth)
    for kind, factor in (("rotation", 1.0), ("translation", scale**2)):
        ours = climb(case.pose_set, kind, case.R0, case.t0, case.R, case.t)
        theirs = climb(poses, kind, case.R0, scale * case.t0, case.R, scale * case.t)
        assert theirs.value == pytest.approx(factor * ours.value, rel=1e-6)
