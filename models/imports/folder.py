"""Folders as the Hugging Face hub holds them: config.json and a file of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskzoo.models.errors import WeightsError
from maskzoo.models.weights.checkpoint import Checkpoint, read_checkpoint

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_config(folder: Path, *, name: str = CONFIG) -> dict[str, Any]:
    """Return the JSON object in a file of a folder.

    Raises:
        WeightsError: there is none, or it is not a JSON object.
    """
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(
            f"{str(folder)!r} has no {name} ({error.strerror}); give the folder that "
            "save_pretrained wrote"
        ) from None
    except ValueError as error:  # JSON or UTF-8
        raise WeightsError(f"{str(folder / name)!r} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{str(folder / name)!r} is not a JSON object")
    return config


def read_weights(folder: Path) -> Checkpoint:
    """Return the weights in a folder.

    Raises:
        WeightsError: there are none, or they are damaged.
    """
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not found:
        raise WeightsError(f"{str(folder)!r} has no weights: neither {' nor '.join(WEIGHTS)}")
    return read_checkpoint(found[0])
