"""DPT: a vision transformer's maps at four depths, fused from coarse to fine.

Paper:   Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021,
         https://arxiv.org/abs/2103.13413
Idea:    four depths of a plain transformer, all of one stride, become strides 4, 8, 16 and 32 by
         transposed convolutions and a strided one, after the class token has been read out at
         every position.
Head:    m_k = GELU(conv 1x1 (cat[f_k, class token])); r_k = conv 3x3 (rescale_k(conv 1x1 (m_k)))
         p_k = conv 1x1 (up(res(res(r_k) + p_{k+1}))) for k = 5 … 2, res a residual unit of two
         convolutions; output = conv 3x3 (p_2), a norm and a ReLU, at stride 2. Meant for plain
         transformers (`tu-vit_…`, `tu-deit_…`); feature pyramids are fused without a read-out.
Differs: p_5 refines r_5 twice, as in segmentation-models-pytorch; the authors' code does once.
Shape:   f2 … f5 -> (N, channels, ceil(H / 2), ceil(W / 2))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from maskzoo.models.network.bodies.tokens import Readout
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.layers import ConvNormAct, Norm
from maskzoo.models.network.upsample import Upsample

_STRIDES = (4, 8, 16, 32)


class Reassemble(nn.Sequential):
    """One depth at its stride: (N, C_in, h, w) -> (N, channels, h', w').

    Args:
        in_channels: of the map.
        width: of the map while it is rescaled.
        channels: of the output.
        token_channels: how many of `in_channels` are the class token's.
        has_readout: whether a layer joins map and class token.
        factor: by how much the map grows; below 1 it shrinks.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        channels: int,
        *,
        token_channels: int,
        has_readout: bool,
        factor: float,
    ) -> None:
        super().__init__()
        own = in_channels - token_channels
        if has_readout:
            self.readout = nn.Sequential(nn.Conv2d(in_channels, own, 1), nn.GELU())
        self.project = nn.Conv2d(own, width, 1)
        self.rescale = _rescaling(width, factor)
        self.fit = nn.Conv2d(width, channels, 3, padding=1, bias=False)


class ResidualUnit(nn.Module):
    """x + two convolutions of x, an activation before each: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.first = ConvNormAct(channels, channels, 3, norm=norm, act=False)
        self.second = ConvNormAct(channels, channels, 3, norm=norm, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the refined map."""
        output: Tensor = x + self.second(self.act(self.first(self.act(x))))
        return output


class Fusion(nn.Module):
    """A level joined with the deeper ones, and enlarged: (N, C, h, w) -> (N, C, H, W)."""

    def __init__(self, channels: int, *, norm: Norm, align_corners: bool) -> None:
        super().__init__()
        self.before = ResidualUnit(channels, norm=norm)
        self.after = ResidualUnit(channels, norm=norm)
        self.upsample = Upsample(channels, 2, align_corners=align_corners)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, level: Tensor, deeper: Tensor | None, size: torch.Size) -> Tensor:
        """Return the level with `deeper`, which has its size, at `size`."""
        y = self.before(level)
        if deeper is not None:
            y = y + deeper
        output: Tensor = self.project(self.upsample(self.after(y), size))
        return output


class DPT(Decoder):
    """Reassembled depths of a transformer, fused from coarse to fine.

    Args:
        channels: width of the levels and of the output; the paper has 256.
        widths: of the four depths while they are rescaled; None takes an eighth, a quarter, half
            and all of a plain transformer's channels, as the authors do for ViT-Base, and a
            pyramid's own channels.
        readout: what becomes of the class token: joined to each position and projected, added, or
            ignored.

    Attributes:
        widths: of the four depths.
    """

    default_output_stride: ClassVar[int] = 32

    def __init__(
        self,
        setup: DecoderSetup,
        *,
        channels: int = 256,
        widths: tuple[int, int, int, int] | None = None,
        readout: Readout = "cat",
    ) -> None:
        super().__init__(setup)
        self.out_channels = channels
        given = setup.encoder_channels[2:]
        tokens = setup.token_channels[2:] or (0,) * len(given)
        strides = setup.encoder_strides[2:]
        is_plain = len(set(strides)) == 1
        own = [count - token for count, token in zip(given, tokens, strict=True)]
        usual = [
            max(1, count * stride // 32) if is_plain else count
            for count, stride in zip(own, _STRIDES, strict=True)
        ]
        self.widths = tuple(widths or usual)
        self.levels = nn.ModuleList(
            Reassemble(
                count,
                width,
                channels,
                token_channels=token,
                has_readout=is_plain and readout == "cat",
                factor=2 ** round(math.log2(stride)) / wanted,  # a stride of 14 counts as 16
            )
            for count, token, width, stride, wanted in zip(
                given, tokens, self.widths, strides, _STRIDES, strict=True
            )
        )
        self.fusions = nn.ModuleList(
            Fusion(channels, norm=self.norm, align_corners=self.align_corners) for _ in self.levels
        )
        self.head = ConvNormAct(channels, channels, 3, norm=self.norm)

    @classmethod
    def readout(cls, options: Mapping[str, Any]) -> Readout | None:
        """Return the option of that name, or its default."""
        chosen: Readout = options.get("readout", "cat")
        return chosen

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the fused levels at half of the image's size."""
        levels = [level(f) for level, f in zip(self.levels, features[2:], strict=True)]
        height, width = features[0].shape[-2:]
        sizes = [torch.Size(((height + 1) // 2, (width + 1) // 2))]
        sizes += [level.shape[-2:] for level in levels[:-1]]
        fused: Tensor | None = None
        for fusion, level, size in zip(
            reversed(self.fusions), reversed(levels), reversed(sizes), strict=True
        ):
            fused = fusion(level, fused, size)
        output: Tensor = self.head(fused)
        return output


def _rescaling(channels: int, factor: float) -> nn.Module:
    """Return the layer that enlarges a map by a power of two, or shrinks it."""
    if factor > 1:
        side = int(factor)
        return nn.ConvTranspose2d(channels, channels, side, stride=side)
    if factor < 1:
        return nn.Conv2d(channels, channels, 3, stride=int(1 / factor), padding=1)
    return nn.Identity()
