"""New images of digits, one in a picture or many in an IDX file, stood in the frame that MNIST's stand in."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from segment.digits.digit_set import as_uint8
from segment.digits.idx import looks_like_idx, read_idx
from segment.digits.normalize import ink_on_dark, normalize, to_frame
from segment.errors import DatasetError


def read_new_images(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image file of one digit, or an IDX file of many.

    Returns
    -------
    (n, 28, 28) uint8 ndarray
        Ink bright; dark ink on paper is inverted. IDX images of 28 x 28 keep their place; all others are
        scaled to a box of 20 x 20 and centered by mass, as MNIST was.

    Raises
    ------
    DatasetError
        If the file is neither, or is damaged.
    """
    path = Path(path)
    if looks_like_idx(path):
        images = read_idx(path)
        if images.ndim != 3:
            raise DatasetError(f"{path}: IDX of shape {images.shape}, expected (n, rows, columns) images")
        return to_frame(np.array([ink_on_dark(image) for image in as_uint8(images, str(path))]))
    return normalize(ink_on_dark(_read_gray(path)))[None]


def _read_gray(path: Path) -> np.ndarray:
    """Read any image that Pillow knows as gray; what is transparent shows white paper."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "no image file that can be read"
        raise DatasetError(f"{path}: {reason}; expected a PNG or another image, or an IDX file") from error
    paper = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(paper, image).convert("L"))
