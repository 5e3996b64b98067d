"""The same command writes the same bytes, however many threads, processes or BLAS threads it has."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from segment.parallel import ONE_THREAD


def _run(*arguments, **environment):
    """Run the command line in a process of its own, as users do."""
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD} | environment
    done = subprocess.run(
        [sys.executable, "-m", "segment", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _files(folder):
    """Return the bytes of every file but the records, which name seconds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".json"
    }


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Return a folder with a noisy photo and one of five colors."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    noisy = rng.normal((40, 90, 160), 30, (30, 40, 3))
    noisy[5:25, 10:30] = rng.normal((200, 120, 40), 30, (20, 20, 3))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / "noisy.png")
    few = rng.integers(0, 255, (5, 3))[rng.integers(0, 5, (20, 30))]
    Image.fromarray(few.astype(np.uint8)).save(folder / "few.png")
    return folder


def _same(first, second):
    assert [name for name in second if first[name] != second[name]] == []


def test_photos_hang_neither_on_jobs_nor_on_blas(inputs, tmp_path):
    photos, written = (inputs / "noisy.png", inputs / "few.png"), []
    for jobs, blas in ((1, "1"), (2, "2"), (8, "2")):
        folder = tmp_path / str(jobs)
        options = ("--smooth", "strong", "--save", "labels,overlay,palette,soft", "-q", "-o", folder)
        _run("photo", *photos, *options, "--jobs", jobs, OPENBLAS_NUM_THREADS=blas)
        written.append(_files(folder))
    assert len(written[0]) >= 6
    _same(written[0], written[1])
    _same(written[0], written[2])


@pytest.fixture(scope="module")
def few_digits(tmp_path_factory):
    """Return a file with digits whose graph of neighbors falls into pieces."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    path = tmp_path_factory.mktemp("digits") / "few.npz"
    np.savez(path, images=(15 * digits.images[:240]).astype(np.uint8), labels=digits.target[:240])
    return path


# Within a process of one's own nothing is set before NumPy is imported.
_WRITE = """
import sys
from pathlib import Path
from segment.report.build import write_report
from segment.report.settings import Settings
folder, photo, data = sys.argv[1:]
write_report(Settings(Path(folder), (photo,), data, n_jobs=8), only=("digits", "photos"))
"""


def test_a_report_hangs_neither_on_jobs_nor_on_blas_nor_on_its_other_sections(inputs, few_digits, tmp_path):
    options = ("-q", "--photos", inputs / "noisy.png", "--data", few_digits)
    _run("report", *options, "--jobs", 1, "--only", "five-points,photos,digits", "-o", tmp_path / "one")
    arguments = [tmp_path / "two", inputs / "noisy.png", few_digits]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "8"}
    subprocess.run([sys.executable, "-c", _WRITE, *map(str, arguments)], env=environment, check=True)
    one, two = _files(tmp_path / "one"), _files(tmp_path / "two")
    shared = [name for name in two if name != "index.html"]
    assert len(shared) >= 24
    _same(one, {name: two[name] for name in shared})
    records = [json.loads((tmp_path / folder / "report.json").read_text()) for folder in ("one", "two")]
    for section in ("photos", "digits"):
        assert records[0]["sections"][section] == records[1]["sections"][section]


def test_within_python_results_do_not_hang_on_blas_either(inputs):
    from threadpoolctl import threadpool_limits

    from segment import segment_photo
    from segment.lab import EXPERIMENTS
    from segment.output import json_text

    pixels = np.asarray(Image.open(inputs / "noisy.png"))
    found = []
    for threads, jobs in ((1, 1), (2, 2), (2, 8)):
        with threadpool_limits(threads, user_api="blas"):
            result = segment_photo(pixels, n_jobs=jobs)
            mouse = json_text(EXPERIMENTS["mouse"].run(0).summary())
        found.append(
            (result.log_likelihood, result.label_map.tobytes(), result.parameters.means.tobytes(), mouse)
        )
    assert found[0] == found[1] == found[2]
