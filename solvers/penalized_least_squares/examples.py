"""Random and degenerate instances, for tests, documentation and the authors of backends."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ...penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq, Penalty
from .problem import PenalizedLeastSquaresProblem

__all__ = ["degenerate_instances", "examples", "penalties", "random_instance"]


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


def degenerate_instances(penalty: Penalty) -> list[tuple[str, PenalizedLeastSquaresProblem]]:
    """Return named instances at the edges: one row, one column, zeros, duplicates, constants, ties, bad scales."""
    rng = np.random.default_rng(0)
    A, y = rng.standard_normal((12, 6)), rng.standard_normal(12)
    duplicated = np.hstack([A, A[:, :2], -A[:, 2:3]])
    blank = A.copy()
    blank[:, 1], blank[:, 3] = 0.0, 2.0
    orthonormal, tied = np.sqrt(8.0) * np.eye(8), np.sqrt(8.0) * np.array([1.0, -1, 2, -2, 0, 0.5, 1, 3])
    cases: list[tuple[str, Any, Any, bool]] = [
        ("one_row_intercept", A[:1], y[:1], True),
        ("one_row", A[:1], y[:1], False),
        ("one_column", A[:, :1], y, True),
        ("one_by_one", A[:1, :1], y[:1], False),
        ("zero_and_constant_columns", blank, y, True),
        ("zero_and_constant_columns_csc", sparse.csc_array(blank), y, True),
        ("all_zero", np.zeros((5, 3)), y[:5], False),
        ("all_zero_csc", sparse.csc_array((5, 3)), y[:5], True),
        ("duplicates", duplicated, y, True),
        ("constant_y", A, np.full(12, 3.0), True),
        ("zero_y", A, np.zeros(12), False),
        ("ties", orthonormal, tied, False),
        ("far_from_zero", A + 1e5, y + 1e5, True),
        ("badly_scaled", A * 10.0 ** np.linspace(-6, 6, 6), y, True),
    ]
    return [
        (name, PenalizedLeastSquaresProblem(A=_ordered(design), y=response, penalty=penalty, fit_intercept=intercept))
        for name, design, response, intercept in cases
    ]


def _ordered(design: Any) -> Any:
    return design if sparse.issparse(design) else np.asfortranarray(design)


def examples() -> list[tuple[str, PenalizedLeastSquaresProblem]]:
    """Return instances with their identifiers, from well-behaved to degenerate.

    Returns
    -------
    list of (str, PenalizedLeastSquaresProblem)
        Every built-in penalty, every form of the design, every field.

    Examples
    --------
    >>> from estimand.solvers.penalized_least_squares.examples import examples
    >>> sorted(dict(examples())["mcp_csr"].needs())
    ['nonconvex', 'sparse']
    """
    found: list[tuple[str, PenalizedLeastSquaresProblem]] = []
    for seed, penalty in enumerate(penalties(0.3)):
        name = str(getattr(penalty, "name", ""))
        found.append((name, random_instance(seed, penalty, fit_intercept=True)))
        rng = np.random.default_rng(seed)
        fields: dict[str, Any] = {
            "fit_intercept": True,
            "weights": np.concatenate([[0.0, 0.0, np.inf], rng.uniform(0.5, 2.0, 47)]),
            "sample_weight": rng.uniform(0.0, 2.0, 30),
        }
        found.append((f"{name}_weights", random_instance(seed, penalty, **fields)))
        found.append((f"{name}_everything", random_instance(seed, penalty, positive=True, **fields)))
    for kind in ("float32", "c_order", "csc", "csr"):
        found.append((f"mcp_{kind}", random_instance(20, MCP(0.2), kind=kind)))
        found.append((f"l1_{kind}", random_instance(20, L1(0.2), kind=kind, fit_intercept=True)))
    for label, penalty in (("l1", L1(0.3)), ("mcp", MCP(0.3)), ("lq", Lq(0.3))):
        found += [(f"{label}_{name}", problem) for name, problem in degenerate_instances(penalty)]
    return found
