"""Folders that are watched: what arrives is segmented once it is complete, never what was written."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from photos import encoded, noisy

from segment.cli import main, photo_folders
from segment.cli.photo_folders import Arrivals
from segment.photo.batch import Job
from segment.photo.inputs import find_inputs

pytest.importorskip("watchfiles", reason="watchfiles is not installed")
IMAGE, _ = noisy()


def wait_for(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} has not happened"
        time.sleep(0.05)


@pytest.fixture
def watched(tmp_path):
    """Run the command on a folder that holds one photo; it writes into the same folder, without sidecars."""
    (tmp_path / "first.png").write_bytes(encoded(IMAGE))
    command = [sys.executable, "-m", "segment", "photo", ".", "--watch", "-o", ".", "-k", "2"]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "--save", "segmented,labels", "--smooth", "none"], cwd=tmp_path, stderr=said
        )
    wait_for(lambda: "watching" in (tmp_path / "said").read_text(), "watching")
    yield tmp_path, process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_what_arrives_is_segmented_until_interrupted(watched):
    folder, process = watched
    said = folder / "said"
    assert (folder / "first_segmented.png").exists()
    content = encoded(IMAGE[::-1].copy())
    # A file that is written in two parts is read when it is whole.
    with (folder / "second.png").open("wb") as stream:
        stream.write(content[: len(content) // 2])
        stream.flush()
        time.sleep(0.5)
        stream.write(content[len(content) // 2 :])
    wait_for(lambda: "second.png: 60 x 48" in said.read_text(), "the second photo")
    (folder / "notes.txt").write_text("no photo")
    (folder / "bad.png").write_text("no photo")
    wait_for(lambda: "bad.png: not an image" in said.read_text(), "the bad photo")
    # One that has changed is done again.
    (folder / "second.png").write_bytes(encoded(IMAGE))
    wait_for(lambda: said.read_text().count("second.png: 60 x 48") == 2, "the changed photo")
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 3
    text = said.read_text()
    assert "Traceback" not in text
    names = sorted(path.name for path in Path(folder).glob("*.png"))
    assert names == ["bad.png"] + [
        f"{name}{ending}.png" for name in ("first", "second") for ending in ("", "_labels", "_segmented")
    ]


def test_an_interrupt_is_the_way_to_end_it(tmp_path, monkeypatch):
    def interrupted(*folders, **options):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("watchfiles.watch", interrupted)
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    result = CliRunner().invoke(main, ["photo", "empty", "--watch", "-o", "out"])
    assert result.exit_code == 0
    assert result.stderr == "watching empty; Ctrl-C ends it\nno longer watching\n"
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    result = CliRunner().invoke(main, ["photo", "empty", "--watch", "-o", "out"])
    assert result.exit_code == 1
    assert "pip install 'segment-em[watch]'" in result.stderr


def test_what_arrives_while_the_first_are_segmented_is_no_less_new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("inbox").mkdir()
    Path("inbox/a.png").write_bytes(encoded(IMAGE))
    jobs = [Job("inbox/a.png", Path("out/a"))]
    plan = SimpleNamespace(kinds=("segmented",))
    arrivals = Arrivals(lambda: find_inputs(["inbox"]), jobs, plan)
    Path("inbox/b.png").write_bytes(encoded(IMAGE))
    monkeypatch.setattr("watchfiles.watch", lambda *folders, **options: iter([set()] * 60))
    monkeypatch.setattr(photo_folders, "SETTLED", 0.0)
    assert list(arrivals.wait(("inbox",), False, quiet=True)) == [["inbox/b.png"]]
