"""Ordered classes of which the last is rare: cumulative logit models whose slopes may differ between the boundaries."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.utils import Bunch, check_random_state, column_or_1d

__all__ = ["make_ordinal_regression"]

FloatArray = npt.NDArray[np.float64]
Seed = int | np.random.RandomState | None

_DESIGNS = ("sparse", "dense", "parallel")
_MAX_COEF_DRAWS = 1000


def _thresholds(intercepts: npt.ArrayLike) -> FloatArray:
    thresholds = np.asarray(column_or_1d(intercepts), dtype=np.float64)
    if not (thresholds.size and np.all(np.isfinite(thresholds)) and np.all(np.diff(thresholds) > 0)):
        raise ValueError(f"intercepts={thresholds.tolist()} must hold finite numbers that increase, at least one.")
    return thresholds


def _scaled_slopes(
    rng: np.random.RandomState,
    design: str,
    shape: tuple[int, int],
    base_probability: float,
    deviation_probability: float,
) -> tuple[FloatArray, FloatArray]:
    """Draw the slopes of the first boundary and the differences between boundaries, of size 1 at most."""
    n_boundaries, n_features = shape
    differences = np.zeros((n_boundaries - 1, n_features))
    if design == "sparse":
        base = (rng.uniform(size=n_features) < base_probability).astype(np.float64)
        nonzero = rng.uniform(size=differences.shape) < deviation_probability
        return base, nonzero * rng.choice([-1.0, 1.0], differences.shape)
    base = rng.uniform(-1.0, 1.0, n_features)
    if design == "dense":
        differences = rng.uniform(-1.0, 1.0, differences.shape)
    return base, differences


def _draw_rows(
    rng: np.random.RandomState, n_samples: int, intercept: FloatArray, coef: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Draw features, with their log-odds of exceedance; None if the probability of some class is not positive."""
    X = np.asfortranarray(rng.uniform(-1.0, 1.0, (n_samples, coef.shape[1])))
    log_odds = intercept + X @ coef.T
    return (X, log_odds) if np.all(np.diff(log_odds, axis=1) < 0) else None


def _class_probabilities(log_odds: FloatArray) -> FloatArray:
    """Return the class probabilities for log-odds of exceedance that do not increase along a row."""
    above, below = log_odds[:, :-1], log_odds[:, 1:]
    # Differences of exceedance probabilities would lose the digits of small ones.
    inner = expit(above) * expit(-below) * -np.expm1(below - above)
    return np.hstack([expit(-log_odds[:, :1]), inner, expit(log_odds[:, -1:])])


