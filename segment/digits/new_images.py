"""New images of digits, in pictures or IDX files, stood in the frame that MNIST's stand in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.digits.digit_set import as_uint8
from segment.digits.idx import looks_like_idx, read_idx
from segment.digits.normalize import FRAME, ink_on_dark, normalize, to_frame
from segment.digits.sheet import INK, cut_sheet, separation, thicken
from segment.errors import DatasetError

# Ink over more than this share of the picture is no pen's.
MAX_COVER = 0.6
# A picture that falls into pieces and is parted from its ground less well than this is a photo
# (docs/decisions/no-digits.md).
MIN_SEPARATION = 0.84
# Integers of more than 8 bits are scaled from the smallest depth that holds them: cameras and scanners
# write 10, 12 and 14 bits as 16.
DEPTHS = (8, 10, 12, 14, 16)


@dataclass(frozen=True)
class NewImages:
    """Digits that were found in a file.

    Attributes
    ----------
    images : (n, 28, 28) uint8 ndarray, ink bright on a dark ground
        All 0 where an image of an IDX file, or a page, has no ink.
    pages : (n,) int64 ndarray
        The page of the file that each was found on, from 0; an IDX file has one.
    n_pages : int
    is_cut : bool
        Whether several digits were found in a picture, or on its pages.
    """

    images: np.ndarray
    pages: np.ndarray
    n_pages: int = 1
    is_cut: bool = False

    @property
    def has_ink(self) -> np.ndarray:
        """Whether there is any ink, (n,) bool."""
        return self.images.max(axis=(1, 2)) > 0


def read_new_images(path: str | os.PathLike[str]) -> NewImages:
    """Read the digits of an image file (one or a sheet of them, every page), or those of an IDX file.

    Returns
    -------
    NewImages
        Dark ink on paper is inverted. IDX images of 28 x 28 keep their place; all others are scaled to a
        box of 20 x 20 and centered by mass, as MNIST was. A sheet is read in rows, left to right.

    Raises
    ------
    DatasetError
        If the file is neither, is damaged, has no ink at all, or is a picture of something else.
    """
    path = Path(path)
    if looks_like_idx(path):
        images = read_idx(path)
        if images.ndim != 3 or images.size == 0:
            raise DatasetError(f"{path}: IDX of shape {images.shape}, expected (n, rows, columns) images")
        framed = to_frame(np.array([ink_on_dark(image) for image in as_uint8(images, str(path))]))
        new = NewImages(framed, np.zeros(len(framed), np.int64))
    else:
        found = [_digits_of_page(gray, path, page) for page, gray in enumerate(_read_pages(path))]
        pages = np.repeat(np.arange(len(found)), [len(each) for each in found])
        new = NewImages(np.concatenate(found), pages, len(found), len(pages) > 1)
    if not new.has_ink.any():
        raise DatasetError(f"{path}: no ink: every image is of one gray; expected digits")
    return new


def _digits_of_page(gray: np.ndarray, path: Path, page: int) -> np.ndarray:
    try:
        return _digits_of(gray)
    except DatasetError as error:
        where = f"{path}, page {page + 1}" if page else path
        size = f"{gray.shape[1]} x {gray.shape[0]}"
        raise DatasetError(
            f"{where}: no digits: {error} in the {size} picture; expected dark digits on light paper, "
            "or light ones on a dark ground, lit evenly"
        ) from error


def _digits_of(gray: np.ndarray) -> np.ndarray:
    """Return the digits of a page, framed; one that is all 0 where it is blank."""
    ink = ink_on_dark(gray)
    if not ink.any():
        return np.zeros((1, FRAME, FRAME), np.uint8)
    is_framed = ink.shape == (FRAME, FRAME)
    if not is_framed:
        ink = np.rint(ink * (255 / ink.max())).astype(np.uint8)
    cover = np.count_nonzero(ink >= INK) / ink.size
    if cover > MAX_COVER:
        raise DatasetError(f"ink covers {cover:.0%}")
    if is_framed:
        return normalize(ink)[None]
    cut = cut_sheet(ink)
    if len(cut) > 1 and separation(ink) < MIN_SEPARATION:
        raise DatasetError("many grays, as photos have,")
    return np.stack([normalize(thicken(piece)) for piece in cut])


def _read_pages(path: Path) -> Iterator[np.ndarray]:
    """Yield every page of any image that Pillow knows as (height, width) uint8 gray, EXIF applied."""
    from PIL import Image, ImageOps, ImageSequence

    try:
        with Image.open(path) as opened:
            for page in ImageSequence.Iterator(opened):
                yield _gray(ImageOps.exif_transpose(page), path)
    except DatasetError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "no image file that can be read"
        raise DatasetError(f"{path}: {reason}; expected a PNG or another image, or an IDX file") from error


def _gray(image: Any, path: Path) -> np.ndarray:
    """Scale any depth to 8 bits; where something is transparent, opacity is part of the ink."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled(np.asarray(image).astype(np.float64), image.mode, path)
    if not image.has_transparency_data:
        return np.asarray(image.convert("L"))
    pixels = np.asarray(image.convert("RGBA").convert("LA"))
    gray, alpha = pixels[:, :, 0].astype(np.float64), pixels[:, :, 1] / 255
    if alpha.max() == 0:
        return np.zeros(gray.shape, np.uint8)
    # The ground is what ink is not: white ink on nothing is read against black.
    ground = 0.0 if (gray * alpha).sum() > 127 * alpha.sum() and alpha.min() == 0 else 255.0
    return np.rint(gray * alpha + ground * (1 - alpha)).astype(np.uint8)


def _scaled(values: np.ndarray, mode: str, path: Path) -> np.ndarray:
    """Map values to 0 .. 255: floats and negative ones from their own range, others from their depth."""
    if not np.isfinite(values).all():
        raise DatasetError(f"{path}: holds NaN or infinity; expected finite gray values")
    low, high = float(values.min()), float(values.max())
    fitting = [2**depth - 1 for depth in DEPTHS if high < 2**depth]
    if mode != "F" and low >= 0 and fitting:
        low, high = 0.0, float(fitting[0])
    return np.rint((values - low) * (255 / max(high - low, np.finfo(float).tiny))).astype(np.uint8)
