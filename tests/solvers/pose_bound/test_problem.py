"""The pose-bound problem: what it maximises, and what certifies a bound."""

import math
from dataclasses import replace

import numpy as np
import pytest

from estimand.exceptions import InfeasibleProblemError, UnboundedProblemError
from estimand.solvers.pose_bound import KeypointCones, Pose, PoseBoundProblem
from estimand.solvers.pose_bound.bnb import Bnb
from estimand.solvers.pose_bound.examples import examples, random_instance
from estimand.solvers.pose_bound.problem import tighter
from estimand.solvers.pose_bound.rotations import exponential_map, random_rotations, rotation_angle
from estimand.solvers.pose_bound.sampling import hit_and_run


def test_the_objective_is_a_squared_distance():
    rng = np.random.default_rng(0)
    R, t = random_rotations(50, rng), rng.standard_normal((50, 3))
    turning, moving = random_instance(0, "rotation"), random_instance(0, "translation")
    for pose in map(Pose, R, t):
        trace = 6 - 2 * np.trace(turning.R0.T @ pose.rotation)
        assert turning.objective(pose) == pytest.approx(trace, rel=1e-12)
        angle = 2 * np.arcsin(np.sqrt(turning.objective(pose) / 8))
        assert angle == pytest.approx(rotation_angle(turning.R0, pose.rotation, degrees=False), rel=1e-9)
        assert moving.objective(pose) == pytest.approx(np.linalg.norm(pose.translation - moving.t0) ** 2)
    np.testing.assert_allclose(turning.objectives(R, t)[3], turning.objective(Pose(R[3], t[3])))


class Claim:
    """A dual that claims any bound."""

    def __init__(self, bound):
        self.bound = bound

    def upper_bound(self, problem):
        return self.bound


def test_members_are_lower_bounds_and_duals_upper_ones():
    problem = random_instance(0, "translation")
    solution = Bnb().solve(problem, tol=0.02)
    member, far = solution.x, Pose(problem.R0, problem.t0 + np.array([0.0, 0.0, 5.0]))
    assert problem.is_member(member)
    assert not problem.is_member(far)
    alone = problem.certify(member, tol=0.02)
    assert (alone.kind, alone.lower) == ("bounds", problem.objective(member))
    # No member is farther away than the set reaches, and that is known without a search.
    assert alone.upper == pytest.approx(problem.reach.max_distance**2, rel=1e-14)
    assert not alone.converged
    assert problem.certify(far, tol=0.02).lower == -math.inf
    both = problem.certify(member, Claim(2 * alone.lower), tol=0.02)
    assert (both.upper, both.relative) == (2 * alone.lower, pytest.approx(1.0))
    # A claim below a member is refuted by it.
    assert problem.certify(member, Claim(0.5 * alone.lower), tol=0.02).upper == alone.lower
    turning = random_instance(0, "rotation")
    assert turning.certify(turning.initial_point(), tol=0.02).upper == 8.0
    sheared = Pose(member.rotation + 1e-6 * np.eye(3)[::-1], member.translation)
    assert not problem.is_member(sheared)
    mirrored = Pose(member.rotation * [1, 1, -1], member.translation)
    assert not problem.is_member(mirrored)
    assert not problem.is_member(Pose(np.full((3, 3), np.nan), member.translation))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"R0": np.eye(2)}, r"R0 has shape \(2, 2\)"),
        ({"R0": np.diag([1.0, 1.0, -1.0])}, "R0.* is no rotation"),
        ({"R0": 1.001 * np.eye(3)}, "R0.* is no rotation"),
        ({"t0": np.array([0.0, np.nan, 1.0])}, "t0 holds NaN"),
        ({"kind": "scale"}, "kind='scale' must be 'rotation' or 'translation'"),
    ],
)
def test_bad_fields(fields, message):
    problem = random_instance(0, "rotation")
    given = {"cones": problem.cones, "R0": problem.R0, "t0": problem.t0, "kind": "rotation", **fields}
    with pytest.raises(ValueError, match=message):
        PoseBoundProblem(**given)


