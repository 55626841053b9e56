"""Scores: metrics, confidence intervals, calibration, comparison."""
