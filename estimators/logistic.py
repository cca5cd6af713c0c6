"""Binary logistic regression with an l1 or elastic-net penalty and a certified duality gap.

The mathematics lives in :mod:`estimand.solvers.logistic`.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from ..solvers import Solution, Solver
from ..solvers.logistic import LogisticPoint, LogisticProblem
from ._base import SolverMixin, fit_or_nothing, report
from ._linear import LinearData, penalty_weights, prepare_design, row_weights

__all__ = ["PenalizedLogisticRegression"]

FloatArray = npt.NDArray[np.float64]


class PenalizedLogisticRegression(ClassifierMixin, SolverMixin):  # type: ignore[misc]
    r"""Binary logistic regression with an l1 or elastic-net penalty, certified by its duality gap.

    Minimises, over the coefficients ``w`` and the intercept ``b``, with ``y_i = 1`` for ``classes_[1]`` and ``-1`` for
    ``classes_[0]``,

    .. math:: \frac{1}{\sum_i q_i} \sum_i q_i \log(1 + e^{-y_i (x_i^\top w + b)})
        + \alpha \rho \sum_j \omega_j |w_j| + \frac{\alpha (1 - \rho)}{2} \sum_{j: \omega_j > 0} w_j^2

    where ``rho = l1_ratio`` and ``q`` are the sample weights times the class weights.

    Parameters
    ----------
    alpha : float, default=0.01
        Strength of the penalty, at least 0. The loss is a mean: scikit-learn's ``C`` is ``1 / (alpha n_samples)``.
        With ``alpha=0`` separated classes have no maximum-likelihood estimate, and `fit` warns.
    l1_ratio : float, default=1.0
        Share rho of the l1 penalty, in ``[0, 1]``.
    fit_intercept : bool, default=True
        Whether to fit an unpenalised intercept.
    weights : array-like of shape (n_features,) or None, default=None
        The penalty weights omega, at least 0. A weight of 0 leaves a coefficient unpenalised, infinity makes it 0.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. ``"balanced"`` gives both classes the same total weight.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.logistic.LogisticProblem`, see :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The duality gap is to be at most ``tol`` times the objective of the best constant model.
    max_iter : int, default=1000
        Passes of the backend's main loop.
    warm_start : bool, default=False
        Whether to start from the coefficients of the previous fit.
    verbose : bool or int, default=False
        Passed to backends that print.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The classes, sorted.
    coef_ : ndarray of shape (1, n_features)
        The coefficients of the log-odds of ``classes_[1]``.
    intercept_ : ndarray of shape (1,)
        The intercept, 0 without one.
    dual_gap_ : float
        The proved bound on the excess of the objective.
    n_iter_ : ndarray of shape (1,)
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
        For bad data or parameters, and where `y` does not have exactly two classes (of positive weight).

    See Also
    --------
    Lasso : The same penalty for least squares.

    References
    ----------
    K. Koh, S.-J. Kim and S. Boyd, "An interior-point method for large-scale l1-regularized logistic regression",
    JMLR 8 (2007). J. Friedman, T. Hastie and R. Tibshirani, "Regularization paths for generalized linear models via
    coordinate descent", Journal of Statistical Software 33 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand import PenalizedLogisticRegression
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> y = np.array(["no", "no", "yes", "yes"])
    >>> model = PenalizedLogisticRegression(alpha=0.1).fit(X, y)
    >>> model.predict(X)
    array(['no', 'no', 'yes', 'yes'], dtype='<U3')
    >>> model.coef_[0, 1], model.solution_.converged
    (np.float64(0.0), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "weights": ["array-like", None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [str, Solver, type],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 1.0,
        fit_intercept: bool = True,
        weights: npt.ArrayLike | None = None,
        class_weight: dict[Any, float] | str | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.weights = weights
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PenalizedLogisticRegression:
        """Fit the coefficients.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The design. Fortran-ordered float64 data is not copied.
        y : array-like of shape (n_samples,)
            The labels, of two classes.
        sample_weight : array-like of shape (n_samples,) or None
            Nonnegative weights; integer weights equal repeated rows.

        Returns
        -------
        self : PenalizedLogisticRegression
            The fitted estimator.
        """
        data, classes = self._validate(X, y, sample_weight)
        problem = LogisticProblem(
            A=data.X,
            y=data.y,
            alpha=data.l1(self.alpha * self.l1_ratio),
            l2=data.l2(self.alpha * (1 - self.l1_ratio)),
            weights=penalty_weights(self.weights, data.X.shape[1]),
            fit_intercept=self.fit_intercept,
            sample_weight=data.sample_weight,
        )
        solution = self._solve(problem, start=self._warm_start(data))
        self._store(data, classes, solution)
        if problem.separates(solution.x):
            warnings.warn(
                f"The unpenalised coefficients separate the classes {_listed(classes)}: the likelihood has no "
                "maximum, and the coefficients grow without bound as tol falls. Pass alpha > 0 (and weights > 0)"
                " for coefficients that are well defined.",
                UserWarning,
                stacklevel=3,
            )
        report([solution], stacklevel=4)
        return self

    def _validate(self, X: Any, y: Any, sample_weight: Any) -> tuple[LinearData, npt.NDArray[Any]]:
        X, y = validate_data(self, X, y, accept_sparse=["csc", "csr"], dtype=[np.float64, np.float32])
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if classes.size > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}: y has the "
                f"{classes.size} classes {_listed(classes)}. Wrap the estimator in "
                "sklearn.multiclass.OneVsRestClassifier."
            )
        if classes.size < 2:
            raise ValueError(f"y has only one class, {_listed(classes)}: logistic regression needs samples of two.")
        sample_weight = self._row_weights(classes, codes, row_weights(sample_weight, X))
        X, exponent = prepare_design(X)
        data = LinearData(
            X=X,
            y=np.where(codes == 1, 1.0, -1.0),
            sample_weight=sample_weight,
            x_exponent=exponent,
            y_exponent=0,
            single_target=True,
        )
        return data, classes

    def _row_weights(
        self, classes: npt.NDArray[Any], codes: npt.NDArray[np.intp], sample_weight: FloatArray | None
    ) -> FloatArray | None:
        """Return the product of sample and class weights, at most 1; None where all are equal."""
        if sample_weight is None and self.class_weight is None:
            return None
        weight = np.ones(codes.size) if sample_weight is None else sample_weight
        totals = np.bincount(codes, weight, minlength=2)
        if isinstance(self.class_weight, dict):
            factors = compute_class_weight(self.class_weight, classes=classes, y=classes[codes])
            if not (np.all(np.isfinite(factors)) and np.all(factors >= 0)):
                raise ValueError(f"class_weight={self.class_weight!r} must hold finite weights of at least 0.")
            totals = totals * factors
        if not np.all(totals > 0):
            left = classes[totals > 0]
            raise ValueError(
                f"Only the class {_listed(left)} of {_listed(classes)} has samples of positive weight: logistic "
                "regression needs samples of two."
                if left.size
                else "class_weight and sample_weight leave no sample with a positive weight in any class."
            )
        if self.class_weight == "balanced":
            factors = totals.min() / totals
        elif self.class_weight is None:
            factors = np.ones(2)
        return np.asarray(weight * factors[codes])

    def _warm_start(self, data: LinearData) -> LogisticPoint | None:
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is None or coef.shape != (1, data.X.shape[1]):
            return None
        intercept = np.asarray(self.intercept_, dtype=np.float64)[: int(self.fit_intercept)]
        return LogisticPoint(data.scaled_coef(coef[0]), intercept)

    def _store(self, data: LinearData, classes: npt.NDArray[Any], solution: Solution[LogisticPoint]) -> None:
        dtype = data.X.dtype
        self.classes_ = classes
        self.coef_ = data.coef(solution.x.coef).astype(dtype)[None, :]
        self.intercept_ = (solution.x.intercept if self.fit_intercept else np.zeros(1)).astype(dtype)
        self.dual_gap_ = solution.certificate.value
        self.n_iter_ = np.array([solution.n_iter])
        self.solution_ = solution.compact()

    def decision_function(self, X: Any) -> npt.NDArray[Any]:
        """Return the log-odds of ``classes_[1]``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Positive where ``classes_[1]`` is the more probable class.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        scores: npt.NDArray[Any] = safe_sparse_dot(X, self.coef_[0], dense_output=True) + self.intercept_[0]
        return scores

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the more probable class of each sample; `X` is as in `decision_function`."""
        scores = self.decision_function(X)
        return np.asarray(self.classes_[(scores > 0).astype(np.intp)])

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return the probabilities of the classes, shape (n_samples, 2); `X` is as in `decision_function`."""
        scores = self.decision_function(X)
        return np.column_stack([special.expit(-scores), special.expit(scores)])

    def predict_log_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return the logarithms of the probabilities, accurate also where these underflow."""
        scores = self.decision_function(X)
        return -np.column_stack([np.logaddexp(0, scores), np.logaddexp(0, -scores)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = False
        return tags


def _listed(classes: npt.NDArray[Any]) -> str:
    names = [repr(label) for label in classes[:10].tolist()]
    return ", ".join(names) + (", ..." if classes.size > 10 else "")
