"""Answers to images: what is wanted, the segmentation, and what the options make of it."""
