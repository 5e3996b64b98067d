"""Hints: which pixels a person has given a class."""

from __future__ import annotations

import colorsys
import os
from dataclasses import dataclass

import numpy as np

from segment.errors import ImageError
from segment.photo.colors import hex_code
from segment.photo.photo import Photo, to_uint8
from segment.photo.read import read_photo
from segment.photo.shapes.raster import covered
from segment.photo.shapes.read import holds_shapes, read_shapes
from segment.photo.shapes.shape import Shape

# More colors than this are no classes, but the blended edges of strokes.
MOST_CLASSES = 32

# Width of strokes that have none of their own, as a share of the photo's shorter side.
_STROKE = 1 / 160


@dataclass(frozen=True, eq=False)
class Hints:
    """Pixels of known class.

    Attributes
    ----------
    classes : (M, N) int32 ndarray
        Class of each pixel that has a hint, -1 elsewhere.
    palette : (C, 3) uint8 ndarray
        sRGB color of each class.
    names : tuple of str
        The color's code, where the file names no class.
    """

    classes: np.ndarray
    palette: np.ndarray
    names: tuple[str, ...]

    @property
    def counts(self) -> np.ndarray:
        """Number of pixels of each class, (C,)."""
        return np.bincount(self.classes[self.classes >= 0], minlength=len(self.names))

    def within(self, photo: Photo, source: str) -> Hints:
        """Return the hints where a photo counts.

        Raises
        ------
        ImageError
            If they are of another size, or a class has none left.
        """
        if self.classes.shape != photo.shape:
            raise ImageError(
                f"{source}: the hints have {self.classes.shape[1]} x {self.classes.shape[0]} pixels, "
                f"{photo.source} has {photo.shape[1]} x {photo.shape[0]}; they must agree"
            )
        if photo.counts is None:
            return self
        left = Hints(np.where(photo.counts, self.classes, np.int32(-1)), self.palette, self.names)
        if not left.counts.all():
            name = self.names[int(left.counts.argmin())]
            raise ImageError(f"{source}: all hints of {name} lie where {photo.source} does not count")
        return left


def read_hints(path: str | os.PathLike[str], shape: tuple[int, int]) -> Hints:
    """Read hints for a photo of some rows and columns.

    Parameters
    ----------
    path : path
        A picture of the photo's size, one color a class, black or transparent where there is no hint; or
        strokes and polygons (GeoJSON, labelme, SVG), classes by their names or else by their colors.
    shape : (int, int)

    Raises
    ------
    ImageError
        If the file is missing, damaged or of another size, its shapes lie outside or cross themselves, or it
        gives fewer than two classes or too many.
    """
    source = os.fspath(path)
    found = _of_shapes(source, shape) if holds_shapes(path) else _of_picture(source)
    if found.classes.shape != shape:
        # Said before colors are judged: a photo given by mistake has both wrong.
        raise ImageError(
            f"{source}: the hints have {found.classes.shape[1]} x {found.classes.shape[0]} pixels, the photo "
            f"has {shape[1]} x {shape[0]}; they must agree"
        )
    n = len(found.names)
    if n < 2:
        got = f"one class only ({found.names[0]})" if n else "no hint: every pixel is black or transparent"
        raise ImageError(f"{source}: {got}; draw in two colors at least, one a class")
    if n > MOST_CLASSES:
        raise ImageError(
            f"{source}: has {n} colors, more than {MOST_CLASSES} classes; draw each class in one color with "
            "hard edges, and save as PNG (JPEG blends colors)"
        )
    return found


def _of_picture(source: str) -> Hints:
    photo = read_photo(source, allow_large=True)
    if not photo.is_color:
        raise ImageError(f"{source}: holds bands, not colors; hints are drawn in colors")
    pixels = to_uint8(photo.pixels).astype(np.int32)
    codes = (pixels[:, :, 0] << 16) | (pixels[:, :, 1] << 8) | pixels[:, :, 2]
    if photo.opacity is not None:
        # Half transparent are the edges of strokes.
        codes[photo.opacity < 1] = 0
    values, classes = np.unique(codes, return_inverse=True)
    classes = classes.reshape(codes.shape).astype(np.int32) - int(values[0] == 0)
    values = values[values > 0]
    palette = np.stack([values >> 16, (values >> 8) & 255, values & 255], axis=1).astype(np.uint8)
    return Hints(classes, palette, tuple(hex_code(color) for color in palette))


def _of_shapes(source: str, shape: tuple[int, int]) -> Hints:
    shapes = read_shapes(source, shape)
    names = sorted({_class_of(drawn) for drawn in shapes})
    classes = np.full(shape, -1, dtype=np.int32)
    colors: dict[str, tuple[int, int, int]] = {}
    for drawn in shapes:
        name = _class_of(drawn)
        # Of shapes that overlap, the later ones lie above.
        width = max(1.0, min(shape) * _STROKE)
        classes[covered(drawn, (0, shape[0]), shape[1], width)] = names.index(name)
        if drawn.color is not None:
            colors.setdefault(name, drawn.color)
    palette = [colors.get(name) or _hue(k) for k, name in enumerate(names)]
    found = Hints(classes, np.array(palette, dtype=np.uint8), tuple(names))
    if not found.counts.all():
        raise ImageError(f"{source}: {names[int(found.counts.argmin())]} covers no pixel; draw it larger")
    return found


def _class_of(drawn: Shape) -> str:
    return drawn.name or (hex_code(drawn.color) if drawn.color else "unnamed")


def _hue(k: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((0.6 + 0.618034 * k) % 1, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
