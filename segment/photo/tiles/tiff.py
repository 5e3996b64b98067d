"""TIFF of every size by its tiles or strips: BigTIFF, COG, OME-TIFF, SVS, NDPI and plain ones."""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segment.errors import ImageError, SegmentWarning
from segment.photo.read import ORIENTATION, SIDEWAYS, UPRIGHT
from segment.photo.tiff import COLOR_KINDS, PREMULTIPLIED, STRAIGHT, is_tiff, upright_colors
from segment.photo.tiles.grid import EXTRA, BadTile, Grid, Layout, MissingTile, Place, checked_level

_REDUCED, _MASK = 1, 4
_PROFILE = 34675
_GEO_TAGS = {33550: "d", 33922: "d", 34264: "d", 34735: "H", 34736: "d", 34737: "s"}
_SCALE, _TIES, _MATRIX = 33550, 33922, 34264
_END_OF_JPEG = b"\xff\xd9"
_JPEG = frozenset({6, 7, 34892, 33007})
_CENTIMETER = 3

# Bytes that are read at once of uncompressed rows, about.
_PLAIN_BYTES = 1 << 22


class _Plane(NamedTuple):
    """Where some channels lie: a page, and the number of its first tile."""

    page: Any
    first: int


def recognizes(path: Path) -> bool:
    """Tell whether a file begins as a TIFF or BigTIFF does."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return is_tiff(stream.read(4))


def open_grid(source: str, path: Path, level: int, _memory: int | None = None) -> Grid:
    """Open a level of a TIFF.

    Raises
    ------
    ImageError
        If it is damaged, or of a kind that is not read by tiles.
    """
    import tifffile

    file = None
    try:
        file = tifffile.TiffFile(path)
        levels = _levels(file)
        checked_level(source, level, len(levels), [series.name.lower() for series in _beside(file)])
        return Tiff(source, path, file, levels, level)
    except BaseException as error:
        if file is not None:
            file.close()
        if isinstance(error, (ImageError, MemoryError)) or not isinstance(error, Exception):
            raise
        # A damaged TIFF makes tifffile fail in ways of every kind.
        raise ImageError(
            f"{source}: cannot read this TIFF ({error}); try another copy of the file"
        ) from error


def _levels(file: Any) -> list[list[Any]]:
    """Return the pages of each level of the first image, the largest first."""
    series = file.series[0]
    if len(series.levels) > 1:
        return [_pages_of(level) for level in series.levels]
    first = file.pages[0]
    below = first.pages if first.subifds else ()
    others = [
        page for page in [*(below or ()), *file.pages[1:]] if _kind(page) & (_REDUCED | _MASK) == _REDUCED
    ]
    beside = {page.index for series in _beside(file) for page in series.pages}
    alike = [[page] for page in others if page.index not in beside and _is_smaller(page, first)]
    return [_pages_of(series), *sorted(alike, key=lambda pages: -pages[0].imagewidth)]


def _is_smaller(page: Any, first: Any) -> bool:
    """Tell whether a page may be another one made smaller: labels say that they are reduced too."""
    sides = [(page.imagelength, first.imagelength), (page.imagewidth, first.imagewidth)]
    factor = min(large / small for small, large in sides)
    # A side may have been rounded up, at each of several steps.
    fits = all(abs(large / factor - small) <= 2 for small, large in sides)
    return fits and factor > 1 and page.samplesperpixel == first.samplesperpixel


def _beside(file: Any) -> list[Any]:
    """Return what slide scanners store beside the photo: the whole glass, what is written on it."""
    return [series for series in file.series[1:] if series.name in ("Thumbnail", "Label", "Macro", "Map")]


def _kind(page: Any) -> int:
    """Return the bits of NewSubfileType."""
    return int(getattr(page, "subfiletype", 0) or 0)


def _pages_of(series: Any) -> list[Any]:
    """Return the pages of a series that are channels of one plane; the others are told of."""
    planes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"]
    n_channels = planes[-1][1] if planes and planes[-1][0] == "C" else 1
    pages = [page for page in series.pages if page is not None]
    # One page may hold all channels of a plane, or each its own.
    n_taken = min(n_channels, len(pages))
    if n_taken < len(pages):
        warnings.warn(
            f"only the first of {len(pages) // n_taken} planes was read", SegmentWarning, stacklevel=2
        )
    return pages[:n_taken]


def _place(file: Any, page: Any, factor: tuple[float, float]) -> Place:
    """Return the pixel size and the map's tags; those of a level below are stretched by `factor`."""
    tags = []
    for code, kind in _GEO_TAGS.items():
        if code in page.tags:
            value = page.tags[code].value
            tags.append((code, kind, 0 if kind == "s" else len(value), _stretched(code, value, factor)))
    scale = next((value for code, _, _, value in tags if code == _SCALE), None)
    if scale:
        return Place((float(scale[1]), float(scale[0])), "", tuple(tags))
    size = _micrometers(file, page)
    if size is None:
        return Place(tags=tuple(tags))
    return Place((size[0] * factor[0], size[1] * factor[1]), "micrometer", tuple(tags))


