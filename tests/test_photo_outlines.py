"""Outlines as files: read back by the programs that they are for, they say what the label map says."""

import base64
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import encoded, noisy
from PIL import Image

import segment
from segment.cli import main
from segment.errors import DataError, OutputError
from segment.photo import Photo
from segment.photo.outputs.files import write_outputs
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation
from segment.photo.vectors.place import map_place

# A ring with a hole and a speck in it, a pair that touches at a corner, and no label in a corner.
LABELS = np.zeros((9, 12), np.int32)
LABELS[1:6, 1:6] = 1
LABELS[2:5, 2:5] = 0
LABELS[3, 3] = 2
LABELS[6, 8] = LABELS[7, 9] = 2
LABELS[:2, 10:] = -1
PALETTE = np.array([[10, 20, 30], [200, 0, 0], [250, 250, 250]], np.uint8)
GROUP = "{http://www.w3.org/2000/svg}g"
COUNTS = np.bincount(LABELS[LABELS >= 0])


@pytest.fixture
def found():
    """Return a segmentation of a photo that lies in no file."""
    photo = Photo.of(np.zeros((*LABELS.shape, 3), np.uint8))
    return Segmentation(photo, LABELS, PALETTE, COUNTS / COUNTS.sum())


def written(segmentation, folder, kind, **settings):
    (path,) = write_outputs(segmentation, folder / "ring", [kind], OutputSettings(**settings))
    return path


def by_label(pairs):
    return np.bincount([label for label, _ in pairs], [area for _, area in pairs]).tolist()


def test_geojson_is_read_by_shapely(found, tmp_path):
    shapely = pytest.importorskip("shapely", reason="shapely reads GeoJSON: pip install shapely")
    path = written(found, tmp_path, "geojson")
    facts = json.loads(path.read_text())
    assert (path.name, facts["type"], facts["coordinates"].split(":")[0]) == (
        "ring.geojson",
        "FeatureCollection",
        "pixels",
    )
    polygons = shapely.from_geojson(path.read_text())
    assert polygons.is_valid or all(polygon.is_valid for polygon in polygons.geoms)
    properties = [feature["properties"] for feature in facts["features"]]
    assert [polygon.area for polygon in polygons.geoms] == [p["area"] for p in properties]
    assert by_label([(p["label"], p["area"]) for p in properties]) == COUNTS.tolist()
    assert {p["color"] for p in properties} == {"#0a141e", "#c80000", "#fafafa"}
    assert shapely.union_all(list(polygons.geoms)).area == COUNTS.sum()
    assert all(polygon.exterior.is_ccw for polygon in polygons.geoms)


def test_coco_is_read_by_pycocotools(found, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="it reads COCO: pip install pycocotools")
    path = written(found, tmp_path, "coco")
    assert path.name == "ring_coco.json"
    read = coco.COCO(path)
    (image,) = read.loadImgs(read.getImgIds())
    assert (image["height"], image["width"]) == LABELS.shape
    assert [category["name"] for category in read.loadCats(read.getCatIds())] == [
        "label-0",
        "label-1",
        "label-2",
    ]
    annotations = read.loadAnns(read.getAnnIds(imgIds=[image["id"]]))
    drawn = np.full(LABELS.shape, -1)
    for annotation in annotations:
        mask = read.annToMask(annotation).astype(bool)
        assert mask.sum() == annotation["area"]
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["bbox"] == box
        assert (drawn[mask] == -1).all()
        drawn[mask] = annotation["category_id"] - 1
    assert np.array_equal(drawn, LABELS)
    kinds = {type(annotation["segmentation"]) for annotation in annotations}
    assert kinds == {list, dict}


def test_labelme_shapes_are_polygons_and_masks_of_the_same_areas(found, tmp_path):
    shapely = pytest.importorskip("shapely", reason="shapely measures polygons: pip install shapely")
    path = written(found, tmp_path, "labelme")
    facts = json.loads(path.read_text())
    assert (facts["imageHeight"], facts["imageWidth"], facts["imageData"]) == (*LABELS.shape, None)
    areas = []
    for shape in facts["shapes"]:
        (left, top), (right, bottom), *_ = shape["points"]
        area = shapely.Polygon(shape["points"]).area if shape["shape_type"] == "polygon" else 0.0
        if shape["shape_type"] == "mask":
            mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"]))))
            assert mask.shape == (bottom - top + 1, right - left + 1)
            area = float(mask.sum())
        areas.append((int(shape["label"].removeprefix("label-")), area))
    assert by_label(areas) == COUNTS.tolist()
    assert {shape["shape_type"] for shape in facts["shapes"]} == {"polygon", "mask"}


