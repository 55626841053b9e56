"""Races of candidates on one data set: successive halving by time."""
