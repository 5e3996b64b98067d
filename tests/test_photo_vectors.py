"""Outlines of label maps: nothing gapes, nothing overlaps, and curves stay where they belong."""

import itertools
import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import segment
from segment.errors import DataError
from segment.photo.vectors.arcs import trace
from segment.photo.vectors.curves import smooth
from segment.photo.vectors.svg import svg_text

MAPS = arrays.arrays(
    np.int32,
    arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.integers(-1, 2),
)
PINCHED = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 0]], np.int32)
PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 160, 0], [255, 255, 255]], np.uint8)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def blobs(side=48):
    """Two discs, one within the other, a bar over both that ends in the photo's border, and a hole."""
    y, x = np.mgrid[:side, :side] + 0.5
    middle = side / 2
    labels = np.where(np.hypot(x - middle, y - middle) < 0.4 * side, 1, 0)
    labels[np.hypot(x - middle, y - middle) < 0.2 * side] = 2
    labels[np.abs(y - middle - 0.3 * x) < 2] = 3
    labels[:6, 8:14] = -1
    return labels.astype(np.int32)


def from_first(ring):
    """Return a closed ring as a list of its corners from the smallest on."""
    corners = ring[:-1].tolist()
    first = corners.index(min(corners))
    return corners[first:] + corners[:first]


@pytest.mark.kernels
def test_an_area_that_touches_itself_at_a_corner_has_a_hole_that_touches_its_outside():
    around, corner, middle = segment.trace_areas(PINCHED)
    assert (around.label, around.n_pixels, len(around.holes)) == (0, 7, 1)
    # Left of the way, seen with y pointing down: around an area counterclockwise, around a hole clockwise.
    assert from_first(around.outer) == [[0, 0], [0, 3], [3, 3], [3, 1], [2, 1], [2, 0]]
    assert from_first(around.holes[0]) == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert from_first(corner.outer) == [[2, 0], [2, 1], [3, 1], [3, 0]]
    assert from_first(middle.outer) == [[1, 1], [1, 2], [2, 2], [2, 1]]


@pytest.mark.kernels
@settings(max_examples=150, deadline=None)
@given(MAPS)
def test_polygons_are_valid_and_fill_what_is_labelled(label_map):
    shapely = pytest.importorskip("shapely", reason="shapely judges polygons: pip install shapely")
    areas = segment.trace_areas(label_map)
    polygons = [shapely.Polygon(area.outer, area.holes) for area in areas]
    assert all(polygon.is_valid for polygon in polygons)
    assert [polygon.area for polygon in polygons] == [area.n_pixels for area in areas]
    for label in range(3):
        of_label = [p.area for p, area in zip(polygons, areas, strict=True) if area.label == label]
        assert sum(of_label) == np.count_nonzero(label_map == label)
    # Areas that add up to that of their union do not overlap.
    assert shapely.union_all(polygons).area == np.count_nonzero(label_map >= 0)
    # Corners only: every point of a ring is a turn.
    for ring in (ring for area in areas for ring in area.rings):
        steps = np.sign(np.diff(np.concatenate([ring, ring[1:2]]), axis=0))
        assert not (steps[1:] == steps[:-1]).all(axis=1).any()


@pytest.mark.kernels
@settings(max_examples=100, deadline=None)
@given(MAPS)
def test_every_side_between_two_areas_lies_on_one_arc(label_map):
    topology = trace(label_map)
    grid = np.pad(topology.areas, 1, constant_values=-2)
    n_sides = np.count_nonzero(grid[1:] != grid[:-1]) + np.count_nonzero(grid[:, 1:] != grid[:, :-1])
    lengths = np.abs(np.diff(topology.points, axis=0)).sum(axis=1)
    within = np.ones(len(lengths), bool)
    within[topology.starts[1:-1] - 1] = False
    assert lengths[within].sum() == n_sides
    # Rings take every half-arc along an area once.
    assert sorted(topology.half_arcs) == np.flatnonzero(topology.sides.ravel() >= 0).tolist()


