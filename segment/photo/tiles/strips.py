"""JPEG and PNG decoded strip by strip, to what `read_photo` makes of the whole; other formats whole."""

from __future__ import annotations

import copy
import importlib.util
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.parallel import block_ranges
from segment.photo import jpeg, png_rows
from segment.photo.read import (
    ORIENTATION,
    described,
    from_pillow,
    is_srgb,
    opened,
    pillow_errors,
    read_photo,
    split,
    tell_of_pages,
)
from segment.scratch import Scratch, letting_go

# Bytes of a strip, about.
_STRIP_BYTES = 1 << 22

# Of a file, enough to tell its format.
_START = 33

Strips = Iterator[tuple[np.ndarray, np.ndarray | None]]


@dataclass
class Decoding:
    """A photo that comes strip by strip.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns as they lie in the file.
    strips : iterator of (colors, alpha)
        (h, N, D) ndarray, colors in sRGB or bands; (h, N) ndarray of the same type, or None.
    reader : dict
        What is done while reading; complete when all strips have come.
    orientation : int
        EXIF orientation (1 .. 8) that is still to be applied.
    is_color : bool
    """

    shape: tuple[int, int]
    strips: Iterable[tuple[np.ndarray, np.ndarray | None]]
    reader: dict[str, Any]
    orientation: int = 1
    is_color: bool = True


def decode(source: str, path: Path, memory: int | None) -> Decoding:
    """Begin to decode a photo; its strips come as they are asked for.

    Raises
    ------
    ImageError
        If it is damaged, truncated, or takes more memory. So does asking for the strips.
    """
    with open(path, "rb") as stream:
        start = stream.read(_START)
    make = next((make for fits, make in _DECODERS if fits(start)), _whole)
    return make(source, path, memory)


def _is_png(start: bytes) -> bool:
    header = png_rows.png_header(start)
    return header is not None and not header.interlaced


def _is_jpeg(start: bytes) -> bool:
    return start.startswith(jpeg.SIGNATURE) and importlib.util.find_spec("imagecodecs") is not None


def _png(source: str, path: Path, memory: int | None) -> Decoding:
    with pillow_errors(source), open(path, "rb") as stream:
        with opened(stream) as image:
            tell_of_pages(getattr(image, "n_frames", 1))
        chunks = png_rows.small_chunks(stream)
    if b"eXIf" in chunks:
        image.info["exif"] = b"Exif\0\0" + chunks[b"eXIf"]
    found = _lying(image)
    found.strips = _png_strips(found, image, source, path, chunks.get(b"tRNS", b""))
    return found


def _png_strips(found: Decoding, image: Any, source: str, path: Path, key: bytes) -> Strips:
    profile = image.info.get("icc_profile")
    with pillow_errors(source), open(path, "rb") as stream:
        header = png_rows.png_header(stream.read(_START))
        assert header is not None
        is_deep = header.is_deep and (profile is None or is_srgb(profile))
        if is_deep:
            found.reader |= {"profile": described(profile), "depth": 16}
        for rows in png_rows.png_rows(stream, header, source):
            if is_deep:
                yield split(*png_rows.deep_pixels(rows, header, key))
            else:
                yield _colors(found, image, rows, source)


def _jpeg(source: str, path: Path, memory: int | None) -> Decoding:
    with pillow_errors(source), opened(path) as image:
        found = _lying(image)
    found.strips = _jpeg_strips(found, image, source, path, memory)
    return found


def _lying(image: Any) -> Decoding:
    """Return what the header of a photo says of how it lies."""
    from PIL import Image

    # PNG has a method of its own, which decodes the image first.
    orientation = Image.Image.getexif(image).get(ORIENTATION, 1)
    return Decoding(image.size[::-1], (), {"format": image.format, "orientation": orientation}, orientation)


def _jpeg_strips(found: Decoding, image: Any, source: str, path: Path, memory: int | None) -> Strips:
    import imagecodecs

    scratch = Scratch()
    try:
        with (
            pillow_errors(source),
            open(path, "rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            (height, width, channels), held = jpeg.read_markers(data, source)
            _check_held(source, held, memory)
            scratch.reserve(height * width * channels)
            shape = (height, width, channels) if channels > 1 else (height, width)
            with scratch.mapped(shape, np.uint8) as out, letting_go(data):
                imagecodecs.jpeg8_decode(data, out=out)
        length = width * channels
        for start, stop in block_ranges(height, max(1, _STRIP_BYTES // length)):
            rows = np.fromfile(scratch.path, np.uint8, (stop - start) * length, offset=start * length)
            yield _colors(found, image, rows.reshape(stop - start, length), source)
    finally:
        scratch.close()


def _check_held(source: str, held: int, memory: int | None) -> None:
    if memory is not None and held > memory:
        raise ImageError(
            f"{source}: a progressive JPEG is decoded from all of its coefficients, {held / 1e9:.2f} GB of "
            f"memory; {memory / 1e9:.2f} GB are allowed: allow more with --memory, or write the photo as "
            "baseline JPEG, PNG or TIFF, which are decoded row by row"
        )


def _whole(source: str, path: Path, memory: int | None) -> Decoding:
    photo = read_photo(path, allow_large=True, memory=memory)
    if not photo.is_color and photo.weight is not None:
        raise ImageError(f"{source}: bands with alpha are not read by tiles; give a TIFF or zarr")
    return Decoding(photo.shape, _slices(photo), photo.reader, 1, photo.is_color)


def _slices(photo: Any) -> Strips:
    pixels, weight = photo.pixels, photo.weight
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    for start, stop in block_ranges(len(pixels), max(1, _STRIP_BYTES // pixels[0].nbytes)):
        alpha = None if weight is None else np.rint(weight[start:stop] * top).astype(pixels.dtype)
        yield pixels[start:stop], alpha


_DECODERS: tuple[tuple[Callable[[bytes], bool], Callable[[str, Path, int | None], Decoding]], ...] = (
    (_is_png, _png),
    (_is_jpeg, _jpeg),
)


def _colors(
    found: Decoding, image: Any, rows: np.ndarray, source: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows, (h, row_bytes) uint8 as they are packed in the file, as Pillow sees them."""
    from PIL import Image

    mode_of_rows = image.tile[0].args
    mode_of_rows = mode_of_rows if isinstance(mode_of_rows, str) else mode_of_rows[0]
    strip = Image.frombytes(image.mode, (image.width, len(rows)), rows.tobytes(), "raw", mode_of_rows)
    strip.info, strip.palette = image.info, copy.copy(image.palette)
    colors, alpha, _, reader = from_pillow(strip, source, {})
    if reader["profile"].endswith("ignored"):
        # Told once.
        del image.info["icc_profile"]
    found.reader = reader | found.reader
    return colors, alpha
