r"""The moment relaxation of order 2 of pose-bound problems, and a solver of its own for it.

It maximises a linear functional of the moments up to the degree 4 of a measure on the set of poses, of which only this
is asked: the moment matrix of size 71 and the localizing matrices of size 13 of what is nonnegative on the set are
positive semidefinite. Other solvers for it are in `conic`; the radius that it needs is tightened in `chain`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....exceptions import InfeasibleProblemError
from ..cones import KeypointCones
from ..objectives import Kind
from ..rotations import nearest_rotation
from ..validation import FloatArray, finite_array
from .certificate import certified_bound, pack_blocks, residual
from .interior_point import Iterate, interior_point
from .interpolation import NodalRelaxation
from .local_basis import LocalBasis
from .local_frame import LocalFrame, fit_frame
from .pose_polynomials import PosePolynomials, pose_polynomials

__all__ = ["MomentBound", "MomentIterate", "MomentRelaxation", "close_blocks", "moment_bounds"]

#: Factors of the scales of the coordinates in the runs of the interior-point method.
_SCALES = (1.0, 3.0)
#: The least scales of turns, and of shifts over the radius: for smaller ones certificates, which hold for all rotations
#: and in the whole ball, get entries that are too large for their rounding errors.
_LEAST_TURN, _LEAST_SHIFT = 0.08, 0.04
#: Iterations of a run, and promising ones whose bounds are no better than those before, until the next run.
_RUN_ITERATIONS, _PATIENCE = 30, 5
#: The distance of the bound from the value, over the latter, at which there is no need of another run.
_GOOD = 0.01
#: The gap between the dual objective and the value, over the latter, from which on bounds are worth computing.
_PROMISING = 0.05
#: The distance of bounds that only have to be loose.
_LOOSE = 0.1
#: Largest infeasibility at which the value of weights counts as that of moments.
_FEASIBLE = 1e-6
#: The objective at half turns from a rotation that is rounded is off 8 by less.
_ROTATION = 1e-13
#: Times that what is left of the equations is moved into the moment block.
_CLOSINGS = 2


class MomentIterate:
    """A point on the way to the solution of a relaxation, and what it proves.

    Attributes
    ----------
    n_iter : int
        Steps so far.
    value : float
        The objective of the moments. Where `feasible`, a lower bound on the value of the relaxation.
    feasible : bool
        Whether the moments obey all constraints but for rounding.
    estimate : float
        The dual objective: what `bound` is going to be once the dual matrices obey their equations.
    """

    def __init__(self, relaxation: MomentRelaxation, nodal: NodalRelaxation, n_iter: int, iterate: Iterate) -> None:
        self._relaxation, self._nodal, self._iterate = relaxation, nodal, iterate
        unit = nodal.unit * relaxation.polynomials.unit
        self.n_iter = n_iter
        self.value, self.estimate = unit * iterate.value, unit * iterate.bound
        self.feasible = iterate.primal_infeasibility <= _FEASIBLE

    @cached_property
    def _closed(self) -> tuple[FloatArray, FloatArray]:
        blocks = self._nodal.to_monomials(*self._iterate.dual)
        constant = self._iterate.bound * self._nodal.unit
        return close_blocks(self._relaxation.polynomials, self._nodal.local, *blocks, constant)

    @cached_property
    def blocks(self) -> FloatArray:
        """The dual matrices, an array of shape (71^2 + (2K + 1) 13^2,) for `safe_bound`."""
        return pack_blocks(*self._closed)

    @cached_property
    def bound(self) -> float:
        """The bound that `blocks` prove (`safe_bound`), rounding errors included."""
        return certified_bound(self._relaxation.polynomials, *self._closed)

    @property
    def promising(self) -> bool:
        """Whether the bound can be good: the dual objective is within 5 % of the value, or below it."""
        return self.feasible and self.estimate - self.value <= _PROMISING * abs(self.value)

    def pose(self) -> tuple[FloatArray, FloatArray]:
        """Return the pose of the moments of degree 1, rounded to a rotation; often near to a worst one, no member."""
        R, tau = self._nodal.mean_pose(self._iterate.w)
        return self._relaxation.pose(nearest_rotation(R), tau)


class MomentRelaxation:
    r"""The moment relaxation of order 2 of a pose-bound problem.

    .. math::
        \max_L \; L(f) \quad \text{s.t.} \quad L(1) = 1, \quad L(m m^T) \succeq 0, \quad L(q_b \, n n^T) \succeq 0

    over the linear functionals L on polynomials of degree 4 in a rotation and a translation, with the vectors m and n
    of all monomials of degree at most 2 and 1. The polynomials q_b are ``(b_k^T s)^2 - ||M_k s||^2`` and
    ``b_k^T s - d_min`` for all keypoints, and ``1 - ||t - t_0||^2 / T^2``.

    Parameters
    ----------
    cones : KeypointCones
        The set of poses.
    R0, t0 : array-likes of shapes (3, 3) and (3,)
        The centre.
    max_distance : float
        The radius T around t0 within which all translations of the set are known to lie: bounds hold for poses within
        it, and are the better the smaller it is.
    kind : {"rotation", "translation"}
        Whether ``||R - R_0||_F^2`` is bounded, or ``||t - t_0||^2``.

    Attributes
    ----------
    polynomials : PosePolynomials
        The problem in the variables ``Q^T R`` and ``(t - t_0) / T``.

    Raises
    ------
    ValueError
        For wrong shapes, an R0 that is no rotation, a radius that is not positive and finite, and another kind.

    References
    ----------
    H. Yang and M. Pavone, "Object pose estimation with statistical guarantees: conformal keypoint detection and
    geometric uncertainty propagation", CVPR 2023, section 5. J. B. Lasserre, "Global optimization with polynomials and
    the problem of moments", SIAM Journal on Optimization 11 (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.cones import KeypointCones
    >>> from estimand.solvers.pose_bound.moments.relaxation import MomentRelaxation
    >>> points = 0.1 * np.array([[1, 0, 0], [-1, 1, 0], [0, -1, 1], [1, 1, -1], [-1, -1, -1]])
    >>> seen = points + [0.0, 0.0, 1.0]
    >>> precisions = np.tile(np.eye(2) / 0.01**2, (5, 1, 1))
    >>> cones = KeypointCones.from_sets(seen[:, :2] / seen[:, 2:], precisions, points)
    >>> relaxation = MomentRelaxation(cones, np.eye(3), [0.0, 0.0, 1.0], 0.5, "translation")
    >>> for iterate in relaxation.iterates():
    ...     if iterate.promising and iterate.bound < 1.001 * iterate.value:
    ...         break
    >>> print(f"{iterate.bound:.4f}")
    0.0037
    """

    def __init__(
        self, cones: KeypointCones, R0: npt.ArrayLike, t0: npt.ArrayLike, max_distance: float, kind: Kind
    ) -> None:
        self.cones, self.max_distance, self.kind = cones, float(max_distance), kind
        self.polynomials: PosePolynomials = pose_polynomials(cones, R0, t0, max_distance, kind)
        self.R0, self.t0 = finite_array(R0, "R0", (3, 3)), finite_array(t0, "t0", (3,))

    @cached_property
    def frame(self) -> LocalFrame:
        """Coordinates that are scaled to the set, but not too small."""
        frame = fit_frame(self.cones, self.polynomials.rotation, self.t0, self.max_distance)
        turn, shift = frame.turns.max(), frame.shifts.max() / self.max_distance
        return frame.enlarged(max(1.0, _LEAST_TURN / turn), max(1.0, _LEAST_SHIFT / shift))

    @cached_property
    def trivial_bound(self) -> float:
        """What the objective is at most for any pose within the radius: 8, or ``T^2``."""
        if self.kind == "translation":
            return self.polynomials.unit * (1.0 + 1e-15)
        # The centre may be off a rotation, but what is so by rounding counts as one.
        first, second, third = np.linalg.svd(self.R0, compute_uv=False)
        largest = float((1.0 + first) ** 2 + (1.0 + second) ** 2 + (1.0 - third) ** 2)
        return largest if largest > 8.0 + _ROTATION else 8.0

    def check_nonempty(self, upper: float) -> None:
        """Refuse a bound that no pose can meet.

        Raises
        ------
        InfeasibleProblemError
            If it is negative.
        """
        if upper < 0.0:
            raise InfeasibleProblemError(
                f"The objective is at most {upper:.3g} on the set, which no pose can meet: the set is empty."
            )

    def iterates(self) -> Iterator[MomentIterate]:
        """Yield the iterates of the interior-point method, as long as their bounds may still get better.

        A run that rounding errors end without a good bound is followed by one in larger coordinates.
        """
        n_iter = 0
        for scale in _SCALES:
            frame = self.frame.enlarged(scale, scale)
            nodal = NodalRelaxation(self.cones, self.polynomials, self.t0, self.max_distance, frame)
            best, value, waiting = math.inf, -math.inf, 0
            for step, iterate in enumerate(interior_point(nodal)):
                current = MomentIterate(self, nodal, n_iter, iterate)
                yield current
                n_iter, value = n_iter + 1, current.value
                if current.estimate < -self.trivial_bound and not current.feasible:
                    return  # There are no moments, and most likely no poses.
                if current.promising:
                    waiting = 0 if current.bound < best else waiting + 1
                    best = min(best, current.bound)
                if step >= _RUN_ITERATIONS or waiting >= _PATIENCE:
                    break
            if best <= value + _GOOD * abs(value):
                return

    def pose(self, R: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the pose with given variables of the polynomials."""
        return self.polynomials.rotation @ R, self.t0 + self.max_distance * tau


