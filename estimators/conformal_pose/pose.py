"""ConformalPoseEstimator: poses of an object in many images, with bounds on their errors that hold with probability.

One image is the business of `pose_set`, the keypoints that of `keypoints`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ...solvers import Solver
from ...solvers.pose_bound.validation import finite_array
from .._base import fit_or_nothing, forget, partial_fit_or_former
from ._detections import read_affine
from ._pose_bounds import PoseBounds, bound_errors
from .keypoints import ConformalKeypointDetector
from .pose_set import PoseUncertaintySet
from .quantile import encode_groups, row_thresholds

__all__ = ["ConformalPoseEstimator"]

FloatArray = npt.NDArray[np.float64]

_FIELDS = [
    ("rotation_deg", np.float64),
    ("rotation_lower_deg", np.float64),
    ("translation", np.float64),
    ("translation_lower", np.float64),
    ("n_samples", np.int64),
    ("empty", np.bool_),
    ("unbounded", np.bool_),
    ("status", "U10"),
]


class ConformalPoseEstimator(BaseEstimator):  # type: ignore[misc]
    r"""Poses of a known object from heatmaps of its keypoints, with error bounds that hold with a given probability.

    Conformal calibration gives sets that hold all keypoints of an image at once, see `ConformalKeypointDetector`. The
    poses that put every keypoint in its set contain the true one with the same probability, and with it

    .. math::
        P\left(\angle(R, \hat R) \le \theta \text{ and } \|t - \hat t\| \le \rho\right) \ge 1 - \alpha, \qquad
        \theta = \max_{(R', t') \in S} \angle(R', \hat R), \quad \rho = \max_{(R', t') \in S} \|t' - \hat t\|

    for the average pose :math:`(\hat R, \hat t)` of the set S; the maxima are bounded from above by proofs. Nothing is
    assumed but that images are exchangeable with the calibration images, and that the camera, the points of the object
    and the least depth are right.

    Parameters
    ----------
    points : array-like of shape (K, 3), or dict of such arrays
        The keypoints in the frame of the object, in any unit of length; by label of `groups` if it is a dict.
    camera : array-like of shape (3, 3)
        The camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]``.
    alpha : float, default=0.1
        Miscoverage level, in (0, 1).
    nonconformity : {"ball", "ellipse", "normalized_ball"}, default="ball"
        See `ConformalKeypointDetector`.
    n_samples : int, default=1000
        Random triples of keypoints whose poses are averaged.
    center : {"average", "chebyshev"}, default="average"
        The pose that is returned, and that bounds refer to: the average, or the centre of balls around members.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.pose_bound.PoseBoundProblem`; see :func:`estimand.list_solvers`.
    tol : float, default=0.02
        Gap between upper and lower bounds of squared distances, over the lower one.
    max_nodes : int, default=20000
        Boxes that the search may bound, for each of the two bounds of an image; as many again where no member is known,
        for a proof that there is none. With ``solver="auto"`` and at most 30 keypoints the relaxation `moment2` goes on
        where they do not suffice. A `solver` that is an object keeps its own options.
    time_limit : float or None, default=None
        Seconds for each of the two bounds of an image, and for each of these proofs.
    min_depth : float, default=1e-3
        The least depth of keypoints, positive, in the unit of `points`.
    n_jobs : int or None, default=None
        Images at a time, by joblib. Results do not depend on it.
    random_state : int, RandomState or None, default=None
        Where `fit` draws the seed from that all predictions begin with: those of an image are the same at each call,
        alone or among others, so that `predict_bounds` bounds the errors of what `predict` returns.

    Attributes
    ----------
    detector_ : ConformalKeypointDetector
        The calibrated sets of keypoints.
    quantile_ : float or dict
        The threshold of their nonconformity, by label if there are groups.
    n_calibration_ : int or dict
        The number of calibration images.
    seed_ : int
        The seed of predictions.

    Raises
    ------
    ValueError
        For bad data or parameters.

    Warns
    -----
    UserWarning
        If there are too few calibration images for `alpha`; if no pose puts the keypoints of some image in their sets,
        so that these sets certainly miss a keypoint.

    See Also
    --------
    PoseUncertaintySet : The set of poses of one image.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023).

    Examples
    --------
    >>> from estimand import ConformalPoseEstimator
    >>> from estimand.datasets import make_keypoint_pose_dataset
    >>> data = make_keypoint_pose_dataset(101, random_state=0)
    >>> estimator = ConformalPoseEstimator(data.points, data.camera, alpha=0.1, random_state=0)
    >>> estimator = estimator.fit(data.heatmaps[:100], data.keypoints[:100])
    >>> estimator.predict(data.heatmaps[100:], affine=data.affine[100:]).shape
    (1, 3, 4)
    >>> bounds = estimator.predict_bounds(data.heatmaps[100:], affine=data.affine[100:])
    >>> bounds["status"][0], bool(bounds["rotation_lower_deg"][0] <= bounds["rotation_deg"][0] < 40)
    (np.str_('bounded'), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "points": ["array-like", dict],
        "camera": ["array-like"],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "nonconformity": [StrOptions({"ball", "ellipse", "normalized_ball"})],
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "center": [StrOptions({"average", "chebyshev"})],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_nodes": [Interval(Integral, 0, None, closed="left")],
        "time_limit": [Interval(Real, 0, None, closed="left"), None],
        "min_depth": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    detector_: ConformalKeypointDetector

    def __init__(
        self,
        points: Any,
        camera: Any,
        *,
        alpha: float = 0.1,
        nonconformity: str = "ball",
        n_samples: int = 1000,
        center: str = "average",
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 0.02,
        max_nodes: int = 20000,
        time_limit: float | None = None,
        min_depth: float = 1e-3,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.points = points
        self.camera = camera
        self.alpha = alpha
        self.nonconformity = nonconformity
        self.n_samples = n_samples
        self.center = center
        self.solver = solver
        self.tol = tol
        self.max_nodes = max_nodes
        self.time_limit = time_limit
        self.min_depth = min_depth
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_or_nothing
    def fit(self, heatmaps: Any, keypoints: Any, groups: Any = None) -> ConformalPoseEstimator:
        """Calibrate the sets of keypoints.

        Parameters
        ----------
        heatmaps : array-like of shape (n_images, K, H, W), or list of n_images arrays of shape (K, H, W)
            Heatmaps of a detector that was not trained on these images.
        keypoints : array-like of shape (n_images, K, 2), or list of n_images arrays of shape (K, 2)
            True keypoints in heatmap coordinates.
        groups : array-like of shape (n_images,) or None, default=None
            Labels of the objects, if `points` is a dict: each is calibrated for itself.

        Returns
        -------
        self : ConformalPoseEstimator
            The calibrated estimator.

        Raises
        ------
        ValueError
            For bad data or parameters.
        """
        forget(self)
        return self._calibrate(heatmaps, keypoints, groups)

    @partial_fit_or_former
    def partial_fit(self, heatmaps: Any, keypoints: Any, groups: Any = None) -> ConformalPoseEstimator:
        """Add images to those of the calibration: chunks of them say together what all at once would have said.

        Parameters
        ----------
        heatmaps, keypoints, groups
            As in `fit`.

        Returns
        -------
        self : ConformalPoseEstimator
            The calibrated estimator.

        Raises
        ------
        ValueError
            For bad data or parameters. The former calibration stays.
        """
        return self._calibrate(heatmaps, keypoints, groups)

    def _calibrate(self, heatmaps: Any, keypoints: Any, groups: Any) -> ConformalPoseEstimator:
        """Add images to the calibration, if there is one; warnings point to who called `fit` or `partial_fit`."""
        first = not hasattr(self, "detector_")
        detector = ConformalKeypointDetector() if first else copy(self.detector_)
        detector.set_params(nonconformity=self.nonconformity, alpha=self.alpha)
        detector._calibrate(heatmaps, keypoints, groups, stacklevel=4)
        self._check_points(detector)
        if first:
            self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.detector_ = detector
        self.quantile_, self.n_calibration_ = detector.quantile_, detector.n_calibration_
        return self

    def predict(self, heatmaps: Any, affine: Any = None, groups: Any = None) -> FloatArray:
        """Return the average pose of each image.

        Parameters
        ----------
        heatmaps : array-like of shape (n_images, K, H, W), or list of arrays of shape (K, H, W)
            Heatmaps.
        affine : array-like of shape (n_images, 2, 3) or None, default=None
            Matrices ``[A, b]`` that take image coordinates u to the heatmap coordinates ``A u + b``. None: heatmap
            coordinates are those of the image.
        groups : array-like of shape (n_images,) or None, default=None
            Labels of the objects, needed if there were some at calibration.

        Returns
        -------
        poses : ndarray of shape (n_images, 3, 4)
            ``[R, t]``, which takes a point P of the object to ``R P + t`` in the frame of the camera.

        Raises
        ------
        ValueError
            For bad data.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        found = self._each_image(heatmaps, affine, groups, which=())
        return np.stack([np.column_stack(bounds.center) for bounds, _ in found])

    def predict_pose_set(self, heatmaps: Any, affine: Any = None, groups: Any = None) -> list[PoseUncertaintySet]:
        """Return the set of poses of each image; parameters are those of `predict`.

        Raises
        ------
        ValueError
            For bad data, and if there are too few calibration images for `alpha`, so that every pose is possible.
        """
        sets, unlimited = self._sets(heatmaps, affine, groups)
        if unlimited.any():
            raise ValueError(
                f"alpha={self.alpha} needs more calibration images than there are: every pose is possible at image "
                f"{int(np.argmax(unlimited))}. Calibrate on more images, or raise alpha."
            )
        return sets

    def predict_bounds(self, heatmaps: Any, affine: Any = None, groups: Any = None) -> npt.NDArray[np.void]:
        """Return bounds on the errors of the poses that `predict` returns; parameters are those of `predict`.

        Returns
        -------
        bounds : structured ndarray of shape (n_images,)
            With the fields ``rotation_deg`` and ``translation``, which hold together with probability ``1 - alpha``;
            ``rotation_lower_deg`` and ``translation_lower``, errors that poses of the set do have; ``n_samples``, the
            members that were averaged; ``empty``, ``unbounded`` and ``status``, see :class:`PoseBounds`. Bounds of
            empty sets are NaN, those of unbounded ones 180 degrees and infinity.

        Raises
        ------
        ValueError
            For bad data.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        found = self._each_image(heatmaps, affine, groups, which=("rotation", "translation"))
        result = np.zeros(len(found), dtype=_FIELDS)
        for row, (bounds, n_members) in zip(result, found, strict=True):
            for name in ("rotation_deg", "rotation_lower_deg", "translation", "translation_lower", "status"):
                row[name] = getattr(bounds, name)
            row["n_samples"] = n_members
            row["empty"], row["unbounded"] = bounds.status == "empty", bounds.status == "unbounded"
        return result

    def score(self, heatmaps: Any, y: Any, affine: Any = None, groups: Any = None) -> float:
        """Return minus the mean distance of points of the object from where they are, in pixels or in space.

        Parameters
        ----------
        heatmaps, affine, groups
            As in `predict`.
        y : array-like of shape (n_images, K, 2) or (n_images, 3, 4)
            True keypoints in heatmap coordinates: distances are those of projected points. Or true poses: distances are
            those of points in space, in the unit of `points`.

        Returns
        -------
        score : float
            0 at best.
        """
        poses = self.predict(heatmaps, affine, groups)
        models = self._models(groups, len(poses))
        if len(y) != len(poses):
            raise ValueError(f"y has {len(y)} images, but there are heatmaps of {len(poses)}.")
        of_poses = np.shape(y[0]) == (3, 4)
        truth = [
            finite_array(each, f"y[{i}]", (3, 4) if of_poses else (len(points), 2))
            for i, (each, points) in enumerate(zip(y, models, strict=True))
        ]
        if of_poses:
            moved = [points @ (pose - true)[:, :3].T + (pose - true)[:, 3] for points, pose, true in
                     zip(models, poses, truth, strict=True)]  # fmt: skip
            return -float(np.mean([np.linalg.norm(off, axis=1).mean() for off in moved]))
        maps = read_affine(affine)
        errors = []
        for i, (points, pose, true) in enumerate(zip(models, poses, truth, strict=True)):
            seen = (points @ pose[:, :3].T + pose[:, 3]) @ np.asarray(self.camera, dtype=np.float64).T
            pixels = seen[:, :2] / seen[:, 2:]
            pixels = pixels if maps is None else pixels @ maps[0][i].T + maps[1][i]
            errors.append(np.linalg.norm(pixels - true, axis=1).mean())
        return -float(np.mean(errors))

    def _each_image(
        self, heatmaps: Any, affine: Any, groups: Any, which: tuple[str, ...]
    ) -> list[tuple[PoseBounds, int]]:
        """Return the pose, with the bounds that are asked for, and the number of members, of each image."""
        check_is_fitted(self)
        self._validate_params()
        sets, unlimited = self._sets(heatmaps, affine, groups)
        names = ("solver", "tol", "n_samples", "max_nodes", "time_limit", "center")
        options = {name: getattr(self, name) for name in names}
        calls = (
            delayed(_image)(poses, which, options, unlimited=bool(free), random_state=self.seed_)
            for poses, free in zip(sets, unlimited, strict=True)
        )
        found = list(Parallel(n_jobs=self.n_jobs)(calls))
        _warn_of_empty([n_members == 0 and not free for (_, n_members), free in zip(found, unlimited, strict=True)])
        return found

    def _sets(self, heatmaps: Any, affine: Any, groups: Any) -> tuple[list[PoseUncertaintySet], npt.NDArray[np.bool_]]:
        """Return the set of each image, and for which images calibration allows every pose.

        The set of such an image has the largest calibration score for its threshold.
        """
        check_is_fitted(self)
        found = self.detector_._checked(heatmaps, groups).in_image(read_affine(affine))
        thresholds = row_thresholds(self.detector_, self.alpha, groups, found.counts.size, stacklevel=4)
        unlimited = np.isinf(thresholds)
        calibration = self.detector_.calibration_
        largest = np.array([block[-1] for block in calibration.blocks])
        codes = calibration.codes(groups)
        precisions = found.precisions(np.where(unlimited, largest[0 if codes is None else codes], thresholds))
        ends = np.cumsum(found.counts)[:-1]
        ellipses = zip(np.split(found.centers, ends), np.split(precisions, ends), strict=True)
        sets = [
            PoseUncertaintySet(*pair, points, self.camera, min_depth=self.min_depth)
            for pair, points in zip(ellipses, self._models(groups, found.counts.size), strict=True)
        ]
        return sets, unlimited

    def _models(self, groups: Any, n_images: int) -> list[FloatArray]:
        """Return the points of the object in each image."""
        if not isinstance(self.points, Mapping):
            return [np.asarray(self.points, dtype=np.float64)] * n_images
        labels, codes = encode_groups(groups, n_images)
        models = [np.asarray(self.points[label], dtype=np.float64) for label in labels]
        return [models[code] for code in codes]

    def _check_points(self, detector: ConformalKeypointDetector) -> None:
        """Check that there are points for each label, as many as there are keypoints, and that they determine a pose.

        Raises
        ------
        ValueError
            If not.
        """
        counts = detector.n_keypoints_
        if isinstance(self.points, Mapping) != isinstance(counts, Mapping):
            needs = "groups" if isinstance(self.points, Mapping) else "points as a dict by label"
            raise ValueError(f"Points by label and groups belong together: {needs} is missing.")
        by_label = self.points if isinstance(self.points, Mapping) else {None: self.points}
        for label, count in (counts if isinstance(counts, Mapping) else {None: counts}).items():
            of = "" if label is None else f" of {label!r}"
            if label not in by_label:
                raise ValueError(
                    f"points has no entry for the label {label!r}; it has {', '.join(map(repr, by_label))}."
                )
            points = np.asarray(by_label[label], dtype=np.float64)
            if points.shape != (count, 3):
                raise ValueError(f"The points{of} have shape {points.shape}, but there are {count} keypoints.")
            discs = np.broadcast_to(np.eye(2), (len(points), 2, 2))
            try:
                PoseUncertaintySet(np.zeros((len(points), 2)), discs, points, self.camera, min_depth=self.min_depth)
            except ValueError as error:
                raise ValueError(str(error) if label is None else f"At the label {label!r}: {error}") from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _warn_of_empty(empty: list[bool]) -> None:
    missed = [i for i, one in enumerate(empty) if one]
    if missed:
        some = ", ".join(map(str, missed[:5])) + (", ..." if len(missed) > 5 else "")
        warnings.warn(
            f"No pose is known that puts all keypoints in their sets at {len(missed)} of {len(empty)} images "
            f"({some}): the pose returned is the one that comes closest.",
            UserWarning,
            stacklevel=4,
        )


def _image(
    poses: PoseUncertaintySet,
    which: tuple[str, ...],
    options: Mapping[str, Any],
    *,
    unlimited: bool,
    random_state: int,
) -> tuple[PoseBounds, int]:
    """Return the bounds of one image, and the number of members that its pose is the average of."""
    rng = np.random.default_rng(random_state)
    members = poses.members(options["n_samples"], rng)
    center = poses.center_pose(options["center"], members, rng)
    if unlimited or not which:
        everything: dict[str, Any] = (
            {"rotation_deg": 180.0, "translation": np.inf, "status": "unbounded"} if which else {}
        )
        member = bool(poses.contains(*center)[0])
        return PoseBounds(center=center, center_in_set=member, **everything), len(members.R)
    passed = {name: options[name] for name in ("max_nodes", "time_limit")} | {"random_state": int(rng.integers(2**31))}
    bounds = bound_errors(poses.cones, members, center, which, options["solver"], tol=options["tol"], options=passed)
    return bounds, len(members.R)
