"""Dual attention: PAM and CAM side by side, as one block.

Paper:   Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019,
         https://arxiv.org/abs/1809.02983
Idea:    y = PAM(x) + CAM(x) − x: the input with what each of the two adds.
Differs: DANet's head has a 3 x 3 convolution around each branch (`models.architectures.danet`);
         here are the two attentions alone, so that the block is the identity at its start.
Shape:   (N, C, H, W) -> (N, C, H, W)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from maskzoo.models.plugins.cam import ChannelAttention
from maskzoo.models.plugins.pam import PositionAttention


class DualAttention(nn.Module):
    """Position and channel attention on one input; the identity at its start.

    Args:
        channels: C of the input; the output has as many.
        attention_channels: width of PAM's queries and keys; None takes C / 8.
        energy: sign of CAM's energy, see `models.plugins.cam`.
    """

    def __init__(
        self,
        channels: int,
        *,
        attention_channels: int | None = None,
        energy: Literal["official", "paper"] = "official",
    ) -> None:
        super().__init__()
        self.position = PositionAttention(channels, attention_channels=attention_channels)
        self.channel = ChannelAttention(channels, energy=energy)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with what both attentions add."""
        output: Tensor = x + (self.position(x) - x) + (self.channel(x) - x)
        return output