@pytest.mark.parametrize(("name", "problem"), examples())
def test_no_member_of_a_walk_exceeds_the_bound(name, problem):
    solution = Bnb().solve(problem, tol=0.02)
    assert solution.converged
    walk = hit_and_run(problem.cones, tuple(solution.x), 2000, np.random.default_rng(0))
    for R, t in ((walk.R, walk.t), (walk.boundary_R, walk.boundary_t)):
        values = problem.objectives(R, t)
        assert values.max() <= solution.certificate.upper * (1 + 1e-9)
    assert problem.cones.contains(*solution.x).all()
    assert solution.certificate.lower == problem.objective(solution.x)


def shared(radius):
    """Four keypoints, the discs of which reach the middle of the image for a radius of 0.1."""
    points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, -0.1, 0.0]])
    cones = KeypointCones.from_sets(points[:, :2], np.tile(np.eye(2) / radius**2, (4, 1, 1)), points)
    return PoseBoundProblem(cones=cones, R0=np.eye(3), t0=np.array([0.0, 0.0, 1.0]), kind="rotation")


@pytest.mark.parametrize("radius", [0.1, 0.1001, 0.3])
def test_sets_that_share_a_point_are_unbounded(radius):
    problem = shared(radius)
    assert problem.reach.status == "unbounded"
    with pytest.raises(UnboundedProblemError, match="Poses are unbounded"):
        Bnb().solve(problem, tol=0.02)
    assert shared(0.099).reach.status == "bounded"
    # Seen from afar any rotation is possible.
    far = problem.cones.contains(random_rotations(100, np.random.default_rng(0)), [0.0, 0.0, 1e4])
    assert far.all() == (radius > 0.1)


def test_sets_without_a_member_are_infeasible():
    problem = random_instance(0, "translation", radius=(0.5, 1.0))
    centers = problem.cones.centers.copy()
    centers[[0, 1]] = centers[[1, 0]]
    precisions = np.einsum("kji,kjl->kil", problem.cones.cones[:, :, :2], problem.cones.cones[:, :, :2])
    swapped = KeypointCones.from_sets(centers, precisions, problem.cones.points)
    empty = PoseBoundProblem(cones=swapped, R0=problem.R0, t0=problem.t0, kind="translation")
    with pytest.raises(InfeasibleProblemError, match="No pose puts every keypoint in its set"):
        Bnb().solve(empty, tol=0.02)


def test_every_member_is_within_reach():
    for seed in range(5):
        problem = random_instance(seed, "translation")
        found = Bnb().solve(problem, tol=0.02)
        assert np.sqrt(found.certificate.lower) <= problem.reach.max_distance


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_budgets_leave_a_valid_bound(kind):
    problem = random_instance(1, kind)
    full = Bnb().solve(problem, tol=0.02)
    budgets = ((Bnb(max_nodes=0), "max_iter"), (Bnb(max_nodes=50), "max_iter"), (Bnb(time_limit=0.0), "time_limit"))
    for solver, status in budgets:
        short = solver.solve(problem, tol=1e-5)
        assert short.status == status
        assert short.n_iter <= 500
        assert full.certificate.lower <= short.certificate.upper < math.inf
        assert short.certificate.lower <= full.certificate.upper
        assert problem.certify(short.x, short.dual, tol=0.02).upper == short.certificate.upper
    assert Bnb(max_nodes=50).solve(problem, tol=0.02).certificate.upper >= full.certificate.lower

    def stop(state):
        return True

    assert Bnb().solve(problem, tol=1e-5, callback=stop).certificate.upper >= full.certificate.lower


def interrupt(state):
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_an_interrupt_leaves_the_bound_so_far(kind):
    problem = random_instance(1, kind)
    full, stopped = Bnb().solve(problem, tol=1e-3), Bnb().solve(problem, tol=1e-5, callback=interrupt)
    assert stopped.status == "interrupted"
    assert full.certificate.lower <= stopped.certificate.upper < math.inf