def close_blocks(
    polynomials: PosePolynomials, basis: LocalBasis, moment: FloatArray, localizers: FloatArray, constant: float
) -> tuple[FloatArray, FloatArray]:
    """Move what approximate dual matrices leave of the equations into the moment block.

    Parameters
    ----------
    polynomials : PosePolynomials
        The problem.
    basis : LocalBasis
        Monomials in which the change is small.
    moment, localizers : ndarrays of shapes (71, 71) and (2K + 1, 13, 13)
        The matrices, in the monomials of `quotient`.
    constant : float
        What ``f + m^T X_0 m + sum_b q_b n^T X_b n`` is to be: the bound, in the unit of `polynomials`.

    Returns
    -------
    moment, localizers : ndarrays of shapes (71, 71) and (2K + 1, 13, 13)
        The matrices, whose equations hold to the rounding errors of their entries.
    """
    for _ in range(_CLOSINGS):
        remainder = residual(polynomials, moment, localizers)[:, 0]
        remainder[0] -= constant
        moment = moment + basis.absorb(remainder)
        moment = 0.5 * (moment + moment.T)
    return moment, localizers


class MomentBound(NamedTuple):
    """What a relaxation says of a problem.

    Parameters
    ----------
    kind : {"rotation", "translation"}
        The objective.
    max_distance : float
        The radius that the bound relies on.
    upper : float
        The bound on the objective, which holds whatever was rounded, at most 8, or ``max_distance^2``.
    value : float
        The largest objective of feasible moments, a lower bound on the value of the relaxation and not on the problem;
        minus infinity if there were none.
    blocks : ndarray or None
        The multipliers that prove the bound, or None if that is the trivial one.
    pose : tuple of ndarrays of shapes (3, 3) and (3,), or None
        The pose of the moments of degree 1, rounded; in general no member.
    """

    kind: Kind
    max_distance: float
    upper: float
    value: float
    blocks: FloatArray | None
    pose: tuple[FloatArray, FloatArray] | None

    def is_tight(self, tol: float) -> bool:
        """Whether the bound is within the share `tol` of the value of the relaxation."""
        return self.upper <= self.value + tol * abs(self.value)


