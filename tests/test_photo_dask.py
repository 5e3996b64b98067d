"""Photos whose strips are read by Dask workers: the same bytes as without, also when one is killed."""

import json
import os
import signal
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import encoded, noisy

pytest.importorskip("distributed", reason="Dask is not installed (the extra scale)")

import distributed

import segment.data.dask as dask_engine
from segment.cli import main
from segment.errors import ImageError
from segment.photo.tiles import photo as tiled_photos
from segment.photo.tiles.cluster import Cluster, groups_of
from segment.photo.tiles.count import Glance
from segment.photo.tiles.fit import segment_tiles
from segment.photo.tiles.photo import Selection, TiledPhoto
from segment.photo.where import Where

pytestmark = pytest.mark.filterwarnings("ignore")

IMAGE = noisy(height=150, width=101, spread=25.0)[0]
TILE = {"tile": (32, 48), "photometric": "rgb"}


@pytest.fixture(scope="module")
def client():
    with dask_engine.connected("local:2") as found:
        yield found


@pytest.fixture(autouse=True)
def few_rows(monkeypatch, tmp_path):
    """Make strips of few rows, so that small photos have many; work in an empty folder."""
    monkeypatch.setattr(tiled_photos, "STRIP_PIXELS", 3000)
    monkeypatch.chdir(tmp_path)


def found_in(source, client=None, smooth="none", notify=lambda *_: None, **options):
    fitting = {"n_components": 3, "n_init": 4}
    arguments = {"fitting": fitting, "smooth": smooth, "client": client, "notify": notify, **options}
    with segment_tiles(source, **arguments) as found:
        labels = found.store.labels(0, found.photo.shape[0])
        numbers = (found.counts, found.palette, found.shares, found.model.parameters.means)
        bits = [labels.tobytes(), *(each.tobytes() for each in numbers), found.log_likelihood]
        return bits, found


@lru_cache
def plain(name, smooth="none"):
    return found_in(name, smooth=smooth)[0]


def _kinds():
    rng = np.random.default_rng(0)
    alpha = rng.choice(np.array([0, 90, 255], np.uint8), (150, 101))
    bands = {"photometric": "minisblack", "planarconfig": "contig", "tile": (32, 48)}
    return {
        "rgb.tif": (IMAGE, TILE, "table"),
        "alpha.tif": (np.dstack([IMAGE, alpha]), {**TILE, "extrasamples": ["unassalpha"]}, "table"),
        "16.tif": (IMAGE.astype(np.uint16) * 257, TILE, "table"),
        "floats.tif": (np.dstack([IMAGE, IMAGE]).astype(np.float32) / 255, bands, "stream"),
    }


@pytest.mark.parametrize(
    ("name", "smooth"),
    [
        ("rgb.tif", "none"),
        ("rgb.tif", "3px"),
        ("alpha.tif", "light"),
        ("16.tif", "none"),
        ("floats.tif", "light"),
    ],
)
def test_two_processes_give_the_bytes_of_this_one(name, smooth, client):
    image, options, how = _kinds()[name]
    tifffile.imwrite(name, image, **options)
    bits, found = found_in(name, client, smooth)
    assert bits == plain(name, smooth)
    assert found.how_fitted == how
    assert found.on_cluster


@pytest.mark.parametrize("n_workers", [1, 4])
def test_any_number_of_workers_gives_the_same_bytes(n_workers):
    tifffile.imwrite("rgb.tif", IMAGE, **TILE)
    options = {"n_workers": n_workers, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as found:
        assert found_in("rgb.tif", found)[0] == plain("rgb.tif")


def test_a_worker_that_is_killed_costs_no_byte(client):
    tifffile.imwrite("rgb.tif", IMAGE, **TILE)
    killed = []

    def kill_once(name, done, total):
        if name == "label" and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    bits, _ = found_in("rgb.tif", client, notify=kill_once)
    assert killed
    assert bits == plain("rgb.tif")
    client.wait_for_workers(2)


def test_a_mask_and_a_region_are_read_by_the_workers_too(client):
    tifffile.imwrite("rgb.tif", IMAGE, **TILE)
    Path("mask.png").write_bytes(encoded(np.where(IMAGE[:, :, 0] > 90, 255, 0).astype(np.uint8)))
    part = {"selection": Selection(where=Where(mask="mask.png", region=(3, 5, 80, 120)))}
    bits, found = found_in("rgb.tif", client, **part)
    plain_bits, plain_found = found_in("rgb.tif", **part)
    assert bits == plain_bits
    assert found.photo.outside == plain_found.photo.outside
    assert set(found.photo.outside) == {"mask", "region"}


def test_groups_depend_on_the_photo_only():
    assert [len(groups_of(list(range(n)))) for n in (1, 63, 128, 10_000)] == [1, 63, 64, 1250]
    assert [n for group in groups_of(list(range(1001))) for n in group] == list(range(1001))


def test_tiles_that_workers_cannot_read_are_named_or_counted(client):
    tifffile.imwrite("a.tif", IMAGE, compression="zlib", **TILE)
    with tifffile.TiffFile("a.tif") as file:
        place = file.pages[0].dataoffsets[4]
    data = bytearray(Path("a.tif").read_bytes())
    data[place : place + 8] = bytes(8)
    Path("a.tif").write_bytes(data)
    with pytest.raises(ImageError, match="tile 1, 1"):
        found_in("a.tif", client)
    masked = {"selection": Selection(bad_tiles="mask")}
    bits, found = found_in("a.tif", client, **masked)
    assert found.photo.bad == {(1, 1)}
    assert bits == found_in("a.tif", **masked)[0]


def test_a_worker_that_sees_no_such_file_or_another_names_both(client):
    tifffile.imwrite("a.tif", IMAGE, **TILE)
    with_engine = Cluster(dask_engine.DaskEngine(client))
    photo = TiledPhoto("a.tif")
    work = [([photo.strips[0]], True)]
    os.utime("a.tif", (0, 0))
    with pytest.raises(ImageError, match=r"a\.tif: worker tcp://127.0.0.1:\d+ on .* sees another file"):
        list(with_engine.walk(photo, Glance(photo), work))
    os.rename("a.tif", "b.tif")
    with pytest.raises(ImageError, match=r"a\.tif: no such file; worker tcp://127.0.0.1:\d+ on .* must see"):
        list(with_engine.walk(photo, Glance(photo), work))
    photo.close()


def test_the_command_writes_the_same_files(client):
    Path("a.png").write_bytes(encoded(IMAGE))
    written = []
    for extra in (["--level", "0"], ["--dask", client.scheduler.address]):
        arguments = ["photo", "a.png", "-k", "3", "--save", "all", "--force", *extra]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.stderr
        files = sorted(path for path in Path("outputs/photo").iterdir() if path.is_file())
        facts = json.loads(Path("outputs/photo/a.json").read_text())
        assert facts["tiles"]["on_cluster"] == ("--dask" in extra)
        written.append({path.name: path.read_bytes() for path in files if path.suffix != ".json"})
    assert written[0] == written[1]
    assert "a_labels.tif" in written[0]


def test_an_address_that_cannot_be_meant_is_an_error():
    Path("a.png").write_bytes(encoded(IMAGE))
    result = CliRunner().invoke(main, ["photo", "a.png", "--dask", "local:0"])
    assert (result.exit_code, "local, local:1" in result.stderr) == (1, True)
    result = CliRunner().invoke(main, ["photo", "-", "--dask", "local:1"])
    assert (result.exit_code, "is not read by tiles" in result.stderr) == (2, True)
