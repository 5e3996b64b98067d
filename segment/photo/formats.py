"""Formats that need an extra: HEIF (HEIC), AVIF where Pillow was built without it, camera raw."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import ImageError

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
AVIF_SUFFIXES = frozenset({".avif"})
RAW_SUFFIXES = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw"})
SUFFIXES = HEIF_SUFFIXES | AVIF_SUFFIXES | RAW_SUFFIXES

HEIF_EXTRA = "pip install 'segment-em[heif]'"
SCALE_EXTRA = "pip install 'segment-em[scale]'"
RAW_EXTRA = "pip install 'segment-em[raw]'"

# Brands of the ISO base media format, in the first box of a file.
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def register_format(data: bytes, source: str) -> None:
    """Let Pillow know a format that it may need an extra for.

    Raises
    ------
    ImageError
        If the extra is not installed; it says how to install it.
    """
    if data[4:8] != b"ftyp":
        return
    size = int.from_bytes(data[:4], "big")
    # The major brand of an AVIF may be a general one.
    brands = {data[at : at + 4] for at in (8, *range(16, min(size, len(data), 256), 4))}
    if brands & _AVIF_BRANDS:
        _check_avif(source)
    elif brands & _HEIF_BRANDS:
        try:
            from pillow_heif import register_heif_opener
        except ImportError as error:
            raise ImageError(f"{source}: reading HEIC needs pillow-heif: {HEIF_EXTRA}") from error
        register_heif_opener()


def _check_avif(source: str) -> None:
    from PIL import features

    if not features.check("avif"):
        raise ImageError(f"{source}: this Pillow cannot read AVIF: pip install --upgrade 'pillow>=11.3'")


def is_raw(source: str) -> bool:
    """Tell whether a file is of a camera's own format, by its name: most of them are TIFF inside."""
    return Path(source).suffix.lower() in RAW_SUFFIXES


def read_raw(
    data: bytes, source: str, check_size: Callable[[int, int], None]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Develop the content of a raw file with the white balance of the camera.

    Returns
    -------
    pixels : (M, N, 3) uint8 ndarray
        sRGB, turned upright.
    reader : dict
        What was done.

    Raises
    ------
    ImageError
        If rawpy is not installed, or LibRaw cannot read the file.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImageError(f"{source}: reading camera raw needs rawpy: {RAW_EXTRA}") from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            check_size(raw.sizes.width, raw.sizes.height)
            pixels = raw.postprocess(use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB, output_bps=8)
    except rawpy.LibRawError as error:
        raise ImageError(
            f"{source}: damaged, or of a camera that LibRaw does not know ({_words(error)}); try a JPEG of it"
        ) from error
    reader = {"format": "camera raw", "orientation": 1, "profile": "developed to sRGB", "depth": 8}
    return np.ascontiguousarray(pixels), reader


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else error
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
