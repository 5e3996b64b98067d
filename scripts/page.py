"""What the benchmark scripts share: timing in turn, tables, and the sections of docs/benchmarks.md."""

import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from environment import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Every table on this page was written by the command named above it; nothing is typed. Competitors run in the
same process run, on the same input, in turn; a ratio is the median over the turns, its range in brackets.
"""


def in_turn(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every contestant once a round, so that a noisy minute hits all alike; each returns seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            seconds[name].append(contestant())
    return seconds


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """How many times faster, turn by turn: median [least - most]."""
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return f"{statistics.median(ratios):.3g}x [{ratios[0]:.3g} - {ratios[-1]:.3g}]"


def peak_memory() -> float:
    """Largest resident size of this process so far, in MB.

    getrusage would count the process that started this one until it was replaced.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def reset_peak_memory() -> None:
    """Count the peak from here on: what was freed before counts no more."""
    Path("/proc/self/clear_refs").write_text("5")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_section(name: str, title: str, body: str) -> Path:
    """Replace the section `name` of docs/benchmarks.md, or append it."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    where = f"`scripts/benchmark {name}`, {datetime.date.today()}, {_machine()}"
    section = f"{begin}\n## {title}\n\n{where}\n\n{body.strip()}\n{end}\n"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    if begin in page:
        before, rest = page.split(begin, 1)
        page = before + section + rest.split(end, 1)[1].lstrip("\n")
    else:
        page = page.rstrip("\n") + "\n\n" + section
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(body, f"\nWritten to {PAGE.relative_to(ROOT)}", sep="\n")
    return PAGE


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].strip() if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, BLAS kernels {_blas()}"


def _blas() -> str:
    """The instruction sets that the BLAS libraries of this process have chosen."""
    from threadpoolctl import threadpool_info

    found = {
        info.get("architecture") or info["internal_api"]
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return ", ".join(sorted(found)) or "not loaded"
