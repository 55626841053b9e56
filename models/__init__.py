"""maskzoo's core: describe, build, store, load and run segmentation networks."""

from models.bundle import load_bundle, save_bundle
from models.inference.predictor import Predictor
from models.registry import create_model, list_models

__all__ = ["Predictor", "create_model", "list_models", "load_bundle", "save_bundle"]
