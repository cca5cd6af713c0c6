"""Random and degenerate instances, for tests, documentation and the authors of backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...penalties import CEL0, L0, L1, L1L2, MCP, SCAD, CappedL1, LogSum, Lq, Penalty
from .atoms import FloatArray
from .problem import SparseCodingProblem

__all__ = ["examples", "penalties", "random_instance"]


def penalties(alpha: float) -> list[tuple[str, Penalty]]:
    """Return every built-in penalty, with strengths that act like an l1 strength `alpha` on atoms of length 1."""
    price = alpha * alpha / 2
    return [
        ("l1", L1(alpha)),
        ("l1l2", L1L2(alpha, 0.7)),
        ("lq", Lq(alpha, 0.5)),
        ("l0", L0(price)),
        ("cel0", CEL0(price)),
        ("cel0_half", CEL0(price, 0.5)),
        ("mcp", MCP(alpha, 3.0)),
        ("scad", SCAD(alpha, 3.7)),
        ("log", LogSum(alpha, 1.0)),
        ("capped_l1", CappedL1(alpha, 1.0)),
    ]


def random_instance(
    seed: int,
    penalty: Penalty,
    *,
    n: int = 12,
    d: int = 10,
    n_atoms: int = 24,
    spread: float = 0.0,
    **fields: Any,
) -> SparseCodingProblem:
    """Return signals that are sums of three random atoms, and noise.

    Parameters
    ----------
    seed : int
        Determines the instance.
    penalty : Penalty
        The penalty.
    n, d, n_atoms : int
        Signals, features and atoms.
    spread : float
        Atoms have lengths between ``exp(-spread)`` and ``exp(spread)``.
    **fields
        Further fields of the problem.
    """
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_atoms, d))
    D *= np.exp(rng.uniform(-spread, spread, (n_atoms, 1))) / np.linalg.norm(D, axis=1, keepdims=True)
    codes = np.zeros((n, n_atoms))
    for row in codes:
        chosen = rng.choice(n_atoms, min(3, n_atoms), replace=False)
        row[chosen] = rng.choice([-1.0, 1.0], chosen.size) * rng.uniform(1.0, 3.0, chosen.size)
    X = codes @ D + 0.1 * rng.standard_normal((n, d))
    return SparseCodingProblem(X=X, D=D, penalty=penalty, **fields)


def _degenerate(name: str, penalty: Penalty) -> list[tuple[str, SparseCodingProblem]]:
    rng = np.random.default_rng(0)
    X, D = rng.standard_normal((6, 5)), rng.standard_normal((8, 5))
    duplicated = np.vstack([D, D[:2], -D[2:3]])
    blank = X.copy()
    blank[[0, 3]] = 0.0
    ties = rng.integers(-2, 3, (6, 5)).astype(np.float64)
    cases: list[tuple[str, FloatArray, FloatArray]] = [
        ("one_signal", X[:1], D),
        ("no_signal", X[:0], D),
        ("one_atom", X, D[:1]),
        ("one_feature", X[:, :1], D[:, :1]),
        ("one_of_all", X[:1, :1], D[:1, :1]),
        ("zero_signals", blank, D),
        ("duplicates", X, duplicated),
        ("ties", ties, np.eye(5)),
        ("fewer_atoms_than_features", X, D[:3]),
        ("lengths_far_apart", X, D * 10.0 ** np.linspace(-3, 3, 8)[:, None]),
        ("far_from_zero", X + 1e4, D),
    ]
    return [(f"{name}_{case}", SparseCodingProblem(X=S, D=A, penalty=penalty)) for case, S, A in cases]


def examples() -> list[tuple[str, SparseCodingProblem]]:
    """Return instances with their identifiers, from well-behaved to degenerate.

    Returns
    -------
    list of (str, SparseCodingProblem)
        Every built-in penalty, every field.

    Examples
    --------
    >>> from estimand.solvers.sparse_coding.examples import examples
    >>> sorted(dict(examples())["mcp_positive"].needs())
    ['nonconvex', 'positive']
    """
    found: list[tuple[str, SparseCodingProblem]] = []
    for seed, (name, penalty) in enumerate(penalties(0.3)):
        found.append((name, random_instance(seed, penalty)))
        found.append((f"{name}_lengths", random_instance(seed, penalty, spread=1.0)))
        found.append((f"{name}_positive", random_instance(seed, penalty, positive=True)))
        found.append((f"{name}_small", random_instance(seed, penalty, d=5, n_atoms=9)))
    strengths = dict(penalties(0.4))
    for name in ("l1", "l0", "lq", "mcp"):
        found += _degenerate(name, strengths[name])
    found.append(("l1_large_penalty", random_instance(40, L1(100.0))))
    found.append(("l1_small_penalty", random_instance(41, L1(1e-3))))
    found.append(("many_signals", random_instance(42, L0(0.05), n=1100, d=8, n_atoms=10)))
    return found
