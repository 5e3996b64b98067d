"""Where data sets lie, what identifies them, and how they are fetched.

One folder holds them all: `SEGMENT_DATASETS` if it is set, else `datasets/` of the checkout, else the
user's cache folder. A file is known by the SHA-256 of its content, so that a damaged or foreign file is
never taken for the real one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from segment.errors import DatasetError, OutputError

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class DataFile:
    """A file of a data set: its name without ".gz", and what its content must hash to.

    `sha256` identifies the uncompressed bytes, whatever the gzip wrapper; `gz_sha256` the published
    archive, for those sets whose publishers' checksums cover only that.
    """

    name: str
    sha256: str = ""
    gz_sha256: str = ""


@dataclass(frozen=True)
class Dataset:
    """A data set: IDX `files`, or an archive whose `folders` must each hold a number of files."""

    name: str
    title: str
    mirrors: tuple[str, ...]
    files: tuple[DataFile, ...] = ()
    folders: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Check:
    """What `verify` found: `ok`, or what is wrong with the file and what was expected."""

    path: Path
    ok: bool
    message: str


_IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _idx_files(
    sha256: Sequence[str] = ("",) * 4, gz_sha256: Sequence[str] = ("",) * 4
) -> tuple[DataFile, ...]:
    return tuple(DataFile(*row) for row in zip(_IDX_NAMES, sha256, gz_sha256, strict=True))


_ALL = (
    Dataset(
        "mnist",
        "MNIST: 70 000 handwritten digits, 28 x 28",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://azureopendatastorage.blob.core.windows.net/mnist/",
        ),
        _idx_files(
            sha256=(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            )
        ),
    ),
    Dataset(
        "fashion-mnist",
        "Fashion-MNIST: 70 000 photos of clothes, 28 x 28",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        _idx_files(
            gz_sha256=(
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            )
        ),
    ),
    Dataset(
        "kmnist",
        "Kuzushiji-MNIST: 70 000 cursive hiragana, 28 x 28",
        (
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        _idx_files(
            gz_sha256=(
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            )
        ),
    ),
    Dataset(
        "bsds500",
        "BSDS500: 500 photos with the segmentations that people drew",
        (
            "https://github.com/BIDS/BSDS500/archive/refs/heads/master.zip",
            "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        ),
        # Neither archive has a lasting checksum (one is packed anew at each download): files are counted.
        folders=(
            ("images/train", 200),
            ("images/val", 100),
            ("groundTruth/train", 200),
            ("groundTruth/val", 100),
        ),
    ),
)
DATASETS = {dataset.name: dataset for dataset in _ALL}


def data_folder() -> Path:
    """Return the folder that holds all data sets (it need not exist yet)."""
    if chosen := os.environ.get("SEGMENT_DATASETS"):
        return Path(chosen).expanduser()
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "datasets").is_dir():
        return checkout / "datasets"
    import pooch

    return Path(pooch.os_cache("segment")) / "datasets"


def dataset_folder(name: str) -> Path:
    """Return the folder of data set `name`.

    Raises
    ------
    DatasetError
        If no data set has that name.
    """
    return data_folder() / _known(name).name


def is_present(name: str) -> bool:
    """Tell whether every file of `name` is in its folder (by name; `verify` also reads them)."""
    return not _missing(_known(name), dataset_folder(name))


def verify(name: str) -> list[Check]:
    """Read every file of data set `name` and compare it with its registered checksum.

    Returns
    -------
    list of Check
        One a file (or, for an archive of many files, one a folder).
    """
    dataset, folder = _known(name), dataset_folder(name)
    checks = [_check_file(folder, file) for file in dataset.files]
    for inner, expected in dataset.folders:
        found = _count_files(folder / inner)
        message = "" if found >= expected else f"has {found} files, expected {expected}"
        checks.append(Check(folder / inner, not message, message or f"{found} files"))
    return checks


def fetch(name: str, *, progress: bool = False, mirrors: Sequence[str] | None = None) -> Path:
    """Download what is missing of data set `name`, trying its mirrors in turn.

    A file appears under its final name only when it is complete and its checksum is right.

    Parameters
    ----------
    name : str
    progress : bool
        Draw a progress bar on stderr.
    mirrors : sequence of str, optional
        Addresses to use in place of the registered ones.

    Returns
    -------
    pathlib.Path
        The folder of the data set.

    Raises
    ------
    DatasetError
        If no mirror delivered; the message says which files to put where by hand.
    OutputError
        If the folder cannot be written to.
    """
    dataset, folder = _known(name), dataset_folder(name)
    mirrors = dataset.mirrors if mirrors is None else tuple(mirrors)
    if dataset.folders:
        if _missing(dataset, folder):
            attempt = partial(_fetch_archive, dataset, folder, progress=progress)
            _try_mirrors(dataset, folder, mirrors, attempt)
        return folder
    for file in dataset.files:
        check = _check_file(folder, file)
        if not check.ok:
            attempt = partial(_fetch_file, folder, file, progress=progress)
            _try_mirrors(dataset, folder, mirrors, attempt)
    return folder


def _known(name: str) -> Dataset:
    if name not in DATASETS:
        raise DatasetError(f"no data set is called {name!r}; allowed are {', '.join(DATASETS)}")
    return DATASETS[name]


def _count_files(folder: Path) -> int:
    return sum(entry.suffix in (".jpg", ".mat") for entry in folder.iterdir()) if folder.is_dir() else 0


def _missing(dataset: Dataset, folder: Path) -> list[str]:
    """Return what is absent, by name alone."""
    absent = [file.name for file in dataset.files if stored_path(folder, file.name) is None]
    return absent + [inner for inner, count in dataset.folders if _count_files(folder / inner) < count]


def stored_path(folder: Path, name: str) -> Path | None:
    """Return where file `name` lies in `folder`, plain or with ".gz", or None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _check_file(folder: Path, file: DataFile) -> Check:
    path = stored_path(folder, file.name)
    if path is None:
        return Check(folder / f"{file.name}.gz", False, "is missing")
    problem = _problem(path, file)
    known = file.sha256 or (file.gz_sha256 and path.suffix == ".gz")
    return Check(path, not problem, problem or ("SHA-256 as registered" if known else "no checksum known"))


