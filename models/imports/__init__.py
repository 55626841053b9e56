"""Trained networks of other libraries, as bundles: one room or file for each library."""
