"""`segment table`, as a person runs it."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from segment import GaussianMixture, open_samples
from segment.cli import main
from segment.cli.table import OUTPUTS
from segment.table.fit import Steps, clock
from segment.table.write import OUTPUTS as WRITTEN

N = 40_000


def run(*arguments):
    return CliRunner().invoke(main, ["table", *map(str, arguments)])


def table(rows=N, dtype=np.float32):
    rng = np.random.default_rng(0)
    labels = (rng.random(rows) < 0.25).astype(int)
    return (rng.normal(size=(rows, 2)) + 6 * labels[:, None]).astype(dtype)


@pytest.fixture(scope="module")
def npy(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "x.npy"
    np.save(path, table())
    return path


@pytest.fixture(scope="module")
def labels(npy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    result = run(npy, "-k", 2, "-o", folder, "--save", "all", "--json")
    assert result.exit_code == 0, result.stderr
    return folder


def test_outputs_are_those_of_the_code():
    assert OUTPUTS == WRITTEN


def test_outputs_fit_each_other(labels, npy):
    X = np.load(npy)
    summary = json.loads((labels / "x.json").read_text())
    found = np.load(labels / "x_labels.npy")
    assert found.dtype == np.int32
    assert summary["n_samples"] == N == len(found)
    # The larger component comes first, and is the one at the origin.
    assert [round(c["weight"], 2) for c in summary["components"]] == [0.75, 0.25]
    assert np.abs(summary["components"][0]["mean"]).max() < 0.1
    mixture = GaussianMixture.load(labels / "x_model.npz")
    assert np.array_equal(mixture.predict(X), found)
    assert np.array_equal(mixture.predict_proba(X), np.load(labels / "x_probabilities.npy"))
    assert np.array_equal(mixture.score_samples(X), np.load(labels / "x_scores.npy"))
    assert summary["log_likelihood"] == pytest.approx(mixture.score(X) * N)


def test_what_is_said_names_rows_and_components(npy, tmp_path):
    result = run(npy, "-k", 2, "-o", tmp_path)
    assert "40000 rows of 2 features, float32" in result.stderr
    assert "component  weight    mean of 0  mean of 1" in result.stderr
    assert "converged after" in result.stderr
    assert result.stdout == ""
    assert run(npy, "-k", 2, "-o", tmp_path / "q", "-q").stderr == ""
    assert "EM step 0" in run(npy, "-k", 2, "-o", tmp_path / "v", "-v").stderr


def test_auto_finds_two(npy, tmp_path):
    result = run(npy, "-o", tmp_path, "--save", "model", "--json")
    summary = json.loads(result.stdout)
    assert summary["n_components"] == 2
    assert min(summary["criterion"], key=summary["criterion"].get) == "2"


@pytest.mark.parametrize("kind", ["csv", "parquet", "zarr", "npz"])
def test_labels_come_in_the_kind_of_the_input(kind, npy, labels, tmp_path):
    X, expected = np.load(npy), np.load(labels / "x_labels.npy")
    path = tmp_path / f"x.{kind}"
    if kind == "csv":
        np.savetxt(path, X, delimiter=",", fmt="%.9g", header="a,b", comments="")
    elif kind == "npz":
        np.savez(path, X=X)
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        zarr.create_array(path, shape=X.shape, dtype=X.dtype, chunks=(9000, 2))[:] = X
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"a": X[:, 0], "b": X[:, 1]}), path)
    result = run(path, "-k", 2, "-o", tmp_path / "out", "--save", "labels,probabilities")
    assert result.exit_code == 0, result.stderr
    ending = "npy" if kind == "npz" else kind
    found = open_samples(tmp_path / "out" / f"x_labels.{ending}").arrays()[0][:, 0]
    assert np.array_equal(found, expected)
    shares = open_samples(tmp_path / "out" / f"x_probabilities.{ending}").arrays()[0]
    assert np.allclose(shares.sum(axis=1), 1)


def test_columns_weights_and_several_files(tmp_path):
    rows = np.column_stack([table(2000, np.float64), np.full(2000, 3.0)])
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header="x,y,n", comments="")
    np.savetxt(tmp_path / "b.csv", rows, delimiter=",", header="x,y,n", comments="")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    summary = json.loads(
        run(*paths, "-k", 2, "--columns", "y", "--weight", "n", "-o", tmp_path / "o", "--json").stdout
    )
    assert summary["features"] == ["y"]
    assert (summary["n_samples"], summary["total_weight"]) == (4000, 12000)


def test_a_run_that_was_killed_resumes_to_the_same_files(npy, labels, tmp_path):
    checkpoint = tmp_path / "fit.ckpt"
    script = (
        "import os, signal, sys; from segment.data.journal import Journal as J\n"
        "append, left = J._append, [6]\n"
        "def counted(self, key, value):\n"
        "    append(self, key, value); left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "J._append = counted\n"
        "from segment.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    command = ["table", npy, "-k", 2, "-o", tmp_path / "o", "--save", "all", "--checkpoint", checkpoint]
    done = subprocess.run([sys.executable, "-c", script, *map(str, command)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not list(tmp_path.glob("o/*"))
    result = run(*command[1:], "--resume")
    assert result.exit_code == 0, result.stderr
    for name in ("x_model.npz", "x_labels.npy", "x_probabilities.npy", "x_scores.npy"):
        assert (tmp_path / "o" / name).read_bytes() == (labels / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("none.npy",), 1, "none.npy: no such file"),
        (("x.npy", "--columns", "red"), 1, "x.npy: has no column 'red'"),
        (("x.npy", "--save", "picture"), 2, "picture; allowed are model, labels"),
        (("x.npy", "--resume"), 2, "--resume needs --checkpoint"),
        (("x.npy", "-k", "0"), 2, "0 is not in the range"),
        (("x.npy", "-k", "99"), 1, "there are only 30 samples"),
        (("x.npy", "--columns", ","), 2, "no column"),
        (("nan.npy", "-k", "2"), 1, "nan.npy, row 17: column 1 is nan"),
        (("x.npy", "--dask", "somewhere"), 1, "tcp://host:port and local[:workers] are allowed"),
        (("x.npy", "-k", "2", "--checkpoint", "x.npy", "--resume"), 1, "no checkpoint"),
        ((), 2, "Missing argument"),
    ],
    ids=str,
)
def test_bad_requests_are_refused_in_one_line(arguments, code, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = table(30)
    np.save("x.npy", X)
    X[17, 1] = np.nan
    np.save("nan.npy", X)
    if "--dask" in arguments:
        pytest.importorskip("distributed")
    result = run(*arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert not (tmp_path / "outputs").exists()


def test_outputs_are_not_overwritten_without_force(tmp_path):
    np.save(tmp_path / "x.npy", table(30))
    command = (tmp_path / "x.npy", "-k", 1, "-o", tmp_path)
    assert run(*command).exit_code == 0
    assert "exists; give --force" in run(*command).stderr
    assert run(*command, "--force").exit_code == 0


def test_the_time_left_is_that_of_gains_that_shrink_at_one_rate(monkeypatch):
    told = []
    ticks = iter(range(1000))
    monkeypatch.setattr("segment.table.fit.time.perf_counter", lambda: next(ticks))
    steps = Steps(1e-4, told.append)
    for i in range(6):
        steps(i, -(0.1**i), None)
    # Gains 0.9, 0.09, ... 9e-5: one step is left after that of 9e-4.
    assert "about 1 s left" in told[4]
    assert [clock(s) for s in (0.2, 80, 600, 9000)] == ["1 s", "80 s", "10 min", "2.5 h"]
