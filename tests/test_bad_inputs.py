"""Bad inputs of every kind, to every command and to the Python interface: one table, one test.

Each row says how the input is made, what is called, the exit code, and words that the message must hold:
what was wrong, and the cure. No row may end in a traceback or leave anything half-written.
"""

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy, png16, png_chunk
from PIL import Image

from segment import GaussianMixture
from segment.archive import write_archive
from segment.cli import main
from segment.digits.features import FeatureModel
from segment.digits.model import DigitModel
from segment.errors import SegmentError
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo import segment_photo, segment_regions
from segment.photo.model import PhotoModel
from segment.photo.read import decode_photo
from segment.photo.regions.tree import RegionTree

IMAGE, _ = noisy()
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
DEEP = NOISE.astype(np.uint16) * 257
MODEL = {
    "weights": np.array([0.5, 0.5]),
    "means": np.arange(6.0).reshape(2, 3),
    "covariances": np.stack([np.eye(3)] * 2),
    "covariance_type": np.array("full"),
    "color_space": np.array("lab"),
    "photo_schema": np.array(1),
}


class Row(NamedTuple):
    """One bad input: what is made before, the command, exit code, words of the message, the file's name."""

    make: object
    call: object
    code: int
    words: str
    name: str = ""


def tiff(array, **options):
    import io

    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def rgb(dtype, value, channels=3):
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    return tiff(np.full((8, 8, channels), value, dtype), photometric="rgb", **extra)


