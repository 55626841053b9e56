"""Lists beside the data: which mask belongs to which image, and which image to which split."""
