"""Losses for segmentation: float32, safe where nothing counts, one meaning of ignore."""