def png(width, height, rows=b"\0" * 99, depth=8, kind=2):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def half(content):
    return content[: len(content) // 2]


def file(content):
    return lambda path: path.write_bytes(content)


def model(**change):
    arrays = {name: value for name, value in (MODEL | change).items() if value is not None}
    return lambda path: write_archive(path, arrays)


# Files that are no photos, by name: content and words of the message.
PHOTO_FILES = {
    "empty.png": (b"", "the file is empty"),
    "empty.tif": (b"", "the file is empty"),
    "byte.jpg": (b"\xff", "not an image"),
    "text.png": (b"This is text.\n" * 9, "not an image.*JPEG, PNG"),
    "page.jpg": (b"<html><body>404</body></html>", "not an image"),
    "zeros.tif": (bytes(5000), "not an image"),
    "random.webp": (np.random.default_rng(1).bytes(5000), "not an image"),
    "zip.png": (b"PK\x03\x04" + bytes(200), "not an image"),
    "half.png": (half(encoded(NOISE)), "damaged.*another copy"),
    "half.jpg": (half(encoded(NOISE, "JPEG")), "damaged.*another copy"),
    "half.webp": (half(encoded(NOISE, "WEBP")), "damaged.*another copy"),
    "half.bmp": (half(encoded(NOISE, "BMP")), "damaged.*another copy"),
    "half.gif": (half(encoded(NOISE, "GIF")), "damaged.*another copy"),
    "half_lzw.tif": (half(encoded(NOISE, "TIFF", compression="tiff_lzw")), "another copy"),
    "half.tif": (half(tiff(DEEP, photometric="rgb")), "cannot read this TIFF.*another copy"),
    "half_16.png": (half(png16(DEEP)), "truncated.*another copy"),
    "head.jpg": (encoded(NOISE, "JPEG")[:20], "damaged.*can be read"),
    "head.png": (encoded(NOISE)[:33], "damaged.*can be read"),
    "head.tif": (b"II*\0" + bytes(4), "another copy"),
    "head.gif": (b"GIF89a", "not an image|damaged"),
    "head.bmp": (b"BM" + bytes(10), "not an image|damaged"),
    "flipped.png": (encoded(NOISE)[:80] + bytes(60) + encoded(NOISE)[140:], "damaged.*another copy"),
    "chunk.png": (encoded(NOISE).replace(b"IDAT", b"IDAX", 1), "damaged.*can be read"),
    "bomb.png": (png(60_000, 60_000), "declares 60000 x 60000 pixels.*--allow-large"),
    "bomb_16.png": (png(60_000, 60_000, depth=16), "declares 60000 x 60000 pixels.*--allow-large"),
    "bomb.bmp": (
        encoded(NOISE, "BMP").replace(struct.pack("<ii", 64, 64), struct.pack("<ii", 60000, 60000), 1),
        "declares 60000 x 60000 pixels.*--allow-large",
    ),
    "bomb.tif": (
        tiff(DEEP, photometric="rgb").replace(struct.pack("<H", 64), struct.pack("<H", 65000)),
        "cut off|cannot read",
    ),
    "no_pixels.png": (png(0, 5), "damaged"),
    "filter.png": (png(64, 64, (b"\t" + bytes(384)) * 64, 16), "unknown row filter.*another copy"),
    "clear.png": (encoded(np.dstack([IMAGE, IMAGE[:, :, 0] * 0])), "every pixel is fully transparent"),
    "clear_16.png": (png16(np.dstack([DEEP, DEEP[:, :, 0] * 0])), "every pixel is fully transparent"),
    "float_255.tif": (rgb(np.float32, 255), r"float colors lie in \[0, 1\]: divide them by 255"),
    "float_65535.tif": (rgb(np.float64, 65535), "divide them by 65535"),
    "float_negative.tif": (rgb(np.float32, -1), "rescale them"),
    "half_float.tif": (rgb(np.float16, 200), "divide them by 255"),
    "float_alpha.tif": (rgb(np.float32, 2.9, 4), "divide them by 255"),
    "nan.tif": (rgb(np.float32, np.nan), "not finite, the first at row 0, column 0; replace"),
    "nan_alpha.tif": (rgb(np.float32, np.inf, 4), "not finite.*replace"),
    "nan_bands.tif": (tiff(np.full((8, 8, 5), np.nan, "f4"), photometric="minisblack"), "not finite"),
    "nan_gray.tif": (tiff(np.full((8, 8), np.nan, "f4")), "not finite"),
    "int8.tif": (rgb(np.int8, 1), "image holds int8.*convert it"),
    "int16.tif": (rgb(np.int16, -1), "image holds int16.*convert it"),
    "int32.tif": (rgb(np.int32, -1), "image holds int32.*convert it"),
    "int64.tif": (rgb(np.int64, 1), "image holds int64.*convert it"),
    "uint32.tif": (rgb(np.uint32, 1), "image holds uint32.*convert it"),
    "uint64.tif": (rgb(np.uint64, 2**60), "image holds uint64.*convert it"),
    "uint64_alpha.tif": (rgb(np.uint64, 1, 4), "image holds uint64.*convert it"),
    "complex.tif": (tiff(np.zeros((8, 8, 2), "c8"), photometric="minisblack"), "complex64"),
}

# What stands in the place of a photo.
PHOTO_PLACES = {
    "pipe.png": (os.mkfifo, "named pipe.*- for standard input"),
    "loop.png": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "dangling.png": (lambda path: path.symlink_to("nowhere.png"), "no such file"),
    "folder.png": (Path.mkdir, "no photo in this folder.*--recursive"),
    "new\nline.png": (file(b"text"), r"new\\nline\.png: not an image"),
    "escape\x1b[31m.png": (file(b"text"), r"escape\\x1b\[31m\.png: not an image"),
}
PHOTO_ARGUMENTS = {
    ("missing.png",): (1, "missing.png: no such file"),
    ("nothing*.png",): (1, r"nothing\*\.png: no file matches"),
    ("/dev/zero",): (1, "/dev/zero: cannot be read.*device"),
    ("/dev/full",): (1, "/dev/full: cannot be read.*device"),
    ("flag.png/x.png",): (1, "cannot be read"),
    ("skimage:nothing",): (1, "there are .*astronaut"),
    ("-",): (1, "-: the file is empty"),
    ("flag\0.png",): (1, "cannot be read"),
    ("x" * 5000,): (1, "cannot be read"),
    (): (2, "Missing argument"),
    ("flag.png", "-k", "0"): (2, "0"),
    ("flag.png", "-k", "few"): (2, "few"),
    ("flag.png", "-k", "2.5"): (2, "2.5"),
    ("flag.png", "--save", "everything"): (2, "'everything' is no output"),
    ("flag.png", "--save", ""): (2, "no output is named"),
    ("flag.png", "--covariance", "round"): (2, "round.*full"),
    ("flag.png", "--color-space", "hsv"): (2, "hsv.*lab"),
    ("flag.png", "--seed", "-1"): (2, "-1"),
    ("flag.png", "--jobs", "0"): (2, "allowed are 1, 2, 3"),
    ("flag.png", "--method", "regions", "--scale", "7"): (2, "7"),
    ("flag.png", "--unknown"): (2, "No such option"),
    ("flag.png", "-k", "99999"): (1, "flag.png: .*distinct colors; ask for at most"),
    ("flag.png", "-k", "2", "-o", "in_the_way"): (1, "cannot be written"),
    ("flag.png", "-k", "2", "-o", "/dev/full"): (1, "cannot be written"),
}
MODELS = {
    "nan.npz": (model(weights=np.array([np.nan, 1])), "weights holds NaN.*--save model"),
    "negative.npz": (model(weights=np.array([-0.5, 1.5])), "must not be negative.*--save model"),
    "sum.npz": (model(weights=np.array([0.5, 0.2])), "must sum to 1.*--save model"),
    "short.npz": (model(weights=np.ones(1)), "do not fit.*--save model"),
    "lacking.npz": (model(means=None), "means is missing.*--save model"),
    "texts.npz": (model(means=np.array([["a"]])), "means is of type.*--save model"),
    "indefinite.npz": (model(covariances=-MODEL["covariances"]), "not positive.*--save model"),
    "type.npz": (model(covariance_type=np.array("round")), "round.*--save model"),
    "space.npz": (model(color_space=np.array("hsv")), "not of photos.*--save model"),
    "schema.npz": (model(photo_schema=np.array("x")), "photo_schema is x.*--save model"),
    "newer.npz": (model(photo_schema=np.array(9)), "newer version.*update"),
    "array.npy": (lambda path: np.save(path, np.ones(3)), "one array.*--save model"),
    "text.npz": (file(b"no model"), "not a model.*--save model"),
    "empty.npz": (file(b""), "not a model.*--save model"),
    "folder.npz": (Path.mkdir, "not a model.*--save model"),
    "pipe.npz": (os.mkfifo, "named pipe.*--save model"),
    "missing.npz": (lambda path: None, "no such file.*--save model"),
}
# Sets of digits, by name: how they are made and words of the message.
IMAGES = np.random.default_rng(2).integers(0, 256, (30, 8, 8)).astype(np.uint8)


def digit_set(**arrays):
    return lambda path: np.savez(path, **arrays)


def idx(shape, data=b"", code=8):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + data


DIGIT_SETS = {
    "strings.npz": (digit_set(images=IMAGES, labels=np.array(["one"] * 30)), "labels of type <U3.*number"),
    "halves.npz": (digit_set(images=IMAGES, labels=np.arange(30) / 2), "expected whole numbers"),
    "nan_labels.npz": (digit_set(images=IMAGES, labels=np.full(30, np.nan)), "expected whole numbers"),
    "negative.npz": (digit_set(images=IMAGES, labels=np.arange(30) - 9), "labels from -9.*whole numbers"),
    "few_labels.npz": (digit_set(images=IMAGES, labels=np.arange(9)), r"\(9,\), expected \(30,\)"),
    "nan.npz": (digit_set(images=np.full((30, 8, 8), np.nan)), "non-finite"),
    "texts.npz": (digit_set(images=np.array([[["a"]]])), "images of type <U1"),
    "flat.npz": (digit_set(images=IMAGES[0]), r"expected \(n, rows, columns\)"),
    "no_images.npz": (digit_set(images=IMAGES[:0]), "holds no image"),
    "others.npz": (digit_set(pictures=IMAGES), r"has \['pictures'\], expected images"),
    "alike.npz": (digit_set(images=IMAGES * 0), "10 components for 30 digits, 1 of them distinct"),
    "text.npz": (file(b"no archive"), "no readable .npz"),
    "rank_200.idx": (file(idx([1] * 200)), "IDX rank 200; at most 32"),
    "rank_0.idx": (file(idx([])), "rank 0"),
    "type.idx": (file(idx([1, 1, 1], code=7)), "0x07 is not defined"),
    "short.idx": (file(idx([30, 8, 8], b"12")), "truncated.*fetch it again"),
    "long.idx": (file(idx([1, 2, 2], b"12345")), "too long"),
    "none.idx": (file(idx([0, 28, 28])), "holds no image"),
    "bomb.idx.gz": (file(gzip.compress(idx([2, 8, 8], bytes(50_000_000)))), "too long: more than 144 bytes"),
    "claims.idx": (file(idx([2**32 - 1, 9999, 9999], b"12")), "truncated"),
    "half.idx.gz": (file(half(gzip.compress(idx([30, 8, 8], IMAGES.tobytes())))), "gzip stream is damaged"),
}
# Pictures that hold no digits.
PICTURES = {
    "white.png": (file(encoded(np.full((40, 30, 3), 255, np.uint8))), "no ink"),
    "black.png": (file(encoded(np.zeros((40, 30, 3), np.uint8))), "no ink"),
    "dot.png": (file(encoded(np.zeros((1, 1, 3), np.uint8))), "no ink"),
    "clear_digit.png": (file(encoded(np.dstack([IMAGE, IMAGE[:, :, 0] * 0]))), "no ink"),
    "noise.png": (
        file(encoded(np.pad(NOISE, ((1, 1), (1, 1), (0, 0))))),
        "no digits: .*expected dark digits",
    ),
    "blank.idx": (file(idx([3, 28, 28], bytes(3 * 784))), "no ink"),
    "no_image.idx": (file(idx([0, 28, 28])), r"shape \(0, 28, 28\)"),
    "words.png": (file(b"no picture"), "no image file"),
    "nan_digit.tif": (file(tiff(np.full((8, 8), np.nan, "f4"))), "NaN or infinity"),
}


def digit_model(**change):
    """Write a small valid model of digits, or one with some fields changed (None: lacking)."""
    features = FeatureModel("pixels", np.ones(2), np.zeros(784, "f4"), np.eye(3, 784, dtype="f4"), 0.5)
    parameters = Parameters(MODEL["weights"], MODEL["means"], MODEL["covariances"], "full")

    def write(path):
        DigitModel(features, parameters, np.arange(2), np.arange(2), 2).save(path)
        with np.load(path) as stored:
            arrays = dict(stored) | change
        write_archive(path, {name: value for name, value in arrays.items() if value is not None})

    return write


DIGIT_MODELS = {
    "mapping.npz": (digit_model(mapping=np.array([99, 1])), "one of the 2 classes"),
    "twice.npz": (digit_model(mapping=np.array([1, 1])), "a class of its own|classes, once"),
    "groups.npz": (digit_model(groups=np.array([0, 7])), "groups must be from 0 to 1"),
    "no_groups.npz": (digit_model(groups=None), "not of digits.*lacks groups"),
    "nan_mean.npz": (digit_model(features_mean=np.full(784, np.nan, "f4")), "features_mean holds NaN"),
    "nan_weight.npz": (digit_model(weights=np.array([np.nan, 1])), "weights holds NaN"),
    "kind.npz": (digit_model(features_kind=np.array("eyes")), "'eyes'; allowed are scattering"),
    "faint.npz": (digit_model(faint=np.array(np.nan)), "faint holds NaN"),
    "photo.npz": (model(), "not of digits"),
}
OTHER_COMMANDS = {
    ("nothing",): (2, "No such command"),
    ("lab",): (2, "Missing argument"),
    ("lab", "nothing"): (2, "nothing"),
    ("lab", "mouse", "--format", "bmp"): (2, "bmp; allowed are png"),
    ("lab", "mouse", "--format", ","): (2, "no format; allowed are png"),
    ("lab", "mouse", "--seed", "x"): (2, "x"),
    ("lab", "five-points", "-q", "-o", "in_the_way"): (1, "cannot be written"),
    ("datasets",): (2, ""),
    ("datasets", "fetch"): (2, "Missing argument"),
    ("datasets", "fetch", "nothing"): (2, "nothing.*mnist"),
    ("datasets", "verify", "nothing"): (2, "nothing.*mnist"),
    ("report", "--seed", "-1"): (2, "-1"),
    ("report", "--unknown"): (2, "No such option"),
    ("report", "--jobs", "0"): (2, "allowed are 1, 2, 3"),
    ("digits", "--seed", "-1"): (2, "-1"),
    ("digits", "--jobs", "0"): (2, "allowed are 1, 2, 3"),
    ("digits", "--limit", "0"): (2, "0"),
    ("digits", "--pca", "0"): (2, "0"),
    ("digits", "-k", "0"): (2, "0"),
    ("digits", "--components", "x"): (2, "x"),
    ("digits", "--features", "eyes"): (2, "eyes.*scattering"),
    ("digits", "--merge", "all"): (2, "all.*overlap"),
    ("digits", "--refine", "all"): (2, "all.*graph"),
    ("digits", "--split", "half"): (2, "half.*train"),
    ("digits", "--data", "missing.idx"): (1, "missing.idx"),
    ("digits", "--data", "in_the_way"): (1, "in_the_way"),
    ("digits", "--data", "flag.png"): (1, "flag.png"),
    ("digits-predict",): (2, "Missing argument 'MODEL'"),
    ("digits-predict", "missing.npz"): (2, "Missing argument 'IMAGES"),
    ("digits-predict", "missing.npz", "flag.png"): ((1, 2), "missing.npz"),
    ("digits-predict", "in_the_way", "flag.png"): (1, "in_the_way: not a model"),
    ("digits-predict", "flag.png", "flag.png"): (1, "flag.png: not a model"),
    ("digits-predict", "/dev/zero", "flag.png"): ((1, 2), "/dev/zero"),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
CALLS = {
    "X with NaN": (lambda: GaussianMixture(2).fit(np.where(X > 1, np.nan, X)), "NaN"),
    "X with infinity": (lambda: GaussianMixture(2).fit(np.where(X > 1, np.inf, X)), "inf"),
    "X of one dimension": (lambda: GaussianMixture(2).fit(X[:, 0]), "1D|2D|reshape"),
    "X without rows": (lambda: GaussianMixture(2).fit(X[:0]), "0 sample"),
    "X of texts": (lambda: GaussianMixture(2).fit([["a", "b"]]), "could not convert|string"),
    "X complex": (lambda: GaussianMixture(2).fit(X + 1j), "[Cc]omplex"),
    "fewer rows than components": (lambda: GaussianMixture(9).fit(X[:3]), "3"),
    "no component": (lambda: GaussianMixture(0).fit(X), "n_components"),
    "components as text": (lambda: GaussianMixture("two").fit(X), "n_components"),
    "unknown covariance": (lambda: GaussianMixture(2, covariance_type="round").fit(X), "covariance_type"),
    "negative tol": (lambda: GaussianMixture(2, tol=-1).fit(X), "tol"),
    "no iteration": (lambda: GaussianMixture(2, max_iter=-1).fit(X), "max_iter"),
    "predict other columns": (lambda: GaussianMixture(2).fit(X).predict(X[:, :1]), "1 feature"),
    "photo of no dimension": (lambda: segment_photo(np.uint8(3)), r"shape \(\)"),
    "photo of one dimension": (lambda: segment_photo(np.zeros(5, np.uint8)), r"shape \(5,\)"),
    "photo without pixels": (lambda: segment_photo(IMAGE[:0]), "no pixels"),
    "photo of int64": (lambda: segment_photo(IMAGE.astype(int)), "int64.*convert it"),
    "photo of texts": (lambda: segment_photo(np.array([["a"]])), "<U1"),
    "photo 0 to 255 in float": (lambda: segment_photo(np.full((9, 9, 3), 255.0)), "divide them by 255"),
    "photo with NaN": (lambda: segment_photo(np.full((9, 9, 3), np.nan)), "not finite"),
    "photo fully transparent": (lambda: segment_photo(np.zeros((9, 9, 4), np.uint8)), "transparent"),
    "ragged photo": (lambda: segment_photo([[1, 2], [3]]), "no array"),
    "photo, unknown space": (lambda: segment_photo(IMAGE, color_space="hsv"), "hsv"),
    "photo, unknown covariance": (lambda: segment_photo(IMAGE, covariance_type="round"), "round"),
    "photo, no component": (lambda: segment_photo(IMAGE, n_components=0), "n_components"),
    "photo, zero jobs": (lambda: segment_photo(IMAGE, n_components=1, n_jobs=0), "n_jobs is 0"),
    "photo, jobs as text": (lambda: segment_photo(IMAGE, n_components=1, n_jobs="2"), "n_jobs is '2'"),
    "regions of one dimension": (lambda: segment_regions(np.zeros(5, np.uint8)), r"shape \(5,\)"),
    "regions 0 to 255 in float": (lambda: segment_regions(np.full((9, 9, 3), 255.0)), "divide them by 255"),
    "palette of a number": (lambda: segment_photo(IMAGE, palette=5), r"palette is int64 \(\)"),
    "regions, no region": (lambda: segment_regions(IMAGE, n_regions=0), "n_regions is 0"),
    "regions, scale 2": (lambda: segment_regions(IMAGE, scale=2), "scale is 2"),
    "tree of a missing file": (lambda: RegionTree.load("missing.npz"), "missing.npz: no such file"),
    "tree of a photo": (lambda: RegionTree.load("flag.png"), "flag.png: not a region tree"),
    "model of a photo": (lambda: PhotoModel.load("flag.png"), "flag.png: not a model"),
    "bytes of no file": (lambda: decode_photo(b"", "name.png", "name"), "name.png: the file is empty"),
}


def rows():
    for name, (content, words) in PHOTO_FILES.items():
        yield name, Row(file(content), ["photo", name, "-k", "2"], 1, f"{re.escape(name)}: .*{words}")
    for name, (make, words) in PHOTO_PLACES.items():
        yield repr(name), Row(make, ["photo", name, "-k", "2"], 1, words)
    for arguments, (code, words) in PHOTO_ARGUMENTS.items():
        yield "photo " + repr(arguments)[:60], Row(None, ["photo", *arguments], code, words)
    for name, (make, words) in MODELS.items():
        yield f"model {name}", Row(make, ["photo", "flag.png", "--model", name], 1, f"{name}: .*{words}")
    for name, (make, words) in DIGIT_SETS.items():
        call = ["digits", "--data", name, "-q", "--features", "pixels"]
        yield f"digits {name}", Row(make, call, 1, words, name)
    for name, (make, words) in PICTURES.items():
        yield (
            f"digits in {name}",
            Row(make, ["digits-predict", "good.npz", name], 1, f"{name}: .*{words}", name),
        )
    for name, (make, words) in DIGIT_MODELS.items():
        yield (
            f"digits by {name}",
            Row(make, ["digits-predict", name, "flag.png"], 1, f"{name}: .*{words}", name),
        )
    for arguments, (code, words) in OTHER_COMMANDS.items():
        yield " ".join(arguments), Row(None, list(arguments), code, words)


ROWS = dict(rows())


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder with a good photo and a file where a folder is wanted."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(IMAGE).save("flag.png")
    Path("in_the_way").write_text("no folder")
    digit_model()("good.npz")
    return tmp_path


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_bad_input_is_refused_in_words(row, place):
    if row.make is not None:
        name = row.name or (row.call[1] if row.call[1] != "flag.png" else row.call[-1])
        row.make(place / name)
    before = names(place)
    result = CliRunner().invoke(main, row.call, input=b"")
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in np.atleast_1d(row.code), result.stderr
    assert re.search(row.words, result.stderr, re.DOTALL), result.stderr
    assert "Traceback" not in result.stderr
    if result.exit_code == 1:
        told = [line for line in result.stderr.splitlines() if not line.startswith("compiling kernels")]
        assert len(told) == 1, result.stderr
    assert names(place) == before


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=CALLS)
@pytest.mark.usefixtures("place")
def test_a_bad_argument_of_a_function_is_refused_in_words(call, words):
    with pytest.raises((SegmentError, ValueError), match=words):
        call()


def test_there_are_many_kinds_of_bad_input():
    assert len(ROWS) + len(CALLS) >= 120
    assert sum(row.call[0] == "photo" for row in ROWS.values()) >= 60


def test_names_of_any_bytes_go_through_with_every_kind_of_text(place):
    name = os.fsdecode(b"caf\xe9 $x_$ \xff.png")
    (place / "flag.png").rename(place / name)
    result = CliRunner().invoke(main, ["photo", name, "-k", "1", "--save", "sheet,palette,json", "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["input"] == name


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_can_be_printed_under_any_locale(place, encoding):
    unset = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCELOCALE": "0"}
    environment = os.environ | unset | {"PYTHONIOENCODING": encoding}
    name = "fehlt \xfc.png".encode()
    command = [sys.executable, "-m", "segment", "photo", name]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"no such file" in done.stderr
    assert b"Traceback" not in done.stderr
