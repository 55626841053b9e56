"""Bundles, the stored form of a trained network: manifest, weights, model card."""
