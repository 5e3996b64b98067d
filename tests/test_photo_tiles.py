"""Photos read by tiles: every format, the same labels as whole photos, tiles that cannot be read."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import encoded, noisy

from segment.cli import main
from segment.data.samples import Samples
from segment.errors import ImageError, OutputError
from segment.photo import distinct, read_photo, segment_photo
from segment.photo.fit import fit_colors
from segment.photo.smooth import SMOOTHINGS
from segment.photo.specks import merge_specks
from segment.photo.tiles import photo as tiled_photos
from segment.photo.tiles import tables
from segment.photo.tiles.fit import segment_tiles
from segment.photo.tiles.photo import Selection, TiledPhoto
from segment.photo.tiles.rare import rare_starts
from segment.photo.tiles.specks import merge_stored, strip_regions
from segment.photo.tiles.store import LabelStore
from segment.photo.where import Where

# Odd on purpose: no side is a multiple of a tile's.
IMAGE = noisy(height=150, width=101, spread=25.0)[0]
TILE = {"tile": (32, 48), "photometric": "rgb"}
BANDS = {"photometric": "minisblack", "planarconfig": "contig"}


@pytest.fixture(autouse=True)
def few_rows(monkeypatch, tmp_path):
    """Make strips of few rows, so that small photos have many; work in an empty folder."""
    monkeypatch.setattr(tiled_photos, "STRIP_PIXELS", 3000)
    monkeypatch.chdir(tmp_path)


def labels_of(source, **options):
    fitting = {"n_components": 3, "n_init": 4}
    with segment_tiles(source, fitting=fitting, **options) as found:
        return found.store.labels(0, found.photo.shape[0]), found


def whole(photo, smooth):
    return segment_photo(photo, n_components=3, n_init=4, smooth=smooth)


def pixels_of(source, **selection):
    photo = TiledPhoto(source, Selection(**selection))
    strips = [photo.read(strip) for strip in photo.strips]
    weights = [np.ones(s.pixels.shape[:2]) if s.weight is None else s.weight for s in strips]
    photo.close()
    return np.concatenate([s.pixels for s in strips]), np.concatenate(weights), photo


# --- formats ------------------------------------------------------------------------------------------


def _tiff(name, image=IMAGE, **options):
    tifffile.imwrite(name, image, **{**TILE, **options})
    return name


def _zarr(name, image, chunks, **options):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(name, shape=image.shape, chunks=chunks, dtype=image.dtype, **options)
    array[:] = image
    return name


def _ome_zarr(name):
    zarr = pytest.importorskip("zarr")
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "unit": "micrometer"} for a in "yx")]
    scale = {"type": "scale", "scale": [1, 0.5, 0.25]}
    datasets = [{"path": str(k), "coordinateTransformations": [scale]} for k in range(2)]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group = zarr.open_group(name, mode="w", attributes={"ome": ome})
    for k in range(2):
        image = np.moveaxis(IMAGE[:: k + 1, :: k + 1], 2, 0)
        group.create_array(str(k), shape=image.shape, chunks=(1, 40, 40), dtype=image.dtype)[:] = image
    return name


def _npy(name, image=IMAGE):
    np.save(name, image)
    return name


FORMATS = {
    "plain.tif": lambda name: _tiff(name, tile=None),
    "strips.tif": lambda name: _tiff(name, tile=None, rowsperstrip=7, compression="zlib"),
    "tiles.tif": _tiff,
    "big.tif": lambda name: _tiff(name, bigtiff=True, compression="zlib"),
    "planes.tif": lambda name: _tiff(name, np.moveaxis(IMAGE, 2, 0), planarconfig="separate"),
    "big_endian.tif": lambda name: _tiff(name, tile=None, byteorder=">"),
    "image.npy": _npy,
    "image.png": lambda name: Path(name).write_bytes(encoded(IMAGE)) and name,
    "yxc.zarr": lambda name: _zarr(name, IMAGE, (40, 40, 3)),
    "cyx.zarr": lambda name: _zarr(name, np.moveaxis(IMAGE, 2, 0), (1, 64, 30)),
    "sharded.zarr": lambda name: _zarr(name, IMAGE, (10, 10, 3), shards=(40, 40, 3)),
    "v2.zarr": lambda name: _zarr(name, IMAGE, (40, 40, 3), zarr_format=2),
    "ome.zarr": _ome_zarr,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_its_pixels(name):
    pixels, weights, photo = pixels_of(FORMATS[name](name))
    assert np.array_equal(pixels, IMAGE)
    assert (weights == 1).all()
    assert photo.is_color


@pytest.mark.parametrize("compression", ["lzw", "zstd", "jpeg", "webp"])
def test_compressions_of_imagecodecs(compression):
    pytest.importorskip("imagecodecs")
    pixels, _, _ = pixels_of(_tiff("a.tif", compression=compression))
    assert np.array_equal(pixels, tifffile.imread("a.tif"))


LYING = [{}, {"tile": None}, {"tile": None, "rowsperstrip": 7, "compression": "zlib"}]


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("options", LYING)
def test_a_photo_that_lies_on_its_side_is_turned(orientation, options):
    _tiff("a.tif", extratags=[(274, "H", 1, orientation, True)], **options)
    pixels, weights, photo = pixels_of("a.tif")
    assert np.array_equal(pixels, read_photo("a.tif").pixels)
    assert weights.shape == photo.shape
    assert photo.reader["orientation"] == orientation


def test_what_belongs_to_a_photo_on_its_side_is_turned_with_it():
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[30:90, 20:70] = True
    lies = {"extratags": [(274, "H", 1, 6, True)]}
    with tifffile.TiffWriter("a.tif") as file:
        file.write(IMAGE, resolution=(1e4 / 0.5, 1e4 / 0.25), resolutionunit="CENTIMETER", **lies, **TILE)
        file.write(mask, subfiletype=4, tile=(32, 48), photometric="minisblack")
    pixels, weights, photo = pixels_of("a.tif")
    assert np.array_equal(pixels, np.rot90(IMAGE, -1))
    assert np.array_equal(weights > 0, np.rot90(mask, -1))
    assert np.allclose(photo.layout.place.pixel_size, (0.5, 0.25))
    found, _ = labels_of(_tiff("b.tif", **lies), smooth="none")
    assert np.array_equal(found, whole(read_photo("b.tif"), "none").label_map)
    _zlib_tile("c.tif", **lies)
    _, weights, photo = pixels_of("c.tif", bad_tiles="mask")
    bad = np.zeros(IMAGE.shape[:2], bool)
    bad[32:64, 48:96] = True
    assert photo.bad == {(1, 1)}
    assert np.array_equal(weights == 0, np.rot90(bad, -1))
    _tiff("map.tif", extratags=[*GEO, (274, "H", 1, 6, True)])
    with pytest.raises(ImageError, match=r"map\.tif: its orientation tag is 6, and it lies on a map"):
        TiledPhoto("map.tif")


def test_pyramids_have_levels():
    with tifffile.TiffWriter("subifds.tif") as file:
        file.write(IMAGE, subifds=1, **TILE)
        file.write(IMAGE[::2, ::2], subfiletype=1, **TILE)
    with tifffile.TiffWriter("cog.tif") as file:
        file.write(IMAGE, resolution=(1e4 / 0.5, 1e4 / 0.5), resolutionunit="CENTIMETER", **TILE)
        file.write(IMAGE[::2, ::2], subfiletype=1, **TILE)
    with tifffile.TiffWriter("ome.ome.tif") as file:
        size = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
        file.write(IMAGE, subifds=1, metadata=size, **TILE)
        file.write(IMAGE[::2, ::2], subfiletype=1, **TILE)
    sizes = {"subifds.tif": None, "cog.tif": (1.0, 1.0), "ome.ome.tif": (1.0, 0.5)}
    for name, size in sizes.items():
        pixels, _, photo = pixels_of(name, level=1)
        assert np.array_equal(pixels, IMAGE[::2, ::2]), name
        found = photo.layout.place.pixel_size
        assert found == size or np.allclose(found, size, rtol=0.03), name
        with pytest.raises(ImageError, match=r"no level 2; the file has the levels 0 \(largest\) to 1"):
            TiledPhoto(name, Selection(level=2))
    assert np.array_equal(pixels_of(_ome_zarr("o.zarr"), level=1)[0], IMAGE[::2, ::2])


def _slide(name, n_levels):
    """Write what scanners of Aperio do: levels as pages, between them what is no level."""
    tile = {**TILE, "compression": "jpeg", "metadata": None}
    plain = {"photometric": "rgb", "metadata": None}
    aperio = "Aperio Image Library v12.0.15\n"
    with tifffile.TiffWriter(name) as file:
        file.write(IMAGE, description=f"{aperio}101x150 (48x32) JPEG/RGB|AppMag = 20|MPP = 0.5", **tile)
        file.write(IMAGE[::3, ::3], description=f"{aperio}thumbnail", **plain)
        for k in range(1, n_levels):
            file.write(IMAGE[:: 2**k, :: 2**k], description=f"{aperio}101x150 -> 51x75", **tile)
        file.write(IMAGE[:75, :50], subfiletype=1, description=f"{aperio}label 50x75", **plain)
        file.write(IMAGE[:30, :90], subfiletype=9, description=f"{aperio}macro 90x30", **plain)


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_labels_and_overviews_of_slides_are_no_levels(n_levels):
    pytest.importorskip("imagecodecs")
    _slide("a.svs", n_levels)
    pages = [0, 2, 3]
    for level in range(n_levels):
        pixels, _, photo = pixels_of("a.svs", level=level)
        assert np.array_equal(pixels, tifffile.imread("a.svs", key=pages[level]))
        assert np.allclose(photo.layout.place.pixel_size, 0.5 * 2**level, rtol=0.03)
    with pytest.raises(
        ImageError, match=r"there is no level 3;.*; its images thumbnail, label, macro are no"
    ):
        TiledPhoto("a.svs", Selection(level=3))


def test_strips_of_a_hamamatsu_slide_are_read_by_where_they_restart():
    """One JPEG a level, with a table of restarts; what they do beyond 4 GB tifffile does not write."""
    pytest.importorskip("imagecodecs")
    wide = np.hstack([IMAGE, IMAGE])[:, :192]
    images = [(wide, 20.0), (wide[::2, ::2], 10.0), (wide[:40, :96], -1.0)]
    with tifffile.TiffWriter("a.tif") as file:
        for image, magnification in images:
            data = encoded(image, "JPEG", subsampling=0, restart_marker_blocks=4)
            scan = data.index(b"\xff\xda")
            first = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
            starts = [first, *(found.end() for found in re.finditer(rb"\xff[\xd0-\xd7]", data[first:]))]
            starts[1:] = [first + start for start in starts[1:]]
            tags = [(271, "s", 0, "Hamamatsu", True), (65420, "I", 1, 1, True)]
            tags += [(65421, "f", 1, magnification, True), (65426, "I", len(starts), tuple(starts), True)]
            options = {
                "photometric": "ycbcr",
                "subsampling": (1, 1),
                "compression": "jpeg",
                "extratags": tags,
            }
            options |= {"rowsperstrip": len(image), "metadata": None, "software": False}
            file.write(iter([data]), shape=image.shape, dtype=image.dtype, **options)
    for level in (0, 1):
        pixels, _, photo = pixels_of("a.tif", level=level)
        assert photo.layout.tile == (8, 32)
        assert np.array_equal(pixels, tifffile.imread("a.tif", key=level))
        assert pixels.shape == images[level][0].shape
    with pytest.raises(ImageError, match=r"there is no level 2;.*; its images macro are no"):
        TiledPhoto("a.tif", Selection(level=2))


# --- the same labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [*SMOOTHINGS, "3px"])
def test_labels_are_those_of_the_whole_photo(smooth):
    _tiff("a.tif", compression="zlib")
    found, result = labels_of("a.tif", smooth=smooth, n_jobs=2)
    expected = whole(IMAGE, smooth)
    assert len(result.photo.strips) == 5
    assert np.array_equal(found, expected.label_map)
    assert np.array_equal(result.palette, expected.palette)
    assert np.array_equal(result.shares, expected.shares)
    assert result.log_likelihood == expected.log_likelihood
    assert np.array_equal(found, labels_of("a.tif", smooth=smooth, n_jobs=1)[0])


def test_pixels_smoothing_depends_on_pixels_nearby_only():
    rng = np.random.default_rng(3)
    image = rng.integers(0, 255, (600, 530, 3), dtype=np.uint8) // 2 + np.uint8([60, 0, 0])
    found = whole(image, "1px")
    assert found.smooth == "1px"
    # Cells are 256 rows and 512 columns: their borders are not to be seen.
    for cut in ((slice(252, 260),), (slice(None), slice(508, 516))):
        changes = np.abs(np.diff((found.label_map[cut] > 0).astype(int), axis=len(cut) - 1)).mean(
            axis=2 - len(cut)
        )
        assert changes.max() < 0.5


def _kinds():
    deep = IMAGE.astype(np.uint16) * 257
    floats = np.dstack([IMAGE, IMAGE[:, :, :2]]).astype(np.float32) / 3
    alpha = np.dstack([IMAGE, np.add.outer(np.arange(150), np.arange(101)).astype(np.uint8)])
    alpha[:40, :40, 3] = 0
    return {
        "16 bits": (deep, {}, "table"),
        "five bands": (floats, BANDS, "memory"),
        "five bytes": (np.dstack([IMAGE, IMAGE[:, :, :2]]), BANDS, "table"),
        "alpha": (alpha, {"extrasamples": ["unassalpha"]}, "table"),
        "gray": (IMAGE[:, :, 0], {"photometric": "minisblack"}, "table"),
        "white is zero": (IMAGE[:, :, 0], {"photometric": "miniswhite"}, "table"),
    }


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.parametrize("smooth", ["none", "light"])
def test_pixels_of_other_kinds(kind, smooth):
    image, options, how = _kinds()[kind]
    _tiff("a.tif", image, **options)
    found, result = labels_of("a.tif", smooth=smooth)
    assert np.array_equal(found, whole(read_photo("a.tif"), smooth).label_map)
    assert result.how_fitted == how
    assert (found < 0).any() == (kind == "alpha")


def test_what_does_not_fit_is_read_anew_in_every_pass():
    floats = np.dstack([IMAGE, IMAGE[:, :, :2]]).astype(np.float32)
    _tiff("a.tif", floats, **BANDS)
    in_memory, result = labels_of("a.tif", smooth="none")
    streamed, anew = labels_of("a.tif", smooth="none", memory=600_000)
    assert (result.how_fitted, anew.how_fitted) == ("memory", "stream")
    assert np.array_equal(in_memory, streamed)
    assert result.log_likelihood == anew.log_likelihood


def test_four_floats_a_pixel_are_bands():
    floats = np.dstack([IMAGE, IMAGE[:, :, :1]]).astype(np.float32)
    pixels, weights, photo = pixels_of(_npy("a.npy", floats))
    assert np.array_equal(pixels, floats)
    assert (weights == 1).all()
    assert not photo.is_color


def test_tables_of_keys_give_way_where_they_neither_pay_nor_fit():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 65535, (150, 101, 4), dtype=np.uint16)
    _tiff("a.tif", image, **BANDS)
    assert labels_of("a.tif", smooth="none")[1].how_fitted == "table"
    assert labels_of("a.tif", smooth="none", memory=600_000)[1].how_fitted == "stream"
    few = image // 16384
    _tiff("b.tif", few, **BANDS)
    assert labels_of("b.tif", smooth="none", memory=600_000)[1].how_fitted == "table"


def test_a_rare_color_of_a_large_photo_gets_a_component():
    rng = np.random.default_rng(0)
    common = np.repeat([[90, 2, 2], [60, 20, -5], [45, 30, -30], [20, 10, -30]], 3000, axis=0)
    spot = rng.normal([60, 98, -60], 2, (5, 3))
    X = np.vstack([common + rng.normal(0, 3, common.shape), spot])
    # Ten pixels in a million.
    samples = Samples.of(X, np.r_[np.full(12000, 100.0), np.full(5, 2.4)])
    starts = rare_starts(samples, 5, relative_reg=3e-3)
    options = {"n_components": 5, "relative_reg": 3e-3}
    plain, _ = fit_colors(samples, "lab", **options)
    found, _ = fit_colors(samples, "lab", **options, more_starts=lambda n: starts)
    distance = np.linalg.norm(found.parameters.means - [60, 98, -60], axis=1)
    assert distance.min() < 3
    assert found.parameters.weights[distance.argmin()] == pytest.approx(1e-5, rel=0.01)
    assert np.linalg.norm(plain.parameters.means - [60, 98, -60], axis=1).min() > 30
    assert found.lower_bound > plain.lower_bound
    few = Samples.of(X[:3], np.ones(3))
    assert rare_starts(few, 5, relative_reg=3e-3) == []


# --- counting -----------------------------------------------------------------------------------------


def test_more_pixels_of_a_color_than_32_bits_count(monkeypatch):
    monkeypatch.setattr(tables, "ROOM", 1000)
    image = np.zeros((2500, 3), np.uint8)
    image[7] = 9
    table, other = tables.ColorTable(), tables.ColorTable()
    for _ in range(3):
        table.add(image, None)
    other.add(image, np.linspace(0, 1, 2500, dtype=np.float32))
    # The last rows' counts are as if 2^31 - 3 more had been there.
    other._counts[0] += 2**31 - 3
    table.merge(other)
    values, weights = table.listed()
    assert values.tolist() == [[0, 0, 0], [9, 9, 9]]
    assert weights[1] == pytest.approx(3 + 7 / 2499, rel=1e-7)
    assert weights[0] == pytest.approx(3 * 2499 + 2**31 - 3 + 1250 - 7 / 2499, abs=1e-2)


def test_a_whole_photo_counts_in_64_bits_where_32_could_overflow(monkeypatch):
    monkeypatch.setattr(distinct, "MOST_32", 100)
    monkeypatch.setattr(distinct, "_FEW_PIXELS", 100)
    found = distinct.distinct_colors(read_photo(_tiff("a.tif")))
    values, counts = np.unique(IMAGE.reshape(-1, 3), axis=0, return_counts=True)
    assert np.array_equal(found.values, values)
    assert np.array_equal(found.weights, counts)


def test_specks_are_merged_across_strips():
    rng = np.random.default_rng(1)
    for share in (0.0005, 0.01, 0.2):
        labels = rng.integers(-1, 3, (60, 41)).astype(np.int32)
        labels[10:30, 5:25] = 2
        colors = rng.integers(0, 255, (4, 3)).astype(np.uint8)[labels]
        store = LabelStore(labels.shape, 3, ".")
        cuts = [(0, 7), (7, 8), (8, 30), (30, 60)]
        for start, stop in cuts:
            store.write_labels(start, labels[start:stop])
        strips = [strip_regions(start, labels[start:stop], colors[start:stop]) for start, stop in cuts]
        sums, counts = merge_stored(store, strips, lambda total, share=share: share * total)
        expected = merge_specks(labels, colors, share)
        assert np.array_equal(store.labels(0, 60), expected)
        assert np.array_equal(counts, [(expected == k).sum() for k in range(3)])
        assert np.array_equal(sums, [colors[expected == k].astype(int).sum(axis=0) for k in range(3)])
        store.close()


# --- what counts nothing ------------------------------------------------------------------------------


def test_nodata_masks_and_bands_are_weights_of_zero():
    bands = np.dstack([IMAGE, IMAGE[:, :, 0] // 2]).astype(np.float32)
    bands[20:50, 10:60] = -9999
    _tiff("a.tif", bands, **BANDS, extratags=[(42113, "s", 0, "-9999", True)])
    pixels, weights, photo = pixels_of("a.tif", bands=(4, 1))
    assert np.array_equal(weights == 0, (bands == -9999).all(axis=2))
    assert np.array_equal(pixels[weights > 0], bands[:, :, [3, 0]][weights > 0])
    assert (photo.n_bands, photo.nodata) == (2, -9999)
    bands[5, 6, 2] = np.nan
    _tiff("nan.tif", bands, **BANDS)
    with pytest.raises(ImageError, match=r"1 values.*not finite.*--nodata nan"):
        pixels_of("nan.tif")
    assert np.argwhere(pixels_of("nan.tif", nodata=np.nan)[1] == 0).tolist() == [[5, 6]]
    mask = np.full(IMAGE.shape[:2], 255, np.uint8)
    mask[100:, 50:] = 0
    np.save("mask.npy", mask)
    found, result = labels_of(_tiff("b.tif"), selection=Selection(where=Where("mask.npy")), smooth="none")
    assert np.array_equal(found < 0, mask == 0)
    assert result.n_unlabeled == (mask == 0).sum()
    with pytest.raises(ImageError, match=r"the mask has 101 x 150 pixels, .* has 50 x 75"):
        pixels_of(_tiff("c.tif", IMAGE[::2, ::2][:, :50]), where=Where("mask.npy"))
    with pytest.raises(ImageError, match="no band 5; the file has 1 to 4"):
        pixels_of("a.tif", bands=(1, 5))


def test_a_mask_within_the_file():
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[30:90, 20:70] = True
    with tifffile.TiffWriter("a.tif") as file:
        file.write(IMAGE, **TILE)
        file.write(mask, subfiletype=4, tile=(32, 48), photometric="minisblack")
    pixels, weights, _ = pixels_of("a.tif")
    assert np.array_equal(weights > 0, mask)
    assert np.array_equal(pixels, IMAGE)


# --- tiles that cannot be read ------------------------------------------------------------------------


def _cut_jpeg(name):
    pytest.importorskip("imagecodecs")
    _tiff(name, compression="jpeg")
    page = tifffile.TiffFile(name).pages[0]
    data = bytearray(Path(name).read_bytes())
    half = page.databytecounts[4] // 2
    start = page.dataoffsets[4] + half
    data[start : page.dataoffsets[4] + page.databytecounts[4]] = bytes(page.databytecounts[4] - half)
    Path(name).write_bytes(data)


def _zlib_tile(name, **options):
    _tiff(name, compression="zlib", **options)
    data = bytearray(Path(name).read_bytes())
    start = tifffile.TiffFile(name).pages[0].dataoffsets[4]
    data[start + 20 : start + 60] = bytes(40)
    Path(name).write_bytes(data)


def _past_the_end(name):
    _tiff(name)
    page = tifffile.TiffFile(name).pages[0]
    os.truncate(name, page.dataoffsets[4] + 100)


def _left_out(name):
    _tiff(name)
    tag = tifffile.TiffFile(name).pages[0].tags["TileOffsets"]
    with open(name, "r+b") as stream:
        stream.seek(tag.valueoffset + 4 * 4)
        stream.write(bytes(4))


def _no_chunk(name):
    _zarr(name, IMAGE, (32, 48, 3))
    (Path(name) / "c" / "1" / "1" / "0").unlink()


def _bad_chunk(name):
    _zarr(name, IMAGE, (32, 48, 3))
    path = Path(name) / "c" / "1" / "1" / "0"
    path.write_bytes(path.read_bytes()[:40])


def _short_npy(name):
    _npy(name)
    os.truncate(name, os.path.getsize(name) - 1000)


BAD = {
    "jpeg.tif": (_cut_jpeg, "tile 1, 1 .*its JPEG stream does not end"),
    "zlib.tif": (_zlib_tile, "tile 1, 1 .*damaged"),
    "short.tif": (_past_the_end, "tile 1, 1 .*the file ends .* bytes too early"),
    "sparse.tif": (_left_out, "tile 1, 1 .*missing"),
    "hole.zarr": (_no_chunk, "tile 1, 1 .*missing chunk c/1/1/0.*fill value 0"),
    "bad.zarr": (_bad_chunk, "tile 1, 1 .*damaged"),
    "short.npy": (_short_npy, "tile 0, 0 .*the file ends 1000 bytes too early"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_tile_is_named_or_masked(name):
    make, message = BAD[name]
    make(name)
    with pytest.raises(ImageError, match=f"{name}: {message}.*--bad-tiles mask"):
        pixels_of(name)
    if name == "short.npy":
        return
    pixels, weights, photo = pixels_of(name, bad_tiles="mask")
    assert (1, 1) in photo.bad
    assert (weights[32:64, 48:96] == 0).all()
    assert (weights[:32] == 1).all()
    if "jpeg" not in name:
        assert np.array_equal(pixels[:32], IMAGE[:32])


def test_tiles_that_are_left_out_are_nodata_where_that_is_known():
    for name in ("sparse.tif", "hole.zarr"):
        BAD[name][0](name)
        _, weights, photo = pixels_of(name, nodata=0)
        assert (weights[32:64, 48:96] == 0).all()
        assert weights.sum() == 150 * 101 - 32 * 48
        assert not photo.bad


def test_a_file_that_changes_between_the_passes_is_refused():
    _tiff("a.tif")

    def change(step, done, total):
        if step == "fit":
            os.utime("a.tif", (1, 1))

    with pytest.raises(ImageError, match=r"a\.tif: the file was changed while it was read"):
        labels_of("a.tif", notify=change)
    assert sorted(os.listdir()) == ["a.tif"]


def test_no_space_for_the_labels_leaves_nothing_behind():
    def full(self, data):
        raise OSError(28, "No space left on device")

    store = LabelStore((10, 10), 3, "out")
    store._stream.close()
    store._stream = type("Full", (), {"seek": lambda *_: 0, "write": full, "close": lambda _: None})()
    with pytest.raises(OutputError, match="out: the labels cannot be kept there"):
        store.write(0, np.zeros((10, 10), np.uint8))
    assert os.listdir("out") == []


# --- the command --------------------------------------------------------------------------------------


def run(*arguments):
    result = CliRunner().invoke(main, ["photo", *map(str, arguments)])
    assert "Traceback" not in result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


GEO = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
    (34735, "H", 4, (1, 1, 0, 0), True),
]


def test_the_command_writes_labels_areas_palette_and_overview():
    image = np.tile(IMAGE, (4, 6, 1))
    _tiff("a.tif", image, extratags=GEO)
    result = run("a.tif", "-k", 3, "--memory", "5MB", "-o", "out", "--smooth", "none")
    assert result.exit_code == 0, result.stderr
    endings = ["", "_areas.csv", "_labels.tif", "_overview.png", *(f"_palette.{s}" for s in ("css", "gpl"))]
    assert sorted(os.listdir("out"))[:6] == ["a.json", *(f"a{ending}" for ending in endings[1:])]
    facts = json.loads(Path("out/a.json").read_text())
    assert (facts["width"], facts["height"]) == (606, 600)
    assert facts["tiles"]["pixel_size"] == [10.0, 10.0]
    expected = segment_photo(image, n_components=3, smooth="none")
    with tifffile.TiffFile("out/a_labels.tif") as file:
        assert file.is_bigtiff
        assert np.array_equal(file.pages[0].asarray(), expected.label_map)
        assert np.array_equal(file.pages[1].asarray(), expected.label_map[::2, ::2])
        assert file.pages[0].tags[33922].value == (0.0, 0.0, 0.0, 5e5, 4e6, 0.0)
        assert file.pages[0].nodata == 255
        assert np.array_equal(file.pages[0].colormap[:, :3] >> 8, expected.palette.T)
    rows = [line.split(",") for line in Path("out/a_areas.csv").read_text().splitlines()]
    counts = np.bincount(expected.label_map.ravel())
    assert [int(row[2]) for row in rows[1:4]] == counts.tolist()
    assert [float(row[4]) for row in rows[1:4]] == (100.0 * counts).tolist()
    again = run("a.tif", "-k", 3, "--memory", "6MB", "-o", "out", "--smooth", "none", "--skip-existing")
    assert "done already" in again.stderr


def test_labels_as_ome_zarr_and_a_model_that_is_applied():
    zarr = pytest.importorskip("zarr")
    _ome_zarr("a.zarr")
    assert run("a.zarr", "-k", 3, "--save", "zarr,labels,model", "-o", "out").exit_code == 0
    group = zarr.open("out/a_labels.zarr")
    labels = tifffile.imread("out/a_labels.tif")
    assert np.array_equal(group["0"][:], labels)
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    assert ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.5, 0.25]
    assert len(ome["image-label"]["colors"]) == 4
    assert run("a.zarr", "--model", "out/a_model.npz", "--save", "labels,json", "-o", "b").exit_code == 0
    assert np.array_equal(tifffile.imread("b/a_labels.tif"), labels)
    assert run("a.zarr", "-k", 3, "--save", "zarr", "-o", "out", "--force").exit_code == 0


def test_above_a_size_photos_are_read_by_tiles_and_not_smoothed(monkeypatch):
    monkeypatch.setattr("segment.photo.read.MAX_PIXELS", 10_000)
    monkeypatch.setattr("segment.photo.tiles.fit.LARGE", 10_000)
    _tiff("a.tif")
    result = run("a.tif", "-k", 3, "--json")
    assert "warning: a.tif: not smoothed" in result.stderr
    facts = json.loads(result.stdout)
    assert (facts["smooth"], facts["method"]) == ("none", "colors")
    assert facts["tiles"]["n_strips"] == 5
    Path("b.png").write_bytes(encoded(IMAGE))
    assert "--allow-large" in run("b.png", "-k", 3).stderr
    assert "tiles" in json.loads(run("b.png", "-k", 3, "--allow-large", "--json").stdout)


def test_options_that_make_no_sense_say_so():
    _tiff("a.tif")
    cases = {
        ("--regions", "3", "--level", "0"): (2, "--level does not go with --method regions"),
        ("--save", "segmented", "--level", "0"): (2, "no output of photos that are read by tiles"),
        ("--save", "areas"): (1, "only outputs of photos that are read by tiles"),
        ("--memory", "much"): (2, "amounts like 500MB and 2GB"),
        ("--bands", "0,1"): (2, "numbers from 1 on"),
        ("--smooth", "900px"): (2, "from 1px to 64px"),
        ("--level", "3"): (1, "there is no level 3; the file has one level, 0"),
        ("--memory", "10kB"): (1, "allow more with --memory"),
    }
    for arguments, (code, message) in cases.items():
        result = run("a.tif", *([] if "--regions" in arguments else ["-k", 3]), *arguments)
        assert (result.exit_code, message in result.stderr) == (code, True), (arguments, result.stderr)


def test_bad_tiles_are_counted_in_the_sidecar():
    _zlib_tile("a.tif")
    assert "tile 1, 1" in run("a.tif", "-k", 3, "--level", 0).stderr
    assert os.listdir("outputs/photo") == [] if os.path.isdir("outputs/photo") else True
    facts = json.loads(run("a.tif", "-k", 3, "--bad-tiles", "mask", "--json").stdout)
    assert facts["tiles"]["n_bad_tiles"] == 1
    assert facts["reader"]["bad_tiles"] == [[1, 1]]
    assert facts["tiles"]["n_unlabeled"] == 32 * 48
