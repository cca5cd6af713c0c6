"""Sparse linear models: correlated, text-like and ill-conditioned designs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.signal import lfilter
from sklearn.utils import Bunch, check_random_state

__all__ = ["make_ill_conditioned_regression", "make_sparse_regression", "make_text_regression"]

FloatArray = npt.NDArray[np.float64]
Seed = int | np.random.RandomState | None


def _sparse_coef(rng: np.random.RandomState, n_features: int, n_nonzero: int, among: int) -> FloatArray:
    if not 1 <= n_nonzero <= among:
        raise ValueError(f"n_nonzero={n_nonzero} must lie between 1 and {among}.")
    coef = np.zeros(n_features)
    coef[rng.choice(among, n_nonzero, replace=False)] = rng.standard_normal(n_nonzero)
    return coef


def _with_noise(rng: np.random.RandomState, signal: FloatArray, snr: float) -> FloatArray:
    if not snr > 0:
        raise ValueError(f"snr={snr!r} must be positive.")
    noise = rng.standard_normal(signal.size)
    return np.asarray(signal + noise * (np.linalg.norm(signal) / np.linalg.norm(noise) / np.sqrt(snr)))


def make_sparse_regression(
    n_samples: int = 1000,
    n_features: int = 10000,
    *,
    n_nonzero: int = 100,
    correlation: float = 0.5,
    snr: float = 9.0,
    random_state: Seed = None,
) -> Bunch:
    """Draw a sparse linear model whose features form a stationary autoregressive process.

    Parameters
    ----------
    n_samples, n_features : int, default=1000 and 10000
        Shape of the design.
    n_nonzero : int, default=100
        Nonzero coefficients, standard normal at random places.
    correlation : float, default=0.5
        Correlation of neighbouring features, in [0, 1).
    snr : float, default=9
        Squared norm of the signal over that of the noise, positive; infinity for none.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    data : Bunch
        With `X` (Fortran order), `y` and `coef`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from estimand.datasets import make_sparse_regression
    >>> data = make_sparse_regression(20, 50, n_nonzero=3, random_state=0)
    >>> data.X.shape, int((data.coef != 0).sum())
    ((20, 50), 3)
    """
    if not 0 <= correlation < 1:
        raise ValueError(f"correlation={correlation!r} must lie in [0, 1).")
    rng = check_random_state(random_state)
    start = rng.standard_normal((n_samples, 1))
    steps = np.sqrt(1 - correlation**2) * rng.standard_normal((n_samples, n_features - 1))
    X = np.asfortranarray(lfilter([1.0], [1.0, -correlation], np.hstack([start, steps]), axis=1))
    coef = _sparse_coef(rng, n_features, n_nonzero, n_features)
    return Bunch(X=X, y=_with_noise(rng, X @ coef, snr), coef=coef)


def make_text_regression(
    n_samples: int = 4000,
    n_features: int = 18289,
    *,
    words_per_sample: float = 88.0,
    n_nonzero: int = 200,
    snr: float = 4.0,
    random_state: Seed = None,
) -> Bunch:
    """Draw documents of Zipf-distributed words, weigh them by tf-idf, and respond to a few of the commoner words.

    Parameters
    ----------
    n_samples, n_features : int, default=4000 and 18289
        Documents and words of the vocabulary.
    words_per_sample : float, default=88
        Mean length of a document, repetitions included.
    n_nonzero : int, default=200
        Words with a coefficient, among the commonest quarter.
    snr : float, default=4
        Squared norm of the signal over that of the noise, positive.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    data : Bunch
        With `X` (CSC, rows of norm 1), `y` and `coef`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from estimand.datasets import make_text_regression
    >>> data = make_text_regression(50, 200, words_per_sample=10, n_nonzero=5, random_state=0)
    >>> data.X.format, data.X.shape
    ('csc', (50, 200))
    """
    rng = check_random_state(random_state)
    frequency = np.arange(1, n_features + 1) ** -0.9
    lengths = rng.poisson(words_per_sample, n_samples) + 1
    words = rng.choice(n_features, lengths.sum(), p=frequency / frequency.sum())
    counts = sparse.csr_array(
        (np.ones(words.size), (np.repeat(np.arange(n_samples), lengths), words)), shape=(n_samples, n_features)
    )
    counts.sum_duplicates()
    documents = np.bincount(counts.indices, minlength=n_features)
    counts.data = (1 + np.log(counts.data)) * np.log((1 + n_samples) / (1 + documents[counts.indices]))
    norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    X = sparse.csc_array(sparse.diags_array(1 / np.where(norms > 0, norms, 1.0)) @ counts)
    X.sort_indices()
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    coef = _sparse_coef(rng, n_features, n_nonzero, n_features // 4)
    return Bunch(X=X, y=_with_noise(rng, X @ coef, snr), coef=coef)


def _walk(rng: np.random.RandomState, n: int, p: int) -> FloatArray:
    return np.asarray(np.cumsum(rng.standard_normal((n, p)), axis=1))


def _common(rng: np.random.RandomState, n: int, p: int) -> FloatArray:
    return np.asarray(rng.standard_normal((n, 1)) + 1e-3 * rng.standard_normal((n, p)))


def _mixture(rng: np.random.RandomState, n: int, p: int) -> FloatArray:
    first, second = rng.standard_normal((2, n, 1))
    close = first + 1e-2 * rng.standard_normal(p - p // 2) * second + 1e-4 * rng.standard_normal((n, p - p // 2))
    return np.hstack([rng.standard_normal((n, p // 2)), close])


def _rbf(rng: np.random.RandomState, n: int, p: int) -> FloatArray:
    t, centres = np.linspace(-1, 1, n)[:, None], np.linspace(-1, 1, p)
    return np.asarray(np.exp(-0.5 * (t - centres) ** 2))


_DESIGNS: dict[str, Callable[[np.random.RandomState, int, int], Any]] = {
    "walk": _walk,
    "common": _common,
    "mixture": _mixture,
    "rbf": _rbf,
}


def make_ill_conditioned_regression(
    design: str = "walk",
    n_samples: int = 150,
    n_features: int = 400,
    *,
    n_nonzero: int = 4,
    snr: float = 4.0,
    random_state: Seed = None,
) -> Bunch:
    """Draw a sparse linear model on a design that is close to singular.

    Parameters
    ----------
    design : {"walk", "common", "mixture", "rbf"}, default="walk"
        Cumulative sums; one common factor; half independent and half nearly one direction; Gaussian bumps.
    n_samples, n_features : int, default=150 and 400
        Shape of the design, whose columns have norm ``sqrt(n_samples)``.
    n_nonzero : int, default=4
        Nonzero coefficients; the signal is a uniform direction in the span of their columns.
    snr : float, default=4
        Squared norm of the signal over that of the noise, positive.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    data : Bunch
        With `X` (Fortran order), `y` and `support`.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from estimand.datasets import make_ill_conditioned_regression
    >>> make_ill_conditioned_regression("rbf", random_state=0).X.shape
    (150, 400)
    """
    if design not in _DESIGNS:
        raise ValueError(f"design={design!r} is not known: use one of {', '.join(map(repr, _DESIGNS))}.")
    if not 1 <= n_nonzero <= min(n_samples, n_features):
        raise ValueError(f"n_nonzero={n_nonzero} must lie between 1 and {min(n_samples, n_features)}.")
    rng = check_random_state(random_state)
    X = _DESIGNS[design](rng, n_samples, n_features)
    X = np.asfortranarray(X * (np.sqrt(n_samples) / np.linalg.norm(X, axis=0)))
    support = np.sort(rng.choice(n_features, n_nonzero, replace=False))
    span = np.linalg.qr(X[:, support])[0]
    signal = span @ rng.standard_normal(n_nonzero)
    return Bunch(X=X, y=_with_noise(rng, signal, snr), support=support)
