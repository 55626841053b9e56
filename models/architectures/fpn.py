"""FPN for segmentation: a feature pyramid whose levels are upsampled step by step and merged.

Paper:   Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019, section 3.1 (the
         semantic branch), https://arxiv.org/abs/1901.02446
Head:    p5 = conv 1x1 (f5); p_k = conv 1x1 (f_k) + up(p_{k+1}), nearest, for k = 4, 3, 2
         s_k = (conv 3x3, norm, ReLU, up) until stride 4; y = s2 + s3 + s4 + s5.
Differs: no 3x3 convolution after the top-down sum, as in smp.
Shape:   f2 … f5 -> (N, channels, h2, w2), the size of f2
"""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct
from maskzoo.models.network.upsample import Upsample


class FPN(Decoder):
    """The semantic branch of Panoptic FPN.

    The paper normalises by groups; `norm="group"` does so too.

    Args:
        pyramid_channels: width of p2 … p5.
        channels: width of s2 … s5.
        merge: whether the levels are added (the paper) or concatenated.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        pyramid_channels: int = 256,
        channels: int = 128,
        merge: Literal["add", "concatenate"] = "add",
    ) -> None:
        super().__init__(setup)
        self.merge = merge
        self.out_channels = channels if merge == "add" else 4 * channels
        # f5, f4, f3, f2
        self.laterals = nn.ModuleList(
            nn.Conv2d(count, pyramid_channels, 1) for count in setup.encoder_channels[5:1:-1]
        )
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(
                    ConvNormAct(channels if step else pyramid_channels, channels, 3, norm=self.norm)
                    for step in range(max(1, level - 2))
                )
            )
            for level in (5, 4, 3, 2)
        )

        strides = setup.encoder_strides
        self.upsamplings = nn.ModuleList(
            nn.ModuleList(
                Upsample(
                    channels,
                    strides[below] // strides[below - 1],
                    align_corners=self.align_corners,
                )
                for below in range(level, 2, -1)
            )
            for level in (5, 4, 3, 2)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the merged levels at the size of f2."""
        sizes = {level: features[level].shape[-2:] for level in (5, 4, 3, 2)}
        semantic = []  # s5 … s2
        p: Tensor | None = None  # p5 … p2
        levels = zip(self.laterals, self.branches, self.upsamplings, sizes, strict=True)
        for lateral, branch, upsamplings, level in levels:
            p = _top_down(lateral(features[level]), p)
            s = p
            for step, conv in enumerate(cast(nn.ModuleList, branch)):
                s = conv(s)
                if level > 2:
                    upsample = cast(nn.ModuleList, upsamplings)[step]
                    s = upsample(s, sizes[level - step - 1])
            semantic.append(s)
        if self.merge == "concatenate":
            return torch.cat(semantic, dim=1)
        return torch.stack(semantic).sum(dim=0)


def _top_down(lateral: Tensor, deeper: Tensor | None) -> Tensor:
    """Return p_k of a lateral map and p_{k+1}."""
    if deeper is None:
        return lateral
    return lateral + F.interpolate(deeper, size=lateral.shape[-2:], mode="nearest")