def _problem(path: Path, file: DataFile) -> str:
    """Return what is wrong with a file, or an empty string."""
    if file.sha256:
        try:
            found = _sha256(path, gzip.open if path.suffix == ".gz" else open)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            return f"is damaged or truncated ({error})"
        return "" if found == file.sha256 else f"has SHA-256 {found} uncompressed, expected {file.sha256}"
    if file.gz_sha256 and path.suffix == ".gz":
        found = _sha256(path, open)
        return "" if found == file.gz_sha256 else f"has SHA-256 {found}, expected {file.gz_sha256}"
    return ""


def _sha256(path: Path, opener: Callable) -> str:
    with opener(path, "rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _try_mirrors(
    dataset: Dataset, folder: Path, mirrors: Sequence[str], attempt: Callable[[str], None]
) -> None:
    """Call `attempt(address)` until one mirror delivers."""
    import requests

    problems = []
    for address in mirrors:
        try:
            return attempt(address)
        except (requests.RequestException, DatasetError) as error:
            problems.append(f"  {address}: {_short(error)}")
    wanted = [f"{name}.gz" if dataset.files else name for name in _missing(dataset, folder)]
    raise DatasetError(
        f"{dataset.name}: no mirror delivered it\n"
        + "\n".join(problems)
        + f"\nWithout a network, put these into {folder} by hand and try again: {', '.join(wanted)}"
        + "\n(another folder: set SEGMENT_DATASETS)"
    )


def _short(error: Exception) -> str:
    """Return an error without the nested representation that requests wraps it in."""
    text = str(error) or type(error).__name__
    return text if len(text) < 160 else f"{type(error).__name__}: {text[:100]} ..."


def _download(address: str, into: Path, progress: bool) -> Path:
    """Download `address` to a file in folder `into`; an interrupted transfer raises."""
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_SECONDS)
    name = PurePosixPath(address).name
    return Path(pooch.retrieve(address, known_hash=None, fname=name, path=into, downloader=downloader))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside `folder`, so that what it holds can be renamed into place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-")
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); set SEGMENT_DATASETS to another folder"
        ) from error
    with scratch as name:
        yield Path(name)


def _fetch_file(folder: Path, file: DataFile, mirror: str, *, progress: bool) -> None:
    address = f"{mirror.rstrip('/')}/{file.name}.gz"
    with _scratch(folder) as scratch:
        path = _download(address, scratch, progress)
        if problem := _problem(path, file):
            raise DatasetError(f"the file {problem}")
        path.replace(folder / path.name)
        # A plain copy that failed its check would be read before the new file.
        (folder / file.name).unlink(missing_ok=True)


def _fetch_archive(dataset: Dataset, folder: Path, address: str, *, progress: bool) -> None:
    with _scratch(folder) as scratch:
        unpacked = scratch / "unpacked"
        _unpack(_download(address, scratch, progress), unpacked)
        _check_unpacked(dataset, unpacked)
        for top in sorted(unpacked.iterdir()):
            shutil.rmtree(folder / top.name, ignore_errors=True)
            top.replace(folder / top.name)


def _unpack(archive: Path, into: Path) -> None:
    """Unpack the pictures and segmentations below the archive's `data` folder, nothing else."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as box:
                for name in box.namelist():
                    _unpack_member(name, lambda name=name: box.open(name), into)
            return
        with tarfile.open(archive) as box:
            for member in box:
                if member.isfile():
                    _unpack_member(member.name, lambda member=member: box.extractfile(member), into)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"the archive is damaged ({error})") from error


def _unpack_member(name: str, opened: Callable, into: Path) -> None:
    parts = PurePosixPath(name).parts
    if "data" not in parts or PurePosixPath(name).suffix not in (".jpg", ".mat") or ".." in parts:
        return
    target = into.joinpath(*parts[parts.index("data") + 1 :])
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened() as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink)


def _check_unpacked(dataset: Dataset, unpacked: Path) -> None:
    for inner, expected in dataset.folders:
        found = _count_files(unpacked / inner)
        if found < expected:
            raise DatasetError(f"the archive has {found} files in {inner}, expected {expected}")
