"""Kernels of the hierarchy of regions: arcs between leaves, merging, linkage, matching of boundaries."""
