"""What dictionary atoms that are image patches look like: their orientation tuning, and Gabor functions fitted to them.

Its public names are those of :mod:`estimand.metrics.sparse`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from sklearn.utils import check_array

__all__ = ["GaborFit", "circular_variance", "fit_gabor"]

FloatArray = npt.NDArray[np.float64]

_PADDED = 64
_N_ORIENTATIONS = 36
_NYQUIST = 0.5
_MIN_SIGMA = 0.5
_MIN_PIXELS = 9
_MAX_EVALUATIONS = 200
_STRETCHED = (0.4, 0.7, 1.0, 1.3)
_SHRUNK = ((0.5, 0.8, 1.1), (0.5, 1.0))
_FLAT = 1e-10


def _check_atoms(atoms: Any, shape: tuple[int, int]) -> FloatArray:
    """Return the atoms as images, of shape (n_atoms, height, width)."""
    checked = check_array(atoms, dtype=np.float64, input_name="atoms")
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in sides):
        raise ValueError(f"shape={shape!r} must be two positive integers, the height and the width of the atoms.")
    if sides[0] * sides[1] != checked.shape[1]:
        raise ValueError(f"atoms has {checked.shape[1]} columns, which shape={shape!r} does not make: height * width.")
    return np.asarray(checked.reshape(-1, *sides))


def _peak(atom: FloatArray) -> tuple[float, float, npt.NDArray[np.complex128]]:
    """Return radius and angle of the largest Fourier amplitude but that of the mean, and the padded transform."""
    sides = [max(_PADDED, side) for side in atom.shape]
    spectrum = np.fft.fft2(atom, sides)
    fy, fx = np.fft.fftfreq(sides[0])[:, None], np.fft.fftfreq(sides[1])
    radius = np.hypot(fy, fx)
    # Beyond this radius the circle leaves the band, and other orientations would be read off aliases.
    allowed = (radius > 0) & (radius <= _NYQUIST)
    row, column = np.unravel_index(np.argmax(np.where(allowed, np.abs(spectrum), -1.0)), spectrum.shape)
    return float(radius[row, column]), float(np.arctan2(fy[row, 0], fx[column])), spectrum


def circular_variance(atoms: npt.ArrayLike, shape: tuple[int, int]) -> FloatArray:
    r"""Breadth of the orientation tuning of atoms that are image patches.

    With ``R_k`` the Fourier amplitudes of an atom at its preferred spatial frequency and the 36 orientations
    ``t_k = k * pi / 36``,

    .. math:: 1 - \frac{\bigl|\sum_k R_k e^{2 i t_k}\bigr|}{\sum_k R_k}

    The preferred frequency is that of the largest amplitude in the discrete transform of the atom, padded with zeros to
    64 by 64 pixels, the mean excluded, up to 0.5 cycles/pixel. The ``R_k`` are those of gratings of exactly this
    frequency, not interpolated.

    Parameters
    ----------
    atoms : array-like of shape (n_atoms, height * width)
        The atoms, the rows of an image one after the other.
    shape : tuple of two int
        Height and width of the atoms, in pixels.

    Returns
    -------
    variance : ndarray of shape (n_atoms,)
        In [0, 1]: 0 for an atom that responds to one orientation only, 1 for one that responds to all alike. NaN for an
        atom of zeros.

    Raises
    ------
    ValueError
        If `shape` is not that of the atoms, or `atoms` is empty, not of two dimensions or not finite.

    References
    ----------
    D. Ringach, R. Shapley and M. Hawken, "Orientation selectivity in macaque V1: diversity and laminar dependence",
    J. Neuroscience 22 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.metrics import circular_variance
    >>> y, x = np.mgrid[-8:9, -8:9]
    >>> envelope = np.exp(-(x**2 + y**2) / 32)
    >>> grating, rings = (envelope * np.cos(1.5 * u) for u in (x, np.hypot(x, y)))
    >>> circular_variance([grating.ravel(), rings.ravel()], (17, 17)).round(2)
    array([0.06, 1.  ])
    """
    images = _check_atoms(atoms, shape)
    angles = np.arange(_N_ORIENTATIONS) * (np.pi / _N_ORIENTATIONS)
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    variance = np.full(images.shape[0], np.nan)
    for k, image in enumerate(images):
        size = np.abs(image).max()
        if size == 0:
            continue
        atom = image / size
        radius = _peak(atom)[0]
        vertical = np.exp(-2j * np.pi * radius * np.outer(np.sin(angles), rows))
        horizontal = np.exp(-2j * np.pi * radius * np.outer(np.cos(angles), columns))
        amplitudes = np.abs(np.sum((vertical @ atom) * horizontal, axis=1))
        variance[k] = 1 - np.abs(np.sum(amplitudes * np.exp(2j * angles))) / amplitudes.sum()
    return np.asarray(np.clip(variance, 0.0, 1.0))


@dataclass(frozen=True, eq=False, kw_only=True)
class GaborFit:
    """Gabor functions fitted to atoms by :func:`fit_gabor`, whose formula names them.

    Attributes
    ----------
    centre : ndarray of shape (n_atoms, 2)
        Row and column of the centre, in pixels; (0, 0) is the middle of the first pixel.
    sigma : ndarray of shape (n_atoms, 2)
        Widths of the envelope in pixels: across the stripes (``x``) and along them (``y``).
    frequency : ndarray of shape (n_atoms,)
        Cycles/pixel.
    orientation : ndarray of shape (n_atoms,)
        Direction across the stripes, in [0, pi): 0 along a row, pi/2 along a column.
    phase : ndarray of shape (n_atoms,)
        Phase at the centre, in [-pi, pi].
    amplitude : ndarray of shape (n_atoms,)
        Height of the envelope, at least 0.
    r_squared : ndarray of shape (n_atoms,)
        One minus the squared error over the squared deviation of the atom from its mean.
    n_x, n_y : ndarray of shape (n_atoms,)
        The widths in cycles, ``sigma * frequency``.
    """

    centre: FloatArray
    sigma: FloatArray
    frequency: FloatArray
    orientation: FloatArray
    phase: FloatArray
    amplitude: FloatArray
    r_squared: FloatArray
    n_x: FloatArray
    n_y: FloatArray


class _Gabor:
    """Residuals of a Gabor function, whose last two parameters are the weights of its cosine and of its sine."""

    def __init__(self, atom: FloatArray) -> None:
        self.atom = atom
        self.target = atom.ravel()
        self.y, self.x = (axis.ravel().astype(np.float64) for axis in np.indices(atom.shape))
        height, width = atom.shape
        side = float(max(height, width))
        self.lower = np.array([-0.5, -0.5, _MIN_SIGMA, _MIN_SIGMA, 0.0, -np.inf, -np.inf, -np.inf])
        self.upper = np.array([height - 0.5, width - 0.5, side, side, _NYQUIST, np.inf, np.inf, np.inf])

    def _parts(self, p: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the coordinates across and along the stripes, and the cosine and the sine in the envelope."""
        c, s = np.cos(p[5]), np.sin(p[5])
        y, x = self.y - p[0], self.x - p[1]
        u, v = x * c + y * s, y * c - x * s
        envelope = np.exp(-0.5 * ((u / p[2]) ** 2 + (v / p[3]) ** 2))
        argument = 2 * np.pi * p[4] * u
        return u, v, envelope * np.cos(argument), envelope * np.sin(argument)

    def residuals(self, p: FloatArray) -> FloatArray:
        _, _, cosine, sine = self._parts(p)
        return np.asarray(p[6] * cosine + p[7] * sine - self.target)

    def jacobian(self, p: FloatArray) -> FloatArray:
        u, v, cosine, sine = self._parts(p)
        value, turned = p[6] * cosine + p[7] * sine, p[7] * cosine - p[6] * sine
        du, dv = 2 * np.pi * p[4] * turned - u / p[2] ** 2 * value, -v / p[3] ** 2 * value
        c, s = np.cos(p[5]), np.sin(p[5])
        return np.column_stack(
            [
                -s * du - c * dv,
                s * dv - c * du,
                u**2 / p[2] ** 3 * value,
                v**2 / p[3] ** 3 * value,
                2 * np.pi * u * turned,
                v * du - u * dv,
                cosine,
                sine,
            ]
        )

    def starts(self) -> Iterator[FloatArray]:
        """Yield the best start at each of a few frequencies, from the Fourier peak and the moments of the envelope."""
        height, width = self.atom.shape
        frequency, angle, spectrum = _peak(self.atom)
        fy, fx = np.fft.fftfreq(spectrum.shape[0])[:, None], np.fft.fftfreq(spectrum.shape[1])
        # Half of the spectrum, the one on the side of the peak, leaves the envelope without the stripes.
        half = fy * np.sin(angle) + fx * np.cos(angle) > 0
        energy = np.abs(np.fft.ifft2(spectrum * half))[:height, :width].ravel() ** 2
        energy /= energy.sum()
        y, x = float(energy @ self.y), float(energy @ self.x)
        c, s = np.cos(angle), np.sin(angle)
        u, v = (self.x - x) * c + (self.y - y) * s, (self.y - y) * c - (self.x - x) * s
        across, along = np.sqrt(2 * energy @ u**2), np.sqrt(2 * energy @ v**2)
        for factor in _STRETCHED:
            starts = []
            for i, j in itertools.product(*_SHRUNK):
                start = np.array([y, x, i * across, j * along, factor * frequency, angle, 0.0, 0.0])
                start[:6] = np.clip(start[:6], self.lower[:6], self.upper[:6])
                _, _, cosine, sine = self._parts(start)
                start[6:] = np.linalg.lstsq(np.column_stack([cosine, sine]), self.target, rcond=None)[0]
                starts.append(start)
            yield min(starts, key=lambda start: float(np.sum(self.residuals(start) ** 2)))

    def fit(self) -> tuple[FloatArray, float]:
        """Return the best parameters and their squared error."""
        options = {"bounds": (self.lower, self.upper), "x_scale": "jac", "max_nfev": _MAX_EVALUATIONS}
        fits = [least_squares(self.residuals, start, self.jacobian, **options) for start in self.starts()]
        best = min(fits, key=lambda fit: float(fit.cost))
        return np.asarray(best.x), 2 * float(best.cost)


