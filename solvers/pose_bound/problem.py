"""The pose-bound problem: how far from a given pose those can be that put every keypoint in its set.

The searches and the relaxations that prove bounds are the backends'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, Protocol, get_args

import numpy as np

from ...exceptions import UnboundedProblemError
from ..base import Problem
from ..certificate import Certificate
from ..solution import Solution
from .boundedness import Boundedness, boundedness
from .cones import KeypointCones
from .objectives import Kind, negligible, squared_error
from .validation import FloatArray, check_rotations, finite_array

__all__ = ["Pose", "PoseBoundDual", "PoseBoundProblem", "tighter"]

#: The objective of rotations by 180 degrees.
_FARTHEST = 8.0
#: An entry of ``R^T R - I`` of a member may be this large.
_ORTHONORMAL = 1e-12


class Pose(NamedTuple):
    """A rotation and a translation: a point P of the object is at ``rotation @ P + translation`` of the camera's frame.

    Parameters
    ----------
    rotation : ndarray of shape (3, 3)
        The rotation.
    translation : ndarray of shape (3,)
        The translation, in the unit of the object's points.
    """

    rotation: FloatArray
    translation: FloatArray


class PoseBoundDual(Protocol):
    """What proves an upper bound: the tree of a search, or the multipliers of a relaxation."""

    def upper_bound(self, problem: PoseBoundProblem) -> float:
        """Return a bound on the objective over all members, computed from the data of `problem`; inf if it has none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PoseBoundProblem(Problem[Pose]):
    r"""Maximise the distance from a given pose over all poses that put every keypoint in its set.

    .. math::
        \max_{(R, t)} \|R - R_0\|_F^2 = 6 - 2 \operatorname{tr}(R_0^\top R)
        \quad \text{(rotation)} \qquad \text{or} \qquad \max_{(R, t)} \|t - t_0\|_2^2 \quad \text{(translation)}

    over the set of poses of :class:`KeypointCones`. The angle of the rotation from ``R_0`` to R is
    ``2 arcsin(||R - R_0||_F / sqrt 8)``.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    R0 : ndarray of shape (3, 3)
        A rotation; the pose ``(R0, t0)`` need not be a member.
    t0 : ndarray of shape (3,)
        A translation, in the unit of the object's points.
    kind : {"rotation", "translation"}
        Which distance is maximised.

    Raises
    ------
    ValueError
        For wrong shapes, entries that are not finite, a matrix that is no rotation, and another kind.

    Notes
    -----
    The certificate has the value of a member as its lower bound, and an upper bound that is computed from the dual,
    with all rounding errors on the safe side; the value of a pose that is no member is no lower bound. Its scale is the
    lower bound, and at least the square of 1e-5 rad, or of 1e-5 of the object's diameter.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound import KeypointCones, Pose, PoseBoundProblem
    >>> points = np.array([[0.1, 0.0, 0.0], [-0.1, 0.1, 0.0], [0.0, -0.1, 0.1], [0.1, 0.1, -0.1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], np.tile(1e4 * np.eye(2), (4, 1, 1)), points)
    >>> problem = PoseBoundProblem(cones=cones, R0=np.eye(3), t0=np.array([0.0, 0.0, 1.0]), kind="translation")
    >>> round(problem.objective(Pose(np.eye(3), np.array([0.0, 0.0, 1.1]))), 6)
    0.01
    """

    name: ClassVar[str] = "pose_bound"
    sense: ClassVar[Literal["min", "max"]] = "max"

    cones: KeypointCones
    R0: FloatArray
    t0: FloatArray
    kind: Kind

    def __post_init__(self) -> None:
        check_rotations(finite_array(self.R0, "R0", (3, 3))[None], "R0")
        finite_array(self.t0, "t0", (3,))
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind={self.kind!r} must be 'rotation' or 'translation'.")

    def objective(self, x: Pose) -> float:
        """Return ``||R - R0||_F^2``, or ``||t - t0||^2``."""
        return float(self.objectives(x.rotation[None], x.translation[None])[0])

    def objectives(self, R: FloatArray, t: FloatArray) -> FloatArray:
        """Return the objective of many poses, of shapes (m, 3, 3) and (m, 3)."""
        return squared_error(self.kind, R, t, self.R0, self.t0)

    def is_member(self, x: Pose) -> bool:
        """Whether `x` is a rotation and a translation that put every keypoint in its set."""
        R = np.asarray(x.rotation)
        if not (np.all(np.isfinite(R)) and np.abs(R.T @ R - np.eye(3)).max() <= _ORTHONORMAL and np.linalg.det(R) > 0):
            return False
        return bool(self.cones.contains(R, x.translation)[0])

    def certify(self, x: Pose, dual: PoseBoundDual | None = None, *, tol: float) -> Certificate:
        """Bound the maximum: from below by `x`, if it is a member, from above by what `dual` proves.

        Without a dual the upper bound is that of half a turn, or of the radius in `reach`.
        """
        lower = self.objective(x) if self.is_member(x) else -math.inf
        proved = math.inf if dual is None else float(dual.upper_bound(self))
        farthest = _FARTHEST if self.kind == "rotation" else self.reach.max_distance**2 * (1.0 + 1e-15)
        return self.between(lower, min(proved, farthest), tol=tol)

    def between(self, lower: float, upper: float, *, tol: float) -> Certificate:
        """Return the certificate of two bounds that are proved; an upper one below the lower one is so by rounding."""
        scale = max(lower, self.scale)
        return Certificate.from_bounds("bounds", lower, max(upper, lower), scale=scale, tol=tol)

    def check_bounded(self) -> None:
        """Refuse sets that are not known to be bounded.

        Raises
        ------
        UnboundedProblemError
            If ellipses may share a point.
        """
        if self.reach.status == "unbounded":
            raise UnboundedProblemError("Poses are unbounded: all keypoints may be seen at one point of the image.")

    def claim(self, lower: float, upper: float, *, tol: float) -> float:
        """Return the value of a certificate with bounds that a run has not proved yet, and more than it asks for.

        `lower` is minus infinity where no member is known.
        """
        gap = (upper - lower) * self.scale / max(lower, self.scale)
        return max(gap, 1.001 * tol * self.scale)

    @cached_property
    def reach(self) -> Boundedness:
        """Whether the set is bounded, and how far from ``t0`` its translations are at most."""
        return boundedness(self.cones, self.t0)

    def initial_point(self) -> Pose:
        """Return the given pose."""
        return Pose(np.array(self.R0, dtype=np.float64), np.array(self.t0, dtype=np.float64))

    @cached_property
    def scale(self) -> float:  # type: ignore[override]
        """The square of the angle, or distance, below which poses count as equal."""
        return negligible(self.kind, self.cones.diameter)


def tighter(problem: PoseBoundProblem, one: Solution[Pose], other: Solution[Pose]) -> Solution[Pose]:
    """Return the first of two solutions, with the better of their poses and the dual of the smaller upper bound."""
    best = max(one, other, key=lambda solution: solution.certificate.lower)
    proof = min(one, other, key=lambda solution: solution.certificate.upper)
    certificate = problem.between(best.certificate.lower, proof.certificate.upper, tol=one.certificate.tol)
    return replace(
        one,
        x=best.x,
        dual=proof.dual,
        objective=best.objective,
        certificate=certificate,
        status="converged" if certificate.converged else one.status,
        message="" if certificate.converged else one.message,
        n_iter=one.n_iter + other.n_iter,
    )
