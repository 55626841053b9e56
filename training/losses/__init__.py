"""Losses for segmentation: in float32, and defined even if no pixel counts."""
