"""DeepLabV3: atrous spatial pyramid pooling on the last feature.

Paper:   Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
         https://arxiv.org/abs/1706.05587
Head:    variant "mmseg" (default): f5 -> ASPP, whose projection is a 3x3 convolution.
         variant "torchvision": f5 -> ASPP with the paper's 1x1 projection -> conv 3x3.
         In training an auxiliary FCN head on f4 at 0.4 (both train it so, the paper does not).
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.plugins.aspp import AtrousPyramid, rates_at_stride


class DeepLabV3(Decoder):
    """Atrous spatial pyramid pooling on the last feature.

    Args:
        channels: width of the output and of each branch; the paper has 256.
        rates: dilations; None takes the paper's 6, 12, 18 at stride 16, doubled at stride 8 and
            halved at stride 32.
        variant: see above.
    """

    uses_auxiliary: ClassVar[bool] = True

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int = 256,
        rates: tuple[int, ...] | None = None,
        variant: Literal["mmseg", "torchvision"] = "mmseg",
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        self.aspp = AtrousPyramid(
            setup.encoder_channels[5],
            out_channels=channels,
            rates=rates or rates_at_stride(setup.encoder_strides[5]),
            projection=3 if variant == "mmseg" else 1,
            norm=self.norm,
        )
        self.refine = (
            ConvNormAct(channels, channels, 3, norm=self.norm) if variant == "torchvision" else None
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the pyramid of f5."""
        x = self.aspp(features[5])
        output: Tensor = x if self.refine is None else self.refine(x)
        return output
