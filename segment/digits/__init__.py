"""Cluster handwritten digits: images -> features -> mixture -> graph -> scores."""
