"""Passes on a Dask cluster: futures, never a graph a step.

Each pass sends a few tasks a thread in one message, each for a run of stretches. What comes back are the sums
of complete subtrees of the reduction, few and small, so that runs of any length are joined to the bits of
`reduce_tree`: by the client, after rounds of eight where there are many. What a pass does travels in the
call, or, if it is large, through one task of its own: what is scattered dies with its worker, what is
submitted is computed again.
"""

from __future__ import annotations

import copy
import logging
import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

import numpy as np

from segment.data.reduction import Subtree, joined, whole_sum
from segment.data.rows import Rows, check_numbers, matrix_shape
from segment.data.source import Block
from segment.data.stored import Reader, Span, units
from segment.data.tables import needed
from segment.errors import DataError
from segment.parallel import ONE_THREAD, resolve_n_jobs, single_threaded_blas

# Tasks a thread of the cluster: each costs a millisecond of the scheduler, and the slowest thread decides.
_TASKS_EACH = 2
# Tasks a thread of the cluster that are ahead of what is taken, where results may be large.
_AHEAD_EACH = 2
# Results that one task joins, and that the client does.
_ADDENDS = 8
# Bytes of what a pass does, in all calls, above which it goes through a task: one more round of messages.
_IN_CALLS = 4_000_000
# Share of the workers' memory that blocks may take to be kept there, but for what a worker takes itself.
_KEPT = 0.5
_OWN = 400_000_000
# Seconds that a pass waits for a first worker, or for one after the last has gone.
PATIENCE = 60.0
POLL = 5.0


class DaskRows(Rows):
    """The rows of a Dask array or dataframe."""

    def __init__(self, collection: Any) -> None:
        array = collection
        if hasattr(array, "to_dask_array"):
            self.columns = tuple(map(str, array.columns)) if hasattr(array, "columns") else None
            array = array.to_dask_array(lengths=True)
        if any(np.isnan(size) for size in array.shape):
            array = array.compute_chunk_sizes()
        self.name = f"Dask array of {array.shape[0]} rows"
        self.n_rows, self.n_columns = matrix_shape(array.shape, self.name)
        self.array = array if array.ndim == 2 else array[:, None]

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        check_numbers(self.array.dtype, self.name)
        return [self.array.dtype]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        part = self.array[start:stop]
        if list(columns) != list(range(self.n_columns)):
            part = part[:, list(columns)]
        return np.asarray(part.compute(scheduler="threads"))


