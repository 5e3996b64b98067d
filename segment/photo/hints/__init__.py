"""Classes by hints: scribbles give each class its colors, superpixels carry them over the photo."""
