"""Linear regression with a penalty out of the table, convex or not, or of the user's own.

The formulas of the penalties live in :mod:`estimand.penalties`, the mathematics of the problem in
:mod:`estimand.solvers.penalized_least_squares`.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils._param_validation import Interval

from ..penalties import Penalty, make_penalty
from ..solvers import Solver
from ..solvers.penalized_least_squares import PenalizedLeastSquaresProblem
from ._base import fit_or_nothing, refuse_parameters_of_names, report
from ._least_squares import LeastSquaresRegressor
from ._linear import LinearData, penalty_weights, validate_linear_data

__all__ = ["PenalizedRegressor"]

FloatArray = npt.NDArray[np.float64]


class PenalizedRegressor(LeastSquaresRegressor):
    r"""Linear regression with a separable penalty.

    Minimises, over the coefficients ``w`` and the intercept ``b``,

    .. math:: \frac{1}{2 n} \|y - X w - b\|_2^2 + \sum_j \omega_j P(w_j)

    where ``P`` is the penalty. For a non-convex penalty the certificate says that no single coefficient can improve
    the objective; the point need not be a global minimum.

    Parameters
    ----------
    penalty : Penalty or str, default="mcp"
        An object of :mod:`estimand.penalties`, one of your own, or a name of the table (``"l1"``, ``"elastic_net"``,
        ``"lq"``, ``"l0"``, ``"cel0"``, ``"mcp"``, ``"scad"``, ``"log"``, ``"capped_l1"``), which stands for that
        penalty with its default parameters. The parameters of an object can be searched as ``penalty__alpha``.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    positive : bool, default=False
        Whether the penalised coefficients must be nonnegative.
    weights : array-like of shape (n_features,) or None, default=None
        The penalty weights omega, at least 0. A weight of 0 leaves a coefficient unpenalised, infinity makes it 0.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.penalized_least_squares.PenalizedLeastSquaresProblem`, see
        :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        For l1 and the elastic net, the duality gap is to be at most ``tol`` times the objective at zero. Otherwise,
        what a single coefficient could still change of the fit is to be at most ``tol`` times the root mean square of
        the centred response.
    max_iter : int, default=1000
        Passes of the backend's main loop.
    warm_start : bool, default=False
        Whether to start from the coefficients of the previous fit. For a non-convex penalty the solution may depend on
        the start; coordinate descent tries both this start and zero.
    verbose : bool or int, default=False
        Passed to backends that print.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        The coefficients.
    intercept_ : float or ndarray of shape (n_targets,)
        The intercept.
    penalty_ : Penalty
        The penalty that was used, a copy.
    n_iter_ : int or list of int
        Passes of the backend.
    solver_ : Solver
        The backend that was used.
    solution_ : Solution
        The solution with its certificate.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters, an unknown name of a penalty, and data beyond ``1e100`` or all below ``1e-100``.

    See Also
    --------
    Lasso : The l1 penalty with more backends.

    References
    ----------
    C.-H. Zhang, "Nearly unbiased variable selection under minimax concave penalty", Annals of Statistics 38 (2010).
    J. Fan and R. Li, "Variable selection via nonconcave penalized likelihood and its oracle properties", JASA 96
    (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PenalizedRegressor
    >>> from estimand.penalties import MCP
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> y = np.array([1.0, 0.1, 1.0, 2.0])
    >>> model = PenalizedRegressor(MCP(alpha=0.1)).fit(X, y)
    >>> model.coef_.round(3)
    array([0.95, 0.  ])
    >>> model.solution_.certificate.kind
    'fixed_point'
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "penalty": [Penalty, str],
        "fit_intercept": ["boolean"],
        "positive": ["boolean"],
        "weights": ["array-like", None],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        penalty: Penalty | str = "mcp",
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
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    def set_params(self, **params: Any) -> Any:
        """Set parameters, with a word of help for parameters of a penalty that was given by name."""
        refuse_parameters_of_names(self.penalty, params)
        return super().set_params(**params)

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PenalizedRegressor:
        """Fit the coefficients.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The design. Fortran-ordered data is not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The response.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights; integer weights equal repeated rows.

        Returns
        -------
        self : PenalizedRegressor
            The fitted estimator.
        """
        penalty = make_penalty(self.penalty) if isinstance(self.penalty, str) else clone(self.penalty)
        penalty.kernel_arguments()  # refuses parameters that are out of range before any work starts
        data = validate_linear_data(self, X, y, sample_weight)
        self._refuse_extremes(data)
        weights = penalty_weights(self.weights, data.X.shape[1])
        solutions = self._fit_targets(
            data,
            lambda response: PenalizedLeastSquaresProblem(
                A=data.X,
                y=response,
                penalty=penalty,
                weights=weights,
                positive=self.positive,
                fit_intercept=self.fit_intercept,
                sample_weight=data.sample_weight,
            ),
        )
        self.penalty_ = penalty
        report(solutions, stacklevel=4)
        return self

    @staticmethod
    def _refuse_extremes(data: LinearData) -> None:
        """Refuse data that validation had to rescale: most penalties have scales of their own and cannot follow."""
        for name, exponent in (("X", data.x_exponent), ("y", data.y_exponent)):
            if exponent:
                raise ValueError(
                    f"{name} has entries of the order of 2**{exponent}; the squares of such numbers over- or "
                    f"underflow, and a penalty cannot be rescaled with the data: bring {name} into 1e-100 to 1e100."
                )
