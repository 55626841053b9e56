"""ResUNet: nnU-Net's U-Net on a residual encoder, taught at every level (deep supervision).

Paper:   Isensee et al., "nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image
         Segmentation", MICCAI 2024, https://arxiv.org/abs/2404.09556, and
         Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical
         image segmentation", Nature Methods 2021, https://doi.org/10.1038/s41592-020-01008-z
Head:    x_k = conv 3x3 (cat[transposed conv 2x2 (x_{k+1}), f_k]) for k = 4 … 0 from x_5 = f5, with
         an instance norm and a leaky ReLU. As wide as the skip, but half as wide as the level
         below where the skip is the image or missing.
         Meant for its own encoder `resenc`, whose f0 has features; takes any.
Training: the terms of the loss on the logits of x1, x2 and x3 too, at 1/2, 1/4 and 1/8, under the
         names `f1` … `f3`.
Differs: nnU-Net divides these weights by their sum, and makes the masks smaller where these logits
         are made larger here.
Shape:   f0 … f5 -> (N, channels, H, W), the size of f0
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderOutput, DecoderSetup
from maskzoo.models.network.layers import Classifier, Norm, crop
from maskzoo.models.network.own.resenc import LeakyConv

_TAUGHT = {1: 0.5, 2: 0.25, 3: 0.125}  # level -> weight of its loss


class ResUNet(Decoder):
    """A U-Net of transposed convolutions with logits at each level.

    Args:
        channels: widths of the levels 4, 3, 2, 1, 0; None follows the skips.
        convs: convolutions of a level.
        deep_supervision: whether training teaches the levels below the last one too.
    """

    default_output_stride: ClassVar[int] = 32
    default_norm: ClassVar[Norm] = "instance"

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: tuple[int, int, int, int, int] | None = None,
        convs: Annotated[int, Field(ge=1)] = 1,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__(setup)
        self.steps = nn.ModuleList()
        self.auxiliary_heads = nn.ModuleDict()
        below = setup.encoder_channels[5]
        for index, level in enumerate((4, 3, 2, 1, 0)):
            skip = setup.encoder_channels[level]
            followed = skip if level and skip else max(skip, below // 2)
            width = channels[index] if channels else followed
            factor = setup.encoder_strides[level + 1] // setup.encoder_strides[level]
            self.steps.append(Step(below, skip, width, factor=factor, convs=convs, norm=self.norm))
            if deep_supervision and level in _TAUGHT:
                head = Classifier(width, setup.num_classes, dropout=self.dropout)
                self.auxiliary_heads[f"f{level}"] = head
                self.aux_weights[f"f{level}"] = _TAUGHT[level]
            below = width
        self.out_channels = below

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the map at the size of f0."""
        return self._levels(features)[0]

    def forward_train(self, features: list[Tensor]) -> DecoderOutput:
        """Return the same, and the logits of the levels below."""
        levels = self._levels(features)
        aux = {name: head(levels[int(name[1:])]) for name, head in self.auxiliary_heads.items()}
        return DecoderOutput(levels[0], aux)

    def _levels(self, features: list[Tensor]) -> list[Tensor]:
        """Return x0 … x4."""
        levels = [features[5]]
        for step, skip in zip(self.steps, reversed(features[:5]), strict=True):
            levels.insert(0, step(levels[0], skip))
        return levels[:5]


class Step(nn.Module):
    """A level joined with the one below: (N, C_below, h, w), (N, C_skip, H, W) -> (N, C, H, W)."""

    def __init__(
        self, below: int, skip: int, channels: int, *, factor: int, convs: int, norm: Norm
    ) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(below, channels, factor, stride=factor)
        self.convs = nn.Sequential(
            *(
                LeakyConv(channels if index else channels + skip, channels, norm=norm)
                for index in range(convs)
            )
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return the level."""
        up = crop(self.up(x), skip.shape[-2:])
        output: Tensor = self.convs(torch.cat([up, skip], dim=1))
        return output
