"""A photo in memory: pixels, their weights, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from segment.errors import ImageError

# Bands that are no colors are shown between these percentiles.
SHOWN = (2.0, 98.0)


@dataclass(frozen=True, eq=False)
class Photo:
    """Pixels and what is known of them; make it with `read_photo` or `Photo.of`.

    Attributes
    ----------
    pixels : (M, N, D) ndarray, C-contiguous
        uint8, uint16, or float. sRGB colors (D = 3; floats in [0, 1]) if `is_color`, else any bands.
    weight : (M, N) float ndarray, or None
        How much each pixel counts (its alpha, a mask, a sample weight, or their product); None if all count
        alike. Pixels of weight 0 take no part.
    is_color : bool
    name : str
        What outputs are named after.
    source : str
        What it was read from.
    sha256 : str or None
        Of the file.
    reader : dict
        What was done while reading.
    opacity : (M, N) float ndarray, or None
        How much of each pixel is seen: its alpha; None if all is. What takes no part is shown all the same.
    """

    pixels: np.ndarray
    weight: np.ndarray | None = None
    is_color: bool = True
    name: str = "photo"
    source: str = "array"
    sha256: str | None = None
    reader: dict[str, Any] = field(default_factory=dict)
    opacity: np.ndarray | None = None

    def __post_init__(self) -> None:
        # Read-only throughout: Numba compiles kernels for read-only and for writable arrays separately.
        object.__setattr__(self, "pixels", _read_only(self.pixels))

    @classmethod
    def of(cls, image: Any, *, bands: bool = False) -> Photo:
        """Take an array as it is.

        Parameters
        ----------
        image : (M, N), (M, N, 3), (M, N, 4) or (M, N, D) array
            Gray, sRGB, sRGB with alpha, or any other number of bands; bool, uint8, uint16, or float
            (colors in [0, 1]).
        bands : bool
            Take 3 or 4 channels as bands too, not as colors.

        Raises
        ------
        ImageError
            If it is no such array, is empty, holds NaN or infinity, or colors out of range.
        """
        try:
            array = np.asarray(image)
        except ValueError as error:
            raise ImageError(f"image is no array: {error}") from error
        array = _checked(array)
        if array.ndim == 2:
            array = array[:, :, None]
        channels = array.shape[2]
        is_color = not bands and channels in (1, 3, 4)
        if not is_color:
            return cls(np.ascontiguousarray(array), is_color=False)
        _check_range(array)
        weight = as_weights(array[:, :, 3]) if channels == 4 else None
        colors = np.repeat(array, 3, axis=2) if channels == 1 else array[:, :, :3]
        return cls(np.ascontiguousarray(colors), weight, opacity=weight)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1]

    @cached_property
    def counts(self) -> np.ndarray | None:
        """Which pixels take part, (M, N) bool; None if all do."""
        return None if self.weight is None else self.weight > 0

    @cached_property
    def shown(self) -> np.ndarray | None:
        """Which pixels are seen at all, (M, N) bool; None if all are."""
        return None if self.opacity is None else self.opacity > 0

    @cached_property
    def outside(self) -> np.ndarray | None:
        """Which pixels are seen, but do not count, (M, N) bool; None if there are none."""
        if self.counts is None:
            return None
        found = ~self.counts if self.shown is None else self.shown & ~self.counts
        return found if found.any() else None

    @cached_property
    def display(self) -> np.ndarray:
        """The photo as it is shown, (M, N, 3) uint8 sRGB."""
        if self.is_color:
            return _read_only(to_uint8(self.pixels))
        bands = self.pixels[:, :, [0, 0, 0] if self.pixels.shape[2] < 3 else [0, 1, 2]]
        low, high = np.percentile(bands[:: max(1, bands.shape[0] // 1000)], SHOWN, axis=(0, 1))
        spread = np.where(high > low, high - low, 1.0)
        return _read_only(to_uint8(np.clip((bands - low) / spread, 0.0, 1.0).astype(np.float32)))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Return uint8, uint16 or float ([0, 1]) values as uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.rint(pixels * 255.0).astype(np.uint8)


def as_weights(alpha: np.ndarray) -> np.ndarray | None:
    """Return an alpha channel as weights in [0, 1]; None if every pixel is opaque.

    Raises
    ------
    ImageError
        If every pixel is fully transparent.
    """
    top = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1.0
    if alpha.min() == top:
        return None
    if alpha.max() <= 0:
        raise ImageError("every pixel is fully transparent; there is nothing to segment")
    return alpha.astype(np.float32) / np.float32(top)


def checked_colors(array: np.ndarray) -> np.ndarray:
    """Return colors (with alpha, if they have it) of a type that photos have.

    Raises
    ------
    ImageError
        If they are of another type or shape, not finite, or floats beyond [0, 1]; it says what to do.
    """
    array = _checked(array)
    _check_range(array)
    return array


def _check_range(array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        top = next((top for top in (255, 65535) if high <= top), None)
        cure = "rescale them" if low < 0 or top is None else f"divide them by {top}"
        raise ImageError(
            f"image is {array.dtype} and reaches from {low:.4g} to {high:.4g}; float colors lie in [0, 1]: "
            f"{cure}, or give uint8 or uint16"
        )


def _checked(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3):
        raise ImageError(
            f"image has shape {array.shape}; (M, N), (M, N, 3), (M, N, 4) or (M, N, D) is needed"
        )
    if array.size == 0:
        raise ImageError(f"image has shape {array.shape}; it has no pixels")
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise ImageError(
            f"image holds {array.dtype}; bool, uint8, uint16, float32 and float64 are allowed: convert it to "
            "one of them (colors in float lie in [0, 1])"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = ~np.isfinite(array)
        row, column = (int(i) for i in np.argwhere(wrong)[0][:2])
        raise ImageError(
            f"{int(wrong.sum())} values of the image are not finite, the first at row {row}, "
            f"column {column}; replace them, or give those pixels a sample_weight of 0 and a finite color"
        )
    return array
