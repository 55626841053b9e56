"""maskzoo's core: describe, build, store, load and run segmentation networks.

The public names are imported when they are first asked for: torch takes seconds to load, and a
command that prints its help, or a client of the service, does without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.bundle import load_bundle, save_bundle
    from models.inference.predictor import Predictor
    from models.registry import create_model, list_models

__all__ = ["Predictor", "create_model", "list_models", "load_bundle", "save_bundle"]

_HOMES = {
    "Predictor": "models.inference.predictor",
    "create_model": "models.registry",
    "list_models": "models.registry",
    "load_bundle": "models.bundle",
    "save_bundle": "models.bundle",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
