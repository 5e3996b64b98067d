"""`segment digits` and `segment digits-predict`, as a person runs them."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_digits_idx import idx_bytes

from segment.cli import main
from segment.digits.normalize import normalize

FIGURES = {"confusion_matrix.png", "components.png", "samples.png", "restarts.png", "embedding.png"}
FAST = ["--features", "pixels", "--pca", "12", "--n-init", "4", "--jobs", "1"]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("segment.digits.cache.cache_folder", lambda: tmp_path / "features")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def cluster(output, *options):
    return run("digits", "--data", "digits", "--limit", 400, *FAST, "-o", output, *options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run with everything asked for: its folder and result."""
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segment.digits.cache.cache_folder", lambda: folder / "features")
        result = cluster(folder / "out", "--save-model", folder / "model.npz", "--json", "-v")
    assert result.exit_code == 0, result.output
    return folder, result


def test_every_output_is_written_and_json_is_printed(finished):
    folder, result = finished
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == FIGURES | {"digits.json", "assignments.csv"}
    summary = json.loads(result.stdout)
    assert summary == json.loads((folder / "out" / "digits.json").read_text())
    for name in (
        "accuracy",
        "nmi",
        "ari",
        "purity",
        "recall",
        "precision",
        "mapping",
        "confusion",
        "mixture",
        "log_likelihood",
        "lower_bound",
        "n_iter",
        "restarts",
        "seconds",
        "random_state",
        "parameters",
        "versions",
        "cluster_sizes",
    ):
        assert summary[name] is not None, name
    assert np.sum(summary["confusion"]) == summary["n_samples"] == 400
    assert sum(summary["cluster_sizes"]) == 400
    assert len(summary["restarts"]) == 4
    assert f"accuracy {summary['accuracy']:.4f}" in result.stderr


