"""What a batch of photos may lose: nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy

from segment.cli import main
from segment.photo import fit as fitting
from segment.photo.inputs import find_inputs
from segment.photo.outputs import OUTPUTS, Output

IMAGE, _ = noisy()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `segment photo` in an empty folder; return exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(main, ["photo", "--smooth", "none", *map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stderr

    return call


def make(*names, shift=0):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(encoded(np.roll(IMAGE, shift, axis=1)))


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_two_inputs_whose_outputs_would_collide_are_refused_before_anything_is_lost(force, run):
    make("cat.png", "cat_palette.png")
    code, told = run("cat.png", "cat_palette.png", "-k", 2, *force)
    assert code == 3
    assert "cat_palette.png: its output cat_palette.json would replace that of cat.png" in told
    assert json.loads(Path("outputs/photo/cat_palette.json").read_text())["name"] == "cat"
    assert run("cat.png", "cat_palette.png", "-k", 2, "--save", "overlay,json", "-o", "b")[0] == 0


def test_an_input_is_never_replaced(run):
    make("album/cat.png", "album/cat_overlay.png", "album/cat_mask_07.png")
    before = {name: Path("album", name).read_bytes() for name in names("album")}
    for options in ((), ("--force",)):
        code, told = run("album", "-k", 2, "--save", "overlay,masks", "-o", "album", *options)
        assert "cat.png: its output cat_overlay.png would replace an input of that name" in told
        assert code == 3
        assert all(Path("album", name).read_bytes() == content for name, content in before.items())
        for path in set(names("album")) - set(before):
            Path("album", path).unlink()


def test_a_model_that_is_applied_is_never_replaced(run):
    make("cat.png")
    assert run("cat.png", "-k", 2, "--save", "model", "-o", "out")[0] == 0
    before = Path("out/cat_model.npz").read_bytes()
    code, told = run("cat.png", "--model", "out/cat_model.npz", "--save", "model", "-o", "out", "--force")
    assert (code, "would replace an input" in told) == (1, True)
    assert Path("out/cat_model.npz").read_bytes() == before


def test_force_removes_what_the_earlier_run_wrote_and_this_one_does_not(run):
    make("cat.png")
    assert run("cat.png", "-k", 4, "--save", "masks,labels,json", "-o", "out")[0] == 0
    Path("out/cat_mask_final.png").write_text("a file of one's own")
    assert run("cat.png", "-k", 2, "--save", "masks,json", "-o", "out", "--force")[0] == 0
    assert names("out") == ["cat.json", "cat_mask_00.png", "cat_mask_01.png", "cat_mask_final.png"]
    # The same again with other outputs: those there are still right.
    assert run("cat.png", "-k", 2, "--save", "overlay,json", "-o", "out", "--force")[0] == 0
    masks = ["cat_mask_00.png", "cat_mask_01.png", "cat_mask_final.png"]
    assert names("out") == ["cat.json", *masks, "cat_overlay.png"]
    facts = json.loads(Path("out/cat.json").read_text())
    assert len(facts["outputs"]) == 4


def test_force_leaves_the_outputs_of_another_photo_of_that_name(run):
    make("x/cat.png")
    make("y/cat.png", shift=9)
    assert run("x/cat.png", "-k", 2, "--save", "labels,json", "-o", "out")[0] == 0
    assert run("y/cat.png", "-k", 2, "--save", "overlay,json", "-o", "out", "--force")[0] == 0
    assert names("out") == ["cat.json", "cat_labels.png", "cat_overlay.png"]


def test_outputs_in_an_input_folder_are_no_photos(run):
    make("album/cat.png", "album/dog_overlay.png")
    assert run("album", "-k", 2, "-o", "album")[0] == 0
    assert [item.name for item in find_inputs(["album"])[0]] == ["cat", "dog_overlay"]
    assert [item.name for item in find_inputs(["album/*.png"])[0]] == ["cat", "dog_overlay"]
    assert [item.name for item in find_inputs(["album/cat_overlay.png"])[0]] == ["cat_overlay"]
    Path("album/other.json").write_text('{"outputs": ["album/cat.png"]}')
    assert len(find_inputs(["album"])[0]) == 2


def test_an_interrupted_folder_is_continued(run, monkeypatch):
    make("album/a.png", "album/b.png", "album/c.png")
    original = OUTPUTS["overlay"].writer("colors")

    def interrupt(segmentation, stem, settings):
        if stem.name == "b":
            raise KeyboardInterrupt
        return original(segmentation, stem, settings)

    with monkeypatch.context() as patch:
        patch.setattr("segment.photo.outputs.overlay.write", interrupt)
        assert run("album", "-k", 2)[0] == 130
    # Nothing of the photo that was being written is left to stand in the way.
    assert {name.split("_")[0].split(".")[0] for name in names("outputs/photo")} == {"a"}
    fits = []
    count = fitting.distinct_colors
    monkeypatch.setattr(fitting, "distinct_colors", lambda photo: fits.append(photo) or count(photo))
    code, told = run("album", "-k", 2, "--skip-existing")
    assert (code, len(fits)) == (0, 2)
    assert "a.png: done already" in told
    assert run("album", "-k", 2, "--skip-existing", "-q") == (0, "")
    assert len(fits) == 2


def test_what_was_made_otherwise_is_not_skipped(run):
    make("a.png")
    assert run("a.png", "-k", 2, "--save", "json,labels")[0] == 0
    code, told = run("a.png", "-k", 3, "--save", "json,labels", "--skip-existing")
    assert (code, "another content or other options" in told) == (1, True)
    # More outputs of the same: made without --force.
    code, told = run("a.png", "-k", 2, "--save", "json,labels,overlay", "--skip-existing")
    assert (code, "done already" in told) == (0, False)
    make("a.png", shift=5)
    assert run("a.png", "-k", 2, "--save", "json,labels", "--skip-existing")[0] == 1
    Path("outputs/photo/a_labels.png").unlink()
    assert run("a.png", "-k", 2, "--save", "labels", "--skip-existing")[0] == 2


def test_names_do_not_depend_on_what_else_is_in_a_folder(run):
    make("photos/one/cat.png")
    alone = [item.name for item in find_inputs(["photos"], recursive=True)[0]]
    make("photos/two/cat.png", "photos/dog.png")
    assert alone == ["one/cat"]
    assert [item.name for item in find_inputs(["photos"], recursive=True)[0]] == ["dog", "one/cat", "two/cat"]
    assert [item.flat_name for item in find_inputs(["photos/*/cat.png"])[0]] == ["one-cat", "two-cat"]


@pytest.fixture
def toy_outputs(monkeypatch, tmp_path):
    """Add two kinds of output: an area, which heeds a setting, and a name, which heeds none."""
    for name, text in (("area", "{segmentation.label_map.size} pixels, {settings.tolerance}"), ("name", "")):
        (tmp_path / f"toy_{name}.py").write_text(
            "from segment.output import write_text\n"
            f"ENDINGS = ('_{name}.txt',)\n"
            "def write(segmentation, stem, settings):\n"
            "    path = stem.with_name(stem.name + ENDINGS[0])\n"
            f"    write_text(path, f'{text}')\n"
            "    return [path]\n"
        )
        uses = ("tolerance",) if name == "area" else ()
        monkeypatch.setitem(OUTPUTS, name, Output(f"toy_{name}", ("colors",), uses=uses))
    monkeypatch.syspath_prepend(tmp_path)


def test_a_new_kind_of_output_is_a_module_and_a_line_of_the_table(run, toy_outputs):
    make("cat.png")
    assert run("cat.png", "-k", 2, "--save", "AREA,json")[0] == 0
    assert Path("outputs/photo/cat_area.txt").read_text() == "2880 pixels, 0.5"
    assert run("cat.png", "-k", 2, "--save", "area")[0] == 1
    assert run("cat.png", "--method", "regions", "--save", "area")[0] == 2
    facts = json.loads(Path("outputs/photo/cat.json").read_text())
    assert [Path(name).name for name in facts["outputs"]] == ["cat_area.txt", "cat.json"]
    assert facts["settings"] == {"area": {"tolerance": 0.5}}


def test_a_setting_that_changes_no_asked_output_is_refused(run, toy_outputs):
    make("cat.png")
    code, told = run("cat.png", "-k", 2, "--save", "name", "--tolerance", 1)
    assert (code, "--tolerance changes no output that is asked for; it is for --save" in told) == (2, True)
    assert "area" in told
    assert run("cat.png", "-k", 2, "--save", "name,area", "--tolerance", -1)[0] == 2


def test_outputs_of_other_settings_are_not_skipped(run, toy_outputs):
    make("cat.png")
    area, sidecar = Path("outputs/photo/cat_area.txt"), Path("outputs/photo/cat.json")
    assert run("cat.png", "-k", 2, "--save", "area,json", "--tolerance", 2)[0] == 0
    code, told = run("cat.png", "-k", 2, "--save", "area,json", "--skip-existing")
    assert (code, "another content or other options" in told) == (1, True)
    again = ["--save", "area,json", "--tolerance", 2, "--skip-existing"]
    assert "done already" in run("cat.png", "-k", 2, *again)[1]
    # What another kind of output is added to stays, and so does what is said of it.
    assert run("cat.png", "-k", 2, "--save", "name,json", "--skip-existing")[0] == 0
    assert area.read_text() == "2880 pixels, 2.0"
    assert json.loads(sidecar.read_text())["settings"] == {"area": {"tolerance": 2.0}}
    assert run("cat.png", "-k", 2, "--save", "area,json", "--force")[0] == 0
    assert json.loads(sidecar.read_text())["settings"] == {"area": {"tolerance": 0.5}}
