"""Random and degenerate instances of the Lasso, for tests, documentation and plug-ins."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from .frame import FloatArray
from .problem import LassoProblem

__all__ = ["examples"]


def _data(n: int, p: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, p))
    coef = np.zeros(p)
    coef[: min(4, p)] = [2.0, -1.5, 1.0, 0.5][: min(4, p)]
    return A, A @ coef + 0.3 * rng.normal(size=n)


def _random() -> list[tuple[str, dict[str, Any]]]:
    A, y = _data(30, 20, 0)
    wide, response = _data(15, 40, 1)
    thinned = np.where(np.abs(A) > 0.8, A, 0.0)
    weights = np.linspace(0.5, 2.0, 20)
    mixed = weights.copy()
    mixed[[0, 5]], mixed[[1, 7]] = 0.0, np.inf
    free = np.ones(20)
    free[[2, 9]] = 0.0
    rows = np.linspace(0.2, 3.0, 30)
    dropped = np.where(np.arange(30) % 3 == 0, 0.0, rows)
    full = {"weights": mixed, "sample_weight": dropped, "fit_intercept": True}
    return [
        ("tall_c_order", {"A": A, "y": y, "alpha": 0.1}),
        ("tall_f_order", {"A": np.asfortranarray(A), "y": y, "alpha": 0.1}),
        ("wide", {"A": wide, "y": response, "alpha": 0.05}),
        ("wide_f_order_intercept", {"A": np.asfortranarray(wide), "y": response, "alpha": 0.05, "fit_intercept": True}),
        ("float32", {"A": A.astype(np.float32), "y": y, "alpha": 0.1}),
        ("csc", {"A": sparse.csc_matrix(thinned), "y": y, "alpha": 0.05}),
        ("csr_array", {"A": sparse.csr_array(thinned), "y": y, "alpha": 0.05}),
        ("csc_intercept", {"A": sparse.csc_matrix(thinned), "y": y + 3, "alpha": 0.05, "fit_intercept": True}),
        ("csc_everything", {"A": sparse.csc_array(thinned), "y": y + 3, "alpha": 0.05, **full}),
        ("operator", {"A": aslinearoperator(A), "y": y, "alpha": 0.1}),
        ("operator_free_intercept", {"A": aslinearoperator(A), "y": y, "alpha": 0.1, "weights": free,
                                     "fit_intercept": True}),
        ("intercept", {"A": A, "y": y + 5, "alpha": 0.1, "fit_intercept": True}),
        ("weights", {"A": A, "y": y, "alpha": 0.1, "weights": weights}),
        ("weights_0_and_inf", {"A": A, "y": y, "alpha": 0.1, "weights": mixed}),
        ("free_intercept", {"A": A, "y": y + 1, "alpha": 0.1, "weights": free, "fit_intercept": True}),
        ("all_free", {"A": A, "y": y, "alpha": 0.1, "weights": np.zeros(20)}),
        ("positive", {"A": A, "y": y, "alpha": 0.1, "positive": True}),
        ("positive_free", {"A": A, "y": y, "alpha": 0.1, "positive": True, "weights": free}),
        ("l2", {"A": A, "y": y, "alpha": 0.1, "l2": 0.2}),
        ("l2_wide_intercept", {"A": wide, "y": response, "alpha": 0.05, "l2": 0.2, "fit_intercept": True}),
        ("l2_positive_weights", {"A": A, "y": y, "alpha": 0.1, "l2": 0.2, "positive": True, "weights": weights}),
        ("sample_weight", {"A": A, "y": y, "alpha": 0.1, "sample_weight": rows}),
        ("sample_weight_zeros", {"A": A, "y": y, "alpha": 0.1, "sample_weight": dropped, "fit_intercept": True}),
        ("everything", {"A": A, "y": y, "alpha": 0.1, "l2": 0.1, "positive": True, **full}),
    ]  # fmt: skip


def _degenerate() -> list[tuple[str, dict[str, Any]]]:
    A, y = _data(20, 12, 2)
    duplicates = np.hstack([A, A[:, :6], -A[:, :3]])
    zeros = A.copy()
    zeros[:, [0, 7]] = 0.0
    constant = A.copy()
    constant[:, 4] = 3.0
    free = np.ones(12)
    free[:2] = 0.0
    collinear = A.copy()
    collinear[:, 5] = A[:, 0] - 2 * A[:, 1]
    orthogonal = np.vstack([np.eye(6), -np.eye(6)])
    ties = orthogonal @ np.array([1.0, -1.0, 1.0, 1.0, 0.0, 0.5])
    scaled = A * 10.0 ** np.linspace(-8, 8, 12)
    top = LassoProblem(A=A, y=y, alpha=1.0).alpha_max()
    inverse = 10.0 ** np.linspace(-8, 8, 12)
    return [
        ("duplicates", {"A": duplicates, "y": y, "alpha": 0.05}),
        ("duplicates_wide_intercept", {"A": duplicates[:10], "y": y[:10], "alpha": 0.02, "fit_intercept": True}),
        ("zero_columns", {"A": zeros, "y": y, "alpha": 0.05}),
        ("zero_columns_csc", {"A": sparse.csc_matrix(zeros), "y": y, "alpha": 0.05}),
        ("all_zero", {"A": np.zeros((5, 3)), "y": np.arange(5.0), "alpha": 0.1}),
        ("constant_column_intercept", {"A": constant, "y": y, "alpha": 0.05, "fit_intercept": True}),
        ("collinear_with_free", {"A": collinear, "y": y, "alpha": 0.05, "weights": free}),
        ("duplicate_free", {"A": np.hstack([A[:, :2], A]), "y": y, "alpha": 0.05,
                            "weights": np.r_[0.0, 0.0, free]}),
        ("constant_y_intercept", {"A": A, "y": np.full(20, 2.0), "alpha": 0.1, "fit_intercept": True}),
        ("zero_y", {"A": A, "y": np.zeros(20), "alpha": 0.1}),
        ("one_sample", {"A": A[:1], "y": y[:1], "alpha": 0.01}),
        ("one_sample_intercept", {"A": A[:1], "y": y[:1], "alpha": 0.01, "fit_intercept": True}),
        ("one_feature", {"A": A[:, :1], "y": y, "alpha": 0.01}),
        ("one_by_one", {"A": A[:1, :1], "y": y[:1], "alpha": 0.01}),
        ("alpha_max", {"A": A, "y": y, "alpha": top}),
        ("above_alpha_max", {"A": A, "y": y, "alpha": 2 * top}),
        ("just_below_alpha_max", {"A": A, "y": y, "alpha": top * (1 - 1e-9)}),
        ("alpha_zero", {"A": A, "y": y, "alpha": 0.0}),
        ("alpha_zero_wide", {"A": A[:6], "y": y[:6], "alpha": 0.0, "fit_intercept": True}),
        ("alpha_zero_l2", {"A": A, "y": y, "alpha": 0.0, "l2": 0.1}),
        ("small_alpha_wide", {"A": A[:8], "y": y[:8], "alpha": 1e-3 * top}),
        ("ties", {"A": orthogonal, "y": ties, "alpha": 0.02}),
        ("signed_ties", {"A": np.hstack([orthogonal, orthogonal[:, :2]]), "y": ties, "alpha": 0.02}),
        ("badly_scaled", {"A": scaled, "y": y, "alpha": 0.05, "weights": inverse}),
        ("tiny_data", {"A": A * 1e-60, "y": y * 1e-60, "alpha": 0.05e-120}),
    ]  # fmt: skip


def examples() -> list[tuple[str, LassoProblem]]:
    """Return instances with their identifiers, from well-behaved to degenerate.

    Returns
    -------
    list of (str, LassoProblem)
        Small instances that together need every capability word of the problem.

    Examples
    --------
    >>> from estimand.solvers.lasso.examples import examples
    >>> dict(examples())["float32"].needs()
    frozenset({'float32'})
    """
    return [(name, LassoProblem(**fields)) for name, fields in [*_random(), *_degenerate()]]
