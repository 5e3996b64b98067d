"""Kernels on graphs of neighbors: finding them, grouping their samples, moving samples between groups."""