def test_labelme_reads_its_shapes_itself(found, tmp_path):
    pytest.importorskip("labelme", reason="labelme is not installed", exc_type=ImportError)
    path = written(found, tmp_path, "labelme")
    facts = json.loads(path.read_text())
    Image.fromarray(PALETTE[LABELS]).save(tmp_path / "ring.png")
    path.write_text(json.dumps(facts | {"imagePath": "ring.png"}))
    try:
        from labelme._label_file import read_label_file
    except ImportError:
        from labelme.label_file import LabelFile as read_label_file
    shapes = read_label_file(str(path)).shapes
    assert [shape["label"] for shape in shapes] == [shape["label"] for shape in facts["shapes"]]
    assert sorted(int(s["mask"].sum()) for s in shapes if s["shape_type"] == "mask") == [8, 16, COUNTS[0] - 8]


def test_small_areas_join_the_neighbor_of_the_most_similar_color(found, tmp_path):
    facts = json.loads(written(found, tmp_path, "geojson", min_area=2).read_text())
    areas = by_label([(f["properties"]["label"], f["properties"]["area"]) for f in facts["features"]])
    # All three specks of label 2 were within label 0.
    assert areas == [COUNTS[0] + 3, COUNTS[1]]
    groups = ET.fromstring(written(found, tmp_path, "svg").read_text()).findall("{*}g")
    assert [group.attrib["id"] for group in groups] == ["label-0", "label-1"]
    groups = ET.fromstring(written(found, tmp_path, "svg", min_area=1).read_text()).findall("{*}g")
    assert len(groups) == 3


def test_regions_are_grouped_by_their_tree(tmp_path):
    stripes = np.random.default_rng(0).integers(0, 256, (8, 3))
    found = segment.segment_regions(noisy(stripes, height=40, width=160)[0], n_regions=6)
    assert found.n_labels == 6
    root = ET.fromstring(written(found, tmp_path, "svg", min_area=1).read_text())
    parts = [group for group in root.iter(GROUP) if group.attrib["id"].startswith("part")]
    assert parts
    for group in (root, *parts):
        number, count = map(int, group.attrib.get("id", "part-0-of-1").split("-")[1::2])
        cut = found.tree.cut(n_regions=count)
        expected = {f"label-{k}" for k in range(6) if cut[found.label_map == k][0] == number}
        ids = {inner.attrib["id"] for inner in group.iter(GROUP) if inner is not group}
        assert {name for name in ids if name.startswith("label")} == expected


SCALE = (33550, "d", 3, (0.5, 2.0, 0.0))
TIES = (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 4200000.0, 0.0))


def keys(*entries):
    flat = [1, 1, 0, len(entries), *(number for entry in entries for number in entry)]
    return (34735, "H", len(flat), tuple(flat))


def test_map_coordinates_by_scale_matrix_and_middles_of_pixels():
    corners = np.array([[0.0, 0.0], [4.0, 3.0]])
    place = map_place([SCALE, TIES, keys((1025, 0, 1, 1), (3072, 0, 1, 32633))])
    assert place.crs == "urn:ogc:def:crs:EPSG::32633"
    assert place.apply(corners).tolist() == [[500000, 4200000], [500002, 4199994]]
    middles = map_place([SCALE, TIES, keys((1025, 0, 1, 2), (2048, 0, 1, 4326))])
    assert middles.crs == "urn:ogc:def:crs:EPSG::4326"
    assert middles.apply(corners[:1]).tolist() == [[499999.75, 4200001]]
    matrix = (34264, "d", 16, (0, 1, 0, 5, 1, 0, 0, 7, *[0] * 8))
    own = map_place([matrix, keys((3072, 0, 1, 32767), (1026, 34737, 8, 0)), (34737, "s", 0, "my grid|")])
    assert (own.crs, own.apply(corners).tolist()) == ("my grid", [[5, 7], [8, 11]])
    assert map_place([SCALE]) is None


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `segment photo` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(main, ["photo", "--smooth", "none", *map(str, arguments)])
        assert "Traceback" not in result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stderr

    return call


