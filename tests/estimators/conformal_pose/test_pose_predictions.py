"""Predictions of one image among others: seeds, groups, interruptions, and sets that are nobody else's."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from estimand import ConformalKeypointDetector, ConformalPoseEstimator
from estimand.datasets import make_keypoint_pose_dataset
from estimand.exceptions import SolverError
from estimand.solvers.pose_bound.bnb import Bnb
from estimand.solvers.pose_bound.shor import Shor

DATA = make_keypoint_pose_dataset(220, random_state=0)
OTHER = make_keypoint_pose_dataset(3, object_id=6, n_keypoints=7, random_state=1)
NEW, AFFINE = DATA.heatmaps[200:206], DATA.affine[200:206]


def fitted(**options):
    estimator = ConformalPoseEstimator(DATA.points, DATA.camera, **{"random_state": 0, **options})
    return estimator.fit(DATA.heatmaps[:200], DATA.keypoints[:200])


def of_two_objects(**options):
    points, groups = {"a": DATA.points, "b": OTHER.points}, ["a"] * 200 + ["b"] * 2
    heatmaps, keypoints = [*DATA.heatmaps[:200], *OTHER.heatmaps[:2]], [*DATA.keypoints[:200], *OTHER.keypoints[:2]]
    with pytest.warns(UserWarning, match="needs at least"):
        return ConformalPoseEstimator(points, DATA.camera, random_state=0, **options).fit(heatmaps, keypoints, groups)


def test_objects_with_too_few_images_do_not_shrink_the_sets_of_others():
    estimator = of_two_objects(alpha=0.1)
    alone = estimator.predict_bounds(list(NEW), AFFINE, ["a"] * 6)
    affine = np.concatenate([AFFINE, OTHER.affine[2:]])
    mixed = estimator.predict_bounds([*NEW, OTHER.heatmaps[2]], affine, ["a"] * 6 + ["b"])
    np.testing.assert_array_equal(mixed[:6], alone)
    assert mixed["status"][6] == "unbounded"


@pytest.mark.parametrize("random_state", [None, 0, np.random.RandomState(0)])
def test_bounds_belong_to_the_poses_that_are_returned(random_state):
    estimator = fitted(random_state=random_state, alpha=0.4, tol=0.005)
    poses, bounds = estimator.predict(NEW, AFFINE), estimator.predict_bounds(NEW, AFFINE)
    for one, pose, row in zip(estimator.predict_pose_set(NEW, AFFINE), poses, bounds, strict=True):
        own = one.bounds((pose[:, :3], pose[:, 3]), random_state=0)
        assert own.rotation_lower_deg <= row["rotation_deg"]
        assert own.translation_lower <= row["translation"]
    np.testing.assert_array_equal(estimator.predict(NEW, AFFINE), poses)
    np.testing.assert_array_equal(estimator.predict(NEW[[4, 1]], AFFINE[[4, 1]]), poses[[4, 1]])


class Interrupted(Bnb):
    """A search during which Ctrl-C is pressed."""

    solves = 0

    def solve(self, problem, *, start=None, tol, callback=None):
        type(self).solves += 1

        def press(state):
            raise KeyboardInterrupt

        return super().solve(problem, start=start, tol=tol, callback=press)


def test_an_interrupted_prediction_ends():
    estimator = fitted(solver=Interrupted(), tol=1e-6)
    before = dict(vars(estimator))
    Interrupted.solves = 0
    with pytest.raises(KeyboardInterrupt):
        estimator.predict_bounds(NEW, AFFINE)
    assert Interrupted.solves == 1
    assert vars(estimator) == before


def test_sets_are_not_views_of_what_they_were_made_of():
    estimator = fitted()
    one = estimator.predict_pose_set(NEW[:1], AFFINE[:1])[0]
    assert not np.shares_memory(one.points, estimator.points)
    for array in (one.points, one.centers, one.precisions, one.camera):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


@pytest.mark.parametrize("solver", ["local", "sampling"])
def test_heuristics_prove_nothing_about_images_without_members(solver):
    heatmaps = NEW[:2].copy()
    heatmaps[1] = heatmaps[1][::-1]  # keypoints in the wrong order
    with pytest.warns(UserWarning, match=r"at 1 of 2 images \(1\)"):
        bounds = fitted(solver=solver).predict_bounds(heatmaps, AFFINE[:2])
    assert bounds["status"].tolist() == ["truncated"] * 2
    assert bounds["rotation_deg"].tolist() == [180.0] * 2
    # The radius at which the sets end is all that is proved.
    assert np.all(np.isfinite(bounds["translation"]))
    assert bounds["translation"][0] > 2 * bounds["translation_lower"][0]
    assert np.isnan(bounds["rotation_lower_deg"]).tolist() == [False, True]


def test_images_whose_sets_are_the_whole_plane_are_not_empty():
    with pytest.warns(UserWarning, match="needs at least"):
        estimator = fitted(alpha=0.001)
    heatmaps = NEW[:1][:, ::-1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimator.predict_bounds(heatmaps, AFFINE[:1])["status"][0] == "unbounded"


def test_a_level_that_is_changed_after_fit_warns():
    estimator = fitted().set_params(alpha=0.001)
    with pytest.warns(UserWarning, match="alpha=0.001 needs at least 999 calibration scores") as record:
        estimator.predict_bounds(NEW[:1], AFFINE[:1])
    assert record[0].filename == __file__


@pytest.mark.parametrize("groups", [["a"], ["a"] * 5, ["a"] * 7])
def test_another_number_of_labels(groups):
    estimator = of_two_objects()
    for call in (estimator.predict, estimator.predict_bounds, estimator.predict_pose_set):
        with pytest.raises(ValueError, match="groups has shape"):
            call(list(NEW), AFFINE, groups)
    detector = ConformalKeypointDetector().fit(DATA.heatmaps[:40], DATA.keypoints[:40], ["a", "b"] * 20)
    y = DATA.keypoints[200:206]
    calls = (
        lambda: detector.predict_set(NEW, groups=groups),
        lambda: detector.predict_pvalue(NEW, y, groups),
        lambda: detector.coverage(NEW, y, groups=groups),
    )
    for call in calls:
        with pytest.raises(ValueError, match="groups has shape"):
            call()


def test_labels_in_a_column():
    estimator = of_two_objects()
    column = np.array(["a"] * 6)[:, None]
    np.testing.assert_array_equal(
        estimator.predict(list(NEW), AFFINE, column), estimator.predict(NEW, AFFINE, ["a"] * 6)
    )


def test_the_detector_wants_as_many_keypoints_as_at_calibration():
    detector = ConformalKeypointDetector()
    with pytest.raises(NotFittedError):
        detector.predict_pvalue(NEW, DATA.keypoints[200:206])
    detector.fit(DATA.heatmaps[:40], DATA.keypoints[:40])
    for call in (detector.coverage, detector.predict_pvalue):
        with pytest.raises(ValueError, match=r"X\[0\] has 5 keypoints, but calibration was with 9"):
            call(NEW[:, :5], DATA.keypoints[200:206, :5])


def test_covariances_of_rank_one():
    rng = np.random.default_rng(1)
    y = 10 * rng.standard_normal((40, 4, 2))
    v = rng.standard_normal((40, 4, 2))
    X = y + rng.standard_normal(y.shape), v[..., :, None] * v[..., None, :]
    detector = ConformalKeypointDetector(nonconformity="ellipse", alpha=0.2, input="points").fit(X, y)
    assert np.isfinite(detector.quantile_)
    X[1][3, 2] = np.diag([1.0, -1e-3])
    with pytest.raises(ValueError, match="image 3, keypoint 2 is not symmetric and positive semidefinite"):
        detector.fit(X, y)


def test_bad_truths():
    estimator, y = fitted(), DATA.keypoints[200:206].copy()
    with pytest.raises(ValueError, match=r"y\[1\] has shape \(3, 4\), but must have shape \(9, 2\)"):
        estimator.score(NEW, [y[0], *DATA.poses[201:206]], AFFINE)
    y[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"y\[2\] holds NaN"):
        estimator.score(NEW, y, AFFINE)


@pytest.mark.filterwarnings("ignore:alpha=0.1 needs at least")
def test_bad_points_of_a_label():
    points = {"a": DATA.points, "b": OTHER.points * [1, 0, 0]}
    with pytest.raises(ValueError, match="At the label 'b': All points lie on a line"):
        of_two_objects().set_params(points=points).fit(
            [*DATA.heatmaps[:20], *OTHER.heatmaps], [*DATA.keypoints[:20], *OTHER.keypoints], ["a"] * 20 + ["b"] * 3
        )


def test_warnings_of_fit_point_to_the_caller():
    with pytest.warns(UserWarning, match="needs at least") as record:
        fitted(alpha=0.001)
    assert record[0].filename == __file__


def test_a_backend_that_fails_is_not_a_heuristic_without_members():
    with pytest.raises(SolverError, match="NO_SUCH_SOLVER"):
        fitted(solver=Shor(conic_solver="NO_SUCH_SOLVER")).predict_bounds(NEW[:1], AFFINE[:1])


def test_chunks_say_what_all_images_say():
    whole, chunks = fitted(), ConformalPoseEstimator(DATA.points, DATA.camera, random_state=0)
    detector = ConformalKeypointDetector(alpha=0.05)
    with pytest.warns(UserWarning, match="needs at least 9"):
        chunks.partial_fit(DATA.heatmaps[:5], DATA.keypoints[:5])
    for rows in np.array_split(np.arange(5, 200), 3):
        chunks.partial_fit(DATA.heatmaps[rows], DATA.keypoints[rows])
        detector.partial_fit(DATA.heatmaps[rows], DATA.keypoints[rows])
    assert (chunks.quantile_, chunks.n_calibration_, chunks.seed_) == (whole.quantile_, 200, whole.seed_)
    np.testing.assert_array_equal(chunks.predict(NEW, AFFINE), whole.predict(NEW, AFFINE))
    assert detector.n_calibration_ == 195
    assert detector.fit(DATA.heatmaps[:50], DATA.keypoints[:50]).n_calibration_ == 50


def test_chunks_of_several_objects():
    points = {"a": DATA.points, "b": OTHER.points}
    estimator = ConformalPoseEstimator(points, DATA.camera, alpha=0.4, random_state=0)
    estimator.partial_fit(list(DATA.heatmaps[:9]), list(DATA.keypoints[:9]), ["a"] * 9)
    estimator.partial_fit(list(OTHER.heatmaps), list(OTHER.keypoints), ["b"] * 3)
    assert estimator.n_calibration_ == {"a": 9, "b": 3}
    assert estimator.detector_.n_keypoints_ == {"a": 9, "b": 7}


def test_a_chunk_that_is_refused_changes_nothing():
    detector = ConformalKeypointDetector().fit(DATA.heatmaps[:20], DATA.keypoints[:20])
    before = dict(vars(detector))
    with pytest.raises(ValueError, match="pass groups always, or never"):
        detector.partial_fit(DATA.heatmaps[20:22], DATA.keypoints[20:22], ["a", "a"])
    assert vars(detector) == before
    detector.set_params(nonconformity="ellipse")
    with pytest.raises(ValueError, match="scores of different kinds do not add up"):
        detector.partial_fit(DATA.heatmaps[20:22], DATA.keypoints[20:22])
    estimator = fitted()
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match="The points have shape"):
        estimator.partial_fit(OTHER.heatmaps, OTHER.keypoints)
    assert vars(estimator) == before
    estimator.set_params(nonconformity="ellipse")
    with pytest.raises(ValueError, match="scores of different kinds"):
        estimator.partial_fit(DATA.heatmaps[:2], DATA.keypoints[:2])
