"""Digits that are few, alike or unlabeled: clear words, no raw warnings; the same bytes for any threads."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from segment.cli import main
from segment.digits.cluster import DigitSettings, cluster_digits
from segment.digits.digit_set import DigitSet, load_digits
from segment.digits.features import fit_features
from segment.digits.write import figures, summarize

FAST = ["--features", "pixels", "--pca", "12", "--n-init", "3"]


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("segment.digits.cache.cache_folder", lambda: tmp_path / "features")


def strokes():
    """Return three distinct images, 30, 20 and 10 times."""
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 5:23, 13:16] = images[1, 5:23, 5:8] = images[1, 20:23, 5:20] = 255
    images[2, 8:20, 8:20] = 200
    return np.repeat(images, [30, 20, 10], axis=0)


def run(folder, images, *options, labels=None):
    np.savez(folder / "set.npz", images=images, **({} if labels is None else {"labels": labels}))
    arguments = ["digits", "--data", folder / "set.npz", "-o", folder / "out", *options]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


BLACK = np.zeros((40, 28, 28), np.uint8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("images", "options"),
    [
        (BLACK, ["-k", 1, "--refine", "none", "--features", "pixels"]),
        (strokes()[:1], ["-k", 1, "--refine", "none"]),
        (strokes(), ["-k", 3, "--refine", "none"]),
        (strokes(), ["-k", 3, "--refine", "none", "--features", "pixels"]),
        (strokes(), ["-k", 2, "--components", 3, "--refine", "none", "--features", "deskew"]),
    ],
)
def test_few_distinct_images_are_clustered_without_a_word(tmp_path, images, options):
    result = run(tmp_path, images, *options, "-q")
    assert (result.exit_code, result.output) == (0, ""), result.output
    summary = json.loads((tmp_path / "out" / "digits.json").read_text())
    assert sum(summary["cluster_sizes"]) == len(images)
    assert 0 <= summary["parameters"]["explained_variance"] <= 1
    if options[:2] == ["-k", 3]:
        assert sorted(summary["cluster_sizes"]) == [10, 20, 30]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (BLACK, "10 components for 40 digits, 1 of them distinct; allowed are 1 to 1"),
        (strokes(), "10 components for 60 digits, 3 of them distinct; allowed are 1 to 3"),
        (strokes()[:1], "10 components for 1 digits; allowed are 1 to 1"),
    ],
)
def test_more_components_than_distinct_images_are_refused(tmp_path, images, said):
    result = run(tmp_path, images, "-q")
    assert (result.exit_code, result.stderr) == (1, f"segment: error: {said}\n")


def test_alike_images_stay_together(tmp_path):
    """Twelve copies of an image are one another's nearest neighbors: no graph of all of them could tell."""
    images = np.repeat(load_digits("digits").limited(60).images, 12, axis=0)
    assert run(tmp_path, images, "-q", "--features", "pixels", "--pca", 12).exit_code == 0
    table = np.genfromtxt(tmp_path / "out" / "assignments.csv", delimiter=",", names=True)
    clusters = table["cluster"].reshape(60, 12)
    assert (clusters == clusters[:, :1]).all()
    few = run(tmp_path, strokes(), "-k", 3, "--force")
    assert few.exit_code == 1
    assert "3 samples are too few for a graph" in few.stderr


def _texts(figure):
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_without_labels_no_figure_promises_matched_or_wrong_digits():
    found = load_digits("digits").limited(200)
    unlabeled = DigitSet(found.name, found.images, None, found.n_train, found.source)
    settings = DigitSettings("pixels", 12, n_components=12, merge="demp", n_init=3, refine="none")
    texts = {}
    for digits in (found, unlabeled):
        clustering = cluster_digits(digits, settings, n_jobs=1)
        summary = summarize(clustering, settings, split="all", seconds={})
        texts[digits.labels is None] = {name: _texts(figure) for name, figure in figures(clustering, summary)}
    for name, text in texts[True].items():
        for word in ("matched", "wrong", "true digit"):
            assert word not in text, (name, word)
    for name in ("components", "overlap", "merge_tree"):
        assert "matched" in texts[False][name], name


# One process a setting: BLAS reads its environment once. Prints a digest of all that was written.
SCRIPT = """
import hashlib, json, sys
from pathlib import Path
import segment.digits.cache
from segment.cli import main
folder, jobs = Path(sys.argv[1]), sys.argv[2]
segment.digits.cache.cache_folder = lambda: folder / "cache" / jobs
found = {}
for data, options in json.loads(sys.argv[3]).items():
    out = folder / jobs / data
    model = out / "model.npz"
    options += ["--jobs", jobs, "-o", str(out / "files"), "-q", "--save-model", str(model)]
    main(["digits", "--data", str(folder / data), *options], standalone_mode=False)
    summary = json.loads((out / "files" / "digits.json").read_text()) | {"seconds": None}
    files = [path for path in (out / "files").iterdir() if path.suffix != ".json"]
    found |= {f"{data} {path.name}": path.read_bytes() for path in [*files, model]}
    found[f"{data} digits.json"] = json.dumps(summary).encode()
print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in sorted(found.items())}))
"""


def _digests(folder, jobs, environment, runs):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(jobs), json.dumps(runs)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_outputs_are_the_same_bytes_for_any_threads(tmp_path):
    """More rows than raw features (their covariance), mixture, graph, figures; scattering of few images."""
    np.savez(tmp_path / "digits.npz", images=load_digits("digits").limited(800).images)
    np.savez(tmp_path / "few.npz", images=strokes())
    runs = {
        "digits.npz": ["--features", "deskew", "--pca", "30", "--n-init", "3"],
        "few.npz": ["-k", "3", "--n-init", "3", "--refine", "none"],
    }
    settings = [(1, {}), (2, {"OPENBLAS_NUM_THREADS": "1"}), (8, {})]
    one, *others = (_digests(tmp_path, *setting, runs) for setting in settings)
    assert len(one) > 10
    for setting, other in zip(settings[1:], others, strict=True):
        assert other == one, setting


def test_principal_axes_are_those_of_a_singular_value_decomposition():
    rng = np.random.default_rng(0)
    images = np.zeros((800, 28, 28), np.uint8)
    images[:, 4:24, 4:24] = rng.integers(0, 256, (800, 20, 20)) * np.linspace(0, 1, 20)
    for count in (800, 300):
        model, features = fit_features(images[:count], "pixels", 12, n_jobs=2)
        raw = images[:count].reshape(count, -1) / 255
        _, roots, axes = np.linalg.svd(raw - raw.mean(axis=0), full_matrices=False)
        assert np.allclose(np.abs((model.components * axes[:12]).sum(axis=1)), 1, atol=1e-4)
        assert (model.components[np.arange(12), np.abs(model.components).argmax(axis=1)] > 0).all()
        assert model.explained == pytest.approx((roots[:12] ** 2).sum() / (roots**2).sum(), rel=1e-4)
        assert np.allclose(features, model.transform(images[:count]), atol=1e-4)