def fit_gabor(atoms: npt.ArrayLike, shape: tuple[int, int]) -> GaborFit:
    r"""Fit a Gabor function to each of the atoms that are image patches, by least squares.

    The value at row ``y`` and column ``x`` is, with centre ``(y_0, x_0)``, widths ``s_x, s_y``, frequency ``f``,
    orientation ``t``, phase ``h`` and amplitude ``A``,

    .. math:: A \exp\Bigl(-\frac{u^2}{2 s_x^2} - \frac{v^2}{2 s_y^2}\Bigr) \cos(2 \pi f u + h), \quad
        u = (x - x_0) \cos t + (y - y_0) \sin t, \quad v = (y - y_0) \cos t - (x - x_0) \sin t

    The centre lies in the patch, the widths between half a pixel and the longer side, the frequency between 0 and 0.5
    cycles/pixel. From the Fourier peak and the moments of the envelope, the best start at each of four frequencies is
    refined, and the best fit is kept: a good local minimum, which need not be the global one. Nothing is random. Where
    the envelope holds a small part of a cycle, other parameters draw nearly the same function.

    Parameters
    ----------
    atoms : array-like of shape (n_atoms, height * width)
        The atoms, the rows of an image one after the other.
    shape : tuple of two int
        Height and width of the atoms, in pixels, at least 9 pixels together.

    Returns
    -------
    fit : GaborFit
        Parameters of each atom, and the share of its variance that they explain. An atom whose pixels are all the same
        has parameters NaN and explains a share of 0.

    Raises
    ------
    ValueError
        If `shape` is not that of the atoms or has fewer than 9 pixels, or `atoms` is empty, not of two dimensions or
        not finite.

    References
    ----------
    D. Ringach, "Spatial structure and symmetry of simple-cell receptive fields in macaque primary visual cortex", J.
    Neurophysiology 88 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from estimand.metrics import fit_gabor
    >>> y, x = np.mgrid[:12, :12]
    >>> atom = np.exp(-((x - 5) ** 2 + (y - 6) ** 2) / 8) * np.cos(0.4 * np.pi * (x - 5))
    >>> fit = fit_gabor([atom.ravel()], (12, 12))
    >>> fit.centre.round(3), fit.sigma.round(3), fit.frequency.round(3), fit.r_squared.round(3)
    (array([[6., 5.]]), array([[2., 2.]]), array([0.2]), array([1.]))
    """
    images = _check_atoms(atoms, shape)
    if images[0].size < _MIN_PIXELS:
        raise ValueError(f"shape={shape!r} must have at least {_MIN_PIXELS} pixels: a Gabor has eight parameters.")
    p = np.full((images.shape[0], 8), np.nan)
    r_squared = np.zeros(images.shape[0])
    for k, image in enumerate(images):
        size = np.abs(image).max()
        if np.ptp(image) <= _FLAT * size:
            continue
        atom = image / size
        p[k], error = _Gabor(atom).fit()
        p[k, 6:] *= size
        r_squared[k] = 1 - error / np.sum((atom - atom.mean()) ** 2)
    turns = np.floor(p[:, 5] / np.pi)
    phase = np.arctan2(-p[:, 7], p[:, 6])
    return GaborFit(
        centre=p[:, :2].copy(),
        sigma=p[:, 2:4].copy(),
        frequency=p[:, 4].copy(),
        # The difference may round to pi.
        orientation=np.minimum(p[:, 5] - turns * np.pi, np.nextafter(np.pi, 0)),
        # Half a turn points the other way, against which the phase runs.
        phase=np.where(turns % 2 == 1, -phase, phase),
        amplitude=np.hypot(p[:, 6], p[:, 7]),
        r_squared=r_squared,
        n_x=p[:, 2] * p[:, 4],
        n_y=p[:, 3] * p[:, 4],
    )
