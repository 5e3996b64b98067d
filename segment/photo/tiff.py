"""TIFF files that Pillow cannot read: other depths than 8 bits, and any number of bands."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from segment.errors import ImageError

# What tifffile logs would come between our own lines: errors are raised, and told of in our words.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

COLOR_KINDS = {"RGB": 3, "MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "SEPARATED": 4}
PREMULTIPLIED, STRAIGHT = 1, 2
_ORIENTATION, _PROFILE = 274, 34675


class Tiff(NamedTuple):
    """The first image of a TIFF: `array` (M, N, D), and what its tags say of it.

    The orientation (1 .. 8) and the ICC profile are still to be applied; `alpha` tells whether the last
    channel is one, `bands` whether the channels are no colors.
    """

    array: np.ndarray
    bands: bool
    alpha: bool
    orientation: int
    profile: bytes | None
    pages: int


def is_tiff(data: bytes) -> bool:
    """Tell whether the file begins as a TIFF or BigTIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(data: bytes, source: str, check_size: Callable[[int, int], None]) -> Tiff | None:
    """Read the first image of a TIFF that needs more than Pillow.

    Parameters
    ----------
    data : bytes
    source : str
        Named in errors.
    check_size : callable
        Called with width and height before anything is decoded.

    Returns
    -------
    Tiff or None
        None where Pillow serves: up to four channels of 8 bits, and kinds of color other than gray and RGB.

    Raises
    ------
    ImageError
        If the file is damaged, or compressed in a way that cannot be read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            kind = getattr(page.photometric, "name", str(page.photometric))
            samples, extra = int(page.samplesperpixel), page.extrasamples
            # Bands that are no colors: more channels than the photometric kind has, and no single alpha.
            colors = COLOR_KINDS.get(kind, 3)
            alpha = len(extra) == 1 and samples == colors + 1 and extra[0] in (PREMULTIPLIED, STRAIGHT)
            bands = samples != colors + alpha
            if not bands and (
                page.dtype in (np.uint8, bool) or kind not in ("RGB", "MINISBLACK", "MINISWHITE")
            ):
                return None
            check_size(page.imagewidth, page.imagelength)
            array = _channels_last(page.asarray(), page.axes)
            tags = {code: page.tags[code].value for code in (_ORIENTATION, _PROFILE) if code in page.tags}
            pages, bits = len(file.pages), page.bitspersample
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        # A damaged TIFF makes tifffile fail in ways of every kind.
        hint = (
            "save it without compression" if "imagecodecs" in str(error) else "try another copy of the file"
        )
        raise ImageError(f"{source}: cannot read this TIFF ({error}); {hint}") from error
    if array.ndim != 3:
        raise ImageError(f"{source}: the TIFF holds an array of shape {array.shape}; a flat image is needed")
    if not bands:
        array = upright_colors(array, bits, kind == "MINISWHITE", alpha and extra[0] == PREMULTIPLIED)
    # A single channel of floats or signed integers measures something: heights, temperatures.
    bands = bands or (samples == 1 and array.dtype not in (np.uint8, np.uint16))
    return Tiff(array, bands, bool(alpha), int(tags.get(_ORIENTATION, 1)), tags.get(_PROFILE), pages)


def _channels_last(array: np.ndarray, axes: str) -> np.ndarray:
    if axes.startswith("S"):
        return np.moveaxis(array, 0, -1)
    return array[:, :, None] if axes == "YX" else array


def upright_colors(array: np.ndarray, bits: int, white_is_zero: bool, premultiplied: bool) -> np.ndarray:
    """Return colors over the full range, dark at zero, not multiplied by alpha; others as they are."""
    if array.dtype not in (np.uint8, np.uint16):
        return array
    top = np.iinfo(array.dtype).max
    if bits < 8 * array.dtype.itemsize:
        array = (array.astype(np.uint32) * top // (2**bits - 1)).astype(array.dtype)
    if white_is_zero:
        array = np.concatenate([top - array[:, :, :1], array[:, :, 1:]], axis=2)
    if premultiplied:
        alpha = array[:, :, -1:].astype(np.float64)
        straight = np.rint(array[:, :, :-1] * (top / np.maximum(alpha, 1))).clip(0, top)
        array = np.concatenate([straight.astype(array.dtype), array[:, :, -1:]], axis=2)
    return array
