"""What runs a network: one protocol, one file for each library that can.

An engine takes a normalised batch and gives logits. It may give them at a lower resolution than
the batch; whoever asks resizes them.
"""

from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.eager import EagerEngine

__all__ = ["EagerEngine", "Engine"]
