"""One mixture for many photos: the pooled fit, the same labels and colors, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import FLAG, encoded, noisy
from PIL import Image

from segment.cli import main
from segment.errors import DataError, ImageError
from segment.mixture import Samples
from segment.photo import Photo, apply_model, fit_shared, segment_photo
from segment.photo.colors import to_features
from segment.photo.model import PhotoModel
from segment.photo.shared import ColorPool, fit_pool

FIRST, _ = noisy()
SECOND, _ = noisy(FLAG[:2], 30, 40, seed=1)
THIRD, _ = noisy(np.array([[206, 17, 38], [20, 160, 60]]), 20, 50, seed=2)
PHOTOS = (FIRST, SECOND, THIRD)
ALL = np.concatenate([image.reshape(-1, 3) for image in PHOTOS])[None]


def test_the_fit_is_that_of_all_pixels_together():
    shared = fit_shared(PHOTOS, n_components=4)
    pooled = segment_photo(ALL, n_components=4, smooth="none")
    assert shared.log_likelihood == pytest.approx(pooled.log_likelihood, rel=1e-9)
    assert shared.n_pixels == ALL.shape[1]
    assert np.allclose(shared.model.parameters.means, pooled.parameters.means, atol=1e-9)
    assert np.array_equal(shared.palette, pooled.palette)
    assert np.allclose(shared.shares, pooled.shares)
    each = [apply_model(image, shared.model, smooth="none") for image in PHOTOS]
    assert sum(found.log_likelihood for found in each) == pytest.approx(shared.log_likelihood, rel=1e-9)
    for found in each:
        assert np.array_equal(found.palette, shared.palette)
    joined = np.concatenate([found.label_map.ravel() for found in each])
    assert np.array_equal(joined, pooled.label_map.ravel())


def test_depths_and_alpha_count_together():
    deep = Photo.of(SECOND.astype(np.uint16) * 257)
    alpha = np.full((*THIRD.shape[:2], 1), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 51
    pool = ColorPool()
    for photo in (Photo.of(FIRST), deep, Photo.of(np.dstack([THIRD, alpha]))):
        pool.add(photo)
    _, samples = pool.listed("lab")
    assert samples.total_weight == pytest.approx(FIRST[..., 0].size + 1200 + 20 * (0.2 * 10 + 30), rel=1e-6)
    rows = [to_features(image.reshape(-1, 3), "lab") for image in (FIRST, SECOND, THIRD)]
    weights = np.concatenate([np.ones(2880), np.ones(1200), alpha.ravel() / 255])
    expected = Samples.of(np.concatenate(rows), weights)
    assert samples.mean == pytest.approx(expected.mean, abs=1e-4)
    assert samples.variance == pytest.approx(expected.variance, rel=1e-4)


def test_the_order_of_the_photos_does_not_matter():
    one, other = (fit_shared(photos, n_components=3) for photos in (PHOTOS, PHOTOS[::-1]))
    assert one.model.digest == other.model.digest


def test_a_palette_is_fitted_to_all_photos():
    shared = fit_shared(PHOTOS, palette=FLAG, palette_fit="weights")
    assert np.array_equal(shared.palette, FLAG)
    assert shared.model.parameters.weights.sum() == pytest.approx(1)
    assert shared.result.n_iter > 1


def test_what_cannot_be_pooled_is_refused(monkeypatch):
    with pytest.raises(ImageError, match="5 bands, not colors"):
        fit_shared([np.zeros((4, 4, 5), np.uint8)])
    with pytest.raises(ImageError, match="float64; photos that share colors have 8 or 16 bits"):
        fit_shared([np.zeros((4, 4, 3))])
    with pytest.raises(DataError, match="no photo to share"):
        fit_pool(ColorPool())
    with pytest.raises(DataError, match="only 1 distinct color"):
        fit_shared([np.zeros((4, 4, 3), np.uint8)], n_components=2)
    monkeypatch.setattr("segment.photo.shared.available_memory", lambda: 1000)
    with pytest.raises(ImageError, match="16-bit colors may take"):
        fit_shared([np.zeros((40, 40, 3), np.uint16)])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, image in (("a", FIRST), ("b", SECOND), ("c", THIRD)):
        Path(f"{name}.png").write_bytes(encoded(image))

    def call(*arguments, **options):
        result = CliRunner().invoke(main, ["photo", *map(str, arguments)], **options)
        assert "Traceback" not in result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_folder_shares_labels_and_colors(run):
    Path("bad.png").write_text("no photo")
    result = run(".", "--shared", "-k", 4, "-o", "out", "--save", "segmented,json")
    assert result.exit_code == 3
    assert result.stderr.count("segment: error:") == 1
    assert "3 photos" in result.stderr
    assert "4 shared by all" in result.stderr
    shared = json.loads(Path("out/shared.json").read_text())
    assert (shared["n_photos"], shared["left_out"]) == (3, ["bad.png"])
    assert shared["log_likelihood"] == pytest.approx(
        segment_photo(ALL, n_components=4, smooth="none").log_likelihood, rel=1e-9
    )
    for name in "abc":
        facts = json.loads(Path(f"out/{name}.json").read_text())
        assert facts["palette"] == shared["palette"]
        assert facts["options"]["shared"] == shared["sha256"]
        with Image.open(f"out/{name}_segmented.png") as image:
            assert image.getpalette()[:12] == np.ravel(shared["palette"]).tolist()
    assert names("out")[-6:] == ["shared.json", "shared_model.npz"] + [
        f"shared_palette.{suffix}" for suffix in ("css", "gpl", "json", "png")
    ]
    # The model gives the same colors to a photo that comes later.
    assert (
        run("a.png", "--model", "out/shared_model.npz", "-o", "later", "--save", "segmented").exit_code == 0
    )
    assert Path("later/a_segmented.png").read_bytes() == Path("out/a_segmented.png").read_bytes()


def test_nothing_is_overwritten_and_a_batch_goes_on(run):
    arguments = ("a.png", "b.png", "--shared", "-k", 3, "-o", "out", "--save", "segmented,json")
    assert run(*arguments).exit_code == 0
    before = {name: Path("out", name).read_bytes() for name in names("out")}
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "out/shared_palette.png: exists already" in refused.stderr
    again = run(*arguments, "--skip-existing")
    assert again.exit_code == 0
    assert again.stderr.count("done already") == 2
    more = run("a.png", "b.png", "c.png", *arguments[2:], "--skip-existing")
    assert more.exit_code == 1
    assert "of other photos or other options" in more.stderr
    assert {name: Path("out", name).read_bytes() for name in names("out")} == before
    assert run("a.png", "b.png", "c.png", *arguments[2:], "--force").exit_code == 0


def test_the_shared_name_is_no_photos_name(run):
    Path("a.png").rename("shared.png")
    Path("b.png").rename("shared-2_palette.png")
    assert run(".", "--shared", "-k", 2, "-o", ".", "--save", "json,palette").exit_code == 0
    assert PhotoModel.load("shared-3_model.npz").palette.shape == (2, 3)
    # What was written is taken for no photo.
    assert run(".", "--shared", "-k", 2, "-o", "out", "--save", "json").exit_code == 0
    assert json.loads(Path("out/shared-3.json").read_text())["n_photos"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--shared", "--regions", "3"], 2, "--shared does not go with --method regions"),
        (["--palette", "#fff", "--regions", "3"], 2, "--palette does not go with --method regions"),
        (["--shared", "--model", "m.npz"], 1, "m.npz: no such file"),
        (["--palette", "#fff,#000", "-k", "2"], 2, "leave --components out"),
        (["--palette", "#fff", "--n-init", "2"], 2, "leave --n-init out"),
        (["--palette", "#fff", "--reference", "m.npz"], 2, "leave --reference out"),
        (["--palette", "#fff", "--covariance", "diag"], 2, "add --palette-fit covariances"),
        (["--palette-fit", "weights"], 2, "give one with --palette"),
        (["--palette", "missing.gpl"], 1, "missing.gpl: no such file"),
        (["--reference", "missing.npz"], 1, "missing.npz: no such file"),
        (["--shared", "--level", "0"], 2, "--shared does not go with photos that are read by tiles"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(run, arguments, code, message):
    result = run("a.png", *arguments, "-o", "out")
    assert result.exit_code == code
    assert message in result.stderr
    assert not Path("out").exists()


def test_standard_input_and_nothing_readable(run):
    result = run("-", "--shared", "-k", 2, input=encoded(FIRST))
    assert result.exit_code == 1
    assert "cannot be read twice" in result.stderr
    assert not Path("outputs").exists()


def test_a_palette_and_a_reference_on_the_command_line(run):
    Path("flag.gpl").write_text("GIMP Palette\n" + "\n".join(" ".join(map(str, c)) for c in FLAG.tolist()))
    assert run("a.png", "--palette", "flag.gpl", "-o", "p", "--save", "json,model").exit_code == 0
    facts = json.loads(Path("p/a.json").read_text())
    assert facts["palette"] == FLAG.tolist()
    assert facts["options"]["palette"] == ["#ce1126", "#ffffff", "#002395"]
    assert run("a.png", "-k", 3, "--reference", "p/a_model.npz", "-o", "r", "--save", "json").exit_code == 0
    palette = np.array(json.loads(Path("r/a.json").read_text())["palette"])
    assert np.abs(palette - FLAG.astype(int)).max() < 12
    assert run("p/a_model.npz", "--palette", "p/a_model.npz", "-o", "p").exit_code == 1


def test_only_what_counts_is_shared(run):
    result = run(
        "a.png", "c.png", "--shared", "-k", 2, "--region", "0,0,20,20", "--save", "json", "-o", "out"
    )
    assert result.exit_code == 0
    assert json.loads(Path("out/shared.json").read_text())["n_pixels"] == 800
