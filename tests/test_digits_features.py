"""Features: warping and scattering against slow formulas, PCA, the cache of features."""

import numpy as np
import pytest

from segment.digits import cache
from segment.digits.features import _axes_of_few, fit_features, measure
from segment.digits.scattering import (
    SIZE,
    bit_reversed,
    count_features,
    gabor,
    gaussian_average,
    morlet,
    scatter,
)
from segment.errors import DataError
from segment.kernels.image.scattering import filtered_modulus, transform
from segment.kernels.image.warp import warp_affine


def blob(slant=0.0, shift=(0.0, 0.0), spread=(5.0, 2.0), size=28):
    """An upright Gaussian stroke, sheared by `slant` columns a row and shifted."""
    y, x = np.mgrid[:size, :size] - np.array([shift[0], shift[1]])[:, None, None] - (size - 1) / 2
    x = x - slant * y
    return np.rint(250 * np.exp(-0.5 * ((y / spread[0]) ** 2 + (x / spread[1]) ** 2))).astype(np.uint8)


def test_geometry_of_a_known_stroke():
    found = measure(blob(slant=0.3, shift=(1.0, -2.0), spread=(4.0, 1.8))[None])
    assert found.centers[0] == pytest.approx([14.5, 11.5], abs=0.05)
    assert found.slants[0] == pytest.approx(0.3, abs=0.01)
    assert found.spreads[0] == pytest.approx([4.0, 1.8], abs=0.06)


def test_geometry_of_nothing_is_finite():
    found = measure(np.zeros((2, 28, 28), np.uint8))
    assert found.centers.tolist() == [[13.5, 13.5]] * 2
    assert found.slants.tolist() == [0.0, 0.0]
    assert np.isfinite(found.spreads).all()


@pytest.mark.kernels
def test_the_warp_is_bilinear_interpolation():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1, 9, 11), dtype=np.uint8)
    matrix, offset = np.array([[0.9, 0.1], [-0.3, 1.2]]), np.array([0.5, -1.0])
    warped = np.empty((1, 8, 8), np.float32)
    warp_affine(image, matrix[None], offset[None], warped)
    padded = np.pad(image[0].astype(float), 20)
    for row in range(8):
        for column in range(8):
            y, x = matrix @ [row, column] + offset + 20
            top, left = int(np.floor(y)), int(np.floor(x))
            corner = padded[top : top + 2, left : left + 2]
            expected = np.array([1 - y + top, y - top]) @ corner @ np.array([1 - x + left, x - left]) / 255
            assert warped[0, row, column] == pytest.approx(expected, abs=1e-6)


def test_deskewing_makes_slanted_strokes_alike():
    images = np.stack([blob(slant) for slant in (-0.4, 0.0, 0.4)] + [blob(0.2, (2.0, -1.5))])
    upright = fit_features(images, "deskew", 3)[1]
    raw = fit_features(images, "pixels", 3)[1]
    spread_of = [float(np.ptp(features, axis=0).max()) for features in (upright, raw)]
    assert spread_of[0] < 0.12 * spread_of[1]


def test_the_axes_of_few_images_are_those_of_their_singular_values():
    from scipy.linalg import svd

    X = np.random.default_rng(0).normal(size=(30, 80)).astype(np.float32) * np.linspace(
        3, 0.5, 80, dtype="f4"
    )
    X -= X.mean(axis=0)
    _, roots, expected = svd(X, full_matrices=False)
    for kept in (10, 30):
        # The last of 30 is no axis of 30 centered images: products of images cannot tell where it points.
        axes, variances, total = _axes_of_few(X, kept)
        assert variances[:29] == pytest.approx(roots[:kept][:29] ** 2, rel=1e-3)
        assert total == pytest.approx((roots**2).sum(), rel=1e-5)
        assert axes @ axes.T == pytest.approx(np.eye(kept), abs=1e-5)
        assert np.abs((axes * expected[:kept]).sum(axis=1))[:29] == pytest.approx(1, abs=1e-4)


