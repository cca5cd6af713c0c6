"""Bounds on the errors of a pose: what is asked of the solvers, and what their answers mean."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...exceptions import InfeasibleProblemError, SolverError
from ...solvers import Solution, Solver, resolve_solver
from ...solvers.pose_bound import KeypointCones, Pose, PoseBoundProblem
from ...solvers.pose_bound.members import Members
from ...solvers.pose_bound.problem import tighter
from ...solvers.pose_bound.rotations import rotation_angle

__all__ = ["PoseBounds", "bound_errors"]

FloatArray = npt.NDArray[np.float64]

_KINDS = ("rotation", "translation")
#: Covers the rounding errors of roots and angles.
_ROUNDING = 1 + 1e-14
#: With more keypoints than this a relaxation takes too long to be worth a try.
_RELAXED = 30


@dataclass(frozen=True, eq=False, kw_only=True)
class PoseBounds:
    """How far the poses of an uncertainty set are from one pose, at most and at least.

    Attributes
    ----------
    center : Pose
        The pose that distances are measured from.
    center_in_set : bool
        Whether it is a member.
    rotation_deg : float
        Upper bound on the angle to the rotation of any member, in degrees. NaN if it was not asked for, or the set is
        empty.
    rotation_lower_deg : float
        The angle of a member: how much smaller the upper bound can be at best. NaN where no member is known.
    translation, translation_lower : float
        The same for distances of translations, in the unit of the object's points.
    worst_rotation_pose, worst_translation_pose : Pose or None
        The members that attain the lower bounds.
    status : {"bounded", "unbounded", "empty", "truncated"}
        ``"bounded"``: the bounds are as close as asked for. ``"unbounded"``: the keypoints may all be seen at one
        point, so that any rotation is possible at a great distance, or nearly so: no bound below 5000 diameters of the
        object could be proved. ``"empty"``: there is no member, which is proved.
        ``"truncated"``: the upper bounds are valid, but a budget ran out before they met the lower ones.
    solutions : mapping of str to Solution
        By ``"rotation"`` and ``"translation"``: the certificates of the squared distances.
    n_nodes : int
        Boxes that were bounded, and iterations of other solvers, in both searches.
    seconds : float
        Time they took.
    """

    center: Pose
    center_in_set: bool
    rotation_deg: float = np.nan
    rotation_lower_deg: float = np.nan
    translation: float = np.nan
    translation_lower: float = np.nan
    worst_rotation_pose: Pose | None = None
    worst_translation_pose: Pose | None = None
    status: str = "bounded"
    solutions: Mapping[str, Solution[Pose]] = field(default_factory=dict)
    n_nodes: int = 0
    seconds: float = 0.0


def bound_errors(
    cones: KeypointCones,
    members: Members,
    center: Pose,
    which: Sequence[str],
    solver: str | Solver[Any, Any],
    *,
    tol: float,
    options: Mapping[str, Any],
) -> PoseBounds:
    """Bound the distances of all members from a pose.

    Parameters
    ----------
    cones : KeypointCones
        The set.
    members : Members
        Some members, or the pose closest to being one.
    center : Pose
        The pose.
    which : sequence of {"rotation", "translation"}
        What to bound.
    solver : str or Solver
        A backend of `PoseBoundProblem`.
    tol : float
        Gap between the bounds of squared distances, over the lower one.
    options : mapping
        Options of a backend given by name.
    """
    began = time.perf_counter()
    problems = {
        kind: PoseBoundProblem(cones=cones, R0=center.rotation, t0=center.translation, kind=kind)  # type: ignore[arg-type]
        for kind in _KINDS
        if kind in which
    }
    common: dict[str, Any] = {"center": center, "center_in_set": bool(cones.contains(*center)[0])}
    if any(problem.reach.status == "unbounded" for problem in problems.values()):
        return PoseBounds(**common, **_of_unbounded(problems, members), seconds=time.perf_counter() - began)
    start = _first_member(members)
    found: dict[str, Any] = {"solutions": {}}
    for kind, problem in problems.items():
        try:
            solution = _solve(problem, solver, start, tol, options)
        except InfeasibleProblemError:
            return PoseBounds(**common, status="empty", seconds=time.perf_counter() - began)
        if solution is None:
            found |= {"rotation_deg": 180.0} if kind == "rotation" else {"translation": problem.reach.max_distance}
            continue
        found["solutions"][kind] = solution.compact()
        found |= _distances(kind, solution)
    unfinished = any(kind not in found["solutions"] or not found["solutions"][kind].converged for kind in problems)
    return PoseBounds(
        **common,
        **found,
        status="truncated" if unfinished else "bounded",
        n_nodes=sum(solution.n_iter for solution in found["solutions"].values()),
        seconds=time.perf_counter() - began,
    )


def angle_bound(value: float) -> float:
    """Return the angle in degrees whose rotations have ``||R - R0||_F^2`` equal to `value`, at most 180."""
    return float(min(np.rad2deg(2 * np.arcsin(np.sqrt(min(max(value, 0.0), 8.0) / 8.0))), 180.0))


def _solve(
    problem: PoseBoundProblem,
    solver: str | Solver[Any, Any],
    start: Pose | None,
    tol: float,
    options: Mapping[str, Any],
) -> Solution[Pose] | None:
    """Return the solution of a problem, or None if a heuristic found no member.

    Where ``"auto"`` runs out of boxes, a semidefinite relaxation may prove a smaller bound.
    """
    began = time.perf_counter()
    backend, choice = resolve_solver(solver, problem, options=options)
    try:
        solution = _uninterrupted(backend, problem, start, tol)
    except SolverError:
        if backend.guarantee == "heuristic":
            return None
        raise
    if solver == "auto" and solution.status == "max_iter" and problem.cones.n_keypoints <= _RELAXED:
        limit = options.get("time_limit")
        left = None if limit is None else max(0.0, limit - (time.perf_counter() - began))
        relaxation, _ = resolve_solver("moment2", problem, options={**options, "time_limit": left})
        other = _uninterrupted(relaxation, problem, solution.x, tol)
        solution, choice = tighter(problem, solution, other), f"{choice}; moment2 too, when it was out of boxes"
    return replace(solution, choice=choice)


def _uninterrupted(
    backend: Solver[Any, Any], problem: PoseBoundProblem, start: Pose | None, tol: float
) -> Solution[Pose]:
    """Solve a problem; Ctrl-C ends this search and those that were to follow."""
    solution = backend.solve(problem, start=start, tol=tol)
    if solution.status == "interrupted":
        raise KeyboardInterrupt("the search for a bound was interrupted")
    return solution


def _distances(kind: str, solution: Solution[Pose]) -> dict[str, Any]:
    """Return the fields of `PoseBounds` that a solution decides."""
    lower, upper = solution.certificate.lower, solution.certificate.upper * _ROUNDING
    worst = solution.x if lower > -np.inf else None
    low = lower if worst is not None else np.nan
    if kind == "rotation":
        lowest = angle_bound(low) if worst is not None else np.nan
        return {"rotation_deg": angle_bound(upper), "rotation_lower_deg": lowest, "worst_rotation_pose": worst}
    return {
        "translation": float(np.sqrt(upper)),
        "translation_lower": float(np.sqrt(low)),
        "worst_translation_pose": worst,
    }


def _of_unbounded(problems: Mapping[str, PoseBoundProblem], members: Members) -> dict[str, Any]:
    """Return the fields for a set that is not bounded, with the farthest of the members that are known."""
    found: dict[str, Any] = {"status": "unbounded"}
    for kind, problem in problems.items():
        values = problem.objectives(members.R, members.t)
        worst = Pose(members.R[values.argmax()], members.t[values.argmax()]) if values.size else None
        if kind == "rotation":
            lowest = rotation_angle(problem.R0, worst.rotation) if worst else np.nan
            found |= {"rotation_deg": 180.0, "rotation_lower_deg": lowest, "worst_rotation_pose": worst}
        else:
            found |= {
                "translation": np.inf,
                "translation_lower": float(np.sqrt(values.max())) if worst else np.nan,
                "worst_translation_pose": worst,
            }
    return found


def _first_member(members: Members) -> Pose | None:
    return Pose(members.R[0], members.t[0]) if len(members.R) else None
