"""Deformable convolution (DCN), v1 and v2: taps at learnt offsets, in v2 with weights too.

Paper:   v1 Dai et al., "Deformable Convolutional Networks", ICCV 2017,
         https://arxiv.org/abs/1703.06211
         v2 Zhu et al., "Deformable ConvNets v2", CVPR 2019, https://arxiv.org/abs/1811.11168
Idea:    each tap k of the kernel reads x at p + p_k + Δp_k, bilinearly, 0 outside the image;
         v2 also weighs it: y(p) = Σ_k w_k · x(p + p_k + Δp_k) · m_k. Offsets (y, x) and masks
         σ(·) come from one convolution like the main one, 0 at the start: v1 starts as the plain
         convolution, v2 as half of it.
Differs: `gain=2` doubles v2's masks, so that it too starts as the plain convolution and
         pre-trained weights keep their meaning; 1 is the paper's. `operator=torch` is built of
         `grid_sample` and exports to ONNX; `torchvision`, its compiled operator, is faster.
Shape:   (N, C, H, W) -> that of the convolution replaced
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from maskzoo.models.network.layers import as_float32
from maskzoo.models.plugins.convolution import ConvolutionLike

Operator = Literal["torchvision", "torch"]

# On the learning rate of offsets and masks, from the authors' configuration of v2.
LR_MULT = 0.1


class OffsetConv(nn.Conv2d):
    """The convolution that predicts offsets or masks; it learns slower than the rest.

    A class of its own, so that no other plug-in takes it for a convolution to replace.
    """

    lr_mult = LR_MULT


class DeformableConv(ConvolutionLike):
    """Deformable convolution v1.

    Args:
        channels: C, or the convolution to replace.
        offset_groups: G, groups of channels that move together; must divide the input's.
        operator: torchvision's or one that exports, see above.
    """

    def __init__(
        self,
        channels: int | nn.Conv2d,
        *,
        offset_groups: int = 1,
        operator: Operator = "torchvision",
    ) -> None:
        super().__init__(channels)
        self.offset_groups = offset_groups
        self.operator = operator
        self.offset = self._like(2)

    def forward(self, input: Tensor) -> Tensor:
        """Return the deformed convolution."""
        return self.deform(input, self.offset(input), None)

    def deform(self, x: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
        """Convolve with given offsets (N, 2·G·k², h, w), (y, x) of each tap, and masks.

        Positions need more than half precision, so this part runs in fp32 under autocast.
        """
        assert not isinstance(self.padding, str), "padding is in pixels"
        function = deform_conv2d if self.operator == "torchvision" else deform_conv2d_in_torch
        with torch.autocast(x.device.type, enabled=False):
            y = function(
                as_float32(x),
                as_float32(offset),
                as_float32(self.weight),
                None if self.bias is None else as_float32(self.bias),
                self.stride,
                self.padding,
                self.dilation,
                None if mask is None else as_float32(mask),
            )
        return y.to(x.dtype)

    def _like(self, count: int) -> nn.Conv2d:
        """Return a convolution of `count` channels for each tap and group, 0 at the start."""
        taps = self.kernel_size[0] * self.kernel_size[1]
        conv = OffsetConv(
            self.in_channels,
            count * self.offset_groups * taps,
            self.kernel_size,  # type: ignore[arg-type]
            stride=self.stride,  # type: ignore[arg-type]
            padding=self.padding,  # type: ignore[arg-type]
            dilation=self.dilation,  # type: ignore[arg-type]
        )
        nn.init.zeros_(conv.weight)
        assert conv.bias is not None, "built with a bias"
        nn.init.zeros_(conv.bias)
        return conv


class ModulatedDeformableConv(DeformableConv):
    """Deformable convolution v2.

    Args:
        channels: C, or the convolution to replace.
        offset_groups: G, groups of channels that move together; must divide the input's.
        gain: what the masks are multiplied with; 1 as in the paper, 2 to start as the plain one.
        operator: torchvision's or one that exports, see above.
    """

    def __init__(
        self,
        channels: int | nn.Conv2d,
        *,
        offset_groups: int = 1,
        gain: float = 1.0,
        operator: Operator = "torchvision",
    ) -> None:
        super().__init__(channels, offset_groups=offset_groups, operator=operator)
        self.gain = gain
        self.mask = self._like(1)

    def forward(self, input: Tensor) -> Tensor:
        """Return the deformed and modulated convolution."""
        return self.deform(input, self.offset(input), self.gain * self.mask(input).sigmoid())


def use_portable_operators(network: nn.Module) -> None:
    """Let all deformable convolutions in `network` use plain torch, as exporting needs."""
    for module in network.modules():
        if isinstance(module, DeformableConv):
            module.operator = "torch"


def deform_conv2d_in_torch(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    mask: Tensor | None,
) -> Tensor:
    """`torchvision.ops.deform_conv2d` of plain torch: sample all taps, then convolve 1 x 1."""
    height, width = x.shape[-2:]
    rows, columns = offset.shape[-2:]
    sides = weight.shape[-2:]
    taps = sides[0] * sides[1]
    groups = offset.shape[1] // (2 * taps)
    # Sizes are written out, and only constants and the batch are merged: `torch.export` proves that
    # for every size. So the taps go with the batch.
    offset_y, offset_x = (
        part.contiguous() for part in offset.unflatten(1, (groups, taps, 2)).unbind(3)
    )
    place_y = offset_y + _taps(x, rows, sides, 0, stride, padding, dilation)  # (N, G, k², h, w)
    place_x = offset_x + _taps(x, columns, sides, 1, stride, padding, dilation)
    # grid_sample without align_corners: pixel centres at (2 i + 1) / size - 1.
    grid = torch.stack([(2 * place_x + 1) / width - 1, (2 * place_y + 1) / height - 1], dim=-1)
    images = x.unflatten(1, (groups, 1, x.shape[1] // groups)).expand(-1, -1, taps, -1, -1, -1)
    sampled = F.grid_sample(
        images.flatten(0, 2),  # (N·G·k², C/G, H, W)
        grid.flatten(0, 2),  # (N·G·k², h, w, 2)
        align_corners=False,
    ).unflatten(0, (x.shape[0], groups, taps))
    if mask is not None:
        sampled = sampled * mask.unflatten(1, (groups, taps, 1))
    return F.conv2d(
        sampled.transpose(2, 3).flatten(1, 3),  # (N, C·k², h, w)
        weight.flatten(1)[:, :, None, None],
        bias,
        groups=x.shape[1] // weight.shape[1],
    )


def _taps(
    x: Tensor,
    count: int,
    sides: torch.Size,
    axis: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Return where the taps lie along an axis, in pixels: (k², count, 1) or (k², 1, count)."""
    starts = torch.arange(count, device=x.device, dtype=x.dtype) * stride[axis] - padding[axis]
    steps = torch.arange(sides[axis], device=x.device, dtype=x.dtype) * dilation[axis]
    if axis == 0:
        return (steps.repeat_interleave(sides[1])[:, None] + starts)[:, :, None]
    return (steps.repeat(sides[0])[:, None] + starts)[:, None, :]
