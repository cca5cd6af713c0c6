"""ConformalPoseEstimator: error bounds that hold as often as promised, whatever the images."""

import pickle
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from estimand import ConformalKeypointDetector, ConformalPoseEstimator, rotation_angle
from estimand.datasets import make_keypoint_pose_dataset
from estimand.solvers.pose_bound.bnb import Bnb

DATA = make_keypoint_pose_dataset(260, random_state=0)
CALIBRATION = DATA.heatmaps[:200], DATA.keypoints[:200]
NEW, AFFINE, POSES = DATA.heatmaps[200:], DATA.affine[200:], DATA.poses[200:]
OTHER = make_keypoint_pose_dataset(60, object_id=6, n_keypoints=7, random_state=1)


def fitted(**options):
    return ConformalPoseEstimator(DATA.points, DATA.camera, random_state=0, **options).fit(*CALIBRATION)


def errors(poses, truth):
    return rotation_angle(poses[:, :, :3], truth[:, :, :3]), np.linalg.norm(poses[:, :, 3] - truth[:, :, 3], axis=1)


@pytest.mark.parametrize("alpha", [0.1, 0.4])
@pytest.mark.parametrize("nonconformity", ["ball", "ellipse"])
@pytest.mark.filterwarnings("ignore:No pose is known")
def test_where_the_sets_hold_the_keypoints_the_bounds_hold(nonconformity, alpha):
    estimator = fitted(alpha=alpha, nonconformity=nonconformity)
    new, affine, truth, keypoints = NEW[:20], AFFINE[:20], POSES[:20], DATA.keypoints[200:220]
    poses, bounds = estimator.predict(new, affine), estimator.predict_bounds(new, affine)
    turn, move = errors(poses, truth)
    covered = estimator.detector_.predict_set(new).contains(keypoints)
    sets = estimator.predict_pose_set(new, affine)
    inside = [one.contains(pose[:, :3], pose[:, 3])[0] for one, pose in zip(sets, truth, strict=True)]
    np.testing.assert_array_equal(inside, covered)
    assert np.all(turn[covered] <= bounds["rotation_deg"][covered])
    assert np.all(move[covered] <= bounds["translation"][covered])
    assert set(bounds["status"]) <= {"bounded", "empty", "unbounded"}
    done = bounds["status"] == "bounded"
    assert np.sum(done) >= 12
    upper, lower = np.sin(np.deg2rad([bounds["rotation_deg"][done] / 2, bounds["rotation_lower_deg"][done] / 2]))
    assert np.all(upper**2 <= 1.0201 * lower**2)
    assert np.all(bounds["translation"][done] <= 1.011 * bounds["translation_lower"][done])
    if nonconformity == "ball":
        assert np.median(turn) < 5
        assert np.median(move) < 0.04


@pytest.mark.slow
def test_bounds_hold_as_often_as_promised():
    alpha, n = 0.1, 2000
    data = make_keypoint_pose_dataset(200 + n, random_state=7)
    estimator = ConformalPoseEstimator(data.points, data.camera, alpha=alpha, random_state=0, n_jobs=2)
    estimator.fit(data.heatmaps[:200], data.keypoints[:200])
    new, affine = data.heatmaps[200:], data.affine[200:]
    turn, move = errors(estimator.predict(new, affine), data.poses[200:])
    bounds = estimator.predict_bounds(new, affine)
    covered = estimator.detector_.predict_set(new).contains(data.keypoints[200:])
    held = (turn <= bounds["rotation_deg"]) & (move <= bounds["translation"])
    assert np.all(held[covered])
    spread = np.sqrt(alpha * (1 - alpha) * (1 / n + 1 / 202))
    assert np.mean(held) >= 1 - alpha - 4 * spread
    assert np.mean(bounds["status"] == "bounded") > 0.99


def test_results_do_not_depend_on_the_number_of_jobs():
    one, two = fitted(n_jobs=1), fitted(n_jobs=2)
    poses, bounds = one.predict(NEW[:6], AFFINE[:6]), one.predict_bounds(NEW[:6], AFFINE[:6])
    with parallel_config(backend="threading"):  # the processes of the default take seconds to start
        np.testing.assert_array_equal(two.predict(NEW[:6], AFFINE[:6]), poses)
        np.testing.assert_array_equal(two.predict_bounds(NEW[:6], AFFINE[:6]), bounds)


