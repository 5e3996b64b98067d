"""Digits from wherever they come: IDX files, `.npz`, the bundled 8 x 8 set; images with or without labels."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segment.datasets import DATASETS, dataset_folder, fetch, is_present
from segment.digits.idx import looks_like_idx, read_idx
from segment.errors import DatasetError, OutputError

MAX_LABEL = 10_000
_DAMAGE = (zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError)


@dataclass(frozen=True)
class DigitSet:
    """Images to cluster and, if known, the labels to score with.

    Attributes
    ----------
    name : str
    images : (n, height, width) uint8 ndarray, ink bright on a dark ground
    labels : (n,) int64 ndarray, or None
    n_train : int
        The first `n_train` rows are the training part, the rest the test part.
    source : str
        Where the images came from, for the record.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    n_train: int
    source: str

    def rows(self, chosen: np.ndarray) -> DigitSet:
        """Return the rows `chosen` (increasing indices)."""
        labels = None if self.labels is None else self.labels[chosen]
        n_train = int(np.searchsorted(chosen, self.n_train))
        return replace(self, images=self.images[chosen], labels=labels, n_train=n_train)

    def limited(self, limit: int | None) -> DigitSet:
        """Return at most `limit` rows, spread evenly: files sorted by class keep all their classes."""
        n = len(self.images)
        if limit is None or limit >= n:
            return self
        return self.rows(np.arange(limit) * n // limit)


def load_digits(data: str | None = None, *, progress: bool = False) -> DigitSet:
    """Load a set of digits by name or path.

    Parameters
    ----------
    data : str, optional
        "mnist", "fashion-mnist", "kmnist", "digits" (scikit-learn's bundled 8 x 8 digits), a folder with
        IDX files, an IDX file, or an `.npz` with `images` and optionally `labels`. None: MNIST if it is
        at hand or can be fetched, else "digits".
    progress : bool
        Draw a progress bar while fetching.

    Raises
    ------
    DatasetError
        If there is no such set, or one of its files is damaged; the message names the file.
    """
    if data is None:
        try:
            return load_digits("mnist", progress=progress)
        except (DatasetError, OutputError):
            if is_present("mnist"):
                raise
            return load_digits("digits")
    if data == "digits":
        return _bundled()
    path = Path(data)
    if data in DATASETS and not path.exists():
        if not is_present(data):
            fetch(data, progress=progress)
        path = dataset_folder(data)
    if path.is_dir():
        return _from_folder(path, data)
    if path.suffix == ".npz" and path.is_file():
        return _from_npz(path)
    if path.is_file():
        return _digit_set(path.stem, [(read_idx(path), None)], str(path))
    allowed = ", ".join(["digits", *(name for name, item in DATASETS.items() if item.files)])
    raise DatasetError(
        f"{data}: no such data; allowed are {allowed}, a folder with IDX files, an IDX file, an .npz"
    )


def _bundled() -> DigitSet:
    from sklearn.datasets import load_digits as bundled_digits

    digits = bundled_digits()
    return _digit_set("digits", [(digits.images, digits.target)], "scikit-learn, load_digits")


def _from_npz(path: Path) -> DigitSet:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if "images" not in arrays:
                raise DatasetError(f"{path}: has {sorted(arrays)}, expected images (and optionally labels)")
            return _digit_set(path.stem, [(arrays["images"], arrays.get("labels"))], str(path))
    except DatasetError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, NotImplementedError, *_DAMAGE) as error:
        raise DatasetError(f"{path}: is no readable .npz ({error})") from error


