"""Photos of any size, read tile by tile: readers, the two passes (count, label), writers."""
