"""The photo section: before and after, K from 2 to 8, and a sheet with palette and ICL for every photo."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.lab.outcome import Column, Table
from segment.lab.write import FORMATS, PRINT_DPI, write_tables
from segment.output import data_uri
from segment.photo import PhotoSegmentation, read_photo, segment_photo
from segment.photo.colors import hex_code
from segment.photo.draw import draw_overlay, draw_segmented, draw_sheet
from segment.photo.inputs import Input, find_inputs
from segment.photo.selection import SAMPLE_SIZE
from segment.report.blocks import (
    Compare,
    Figure,
    Frames,
    Heading,
    Image,
    Palette,
    Prose,
    Section,
    TableBlock,
    embedded_figure,
    embedded_photo,
    reason,
)
from segment.report.settings import Settings
from segment.style import drawing, save_formats
from segment.words import say

COUNTS = range(2, 9)

_INTRODUCTION = say(
    "Each photo is a sample of colors in the color space Lab, a distinct color counting "
    "as often as it occurs. A Gaussian mixture is fitted to them, the number of "
    "components is the smallest with 95 % of the gain in ICL that the best number has over "
    "one, and every pixel takes the label of its most probable component. For ICL the "
    "colors are put into a coarse histogram and the "
    "whole photo counts as {sample_size:.0f} samples at most, whatever the number of its "
    "pixels: the n of the formula is {sample_size:.0f}. Neighboring pixels are alike; "
    "were each a witness of its own, a further component would cost next to nothing.",
    sample_size=SAMPLE_SIZE,
)

# Pixels on the longer side of what the page embeds: files hold the full size.
_SHOWN = 640
_SHEET_DPI = 110

# Starts for the series over K, whose eight fits need not each be the best of 32 short runs.
_SHORT_RUNS = 8


def photos_section(settings: Settings) -> Section:
    """Segment every photo and show it; what fails is told among the problems.

    Raises
    ------
    ImageError
        If not one photo came out.
    """
    inputs, errors, _ = find_inputs(settings.photos)
    problems = [str(error) for error in errors]
    blocks: list[Any] = []
    rows: list[tuple[Any, ...]] = []
    record: dict[str, Any] = {}
    for given in inputs:
        try:
            segmentation = _segment(given, settings)
            blocks += _blocks(given, segmentation, settings)
        except Exception as error:  # whatever it is, the other photos shall come out
            problems.append(_naming(given.source, reason(error)))
            continue
        if not rows:
            blocks += _drawings(given.flat_name, segmentation, settings)
        rows.append(_row(given, segmentation))
        record[given.flat_name] = _record(given, segmentation)
    if not rows:
        raise ImageError(
            "; ".join(problems) or "no photo was given; give files, folders or names like skimage:cat"
        )
    table = _table(rows)
    write_tables([table], settings.folder / "tables")
    return Section(
        "photos",
        "Photos",
        (Prose((_INTRODUCTION,)), *blocks, TableBlock(table)),
        {"photos": record},
        problems=tuple(problems),
    )


def _segment(given: Input, settings: Settings) -> PhotoSegmentation:
    return segment_photo(read_photo(given.source), random_state=settings.random_state, n_jobs=settings.n_jobs)


def _naming(source: str, why: str) -> str:
    return why if source in why else f"{source}: {why}"


def _record(given: Input, segmentation: PhotoSegmentation) -> dict[str, Any]:
    return {
        "source": given.source,
        "n_components": segmentation.n_labels,
        "palette": [hex_code(color) for color in segmentation.palette],
        "shares": segmentation.shares,
        "icl": segmentation.curve,
        "log_likelihood": segmentation.log_likelihood,
    }


def _blocks(given: Input, segmentation: PhotoSegmentation, settings: Settings) -> list[Any]:
    name = given.flat_name
    photo, n = segmentation.photo, segmentation.n_labels
    palette = tuple(
        (hex_code(color), f"{share:.0%}")
        for color, share in zip(segmentation.palette, segmentation.shares, strict=True)
    )
    before = embedded_photo(photo.display, say("The photo {name}", name=name), _SHOWN)
    after = _embedded(segmentation, say("{name} in {n} colors", name=name, n=n))
    overlay = embedded_photo(
        draw_overlay(photo.display, segmentation.label_map),
        say("{name} with the boundaries of {n} labels", name=name, n=n),
        _SHOWN,
    )
    return [
        Heading(name),
        Prose((say("ICL chooses {n} components; palette and shares of the area:", n=n),)),
        Palette(palette),
        Compare(
            f"photo-{name}-compare",
            say("{name}: the photo (left of the line) and its {n} mean colors (right).", name=name, n=n),
            before,
            after,
        ),
        Figure(f"photo-{name}-overlay", say("{name}: where the {n} labels meet.", name=name, n=n), overlay),
        *_series(name, segmentation, settings),
        _sheet(name, segmentation, settings),
    ]


def _embedded(segmentation: PhotoSegmentation, alt: str) -> Image:
    return embedded_photo(draw_segmented(segmentation), alt, _SHOWN, few_colors=True)


def _series(name: str, segmentation: PhotoSegmentation, settings: Settings) -> list[Frames]:
    """Segment with every number of components for which the photo has the colors."""
    counts = [n for n in COUNTS if n <= segmentation.n_distinct_colors]
    if len(counts) < 2:
        return []
    fits = [
        segment_photo(
            segmentation.photo,
            n_components=n,
            n_init=_SHORT_RUNS,
            random_state=settings.random_state,
            n_jobs=settings.n_jobs,
        )
        for n in counts
    ]
    series = Frames(
        f"photo-{name}-series",
        say(
            "{name} in {fewest} to {most} colors: move the slider to choose how many.",
            name=name,
            fewest=counts[0],
            most=counts[-1],
        ),
        "Colors",
        tuple(say("{n} colors", n=n) for n in counts),
        tuple(
            _embedded(fit, say("{name} in {n} colors", name=name, n=n))
            for n, fit in zip(counts, fits, strict=True)
        ),
        first=min(2, len(counts) - 1),
    )
    return [series]


def _sheet(name: str, segmentation: PhotoSegmentation, settings: Settings) -> Figure:
    """Write the sheet in every format, and embed a smaller one."""
    stem = settings.folder / "figures" / f"photo_{name}"
    with drawing():
        figure = draw_sheet(segmentation, segmentation.curve, name)
        paths = save_formats(figure, stem, FORMATS, PRINT_DPI)
    caption = say(
        "{name}: photo, mean colors, boundaries, palette by share of the area, and ICL by "
        "number of components, the photo counted as {sample_size:.0f} samples (ring: the "
        "choice).",
        name=name,
        sample_size=SAMPLE_SIZE,
    )
    alt = say("Three views of {name} above a bar chart of its palette and a curve of ICL.", name=name)
    large = embedded_figure(paths[0], alt, PRINT_DPI)
    return Figure(f"photo-{name}", caption, _smaller(paths[0], large))


def _drawings(name: str, segmentation: PhotoSegmentation, settings: Settings) -> list[Figure]:
    """Draw the areas as curves and as a page to paint by numbers."""
    from segment.photo.outputs.settings import OutputSettings
    from segment.photo.vectors.labels import drawn_labels
    from segment.photo.vectors.paint import paint_page
    from segment.photo.vectors.svg import svg_text

    height, width = segmentation.photo.shape
    shrunk = min(1.0, _SHOWN / max(height, width))
    drawn, palette = OutputSettings(min_area=4), segmentation.palette
    svg = svg_text(drawn_labels(segmentation, drawn), palette, title=name, tolerance=drawn.tolerance)
    curves = Image(
        data_uri(svg.encode(), "svg+xml"),
        round(width * shrunk),
        round(height * shrunk),
        say("{name} in areas of one color each, with smooth borders", name=name),
    )
    stem = settings.folder / "figures" / f"photo_{name}_paint"
    with drawing():
        page = paint_page(
            segmentation.label_map,
            palette,
            title=name,
            paper=drawn.paper,
            tolerance=drawn.tolerance,
            min_area=None,
        )
        paths = save_formats(page, stem, FORMATS, PRINT_DPI)
    painted = embedded_figure(
        paths[0],
        say("Outlines of {name} with a number in each area, above a legend of colors", name=name),
        PRINT_DPI,
    )
    return [
        Figure(
            f"photo-{name}-curves",
            say("{name} as curves (SVG): each border is traced once, and shared by both sides.", name=name),
            curves,
        ),
        Figure(
            f"photo-{name}-paint",
            say("{name} to paint by numbers: each area has the number of its color.", name=name),
            painted,
        ),
    ]


def _smaller(path: Any, large: Image) -> Image:
    """Embed a figure that holds photos as JPEG, at the resolution of a screen."""
    from PIL import Image as Pillow

    with Pillow.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    longest = round(max(pixels.shape) * _SHEET_DPI / PRINT_DPI)
    small = embedded_photo(pixels, large.alt, longest)
    return Image(small.uri, large.width, large.height, large.alt)


def _row(given: Input, segmentation: PhotoSegmentation) -> tuple[Any, ...]:
    height, width = segmentation.photo.shape
    pixels = height * width
    return (
        given.flat_name,
        f"{width} \N{MULTIPLICATION SIGN} {height}",
        segmentation.n_distinct_colors,
        segmentation.n_labels,
        segmentation.log_likelihood / pixels,
    )


def _table(rows: list[tuple[Any, ...]]) -> Table:
    columns = (
        Column("photo"),
        Column("size"),
        Column("distinct colors", "d"),
        Column("components by ICL", "d"),
        Column("log-likelihood a pixel (nats)", ".3f"),
    )
    return Table("photos", "The photos and the number of components that ICL chooses.", columns, tuple(rows))
