"""Anomalies: thresholds that mean what they say, planted defects found, outputs that agree."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import encoded
from PIL import Image

from segment.cli import main
from segment.errors import DataError
from segment.photo.anomalies import find_anomalies
from segment.photo.fit import apply_model, segment_photo
from segment.photo.outputs.anomaly import draw_densities

DEFECTS = ((20, 30, 8, 12), (70, 100, 5, 5))


def texture(defects=(), seed=0):
    """A weave of two colors with noise; defects (top, left, height, width) are bluer than it is anywhere."""
    y, x = np.mgrid[:100, :140]
    colors = np.array([[150, 120, 90], [110, 85, 60]])
    image = colors[(y // 4 + x // 4) % 2] + np.random.default_rng(seed).normal(0, 5, (100, 140, 3))
    for top, left, height, width in defects:
        image[top : top + height, left : left + width] += (-10, 10, 90)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clean():
    return segment_photo(texture(), n_components=2, smooth="none").model


def test_of_its_own_photo_so_many_pixels_are_flagged():
    found = segment_photo(texture(), n_components=2, smooth="none")
    for share in (0.001, 0.01, 0.2):
        assert find_anomalies(found, false_alarms=share).n_flagged == pytest.approx(14000 * share, abs=2)


def test_a_model_flags_about_so_many_pixels_of_a_photo_like_its_own(clean):
    found = find_anomalies(apply_model(texture(seed=1), clean, smooth="none"), false_alarms=0.01)
    assert found.n_flagged == pytest.approx(140, rel=0.4)
    # Rounding and chance make single pixels, and no area.
    assert found.areas == []


def test_planted_defects_are_found_where_they_are(clean):
    image = texture(DEFECTS, seed=1)
    for segmentation in (apply_model(image, clean, smooth="none"),):
        found = find_anomalies(segmentation, false_alarms=0.0005)
        boxes = [(a["top"], a["left"], a["height"], a["width"]) for a in found.areas]
        assert boxes == list(DEFECTS)
        assert [area["pixels"] for area in found.areas] == [96, 25]
        inside = found.area_map >= 0
        assert inside.sum() == 96 + 25
        first = found.log_densities[found.area_map == 0]
        assert found.areas[0]["mean_log_density"] == pytest.approx(first.mean(), rel=1e-5)
        assert first.max() < found.threshold
    assert find_anomalies(segmentation, false_alarms=0.0005, min_area=26).areas == found.areas[:1]


def test_what_does_not_count_is_not_judged():
    weight = np.ones((100, 140))
    weight[:, :70] = 0
    found = find_anomalies(
        segment_photo(texture(DEFECTS), n_components=2, sample_weight=weight, smooth="none")
    )
    assert np.isnan(found.log_densities[:, :70]).all()
    assert found.n_flagged == 7
    assert (found.area_map[:, :70] == -1).all()


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_cannot_be(share):
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        find_anomalies(segment_photo(texture(), n_components=1, smooth="none"), false_alarms=share)


def test_a_photo_of_one_color_has_no_anomaly():
    found = segment_photo(np.full((9, 9, 3), 80, np.uint8), n_components=1)
    assert find_anomalies(found).n_flagged == 0
    assert draw_densities(found.log_densities()).shape == (9, 9, 3)


def test_the_outputs_agree(tmp_path, monkeypatch, clean):
    monkeypatch.chdir(tmp_path)
    Path("cloth.png").write_bytes(encoded(texture(DEFECTS, seed=1)))
    clean.save("clean.npz")
    run = ["photo", "cloth.png", "-o", "out", "--save", "anomaly,json"]
    result = CliRunner().invoke(main, [*run, "--model", "clean.npz", "--false-alarms", "0.0005"])
    assert result.exit_code == 0, result.stderr
    facts = json.loads(Path("out/cloth_anomaly.json").read_text())
    assert facts["judged_by"] == "draws from the model"
    assert [area["pixels"] for area in facts["areas"]] == [96, 25]
    densities = tifffile.imread("out/cloth_anomaly.tif")
    assert (densities < facts["threshold"]).sum() == facts["n_flagged"]
    outlined = np.asarray(Image.open("out/cloth_anomaly_areas.png")).astype(int)
    changed = (outlined != texture(DEFECTS, seed=1)).any(axis=2)
    assert changed.any()
    assert not changed[20:28, 30:42].any()
    picture = np.asarray(Image.open("out/cloth_anomaly.png")).astype(int).sum(axis=2)
    assert picture[20:28, 30:42].mean() > 2 * np.median(picture)
    settings = json.loads(Path("out/cloth.json").read_text())["settings"]
    assert settings["anomaly"] == {"false_alarms": 0.0005, "min_area": 9}
    for options, message in (
        (["--false-alarms", "2"], "range"),
        (["--regions", "2"], "no output of regions"),
    ):
        result = CliRunner().invoke(main, [*run, *options, "--force"])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
