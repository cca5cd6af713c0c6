"""Images for sparse coding: the bars test, of which the truth is known, and patches of whitened photographs."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import Bunch, check_array, check_random_state

__all__ = ["extract_whitened_patches", "make_bars", "whiten_image"]

FloatArray = npt.NDArray[np.float64]
Seed = int | np.random.RandomState | None

_SUPERPOSITIONS = ("sum", "max")
_LUMINANCE = (0.299, 0.587, 0.114)


def _check_counts(least: int, **counts: Any) -> None:
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < least:
            raise ValueError(f"{name}={count!r} must be an integer of at least {least}.")


def make_bars(
    n_samples: int = 1000,
    size: int = 5,
    *,
    probability: float | None = None,
    amplitude: float = 10.0,
    noise: float = 2.0,
    superposition: str = "sum",
    signed: bool = False,
    random_state: Seed = None,
) -> Bunch:
    r"""Draw images of horizontal and vertical bars, the components of which are known.

    A square image of `size` rows has ``K = 2 * size`` bars ``d_k``, its rows and its columns. With independent
    coefficients ``w_k``, 0 or of the size `amplitude`, the image is

    .. math:: x = \sum_k w_k d_k + \sigma e \qquad \text{or} \qquad x_j = \max_k w_k d_{kj} + \sigma e_j

    where ``e`` is standard normal. If `signed`, the maximum is the coefficient of the largest size, that of the row
    where a row and a column of opposite signs cross.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of images.
    size : int, default=5
        Height and width of an image in pixels, at least 2.
    probability : float or None, default=None
        Probability, in [0, 1], that a bar is present. None: ``1 / size``, two bars an image on average.
    amplitude : float, default=10
        Size of the coefficients of bars that are present, positive.
    noise : float, default=2
        Standard deviation of the noise, at least 0.
    superposition : {"sum", "max"}, default="sum"
        How bars combine where they cross.
    signed : bool, default=False
        Whether coefficients have a random sign; otherwise they are positive.
    random_state : int, RandomState or None, default=None
        Seed. The same one draws the same coefficients, up to their signs, and the same noise for all superpositions.

    Returns
    -------
    data : Bunch
        With the images `X` of shape (n_samples, size ** 2), row by row, the true `codes` of shape (n_samples, 2 * size)
        and the `components` of shape (2 * size, size ** 2), of zeros and ones, horizontal bars first.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    P. Földiák, "Forming sparse representations by local anti-Hebbian learning", Biological Cybernetics 64 (1990).
    J. Lücke and M. Sahani, "Maximal causes for non-linear component extraction", JMLR 9 (2008), for the maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.datasets import make_bars
    >>> data = make_bars(200, 4, noise=0, random_state=0)
    >>> data.X.shape, data.codes.shape, data.components.shape
    ((200, 16), (200, 8), (8, 16))
    >>> bool(np.all(data.X == data.codes @ data.components))
    True
    """
    _check_counts(1, n_samples=n_samples)
    _check_counts(2, size=size)
    if probability is None:
        probability = 1 / size
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability!r} must lie in [0, 1].")
    if not 0 < amplitude < np.inf:
        raise ValueError(f"amplitude={amplitude!r} must be finite and positive.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise={noise!r} must be finite and at least 0.")
    if superposition not in _SUPERPOSITIONS:
        raise ValueError(
            f"superposition={superposition!r} is not known: use one of {', '.join(map(repr, _SUPERPOSITIONS))}."
        )
    rng = check_random_state(random_state)
    codes = amplitude * (rng.uniform(size=(n_samples, 2 * size)) < probability)
    errors = rng.standard_normal((n_samples, size**2))
    if signed:
        codes = np.where(codes > 0, rng.choice([-1.0, 1.0], codes.shape), 0.0) * amplitude
    rows, columns = codes[:, :size, np.newaxis], codes[:, np.newaxis, size:]
    pixels = rows + columns if superposition == "sum" else np.where(np.abs(rows) >= np.abs(columns), rows, columns)
    components = np.vstack([np.kron(np.eye(size), np.ones(size)), np.kron(np.ones(size), np.eye(size))])
    return Bunch(X=pixels.reshape(n_samples, -1) + noise * errors, codes=codes, components=components)


def _grey(image: Any, name: str) -> FloatArray:
    checked = check_array(image, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name)
    if checked.ndim == 3 and checked.shape[2] == 3:
        # Not a matrix product, whose roundings may differ between the pixels of an image that is the same everywhere.
        return np.asarray(sum(weight * checked[..., k] for k, weight in enumerate(_LUMINANCE)))
    if checked.ndim != 2:
        raise ValueError(f"{name} has shape {checked.shape}, it must be (height, width) or (height, width, 3).")
    return np.asarray(checked)


def _check_f0(f0: float) -> None:
    if not 0 < f0 < np.inf:
        raise ValueError(f"f0={f0!r} must be finite and positive, in cycles/pixel.")


def whiten_image(image: npt.ArrayLike, f0: float = 0.4) -> FloatArray:
    r"""Flatten the spectrum of a photograph, up to a frequency above which it is mostly noise.

    The image is scaled to [0, 1], its mean is subtracted, it is divided by its standard deviation, and its Fourier
    transform is multiplied by

    .. math:: R(f) = f e^{-(f / f_0)^4}, \qquad f = \sqrt{f_y^2 + f_x^2}

    The frequencies are those of the pixels and not numbers of cycles in the image, so that images that are not square
    are filtered alike in all directions.

    The transform takes the image to be periodic: within a few pixels of the border the result sees the opposite side.
    :func:`extract_whitened_patches` leaves such a border out.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, 3)
        Grey values, or red, green and blue, which become ``0.299 R + 0.587 G + 0.114 B``. The scale does not matter.
    f0 : float, default=0.4
        Cut-off in cycles/pixel, positive. Pixels cannot show more than 0.5 along an axis.

    Returns
    -------
    whitened : ndarray of shape (height, width)
        The filtered image, of mean 0.

    Raises
    ------
    ValueError
        If `image` is of another shape, not finite or the same everywhere, or if `f0` is not positive.

    References
    ----------
    B. Olshausen and D. Field, "Sparse coding with an overcomplete basis set: a strategy employed by V1?", Vision
    Research 37 (1997).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.datasets import whiten_image
    >>> ramps = np.add.outer(np.arange(32) % 8, np.arange(48) % 12)
    >>> whitened = whiten_image(ramps)
    >>> whitened.shape, bool(abs(whitened.mean()) < 1e-12)
    ((32, 48), True)
    """
    _check_f0(f0)
    return _whiten(_grey(image, "image"), f0, "image")


def _whiten(grey: FloatArray, f0: float, name: str) -> FloatArray:
    lowest, highest = float(grey.min()), float(grey.max())
    if lowest == highest:
        raise ValueError(f"{name} is {lowest!r} everywhere: an image without contrast cannot be whitened.")
    scaled = (grey - lowest) / (highest - lowest)
    standard = (scaled - scaled.mean()) / scaled.std()
    f = np.hypot(np.fft.fftfreq(grey.shape[0])[:, np.newaxis], np.fft.rfftfreq(grey.shape[1]))
    filtered = np.fft.rfft2(standard) * (f * np.exp(-((f / f0) ** 4)))
    return np.asarray(np.fft.irfft2(filtered, grey.shape), dtype=np.float64)


def extract_whitened_patches(
    images: Iterable[npt.ArrayLike],
    n_patches: int,
    size: int = 12,
    *,
    f0: float | None = 0.4,
    border: int = 4,
    variance: float = 0.1,
    random_state: Seed = None,
) -> FloatArray:
    r"""Draw square patches of photographs, after whitening these.

    Each image goes through :func:`whiten_image`. All of them are then multiplied by one factor, with which their mean
    variance is `variance`. Patches are drawn uniformly, with replacement, among all places of all images, so that the
    larger of two images contributes more; from each its own mean is subtracted.

    Parameters
    ----------
    images : iterable of array-like of shape (height, width) or (height, width, 3)
        Photographs, grey or in colour, whose sizes may differ.
    n_patches : int
        Number of patches, at least 1.
    size : int, default=12
        Height and width of a patch in pixels, at least 2.
    f0 : float or None, default=0.4
        Cut-off of the filter in cycles/pixel, positive. None: the images are whitened already and are not filtered.
    border : int, default=4
        Distance in pixels that patches keep from the edges of the image, at least 0.
    variance : float, default=0.1
        Mean variance of the images after scaling, positive.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    patches : ndarray of shape (n_patches, size ** 2)
        The patches, the rows of each one after the other, of mean 0.

    Raises
    ------
    ValueError
        If a parameter is out of its range, there are no images, or one of them has no place for a patch, is the same
        everywhere, not finite or of another shape.

    References
    ----------
    B. Olshausen and D. Field, "Emergence of simple-cell receptive field properties by learning a sparse code for
    natural images", Nature 381 (1996).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.datasets import extract_whitened_patches
    >>> images = np.random.default_rng(0).normal(size=(2, 40, 60)).cumsum(axis=1).cumsum(axis=2)
    >>> patches = extract_whitened_patches(images, 100, size=8, random_state=0)
    >>> patches.shape, bool(np.allclose(patches.mean(axis=1), 0))
    ((100, 64), True)
    """
    _check_counts(1, n_patches=n_patches)
    _check_counts(2, size=size)
    _check_counts(0, border=border)
    if not 0 < variance < np.inf:
        raise ValueError(f"variance={variance!r} must be finite and positive.")
    if f0 is not None:
        _check_f0(f0)
    greys = [_grey(image, f"images[{k}]") for k, image in enumerate(images)]
    if not greys:
        raise ValueError("images is empty: pass at least one.")
    places = np.array([grey.shape for grey in greys]) - (size + 2 * border) + 1
    small = np.flatnonzero(places.min(axis=1) < 1)
    if small.size:
        raise ValueError(
            f"images[{small[0]}] has shape {greys[small[0]].shape}: with size={size} and border={border} it needs at "
            f"least {size + 2 * border} pixels along each side."
        )
    if f0 is not None:
        greys = [_whiten(grey, f0, f"images[{k}]") for k, grey in enumerate(greys)]
    power = float(np.mean([np.var(grey) for grey in greys]))
    if power == 0:
        raise ValueError("images are the same everywhere: there is no variance to scale.")

    ends = np.cumsum(places.prod(axis=1))
    drawn = check_random_state(random_state).randint(ends[-1], size=n_patches, dtype=np.int64)
    chosen = np.searchsorted(ends, drawn, side="right")
    patches = np.empty((n_patches, size, size))
    for k, grey in enumerate(greys):
        of_image = chosen == k
        top, left = np.divmod(drawn[of_image] - (ends[k] - places[k].prod()), places[k, 1])
        windows = np.lib.stride_tricks.sliding_window_view(grey, (size, size))
        patches[of_image] = windows[top + border, left + border]
    flat = patches.reshape(n_patches, -1) * np.sqrt(variance / power)
    return np.asarray(flat - flat.mean(axis=1, keepdims=True))
