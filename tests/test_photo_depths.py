"""Depths, signs, profiles and transparent colors, each against values known beforehand."""

import io
import logging
import os

import numpy as np
import pytest
import tifffile
from photos import encoded, noisy, png16, png_chunk
from PIL import Image, ImageCms

from segment.errors import ImageError
from segment.photo import read as reading
from segment.photo.read import decode_photo, read_photo

IMAGE, _ = noisy()
DEEP = np.random.default_rng(0).integers(0, 65536, (6, 5, 4)).astype(np.uint16)


def decode(content):
    return decode_photo(content, "the.file", "test")


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def rgb(array):
    extra = {"extrasamples": ["unassalpha"]} if array.shape[2] == 4 else {}
    return tiff(array, photometric="rgb", **extra)


@pytest.mark.parametrize(
    ("array", "cure"),
    [
        (IMAGE.astype(np.float32), "divide them by 255"),
        (IMAGE.astype(np.float64) * 257, "divide them by 65535"),
        (IMAGE.astype(np.float16), "divide them by 255"),
        (np.full((4, 4, 3), 1e6, np.float32), "rescale them"),
        (np.full((4, 4, 3), -0.5, np.float32), "rescale them"),
        (np.dstack([IMAGE / 255, np.full(IMAGE.shape[:2], 2.9)]), "divide them by 255"),
    ],
)
def test_float_colors_beyond_one_are_refused_with_the_cure(array, cure):
    with pytest.raises(ImageError, match=rf"the\.file: .*float colors lie in \[0, 1\]: {cure}"):
        decode(rgb(array))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colors_in_other_integers_are_refused(dtype, channels):
    with pytest.raises(ImageError, match=rf"the\.file: image holds {dtype}; .*convert it"):
        decode(rgb(np.ones((4, 4, channels), dtype)))


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float64"]
)
def test_one_channel_of_other_numbers_is_a_band_with_its_values(dtype):
    values = np.arange(20).reshape(4, 5).astype(dtype) * (3 if dtype[0] == "u" else -3)
    photo = decode(tiff(values))
    assert not photo.is_color
    assert photo.pixels[:, :, 0].tolist() == values.tolist()


def test_float_colors_in_range_keep_their_values():
    photo = decode(rgb((IMAGE / 255).astype(np.float32)))
    assert np.array_equal(photo.pixels, (IMAGE / 255).astype(np.float32))
    assert np.array_equal(photo.display, IMAGE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_inverted(dtype):
    gray = DEEP[:, :, 0].astype(dtype)
    photo = decode(tiff(gray, photometric="miniswhite"))
    assert np.array_equal(photo.pixels[:, :, 0], np.iinfo(dtype).max - gray)


def test_colors_multiplied_by_alpha_are_divided_again():
    straight, alpha = np.full((4, 5, 3), 40000, np.uint16), np.full((4, 5, 1), 32768, np.uint16)
    stored = np.dstack([np.rint(straight * (32768 / 65535)).astype(np.uint16), alpha])
    photo = decode(tiff(stored, photometric="rgb", extrasamples=["assocalpha"]))
    assert np.abs(photo.pixels.astype(int) - 40000).max() <= 1
    assert np.allclose(photo.weight, 32768 / 65535)


def test_a_transparent_color_of_a_16_bit_png_weighs_nothing():
    color = DEEP[:, :, :3]
    key = png_chunk(b"tRNS", color[1, 2].astype(">u2").tobytes())
    content = png16(color)
    photo = decode(content[:33] + key + content[33:])
    assert np.array_equal(photo.pixels, color)
    assert np.argwhere(~photo.counts).tolist() == [[1, 2]]
    gray = Image.fromarray(DEEP[:, :, 0])
    photo = decode(encoded(gray, "PNG", transparency=int(DEEP[3, 4, 0])))
    assert np.array_equal(photo.pixels[:, :, 0], DEEP[:, :, 0])
    assert np.argwhere(~photo.counts).tolist() == [[3, 4]]


@pytest.mark.parametrize("alpha", [False, True])
def test_a_profile_in_a_16_bit_tiff_is_applied_as_in_8_bits(alpha):
    profile = Image.open(reading.bundled_path("skimage:rocket")).info["icc_profile"]
    eight = decode(encoded(IMAGE, "TIFF", icc_profile=profile))
    deep = IMAGE.astype(np.uint16) * 257
    if alpha:
        deep = np.dstack([deep, np.full(IMAGE.shape[:2], 30000, np.uint16)])
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    photo = decode(tiff(deep, photometric="rgb", iccprofile=profile, **extra))
    assert "converted to sRGB" in photo.reader["profile"]
    assert np.array_equal(photo.pixels, eight.pixels)
    assert not np.array_equal(photo.pixels, IMAGE)
    if alpha:
        assert np.allclose(photo.weight, 30000 / 65535)


def test_srgb_in_a_16_bit_tiff_keeps_its_16_bits():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = decode(tiff(DEEP[:, :, :3], photometric="rgb", iccprofile=profile))
    assert np.array_equal(photo.pixels, DEEP[:, :, :3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_further_pages_are_told_of(dtype):
    pages = DEEP[None, :, :, :3].repeat(3, axis=0).astype(dtype)
    pages[1:] = 0
    with pytest.warns(UserWarning, match="only the first of 3 pages"):
        photo = decode(tiff(pages, photometric="rgb"))
    assert np.array_equal(photo.pixels, DEEP[:, :, :3].astype(dtype))


@pytest.mark.parametrize(("mode", "expected"), [("1", [0, 255]), ("L", [10, 200]), ("I;16", [2570, 51400])])
def test_gray_modes_give_the_values_written(mode, expected):
    values = np.array([[10, 200]], np.uint8)
    array = {"1": values > 99, "L": values, "I;16": values.astype(np.uint16) * 257}[mode]
    for format in ("PNG", "TIFF"):
        assert decode(encoded(array, format)).pixels.tolist() == [[[v] * 3 for v in expected]]


def test_cmyk_becomes_the_colors_that_it_prints():
    image = Image.new("CMYK", (2, 1), (0, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    assert decode(encoded(image, "TIFF")).pixels.tolist() == [[[255, 0, 0], [0, 0, 0]]]


def test_tifffile_says_nothing_of_its_own(capfd):
    with pytest.raises(ImageError, match=r"the\.file: cannot read this TIFF"):
        decode(rgb(DEEP[:, :, :3])[:300])
    logging.getLogger("tifffile").error("a line that no reader of photos asked for")
    assert capfd.readouterr().err == ""


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", "/dev/full"):
        with pytest.raises(ImageError, match=rf"{path}: cannot be read \(it is a .*- for standard input"):
            read_photo(path)
