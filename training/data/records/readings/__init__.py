"""Readings of a folder: what each found, and the error that asks for a choice."""
