"""Paths of PRESTO over a grid of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...solvers import Solution, Solver, resolve_solver
from ...solvers.ordinal.problem import OrdinalPoint
from ...solvers.presto import PrestoProblem
from .._base import report
from ..lasso_path import alpha_grid
from ._data import OrdinalData, prepare
from .classifier import PrestoClassifier

__all__ = ["PrestoPath", "grid", "presto_path", "solve_path"]

FloatArray = npt.NDArray[np.float64]

#: An automatic grid is not solved further once so much of the deviance is explained, or so little more than before.
_EXPLAINED = 0.999
_CHANGE = 1e-8
#: With so large a penalty, in units of the largest gradient of the model without features, all that it acts on is 0.
_DOMINANT = 1e6
_REPEATED = "repeated: at larger penalties nothing was left to explain"
_SMALLEST_SHARE = 1e-2
_SMALLEST_SHARE_RIDGE = 1e-5
_MOSTLY_RIDGE = 0.1


@dataclass(frozen=True, eq=False)
class PrestoPath:
    """Solutions of PRESTO along a grid of penalties, in the coordinates of the user's features.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        The penalties, largest first.
    intercepts : ndarray of shape (n_alphas, n_classes - 1)
        Intercepts of the boundaries.
    coefs : ndarray of shape (n_alphas, n_classes - 1, n_features)
        Slopes of the boundaries.
    dual_gaps : ndarray of shape (n_alphas,)
        Bounds on the excess of the objectives.
    n_iters : ndarray of shape (n_alphas,)
        Iterations of the backend.
    objectives : ndarray of shape (n_alphas,)
        Objectives for the standardised features.
    categories : ndarray of shape (n_classes,)
        The classes in ordinal order.
    solutions : tuple of Solution
        The solutions with their certificates.
    """

    alphas: FloatArray
    intercepts: FloatArray
    coefs: FloatArray
    dual_gaps: FloatArray
    n_iters: npt.NDArray[np.intp]
    objectives: FloatArray
    categories: npt.NDArray[Any]
    solutions: tuple[Solution[OrdinalPoint], ...]


def grid(
    solver: Solver[Any, Any],
    problem: PrestoProblem,
    alphas: Any,
    n_alphas: int,
    alpha_min_ratio: float | None,
    tol: float,
) -> FloatArray:
    """Return a grid of penalties, largest first.

    Raises
    ------
    ValueError
        If nothing is penalised, so that there is no largest useful penalty, and `alphas` is None.
    """
    if alphas is not None:
        return alpha_grid(1.0, 0.5, alphas)
    penalised = problem.penalty_weights > 0
    if problem.X.shape[1] and not penalised.any():
        raise ValueError(
            "Nothing is penalised (base_penalty or all penalty_weights are 0): there is no grid of alphas; pass alphas."
        )
    start = None
    if not penalised.all():
        start = solver.solve(problem.at(_DOMINANT * problem.scale), tol=tol).x
    largest = problem.alpha_max(start)
    if largest == 0:
        return np.ones(1)
    if alpha_min_ratio is None:
        alpha_min_ratio = _SMALLEST_SHARE if problem.l1_ratio >= _MOSTLY_RIDGE else _SMALLEST_SHARE_RIDGE
    values = alpha_grid(largest, alpha_min_ratio, n_alphas)
    values[0] = largest  # not a rounded power
    return values


def solve_path(
    solver: Solver[Any, Any], problem: PrestoProblem, alphas: Sequence[float], tol: float, *, stop_early: bool
) -> list[Solution[OrdinalPoint]]:
    """Solve for each of falling penalties from the solution before it; stop after an interrupted one.

    Parameters
    ----------
    solver : Solver
        A backend.
    problem : PrestoProblem
        At any penalty.
    alphas : sequence of float
        The penalties, largest first.
    tol : float
        Relative tolerance.
    stop_early : bool
        Whether the last solution is repeated, with its certificates, once it explains nearly all of the deviance or no
        more than the one before.
    """
    solutions: list[Solution[OrdinalPoint]] = []
    last, start, finished = 0.0, None, False
    for alpha in alphas:
        item = problem.at(float(alpha))
        if finished:
            certificate = item.certify(solutions[-1].x, tol=tol).compact()
            repeated = replace(solutions[-1], certificate=certificate, objective=certificate.upper, n_iter=0)
            status = "converged" if certificate.converged else "stalled"
            solutions.append(replace(repeated, status=status, message=_REPEATED))
            continue
        start = solver.solve(item, start=start, tol=tol)
        solutions.append(start.compact())
        if start.status == "interrupted":
            break
        explained = 1.0 - (start.objective - item.penalty(start.x.coef)) / problem.loss.null_value
        varies = bool(np.any(start.x.coef[problem.penalty_weights > 0]))
        finished = stop_early and varies and (explained > _EXPLAINED or explained - last < _CHANGE * explained)
        last = explained
    return solutions


def coefficients(
    data: OrdinalData, problem: PrestoProblem, solutions: Sequence[Solution[OrdinalPoint]]
) -> tuple[FloatArray, FloatArray]:
    """Return intercepts and slopes of the user's features, stacked along the path."""
    pairs = [data.original(s.x.intercept, problem.slopes(s.x.coef)) for s in solutions]
    return np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs])


