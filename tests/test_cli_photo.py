"""`segment photo`: what is written, what is said, exit codes; bad input of every kind."""

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import encoded, noisy, png16, png_chunk
from PIL import Image

import segment
from segment.cli import main
from segment.photo import fit as fitting

IMAGE, _ = noisy()
FIELDS = [
    *("input", "sha256", "width", "height", "n_pixels", "reader", "options", "settings", "method"),
    "n_distinct_colors",
    *(
        "n_components",
        "selection",
        "selection_errors",
        "covariance_type",
        "color_space",
        "smooth",
        "weights",
        "means",
    ),
    *("covariances", "log_likelihood", "lower_bound", "n_iter", "converged", "palette", "shares", "warnings"),
    *("seconds", "outputs", "versions"),
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `segment photo` in an empty folder; return its result."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, input=None):
        result = CliRunner().invoke(main, ["photo", *map(str, arguments)], input=input)
        assert "Traceback" not in result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "flag.png"
    path.write_bytes(encoded(IMAGE))
    return path


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_the_default_outputs_and_the_sidecar(run, photo):
    result = run(photo)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "60 x 48, 3 components (by ICL)" in result.stderr
    suffixes = ("palette.css", "palette.gpl", "palette.json", "palette.png")
    assert names("outputs/photo") == [
        "flag.json",
        "flag_overlay.png",
        *(f"flag_{s}" for s in suffixes),
        "flag_segmented.png",
    ]
    facts = json.loads(Path("outputs/photo/flag.json").read_text())
    assert list(facts) == FIELDS
    assert facts["input"] == str(photo)
    assert (facts["width"], facts["height"], facts["n_pixels"]) == (60, 48, 2880)
    assert list(facts["seconds"]) == ["read", "count", "fit", "label", "smooth", "write", "total"]
    assert sorted(map(Path, facts["outputs"])) == sorted(Path("outputs/photo").iterdir())
    assert list(facts["selection"]) == [str(k) for k in range(1, 13)]
    assert np.shape(facts["covariances"]) == (3, 3, 3)
    assert "numpy" in facts["versions"]


def test_all_outputs_of_a_bundled_photo(run):
    result = run("skimage:cat", "-k", 2, "--save", "all", "-o", "out", "-v")
    assert result.exit_code == 0
    endings = [name.removeprefix("cat") for name in names("out")]
    assert endings == [
        ".geojson",
        ".json",
        ".svg",
        "_anomaly.json",
        "_anomaly.png",
        "_anomaly.tif",
        "_anomaly_areas.png",
        "_coco.json",
        "_labelme.json",
        "_labels.png",
        "_mask_00.png",
        "_mask_01.png",
        "_measurements.csv",
        "_model.npz",
        "_overlay.png",
        "_paint.pdf",
        "_paint.svg",
        "_palette.css",
        "_palette.gpl",
        "_palette.json",
        "_palette.png",
        "_segmented.png",
        "_sheet.png",
        "_soft.tif",
        "measurements.csv",
    ]
    for told in ("distinct colors", "profile", "fit ", "cat_model.npz"):
        assert told in result.stderr


def test_json_is_one_object_a_line_and_quiet_says_nothing(run, photo):
    second = photo.with_name("second.png")
    shutil.copy(photo, second)
    result = run(photo, second, "-k", 3, "--json", "--save", "segmented", "-q")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(line) for line in lines] == [FIELDS] * 2
    assert result.stderr == ""
    assert names("outputs/photo") == ["flag_segmented.png", "second_segmented.png"]


def test_options_reach_the_fit(run, photo):
    options = (
        "--covariance",
        "diag",
        "--color-space",
        "oklab",
        "--smooth",
        "strong",
        "--seed",
        7,
        "--n-init",
        3,
    )
    result = run(photo, "-k", 2, *options, "--jobs", 1, "--json", "--save", "json")
    facts = json.loads(result.stdout)
    told = [facts[name] for name in ("n_components", "covariance_type", "color_space", "smooth")]
    assert told == [2, "diag", "oklab", "strong"]
    assert facts["options"] == {
        "method": "colors",
        "n_components": 2,
        "covariance_type": "diag",
        "color_space": "oklab",
        "n_init": 3,
        "smooth": "strong",
        "seed": 7,
    }
    assert np.shape(facts["covariances"]) == (2, 3)
    assert facts["selection"] is None


