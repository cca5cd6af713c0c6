"""Inverse links of cumulative models and the probabilities of the classes between two linear predictors.

The likelihood's derivatives are compiled and live in `cython_ext`; here is what predictions and starts need.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "LINKS",
    "REFLECTED",
    "class_log_probabilities",
    "class_probabilities",
    "cumulative_probabilities",
    "quantile",
    "tail_quantile",
]

FloatArray = npt.NDArray[np.float64]

#: Names of the links, with the numbers by which the compiled kernels know them.
LINKS = {"logit": 0, "probit": 1, "cloglog": 2, "loglog": 3}


#: The link of ``1 - F(-t)``.
REFLECTED = {"logit": "logit", "probit": "probit", "cloglog": "loglog", "loglog": "cloglog"}


def _log_cdf(link: str, t: FloatArray) -> FloatArray:
    if link == "logit":
        return np.asarray(special.log_expit(t))
    if link == "probit":
        return np.asarray(special.log_ndtr(t))
    with np.errstate(over="ignore", divide="ignore"):
        if link == "cloglog":
            return np.where(t < -37.0, t, np.log(-np.expm1(-np.exp(t))))
        return np.asarray(-np.exp(-t))


def _log_survival(link: str, t: FloatArray) -> FloatArray:
    return _log_cdf(REFLECTED[link], -t)


def cumulative_probabilities(eta: FloatArray, link: str) -> FloatArray:
    """Return ``F(eta)``, elementwise."""
    return np.exp(_log_cdf(link, eta))


def quantile(probability: npt.ArrayLike, link: str) -> FloatArray:
    """Return ``F^-1(probability)``, elementwise; infinite at 0 and 1."""
    p = np.asarray(probability, dtype=np.float64)
    with np.errstate(divide="ignore"):
        if link == "logit":
            return np.asarray(special.logit(p))
        if link == "probit":
            return np.asarray(special.ndtri(p))
        return np.log(-np.log1p(-p)) if link == "cloglog" else -np.log(-np.log(p))


def tail_quantile(log_probability: FloatArray, link: str, *, upper: bool = False) -> FloatArray:
    """Return ``F^-1(p)``, or ``F^-1(1 - p)`` if `upper`, for the logarithms of probabilities however small."""
    if upper:
        return -tail_quantile(log_probability, REFLECTED[link])
    size = -np.asarray(log_probability, dtype=np.float64)
    if link == "probit":
        return np.asarray(special.ndtri_exp(-size))
    with np.errstate(divide="ignore"):
        if link == "loglog":
            return -np.log(size)
        small = _log1mexp(size)
        if link == "logit":
            return -size - small
        return np.where(size > 37.0, -size, np.log(-small))


def class_log_probabilities(eta: FloatArray, link: str) -> FloatArray:
    """Return the logarithms of the probabilities of the classes, of shape (n, m + 1).

    They stay accurate where the probabilities underflow and where all predictors lie in one tail.

    Parameters
    ----------
    eta : array of shape (n, m)
        Linear predictors of ``P(y > k - 1)``, each row not increasing.
    link : str
        One of `LINKS`.
    """
    n, m = eta.shape
    log_p = np.empty((n, m + 1))
    log_p[:, 0] = _log_survival(link, eta[:, 0])
    log_p[:, m] = _log_cdf(link, eta[:, m - 1])
    u, z = eta[:, :-1], eta[:, 1:]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if link == "logit":
            between = special.log_expit(u) + special.log_expit(-z) + _log1mexp(u - z)
        elif link == "probit":
            between = _log_normal_between(u, z)
        else:
            # exp(-e^b) - exp(-e^a) = exp(-e^b) (1 - exp(-(e^a - e^b)))
            a, b = (u, z) if link == "cloglog" else (-z, -u)
            between = np.where(a < -37.0, a + _log1mexp(a - b), -np.exp(b) + _log1mexp(np.exp(a) * -np.expm1(b - a)))
    log_p[:, 1:m] = np.where(u > z, between, -np.inf)
    return log_p


def class_probabilities(eta: FloatArray, link: str) -> FloatArray:
    """Return the probabilities of the classes, of shape (n, m + 1); see `class_log_probabilities`."""
    return np.exp(class_log_probabilities(eta, link))


def _log1mexp(x: FloatArray) -> FloatArray:
    """Return ``log(1 - exp(-x))`` for ``x >= 0``."""
    return np.where(x < np.log(2.0), np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))


def _log_normal_between(u: FloatArray, z: FloatArray) -> FloatArray:
    """Return the logarithm of the normal probability of ``(z, u]``."""
    upper = u + z > 0
    near = np.where(upper, special.log_ndtr(-z), special.log_ndtr(u))
    far = np.where(upper, special.log_ndtr(-u), special.log_ndtr(z))
    apart = np.where(near > -np.inf, near + _log1mexp(near - far), -np.inf)
    # Next to each other the two differ by rounding: expand around their middle.
    gap, t = u - z, 0.5 * (u + z)
    middle = -0.5 * t * t - 0.5 * np.log(2.0 * np.pi) + np.log(gap) + np.log1p(gap * gap / 24.0 * (t * t - 1.0))
    return np.where(gap * np.maximum(1.0, np.abs(t)) < 1e-3, middle, apart)