@pytest.mark.parametrize(
    ("label_map", "said"),
    [
        (np.zeros(3, int), "shape (3,)"),
        (np.zeros((0, 3), int), "shape (0, 3)"),
        (np.zeros((2, 2)), "float64"),
        (np.full((2, 2), 2**40), "1099511627776"),
        (["ab"], "<U2"),
    ],
)
def test_what_is_no_label_map_is_refused(label_map, said):
    with pytest.raises(DataError, match=re.escape(said)):
        segment.trace_areas(label_map)


def bezier(start, piece, t):
    t = t[:, None]
    s = 1 - t
    return s**3 * start + 3 * s * s * t * piece[0] + 3 * s * t * t * piece[1] + t**3 * piece[2]


def flattened(topology, curves, half_arc, n=201):
    start, pieces = curves.along(half_arc)
    parts = [start[None]]
    for piece in pieces:
        parts.append(bezier(start, piece, np.linspace(0, 1, n)[1:]))
        start = piece[2]
    return np.concatenate(parts)


@pytest.mark.kernels
@pytest.mark.parametrize("tolerance", [0.25, 0.5, 2.0])
def test_curves_stay_within_the_tolerance_and_on_the_border_of_the_photo(tolerance):
    topology = trace(blobs())
    curves = smooth(topology, tolerance)
    for arc in range(topology.n_arcs):
        points = topology.points[topology.starts[arc] : topology.starts[arc + 1]]
        drawn = flattened(topology, curves, 2 * arc)
        if topology.is_frame[arc]:
            assert np.array_equal(curves.along(2 * arc)[1][:, 2], points[1:])
            continue
        pairs = itertools.pairwise(points)
        middles = np.concatenate(
            [a + (np.arange(n := np.abs(b - a).sum()) + 0.5)[:, None] * (b - a) / n for a, b in pairs]
        )
        nearest = np.linalg.norm(middles[:, None] - drawn, axis=2).min(axis=1)
        assert nearest.max() <= tolerance + 0.02
        if not np.array_equal(points[0], points[-1]):
            assert np.array_equal(drawn[[0, -1]], points[[0, -1]])
        assert np.allclose(flattened(topology, curves, 2 * arc + 1), drawn[::-1])


@pytest.mark.kernels
def test_a_smooth_disc_is_one_and_a_larger_tolerance_takes_fewer_pieces():
    y, x = np.mgrid[:60, :60] + 0.5
    topology = trace((np.hypot(x - 30, y - 30) < 20).astype(np.int32))
    disc = int(np.flatnonzero(~topology.is_frame)[0])
    n_pieces = []
    for tolerance in (0.3, 0.5, 1.0):
        curves = smooth(topology, tolerance)
        radii = np.hypot(*(flattened(topology, curves, 2 * disc) - 30).T)
        assert np.abs(radii - 20).max() < 0.5
        n_pieces.append(len(curves.along(2 * disc)[1]))
    assert n_pieces[0] > n_pieces[1] >= n_pieces[2] >= 2
    assert len(smooth(topology, 0).along(2 * disc)[1]) == np.diff(topology.starts)[disc] - 1


def subpaths(data, n=17):
    """Return the rings of an SVG path, curves as points; commands M, c, l, h, v and z."""
    rings, here = [], None
    for command, text in re.findall(r"([Mclhvz])([^Mclhvz]*)", data):
        values = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        if command == "M":
            here = np.array(values)
            rings.append([here])
        elif command == "c":
            piece = here + np.reshape(values, (3, 2))
            rings[-1] += list(bezier(here, piece, np.linspace(0, 1, n)[1:]))
            here = piece[2]
        elif command != "z":
            here = here + {"l": values, "h": [*values, 0], "v": [0, *values]}[command]
            rings[-1].append(here)
    return [np.array(ring) for ring in rings]


def signed_area(ring):
    x, y = ring.T
    return 0.5 * float(np.sum(np.roll(x, -1) * y - x * np.roll(y, -1)))


