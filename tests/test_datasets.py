"""The registry, `verify` and `fetch`, the latter against a local server that also misbehaves."""

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile

import pytest
from click.testing import CliRunner

from segment import datasets
from segment.cli import main
from segment.datasets import DataFile, Dataset, fetch, is_present, verify
from segment.errors import DatasetError, OutputError

CONTENT = {name: f"content of {name}".encode() * 5000 for name in ("first", "second")}


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves `pages`; an address below /broken announces more bytes than it sends."""

    pages: dict[str, bytes]
    asked: list[str]

    def do_GET(self):
        type(self).asked.append(self.path)
        body = self.pages.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        broken = self.path.startswith("/broken")
        self.send_header("Content-Length", str(len(body) + (1000 if broken else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (_Server,), {"pages": {}, "asked": []})
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    handler.address = f"http://127.0.0.1:{listening.server_port}"
    yield handler
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A registered data set of two files, in an empty folder."""
    files = tuple(DataFile(name, hashlib.sha256(body).hexdigest()) for name, body in CONTENT.items())
    toy = Dataset("toy", "a toy", ("http://127.0.0.1:9/",), files)
    monkeypatch.setitem(datasets.DATASETS, "toy", toy)
    monkeypatch.setenv("SEGMENT_DATASETS", str(tmp_path / "data"))
    return tmp_path / "data" / "toy"


def serve_toy(server, prefix="/good"):
    for name, body in CONTENT.items():
        server.pages[f"{prefix}/{name}.gz"] = gzip.compress(body)


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_fetch_downloads_and_verifies(server, toy):
    serve_toy(server)
    assert not is_present("toy")
    assert fetch("toy", mirrors=[f"{server.address}/good/"]) == toy
    assert files_in(toy) == ["first.gz", "second.gz"]
    assert is_present("toy")
    assert all(check.ok for check in verify("toy"))


def test_fetch_asks_only_for_what_is_missing(server, toy):
    serve_toy(server)
    toy.mkdir(parents=True)
    (toy / "first").write_bytes(CONTENT["first"])
    fetch("toy", mirrors=[f"{server.address}/good"])
    assert server.asked == ["/good/second.gz"]


def test_fetch_replaces_a_damaged_file(server, toy):
    serve_toy(server)
    toy.mkdir(parents=True)
    (toy / "first").write_bytes(b"something else")
    fetch("toy", mirrors=[f"{server.address}/good"])
    assert files_in(toy) == ["first.gz", "second.gz"]
    assert all(check.ok for check in verify("toy"))


@pytest.mark.parametrize("prefix", ["/broken", "/missing", "/corrupt", "/foreign"])
def test_a_bad_mirror_leaves_nothing_and_the_next_is_tried(server, toy, prefix):
    serve_toy(server)
    for name, body in CONTENT.items():
        packed = gzip.compress(body)
        server.pages[f"/broken/{name}.gz"] = packed[:-40]
        server.pages[f"/corrupt/{name}.gz"] = packed[:-40]
        server.pages[f"/foreign/{name}.gz"] = gzip.compress(b"not what was registered")
    with pytest.raises(DatasetError, match="no mirror delivered"):
        fetch("toy", mirrors=[f"{server.address}{prefix}"])
    assert files_in(toy) == []
    fetch("toy", mirrors=[f"{server.address}{prefix}", f"{server.address}/good"])
    assert all(check.ok for check in verify("toy"))


def test_without_a_network_the_message_names_files_and_folder(toy):
    with pytest.raises(DatasetError) as error:
        fetch("toy")
    for words in ("first.gz, second.gz", str(toy), "by hand", "SEGMENT_DATASETS"):
        assert words in str(error.value)


def test_fetch_into_a_file_is_an_output_error(server, toy):
    toy.parent.write_text("in the way")
    serve_toy(server)
    with pytest.raises(OutputError, match="cannot be written"):
        fetch("toy", mirrors=[f"{server.address}/good"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "truncated"),
        (lambda path: path.write_bytes(gzip.compress(b"other")), "expected"),
        (lambda path: path.write_bytes(b"no gzip at all"), "damaged"),
    ],
)
def test_verify_names_the_bad_file(server, toy, damage, said):
    serve_toy(server)
    fetch("toy", mirrors=[f"{server.address}/good"])
    damage(toy / "second.gz")
    bad = [check for check in verify("toy") if not check.ok]
    assert [check.path.name for check in bad] == ["second.gz"]
    assert said in bad[0].message


def test_the_published_archive_identifies_a_set_without_raw_checksums(server, toy, monkeypatch):
    packed = gzip.compress(CONTENT["first"], mtime=0)
    files = (DataFile("first", gz_sha256=hashlib.sha256(packed).hexdigest()),)
    monkeypatch.setitem(datasets.DATASETS, "toy", Dataset("toy", "a toy", (), files))
    server.pages["/good/first.gz"] = packed
    server.pages["/repacked/first.gz"] = gzip.compress(CONTENT["first"], compresslevel=1, mtime=0)
    with pytest.raises(DatasetError):
        fetch("toy", mirrors=[f"{server.address}/repacked"])
    fetch("toy", mirrors=[f"{server.address}/good"])
    assert verify("toy")[0].ok


def _zip(names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as box:
        for name in names:
            box.writestr(name, b"x")
    return buffer.getvalue()


def _tar(names):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as box:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            box.addfile(member, io.BytesIO(b"x"))
    return buffer.getvalue()


@pytest.mark.parametrize(("pack", "name"), [(_zip, "all.zip"), (_tar, "all.tgz")])
def test_an_archive_is_unpacked_below_its_data_folder_and_counted(server, toy, monkeypatch, pack, name):
    dataset = Dataset("toy", "a toy", (), folders=(("images/train", 2),))
    monkeypatch.setitem(datasets.DATASETS, "toy", dataset)
    inside = [
        "top/data/images/train/1.jpg",
        "top/data/images/train/2.jpg",
        "top/bench/run.m",
        "top/data/../../escape.jpg",
    ]
    server.pages[f"/good/{name}"] = pack(inside)
    server.pages[f"/short/{name}"] = pack(inside[:1])
    server.pages[f"/damaged/{name}"] = pack(inside)[:60]
    for bad in ("short", "damaged"):
        with pytest.raises(DatasetError, match=r"expected 2|damaged"):
            fetch("toy", mirrors=[f"{server.address}/{bad}/{name}"])
    fetch("toy", mirrors=[f"{server.address}/good/{name}"])
    assert files_in(toy) == ["images"]
    assert files_in(toy / "images" / "train") == ["1.jpg", "2.jpg"]
    assert verify("toy")[0].ok


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DatasetError, match="allowed are mnist, fashion-mnist, kmnist, bsds500"):
        fetch("nist")


def test_where_data_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGMENT_DATASETS", str(tmp_path))
    assert datasets.data_folder() == tmp_path
    monkeypatch.delenv("SEGMENT_DATASETS")
    assert datasets.data_folder().name == "datasets"


def test_list_and_verify_on_the_command_line(server, toy):
    rows = json.loads(CliRunner().invoke(main, ["datasets", "list", "--json"]).stdout)
    assert {"name": "toy", "title": "a toy", "present": False, "folder": str(toy)} in rows
    result = CliRunner().invoke(main, ["datasets", "verify", "mnist"])
    assert result.exit_code == 1
    assert "is missing" in result.stderr
    assert "segment datasets fetch mnist" in result.stderr
    assert CliRunner().invoke(main, ["datasets", "verify", "nothing"]).exit_code == 2
