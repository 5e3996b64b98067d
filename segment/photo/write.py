"""Write what was found in a photo: pictures, palettes, masks, models, the sidecar."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segment.errors import DataError
from segment.output import atomic_path, write_json, write_text
from segment.photo.draw import draw_overlay, draw_palette, draw_segmented, draw_sheet, hex_code
from segment.photo.png import write_png
from segment.photo.segmentation import Segmentation
from segment.style import save_figure

if TYPE_CHECKING:
    from segment.photo.fit import PhotoSegmentation
    from segment.photo.regions.segmentation import RegionSegmentation

# An indexed PNG has 256 colors, one of them for transparent pixels.
_MOST_INDEXED = 255
_NO_LABEL_8, _NO_LABEL_16 = 255, 65535


@dataclass(frozen=True)
class Output:
    """A kind of output.

    Attributes
    ----------
    patterns : tuple of str
        Ends of the names of its files; an asterisk stands for a number.
    write : callable
        Takes a segmentation and the outputs' common path; returns the paths written.
    """

    patterns: tuple[str, ...]
    write: Callable[[Any, Path], list[Path]]


def _at(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _indices(segmentation: Segmentation, none: int) -> np.ndarray:
    indices = segmentation.label_map.astype(np.uint8)
    if segmentation.photo.counts is not None:
        indices[segmentation.label_map < 0] = none
    return indices


def _write_segmented(segmentation: Segmentation, stem: Path) -> list[Path]:
    path, n = _at(stem, "_segmented.png"), segmentation.n_labels
    if n > _MOST_INDEXED:
        image = draw_segmented(segmentation)
        if segmentation.photo.counts is not None:
            alpha = np.where(segmentation.label_map < 0, np.uint8(0), np.uint8(255))
            image = np.dstack([image, alpha])
        write_png(path, image)
    elif segmentation.photo.counts is None:
        write_png(path, _indices(segmentation, 0), segmentation.palette)
    else:
        palette = np.vstack([segmentation.palette, np.full((1, 3), 255, np.uint8)])
        write_png(path, _indices(segmentation, n), palette, transparent=n)
    return [path]


def _write_labels(segmentation: Segmentation, stem: Path) -> list[Path]:
    if segmentation.n_labels > _MOST_INDEXED:
        import tifffile

        path = _at(stem, "_labels.tif")
        labels = np.where(segmentation.label_map < 0, _NO_LABEL_16, segmentation.label_map)
        with atomic_path(path) as temporary:
            tifffile.imwrite(temporary, labels.astype(np.uint16), photometric="minisblack", metadata=None)
        return [path]
    path = _at(stem, "_labels.png")
    # Hues a golden section apart: neighbors in number are never neighbors in color.
    colors = [colorsys.hsv_to_rgb(0.6 + 0.618034 * k, 0.65, 0.95 - 0.3 * (k % 2)) for k in range(_NO_LABEL_8)]
    palette = np.rint(255 * np.array([*colors, (1, 1, 1)])).astype(np.uint8)
    none = None if segmentation.photo.counts is None else _NO_LABEL_8
    write_png(path, _indices(segmentation, _NO_LABEL_8), palette, transparent=none)
    return [path]


def _write_overlay(segmentation: Segmentation, stem: Path) -> list[Path]:
    path = _at(stem, "_overlay.png")
    image = draw_overlay(segmentation.photo.display, segmentation.label_map)
    counts = segmentation.photo.counts
    if counts is not None:
        image = np.dstack([image, np.where(counts, np.uint8(255), np.uint8(0))])
    write_png(path, image)
    return [path]


def _write_masks(segmentation: Segmentation, stem: Path) -> list[Path]:
    paths = []
    for k in range(segmentation.n_labels):
        paths.append(_at(stem, f"_mask_{k:02d}.png"))
        mask = (segmentation.label_map == k).astype(np.uint8)
        write_png(paths[-1], mask, np.array([[0, 0, 0], [255, 255, 255]], dtype=np.uint8))
    return paths


def _write_soft(segmentation: PhotoSegmentation, stem: Path) -> list[Path]:
    import tifffile

    path = _at(stem, "_soft.tif")
    maps = segmentation.responsibilities()
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=maps.nbytes > 2**31) as file:
        for k in range(maps.shape[2]):
            file.write(np.ascontiguousarray(maps[:, :, k]), photometric="minisblack", metadata=None)
    return [path]


def _write_palette(segmentation: Segmentation, stem: Path) -> list[Path]:
    palette, shares = segmentation.palette, segmentation.shares
    paths = [_at(stem, f"_palette.{suffix}") for suffix in ("png", "json", "css", "gpl")]
    codes = [hex_code(color) for color in palette]
    with atomic_path(paths[0]) as temporary:
        draw_palette(palette, shares).save(temporary)
    colors = [
        {"label": k, "hex": code, "rgb": color, "share": share}
        for k, (code, color, share) in enumerate(zip(codes, palette.tolist(), shares.tolist(), strict=True))
    ]
    write_json(paths[1], {"name": stem.name, "colors": colors})
    lines = [
        f"  --color-{k}: {code}; /* {share:.1%} */"
        for k, (code, share) in enumerate(zip(codes, shares, strict=True))
    ]
    write_text(paths[2], "\n".join([":root {", *lines, "}", ""]))
    lines = [
        " ".join(f"{value:3d}" for value in color) + f"\t{code} {share:.1%}"
        for color, code, share in zip(palette.tolist(), codes, shares, strict=True)
    ]
    write_text(paths[3], "\n".join(["GIMP Palette", f"Name: {stem.name}", "Columns: 1", "#", *lines, ""]))
    return paths


def _write_sheet(segmentation: Segmentation, stem: Path) -> list[Path]:
    path = _at(stem, "_sheet.png")
    save_figure(draw_sheet(segmentation, getattr(segmentation, "selection", None), stem.name), path)
    return [path]


def _write_model(segmentation: PhotoSegmentation, stem: Path) -> list[Path]:
    path = _at(stem, "_model.npz")
    segmentation.model.save(path)
    return [path]


def _write_contours(segmentation: RegionSegmentation, stem: Path) -> list[Path]:
    from segment.photo.regions.outputs import write_contours

    path = _at(stem, "_contours.png")
    write_contours(segmentation, path)
    return [path]


def _write_tree(segmentation: RegionSegmentation, stem: Path) -> list[Path]:
    path = _at(stem, "_tree.npz")
    segmentation.tree.save(path)
    return [path]


def _write_levels(segmentation: RegionSegmentation, stem: Path) -> list[Path]:
    from segment.photo.regions.outputs import write_levels

    path = _at(stem, "_levels.html")
    write_levels(segmentation, path, stem.name)
    return [path]


# The sidecar is no entry: it is written last, since it lists all others.
OUTPUTS = {
    "segmented": Output(("_segmented.png",), _write_segmented),
    "labels": Output(("_labels.png", "_labels.tif"), _write_labels),
    "overlay": Output(("_overlay.png",), _write_overlay),
    "masks": Output(("_mask_*.png",), _write_masks),
    "soft": Output(("_soft.tif",), _write_soft),
    "palette": Output(("_palette.png", "_palette.json", "_palette.css", "_palette.gpl"), _write_palette),
    "sheet": Output(("_sheet.png",), _write_sheet),
    "model": Output(("_model.npz",), _write_model),
    "contours": Output(("_contours.png",), _write_contours),
    "tree": Output(("_tree.npz",), _write_tree),
    "levels": Output(("_levels.html",), _write_levels),
}

# Outputs that one method alone has.
_ONLY = {"colors": ("soft", "model"), "regions": ("contours", "tree", "levels")}

SIDECAR = "json"


def kinds_of(method: str) -> tuple[str, ...]:
    """Return the kinds of output that a method ("colors" or "regions") has."""
    foreign = {kind for name, kinds in _ONLY.items() if name != method for kind in kinds}
    return tuple(kind for kind in (*OUTPUTS, SIDECAR) if kind not in foreign)


KINDS = kinds_of("colors")
DEFAULT = ("segmented", "overlay", "palette", SIDECAR)


def parse_kinds(text: str, method: str = "colors") -> tuple[str, ...]:
    """Return the kinds of output named in a list like "segmented,json", or all of the method's for "all".

    Raises
    ------
    DataError
        If one is not known, or none is named.
    """
    known = kinds_of(method)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return known
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        got = f"{wrong[0]!r} is no output" if wrong else "no output is named"
        raise DataError(f"{got}; allowed are all, or some of {','.join(known)}")
    return tuple(kind for kind in known if kind in names)


def existing_outputs(stem: Path, kinds: Iterable[str]) -> list[Path]:
    """Return the files that stand where outputs of these kinds would be written."""
    found = []
    for kind in kinds:
        patterns = OUTPUTS[kind].patterns if kind in OUTPUTS else (".json",)
        for pattern in patterns:
            if "*" not in pattern:
                # os.path.exists takes a name that is too long for one of no file.
                found += [path for path in [_at(stem, pattern)] if os.path.exists(path)]
            elif stem.parent.is_dir():
                head, tail = (stem.name + pattern).split("*")
                found += [
                    path
                    for path in sorted(stem.parent.iterdir())
                    if path.name.startswith(head) and path.name.endswith(tail)
                ]
    return found


def write_outputs(segmentation: Segmentation, stem: Path, kinds: Iterable[str]) -> list[Path]:
    """Write outputs of the given kinds, all but the sidecar.

    Parameters
    ----------
    segmentation : Segmentation
    stem : Path
        Their common path, without what tells them apart: outputs/photo/cat.
    kinds : iterable of str

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If one cannot be written; it does not exist then, the others may.
    """
    return [path for kind in kinds if kind in OUTPUTS for path in OUTPUTS[kind].write(segmentation, stem)]


def sidecar_path(stem: Path) -> Path:
    """Return where the sidecar of outputs of this common path lies."""
    return _at(stem, ".json")
