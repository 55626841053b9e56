"""The engines that run a network: one protocol, one file per library.

An engine takes a normalised batch and gives logits. It may give them at a lower resolution than
the batch; whoever asks resizes them.
"""

from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.eager import EagerEngine

__all__ = ["EagerEngine", "Engine"]
