"""Summaries of ordinal fits: tables for a statistician to read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["boundary_names", "coefficient_table", "inference_table", "summarise"]

FloatArray = npt.NDArray[np.float64]


def boundary_names(categories: npt.NDArray[Any]) -> list[str]:
    """Return what the boundaries are about: ``y > c`` for all classes c but the last."""
    return [f"y > {label}" for label in categories[:-1].tolist()]


def _feature_names(model: Any) -> list[str]:
    names = getattr(model, "feature_names_in_", None)
    return [f"x{j}" for j in range(model.n_features_in_)] if names is None else [str(name) for name in names]


def _number(value: float) -> str:
    return "." if value == 0 else f"{value:.4f}"


def coefficient_table(model: Any) -> Any:
    """Return the coefficients by boundary; a star marks features whose slope is not the same at all boundaries."""
    from statsmodels.iolib.table import SimpleTable

    coef = np.broadcast_to(model.coef_, (model.intercept_.size, model.n_features_in_))
    own = np.any(np.diff(coef, axis=0) != 0, axis=0)
    names = [name + (" *" if breaks else "") for name, breaks in zip(_feature_names(model), own, strict=True)]
    rows = [[f"{a:.4f}" for a in model.intercept_], *([_number(b) for b in column] for column in coef.T)]
    title = "Coefficients by boundary (*: slopes differ, .: zero)"
    return SimpleTable(rows, headers=boundary_names(model.categories_), stubs=["intercept", *names], title=title)


def inference_table(model: Any) -> Any:
    """Return estimates with standard errors, z statistics, p-values and 95 percent confidence intervals."""
    from statsmodels.iolib.table import SimpleTable

    estimate = np.concatenate([model.intercept_, model.coef_[0]])
    error = np.sqrt(np.diag(model.covariance_))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimate / error
    half = stats.norm.ppf(0.975) * error
    columns = [estimate, error, z, 2 * stats.norm.sf(np.abs(z)), estimate - half, estimate + half]
    rows = [[f"{value:.4f}" for value in row] for row in np.column_stack(columns)]
    stubs = [f"intercept, {name}" for name in boundary_names(model.categories_)] + _feature_names(model)
    headers = ["coef", "std err", "z", "P>|z|", "[0.025", "0.975]"]
    return SimpleTable(rows, headers=headers, stubs=stubs, title="Slopes common to all boundaries")


def summarise(model: Any, tables: list[Any], extra: list[tuple[str, str]]) -> Any:
    """Return a statsmodels summary: what was fitted and how well, then the tables."""
    from statsmodels.iolib.summary import Summary
    from statsmodels.iolib.table import SimpleTable

    left = [
        ("Model", type(model).__name__),
        ("Link", model.link),
        ("Classes", " < ".join(str(label) for label in model.categories_.tolist())),
        ("Observations", f"{model.n_observations_:g}"),
        *extra,
    ]
    right = [
        ("Log-likelihood", f"{model.loglik_:.4f}"),
        ("Null log-likelihood", f"{model.null_loglik_:.4f}"),
        ("Degrees of freedom", f"{model.df_:.4g}"),
        ("AIC", f"{model.aic_:.4f}"),
        ("BIC", f"{model.bic_:.4f}"),
        ("Solver", f"{model.solution_.solver}, {'converged' if model.converged_ else model.solution_.status}"),
        ("Relative residual", f"{model.kkt_:.1e}"),
    ]
    length = max(len(left), len(right))
    left, right = (part + [("", "")] * (length - len(part)) for part in (left, right))
    rows = [[*a, *b] for a, b in zip(left, right, strict=True)]
    summary = Summary()
    summary.tables = [SimpleTable(rows, title="Ordinal regression"), *tables]
    return summary
