"""Reading: every format, depth, mode and orientation gives the pixels that were written."""

import io

import numpy as np
import pytest
import tifffile
from photos import encoded, noisy, png16, png_chunk
from PIL import Image, ImageCms, ImageOps
from skimage import data

from segment.errors import ImageError
from segment.photo import Photo, read_photo
from segment.photo import read as reading
from segment.photo.read import decode_photo

IMAGE, _ = noisy()
ALPHA = np.linspace(0, 255, IMAGE.shape[0] * IMAGE.shape[1]).reshape(IMAGE.shape[:2]).astype(np.uint8)


def decode(content):
    return decode_photo(content, "test", "test")


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_same_pixels(format, options):
    photo = decode(encoded(IMAGE, format, **options))
    assert np.array_equal(photo.pixels, IMAGE)
    assert photo.weight is None
    assert photo.is_color
    assert photo.reader == {
        "format": format,
        "orientation": 1,
        "depth": 8,
        "profile": "none",
        "alpha": "none",
    }


def test_jpeg_is_near_the_pixels():
    assert np.abs(decode(encoded(IMAGE, "JPEG", quality=95)).pixels.astype(int) - IMAGE).mean() < 4


@pytest.mark.filterwarnings("ignore:only the first of 2 pages")
def test_gif_gives_its_first_frame():
    first, second = Image.new("RGB", (5, 4), (255, 0, 0)), Image.new("RGB", (5, 4), (0, 0, 255))
    content = encoded(first, "GIF", save_all=True, append_images=[second])
    assert decode(content).pixels.tolist() == [[[255, 0, 0]] * 5] * 4


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "PA", "RGBA", "CMYK"])
def test_other_modes_become_srgb(mode):
    image = Image.fromarray(IMAGE).convert(mode)
    photo = decode(encoded(image, "TIFF" if mode in ("CMYK", "PA") else "PNG"))
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    assert photo.reader["alpha"] == ("opaque" if mode in ("LA", "PA", "RGBA") else "none")


def test_alpha_becomes_a_weight():
    photo = decode(encoded(np.dstack([IMAGE, ALPHA])))
    assert np.array_equal(photo.pixels, IMAGE)
    assert np.allclose(photo.weight, ALPHA / 255, atol=1e-7)
    assert np.array_equal(photo.counts, ALPHA > 0)
    assert photo.reader["alpha"] == "weight"


def test_a_transparent_palette_entry_weighs_nothing():
    image = Image.new("P", (4, 2))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    photo = decode(encoded(image, "PNG", transparency=0))
    assert photo.counts.tolist() == [[False, True, False, False], [False] * 4]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_exif_orientation_is_applied(orientation, deep):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if deep:
        content = png16(IMAGE.astype(np.uint16) * 257)
        content = content[:33] + png_chunk(b"eXIf", exif.tobytes()[6:]) + content[33:]
    else:
        content = encoded(IMAGE, "PNG", exif=exif)
    upright = Image.fromarray(IMAGE)
    upright.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(upright))
    photo = decode(content)
    assert photo.reader["orientation"] == orientation
    assert np.array_equal(photo.display, expected)


def test_a_foreign_profile_is_converted_to_srgb_and_srgb_is_left_alone():
    rocket = read_photo("skimage:rocket")
    assert "converted to sRGB" in rocket.reader["profile"]
    raw = np.asarray(Image.open(reading.bundled_path("skimage:rocket")))
    # The photo is in Adobe RGB, whose greens reach farther: conversion changes colors, little in the dark.
    assert 0 < np.abs(rocket.pixels.astype(int) - raw).mean() < 20
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(decode(encoded(IMAGE, "PNG", icc_profile=profile)).pixels, IMAGE)


def test_alpha_survives_a_profile_and_a_damaged_profile_is_told_of():
    profile = Image.open(reading.bundled_path("skimage:rocket")).info["icc_profile"]
    photo = decode(encoded(np.dstack([IMAGE, ALPHA]), "PNG", icc_profile=profile))
    assert np.array_equal(photo.counts, ALPHA > 0)
    assert "converted" in photo.reader["profile"]
    with pytest.warns(UserWarning, match="profile was ignored"):
        photo = decode(encoded(IMAGE, "PNG", icc_profile=b"no profile at all"))
    assert np.array_equal(photo.pixels, IMAGE)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16_bit_png_keeps_its_16_bits_under_every_filter(channels):
    deep = np.random.default_rng(0).integers(0, 65536, (15, 7, channels)).astype(np.uint16)
    photo = decode(png16(deep, filters=(0, 1, 2, 3, 4)))
    colors = np.repeat(deep[:, :, :1], 3, axis=2) if channels == 2 else deep[:, :, :3]
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, colors)
    assert photo.reader["depth"] == 16
    if channels != 3:
        assert np.allclose(photo.weight, deep[:, :, -1] / 65535, atol=1e-6)


