"""Mask files to codes, and codes to class ids and names."""
