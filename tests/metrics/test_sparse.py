"""Sparseness by hand and by other formulas, and the tuning and the Gabor fits of atoms that are known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from estimand.metrics._atoms import _Gabor
from estimand.metrics.sparse import (
    circular_variance,
    fit_gabor,
    gini_index,
    hoyer_sparsity,
    lifetime_sparseness,
    mean_active,
    population_sparseness,
    reconstruction_error,
)

SPARSITIES = [hoyer_sparsity, gini_index, lambda x: lifetime_sparseness(np.asarray(x)[:, np.newaxis])[0]]


def gabor(shape, centre, sigma, frequency, orientation, phase, amplitude=1.0):
    """The documented formula, one pixel at a time in complex numbers."""
    rows, columns = np.indices(shape)
    along = ((columns - centre[1]) + 1j * (rows - centre[0])) * np.exp(-1j * orientation)
    envelope = np.exp(-((along.real / sigma[0]) ** 2) / 2 - (along.imag / sigma[1]) ** 2 / 2)
    return amplitude * envelope * np.cos(2 * np.pi * frequency * along.real + phase)


def planted(rng, side):
    centre = rng.uniform(0.15 * side, 0.85 * side, 2)
    sigma, frequency = rng.uniform(0.8, side / 2.5, 2), rng.uniform(0.05, 0.45)
    angles = rng.uniform(0, np.pi), rng.uniform(-np.pi, np.pi)
    return dict(
        zip(
            ("centre", "sigma", "frequency", "orientation", "phase", "amplitude"),
            (centre, sigma, frequency, *angles, rng.uniform(0.1, 10)),
            strict=True,
        )
    )


@st.composite
def vectors(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal(draw(st.integers(2, 40))) ** draw(st.sampled_from([1, 3]))
    x[rng.uniform(size=x.size) < draw(st.sampled_from([0.0, 0.5, 0.9]))] = 0.0
    x[0] += 1.0 if x[0] >= 0 else -1.0
    return x


def test_codes_by_hand():
    codes = [[0.0, 2.0, 0.0], [1.0, -1e-300, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert mean_active(codes) == 6 / 4
    assert type(mean_active(codes)) is float
    X, components = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])
    weights = np.array([[1.0, 0.0], [2.0, 1.0]])
    assert reconstruction_error(X, weights, components) == pytest.approx((0 + 1 + 1 + 1) / 4, abs=1e-15)
    assert reconstruction_error(X, weights, components, [1.0, 0.0]) == pytest.approx((1 + 1 + 0 + 1) / 4, abs=1e-15)
    assert reconstruction_error(X, weights, components, [1.0, 0.0], relative=True) == pytest.approx(3 / 33, abs=1e-15)
    assert reconstruction_error(X, np.zeros((2, 2)), components, relative=True) == 1.0


def test_sparsities_by_hand():
    np.testing.assert_allclose(lifetime_sparseness([[3.0, 1.0], [-4.0, 0.0]]), [0.04, 1.0], rtol=1e-12)
    np.testing.assert_allclose(population_sparseness([[3.0, -4.0], [1.0, 1.0]]), [0.04, 0.0], atol=1e-14)
    assert hoyer_sparsity([3.0, 0.0, 0.0, -4.0]) == pytest.approx(2 - 7 / 5, rel=1e-14)
    assert gini_index([3.0, 0.0, 0.0, -4.0]) == pytest.approx(1 - 2 * (3 * 1.5 + 4 * 0.5) / (7 * 4), rel=1e-14)
    assert gini_index([5.0]) == 0.0
    assert type(hoyer_sparsity([1.0, 2.0])) is float
    assert type(gini_index([1.0, 2.0])) is float


@settings(deadline=None)
@given(vectors())
def test_sparsities_by_other_formulas(x):
    size, n = np.abs(x), x.size
    pairs = np.abs(size[:, np.newaxis] - size).sum()
    assert gini_index(x) == pytest.approx(pairs / (2 * n * size.sum()), abs=1e-12)
    cosine = size.sum() / np.linalg.norm(x) / np.sqrt(n)
    assert hoyer_sparsity(x) == pytest.approx(np.sqrt(n) * (1 - cosine) / (np.sqrt(n) - 1), abs=1e-12)
    assert population_sparseness([x])[0] == pytest.approx(n * (1 - cosine**2) / (n - 1), abs=1e-12)


@settings(deadline=None)
@given(vectors(), st.sampled_from([1e-200, 1e-3, 7.0, 1e200]), st.randoms(use_true_random=False))
def test_sparsities_ignore_scale_signs_and_order(x, scale, random):
    order = list(range(x.size))
    random.shuffle(order)
    changed = scale * x[order] * np.array([random.choice([-1, 1]) for _ in order])
    for sparsity in SPARSITIES:
        assert sparsity(changed) == pytest.approx(sparsity(x), abs=1e-12)
        assert -1e-15 <= sparsity(x) <= 1


@pytest.mark.filterwarnings("error")
def test_sparsities_along_axes_and_of_zeros():
    x = np.random.default_rng(0).standard_normal((4, 5, 6))
    x[1, :, 2] = 0.0
    for sparsity in (hoyer_sparsity, gini_index):
        result = sparsity(x, axis=1)
        assert result.shape == (4, 6)
        assert np.isnan(result[1, 2])
        assert np.isnan(result).sum() == 1
        assert result[3, 4] == pytest.approx(sparsity(x[3, :, 4]), rel=1e-13)
        np.testing.assert_array_equal(sparsity(x, axis=-2), result)
        assert np.isnan(sparsity([0.0, 0.0]))
    np.testing.assert_array_equal(lifetime_sparseness(x[1]), population_sparseness(x[1].T))
    assert np.flatnonzero(np.isnan(lifetime_sparseness(x[1]))).tolist() == [2]
    assert lifetime_sparseness(x[1]).shape == (6,)


@pytest.mark.parametrize(("offset", "checks"), [(0.0, 0.0), (3.0, 0.0), (0.0, 3.0)])
def test_amplitudes_of_circular_variance_are_those_of_gratings(offset, checks):
    shape, angles = (9, 13), np.arange(36) * np.pi / 36
    rows, columns = np.indices(shape)
    # The largest amplitude may be that of the mean, or in a corner where no circle fits: neither is preferred.
    atom = np.random.default_rng(0).standard_normal(shape) + offset + checks * (-1.0) ** (rows + columns)
    frequencies = np.fft.fftfreq(64)
    transform = {}
    for fy in frequencies:
        for fx in frequencies:
            if 0 < np.hypot(fy, fx) <= 0.5:
                transform[fy, fx] = abs(np.sum(atom * np.exp(-2j * np.pi * (fy * rows + fx * columns))))
    radius = np.hypot(*max(transform, key=transform.get))
    turned = radius * (np.outer(np.sin(angles), rows) + np.outer(np.cos(angles), columns))
    amplitudes = np.abs(np.exp(-2j * np.pi * turned) @ atom.ravel())
    expected = 1 - np.abs(amplitudes @ np.exp(2j * angles)) / amplitudes.sum()
    assert circular_variance([atom.ravel()], shape)[0] == pytest.approx(expected, abs=1e-12)


def test_circular_variance_of_known_atoms():
    narrower = [gabor((32, 32), (15.5, 15.5), (s, s), 0.2, 0.7, 0.3).ravel() for s in (1.0, 2.0, 3.0, 4.0, 6.0)]
    values = circular_variance(narrower, (32, 32))
    assert np.all(np.diff(values) < 0)
    assert values[0] > 0.3
    # The transform of the envelope is Gaussian, and over its width a circle is nearly straight.
    np.testing.assert_allclose(values[2:], 1 - np.exp(-2 / (0.4 * np.pi * np.array([3.0, 4.0, 6.0])) ** 2), rtol=0.2)
    distance = np.hypot(*(np.indices((15, 15)) - 7.0))
    rings = np.exp(-(distance**2) / 4) / 2 - np.exp(-(distance**2) / 10) / 5
    assert circular_variance([rings.ravel()], (15, 15))[0] > 0.95
    crossed = gabor((16, 16), (7.5, 7.5), (3, 3), 0.25, 0.0, 0.0) + gabor(
        (16, 16), (7.5, 7.5), (3, 3), 0.25, np.pi / 2, 0
    )
    assert circular_variance([crossed.ravel()], (16, 16))[0] > 0.99
    # Larger than the padding: its far corner counts.
    far = gabor((80, 80), (70, 70), (3, 3), 0.2, 0.7, 0.3)
    assert circular_variance([far.ravel()], (80, 80))[0] == pytest.approx(values[2], abs=0.005)


def test_circular_variance_ignores_quarter_turns_sign_and_scale():
    atoms = np.random.default_rng(1).standard_normal((20, 10, 10))
    value = circular_variance(atoms.reshape(20, -1), (10, 10))
    assert np.all((value > 0) & (value < 1))
    for changed in (np.rot90(atoms, axes=(1, 2)), atoms[:, ::-1], -atoms, 1e-200 * atoms, 1e200 * atoms):
        np.testing.assert_allclose(circular_variance(changed.reshape(20, -1), (10, 10)), value, atol=1e-10)
    tall = atoms.reshape(20, 5, 20)
    turned = circular_variance(np.rot90(tall, axes=(1, 2)).reshape(20, -1), (20, 5))
    np.testing.assert_allclose(turned, circular_variance(tall.reshape(20, -1), (5, 20)), atol=1e-10)
    np.testing.assert_array_equal(np.isnan(circular_variance([np.zeros(9), np.eye(9)[4]], (3, 3))), [True, False])


@pytest.mark.parametrize("side", [12, 16])
def test_gabors_are_recovered(side):
    rng = np.random.default_rng(side)
    truth = [planted(rng, side) for _ in range(30)]
    atoms = np.array([gabor((side, side), **parameters) for parameters in truth])
    fit = fit_gabor(atoms.reshape(30, -1), (side, side))
    assert np.sum(fit.r_squared > 0.999) >= 29
    for k in np.flatnonzero(fit.r_squared > 0.999):
        found = {name: getattr(fit, name)[k] for name in truth[k]}
        np.testing.assert_allclose(gabor((side, side), **found), atoms[k], atol=0.1 * np.abs(atoms[k]).max())
        # With fewer stripes the parameters are not determined by the atom.
        if truth[k]["sigma"][0] * truth[k]["frequency"] > 0.3:
            turn = (found.pop("orientation") - truth[k].pop("orientation")) / np.pi
            assert abs(turn - round(turn)) < 1e-3
            phase = found.pop("phase") - (-1) ** round(turn) * truth[k].pop("phase")
            assert np.cos(phase) > 1 - 1e-4
            for name, value in truth[k].items():
                np.testing.assert_allclose(found[name], value, rtol=0.01, err_msg=name)
    assert np.all((fit.orientation >= 0) & (fit.orientation < np.pi))
    assert np.all(np.abs(fit.phase) <= np.pi)
    np.testing.assert_array_equal(np.column_stack([fit.n_x, fit.n_y]), fit.sigma * fit.frequency[:, np.newaxis])


def test_gabors_that_are_not_square_scaled_or_transposed():
    parameters = {"sigma": (2.0, 3.0), "frequency": 0.2, "phase": 0.8}
    atom = gabor((10, 18), (4.0, 11.0), orientation=0.5, **parameters)
    fit = fit_gabor([atom.ravel(), -1e-150 * atom.ravel()], (10, 18))
    np.testing.assert_allclose(fit.centre, [[4.0, 11.0]] * 2, rtol=1e-5)
    np.testing.assert_allclose(fit.orientation, 0.5, rtol=1e-5)
    np.testing.assert_allclose(fit.phase, [0.8, 0.8 - np.pi], rtol=1e-5)
    np.testing.assert_allclose(fit.amplitude, [1.0, 1e-150], rtol=1e-5)
    other = fit_gabor([atom.T.ravel()], (18, 10))
    np.testing.assert_allclose(other.centre, [[11.0, 4.0]], rtol=1e-5)
    np.testing.assert_allclose(other.orientation, np.pi / 2 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(other.sigma, [[2.0, 3.0]], rtol=1e-5)


def test_noise_is_not_explained():
    rng = np.random.default_rng(0)
    truth = gabor((12, 12), (5.0, 6.0), (2.0, 3.0), 0.2, 1.0, 0.5)
    noise = rng.standard_normal((5, 12, 12))
    means = []
    for level in (0.0, 0.1, 0.2, 0.4, 0.8):
        atoms = truth + level * truth.std() * noise
        r_squared = fit_gabor(atoms.reshape(5, -1), (12, 12)).r_squared
        means.append(r_squared.mean())
        # A fit of eight parameters explains some of the noise, at least as much as the truth leaves of the atom.
        left = np.sum((atoms - truth) ** 2, axis=(1, 2)) / np.sum(
            (atoms - atoms.mean((1, 2), keepdims=True)) ** 2, (1, 2)
        )
        assert np.all(r_squared > 1 - left - 1e-8)
    assert np.all(np.diff(means) < -0.005)
    shifted = truth + 0.3
    fit = fit_gabor([shifted.ravel()], (12, 12))
    names = ("centre", "sigma", "frequency", "orientation", "phase", "amplitude")
    rendered = gabor((12, 12), **{name: getattr(fit, name)[0] for name in names})
    assert fit.r_squared[0] == pytest.approx(1 - np.sum((shifted - rendered) ** 2) / (144 * shifted.var()), abs=1e-10)
    assert np.mean(fit_gabor(noise.reshape(5, -1), (12, 12)).r_squared) < 0.4


@pytest.mark.filterwarnings("error")
def test_flat_atoms_have_no_gabor():
    atoms = np.vstack([np.zeros(16), np.full(16, 0.1), gabor((4, 4), (1, 2), (1, 1), 0.2, 0.0, 0.0).ravel()])
    fit = fit_gabor(atoms, (4, 4))
    for field in dataclasses.fields(fit):
        values = getattr(fit, field.name)
        assert values.shape[0] == 3
        if field.name == "r_squared":
            np.testing.assert_array_equal(values[:2], 0.0)
        else:
            assert np.all(np.isnan(values[:2]))
        assert np.all(np.isfinite(values[2]))


def test_fits_repeat_stay_in_bounds_and_do_not_depend_on_other_atoms():
    atoms = np.random.default_rng(3).standard_normal((4, 48))
    first, second, alone = fit_gabor(atoms, (6, 8)), fit_gabor(atoms, (6, 8)), fit_gabor(atoms[2:3], (6, 8))
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
        np.testing.assert_array_equal(getattr(first, field.name)[2:3], getattr(alone, field.name))
    assert np.all((first.centre >= -0.5) & (first.centre <= [5.5, 7.5]))
    assert np.all((first.sigma >= 0.5) & (first.sigma <= 8))
    assert np.all((first.frequency >= 0) & (first.frequency <= 0.5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.sigma = None


def test_jacobian_is_that_of_the_residuals():
    problem = _Gabor(np.random.default_rng(4).standard_normal((5, 7)))
    point = np.array([2.2, 3.1, 1.4, 2.3, 0.17, 0.6, 0.8, -0.5])
    np.testing.assert_allclose(problem.jacobian(point), approx_fprime(point, problem.residuals), atol=1e-6)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (mean_active, ([[np.nan, 1.0]],), "codes contains NaN"),
        (reconstruction_error, (np.ones((3, 2)), np.ones((2, 1)), np.ones((1, 2))), r"inconsistent.*\[3, 2\]"),
        (reconstruction_error, (np.ones((3, 2)), np.ones((3, 1)), np.ones((2, 2))), r"\(2, 2\), it must be \(1, 2\)"),
        (reconstruction_error, (np.ones((3, 2)), np.ones((3, 1)), np.ones((1, 2)), np.ones(3)), "mean has shape"),
        (lifetime_sparseness, ([[1.0, 2.0]],), r"responses has shape \(1, 2\): along axis 0"),
        (population_sparseness, ([[1.0], [2.0]],), r"responses has shape \(2, 1\): along axis 1"),
        (population_sparseness, ([1.0, 2.0],), "2D array"),
        (hoyer_sparsity, ([1.0],), r"x has shape \(1,\)"),
        (hoyer_sparsity, ([1.0, 2.0], 1), r"axis=1 must be an integer in \[-1, 0\]"),
        (gini_index, ([[1.0, 2.0]], 0.5), "axis=0.5"),
        (circular_variance, (np.ones((2, 12)), (3, 5)), r"atoms has 12 columns.*shape=\(3, 5\)"),
        (circular_variance, (np.ones((2, 12)), 12), "shape=12 must be two positive integers"),
        (fit_gabor, (np.ones((2, 12)), (3.0, 4.0)), r"shape=\(3.0, 4.0\) must be two"),
        (fit_gabor, (np.ones((2, 8)), (2, 4)), "at least 9 pixels"),
        (fit_gabor, ([[np.inf] * 9], (3, 3)), "atoms contains infinity"),
    ],
)
def test_bad_arguments(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_no_error_is_relative_to_nothing():
    with pytest.raises(ValueError, match="relative=False"):
        reconstruction_error([[1.0, 2.0]], [[1.0]], [[1.0, 1.0]], mean=[1.0, 2.0], relative=True)
