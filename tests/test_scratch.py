"""Scratch files: gone with their object, and those of killed programs with the next one's."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from segment import scratch
from segment.scratch import Scratch

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files are locked in another way")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_gone_when_closed_or_forgotten(folder):
    first, second = Scratch(), Scratch()
    assert len(_names(folder)) == 2
    first.close()
    first.close()
    del second
    assert _names(folder) == []


def test_what_a_killed_program_leaves_the_next_one_removes(folder):
    code = "from segment.scratch import Scratch; s = Scratch(); print(s.path, flush=True); input()"
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | {"TMPDIR": str(folder)}, **pipes) as other:
        path = other.stdout.readline().strip()
        os.utime(path, (0, 0))
        Scratch().close()
        assert os.path.exists(path), "of a program that lives"
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert os.path.exists(path)
    mine = Scratch()
    assert _names(folder) == [os.path.basename(mine.path)]


def test_a_file_that_was_just_made_is_left_alone(folder):
    path = folder / f"{scratch.PREFIX}new{scratch.SUFFIX}"
    path.write_bytes(b"")
    Scratch().close()
    assert path.exists()
    os.utime(path, (0, 0))
    path.chmod(0)
    (folder / f"{scratch.PREFIX}folder{scratch.SUFFIX}").mkdir()
    os.utime(folder / f"{scratch.PREFIX}folder{scratch.SUFFIX}", (0, 0))
    Scratch().close()
    assert (folder / f"{scratch.PREFIX}folder{scratch.SUFFIX}").is_dir()
