"""Proportional odds: ordinal regression with the same slopes for all boundaries.

The mathematics lives in :mod:`estimand.solvers.proportional_odds`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg
from sklearn.utils.validation import check_is_fitted

from ...solvers import Solver
from ...solvers.ordinal.links import REFLECTED
from ...solvers.proportional_odds import ProportionalOddsProblem
from .._base import fit_or_nothing, report
from ._base import OrdinalClassifier
from ._data import OrdinalData, prepare
from .summary import coefficient_table, inference_table, summarise

__all__ = ["ProportionalOddsClassifier"]

FloatArray = npt.NDArray[np.float64]


class ProportionalOddsClassifier(OrdinalClassifier):
    r"""Ordinal regression with common slopes, by maximum likelihood or with a penalty.

    For ordered classes ``0 < 1 < ... < K - 1`` the model is ``P(y > k - 1 | x) = F(a_k + x' b)``, for the boundaries
    ``k = 1, ..., K - 1``. Minimises, over intercepts and the slopes of the standardised features,

    .. math:: -\frac{1}{W} \sum_i w_i \log P(y_i | x_i)
        + \alpha \left[\rho \|b\|_1 + \frac{1 - \rho}{2} \|b\|_2^2\right]

    with ``rho = l1_ratio``. Unlike models that minimise a sum of losses over the thresholds, `alpha` = 0 gives the
    maximum-likelihood estimate.

    Parameters
    ----------
    alpha : float, default=0.0
        Strength of the penalty, at least 0.
    l1_ratio : float, default=0.0
        Share of the l1 penalty, in [0, 1].
    link : {"logit", "probit", "cloglog", "loglog"}, default="logit"
        Link of ``P(y > k - 1 | x)``.
    standardize : bool, default=True
        Whether the penalty acts on features divided by their standard deviation.
    categories : "auto" or array-like, default="auto"
        The classes from the lowest to the highest. ``"auto"`` takes the order of a pandas ordered categorical,
        otherwise the sorted labels.
    rare : {"last", "first"}, default="last"
        Which end `predict_rare_proba` speaks of.
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights. They distort the predicted probabilities.
    solver : str or Solver, default="auto"
        A backend of :class:`~estimand.solvers.proportional_odds.ProportionalOddsProblem`, see
        :func:`estimand.list_solvers`.
    tol : float, default=1e-6
        The optimality conditions are to hold up to ``tol`` times the largest gradient of the model without features.
    max_iter : int, default=100
        Newton steps, or iterations of other backends.
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
        Intercepts of the boundaries, strictly decreasing.
    coef_ : ndarray of shape (1, n_features)
        The slopes.
    covariance_ : ndarray of shape (n_classes - 1 + n_features, n_classes - 1 + n_features)
        Without a penalty, the inverse of the observed information of intercepts and slopes, with the sample weights as
        frequencies; NaN for features that do not vary.
    scale_ : ndarray of shape (n_features,)
        What the features were divided by.
    n_observations_ : float
        Sum of the sample weights.
    loglik_, null_loglik_ : float
        Log-likelihood with the sample weights as frequencies, and that of the model without features.
    df_, aic_, bic_ : float
        Effective number of parameters, and the criteria made from it.
    objective_, dual_gap_, kkt_ : float
        The objective for the standardised features, a bound on its excess (NaN without a penalty), and the relative
        residual.
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

    See Also
    --------
    PrestoClassifier : Lets slopes differ between boundaries as far as the data show it.

    References
    ----------
    P. McCullagh, "Regression models for ordinal data", JRSS B 42 (1980), section 2.

    Examples
    --------
    >>> from estimand import ProportionalOddsClassifier
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(random_state=0)
    >>> model = ProportionalOddsClassifier().fit(data.X, data.y)
    >>> model.converged_, bool((model.intercept_[:-1] > model.intercept_[1:]).all())
    (True, True)
    """

    def __init__(
        self,
        alpha: float = 0.0,
        *,
        l1_ratio: float = 0.0,
        link: str = "logit",
        standardize: bool = True,
        categories: Any = "auto",
        rare: str = "last",
        class_weight: dict[Any, float] | str | None = None,
        solver: str | Solver[Any, Any] = "auto",
        tol: float = 1e-6,
        max_iter: int = 100,
        verbose: bool | int = False,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.link = link
        self.standardize = standardize
        self.categories = categories
        self.rare = rare
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @fit_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ProportionalOddsClassifier:
        """Fit intercepts and slopes.

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
        self : ProportionalOddsClassifier
            The fitted classifier.
        """
        data, classes = prepare(self, X, y, sample_weight)
        problem = ProportionalOddsProblem(
            X=data.X,
            y=data.y,
            n_classes=classes.ordinal.size,
            alpha=float(self.alpha),
            l1_ratio=float(self.l1_ratio),
            link=REFLECTED[self.link] if data.reverse else self.link,
            sample_weight=data.sample_weight,
        )
        solution = self._solve(problem)
        x = solution.x
        eta = problem.predictors(x)
        self._warn_if_separated(problem, eta)
        self._store_classes(classes)
        self.intercept_, self.coef_ = data.original(x.intercept, x.coef)
        self.scale_ = data.scale
        self._store_solution(problem, solution)
        self._store_likelihood(data, problem, x, eta)
        if self.alpha == 0:
            self.covariance_ = _covariance(data, problem, eta)
        report([solution], stacklevel=4)
        return self

    def summary(self) -> Any:
        """Return tables of the fit: likelihood, criteria and estimates, without a penalty with standard errors.

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
        table = inference_table(self) if hasattr(self, "covariance_") else coefficient_table(self)
        return summarise(self, [table], [("alpha", f"{self.alpha:.4g}")])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # one direction cannot separate classes that are not ordered
        return tags


def _covariance(data: OrdinalData, problem: ProportionalOddsProblem, eta: FloatArray) -> FloatArray:
    """Return the inverse of the observed information in the user's features and order of classes."""
    Z = problem.columns(np.arange(data.X.shape[1]))
    m, p = problem.n_boundaries, data.varying.size
    H = problem.loss_hessian(Z, problem.loss.derivatives(eta))
    scaled = linalg.pinvh(H) / float(data.frequency.sum())
    back = np.zeros((m + p, m + Z.shape[1]))
    back[:m, :m] = np.tri(m)
    back[:m, m:] = -data.mean[data.varying] / data.scale[data.varying]
    back[m + np.flatnonzero(data.varying), m + np.arange(Z.shape[1])] = 1.0 / data.scale[data.varying]
    if data.reverse:
        back[:m] = back[m - 1 :: -1]
    covariance = np.asarray(back @ scaled @ back.T)
    constant = np.append(np.zeros(m, dtype=bool), ~data.varying)
    covariance[constant, :] = covariance[:, constant] = np.nan
    return covariance
