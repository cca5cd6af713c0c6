"""The score test of parallel slopes: whether the boundaries of a proportional-odds fit need slopes of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse, stats
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ...solvers.ordinal.likelihood import Likelihood, assemble_hessian, weighted_grams
from ...solvers.ordinal.links import class_probabilities
from ._data import Classes, standardise
from .proportional_odds import ProportionalOddsClassifier

__all__ = ["ParallelTest", "parallel_test"]

FloatArray = npt.NDArray[np.float64]

_RANK_FLOOR = 1e-10


class ParallelTest(NamedTuple):
    """Result of the score test of parallel slopes.

    Attributes
    ----------
    statistic : float
        Chi-square statistic.
    degrees_of_freedom : int
        The number of independent differences of slopes.
    pvalue : float
        Probability of a statistic at least as large if the slopes are parallel, for large samples.
    """

    statistic: float
    degrees_of_freedom: int
    pvalue: float


def parallel_test(estimator: ProportionalOddsClassifier, X: Any, y: Any, sample_weight: Any = None) -> ParallelTest:
    r"""Test a proportional-odds fit against slopes that differ between boundaries, without fitting these.

    With the gradient ``g`` of the averaged loss in the differences of slopes at the fit, and the expected Hessian ``H``
    in (1) intercepts and common slopes and (2) differences,

    .. math:: T = W g_2^\top V^+ g_2, \qquad V = H_{22} - H_{21} H_{11}^{-1} H_{12}

    is compared with a chi-square distribution. The observed Hessian rejects far too often where a class is rare.

    Parameters
    ----------
    estimator : ProportionalOddsClassifier
        Fitted without a penalty to these data.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The features; sparse ones are made dense.
    y : array-like of shape (n_samples,)
        The labels, of at least three classes.
    sample_weight : array-like of shape (n_samples,) or None
        The weights of the fit; they count rows.

    Returns
    -------
    result : ParallelTest
        Statistic, degrees of freedom and p-value.

    Raises
    ------
    ValueError
        If the estimator was fitted with a penalty, has two classes only, or the data do not have its classes.

    References
    ----------
    P. McCullagh, "Regression models for ordinal data", JRSS B 42 (1980). B. Peterson and F. Harrell, "Partial
    proportional odds models for ordinal response variables", Applied Statistics 39 (1990), section 3.

    Examples
    --------
    >>> from estimand import ProportionalOddsClassifier, parallel_test
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression("dense", base=1.0, deviation=1.0, intercepts=(0, 2.5, 4.5), random_state=0)
    >>> model = ProportionalOddsClassifier().fit(data.X, data.y)
    >>> result = parallel_test(model, data.X, data.y)
    >>> result.degrees_of_freedom, bool(result.pvalue < 1e-6)
    (20, True)
    """
    if not isinstance(estimator, ProportionalOddsClassifier):
        raise ValueError(f"estimator={estimator!r} must be a fitted ProportionalOddsClassifier.")
    check_is_fitted(estimator)
    if estimator.alpha > 0:
        raise ValueError(
            f"estimator has alpha={estimator.alpha}: the score test needs a fit without a penalty, alpha=0."
        )
    n_classes = estimator.categories_.size
    if n_classes == 2:
        raise ValueError("estimator has two classes and so one boundary: there is nothing to be parallel to.")
    if estimator.class_weight is not None:
        raise ValueError("estimator has class_weight: the score test needs a likelihood of the data as they are.")
    X, y = validate_data(estimator, X, y, accept_sparse=["csr", "csc"], dtype=np.float64, reset=False)
    weight = np.ones(y.size) if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
    if not np.isin(y, estimator.classes_).all():
        raise ValueError("y holds a class that the estimator was not fitted to.")
    classes = Classes(estimator.classes_, estimator.categories_, estimator.class_order_)
    rows = weight > 0
    dense = X[rows].toarray() if sparse.issparse(X) else X[rows]
    eta = np.ascontiguousarray(dense @ estimator.coef_.T + estimator.intercept_)
    Z = standardise(dense, weight[rows], True)[0]
    return _score_test(eta, Z, classes.codes(y[rows]), weight[rows], estimator.link)


def _score_test(
    eta: FloatArray, Z: FloatArray, codes: npt.NDArray[np.int32], weight: FloatArray, link: str
) -> ParallelTest:
    n_classes = eta.shape[1] + 1
    observed = Likelihood(codes, n_classes, link, weight)
    gradient = observed.derivatives(eta).gradient
    H, q = _expected_hessian(eta, Z, observed, link), Z.shape[1] + 1
    order = np.arange(H.shape[0]).reshape(-1, q)
    differences = order[1:, 1:].ravel()
    common = np.concatenate([order[:, 0], order[0, 1:]])
    # The intercepts and the common slopes are at their optimum: their gradient is 0.
    g = (gradient.T @ Z)[1:].ravel()
    cross = H[np.ix_(common, differences)]
    V = H[np.ix_(differences, differences)] - cross.T @ linalg.pinvh(H[np.ix_(common, common)]) @ cross
    values, vectors = linalg.eigh(V)
    kept = values > _RANK_FLOOR * values.max(initial=0.0)
    statistic = observed.total_weight * float(np.sum(np.square(vectors[:, kept].T @ g) / values[kept]))
    rank = int(kept.sum())
    return ParallelTest(statistic, rank, float(stats.chi2.sf(statistic, rank)))


def _expected_hessian(eta: FloatArray, Z: FloatArray, observed: Likelihood, link: str) -> FloatArray:
    """Return the Hessian of the loss in the differences of boundaries, averaged over the fitted classes of each row."""
    n, n_classes = eta.shape[0], eta.shape[1] + 1
    share = class_probabilities(eta, link) * observed.row_weight[:, None]
    grams = []
    for c in range(n_classes):
        curvature = Likelihood(np.full(n, c), n_classes, link, None).derivatives(eta).curvature * (n * share[:, [c]])
        grams.append(weighted_grams(Z, observed.all_rows, curvature))
    matrix = assemble_hessian(grams)
    return matrix.reshape(matrix.shape[0] * matrix.shape[1], -1)
