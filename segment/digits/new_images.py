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
from segment.errors import DatasetError

# Of the tallest piece of ink: lower ones are specks, unless they are as wide.
MIN_HEIGHT = 0.3
# Of a pixel's full ink: what counts when pieces are told apart.
INK = 64
# A page of writing has no more digits than this; a texture falls into thousands of pieces.
MAX_DIGITS = 1000
# Ink over more than this share of the picture is no pen's.
MAX_COVER = 0.6


@dataclass(frozen=True)
class NewImages:
    """Digits that were found in a file.

    Attributes
    ----------
    images : (n, 28, 28) uint8 ndarray, ink bright on a dark ground
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
        If the file is neither, is damaged, or has an image without ink.
    """
    path = Path(path)
    if looks_like_idx(path):
        images = read_idx(path)
        if images.ndim != 3 or images.size == 0:
            raise DatasetError(f"{path}: IDX of shape {images.shape}, expected (n, rows, columns) images")
        framed = to_frame(np.array([ink_on_dark(image) for image in as_uint8(images, str(path))]))
        blank = np.flatnonzero(framed.max(axis=(1, 2)) == 0)
        if len(blank):
            raise DatasetError(f"{path}: image {blank[0]} has no ink ({len(blank)} such); leave them out")
        return NewImages(framed, np.zeros(len(framed), np.int64))
    found = [_digits_of(gray, _where(path, page)) for page, gray in enumerate(_read_pages(path))]
    pages = np.repeat(np.arange(len(found)), [len(each) for each in found])
    return NewImages(np.concatenate(found), pages, len(found), len(pages) > 1)


def _where(path: Path, page: int) -> str:
    return f"{path}, page {page + 1}" if page else str(path)


def _digits_of(gray: np.ndarray, where: str) -> np.ndarray:
    ink = ink_on_dark(gray)
    if not ink.any():
        raise DatasetError(f"{where}: no ink: the {_size(gray)} picture is of one gray; expected a digit")
    if ink.shape == (FRAME, FRAME) and np.count_nonzero(ink) <= MAX_COVER * ink.size:
        return normalize(ink)[None]
    if np.count_nonzero(ink >= INK) > MAX_COVER * ink.size:
        raise DatasetError(
            f"{where}: no digit: ink covers most of the {_size(gray)} picture; expected dark digits on "
            "light paper, or light ones on a dark ground"
        )
    cut = cut_sheet(ink)
    if len(cut) > MAX_DIGITS:
        raise DatasetError(
            f"{where}: no digits: {len(cut)} pieces of ink, at most {MAX_DIGITS} are read from a page"
        )
    return np.stack([normalize(piece) for piece in cut])


def _size(gray: np.ndarray) -> str:
    return f"{gray.shape[1]} x {gray.shape[0]}"


def cut_sheet(ink: np.ndarray) -> list[np.ndarray]:
    """Cut a sheet into its digits: connected pieces of ink, in rows, left to right.

    Pieces that stand above each other (the bar of a 5 and its bowl) are one digit; specks are left out.

    Parameters
    ----------
    ink : (height, width) uint8 ndarray, ink bright on a dark ground
    """
    from scipy.ndimage import find_objects, label

    labels, n = label(ink >= INK, np.ones((3, 3)))
    boxes = np.array([[[s.start, s.stop] for s in box] for box in find_objects(labels)]).reshape(n, 4)
    sizes = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])
    kept = np.flatnonzero(sizes >= MIN_HEIGHT * sizes.max())
    if len(kept) > MAX_DIGITS:
        return [ink] * len(kept)
    pieces = []
    for members in _ordered(_joined([(boxes[k], [k]) for k in kept], float(sizes.max()))):
        top, bottom, left, right = members[0]
        # Soft edges belong to the digit, ink of a neighbor does not.
        rows, columns = slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1)
        own = np.isin(labels[rows, columns], [0, *(np.array(members[1]) + 1)])
        pieces.append(np.where(own, ink[rows, columns], 0).astype(np.uint8))
    return pieces


def _joined(pieces: list[Any], size: float) -> list[Any]:
    """Join pieces that stand above each other within the height of one digit."""
    for i, (a, first) in enumerate(pieces):
        for j in range(i + 1, len(pieces)):
            b, second = pieces[j]
            shared = min(a[3], b[3]) - max(a[2], b[2])
            box = np.array([min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])])
            overlap = shared > 0.5 * min(a[3] - a[2], b[3] - b[2])
            gap = max(a[0], b[0]) - min(a[1], b[1])
            if overlap and gap < 0.15 * size and box[1] - box[0] <= 1.2 * size:
                return _joined(
                    [*pieces[:i], *pieces[i + 1 : j], *pieces[j + 1 :], (box, first + second)], size
                )
    return pieces


def _ordered(pieces: list[Any]) -> Iterator[Any]:
    """Yield pieces row by row: a piece whose middle is above the row's bottom belongs to the row."""
    left = sorted(pieces, key=lambda piece: tuple(piece[0]))
    while left:
        bottom = left[0][0][1]
        row = [piece for piece in left if (piece[0][0] + piece[0][1]) / 2 < bottom]
        left = [piece for piece in left if (piece[0][0] + piece[0][1]) / 2 >= bottom]
        yield from sorted(row, key=lambda piece: piece[0][2])


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
    """Map floats from their own range and integers of 16 or 32 bits from theirs to 0 .. 255."""
    if not np.isfinite(values).all():
        raise DatasetError(f"{path}: holds NaN or infinity; expected finite gray values")
    if mode != "F" and values.min() >= 0 and values.max() <= 65_535:
        return np.rint(values / 257).astype(np.uint8)
    low, high = values.min(), values.max()
    return np.rint((values - low) * (255 / max(high - low, np.finfo(float).tiny))).astype(np.uint8)
