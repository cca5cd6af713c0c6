"""What is read off heatmaps against its definition, for every kind of input, and what is refused."""

import tracemalloc

import numpy as np
import pytest

from estimand.estimators.conformal_pose.heatmaps import clean_heatmap, heatmap_moments, heatmap_peaks
from estimand.solvers.pose_bound import heatmaps as backend

FUNCTIONS = [clean_heatmap, heatmap_peaks, heatmap_moments]
each_function = pytest.mark.parametrize("function", FUNCTIONS)


@pytest.fixture(scope="module")
def heatmaps():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(4, 16, (2, 12, 5, 1, 1))
    bump = np.exp(-((np.arange(20) + 0.5 - x) ** 2 + (np.arange(17)[:, np.newaxis] + 0.5 - y) ** 2) / 5)
    return bump + 0.02 * rng.standard_normal(bump.shape)


def results(heatmaps):
    """Return everything as a flat list of arrays."""
    return [clean_heatmap(heatmaps), *heatmap_peaks(heatmaps), *heatmap_moments(heatmaps, 30)]


def assert_same(heatmaps, others):
    for one, other in zip(results(heatmaps), results(others), strict=True):
        np.testing.assert_array_equal(one, other)


def test_definition(heatmaps):
    cleaned = clean_heatmap(heatmaps)
    (peaks, values), (means, covariances) = heatmap_peaks(heatmaps), heatmap_moments(heatmaps, 30)
    for i in range(12):
        for k in range(5):
            y = heatmaps[i, k] - heatmaps[i, k].min()
            z = np.where(y < np.median(y), 0.0, y) / np.sum(y[y >= np.median(y)])
            np.testing.assert_allclose(cleaned[i, k], z, rtol=1e-13)
            row, column = np.unravel_index(np.argmax(z), z.shape)
            assert peaks[i, k].tolist() == [column + 0.5, row + 0.5]
            assert values[i, k] == cleaned[i, k].max()
            rows, columns = np.unravel_index(np.argsort(z.ravel())[-30:], z.shape)
            weights = z[rows, columns]
            np.testing.assert_allclose(means[i, k], np.average([columns + 0.5, rows + 0.5], axis=1, weights=weights))
            expected = np.cov(columns, rows, aweights=weights, ddof=0)
            np.testing.assert_allclose(covariances[i, k], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cleaned.sum(axis=(2, 3)), 1.0)


def test_shapes(heatmaps):
    whole = results(heatmaps)
    for one, image, single in zip(whole, results(heatmaps[3]), results(heatmaps[3, 2]), strict=True):
        np.testing.assert_array_equal(one[3], image)
        np.testing.assert_array_equal(one[3, 2], single)
    assert [one.shape for one in results(heatmaps[3, 2])] == [(17, 20), (2,), (), (2,), (2, 2)]
    assert_same(heatmaps[3].tolist(), heatmaps[3])


def test_no_images(heatmaps):
    assert [one.shape for one in results(heatmaps[:0])] == [(0, 5, 17, 20), (0, 5, 2), (0, 5), (0, 5, 2), (0, 5, 2, 2)]
    assert heatmap_peaks(heatmaps[:, :0])[0].shape == (12, 0, 2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "uint8", "int64", "bool", ">f8", "longdouble"])
def test_other_types_are_taken_for_their_float64_copies(heatmaps, dtype):
    scaled = heatmaps - heatmaps.min()
    others = (scaled * (200 if np.dtype(dtype).kind in "iu" else 1) + 0.5 * (dtype == "bool")).astype(dtype)
    if dtype == "bool":
        others &= heatmaps > 0.1
    assert_same(others, others.astype(np.float64))


def test_other_layouts(heatmaps, tmp_path):
    assert_same(np.asfortranarray(heatmaps), heatmaps)
    assert_same(np.repeat(heatmaps, 2, axis=3)[..., ::2], heatmaps)
    assert_same(heatmaps[::-1, ::-1, ::-1, ::-1], heatmaps[::-1, ::-1, ::-1, ::-1].copy())
    frozen = heatmaps.copy()
    frozen.flags.writeable = False
    assert_same(frozen, heatmaps)
    for dtype in (np.float64, np.float32):
        np.save(tmp_path / "heatmaps.npy", heatmaps.astype(dtype))
        mapped = np.load(tmp_path / "heatmaps.npy", mmap_mode="r")
        assert_same(mapped, heatmaps.astype(dtype).astype(np.float64))
        assert all(type(one) is np.ndarray for one in results(mapped))


