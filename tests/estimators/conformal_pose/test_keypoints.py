"""ConformalKeypointDetector: what its sets hold, in which coordinates, for any form of detections."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from estimand import ConformalKeypointDetector, KeypointSets, conformal_quantile, heatmap_moments, heatmap_peaks
from estimand.datasets import make_keypoint_pose_dataset

NAMES = ("ball", "ellipse", "normalized_ball")
POINTS = {"input": "points"}
DATA = make_keypoint_pose_dataset(300, random_state=0)
MAPS, TRUE = DATA.heatmaps[:150], DATA.keypoints[:150]
NEW, NEW_TRUE, NEW_AFFINE = DATA.heatmaps[150:], DATA.keypoints[150:], DATA.affine[150:]


def image_scores(name, heatmaps, keypoints):
    """The scores by their definitions, keypoint by keypoint."""
    peaks, values = heatmap_peaks(heatmaps)
    means, covariances = heatmap_moments(heatmaps)
    scores = np.empty(keypoints.shape[:2])
    for i, k in np.ndindex(scores.shape):
        if name == "ball":
            scores[i, k] = values[i, k] * np.linalg.norm(keypoints[i, k] - peaks[i, k])
        elif name == "ellipse":
            off = keypoints[i, k] - means[i, k]
            scores[i, k] = off @ np.linalg.inv(covariances[i, k]) @ off
        else:
            scores[i, k] = np.linalg.norm(keypoints[i, k] - means[i, k]) / np.sqrt(np.trace(covariances[i, k]))
    return scores.max(axis=1)


@pytest.mark.parametrize("name", NAMES)
def test_scores_sets_and_p_values(name):
    detector = ConformalKeypointDetector(nonconformity=name, alpha=0.2).fit(MAPS, TRUE)
    expected = image_scores(name, MAPS, TRUE)
    np.testing.assert_allclose(detector.scores_, np.sort(expected), rtol=1e-9)
    assert detector.quantile_ == pytest.approx(conformal_quantile(expected, 0.2), rel=1e-9)
    assert (detector.n_calibration_, detector.n_keypoints_) == (150, 9)
    scores = detector.score_samples(NEW, NEW_TRUE)
    np.testing.assert_allclose(scores, image_scores(name, NEW, NEW_TRUE), rtol=1e-9)
    for alpha in (0.05, 0.2, 0.5):
        inside = scores <= conformal_quantile(expected, alpha)
        sets = detector.predict_set(NEW, alpha)
        np.testing.assert_array_equal(sets.contains(NEW_TRUE), inside)
        np.testing.assert_array_equal(detector.predict_pvalue(NEW, NEW_TRUE) > alpha, inside)
        assert detector.coverage(NEW, NEW_TRUE, alpha) == inside.mean()
    if name != "ellipse":
        radii = 1 / np.sqrt(sets.precisions[..., 0, 0])
        np.testing.assert_allclose(sets.areas(), np.pi * radii**2)
    assert detector.score(NEW) == pytest.approx(-np.mean(detector.predict_set(NEW).log_areas()))


@pytest.mark.parametrize("name", NAMES)
def test_coverage_follows_the_exact_law(name):
    data = make_keypoint_pose_dataset(3000, random_state=1)
    scores = ConformalKeypointDetector(nonconformity=name).fit(MAPS, TRUE).score_samples(data.heatmaps, data.keypoints)
    rng, n, m = np.random.default_rng(0), 200, 600
    for alpha in (0.1, 0.4):
        level = 1 - np.floor((n + 1) * alpha) / (n + 1)
        coverage = []
        for _ in range(400):
            rows = rng.permutation(3000)[: n + m]
            coverage.append(np.mean(scores[rows[n:]] <= conformal_quantile(scores[rows[:n]], alpha)))
        spread = np.sqrt(level * (1 - level) * (1 / (n + 2) + 1 / m) / 400)
        assert abs(np.mean(coverage) - level) < 4 * spread


@pytest.mark.parametrize("name", NAMES)
def test_sets_in_image_coordinates(name):
    detector = ConformalKeypointDetector(nonconformity=name).fit(MAPS, TRUE)
    A, b = NEW_AFFINE[:, :, :2], NEW_AFFINE[:, :, 2]
    image_true = np.linalg.solve(A[:, None], (NEW_TRUE - b[:, None])[..., None])[..., 0]
    sets, image_sets = detector.predict_set(NEW), detector.predict_set(NEW, affine=NEW_AFFINE)
    assert isinstance(image_sets, KeypointSets)
    np.testing.assert_array_equal(image_sets.contains_keypoints(image_true), sets.contains_keypoints(NEW_TRUE))
    np.testing.assert_allclose(image_sets.areas(), sets.areas() / np.abs(np.linalg.det(A))[:, None], rtol=1e-9)
    np.testing.assert_allclose(detector.predict(NEW, affine=NEW_AFFINE), image_sets.centers)
    centers = np.einsum("nij,nkj->nki", A, image_sets.centers) + b[:, None]
    np.testing.assert_allclose(centers, detector.predict(NEW), rtol=1e-9, atol=1e-9)


def test_a_larger_level_has_smaller_sets():
    detector = ConformalKeypointDetector().fit(MAPS, TRUE)
    areas = [detector.predict_set(NEW, alpha).areas() for alpha in (0.01, 0.1, 0.4, 0.9)]
    assert np.all(np.diff(areas, axis=0) < 0)


def test_groups_of_objects_with_different_numbers_of_keypoints():
    other = make_keypoint_pose_dataset(120, object_id=10, n_keypoints=6, random_state=3)
    X, y = [*MAPS[:100], *other.heatmaps[:80]], [*TRUE[:100], *other.keypoints[:80]]
    groups = ["cat"] * 100 + ["bottle"] * 80
    detector = ConformalKeypointDetector(nonconformity="ellipse").fit(X, y, groups=groups)
    alone = ConformalKeypointDetector(nonconformity="ellipse").fit(other.heatmaps[:80], other.keypoints[:80])
    assert detector.n_keypoints_ == {"bottle": 6, "cat": 9}
    assert detector.n_calibration_ == {"bottle": 80, "cat": 100}
    assert detector.quantile_["bottle"] == alone.quantile_
    mixed = [*NEW[:2], *other.heatmaps[80:82]]
    sets = detector.predict_set(mixed, groups=["cat", "cat", "bottle", "bottle"])
    assert [one.centers.shape for one in sets] == [(1, 9, 2)] * 2 + [(1, 6, 2)] * 2
    np.testing.assert_allclose(sets[3].precisions, alone.predict_set(other.heatmaps[81:82]).precisions, rtol=1e-12)
    assert np.isfinite(detector.score(mixed, groups=["cat", "cat", "bottle", "bottle"]))
    with pytest.raises(ValueError, match=r"X\[1\] has 6 keypoints, but calibration was with 9"):
        detector.predict_set(mixed[1:3], groups=["cat", "cat"])
    with pytest.raises(ValueError, match="groups holds 'dog', which calibration has not seen"):
        detector.predict_set(NEW[:1], groups=["dog"])
    with pytest.raises(ValueError, match="calibration had groups"):
        detector.predict_set(NEW[:1])


def test_points_of_another_detector():
    means, covariances = heatmap_moments(MAPS)
    for name in ("ellipse", "normalized_ball"):
        detector = ConformalKeypointDetector(nonconformity=name, input="points").fit((means, covariances), TRUE)
        same = ConformalKeypointDetector(nonconformity=name).fit(MAPS, TRUE)
        np.testing.assert_allclose(detector.scores_, same.scores_, rtol=1e-9)
    detector = ConformalKeypointDetector(input="points").fit(means, TRUE)
    np.testing.assert_allclose(detector.scores_, np.sort(np.linalg.norm(means - TRUE, axis=2).max(axis=1)), rtol=1e-12)
    sets = detector.predict_set(list(means[:3]))
    np.testing.assert_allclose(sets.areas(), np.pi * detector.quantile_**2)
    with pytest.raises(ValueError, match="needs covariances"):
        ConformalKeypointDetector(nonconformity="ellipse", input="points").fit(means, TRUE)


def test_exact_detections_have_sets_of_a_billionth_of_a_pixel():
    detector = ConformalKeypointDetector(input="points").fit(TRUE, TRUE)
    assert detector.quantile_ == 0
    sets = detector.predict_set(NEW_TRUE)
    np.testing.assert_allclose(sets.areas(), np.pi * 1e-18, rtol=1e-9)
    assert sets.contains(NEW_TRUE).all()


def test_too_few_images_warn_and_have_sets_that_hold_everything():
    with pytest.warns(UserWarning, match="needs at least 9 calibration scores, there are 5") as record:
        detector = ConformalKeypointDetector().fit(MAPS[:5], TRUE[:5])
    assert record[0].filename == __file__
    assert np.all(np.isinf(detector.predict_set(NEW).areas()))
    assert detector.score(NEW) == -np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
def test_any_type_of_number_and_memory_layout(dtype):
    heatmaps = (200 * np.clip(MAPS, 0, 1)).astype(dtype)
    expected = ConformalKeypointDetector().fit(heatmaps.astype(np.float64), TRUE)
    heatmaps.flags.writeable = False
    for array in (heatmaps, np.asfortranarray(heatmaps), list(heatmaps)):
        detector = ConformalKeypointDetector().fit(array, TRUE)
        np.testing.assert_array_equal(detector.scores_, expected.scores_)
        np.testing.assert_array_equal(detector.predict(array), expected.predict(heatmaps.astype(np.float64)))


def test_scikit_learn_manners():
    detector = ConformalKeypointDetector(nonconformity="ellipse", topk=50, alpha=0.3)
    assert clone(detector).get_params() == detector.get_params()
    with pytest.raises(NotFittedError):
        detector.predict(NEW)
    detector.fit(MAPS, TRUE)
    loaded = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(loaded.predict_set(NEW).precisions, detector.predict_set(NEW).precisions)
    assert not detector.__sklearn_tags__().input_tags.two_d_array
    grid = {"nonconformity": ["ball", "ellipse"], "topk": [30, 100]}
    search = GridSearchCV(ConformalKeypointDetector(), grid, cv=3).fit(MAPS, TRUE)
    assert search.best_params_["nonconformity"] == "ball"  # noise inflates the covariances


@pytest.mark.parametrize(
    ("parameters", "X", "y", "message"),
    [
        ({"alpha": 1.0}, MAPS, TRUE, "'alpha' parameter"),
        ({"alpha": np.nan}, MAPS, TRUE, "'alpha' parameter"),
        ({"nonconformity": "box"}, MAPS, TRUE, "'nonconformity' parameter"),
        ({"topk": 0}, MAPS, TRUE, "'topk' parameter"),
        ({"cov_floor": 0.0}, MAPS, TRUE, "'cov_floor' parameter"),
        ({}, MAPS[0], TRUE, r"heatmaps must have shape \(n_images, K, H, W\)"),
        ({}, MAPS[:0], TRUE[:0], r"heatmaps must have shape \(n_images, K, H, W\)"),
        ({}, MAPS[:, :, :0], TRUE, "height and width must be at least 1"),
        ({}, MAPS, TRUE[:-1], "y has 149 images, but X has 150"),
        ({}, MAPS, TRUE[:, :8], r"y\[0\] has shape \(8, 2\), but X\[0\] has 9 keypoints"),
        ({}, MAPS, np.where(TRUE == TRUE[3, 4, 1], np.nan, TRUE), "y holds NaN or infinity at image 3, keypoint 4"),
        ({}, np.where(np.arange(150)[:, None, None, None] == 7, np.nan, MAPS), TRUE, "NaN or infinity at image 7"),
        ({}, np.where(np.arange(150)[:, None, None, None] == 7, 1.0, MAPS), TRUE, "constant at image 7, keypoint 0"),
        ({}, [MAPS[0], MAPS[1, :8], np.zeros((9, 4, 4))], [TRUE[0], TRUE[1, :8], TRUE[2]], r"X\[2\]: heatmaps is c"),
        ({}, [["a"]], TRUE, "heatmaps"),
        ({"input": "points"}, TRUE[:, :, :1], TRUE, r"X\[0\] has shape \(9, 1\)"),
        ({"input": "points"}, [], [], "X holds no images"),
        ({**POINTS, "nonconformity": "ellipse"}, (TRUE, np.zeros((150, 9, 2, 3))), TRUE, "covariances of image 0"),
        ({**POINTS, "nonconformity": "ellipse"}, (TRUE, np.tile([[1.0, 2.0], [2.0, 1.0]], (150, 9, 1, 1))), TRUE,
         "covariance at image 0, keypoint 0 is not symmetric and positive"),
    ],
)  # fmt: skip
def test_bad_input(parameters, X, y, message):
    detector = ConformalKeypointDetector(**parameters)
    with pytest.raises(ValueError, match=message):
        detector.fit(X, y)
    assert not [name for name in vars(detector) if name.endswith("_")]


def test_bad_affine_maps():
    detector = ConformalKeypointDetector().fit(MAPS, TRUE)
    for affine, message in (
        (np.ones((2, 2)), "affine has shape"),
        (np.ones((3, 2, 3)), r"affine\[0\] is singular"),
        (np.full((3, 2, 3), np.nan), "affine holds NaN"),
        (NEW_AFFINE[:2], "affine holds 2 matrices, but there are 3 images"),
    ):
        with pytest.raises(ValueError, match=message):
            detector.predict_set(NEW[:3], affine=affine)
    with pytest.raises(ValueError, match="alpha"):
        detector.predict_set(NEW[:3], alpha=0.0)
