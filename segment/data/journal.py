"""Checkpoints: a journal of what the passes over a source found, so that a broken-off fit can be replayed.

A fit is a fixed sequence of passes and of what the client computes between them. So the results of the
passes are all that has to be kept: resumed, the fit runs again from the start and takes them from the
journal until it is where it broke off. Whatever lies between passes (acceleration, repairs, other starts)
comes out with the same bits by itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from segment._version import __version__
from segment.data.source import Block, Source, Sums
from segment.errors import ModelError, OutputError
from segment.output import atomic_path, to_plain

S = TypeVar("S")
A = TypeVar("A")

_MAGIC = b"segment checkpoint 1\n"


class Journal(Source):
    """A source whose sums are written to a file as soon as they are found, and are read from it on resuming.

    Parameters
    ----------
    source : Source
    path : path-like
    settings : mapping
        What the fit depends on; a journal of other settings or samples is refused.
    resume : bool
        Go on from what the file holds; otherwise it is begun anew.

    Raises
    ------
    ModelError
        If the file is no checkpoint, or one of another fit.
    OutputError
        If it cannot be written.
    """

    def __init__(
        self,
        source: Source,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
    ) -> None:
        self.source, self.path = source, Path(path)
        self.columns, self.is_weighted = source.columns, source.is_weighted
        self.shares_threads = source.shares_threads
        head = {"version": __version__, "samples": source.stamps(), "settings": dict(settings)}
        # As JSON would give it back.
        self.head = json.loads(json.dumps(to_plain(head)))
        self.known: list[tuple[str, Any]] = []
        self.n_replayed = 0
        if resume and self.path.exists():
            self.known = self._read()
        else:
            self._begin()

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.source.n_samples

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.source.n_features

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.source.dtype

    def first_row(self) -> np.ndarray:
        """Return the first row, (n_features,) float64."""
        return self.source.first_row()

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows and their weights, in memory."""
        return self.source.arrays()

    @cached_property
    def sums(self) -> Sums:
        """Total weight, and weighted sums of the differences from the first row."""
        return self._noted("sums", lambda: self.source.sums)

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows; yield what it returns, in order. It is not noted."""
        return self.source.map(function, rows=rows, n_jobs=n_jobs)

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Return the sum of what `function` finds on blocks of `rows` rows, from the journal if it has it."""
        return self._noted(
            f"{_key(function)} {rows}", lambda: self.source.reduce(function, rows=rows, n_jobs=n_jobs)
        )

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Source:
        """Return this journal, of what a function makes of the rows."""
        self.source = self.source.changed(change)
        return self

    def stamps(self) -> list[Any]:
        """Return by what the samples are known again."""
        return self.source.stamps()

    def _noted(self, key: str, compute: Callable[[], S]) -> S:
        if self.n_replayed < len(self.known):
            found, value = self.known[self.n_replayed]
            if found != key:
                raise ModelError(
                    f"{self.path}: pass {self.n_replayed + 1} of this fit is not the one that was noted: the "
                    "samples or a library have changed since; start anew without resume"
                )
            self.n_replayed += 1
            return value
        value = compute()
        self._append(key, value)
        return value

    def _begin(self) -> None:
        with atomic_path(self.path) as temporary, open(temporary, "wb") as stream:
            stream.write(_MAGIC)
            _write_record(stream, "head", self.head)

    def _append(self, key: str, value: Any) -> None:
        try:
            with open(self.path, "ab") as stream:
                _write_record(stream, key, value)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path}: the checkpoint cannot be written ({error.strerror or error}); what it held "
                "before is kept: make room and resume"
            ) from error

    def _read(self) -> list[tuple[str, Any]]:
        try:
            with open(self.path, "r+b") as stream:
                if stream.read(len(_MAGIC)) != _MAGIC or (head := _read_record(stream)) is None:
                    raise ModelError(f"{self.path}: no checkpoint that this program wrote; give another file")
                self._check_head(head[1])
                records, good = [], stream.tell()
                while (record := _read_record(stream)) is not None:
                    records.append(record)
                    good = stream.tell()
                # What a broken-off run has half written goes away.
                stream.truncate(good)
        except OSError as error:
            raise ModelError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        return records

    def _check_head(self, head: Any) -> None:
        if head == self.head:
            return
        settings = head.get("settings", {}) | {"samples": head.get("samples"), "version": head.get("version")}
        mine = self.head["settings"] | {"samples": self.head["samples"], "version": __version__}
        other = [name for name in mine if settings.get(name) != mine[name]]
        raise ModelError(
            f"{self.path}: a checkpoint of another fit ({', '.join(other) or 'settings'} differ); start anew "
            "without resume, or name another file"
        )