def make_ordinal_regression(
    design: str = "sparse",
    *,
    n_samples: int = 2500,
    n_features: int = 10,
    intercepts: npt.ArrayLike = (0.0, 3.0, 5.0),
    base: float = 0.5,
    deviation: float = 0.5,
    base_probability: float = 1 / 3,
    deviation_probability: float | None = None,
    n_draws: int = 10,
    random_state: Seed = None,
) -> Bunch:
    r"""Draw ordered classes from a cumulative logit model with a rare last class, of which the truth is known.

    The features are uniform on ``[-1, 1]``, and the classes ``0, ..., K - 1`` have

    .. math:: P(y \le k - 1 \mid x) = \frac{1}{1 + e^{-(\alpha_k + x^\top \beta_k)}}, \qquad k = 1, \ldots, K - 1

    with the given intercepts :math:`\alpha_k`. Only models in which every class has a positive probability at every row
    are kept: coefficients and features are drawn until this holds. Features and classes are drawn again, with the same
    coefficients, until every class occurs. With the defaults about one row in a hundred is of the last class.

    Parameters
    ----------
    design : {"sparse", "dense", "parallel"}, default="sparse"
        How :math:`\beta_1` and the differences :math:`\beta_k - \beta_{k-1}` are drawn, each entry independently.
        ``"sparse"``: entries of :math:`\beta_1` are `base` with `base_probability`, else 0; differences are `deviation`
        with a random sign with `deviation_probability`, else 0. ``"dense"``: uniform on ``[-base, base]`` and
        ``[-deviation, deviation]``. ``"parallel"``: uniform on ``[-base, base]``, and no differences: proportional
        odds. All slopes are equal with ``"sparse"``, ``base_probability=1`` and ``deviation=0``.
    n_samples, n_features : int, default=2500 and 10
        Shape of the features.
    intercepts : array-like of shape (n_classes - 1,), default=(0, 3, 5)
        The intercepts :math:`\alpha_k` of ``P(y <= k - 1)``, increasing. The larger the last, the rarer the last class.
    base : float, default=0.5
        Size of the entries of :math:`\beta_1`, at least 0.
    deviation : float, default=0.5
        Size of the differences, at least 0. Not used by ``"parallel"``.
    base_probability : float, default=1/3
        Probability, in [0, 1], that an entry of :math:`\beta_1` is not 0. Used by ``"sparse"`` only.
    deviation_probability : float or None, default=None
        Probability, in [0, 1], that a difference is not 0. None: that of `base_probability`. Used by ``"sparse"`` only.
    n_draws : int, default=10
        How often features and classes are drawn with the same coefficients, at least 1.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    data : Bunch
        With `X` (Fortran order), `y`, the true `probabilities` of shape (n_samples, n_classes), and the coefficients in
        the sign of the classifiers, which model ``P(y > k - 1)``: `intercept` of shape (n_classes - 1,) is
        :math:`-\alpha`, and `coef` of shape (n_classes - 1, n_features) is :math:`-\beta`.

    Raises
    ------
    ValueError
        If a parameter is out of its range, if no model with positive probabilities is found in 1000 draws, or if a
        class is missing from all `n_draws` samples.

    References
    ----------
    G. Faletto and J. Bien, "Predicting rare events by shrinking towards proportional odds", ICML (2023), sections 4.1
    (sparse) and 4.2 (dense).

    Examples
    --------
    >>> from estimand.datasets import make_ordinal_regression
    >>> data = make_ordinal_regression(n_samples=500, random_state=0)
    >>> data.X.shape, data.coef.shape, data.intercept
    ((500, 10), (3, 10), array([ 0., -3., -5.]))
    >>> bool(data.probabilities[:, -1].mean() < 0.02)
    True
    """
    if design not in _DESIGNS:
        raise ValueError(f"design={design!r} is not known: use one of {', '.join(map(repr, _DESIGNS))}.")
    if deviation_probability is None:
        deviation_probability = base_probability
    for name, count in {"n_samples": n_samples, "n_features": n_features, "n_draws": n_draws}.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name}={count!r} must be an integer of at least 1.")
    for name, size in {"base": base, "deviation": deviation}.items():
        if not 0 <= size < np.inf:
            raise ValueError(f"{name}={size!r} must be finite and at least 0.")
    for name, share in {"base_probability": base_probability, "deviation_probability": deviation_probability}.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share!r} must lie in [0, 1].")
    thresholds = _thresholds(intercepts)
    shape = (thresholds.size, n_features)
    rng = check_random_state(random_state)

    for _ in range(_MAX_COEF_DRAWS):
        first, differences = _scaled_slopes(rng, design, shape, base_probability, deviation_probability)
        # 0 - 0 is 0, whereas -0 shows its sign.
        intercept = 0.0 - thresholds
        coef = 0.0 - np.cumsum(np.vstack([base * first, deviation * differences]), axis=0)
        rows = _draw_rows(rng, n_samples, intercept, coef)
        if rows is not None:
            break
    else:
        raise ValueError(
            f"Some class had a negative probability at some row in each of {_MAX_COEF_DRAWS} draws: "
            f"intercepts={thresholds.tolist()} are too close for slopes that differ so much. Spread them, or lower "
            f"deviation={deviation!r}, n_features={n_features} or n_samples={n_samples}."
        )
    for _ in range(n_draws):
        X, log_odds = rows
        y = np.sum(rng.uniform(size=(n_samples, 1)) < expit(log_odds), axis=1)
        counts = np.bincount(y, minlength=thresholds.size + 1)
        if np.all(counts > 0):
            return Bunch(X=X, y=y, coef=coef, intercept=intercept, probabilities=_class_probabilities(log_odds))
        # Features at which some class would have a negative probability are not taken: the classes are drawn alone.
        rows = _draw_rows(rng, n_samples, intercept, coef) or rows
    raise ValueError(
        f"Some class was missing from each of n_draws={n_draws} draws, from the last {np.flatnonzero(counts == 0)}: "
        f"raise n_samples={n_samples} or n_draws, or choose intercepts={thresholds.tolist()} that make it likelier."
    )
