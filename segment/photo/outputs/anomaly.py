"""What the mixture explains least: a map of log densities, and the areas outlined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segment.output import atomic_path, write_json
from segment.photo.anomalies import find_anomalies
from segment.photo.draw import draw_overlay
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import write_png

if TYPE_CHECKING:
    from segment.photo.color_segmentation import PhotoSegmentation

ENDINGS = ("_anomaly.png", "_anomaly.tif", "_anomaly_areas.png", "_anomaly.json")

# Colors reach from this quantile of the densities to the top; what is so rare is seen at the bright end.
_BRIGHTEST, _DARKEST = 0.0005, 0.9

# Outlines keep so many pixels off an area, which would be hidden by them.
_MARGIN = 3


def write(segmentation: PhotoSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the log densities as a picture and as numbers, the areas outlined on the photo and as a list."""
    assert settings.min_area is not None
    found = find_anomalies(segmentation, false_alarms=settings.false_alarms, min_area=settings.min_area)
    picture, numbers, outlined, listed = paths = [at(stem, ending) for ending in ENDINGS]
    write_png(picture, draw_densities(found.log_densities))
    import tifffile

    with atomic_path(numbers) as temporary:
        tifffile.imwrite(temporary, found.log_densities, photometric="minisblack", metadata=None)
    write_png(outlined, draw_areas(segmentation.photo.display, found.area_map))
    facts = {
        "judged_by": "this photo" if segmentation.is_fitted_here else "draws from the model",
        "false_alarms": settings.false_alarms,
        "threshold": found.threshold,
        "n_flagged": found.n_flagged,
        "areas": found.areas,
    }
    write_json(listed, facts)
    return paths


def draw_densities(densities: np.ndarray) -> np.ndarray:
    """Draw log densities (M, N): dark is common, bright is rare; gray where there is none."""
    from matplotlib import colormaps

    known = np.isfinite(densities)
    low, high = np.quantile(densities[known], (_BRIGHTEST, _DARKEST))
    share = np.clip((high - densities) / max(high - low, 1e-9), 0, 1)
    table = np.rint(255 * np.asarray(colormaps["inferno"](np.arange(256)))[:, :3]).astype(np.uint8)
    out = table[np.rint(255 * np.where(known, share, 0)).astype(np.uint8)]
    out[~known] = 128
    return out


def draw_areas(colors: np.ndarray, area_map: np.ndarray) -> np.ndarray:
    """Draw lines around areas (M, N; -1 for none), a little off them."""
    from scipy.ndimage import binary_dilation

    around = binary_dilation(area_map >= 0, np.ones((3, 3), dtype=bool), iterations=_MARGIN)
    return draw_overlay(colors, around.astype(np.int32))
