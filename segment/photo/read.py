"""Read photos from files, standard input and the collection bundled with scikit-image."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from segment.errors import ImageError, SegmentError, SegmentWarning
from segment.output import refuse_special_file
from segment.photo import formats, jpeg
from segment.photo.photo import Photo, as_weights, checked_colors, to_uint8
from segment.photo.png_rows import png_header, read_deep, with_key
from segment.photo.tiff import Tiff, is_tiff, read_tiff

SUFFIXES = formats.SUFFIXES | {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
BUNDLED = "skimage:"
STDIN = "-"

# Above this number of pixels a file must be allowed expressly: some kilobytes can declare gigabytes.
MAX_PIXELS = 200_000_000

# What decoding a whole photo takes of memory, in bytes a pixel: 14 for JPEG and PNG, 22 for WebP.
_WHOLE_BYTES = 24

# Names under which people look for a bundled photo.
_ALIASES = {"cat": "chelsea"}

ORIENTATION = 0x0112
UPRIGHT = 1
# Orientations whose rows lie as columns.
SIDEWAYS = frozenset({5, 6, 7, 8})

# Formats whose further pages are told of; in a JPEG (MPO) they are previews.
_PAGED = frozenset({"GIF", "TIFF", "PNG", "WEBP"})


def read_photo(
    source: str | os.PathLike[str], *, allow_large: bool = False, memory: int | None = None
) -> Photo:
    """Read a photo.

    Parameters
    ----------
    source : path, "-" (standard input), or "skimage:NAME" (a photo bundled with scikit-image)
        JPEG, PNG, WebP, BMP, GIF (first frame), TIFF, AVIF; HEIC with pillow-heif, camera raw with rawpy.
        EXIF orientation is applied, an embedded ICC profile converted to sRGB, alpha becomes the pixels'
        weight. A TIFF with other than 1, 3 or 4 channels holds bands, not colors.
    allow_large : bool
        Read photos of more than `MAX_PIXELS` pixels.
    memory : int, optional
        Bytes that decoding may take, about.

    Returns
    -------
    Photo

    Raises
    ------
    ImageError
        If there is no such file, or it is empty, damaged, no image, or too large.
    """
    name, data = _load(source)
    return decode_photo(data, str(source), name, allow_large=allow_large, memory=memory)


def bundled_path(source: str) -> Path:
    """Return the file of a photo bundled with scikit-image, named like "skimage:astronaut"."""
    import importlib.util

    name = source.removeprefix(BUNDLED)
    spec = importlib.util.find_spec("skimage")
    folders = spec.submodule_search_locations if spec else None
    files = {
        path.stem: path
        for folder in folders or ()
        for path in sorted((Path(folder) / "data").glob("*.*"))
        if path.suffix in SUFFIXES
    }
    found = files.get(_ALIASES.get(name, name))
    if found is None:
        raise ImageError(
            f"{source}: no photo of that name is bundled with scikit-image; there are "
            f"{', '.join(sorted(set(files) | set(_ALIASES)))}"
        )
    return found


def _load(source: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Return the name and the content of a source."""
    text = os.fspath(source)
    if text == STDIN:
        return "stdin", sys.stdin.buffer.read()
    path = bundled_path(text) if text.startswith(BUNDLED) else Path(text)
    name = text.removeprefix(BUNDLED) if text.startswith(BUNDLED) else path.stem
    try:
        refuse_special_file(path)
        return name, path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{text}: no such file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{text}: cannot be read ({reason}); give a file, or - for standard input"
        ) from error


