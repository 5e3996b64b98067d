"""zarr arrays and OME-Zarr pyramids (versions 0.4 and 0.5)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.photo.tiles.grid import BadTile, Grid, Layout, MissingTile, Place, checked_level, needed

_MARKS = ("zarr.json", ".zarray", ".zgroup")
_MICROMETERS = {"micrometer": 1.0, "millimeter": 1e3, "nanometer": 1e-3, "meter": 1e6}


def recognizes(path: Path) -> bool:
    """Tell whether a folder is a zarr array or group."""
    return os.path.isdir(path) and any(os.path.isfile(path / mark) for mark in _MARKS)


def open_grid(source: str, path: Path, level: int, _memory: int | None = None) -> Grid:
    """Open an array of axes y, x and perhaps channels, or a level of an OME-Zarr pyramid."""
    zarr = needed("zarr", source, "reading zarr")
    try:
        node = zarr.open(str(path), mode="r")
        scales = _multiscales(node)
        levels = scales["datasets"] if scales else [{"path": ""}]
        checked_level(source, level, len(levels))
        array = node[levels[level]["path"]] if scales else node
    except ImageError:
        raise
    except Exception as error:
        # Damaged metadata make zarr fail in ways of every kind.
        raise ImageError(f"{source}: cannot read this zarr ({error}); try another copy") from error
    if not hasattr(array, "chunks"):
        raise ImageError(
            f"{source}: a zarr group without multiscales; give one of its arrays: "
            f"{', '.join(sorted(array.array_keys())) or 'there is none'}"
        )
    folder = path / levels[level]["path"]
    axes = _axes(source, array.shape, scales)
    return Zarr(source, folder, array, axes, (level, len(levels)), _place(scales, level))


def _multiscales(node: Any) -> dict[str, Any] | None:
    """Return what OME-Zarr says of a pyramid; None of a plain array or group."""
    attributes = dict(node.attrs)
    found = attributes.get("ome", attributes).get("multiscales")
    return found[0] if found else None


def _axes(source: str, shape: tuple[int, ...], scales: dict[str, Any] | None) -> str:
    """Return a letter an axis: y, x, c, and others of length 1 only."""
    if scales and "axes" in scales:
        axes = "".join(
            axis["name"][:1].lower() if isinstance(axis, dict) else axis for axis in scales["axes"]
        )
    else:
        channels_first = len(shape) == 3 and shape[0] < shape[2] and shape[0] <= 16
        axes = {2: "yx", 3: "cyx" if channels_first else "yxc"}.get(len(shape), "?" * len(shape))
    extra = [
        f"{axis} = {size}" for axis, size in zip(axes, shape, strict=True) if axis not in "yxc" and size > 1
    ]
    if extra or not {"y", "x"} <= set(axes):
        raise ImageError(
            f"{source}: has the axes {axes} and shape {shape}; y, x and channels are needed, any other axis "
            "of length 1: cut out one plane"
        )
    return axes


def _place(scales: dict[str, Any] | None, level: int) -> Place:
    """Return the pixel size that OME-Zarr states in a unit of length."""
    if not scales or not isinstance(scales["axes"][0], dict):
        return Place()
    units = [_MICROMETERS.get(axis.get("unit", ""), 0.0) for axis in scales["axes"] if axis["name"] in "yx"]
    names = [axis["name"] for axis in scales["axes"]]
    for transform in scales["datasets"][level].get("coordinateTransformations", ()):
        if transform.get("type") == "scale" and all(units) and len(units) == 2:
            scale = transform["scale"]
            size = scale[names.index("y")] * units[0], scale[names.index("x")] * units[1]
            return Place(size, "micrometer")
    return Place()


class Zarr:
    """A zarr array, its chunks (shards, if it has them) as tiles."""

    mask: Grid | None = None

    def __init__(
        self, source: str, folder: Path, array: Any, axes: str, level: tuple[int, int], place: Place
    ) -> None:
        self._array, self._axes, self._folder = array, axes, folder
        self._chunks = tuple(getattr(array, "shards", None) or array.chunks)
        size = dict(zip(axes, array.shape, strict=True))
        chunk = dict(zip(axes, self._chunks, strict=True))
        channels, dtype = size.get("c", 1), np.dtype(array.dtype).newbyteorder("=")
        self.layout = Layout(
            source,
            "OME-Zarr" if level[1] > 1 else "zarr",
            (size["y"], size["x"]),
            (min(chunk["y"], size["y"]), min(chunk["x"], size["x"])),
            channels,
            dtype,
            is_color=channels in (1, 3, 4) and dtype.kind == "u",
            has_alpha=channels == 4 and dtype.kind == "u",
            level=level[0],
            n_levels=level[1],
            place=place,
            facts={"chunks": list(self._chunks), "fill_value": str(array.fill_value)},
        )

    def read(self, row: int, column: int) -> np.ndarray:
        (height, width), place = self.layout.tile, {"y": row, "x": column}
        self._refuse_missing(place)
        start = {"y": row * height, "x": column * width}
        length = {"y": height, "x": width}
        cut = tuple(
            slice(start[a], start[a] + length[a]) if a in start else slice(None) if a == "c" else 0
            for a in self._axes
        )
        try:
            values = np.asarray(self._array[cut])
        except Exception as error:
            # Codecs fail on damaged chunks in ways of every kind.
            raise BadTile(f"damaged ({error})") from error
        kept = [a for a in self._axes if a in "yxc"]
        order = [kept.index(a) for a in "yxc" if a in kept]
        values = np.transpose(values, order).reshape(*(values.shape[kept.index(a)] for a in "yx"), -1)
        return np.ascontiguousarray(values, dtype=self.layout.dtype)

    def _refuse_missing(self, place: dict[str, int]) -> None:
        """Raise a `BadTile` where a chunk is no file: zarr would give its fill value without a word."""
        channels = (
            range(-(-self.layout.channels // self._chunks[self._axes.index("c")]))
            if "c" in self._axes
            else (0,)
        )
        for channel in channels:
            at = tuple(place.get(a, channel if a == "c" else 0) for a in self._axes)
            key = self._array.metadata.encode_chunk_key(at)
            if not (self._folder / key).is_file():
                raise MissingTile(
                    f"missing chunk {key}; if it was left out since it holds only the fill value "
                    f"{self._array.fill_value}, write it with write_empty_chunks, or mask it"
                )

    def files(self) -> Iterable[Path]:
        return sorted(path for path in self._folder.rglob("*") if os.path.isfile(path))

    def close(self) -> None:
        pass
