"""Files of shapes: what they are known by, and who reads which."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

from segment.errors import ImageError
from segment.output import refuse_special_file
from segment.photo.shapes.shape import Shape, check_shapes

SUFFIXES = (".svg", ".json", ".geojson")


def holds_shapes(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file holds shapes, not pixels."""
    return Path(path).suffix.lower() in SUFFIXES


def read_shapes(path: str | os.PathLike[str], shape: tuple[int, int]) -> list[Shape]:
    """Read polygons and strokes for a photo of some rows and columns.

    Parameters
    ----------
    path : path
        GeoJSON (polygons and lines, in pixels), labelme JSON, or SVG.
    shape : (int, int)

    Raises
    ------
    ImageError
        If the file is missing, damaged, of another kind or size, holds no shape, or one that crosses itself
        or lies outside the photo.
    """
    source = os.fspath(path)
    try:
        refuse_special_file(path)
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{source}: cannot be read ({reason})") from error
    if Path(path).suffix.lower() == ".svg":
        reader: Any = importlib.import_module("segment.photo.shapes.svg")
        shapes = reader.shapes_of(data, source, shape)
    else:
        shapes = _from_json(data, source, shape)
    if not shapes:
        raise ImageError(f"{source}: holds no polygon and no line")
    check_shapes(shapes, source, shape)
    return shapes


def _from_json(data: bytes, source: str, shape: tuple[int, int]) -> list[Shape]:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{source}: not JSON ({error}); GeoJSON and labelme JSON can be read") from error
    if not isinstance(facts, dict) or not ("shapes" in facts or "type" in facts):
        raise ImageError(f"{source}: JSON, but neither GeoJSON (a type) nor labelme (shapes)")
    name = "labelme" if "shapes" in facts else "geojson"
    reader: Any = importlib.import_module(f"segment.photo.shapes.{name}")
    try:
        return reader.shapes_of(facts, source, shape)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ImageError(f"{source}: damaged {name} ({type(error).__name__}: {error})") from error