def _from_folder(folder: Path, name: str) -> DigitSet:
    """Pair each file of images with its labels, by name; the training part comes first."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and looks_like_idx(path)]
    images = [path for path in files if _role(path) == "images"]
    if not images:
        ranks = {path: read_idx(path).ndim for path in files}
        images = [path for path, rank in ranks.items() if rank == 3]
        others = [path for path, rank in ranks.items() if rank == 1]
        pairs = [(images[0], others[0] if others else None)] if len(images) == 1 and len(others) < 2 else []
    else:
        pairs = [(path, _partner(path, files)) for path in sorted(images, key=_is_test)]
    if not pairs:
        raise DatasetError(
            f"{folder}: holds no IDX files of images that can be told apart; expected names such as "
            "train-images-idx3-ubyte and train-labels-idx1-ubyte (plain or .gz)"
        )
    parts = [(read_idx(path), None if label is None else read_idx(label)) for path, label in pairs]
    for (path, label), (image, labels) in zip(pairs, parts, strict=True):
        if labels is not None and len(labels) != len(image):
            raise DatasetError(f"{label}: {len(labels)} labels, but {path} holds {len(image)} images")
    n_train = sum(
        len(image) for (path, _), (image, _) in zip(pairs, parts, strict=True) if not _is_test(path)
    )
    found = _digit_set(Path(name).name, parts, str(folder))
    return replace(found, n_train=n_train or len(found.images))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").lower()


def _role(path: Path) -> str:
    stem = _stem(path)
    return next((role for role in ("images", "labels") if role in stem), "")


def _is_test(path: Path) -> bool:
    return re.search(r"t10k|test", _stem(path)) is not None


def _partner(images: Path, files: list[Path]) -> Path | None:
    """Return the file of labels that belongs to a file of images."""
    wanted = re.sub(r"idx3", "idx1", _stem(images).replace("images", "labels"))
    return next((path for path in files if _stem(path) == wanted), None)


def _digit_set(name: str, parts: list[tuple[np.ndarray, np.ndarray | None]], source: str) -> DigitSet:
    shapes = {image.shape[1:] for image, _ in parts}
    if any(image.ndim != 3 for image, _ in parts) or len(shapes) != 1:
        found = ", ".join(str(image.shape) for image, _ in parts)
        raise DatasetError(
            f"{source}: images of shape {found}, expected (n, rows, columns), rows and columns alike"
        )
    images = np.concatenate([image for image, _ in parts])
    if images.size == 0:
        raise DatasetError(f"{source}: holds no image; expected at least one")
    known = [np.atleast_1d(labels) for _, labels in parts if labels is not None]
    labels = np.concatenate(known) if len(known) == len(parts) else None
    if labels is not None:
        labels = _checked_labels(labels, len(images), source)
    return DigitSet(name, _ink_bright(as_uint8(images, source)), labels, len(images), source)


def _checked_labels(labels: np.ndarray, n: int, source: str) -> np.ndarray:
    if labels.shape != (n,):
        raise DatasetError(f"{source}: labels of shape {labels.shape}, expected ({n},)")
    if labels.dtype.kind not in "biuf":
        raise DatasetError(
            f"{source}: labels of type {labels.dtype}, expected whole numbers from 0 (number the classes)"
        )
    whole = np.rint(np.clip(np.nan_to_num(labels, nan=-1.0), -1, MAX_LABEL + 1)).astype(np.int64)
    if not np.array_equal(whole, labels) or whole.min() < 0 or whole.max() > MAX_LABEL:
        raise DatasetError(
            f"{source}: labels from {labels.min()} to {labels.max()}, expected whole numbers from 0 "
            f"to {MAX_LABEL}"
        )
    return whole


def _ink_bright(images: np.ndarray) -> np.ndarray:
    """Invert a set whose border is mostly bright: dark ink on paper."""
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    return 255 - images if np.median(border) > 127 else images


def as_uint8(images: np.ndarray, source: str) -> np.ndarray:
    """Scale other element types so that the brightest value of the set becomes 255."""
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if images.dtype.kind not in "biuf":
        raise DatasetError(f"{source}: images of type {images.dtype}, expected numbers from 0 (ground)")
    values = images.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise DatasetError(
            f"{source}: images with negative or non-finite values; expected 0 (ground) or more"
        )
    return np.rint(values * (255 / max(values.max(), np.finfo(float).tiny))).astype(np.uint8)
