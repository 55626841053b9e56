"""Bundles of a service: discovery, loading, versions and aliases."""
