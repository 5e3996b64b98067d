"""Color spaces against scikit-image and published values; the kernels that count and look up colors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab, rgb2luv

from segment.errors import DataError
from segment.kernels.image import colors as kernels
from segment.photo.colors import COLOR_SPACES, lightness_order, to_features

CORNERS = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3], [10, 10, 11]]


@pytest.fixture(scope="module")
def colors():
    drawn = np.random.default_rng(0).integers(0, 256, (3000, 3))
    return np.vstack([CORNERS, drawn]).astype(np.uint8)


@pytest.mark.parametrize(("name", "reference"), [("lab", rgb2lab), ("luv", rgb2luv)])
def test_lab_and_luv_are_those_of_scikit_image(colors, name, reference):
    assert np.abs(to_features(colors, name) - reference(colors)).max() < 2e-5


def test_oklab_is_that_of_its_author():
    # Values from Ottosson's implementation for white, red, green and blue.
    got = to_features(np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8), "oklab")
    expected = [
        [1, 0, 0],
        [0.627955, 0.224863, 0.125846],
        [0.866440, -0.233888, 0.179498],
        [0.452014, -0.032457, -0.311528],
    ]
    assert np.allclose(got, expected, atol=2e-5)


def test_rgb_is_the_value_and_linear_undoes_the_transfer_function(colors):
    assert np.allclose(to_features(colors, "rgb"), colors, atol=1e-4)
    # 0.5 in linear light is 187.5 / 255 in sRGB (IEC 61966-2-1).
    half = to_features(np.array([[0.735357, 0.0, 1.0]]), "linear")
    assert np.allclose(half, [[0.5, 0.0, 1.0]], atol=1e-5)


@pytest.mark.parametrize("name", COLOR_SPACES)
def test_a_color_means_the_same_in_8_bits_16_bits_and_floats(colors, name):
    eight = to_features(colors, name)
    assert np.allclose(to_features(colors.astype(np.uint16) * 257, name), eight, atol=1e-4)
    floats = to_features(colors / 255.0, name)
    assert floats.dtype == np.float64
    assert np.allclose(floats, eight, atol=1e-4)


@pytest.mark.parametrize("name", COLOR_SPACES)
def test_grays_are_ordered_from_dark_to_light(name):
    grays = np.repeat(np.array([200, 0, 90, 255, 30], np.uint8)[:, None], 3, axis=1)
    assert lightness_order(to_features(grays, name), name).tolist() == [1, 4, 2, 0, 3]


def test_threads_change_no_bit():
    drawn = np.random.default_rng(1).integers(0, 256, (150_000, 3)).astype(np.uint8)
    assert np.array_equal(to_features(drawn, "lab", n_jobs=1), to_features(drawn, "lab", n_jobs=2))


def test_bands_stay_as_they_are():
    bands = np.array([[1, 2, 3, 4, 5]], dtype=np.uint16)
    assert to_features(bands, "bands").tolist() == [[1, 2, 3, 4, 5]]


def test_an_unknown_color_space_is_named_with_those_allowed():
    with pytest.raises(DataError, match="'hsv'; allowed are lab, luv, oklab, rgb, linear"):
        to_features(np.zeros((1, 3), np.uint8), "hsv")


@pytest.mark.kernels
@settings(max_examples=30, deadline=None)
@given(st.floats(1e-12, 1.0))
def test_the_cube_root_is_exact_to_rounding(x):
    # With these matrices the first feature is the cube root itself.
    out = np.empty((1, 3))
    kernels.opponent_colors(np.full((1, 3), x), np.eye(3), 0.0, 0.0, 0.0, np.eye(3), 0.0, out)
    assert out[0, 0] == pytest.approx(np.cbrt(x), rel=5e-16)


@pytest.mark.kernels
def test_below_the_threshold_the_response_is_linear():
    out = np.empty((1, 3))
    kernels.opponent_colors(np.full((1, 3), 0.001), np.eye(3), 0.01, 7.0, 0.1, np.eye(3), -16.0, out)
    assert np.allclose(out, [[0.107 - 16.0, 0.107, 0.107]])


def test_counting_finds_every_distinct_color_once(colors):
    rows = np.vstack([colors, colors[:500]])
    table = np.zeros(kernels.TABLE_SIZE, dtype=np.int32)
    kernels.count_colors(rows, table)
    n = np.count_nonzero(table)
    values, counts = np.empty((n, 3), np.uint8), np.empty(n)
    kernels.list_colors(table, values, counts)
    expected, expected_counts = np.unique(rows, axis=0, return_counts=True)
    assert np.array_equal(values, expected)
    assert np.array_equal(counts, expected_counts)


@pytest.mark.kernels
def test_sums_by_label_ignore_labels_below_zero():
    colors = np.array([[1, 2, 3], [10, 20, 30], [100, 200, 255]], np.uint8)
    sums, counts = np.zeros((2, 3), np.int64), np.zeros(2, np.int64)
    kernels.sum_by_label(colors, np.array([1, -1, 1], np.int32), sums, counts)
    assert sums.tolist() == [[0, 0, 0], [101, 202, 258]]
    assert counts.tolist() == [0, 2]


def test_a_new_color_space_is_a_class_and_a_line_of_the_table(monkeypatch):
    from segment.photo import PhotoModel, segment_photo
    from segment.photo.colors import ColorSpace

    opposed = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
    toy = ColorSpace("opponent", lambda linear: linear @ opposed.T, (1.0, 0.0, 0.0))
    monkeypatch.setitem(COLOR_SPACES, "opponent", toy)
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 200, 30, 30
    image[::2, ::3] += 4
    found = segment_photo(image, n_components=2, color_space="opponent", smooth="none")
    assert found.model.color_space == "opponent"
    assert (found.label_map == (np.arange(20) >= 10)).all()
    assert isinstance(found.model, PhotoModel)
