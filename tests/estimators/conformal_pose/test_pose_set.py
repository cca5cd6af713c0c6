"""PoseUncertaintySet: membership in pixels, samples, centres, and bounds that no member exceeds."""

import pickle

import numpy as np
import pytest

from estimand import PoseUncertaintySet, chordal_mean, rotation_angle
from estimand.solvers.pose_bound.bnb import Bnb
from estimand.solvers.pose_bound.rotations import random_rotations

CAMERA = np.array([[570.0, 3.0, 320.0], [0.0, 580.0, 240.0], [0.0, 0.0, 1.0]])
POINTS = 0.07 * np.random.default_rng(5).standard_normal((8, 3))
TRUE_R = random_rotations(1, np.random.default_rng(2))[0]
TRUE_T = np.array([0.1, -0.05, 0.9])


def projected(R, t, points=POINTS):
    seen = (points @ R.T + t) @ CAMERA.T
    return seen[:, :2] / seen[:, 2:]


def make(radius=6.0, seed=0, **options):
    """Discs around wrong pixels that hold the true ones."""
    rng = np.random.default_rng(seed)
    off = rng.standard_normal((8, 2))
    off *= 0.7 * radius * rng.random((8, 1)) / np.linalg.norm(off, axis=1, keepdims=True)
    discs = np.tile(np.eye(2) / radius**2, (8, 1, 1))
    return PoseUncertaintySet(projected(TRUE_R, TRUE_T) + off, discs, POINTS, CAMERA, **options)


def test_membership_is_that_of_projected_points():
    poses = make()
    rng = np.random.default_rng(1)
    R, t = random_rotations(300, rng), TRUE_T + 0.05 * rng.standard_normal((300, 3))
    R[:150] = TRUE_R
    t[:150] = TRUE_T + 0.004 * rng.standard_normal((150, 3))
    inside = [
        np.all(np.linalg.norm(projected(*pose) - poses.centers, axis=1) <= 6.0) for pose in zip(R, t, strict=True)
    ]
    np.testing.assert_array_equal(poses.contains(R, t), inside)
    assert 10 < np.sum(inside) < 290
    assert poses.contains(TRUE_R, TRUE_T).shape == (1,)
    np.testing.assert_array_equal((poses.margins(R, t) >= 0).all(axis=1), inside)
    assert not make(min_depth=5.0).contains(TRUE_R, TRUE_T)[0]


