"""Smoothing: the guided filter by its formulas, connected regions against SciPy, specks."""

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import noisy

from segment.errors import DataError
from segment.kernels.image import guided, specks
from segment.photo import Photo, segment_photo
from segment.photo import smooth as smoothing
from segment.photo.smooth import filter_labels, grid_places, guided_coefficients, smoothing_of
from segment.photo.specks import join_small, merge_specks


def naive_box(values, radius):
    out = np.empty_like(values)
    for y, x in np.ndindex(values.shape[:2]):
        window = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        out[y, x] = window.mean(axis=(0, 1))
    return out


def naive_guided_filter(guide, maps, radius, eps):
    """He, Sun & Tang (2013), equations 19 to 21; guide in [0, 1]."""
    mean, mean_map = naive_box(guide, radius), naive_box(maps, radius)
    outer = naive_box(guide[..., :, None] * guide[..., None, :], radius)
    covariance = outer - mean[..., :, None] * mean[..., None, :] + eps * np.eye(3)
    product = naive_box(guide[..., :, None] * maps[..., None, :], radius)
    slopes = np.linalg.solve(covariance, product - mean[..., :, None] * mean_map[..., None, :])
    constant = mean_map - np.einsum("yxck,yxc->yxk", slopes, mean)
    return np.einsum("yxck,yxc->yxk", naive_box(slopes, radius), guide) + naive_box(constant, radius)


@pytest.mark.kernels
@pytest.mark.parametrize("radius", [1, 3, 40])
def test_box_means_are_those_of_the_window_also_in_parts(radius):
    values = np.random.default_rng(0).random((11, 9, 2)).astype(np.float32)
    out = np.empty_like(values)
    guided.box_mean(values, radius, 0, out[:4])
    guided.box_mean(values, radius, 4, out[4:])
    assert np.allclose(out, naive_box(values.astype(float), radius), atol=1e-6)


@pytest.mark.kernels
@pytest.mark.parametrize("n_maps", [2, 9])
def test_the_guided_filter_is_that_of_the_paper(n_maps):
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 256, (12, 13, 3)).astype(np.uint8)
    maps = rng.random((12, 13, n_maps))
    expected = naive_guided_filter(guide / 255.0, maps, 2, 0.0064)
    coefficients = guided_coefficients(guide, maps, 2, 0.0064)
    spread = np.einsum("ykcx,yxc->yxk", coefficients[:, :, :3], guide.astype(float))
    filtered = spread + np.moveaxis(coefficients[:, :, 3], 1, 2)
    assert np.allclose(filtered, expected, atol=1e-5)
    labels = np.zeros((12, 13), np.int32)
    labels[0, 0] = -1
    guided.label_rows(guide, coefficients, *grid_places(12, 1, 0, 12), 1, 0, labels)
    expected_labels = expected.argmax(axis=2)
    expected_labels[0, 0] = -1
    assert np.array_equal(labels, expected_labels)


@pytest.mark.kernels
def test_coefficients_are_interpolated_between_the_points_of_the_grid():
    # Two maps without slopes: constants 1 and 0 at column 0, 0 and 1 at column 1 of the grid.
    coefficients = np.zeros((1, 2, 4, 2), np.float32)
    coefficients[0, :, 3] = [[1.0, 0.0], [0.0, 1.0]]
    labels = np.zeros((1, 8), np.int32)
    guided.label_rows(np.zeros((1, 8, 3), np.uint8), coefficients, *grid_places(1, 4, 0, 1), 4, 2, labels)
    # Grid points lie at pixels 2 and 6; halfway, at 4, they are equal and the first map wins.
    assert labels.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]


@pytest.mark.kernels
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 5), st.integers(0, 4), st.integers(0, 999))
def test_coefficients_are_interpolated_for_every_pixel(height, width, step, offset, seed):
    offset = min(offset, step - 1, height - 1, width - 1)
    rng = np.random.default_rng(seed)
    points = [len(range(offset, size, step)) for size in (height, width)]
    coefficients = rng.normal(size=(points[0], 3, 4, points[1])).astype(np.float32)
    guide = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    rows, columns = (
        np.clip((np.arange(size) - offset) / step, 0, n - 1)
        for size, n in zip((height, width), points, strict=True)
    )
    between = scipy.ndimage.map_coordinates
    expected = np.zeros((height, width, 3))
    for k, c in np.ndindex(3, 4):
        places = np.meshgrid(rows, columns, indexing="ij")
        value = between(coefficients[:, k, c].astype(float), places, order=1)
        expected[:, :, k] += value * (guide[:, :, c] if c < 3 else 1.0)
    labels = np.zeros((height, width), np.int32)
    guided.label_rows(
        guide, coefficients, *grid_places(height, step, offset, points[0]), step, offset, labels
    )
    chosen = np.take_along_axis(expected, labels[:, :, None], axis=2)[:, :, 0]
    assert np.allclose(chosen, expected.max(axis=2), atol=1e-3)


