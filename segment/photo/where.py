"""Where a photo counts: within a mask and a region, and not where it has ignored colors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from segment.errors import DataError, ImageError
from segment.output import Stamp, stamp_of
from segment.parallel import block_ranges, map_blocks
from segment.photo.colors import hex_code, to_features
from segment.photo.photo import Photo
from segment.photo.read import read_photo
from segment.photo.shapes.raster import covered
from segment.photo.shapes.read import holds_shapes, read_shapes

_ROWS = 256


@dataclass(frozen=True)
class IgnoredColor:
    """A color that counts nothing, and what is near it.

    Attributes
    ----------
    color : (int, int, int)
        sRGB.
    tolerance : float
        Largest distance in CIE Lab (Delta E of 1976); 0 for the color alone.
    """

    color: tuple[int, int, int]
    tolerance: float = 0.0

    @classmethod
    def parse(cls, text: str) -> IgnoredColor:
        """Read "COLOR" or "COLOR~tolerance", the color as CSS spells it: #ffffff, white.

        Raises
        ------
        DataError
            If it is neither.
        """
        from PIL import ImageColor

        name, has_tolerance, number = text.partition("~")
        try:
            red, green, blue = ImageColor.getrgb(name.strip())[:3]
            tolerance = float(number) if has_tolerance else 0.0
        except ValueError as error:
            raise DataError(
                f"{text!r} is no color; allowed are CSS colors with or without a tolerance in Delta E, like "
                "#ffffff, white~5"
            ) from error
        if not 0 <= tolerance <= 1000:
            raise DataError(f"{text!r}: the tolerance must lie from 0 to 1000")
        return cls((red, green, blue), tolerance)

    def matches(self, display: np.ndarray) -> np.ndarray:
        """Return which pixels have the color, (h, N) bool, of sRGB (h, N, 3) uint8."""
        if self.tolerance == 0:
            return (display == np.array(self.color, dtype=np.uint8)).all(axis=2)
        lab = to_features(display.reshape(-1, 3), "lab", n_jobs=1)
        center = to_features(np.array([self.color], dtype=np.uint8), "lab", n_jobs=1)
        near = np.square(lab - center).sum(axis=1) <= self.tolerance**2
        return near.reshape(display.shape[:2])


@dataclass(frozen=True)
class Where:
    """Which part of a photo counts.

    Attributes
    ----------
    mask : str or None
        A picture of the photo's size (0 counts nothing, other values are weights, the largest of them 1), or
        polygons (GeoJSON, labelme, SVG).
    region : (x, y, width, height) or None
        In pixels.
    ignored : tuple of IgnoredColor
    """

    mask: str | None = None
    region: tuple[int, int, int, int] | None = None
    ignored: tuple[IgnoredColor, ...] = ()

    @property
    def is_everywhere(self) -> bool:
        """Whether the whole photo counts."""
        return self == Where()

    def placed(self, shape: tuple[int, int], source: str, is_color: bool, mask: Mask | None = None) -> Placed:
        """Return what holds for photos of some rows and columns.

        Parameters
        ----------
        shape : (int, int)
        source : str
            The photo's, for errors.
        is_color : bool
        mask : callable, optional
            In the place of what this reads from the mask's file.

        Raises
        ------
        ImageError
            If the mask is of another size, empty or damaged, the region reaches out of the photo, or colors
            are ignored in a photo of bands.
        """
        if self.region is not None:
            _check_region(self.region, shape, source)
        if self.ignored and not is_color:
            raise ImageError(
                f"{source}: holds bands, not colors: none can be ignored (--nodata leaves out values)"
            )
        if self.mask is not None and mask is None:
            mask = _mask_of(self.mask, shape, source)
        return Placed(self, mask)

    def facts(self) -> dict[str, object]:
        """Return what the sidecar says of it, without the mask's name: its content decides."""
        ignored = [f"{hex_code(color.color)}~{color.tolerance:g}" for color in self.ignored]
        return {"region": self.region, "ignore": ignored or None}


