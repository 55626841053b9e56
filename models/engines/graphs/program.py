"""What one launch computes: uint8 pixels -> logits, or class ids and confidence.

    normalise -> network in 16 bits -> resize the logits -> the largest, and its softmax

Letters: N batch, C channels, H W pixels, K classes, h w the classifier's resolution.
"""

from __future__ import annotations

import copy
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.engines.graphs.folding import PLAIN_CONVOLUTIONS, fold_batch_norms
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing

_MOST_VALUES = 1 << 28  # float32 logits at the image's size that are held at once: 1 GB
_EXAMPLE = (2, 96, 128)


class Forward(Protocol):
    """A faster way through a network, for batches that it takes."""

    def takes(self, batch: Tensor) -> bool:
        """Tell whether the way is open for a normalised batch (N, C, H, W)."""

    def __call__(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w)."""


class Program:
    """A network prepared for the device: norms folded, weights in 16 bits, channels last.

    The weights of plain convolutions and linear layers are stored in `dtype`. Everything else keeps
    its type and runs under autocast, whose casts are kernels of a graph and no Python: each
    operation computes in the type in which `EagerEngine` computes it.

    Args:
        network: copied, not modified.
        dtype: of the computation; None is float32.

    Attributes:
        fused: computes the logits in place of the network's own forward, where it is set.
    """

    fused: Forward | None = None

    def __init__(
        self,
        network: SegmentationNetwork,
        preprocessing: Preprocessing,
        *,
        device: torch.device,
        dtype: torch.dtype | None,
    ) -> None:
        prepared = copy.deepcopy(network).eval().requires_grad_(False)
        example = torch.zeros(_EXAMPLE[0], network.spec.in_channels, *_EXAMPLE[1:])
        # On the CPU and in float32: the sums of a folding are exact, whatever the device.
        prepared = prepared.float().cpu()
        self.num_folded = fold_batch_norms(prepared, lambda: prepared.forward_coarse(example))
        if dtype is not None:
            to_16_bits(prepared, dtype)
        self.network = prepared.to(device).to(memory_format=torch.channels_last)
        self.dtype = dtype
        self._normalise = Normalise(
            preprocessing.mean, preprocessing.std, device=device, channels_last=True
        )

    def logits(self, pixels: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) of uint8 pixels (N, H, W, C)."""
        return self.of_values(self._normalise(pixels.permute(0, 3, 1, 2)))  # (N, C, H, W)

    def of_values(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) of normalised values (N, C, H, W)."""
        with torch.inference_mode():
            if self.fused is not None and self.fused.takes(batch):
                return self.fused(batch)
            return self.forward(batch)

    def forward(self, batch: Tensor) -> Tensor:
        """Return the logits of `of_values` by the network's own forward."""
        # The cache of casts would outlive a capture, whose memory is the graph's.
        with torch.autocast(
            batch.device.type,
            dtype=self.dtype,
            enabled=self.dtype is not None,
            cache_enabled=False,
        ):
            return self.network.forward_coarse(batch).float()

    def masks(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `segment` does for the logits of uint8 pixels (N, H, W, C)."""
        height, width = pixels.shape[1:3]
        return segment(self.logits(pixels), (height, width))


@torch.inference_mode()
def segment(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return class ids, confidence and finiteness of float32 logits (N, K, h, w).

    Args:
        size: (H, W) of the result.

    Returns:
        ids (N, H, W), uint8 or int32 for more than 256 classes; float16 softmax of the chosen
        class, of the same shape; bool (N,), whether all of an image's logits are finite.
    """
    num_classes = logits.shape[1]
    are_finite = logits.amin((1, 2, 3)).isfinite() & logits.amax((1, 2, 3)).isfinite()
    rows = max(1, _MOST_VALUES // (num_classes * size[0] * size[1]))
    ids, confidence = [], []
    for part in logits.split(rows):
        if part.shape[2:] != size:
            part = F.interpolate(part, size=size, mode="bilinear", align_corners=False)
        highest, chosen = part.max(dim=1, keepdim=True)
        ids.append(chosen[:, 0].to(id_dtype(num_classes)))
        confidence.append((1 / (part - highest).exp().sum(dim=1)).half())
    return torch.cat(ids), torch.cat(confidence), are_finite


def id_dtype(num_classes: int) -> torch.dtype:
    """Return the type of ids on the device; torch has few operations on uint16."""
    return torch.uint8 if num_classes <= 256 else torch.int32


def to_16_bits(network: nn.Module, dtype: torch.dtype) -> None:
    """Store the weights of plain convolutions and linear layers in `dtype`, in place."""
    for module in network.modules():
        if type(module) in (*PLAIN_CONVOLUTIONS, nn.Linear):
            module.to(dtype)