@pytest.mark.kernels
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 999))
def test_connected_regions_are_those_of_scipy(height, width, n_labels, seed):
    labels = np.random.default_rng(seed).integers(-1, n_labels, (height, width)).astype(np.int32)
    regions = np.empty(labels.size, np.int32)
    n = specks.label_regions(labels, regions)
    regions = regions.reshape(labels.shape)
    assert np.array_equal(regions < 0, labels < 0)
    assert sorted(set(regions[regions >= 0].tolist())) == list(range(n))
    expected = sum(scipy.ndimage.label(labels == k)[1] for k in range(n_labels))
    assert n == expected
    for k in range(n):
        assert scipy.ndimage.label(regions == k)[1] == 1
        assert len(set(labels[regions == k].tolist())) == 1


@pytest.mark.kernels
def test_a_speck_joins_the_neighbor_of_the_most_similar_color():
    labels = np.array([[0] * 5 + [1] * 5] * 10, np.int32)
    colors = np.array([[0, 0, 0], [255, 255, 255], [200, 200, 200]], np.uint8)
    labels[4, 4] = 2
    merged = merge_specks(labels, colors[labels], 0.05)
    # The light gray speck touches black on three sides and white on one.
    assert merged[4, 4] == 1
    labels[4, 4] = 1
    assert np.array_equal(merged, labels)


@pytest.mark.kernels
def test_specks_join_each_other_before_they_vanish():
    # Two specks of three pixels, too small each: together large enough to stay.
    labels = np.zeros((10, 10), np.int32)
    labels[2:5, 2], labels[2:5, 3] = 1, 2
    colors = np.array([[0, 0, 0], [250, 0, 0], [255, 0, 0]], np.uint8)
    merged = merge_specks(labels, colors[labels], 0.055)
    assert (merged[2:5, 2:4] == merged[2, 2]).all()
    assert merged[2, 2] in (1, 2)
    assert (merged == 0).sum() == 94


@pytest.mark.kernels
def test_small_regions_join_what_they_look_like_smallest_first():
    regions = np.array([[0, 0, 0, 1, 2, 2, 2]] * 3, dtype=np.int32)
    sizes, colors = np.array([9.0, 3.0, 9.0]), np.array([[10.0], [80.0], [70.0]])
    assert join_small(regions, sizes, sizes[:, None] * colors, 4).tolist() == [0, 2, 2]
    assert join_small(regions, sizes, sizes[:, None] * colors, 3).tolist() == [0, 1, 2]


@pytest.mark.kernels
def test_what_was_merged_has_the_label_of_its_largest_part():
    # Two gray specks and the smallest, which joins the darker of them; then both together join black.
    labels = np.zeros((10, 10), np.int32)
    labels[0, :4], labels[0, 4:6] = 1, 2
    colors = np.array([[0, 0, 0], [200, 200, 200], [190, 190, 190]], np.uint8)
    assert (merge_specks(labels, colors[labels], 0.06)[0, :6] == 1).all()


@pytest.mark.kernels
@settings(max_examples=40, deadline=None)
@given(st.integers(2, 10), st.integers(2, 10), st.floats(0.01, 0.6), st.integers(0, 999))
def test_no_region_below_the_share_is_left_and_labels_below_zero_stay(height, width, share, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (height, width)).astype(np.int32)
    colors = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    merged = merge_specks(labels, colors, share)
    regions = np.empty(labels.size, np.int32)
    n = specks.label_regions(merged, regions)
    assert n == 1 or np.bincount(regions).min() >= share * labels.size
    holed = np.where(rng.random((height, width)) < 0.3, -1, labels).astype(np.int32)
    if (holed >= 0).any():
        assert np.array_equal(merge_specks(holed, colors, share) < 0, holed < 0)


def test_noise_is_smoothed_and_edges_stay():
    image, stripes = noisy(np.array([[90, 90, 90], [130, 130, 130]]), 60, 80, spread=25)
    rough = segment_photo(image, n_components=2, smooth="none")
    light = segment_photo(image, n_components=2, smooth="light")
    assert (rough.label_map != stripes).mean() > 0.04
    assert (light.label_map != stripes).mean() < 0.01


def test_a_coarse_grid_changes_few_labels(monkeypatch):
    image, _ = noisy(np.array([[90, 90, 90], [130, 130, 130]]), 60, 80, spread=10)
    found = segment_photo(image, n_components=2, smooth="none")
    light = smoothing_of("light")
    labels = {}
    for pixels in (10**9, 1500):
        monkeypatch.setattr(smoothing, "WORKING_PIXELS", pixels)
        labels[pixels] = filter_labels(Photo.of(image), found.model, found.label_map.copy(), light)
    assert (labels[10**9] != labels[1500]).mean() < 0.02


def test_an_unknown_smoothing_is_named_with_those_allowed():
    with pytest.raises(DataError, match="'soft'; allowed are none, light, strong"):
        smoothing_of("soft")
