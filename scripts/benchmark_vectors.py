"""Drawings of a photo: size, seconds and fidelity as a browser shows them, beside vtracer."""

import io
import re
import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from page import in_turn, ratio, table, timed, write_section

from segment.photo import read_photo, segment_photo
from segment.photo.vectors.svg import svg_text

ROUNDS = 5
PHOTO, N_COLORS = "astronaut", 8
SCALE = 3

# Of vtracer's settings that decide how many colors a photo is drawn in, those that are tried.
PRECISIONS, DIFFERENCES = (3, 4, 5, 6), (16, 32, 64, 128, 255)

# A row and whether the colors that it is drawn in are those of our label map.
Drawing = tuple[Callable[[], str], bool]


def shown(text: str, shape: tuple[int, int], *, crisp: bool) -> np.ndarray:
    """Return what Chromium shows, (M, N, 3) uint8; crisp is at the pixels' middles, no edge mixed."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    scale = SCALE if crisp else 1
    style = "path{shape-rendering:crispEdges}" if crisp else ""
    page_text = f"<style>body{{margin:0}}svg{{display:block}}{style}</style>{text[text.index('<svg') :]}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": shape[1], "height": shape[0]}, device_scale_factor=scale)
        page.set_content(page_text)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    return np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale]


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise SystemExit("Chromium or Chrome is needed to render the drawings in; install one of them")


def n_fills(text: str) -> int:
    return len(set(re.findall(r'fill="(#[0-9a-fA-F]{6})"', text)))


def png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def traced(image: bytes, **options: Any) -> str:
    """Return what vtracer makes of an image; its own settings where none are given."""
    import vtracer

    return vtracer.convert_raw_image_to_svg(image, img_format="png", path_precision=2, **options)


def closest_settings(image: bytes) -> dict[str, int]:
    """Return the settings with which vtracer draws a photo in the number of colors nearest to ours."""
    tried = [
        {"color_precision": precision, "layer_difference": difference}
        for precision in PRECISIONS
        for difference in DIFFERENCES
    ]
    return min(tried, key=lambda options: abs(n_fills(traced(image, **options)) - N_COLORS))


def main() -> None:
    photo = read_photo(f"skimage:{PHOTO}")
    found = segment_photo(photo, n_components=N_COLORS)
    segmented = found.palette[found.label_map]
    as_png, segmented_png = png(photo.pixels), png(segmented)
    closest = closest_settings(as_png)
    ours = partial(svg_text, found.label_map, found.palette, title=PHOTO)
    spelled = ", ".join(f"{name} {value}" for name, value in closest.items())
    drawings: dict[str, Drawing] = {
        "segment": (partial(ours, tolerance=0.5), True),
        "segment, tolerance 1": (partial(ours, tolerance=1.0), True),
        "vtracer of the same label map, stacked": (partial(traced, segmented_png), True),
        "vtracer of the same label map, cutout": (
            partial(traced, segmented_png, hierarchical="cutout"),
            True,
        ),
        f"vtracer of the photo ({spelled})": (partial(traced, as_png, **closest), False),
        "vtracer of the photo, its defaults": (partial(traced, as_png), False),
    }
    texts = {name: draw() for name, (draw, _) in drawings.items()}
    seconds = in_turn({name: partial(timed, draw) for name, (draw, _) in drawings.items()}, ROUNDS)
    rows = []
    for name, (_, is_same) in drawings.items():
        off = "-"
        if is_same:
            off = f"{share_off(texts[name], found.label_map, found.palette):.2%}"
        rows.append(
            [
                name,
                n_fills(texts[name]),
                f"{len(texts[name].encode()) / 1000:.0f}",
                f"{np.median(seconds[name]):.3f}",
                ratio(seconds[name], seconds["segment"]),
                off,
                f"{difference(shown(texts[name], photo.shape, crisp=False), photo.pixels):.2f}",
            ]
        )
    header = ["drawing", "colors", "kB", "seconds", "seconds, to ours", "pixels off", "mean Delta E 2000"]
    note = (
        f"The {PHOTO} of scikit-image ({photo.shape[1]} x {photo.shape[0]}) in {N_COLORS} colors, drawn as "
        "SVG: targets are 250 kB, 0.5 s, 0.5 % of the pixels off. Seconds are those of drawing alone, from a "
        f"label map or a PNG in memory, median of {ROUNDS}. Pixels off are those whose middle has another "
        "color than the label map, rendered by Chromium without mixed edges; Delta E is that of the rendered "
        "drawing against the photo, and the label map in its mean colors has "
        f"{difference(segmented, photo.pixels):.2f}. vtracer writes two decimals too; the photo itself is "
        "drawn by those of its settings that come nearest to our number of colors."
    )
    write_section("vectors", "Drawings", f"{note}\n\n{table(header, rows)}")


def share_off(text: str, label_map: np.ndarray, palette: np.ndarray) -> float:
    """Return the share of the pixels that are shown in another color of the palette than their own."""
    seen = shown(text, (label_map.shape[0], label_map.shape[1]), crisp=True).astype(np.int64)
    squares = np.stack([((seen - color) ** 2).sum(axis=2) for color in palette.astype(np.int64)])
    return float((squares.argmin(axis=0) != label_map).mean())


def difference(image: np.ndarray, photo: np.ndarray) -> float:
    """Return the mean color difference by CIEDE2000."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    return float(deltaE_ciede2000(rgb2lab(image), rgb2lab(photo)).mean())
