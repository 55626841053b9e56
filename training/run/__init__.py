"""A run from data to bundle."""
