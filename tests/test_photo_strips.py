"""JPEG and PNG decoded strip by strip: the pixels of the whole photo, in little memory, and clear errors."""

import io
import mmap
import os
import re
import struct
import tempfile
import time
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy, png16, png_chunk
from PIL import Image

from segment.cli import main
from segment.errors import ImageError, OutputError
from segment.photo import jpeg, png_rows, read_photo, segment_photo
from segment.photo import read as reading
from segment.photo.tiles import photo as tiled_photos
from segment.photo.tiles import strips
from segment.photo.tiles.fit import segment_tiles
from segment.photo.tiles.photo import TiledPhoto
from segment.scratch import Scratch

IMAGE = noisy(height=83, width=61, spread=25.0)[0]
ALPHA = (np.add.outer(np.arange(83), np.arange(61)) % 256).astype(np.uint8)
DEEP = IMAGE.astype(np.uint16) * 257 + np.arange(61, dtype=np.uint16)[None, :, None]
GRAY = Image.fromarray(IMAGE[:, :, 0])
PROFILE = Image.open(reading.bundled_path("skimage:rocket")).info["icc_profile"]


@pytest.fixture(autouse=True)
def few_rows(monkeypatch, tmp_path):
    """Decode few rows at a time; work in an empty folder, scratch files in another."""
    monkeypatch.setattr(strips, "_STRIP_BYTES", 2000)
    monkeypatch.setattr(png_rows, "_BLOCK", 2000)
    monkeypatch.setattr(png_rows, "_PIECE", 700)
    monkeypatch.setattr(tiled_photos, "STRIP_PIXELS", 900)
    monkeypatch.setattr("segment.photo.tiles.npy._TILE_BYTES", 2000)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    yield
    assert os.listdir(tmp_path / "scratch") == []


def _palette(n_colors, **options):
    image = Image.fromarray(IMAGE).quantize(n_colors)
    return encoded(image, **options)


def _key(content, key):
    """Put a transparent color into a PNG, before its data."""
    at = content.index(b"IDAT") - 4
    return content[:at] + png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) + content[at:]