def _turned(place: Place, orientation: int, source: str) -> Place:
    """Return where the pixels of a photo lie that is turned as it is read."""
    if orientation != UPRIGHT and place.tags:
        raise ImageError(
            f"{source}: its orientation tag is {orientation}, and it lies on a map; only upright ones (1) "
            "do so without doubt: turn it with another program"
        )
    size = place.pixel_size
    return place._replace(pixel_size=size[::-1] if size and orientation in SIDEWAYS else size)


def _stretched(code: int, value: Any, factor: tuple[float, float]) -> Any:
    """Return a tag of the map for pixels that are larger by `factor` (rows, columns)."""
    rows, columns = factor
    if code == _SCALE:
        return (value[0] * columns, value[1] * rows, *value[2:])
    if code == _TIES:
        by = np.tile([1 / columns, 1 / rows, 1, 1, 1, 1], len(value) // 6)
        return tuple((np.asarray(value) * by).tolist())
    if code == _MATRIX:
        return tuple((np.asarray(value) * np.tile([columns, rows, 1, 1], 4)).tolist())
    return value


def _micrometers(file: Any, page: Any) -> tuple[float, float] | None:
    """Return height and width of a pixel of the largest level where the file states them as a length."""
    text = file.ome_metadata or ""
    sizes = [re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', text) for axis in "YX"]
    units = re.findall(r'PhysicalSize[XY]Unit="([^"]*)"', text)
    if all(sizes) and set(units) <= {"µm", "μm", "um"}:
        down, across = (float(found[1]) for found in sizes if found)
        return down, across
    if found := re.search(r"MPP\s*=\s*([0-9.]+)", page.description or ""):
        return float(found[1]), float(found[1])
    if int(page.tags.valueof(296, 1)) == _CENTIMETER and 282 in page.tags and 283 in page.tags:
        ratios = [page.tags[code].value for code in (283, 282)]
        if all(above and below for above, below in ratios):
            down, across = (1e4 * below / above for above, below in ratios)
            return down, across
    return None


def _is_plain(page: Any) -> bool:
    """Tell whether a page is rows one after the other, so that strips of any height can be read."""
    kind = page.dtype is not None and page.dtype.kind in "uif" and page.bitspersample in (8, 16, 32, 64)
    is_contig = int(page.planarconfig) == 1 or page.samplesperpixel == 1
    return bool(kind and is_contig and not page.is_tiled and page.is_contiguous and len(page.shape) <= 3)


class Tiff:
    """A level of a TIFF; tiles are read under a lock and decoded outside of it."""

    def __init__(
        self,
        source: str,
        path: Path,
        file: Any,
        levels: list[list[Any]],
        level: int,
        lock: threading.Lock | None = None,
        orientation: int | None = None,
    ) -> None:
        self._file, self._path, self._source = file, path, source
        self._lock = lock or threading.Lock()
        pages = levels[level]
        key = self._page = pages[0].keyframe
        first = levels[0][0].keyframe
        self._planes = [_Plane(page, 0) for page in pages]
        self._separate = int(key.planarconfig) == 2 and key.samplesperpixel > 1
        shape = self._shape = (int(key.imagelength), int(key.imagewidth))
        turned = orientation or int(first.tags.valueof(ORIENTATION, UPRIGHT))
        tile = (
            (int(key.tilelength), int(key.tilewidth)) if key.is_tiled else (int(key.rowsperstrip), shape[1])
        )
        self._is_plain = len(pages) == 1 and _is_plain(key)
        if self._is_plain:
            tile = (max(1, _PLAIN_BYTES // (shape[1] * key.samplesperpixel * key.dtype.itemsize)), shape[1])
        self._tile = (min(tile[0], shape[0]), min(tile[1], shape[1]))
        self._across = -(-shape[1] // tile[1])
        if self._separate:
            self._planes = [
                _Plane(pages[0], k * self._across * -(-shape[0] // tile[0]))
                for k in range(key.samplesperpixel)
            ]
        self._colors = _Colors(source, key, len(pages))
        key.init_decode()
        nodata = first.tags.get(42113)
        factor = (first.imagelength / shape[0], first.imagewidth / shape[1])
        self.layout = Layout(
            source,
            "TIFF",
            shape[::-1] if turned in SIDEWAYS else shape,
            self._tile,
            self._colors.channels,
            self._colors.dtype,
            self._colors.is_color,
            self._colors.has_alpha,
            None if nodata is None else _number(nodata.value),
            first.tags.valueof(_PROFILE) if self._colors.is_color else None,
            level,
            len(levels),
            _turned(_place(file, first, factor), turned, source),
            self._facts(key) | ({} if turned == UPRIGHT else {"orientation": turned}),
            turned,
        )
        self.mask: Grid | None = self._mask_of(file, shape, turned)

    def _facts(self, key: Any) -> dict[str, Any]:
        kind = "tiles" if key.is_tiled else "strips"
        compression = getattr(key.compression, "name", str(key.compression)).lower()
        return {"compression": compression, kind: list(self._tile), "bigtiff": bool(self._file.is_bigtiff)}

    def _mask_of(self, file: Any, shape: tuple[int, int], turned: int) -> Grid | None:
        """Return the file's own mask of this level: a page that says it is one."""
        for page in file.pages:
            if _kind(page) & _MASK and (page.imagelength, page.imagewidth) == shape:
                return (
                    Tiff(self._source, self._path, file, [[page]], 0, self._lock, turned)
                    if page is not self._page
                    else None
                )
        return None

    def read(self, row: int, column: int) -> np.ndarray:
        height = min(self._tile[0], self._shape[0] - row * self._tile[0])
        width = min(self._tile[1], self._shape[1] - column * self._tile[1])
        index = row * self._across + column
        if self._is_plain:
            return self._colors.converted(self._rows(row * self._tile[0], height))
        parts = [self._decoded(plane, index)[:height, :width] for plane in self._planes]
        return self._colors.converted(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2))

    def _rows(self, first: int, height: int) -> np.ndarray:
        """Return rows of a page whose strips follow each other uncompressed, whatever their height."""
        samples, page = self._page.samplesperpixel, self._page
        size = self._shape[1] * samples * page.dtype.itemsize
        data = self._bytes(page.dataoffsets[0] + first * size, height * size)
        values = np.frombuffer(data, page.dtype.newbyteorder(self._file.byteorder))
        values = values.reshape(height, self._shape[1], samples)
        return values.astype(page.dtype.newbyteorder("="), copy=False)

    def _bytes(self, offset: int, count: int) -> bytes:
        handle = self._file.filehandle
        with self._lock:
            handle.seek(offset)
            data = handle.read(count)
        if len(data) < count:
            raise BadTile(f"cut off: the file ends {count - len(data)} bytes too early")
        return data

    def _decoded(self, plane: _Plane, index: int) -> np.ndarray:
        page, number = plane.page, plane.first + index
        if number >= len(page.dataoffsets):
            raise MissingTile(f"missing: the file lists only {len(page.dataoffsets)} of them")
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not offset or not count:
            raise MissingTile("missing: the file leaves it out")
        data = self._bytes(offset, count)
        options = {}
        if int(self._page.compression) in _JPEG:
            # What is cut off within the stream, libjpeg fills with gray and says nothing.
            if _END_OF_JPEG not in data[-64:] and self._page.jpegheader is None:
                raise BadTile("cut off: its JPEG stream does not end")
            options = {"jpegtables": page.jpegtables, "jpegheader": self._page.jpegheader}
        try:
            values = self._page.decode(data, number, **options)[0]
        except Exception as error:
            # Codecs fail on damaged tiles in ways of every kind.
            if "imagecodecs" in str(error):
                raise ImageError(f"{self._source}: {error}: {EXTRA}") from error
            raise BadTile(f"damaged ({error})") from error
        return values[0]

    def files(self) -> Iterable[Path]:
        return [self._path]

    def close(self) -> None:
        self._file.close()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _Colors:
    """From a page's samples to gray or sRGB, with alpha if there is any, or to bands."""

    def __init__(self, source: str, page: Any, n_pages: int) -> None:
        self._kind = getattr(page.photometric, "name", str(page.photometric))
        self._bits, extra = page.bitspersample, tuple(page.extrasamples)
        samples = int(page.samplesperpixel) * n_pages
        expected = COLOR_KINDS.get(self._kind, 3)
        self.has_alpha = len(extra) == 1 and samples == expected + 1 and extra[0] in (PREMULTIPLIED, STRAIGHT)
        self._premultiplied = self.has_alpha and extra[0] == PREMULTIPLIED
        self._palette = None
        if page.dtype == bool:
            self._bits = 8
        self.channels, self.dtype = samples, np.dtype(page.dtype)
        # Pages that are channels of their own are bands, but for three of 8 bits.
        integer = self.dtype in (np.uint8, np.uint16, bool)
        self.is_color = samples == expected + self.has_alpha or (samples in (3, 4) and self.dtype == np.uint8)
        self.is_color = self.is_color and (integer or samples > 1)
        if self.is_color and (
            self._kind in ("SEPARATED", "CIELAB", "ICCLAB", "ITULAB")
            or (self._kind == "YCBCR" and int(page.compression) not in _JPEG)
        ):
            raise ImageError(f"{source}: its colors are {self._kind}; convert it to RGB with another program")
        if self._kind == "PALETTE":
            # Of 16 bits each; libtiff takes the upper byte, as Pillow does.
            self._palette = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
            self.channels, self.dtype = 3, np.dtype(np.uint8)
        if self.dtype == bool:
            self.dtype = np.dtype(np.uint8)

    def converted(self, values: np.ndarray) -> np.ndarray:
        """Return a tile as it is seen."""
        if self._palette is not None:
            return self._palette[values[:, :, 0]]
        if values.dtype == bool:
            values = values.astype(np.uint8) * np.uint8(255)
        if not self.is_color:
            return values
        return upright_colors(values, self._bits, self._kind == "MINISWHITE", self._premultiplied)
