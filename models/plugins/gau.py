"""Global attention upsample (GAU): the deeper feature's mean gates a skip's channels.

Paper:   Li et al., "Pyramid Attention Network for Semantic Segmentation", BMVC 2018, section 3.2,
         https://arxiv.org/abs/1805.10180
Idea:    the mean of the deeper feature weighs the channels of the skip:
         y = up(deeper) + conv 3x3(skip) · ReLU(norm(W mean(deeper))).
Differs: `gate="sigmoid"` has σ in place of the ReLU and a ReLU after the 3 x 3 convolution, as in
         segmentation-models-pytorch.
Licence: from the paper; the common port is GPL-3.0 and none of it is here.
Shape:   skip (N, C, H, W), deeper (N, C_d, h, w) -> (N, out_channels, H, W)
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm
from maskzoo.models.network.upsample import Upsample


class GlobalAttentionUpsample(nn.Module):
    """Join a skip with the deeper feature, which weighs its channels.

    Args:
        channels: C of the skip.
        deeper_channels: of the deeper feature; a 1 x 1 convolution brings it to the output's.
        out_channels: of the output; None takes C.
        gate: activation of the weights.
        norm: normalisation.
        align_corners: convention of the resize.
        factor: by how much the strides of both features differ.
    """

    takes_deeper = True

    def __init__(
        self,
        channels: int,
        deeper_channels: int,
        *,
        out_channels: int | None = None,
        gate: Literal["relu", "sigmoid"] = "relu",
        norm: Norm = "batch",
        align_corners: bool = False,
        factor: int = 2,
    ) -> None:
        super().__init__()
        out = out_channels or channels
        self.upsample = Upsample(out, factor, align_corners=align_corners)
        self.reduce: nn.Module = nn.Identity()
        if deeper_channels != out:
            self.reduce = ConvNormAct(deeper_channels, out, 1, norm=norm)
        self.skip = ConvNormAct(channels, out, 3, norm=norm, act=gate == "sigmoid")
        self.weigh = ConvNormAct(out, out, 1, norm=norm, act=False)
        self.gate = nn.ReLU() if gate == "relu" else nn.Sigmoid()

    def forward(self, skip: Tensor, deeper: Tensor) -> Tensor:
        """Return up(deeper) + skip · weight."""
        deeper = self.reduce(deeper)
        weight = self.gate(self.weigh(deeper.mean(dim=(2, 3), keepdim=True)))
        grown = self.upsample(deeper, skip.shape[-2:])
        output: Tensor = grown + self.skip(skip) * weight
        return output
