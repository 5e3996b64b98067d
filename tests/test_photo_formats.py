"""Formats with an extra, files of folders that are no photos, one output to a file or to standard output."""

import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy
from PIL import Image, features

from segment.cli import main
from segment.errors import ImageError
from segment.photo import read_photo
from segment.photo.formats import read_raw

IMAGE, _ = noisy()


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, command="photo", **options):
        result = CliRunner().invoke(main, [command, *map(str, arguments)], **options)
        assert "Traceback" not in result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def heic(image):
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(image)).save(buffer, format="HEIF", quality=-1)
    return buffer.getvalue()


def test_heic_is_read(tmp_path):
    path = tmp_path / "telephone.HEIC"
    path.write_bytes(heic(IMAGE))
    photo = read_photo(path)
    assert photo.shape == IMAGE.shape[:2]
    assert np.abs(photo.pixels.astype(int) - IMAGE).mean() < 4
    assert photo.reader["format"] == "HEIF"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"telephone.HEIC: (damaged|not an image)"):
        read_photo(path)


def test_heic_without_its_extra_names_it(tmp_path, monkeypatch):
    path = tmp_path / "telephone.heic"
    path.write_bytes(heic(IMAGE))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        ImageError, match=r"telephone.heic: reading HEIC needs pillow-heif: pip install 'segment-em\[heif\]'"
    ):
        read_photo(path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.avif"
    path.write_bytes(encoded(IMAGE, "AVIF", quality=95))
    assert np.abs(read_photo(path).pixels.astype(int) - IMAGE).mean() < 6
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(ImageError, match="this Pillow cannot read AVIF: pip install"):
        read_photo(path)


class FakeRaw:
    """What rawpy opens, as far as it is used."""

    sizes = types.SimpleNamespace(width=60, height=48)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None

    def postprocess(self, **options):
        assert options == {"use_camera_wb": True, "output_color": "sRGB", "output_bps": 8}
        return IMAGE


def fake_rawpy(opened):
    class LibRawError(Exception):
        pass

    def imread(stream):
        if stream.read() == b"bad":
            raise LibRawError(b"Unsupported file format")
        return opened

    spaces = types.SimpleNamespace(sRGB="sRGB")
    return types.SimpleNamespace(imread=imread, ColorSpace=spaces, LibRawError=LibRawError)


def test_camera_raw_is_developed(tmp_path, monkeypatch):
    path = tmp_path / "camera.NEF"
    path.write_bytes(b"II*\0raw")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match=r"camera.NEF: .* needs rawpy: pip install 'segment-em\[raw\]'"):
        read_photo(path)
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(FakeRaw()))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, IMAGE)
    assert photo.reader["format"] == "camera raw"
    path.write_bytes(b"bad")
    with pytest.raises(ImageError, match=r"camera.NEF: damaged, or of .* \(Unsupported file format\)"):
        read_photo(path)

    def refuse(width, height):
        raise ImageError(f"{width} x {height}")

    with pytest.raises(ImageError, match="60 x 48"):
        read_raw(b"good", "x.nef", refuse)


def test_files_that_are_no_photos_are_named(run):
    for name in ("a.png", "notes.txt", "clip.mov", "data.bin", "zebra.doc", ".hidden"):
        Path(name).write_bytes(encoded(IMAGE) if name == "a.png" else b"x")
    result = run(".", "-k", 2, "-o", ".")
    assert result.exit_code == 0
    assert (
        "skipped 4 files that are no photos: clip.mov, data.bin, notes.txt and 1 more (-v names all)"
        in result.stderr
    )
    # Neither photos nor outputs of the first run.
    again = run(".", "-k", 2, "-o", "out", "-v")
    assert "skipped 4 files that are no photos: clip.mov, data.bin, notes.txt, zebra.doc\n" in again.stderr
    assert "skipped" not in run("a.png", "-k", 2, "-o", "out2").stderr
    assert run(".", "-k", 2, "-o", "out3", "-q").stderr == ""


