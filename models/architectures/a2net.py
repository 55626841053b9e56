"""A²-Net: double attention, linear in the number of positions, between two convolutions.

Paper:   Chen et al., "A²-Nets: Double Attention Networks", NeurIPS 2018,
         https://arxiv.org/abs/1810.11579
Head:    y = conv 3x3 (f5); y = A² (y); y = conv 3x3 (y); output = conv 3x3 (cat[f5, y]). A² gathers
         descriptors of the whole image and hands them out to each position. In training an
         auxiliary FCN head on f4 at 0.4.
Differs: the paper classifies images and videos with the block inside a ResNet, which here is
         `a2@encoder.block`; the head is the one that Non-local networks have in mmsegmentation.
Cost:    linear in the positions, where Non-local is quadratic.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from maskzoo.models.architectures.context import ContextHead
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.plugins.a2 import DoubleAttention


class A2Net(ContextHead):
    """Double attention on f5.

    Args:
        channels: width of the mechanism and of the output; None takes a quarter of f5's.
        reduction: of the descriptors' width.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        reduction: Annotated[int, Field(ge=1)] = 4,
    ) -> None:
        super().__init__(
            setup,
            channels,
            lambda width: DoubleAttention(width, reduction=reduction, norm=setup.norm),
        )
