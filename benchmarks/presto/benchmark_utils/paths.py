"""Every package as one function ``(problem, alphas, tol) -> points``, with `tol` in its package's own scale.

A point holds intercepts and what the penalty of `problem` acts on. All judge themselves by other numbers; `worst` is
what the problem says of their points.
"""

import warnings

import numpy as np

from estimand.solvers import get_solver
from estimand.solvers.ordinal.problem import OrdinalPoint
from estimand.solvers.presto import PrestoProblem
from estimand.solvers.proportional_odds import ProportionalOddsProblem

MODELS = {"presto": PrestoProblem, "binary": PrestoProblem, "proportional_odds": ProportionalOddsProblem}


def make_problem(model, X, y):
    """Return the problem of a model, ``"binary"`` being that of the first class against the others."""
    y = (y > 0 if model == "binary" else y).astype(np.int32)
    return MODELS[model](X=X, y=y, n_classes=int(y.max()) + 1, alpha=0.0)


def grid(problem):
    """Return 20 penalties, from the smallest that leaves no slope to a hundredth of it, a twentieth on wide data."""
    n, p = problem.X.shape
    top = problem.alpha_max()
    return np.geomspace(top, top / (20 if p > n else 100), 20)


def worst(problem, alphas, points, fit_intercept=True):
    """Return the largest relative residual along a grid, and the sum of the objectives.

    Where a package cannot fit an intercept, its conditions are those of the slopes alone.
    """
    residual = objective = 0.0
    for alpha, x in zip(alphas, points, strict=True):
        item = problem.at(alpha)
        certificate = item.certify(x, tol=1.0)
        kkt = certificate.parts.get("kkt", np.inf)
        if not fit_intercept and np.isfinite(kkt):
            gradient = certificate.byproducts["gradient"]
            kkt = item.residual(x, gradient._replace(intercept=np.zeros(1))) / item.scale
        residual, objective = max(residual, kkt), objective + item.objective(x)
    return residual, objective


def estimand(backend, problem, alphas, tol):
    # A new problem: it shares nothing with the one that judges.
    problem = type(problem)(X=problem.X, y=problem.y, n_classes=problem.n_classes, alpha=1.0)
    return [solution.x for solution in get_solver(backend, problem).path(problem, alphas, tol=tol)]


def statsmodels(problem, alphas, tol, covariance=False):
    """Fit without a penalty, by BFGS; the covariance takes about as long again."""
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    model = OrderedModel(problem.y, problem.X, distr="logit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the residual says whether it converged
        parameters = model.fit(method="bfgs", gtol=tol, maxiter=1000, disp=False, skip_hessian=not covariance).params
    thresholds = model.transform_threshold_params(parameters)[1:-1]
    return [OrdinalPoint(-thresholds, parameters[None, : problem.X.shape[1]].copy())]


def mord(problem, alphas, tol):
    """Fit without a penalty; there is no tolerance to choose, and the loss is not the likelihood."""
    from mord import LogisticAT

    model = LogisticAT(alpha=0.0).fit(problem.X, problem.y)
    return [OrdinalPoint(-model.theta_, model.coef_[None, :])]


def celer(problem, alphas, tol):
    """Fit without an intercept, which celer's logistic regression does not have."""
    from celer import celer_path

    X, y = np.asfortranarray(problem.X), np.where(problem.y == 1, 1.0, -1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coefs = celer_path(
            X, y, pb="logreg", alphas=y.size * alphas, tol=tol * y.size * np.log(2), max_iter=100, use_PN=True
        )[1]
    return [OrdinalPoint(np.zeros(1), coef[None, :].copy()) for coef in coefs.T]


def skglm(problem, alphas, tol):
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(tol=tol, warm_start=True, max_iter=100, max_epochs=10_000)
    X, points = np.asfortranarray(problem.X), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for alpha in alphas:
            model.set_params(alpha=alpha).fit(X, problem.y)
            points.append(OrdinalPoint(np.ravel(model.intercept_).copy(), model.coef_.reshape(1, -1).copy()))
    return points


def sklearn(problem, alphas, tol):
    """Fit two classes without a penalty, by Newton's method."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=tol).fit(problem.X, problem.y)
    return [OrdinalPoint(model.intercept_, model.coef_)]
