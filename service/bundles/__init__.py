"""Bundles of a server: discovery, loading, versions and aliases."""
