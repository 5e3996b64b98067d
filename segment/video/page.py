"""A page about a watched clip: when how much moved, and a few of its frames."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segment.output import write_text
from segment.video.draw import draw_heatmap, draw_overlay, draw_timeline
from segment.video.portrait import Portrait, Thinned, Timeline
from segment.video.scores import MOVING
from segment.video.watch import Seen

_N_FRAMES, _SHOWN = 9, 640


class PageImage(NamedTuple):
    """An embedded image and what it shows."""

    uri: str
    caption: str


def _embed(data: bytes, kind: str, caption: str) -> PageImage:
    return PageImage(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", caption)


def _embedded_pixels(pixels: np.ndarray, caption: str) -> PageImage:
    from PIL import Image

    image, stream = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((_SHOWN, _SHOWN))
    image.save(stream, "JPEG", quality=85)
    return _embed(stream.getvalue(), "jpeg", caption)


def _embedded_figure(figure: Any, caption: str) -> PageImage:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": "segment"})
    return _embed(stream.getvalue(), "png", caption)


class Page:
    """``index.html``: a timeline, frames evenly over the clip, the background; memory does not grow."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.path, self.timeline, self.frames = folder / "index.html", Timeline(), Thinned(_N_FRAMES)
        self.counts: np.ndarray | None = None
        self.portrait: Portrait | None = None
        self.n, self.end = 0, 0.0

    def add(self, seen: Seen) -> None:
        if self.counts is None:
            self.counts, self.portrait = np.zeros(seen.mask.shape, np.int64), Portrait(seen.mask.shape)
        moving = seen.mask == MOVING
        self.counts += moving
        self.timeline.add(seen.frame.time, float(moving.mean()))
        if self.n % 5 == 0 and self.portrait is not None:
            self.portrait.add(seen.frame.pixels)
        if self.frames.wants_next():
            drawn = draw_overlay(seen.frame.pixels, seen.mask, seen.things)
            caption = f"frame {seen.frame.number}, {seen.frame.time:.1f} s: {_things(len(seen.things))}"
            self.frames.add(_embedded_pixels(drawn, caption))
        self.n, self.end = self.n + 1, seen.frame.time

    def close(self) -> list[Path]:
        if self.counts is None or self.portrait is None:
            return []
        times, shares = self.timeline.curve()
        mean = float(np.mean(shares))
        parts = [
            (
                "When it moved",
                [_embedded_figure(draw_timeline(times, shares), "share of the frame that moves, by time")],
            ),
            ("Frames", self.frames.items),
            (
                "Where it moved",
                [_embedded_figure(draw_heatmap(self.counts / self.n), "how often each pixel moved")],
            ),
            (
                "What stays",
                [_embedded_pixels(self.portrait.colors(), "the color of each pixel for most of the time")],
            ),
        ]
        lead = f"{self.n} frames, {self.end:.1f} s; {100 * mean:.2f} % of the picture moves on average."
        write_text(self.path, _render("What moves", lead, parts))
        return [self.path]


def _things(n: int) -> str:
    return "nothing moves" if n == 0 else f"{n} thing{'s' if n > 1 else ''} moving"


def _render(title: str, lead: str, parts: list[Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segment", "video"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(title=title, lead=lead, parts=parts)
