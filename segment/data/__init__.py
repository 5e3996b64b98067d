"""Where samples lie, and how a pass over them is cut, run in threads and added up."""

from segment.data.opening import open_samples
from segment.data.reduction import reduce_tree
from segment.data.samples import Samples, as_matrix
from segment.data.source import Block, Source
from segment.data.subsample import subsample

__all__ = ["Block", "Samples", "Source", "as_matrix", "open_samples", "reduce_tree", "subsample"]
