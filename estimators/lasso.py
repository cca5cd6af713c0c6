"""The Lasso and the elastic net, with a certified duality gap.

Paths and cross-validation live beside this file; the mathematics in :mod:`estimand.solvers.lasso`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval

from ..solvers import Solver
from ..solvers.lasso import LassoProblem
from ._base import fit_or_nothing, report
from ._least_squares import LeastSquaresRegressor
from ._linear import (
    LinearData,
    check_strength,
    penalty_weights,
    validate_linear_data,
    warn_of_missing_penalty,
)

__all__ = ["ElasticNet", "Lasso"]

FloatArray = npt.NDArray[np.float64]


class _LassoBase(LeastSquaresRegressor, ABC):
    """Fit of one weighted elastic net per target; the subclasses say how alpha splits."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "positive": ["boolean"],
        "weights": ["array-like", None],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _strengths(self) -> tuple[float, float]:
        """Return the strengths of the l1 and of the squared penalty."""

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the coefficients.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The design. Fortran-ordered float64 data is not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The response.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights; integer weights equal repeated rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_strength(self.alpha, self.positive)
        data = validate_linear_data(self, X, y, sample_weight)
        warn_of_missing_penalty(self.alpha, data)
        weights = penalty_weights(self.weights, data.X.shape[1])
        solutions = self._fit_targets(data, lambda y: self._problem(data, y, weights))
        gaps = data.gaps([solution.certificate.value for solution in solutions])
        self.dual_gap_ = float(gaps[0]) if data.single_target else gaps
        report(solutions, stacklevel=4)
        return self

    def _problem(self, data: LinearData, y: FloatArray, weights: FloatArray | None) -> LassoProblem:
        l1, l2 = self._strengths()
        return LassoProblem(
            A=data.X,
            y=y,
            alpha=data.l1(l1),
            l2=data.l2(l2),
            weights=weights,
            positive=self.positive,
            fit_intercept=self.fit_intercept,
            sample_weight=data.sample_weight,
        )


class Lasso(_LassoBase):
    r"""Linear regression with an l1 penalty, certified by its duality gap.

    Minimises, over the coefficients ``w`` and the intercept ``b``,

    .. math:: \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \sum_j \omega_j |w_j|

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0; the same scaling as in scikit-learn. ``alpha=0`` is least squares, of least
        norm where the solution is not unique.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    positive : bool, default=False
        Whether the penalised coefficients must be nonnegative.
    weights : array-like of shape (n_features,) or None, default=None
        The penalty weights omega, at least 0. A weight of 0 leaves a coefficient unpenalised, infinity makes it 0.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.lasso.LassoProblem`, see :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The duality gap is to be at most ``tol`` times the objective at zero.
    max_iter : int, default=1000
        Passes of the backend's main loop.
    warm_start : bool, default=False
        Whether to start from the coefficients of the previous fit.
    verbose : bool or int, default=False
        Passed to backends that print.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        The coefficients.
    intercept_ : float or ndarray of shape (n_targets,)
        The intercept.
    dual_gap_ : float or ndarray of shape (n_targets,)
        The proved bound on the excess of the objective, in its own units.
    n_iter_ : int or list of int
        Passes of the backend.
    solver_ : Solver
        The backend that was used.
    solution_ : Solution
        The solution in the problem's coordinates, with its certificate.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters, and for ``alpha=0`` with ``positive=True``.

    See Also
    --------
    ElasticNet : With a squared penalty besides.

    References
    ----------
    R. Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 58 (1996). M. Massias, A. Gramfort and
    J. Salmon, "Celer: a fast solver for the Lasso with dual extrapolation" (2018), section 2, for the gap.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import Lasso
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> y = np.array([1.0, 0.1, 1.0, 2.0])
    >>> model = Lasso(alpha=0.1).fit(X, y)
    >>> model.coef_.round(3)
    array([0.75, 0.  ])
    >>> model.solution_.converged
    True
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        positive: bool = False,
        weights: npt.ArrayLike | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    def _strengths(self) -> tuple[float, float]:
        return self.alpha, 0.0


class ElasticNet(_LassoBase):
    r"""Linear regression with an l1 and a squared penalty, certified by its duality gap.

    Minimises, over the coefficients ``w`` and the intercept ``b``,

    .. math:: \frac{1}{2 n} \|y - X w - b\|_2^2 + \alpha \rho \sum_j \omega_j |w_j|
        + \frac{\alpha (1 - \rho)}{2} \sum_{j: \omega_j > 0} w_j^2

    with ``rho = l1_ratio``.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, at least 0; the same scaling as in scikit-learn.
    l1_ratio : float, default=0.5
        Share of the l1 penalty, in ``[0, 1]``.
    fit_intercept, positive, weights, solver, tol, max_iter, warm_start, verbose
        As for :class:`Lasso`.

    Attributes
    ----------
    coef_, intercept_, dual_gap_, n_iter_, solver_, solution_, n_features_in_, feature_names_in_
        As for :class:`Lasso`.

    Raises
    ------
    ValueError
        For bad data or parameters, and for ``alpha=0`` with ``positive=True``.

    See Also
    --------
    Lasso : Without the squared penalty.

    References
    ----------
    H. Zou and T. Hastie, "Regularization and variable selection via the elastic net", JRSS B 67 (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import ElasticNet
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> y = np.array([1.0, 0.1, 1.0, 2.0])
    >>> ElasticNet(alpha=0.1).fit(X, y).coef_.round(3)
    array([0.773, 0.   ])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_LassoBase._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        positive: bool = False,
        weights: npt.ArrayLike | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    def _strengths(self) -> tuple[float, float]:
        return self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
