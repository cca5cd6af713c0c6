"""Chains of bounds: a bound on the translation is a radius, with which relaxations prove smaller bounds.

What solves the relaxations is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..objectives import Kind
from ..problem import PoseBoundProblem
from .certificate import safe_bound
from .relaxation import MomentBound, MomentRelaxation

__all__ = ["Chain", "MomentDual", "Solve", "chains"]

#: The next radius over the bound on the distance: members stay clear of the border, where relaxations are loose.
_CLEARANCE = 1.05
#: A radius that shrinks to more than this share is the last one.
_SHRINKAGE = 0.7
_N_ROUNDS = 8
#: More than a square root is rounded.
_ROUNDING = 1.0 + 1e-15

Chain = tuple[MomentBound, ...]
#: Yields better and better bounds on a relaxation; one below the number may be loose.
Solve = Callable[[MomentRelaxation, float], Iterable[MomentBound]]


@dataclass(frozen=True, eq=False)
class MomentDual:
    """The multipliers of relaxations, as what proves a bound.

    Parameters
    ----------
    chain : tuple of MomentBound
        The relaxations in order: each relies on the radius that those before it have proved, the first on that of the
        problem.
    """

    chain: Chain

    def upper_bound(self, problem: PoseBoundProblem) -> float:
        """Return the bound that the multipliers prove, computed anew from the data of `problem`."""
        radius, upper = problem.reach.max_distance, math.inf
        for found in self.chain:
            if found.blocks is None:
                continue
            if not radius <= found.max_distance < math.inf:
                break
            arguments = problem.cones, problem.R0, problem.t0, found.max_distance, found.kind
            proved = safe_bound(*arguments, found.blocks)
            if found.kind == "translation":
                radius = min(radius, math.sqrt(max(proved, 0.0)) * _ROUNDING)
            if found.kind == problem.kind:
                upper = min(upper, proved)
        return upper

    def claimed_bound(self, kind: Kind) -> float:
        """Return the bound that the runs have computed, infinity if there is none yet."""
        return min((found.upper for found in self.chain if found.kind == kind), default=math.inf)


def chains(problem: PoseBoundProblem, solve: Solve) -> Iterator[Chain]:
    """Bound distances of translation, again and again with the radius that was proved, and then those of rotation.

    Every member obeys the bound on the translation, so that 1.05 times its root is a radius for the next round, until
    this shrinks by less than 30 %. All bounds are the tighter the smaller the radius is.

    Parameters
    ----------
    problem : PoseBoundProblem
        A problem that is bounded.
    solve : callable
        Solves the relaxations.

    Yields
    ------
    chain : tuple of MomentBound
        What is known whenever `solve` yields.

    Raises
    ------
    InfeasibleProblemError
        If a bound proves that the set is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.solvers.pose_bound.examples import random_instance
    >>> from estimand.solvers.pose_bound.moments.chain import MomentDual, chains
    >>> from estimand.solvers.pose_bound.moments.relaxation import moment_bounds
    >>> problem = random_instance(0, "rotation")
    >>> for chain in chains(problem, lambda relaxation, loose: moment_bounds(relaxation, loose_below=loose)):
    ...     pass
    >>> [found.kind for found in chain], bool(MomentDual(chain).upper_bound(problem) == chain[-1].upper)
    (['translation', 'translation', 'rotation'], True)
    """
    done: Chain = ()
    radius = problem.reach.max_distance
    arguments = problem.cones, problem.R0, problem.t0
    for round_ in range(1, _N_ROUNDS + 1):
        # A bound below it makes for another round.
        loose_below = -math.inf if round_ == _N_ROUNDS else (_SHRINKAGE * radius / _CLEARANCE) ** 2
        for found in solve(MomentRelaxation(*arguments, radius, "translation"), loose_below):
            yield (*done, found)
        done = (*done, found)
        proved = _CLEARANCE * math.sqrt(found.upper)
        last = proved > _SHRINKAGE * radius
        radius = min(radius, proved)
        if last:
            break
    if problem.kind == "rotation":
        for found in solve(MomentRelaxation(*arguments, radius, "rotation"), -math.inf):
            yield (*done, found)
