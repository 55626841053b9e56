"""EMANet: expectation-maximisation attention on the last feature.

Paper:   Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation",
         ICCV 2019, https://arxiv.org/abs/1907.13426
Head:    official: f5 -> conv 3x3 -> EMAU -> conv 3x3
         mmseg:    the same, concatenated with f5 -> conv 3x3, and an FCN head on f4 at 0.4
Licence: from the formulas; the authors' code is GPL-3.0 and none of it is here.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.plugins.emau import ExpectationMaximization


class EMANet(Decoder):
    """EMAU on the last feature.

    Args:
        channels: width of the output; None takes an eighth of f5's.
        attention_channels: width of the EMAU; None takes twice `channels`.
        bases: K, the number of bases.
        iterations: T, the rounds of expectation and maximisation.
        variant: whose normalisation of the bases and whose head.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        bases: int = 64,
        iterations: int = 3,
        variant: Literal["official", "mmseg"] = "official",
    ) -> None:
        if variant == "official" and setup.auxiliary is None:
            setup = replace(setup, auxiliary=False)  # the authors train without
        super().__init__(setup)
        in_channels = setup.encoder_channels[5]
        width = channels or max(1, in_channels // 8)
        inner = attention_channels or 2 * width
        self.out_channels = width
        self.before = ConvNormAct(in_channels, inner, 3, norm=self.norm)
        self.emau = ExpectationMaximization(
            inner,
            bases=bases,
            iterations=iterations,
            variant=variant,
            norm=self.norm,
            identity=False,
        )
        self.after = ConvNormAct(inner, width, 3, norm=self.norm)
        self.fuse: ConvNormAct | None = None
        if variant == "mmseg":
            self.fuse = ConvNormAct(in_channels + width, width, 3, norm=self.norm)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the attended map."""
        x = features[5]
        output: Tensor = self.after(self.emau(self.before(x)))
        if self.fuse is not None:
            output = self.fuse(torch.cat([x, output], dim=1))
        return output