def test_bounds_are_those_of_the_sets():
    estimator = fitted(center="chebyshev", solver=Bnb(random_state=3), tol=0.01)
    poses, bounds = estimator.predict(NEW[:3], AFFINE[:3]), estimator.predict_bounds(NEW[:3], AFFINE[:3])
    for one, pose, row in zip(estimator.predict_pose_set(NEW[:3], AFFINE[:3]), poses, bounds, strict=True):
        own = one.bounds((pose[:, :3], pose[:, 3]), tol=0.01)
        assert own.rotation_lower_deg <= row["rotation_deg"]
        assert row["rotation_lower_deg"] <= own.rotation_deg
        assert own.translation_lower <= row["translation"]
        assert row["translation_lower"] <= own.translation


def test_scores():
    estimator = fitted()
    poses = estimator.predict(NEW, AFFINE)
    seen = (DATA.points @ poses[:, None, :, :3].swapaxes(2, 3)[:, 0] + poses[:, None, :, 3]) @ DATA.camera.T
    pixels = seen[..., :2] / seen[..., 2:]
    pixels = np.einsum("nij,nkj->nki", AFFINE[:, :, :2], pixels) + AFFINE[:, None, :, 2]
    off = np.linalg.norm(pixels - DATA.keypoints[200:], axis=2).mean()
    assert estimator.score(NEW, DATA.keypoints[200:], AFFINE) == pytest.approx(-off)
    assert off < 5
    moved = (DATA.points @ (poses - POSES)[:, :, :3].swapaxes(1, 2)) + (poses - POSES)[:, None, :, 3]
    assert estimator.score(NEW, POSES, AFFINE) == pytest.approx(-np.linalg.norm(moved, axis=2).mean())


