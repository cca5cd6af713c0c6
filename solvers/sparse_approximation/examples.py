"""Random and degenerate instances, for tests, documentation and the authors of backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..sparse_coding.atoms import FloatArray
from .problem import SparseApproximationProblem

__all__ = ["degenerate_instances", "examples", "planted_data", "random_data"]


def random_data(seed: int, n: int, d: int, K: int, *, unit: bool = True) -> tuple[FloatArray, FloatArray]:
    """Return signals and a dictionary without any structure.

    Parameters
    ----------
    seed : int
        Determines the data.
    n, d, K : int
        Signals, features and atoms.
    unit : bool, default True
        Whether atoms have length 1; otherwise their lengths span four decades.
    """
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((K, d))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    if not unit:
        D *= 10.0 ** rng.uniform(-2, 2, (K, 1))
    return rng.standard_normal((n, d)), D


def planted_data(seed: int, n: int, d: int, K: int, k: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return signals that are exact combinations of k atoms, the dictionary, and their codes."""
    _, D = random_data(seed, 1, d, K)
    rng = np.random.default_rng(seed + 1)
    W = np.zeros((n, K))
    support = np.argsort(rng.random((n, K)), axis=1)[:, :k]
    np.put_along_axis(W, support, rng.choice([-1.0, 1.0], (n, k)) * rng.uniform(1.0, 2.0, (n, k)), axis=1)
    return W @ D, D, W


def degenerate_instances(
    n_nonzero_coefs: int | None, error_tol: float | None
) -> list[tuple[str, SparseApproximationProblem]]:
    """Return named instances at the edges: zeros, one of everything, dependent atoms, extreme scales.

    Parameters
    ----------
    n_nonzero_coefs : int or None
        The number of atoms, as far as the instance has so many.
    error_tol : float or None
        The bound on the squared residual, as a share of the largest squared length of a signal.
    """
    X, D = random_data(0, 6, 5, 9)
    zeros = X.copy()
    zeros[[0, 3]] = 0.0
    planar = D @ np.diag([1.0, 1.0, 0.0, 0.0, 0.0])
    cases: list[tuple[str, FloatArray, FloatArray]] = [
        ("zero_signals", zeros, D),
        ("all_zero", np.zeros_like(X), D),
        ("one_signal", X[:1], D),
        ("one_atom", X, D[:1]),
        ("one_feature", X[:, :1], D[:, :1]),
        ("one_by_one", X[:1, :1], D[:1, :1]),
        ("duplicate_atoms", X, np.vstack([D, D[:4], -D[2:3], 3.0 * D[:1]])),
        ("dependent_atoms", X, np.vstack([D[:3], D[:1] + D[1:2], D[1:2] - D[2:3]])),
        ("atoms_in_a_plane", X, planar),
        ("atoms_as_signals", D, D),
        ("ties", np.ones((2, 4)), np.eye(4)),
        ("tiny_signals", 1e-80 * X, D),
        ("huge_signals", 1e80 * X, D),
        ("tiny_atoms", X, 1e-80 * D),
        ("huge_atoms", X, 1e80 * D),
        ("huge_signals_and_atoms", 1e80 * X, 1e70 * D),
        ("mixed_scales", X * 10.0 ** np.linspace(-8, 8, 6)[:, None], D * 10.0 ** np.linspace(-8, 8, 9)[:, None]),
        ("nearly_equal_atoms", X, np.vstack([D, D[:4] + 1e-4 * X[:4]])),
    ]
    found = []
    for name, signals, atoms in cases:
        largest = float(np.max(np.einsum("ij,ij->i", signals, signals)))
        k = None if n_nonzero_coefs is None else min(n_nonzero_coefs, *atoms.shape)
        bound = None if error_tol is None else error_tol * largest
        found.append((name, SparseApproximationProblem(X=signals, D=atoms, n_nonzero_coefs=k, error_tol=bound)))
    return found


def examples() -> list[tuple[str, SparseApproximationProblem]]:
    """Return instances with their identifiers, from well-behaved to degenerate.

    Returns
    -------
    list of (str, SparseApproximationProblem)
        Both problems, with few and with all atoms, with bounds from 0 to more than the signals.

    Examples
    --------
    >>> from estimand.solvers.sparse_approximation.examples import examples
    >>> sorted(dict(examples())["wide_error_0.1"].needs())
    ['error_tol']
    """
    found: list[tuple[str, SparseApproximationProblem]] = []
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("wide", {"n": 30, "d": 12, "K": 40}),
        ("square", {"n": 20, "d": 10, "K": 10}),
        ("tall", {"n": 20, "d": 15, "K": 6}),
        ("long_and_short_atoms", {"n": 20, "d": 8, "K": 25, "unit": False}),
        ("larger", {"n": 12, "d": 60, "K": 130}),
    ]
    for seed, (kind, sizes) in enumerate(kinds):
        X, D = random_data(seed, **sizes)
        for k in sorted({1, 3, min(D.shape)}):
            found.append((f"{kind}_{k}", SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=k)))
        for share in (0.0, 1e-6, 0.1, 0.5, 100.0):
            bound = share * float(np.mean(np.einsum("ij,ij->i", X, X)))
            found.append((f"{kind}_error_{share:g}", SparseApproximationProblem(X=X, D=D, error_tol=bound)))
    X, D, _ = planted_data(10, 30, 40, 60, 3)
    found += [
        ("planted_3", SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=3)),
        ("planted_7", SparseApproximationProblem(X=X, D=D, n_nonzero_coefs=7)),
        ("planted_error_0", SparseApproximationProblem(X=X, D=D, error_tol=0.0)),
    ]
    for k in (1, 3, 5):
        found += [(f"{name}_{k}", problem) for name, problem in degenerate_instances(k, None)]
    for share in (0.0, 0.1, 2.0):
        found += [(f"{name}_error_{share:g}", problem) for name, problem in degenerate_instances(None, share)]
    return found