@pytest.mark.kernels
@pytest.mark.parametrize("tolerance", [0.0, 0.5, 3.0])
def test_an_svg_has_a_group_a_color_and_its_areas_add_up_to_the_photo(tolerance):
    label_map = blobs()
    text = svg_text(label_map, PALETTE, title="a <b> & \x07", tolerance=tolerance)
    root = ET.fromstring(text)
    assert root.attrib["viewBox"] == "0 0 48 48"
    name = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{name}title").text == "a <b> & \N{REPLACEMENT CHARACTER}"
    groups = root.findall(f"{name}g")
    assert [group.attrib["id"] for group in groups] == [f"label-{k}" for k in range(4)]
    assert [group.attrib["fill"] for group in groups] == ["#000000", "#ff0000", "#00a000", "#ffffff"]
    assert groups[1].find(f"{name}title").text.startswith("#ff0000, ")
    areas = []
    for group in groups:
        rings = subpaths(group.find(f"{name}path").attrib["d"])
        # Rings end where they begin: relative steps of rounded points do not drift.
        assert all(np.allclose(ring[0], ring[-1]) for ring in rings)
        areas.append(sum(map(signed_area, rings)))
    counts = np.bincount(label_map[label_map >= 0])
    assert np.abs(areas - counts).max() <= (1e-9 if tolerance == 0 else 3 + 20 * tolerance)


def test_curves_between_labels_leave_the_whole_as_it_is():
    label_map = np.where(blobs() < 0, 0, blobs())
    text = svg_text(label_map, PALETTE, title="", tolerance=2.0)
    paths = [group.find("{*}path").attrib["d"] for group in ET.fromstring(text).findall("{*}g")]
    total = sum(signed_area(ring) for path in paths for ring in subpaths(path))
    assert total == pytest.approx(48 * 48, abs=1e-6)


def test_nested_groups_are_those_of_the_tree():
    label_map = np.repeat(np.arange(4, dtype=np.int32), 6)[None].repeat(5, axis=0)
    nesting = [np.array([0, 0, 1, 2]), np.array([0, 0, 0, 1])]
    text = svg_text(label_map, PALETTE, title="", tolerance=0.5, nesting=nesting)
    root = ET.fromstring(text)
    tree = [[child.attrib["id"] for child in group.findall("{*}g")] for group in root.findall("{*}g")]
    assert tree == [["part-0-of-3", "label-2"], []]
    assert [group.attrib["id"] for group in root.findall("{*}g")] == ["part-0-of-2", "label-3"]


def shown(text, side, background="#fff", scale=3):
    """Return what Chromium shows at the middle of each pixel, edges not mixed."""
    import io

    from PIL import Image
    from playwright.sync_api import sync_playwright

    style = f"<style>body{{margin:0;background:{background}}} path{{shape-rendering:crispEdges}}</style>"
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium starts without its sandbox only; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": side, "height": side}, device_scale_factor=scale)
        page.set_content(style + text)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    return np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on this machine to render the SVG in")
@pytest.mark.parametrize("photo", ["blobs", "astronaut"])
def test_chromium_shows_the_label_map(photo):
    label_map, palette = blobs(144), PALETTE
    if photo == "astronaut":
        found = segment.segment_photo(segment.photo.read_photo("skimage:astronaut"), n_components=8)
        label_map, palette = found.label_map, found.palette
    text = svg_text(label_map, palette, title=photo, tolerance=0.5)
    assert len(text) < 250_000
    seen = shown(text, len(label_map), "#f0f")
    expected = np.vstack([palette, [[255, 0, 255]]])[label_map]
    assert (seen != expected).any(axis=2).mean() <= 0.005
    # Nothing of the background shines through between areas.
    colors = {tuple(color) for color in seen.reshape(-1, 3).tolist()}
    assert colors <= {tuple(color) for color in expected.reshape(-1, 3).tolist()}
