"""maskzoo's core: describe, build, store, load and run segmentation networks."""

from models.registry import create_model, list_models

__all__ = ["create_model", "list_models"]