def _packed_gray(bits):
    """Encode a PNG of gray in fewer than 8 bits, which Pillow reads but does not write."""
    values = IMAGE[:, :, 0] >> (8 - bits)
    ones = np.unpackbits(values[:, :, None], axis=2)[:, :, 8 - bits :].reshape(len(values), -1)
    rows = np.hstack([np.zeros((len(values), 1), np.uint8), np.packbits(ones, axis=1)])
    header = struct.pack(">IIBBBBB", 61, 83, bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return png_rows.SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def _exif(orientation):
    exif = Image.Exif()
    exif[reading.ORIENTATION] = orientation
    return exif


PNG = {
    "colors": lambda: encoded(IMAGE),
    "alpha": lambda: encoded(np.dstack([IMAGE, ALPHA])),
    "gray": lambda: encoded(GRAY),
    "gray, alpha": lambda: encoded(Image.merge("LA", [GRAY, Image.fromarray(ALPHA)])),
    "gray, a color transparent": lambda: _key(encoded(GRAY), [IMAGE[3, 4, 0]]),
    "a color transparent": lambda: _key(encoded(IMAGE), IMAGE[3, 4]),
    "palette of 2": lambda: _palette(2),
    "palette of 13": lambda: _palette(13),
    "palette of 256": lambda: _palette(256),
    "palette, a color transparent": lambda: _palette(13, transparency=3),
    "palette, alpha": lambda: _palette(13, transparency=bytes(range(0, 130, 10))),
    "one bit": lambda: encoded(GRAY.convert("1")),
    "two bits": lambda: _packed_gray(2),
    "four bits": lambda: _packed_gray(4),
    "deep": lambda: png16(DEEP, filters=(0, 1, 2, 3, 4)),
    "deep, alpha": lambda: png16(np.dstack([DEEP, DEEP[:, :, 0]]), filters=(4, 3)),
    "deep, gray": lambda: png16(DEEP[:, :, :1]),
    "deep, gray, alpha": lambda: png16(DEEP[:, :, :2]),
    "deep, a color transparent": lambda: _key(png16(DEEP), DEEP[3, 4]),
    "deep, gray, a color transparent": lambda: _key(png16(DEEP[:, :, :1]), DEEP[3, 4, :1]),
    "profile": lambda: encoded(IMAGE, icc_profile=PROFILE),
    "profile, alpha": lambda: encoded(np.dstack([IMAGE, ALPHA]), icc_profile=PROFILE),
    "profile, palette": lambda: _palette(13, icc_profile=PROFILE),
    "profile, gray": lambda: encoded(GRAY, icc_profile=PROFILE),
    "no profile at all": lambda: encoded(IMAGE, icc_profile=b"no profile at all"),
    "on its side": lambda: encoded(np.dstack([IMAGE, ALPHA]), exif=_exif(6)),
    "deep, on its side": lambda: _with_late_exif(png16(DEEP), 5),
    "late exif": lambda: _with_late_exif(encoded(IMAGE), 8),
}


def _with_late_exif(content, orientation):
    end = content.index(b"IEND") - 4
    return content[:end] + png_chunk(b"eXIf", _exif(orientation).tobytes()[6:]) + content[end:]


def _jpeg(image=IMAGE, **options):
    return encoded(image, "JPEG", quality=90, **options)


JPEG = {
    "colors": _jpeg,
    "full chroma": lambda: _jpeg(subsampling=0),
    "half chroma": lambda: _jpeg(subsampling=1),
    "progressive": lambda: _jpeg(progressive=True),
    "restarts": lambda: _jpeg(restart_marker_blocks=3),
    "RGB inside": lambda: _jpeg(keep_rgb=True),
    "gray": lambda: _jpeg(GRAY),
    "gray, progressive": lambda: _jpeg(GRAY, progressive=True),
    "four inks": lambda: _jpeg(Image.fromarray(IMAGE).convert("CMYK")),
    "profile": lambda: _jpeg(icc_profile=PROFILE),
    "more behind its end": lambda: _jpeg() + bytes(100) + _jpeg(GRAY),
    **{f"orientation {k}": lambda k=k: _jpeg(exif=_exif(k)) for k in range(2, 9)},
}

FILES = {f"{kind}.png": make for kind, make in PNG.items()} | {
    f"{kind}.jpg": make for kind, make in JPEG.items()
}


def by_strips(source, **options):
    photo = TiledPhoto(source, **options)
    found = [photo.read(strip) for strip in photo.strips]
    photo.close()
    weights = [np.ones(s.pixels.shape[:2], np.float32) if s.weight is None else s.weight for s in found]
    return np.concatenate([strip.pixels for strip in found]), np.concatenate(weights), photo


@pytest.fixture
def no_whole(monkeypatch):
    """Fail where a photo is decoded as a whole."""

    def refuse(*_):
        raise AssertionError("decoded as a whole")

    monkeypatch.setattr(strips, "_whole", refuse)


@pytest.mark.usefixtures("no_whole")
@pytest.mark.parametrize("name", FILES)
def test_strips_are_the_pixels_and_weights_of_the_whole_photo(name):
    if name.endswith("jpg"):
        pytest.importorskip("imagecodecs")
    Path(name).write_bytes(FILES[name]())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        expected = read_photo(name)
        n_told = len(told)
        pixels, weights, photo = by_strips(name)
    assert len(photo.strips) > 2
    assert len(told) == 2 * n_told
    assert pixels.dtype == expected.pixels.dtype
    assert np.array_equal(pixels, expected.pixels)
    ones = np.ones(expected.shape, np.float32)
    assert np.array_equal(weights, ones if expected.weight is None else expected.weight)
    facts = {name: photo.reader[name] for name in ("format", "orientation", "profile")}
    assert facts == {name: expected.reader[name] for name in facts}


@pytest.mark.parametrize(
    "name", ["alpha.png", "deep, gray, alpha.png", "orientation 6.jpg", "progressive.jpg"]
)
def test_labels_are_those_of_the_whole_photo(name):
    Path(name).write_bytes(FILES[name]())
    options = {"n_components": 3, "n_init": 2}
    with segment_tiles(name, fitting=options, smooth="light") as found:
        labels = found.store.labels(0, found.photo.shape[0])
    assert np.array_equal(labels, segment_photo(read_photo(name), smooth="light", **options).label_map)


# --- memory -------------------------------------------------------------------------------------------


@contextmanager
def _little_memory(allowed):
    """Let this process take so many bytes more; what is mapped from files does not count."""
    resource = pytest.importorskip("resource")
    if not os.path.exists("/proc/self/status"):
        pytest.skip("the system does not tell how much memory a process takes")
    held = 1024 * int(re.search(r"VmData:\s*(\d+)", Path("/proc/self/status").read_text())[1])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_large_photo_is_decoded_in_little_memory(monkeypatch, format):
    if format == "JPEG":
        pytest.importorskip("imagecodecs")
    monkeypatch.setattr(strips, "_STRIP_BYTES", 1 << 22)
    monkeypatch.setattr(png_rows, "_BLOCK", 1 << 22)
    monkeypatch.setattr(png_rows, "_PIECE", 1 << 20)
    name, small = f"a.{format.lower()}", f"small.{format.lower()}"
    # Compilers and libraries that are loaded at the first time are no part of it.
    Path(small).write_bytes(encoded(IMAGE, format))
    TiledPhoto(small).close()
    options = {"compress_level": 1} if format == "PNG" else {"exif": _exif(6)}
    Image.fromarray(np.tile(IMAGE, (50, 68, 1))[:4000, :4000]).save(name, format, **options)
    with _little_memory(100_000_000):
        TiledPhoto(name).close()
        with pytest.raises(MemoryError):
            read_photo(name)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system cannot be told")
def test_pages_of_mapped_files_are_let_go():
    def mapped():
        return int(re.search(r"RssFile:\s*(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

    scratch = Scratch()
    scratch.reserve(50_000_000)
    with scratch.mapped((50_000_000,), np.uint8) as values:
        before = mapped()
        values[:] = 1
        end = time.monotonic() + 60
        while mapped() - before > 5_000_000 and time.monotonic() < end:
            time.sleep(0.01)
        assert mapped() - before < 5_000_000
        assert values[-1] == 1
    del values
    scratch.close()


def test_a_photo_that_needs_more_memory_to_be_decoded_is_refused(monkeypatch):
    pytest.importorskip("imagecodecs")
    Path("p.jpg").write_bytes(_jpeg(progressive=True))
    held = jpeg.read_markers(Path("p.jpg").read_bytes(), "p.jpg").held_bytes
    assert held == 2 * 83 * 61 + 4 * 41 * 30
    with pytest.raises(ImageError, match=r"p\.jpg: a progressive JPEG .*0\.00 GB are allowed.*--memory"):
        TiledPhoto("p.jpg", memory=held - 1)
    TiledPhoto("p.jpg", memory=held).close()
    Path("b.jpg").write_bytes(_jpeg())
    TiledPhoto("b.jpg", memory=1).close()
    Path("w.webp").write_bytes(encoded(IMAGE, "WEBP"))
    with pytest.raises(ImageError, match=r"w\.webp: 61 x 83 pixels .* as a whole.*--memory, .* PNG or TIFF$"):
        TiledPhoto("w.webp", memory=100_000)
    monkeypatch.setattr(strips.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"b\.jpg: .* as a whole.*; pip install .*\[scale\]"):
        TiledPhoto("b.jpg", memory=100_000)
    pixels, _, _ = by_strips("b.jpg", memory=10_000_000)
    assert np.array_equal(pixels, read_photo("b.jpg").pixels)


def test_no_space_for_what_is_decoded_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    for name in ("colors.png", "colors.jpg"):
        Path(name).write_bytes(FILES[name]())
        with pytest.raises(OutputError, match=r"scratch: a temporary file of 0\.00 GB .*TMPDIR"):
            TiledPhoto(name)


def test_what_is_mapped_stays_in_the_file_when_its_pages_are_let_go(monkeypatch):
    monkeypatch.setattr("segment.scratch._PAUSE", 1e-4)
    scratch = Scratch()
    scratch.reserve(1 << 22)
    with scratch.mapped((1 << 21,), np.uint16) as values:
        for start in range(0, 1 << 21, 1 << 12):
            values[start : start + (1 << 12)] = np.arange(start, start + (1 << 12)).astype(np.uint16)
    expected = np.arange(1 << 21).astype(np.uint16)
    assert np.array_equal(np.fromfile(scratch.path, np.uint16), expected)
    scratch.close()


# --- damaged files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["colors.png", "deep.png", "palette of 13.png", "colors.jpg", "progressive.jpg"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_truncated_photo_is_named(name, share):
    content = FILES[name]()
    Path(name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=f"{name}: .*truncated.*try another copy"):
        TiledPhoto(name)


def test_a_truncated_photo_leaves_no_outputs():
    Path("a.jpg").write_bytes(_jpeg()[:-400])
    result = CliRunner().invoke(main, ["photo", "a.jpg", "-k", "3", "--level", "0", "-o", "out"])
    assert result.exit_code == 1
    assert "error: a.jpg: damaged or truncated" in result.stderr
    assert not os.path.isdir("out") or os.listdir("out") == []


def test_damaged_data_is_named():
    content = bytearray(encoded(IMAGE))
    at = content.index(b"IDAT") + 500
    content[at : at + 40] = bytes(40)
    Path("a.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png: damaged PNG .*try another copy"):
        TiledPhoto("a.png")
    Path("b.jpg").write_bytes(_jpeg()[:20] + b"\xff\xd9")
    with pytest.raises(ImageError, match=r"b\.jpg: .*(damaged|not an image)"):
        TiledPhoto("b.jpg")


def test_the_size_that_a_photo_declares_is_no_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("colors.png", "colors.jpg"):
        Path(name).write_bytes(FILES[name]())
        assert np.array_equal(by_strips(name)[0], read_photo(name).pixels)


def test_an_interlaced_png_is_decoded_as_a_whole():
    content = encoded(np.full((1, 1, 3), 77, np.uint8))
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    at = content.index(b"IHDR") - 4
    Path("a.png").write_bytes(content[:at] + png_chunk(b"IHDR", header) + content[at + 25 :])
    assert by_strips("a.png")[0].tolist() == [[[77, 77, 77]]]
    assert Image.open(io.BytesIO(Path("a.png").read_bytes())).info["interlace"] == 1