def turns(size):
    """Return the cosines and sines of a transform of `size` values."""
    angles = 2 * np.pi * np.arange(size // 2) / size
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


@pytest.mark.kernels
@pytest.mark.parametrize("size", [2, 4, 8, 16, 32])
def test_the_transform_equals_numpys_in_bit_reversed_order(size):
    spectra = np.random.default_rng(size).normal(size=(2, size, size + 1, 3)).astype(np.float32)
    signals, order = (spectra[0] + 1j * spectra[1])[:, :size], bit_reversed(size)
    transform(spectra, *turns(size))
    expected = np.fft.fft2(signals, axes=(0, 1))[order[:, None], order]
    found = spectra[0, :, :size] + 1j * spectra[1, :, :size]
    assert found == pytest.approx(expected, abs=1e-6 * size**2)


@pytest.mark.kernels
@pytest.mark.parametrize(("size", "factor"), [(8, 1), (16, 2), (16, 4)])
def test_filters_subsample_and_take_the_modulus_as_numpy_does(size, factor):
    rng, folded = np.random.default_rng(size), size // factor
    signals = rng.normal(size=(size, size + 1, 3)).astype(np.float32)
    filters = rng.normal(size=(2, size, size)).astype(np.float32) * (rng.random((2, size, size)) < 0.7)
    spectra, order = np.stack([signals, np.zeros_like(signals)]), bit_reversed(size)
    transform(spectra, *turns(size))
    waves = np.empty((2, folded, folded + 1, 3), np.float32)
    filtered_modulus(spectra, filters[:, order[:, None], order], *turns(folded), waves)
    filtered = np.fft.ifft2(np.fft.fft2(signals[:, :size], axes=(0, 1)) * filters[..., None], axes=(1, 2))
    assert waves[:, :, :folded] == pytest.approx(np.abs(filtered[:, ::factor, ::factor]), abs=1e-5)


def test_an_image_has_one_scattering_whoever_is_beside_it():
    images = np.stack([blob(slant, size=SIZE) for slant in (0.0, 0.2, 0.4)]).astype(np.float32) / 255
    together = scatter(images)
    for i in range(3):
        assert scatter(images[i : i + 1])[0] == pytest.approx(together[i], abs=1e-6)


def circular_convolution(image, kernel):
    """Convolve by the definition, one shift at a time."""
    total = np.zeros(image.shape, complex)
    for row in range(SIZE):
        for column in range(SIZE):
            total += kernel[row, column] * np.roll(image, (row, column), axis=(0, 1))
    return total


def slow_scattering(image, n_scales):
    """Scattering of order 0 to 2 by direct convolution, nothing subsampled before the last average."""
    average = gaussian_average(SIZE, 1, n_scales)

    def blur(signal):
        return (average @ signal @ average.T).ravel()

    waves = {
        j: [np.abs(circular_convolution(image, morlet(SIZE, j, a))) for a in range(6)]
        for j in range(n_scales)
    }
    channels = [blur(image)]
    for j in range(n_scales):
        channels += [blur(wave) for wave in waves[j]]
        for k in range(j + 1, n_scales):
            wavelets = [morlet(SIZE, k, b) for b in range(6)]
            channels += [blur(np.abs(circular_convolution(wave, w))) for wave in waves[j] for w in wavelets]
    return np.concatenate(channels)


@pytest.mark.kernels
@pytest.mark.parametrize(("n_scales", "n_features"), [(3, 2032), (2, 3136)])
def test_scattering_equals_direct_convolution(n_scales, n_features):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIZE, :SIZE]
    image = np.exp(-((y - 15.0) ** 2 / 60 + (x - 0.4 * y - 9) ** 2 / 8)) + 0.05 * rng.random((SIZE, SIZE))
    fast = scatter(np.stack([image, image[::-1]]).astype(np.float32), n_scales)
    assert fast.shape == (2, count_features(n_scales)) == (2, n_features)
    slow = slow_scattering(image, n_scales)
    n_first = (SIZE // 2**n_scales) ** 2
    # Subsampling before the average aliases: a few per cent of the largest coefficient of an order.
    assert np.abs(fast[0, :n_first] - slow[:n_first]).max() < 1e-5
    assert np.abs(fast[0] - slow)[n_first:].max() < 0.04 * slow[n_first:].max()
    assert np.corrcoef(fast[0, n_first:], slow[n_first:])[0, 1] > 0.999


def test_wavelets_have_zero_mean_and_peak_at_their_frequency():
    for scale in range(3):
        wavelet = morlet(SIZE, scale, 2)
        assert abs(wavelet.sum()) < 1e-12
        spectrum = np.abs(np.fft.fft2(wavelet))
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        assert column == 0
        assert row == pytest.approx(0.75 * np.pi / 2**scale * SIZE / (2 * np.pi), abs=1)


def test_a_gabor_function_has_unit_mass():
    assert gabor(SIZE, 2.0, 0.3, 0.0, 4 / 6).sum() == pytest.approx(1.0, abs=1e-3)


def test_scattering_changes_little_under_a_shift_of_a_pixel():
    image = blob(0.2, size=SIZE).astype(np.float32) / 255
    here, there = scatter(np.stack([image, np.roll(image, 1, axis=1)]))
    moved = np.linalg.norm(image - np.roll(image, 1, axis=1)) / np.linalg.norm(image)
    assert np.linalg.norm(here - there) / np.linalg.norm(here) < 0.5 * moved


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return np.stack(
        [
            blob(s, (a, b), (c, d))
            for s, a, b, c, d in zip(
                rng.uniform(-0.5, 0.5, 240),
                rng.uniform(-2, 2, 240),
                rng.uniform(-2, 2, 240),
                rng.uniform(2, 6, 240),
                rng.uniform(1, 4, 240),
                strict=True,
            )
        ]
    )


@pytest.mark.parametrize("kind", ["pixels", "deskew", "scattering"])
def test_features_are_the_transform_of_their_model_for_any_number_of_threads(images, kind):
    model, features = fit_features(images, kind, 12, n_jobs=1)
    assert features.dtype == np.float32
    assert features.shape == (240, 12)
    np.testing.assert_array_equal(fit_features(images, kind, 12, n_jobs=3)[1], features)
    np.testing.assert_allclose(model.transform(images, 2), features, atol=1e-5)
    # Principal components: centered, uncorrelated, strongest first.
    covariance = np.cov(features.T.astype(float))
    assert np.all(np.diff(np.diag(covariance)) < 1e-6)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-4 * covariance.max()
    assert 0.5 < model.explained <= 1.0 + 1e-6


def test_progress_ends_at_one(images):
    shares = []
    fit_features(images, "pixels", 5, n_jobs=1, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(("kind", "n"), [("edges", 5), ("pixels", 0)])
def test_bad_requests_name_what_is_allowed(images, kind, n):
    with pytest.raises(DataError, match="allowed are"):
        fit_features(images, kind, n)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "features")
    return tmp_path / "features"


def test_the_second_run_reads_what_the_first_has_computed(images, folder, monkeypatch):
    model, features = cache.cached_features(images, "pixels", 6)
    monkeypatch.setattr(cache, "fit_features", None)
    again, read = cache.cached_features(images, "pixels", 6)
    np.testing.assert_array_equal(read, features)
    np.testing.assert_array_equal(again.transform(images[:5]), model.transform(images[:5]))
    assert (again.kind, again.explained) == (model.kind, model.explained)


def test_another_image_kind_or_number_is_another_entry(images, folder):
    changed = images.copy()
    changed[3, 5, 5] ^= 1
    for given, kind, n in [
        (images, "pixels", 6),
        (changed, "pixels", 6),
        (images, "deskew", 6),
        (images, "pixels", 7),
    ]:
        cache.cached_features(given, kind, n)
    assert len(list(folder.iterdir())) == 4


def test_a_damaged_entry_is_computed_afresh(images, folder):
    expected = cache.cached_features(images, "pixels", 6)[1]
    entry = next(folder.iterdir())
    for damage in (entry.read_bytes()[:100], b"", b"text"):
        entry.write_bytes(damage)
        np.testing.assert_array_equal(cache.cached_features(images, "pixels", 6)[1], expected)
        assert entry.stat().st_size > 100


def test_a_cache_that_cannot_be_written_does_no_harm(images, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "file" / "features")
    assert cache.cached_features(images, "pixels", 6)[1].shape == (240, 6)


def test_the_cache_forgets_what_was_used_longest_ago(images, folder, monkeypatch):
    monkeypatch.setattr(cache, "KEPT_FILES", 2)
    for n in (3, 4, 5):
        cache.cached_features(images, "pixels", n)
    assert len(list(folder.iterdir())) == 2