def test_assignments_name_every_digit(finished):
    folder, result = finished
    with open(folder / "out" / "assignments.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["index"] for row in rows] == [str(i) for i in range(400)]
    agreed = np.mean([row["digit"] == row["label"] for row in rows])
    assert agreed == pytest.approx(json.loads(result.stdout)["accuracy"])
    assert all(0 <= float(row["certainty"]) <= 1 for row in rows)


def test_the_same_command_gives_the_same_files(finished, tmp_path):
    """All but the seconds that it took."""
    folder, _ = finished
    assert cluster(tmp_path / "again", "-q", "--jobs", 2).exit_code == 0
    for path in (tmp_path / "again").iterdir():
        first = (folder / "out" / path.name).read_bytes()
        if path.name == "digits.json":
            pair = [json.loads(data) | {"seconds": None} for data in (first, path.read_bytes())]
            assert pair[0] == pair[1]
        else:
            assert first == path.read_bytes(), path.name


def test_outputs_are_not_overwritten_unasked(finished):
    folder, _ = finished
    before = (folder / "out" / "digits.json").read_bytes()
    result = cluster(folder / "out")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert (folder / "out" / "digits.json").read_bytes() == before


def test_another_seed_is_another_run_and_quiet_is_quiet(finished, tmp_path):
    _, result = finished
    other = cluster(tmp_path / "out", "-q", "--refine", "none", "--seed", 1)
    assert (other.exit_code, other.output) == (0, "")
    restarts = json.loads((tmp_path / "out" / "digits.json").read_text())["restarts"]
    assert restarts != json.loads(result.stdout)["restarts"]


def test_merging_draws_the_overlap_and_the_tree(tmp_path):
    result = cluster(tmp_path / "out", "--components", 15, "--merge", "demp", "--refine", "none", "--json")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= FIGURES | {"overlap.png", "merge_tree.png"}
    assert json.loads(result.stdout)["merging"]["n_components"] == 15


def test_without_labels_nothing_is_scored(tmp_path):
    from sklearn.datasets import load_digits

    np.savez(tmp_path / "set.npz", images=load_digits().images[:200])
    result = run("digits", "--data", tmp_path / "set.npz", *FAST, "-o", tmp_path / "out", "--json")
    summary = json.loads(result.stdout)
    assert summary["accuracy"] is summary["confusion"] is summary["mixture"] is None
    assert "without labels" in result.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "digits.json",
        "assignments.csv",
        "components.png",
        "samples.png",
        "embedding.png",
    }


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--data", "nowhere"], 1, "allowed are digits, mnist"),
        (["--data", "digits", "--limit", "5"], 1, "10 components for 5 digits; allowed are 1 to 5"),
        (["--data", "digits", "--limit", "10"], 1, "try --refine none"),
        (["--data", "digits", "--split", "train-test"], 1, "no test part"),
        (["--data", "digits", "--components", "5"], 1, "ask for at least 10"),
        (["--data", "digits", "--features", "edges"], 2, "scattering"),
        (["--data", "digits", "-k", "0"], 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, options, code, said):
    result = run("digits", *FAST[2:], "--features", "pixels", *options, "-o", tmp_path / "out", "-q")
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "out").write_text("in the way")
    result = cluster(tmp_path / "out", "-q")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_model_labels_pictures_and_idx_files(finished, tmp_path):
    from sklearn.datasets import load_digits

    folder, _ = finished
    # The images that the model was fitted to: --limit takes them evenly spread.
    images = np.rint(load_digits().images * 255 / 16).astype(np.uint8)[np.arange(400) * 1797 // 400]
    (tmp_path / "many.idx").write_bytes(idx_bytes(images))
    rows = json.loads(run("digits-predict", folder / "model.npz", tmp_path / "many.idx", "--json").stdout)
    assert [row["index"] for row in rows] == list(range(400))
    with open(folder / "out" / "assignments.csv", newline="") as stream:
        fitted = [int(row["cluster"]) for row in csv.DictReader(stream)]
    # The graph has moved a few that the model, a mixture, gives to another cluster.
    assert np.mean([row["cluster"] == cluster for row, cluster in zip(rows, fitted, strict=True)]) > 0.9
    # The same digit as dark ink on a large sheet.
    large = Image.fromarray(255 - images[0]).resize((120, 120), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (400, 300), 255)
    sheet.paste(large, (250, 40))
    sheet.save(tmp_path / "sheet.png")
    result = run("digits-predict", folder / "model.npz", tmp_path / "sheet.png")
    assert result.stdout.startswith(f"{tmp_path / 'sheet.png'} [0]: {rows[0]['digit']} (cluster")


def test_a_bad_image_does_not_stop_the_others(finished, tmp_path):
    folder, _ = finished
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "good.idx").write_bytes(idx_bytes(np.eye(28, dtype=np.uint8)[None] * 255))
    result = run(
        "digits-predict", folder / "model.npz", tmp_path / "bad.png", tmp_path / "good.idx", "--json"
    )
    assert result.exit_code == 3
    assert "bad.png" in result.stderr
    assert len(json.loads(result.stdout)) == 1
    assert run("digits-predict", folder / "model.npz", tmp_path / "bad.png").exit_code == 1
    assert run("digits-predict", tmp_path / "none.npz", tmp_path / "good.idx").exit_code == 1


def test_what_is_no_digit_is_said_to_be_none(finished, tmp_path):
    from sklearn.datasets import load_digits

    folder, _ = finished
    digit = normalize(np.rint(load_digits().images[0] * 255 / 16).astype(np.uint8))
    block = np.zeros((28, 28), np.uint8)
    block[1:-1, 1:-1] = 255
    (tmp_path / "three.idx").write_bytes(idx_bytes(np.stack([digit, np.zeros_like(digit), block])))
    result = run("digits-predict", folder / "model.npz", tmp_path / "three.idx")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "probability" in lines[0]
    assert "unlike" not in lines[0]
    assert lines[1].endswith("[1]: no ink")
    assert lines[2].endswith("; unlike the digits fitted)")
    assert "no ink in 1 of 3 images, the first [1]" in result.stderr
    assert "unlike the digits fitted in 1 of 3 images, the first [2]" in result.stderr
    rows = json.loads(run("digits-predict", folder / "model.npz", tmp_path / "three.idx", "--json").stdout)
    assert [row["note"] for row in rows] == [None, "no ink", "unlike the digits fitted"]
    assert rows[1]["digit"] is rows[1]["probability"] is None
