"""The engines that run a network: one protocol, one file per library.

An engine takes a normalised batch and returns logits. Their resolution may be lower than the
batch's; the caller resizes them.
"""

from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.eager import EagerEngine

__all__ = ["EagerEngine", "Engine"]
