"""Inputs of a request: forms, raw bodies, JSON, URLs, georeferences."""
