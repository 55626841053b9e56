"""The seam between the predictor and whatever computes logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Choice:
    """Why this engine runs a bundle.

    Args:
        reason: in words.
        weights: precision in which they are stored: fp32, fp16, int8.
    """

    reason: str
    weights: str = "fp32"


class Engine(Protocol):
    """Runs one network on one device.

    `run` is called from several threads at once and must not depend on earlier calls.

    Attributes:
        precision: what it computes in, as torch names it: float32, bfloat16, float16.
        choice: set by `models.engines.choose`; None where somebody else built the engine.
    """

    name: str
    device: torch.device
    in_channels: int
    num_classes: int
    precision: str
    choice: Choice | None

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) for a normalised float32 batch (N, C, H, W).

        h and w may be smaller than H and W: the map then covers the same area, with the
        half-pixel convention (``align_corners=False``).
        """
        ...
