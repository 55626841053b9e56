"""Adapters: translations of other services' protocols."""