def test_in_searches():
    X, y = DATA.heatmaps[:60], DATA.keypoints[:60]
    # Heatmap coordinates stand for those of the image here: any camera will do to see that searches run.
    camera = np.array([[100.0, 0.0, 32.0], [0.0, 100.0, 32.0], [0.0, 0.0, 1.0]])
    estimator = ConformalPoseEstimator(DATA.points, camera, alpha=0.3, n_samples=100, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert np.isfinite(cross_val_score(estimator, X, y, cv=2)).all()
        search = GridSearchCV(estimator, {"nonconformity": ["ball", "ellipse"]}, cv=2).fit(X, y)
    assert search.best_params_["nonconformity"] in ("ball", "ellipse")


def test_objects_by_label():
    heatmaps = [*DATA.heatmaps[:50], *OTHER.heatmaps[:50]]
    keypoints, groups = [*DATA.keypoints[:50], *OTHER.keypoints[:50]], ["cat"] * 50 + ["can"] * 50
    points = {"cat": DATA.points, "can": OTHER.points}
    estimator = ConformalPoseEstimator(points, DATA.camera, random_state=0).fit(heatmaps, keypoints, groups=groups)
    assert set(estimator.quantile_) == set(estimator.n_calibration_) == {"can", "cat"}
    new, affine = [DATA.heatmaps[200], OTHER.heatmaps[50]], np.stack([DATA.affine[200], OTHER.affine[50]])
    poses = estimator.predict(new, affine, groups=["cat", "can"])
    turn, _ = errors(poses, np.stack([DATA.poses[200], OTHER.poses[50]]))
    assert np.all(turn < 15)
    bounds = estimator.predict_bounds(new, affine, groups=["cat", "can"])
    assert np.all(bounds["status"] == "bounded")
    with pytest.raises(ValueError, match="Points by label and groups belong together: groups is missing"):
        ConformalPoseEstimator(points, DATA.camera).fit(*CALIBRATION)
    with pytest.raises(ValueError, match="points as a dict by label is missing"):
        ConformalPoseEstimator(DATA.points, DATA.camera).fit(*CALIBRATION, groups=["cat"] * 200)
    with pytest.raises(ValueError, match="points has no entry for the label 'can'"):
        ConformalPoseEstimator({"cat": DATA.points}, DATA.camera).fit(heatmaps, keypoints, groups=groups)


def test_too_few_images_bound_nothing():
    with pytest.warns(UserWarning, match="needs at least 9 calibration scores"):
        estimator = ConformalPoseEstimator(DATA.points, DATA.camera, random_state=0).fit(
            DATA.heatmaps[:5], DATA.keypoints[:5]
        )
    bounds = estimator.predict_bounds(NEW[:3], AFFINE[:3])
    assert np.all(bounds["rotation_deg"] == 180)
    assert np.all(np.isinf(bounds["translation"]))
    assert np.all(bounds["unbounded"])
    assert np.all(bounds["status"] == "unbounded")
    assert np.isfinite(estimator.predict(NEW[:3], AFFINE[:3])).all()
    with pytest.raises(ValueError, match="needs more calibration images than there are"):
        estimator.predict_pose_set(NEW[:3], AFFINE[:3])


def test_images_whose_sets_no_pose_explains():
    estimator = fitted(alpha=0.2)
    heatmaps = NEW[:4].copy()
    heatmaps[1] = heatmaps[1][::-1]  # keypoints in the wrong order
    with pytest.warns(UserWarning, match=r"No pose is known .* at 1 of 4 images \(1\)") as record:
        poses = estimator.predict(heatmaps, AFFINE[:4])
    assert record[0].filename == __file__
    assert np.isfinite(poses).all()
    with pytest.warns(UserWarning, match="No pose is known"):
        bounds = estimator.predict_bounds(heatmaps, AFFINE[:4])
    assert bounds["empty"].tolist() == [False, True, False, False]
    assert np.isnan(bounds["rotation_deg"][1])
    assert bounds["n_samples"][1] == 0


def test_scikit_learn_manners():
    estimator = ConformalPoseEstimator(DATA.points, DATA.camera, alpha=0.2, tol=0.05)
    assert clone(estimator).get_params()["tol"] == 0.05
    for call in (estimator.predict, estimator.predict_bounds, estimator.predict_pose_set):
        with pytest.raises(NotFittedError):
            call(NEW)
    estimator.set_params(random_state=0).fit(*CALIBRATION)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(loaded.predict(NEW[:3], AFFINE[:3]), estimator.predict(NEW[:3], AFFINE[:3]))
    assert isinstance(estimator.detector_, ConformalKeypointDetector)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 0.0}, "'alpha' parameter"),
        ({"n_samples": 0}, "'n_samples' parameter"),
        ({"center": "mean"}, "'center' parameter"),
        ({"tol": -1.0}, "'tol' parameter"),
        ({"max_nodes": -1}, "'max_nodes' parameter"),
        ({"min_depth": 0.0}, "'min_depth' parameter"),
        ({"points": DATA.points[:8]}, r"The points have shape \(8, 3\), but there are 9 keypoints"),
        ({"points": np.outer(np.arange(9.0), [1.0, 0.0, 0.0])}, "points lie on a line"),
        ({"camera": np.eye(3)[:2]}, "camera has shape"),
        ({"camera": np.zeros((3, 3))}, "camera"),
    ],
)
def test_bad_parameters(parameters, message):
    estimator = ConformalPoseEstimator(**{"points": DATA.points, "camera": DATA.camera, **parameters})
    with pytest.raises(ValueError, match=message):
        estimator.fit(*CALIBRATION)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_bad_data():
    estimator = fitted()
    with pytest.raises(ValueError, match="solver='simplex' is not a backend"):
        clone(estimator).set_params(solver="simplex").fit(*CALIBRATION).predict_bounds(NEW[:1], AFFINE[:1])
    with pytest.raises(ValueError, match="affine holds 2 matrices, but there are 3 images"):
        estimator.predict(NEW[:3], AFFINE[:2])
    with pytest.raises(ValueError, match="constant"):
        estimator.predict(np.zeros((1, 9, 64, 64)), AFFINE[:1])
    with pytest.raises(ValueError, match=r"X\[0\] has 8 keypoints, but calibration was with 9"):
        estimator.predict(NEW[:1, :8], AFFINE[:1])
    with pytest.raises(ValueError, match="y has 2 images, but there are heatmaps of 3"):
        estimator.score(NEW[:3], POSES[:2], AFFINE[:3])
    with pytest.raises(ValueError, match=r"y\[0\] has shape \(8, 2\)"):
        estimator.score(NEW[:3], DATA.keypoints[200:203, :8], AFFINE[:3])
