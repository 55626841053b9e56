"""PyTorch through `torch.compile`, which compiles the whole network on its first run.

On a CPU TorchInductor writes C++ with the weights folded in, in bfloat16 where the processor has
units for it. On CUDA it writes Triton kernels, recorded as CUDA graphs (`mode="reduce-overhead"`),
in half precision and channels last. The first run takes from ten seconds to minutes and needs a
compiler (g++; on CUDA Triton brings its own), so this engine runs only on request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from maskzoo.models.engines.base import EngineChoice
from maskzoo.models.engines.device import choose_device
from maskzoo.models.engines.precision import autocast, half_type, name_precision
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.spec import ModelSpec


class CompiledEngine:
    """Engine that runs a network compiled by torch.

    Args:
        network: moved to `device` and put into evaluation mode, in place; not to be used elsewhere.
        spec: of the network.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: CUDA if there is any.
        half: compute in 16 bits if that is faster.
    """

    name = "torch-compile"
    takes_pixels = False
    choice: EngineChoice | None = None

    def __init__(
        self,
        network: SegmentationNetwork,
        spec: ModelSpec,
        *,
        device: str = "auto",
        half: bool = True,
    ) -> None:
        self.device = choose_device(device)
        self.in_channels = spec.in_channels
        self.num_classes = spec.num_classes
        self.dtype = half_type(self.device) if half else None
        self.precision = name_precision(self.dtype)
        layout = torch.channels_last
        self.network = network.to(self.device, memory_format=layout).eval()  # type: ignore[call-overload]
        self._graphs = self.device.type == "cuda"
        self._forward: Callable[[Tensor], Tensor] = torch.compile(
            self.network.forward_coarse, **_options(self.device)
        )
        self._turn = threading.Lock()

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a normalised batch."""
        batch = batch.to(self.device, memory_format=torch.channels_last)
        # One run at a time: the compiler is not thread-safe, and a CUDA graph writes its result to
        # the same memory each time.
        with self._turn, torch.inference_mode(), autocast(self.device, self.dtype):
            if self._graphs:
                torch.compiler.cudagraph_mark_step_begin()
            logits: Tensor = self._forward(batch).float()
            return logits.clone() if self._graphs else logits


def _options(device: torch.device) -> dict[str, Any]:
    """Return the arguments of `torch.compile`."""
    if device.type == "cuda":
        return {"mode": "reduce-overhead"}
    # One program for all sizes, so that an image of a new size does not wait for the compiler.
    return {"dynamic": True, "options": {"freezing": True}}
