"""How sparse codes are, how well they rebuild the signals, and what atoms that are image patches look like."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array, check_consistent_length

from ._atoms import GaborFit, circular_variance, fit_gabor

__all__ = [
    "GaborFit",
    "circular_variance",
    "fit_gabor",
    "gini_index",
    "hoyer_sparsity",
    "lifetime_sparseness",
    "mean_active",
    "population_sparseness",
    "reconstruction_error",
]

FloatArray = npt.NDArray[np.float64]


def _magnitudes(values: Any, axis: int, name: str, at_least: int = 2) -> FloatArray:
    """Return absolute values over their largest along `axis`, the last axis of the result; NaN where all are 0."""
    checked = check_array(values, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name)
    if not isinstance(axis, Integral) or not -checked.ndim <= axis < checked.ndim:
        raise ValueError(
            f"axis={axis!r} must be an integer in [{-checked.ndim}, {checked.ndim - 1}], an axis of {name}."
        )
    if checked.shape[axis] < at_least:
        raise ValueError(f"{name} has shape {checked.shape}: along axis {axis} it needs at least {at_least} entries.")
    sizes = np.abs(np.moveaxis(checked, axis, -1))
    # The measures do not depend on the scale, which is taken out so that no square overflows.
    with np.errstate(invalid="ignore"):
        return np.asarray(sizes / sizes.max(axis=-1, keepdims=True))


def mean_active(codes: npt.ArrayLike) -> float:
    r"""Mean number of nonzero coefficients of a signal.

    For the codes ``w_i`` of ``n`` signals,

    .. math:: \frac{1}{n} \sum_i \|w_i\|_0

    Parameters
    ----------
    codes : array-like of shape (n_samples, n_components)
        The codes. Coefficients count that are not exactly 0.

    Returns
    -------
    number : float
        Between 0 and `n_components`.

    Raises
    ------
    ValueError
        If `codes` is empty, not of two dimensions or not finite.

    Examples
    --------
    >>> from estimand.metrics import mean_active
    >>> mean_active([[0.0, 2.0, 0.0], [1.0, -1.0, 0.0]])
    1.5
    """
    checked = check_array(codes, dtype=np.float64, input_name="codes")
    return float(np.count_nonzero(checked) / checked.shape[0])


def reconstruction_error(
    X: npt.ArrayLike,
    codes: npt.ArrayLike,
    components: npt.ArrayLike,
    mean: npt.ArrayLike | None = None,
    *,
    relative: bool = False,
) -> float:
    r"""Mean squared error of the signals that codes and components rebuild.

    For ``n`` signals ``x_i`` of ``p`` features with codes ``w_i``, components ``D`` and mean ``m``,

    .. math:: \frac{1}{np} \sum_i \|x_i - m - w_i D\|^2

    which `relative` divides by the mean square of the entries of ``x_i - m``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The signals.
    codes : array-like of shape (n_samples, n_components)
        The codes.
    components : array-like of shape (n_components, n_features)
        The components.
    mean : array-like of shape (n_features,) or None, default=None
        What was subtracted from the signals before they were coded. None: nothing.
    relative : bool, default=False
        Whether to divide by the mean square of what is rebuilt: 0 is perfect, 1 is no better than codes that are 0.

    Returns
    -------
    error : float
        At least 0, smaller is better.

    Raises
    ------
    ValueError
        If shapes do not agree, something is empty or not finite, or if `relative` and `X` equals `mean` everywhere.

    Examples
    --------
    >>> from estimand.metrics import reconstruction_error
    >>> X, codes, components = [[2.0, 1.0], [0.0, 1.0]], [[2.0], [0.0]], [[1.0, 0.0]]
    >>> reconstruction_error(X, codes, components)
    0.5
    >>> reconstruction_error(X, codes, components, mean=[0.0, 1.0])
    0.0
    """
    signals = check_array(X, dtype=np.float64, input_name="X")
    weights = check_array(codes, dtype=np.float64, input_name="codes")
    atoms = check_array(components, dtype=np.float64, input_name="components")
    check_consistent_length(signals, weights)
    if atoms.shape != (weights.shape[1], signals.shape[1]):
        raise ValueError(
            f"components has shape {atoms.shape}, it must be {(weights.shape[1], signals.shape[1])}: one row for each "
            "column of codes, one column for each of X."
        )
    if mean is not None:
        centre = check_array(mean, dtype=np.float64, ensure_2d=False, input_name="mean")
        if centre.shape != signals.shape[1:]:
            raise ValueError(f"mean has shape {centre.shape}, it must be {signals.shape[1:]}: one entry a column of X.")
        signals = signals - centre
    error = float(np.mean((signals - weights @ atoms) ** 2))
    if not relative:
        return error
    power = float(np.mean(signals**2))
    if power == 0:
        raise ValueError("X minus mean is 0 everywhere, so that no error is relative to it: use relative=False.")
    return error / power


def lifetime_sparseness(responses: npt.ArrayLike) -> FloatArray:
    r"""Sparseness of each unit over the signals: whether it responds to few of them.

    For the responses ``r_1, ..., r_n`` of a unit to ``n`` signals,

    .. math:: S = \frac{1 - (\frac{1}{n} \sum_i |r_i|)^2 / (\frac{1}{n} \sum_i r_i^2)}{1 - 1/n}

    which is 0 if all are of the same size, and 1 if a single one is not 0.

    Parameters
    ----------
    responses : array-like of shape (n_samples, n_units)
        Responses or codes, at least two rows.

    Returns
    -------
    sparseness : ndarray of shape (n_units,)
        In [0, 1]; NaN for a unit that never responds.

    Raises
    ------
    ValueError
        If `responses` has a single row, is empty, not of two dimensions or not finite.

    See Also
    --------
    population_sparseness : The same of each signal over the units.

    References
    ----------
    W. Vinje and J. Gallant, "Sparse coding and decorrelation in primary visual cortex during natural vision", Science
    287 (2000).

    Examples
    --------
    >>> from estimand.metrics import lifetime_sparseness
    >>> lifetime_sparseness([[3.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    array([ 1.,  0., nan])
    """
    return _sparseness(check_array(responses, dtype=np.float64, input_name="responses"), 0)


def population_sparseness(responses: npt.ArrayLike) -> FloatArray:
    r"""Sparseness of each signal over the units: whether few of them respond to it.

    For the responses ``r_1, ..., r_n`` of ``n`` units to a signal, it is the number that
    :func:`lifetime_sparseness` is for the responses of a unit.

    Parameters
    ----------
    responses : array-like of shape (n_samples, n_units)
        Responses or codes, at least two columns.

    Returns
    -------
    sparseness : ndarray of shape (n_samples,)
        In [0, 1]; NaN for a signal to which no unit responds.

    Raises
    ------
    ValueError
        If `responses` has a single column, is empty, not of two dimensions or not finite.

    References
    ----------
    W. Vinje and J. Gallant, "Sparse coding and decorrelation in primary visual cortex during natural vision", Science
    287 (2000).

    Examples
    --------
    >>> from estimand.metrics import population_sparseness
    >>> population_sparseness([[3.0, 0.0, 0.0], [1.0, 1.0, -1.0], [0.0, 0.0, 0.0]])
    array([ 1.,  0., nan])
    """
    return _sparseness(check_array(responses, dtype=np.float64, input_name="responses"), 1)


def _sparseness(responses: FloatArray, axis: int) -> FloatArray:
    sizes = _magnitudes(responses, axis, "responses")
    ratio = sizes.mean(axis=-1) ** 2 / np.mean(sizes**2, axis=-1)
    return np.asarray(np.clip((1 - ratio) / (1 - 1 / sizes.shape[-1]), 0.0, 1.0))


def hoyer_sparsity(x: npt.ArrayLike, axis: int = -1) -> float | FloatArray:
    r"""Sparsity from the ratio of the two norms of a vector.

    For a vector of ``n`` entries,

    .. math:: \frac{\sqrt{n} - \|x\|_1 / \|x\|_2}{\sqrt{n} - 1}

    which is 0 if all entries are of the same size, and 1 if a single one is not 0.

    Parameters
    ----------
    x : array-like
        The vectors.
    axis : int, default=-1
        The axis along which the entries of a vector lie, at least two.

    Returns
    -------
    sparsity : float or ndarray
        In [0, 1], of the shape of `x` without `axis`; NaN for a vector of zeros.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, has no such axis, or a single entry along it.

    References
    ----------
    P. Hoyer, "Non-negative matrix factorization with sparseness constraints", JMLR 5 (2004).

    Examples
    --------
    >>> from estimand.metrics import hoyer_sparsity
    >>> hoyer_sparsity([[0.0, 2.0, 0.0, 0.0], [1.0, 1.0, -1.0, 1.0]])
    array([1., 0.])
    """
    sizes = _magnitudes(x, axis, "x")
    root = np.sqrt(sizes.shape[-1])
    sparsity = np.clip((root - sizes.sum(axis=-1) / np.linalg.norm(sizes, axis=-1)) / (root - 1), 0.0, 1.0)
    return float(sparsity) if sizes.ndim == 1 else np.asarray(sparsity)


def gini_index(x: npt.ArrayLike, axis: int = -1) -> float | FloatArray:
    r"""Gini index of the sizes of the entries of a vector.

    For the sizes ``c_1 <= ... <= c_n``, the sorted absolute values of the entries,

    .. math:: 1 - 2 \sum_k \frac{c_k}{\|c\|_1} \cdot \frac{n - k + 1/2}{n}

    which is 0 if all entries are of the same size, and ``1 - 1/n`` if a single one is not 0.

    Parameters
    ----------
    x : array-like
        The vectors.
    axis : int, default=-1
        The axis along which the entries of a vector lie.

    Returns
    -------
    index : float or ndarray
        In [0, 1 - 1/n], of the shape of `x` without `axis`; NaN for a vector of zeros.

    Raises
    ------
    ValueError
        If `x` is empty or not finite, or has no such axis.

    References
    ----------
    N. Hurley and S. Rickard, "Comparing measures of sparsity", IEEE Trans. Information Theory 55 (2009).

    Examples
    --------
    >>> from estimand.metrics import gini_index
    >>> gini_index([[0.0, 2.0, 0.0, 0.0], [1.0, 1.0, -1.0, 1.0]])
    array([0.75, 0.  ])
    """
    sizes = np.sort(_magnitudes(x, axis, "x", at_least=1), axis=-1)
    n = sizes.shape[-1]
    above = (np.arange(n, 0, -1) - 0.5) / n
    index = np.maximum(1 - 2 * (sizes @ above) / sizes.sum(axis=-1), 0.0)
    return float(index) if sizes.ndim == 1 else np.asarray(index)
