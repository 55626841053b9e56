"""Decoders, one architecture a file, the paper on top."""
