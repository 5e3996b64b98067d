"""Polygons and strokes drawn on a photo: read from GeoJSON, labelme and SVG files, filled into pixels.

Coordinates are pixels, x to the right and y down, (0, 0) the upper left corner of the first pixel.
"""
