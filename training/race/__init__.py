"""Candidates race on one data set: successive halving by time."""