def test_the_same_command_gives_the_same_files(run, photo):
    for folder in ("a", "b"):
        assert run(photo, "--save", "all", "-o", folder).exit_code == 0
    for name in names("a"):
        if name != "flag.json":
            assert Path("a", name).read_bytes() == Path("b", name).read_bytes(), name
    first, second = (json.loads(Path(folder, "flag.json").read_text()) for folder in "ab")
    for facts in (first, second):
        del facts["seconds"], facts["outputs"]
    assert first == second


def test_nothing_is_overwritten_without_force(run, photo):
    assert run(photo, "-k", 2).exit_code == 0
    before = Path("outputs/photo/flag_segmented.png").read_bytes()
    result = run(photo, "-k", 3)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert "--force" in result.stderr
    assert Path("outputs/photo/flag_segmented.png").read_bytes() == before
    assert run(photo, "-k", 3, "--force").exit_code == 0
    assert Path("outputs/photo/flag_segmented.png").read_bytes() != before


def test_outputs_keep_the_folders_below_the_shared_one(run, photo, tmp_path):
    for name in ("a/flag.png", "b/flag.png", "b/deep/flag.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(photo, tmp_path / name)
    assert run("a/flag.png", "b/flag.png", "-k", 2, "--save", "json").exit_code == 0
    assert run("b", "--recursive", "-k", 2, "--save", "json", "-o", "of_b").exit_code == 0
    written = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.json"))]
    outputs = ["outputs/photo/a/flag.json", "outputs/photo/b/flag.json"]
    assert written == ["of_b/deep/flag.json", "of_b/flag.json", *outputs]


def test_equal_stems_in_a_folder_are_told_apart_by_suffix(run, tmp_path):
    for name in ("flag.png", "flag.bmp", "FLAG.png"):
        Image.fromarray(IMAGE).save(tmp_path / name)
    assert run(".", "-k", 2, "--save", "json").exit_code == 0
    assert names("outputs/photo") == ["FLAG-png.json", "flag-bmp.json", "flag-png-2.json"]


def test_folders_globs_and_recursion(run, photo, tmp_path):
    deep = tmp_path / "album" / "deep"
    deep.mkdir(parents=True)
    for path in (deep.parent / "one.PNG", deep.parent / "two.png", deep / "three.png"):
        shutil.copy(photo, path)
    (deep.parent / "notes.txt").write_text("no photo")
    found = {
        ("album",): ["one", "two"],
        ("album", "--recursive"): ["deep/three", "one", "two"],
        ("album/t*.png",): ["two"],
        ("album/**/*.png",): ["deep/three", "two"],
        ("album", "album/two.png"): ["one", "two"],
    }
    for number, (arguments, expected) in enumerate(found.items()):
        assert run(*arguments, "-k", 1, "--save", "json", "-o", f"out{number}").exit_code == 0
        found = [path.relative_to(f"out{number}") for path in Path(f"out{number}").rglob("*.json")]
        assert sorted(map(str, found)) == [f"{name}.json" for name in expected]


def test_standard_input(run, photo):
    result = run("-", "-k", 2, "--save", "segmented,json", input=photo.read_bytes())
    assert result.exit_code == 0
    assert names("outputs/photo") == ["stdin.json", "stdin_segmented.png"]


def test_a_model_is_applied_without_fitting(run, photo, monkeypatch):
    assert run(photo, "-k", 3, "--save", "model,labels", "-o", "fitted").exit_code == 0
    monkeypatch.setattr(fitting, "starting_points", None)
    result = run(photo, "--model", "fitted/flag_model.npz", "--save", "labels,json", "-o", "applied")
    assert result.exit_code == 0
    assert Path("applied/flag_labels.png").read_bytes() == Path("fitted/flag_labels.png").read_bytes()
    assert json.loads(Path("applied/flag.json").read_text())["n_iter"] is None
    assert run(photo, "--model", "fitted/flag_model.npz", "-k", 3).exit_code == 2


def test_a_batch_goes_on_after_a_bad_photo(run, photo, tmp_path):
    (tmp_path / "bad.jpg").write_text("no photo")
    result = run("bad.jpg", photo, "missing.png", "-k", 2, "--save", "json", "--json")
    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.count("segment: error:") == 2
    assert names("outputs/photo") == ["flag.json"]
    assert run("bad.jpg", "missing.png").exit_code == 1


def truncated(content):
    return content[: len(content) // 2]


def declares(width, height):
    """A PNG of some bytes that declares to be huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + png_chunk(b"IEND", b"")
    )


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
DEEP = NOISE.astype(np.uint16) * 257
CLEAR = np.dstack([IMAGE, np.zeros(IMAGE.shape[:2], np.uint8)])
NAN_BANDS = np.full((8, 8, 5), np.nan, np.float32)
BAD_FILES = {
    "empty.png": (b"", "the file is empty"),
    "one_byte.jpg": (b"\xff", "not an image"),
    "text.png": (b"This is a text file, not a photo.\n" * 9, "not an image"),
    "html.jpg": (b"<html><body>404 not found</body></html>", "not an image"),
    "zeros.tif": (bytes(5000), "not an image"),
    "random.webp": (np.random.default_rng(1).bytes(5000), "not an image"),
    "truncated.png": (truncated(encoded(NOISE)), "damaged"),
    "truncated.jpg": (truncated(encoded(NOISE, "JPEG")), "damaged"),
    "truncated.webp": (truncated(encoded(NOISE, "WEBP")), "damaged"),
    "truncated.bmp": (truncated(encoded(NOISE, "BMP")), "damaged"),
    "truncated.gif": (truncated(encoded(NOISE, "GIF")), "damaged"),
    "truncated.tif": (truncated(encoded(NOISE, "TIFF", compression="tiff_lzw")), "truncated|cannot read"),
    "truncated_16_bit.png": (truncated(png16(DEEP)), "truncated"),
    "truncated_16_bit.tif": (truncated(tiff(DEEP)), "cannot read this TIFF"),
    "header_only.jpg": (encoded(NOISE, "JPEG")[:20], "damaged"),
    "header_only.png": (encoded(NOISE)[:33], "damaged"),
    "header_only.tif": (b"II*\0" + bytes(4), "cannot read this TIFF|damaged"),
    "bad_checksum.png": (encoded(NOISE).replace(b"IDAT", b"IDAX", 1), "damaged"),
    "flipped_bits.png": (encoded(NOISE)[:80] + bytes(60) + encoded(NOISE)[140:], "damaged"),
    "bomb.png": (declares(60_000, 60_000), "declares 60000 x 60000 pixels.*--allow-large"),
    "no_pixels.png": (declares(0, 5), "damaged"),
    "huge.tif": (
        tiff(DEEP).replace(struct.pack("<H", 64), struct.pack("<H", 65000)),
        "declares|cut off|cannot read",
    ),
    "clear.png": (encoded(CLEAR), "every pixel is fully transparent"),
    "nan.tif": (tiff(NAN_BANDS, photometric="minisblack"), "not finite, the first at row 0, column 0"),
    "complex.tif": (
        tiff(np.zeros((8, 8, 2), np.complex64), photometric="minisblack"),
        "not an image|complex64",
    ),
    "program.bmp": (Path(sys.executable).resolve().read_bytes()[:4096], "not an image"),
    "archive.png": (b"PK\x03\x04" + bytes(200), "not an image"),
}
# A 16-bit PNG whose first row names a filter that does not exist.
_rows = b"".join(bytes([9]) + bytes(64 * 6) for _ in range(64))
BAD_FILES["bad_filter.png"] = (
    b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0))
    + png_chunk(b"IDAT", zlib.compress(_rows))
    + png_chunk(b"IEND", b""),
    "unknown row filter",
)


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(name, run, tmp_path):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    result = run(name)
    assert result.exit_code == 1
    assert re.search(message, result.stderr, re.DOTALL), result.stderr
    assert name in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.png"], 1, "missing.png: no such file"),
        (["nothing*.png"], 1, "no file matches"),
        (["."], 1, "no photo in this folder.*--recursive"),
        (["skimage:nothing"], 1, "bundled with scikit-image; there are .*astronaut"),
        (["skimage:"], 1, "no photo of that name"),
        (["-"], 1, "-: the file is empty"),
        (["flag\0.png"], 1, "cannot be read"),
        (["x" * 5000], 1, "cannot be read"),
        ([], 2, "Missing argument"),
        (["flag.png", "-k", "0"], 2, "0"),
        (["flag.png", "-k", "few"], 2, "few"),
        (["flag.png", "-k", "2.5"], 2, "2.5"),
        (["flag.png", "--save", "everything"], 2, "'everything' is no output"),
        (["flag.png", "--save", ""], 2, "no output is named"),
        (["flag.png", "--covariance", "round"], 2, "round"),
        (["flag.png", "--color-space", "hsv"], 2, "hsv"),
        (["flag.png", "--smooth", "very"], 2, "very"),
        (["flag.png", "--seed", "-1"], 2, "-1"),
        (["flag.png", "--n-init", "0"], 2, "0"),
        (["flag.png", "--unknown"], 2, "No such option"),
        (["skimage:cat", "-k", "2", "--jobs", "0"], 2, "allowed are 1, 2, 3"),
        (["skimage:cat", "-k", "999999"], 1, "has only 32584 distinct colors; ask for at most 32584"),
        (["skimage:cat", "--model", "missing.npz"], 1, "missing.npz: no such file"),
        (["skimage:cat", "--model", "bad.npz"], 1, "bad.npz: not a model"),
        (["skimage:cat", "-k", "2", "-o", "in_the_way"], 1, "cannot be written"),
        (["skimage:cat", "-k", "2", "-o", "/proc/none"], 1, "cannot be written"),
    ],
)
def test_bad_arguments_give_a_message_and_the_right_exit_code(arguments, code, message, run, tmp_path):
    (tmp_path / "bad.npz").write_text("no model")
    (tmp_path / "in_the_way").write_text("no folder")
    result = run(*arguments, input=b"")
    assert result.exit_code == code
    assert re.search(message, result.stderr, re.DOTALL), result.stderr
    assert names(tmp_path) == ["bad.npz", "in_the_way"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2)])
@pytest.mark.parametrize("smooth", ["none", "strong"])
def test_tiny_photos_go_through_with_every_output(shape, smooth, run):
    Image.fromarray(IMAGE[: shape[0], : shape[1]]).save("tiny.png")
    result = run("tiny.png", "--save", "all", "--smooth", smooth)
    assert result.exit_code == 0, result.stderr


def test_an_interrupted_run_exits_130_and_leaves_nothing_half_written(run, photo, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("segment.photo.png.zlib.adler32", interrupt)
    result = run(photo, "-k", 2)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert not Path("outputs/photo").exists() or names("outputs/photo") == []


def test_running_out_of_memory_is_told_of(run, photo, monkeypatch):
    def exhaust(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(fitting, "starting_points", exhaust)
    result = run(photo, "-k", 2)
    assert result.exit_code == 1
    assert "flag.png: out of memory" in result.stderr


def test_a_folder_that_may_not_be_written_to(run, photo, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write to any folder, so that none can be locked")
    result = run(photo, "-k", 2, "-o", folder)
    assert result.exit_code == 1
    assert "cannot be written (Permission denied)" in result.stderr


@pytest.fixture(scope="module")
def without_cache(tmp_path_factory):
    """Run the program where no kernel cache can be written, in a process of its own."""
    folder = tmp_path_factory.mktemp("no_cache")
    package = Path(segment.__file__).parent
    shutil.copytree(package, folder / "segment", ignore=shutil.ignore_patterns("__pycache__"))
    # Files where cache folders would have to be made keep even root from writing them.
    for room in {path.parent for path in (folder / "segment" / "kernels").rglob("*.py")}:
        (room / "__pycache__").write_text("")
    (folder / "home").write_text("")
    Image.fromarray(IMAGE).save(folder / "flag.png")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    environment |= {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "segment", "photo", "flag.png", "-k", "2", "--smooth", "none"]
    return subprocess.run(
        [*command, "--save", "json"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_program_works_where_no_kernel_cache_can_be_written(without_cache):
    assert without_cache.returncode == 0, without_cache.stderr
    assert "2 components" in without_cache.stderr


def test_a_run_that_compiles_says_so(without_cache):
    assert without_cache.stderr.startswith("compiling kernels (some seconds")


def test_help_names_every_option(run):
    text = run("--help").stdout
    for option in (
        "--components",
        "--covariance",
        "--color-space",
        "--smooth",
        "--save",
        "--n-init",
        "--model",
        "--recursive",
        "--allow-large",
        "--force",
        "--json",
        "--seed",
        "--jobs",
    ):
        assert option in text


def test_options_of_regions_imply_regions(run, photo):
    result = run(photo, "--regions", 2, "--json", "--save", "json,palette")
    assert json.loads(result.stdout)["method"] == "regions"
    refused = run(photo, "--scale", 0.5, "-k", 3)
    assert refused.exit_code == 2
    assert "--components does not go with --method regions, which --scale implies" in refused.stderr
    assert run(photo, "--scale", 0.5, "--method", "colors").exit_code == 2


def test_choices_do_not_mind_upper_case(run, photo):
    assert run(photo, "-k", "AUTO", "--save", "JSON", "--smooth", "None", "--method", "COLORS").exit_code == 0


def test_the_line_about_a_photo_tells_its_palette(run, photo):
    told = run(photo, "-k", 3).stderr
    colors = json.loads(Path("outputs/photo/flag_palette.json").read_text())["colors"]
    assert ", ".join(f"{color['hex']} {color['share']:.1%}" for color in colors) in told
    assert "#" not in run(photo, "-k", 3, "--save", "labels").stderr


def test_names_that_would_move_the_cursor_are_printed_escaped(run, photo, tmp_path):
    name = "two\nlines\x1b[31m.png"
    shutil.copy(photo, tmp_path / name)
    told = run(name, "-k", 2, "-v").stderr + run("missing\n\x1b[31m.png").stderr
    assert "two\\nlines\\x1b[31m.png: 60 x 48" in told
    assert "missing\\n\\x1b[31m.png: no file matches" in told
    assert "\x1b" not in told


def test_what_is_said_begins_a_line_of_its_own(monkeypatch, capsys):
    from segment.cli.common import live_line, progress, say

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    live_line.show("fit ...")
    say("compiling")
    for _ in progress([1, 2], "photos"):
        say("one is done")
    screen = [""]
    for piece in re.split("(\r|\n)", capsys.readouterr().err):
        if piece == "\n":
            screen.append("")
        elif piece != "\r":
            screen[-1] = piece + screen[-1][len(piece) :]
    assert [line.rstrip() for line in screen[:3]] == ["compiling", "one is done", "one is done"]


@pytest.mark.parametrize("random_state", [-1, 2**32, 1.5, "1", np.random.RandomState(0), True])
def test_a_seed_that_is_none_is_refused_in_words(random_state):
    for face in (segment.segment_photo, segment.segment_regions, segment.find_region_tree):
        with pytest.raises(segment.errors.DataError, match=r"random_state is .*; allowed are the seeds"):
            face(IMAGE, random_state=random_state)


def test_a_number_of_threads_that_is_none_is_refused_in_words():
    for face in (segment.segment_photo, segment.segment_regions):
        with pytest.raises(segment.errors.DataError, match="n_jobs is '2'"):
            face(IMAGE, n_jobs="2")


DEGENERATE = {
    "flat": np.full((40, 50, 3), 90, np.uint8),
    "dot": np.full((1, 1, 3), 7, np.uint8),
    "few": np.random.default_rng(0).integers(0, 2, (60, 70, 3)).astype(np.uint8) * 255,
    "photo": np.kron(IMAGE, np.ones((3, 3, 1), np.uint8)),
}


def test_the_same_bytes_whatever_the_threads(tmp_path):
    for name, image in DEGENERATE.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    script = (
        "import sys; from segment.cli import main; from segment.photo.outputs import kinds_of\n"
        "for jobs in sys.argv[1].split(','):\n"
        "    for method in ('colors', 'regions'):\n"
        # What is drawn with axes takes most of the time: of one photo it is enough.
        "        plain = ','.join(kind for kind in kinds_of(method) if kind not in ('sheet', 'paint'))\n"
        "        for kinds, photos in (('all', sys.argv[3:4]), (plain, sys.argv[4:])):\n"
        "            out = f'{sys.argv[2]}/{jobs}/{method}-{len(photos)}'\n"
        "            args = ['photo', *photos, '-o', out, '--jobs', jobs, '-q', '--save', kinds]\n"
        "            main([*args, '--method', method], standalone_mode=False)\n"
    )
    paths = [str(tmp_path / f"{name}.png") for name in ("photo", "flat", "dot", "few")]
    for jobs, blas in (("1,8", {}), ("2", {"OPENBLAS_NUM_THREADS": "1"})):
        command = [sys.executable, "-c", script, jobs, str(tmp_path), *paths]
        subprocess.run(command, env=os.environ | blas, check=True)
    written = {
        folder.name: {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*.*"))
            if path.is_file() and (path.suffix != ".json" or path.stem.endswith("_palette"))
        }
        for folder in (tmp_path / jobs for jobs in "128")
    }
    first, *others = written.values()
    assert len(first) > 60
    for other in others:
        assert [name for name in first if other.get(name) != first[name]] == []
        assert set(other) == set(first)
