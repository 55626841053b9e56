"""Masks whose values or colours number segments, with a file that names each."""
