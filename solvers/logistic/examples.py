"""Small instances of the logistic problem, random and degenerate, for tests, documentation and plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from .problem import LogisticProblem

__all__ = ["examples", "random_problem"]


def random_problem(
    n: int = 40, p: int = 60, *, seed: int = 0, fraction: float = 0.2, noise: float = 1.0, **options: Any
) -> LogisticProblem:
    """Return a random instance with a sparse truth and `alpha` a fraction of the largest useful one.

    Parameters
    ----------
    n, p : int
        Shape of the design.
    seed : int
        Of the generator.
    fraction : float
        ``alpha / alpha_max``.
    noise : float
        Standard deviation of what is added to the scores before their sign is taken.
    **options
        Further fields of the problem.
    """
    rng = np.random.default_rng(seed)
    A = np.asfortranarray(rng.standard_normal((n, p)))
    truth = np.where(np.arange(p) < 5, 2.0 * (-1.0) ** np.arange(p), 0.0)
    y = np.where(A @ truth + noise * rng.standard_normal(n) + 0.3 > 0, 1.0, -1.0)
    y[: min(2, n)] = [1.0, -1.0][: min(2, n)]
    A = options.pop("A", A)
    largest = LogisticProblem(A=A, y=y, alpha=1.0, **options).alpha_max()
    return LogisticProblem(A=A, y=y, alpha=fraction * largest, **options)


def examples() -> Mapping[str, LogisticProblem]:
    """Return named instances; all have a solution that is attained."""
    rng = np.random.default_rng(7)
    q = rng.integers(0, 4, 40).astype(np.float64)
    weights = rng.uniform(0.5, 2.0, 60)
    mixed = weights.copy()
    mixed[[3, 8]], mixed[[20, 30]] = 0.0, np.inf
    dense = random_problem().A
    duplicated = dense.copy()
    duplicated[:, 1], duplicated[:, 10] = duplicated[:, 0], 0.0
    sparse_design = sparse.random_array((40, 60), density=0.2, rng=rng, format="csc")
    one, few = np.ones((3, 1)), np.array([1.0, -1.0, 1.0])
    return {
        "plain": random_problem(),
        "intercept": random_problem(fit_intercept=True),
        "small_alpha": random_problem(fraction=0.01, fit_intercept=True),
        "at_alpha_max": random_problem(fraction=1.0, fit_intercept=True),
        "tall": random_problem(200, 10, noise=4.0, fit_intercept=True),
        "unpenalised": random_problem(200, 5, noise=4.0, fraction=0.0, fit_intercept=True),
        "c_ordered": random_problem(A=np.ascontiguousarray(dense), fit_intercept=True),
        "float32": random_problem(A=np.asfortranarray(dense, dtype=np.float32), fit_intercept=True),
        "csc": random_problem(A=sparse_design, fit_intercept=True),
        "csr": random_problem(A=sparse_design.tocsr(), fit_intercept=True),
        "sample_weight": random_problem(sample_weight=q, fit_intercept=True),
        "weights": random_problem(weights=weights),
        "free_and_excluded": random_problem(weights=mixed, fit_intercept=True, noise=3.0),
        "elastic_net": random_problem(l2=0.01, fit_intercept=True),
        "squared_only": random_problem(fraction=0.0, l2=0.1, fit_intercept=True),
        "everything": random_problem(weights=mixed, l2=0.02, sample_weight=q, fit_intercept=True, noise=3.0),
        "duplicate_and_zero_columns": random_problem(A=duplicated, fit_intercept=True),
        "constant_column": LogisticProblem(A=one, y=few, alpha=0.05, fit_intercept=True),
        "separable": LogisticProblem(A=few[:, None].copy(), y=few, alpha=1e-3),
        "zero_design": LogisticProblem(A=np.zeros((3, 2), order="F"), y=few, alpha=0.1, fit_intercept=True),
        "no_columns": LogisticProblem(A=np.zeros((3, 0), order="F"), y=few, alpha=0.1, fit_intercept=True),
        "one_sample": LogisticProblem(A=np.ones((1, 2), order="F"), y=np.ones(1), alpha=0.1),
    }
