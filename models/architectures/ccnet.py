"""CCNet: criss-cross attention on the last feature.

Paper:   Huang et al., "CCNet: Criss-Cross Attention for Semantic Segmentation", ICCV 2019,
         https://arxiv.org/abs/1811.11721
Head:    f5 -> conv 3x3 -> criss-cross attention, twice -> conv 3x3, concatenated with f5
         -> conv 3x3
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from functools import partial

from maskzoo.models.architectures.context import ContextHead
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.plugins.criss_cross import CrissCrossAttention


class CCNet(ContextHead):
    """Criss-cross attention between two convolutions.

    Args:
        channels: width of the attention and of the output; None takes a quarter of f5's.
        attention_channels: width of queries and keys; None takes `channels` / 8.
        recurrence: how often the same attention is applied.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        attention_channels: int | None = None,
        recurrence: int = 2,
    ) -> None:
        mechanism = partial(
            CrissCrossAttention, attention_channels=attention_channels, recurrence=recurrence
        )
        super().__init__(setup, channels, mechanism)
