"""Outputs of a watched clip: each takes frames as they come and is closed at the end, or before it."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Callable
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import OutputError
from segment.output import atomic_path
from segment.video.draw import draw_heatmap, draw_overlay
from segment.video.page import Page
from segment.video.portrait import Portrait
from segment.video.read import import_av
from segment.video.scores import MOVING
from segment.video.watch import Seen

# A portrait is taken of every so-manieth frame.
_EVERY = 5
# Time base of a written clip: divides all usual rates.
_TICKS = 90_000
_CODECS = {
    "overlay": ("libx264", "yuv420p", {"crf": "20", "preset": "veryfast"}),
    "ffv1": ("ffv1", "gray", {}),
}


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels as PNG, atomically."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, compress_level=1)


@contextmanager
def _naming(path: Path) -> Any:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); free space or choose another folder"
        ) from error


class Masks:
    """``masks/000001.png``: 0 background, 127 shadow, 255 moving."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder, self.n = folder / "masks", 0

    def add(self, seen: Seen) -> None:
        save_image(self.folder / f"{seen.frame.number:06d}.png", seen.mask)
        self.n += 1

    def close(self) -> list[Path]:
        return [self.folder] if self.n else []


class PortraitImage:
    """``background.png``: the color of each pixel for most of the time."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.path, self.portrait, self.n = folder / "background.png", None, 0

    def add(self, seen: Seen) -> None:
        if self.n % _EVERY == 0:
            self.portrait = self.portrait or Portrait(seen.mask.shape)
            self.portrait.add(seen.frame.pixels)
        self.n += 1

    def close(self) -> list[Path]:
        if self.portrait is None:
            return []
        save_image(self.path, self.portrait.colors())
        return [self.path]

    portrait: Portrait | None


class Heatmap:
    """``heatmap.png``: how often each pixel moved."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.path, self.counts, self.n = folder / "heatmap.png", None, 0

    def add(self, seen: Seen) -> None:
        if self.counts is None:
            self.counts = np.zeros(seen.mask.shape, np.int64)
        self.counts += seen.mask == MOVING
        self.n += 1

    def close(self) -> list[Path]:
        from segment.style import save_figure

        if self.counts is None:
            return []
        save_figure(draw_heatmap(self.counts / self.n), self.path)
        return [self.path]

    counts: np.ndarray | None


class Areas:
    """``areas.csv``: a row for every thing in every frame."""

    HEADER = ("frame", "time", "id", "x", "y", "width", "height", "area", "center_x", "center_y")

    def __init__(self, folder: Path, rate: float) -> None:
        self.path, self.stream = folder / "areas.csv", None
        self.temporary = _beside(self.path)

    def _begin(self) -> Any:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = self.temporary.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(stream, lineterminator="\n")
        self.writer.writerow(self.HEADER)
        return stream

    def add(self, seen: Seen) -> None:
        number, time = seen.frame.number, f"{seen.frame.time:.4f}"
        with _naming(self.path):
            self.stream = self.stream or self._begin()
            for t in seen.things:
                center = [f"{value:.2f}" for value in t.center]
                self.writer.writerow([number, time, t.id, t.x, t.y, t.width, t.height, t.area, *center])

    def close(self) -> list[Path]:
        if self.stream is None:
            return []
        with _naming(self.path):
            self.stream.close()
            os.replace(self.temporary, self.path)
        return [self.path]

    stream: Any


class Movie:
    """A clip that is encoded as it goes; frames keep their times."""

    def __init__(self, path: Path, kind: str, rate: float, draw: Callable[[Seen], np.ndarray]) -> None:
        self.path, self.kind, self.rate, self.draw = path, kind, rate, draw
        self.av = import_av(path.name)
        self.temporary, self.container, self.stream, self.last = _beside(path), None, None, -1

    def _begin(self, shape: tuple[int, ...]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        codec, form, options = _CODECS[self.kind]
        self.container = self.av.open(str(self.temporary), "w")
        stream = self.container.add_stream(codec, rate=Fraction(self.rate).limit_denominator(1001))
        # H.264 halves the resolution of colors: both sides must be even.
        stream.width, stream.height = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
        stream.pix_fmt, stream.options = form, options
        stream.codec_context.time_base = Fraction(1, _TICKS)
        self.stream = stream

    def add(self, seen: Seen) -> None:
        pixels = self.draw(seen)
        with _naming(self.path):
            if self.stream is None:
                self._begin(pixels.shape)
            pad = [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)] * (pixels.ndim - 2)
            pixels = np.ascontiguousarray(np.pad(pixels, pad, mode="edge"))
            frame = self.av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.ndim == 3 else "gray")
            self.last = max(round(seen.frame.time * _TICKS), self.last + 1)
            frame.pts, frame.time_base = self.last, Fraction(1, _TICKS)
            self.container.mux(self.stream.encode(frame))

    def close(self) -> list[Path]:
        if self.container is None:
            return []
        try:
            with _naming(self.path):
                self.container.mux(self.stream.encode())
                self.container.close()
                os.replace(self.temporary, self.path)
        finally:
            self.temporary.unlink(missing_ok=True)
        return [self.path]

    container: Any
    stream: Any


class Model:
    """``model.npz``: all that was learned, to go on with."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.path, self.background = folder / "model.npz", None

    def add(self, seen: Seen) -> None:
        self.background = seen.background

    def close(self) -> list[Path]:
        if self.background is None:
            return []
        self.background.save(self.path)
        return [self.path]

    background: Any


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")


def _overlay(folder: Path, rate: float) -> Movie:
    return Movie(
        folder / "overlay.mp4",
        "overlay",
        rate,
        lambda seen: draw_overlay(seen.frame.pixels, seen.mask, seen.things),
    )


def _lossless(folder: Path, rate: float) -> Movie:
    return Movie(folder / "masks.mkv", "ffv1", rate, lambda seen: seen.mask)


# Kind of output -> (what makes it, the name of its file or folder).
OUTPUTS: dict[str, tuple[Callable[[Path, float], Any], str]] = {
    "masks": (Masks, "masks"),
    "ffv1": (_lossless, "masks.mkv"),
    "background": (PortraitImage, "background.png"),
    "overlay": (_overlay, "overlay.mp4"),
    "areas": (Areas, "areas.csv"),
    "heatmap": (Heatmap, "heatmap.png"),
    "page": (Page, "index.html"),
    "model": (Model, "model.npz"),
}