class DaskEngine:
    """A cluster that reads stretches and reduces them.

    Parameters
    ----------
    client : dask.distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.kept: dict[Any, list[Any]] = {}

    def reduce(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Any:
        """Return the sum of what a function of read stretches finds."""
        most = self._n_threads() * _TASKS_EACH if self._may_take_runs(reader) else len(spans)
        n = min(len(spans), most)
        cuts = [i * len(spans) // n for i in range(n + 1)]
        futures = self._submit(_sums_of, reader, function, spans, cuts)
        while len(futures) > _ADDENDS:
            groups = [futures[i : i + _ADDENDS] for i in range(0, len(futures), _ADDENDS)]
            futures = [self._call(_joined_again, group) for group in groups]
        return whole_sum(joined(chain.from_iterable(self._results(futures))))

    def map(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Iterator[Any]:
        """Yield what a function of read stretches finds, in order; a few tasks are ahead of what is taken."""
        ahead = self._n_threads() * _TASKS_EACH
        for first in range(0, len(spans), ahead):
            cuts = list(range(first, min(first + ahead, len(spans)) + 1))
            for future in self._submit(_list_of, reader, function, spans, cuts):
                yield from self._result(future)

    def walk(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Apply a picklable function to items; yield the results in order, a few ahead of what is taken."""
        sent = self._sent(function, _AHEAD_EACH * self._n_threads())
        pending: deque[Any] = deque()
        for item in items:
            pending.append(self._call(_applied, sent, item))
            if len(pending) > _AHEAD_EACH * self._n_threads():
                yield self._result(pending.popleft())
        while pending:
            yield self._result(pending.popleft())

    def _submit(
        self, work: Any, reader: Reader, function: Any, spans: Sequence[Span], cuts: Sequence[int]
    ) -> list[Any]:
        """Return a future for each run of stretches, cut at `cuts`."""
        sent = self._sent(function, len(cuts) - 1)
        kept = self._keep(reader, spans[cuts[0] : cuts[-1]])
        if kept is None:
            # Mapped files are read by the task, and stay in the cache of the system.
            light = pickled(reader.without_weights())
            parts: list[Any] = [(span, _weights(reader, span)) for span in spans[cuts[0] : cuts[-1]]]
        else:
            light = None
            parts = [[kept[unit] for unit in units(reader, span)] for span in spans[cuts[0] : cuts[-1]]]
        runs = [parts[a - cuts[0] : b - cuts[0]] for a, b in pairwise(cuts)]
        n = len(runs)
        # Before blocks that nobody has asked for yet: they would fill the workers.
        return list(self.client.map(work, [sent] * n, [light] * n, runs, cuts[:-1], pure=False, priority=1))

    def _sent(self, function: Any, n_calls: int) -> Any:
        """Return what so many calls know a function by: its bytes, or where they are many, a future."""
        data = pickled(function)
        return self._call(_same, data) if len(data) * n_calls > _IN_CALLS else data

    def _keep(self, reader: Reader, spans: Sequence[Span]) -> dict[Span, Any] | None:
        """Return the stretches as futures that stay on the workers, where reading is dear and they fit."""
        if reader.rows.is_mapped:
            return None
        known = self.kept.setdefault(id(reader), [reader, {}])[1] if self._fits(reader) else {}
        missing = [unit for span in spans for unit in units(reader, span) if unit not in known]
        if missing and isinstance(reader.rows, DaskRows):
            known.update(zip(missing, self._blocks(reader, reader.rows, missing), strict=True))
        elif missing and self._fits(reader):
            light = pickled(reader.without_weights())
            known.update({s: self._call(_read, light, s, _weights(reader, s)) for s in missing})
        return known or None

    def _fits(self, reader: Reader) -> bool:
        """Tell whether the workers keep what is read: the answer stays what it was."""
        needs = reader.rows.n_rows * (len(reader.features) * reader.dtype.itemsize + 8)
        return id(reader) in self.kept or needs <= _KEPT * self._memory()

    def _may_take_runs(self, reader: Reader) -> bool:
        """Tell whether a task may take many stretches: it has those that are futures in memory at once."""
        return not isinstance(reader.rows, DaskRows) or self._fits(reader)

    def _blocks(self, reader: Reader, rows: DaskRows, spans: Sequence[Span]) -> list[Any]:
        """Compute blocks of a Dask array where they lie, in one graph."""
        sizes = tuple(stop - start for start, stop in spans)
        part = rows.array[spans[0][0] : spans[-1][1]].rechunk((sizes, -1))
        arrays = self.client.compute([block for row in part.to_delayed() for block in row])
        weights = [_weights(reader, span) for span in spans]
        finish = ([each] * len(spans) for each in (reader.features, reader.weight, reader.dtype))
        return list(self.client.map(_block, arrays, spans, weights, *finish, pure=False, priority=1))

    def _call(self, function: Any, *arguments: Any) -> Any:
        # Equal calls are not one: a pass that is asked for twice may have lost its first result.
        return self.client.submit(function, *arguments, pure=False)

    def _n_threads(self) -> int:
        return max(sum(self.client.nthreads().values()), 1)

    def _workers(self) -> list[dict[str, Any]]:
        return list(self.client.scheduler_info(n_workers=-1)["workers"].values())

    def _memory(self) -> float:
        return float(sum(max((w["memory_limit"] or np.inf) - _OWN, 0) for w in self._workers()))

    def _result(self, future: Any) -> Any:
        return self._results([future])[0]

    def _results(self, futures: list[Any]) -> list[Any]:
        """Return the results of futures, gathered at once; give up when no worker is left to compute them."""
        distributed = needed("distributed", "a cluster")
        alone_since = None
        while True:
            try:
                distributed.wait(futures, timeout=POLL)
                return list(self.client.gather(futures))
            except distributed.TimeoutError:
                # Workers whose memory is full pause, maybe for ever.
                if any(worker["status"] == "running" for worker in self._workers()):
                    alone_since = None
                elif time.monotonic() - (alone_since := alone_since or time.monotonic()) > PATIENCE:
                    raise DataError(
                        f"{self.client.scheduler.address}: no worker for {PATIENCE:.0f} s, or none whose "
                        "memory is not full; start workers, and resume from the checkpoint, if any"
                    ) from None
            except distributed.KilledWorker as error:
                raise DataError(
                    f"workers died again and again on the same blocks ({error}); give them more memory, or "
                    "resume from the checkpoint with more of them"
                ) from None
            except distributed.CancelledError as error:
                raise DataError(f"the cluster has gone ({error}); resume from the checkpoint") from None


def pickled(value: Any) -> bytes:
    """Return a value as bytes that a worker can make it from again."""
    cloudpickle = needed("cloudpickle", "a cluster")
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return cloudpickle.dumps(value)


@lru_cache(maxsize=4)
def _unpickled(data: bytes) -> Any:
    """Make a value from bytes: once a worker and pass, so that its constants are prepared once."""
    return pickle.loads(data)


def _weights(reader: Reader, span: Span) -> np.ndarray | None:
    return None if reader.weights is None else reader.weights[slice(*span)]


def _read(light: bytes, span: Span, weights: np.ndarray | None) -> Block:
    found = _unpickled(light).read(span)
    return found if weights is None else found._replace(sample_weight=weights)


def _block(
    array: np.ndarray,
    span: Span,
    weights: np.ndarray | None,
    features: tuple[int, ...],
    weight: int | None,
    dtype: np.dtype,
) -> Block:
    """Make a stretch of a computed block of a Dask array."""
    X = np.ascontiguousarray(array[:, list(features)], dtype=dtype)
    if weight is not None:
        weights = np.ascontiguousarray(array[:, weight], dtype=np.float64)
    return Block(X, np.ones(len(X)) if weights is None else weights, span[0])


