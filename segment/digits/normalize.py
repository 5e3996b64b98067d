"""Bring foreign images into the frame that MNIST's digits stand in: 28 x 28, ink bright, centered by mass."""

from __future__ import annotations

import numpy as np

FRAME = 28
BOX = 20


def to_frame(images: np.ndarray) -> np.ndarray:
    """Return images as (n, 28, 28) uint8; those that have that size already are left as they are.

    Parameters
    ----------
    images : (n, height, width) uint8 ndarray, ink bright on a dark ground
    """
    if images.shape[1:] == (FRAME, FRAME):
        return images
    return np.stack([normalize(image) for image in images])


def normalize(image: np.ndarray) -> np.ndarray:
    """Scale the ink's bounding box to 20 pixels on its longer side and center it by mass.

    Parameters
    ----------
    image : (height, width) uint8 ndarray, ink bright on a dark ground

    Returns
    -------
    (28, 28) uint8 ndarray
        All zero if `image` has no ink.
    """
    from PIL import Image

    rows, columns = np.nonzero(image.max(axis=1))[0], np.nonzero(image.max(axis=0))[0]
    frame = np.zeros((FRAME, FRAME), np.uint8)
    if not len(rows):
        return frame
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR))
    mass = small.sum(dtype=np.int64)
    center_y = (small.sum(axis=1, dtype=np.int64) @ np.arange(height)) / mass
    center_x = (small.sum(axis=0, dtype=np.int64) @ np.arange(width)) / mass
    top = int(np.clip(round((FRAME - 1) / 2 - center_y), 0, FRAME - height))
    left = int(np.clip(round((FRAME - 1) / 2 - center_x), 0, FRAME - width))
    frame[top : top + height, left : left + width] = small
    return frame


def ink_on_dark(image: np.ndarray) -> np.ndarray:
    """Return a gray image with its ground at 0 and its ink bright; dark ink on paper is inverted.

    The ground is the median of the border, so that paper need not be quite white.
    """
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    ground = int(np.median(border))
    values = image.astype(np.int32) - ground
    if ground > 127:
        values = -values
    values = np.maximum(values, 0)
    # Paper grain below a tenth of the strongest ink would widen the bounding box to the whole sheet.
    strongest = int(values.max())
    if ground:
        values[values < 0.1 * strongest] = 0
    return np.rint(values * (255 / max(strongest, 1)) if ground else values).astype(np.uint8)
