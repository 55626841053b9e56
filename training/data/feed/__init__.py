"""Samples for the loaders: decoding, caching, cropping."""
