"""Eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from maskzoo.models.engines.base import EngineChoice
from maskzoo.models.engines.device import choose_device
from maskzoo.models.engines.precision import (
    autocast,
    half_type,
    name_precision,
    prefers_channels_last,
)
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.spec import ModelSpec


class EagerEngine:
    """Engine that calls the network, under autocast on CUDA.

    Args:
        network: moved to `device`, to the memory format that is fastest there, and to evaluation
            mode, in place.
        in_channels, num_classes: of the network's input and output.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: CUDA if there is any.
    """

    name = "torch"
    takes_pixels = False
    choice: EngineChoice | None = None

    def __init__(
        self, network: nn.Module, *, in_channels: int, num_classes: int, device: str = "auto"
    ) -> None:
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()
        if prefers_channels_last(self.device.type):
            self.network = self.network.to(memory_format=torch.channels_last)
        self._forward: Callable[[Tensor], Tensor] = self.network
        if isinstance(self.network, SegmentationNetwork):
            self._forward = self.network.forward_coarse
        self.in_channels = in_channels
        self.num_classes = num_classes
        # Always float32 on a CPU: it is the reference for the other engines.
        self._dtype = half_type(self.device) if self.device.type == "cuda" else None
        self.precision = name_precision(self._dtype)

    @classmethod
    def of(cls, network: nn.Module, spec: ModelSpec, device: str = "auto") -> EagerEngine:
        """Build the engine of a network that has a spec."""
        return cls(
            network, in_channels=spec.in_channels, num_classes=spec.num_classes, device=device
        )

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a normalised batch."""
        with torch.inference_mode(), autocast(self.device, self._dtype):
            return self._forward(batch.to(self.device)).float()