def _stretches(light: bytes | None, parts: Sequence[Any]) -> Iterator[Block]:
    for part in parts:
        found = _joined(part) if light is None else _read(light, *part)
        # What another process has sent may not be written, and kernels are compiled for what may.
        X, weight = (each if each.flags.writeable else each.copy() for each in found[:2])
        yield Block(X, weight, found[2])


def _joined(parts: Sequence[Block]) -> Block:
    """Return the units that a stretch was cut into as one."""
    if len(parts) == 1:
        return parts[0]
    X, weights = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return Block(X, weights, parts[0].start)


def _sums_of(data: bytes, light: bytes | None, parts: Sequence[Any], first: int) -> list[Subtree]:
    return joined(Subtree(number, 1, total) for number, total in _found(data, light, parts, first))


def _list_of(data: bytes, light: bytes | None, parts: Sequence[Any], first: int) -> list[Any]:
    return [result for _, result in _found(data, light, parts, first)]


def _found(data: bytes, light: bytes | None, parts: Sequence[Any], first: int) -> Iterator[tuple[int, Any]]:
    """Yield numbers of stretches, from `first` on, and what a function finds in them."""
    function = _unpickled(data)
    with single_threaded_blas():
        for number, stretch in enumerate(_stretches(light, parts), first):
            yield number, function(stretch)


def _applied(data: bytes, item: Any) -> Any:
    function = _unpickled(data)
    with single_threaded_blas():
        return function(item)


def _joined_again(runs: Sequence[list[Subtree]]) -> list[Subtree]:
    # Additions may be made in place, and a result may be needed again.
    return joined(copy.deepcopy(subtree) for run in runs for subtree in run)


def _same(value: Any) -> Any:
    return value


def engine_of(client: Any, is_collection: bool = False) -> DaskEngine | None:
    """Return the engine of a client.

    Parameters
    ----------
    client : dask.distributed.Client, str or None
        A client, "tcp://host:port", "local" or "local:2".
    is_collection : bool
        Whether the samples are a Dask collection: then the current client is taken, if there is one.
    """
    distributed = needed("distributed", "a Dask cluster")
    if client is None:
        try:
            return DaskEngine(distributed.get_client()) if is_collection else None
        except ValueError:
            return None
    if isinstance(client, str):
        return DaskEngine(_started(client))
    return DaskEngine(client)


@lru_cache(maxsize=1)
def _started(address: str) -> Any:
    """Return a client for an address; equal ones share it until the program ends."""
    return ExitStack().enter_context(connected(address))


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a cluster, or start one of this machine's processes; disconnect, or end it, at the end.

    Parameters
    ----------
    address : str
        "tcp://host:port"; or "local", "local:2": two processes that share the cores, on the loopback
        interface, without a dashboard.

    Yields
    ------
    dask.distributed.Client

    Raises
    ------
    DataError
        If the address is of no such form, or nobody answers.
    """
    distributed = needed("distributed", "a Dask cluster")
    kind, _, rest = address.partition(":")
    with ExitStack() as stack:
        if kind == "local":
            if rest and not (rest.isdigit() and int(rest) > 0):
                raise DataError(f"Dask address {address!r}: local, local:1, local:2, ... are allowed")
            cluster = stack.enter_context(local_cluster(int(rest) if rest else None))
            yield stack.enter_context(distributed.Client(cluster))
            return
        if not rest.startswith("//"):
            raise DataError(f"Dask address {address!r}: tcp://host:port and local[:workers] are allowed")
        try:
            client = stack.enter_context(distributed.Client(address, timeout=10))
        except OSError as error:
            raise DataError(f"{address}: no Dask scheduler answers ({error}); start one first") from error
        yield client


def local_cluster(n_workers: int | None) -> Any:
    """Return a cluster of processes of this machine that share its cores."""
    distributed = needed("distributed", "a Dask cluster")
    cores = resolve_n_jobs(None)
    # Workers inherit it: BLAS reads it when it is loaded.
    os.environ.update(ONE_THREAD)
    return distributed.LocalCluster(
        n_workers=n_workers or cores,
        threads_per_worker=max(1, cores // (n_workers or cores)),
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    )


def mapped(collection: Any, check: Any, function: Any, dtype: Any, n_columns: int | None) -> Any:
    """Return what a function finds on blocks of rows of a collection, as a lazy Dask array.

    Parameters
    ----------
    collection : Dask array or dataframe
    check : callable
        Called with the array.
    function : callable
        From an array of rows to an array of as many rows.
    dtype : dtype of the result
    n_columns : int, optional
        Columns of the result; a vector by default.
    """
    array = collection.to_dask_array(lengths=True) if hasattr(collection, "to_dask_array") else collection
    check(array)
    array = array.rechunk({1: -1})
    if n_columns is None:
        return array.map_blocks(function, dtype=dtype, drop_axis=1, meta=np.empty(0, dtype))
    chunks = (array.chunks[0], (n_columns,))
    return array.map_blocks(function, dtype=dtype, chunks=chunks, meta=np.empty((0, 0), dtype))
