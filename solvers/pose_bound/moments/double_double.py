"""Arrays of numbers in twice the precision of a double, with what their rounding errors are counted in.

The last axis has length 3: the value is the unevaluated sum of the first two, and the third bounds the sum of the
absolute values of all terms that it is the sum of. Results of a few operations are off by less than `ROUNDING` times
the third.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..validation import FloatArray

__all__ = ["ROUNDING", "dot", "exact", "minus", "plus", "quotient", "times"]

#: A single operation is off by less than 2^-100; sums here have less than 2^20 terms.
ROUNDING = 2.0**-76

#: Multiplication by it splits a double into halves whose products are exact.
_SPLITTER = 2.0**27 + 1.0


def exact(values: npt.ArrayLike) -> FloatArray:
    """Return doubles as numbers of twice the precision, with an axis of length 3 more."""
    high = np.asarray(values, dtype=np.float64)
    return np.stack([high, np.zeros_like(high), np.abs(high)], axis=-1)


def plus(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the sum of numbers of twice the precision, which broadcast."""
    high, low = _exact_sum(a[..., 0], b[..., 0])
    return _ordered(high, low + (a[..., 1] + b[..., 1]), a[..., 2] + b[..., 2])


def minus(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the difference of numbers of twice the precision, which broadcast."""
    return plus(a, b * [-1.0, -1.0, 1.0])


def times(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the product of numbers of twice the precision, which broadcast."""
    high, low = _exact_product(a[..., 0], b[..., 0])
    low = low + (a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0])
    return _ordered(high, low, a[..., 2] * b[..., 2])


def quotient(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the quotient of numbers of twice the precision, for a b without cancellation."""
    first = exact(a[..., 0] / b[..., 0])
    rest = minus(a, times(b, first))
    return _ordered(first[..., 0], rest[..., 0] / b[..., 0], np.asarray(2.0 * a[..., 2] / np.abs(b[..., 0])))


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the sum of the products over the last axis of the numbers, the last but one of the arrays."""
    terms = times(a, b)
    total = terms[..., 0, :]
    for i in range(1, terms.shape[-2]):
        total = plus(total, terms[..., i, :])
    return total


def _exact_sum(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    high = a + b
    of_b = high - a
    return high, (a - (high - of_b)) + (b - of_b)


def _exact_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    high = a * b
    (a_high, a_low), (b_high, b_low) = _split(a), _split(b)
    return high, a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _split(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    shifted = _SPLITTER * a
    high = shifted - (shifted - a)
    return high, a - high


def _ordered(high: FloatArray, low: FloatArray, size: FloatArray) -> FloatArray:
    leading = high + low
    return np.stack([leading, low - (leading - high), size], axis=-1)
