"""The default backend for penalties that are not convex: continuation from a nearly convex one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from sklearn.base import clone

from ...penalties import CEL0, L0, MCP, SCAD, Lq
from .descent import BlockDescent, Stage
from .problem import SparseCodingProblem

__all__ = ["Graduated"]

_CONTINUATIONS: dict[str, tuple[float, ...]] = {"default": (5.0, 2.0), "thorough": (10.0, 5.0, 2.5, 1.5)}
_STAGE_TOL = 1e-5


class Graduated(BlockDescent):
    r"""Graduated non-convexity: working-set coordinate descent through penalties that are less and less convex.

    For l0, CEL0 and lq the stages are MCP penalties: with the lengths ``a_j`` of the atoms and the value ``h_j`` below
    which the penalty sets ``a_j w_j`` to 0, stage gamma has

    .. math:: \alpha_j = a_j h_j / \sqrt{\gamma}, \qquad \gamma_j = \gamma / a_j^2

    so that for l0 each stage charges as much for a large code as l0 itself. For MCP and SCAD the stages are the same
    penalty with its gamma times these values. Each stage starts from the codes of the one before it.

    Parameters
    ----------
    continuation : {"default", "thorough"} or sequence of float, default="default"
        The values gamma, largest first, each above 1; ``"default"`` means 5 and 2, ``"thorough"`` 10, 5, 2.5 and 1.5.
    max_iter : int, default=1000
        Working sets a signal, in each stage.
    time_limit : float or None, default=None
        Seconds; looked at after every 128 signals.
    n_jobs : int or None, default=None
        Threads; None means all that OpenMP may use.

    Notes
    -----
    Along one coordinate an MCP stage has a single minimiser that moves continuously, so that the order of the atoms
    hardly matters. The result is a local minimum, as a rule a better one than coordinate descent alone finds. A `start`
    is where the first stage begins.

    References
    ----------
    A. Blake and A. Zisserman, "Visual reconstruction", MIT Press (1987). R. Mazumder, J. Friedman and T. Hastie,
    "SparseNet: coordinate descent with nonconvex penalties", JASA 106 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.penalties import L0
    >>> from estimand.solvers.sparse_coding import SparseCodingProblem
    >>> from estimand.solvers.sparse_coding.graduated import Graduated
    >>> D = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]])
    >>> problem = SparseCodingProblem(X=np.array([[0.1, 0.9, 1.2]]), D=D, penalty=L0(0.1))
    >>> Graduated().solve(problem, tol=1e-10).x.round(6).tolist()
    [[0.0, 0.0, 1.5]]
    """

    name = "graduated"
    guarantee = "exact"
    supports: ClassVar[frozenset[str]] = frozenset({"positive", "nonconvex"})
    fraction = 0.3
    largest = 256

    def __init__(
        self,
        continuation: str | Sequence[float] = "default",
        max_iter: int = 1000,
        time_limit: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(max_iter, time_limit, n_jobs)
        self.continuation = continuation

    def stages(self, problem: SparseCodingProblem, tol: float) -> Sequence[Stage]:
        """Return the penalties of the continuation, then the problem's own."""
        return [*(_stage(problem, gamma) for gamma in self._gammas()), *super().stages(problem, tol)]

    def _gammas(self) -> tuple[float, ...]:
        given = self.continuation
        gammas = _CONTINUATIONS.get(given) if isinstance(given, str) else tuple(float(gamma) for gamma in given)
        if gammas is None or not all(1 < gamma < np.inf for gamma in gammas) or list(gammas) != sorted(gammas)[::-1]:
            raise ValueError(
                f"continuation={given!r} must be {' or '.join(map(repr, _CONTINUATIONS))}, or numbers above 1, the "
                "largest first."
            )
        return gammas

    def refuses(self, problem: SparseCodingProblem) -> str | None:
        """Return why there is no path to the penalty of `problem`, or None."""
        if not isinstance(problem.penalty, (L0, CEL0, Lq, MCP, SCAD)):
            return f"there is no path to {type(problem.penalty).__name__}: l0, cel0, lq, mcp and scad have one"
        return None


def _stage(problem: SparseCodingProblem, gamma: float) -> Stage:
    atoms = problem.dictionary
    if isinstance(problem.penalty, (MCP, SCAD)):
        penalty = clone(problem.penalty).set_params(gamma=gamma * problem.penalty.gamma)
        code, *parameters = penalty.kernel_arguments()
        table = np.tile(np.array(parameters), (problem.n_atoms, 1))
        return Stage(code, table, np.asarray(penalty.threshold(1.0 / atoms.curvature)), _STAGE_TOL)
    alpha = atoms.curvature * problem.threshold / np.sqrt(gamma)
    table = np.column_stack([alpha, gamma / atoms.curvature, np.zeros_like(alpha)])
    return Stage(MCP.code, table, alpha / atoms.curvature, _STAGE_TOL)
