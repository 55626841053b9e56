"""K-Net: the classifier's kernels, updated for the image by what they have found in it.

Paper:   Zhang et al., "K-Net: Towards Unified Image Segmentation", NeurIPS 2021,
         https://arxiv.org/abs/2106.14855
Idea:    the kernel of each class is joined, through gates, with the sum of the map where its class
         is likely, then exchanges with the other kernels by attention. Convolved with the map, the
         new kernels give the next logits; that three times. The paper does it behind FCN, PSPNet,
         DeepLabV3 and UPerNet.
Training: the terms of the loss on the logits before each stage too, at 1.
Differs: a kernel is updated as a whole, where mmsegmentation's configurations update the halves of
         512 channels on their own. All but the map's convolution is computed in float32: kernels
         are few, and sums over positions leave the range of float16.
Shape:   logits (N, K, h, w) and the map (N, C, h, w) -> logits (N, K, h, w)
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.layers import as_float32
from maskzoo.models.network.neck import Classified, RefinedOutput, Refinement


class KNet(Refinement):
    """Stages that update the classifier's kernels.

    Args:
        channels: C of the map and of the kernels.
        stages: updates.
        heads: of the attention among kernels; fewer where C is not a multiple.
        hidden: width of the feed-forward layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        stages: Annotated[int, Field(ge=1)] = 3,
        heads: Annotated[int, Field(ge=1)] = 8,
        hidden: Annotated[int, Field(ge=1)] = 2048,
    ) -> None:
        super().__init__()
        self.aux_weights |= {f"kernels_{index}": 1.0 for index in range(stages)}
        self.stages = nn.ModuleList(KernelStage(channels, heads, hidden) for _ in range(stages))

    def forward(self, logits: Tensor, classified: Classified) -> Tensor:
        """Return the logits of the last stage."""
        return self._all(logits, classified)[-1]

    def forward_train(self, logits: Tensor, classified: Classified) -> RefinedOutput:
        """Return the same, and those before each stage."""
        *before, last = self._all(logits, classified)
        return RefinedOutput(last, dict(zip(self.aux_weights, before, strict=True)))

    def _all(self, logits: Tensor, classified: Classified) -> list[Tensor]:
        given = classified.weight.flatten(1)  # (K, C, 1, 1) -> (K, C)
        kernels = as_float32(given).expand(logits.shape[0], -1, -1)  # (N, K, C)
        found = [logits]
        for stage in self.stages:
            logits, kernels = stage(classified.map, kernels, found[-1])
            found.append(logits)
        return found


class KernelStage(nn.Module):
    """One update: map (N, C, h, w), kernels (N, K, C), logits (N, K, h, w) -> logits, kernels."""

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(channels, channels, 1)
        self.update = KernelUpdate(channels)
        self.heads = math.gcd(heads, channels)
        self.projection = nn.Linear(channels, 3 * channels)  # to queries, keys, values
        self.gathered = nn.Linear(channels, channels)
        self.attention_norm = nn.LayerNorm(channels)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.feed_forward_norm = nn.LayerNorm(channels)
        self.to_mask = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.LayerNorm(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, kernels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new logits, in the type of the old, and the new kernels."""
        transformed = self.transform(x)
        with torch.autocast(x.device.type, enabled=False):
            pixels = as_float32(transformed).flatten(2)  # (N, C, L)
            shares = as_float32(logits).flatten(2).softmax(dim=1)  # (N, K, L)
            kernels = self.update(kernels, shares @ pixels.transpose(1, 2))
            kernels = self.attention_norm(kernels + self._attend(kernels))
            kernels = self.feed_forward_norm(kernels + self.feed_forward(kernels))
            found = self.to_mask(kernels) @ pixels
        return found.unflatten(2, x.shape[-2:]).to(logits.dtype), kernels

    def _attend(self, kernels: Tensor) -> Tensor:
        parts = self.projection(kernels).unflatten(2, (3, self.heads, -1))  # (N, K, 3, heads, D)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, K, D) each
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.gathered(attended.transpose(1, 2).flatten(2))
        return output


class KernelUpdate(nn.Module):
    """Kernels joined with what they have found, equations 4 and 5: (N, K, C) -> (N, K, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from_found = nn.Linear(channels, 2 * channels)
        self.from_kernel = nn.Linear(channels, 2 * channels)
        self.found_gate = nn.Sequential(
            nn.Linear(channels, channels), nn.LayerNorm(channels), nn.Sigmoid()
        )
        self.kernel_gate = nn.Sequential(
            nn.Linear(channels, channels), nn.LayerNorm(channels), nn.Sigmoid()
        )
        self.found_norm = nn.LayerNorm(channels)
        self.kernel_norm = nn.LayerNorm(channels)
        self.out = nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU())

    def forward(self, kernels: Tensor, found: Tensor) -> Tensor:
        """Return the new kernels."""
        found_in, found_out = self.from_found(found).chunk(2, dim=2)
        kernel_in, kernel_out = self.from_kernel(kernels).chunk(2, dim=2)
        both = found_in * kernel_in
        joined = self.found_gate(both) * self.found_norm(found_out)
        joined = joined + self.kernel_gate(both) * self.kernel_norm(kernel_out)
        output: Tensor = self.out(joined)
        return output
