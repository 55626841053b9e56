"""Shapes to pixels: the painter of all formats."""