@pytest.mark.parametrize("entries", [1, 17 * 20 * 5, 5000])
def test_blocks_do_not_matter(heatmaps, entries, monkeypatch):
    expected = results(heatmaps)
    expected_of_image = results(heatmaps[0])
    monkeypatch.setattr(backend, "_BLOCK", entries)
    for one, other in zip(expected + expected_of_image, results(heatmaps) + results(heatmaps[0]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", [heatmap_peaks, heatmap_moments])
def test_input_is_left_alone_and_not_copied_whole(function):
    heatmaps = np.random.default_rng(0).random((400, 5, 64, 64), dtype=np.float32)
    before = heatmaps.copy()
    tracemalloc.start()
    function(heatmaps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * heatmaps.nbytes
    np.testing.assert_array_equal(heatmaps, before)


def test_order_of_coordinates():
    heatmap = np.zeros((7, 30))
    heatmap[2, 19:22] = [1, 3, 1]
    assert heatmap_peaks(heatmap)[0].tolist() == [20.5, 2.5]
    mean, covariance = heatmap_moments(heatmap)
    np.testing.assert_allclose(mean, [20.5, 2.5])
    np.testing.assert_allclose(covariance, [[0.4, 0], [0, 1e-6]], rtol=1e-9)


def test_gaussians_have_their_moments():
    covariance = np.array([[6.0, 2.5], [2.5, 4.0]])
    rows, columns = np.indices((64, 64)) + 0.5
    apart = np.stack([columns - 30.2, rows - 33.7], axis=-1)
    heatmap = np.exp(-0.5 * np.einsum("...i,ij,...j", apart, np.linalg.inv(covariance), apart))
    mean, found = heatmap_moments(heatmap, topk=4096)
    np.testing.assert_allclose(mean, [30.2, 33.7], atol=1e-6)
    np.testing.assert_allclose(found, covariance, atol=1e-5)
    assert np.all(np.linalg.eigvalsh(found - heatmap_moments(heatmap, topk=50)[1]) > 0)


@pytest.mark.parametrize("floor", [1e-6, 0.3, 50.0])
def test_floor_raises_eigenvalues_and_nothing_else(heatmaps, floor):
    lines = np.zeros((3, 20, 20))
    lines[0, 4, 3:9] = 1  # a row
    lines[1, range(2, 8), range(2, 8)] = 1  # a diagonal
    lines[2, 3, 3] = 1  # a pixel
    for maps in (heatmaps.reshape(-1, 17, 20), lines):
        raw, raised = heatmap_moments(maps, 30, cov_floor=0)[1], heatmap_moments(maps, 30, cov_floor=floor)[1]
        values, vectors = np.linalg.eigh(raw)
        expected = np.einsum("kij,kj,klj->kil", vectors, np.maximum(values, floor), vectors)
        np.testing.assert_allclose(raised, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(np.linalg.eigvalsh(raised).min(axis=1), np.maximum(values[:, 0], floor), rtol=1e-8)
        above = values[:, 0] >= floor
        np.testing.assert_array_equal(raised[above], raw[above])
    np.testing.assert_array_equal(heatmap_moments(lines[2], cov_floor=floor)[1], floor * np.eye(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@each_function
def test_not_finite(heatmaps, function, bad):
    spoilt = heatmaps.copy()
    spoilt[7, 3, 2, 1] = bad
    spoilt[9, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="heatmaps holds NaN or infinity at image 7, keypoint 3: "):
        function(spoilt)
    with pytest.raises(ValueError, match="heatmaps holds NaN or infinity at keypoint 3: "):
        function(spoilt[7].astype(np.float32))
    with pytest.raises(ValueError, match="heatmaps holds NaN or infinity: "):
        function(spoilt[7, 3])


@pytest.mark.parametrize("level", [0.0, -2.5, 1e300])
@each_function
def test_constant(heatmaps, function, level, monkeypatch):
    monkeypatch.setattr(backend, "_BLOCK", 4 * 5 * 17 * 20)
    spoilt = heatmaps.copy()
    spoilt[6, 4] = level
    spoilt[11, 1] = level
    with pytest.raises(ValueError, match="heatmaps is constant at image 6, keypoint 4: "):
        function(spoilt)
    with pytest.raises(ValueError, match="heatmaps is constant at keypoint 4: "):
        function(spoilt[6])
    with pytest.raises(ValueError, match="heatmaps is constant: "):
        function(spoilt[6, 4])
    with pytest.raises(ValueError, match="heatmaps is constant"):
        function(np.array([[level]]))


@each_function
def test_other_shapes_and_types(function):
    for shape in [(3, 0), (0, 3), (5, 0, 4), (2, 5, 4, 0), (2, 5, 0, 0)]:
        with pytest.raises(ValueError, match=r"height and width must be at least 1"):
            function(np.ones(shape))
    for shape in [(), (4,), (1, 2, 3, 4, 5)]:
        with pytest.raises(ValueError, match=r"heatmaps has shape .* it must be \(H, W\)"):
            function(np.ones(shape))
    for wrong in (np.ones((4, 4), dtype=complex), np.full((4, 4), "1"), np.full((2, 2), None)):
        with pytest.raises(ValueError, match="real numbers"):
            function(wrong)


@pytest.mark.parametrize("topk", [0, -1, 2.0, None, True, np.nan])
def test_bad_topk(heatmaps, topk):
    with pytest.raises(ValueError, match=r"topk=.* must be an integer of at least 1"):
        heatmap_moments(heatmaps, topk)


@pytest.mark.parametrize("floor", [-1e-9, np.nan, np.inf, None, "small"])
def test_bad_floor(heatmaps, floor):
    with pytest.raises(ValueError, match=r"cov_floor=.* must be finite and at least 0"):
        heatmap_moments(heatmaps, cov_floor=floor)


def test_any_scale(heatmaps):
    expected = results(heatmaps)
    for scale in (2.0**-900, 2.0**900, 2.0**1010):
        for one, other in zip(expected, results(heatmaps * scale), strict=True):
            np.testing.assert_array_equal(one, other)
    for shift in (-1e3, 1e3):
        for one, other in zip(expected, results(heatmaps + shift), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