def test_16_bit_gray_png_and_tiff():
    deep = np.arange(0, 60000, 1000, dtype=np.uint16).reshape(6, 10)
    for content in (encoded(Image.fromarray(deep), "PNG"), encoded(Image.fromarray(deep), "TIFF")):
        photo = decode(content)
        assert np.array_equal(photo.pixels, np.repeat(deep[:, :, None], 3, axis=2))


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def test_16_bit_color_tiff_with_alpha():
    deep = np.random.default_rng(0).integers(0, 65536, (9, 8, 4)).astype(np.uint16)
    photo = decode(tiff(deep, photometric="rgb", extrasamples=["unassalpha"]))
    assert np.array_equal(photo.pixels, deep[:, :, :3])
    assert np.allclose(photo.weight, deep[:, :, 3] / 65535, atol=1e-6)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("n_bands", [2, 6])
def test_a_multi_band_tiff_holds_bands(planar, dtype, n_bands):
    bands = (np.random.default_rng(0).random((20, 30, n_bands)) * 200).astype(dtype)
    stored = bands if planar == "contig" else np.ascontiguousarray(np.moveaxis(bands, 2, 0))
    photo = decode(tiff(stored, photometric="minisblack", planarconfig=planar))
    assert not photo.is_color
    assert photo.reader["bands"] == n_bands
    assert np.array_equal(photo.pixels, bands)
    assert photo.display.shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("name", "module"), [("astronaut", "astronaut"), ("coffee", "coffee"), ("cat", "cat")]
)
def test_bundled_photos_are_those_of_scikit_image(name, module):
    photo = read_photo(f"skimage:{name}")
    assert np.array_equal(photo.pixels, getattr(data, module)())
    assert photo.name == name
    assert len(photo.sha256) == 64


def test_arrays_are_taken_as_they_are():
    assert np.shares_memory(Photo.of(IMAGE).pixels, IMAGE)
    assert Photo.of(IMAGE[:, :, 0]).pixels.shape == IMAGE.shape
    assert Photo.of(IMAGE > 128).pixels.max() == 255
    assert Photo.of(np.dstack([IMAGE, ALPHA])).weight is not None
    assert Photo.of(np.dstack([IMAGE, ALPHA]), bands=True).pixels.shape[2] == 4
    assert np.array_equal(Photo.of(IMAGE / 255.0).display, IMAGE)
    assert np.array_equal(Photo.of(IMAGE.astype(np.uint16) * 257).display, IMAGE)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((2, 2, 2, 2), np.uint8), "shape"),
        (np.zeros((3, 3), complex), "complex128"),
        (np.zeros((3, 3), np.int64), "int64"),
        (np.array([["a", "b"]]), "holds <U1"),
        (np.array([[0.5, np.nan]]), r"1 values .* not finite, the first at row 0, column 1"),
        (np.array([[0.5], [np.inf]]), "row 1, column 0"),
        (np.full((2, 2, 3), 128.0), "reaches from 128 to 128; float colors lie in"),
        (np.zeros((2, 2, 4), np.uint8), "fully transparent"),
        ([[1, 2], [3]], "no array"),
    ],
)
def test_other_arrays_are_refused_in_words(array, message):
    with pytest.raises(ImageError, match=message):
        Photo.of(array)


def test_pillow_limits_are_left_as_they_were():
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError):
        decode(b"no image")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_large_photo_must_be_allowed(monkeypatch):
    monkeypatch.setattr(reading, "MAX_PIXELS", 100)
    for content in (encoded(IMAGE), png16(IMAGE.astype(np.uint16)), tiff(IMAGE.astype(np.uint16))):
        with pytest.raises(ImageError, match=r"declares 60 x 48 pixels, more than 100.*--allow-large"):
            decode(content)
        assert decode_photo(content, "test", "test", allow_large=True).n_pixels == 60 * 48
