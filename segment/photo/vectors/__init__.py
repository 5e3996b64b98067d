"""Label maps as outlines: shared arcs, polygons, curves."""
