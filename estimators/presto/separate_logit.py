"""A logistic regression for each boundary between ordered classes, or for the boundary of the rare class alone."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from ...solvers import Solution, Solver
from ...solvers.logistic import LogisticPoint, LogisticProblem
from .._base import fit_or_nothing, report
from ._base import OrdinalClassifier
from ._data import OrdinalData, prepare

__all__ = ["SeparateLogitClassifier"]

FloatArray = npt.NDArray[np.float64]


def _has_all_boundaries(estimator: Any) -> bool:
    return bool(estimator.boundaries == "all" or estimator.categories_.size == 2)


class SeparateLogitClassifier(OrdinalClassifier):
    r"""Independent logistic regressions of ``1{y > k - 1}``, one for each boundary between ordered classes.

    Minimises, for each boundary k on its own, over its intercept and the slopes of the standardised features,

    .. math:: \frac{1}{W} \sum_i w_i \log\left(1 + e^{-s_{ik} (a_k + x_i^\top b_k)}\right)
        + \alpha \left[\rho \|b_k\|_1 + \frac{1 - \rho}{2} \|b_k\|_2^2\right], \qquad
        s_{ik} = 1 \text{ if } y_i > k - 1 \text{ else } -1

    with ``rho = l1_ratio``. The boundary of a rare class sees its few samples only: it is the model to beat for those
    that borrow strength from the other boundaries.

    Parameters
    ----------
    alpha : float, default=0.0
        Strength of the penalty, at least 0. Without one, a rare class is often separable: `fit` warns.
    l1_ratio : float, default=0.0
        Share of the l1 penalty, in [0, 1].
    boundaries : {"all", "rare"}, default="all"
        Whether to fit all boundaries or that of the rare class alone; then, with more than two classes, only
        `predict_rare_proba` and `boundary_function` exist.
    standardize : bool, default=True
        Whether the penalty acts on features divided by their standard deviation.
    categories : "auto" or array-like, default="auto"
        The classes from the lowest to the highest. ``"auto"`` takes the order of a pandas ordered categorical,
        otherwise the sorted labels.
    rare : {"last", "first"}, default="last"
        Which end is the rare class.
    crossing : {"rare", "isotonic", "sort", "raw"}, default="rare"
        How predictions are repaired where boundaries cross; see :class:`PrestoClassifier`.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights. They distort the predicted probabilities.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.logistic.LogisticProblem`, see :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The duality gap of each fit is to be at most ``tol`` times the loss of the best constant model.
    max_iter : int, default=1000
        Passes of the backend's main loop.
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
    intercept_ : ndarray of shape (n_classes - 1,) or (1,)
        Intercepts of the boundaries.
    coef_ : ndarray of shape (n_classes - 1, n_features) or (1, n_features)
        Slopes of the boundaries.
    scale_ : ndarray of shape (n_features,)
        What the features were divided by.
    crossing_fraction_ : float
        Weighted share of the training rows where boundaries cross.
    dual_gap_ : float
        The largest of the proved bounds on the excess of the objectives.
    converged_ : bool
        Whether all certificates meet the tolerance.
    n_iter_ : int
        The most passes of a backend.
    solver_ : Solver
        The backend that was used.
    solution_ : Solution
        The solution with the largest relative gap.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had some.

    Raises
    ------
    ValueError
        For bad data or parameters, one class only, and classes without weight.

    See Also
    --------
    PrestoClassifier : Lets the boundaries borrow strength from each other.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), section 4.

    Examples
    --------
    >>> from estimand import SeparateLogitClassifier
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(random_state=0)
    >>> model = SeparateLogitClassifier(alpha=0.001, boundaries="rare").fit(data.X, data.y)
    >>> model.coef_.shape, hasattr(model, "predict_proba")
    ((1, 10), False)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **OrdinalClassifier._parameter_constraints,
        "boundaries": [StrOptions({"all", "rare"})],
    }
    link = "logit"

    def __init__(
        self,
        alpha: float = 0.0,
        *,
        l1_ratio: float = 0.0,
        boundaries: str = "all",
        standardize: bool = True,
        categories: Any = "auto",
        rare: str = "last",
        crossing: str = "rare",
        class_weight: dict[Any, float] | str | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.boundaries = boundaries
        self.standardize = standardize
        self.categories = categories
        self.rare = rare
        self.crossing = crossing
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SeparateLogitClassifier:
        """Fit the logistic regressions.

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
        self : SeparateLogitClassifier
            The fitted classifier.
        """
        data, classes = prepare(self, X, y, sample_weight)
        last = classes.ordinal.size - 1
        boundaries = range(1, last + 1) if self.boundaries == "all" else [last]
        problems = [self._problem(data, boundary) for boundary in boundaries]
        solutions = [self._solve(problem) for problem in problems]
        self._store_classes(classes)
        intercept = np.array([solution.x.intercept[0] for solution in solutions])
        slopes = np.stack([solution.x.coef for solution in solutions])
        self.intercept_, self.coef_ = data.original(intercept, slopes)
        self.scale_ = data.scale
        self._store_solutions(solutions)
        eta = intercept + data.X @ slopes.T
        self._store_crossing(data, -eta[:, ::-1] if data.reverse else eta)
        separated = [k for k, problem in enumerate(problems) if problem.separates(solutions[k].x)]
        if separated:
            warnings.warn(
                f"{len(separated)} of {len(problems)} boundaries separate their classes without a penalty: the "
                "likelihood has no maximum, and the coefficients grow without bound as tol falls. Pass alpha > 0.",
                ConvergenceWarning,
                stacklevel=3,
            )
        report(solutions, stacklevel=4)
        return self

    def _problem(self, data: OrdinalData, boundary: int) -> LogisticProblem:
        return LogisticProblem(
            A=data.X,
            y=np.where(data.y >= boundary, 1.0, -1.0),
            alpha=float(self.alpha * self.l1_ratio),
            l2=float(self.alpha * (1 - self.l1_ratio)),
            fit_intercept=True,
            sample_weight=data.sample_weight,
        )

    def _store_solutions(self, solutions: list[Solution[LogisticPoint]]) -> None:
        self.solution_: Solution[Any] = max(solutions, key=lambda each: each.certificate.relative).compact()
        self.dual_gap_ = max(solution.certificate.value for solution in solutions)
        self.converged_ = all(solution.converged for solution in solutions)
        self.n_iter_ = max(1, *(solution.n_iter for solution in solutions))

    @available_if(_has_all_boundaries)
    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class, the lower one of a tie; `X` is as in `predict_proba`."""
        return super().predict(X)

    @available_if(_has_all_boundaries)
    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities of the classes, in the sorted order of ``classes_``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Not negative, and 1 in sum, unless ``crossing="raw"``.
        """
        return super().predict_proba(X)

    @available_if(_has_all_boundaries)
    def predict_log_proba(self, X: Any) -> FloatArray:
        """Return the logarithms of the probabilities, also where these underflow; `X` is as in `predict_proba`."""
        return super().predict_log_proba(X)

    @available_if(_has_all_boundaries)
    def predict_cumulative(self, X: Any) -> FloatArray:
        """Return ``P(y > k - 1 | x)`` for each boundary, repaired where boundaries cross; `X` as in `predict_proba`."""
        return super().predict_cumulative(X)

    @available_if(_has_all_boundaries)
    def predict_quantile(self, X: Any, q: float = 0.5) -> npt.NDArray[Any]:
        """Return the lowest class whose cumulative probability is at least `q`; `X` is as in `predict_proba`."""
        return super().predict_quantile(X, q)

    def predict_rare_proba(self, X: Any) -> FloatArray:
        """Return the probability of the rare class, shape (n_samples,).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples,)
            Those of one end class.
        """
        if self.boundaries == "all":
            return super().predict_rare_proba(X)
        eta = self.boundary_function(X)[:, 0]
        return np.asarray(special.expit(-eta if self.rare == "first" else eta))