def decode_photo(
    data: bytes, source: str, name: str, *, allow_large: bool = False, memory: int | None = None
) -> Photo:
    """Decode the content of a file; see `read_photo`."""
    if not data:
        raise ImageError(f"{source}: the file is empty")

    def check_size(width: int, height: int) -> None:
        if width * height > MAX_PIXELS and not allow_large:
            raise ImageError(
                f"{source}: declares {width} x {height} pixels, more than {MAX_PIXELS:,}; if you trust the "
                "file, allow it with --allow-large (allow_large=True)"
            )
        needed = _WHOLE_BYTES * width * height + len(data)
        if memory is not None and needed > memory:
            raise ImageError(
                f"{source}: {width} x {height} pixels of this format are decoded as a whole, which takes "
                f"{needed / 1e9:.2f} GB of memory, {memory / 1e9:.2f} GB are allowed; allow more with "
                f"--memory, or write the photo as PNG or TIFF{_hint(data)}"
            )

    pixels, alpha, is_color, reader = _decode(data, source, check_size)
    with _naming(source):
        weights = None if alpha is None else as_weights(alpha)
    reader["alpha"] = "none" if alpha is None else "opaque" if weights is None else "weight"
    digest = hashlib.sha256(data).hexdigest()
    return Photo(pixels, weights, is_color, name, source, digest, reader, weights)


def _hint(data: bytes) -> str:
    """Return what else helps against a format that is decoded as a whole."""
    return f"; {formats.SCALE_EXTRA} decodes JPEG row by row" if data.startswith(jpeg.SIGNATURE) else ""


def _decode(
    data: bytes, source: str, check_size: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray | None, bool, dict[str, Any]]:
    """Return pixels (M, N, D), alpha (M, N) or None, whether the pixels are colors, and what was done."""
    if formats.is_raw(source):
        developed, how = formats.read_raw(data, source, check_size)
        return developed, None, True, how
    formats.register_format(data, source)
    if is_tiff(data) and (tiff := read_tiff(data, source, check_size)) is not None:
        return _from_tiff(tiff, source)
    with pillow_errors(source), opened(io.BytesIO(data)) as image:
        check_size(*image.size)
        reader: dict[str, Any] = {"format": image.format or "unknown"}
        profile = image.info.get("icc_profile")
        header = png_header(data)
        if header and header.is_deep and (profile is None or is_srgb(profile)):
            array, has_alpha = read_deep(data, header, source)
            orientation = image.getexif().get(ORIENTATION, UPRIGHT)
            array = oriented(array, orientation)
            reader |= {"orientation": orientation, "profile": described(profile), "depth": 16}
            return *split(array, has_alpha), True, reader
        image.load()
        tell_of_pages(getattr(image, "n_frames", 1) if image.format in _PAGED else 1)
        return _upright(image, source, reader)


def tell_of_pages(n_pages: int) -> None:
    """Warn of pages that are not read."""
    if n_pages > 1:
        warnings.warn(f"only the first of {n_pages} pages was read", SegmentWarning, stacklevel=2)


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Name the file in errors that know only its array."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def _from_tiff(tiff: Tiff, source: str) -> tuple[np.ndarray, np.ndarray | None, bool, dict[str, Any]]:
    tell_of_pages(tiff.pages)
    array = oriented(tiff.array, tiff.orientation)
    depth = 8 * array.dtype.itemsize
    reader = {"format": "TIFF", "orientation": tiff.orientation, "profile": "none", "depth": depth}
    if tiff.bands:
        return _bands(array, source), None, False, reader | {"bands": array.shape[2]}
    with _naming(source):
        array = checked_colors(array)
    if tiff.profile is None or is_srgb(tiff.profile):
        return *split(array, tiff.alpha), True, reader | {"profile": described(tiff.profile)}
    # Profiles are applied to 8 bits, as to 16-bit PNG.
    from PIL import Image

    colors, alpha = split(array, tiff.alpha)
    gray = tiff.array.shape[2] == 1 + tiff.alpha
    image = Image.fromarray(to_uint8(np.ascontiguousarray(colors[:, :, 0]) if gray else colors))
    converted, reader["profile"] = to_srgb(image, tiff.profile, "RGB")
    return np.asarray(converted), alpha, True, reader | {"depth": 8}


def _bands(array: np.ndarray, source: str) -> np.ndarray:
    """Check bands, and make floats of integers that photos do not have."""
    if array.dtype.kind in "iu" and array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    with _naming(source):
        return Photo.of(array, bands=True).pixels


