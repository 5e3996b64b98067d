"""Labels of a photo of any size, in a temporary file without a name: it is gone whatever happens."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from segment.errors import OutputError

# Most labels that a byte holds, one value being that of no label.
MOST_BYTE = 255


class LabelStore:
    """A label map (M, N) of bytes, or of 16 bits where there are more labels.

    Parameters
    ----------
    shape : (int, int)
    n_labels : int
    folder : path
        Where the temporary file lies: it takes a byte or two a pixel.
    """

    def __init__(self, shape: tuple[int, int], n_labels: int, folder: str | os.PathLike[str]) -> None:
        self.shape, self.n_labels = shape, n_labels
        self.dtype = np.dtype(np.uint8 if n_labels <= MOST_BYTE else np.uint16)
        self.folder = Path(folder)
        self._lock = threading.Lock()
        with self._errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._stream = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115

    @property
    def none(self) -> int:
        """Value of pixels without a label."""
        return 2 ** (8 * self.dtype.itemsize) - 1

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            needed = self.shape[0] * self.shape[1] * self.dtype.itemsize
            raise OutputError(
                f"{self.folder}: the labels cannot be kept there ({error.strerror or error}); they take "
                f"{needed / 1e9:.2f} GB while they are made: choose a folder with space left (-o)"
            ) from error

    def write(self, start: int, values: np.ndarray) -> None:
        """Write rows, of the store's own type, from `start` on."""
        data = np.ascontiguousarray(values, dtype=self.dtype).data.cast("B")
        with self._errors(), self._lock:
            self._stream.seek(start * self.shape[1] * self.dtype.itemsize)
            while data:
                data = data[self._stream.write(data) :]

    def write_labels(self, start: int, labels: np.ndarray) -> None:
        """Write rows of labels, below 0 where there is none."""
        values = labels.astype(self.dtype)
        values[labels < 0] = self.none
        self.write(start, values)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows as they are stored."""
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        view = out.data.cast("B")
        with self._errors(), self._lock:
            self._stream.seek(start * self.shape[1] * self.dtype.itemsize)
            while view:
                got = self._stream.readinto(view)
                if not got:
                    raise OSError("it has become shorter")
                view = view[got:]
        return out

    def labels(self, start: int, stop: int) -> np.ndarray:
        """Return rows as a label map, (rows, N) int32, -1 where there is no label."""
        values = self.read(start, stop)
        labels = values.astype(np.int32)
        labels[values == self.none] = -1
        return labels

    def close(self) -> None:
        """Remove the labels."""
        self._stream.close()
