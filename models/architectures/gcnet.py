"""GCNet: one global context block on the last feature.

Paper:   Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
         ICCV workshops 2019, https://arxiv.org/abs/1904.11492
Head:    f5 -> conv 3x3 -> global context -> conv 3x3, concatenated with f5 -> conv 3x3
Differs: the paper puts the block into the encoder; the head is mmsegmentation's.
Shape:   f5 (N, C, h, w) -> (N, channels, h, w)
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from maskzoo.models.architectures.context import ContextHead
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.plugins.gc import GlobalContext


class GCNet(ContextHead):
    """A global context block between two convolutions.

    Args:
        channels: width of the block and of the output; None takes a quarter of f5's.
        ratio: width of the block's transform, as a part of `channels`; it is never below 2.
        pooling: `attention` weighs the positions, `average` takes their mean.
        fusion: `add` the context, `scale` by its sigmoid, or `both`.
    """

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int | None = None,
        ratio: float = 0.25,
        pooling: Literal["attention", "average"] = "attention",
        fusion: Literal["add", "scale", "both"] = "add",
    ) -> None:
        mechanism = partial(GlobalContext, ratio=ratio, pooling=pooling, fusion=fusion)
        super().__init__(setup, channels, mechanism)