def _upright(
    image: Any, source: str, reader: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray | None, bool, dict[str, Any]]:
    from PIL import ImageOps

    orientation = image.getexif().get(ORIENTATION, UPRIGHT)
    if orientation != UPRIGHT:
        image = ImageOps.exif_transpose(image)
    return from_pillow(image, source, reader | {"orientation": orientation})


def from_pillow(
    image: Any, source: str, reader: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray | None, bool, dict[str, Any]]:
    """Return an image, or rows of one, as `_decode` does: as it lies in the file, not turned upright."""
    profile = image.info.get("icc_profile")
    if image.mode == "F" or image.mode == "I":
        array = np.asarray(image, dtype=np.float32)
        return _bands(array, source), None, False, reader | {"profile": "none", "depth": 32, "bands": 1}
    reader["depth"] = 16 if image.mode.startswith("I;16") else 1 if image.mode == "1" else 8
    if image.mode.startswith("I;16"):
        reader["profile"] = "none"
        gray = np.asarray(image).astype(np.uint16)[:, :, None]
        key = image.info.get("transparency")
        return *split(gray if key is None else with_key(gray, [key]), key is not None), True, reader
    has_alpha = image.has_transparency_data
    image, reader["profile"] = to_srgb(image, profile, "RGBA" if has_alpha else "RGB")
    return *split(np.asarray(image), has_alpha), True, reader


def to_srgb(image: Any, profile: bytes | None, mode: str) -> tuple[Any, str]:
    """Convert an image to sRGB in `mode` through its ICC profile, if it has one that is not sRGB itself."""
    from PIL import ImageCms

    if profile is None or is_srgb(profile):
        # Converting an image to its own mode copies it.
        return image if image.mode == mode else image.convert(mode), described(profile)
    source = image.convert(mode) if image.mode in ("P", "PA", "1", "LA") else image
    if source.mode == "L" and mode == "RGBA":
        source = source.convert(mode)
    try:
        alpha = source.getchannel("A") if mode == "RGBA" and source.mode == "RGBA" else None
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        base = source.convert("RGB") if source.mode == "RGBA" else source
        srgb = ImageCms.createProfile("sRGB")
        converted: Any = ImageCms.profileToProfile(base, opened, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        warnings.warn(f"the embedded color profile was ignored: {error}", SegmentWarning, stacklevel=2)
        return image.convert(mode), f"{described(profile)}, ignored"
    if alpha is not None:
        converted = converted.convert("RGBA")
        converted.putalpha(alpha)
    return converted, f"{described(profile)}, converted to sRGB"


def described(profile: bytes | None) -> str:
    """Return the name that an ICC profile gives itself."""
    from PIL import ImageCms

    if profile is None:
        return "none"
    try:
        return (
            ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() or "unnamed"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "damaged"


def is_srgb(profile: bytes) -> bool:
    """Tell whether an ICC profile is that of sRGB, by its name."""
    return "srgb" in described(profile).lower()


def split(array: np.ndarray, has_alpha: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (M, N, 3) colors and the alpha channel of gray or color channels with or without alpha."""
    alpha = array[:, :, -1] if has_alpha else None
    colors = array[:, :, :-1] if has_alpha else array
    if colors.shape[2] == 1:
        colors = np.repeat(colors, 3, axis=2)
    return np.ascontiguousarray(colors), alpha


def oriented(array: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (1 .. 8) to an array (M, N, D)."""
    if orientation in SIDEWAYS:
        array = array.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(
        orientation, (1, 1)
    )
    return array[::rows, ::columns]


@contextmanager
def opened(file: str | os.PathLike[str] | BinaryIO) -> Iterator[Any]:
    """Open an image with Pillow, whatever size it declares: sizes are judged here, not there."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(file) as image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def pillow_errors(source: str) -> Iterator[None]:
    """Turn what decoders raise on bad files into an `ImageError`."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except (SegmentError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{source}: not an image, or damaged from its beginning; JPEG, PNG, WebP, BMP, GIF, TIFF, "
            "AVIF, HEIC and camera raw can be read"
        ) from error
    except Exception as error:
        # Pillow's decoders raise nearly every exception there is on damaged files.
        raise ImageError(f"{source}: damaged or truncated ({error}); try another copy of the file") from error
