"""Rows beyond memory and on a cluster: seconds, memory, growth, faults. Sections of docs/benchmarks.md.

Usage: scripts/benchmark scale [SECTION...]; each of SECTIONS is measured apart, in minutes.
Spark runs in the interpreter that SPARK_PYTHON names (with pyspark, and Java), else it is left out.
SCALE_ROWS is the number of rows of "memory", where a thousand million are too many; SCALE_SMALL=1 tries out
"iterations" and "growth" on little, SCALE_FAULT_GB the fault of workers that are too small.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_em import digits
from environment import ROOT
from page import in_turn, table, write_section

from segment import open_samples
from segment.data import Samples
from segment.data.source import Source
from segment.errors import SegmentError
from segment.mixture import fit_em
from segment.mixture.families.gaussian.parameters import Parameters


def rows_of(n: int, d: int, k: int, seed: int = 0) -> np.ndarray:
    """Return rows of k Gaussians, float32."""
    rng = np.random.default_rng(seed)
    centers = 4 * rng.standard_normal((k, d), dtype=np.float32)
    X = rng.standard_normal((n, d), dtype=np.float32)
    for low in range(0, n, 2**20):
        X[low : low + 2**20] += centers[rng.integers(0, k, min(2**20, n - low))]
    return X


def start_of(X: np.ndarray, k: int) -> Parameters:
    """Return k of the rows as means, the whole covariance for each."""
    part = X[:10000].astype(np.float64)
    covariance = np.cov(part.T).reshape(X.shape[1], X.shape[1])
    return Parameters(np.full(k, 1 / k), part[:: len(part) // k][:k], np.tile(covariance, (k, 1, 1)))


def steps(source: Source, start: Parameters, n: int, n_jobs: int | None = None) -> Any:
    """Run n plain E-steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_em(source, start, tol=0.0, max_iter=n, acceleration=None, n_jobs=n_jobs)


def per_step(run: Callable[[int], Any], few: int, many: int) -> float:
    """Return the seconds of a step: many steps less few, what comes before them falls out."""
    seconds = []
    for n in (few, many):
        began = time.perf_counter()
        run(n)
        seconds.append(time.perf_counter() - began)
    return (seconds[1] - seconds[0]) / (many - few)


SPARK = """
import json, sys, time
from pyspark.sql import SparkSession
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.clustering import GaussianMixture
path, k, few, many = sys.argv[1], *map(int, sys.argv[2:5])
spark = (SparkSession.builder.master("local[2]").config("spark.driver.memory", "8g")
         .config("spark.ui.enabled", "false").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
rows = spark.read.parquet(path)
vectors = VectorAssembler(inputCols=rows.columns, outputCol="features").transform(rows)
data = vectors.select("features").cache()
data.count()
def run(n):
    began = time.perf_counter()
    GaussianMixture(k=k, maxIter=n, tol=0.0, seed=1).fit(data)
    return time.perf_counter() - began
run(1)
turns = []
for _ in range(3):
    low = run(few)
    turns.append((run(many) - low) / (many - few))
print(json.dumps({"seconds": turns, "version": spark.version}))
"""


def spark(folder: Path, X: np.ndarray, k: int) -> tuple[list[float], str]:
    """Return Spark's seconds a step, and its version; none and why, where it is not there."""
    python = os.environ.get("SPARK_PYTHON", sys.executable)
    if shutil.which("java") is None:
        return [], "no Java runtime (apt-get install default-jre-headless)"
    import pyarrow
    import pyarrow.parquet

    path = folder / "spark.parquet"
    columns = {f"x{i}": X[:, i].astype(np.float64) for i in range(X.shape[1])}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=len(X) // 8)
    (folder / "spark.py").write_text(SPARK)
    few, many = ("1", "3") if len(X) > 10**6 else ("2", "12")
    command = [python, str(folder / "spark.py"), str(path), str(k), few, many]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=420)
    except subprocess.TimeoutExpired:
        return [], "not ready after 7 minutes"
    if ended.returncode:
        return [], (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1][:100]
    found = json.loads(ended.stdout.strip().splitlines()[-1])
    if min(found["seconds"]) <= 0:
        return [], "its steps are too short beside what a fit costs to tell"
    return found["seconds"], found["version"]


def _contest(source: Source, start: Parameters, many: int) -> Callable[[], float]:
    return lambda: per_step(lambda n: steps(source, start, n), 2, many)