@pytest.mark.parametrize("kind", ["rotation", "translation"])
@pytest.mark.parametrize("how", ["noise", "garbage", "zeros", "nan"])
def test_a_damaged_tree_proves_nothing_false(kind, how):
    problem = random_instance(4, kind)
    solution = Bnb().solve(problem, tol=0.02)
    rng = np.random.default_rng(0)
    cuts = solution.dual.proof.cuts.copy()
    for name in cuts.dtype.names:
        field = cuts[name]
        if field.dtype.kind != "f":
            continue
        if how == "noise":
            field *= 1 + 1e-3 * rng.standard_normal(field.shape)
        else:
            field[...] = {"garbage": 100 * rng.standard_normal(field.shape), "zeros": 0.0, "nan": np.nan}[how]
    damaged = type(solution.dual)(solution.dual.proof._replace(cuts=cuts))
    assert damaged.upper_bound(problem) >= solution.certificate.lower


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_the_tree_of_another_problem_proves_nothing_false(kind):
    one, other = random_instance(4, kind), random_instance(5, kind)
    dual, truth = Bnb().solve(one, tol=0.02).dual, Bnb().solve(other, tol=0.02)
    assert dual.upper_bound(other) >= truth.certificate.lower


@pytest.mark.parametrize("kind", ["rotation", "translation"])
def test_invariances(kind):
    problem = random_instance(6, kind)
    cones, tol = problem.cones, 0.02
    base = Bnb().solve(problem, tol=tol).certificate
    precisions = np.einsum("kji,kjl->kil", cones.cones[:, :, :2], cones.cones[:, :, :2])

    def bounds(
        centers=cones.centers, matrices=precisions, points=cones.points, R0=problem.R0, t0=problem.t0, depth=1e-3
    ):
        again = KeypointCones.from_sets(centers, matrices, points, min_depth=depth)
        return Bnb().solve(PoseBoundProblem(cones=again, R0=R0, t0=t0, kind=kind), tol=tol).certificate

    def agree(one, other, factor=1.0):
        assert one.lower <= factor * other.upper * (1 + 1e-9)
        assert factor * other.lower <= one.upper * (1 + 1e-9)

    order = np.random.default_rng(0).permutation(len(cones.points))
    agree(bounds(cones.centers[order], precisions[order], cones.points[order]), base)
    G = exponential_map(np.array([0.3, -1.0, 0.7]))
    agree(bounds(points=cones.points @ G.T, R0=problem.R0 @ G.T), base)
    scaled = bounds(points=1000 * cones.points, t0=1000 * problem.t0, depth=1.0)
    agree(scaled, base, 1e6 if kind == "translation" else 1.0)
    # Larger ellipses, and fewer keypoints, leave more poses.
    assert bounds(matrices=0.5 * precisions).upper >= base.lower
    assert bounds(cones.centers[1:], precisions[1:], cones.points[1:]).upper >= base.lower


def test_the_tighter_of_two_solutions():
    problem = random_instance(0, "rotation")
    out_of_boxes, full = Bnb(max_nodes=20).solve(problem, tol=0.02), Bnb().solve(problem, tol=0.02)
    assert (out_of_boxes.status, full.status) == ("max_iter", "converged")
    far = Pose(problem.R0, problem.t0 + np.array([0.0, 0.0, 5.0]))
    without_member = replace(out_of_boxes, x=far, certificate=problem.certify(far, out_of_boxes.dual, tol=0.02))
    for first, second in ((without_member, full), (full, without_member)):
        found = tighter(problem, first, second)
        assert (found.certificate.lower, found.certificate.upper) == (full.certificate.lower, full.certificate.upper)
        assert (found.x, found.dual, found.status, found.message) == (full.x, full.dual, "converged", "")
        assert found.n_iter == first.n_iter + second.n_iter
    unfinished = tighter(problem, out_of_boxes, without_member)
    assert (unfinished.status, unfinished.message) == (out_of_boxes.status, out_of_boxes.message)
