"""The bars test against its definition, and whitening and patches of a photograph."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from estimand.datasets.images import extract_whitened_patches, make_bars, whiten_image


@pytest.fixture(scope="module")
def photograph():
    return load_sample_image("china.jpg")


@pytest.fixture(scope="module")
def grey(photograph):
    return photograph.astype(np.float64) @ [0.299, 0.587, 0.114]


def spectrum(image):
    """Mean power in rings of equal width between 0.02 and 0.26 cycles/pixel."""
    radius = np.hypot(np.fft.fftfreq(image.shape[0])[:, np.newaxis], np.fft.fftfreq(image.shape[1]))
    power = np.abs(np.fft.fft2(image)) ** 2
    edges = np.linspace(0.02, 0.26, 9)
    return np.array([power[(radius >= a) & (radius < b)].mean() for a, b in pairwise(edges)])


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("superposition", ["sum", "max"])
def test_bars_are_superposed_as_documented(superposition, signed):
    data = make_bars(
        60, 4, amplitude=3.0, probability=0.4, noise=0.0, superposition=superposition, signed=signed, random_state=0
    )
    assert set(np.unique(data.codes)) == ({-3.0, 0.0, 3.0} if signed else {0.0, 3.0})
    images = data.X.reshape(60, 4, 4)
    components = data.components.reshape(8, 4, 4)
    for k in range(4):
        expected = np.zeros((4, 4))
        expected[k] = 1
        np.testing.assert_array_equal(components[k], expected)
        np.testing.assert_array_equal(components[4 + k], expected.T)
    for image, code in zip(images, data.codes, strict=True):
        for i in range(4):
            for j in range(4):
                crossing = (code[i], code[4 + j])
                assert image[i, j] == (sum(crossing) if superposition == "sum" else max(crossing, key=abs))
    if not signed and superposition == "max":
        assert images.max() == 3.0
    if superposition == "sum":
        np.testing.assert_array_equal(data.X, data.codes @ data.components)


def test_bars_are_as_frequent_and_as_noisy_as_asked():
    data = make_bars(20000, 6, signed=True, noise=1.5, random_state=1)
    assert np.mean(np.sum(data.codes != 0, axis=1)) == pytest.approx(2.0, abs=0.04)
    np.testing.assert_allclose(np.mean(data.codes != 0, axis=0), 1 / 6, atol=0.012)
    assert np.mean(data.codes[data.codes != 0] > 0) == pytest.approx(0.5, abs=0.01)
    errors = data.X - data.codes @ data.components
    assert errors.std() == pytest.approx(1.5, rel=0.01)
    assert errors.mean() == pytest.approx(0.0, abs=0.01)
    presence = np.corrcoef((data.codes != 0).T)
    assert np.abs(presence - np.eye(12)).max() < 0.035
    assert np.mean(make_bars(5000, 5, probability=0.7, random_state=0).codes == 10.0) == pytest.approx(0.7, abs=0.01)


def test_bars_repeat():
    first, second, other = (make_bars(50, random_state=seed) for seed in (3, 3, 4))
    for name in ("X", "codes", "components"):
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first.X, other.X)
    largest = make_bars(50, superposition="max", signed=True, random_state=3)
    np.testing.assert_array_equal(np.abs(largest.codes), first.codes)
    generator = np.random.RandomState(3)
    np.testing.assert_array_equal(make_bars(50, random_state=generator).X, first.X)
    assert not np.array_equal(make_bars(50, random_state=generator).X, first.X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"size": 1}, "size=1 must be an integer of at least 2"),
        ({"size": 2.5}, "size=2.5"),
        ({"probability": 1.1}, r"probability=1.1 must lie in \[0, 1\]"),
        ({"probability": np.nan}, "probability=nan"),
        ({"amplitude": 0.0}, "amplitude=0.0"),
        ({"amplitude": np.inf}, "amplitude=inf"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"superposition": "product"}, "superposition='product'.*'sum', 'max'"),
    ],
)
def test_bad_bars(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_bars(**parameters)


def test_whitening_multiplies_gratings_by_the_filter():
    y, x = np.indices((40, 60))
    for fy, fx in ((0, 3), (4, 0), (5, 12), (8, -9)):
        frequency = np.hypot(fy / 40, fx / 60)
        grating = np.cos(2 * np.pi * (fy * y / 40 + fx * x / 60) + 0.3)
        expected = frequency * np.exp(-((frequency / 0.3) ** 4)) * grating / grating.std()
        np.testing.assert_allclose(whiten_image(5 * grating + 7, f0=0.3), expected, atol=1e-12)


def test_whitening_flattens_the_spectrum(photograph, grey):
    whitened = whiten_image(photograph)
    assert whitened.shape == photograph.shape[:2]
    assert whitened.dtype == np.float64
    assert abs(whitened.mean()) < 1e-12
    before, after = spectrum(grey), spectrum(whitened)
    assert before.max() / before.min() > 20
    assert after.max() / after.min() < 4
    np.testing.assert_allclose(whiten_image(grey), whitened, atol=1e-10)
    np.testing.assert_allclose(whiten_image(200 - 3 * grey), -whitened, atol=1e-10)
    red = np.zeros_like(photograph)
    red[..., 0] = photograph[..., 0]
    np.testing.assert_allclose(whiten_image(red), whiten_image(photograph[..., 0]), atol=1e-10)


def test_whitening_is_the_same_in_all_directions(grey):
    square = grey[:, :427]
    for turns in (1, 2, 3):
        np.testing.assert_allclose(
            whiten_image(np.rot90(square, turns)), np.rot90(whiten_image(square), turns), atol=1e-10
        )
    np.testing.assert_allclose(whiten_image(grey.T), whiten_image(grey).T, atol=1e-10)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (63, 41)])
def test_whitening_tiles(grey, height, width):
    tile = grey[:height, :width]
    for repeats in ((1, 2), (2, 1), (3, 2)):
        np.testing.assert_allclose(
            whiten_image(np.tile(tile, repeats)), np.tile(whiten_image(tile), repeats), atol=1e-10
        )


@pytest.mark.parametrize(
    ("image", "f0", "message"),
    [
        (np.full((8, 8), 0.1), 0.4, "image is 0.1 everywhere"),
        (np.full((8, 9, 3), 0.1), 0.4, "everywhere"),
        (np.ones((8, 8, 4)), 0.4, r"image has shape \(8, 8, 4\), it must be"),
        (np.arange(8.0), 0.4, r"image has shape \(8,\)"),
        (np.array([[np.nan, 1.0]]), 0.4, "image contains NaN"),
        (np.eye(8), 0.0, "f0=0.0 must be finite and positive"),
        (np.eye(8), np.inf, "f0=inf"),
    ],
)
def test_bad_images(image, f0, message):
    with pytest.raises(ValueError, match=message):
        whiten_image(image, f0)


def test_patches_are_those_of_the_whitened_images(photograph, grey):
    images = [photograph, grey[:100, :150]]
    patches = extract_whitened_patches(images, 400, size=10, border=6, variance=0.3, random_state=0)
    assert patches.shape == (400, 100)
    assert patches.dtype == np.float64
    np.testing.assert_allclose(patches.mean(axis=1), 0, atol=1e-14)
    whitened = [whiten_image(image) for image in images]
    scale = np.sqrt(0.3 / np.mean([image.var() for image in whitened]))
    found = []
    for image in whitened:
        inner = scale * image[6:-6, 6:-6]
        windows = np.lib.stride_tricks.sliding_window_view(inner, (10, 10))
        # The first pixel tells the place, the others are then compared.
        corner = windows[..., 0, 0] - windows.mean(axis=(2, 3))
        order = np.argsort(corner, axis=None)
        place = order[np.searchsorted(corner.ravel()[order], patches[:, 0] - 1e-11).clip(max=order.size - 1)]
        candidates = windows[np.unravel_index(place, corner.shape)].reshape(400, -1)
        found.append(np.abs(candidates - candidates.mean(axis=1, keepdims=True) - patches).max(axis=1) < 1e-10)
    assert np.all(found[0] ^ found[1])
    share = (79 * 129) / (79 * 129 + 406 * 619)
    assert 0 < found[1].mean() < share + 4 * np.sqrt(share * (1 - share) / 400)


def test_joint_variance(grey):
    # A patch as large as the image is the image.
    wholes = extract_whitened_patches([grey[:60, :60], grey[200:260, 300:360]], 40, 60, border=0, random_state=0)
    variances = np.unique(np.var(wholes, axis=1).round(12))
    assert variances.size == 2
    assert variances.mean() == pytest.approx(0.1, rel=1e-10)
    # The factor is common to the images: one with less contrast keeps it.
    rng = np.random.default_rng(0)
    ready = [rng.standard_normal((60, 60)), 0.1 * rng.standard_normal((60, 60))]
    given = extract_whitened_patches(ready, 2000, f0=None, variance=2.0, random_state=0)
    power = np.mean(given**2, axis=1)
    strong = power > power.mean() / 2
    assert np.mean(strong) == pytest.approx(0.5, abs=0.05)
    assert np.mean(power[strong]) == pytest.approx(4 / 1.01, rel=0.05)
    assert np.mean(power[~strong]) == pytest.approx(0.04 / 1.01, rel=0.05)


def test_patches_come_from_all_places_alike():
    spot = np.zeros((9, 10))
    spot[3, 4] = 1.0
    patches = extract_whitened_patches([spot], 30000, size=2, f0=None, border=2, random_state=0)
    height, width = 9 - 2 - 4 + 1, 10 - 2 - 4 + 1
    seen = np.bincount(np.argmax(patches, axis=1)[patches.max(axis=1) > 0], minlength=4) / 30000
    np.testing.assert_allclose(seen, 1 / (height * width), atol=0.006)
    edge = np.zeros((9, 10))
    edge[1], edge[-2], edge[:, 1], edge[:, -2] = 1, 1, 1, 1
    assert not extract_whitened_patches([edge], 1000, size=2, f0=None, border=2, random_state=0).any()
    assert extract_whitened_patches([edge], 1000, size=2, f0=None, border=1, random_state=0).any()
    last = np.zeros((9, 10))
    last[6, 7] = 1
    assert extract_whitened_patches([last], 1000, size=2, f0=None, border=2, random_state=0).any()


def test_patches_repeat(grey):
    images = [grey[:60, :60], grey[100:180, 100:150]]
    first, second, other = (extract_whitened_patches(images, 50, random_state=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.shape == (50, 144)
    only = extract_whitened_patches([grey[:20, :20]], 3, random_state=0)
    np.testing.assert_array_equal(only, np.tile(only[:1], (3, 1)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"images": []}, "images is empty"),
        ({"images": [np.eye(30), np.eye(19)]}, r"images\[1\] has shape \(19, 19\).*size=12 and border=4.*least 20"),
        ({"images": [np.eye(30), np.ones((30, 30))]}, r"images\[1\] is 1.0 everywhere"),
        ({"images": np.eye(30)}, r"images\[0\] has shape \(30,\)"),
        ({"images": [np.ones((30, 30))], "f0": None}, "no variance"),
        ({"n_patches": 0}, "n_patches=0"),
        ({"size": 1}, "size=1"),
        ({"border": -1}, "border=-1"),
        ({"variance": 0.0}, "variance=0.0"),
        ({"f0": -0.4}, "f0=-0.4"),
    ],
)
def test_bad_parameters_of_patches(parameters, message):
    with pytest.raises(ValueError, match=message):
        extract_whitened_patches(**({"images": [np.eye(30)], "n_patches": 5} | parameters))
