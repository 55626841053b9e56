"""Encoders: image -> six feature maps. The only file that imports smp's encoders and timm.

Every encoder gives features f0 … f5 for an image (N, C_in, H, W): f0 is the image itself, f_k has
stride 2^k until the output stride is reached and that stride from there on. Sizes round up, so
an odd image works. An encoder that starts at stride 4 (SegFormer's, ConvNeXt) has no f1: its
channel count is 0.

Names are smp's (`mit_b0`, `efficientnet-b0`) and timm's with the prefix `tu-` (`tu-resnet50c`).
`resnet*` and `resnext*` are built by timm under either name: smp's own, dilated to stride 8 or
16, also dilates the first block of a stage and so disagrees with torchvision, mmsegmentation
and its own ImageNet weights (smp issue 183).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import timm
import torch.nn.functional as F
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from segmentation_models_pytorch.encoders import get_encoder
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.network.layers import BatchNorm2d

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# smp's native encoders whose ImageNet weights expect another range; the rest use ImageNet's.
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_DPN = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)
_NATIVE_STATISTICS = {
    "inceptionresnetv2": _HALF,
    "inceptionv4": _HALF,
    "xception": _HALF,
    "dpn": _DPN,
}

# Blocks with an attribute `se` between the last norm and the add.
RESIDUAL_BLOCKS = (BasicBlock, Bottleneck)

_THROUGH_TIMM = re.compile(r"resne(x)?t\d")


class Encoder(nn.Module):
    """An smp or timm network that returns its feature pyramid.

    Shape: (N, C_in, H, W) -> [f0, …, f5], f_k of (N, channels[k], ceil(H/s_k), ceil(W/s_k)).

    Attributes:
        channels: channels of f0 … f5; 0 where the encoder has no such level.
        strides: strides of f0 … f5.
        mean, std: what the ImageNet weights expect, for values in 0 … 1.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int = 3,
        output_stride: int = 32,
        weights: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.in_channels = in_channels
        self.body = _build_body(name, in_channels, output_stride, weights, dict(options or {}))
        self.channels = tuple(int(count) for count in self.body.out_channels)
        self.strides = tuple(min(2**level, output_stride) for level in range(len(self.channels)))
        self.mean, self.std = _statistics(name, in_channels)
        # Patch-based encoders fail on sizes that are not multiples; the others round up.
        self._multiple = 32 if 0 in self.channels else 1
        for module in self.body.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = BatchNorm2d  # same parameters, trains at 1 x 1 and batch 1
        self._names = frozenset(self.body.state_dict())  # plug-ins add names and keep these

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of a normalised image."""
        if self._multiple == 1:
            return self.body(x)
        height, width = x.shape[-2:]
        below = (height + self._multiple - 1) // self._multiple * self._multiple - height
        right = (width + self._multiple - 1) // self._multiple * self._multiple - width
        features = self.body(F.pad(x, (0, right, 0, below)))
        return [
            # Rounded up without negative numbers, which ONNX would divide towards zero.
            feature[..., : (height + stride - 1) // stride, : (width + stride - 1) // stride]
            for feature, stride in zip(features, self.strides, strict=True)
        ]

    def pretrained_parameters(self) -> list[nn.Parameter]:
        """Return the encoder's own parameters, without those of plug-ins inside it."""
        named = self.body.named_parameters()
        return [parameter for name, parameter in named if name in self._names]


def list_encoders() -> list[str]:
    """Return every encoder name: smp's own, and timm's with `tu-` in front."""
    return sorted(smp_encoders) + [f"tu-{name}" for name in timm.list_models()]


def _build_body(
    name: str, in_channels: int, output_stride: int, weights: str | None, options: dict[str, Any]
) -> Any:
    full_name = f"tu-{name}" if _THROUGH_TIMM.match(name) else name
    known = timm.is_model(full_name[3:]) if full_name.startswith("tu-") else name in smp_encoders
    if not known:
        raise UnknownNameError("encoder", name, list_encoders())
    if options and not full_name.startswith("tu-"):
        raise SpecError(
            f"encoder {name!r}",
            [f"takes no options, given {', '.join(options)}; timm encoders (tu-…) do"],
        )
    through_timm = full_name.startswith("tu-")
    try:
        return get_encoder(
            full_name,
            in_channels=in_channels,
            output_stride=output_stride,
            weights=(True if weights else None) if through_timm else weights,
            **options,
        )
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError, IndexError) as error:
        asked = f"in_channels={in_channels}, output_stride={output_stride}, weights={weights!r}"
        hint = "" if output_stride == 32 else "; try output_stride 32"
        raise SpecError(
            f"encoder {name!r}", [f"cannot be built with {asked}, {options}: {error}{hint}"]
        ) from error


def _statistics(name: str, in_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    if name.startswith("tu-"):
        config = timm.get_pretrained_cfg(name[3:], allow_unregistered=True)
        if config is not None:
            mean, std = tuple(config.mean), tuple(config.std)
    else:
        for prefix, statistics in _NATIVE_STATISTICS.items():
            if name.startswith(prefix):
                mean, std = statistics
    if in_channels == 3:
        return mean, std
    # Other channel counts: the mean over the colours, since no channel is red, green or blue.
    return (sum(mean) / 3,) * in_channels, (sum(std) / 3,) * in_channels
