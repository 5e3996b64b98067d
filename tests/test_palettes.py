"""Palettes that are given: files of every kind, fits about fixed means, numbers kept from a reference."""

import json
import struct

import numpy as np
import pytest
from photos import FLAG, noisy

from segment.errors import DataError, ModelError
from segment.mixture import Parameters, Samples
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.fixed_means import FixedMeans, fit_fixed_means
from segment.photo import segment_photo
from segment.photo.colors import COLOR_SPACES, nearest_colors, to_features
from segment.photo.model import PhotoModel
from segment.photo.palette_fit import like_reference
from segment.photo.palettes import read_palette

IMAGE, LABELS = noisy()
WANTED = [[27, 42, 65], [204, 204, 204], [255, 0, 128]]


def ase(*swatches, version=(1, 0)):
    """An Adobe swatch exchange file of (name, model, values), in a group."""
    blocks = [struct.pack(">HIH", 0xC001, 6, 2) + "g\0".encode("utf-16-be")]
    for name, model, values in swatches:
        text = (name + "\0").encode("utf-16-be")
        body = struct.pack(">H", len(name) + 1) + text + model + struct.pack(f">{len(values)}fH", *values, 0)
        blocks.append(struct.pack(">HI", 1, len(body)) + body)
    blocks.append(struct.pack(">HI", 0xC002, 0))
    return b"ASEF" + struct.pack(">HHI", *version, len(blocks)) + b"".join(blocks)


FILES = {
    "ours.json": json.dumps(
        {"colors": [{"label": 0, "hex": "#1b2a41"}, {"hex": "#ccc"}, {"rgb": [255, 0, 128]}]}
    ),
    "codes.json": '["#1b2a41", "#CCCCCC", "#ff0080ff"]',
    "triples.json": "[[27, 42, 65], [204, 204, 204], [255, 0, 128]]",
    "a.gpl": "GIMP Palette\nName: x\nColumns: 1\n#\n 27  42  65\tSky\n204 204 204\n\n255 0 128\tPink pink\n",
    "a.css": "#abc { /* #111111 */ --a: #1b2a41; color: rgb(204, 204, 204) }\n"
    ".x { border: 1px solid #f0080f; --c:#ff0080 }",
    "plain.css": "#1b2a41 #ccc\nrgb(255 0 128)",
    "a.ase": ase(
        ("Sky", b"RGB ", (27 / 255, 42 / 255, 65 / 255)),
        ("Gray", b"Gray", (0.8,)),
        ("P", b"RGB ", (1, 0, 128 / 255)),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_palette_files_are_read(name, tmp_path):
    path = tmp_path / name
    content = FILES[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_palette(path).tolist()
    if name == "a.css":
        assert found.pop(2) == [240, 8, 15]
    assert found == WANTED


def test_codes_are_read_and_each_color_counts_once():
    assert read_palette("#1B2A41, #ccc,#ff0080,#cccccc").tolist() == WANTED


BAD = {
    "missing.gpl": (None, "no such file"),
    "empty.css": (b"", "names no color"),
    "words.css": (b"body { color: red }", "names no color"),
    "photo.css": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "damaged palette"),
    "short.gpl": (b"GIMP Palette\n#\n12 13\n", "line 3 is '12 13'; three numbers from 0 to 255"),
    "high.gpl": (b"GIMP Palette\n12 13 256\n", "line 2"),
    "empty.gpl": (b"GIMP Palette\n#\n", "names no color"),
    "cut.ase": (FILES["a.ase"][:60], "cut off|damaged"),
    "header.ase": (b"ASEF\0\1", "damaged palette"),
    "cmyk.ase": (ase(("Ink", b"CMYK", (0, 0, 0, 1))), "swatch 'Ink' is of model CMYK; RGB and Gray"),
    "nan.ase": (ase(("N", b"RGB ", (float("nan"), 0, 0))), "must lie in"),
    "cut.json": (b'["#1b2a41"', "damaged palette"),
    "other.json": (b'{"a": 1}', "damaged palette"),
    "high.json": (b"[[1, 2, 300]]", "is no color"),
    "float.json": (b"[[0.1, 0.2, 0.3]]", "is no color"),
    "clear.json": (b'["#11223344"]', "is not opaque"),
    "cut.npz": (b"PK\3\4" + bytes(50), "not a model"),
    "high.css": (b"a { color: rgb(1, 2, 300) }", "between 0 and 255"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_palettes_are_refused_by_name(name, tmp_path):
    content, message = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as found:
        read_palette(tmp_path / name)
    assert name in str(found.value)


@pytest.mark.parametrize("text", ["#12345", "#xyz", "#123,red", "#"])
def test_bad_codes_are_refused(text):
    with pytest.raises(DataError, match="no color"):
        read_palette(text)


@pytest.mark.parametrize("space", COLOR_SPACES)
def test_the_nearest_color_of_a_color_is_itself(space):
    colors = np.random.default_rng(0).integers(0, 256, (12, 3)).astype(np.uint8)
    colors[:3] = [[0, 0, 0], [255, 255, 255], [255, 0, 255]]
    assert np.array_equal(nearest_colors(to_features(colors, space), space), colors)


def test_nothing_fitted_gives_the_nearest_color():
    palette = np.array([[0, 35, 149], [255, 255, 255], [206, 17, 38], [0, 255, 0]])
    found = segment_photo(IMAGE, palette=palette, smooth="none")
    features = to_features(IMAGE.reshape(-1, 3), "lab")
    squares = np.square(features[:, None] - to_features(palette.astype(np.uint8), "lab")).sum(axis=2)
    assert np.array_equal(found.label_map.ravel(), squares.argmin(axis=1))
    assert np.array_equal(found.palette, palette)
    assert found.shares[3] == 0
    assert found.result is None
    assert found.found() == "4 colors of the palette"


@pytest.mark.parametrize("fit", ["weights", "covariances"])
@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
def test_fits_about_fixed_means_keep_them_and_never_fall(fit, covariance_type):
    palette = [[190, 40, 60], [235, 240, 250], [20, 20, 120], [0, 255, 0]]
    found = segment_photo(
        IMAGE, palette=palette, palette_fit=fit, covariance_type=covariance_type, smooth="none"
    )
    assert np.array_equal(found.parameters.means, to_features(np.uint8(palette), "lab").astype(float))
    bounds = found.result.lower_bounds
    assert len(bounds) > 2
    assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[:-1])).all()
    assert found.parameters.weights[3] < 1e-6
    assert found.parameters.covariance_type == (covariance_type if fit == "covariances" else "spherical")
    assert found.log_likelihood > segment_photo(IMAGE, palette=palette, smooth="none").log_likelihood


def test_the_step_with_fixed_means_by_hand():
    # Two far groups: responsibilities are 0 or 1, moments about the given means follow by hand.
    X = np.array([[0, 0, 3], [2, 0, 3], [100, 1, 3]], np.float32)
    samples = Samples.of(X, np.array([1.0, 1.0, 2.0]))
    start = Parameters([0.6, 0.4], [[0, 0, 1], [101, 0, 3]], np.full((2, 3), 4.0), "diag")
    found = fit_fixed_means(samples, start, fit_covariances=True, relative_reg=1e-9)
    assert np.array_equal(found.parameters.means, start.means)
    assert found.parameters.weights == pytest.approx([0.5, 0.5])
    assert found.parameters.covariances == pytest.approx(np.array([[2, 0, 4], [1, 1, 0]]), abs=1e-5)
    weights_only = fit_fixed_means(samples, start)
    assert np.array_equal(weights_only.parameters.covariances, start.covariances)


def test_an_empty_component_is_left_empty():
    samples = Samples.of(np.eye(3, dtype=np.float32))
    start = Parameters([0.5, 0.5], [[0.5] * 3, [1e4] * 3], np.ones((2, 3)), "diag")
    model = FixedMeans(samples, Gaussian.of(samples, "diag"), 2, fit_covariances=True)
    assert model.repair(start, 0) is None
    found = fit_fixed_means(samples, start, fit_covariances=True)
    assert found.parameters.weights.tolist() == [1.0, 0.0]
    assert found.repairs == ()


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        ([[0, 0, 256]], "reaches from 0 to 256"),
        ([[0, 0, 0], [0, 0, 0]], "holds a color twice"),
        ([[0.5, 0, 0]], "integers from 0 to 255"),
        (np.empty((0, 3), int), "integers"),
    ],
)
def test_palettes_that_are_none_are_refused(palette, message):
    with pytest.raises(DataError, match=message):
        segment_photo(IMAGE, palette=palette)


