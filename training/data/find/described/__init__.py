"""Readings that a dataset.yaml describes."""
