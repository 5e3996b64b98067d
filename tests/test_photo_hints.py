"""Hints: what scribbles give, what is refused, and a model that finds the classes again."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded
from PIL import Image

from segment.cli import main
from segment.errors import ImageError, ModelError
from segment.photo.fit import apply_model
from segment.photo.hints.scribbles import Hints, read_hints
from segment.photo.hints.segmentation import segment_hints
from segment.photo.hints.superpixels import Superpixels
from segment.photo.model import PhotoModel
from segment.photo.photo import Photo
from segment.photo.where import Where, chosen

SHAPE = (60, 90)


def scene(size=1, seed=0):
    """Two squares of one color on a ground of another: only hints tell which square is meant."""
    labels = np.zeros((SHAPE[0] * size, SHAPE[1] * size), int)
    labels[10 * size : 35 * size, 8 * size : 36 * size] = 1
    labels[20 * size : 50 * size, 52 * size : 82 * size] = 2
    colors = np.array([[60, 120, 60], [190, 60, 50], [190, 60, 50]])
    noise = np.random.default_rng(seed).normal(0, 6, (*labels.shape, 3))
    return np.clip(np.rint(colors[labels] + noise), 0, 255).astype(np.uint8), labels


def scribbles(size=1):
    """A stroke within each of the three areas, in red, green and blue."""
    out = np.zeros((SHAPE[0] * size, SHAPE[1] * size, 3), np.uint8)
    out[55 * size : 57 * size, 5 * size : 80 * size] = (0, 0, 255)
    out[20 * size : 22 * size, 12 * size : 30 * size] = (0, 255, 0)
    out[30 * size : 32 * size, 60 * size : 75 * size] = (255, 0, 0)
    return out


IMAGE, TRUTH = scene()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scene.png").write_bytes(encoded(IMAGE))
    Path("hints.png").write_bytes(encoded(scribbles()))


def run(*arguments):
    result = CliRunner().invoke(main, ["photo", *map(str, arguments), "-o", "out"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def test_two_things_of_one_color_are_told_apart_by_where_hints_lie():
    found = segment_hints(IMAGE, read_hints("hints.png", SHAPE))
    assert found.model.names == ("#0000ff", "#00ff00", "#ff0000")
    assert np.mean(found.label_map == TRUTH) > 0.99
    assert found.palette.tolist() == [[0, 0, 255], [0, 255, 0], [255, 0, 0]]
    assert found.shares == pytest.approx(np.bincount(TRUTH.ravel()) / TRUTH.size, abs=0.01)
    # By colors alone, the squares cannot be told apart: their posteriors are about the same.
    soft = found.responsibilities()
    assert np.allclose(soft.sum(axis=2), 1, atol=1e-5)
    assert abs(soft[TRUTH == 1].mean(axis=0) - soft[TRUTH == 2].mean(axis=0)).max() < 0.1
    densities = found.log_densities()
    assert densities.sum() == pytest.approx(found.log_likelihood, rel=1e-5)


def test_a_pixel_with_a_hint_has_its_class():
    hints = read_hints("hints.png", SHAPE)
    wrong = Hints(hints.classes.copy(), hints.palette, hints.names)
    wrong.classes[22:24, 65:70] = 0
    found = segment_hints(IMAGE, wrong)
    assert (found.label_map[22:24, 65:70] == 0).all()


def test_a_walk_between_two_pieces_by_hand():
    pieces = Superpixels(
        np.array([[0, 1]], np.int32), np.ones(2), np.zeros((2, 3)), np.array([[0, 1]]), np.array([0.02])
    )
    prior = np.array([[0.5, 0.5], [0.0, 1.0]])
    found = pieces.walk(prior, np.array([[3.0, 0.0], [0.0, 0.0]]))
    # The first has a hint. From the second, a step leads there as often as the walk ends by its colors.
    ending = pieces.walk(prior, np.zeros((2, 2)))
    assert found[0] == pytest.approx([1, 0], abs=1e-4)
    assert ending[1].sum() == pytest.approx(1)
    from segment.photo.hints import superpixels

    crossing = 0.02 / (0.02 + superpixels._ENDING)
    assert found[1, 0] == pytest.approx(crossing, abs=1e-4)


def test_large_photos_are_classed_on_a_grid_and_edges_stay(monkeypatch):
    monkeypatch.setattr("segment.photo.hints.segmentation.WORKING_PIXELS", 6000)
    image, truth = scene(2)
    Image.fromarray(scribbles(2)).save("large.png")
    found = segment_hints(image, read_hints("large.png", truth.shape))
    assert np.mean(found.label_map == truth) > 0.98


def test_outside_has_no_class():
    photo = chosen(Photo.of(IMAGE), Where(region=(0, 0, 90, 58)))
    found = segment_hints(photo, read_hints("hints.png", SHAPE))
    assert np.array_equal(found.label_map < 0, np.arange(60)[:, None].repeat(90, 1) >= 58)
    photo = chosen(Photo.of(IMAGE), Where(region=(0, 0, 90, 25)))
    with pytest.raises(ImageError, match=r"all hints of #0000ff lie where array does not count"):
        segment_hints(photo, read_hints("hints.png", SHAPE))


def test_a_model_finds_the_classes_in_another_photo():
    hints = read_hints("hints.png", SHAPE)
    two = Hints(np.where(hints.classes == 2, 1, hints.classes), hints.palette[:2], hints.names[:2])
    found = segment_hints(IMAGE, two)
    found.model.save("classes.npz")
    model = PhotoModel.load("classes.npz")
    assert (model.names, model.digest) == (two.names, found.model.digest)
    other = apply_model(scene(seed=5)[0][:, ::-1], model)
    assert np.mean(other.label_map == (TRUTH[:, ::-1] > 0)) > 0.99
    assert np.array_equal(other.palette, two.palette)
    with pytest.raises(ModelError, match="bands"):
        apply_model(np.zeros((9, 9, 2), np.uint8), model)


def test_damaged_classes_are_refused():
    model = segment_hints(IMAGE, read_hints("hints.png", SHAPE)).model
    for classes in (model.classes[:-1], model.classes[::-1], model.classes * 2):
        PhotoModel(model.parameters, "lab", model.palette, classes, model.names).save("bad.npz")
        with pytest.raises(ModelError, match=r"bad.npz: a damaged model \(its classes do not fit"):
            PhotoModel.load("bad.npz")


def test_the_command_and_a_folder_by_its_model():
    code, told = run(
        "scene.png", "--hints", "hints.png", "--save", "labels,segmented,model,soft,json,measurements"
    )
    assert (code, "3 classes" in told) == (0, True), told
    facts = json.loads(Path("out/scene.json").read_text())
    assert [entry["name"] for entry in facts["classes"]] == ["#0000ff", "#00ff00", "#ff0000"]
    assert facts["classes"][0]["hints"] == 2 * 75
    assert len(facts["options"]["hints_sha256"]) == 64
    Path("more").mkdir()
    Path("more/a.png").write_bytes(encoded(scene(seed=3)[0]))
    code, told = run("more", "--model", "out/scene_model.npz", "--save", "labels,json")
    assert (code, "3 classes" in told) == (0, True), told
    assert [entry["hints"] for entry in json.loads(Path("out/a.json").read_text())["classes"]] == [None] * 3
    code, told = run("more", "--model", "out/scene_model.npz", "--smooth", "none", "--force")
    assert (code, "--smooth does not go with a model of classes" in told) == (2, True), told
    code, told = run("more", "--model", "out/scene_model.npz", "--level", 0, "--save", "labels", "--force")
    assert (code, "no model of classes" in told) == (1, True)


def test_strokes_of_labelme_and_geojson_are_the_same_hints():
    lines = {"ground": [[5, 56], [80, 56]], "left": [[12, 21], [30, 21]], "right": [[60, 31], [75, 31]]}
    shapes = [{"label": name, "points": line, "shape_type": "linestrip"} for name, line in lines.items()]
    Path("a.json").write_text(json.dumps({"shapes": shapes}))
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": line},
            "properties": {"label": name},
        }
        for name, line in lines.items()
    ]
    Path("b.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    first, second = read_hints("a.json", SHAPE), read_hints("b.json", SHAPE)
    assert first.names == second.names == ("ground", "left", "right")
    assert np.array_equal(first.classes, second.classes)
    assert np.mean(segment_hints(IMAGE, first).label_map == TRUTH) > 0.99


def test_blended_edges_on_a_transparent_layer_are_no_classes():
    rgba = np.dstack([scribbles(), np.full(SHAPE, 255, np.uint8)])
    rgba[:, :, 3][(rgba[:, :, :3] == 0).all(axis=2)] = 0
    rgba[58, 5:80] = (0, 0, 200, 90)
    Image.fromarray(rgba).save("layer.png")
    assert np.array_equal(read_hints("layer.png", SHAPE).classes, read_hints("hints.png", SHAPE).classes)


def _picture(change):
    image = scribbles()
    change(image)
    Image.fromarray(image).save("bad.png")
    return "bad.png"


def _one(image):
    image[(image != (0, 0, 255)).any(axis=2)] = 0


def _noise(image):
    image[:] = np.random.default_rng(0).integers(1, 255, image.shape)


def _none(image):
    image[:] = 0


def _shapes(*shapes):
    Path("bad.json").write_text(json.dumps({"shapes": list(shapes)}))
    return "bad.json"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _picture(_one), r"one class only \(#0000ff\); draw in two colors"),
        (lambda: _picture(_none), "no hint: every pixel is black or transparent"),
        (lambda: _picture(_noise), "colors, more than 32 classes; draw each class in one color"),
        (lambda: "gone.png", "gone.png: no such file"),
        (lambda: _shapes({"label": "a", "points": [[0, 0], [9, 9]], "shape_type": "line"}), "one class only"),
        (lambda: _shapes({"label": "a", "points": [[0, 0], [9, 9], [9, 0], [0, 9]]}), "not simple"),
        (lambda: _shapes({"label": "a", "points": [[300, 5]], "shape_type": "point"}), "lies outside"),
    ],
)  # fmt: skip
def test_hints_that_cannot_be(make, message):
    with pytest.raises(ImageError, match=message):
        read_hints(make(), SHAPE)


def test_hints_of_another_size_bands_and_options_that_do_not_go_along():
    with pytest.raises(ImageError, match=r"hints have 90 x 60 pixels, the photo has 50 x 50"):
        read_hints("hints.png", (50, 50))
    hints = read_hints("hints.png", SHAPE)
    with pytest.raises(ImageError, match="holds bands, not colors"):
        segment_hints(Photo.of(np.zeros((*SHAPE, 2), np.uint8)), hints)
    for options in (
        ["-k", "3"],
        ["--method", "regions"],
        ["--smooth", "none"],
        ["--level", "0"],
        ["--regions", "3"],
    ):
        code, told = run("scene.png", "--hints", "hints.png", *options)
        assert (code, "does not go with" in told) == (2, True), told
    before = Path("hints.png").read_bytes()
    Path("scene_labels.png").write_bytes(before)
    arguments = [
        "photo",
        "scene.png",
        "--hints",
        "scene_labels.png",
        "--save",
        "labels",
        "-o",
        ".",
        "--force",
    ]
    assert CliRunner().invoke(main, arguments).exit_code == 1
    assert Path("scene_labels.png").read_bytes() == before
