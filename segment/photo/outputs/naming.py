"""How outputs are named after their photo."""

from __future__ import annotations

from pathlib import Path


def at(stem: Path, ending: str) -> Path:
    """Return the path of an output from the outputs' common path, outputs/photo/cat, and an ending."""
    return stem.with_name(stem.name + ending)
