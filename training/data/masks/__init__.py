"""Mask files to class ids: encodings, palettes, polygons, class lists."""
