"""Mechanisms, one a file, the paper on top."""
