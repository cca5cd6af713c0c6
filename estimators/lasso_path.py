"""Regularisation paths of the Lasso and the elastic net: grids of penalties, and one warm-started sweep over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_array, check_X_y

from ..solvers import Solution, Solver, resolve_solver
from ..solvers.lasso import LassoProblem
from ._base import report
from ._linear import LinearData, check_strength, penalty_weights, prepare_linear_data

__all__ = ["LassoPath", "alpha_grid", "enet_path", "lasso_path", "solve_path"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LassoPath:
    """Coefficients along a grid of penalties; unpacks as ``alphas, coefs, dual_gaps``.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        The penalties, largest first.
    coefs : ndarray of shape (n_features, n_alphas)
        The coefficients.
    dual_gaps : ndarray of shape (n_alphas,)
        The proved bounds on the excess of the objective, in its own units.
    intercepts : ndarray of shape (n_alphas,)
        The intercepts.
    solutions : list of Solution
        The solutions with their certificates, in the problem's coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import lasso_path
    >>> path = lasso_path(np.eye(2), np.array([3.0, -1.0]), alphas=[1.0, 0.5])
    >>> path.coefs
    array([[1., 2.],
           [0., 0.]])
    """

    alphas: FloatArray
    coefs: FloatArray
    dual_gaps: FloatArray
    intercepts: FloatArray
    solutions: list[Solution[FloatArray]]

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.alphas, self.coefs, self.dual_gaps))


def alpha_grid(alpha_max: float, eps: float, alphas: int | npt.ArrayLike) -> FloatArray:
    """Return a grid of penalties, largest first: log-spaced from `alpha_max` to ``eps * alpha_max``, or the user's own.

    Raises
    ------
    ValueError
        If `alphas` is empty, negative or not finite, or `eps` is not in (0, 1).
    """
    if isinstance(alphas, Integral):
        if int(alphas) < 1:
            raise ValueError(f"alphas={alphas} must be at least 1.")
        if not 0 < eps < 1:
            raise ValueError(f"eps={eps!r} must lie strictly between 0 and 1.")
        # Without any correlation every penalty gives the same zeros.
        largest = alpha_max if alpha_max > 0 else 1.0
        return np.geomspace(largest, largest * eps, int(alphas))
    grid = check_array(alphas, ensure_2d=False, dtype=np.float64, input_name="alphas")
    if grid.ndim != 1 or np.any(grid < 0):
        raise ValueError(
            f"alphas must be a number or a one-dimensional array of penalties of at least 0, got {alphas!r}."
        )
    return np.sort(grid)[::-1]


def solve_path(
    solver: Solver[Any, Any], problem: LassoProblem, l1: Sequence[float], l2: Sequence[float], tol: float
) -> list[Solution[FloatArray]]:
    """Solve `problem` for each pair of strengths in turn, each from the solution before it."""
    if not np.any(np.asarray(l2)):
        return solver.path(problem, l1, tol=tol)
    problems = [problem.at(float(a), float(b)) for a, b in zip(l1, l2, strict=True)]
    return solver.solve_sequence(problems, tol=tol)


def lasso_problem(data: LinearData, *, weights: FloatArray | None, positive: bool, fit_intercept: bool) -> LassoProblem:
    """State the problem of the only target of `data`, for a path to replace its strengths."""
    return LassoProblem(
        A=data.X,
        y=np.ascontiguousarray(data.y[:, 0]),
        alpha=1.0,
        weights=weights,
        positive=positive,
        fit_intercept=fit_intercept,
        sample_weight=data.sample_weight,
    )


def lasso_path(
    X: Any,
    y: Any,
    *,
    eps: float = 1e-3,
    alphas: int | npt.ArrayLike = 100,
    fit_intercept: bool = False,
    positive: bool = False,
    weights: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    solver: str | Solver[Any, Any] = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> LassoPath:
    r"""Compute the Lasso path with a certified duality gap at every penalty.

    Minimises :math:`\frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \sum_j \omega_j |w_j|` for each alpha.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The design.
    y : array-like of shape (n_samples,)
        The response.
    eps : float, default=1e-3
        Ratio of the smallest to the largest penalty of a generated grid, in (0, 1).
    alphas : int or array-like, default=100
        Number of penalties of a grid that starts where the first coefficient becomes nonzero, or the penalties.
    fit_intercept : bool, default=False
        Whether to fit an unpenalised intercept.
    positive : bool, default=False
        Whether the penalised coefficients must be nonnegative.
    weights : array-like of shape (n_features,) or None, default=None
        Penalty weights omega, at least 0; 0 means no penalty, infinity a coefficient of 0.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Nonnegative weights of the samples.
    solver : str or Solver, default="auto"
        A backend of the Lasso.
    tol : float, default=1e-6
        Each duality gap is to be at most ``tol`` times the objective at zero.
    max_iter : int, default=1000
        Passes of the backend's main loop for each penalty.

    Returns
    -------
    path : LassoPath
        Unpacks as ``alphas, coefs, dual_gaps``.

    Raises
    ------
    ValueError
        For bad data or parameters.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
    descent", JSS 33 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import lasso_path
    >>> X = np.array([[1.0, 2.0, 3.1], [2.3, 5.4, 4.3]]).T
    >>> y = np.array([1.0, 2.0, 3.1])
    >>> alphas, coefs, gaps = lasso_path(X, y, alphas=[5.0, 1.0, 0.5])
    >>> coefs.round(2)
    array([[0.  , 0.  , 0.47],
           [0.22, 0.44, 0.24]])
    """
    return enet_path(
        X,
        y,
        l1_ratio=1.0,
        eps=eps,
        alphas=alphas,
        fit_intercept=fit_intercept,
        positive=positive,
        weights=weights,
        sample_weight=sample_weight,
        solver=solver,
        tol=tol,
        max_iter=max_iter,
    )


def enet_path(
    X: Any,
    y: Any,
    *,
    l1_ratio: float = 0.5,
    eps: float = 1e-3,
    alphas: int | npt.ArrayLike = 100,
    fit_intercept: bool = False,
    positive: bool = False,
    weights: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    solver: str | Solver[Any, Any] = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> LassoPath:
    r"""Compute the elastic-net path with a certified duality gap at every penalty.

    Minimises :math:`\frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \sum_j \omega_j |w_j| + \frac{\alpha (1 - \rho)}{2}
    \sum_j w_j^2` for each alpha, with :math:`\rho` the `l1_ratio`.

    Parameters
    ----------
    X, y, eps, alphas, fit_intercept, positive, weights, sample_weight, solver, tol, max_iter
        As for :func:`lasso_path`.
    l1_ratio : float, default=0.5
        Share of the l1 penalty, in (0, 1].

    Returns
    -------
    path : LassoPath
        Unpacks as ``alphas, coefs, dual_gaps``.

    Raises
    ------
    ValueError
        For bad data or parameters.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via coordinate
    descent", JSS 33 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import enet_path
    >>> X, y = np.eye(3), np.array([3.0, 2.0, 0.1])
    >>> enet_path(X, y, alphas=[0.5], l1_ratio=0.8).coefs.ravel().round(3)
    array([1.385, 0.615, 0.   ])
    """
    if not 0 < l1_ratio <= 1:
        raise ValueError(f"l1_ratio={l1_ratio!r} must lie in (0, 1]: at 0 no penalty makes a coefficient exactly 0.")
    X, y = check_X_y(X, y, accept_sparse=["csc", "csr"], dtype=[np.float64, np.float32], y_numeric=True)
    data = prepare_linear_data(X, y, sample_weight)
    problem = lasso_problem(
        data, weights=penalty_weights(weights, X.shape[1]), positive=positive, fit_intercept=fit_intercept
    )
    grid = alpha_grid(data.alpha(problem.alpha_max()) / l1_ratio, eps, alphas)
    check_strength(float(grid[-1]), positive)
    l1, l2 = data.strengths(grid, l1_ratio)
    chosen, choice = resolve_solver(solver, problem.at(l1[-1], l2[-1]), options={"max_iter": max_iter})
    solutions = [replace(each.compact(), choice=choice) for each in solve_path(chosen, problem, l1, l2, tol)]
    report(solutions)
    return LassoPath(
        alphas=grid[: len(solutions)],
        coefs=np.stack([data.coef(each.x) for each in solutions], axis=1),
        dual_gaps=data.gaps([each.certificate.value for each in solutions]),
        intercepts=np.ldexp([problem.intercept(each.x) for each in solutions], data.y_exponent),
        solutions=solutions,
    )
