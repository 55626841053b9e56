"""nnU-Net's residual encoder: a stage at the image's own stride, and more blocks the deeper it is.

Paper:   Isensee et al., "nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image
         Segmentation", MICCAI 2024, https://arxiv.org/abs/2404.09556; of two dimensions
Idea:    y = leaky ReLU(norm(conv 3x3 (leaky ReLU(norm(conv 3x3 (x))))) + x), where the first
         convolution of a stage halves the map. There the mean of 2 x 2 positions, and a 1x1
         convolution if the channels change, stand for x (ResNet-D).
Differs: six stages, as nnU-Net plans for crops of 128 to 255 pixels; it adds one for each doubling.
         A window of the mean that leaves an odd map counts what it has.
Note:    f0 is the map of the first stage.
"""

from __future__ import annotations

from torch import Tensor, nn

from maskzoo.models.network.layers import ConvNormAct, Norm, start_at_zero

_SLOPE = 0.01  # of the leaky ReLU below 0


class LeakyConv(ConvNormAct):
    """Convolution, normalisation, leaky ReLU: (N, in_channels, h, w) -> (N, out_channels, h', w').

    Args:
        in_channels, out_channels: channels before and after.
        kernel_size: side of the square kernel.
        stride: of the kernel.
        norm: normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        norm: Norm = "instance",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride=stride, norm=norm, act=False
        )
        self.add_module("act", nn.LeakyReLU(_SLOPE, inplace=True))


class ResidualEncoder(nn.Module):
    """nnU-Net's residual encoder: (N, C_in, H, W) -> [f0, …, f5].

    Args:
        in_channels: of the image.
        channels: at strides 1, 2, 4, 8, 16 and 32.
        blocks: at these strides.
        norm: normalisation.

    Attributes:
        out_channels: of f0 … f5.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        channels: tuple[int, int, int, int, int, int] = (32, 64, 128, 256, 512, 512),
        blocks: tuple[int, int, int, int, int, int] = (1, 3, 4, 6, 6, 6),
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.out_channels = tuple(channels)
        self.stem = LeakyConv(in_channels, channels[0], norm=norm)
        self.stages = nn.ModuleList()
        before = channels[0]
        for level, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            first = LeakyResidual(before, width, stride=2 if level else 1, norm=norm)
            others = [LeakyResidual(width, width, norm=norm) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *others))
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]


class LeakyResidual(nn.Module):
    """One block: (N, C, h, w) -> (N, C', h / stride, w / stride). It starts as its shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        last = ConvNormAct(out_channels, out_channels, 3, norm=norm, act=False)
        start_at_zero(last)
        self.convs = nn.Sequential(
            LeakyConv(in_channels, out_channels, stride=stride, norm=norm), last
        )
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if in_channels != out_channels:
            self.shortcut.append(ConvNormAct(in_channels, out_channels, 1, norm=norm, act=False))
        self.act = nn.LeakyReLU(_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum."""
        shortcut = self.shortcut(x) if len(self.shortcut) else x
        output: Tensor = self.act(self.convs(x) + shortcut)
        return output