def iterations() -> str:
    """One step of EM in process, on a local cluster and by Spark."""
    less = 20 if os.environ.get("SCALE_SMALL") else 1
    return _iterations(rows_of(4_000_000 // less, 3, 8), 8, 22)


def wide_iterations() -> str:
    """The same on the scores of digits: components overlap, and no program ends before its last step."""
    X = digits()
    return "without MNIST: left out" if X is None else _iterations(X.astype(np.float32), 10, 42)


def _iterations(X: np.ndarray, k: int, many: int) -> str:
    from segment.data.dask import connected

    start = start_of(X, k)
    with tempfile.TemporaryDirectory() as name, connected("local:2") as client:
        folder = Path(name)
        np.save(folder / "x.npy", X)
        samples, mapped = Samples.of(X), open_samples(folder / "x.npy")
        remote = open_samples(folder / "x.npy", client=client)
        ends = [steps(source, start, 4) for source in (samples, mapped, remote)]
        same = all(np.array_equal(ends[0].lower_bounds, end.lower_bounds) for end in ends)
        contestants = {
            "segment, in memory, 2 threads": samples,
            "segment, memory-mapped, 2 threads": mapped,
            "segment, Dask, 2 processes": remote,
        }
        seconds = in_turn({who: _contest(each, start, many) for who, each in contestants.items()}, 3)
        found, version = spark(folder, X, k)
    ours = seconds["segment, Dask, 2 processes"]
    lines = [[who, f"{statistics.median(each):.4f}", ""] for who, each in seconds.items()]
    if found:
        slower = f"{statistics.median(found) / statistics.median(ours):.1f}x segment on Dask"
        lines.append([f"Spark MLlib {version}, local[2]", f"{statistics.median(found):.4f}", slower])
    else:
        lines.append(["Spark MLlib", "left out", version])
    base = statistics.median(seconds["segment, in memory, 2 threads"])
    return (
        f"{len(X)} x {X.shape[1]} float32, K = {k}, full covariances\n\n"
        + table(("program", "seconds a step", ""), lines)
        + f"\n\nDask takes {1000 * (statistics.median(ours) - base):.0f} ms a step more than the same "
        f"process. Lower bounds of the first steps have {'the same bits' if same else 'OTHER BITS'} "
        "in memory, mapped and on Dask."
    )


def _write_rows(path: Path, n: int) -> None:
    """Write n x 3 rows in pieces; each is a shift of one piece, so that no two are equal."""
    piece = rows_of(2**22, 3, 8)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n, 3))
    del out
    with open(path, "r+b") as stream:
        stream.seek(np.lib.format.open_memmap(path, "r").offset)
        for number, low in enumerate(range(0, n, len(piece))):
            stream.write((piece[: n - low] + np.float32(1e-4 * number)).tobytes())


_LIMITED = """
import json, resource, sys, time
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import numpy as np
from pathlib import Path
from segment import open_samples, GaussianMixture
from segment.mixture import accumulate
sys.path.insert(0, sys.argv[3])
from benchmark_scale import rows_of, start_of
source = open_samples(sys.argv[1])
start = start_of(rows_of(20000, 3, 8), 8)
small = open_samples(np.zeros((40000, 3), np.float32) + np.float32(1))
accumulate(small, start)
began = time.perf_counter()
weight = source.total_weight
first = time.perf_counter() - began
passes = []
for _ in range(3):
    began = time.perf_counter()
    accumulate(source, start)
    passes.append(time.perf_counter() - began)
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
virtual = int(status.split("VmPeak:")[1].split()[0]) / 1024
print(json.dumps({"passes": passes, "first": first, "peak": peak, "virtual": virtual, "weight": weight}))
"""


