"""One look for all figures: colors that color-blind readers can tell apart, quiet axes, undated files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from segment.output import atomic_path
from segment.words import language, shown, speaking

# Okabe & Ito's palette (its yellow left out: it vanishes on white), then tints of it for longer lists.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
    "#7B5B3A",
    "#5E3C99",
)
# Fonts for each language beside English, the best first, under the names that systems know them by.
FONTS = {
    "zh": (
        "Noto Sans CJK SC",
        "Noto Sans SC",
        "Source Han Sans SC",
        "Source Han Sans CN",
        "PingFang SC",
        "Hiragino Sans GB",
        "Heiti SC",
        "Heiti TC",
        "Microsoft YaHei",
        "SimHei",
        "DengXian",
        "WenQuanYi Micro Hei",
        "WenQuanYi Zen Hei",
        "Noto Sans CJK JP",
        "Arial Unicode MS",
        "SimSun",
    )
}
INK = "#222222"
FAINT = "#9A9A9A"
DPI = 130

# What each format would otherwise write of the day and the machine; None leaves an entry out.
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "segment"},
    ".pdf": {"Creator": "segment", "Producer": "segment", "CreationDate": None},
    ".svg": {"Creator": "segment", "Date": None},
}


def new_figure(
    width: float = 6.4, height: float = 4.2, *, layout: Literal["constrained", "compressed"] = "constrained"
) -> Any:
    """Return an empty `matplotlib.figure.Figure` of that size in inches; it knows no global state.

    Axes of equal scales need the layout "compressed", which "constrained" would cut the titles of.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def quiet_axes(axes: Any, title: str = "", x: str = "", y: str = "") -> Any:
    """Label axes, in the language in force, and take away the frame's top and right side."""
    axes.set_title(shown(title), fontsize=10)
    axes.set_xlabel(shown(x), fontsize=9)
    axes.set_ylabel(shown(y), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def quiet_legend(axes: Any, **options: Any) -> Any:
    """Add a legend without a frame."""
    return axes.legend(**{"fontsize": 8, "frameon": False, "handlelength": 1.6, **options})


def speak(figure: Any) -> None:
    """Turn a figure's plain words into the language in force."""
    if language() == "en":
        return
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(shown(text.get_text()))


@cache
def font_for(name: str) -> str | None:
    """Return a font of this system that has the signs of a language; None if there is none."""
    from matplotlib import font_manager

    def found() -> str | None:
        names = {font.name for font in font_manager.fontManager.ttflist}
        return next((family for family in FONTS[name] if family in names), None)

    if family := found():
        return family
    # Matplotlib's list is as old as its cache: the font may have been installed since.
    listed = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - listed):
        with suppress(Exception):  # whatever a broken font file raises
            font_manager.fontManager.addfont(path)
    return found()


@contextmanager
def drawing() -> Iterator[None]:
    """Let figures speak the language in force within the block, or English where no font has its signs."""
    import matplotlib

    if language() == "en":
        yield
        return
    font = font_for(language())
    families = ["DejaVu Sans", font] if font else ["DejaVu Sans"]
    with speaking(language() if font else "en"), matplotlib.rc_context({"font.family": families}):
        yield


def save_formats(
    figure: Any, stem: str | os.PathLike[str], formats: Sequence[str] = ("png",), dpi: int = DPI
) -> list[Path]:
    """Write a figure as ``stem.png`` and so on; return the paths.

    The layout is computed once, not once a format: it is most of the time.
    """
    speak(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    paths = [Path(f"{os.fspath(stem)}.{suffix}") for suffix in formats]
    for path in paths:
        save_figure(figure, path, dpi)
    return paths


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int = DPI) -> None:
    """Write a figure, atomically and without a date, so that equal figures are equal files.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Its suffix chooses the format: .png, .pdf or .svg.
    dpi : int
        Pixels an inch, of a PNG and of what a vector file holds as pixels.
    """
    import matplotlib

    metadata = _METADATA.get(Path(path).suffix.lower(), {})
    # Without a salt the names inside an SVG are random; fonttype 42 keeps the text of a PDF searchable.
    with (
        matplotlib.rc_context({"svg.hashsalt": "segment", "pdf.fonttype": 42}),
        atomic_path(path) as temporary,
    ):
        figure.savefig(temporary, metadata=metadata, dpi=dpi)