@pytest.mark.parametrize("options", [(), ("--memory", "1MB")])
def test_a_geotiff_gives_map_coordinates_read_whole_or_by_tiles(options, run, tmp_path):
    shapely = pytest.importorskip("shapely", reason="shapely reads GeoJSON: pip install shapely")
    image, _ = noisy()
    tags = [(*tag, True) for tag in (SCALE, TIES, keys((1025, 0, 1, 1), (3072, 0, 1, 32633)))]
    tifffile.imwrite("map.tif", image, tile=(16, 16), extratags=tags, photometric="rgb")
    assert run("map.tif", "-k", 3, "--save", "geojson,json", "-o", "out", *options)[0] == 0
    text = Path("out/map.geojson").read_text()
    facts = json.loads(text)
    assert facts["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    polygons = shapely.from_geojson(text)
    assert polygons.bounds == (500000, 4200000 - 48 * 2, 500000 + 60 * 0.5, 4200000)
    assert sum(polygon.area for polygon in polygons.geoms) == 48 * 60
    assert all(polygon.exterior.is_ccw for polygon in polygons.geoms)
    assert json.loads(Path("out/map.json").read_text())["settings"] == {"geojson": {"min_area": 1}}


def test_the_command_writes_outlines_and_says_with_which_settings(run):
    Path("flag.png").write_bytes(encoded(noisy()[0]))
    kinds = "svg,geojson,coco,labelme,json"
    assert run("flag.png", "-k", 3, "--save", kinds, "--tolerance", 1, "-o", "out/a")[0] == 0
    facts = json.loads(Path("out/a/flag.json").read_text())
    assert facts["settings"] == {
        "svg": {"tolerance": 1.0, "min_area": 4},
        **{kind: {"min_area": 1} for kind in ("geojson", "coco", "labelme")},
    }
    assert json.loads(Path("out/a/flag_labelme.json").read_text())["imagePath"] == "../../flag.png"
    before = {path: path.read_bytes() for path in Path("out/a").glob("flag[._]*") if path.name != "flag.json"}
    assert run("flag.png", "-k", 3, "--save", kinds, "--tolerance", 1, "-o", "out/a", "--force")[0] == 0
    assert len(before) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


def test_transparent_photos_have_no_area_there(run):
    image = np.dstack([noisy()[0], np.full((48, 60), 255, np.uint8)])
    image[10:20, 10:30, 3] = 0
    Path("flag.png").write_bytes(encoded(image))
    assert run("flag.png", "-k", 3, "--save", "geojson", "-o", "out")[0] == 0
    features = json.loads(Path("out/flag.geojson").read_text())["features"]
    assert sum(feature["properties"]["area"] for feature in features) == 48 * 60 - 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tolerance", "nan"], "nan"),
        (["--tolerance", "inf"], "inf"),
        (["--tolerance", "-1"], "-1"),
        (["--min-area", "0"], "0"),
        (["--min-area", "2.5"], "2.5"),
    ],
)
def test_settings_out_of_range_are_usage_errors(options, said, run):
    Path("flag.png").write_bytes(encoded(noisy()[0]))
    code, told = run("flag.png", "-k", 2, "--save", "svg", *options)
    assert (code, said in told) == (2, True)


@pytest.mark.parametrize("kind", ["svg", "geojson", "coco", "labelme"])
def test_photos_of_one_pixel_and_of_one_color_have_one_area(kind, run):
    Path("one.png").write_bytes(encoded(np.full((1, 1, 3), 9, np.uint8)))
    Path("flat.png").write_bytes(encoded(np.full((5, 7, 3), 9, np.uint8)))
    assert run("one.png", "flat.png", "--save", kind, "-o", "out")[0] == 0
    assert len(list(Path("out").iterdir())) == 2


def test_settings_of_the_library_are_checked():
    with pytest.raises(DataError, match="tolerance is nan"):
        OutputSettings(tolerance=float("nan"))


def test_what_is_too_large_to_be_traced_is_refused(found, tmp_path):
    class Store:
        shape = (20000, 20000)

    class Large(Segmentation):
        store = Store()

    large = Large(found.photo, LABELS, PALETTE, found.shares)
    with pytest.raises(OutputError, match="200 megapixels, and it has 400"):
        written(large, tmp_path, "geojson")