def test_one_output_to_a_file(run):
    Path("a.png").write_bytes(encoded(IMAGE))
    result = run("a.png", "-k", 3, "-o", "deep/out.png")
    assert result.exit_code == 0, result.stderr
    assert "written to deep/out.png" in result.stderr
    assert [path.name for path in Path("deep").iterdir()] == ["out.png"]
    assert run("a.png", "-k", 3, "--save", "segmented", "-o", "folder").exit_code == 0
    assert Path("deep/out.png").read_bytes() == Path("folder/a_segmented.png").read_bytes()
    assert run("a.png", "-k", 3, "-o", "deep/out.png").exit_code == 1
    assert run("a.png", "-k", 2, "-o", "deep/out.png", "--force").exit_code == 0
    labels = run("a.png", "-k", 3, "--save", "labels", "-o", "l.png", "--json")
    assert json.loads(labels.stdout)["outputs"] == ["l.png"]
    assert run("a.png", "-k", 3, "-o", "m.npz").exit_code == 0
    assert run("a.png", "--regions", 3, "-o", "areas.svg").exit_code == 0
    assert Path("areas.svg").read_text().count("<g ") >= 3
    assert run("a.png", "--model", "m.npz", "-o", "again.png").exit_code == 0


def test_one_output_to_standard_output(run):
    Path("a.png").write_bytes(encoded(IMAGE))
    result = run("-", "-k", 3, "-o", "-", input=encoded(IMAGE))
    assert result.exit_code == 0
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.size == (60, 48)
    assert "written to -" in result.stderr
    assert [path.name for path in Path(".").iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.png", "b.png", "-o", "out.png"], 2, "one file, but there are 2 inputs"),
        (["a.png", "-o", "out.png", "--save", "segmented,labels"], 2, "ask for one of segmented, labels"),
        (["a.png", "-o", "out.png", "--save", "palette"], 2, "is one file"),
        (["a.png", "-o", "out.png", "--save", "json"], 2, "is one file"),
        (["a.png", "-o", "out.png", "--save", "model"], 2, "model is a .npz file"),
        (["a.png", "-o", "out.html"], 2, "no outputs of colors are .html files; name a folder"),
        (["a.png", "-o", "-", "--json"], 2, "both write to standard output"),
        (["a.png", "-o", "out.png", "--skip-existing"], 2, "--skip-existing needs a folder"),
        (["a.png", "-o", "out.png", "--shared"], 2, "--shared needs a folder"),
        (["a.png", "-o", "out.png", "--level", "0"], 2, "--level needs a folder"),
        (["a.png", "-o", "a.png", "--force"], 1, "would replace an input"),
        (["bad.png", "-o", "out.png"], 1, "bad.png: not an image"),
        (["a.png", "-k", "2", "-o", "/proc/none/out.png"], 1, "cannot be written"),
        (["a.png", "--watch"], 2, "--watch takes folders; a.png is none"),
        ([".", "--watch", "--shared"], 2, "leave --watch out"),
        ([".", "--watch", "-o", "out.png"], 2, "--watch needs a folder"),
    ],
)
def test_what_a_file_cannot_be(run, arguments, code, message):
    for name in ("a.png", "b.png"):
        Path(name).write_bytes(encoded(IMAGE))
    Path("bad.png").write_text("no photo")
    result = run(*arguments)
    assert result.exit_code == code, result.stderr
    assert message in " ".join(result.stderr.split())
    assert sorted(path.name for path in Path(".").iterdir()) == ["a.png", "b.png", "bad.png"]


def test_colors_are_printed(run, monkeypatch):
    Path("a.png").write_bytes(encoded(IMAGE))
    plain = run("a.png", "-k", 3, command="palette")
    assert plain.exit_code == 0
    found = json.loads(run("a.png", "-k", 3, "--json", command="palette").stdout)
    assert [color["label"] for color in found] == [0, 1, 2]
    assert plain.stdout.splitlines() == [f"{color['hex']}  33.33%" for color in found]
    css = run("a.png", "-k", 3, "--css", command="palette").stdout
    assert css.splitlines()[1] == f"  --color-0: {found[0]['hex']}; /* 33.3% */"
    assert run("a.png", "--css", "--json", command="palette").exit_code == 2
    assert run("none.png", command="palette").exit_code == 1


def test_swatches_are_for_terminals(monkeypatch):
    from segment.cli import palette

    color = {"hex": "#0a1420", "rgb": [10, 20, 32], "share": 0.5}
    assert palette._line(color) == "#0a1420  50.00%"
    monkeypatch.setattr(palette.sys, "stdout", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert palette._line(color) == "#0a1420  50.00%  \x1b[48;2;10;20;32m            \x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in palette._line(color)
