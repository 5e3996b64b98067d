"""A table of measurements: one row a label, or with regions a region; the batch has one of all photos."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import OutputError
from segment.output import atomic_path, write_text
from segment.photo.colors import hex_code, to_features
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation

ENDINGS = ("_measurements.csv",)

# Name of the table of a whole batch, in the folder of its outputs.
BATCH = "measurements"

# Columns and their types; where there is nothing to say, a field is empty (docs/guide/photos.md).
COLUMNS: dict[str, type] = {
    "label": int, "color": str, "pixels": int, "share": float, "area": float, "area_unit": str,
    "mean_L": float, "mean_a": float, "mean_b": float, "sd_L": float, "sd_a": float, "sd_b": float,
    "left": int, "top": int, "width": int, "height": int, "centroid_x": float, "centroid_y": float,
    "perimeter": float, "eccentricity": float, "log_density": float,
}  # fmt: skip


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the rows of one photo as CSV."""
    path = at(stem, ENDINGS[0])
    write_text(path, _csv(COLUMNS, measured(segmentation, settings.pixel_size)))
    return [path]


def measured(segmentation: Segmentation, pixel_size: tuple[float, str] | None = None) -> list[dict[str, Any]]:
    """Measure every label.

    Parameters
    ----------
    segmentation : Segmentation
    pixel_size : (float, str), optional
        Side of a pixel and its unit.

    Returns
    -------
    list of dict
        By `COLUMNS`, None where there is nothing to say: the shape of a label of no pixel, Lab of bands that
        are no colors, the density where there is no mixture.
    """
    from skimage.measure import regionprops

    labels = segmentation.label_map
    inside = labels >= 0
    counts = np.bincount(labels[inside], minlength=segmentation.n_labels)
    columns: dict[str, np.ndarray] = {}
    if segmentation.photo.is_color:
        lab = to_features(segmentation.photo.display.reshape(-1, 3), "lab").reshape(*labels.shape, 3)
        for axis, name in enumerate("Lab"):
            mean, sd = _moments(lab[:, :, axis][inside], labels[inside], counts)
            columns |= {f"mean_{name}": mean, f"sd_{name}": sd}
    if (densities := segmentation.log_densities()) is not None:
        columns["log_density"] = _moments(densities[inside], labels[inside], counts)[0]
    shapes = {found.label - 1: _shape(found) for found in regionprops(labels + 1)}
    rows = []
    for k, n in enumerate(counts.tolist()):
        row = dict.fromkeys(COLUMNS) | {
            "label": k,
            "color": hex_code(segmentation.palette[k]),
            "pixels": n,
            "share": n / max(int(counts.sum()), 1),
        }
        if pixel_size is not None:
            row |= {"area": n * pixel_size[0] ** 2, "area_unit": f"{pixel_size[1]}^2"}
        if n:
            row |= shapes[k] | {name: float(values[k]) for name, values in columns.items()}
        rows.append(row)
    return rows


def _moments(values: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the values of each label; the second about the first."""
    n = np.maximum(counts, 1)
    means = np.bincount(labels, values.astype(np.float64), len(counts)) / n
    squares = np.bincount(labels, np.square(values - means[labels]), len(counts)) / n
    return means, np.sqrt(squares)


def _shape(found: Any) -> dict[str, Any]:
    """Return what the pixels of a label look like; places are those of corners, as in SVG."""
    top, left, bottom, right = found.bbox
    y, x = found.centroid
    return {
        "left": left,
        "top": top,
        "width": right - left,
        "height": bottom - top,
        "centroid_x": float(x) + 0.5,
        "centroid_y": float(y) + 0.5,
        "perimeter": float(found.perimeter),
        "eccentricity": float(found.eccentricity),
    }


def _csv(columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: f"{v:.8g}" if isinstance(v, float) else v for name, v in row.items()})
    return text.getvalue()


def check_batch(folder: Path) -> None:
    """Refuse to write the table of a batch where some other file has its name, with an `OutputError`."""
    path = folder / f"{BATCH}.csv"
    if path.exists() and _head(path) != ["photo", *COLUMNS]:
        raise OutputError(
            f"{path}: exists already, and is no table of measurements; move it, allow overwriting with "
            "--force, or choose another folder with -o"
        )


def _head(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def write_batch(folder: Path, stems: Iterable[Path], *, parquet: bool = False) -> list[Path]:
    """Gather the tables of photos, whether written now or by an earlier run, into one.

    Parameters
    ----------
    folder : Path
        That of the outputs. Rows of other photos that its table has already stay.
    stems : iterable of Path
        Common paths of each photo's outputs; a photo without a table of its own has no new rows.
    parquet : bool
        Also write a Parquet file.

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    path = folder / f"{BATCH}.csv"
    photos: dict[str, list[dict[str, Any]]] = {}
    if path.exists() and _head(path) == ["photo", *COLUMNS]:
        for row in _rows(path):
            photos.setdefault(row["photo"], []).append(row)
    for stem in stems:
        own = at(stem, ENDINGS[0])
        if own.exists():
            photo = stem.relative_to(folder).as_posix()
            photos[photo] = [{"photo": photo, **row} for row in _rows(own)]
    rows = [row for photo in photos.values() for row in photo]
    write_text(path, _csv(["photo", *COLUMNS], rows))
    if parquet:
        _write_parquet(path.with_suffix(".parquet"), rows)
    return [path, *([path.with_suffix(".parquet")] if parquet else [])]


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow, writer = check_parquet()
    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    types: dict[str, type] = {"photo": str, **COLUMNS}
    columns = {
        name: pyarrow.array([kind(row[name]) if row[name] else None for row in rows], kinds[kind])
        for name, kind in types.items()
    }
    with atomic_path(path) as temporary:
        writer.write_table(pyarrow.table(columns), temporary)


def check_parquet() -> tuple[Any, Any]:
    """Return what writes Parquet, or raise an `OutputError` with the line that installs it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError("--parquet needs pyarrow: pip install 'segment-em[scale]'") from error
    return pyarrow, pyarrow.parquet
