"""Masks that are several files for each image: one for each class, object or side."""
