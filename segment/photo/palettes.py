"""Palettes that people bring: colors as text, and files of GIMP, Adobe, CSS, JSON and this program."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import DataError, SegmentError
from segment.output import refuse_special_file

FORMATS = "GIMP (.gpl), Adobe Swatch Exchange (.ase), CSS, JSON, or a model (.npz)"

# No palette is larger; a photo given by mistake is.
_MOST_BYTES = 10_000_000

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})(?![0-9a-z_-])", re.IGNORECASE)
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[),/]", re.IGNORECASE)


def read_palette(text: str | os.PathLike[str]) -> np.ndarray:
    """Return the colors that a text or a file names.

    Parameters
    ----------
    text : str or path
        "#hex,#hex,...", or a file: GIMP palette, Adobe Swatch Exchange, CSS (every color in it), JSON (what
        ``--save palette`` writes, or a list of codes or of triples 0 .. 255), or a model, whose own palette
        or means are taken.

    Returns
    -------
    (K, 3) uint8 ndarray
        sRGB, each color once, in their order.

    Raises
    ------
    DataError
        If there is no such file, it is damaged or of another kind, or names no color.
    """
    name = os.fspath(text)
    if name.lstrip().startswith("#") and not os.path.exists(name):
        colors = [_from_code(code.strip()) for code in name.split(",") if code.strip()]
    else:
        colors = _from_file(Path(name))
    if not colors:
        raise DataError(f"{name}: names no color; give {FORMATS}, or colors as '#1b2a41,#ccc'")
    return np.array(list(dict.fromkeys(map(tuple, colors))), dtype=np.uint8)


def _from_code(code: str) -> list[int]:
    if not _HEX.fullmatch(code):
        raise DataError(f"{code!r} is no color; colors are written #rgb or #rrggbb, with commas between them")
    digits = code[1:]
    if len(digits) in (3, 4):
        digits = "".join(2 * digit for digit in digits)
    if digits[6:] not in ("", "ff", "FF"):
        raise DataError(f"{code!r} is not opaque; a palette has opaque colors only: leave out {digits[6:]}")
    return [int(digits[i : i + 2], 16) for i in (0, 2, 4)]


def _from_file(path: Path) -> list[list[int]]:
    try:
        refuse_special_file(path)
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: too large for a palette ({path.stat().st_size / 1e6:.0f} MB)")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; give {FORMATS}, or colors as '#1b2a41,#ccc' (in quotes)"
        ) from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason})") from error
    try:
        return next(read for starts, read in _READERS if data.lstrip().startswith(starts))(data, path)
    except SegmentError as error:
        named = str(path) in str(error)
        raise DataError(str(error) if named else f"{path}: {error}") from error
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: a damaged palette ({error}); allowed are {FORMATS}") from error


def _from_gimp(data: bytes, path: Path) -> list[list[int]]:
    colors = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines()[1:], 2):
        if not line.strip() or re.match(r"\s*(#|[A-Za-z]+:)", line):
            continue
        values = line.split()[:3]
        if len(values) < 3 or not all(re.fullmatch(r"\d{1,3}", v) and int(v) < 256 for v in values):
            raise DataError(f"line {number} is {line.strip()!r}; three numbers from 0 to 255 are needed")
        colors.append([int(value) for value in values])
    return colors


def _from_adobe(data: bytes, path: Path) -> list[list[int]]:
    """Read Adobe Swatch Exchange: blocks of a type and a length; colors have a name, a model, values."""
    data = data.lstrip()
    (n_blocks,) = struct.unpack_from(">I", data, 8)
    colors, at = [], 12
    for _ in range(n_blocks):
        kind, size = struct.unpack_from(">HI", data, at)
        at += 6
        if at + size > len(data):
            raise DataError("a damaged palette: it is cut off")
        if kind == _ADOBE_COLOR:
            colors.append(_adobe_color(data[at : at + size]))
        at += size
    return colors


_ADOBE_COLOR = 1


def _adobe_color(block: bytes) -> list[int]:
    (n_letters,) = struct.unpack_from(">H", block)
    name = block[2 : 2 + 2 * n_letters].decode("utf-16-be", "replace").rstrip("\0")
    model = block[2 + 2 * n_letters : 6 + 2 * n_letters].decode("ascii", "replace").strip()
    counts = {"RGB": 3, "Gray": 1}
    if model not in counts:
        raise DataError(f"swatch {name!r} is of model {model}; RGB and Gray can be read: convert it to RGB")
    values = struct.unpack_from(f">{counts[model]}f", block, 6 + 2 * n_letters)
    if not all(0 <= value <= 1 for value in values):
        raise DataError(f"swatch {name!r} has the values {values}; they must lie in [0, 1]")
    return [round(255 * value) for value in (values if len(values) == 3 else 3 * values)]


def _from_json(data: bytes, path: Path) -> list[list[int]]:
    found = json.loads(data)
    if isinstance(found, dict):
        found = found["colors"] if "colors" in found else found["palette"]
    return [_from_json_color(color) for color in found]


def _from_json_color(color: Any) -> list[int]:
    if isinstance(color, dict):
        color = color["hex"] if "hex" in color else color["rgb"]
    if isinstance(color, str):
        return _from_code(color)
    if len(color) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
        raise DataError(f"{color!r} is no color; codes like '#1b2a41' and triples from 0 to 255 are")
    return list(color)


def _from_css(data: bytes, path: Path) -> list[list[int]]:
    text = re.sub(r"/\*.*?\*/", " ", data.decode("utf-8"), flags=re.DOTALL)
    return list(_css_colors(text))


def _css_colors(text: str) -> Iterator[list[int]]:
    """Yield the colors among the values of a style sheet; a selector may be #abc too."""
    values = " ".join(re.findall(r":([^:;{}]*)(?=[;}])", text)) if "{" in text else text
    for found in re.finditer(f"{_HEX.pattern}|{_RGB.pattern}", values, re.IGNORECASE):
        if found[1] is None:
            yield _from_code(found[0])
        elif max(map(int, found.groups())) > 255:
            raise DataError(f"{found[0]!r} is no color; its values lie between 0 and 255")
        else:
            yield [int(value) for value in found.groups()]


def _from_model(data: bytes, path: Path) -> list[list[int]]:
    from segment.photo.colors import BANDS, nearest_colors
    from segment.photo.model import PhotoModel

    model = PhotoModel.load(path)
    if model.color_space == BANDS:
        raise DataError("a model of bands, which are no colors; give one of colors")
    palette = model.palette
    return (
        nearest_colors(model.parameters.means, model.color_space) if palette is None else palette
    ).tolist()


# What a file begins with, and what reads it; the last one takes whatever is left.
_READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes, Path], list[list[int]]]], ...] = (
    (b"GIMP Palette", _from_gimp),
    (b"ASEF", _from_adobe),
    (b"PK", _from_model),
    ((b"[", b"{"), _from_json),
    (b"", _from_css),
)