def presto_path(
    X: Any,
    y: Any,
    *,
    alphas: int | npt.ArrayLike | None = None,
    n_alphas: int = 20,
    alpha_min_ratio: float | None = None,
    sample_weight: npt.ArrayLike | None = None,
    **params: Any,
) -> PrestoPath:
    """Fit PRESTO along a grid of penalties, each from the solution before it.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The features.
    y : array-like of shape (n_samples,)
        The labels.
    alphas : array-like or None, default=None
        The penalties; None makes a grid from the smallest that sets all penalised coefficients to 0.
    n_alphas : int, default=20
        Length of that grid.
    alpha_min_ratio : float or None, default=None
        Its smallest over its largest penalty, in (0, 1); None means 1e-2, or 1e-5 where ``l1_ratio < 0.1``.
    sample_weight : array-like of shape (n_samples,) or None
        Nonnegative weights.
    **params : dict
        Parameters of :class:`PrestoClassifier` other than `alpha` and `crossing`.

    Returns
    -------
    path : PrestoPath
        The solutions.

    Raises
    ------
    ValueError
        For bad data or parameters, and where nothing is penalised and no `alphas` are given.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), section 4.

    Examples
    --------
    >>> from estimand import presto_path
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(random_state=0)
    >>> path = presto_path(data.X, data.y, n_alphas=5)
    >>> path.coefs.shape, bool((path.coefs[0] == 0).all())
    ((5, 3, 10), True)
    """
    model = PrestoClassifier(**params)
    model._validate_params()
    data, classes = prepare(model, X, y, sample_weight)
    problem = model._problem(data, classes.ordinal.size, 1.0)
    solver, choice = resolve_solver(model.solver, problem, options={"max_iter": model.max_iter})
    values = grid(solver, problem, alphas, n_alphas, alpha_min_ratio, model.tol)
    solutions = solve_path(solver, problem, list(values), model.tol, stop_early=alphas is None)
    intercepts, coefs = coefficients(data, problem, solutions)
    path = PrestoPath(
        alphas=values[: len(solutions)],
        intercepts=intercepts,
        coefs=coefs,
        dual_gaps=np.array([s.certificate.parts["gap"] for s in solutions]),
        n_iters=np.array([s.n_iter for s in solutions]),
        objectives=np.array([s.objective for s in solutions]),
        categories=classes.ordinal,
        solutions=tuple(replace(s, choice=choice) for s in solutions),
    )
    report((solution for solution in solutions if solution.message != _REPEATED), stacklevel=3)
    return path
