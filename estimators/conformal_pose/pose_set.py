"""PoseUncertaintySet: the poses of one object in one image that put every keypoint in its set.

The geometry and its samples live in `solvers.pose_bound`, what follows for many images in `pose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_scalar

from ...solvers import Solver
from ...solvers.pose_bound import KeypointCones, Pose
from ...solvers.pose_bound.boundedness import common_point
from ...solvers.pose_bound.branch_and_bound import prove_empty
from ...solvers.pose_bound.enclosing_ball import enclosing_center
from ...solvers.pose_bound.members import Members, find_members
from ...solvers.pose_bound.moments.slue import Ellipsoid, slue
from ...solvers.pose_bound.rotations import chordal_mean
from ...solvers.pose_bound.sampling import hit_and_run, ransag
from ...solvers.pose_bound.validation import check_rotations, finite_array
from ._pose_bounds import PoseBounds, bound_errors

__all__ = ["PoseUncertaintySet"]

FloatArray = npt.NDArray[np.float64]
Poses = tuple[FloatArray, FloatArray]

_METHODS = ("ransag", "hit_and_run")
_CENTERS = ("average", "chebyshev")
#: Members of the walk that the Chebyshev centre is taken from.
_WALK = 500


class PoseUncertaintySet:
    r"""The poses of an object that put every keypoint in its ellipse.

    With the keypoints ``P_k`` of the object, ``X_k = R P_k + t`` their places in the camera's frame, the camera matrix
    C and ellipses in the image,

    .. math::
        \{ (R, t) : (y_k - \mu_k)^\top \Lambda_k (y_k - \mu_k) \le 1,\ y_k = C X_k / X_{k3},\ X_{k3} \ge d_{\min},\
        k = 1, \dots, K \}

    If the ellipses hold all true keypoints with probability ``1 - alpha``, this set holds the true pose with that
    probability.

    Parameters
    ----------
    centers : array-like of shape (K, 2)
        Centres of the ellipses, in pixels of the image.
    precisions : array-like of shape (K, 2, 2)
        Their matrices, in 1/px^2; ``I / r**2`` is a disc of radius r.
    points : array-like of shape (K, 3)
        The keypoints in the frame of the object, at least 3 that are not on a line, in any unit of length.
    camera : array-like of shape (3, 3) or None, default=None
        The camera matrix ``[[fx, s, cx], [0, fy, cy], [0, 0, 1]]``. None: pixels are normalised coordinates.
    min_depth : float, default=1e-3
        The least depth of keypoints, positive, in the unit of `points`: who works in millimetres passes 1.

    Attributes
    ----------
    cones : KeypointCones
        The set as second-order cones in normalised coordinates.
    centers, precisions, points, camera, min_depth
        As given, in float64; the arrays are read-only copies.

    Raises
    ------
    ValueError
        For wrong shapes, entries that are not finite, matrices that are not symmetric and positive definite, a singular
        camera, and points that do not determine a pose.

    See Also
    --------
    ConformalPoseEstimator : Makes such sets from heatmaps.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR (2023), section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PoseUncertaintySet
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> discs = np.tile(np.eye(2) / 0.01**2, (4, 1, 1))
    >>> poses = PoseUncertaintySet(seen[:, :2] / seen[:, 2:], discs, points)
    >>> poses.contains(np.eye(3), [0.0, 0.0, 1.0])
    array([ True])
    >>> bounds = poses.bounds(random_state=0)
    >>> bounds.status, bool(bounds.rotation_lower_deg <= bounds.rotation_deg <= 1.02 * bounds.rotation_lower_deg)
    ('bounded', True)
    """

    def __init__(
        self,
        centers: npt.ArrayLike,
        precisions: npt.ArrayLike,
        points: npt.ArrayLike,
        camera: npt.ArrayLike | None = None,
        *,
        min_depth: float = 1e-3,
    ) -> None:
        self.points = _own(points, "points", ("K", 3))
        K = len(self.points)
        self.centers = _own(centers, "centers", (K, 2))
        self.precisions = _own(precisions, "precisions", (K, 2, 2))
        self.camera = None if camera is None else _own(camera, "camera", (3, 3))
        self.min_depth = min_depth
        self.cones = KeypointCones.from_sets(
            self.centers, self.precisions, self.points, self.camera, min_depth=min_depth
        )

    @property
    def quad_con(self) -> FloatArray:
        """Matrices ``A_k`` with ``s' A_k s <= 0`` for members s = [columns of R, t], of shape (K, 12, 12)."""
        return self.cones.quad_con

    @property
    def lin_con(self) -> FloatArray:
        """Vectors ``b_k`` with the depths ``b_k' s``, of shape (K, 12)."""
        return self.cones.lin_con

    @property
    def soc(self) -> FloatArray:
        """Matrices ``M_k`` with ``||M_k s|| <= b_k' s`` for members, of shape (K, 2, 12)."""
        return self.cones.soc

    def contains(self, R: npt.ArrayLike, t: npt.ArrayLike, tol: float = 0.0) -> npt.NDArray[np.bool_]:
        """Return whether poses put every keypoint in its ellipse, of shape (m,).

        Parameters
        ----------
        R : array-like of shape (3, 3) or (m, 3, 3)
            Rotations.
        t : array-like of shape (3,) or (m, 3)
            Translations, in the unit of `points`.
        tol : float, default=0.0
            Share by which ellipses are enlarged.

        Raises
        ------
        ValueError
            For wrong shapes, and matrices that are not rotations.
        """
        self._check_rotations(R)
        return self.cones.contains(R, t, tol)

    def margins(self, R: npt.ArrayLike, t: npt.ArrayLike) -> FloatArray:
        """Return ``X_k3 - ||M_k s||`` of poses, negative where a keypoint is outside, of shape (m, K)."""
        self._check_rotations(R)
        return self.cones.margins(R, t)

    def sample(self, n_samples: int = 1000, method: str = "ransag", random_state: Any = None) -> Poses:
        """Return members.

        Parameters
        ----------
        n_samples : int, default=1000
            ``"ransag"``: triples of keypoints to solve for, of which few or none are members. ``"hit_and_run"``:
            members.
        method : {"ransag", "hit_and_run"}, default="ransag"
            Poses of random triples of keypoints at random points of their ellipses, those that are members; or a walk
            through the set.
        random_state : int, RandomState or None, default=None
            Seed.

        Returns
        -------
        R, t : ndarrays of shapes (m, 3, 3) and (m, 3)
            Members.

        Raises
        ------
        ValueError
            For another method, and for a walk through a set that is unbounded, or of which no member is found.
        """
        if method not in _METHODS:
            raise ValueError(f"method={method!r} must be 'ransag' or 'hit_and_run'.")
        rng = _generator(random_state)
        if method == "ransag":
            return ransag(self.cones, n_samples, rng)
        walk = hit_and_run(self.cones, self._start(rng), n_samples, rng)
        return walk.R, walk.t

    def boundary_sample(self, n_samples: int = 1000, random_state: Any = None) -> Poses:
        """Return members next to the boundary, the ends of the chords of a walk; parameters are those of `sample`."""
        rng = _generator(random_state)
        walk = hit_and_run(self.cones, self._start(rng), -(-n_samples // 2), rng)
        return walk.boundary_R[:n_samples], walk.boundary_t[:n_samples]

    def average_pose(self, n_samples: int = 1000, random_state: Any = None) -> Pose:
        """Return the average of members from random triples; it need not be a member itself.

        Parameters
        ----------
        n_samples : int, default=1000
            Triples of keypoints to solve for.
        random_state : int, RandomState or None, default=None
            Seed.

        Returns
        -------
        pose : Pose
            The rotation nearest to the mean of rotations, and the mean of translations; if no member is found the pose
            whose worst keypoint is closest to its centre.
        """
        return average(self.members(n_samples, random_state))

    def mean_pose(self, R: npt.ArrayLike, t: npt.ArrayLike) -> Pose:
        """Return the average of given poses, of shapes (m, 3, 3) and (m, 3)."""
        return Pose(chordal_mean(R), np.asarray(t, dtype=np.float64).mean(axis=0))

    def members(self, n_samples: int = 1000, random_state: Any = None) -> Members:
        """Return members from random triples; where there are none from a search, or the pose closest to being one."""
        return find_members(self.cones, n_samples, _generator(random_state), walk=self.is_bounded())

    def is_bounded(self) -> bool:
        """Return whether the set is bounded: whether there is no point of the image that all ellipses share.

        Where they share one, all rotations are possible at a great distance. Ellipses that touch count as sharing it.
        """
        return self._common_point is None

    def is_empty(self, *, max_nodes: int = 20000, time_limit: float | None = None) -> bool | None:
        """Return whether there is no member: True if that is proved, False if one is known, None if undecided.

        Parameters
        ----------
        max_nodes : int, default=20000
            Boxes to bound.
        time_limit : float or None, default=None
            Seconds.
        """
        _check_budget(max_nodes, time_limit)
        found = find_members(self.cones, 1000, np.random.default_rng(0), walk=False)
        if len(found.R):
            return False
        decided = prove_empty(self.cones, found.closest_R, found.closest_t, max_nodes=max_nodes, time_limit=time_limit)
        return decided.empty

    def bounds(
        self,
        center: str | tuple[npt.ArrayLike, npt.ArrayLike] = "average",
        which: Sequence[str] = ("rotation", "translation"),
        *,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 0.02,
        n_samples: int = 1000,
        max_nodes: int = 20000,
        time_limit: float | None = None,
        random_state: Any = None,
    ) -> PoseBounds:
        """Bound the distances of all members from a pose.

        Parameters
        ----------
        center : {"average", "chebyshev"} or tuple of array-likes of shapes (3, 3) and (3,), default="average"
            The pose: that of `average_pose`, the centre of balls around members from a walk, which makes bounds small,
            or a given one, which need not be a member.
        which : sequence of {"rotation", "translation"}, default=("rotation", "translation")
            What to bound.
        solver : str or Solver, default="auto"
            A backend of :class:`~estimand.solvers.pose_bound.PoseBoundProblem`; see :func:`estimand.list_solvers`.
        tol : float, default=0.02
            Gap between the bounds of the squared distance, over the lower one: 0.02 is one per cent of a distance.
        n_samples : int, default=1000
            Triples of keypoints for the average.
        max_nodes : int, default=20000
            Boxes that the search may bound, for each of the two bounds; as many again where no member is known, for a
            proof that there is none. With ``solver="auto"`` and at most 30 keypoints the relaxation `moment2` goes on
            where they do not suffice. A `solver` that is an object keeps its own options.
        time_limit : float or None, default=None
            Seconds for each of the two bounds, and for such a proof.
        random_state : int, RandomState or None, default=None
            Seed.

        Returns
        -------
        bounds : PoseBounds
            The bounds, and how they are proved.

        Raises
        ------
        ValueError
            For a center that is no pose, and other words in `which`.
        """
        unknown = [word for word in which if word not in ("rotation", "translation")]
        if isinstance(which, str) or unknown or not which:
            raise ValueError(f"which={which!r} must be a sequence of 'rotation' and 'translation'.")
        _check_budget(max_nodes, time_limit)
        check_scalar(tol, "tol", Real, min_val=0)
        rng = _generator(random_state)
        members = self.members(n_samples, rng)
        options = {"max_nodes": max_nodes, "time_limit": time_limit, "random_state": int(rng.integers(2**31))}
        pose = self.center_pose(center, members, rng) if isinstance(center, str) else self._given(center)
        return bound_errors(self.cones, members, pose, which, solver, tol=tol, options=options)

    def translation_ellipsoid(
        self,
        *,
        n_samples: int = 1000,
        max_nodes: int = 20000,
        time_limit: float | None = None,
        random_state: Any = None,
    ) -> Ellipsoid:
        """Return an ellipsoid that holds the translations of all members.

        It is found by the S-lemma (SLUE): less than a ball with a certified radius, and wide along the ray of sight,
        along which one image says least. That it holds them all is certified.

        Parameters
        ----------
        n_samples : int, default=1000
            Triples of keypoints for the average pose.
        max_nodes : int, default=20000
            Boxes that the search for the radius may bound.
        time_limit : float or None, default=None
            Seconds for this search.
        random_state : int, RandomState or None, default=None
            Seed.

        Returns
        -------
        ellipsoid : Ellipsoid
            With the attributes ``center`` of shape (3,) and ``shape`` of shape (3, 3), the matrix S for which
            ``(t - center)^T S^-1 (t - center) <= 1``, the property ``semi_axes``, and the method ``contains``.

        Raises
        ------
        ValueError
            If the set is unbounded, or proved to be empty.

        References
        ----------
        L. Shaikewitz, T. Georgiou and L. Carlone, "Uncertainty quantification for visual object pose estimation"
        (2025).
        """
        found = self.bounds(
            which=["translation"],
            n_samples=n_samples,
            max_nodes=max_nodes,
            time_limit=time_limit,
            random_state=random_state,
        )
        if not np.isfinite(found.translation):
            raise ValueError(f"The set of poses is {found.status}: no ellipsoid holds all of its translations.")
        return slue(self.cones, *found.center, max(found.translation, np.finfo(float).tiny))

    def center_pose(self, center: str, members: Members, rng: np.random.Generator) -> Pose:
        """Return the pose that ``"average"`` or ``"chebyshev"`` means, given some members.

        Raises
        ------
        ValueError
            For another word.
        """
        if center not in _CENTERS:
            raise ValueError(f"center={center!r} must be 'average', 'chebyshev' or a tuple (R, t).")
        if center == "average" or not len(members.R) or not self.is_bounded():
            return average(members)
        walk = hit_and_run(self.cones, (members.R, members.t), _WALK, rng)
        return Pose(*enclosing_center(walk.boundary_R, walk.boundary_t))

    def __repr__(self) -> str:
        return f"<PoseUncertaintySet: {len(self.points)} keypoints>"

    @cached_property
    def _common_point(self) -> FloatArray | None:
        return common_point(self.cones.cones)

    def _given(self, center: Any) -> Pose:
        if not isinstance(center, tuple) or len(center) != 2:
            raise ValueError(f"center={center!r} must be 'average', 'chebyshev' or a tuple (R, t).")
        R, t = finite_array(center[0], "center[0]", (3, 3)), finite_array(center[1], "center[1]", (3,))
        check_rotations(R[None], "center")
        return Pose(R, t)

    def _start(self, rng: np.random.Generator) -> Poses:
        if not self.is_bounded():
            raise ValueError(
                "The set is unbounded: all keypoints may be seen at one point. There is no walk through it."
            )
        found = find_members(self.cones, 1000, rng, walk=False)
        if not len(found.R):
            raise ValueError(
                "No member is known: the pose that comes closest leaves an ellipse by a factor of "
                f"{found.violation:.3g}."
            )
        return found.R, found.t

    @staticmethod
    def _check_rotations(R: npt.ArrayLike) -> None:
        matrices = np.asarray(R, dtype=np.float64)
        if matrices.shape[-2:] == (3, 3):
            check_rotations(matrices.reshape(-1, 3, 3), "R")


def _own(value: Any, name: str, shape: tuple[int | str, ...]) -> FloatArray:
    """Return a read-only copy of an array: the set is not to change with what it was made of."""
    array = finite_array(value, name, shape).copy()
    array.flags.writeable = False
    return array


def _check_budget(max_nodes: Any, time_limit: Any) -> None:
    check_scalar(max_nodes, "max_nodes", Integral, min_val=0)
    if time_limit is not None:
        check_scalar(time_limit, "time_limit", Real, min_val=0)


def average(members: Members) -> Pose:
    """Return the average of members, or the pose closest to being one."""
    if not len(members.R):
        return Pose(members.closest_R, members.closest_t)
    return Pose(chordal_mean(members.R), members.t.mean(axis=0))


def _generator(random_state: Any) -> np.random.Generator:
    """Return a generator from what scikit-learn takes for a seed; a generator is used as it is."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