def test_poses_behind_the_camera_are_no_members():
    mirrored = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.0]])
    discs = np.tile(np.eye(2) / 4.0**2, (3, 1, 1))
    t = np.array([0.0, 0.0, 1.0])
    poses = PoseUncertaintySet(projected(np.eye(3), t, mirrored), discs, mirrored, CAMERA)
    turned = np.diag([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(projected(turned, -t, mirrored), poses.centers)
    assert poses.contains(np.eye(3), t)[0]
    assert not poses.contains(turned, -t)[0]


def test_forms_of_the_constraints():
    poses = make()
    s = np.concatenate([TRUE_R.ravel(order="F"), TRUE_T])
    np.testing.assert_allclose(poses.lin_con @ s, (POINTS @ TRUE_R.T + TRUE_T)[:, 2])
    reach = np.linalg.norm(poses.soc @ s, axis=1)
    np.testing.assert_allclose(poses.lin_con @ s - reach, poses.margins(TRUE_R, TRUE_T)[0])
    np.testing.assert_allclose(
        np.einsum("i,kij,j->k", s, poses.quad_con, s), reach**2 - (poses.lin_con @ s) ** 2, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("method", ["ransag", "hit_and_run"])
def test_samples_are_members(method):
    poses = make()
    R, t = poses.sample(400, method, random_state=0)
    assert poses.contains(R, t).all()
    assert method == "ransag" or len(R) == 400
    again = poses.sample(400, method, random_state=0)
    np.testing.assert_array_equal(again[0], R)
    R, t = poses.boundary_sample(400, random_state=0)
    assert poses.contains(R, t).all()
    margins = poses.margins(R, t).min(axis=1)
    assert np.median(margins) < 1e-3 * np.median(poses.margins(*poses.sample(400, random_state=0)).min(axis=1))


def test_the_average_pose():
    poses = make()
    average = poses.average_pose(random_state=0)
    R, t = poses.sample(1000, random_state=np.random.default_rng(0))
    assert rotation_angle(average.rotation, TRUE_R) < 5
    mean = poses.mean_pose(R, t)
    np.testing.assert_allclose(mean.rotation, chordal_mean(R))
    np.testing.assert_allclose(mean.translation, t.mean(axis=0))


@pytest.mark.parametrize("center", ["average", "chebyshev", (TRUE_R, TRUE_T)])
def test_no_member_is_farther_away_than_the_bounds(center):
    poses = make()
    bounds = poses.bounds(center, random_state=0)
    assert bounds.status == "bounded"
    for R, t in (poses.sample(2000, "hit_and_run", random_state=1), poses.boundary_sample(4000, random_state=1)):
        assert rotation_angle(R, bounds.center.rotation).max() <= bounds.rotation_deg * (1 + 1e-9)
        assert np.linalg.norm(t - bounds.center.translation, axis=1).max() <= bounds.translation * (1 + 1e-9)
    assert rotation_angle(bounds.worst_rotation_pose.rotation, bounds.center.rotation) == pytest.approx(
        bounds.rotation_lower_deg, rel=1e-9
    )
    distance = np.linalg.norm(bounds.worst_translation_pose.translation - bounds.center.translation)
    assert distance == pytest.approx(bounds.translation_lower, rel=1e-9)
    for worst in (bounds.worst_rotation_pose, bounds.worst_translation_pose):
        assert poses.contains(*worst)[0]
    assert bounds.rotation_lower_deg <= bounds.rotation_deg <= 1.02 * bounds.rotation_lower_deg
    assert bounds.translation_lower <= bounds.translation <= 1.02 * bounds.translation_lower
    assert bounds.center_in_set == poses.contains(*bounds.center)[0]
    assert set(bounds.solutions) == {"rotation", "translation"}
    assert all(solution.certificate.kind == "bounds" for solution in bounds.solutions.values())
    assert bounds.n_nodes > 0
    assert bounds.seconds > 0
    assert pickle.loads(pickle.dumps(bounds)).rotation_deg == bounds.rotation_deg


def test_a_chebyshev_centre_makes_bounds_smaller():
    gain = []
    for seed in range(6):
        poses = make(seed=seed)
        average, chebyshev = (poses.bounds(center, random_state=0) for center in ("average", "chebyshev"))
        gain.append((chebyshev.rotation_deg / average.rotation_deg, chebyshev.translation / average.translation))
    assert np.all(np.mean(gain, axis=0) < 1.0)


def test_one_bound_alone():
    poses = make()
    both, one = poses.bounds(random_state=0), poses.bounds(which=("translation",), random_state=0)
    assert one.translation == both.translation
    assert np.isnan(one.rotation_deg)
    assert one.worst_rotation_pose is None


def test_smaller_sets_are_subsets():
    large, small = make(8.0), make(4.0)
    small = PoseUncertaintySet(large.centers, 4 * large.precisions, POINTS, CAMERA)
    center = large.average_pose(random_state=0)
    outer, inner = large.bounds(tuple(center)), small.bounds(tuple(center))
    assert outer.rotation_deg >= inner.rotation_lower_deg
    assert outer.translation >= inner.translation_lower


def test_an_unbounded_set():
    poses = make(200.0)
    assert not poses.is_bounded()
    assert poses.is_empty() is False
    bounds = poses.bounds(random_state=0)
    assert (bounds.status, bounds.rotation_deg, bounds.translation) == ("unbounded", 180.0, np.inf)
    assert 0 < bounds.rotation_lower_deg <= 180
    assert poses.contains(*bounds.worst_translation_pose)[0]
    with pytest.raises(ValueError, match="The set is unbounded"):
        poses.sample(10, "hit_and_run")


def swapped():
    poses = make(2.0)
    centers = poses.centers.copy()
    centers[[0, 1]] = centers[[1, 0]]
    return PoseUncertaintySet(centers, poses.precisions, POINTS, CAMERA)


def test_an_empty_set():
    poses = swapped()
    assert poses.is_empty() is True
    assert make().is_empty() is False
    bounds = poses.bounds(random_state=0)
    assert bounds.status == "empty"
    assert np.isnan(
        [bounds.rotation_deg, bounds.rotation_lower_deg, bounds.translation, bounds.translation_lower]
    ).all()
    assert not bounds.center_in_set
    assert np.isfinite(bounds.center.translation).all()
    with pytest.raises(ValueError, match="No member is known"):
        poses.sample(10, "hit_and_run")
    assert len(poses.sample(100, random_state=0)[0]) == 0


def test_a_budget_leaves_valid_bounds():
    poses = make()
    full = poses.bounds(random_state=0, tol=0.004)
    short = poses.bounds(random_state=0, tol=1e-6, max_nodes=20, solver="bnb")
    assert short.status == "truncated"
    assert short.rotation_deg >= full.rotation_lower_deg
    assert short.translation >= full.translation_lower
    own = poses.bounds(random_state=0, solver=Bnb(max_nodes=20), tol=1e-6)
    assert own.status == "truncated"


def test_a_relaxation_goes_on_where_auto_is_out_of_boxes():
    poses = make()
    alone = poses.bounds(random_state=0, max_nodes=20, solver="bnb")
    both = poses.bounds(random_state=0, max_nodes=20)
    assert (alone.status, both.status) == ("truncated", "bounded")
    assert both.rotation_lower_deg <= both.rotation_deg < alone.rotation_deg
    assert both.translation_lower <= both.translation < alone.translation
    for kind, solution in both.solutions.items():
        assert "moment2" in solution.choice, kind
    late = poses.bounds(random_state=0, max_nodes=20, time_limit=0.0)
    assert late.status == "truncated"


def test_an_ellipsoid_holds_all_translations():
    poses = make()
    ellipsoid = poses.translation_ellipsoid(random_state=0)
    _, t = poses.sample(3000, "hit_and_run", random_state=1)
    _, border = poses.boundary_sample(3000, random_state=1)
    assert ellipsoid.contains(t).all()
    assert ellipsoid.contains(border).all()
    radius = poses.bounds(which=["translation"], random_state=0).translation
    assert np.prod(ellipsoid.semi_axes / radius) < 0.1
    far = PoseUncertaintySet(poses.centers, 1e-6 * poses.precisions, POINTS, CAMERA)
    with pytest.raises(ValueError, match="unbounded"):
        far.translation_ellipsoid()


@pytest.mark.parametrize(
    ("budget", "error", "message"),
    [
        ({"max_nodes": -1}, ValueError, "max_nodes"),
        ({"max_nodes": 1.5}, TypeError, "max_nodes"),
        ({"time_limit": -1}, ValueError, "time_limit"),
        ({"tol": -1.0}, ValueError, "tol"),
    ],
)
def test_bad_budgets(budget, error, message):
    with pytest.raises(error, match=message):
        make().bounds(**budget)


def test_a_search_that_runs_dry_proves_that_there_is_no_member():
    base = make(seed=3)
    factor = PoseUncertaintySet(base.centers, 1e6 * base.precisions, POINTS, CAMERA).members(random_state=0).violation
    poses = PoseUncertaintySet(base.centers, base.precisions / (0.9e-3 * factor) ** 2, POINTS, CAMERA)
    statuses = []
    for max_nodes in range(300, 440, 20):
        bounds = poses.bounds((TRUE_R, TRUE_T), random_state=0, max_nodes=max_nodes, solver="bnb")
        statuses.append(bounds.status)
        assert bounds.status == "empty" or np.isfinite(bounds.translation)
    assert set(statuses) == {"truncated", "empty"}


def test_points_on_a_plane_have_two_poses():
    points = 0.1 * np.array([[x, y, 0.0] for x in (-1, 0, 1) for y in (-1, 0, 1)])
    discs = np.tile(np.eye(2) / 4.0**2, (9, 1, 1))
    poses = PoseUncertaintySet(projected(np.eye(3), np.array([0.0, 0.0, 1.5]), points), discs, points, CAMERA)
    bounds = poses.bounds(random_state=0)
    assert bounds.status == "bounded"
    R, _ = poses.sample(2000, "hit_and_run", random_state=0)
    assert rotation_angle(R, bounds.center.rotation).max() > 0.7 * bounds.rotation_deg


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"points": POINTS[:2], "centers": np.zeros((2, 2)), "precisions": np.tile(np.eye(2), (2, 1, 1))},
            "2 keypoints",
        ),
        ({"points": np.outer(np.arange(8.0), [1.0, 2.0, 3.0])}, "points lie on a line"),
        ({"points": np.where(POINTS == POINTS[2, 1], np.nan, POINTS)}, "points holds NaN"),
        ({"centers": np.zeros((7, 2))}, r"centers has shape \(7, 2\)"),
        ({"centers": np.zeros((8, 3))}, r"centers has shape \(8, 3\)"),
        ({"precisions": np.tile([[1.0, 0.5], [0.4, 1.0]], (8, 1, 1))}, r"precisions\[0\].* is not symmetric"),
        ({"precisions": np.tile([[1.0, 2.0], [2.0, 1.0]], (8, 1, 1))}, r"precisions\[0\].* is not positive definite"),
        ({"camera": np.eye(2)}, r"camera has shape \(2, 2\)"),
        ({"camera": np.diag([0.0, 1.0, 1.0])}, "camera is singular"),
        ({"camera": np.eye(3) + np.eye(3)[[2, 2, 0]]}, "last row of camera"),
        ({"min_depth": 0.0}, "min_depth=0.0 must be"),
        ({"min_depth": np.nan}, "min_depth=nan must be"),
    ],
)
def test_bad_sets(fields, message):
    poses = make()
    given = {"centers": poses.centers, "precisions": poses.precisions, "points": POINTS, "camera": CAMERA, **fields}
    with pytest.raises(ValueError, match=message):
        PoseUncertaintySet(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"center": "middle"}, "center='middle' must be 'average', 'chebyshev'"),
        ({"center": (np.eye(3),)}, "must be 'average', 'chebyshev' or a tuple"),
        ({"center": (2 * np.eye(3), np.zeros(3))}, "is no rotation"),
        ({"center": (np.eye(3), np.full(3, np.nan))}, "holds NaN"),
        ({"which": ()}, "which"),
        ({"which": ("scale",)}, "which"),
        ({"which": "rotation"}, "which='rotation' must be a sequence"),
        ({"solver": "simplex"}, "solver='simplex' is not a backend"),
    ],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        make().bounds(random_state=0, **options)


def test_matrices_that_are_no_rotations():
    poses = make()
    for call in (poses.contains, poses.margins):
        with pytest.raises(ValueError, match="is no rotation"):
            call(np.ones((3, 3)), TRUE_T)
    with pytest.raises(ValueError, match="method='metropolis'"):
        poses.sample(3, "metropolis")