def test_palettes_of_photos_without_colors_and_fits_without_a_name_are_refused():
    with pytest.raises(DataError, match="bands, not colors"):
        segment_photo(np.zeros((4, 4, 5), np.uint8), palette=[[0, 0, 0]])
    with pytest.raises(DataError, match="allowed are none, weights, covariances"):
        segment_photo(IMAGE, palette=[[0, 0, 0]], palette_fit="all")


def test_numbers_are_those_of_the_reference():
    reference = segment_photo(IMAGE, n_components=3, smooth="none").model
    turned = PhotoModel(reference.parameters.reordered([2, 0, 1]), "lab")
    again = segment_photo(IMAGE, n_components=3, smooth="none", reference=turned)
    assert np.allclose(again.parameters.means, turned.parameters.means, atol=1e-3)
    fewer = segment_photo(IMAGE[:, 20:], n_components=2, smooth="none", reference=turned)
    # The red stripe is cut off: its number stays, with no pixel.
    red = int(np.argmax(turned.parameters.means[:, 1]))
    assert fewer.parameters.weights[red] == 0
    assert fewer.shares[red] == 0
    assert fewer.found() == "2 components"
    more = segment_photo(IMAGE, n_components=4, smooth="none", reference=turned)
    assert np.abs(more.parameters.means[:3] - turned.parameters.means).max() < 12
    with pytest.raises(ModelError, match="--color-space lab"):
        segment_photo(IMAGE, n_components=3, color_space="rgb", reference=turned)


def test_the_matching_to_a_reference_is_one_to_one():
    result = segment_photo(IMAGE, n_components=3, smooth="none").result
    means = result.parameters.means
    # Both of the reference are nearest to component 0; together they are best served by 0 and 1.
    wanted = np.stack([means[0], means[0] + 0.1 * (means[1] - means[0])])
    reference = PhotoModel(Parameters([0.5, 0.5], wanted, np.stack(2 * [np.eye(3)])), "lab")
    numbered = like_reference(result, "lab", reference).parameters
    assert np.array_equal(numbered.means, means)


def test_a_model_keeps_its_palette(tmp_path):
    model = segment_photo(IMAGE, palette=FLAG, smooth="none").model
    model.save(tmp_path / "model.npz")
    loaded = PhotoModel.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.palette, FLAG)
    assert loaded.digest == model.digest
    assert loaded.digest != PhotoModel(model.parameters, "lab").digest
    assert read_palette(tmp_path / "model.npz").tolist() == FLAG.tolist()
    PhotoModel(model.parameters, "lab").save(tmp_path / "means.npz")
    assert read_palette(tmp_path / "means.npz").tolist() == FLAG.tolist()
    PhotoModel(model.parameters, "lab", FLAG[:2]).save(tmp_path / "bad.npz")
    with pytest.raises(ModelError, match="damaged model"):
        PhotoModel.load(tmp_path / "bad.npz")
