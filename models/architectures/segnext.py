"""SegNeXt: three levels joined, and their matrix factorised as global context (Hamburger).

Paper:   Geng et al., "Is Attention Better Than Matrix Decomposition?", ICLR 2021,
         https://arxiv.org/abs/2109.04553,
         Guo et al., "SegNeXt: Rethinking Convolutional Attention Design for Semantic
         Segmentation", NeurIPS 2022, https://arxiv.org/abs/2209.08575
Head:    x = conv 1x1 (cat[f3, up(f4), up(f5)]), norm, ReLU; y = ReLU(x + norm(conv 1x1 (ham(ReLU(
         conv 1x1 (x)))))); conv 1x1 (y), norm, ReLU. The ham writes the matrix (channels,
         positions) of its map as D Cᵀ, with R non-negative columns each, by multiplicative updates
         from a softmax.
         Meant for MSCAN encoders (`mscan_t` … `mscan_l`); takes any.
Differs: the authors draw new D for every image, so the same image has other logits each time; here
         D is drawn once and kept with the weights. They normalise the head by groups:
         `norm=group`.
Cost:    linear in the positions L.
Shape:   f3, f4, f5 -> (N, channels, h3, w3), the size of f3
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm, as_float32
from maskzoo.models.network.upsample import Upsample

_TINY = 1e-6


class SegNeXt(Decoder):
    """Three levels joined, and their global context.

    Args:
        channels: width of the ham and of the output; 256 for MSCAN-T and S, 512 for B, 1024 for L.
        bases: R, columns of the factors; 16 as in mmsegmentation's configurations.
        steps: updates of the factors in training; evaluation has one more.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: Annotated[int, Field(ge=1)] = 256,
        bases: Annotated[int, Field(ge=2)] = 16,
        steps: Annotated[int, Field(ge=1)] = 6,
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        below = setup.encoder_strides[3]
        self.upsamplings = nn.ModuleList(
            Upsample(
                setup.encoder_channels[n],
                setup.encoder_strides[n] // below,
                align_corners=self.align_corners,
            )
            for n in (4, 5)
        )
        self.squeeze = ConvNormAct(sum(setup.encoder_channels[3:6]), channels, 1, norm=self.norm)
        self.hamburger = Hamburger(channels, bases, steps, norm=self.norm)
        self.out = ConvNormAct(channels, channels, 1, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the joined levels with their context."""
        size = features[3].shape[-2:]
        deeper = [
            upsample(feature, size)
            for upsample, feature in zip(self.upsamplings, features[4:6], strict=True)
        ]
        x = self.squeeze(torch.cat([features[3], *deeper], dim=1))
        output: Tensor = self.out(self.hamburger(x))
        return output


class Hamburger(nn.Module):
    """A factorised map between two 1x1 convolutions: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, bases: int, steps: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.before = nn.Conv2d(channels, channels, 1)
        self.ham = Factorised(channels, bases, steps)
        self.after = ConvNormAct(channels, channels, 1, norm=norm, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map with its context added."""
        return torch.relu(x + self.after(self.ham(torch.relu(self.before(x)))))


class Factorised(nn.Module):
    """A non-negative map as the product of two thin matrices: (N, C, h, w) -> (N, C, h, w).

    X ≈ D Cᵀ with D (C, R) and C (L, R): Lee and Seung's updates of C, then of D, `steps` times;
    C starts as the softmax over R of Xᵀ D and is updated once more at the end.

    Args:
        channels: C of the map.
        bases: R.
        steps: in training; one more in evaluation.
    """

    start: Tensor

    def __init__(self, channels: int, bases: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand(channels, bases, generator=generator)
        self.register_buffer("start", F.normalize(drawn, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        with torch.autocast(x.device.type, enabled=False):
            matrix = as_float32(x.flatten(2))
            d = self.start.to(matrix.dtype).expand(x.shape[0], -1, -1)
            c = (matrix.transpose(1, 2) @ d).softmax(dim=2)
            for _ in range(self.steps if self.training else self.steps + 1):
                c = _update(c, matrix.transpose(1, 2) @ d, d)
                d = _update(d, matrix @ c, c)
            c = _update(c, matrix.transpose(1, 2) @ d, d)
            product = d @ c.transpose(1, 2)
        output: Tensor = product.unflatten(2, x.shape[-2:]).to(x.dtype)
        return output


def _update(factor: Tensor, numerator: Tensor, other: Tensor) -> Tensor:
    """Return factor · numerator / (factor otherᵀ other), which keeps it non-negative."""
    return factor * numerator / (factor @ (other.transpose(1, 2) @ other) + _TINY)
