"""Random and degenerate instances, for tests, documentation and the authors of backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from ...penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq, Penalty
from .problem import PenalizedLeastSquaresProblem

__all__ = ["degenerate_instances", "instances", "penalties", "random_instance"]


def penalties(alpha: float) -> list[Penalty]:
    """Return every built-in penalty with strengths that act like an l1 strength `alpha` on standardised columns."""
    price = alpha * alpha / 2
    return [
        L1(alpha),
        L1L2(alpha, 0.7),
        Lq(alpha, 0.5),
        L0(price),
        CEL0(price),
        MCP(alpha, 3.0),
        SCAD(alpha, 3.7),
        LogSum(alpha, 1.0),
        CappedL1(alpha, 1.0),
    ]


def random_instance(
    seed: int, penalty: Penalty, *, n: int = 30, p: int = 50, kind: str = "dense", **fields: Any
) -> PenalizedLeastSquaresProblem:
    """Return a random problem with five true coefficients and correlated columns.

    Parameters
    ----------
    seed : int
        Determines the instance.
    penalty : Penalty
        The penalty.
    n, p : int
        Rows and columns.
    kind : {"dense", "float32", "c_order", "csc", "csr"}
        The form of the design.
    **fields
        Further fields of the problem.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    if kind in ("csc", "csr"):
        A = A * (rng.random((n, p)) < 0.3)
    truth = np.zeros(p)
    support = rng.choice(p, size=min(5, p), replace=False)
    truth[support] = rng.choice([-1.0, 1.0], support.size) * rng.uniform(1.0, 3.0, support.size)
    y = A @ truth + 0.3 * rng.standard_normal(n) + 1.0
    design: Any = {
        "dense": np.asfortranarray,
        "float32": lambda a: np.asfortranarray(a, dtype=np.float32),
        "c_order": np.ascontiguousarray,
        "csc": sparse.csc_array,
        "csr": sparse.csr_array,
    }[kind](A)
    return PenalizedLeastSquaresProblem(A=design, y=y, penalty=penalty, **fields)


def degenerate_instances(penalty: Penalty) -> Iterator[tuple[str, PenalizedLeastSquaresProblem]]:
    """Yield named instances at the edges: one row, one column, zeros, duplicates, constants, ties."""
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal((12, 6)), rng.standard_normal(12)
    duplicated = np.asfortranarray(np.hstack([A, A[:, :2], -A[:, 2:3]]))
    blank = A.copy()
    blank[:, 1], blank[:, 3] = 0.0, 2.0
    orthonormal = np.sqrt(8.0) * np.eye(8)
    cases: dict[str, tuple[Any, Any, bool]] = {
        "one row": (A[:1], y[:1], True),
        "one row, no intercept": (A[:1], y[:1], False),
        "one column": (A[:, :1], y, True),
        "one entry": (A[:1, :1], y[:1], False),
        "zero and constant columns": (blank, y, True),
        "zero design": (np.zeros((5, 3)), y[:5], False),
        "empty sparse design": (sparse.csc_array((5, 3)), y[:5], True),
        "duplicated columns": (duplicated, y, True),
        "constant response": (A, np.full(12, 3.0), True),
        "zero response": (A, np.zeros(12), False),
        "ties on an orthonormal design": (orthonormal, np.sqrt(8.0) * np.array([1.0, -1, 2, -2, 0, 0.5, 1, 3]), False),
    }
    for name, (design, response, intercept) in cases.items():
        design = design if sparse.issparse(design) else np.asfortranarray(design)
        yield (
            name,
            PenalizedLeastSquaresProblem(
                A=design, y=np.array(response, dtype=np.float64), penalty=penalty, fit_intercept=intercept
            ),
        )


def instances() -> Iterator[tuple[str, PenalizedLeastSquaresProblem]]:
    """Yield a small collection with every built-in penalty, once random and once with all fields in use."""
    for number, penalty in enumerate(penalties(0.3)):
        yield f"{penalty!r}", random_instance(number, penalty, fit_intercept=True)
        rng = np.random.default_rng(number)
        weights = np.concatenate([[0.0, 0.0, np.inf], rng.uniform(0.5, 2.0, 47)])
        yield (
            f"{penalty!r} with weights",
            random_instance(
                number,
                penalty,
                fit_intercept=True,
                positive=True,
                weights=weights,
                sample_weight=rng.uniform(0.0, 2.0, 30),
            ),
        )