def memory() -> str:
    """As many rows as the disk takes, up to a thousand million, under two gigabytes of memory."""
    from segment.mixture import accumulate

    with tempfile.TemporaryDirectory() as name:
        most = int(os.environ.get("SCALE_ROWS", 10**9))
        n = min(most, int(0.6 * shutil.disk_usage(name).free / 12) // 10**6 * 10**6)
        path = Path(name) / "x.npy"
        _write_rows(path, n)
        (Path(name) / "limited.py").write_text(_LIMITED)
        samples = Samples.of(rows_of(2**25, 3, 8))
        start = start_of(rows_of(20000, 3, 8), 8)
        accumulate(samples, start)
        here = [_seconds(lambda: accumulate(samples, start)) for _ in range(5)]
        command = [sys.executable, Path(name) / "limited.py", path, str(2 * 10**9), ROOT / "scripts"]
        ended = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        here += [_seconds(lambda: accumulate(samples, start)) for _ in range(5)]
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found = json.loads(ended.stdout.splitlines()[-1])
    mapped = statistics.median(found["passes"]) / n * 1e9
    inside = statistics.median(here) / 2**25 * 1e9
    lines = [
        [f"{2**25} rows in memory, no limit", f"{inside:.2f}", f"{2**25 * 20 / 1e6:.0f} (rows and weights)"],
        [f"{n} rows, memory-mapped, 2 GB of address space", f"{mapped:.2f}", f"{found['peak']:.0f}"],
    ]
    return (
        f"{n} x 3 float32, {n * 12 / 1e9:.0f} GB on disk, K = 8, full; the limit is RLIMIT_AS, of which "
        f"{found['virtual']:.0f} MB were taken.\n\n"
        + table(("an E-step over", "nanoseconds a row", "peak, MB resident"), lines)
        + f"\n\nMapped rows take {100 * (mapped / inside - 1):+.0f} % a row. The first pass, which looks "
        f"at every value, takes {found['first']:.0f} s."
    )


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def growth() -> str:
    """Seconds as rows, tasks, workers and megapixels become more; with a plot."""
    import scale_growth

    return scale_growth.growth(rows_of, start_of, _step)


def _step(source: Source, start: Parameters, jobs: int | None) -> float:
    steps(source, start, 1, jobs)
    many = max(4, min(22, 2**25 // source.n_samples))
    return per_step(lambda m: steps(source, start, m, jobs), 1, many)


def faults() -> str:
    """What goes wrong on purpose, and what becomes of it."""
    lines = []
    for text, function in FAULTS.items():
        with tempfile.TemporaryDirectory() as name:
            lines.append([text, function(Path(name))])
    return table(("what went wrong", "what became of it"), lines)


def _fitted(source: Any, **options: Any) -> Any:
    from segment import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(3, random_state=0, max_iter=8, tol=0).fit(source, **options)


def _same(a: Any, b: Any) -> str:
    equal = a.means_.tobytes() == b.means_.tobytes() and np.array_equal(a.lower_bounds_, b.lower_bounds_)
    return "the same bits" if equal else "OTHER BITS"


def _all_lost(folder: Path) -> str:
    from unittest.mock import patch

    import segment.data.dask as cluster
    from segment.data.journal import Journal
    from segment.errors import DataError

    np.save(folder / "x.npy", X := rows_of(10**6, 3, 3))
    whole = _fitted(X)
    append, left = Journal._append, [7]
    with cluster.local_cluster(2) as local:
        from distributed import Client

        with Client(local) as client:

            def then_lose(self: Any, key: str, value: Any) -> None:
                append(self, key, value)
                left[0] -= 1
                if left[0] == 0:
                    local.scale(0)
                    while client.nthreads():
                        time.sleep(0.1)

            with patch.object(Journal, "_append", then_lose), patch.object(cluster, "PATIENCE", 3.0):
                try:
                    _fitted(open_samples(folder / "x.npy", client=client), checkpoint=folder / "c")
                    return "NO ERROR"
                except DataError as error:
                    said = str(error)
    resumed = _fitted(open_samples(folder / "x.npy"), checkpoint=folder / "c", resume=True)
    return f"error: {said.split(': ', 1)[1]}; resumed in process: {_same(whole, resumed)}"


def _one_killed(folder: Path) -> str:
    import signal

    from segment.data.dask import connected

    np.save(folder / "x.npy", X := rows_of(4 * 10**6, 3, 3))
    start = start_of(X, 3)
    whole = steps(Samples.of(X), start, 12)
    with connected("local:2") as client:
        source = open_samples(folder / "x.npy", client=client)
        steps(source, start, 2)

        def kill(iteration: int, bound: float, parameters: Any) -> None:
            if iteration == 3:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

        found = fit_em(source, start, tol=0.0, max_iter=12, acceleration=None, callback=kill)
    same = np.array_equal(found.lower_bounds, whole.lower_bounds)
    return "the fit went on: " + ("the same bits" if same else "OTHER BITS")


def _too_small(folder: Path) -> str:
    """Fit what is eight times the workers' memory, a Dask array that makes its blocks."""
    import dask.array
    from distributed import Client, LocalCluster

    size = 2**18
    n = int(float(os.environ.get("SCALE_FAULT_GB", 4)) * 1e9 / 12) // size * size

    def block(block_info: Any) -> np.ndarray:
        # Made by the task: an array that the function held would stay on the workers with every task.
        rng = np.random.default_rng(block_info[None]["chunk-location"][0])
        return rng.standard_normal((size, 3), np.float32) + 4 * rng.integers(0, 3, (size, 1)).astype(
            np.float32
        )

    chunks = ((size,) * (n // size), (3,))
    array = dask.array.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
    start = start_of(array[:size].compute(), 3)
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "512MB"}
    options |= {"dashboard_address": None}
    with LocalCluster(host="127.0.0.1", silence_logs=50, **options) as local, Client(local) as client:
        before = set(client.run(os.getpid).values())
        try:
            found = steps(open_samples(array, client=client), start, 2)
        except SegmentError as error:
            return f"error: {error}"
        restarts = len(set(client.run(os.getpid).values()) - before)
    alone = steps(open_samples(array), start, 2)
    same = np.array_equal(found.lower_bounds, alone.lower_bounds)
    return f"blocks are made anew in every pass, {restarts} restarts: {'the same' if same else 'OTHER'} bits"


def _killed_while_reading(folder: Path) -> str:
    """Kill a program that has converted a CSV file; the next one removes what it leaves."""
    path = folder / "x.csv"
    np.savetxt(path, rows_of(2000, 3, 2), delimiter=",")
    code = (
        "import sys; from segment import open_samples as o; s = o(sys.argv[1]); print(1, flush=True); input()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
    left = list(folder.glob("*.rows"))
    for each in left:
        os.utime(each, (0, 0))
    command = [
        sys.executable,
        "-m",
        "segment",
        "table",
        str(path),
        "-k",
        "2",
        "-q",
        "-o",
        str(folder / "out"),
    ]
    subprocess.run(command, env=environment, check=True)
    return f"left behind: {len(left)} file; after the next run: {len(list(folder.glob('*.rows')))}"


def _changed(folder: Path) -> str:
    from segment.errors import DataError

    np.save(folder / "x.npy", X := rows_of(10**5, 3, 3))
    source = open_samples(folder / "x.npy")
    _ = source.total_weight
    np.save(folder / "x.npy", X + 1)
    try:
        _fitted(source)
    except DataError as error:
        return f"error: {str(error).split(': ', 1)[1]}"
    return "NO ERROR"


def _full_disk(folder: Path) -> str:
    np.save(folder / "x.npy", rows_of(10**6, 3, 3))
    script = textwrap.dedent("""
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from segment.cli import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
        main(sys.argv[1:])
    """)
    command = ["table", folder / "x.npy", "-k", "2", "-o", folder / "out", "-q"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    left = sorted(path.name for path in (folder / "out").glob("*"))
    said = ended.stderr.strip().splitlines()[-1].replace(str(folder), "").replace("segment: error: ", "")
    return f"exit code {ended.returncode}, {said}; left behind: {', '.join(left) or 'nothing'}"


FAULTS: dict[str, Callable[[Path], str]] = {
    "one of two workers killed (SIGKILL) in the third step": _one_killed,
    "all workers lost, then `resume=True` in the same process": _all_lost,
    "workers of 512 MB, a Dask array of 4 GB": _too_small,
    "killed (SIGKILL) after a CSV file was converted to a temporary file": _killed_while_reading,
    "the file changed between two passes": _changed,
    "no room for the labels (files of 1 MB at most)": _full_disk,
}

# Section -> title, and what measures it. Another module of what is large adds its own.
SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "iterations": ("Rows: one step, in process, on Dask, and by Spark", iterations),
    "wide-iterations": ("Rows of 50 features: one step, in process, on Dask, and by Spark", wide_iterations),
    "memory": ("Rows: many under 2 GB of memory", memory),
    "growth": ("Rows: cost as work grows", growth),
    "faults": ("Rows: faults", faults),
}


def main() -> int:
    chosen = sys.argv[1:] or list(SECTIONS)
    if unknown := [name for name in chosen if name not in SECTIONS]:
        print(f"{', '.join(unknown)}: sections are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    for name in chosen:
        title, function = SECTIONS[name]
        write_section(f"scale {name}", title, function())
    return 0
