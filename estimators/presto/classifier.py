"""PRESTO: ordinal regression that estimates rare events by shrinking towards proportional odds.

The mathematics lives in :mod:`estimand.solvers.presto`.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ...solvers import Solution, Solver
from ...solvers.ordinal.links import REFLECTED
from ...solvers.ordinal.problem import OrdinalPoint
from ...solvers.presto import PrestoProblem
from .._base import fit_or_nothing, report
from ._base import OrdinalClassifier
from ._data import OrdinalData, prepare
from .summary import coefficient_table, summarise

__all__ = ["PrestoClassifier", "PrestoModel"]

FloatArray = npt.NDArray[np.float64]


class PrestoModel(OrdinalClassifier):
    """What the PRESTO classifiers share: stating the problem, and reading its solution back."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **OrdinalClassifier._parameter_constraints,
        "base_penalty": [Interval(Real, 0, None, closed="left")],
        "penalty_weights": ["array-like", None],
        "monotone": [StrOptions({"likelihood", "train", "box"})],
        "gap_tol": [Interval(Real, 0, None, closed="neither"), None],
    }

    l1_ratio: float
    base_penalty: float
    penalty_weights: Any
    monotone: str
    gap_tol: float | None

    def _problem(self, data: OrdinalData, n_classes: int, alpha: float) -> PrestoProblem:
        return PrestoProblem(
            X=data.X,
            y=data.y,
            n_classes=n_classes,
            alpha=float(alpha),
            l1_ratio=float(self.l1_ratio),
            base_penalty=float(self.base_penalty),
            weights=self._weights(data.varying),
            link=REFLECTED[self.link] if data.reverse else self.link,
            sample_weight=data.sample_weight,
            gap_tol=self.gap_tol,
            monotone=self.monotone,
        )

    def _weights(self, varying: npt.NDArray[np.bool_]) -> FloatArray | None:
        if self.penalty_weights is None:
            return None
        weights = np.asarray(self.penalty_weights, dtype=np.float64)
        if weights.shape != varying.shape:
            raise ValueError(
                f"penalty_weights has shape {weights.shape}, but X has {varying.size} features: give one weight each."
            )
        if not (np.all(np.isfinite(weights)) and np.all(weights >= 0)):
            bad = int(np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[0])
            raise ValueError(f"penalty_weights[{bad}]={weights[bad]} must be finite and at least 0.")
        return weights[varying]

    def _store(self, data: OrdinalData, problem: PrestoProblem, solution: Solution[OrdinalPoint]) -> FloatArray:
        """Set the fitted attributes; return the linear predictors of the training rows, in the user's order."""
        x = solution.x
        eta = problem.predictors(x)
        self._warn_if_separated(problem, eta)
        self.intercept_, self.coef_ = data.original(x.intercept, problem.slopes(x.coef))
        self.diff_coef_ = data.original(x.intercept, x.coef)[1]
        self.scale_ = data.scale
        self._store_solution(problem, solution)
        self._store_likelihood(data, problem, x, eta)
        return -eta[:, ::-1] if data.reverse else eta

    def summary(self) -> Any:
        """Return tables of the fit: likelihood and criteria, and the coefficients by boundary.

        Returns
        -------
        summary : statsmodels.iolib.summary.Summary
            Prints as text; has ``as_html`` and ``as_latex``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        alpha = getattr(self, "alpha_", getattr(self, "alpha", None))
        different = int(np.any(np.diff(self.coef_, axis=0) != 0, axis=0).sum())
        extra = [
            ("alpha", f"{alpha:.4g}"),
            ("Features in use", str(int(np.any(self.coef_ != 0, axis=0).sum()))),
            ("with own slopes", str(different)),
            ("Rows that cross", f"{self.crossing_fraction_:.2%}"),
        ]
        return summarise(self, [coefficient_table(self)], extra)


class PrestoClassifier(PrestoModel):
    r"""Ordinal regression with separate slopes for the boundaries between classes, shrunk towards each other.

    For ordered classes ``0 < 1 < ... < K - 1`` the model is ``P(y > k - 1 | x) = F(a_k + x' b_k)``, for the boundaries
    ``k = 1, ..., K - 1``. Minimises, over intercepts and slopes of the standardised features,

    .. math:: -\frac{1}{W} \sum_i w_i \log P(y_i | x_i) + \alpha \sum_j c_j \left[
        \rho \left(\beta |b_{1j}| + \sum_{k > 1} |b_{kj} - b_{k-1,j}|\right)
        + \frac{1 - \rho}{2} \left(\beta b_{1j}^2 + \sum_{k > 1} (b_{kj} - b_{k-1,j})^2\right) \right]

    with ``rho = l1_ratio``, ``beta = base_penalty`` and ``c = penalty_weights``. The boundary of a rare class borrows
    strength from the others as far as the data let it. With two classes this is penalised logistic regression.

    Parameters
    ----------
    alpha : float, default=0.005
        Strength of the penalty, at least 0.
    l1_ratio : float, default=1.0
        Share of the l1 penalty, in [0, 1]. With 1 many features have the same slope at all boundaries.
    base_penalty : float, default=1.0
        Weight of the first boundary's slopes in the penalty, at least 0. With 0 a large `alpha` gives proportional odds
        without a penalty; otherwise it gives the model without features.
    penalty_weights : array-like of shape (n_features,) or None, default=None
        Weights of the features in the penalty, finite and at least 0.
    link : {"logit", "probit", "cloglog", "loglog"}, default="logit"
        Link of ``P(y > k - 1 | x)``; the inverse of the complementary log-log link is ``1 - exp(-exp(t))``.
    standardize : bool, default=True
        Whether the penalty acts on features divided by their standard deviation. Without it the tolerance counts in the
        features' own units, which hides those of small ones beside large ones.
    categories : "auto" or array-like, default="auto"
        The classes from the lowest to the highest. ``"auto"`` takes the order of a pandas ordered categorical,
        otherwise the sorted labels.
    rare : {"last", "first"}, default="last"
        Which end is the rare class. The boundary farthest from it is the base.
    monotone : {"likelihood", "train", "box"}, default="likelihood"
        Whether boundaries may cross at training rows whose own class does not show it. ``"train"`` adds the constraints
        that they do not cross at any training row; rows to predict may still need a repair. ``"box"`` lets them cross
        nowhere between the smallest and the largest values of the features, by the backend ``"cvxpy"``.
    crossing : {"rare", "isotonic", "sort", "raw"}, default="rare"
        How predictions are repaired where boundaries cross. ``"rare"`` keeps the fitted probability of the rare class
        and moves the other boundaries; ``"sort"`` sorts the boundaries, ``"isotonic"`` projects their
        probabilities; ``"raw"`` repairs nothing, so that probabilities may be negative.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights. They distort the predicted probabilities.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.presto.PrestoProblem`, see :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The optimality conditions are to hold up to ``tol`` times the largest gradient of the model without features.
    gap_tol : float or None, default=None
        If given, the bound on the suboptimality is to be at most ``gap_tol`` times the loss of the model without
        features, too.
    max_iter : int, default=100
        Newton steps, or iterations of other backends.
    warm_start : bool, default=False
        Whether to start from the previous fit.
    verbose : bool or int, default=False
        Passed to backends that print.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted: the order of the columns of `predict_proba`.
    categories_ : ndarray of shape (n_classes,)
        The labels in ordinal order, to which everything below refers.
    class_order_ : ndarray of shape (n_classes,)
        ``classes_[class_order_] == categories_``.
    intercept_ : ndarray of shape (n_classes - 1,)
        Intercepts of the boundaries.
    coef_ : ndarray of shape (n_classes - 1, n_features)
        Slopes of the boundaries.
    diff_coef_ : ndarray of shape (n_classes - 1, n_features)
        Slopes of the base, and differences of slopes from one boundary to the next away from it.
    scale_ : ndarray of shape (n_features,)
        What the features were divided by.
    crossing_fraction_ : float
        Weighted share of the training rows where boundaries cross.
    n_observations_ : float
        Sum of the sample weights.
    loglik_, null_loglik_ : float
        Log-likelihood with the sample weights as frequencies, and that of the model without features.
    df_, aic_, bic_ : float
        Effective number of parameters (for the l1 penalty that of nonzero ones), and the criteria made from it.
    objective_, dual_gap_, kkt_ : float
        The objective for the standardised features, a bound on its excess, and the relative residual.
    converged_ : bool
        Whether the certificate meets the tolerance.
    n_iter_ : int
        Iterations of the backend.
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
        For bad data or parameters, one class only, and classes without weight.

    Warns
    -----
    ConvergenceWarning
        If the tolerance was not met, or coefficients without a penalty separate classes.
    UserWarning
        If boundaries cross at more than one percent of the training rows, or text labels are taken in alphabetical
        order.

    See Also
    --------
    PrestoClassifierCV : Chooses `alpha` by cross-validation.
    ProportionalOddsClassifier : The same slopes for all boundaries.
    SeparateLogitClassifier : A logistic regression for each boundary.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PrestoClassifier
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(random_state=0)
    >>> model = PrestoClassifier(alpha=0.01).fit(data.X, data.y)
    >>> model.converged_, model.coef_.shape
    (True, (3, 10))
    >>> rare = model.predict_rare_proba(data.X)
    >>> bool(np.mean((rare - data.probabilities[:, -1]) ** 2) < 1e-4)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **PrestoModel._parameter_constraints,
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        alpha: float = 0.005,
        *,
        l1_ratio: float = 1.0,
        base_penalty: float = 1.0,
        penalty_weights: npt.ArrayLike | None = None,
        link: str = "logit",
        standardize: bool = True,
        categories: Any = "auto",
        rare: str = "last",
        monotone: str = "likelihood",
        crossing: str = "rare",
        class_weight: dict[Any, float] | str | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        gap_tol: float | None = None,
        max_iter: int = 100,
        warm_start: bool = False,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.base_penalty = base_penalty
        self.penalty_weights = penalty_weights
        self.link = link
        self.standardize = standardize
        self.categories = categories
        self.rare = rare
        self.monotone = monotone
        self.crossing = crossing
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.gap_tol = gap_tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PrestoClassifier:
        """Fit the boundaries.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The features.
        y : array-like of shape (n_samples,)
            The labels.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights; integer weights equal repeated rows.

        Returns
        -------
        self : PrestoClassifier
            The fitted classifier.
        """
        data, classes = prepare(self, X, y, sample_weight)
        problem = self._problem(data, classes.ordinal.size, self.alpha)
        solution = self._solve(problem, start=self._warm_start(data, classes.ordinal))
        self._store_classes(classes)
        eta = self._store(data, problem, solution)
        self._store_crossing(data, eta)
        report([solution], stacklevel=4)
        return self

    def _warm_start(self, data: OrdinalData, categories: npt.NDArray[Any]) -> OrdinalPoint | None:
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is None or coef.shape != (categories.size - 1, data.varying.size):
            return None
        intercept, slopes = data.scaled(self.intercept_, coef)
        return OrdinalPoint(intercept, np.diff(slopes, axis=0, prepend=0.0))
