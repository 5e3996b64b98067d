"""Outputs are whole or absent: interrupted, on a full disk, where nothing may be written. JSON is strict."""

import errno
import importlib.metadata
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from segment import output
from segment.errors import OutputError, SegmentError
from segment.output import atomic_path, json_text, to_plain, versions, write_json, write_text


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "Grüße\n")
    assert path.read_bytes() == "Grüße\n".encode()
    assert _names(path.parent) == ["text.txt"]


def test_the_temporary_file_stands_beside_and_keeps_the_suffix(tmp_path):
    with atomic_path(tmp_path / "photo.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"1")
        assert not (tmp_path / "photo.png").exists()
    assert _names(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_breaks_while_writing_leaves_the_old_output(error, tmp_path):
    path = tmp_path / "result.txt"
    write_text(path, "old")

    def break_off():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        break_off()
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["result.txt"]


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/deep/text\.txt: cannot be written .* choose a folder"):
        write_text(tmp_path / "file" / "deep" / "text.txt", "text")
    assert _names(tmp_path) == ["file"]


def test_an_output_that_is_a_folder(tmp_path):
    (tmp_path / "text.txt").mkdir()
    with pytest.raises(OutputError, match=r"text\.txt: cannot be written"):
        write_text(tmp_path / "text.txt", "text")
    assert _names(tmp_path) == ["text.txt"]


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Not by chmod: root may write anywhere.
    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)") as caught:
        write_text(tmp_path / "text.txt", "text")
    assert isinstance(caught.value, SegmentError)
    assert isinstance(caught.value, OSError)
    assert _names(tmp_path) == []


def test_an_error_of_ours_keeps_its_words(tmp_path):
    with pytest.raises(OutputError, match=r"^say it so$"), atomic_path(tmp_path / "a"):
        raise OutputError("say it so")


def test_a_name_of_the_greatest_length(tmp_path):
    """The temporary name must not be longer than the file system allows, whatever the alphabet."""
    for name in ("x" * 251 + ".png", "照" * 83 + ".png"):
        write_text(tmp_path / name, "1")
    assert len(_names(tmp_path)) == 2


def test_two_outputs_of_one_name_do_not_share_a_temporary_file(tmp_path):
    with atomic_path(tmp_path / "a.txt") as first, atomic_path(tmp_path / "a.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert _names(tmp_path) == ["a.txt"]


FULL_DISK = """
import resource, sys
from segment.errors import OutputError
from segment.output import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "x" * 100000)
except OutputError as error:
    print(error)
"""


def test_a_disk_that_is_full(tmp_path):
    """A limit on the size of files stands for the disk: the write fails midway."""
    pytest.importorskip("resource", reason="needs POSIX limits")
    path = tmp_path / "large.txt"
    path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "large.txt: cannot be written (File too large)" in finished.stdout
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["large.txt"]


def test_json_is_strict_and_in_the_order_given(tmp_path):
    value = {
        "z": np.float64(1.5),
        "a": [np.nan, math.inf, -math.inf],
        3: np.array([[1, 2]], np.int32),
        "path": Path("a/b"),
        "flag": np.bool_(True),
        "none": None,
        "tuple": (1, np.uint8(2)),
        "text": "Grüße \"'\n",
        "array of NaN": np.array([np.nan, 1.0], np.float32),
    }
    write_json(tmp_path / "value.json", value)
    text = (tmp_path / "value.json").read_text(encoding="utf-8")

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(text, parse_constant=refuse) == {
        "z": 1.5,
        "a": [None, None, None],
        "3": [[1, 2]],
        "path": os.path.join("a", "b"),
        "flag": True,
        "none": None,
        "tuple": [1, 2],
        "text": "Grüße \"'\n",
        "array of NaN": [None, 1.0],
    }
    assert list(json.loads(text)) == [str(key) for key in value]
    assert "Grüße" in text
    assert text.endswith("}\n")


def test_json_on_one_line():
    assert json_text({"a": [1, 2]}, indent=None) == '{"a": [1, 2]}'
    assert to_plain({1: {2: np.int64(3)}}) == {"1": {"2": 3}}


def test_versions_name_what_the_numbers_depend_on(monkeypatch):
    found = versions()
    assert next(iter(found)) == "segment"
    assert found["numpy"] == np.__version__
    assert {"numba", "scipy", "scikit-learn"} <= set(found)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    monkeypatch.setattr(output, "_installed", output._installed.__wrapped__)
    assert list(versions()) == ["segment"]


def test_a_pipe_or_a_device_is_no_place_for_an_output(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for path, kind in ((tmp_path / "pipe.json", "named pipe"), ("/dev/null", "device")):
        before = os.stat(path)
        with pytest.raises(OutputError, match=f"{path}: cannot be written .*{kind}"):
            write_json(path, {})
        assert os.stat(path).st_ino == before.st_ino


def test_a_read_only_file_system_is_told_of(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("replace", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(OutputError, match=r"cannot be written \(Read-only file system\)"):
        write_json(tmp_path / "x.json", {})


def test_names_that_are_no_utf8_come_back_from_json(tmp_path):
    write_json(tmp_path / "x.json", {"input": "caf\udce9 ü"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "ü" in text
    assert json.loads(text) == {"input": "caf\udce9 ü"}
