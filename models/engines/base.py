"""The seam between the predictor and whatever computes logits."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Engine(Protocol):
    """Runs one network on one device.

    `run` is called from several threads at once and must not depend on earlier calls.
    """

    name: str
    device: torch.device
    in_channels: int
    num_classes: int

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) for a normalised float32 batch (N, C, H, W).

        h and w may be smaller than H and W: the map then covers the same area, with the
        half-pixel convention (``align_corners=False``).
        """
        ...
