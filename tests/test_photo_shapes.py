"""Shapes from files: what is read, what is filled, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.errors import ImageError
from segment.photo.shapes.raster import covered
from segment.photo.shapes.read import read_shapes
from segment.photo.shapes.shape import Shape

SHAPE = (30, 40)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"'
SQUARE = [[5, 4], [15, 4], [15, 12], [5, 12]]


def write(name, content):
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def filled(drawn, shape=SHAPE, **options):
    return covered(drawn, (0, shape[0]), shape[1], **options)


def test_a_pixel_belongs_to_a_polygon_if_its_center_does():
    square = filled(Shape((np.array(SQUARE, float),)))
    assert np.argwhere(square).min(axis=0).tolist() == [4, 5]
    assert np.argwhere(square).max(axis=0).tolist() == [11, 14]
    assert square.sum() == 80
    hole = np.array([[7.0, 6], [9, 6], [9, 8], [7, 8]])
    assert filled(Shape((np.array(SQUARE, float), hole))).sum() == 76
    # Any strip of rows is that part of the whole, and what reaches out of the photo is cut.
    assert np.array_equal(covered(Shape((np.array(SQUARE, float),)), (6, 9), 40), square[6:9])
    assert filled(Shape((np.array([[-9.0, -9], [3, -9], [3, 2], [-9, 2]]),))).sum() == 6


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 35)), min_size=3, max_size=8))
def test_filling_agrees_with_the_even_odd_rule_at_every_center(corners):
    from shapely import LinearRing, Point

    ring = np.array(corners)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = _even_odd(ring, centers).reshape(SHAPE)
    found = filled(Shape((ring,)))
    outline = LinearRing(ring) if len(set(corners)) > 2 else None
    for row, column in np.argwhere(inside != found):
        assert outline is None or outline.distance(Point(column + 0.5, row + 0.5)) < 1e-6


def _even_odd(ring, points):
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        for i, (x, y) in enumerate(points):
            if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                inside[i] = not inside[i]
    return inside


def test_a_stroke_covers_what_lies_within_half_its_width():
    line = Shape((np.array([[5.0, 10.5], [14.0, 10.5]]),), is_stroke=True, width=3.0)
    found = filled(line)
    assert found[9:12, 5:14].all()
    # Ends are round: three centers, and one more, lie within 1.5 of each.
    assert found.sum() == 3 * 9 + 2 * (3 + 1)
    assert np.argwhere(filled(Shape((np.array([[3.5, 3.5]]),), is_stroke=True))).tolist() == [[3, 3]]


FEATURE = {"type": "Polygon", "coordinates": [[*SQUARE, SQUARE[0]]]}


def test_formats_of_one_square_give_one_square():
    files = [
        write("a.geojson", FEATURE),
        write(
            "b.json",
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "geometry": FEATURE,
                        "properties": {"classification": {"name": "cell", "color": [255, 0, 9]}},
                    }
                ],
            },
        ),
        write(
            "c.json",
            {
                "shapes": [{"label": "cell", "points": SQUARE, "shape_type": "polygon"}],
                "imageHeight": 30,
                "imageWidth": 40,
            },
        ),
        write(
            "d.json",
            {"shapes": [{"label": "cell", "points": [SQUARE[2], SQUARE[0]], "shape_type": "rectangle"}]},
        ),
        write(
            "e.svg",
            SVG + ' width="210mm">'
            '<g transform="translate(5,4)"><rect class="cell" width="10" height="8" fill="#ff0009"/></g>'
            "</svg>",
        ),
        write(
            "f.svg",
            '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">'
            '<path id="cell" d="M5 4h10v8h-10z"/></svg>',
        ),
    ]
    for name in files:
        (found,) = read_shapes(name, SHAPE)
        assert np.array_equal(filled(found), filled(Shape((np.array(SQUARE, float),)))), name
        assert found.name == ("" if name == "a.geojson" else "cell")
    assert read_shapes("b.json", SHAPE)[0].color == read_shapes("e.svg", SHAPE)[0].color == (255, 0, 9)


def test_curves_and_strokes():
    circle = read_shapes(
        write(
            "a.svg",
            SVG + '><circle cx="20" cy="15" r="10"/></svg>',
        ),
        SHAPE,
    )
    assert filled(circle[0]).sum() == pytest.approx(np.pi * 100, rel=0.02)
    circle = read_shapes(
        write("b.json", {"shapes": [{"points": [[20, 15], [30, 15]], "shape_type": "circle"}]}), SHAPE
    )
    assert filled(circle[0]).sum() == pytest.approx(np.pi * 100, rel=0.02)
    lines = read_shapes(
        write(
            "c.svg",
            SVG + '><path d="M1 1H9M1 9H9" fill="none" stroke="red" stroke-width="2"/></svg>',
        ),
        SHAPE,
    )
    assert [(line.is_stroke, line.width, line.color) for line in lines] == [(True, 2.0, (255, 0, 0))] * 2


BOW = {"type": "Polygon", "coordinates": [[[0, 0], [9, 9], [9, 0], [0, 9]]]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "a.json: not JSON"),
        ("a.json", "[1]", "neither GeoJSON"),
        ("a.json", {"type": "FeatureCollection"}, "damaged geojson"),
        ("a.json", {"type": "FeatureCollection", "features": []}, "holds no polygon and no line"),
        ("a.json", {"type": "Circle", "coordinates": []}, "'Circle' is no type of GeoJSON"),
        ("a.json", {"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [2, 2]]]}, "no list of x and y"),
        ("a.json", {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "2 corners; at least 3"),
        ("a.json", '{"type": "Polygon", "coordinates": [[[0, 0], [1, NaN], [2, 2]]]}', "not finite"),
        ("a.json", BOW, r"polygon 1 is not simple \(Self-intersection at 4.5 4.5\)"),
        ("a.json", {"type": "Point", "coordinates": [80, 5]}, "stroke 1 lies outside the photo: x from 80"),
        ("a.json", {"shapes": [{"points": SQUARE}], "imageHeight": 9, "imageWidth": 9}, "9 x 9 pixels"),
        ("a.json", {"shapes": [{"points": SQUARE, "shape_type": "mask"}]}, "type 'mask' are not read"),
        ("a.json", {"shapes": [{"label": "b"}]}, "damaged labelme"),
        ("a.svg", "<svg", "damaged SVG"),
        ("a.svg", "<svg/>", "without a viewBox"),
        ("a.svg", '<svg viewBox="0 0 9 9"/>', "drawn on 9 x 9 pixels, not on the photo's 40 x 30"),
        ("a.svg", SVG + '/>', "holds no polygon"),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_what_is_wrong(name, content, message):
    with pytest.raises(ImageError, match=message):
        read_shapes(write(name, content), SHAPE)


def test_a_missing_file():
    with pytest.raises(ImageError, match=r"gone\.svg: cannot be read \(No such file"):
        read_shapes("gone.svg", SHAPE)
