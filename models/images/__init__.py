"""Image files to pixels and back: sniffing, decoding, TIFF, rows of huge files, overlays."""
