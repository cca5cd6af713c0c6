"""Small random data for the instances of the cumulative-link problems."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["crossing_data", "data_sets", "random_data"]


def random_data(n: int = 80, p: int = 4, n_classes: int = 4, *, seed: int = 0, spread: float = 1.0) -> dict[str, Any]:
    """Return fields of a problem: standardised features, and classes that depend on some of them.

    Parameters
    ----------
    n, p : int
        Shape of the features.
    n_classes : int
        The number of classes, each of which occurs.
    seed : int
        Of the generator.
    spread : float
        Size of the slopes.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    latent = spread * X[:, : max(1, p // 2)].sum(axis=1) + rng.logistic(size=n) if p else rng.logistic(size=n)
    # The last class is rare.
    shares = np.linspace(1.0, 0.15, n_classes)
    cuts = np.quantile(latent, np.cumsum(shares / shares.sum())[:-1])
    return {"X": X, "y": np.searchsorted(cuts, latent).astype(np.int32), "n_classes": n_classes}


def crossing_data(n: int = 200) -> dict[str, Any]:
    """Return fields of a problem whose boundaries cross: towards one side both end classes become more frequent.

    Parameters
    ----------
    n : int
        The number of rows.
    """
    rng = np.random.default_rng(8)
    X = rng.standard_normal((n, 2))
    middle = rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-2.0 * X[:, 0]))
    return {"X": X, "y": np.where(middle, 1, 2 * rng.integers(0, 2, n)).astype(np.int32), "n_classes": 3}


def data_sets() -> dict[str, dict[str, Any]]:
    """Return named fields of problems: all shapes and kinds of data, without a penalty strength."""
    rng = np.random.default_rng(5)
    plain = random_data()
    weight = rng.integers(1, 4, plain["y"].size).astype(np.float64)
    repeated = plain["X"].copy()
    repeated[:, 1] = repeated[:, 0]
    entries = sparse.random_array((80, 6), density=0.3, rng=rng, format="csr")
    few = {"X": np.array([[-1.0], [0.0], [1.0]]), "y": np.arange(3, dtype=np.int32), "n_classes": 3}
    return {
        "plain": plain,
        "three_classes": random_data(n_classes=3, seed=1),
        "binary": random_data(n_classes=2, seed=2),
        "seven_classes": random_data(200, 3, 7, seed=3),
        "wide": random_data(60, 90, 3, seed=4),
        "f_ordered": {**plain, "X": np.asfortranarray(plain["X"])},
        "csr": {**random_data(80, 6), "X": entries},
        "csc": {**random_data(80, 6), "X": entries.tocsc()},
        "sample_weight": {**plain, "sample_weight": weight},
        "duplicate_column": {**plain, "X": repeated},
        "strong": random_data(150, 3, 3, seed=6, spread=4.0),
        "no_features": {**random_data(30, 0, 3), "X": np.empty((30, 0))},
        "one_row_a_class": few,
    }
