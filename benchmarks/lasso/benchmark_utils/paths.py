"""Every solver as one function ``(X, y, alphas, tol) -> coefs``: no intercept, and `tol` in its package's own scale."""

import warnings

import numpy as np

from estimand.solvers import get_solver
from estimand.solvers.lasso import LassoProblem


def estimand(name):
    def path(X, y, alphas, tol):
        problem = LassoProblem(A=X, y=y, alpha=1.0)
        solutions = get_solver(name, problem).path(problem, alphas, tol=tol)
        return np.stack([solution.x for solution in solutions], axis=1)

    return path


def celer(X, y, alphas, tol):
    from celer import celer_path

    return celer_path(X, y, pb="lasso", alphas=np.asarray(alphas), tol=tol, max_iter=100)[1]


def skglm(X, y, alphas, tol):
    from skglm import Lasso

    model = Lasso(fit_intercept=False, tol=tol, warm_start=True, max_iter=100, max_epochs=100_000)
    return np.stack([model.set_params(alpha=alpha).fit(X, y).coef_.copy() for alpha in alphas], axis=1)


def skglm_cold(X, y, alphas, tol):
    return np.concatenate([skglm(X, y, [alpha], tol) for alpha in alphas], axis=1)


def sklearn(X, y, alphas, tol):
    from sklearn.linear_model import lasso_path

    return lasso_path(X, y, alphas=alphas, tol=tol, max_iter=10_000)[1]


def glum(X, y, alphas, tol):
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="normal", l1_ratio=1, fit_intercept=False, warm_start=True, gradient_tol=tol, max_iter=1000
    )
    return np.stack([model.set_params(alpha=float(alpha)).fit(X, y).coef_.copy() for alpha in alphas], axis=1)


def lars(X, y, alphas, tol):
    """Least angle regression is exact: `tol` has nothing to act on."""
    from sklearn.linear_model import lars_path

    knots, _, coefs = lars_path(X, y, method="lasso", alpha_min=float(np.min(alphas)))
    order = np.argsort(knots)
    knots, coefs = knots[order], coefs[:, order]
    right = np.clip(np.searchsorted(knots, alphas), 1, knots.size - 1)
    share = np.clip((alphas - knots[right - 1]) / (knots[right] - knots[right - 1]), 0.0, 1.0)
    return coefs[:, right - 1] * (1.0 - share) + coefs[:, right] * share


PATHS = {
    "estimand": estimand("coordinate_descent"),
    "homotopy": estimand("homotopy"),
    "celer": celer,
    "skglm": skglm,
    "skglm_cold": skglm_cold,
    "sklearn": sklearn,
    "glum": glum,
    "lars": lars,
}


def run(name, X, y, alphas, tol):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the gap of the result says whether it converged
        return PATHS[name](X, y, alphas, tol)
