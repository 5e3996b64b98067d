"""Measurements by value: a disc, a rectangle, a photo; one table for a batch."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy

from segment.cli import main
from segment.photo.colors import to_features
from segment.photo.fit import segment_photo
from segment.photo.outputs.measurements import COLUMNS, measured
from segment.photo.photo import Photo
from segment.photo.segmentation import Segmentation


def toy():
    """A dark rectangle and a bright disc on gray: labels 1, 2 and 0."""
    y, x = np.mgrid[:120, :160] + 0.5
    labels = np.zeros((120, 160), np.int32)
    labels[10:30, 20:60] = 1
    labels[np.hypot(x - 110, y - 70) < 30] = 2
    colors = np.array([[128, 128, 128], [10, 20, 30], [250, 240, 230]], np.uint8)
    shares = np.bincount(labels.ravel()) / labels.size
    return Segmentation(Photo.of(colors[labels]), labels, colors, shares), colors


def test_a_rectangle_and_a_disc():
    segmentation, colors = toy()
    ground, rectangle, disc = measured(segmentation, (0.5, "um"))
    assert list(ground) == list(COLUMNS)
    assert [rectangle[name] for name in ("pixels", "left", "top", "width", "height")] == [800, 20, 10, 40, 20]
    assert (rectangle["centroid_x"], rectangle["centroid_y"]) == (40, 20)
    assert (rectangle["area"], rectangle["area_unit"]) == (200.0, "um^2")
    # Through the centers of the pixels along the border.
    assert rectangle["perimeter"] == 2 * (39 + 19)
    # Of an ellipse of the same second moments: axes as 40 to 20.
    assert rectangle["eccentricity"] == pytest.approx(np.sqrt(1 - (20 / 40) ** 2), abs=0.002)
    assert disc["pixels"] == pytest.approx(np.pi * 900, rel=0.005)
    assert (disc["centroid_x"], disc["centroid_y"]) == pytest.approx((110, 70))
    assert disc["eccentricity"] < 0.02
    assert disc["perimeter"] == pytest.approx(2 * np.pi * 29.5, rel=0.07)
    assert disc["color"] == "#faf0e6"
    lab = to_features(colors, "lab")
    assert [disc[f"mean_{name}"] for name in "Lab"] == pytest.approx(lab[2].tolist(), abs=1e-4)
    assert [disc[f"sd_{name}"] for name in "Lab"] == pytest.approx([0, 0, 0], abs=1e-4)
    assert sum(row["share"] for row in (ground, rectangle, disc)) == pytest.approx(1)
    assert ground["log_density"] is None


def test_lab_and_density_of_a_photo():
    image, _ = noisy()
    found = segment_photo(image, n_components=3)
    lab = to_features(image.reshape(-1, 3), "lab").reshape(image.shape)
    densities = found.log_densities()
    assert densities.sum() == pytest.approx(found.log_likelihood, rel=1e-6)
    for row in measured(found):
        inside = found.label_map == row["label"]
        assert row["pixels"] == inside.sum()
        assert row["mean_L"] == pytest.approx(lab[inside][:, 0].mean(), rel=1e-5)
        assert row["sd_a"] == pytest.approx(lab[inside][:, 1].std(), rel=1e-5)
        assert row["log_density"] == pytest.approx(densities[inside].mean(), rel=1e-5)


def test_labels_of_no_pixel_and_bands_have_empty_fields():
    labels = np.array([[0, 0, -1]], np.int32)
    photo = Photo.of(np.zeros((1, 3, 2), np.uint8))
    present, absent = measured(Segmentation(photo, labels, np.zeros((2, 3), np.uint8), np.array([1.0, 0])))
    assert (present["pixels"], present["width"], present["mean_L"]) == (2, 2, None)
    assert (absent["pixels"], absent["share"], absent["left"]) == (0, 0.0, None)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, folder in enumerate(("a", "b")):
        Path("in", folder).mkdir(parents=True)
        Path("in", folder, "flag.png").write_bytes(encoded(np.roll(noisy(spread=1 + i)[0], 5 * i, 1)))

    def call(*arguments):
        options = ["-k", "3", "--smooth", "none", "--save", "measurements,json", "-o", "out"]
        result = CliRunner().invoke(main, ["photo", *map(str, arguments), *options])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stderr

    return call


def rows(path="out/measurements.csv"):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_batch_has_one_table(run):
    assert run("in", "--recursive", "--pixel-size", "2 mm", "--parquet")[0] == 0
    table = rows()
    assert [row["photo"] for row in table] == ["a/flag"] * 3 + ["b/flag"] * 3
    assert [row["label"] for row in table] == ["0", "1", "2"] * 2
    assert list(table[0]) == ["photo", *COLUMNS]
    assert float(table[0]["area"]) == 4 * int(table[0]["pixels"])
    assert [{"photo": "a/flag", **row} for row in rows("out/a/flag_measurements.csv")] == table[:3]
    import pyarrow.parquet

    read = pyarrow.parquet.read_table("out/measurements.parquet").to_pylist()
    assert [row["pixels"] for row in read] == [int(row["pixels"]) for row in table]
    assert read[0]["eccentricity"] == float(table[0]["eccentricity"])
    facts = json.loads(Path("out/a/flag.json").read_text())
    assert facts["settings"]["measurements"] == {"pixel_size": [2.0, "mm"], "parquet": True}


def test_rows_of_photos_that_are_skipped_stay(run):
    assert run("in/a/flag.png")[0] == 0
    Path("in/a/bad.png").write_bytes(b"no photo")
    Path("in/a/new.png").write_bytes(encoded(noisy(seed=3)[0]))
    code, told = run("in/a", "--skip-existing")
    assert (code, "flag.png: done already" in told) == (3, True)
    assert [row["photo"] for row in rows()] == ["flag"] * 3 + ["new"] * 3
    before = Path("out/measurements.csv").read_bytes()
    assert run("in/a/flag.png", "--force")[0] == 0
    assert Path("out/measurements.csv").read_bytes() == before
    Path("out/measurements.csv").write_text("mine\n")
    code, told = run("in/b/flag.png")
    assert (code, "is no table of measurements" in told) == (1, True)


def test_regions_have_a_row_each_and_no_density(run):
    assert run("in/a/flag.png", "--pixel-size", "wide")[0] == 2
    flag = ["photo", "in/a/flag.png", "-o", "r"]
    assert CliRunner().invoke(main, [*flag, "--regions", "3", "--save", "measurements"]).exit_code == 0
    assert [row["label"] for row in rows("r/measurements.csv")] == ["0", "1", "2"]
    assert {row["log_density"] for row in rows("r/measurements.csv")} == {""}
    result = CliRunner().invoke(main, [*flag, "--pixel-size", "1um", "--save", "labels"])
    assert (result.exit_code, "--save measurements" in result.stderr) == (2, True)
