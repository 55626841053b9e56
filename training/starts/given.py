"""What a person means by the weights to start from."""

from __future__ import annotations

from pathlib import Path

from maskzoo.models.weights.checkpoint import SUFFIXES
from maskzoo.models.weights.source import BUILTIN_SOURCE, IMAGENET


def start_setting(given: str) -> str:
    """Return the setting that takes the given weights.

    Args:
        given: `builtin` or `imagenet` or a file of weights for the encoder; else a bundle.
    """
    is_file = Path(given).suffix.lower() in SUFFIXES and not Path(given).is_dir()
    if given in (BUILTIN_SOURCE, IMAGENET) or is_file:
        return "model.encoder_weights"
    return "model.start_from"
