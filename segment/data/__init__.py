"""Where samples lie, and how a pass over them is cut, run in threads and added up.

`open_samples` is imported when it is first used: it knows every kind of file.
"""

from typing import TYPE_CHECKING, Any

from segment.data.reduction import reduce_tree
from segment.data.samples import Samples, as_matrix
from segment.data.source import Block, Source
from segment.data.subsample import subsample

if TYPE_CHECKING:
    from segment.data.opening import open_samples

__all__ = ["Block", "Samples", "Source", "as_matrix", "open_samples", "reduce_tree", "subsample"]


def __getattr__(name: str) -> Any:
    if name == "open_samples":
        from segment.data.opening import open_samples

        return open_samples
    raise AttributeError(f"module 'segment.data' has no attribute {name!r}")