def moment_bounds(
    relaxation: MomentRelaxation,
    *,
    tol: float = 1e-3,
    incumbent: float = -math.inf,
    loose_below: float = -math.inf,
) -> Iterator[MomentBound]:
    """Solve a relaxation by the interior-point method.

    Parameters
    ----------
    relaxation : MomentRelaxation
        What is solved.
    tol : float, default=1e-3
        The run ends once the bound is within this share of the value of the relaxation.
    incumbent : float, default=-inf
        The objective at a member; the run also ends once the bound is within ``tol`` times this above it.
    loose_below : float, default=-inf
        A bound below it only has to be within 10 % of the value.

    Yields
    ------
    bound : MomentBound
        The trivial bound, and after each step the best one so far.

    Raises
    ------
    InfeasibleProblemError
        If the bound proves that the set is empty. Not every empty set is found to be.
    """
    found = MomentBound(
        relaxation.kind, relaxation.max_distance, relaxation.trivial_bound, -math.inf, blocks=None, pose=None
    )
    yield found
    for iterate in relaxation.iterates():
        if iterate.feasible:
            value = max(found.value, min(iterate.value, relaxation.trivial_bound))
            found = found._replace(value=value, pose=iterate.pose())
        if iterate.promising or iterate.estimate <= incumbent * (1.0 + tol):
            if iterate.bound < found.upper:
                relaxation.check_nonempty(iterate.bound)
                found = found._replace(upper=iterate.bound, blocks=iterate.blocks)
        yield found
        near = found.upper <= incumbent + tol * abs(incumbent)
        if near or found.is_tight(_LOOSE if found.upper <= loose_below else tol):
            return