def _key(function: Any) -> str:
    """Return a name for what a pass does, with a digest of its parameters."""
    digest = hashlib.sha256()
    _describe(function, digest.update)
    name = getattr(function, "work", function)
    name = getattr(name, "func", name)
    return f"{getattr(name, '__qualname__', type(name).__qualname__)} {digest.hexdigest()[:16]}"


def _describe(value: Any, note: Callable[[bytes], None]) -> None:
    if isinstance(value, np.ndarray):
        note(f"{value.dtype}{value.shape}".encode())
        note(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, partial):
        for part in (value.func, *value.args, *(value.keywords[name] for name in sorted(value.keywords))):
            _describe(part, note)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        note(type(value).__qualname__.encode())
        for field in dataclasses.fields(value):
            _describe(getattr(value, field.name), note)
    elif isinstance(value, (int, float, str, bool, type(None), np.generic, np.dtype)):
        note(repr(value).encode())
    elif isinstance(value, (list, tuple)):
        for part in value:
            _describe(part, note)
    else:
        note(getattr(value, "__qualname__", type(value).__qualname__).encode())


def _write_record(stream: BinaryIO, key: str, value: Any) -> None:
    """Write lengths and a checksum, a text that says what it is made of, and the arrays."""
    arrays = io.BytesIO()
    text = json.dumps([key, _encoded(value, arrays)]).encode()
    data = arrays.getvalue()
    sizes = np.array([len(text), len(data), zlib.crc32(data, zlib.crc32(text))], "<u8").tobytes()
    stream.write(sizes + text + data)


def _read_record(stream: BinaryIO) -> tuple[str, Any] | None:
    """Return the next record; None where it is not whole."""
    sizes = stream.read(24)
    if len(sizes) < 24:
        return None
    n_text, n_data, checksum = (int(size) for size in np.frombuffer(sizes, "<u8"))
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    if n_text + n_data > left:
        return None
    text, data = stream.read(n_text), stream.read(n_data)
    if zlib.crc32(data, zlib.crc32(text)) != checksum:
        return None
    key, value = json.loads(text)
    return key, _decoded(value, io.BytesIO(data))


def _encoded(value: Any, arrays: BinaryIO) -> Any:
    """Turn sums into JSON; arrays go to a stream, in the order in which they come."""
    if isinstance(value, (np.ndarray, np.generic)):
        np.lib.format.write_array(arrays, np.asanyarray(value), allow_pickle=False)
        return {"array": isinstance(value, np.ndarray)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _encoded(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"class": f"{type(value).__module__}:{type(value).__qualname__}", "fields": fields}
    if isinstance(value, (list, tuple)):
        return {"list": [_encoded(item, arrays) for item in value], "tuple": isinstance(value, tuple)}
    if isinstance(value, dict):
        return {"dict": {str(name): _encoded(item, arrays) for name, item in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _decoded(value: Any, arrays: BinaryIO) -> Any:
    """Undo `_encoded`. Nothing is called but constructors of this package's data classes."""
    if "array" in value:
        array = np.lib.format.read_array(arrays, allow_pickle=False)
        return array if value["array"] else array[()]
    if "class" in value:
        module, _, name = value["class"].partition(":")
        found = getattr(importlib.import_module(module), name) if module.startswith("segment.") else None
        if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
            raise ModelError(f"a checkpoint names {value['class']}, which no checkpoint of ours holds")
        return found(**{name: _decoded(item, arrays) for name, item in value["fields"].items()})
    if "list" in value:
        items = [_decoded(item, arrays) for item in value["list"]]
        return tuple(items) if value["tuple"] else items
    if "dict" in value:
        return {name: _decoded(item, arrays) for name, item in value["dict"].items()}
    return value["value"]
