"""The data that the benchmarks share: Faletto and Bien's simulations, and the designs that time is measured on."""

import numpy as np
from scipy.special import expit

from estimand.datasets import make_ordinal_regression

#: Sections 4.1 and 4.2 of Faletto and Bien (2023), as arguments of `make_ordinal_regression`: 2500 rows, 10 features.
SIMULATIONS = {
    **{
        f"sparse {name}, {intercepts}": {"design": "sparse", "base_probability": q, "intercepts": intercepts}
        for name, q in {"1/3": 1 / 3, "1/2": 1 / 2}.items()
        for intercepts in ((0, 3, 5), (0, 3.5, 5.5), (0, 4, 6))
    },
    **{
        f"dense, {intercepts}": {"design": "dense", "intercepts": intercepts}
        for intercepts in ((0, 2.5, 4.5), (0, 3, 5), (0, 3.5, 5.5), (0, 4, 6))
    },
}


def simulated(name, seed):
    """Return a sample of one of the `SIMULATIONS`."""
    return make_ordinal_regression(**SIMULATIONS[name], random_state=seed)


def tall(seed):
    """Return 20000 rows, 30 features and 5 classes, all slopes different."""
    return make_ordinal_regression(
        "dense", n_samples=20_000, n_features=30, intercepts=(-1, 1, 3.5, 5.5), deviation=0.2, random_state=seed
    )


def tall_sparse(seed, n_samples=20_000, n_features=50, intercepts=(-1, 1.5, 4.5, 7)):
    """Return 20000 rows, 50 features and 5 classes; few slopes differ between boundaries."""
    return make_ordinal_regression(
        n_samples=n_samples,
        n_features=n_features,
        intercepts=intercepts,
        base=0.3,
        deviation=0.3,
        deviation_probability=0.1,
        random_state=seed,
    )


def wide(seed):
    """Return 500 rows of 2000 features, of which eleven matter, and their four classes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((500, 2000))
    eta = np.array([0.0, -2.0, -3.5]) + 0.6 * X[:, :10].sum(axis=1, keepdims=True)
    eta[:, 1] -= 0.6 * X[:, 10]
    eta = np.minimum.accumulate(eta, axis=1)
    return X, np.sum(rng.uniform(size=(500, 1)) < expit(eta), axis=1)


def standardised(X):
    """Return the columns that vary, with mean 0 and standard deviation 1: what the estimators give to their solver."""
    X = np.asarray(X, dtype=np.float64)
    X = X[:, np.ptp(X, axis=0) > 0]
    X = X - X.mean(axis=0)
    return np.ascontiguousarray(X / X.std(axis=0))