# From the first row and the row after the last to weights, (h, N).
Mask = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Placed:
    """Which part of photos of one shape counts; `mask` gives the weights of rows."""

    where: Where
    mask: Mask | None

    def weigh(self, start: int, display: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return weights of some rows, (h, N), each with its reason.

        Parameters
        ----------
        start : int
            The first row.
        display : (h, N, 3) uint8 ndarray
            As the rows are shown.
        """
        found: list[tuple[str, np.ndarray]] = []
        stop = start + len(display)
        if self.mask is not None:
            found.append(("mask", self.mask(start, stop)))
        if self.where.region is not None:
            x, y, width, height = self.where.region
            inside = np.zeros(display.shape[:2], dtype=np.float32)
            inside[max(y - start, 0) : max(y + height - start, 0), x : x + width] = 1
            found.append(("region", inside))
        if self.where.ignored:
            ignored = [color.matches(display) for color in self.where.ignored]
            found.append(("ignore", (~np.any(ignored, axis=0)).astype(np.float32)))
        return found


def product(weights: list[tuple[str, np.ndarray]]) -> tuple[np.ndarray, dict[str, int]]:
    """Return the product of some weights, (h, N) float32, and how many pixels each reason leaves out.

    A pixel is counted for the first of its reasons.
    """
    total = np.ones(weights[0][1].shape, dtype=np.float32)
    outside: dict[str, int] = {}
    for reason, weight in weights:
        before = int(np.count_nonzero(total))
        total *= weight
        outside[reason] = outside.get(reason, 0) + before - int(np.count_nonzero(total))
    return total, outside


def chosen(photo: Photo, where: Where, *, n_jobs: int | None = None) -> Photo:
    """Return a photo of which only a part counts.

    Parameters
    ----------
    photo : Photo
    where : Where
    n_jobs : int, optional

    Returns
    -------
    Photo
        Pixels outside have weight 0, and are shown as they were; `reader["outside"]` counts them by reason.

    Raises
    ------
    ImageError
        As `Where.placed`; or if nothing is left.
    """
    if where.is_everywhere:
        return photo
    placed = where.placed(photo.shape, photo.source, photo.is_color)
    weight = np.empty(photo.shape, dtype=np.float32)

    def weigh(rows: tuple[int, int]) -> dict[str, int]:
        part = slice(*rows)
        given = [] if photo.weight is None else [("transparent", photo.weight[part])]
        weight[part], outside = product([*given, *placed.weigh(rows[0], photo.display[part])])
        return outside

    parts = map_blocks(weigh, block_ranges(photo.shape[0], _ROWS), n_jobs)
    outside = {reason: sum(part[reason] for part in parts) for reason in parts[0]}
    if not weight.any():
        raise nothing_left(outside, photo.n_pixels, photo.source)
    return replace(photo, weight=weight, reader=photo.reader | {"outside": outside})


def nothing_left(outside: dict[str, int], n_pixels: int, source: str) -> ImageError:
    """Return the error of a photo of which nothing counts."""
    reasons = ", ".join(f"{reason} {n}" for reason, n in outside.items() if n)
    return ImageError(
        f"{source}: all {n_pixels} pixels are left out ({reasons}); there is nothing to segment"
    )


def _check_region(region: tuple[int, int, int, int], shape: tuple[int, int], source: str) -> None:
    x, y, width, height = region
    if min(x, y) < 0 or min(width, height) < 1 or x + width > shape[1] or y + height > shape[0]:
        raise ImageError(
            f"{source}: the region x {x} to {x + width}, y {y} to {y + height} reaches out of the photo, "
            f"which has {shape[1]} x {shape[0]} pixels; --region takes x,y,width,height"
        )


def _mask_of(path: str, shape: tuple[int, int], source: str) -> Mask:
    """Return a mask that lies in memory: pixels, or polygons that are filled row by row."""
    if holds_shapes(path):
        return polygon_mask(path, shape)
    values = mask_values(path)
    if values.shape != shape:
        raise ImageError(
            f"{path}: the mask has {values.shape[1]} x {values.shape[0]} pixels, {source} has {shape[1]} x "
            f"{shape[0]}; they must agree"
        )
    return lambda start, stop: values[start:stop]


def polygon_mask(path: str, shape: tuple[int, int]) -> Mask:
    """Return what fills the polygons of a file for photos of some rows and columns."""
    polygons = [drawn for drawn in read_shapes(path, shape) if not drawn.is_stroke]
    if not polygons:
        raise ImageError(f"{path}: holds lines, but no polygon; a mask needs areas")

    def fill(start: int, stop: int) -> np.ndarray:
        parts = [covered(polygon, (start, stop), shape[1]) for polygon in polygons]
        return np.any(parts, axis=0).astype(np.float32)

    return fill


def mask_values(path: str) -> np.ndarray:
    """Read a mask, (M, N) float32: its alpha, or else its largest channel, so that the largest value is 1."""
    return _read_mask(path, stamp_of(path))


@lru_cache(maxsize=1)
def _read_mask(path: str, stamp: Stamp) -> np.ndarray:
    # Read once for all photos of a batch.
    try:
        photo = read_photo(path, allow_large=True)
    except ImageError as error:
        if "fully transparent" in str(error):
            raise ImageError(f"{path}: the mask is empty: fully transparent") from error
        raise
    values = photo.pixels.max(axis=2) if photo.weight is None else photo.weight
    check_range(path, float(values.min()), float(values.max()))
    return values.astype(np.float32) / np.float32(values.max())


def check_range(path: str, low: float, high: float) -> None:
    """Refuse a mask of these least and largest values with an `ImageError`."""
    if not (np.isfinite(high) and low >= 0):
        raise ImageError(f"{path}: the mask holds values that are negative or not finite")
    if high == 0:
        raise ImageError(f"{path}: the mask is empty: 0 everywhere; pixels that count need other values")
