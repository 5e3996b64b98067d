"""How much memory there is."""

from __future__ import annotations

from pathlib import Path


def available_memory() -> int | None:
    """Return the bytes that this process may still take, about; None where the system does not tell."""
    found = [_free_memory(), _container_limit()]
    return min((value for value in found if value is not None), default=None)


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _container_limit() -> int | None:
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
