"""ConformalKeypointDetector: sets that hold all keypoints of an image at once, around the answers of any detector.

Quantiles and p-values live in `quantile`, what is read off images in `_detections`, the sets in `sets`.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._base import fit_or_nothing, forget, partial_fit_or_former
from ._detections import Detections, flat_keypoints, read_affine, read_detections
from .quantile import Calibration, encode_groups, row_thresholds, store_calibration
from .sets import KeypointSets

__all__ = ["ConformalKeypointDetector"]

FloatArray = npt.NDArray[np.float64]


class ConformalKeypointDetector(BaseEstimator):  # type: ignore[misc]
    r"""Sets that hold all keypoints of an image with a given probability, from the heatmaps of any detector.

    The nonconformity of an image is the largest of those of its K keypoints. With the scores ``s_i`` of n calibration
    images, and q the j-th largest of them, :math:`j = \lfloor (n + 1) \alpha \rfloor`, the sets of a new image are

    .. math:: F_k = \{ y : s_k(y) \le q \}, \qquad P(y_k \in F_k \text{ for all } k) \ge 1 - \alpha

    if it is exchangeable with these. Nothing is assumed about the detector, or the distribution of images.

    Parameters
    ----------
    nonconformity : {"ball", "ellipse", "normalized_ball"}, default="ball"
        The nonconformity of a keypoint at y:

        - ``"ball"``: ``p ||y - c||`` with the place c of the largest entry of the clean heatmap and its size p; p is 1
          for points.
        - ``"ellipse"``: ``(y - m)' inv(Sigma) (y - m)`` with mean m and covariance Sigma of the places of the `topk`
          largest entries, weighted by their sizes, or the given points and covariances.
        - ``"normalized_ball"``: ``||y - m|| / sqrt(tr Sigma)``.
    alpha : float, default=0.1
        Miscoverage level, in (0, 1).
    topk : int, default=100
        How many entries of a heatmap count for its moments, at least 1.
    cov_floor : float, default=1e-6
        Lower bound on the eigenvalues of covariances, in px^2, positive.
    input : {"heatmap", "points"}, default="heatmap"
        Whether X holds heatmaps, or what another detector says: points, with or without covariances.

    Attributes
    ----------
    scores_ : ndarray of shape (n_calibration,) or dict
        Calibration scores in ascending order. This and the next three are dicts by label if there are groups.
    quantile_ : float or dict
        The threshold q for `alpha`.
    n_calibration_ : int or dict
        The number n of calibration images.
    n_keypoints_ : int or dict
        The number K of keypoints.
    alpha_ : float
        The level of `quantile_`.
    calibration_ : Calibration
        The scores of all groups, from which other levels follow.

    Raises
    ------
    ValueError
        For bad data or parameters; the message says at which image and keypoint.

    Warns
    -----
    UserWarning
        If there are fewer than ``1 / alpha - 1`` calibration images, in a group or in all: sets then hold everything.

    See Also
    --------
    ConformalPoseEstimator : Poses, and bounds on their errors, from these sets.
    ConformalRegressor : The same around a regressor.

    Notes
    -----
    Heatmaps are cleaned first, see `clean_heatmap`. Coordinates are those of heatmaps: x is the column, y the row, and
    the centre of the first pixel is (0.5, 0.5). Calibration images must be images that the detector was not trained on.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 3.

    Examples
    --------
    >>> from estimand import ConformalKeypointDetector
    >>> from estimand.datasets import make_keypoint_pose_dataset
    >>> data = make_keypoint_pose_dataset(150, random_state=0)
    >>> detector = ConformalKeypointDetector(alpha=0.1).fit(data.heatmaps[:100], data.keypoints[:100])
    >>> sets = detector.predict_set(data.heatmaps[100:], affine=data.affine[100:])
    >>> sets.centers.shape
    (50, 9, 2)
    >>> bool(detector.coverage(data.heatmaps[100:], data.keypoints[100:]) > 0.8)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "nonconformity": [StrOptions({"ball", "ellipse", "normalized_ball"})],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "topk": [Interval(Integral, 1, None, closed="left")],
        "cov_floor": [Interval(Real, 0, None, closed="neither")],
        "input": [StrOptions({"heatmap", "points"})],
    }

    calibration_: Calibration
    alpha_: float
    n_keypoints_: Any
    _options: tuple[Any, ...]

    def __init__(
        self,
        *,
        nonconformity: str = "ball",
        alpha: float = 0.1,
        topk: int = 100,
        cov_floor: float = 1e-6,
        input: str = "heatmap",
    ) -> None:
        self.nonconformity = nonconformity
        self.alpha = alpha
        self.topk = topk
        self.cov_floor = cov_floor
        self.input = input

    @fit_or_nothing
    def fit(self, X: Any, y: Any, groups: Any = None) -> ConformalKeypointDetector:
        """Calibrate.

        Parameters
        ----------
        X : array-like of shape (n_images, K, H, W), or list of n_images arrays of shape (K, H, W)
            Heatmaps. With ``input="points"`` points of shape (n_images, K, 2), or a tuple of these and covariances of
            shape (n_images, K, 2, 2). Where K differs between groups these are lists of one array an image.
        y : array-like of shape (n_images, K, 2), or list of n_images arrays of shape (K, 2)
            True keypoints in heatmap coordinates.
        groups : array-like of shape (n_images,) or None, default=None
            Mondrian labels, such as the class of the object: each has a quantile of its own, and the guarantee holds
            within it.

        Returns
        -------
        self : ConformalKeypointDetector
            The calibrated detector.

        Raises
        ------
        ValueError
            For bad data or parameters.
        """
        forget(self)
        return self._calibrate(X, y, groups, stacklevel=3)

    @partial_fit_or_former
    def partial_fit(self, X: Any, y: Any, groups: Any = None) -> ConformalKeypointDetector:
        """Add images to those of the calibration: chunks of them say together what all at once would have said.

        Parameters
        ----------
        X, y, groups
            As in `fit`.

        Returns
        -------
        self : ConformalKeypointDetector
            The calibrated detector.

        Raises
        ------
        ValueError
            For bad data or parameters, another nonconformity than before, and groups where there were none, or none
            where there were some. The former calibration stays.
        """
        return self._calibrate(X, y, groups, stacklevel=3)

    def predict(self, X: Any, affine: Any = None) -> Any:
        """Return the centres of the sets.

        Parameters
        ----------
        X : array-like or list
            Images as in `fit`.
        affine : array-like of shape (n_images, 2, 3) or None, default=None
            As in `predict_set`.

        Returns
        -------
        centers : ndarray of shape (n_images, K, 2), or if images differ in shape list of arrays of shape (K, 2)
            In heatmap coordinates, or with `affine` in image coordinates.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        found = self._detections(X).in_image(read_affine(affine))
        return found.by_image(found.centers)

    def predict_set(self, X: Any, alpha: float | None = None, affine: Any = None, groups: Any = None) -> Any:
        """Return sets that hold all keypoints of an image at once with probability at least ``1 - alpha``.

        Parameters
        ----------
        X : array-like or list
            Images as in `fit`.
        alpha : float or None, default=None
            Miscoverage level, None for the detector's.
        affine : array-like of shape (n_images, 2, 3) or None, default=None
            Matrices ``[A, b]`` that take image coordinates u to the heatmap coordinates ``A u + b``; the sets are then
            those of image coordinates.
        groups : array-like of shape (n_images,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        sets : KeypointSets, or list of KeypointSets
            Ellipses; where X is a list of images of different shapes, one object an image. Axes below 1e-9 px are
            enlarged to that.

        Raises
        ------
        ValueError
            For bad data, an `alpha` outside (0, 1), labels that calibration has not seen, and another number of
            keypoints than at calibration.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        found = self._checked(X, groups).in_image(read_affine(affine))
        precisions = found.precisions(row_thresholds(self, alpha, groups, found.counts.size, stacklevel=2))
        centers, matrices = found.by_image(found.centers), found.by_image(precisions)
        if isinstance(centers, list):
            return [KeypointSets(c[None], P[None]) for c, P in zip(centers, matrices, strict=True)]
        return KeypointSets(centers, matrices)

    def score_samples(self, X: Any, y: Any) -> FloatArray:
        """Return the nonconformity of images, of shape (n_images,); parameters are those of `fit`."""
        check_is_fitted(self)
        found = self._detections(X)
        return found.image_scores(flat_keypoints(y, found.counts))

    def predict_pvalue(self, X: Any, y: Any, groups: Any = None) -> FloatArray:
        """Return ``(1 + #{i : s_i >= s}) / (n + 1)`` with the nonconformity s of each image; see `fit` for parameters.

        It is at most alpha where the sets of that level miss a keypoint.
        """
        found = self._checked(X, groups)
        return self.calibration_.p_values(found.image_scores(flat_keypoints(y, found.counts)), groups)

    def coverage(self, X: Any, y: Any, alpha: float | None = None, groups: Any = None) -> float:
        """Return the share of images all of whose keypoints are in their sets; see `fit` and `predict_set`."""
        found = self._checked(X, groups)
        scores = found.image_scores(flat_keypoints(y, found.counts))
        return float(np.mean(scores <= row_thresholds(self, alpha, groups, scores.size, stacklevel=2)))

    def score(self, X: Any, y: Any = None, *, groups: Any = None) -> float:
        """Return minus the mean logarithm of the areas of the sets: at the same level, smaller sets are better.

        Parameters
        ----------
        X : array-like or list
            Images as in `fit`.
        y : object
            Not used.
        groups : array-like of shape (n_images,) or None, default=None
            Mondrian labels, needed if there were some at calibration.

        Returns
        -------
        score : float
            ``-inf`` if a set is the whole plane.
        """
        sets = self.predict_set(X, groups=groups)
        areas = [one.log_areas() for one in (sets if isinstance(sets, list) else [sets])]
        return float(-np.mean(np.concatenate([each.ravel() for each in areas])))

    def _calibrate(self, X: Any, y: Any, groups: Any, *, stacklevel: int) -> Self:
        """Add images to the calibration, if there is one; a `stacklevel` of 1 lets warnings point to the caller."""
        found, options = self._detections(X), (self.nonconformity, self.topk, self.cov_floor, self.input)
        scores = found.image_scores(flat_keypoints(y, found.counts))
        calibration, counts = Calibration.from_scores(scores, groups), _counts_by_label(found.counts, groups)
        if hasattr(self, "calibration_"):
            if options != self._options:
                raise ValueError(
                    f"nonconformity, topk, cov_floor and input are {options}, but were {self._options} at the images "
                    "before: scores of different kinds do not add up. Use fit to begin anew."
                )
            calibration, counts = self.calibration_ + calibration, _common_counts(self.n_keypoints_, counts)
        self.n_keypoints_, self._options = counts, options
        store_calibration(self, calibration, stacklevel=stacklevel + 1)
        return self

    def _detections(self, X: Any) -> Detections:
        return read_detections(X, self.input, self.nonconformity, self.topk, self.cov_floor)

    def _checked(self, X: Any, groups: Any) -> Detections:
        """Return what images say, with as many keypoints as there were at calibration; parameters are those of `fit`.

        Raises
        ------
        ValueError
            For bad data, labels that are not one an image or that calibration has not seen, and other numbers of
            keypoints than at calibration.
        """
        check_is_fitted(self)
        found = self._detections(X)
        codes = self.calibration_.codes(groups, found.counts.size)
        expected = list(self.n_keypoints_.values()) if codes is not None else [self.n_keypoints_]
        for i, count in enumerate(found.counts):
            wanted = expected[0 if codes is None else codes[i]]
            if wanted is not None and count != wanted:
                raise ValueError(f"X[{i}] has {count} keypoints, but calibration was with {wanted}.")
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


def _counts_by_label(counts: npt.NDArray[np.intp], groups: Any) -> Any:
    """Return the number of keypoints of all images, or a dict of those of each label; None where images differ."""

    def common(values: npt.NDArray[np.intp]) -> int | None:
        return int(values[0]) if np.all(values == values[0]) else None

    if groups is None:
        return common(counts)
    labels, codes = encode_groups(groups, counts.size)
    return {label: common(counts[codes == i]) for i, label in enumerate(labels)}


def _common_counts(one: Any, other: Any) -> Any:
    """Return what `_counts_by_label` would have returned for the images of both."""
    if not isinstance(one, dict):
        return one if one == other else None
    both = {label: one[label] if one[label] == other[label] else None for label in one.keys() & other.keys()}
    return dict(sorted({**one, **other, **both}.items()))
