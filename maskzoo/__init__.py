"""Train, compare and serve semantic-segmentation networks.

The public names are imported when they are first used: torch takes seconds to load, and a command
that prints its help, or a client of the service, works without it.

The packages `maskzoo.models`, `maskzoo.training` and `maskzoo.service` are links to the folders of
the same names at the top of the repository.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskzoo.models.bundles.bundle import load_bundle, save_bundle
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.models.labels import LabelSet
    from maskzoo.models.preprocessing import Preprocessing
    from maskzoo.models.registry import create_model, create_plugin, list_models, list_plugins
    from maskzoo.models.spec import ModelSpec
    from maskzoo.service.client.clients import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "LabelSet",
    "ModelSpec",
    "PredictOptions",
    "Predictor",
    "Preprocessing",
    "create_model",
    "create_plugin",
    "list_models",
    "list_plugins",
    "load_bundle",
    "save_bundle",
]

_MODULES = {
    "AsyncClient": "maskzoo.service.client.clients",
    "Client": "maskzoo.service.client.clients",
    "LabelSet": "maskzoo.models.labels",
    "ModelSpec": "maskzoo.models.spec",
    "PredictOptions": "maskzoo.models.inference.options",
    "Predictor": "maskzoo.models.inference.predictor",
    "Preprocessing": "maskzoo.models.preprocessing",
    "create_model": "maskzoo.models.registry",
    "create_plugin": "maskzoo.models.registry",
    "list_models": "maskzoo.models.registry",
    "list_plugins": "maskzoo.models.registry",
    "load_bundle": "maskzoo.models.bundles.bundle",
    "save_bundle": "maskzoo.models.bundles.bundle",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
