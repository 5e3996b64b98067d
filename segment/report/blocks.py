"""What a report's page is made of: sections of blocks, plain data that the template turns into HTML."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from segment.errors import SegmentError
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Table
from segment.output import data_uri

# CSS pixels an inch.
_CSS = 96


@dataclass(frozen=True)
class Image:
    """An embedded image.

    Attributes
    ----------
    uri : str
        A data URI.
    width, height : int
        In CSS pixels.
    alt : str
        What is to be seen.
    """

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Prose:
    """Paragraphs."""

    kind: ClassVar[str] = "prose"
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class LessonBlock:
    """What is to be known before the findings of an experiment can be read."""

    kind: ClassVar[str] = "lesson"
    lesson: Lesson


@dataclass(frozen=True)
class References:
    """The list at the end: (key, reference)."""

    kind: ClassVar[str] = "references"
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Figure:
    """A numbered figure; its caption can be read alone."""

    kind: ClassVar[str] = "figure"
    name: str
    caption: str
    image: Image


@dataclass(frozen=True)
class TableBlock:
    """A numbered table."""

    kind: ClassVar[str] = "table"
    table: Table


@dataclass(frozen=True)
class Palette:
    """Colors, as hexadecimal codes, each with a share as text."""

    kind: ClassVar[str] = "palette"
    colors: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Findings:
    """What was found, a sentence an item."""

    kind: ClassVar[str] = "findings"
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Checks:
    """What was expected and what came out."""

    kind: ClassVar[str] = "checks"
    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Replay:
    """EM to be replayed: a slider over the iterations. `data` is what the page's script draws from."""

    kind: ClassVar[str] = "replay"
    name: str
    caption: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Compare:
    """Two images of one size on top of one another, with a slider between them."""

    kind: ClassVar[str] = "compare"
    name: str
    caption: str
    before: Image
    after: Image


@dataclass(frozen=True)
class Frames:
    """Images of one size of which a slider shows one; each has a label of its own."""

    kind: ClassVar[str] = "frames"
    name: str
    caption: str
    slider: str
    labels: tuple[str, ...]
    images: tuple[Image, ...]
    first: int = 0


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes
    ----------
    name : str
        Its anchor.
    title : str
    blocks : tuple
    record : dict
        What `report.json` holds of it.
    error : str or None
        Why it failed; it then has no blocks.
    problems : tuple of str
        What of it failed while the rest came out, naming the input.
    warnings : tuple of str
        What was warned of while it was made.
    """

    name: str
    title: str
    blocks: tuple[Any, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def reason(error: Exception) -> str:
    """Return why something failed, in a line: the class belongs to it where the error is not for users."""
    return str(error) if isinstance(error, SegmentError) else f"{type(error).__name__}: {error}"


def embedded_figure(path: Path, alt: str, dpi: int) -> Image:
    """Embed the PNG of a figure that was written at `dpi`, in its size on paper."""
    from PIL import Image as Pillow

    with Pillow.open(path) as image:
        width, height = (round(side * _CSS / dpi) for side in image.size)
    return Image(data_uri(path.read_bytes(), "png"), width, height, alt)


def embedded_photo(pixels: np.ndarray, alt: str, longest: int, few_colors: bool = False) -> Image:
    """Embed pixels, reduced to `longest` on the longer side: as PNG if they have few colors, else as JPEG.

    Parameters
    ----------
    pixels : (M, N, 3) uint8 ndarray
    alt : str
    longest : int
    few_colors : bool
        Up to 256: reduced without blending them.
    """
    from PIL import Image as Pillow

    image = Pillow.fromarray(pixels)
    scale = min(1.0, longest / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    filtering = Pillow.Resampling.NEAREST if few_colors else Pillow.Resampling.LANCZOS
    image = image.resize(size, filtering) if scale < 1 else image
    stream = io.BytesIO()
    if few_colors:
        image.convert("P", palette=Pillow.Palette.ADAPTIVE).save(stream, "PNG", optimize=True)
        return Image(data_uri(stream.getvalue(), "png"), *size, alt)
    image.save(stream, "JPEG", quality=85, optimize=True)
    return Image(data_uri(stream.getvalue(), "jpeg"), *size, alt)
