"""Names of other libraries' tensors, as timm calls them.

Paper:  Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite" (TensorFlow's blog);
        Sandler et al., "MobileNetV2", CVPR 2018, https://arxiv.org/abs/1801.04381
Blocks: both are flat lists elsewhere and stages in timm, so a flat number n is stage s, place b.

| efficientnet-lite package | timm |
| --- | --- |
| `_conv_stem`, `_bn0` | `conv_stem`, `bn1` |
| `_blocks.n._depthwise_conv`, `_bn1`, `_project_conv`, `_bn2`, s = 0 | `conv_dw bn1 conv_pw bn2` |
| `_blocks.n._expand_conv`, `_bn0`, `_depthwise_conv`, … s > 0 | `conv_pw bn1 conv_dw bn2 …` |
| `_conv_head`, `_bn1`, `_fc` | `conv_head`, `bn2`, `classifier` |

| torchvision's MobileNetV2 | timm |
| --- | --- |
| `features.0.0`, `features.0.1` | `conv_stem`, `bn1` |
| `features.1.conv.0.0`, `0.1`, `1`, `2` | `blocks.0.0.conv_dw`, `bn1`, `conv_pw`, `bn2` |
| `features.n.conv.0.0`, `0.1`, `1.0`, `1.1`, `2`, `3` | `blocks.s.b.conv_pw`, `bn1`, `conv_dw`, … |
| `features.18.0`, `features.18.1`, `classifier.1` | `conv_head`, `bn2`, `classifier` |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

LITE_BLOCKS = {
    "tf_efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "tf_efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "tf_efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
"""Blocks of each stage, by timm's name."""

MOBILENET_BLOCKS = (1, 2, 3, 4, 3, 3, 1)

_LITE_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE_FIRST = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LITE_OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_MOBILENET_TOP = {
    "features.0.0": "conv_stem",
    "features.0.1": "bn1",
    "features.18.0": "conv_head",
    "features.18.1": "bn2",
    "classifier.1": "classifier",
}
_MOBILENET_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
_MOBILENET_OTHERS = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "2": "conv_pwl",
    "3": "bn3",
}


def to_timm(state: Mapping[str, Tensor], encoder: str) -> dict[str, Tensor]:
    """Return `state` under timm's names; a state under names that are not known is as it was.

    Args:
        encoder: timm's name of the network.
    """
    if encoder in LITE_BLOCKS and "_conv_stem.weight" in state:
        return {_lite(name, LITE_BLOCKS[encoder]): tensor for name, tensor in state.items()}
    if encoder == "mobilenetv2_100" and "features.0.0.weight" in state:
        return {_mobilenet(name): tensor for name, tensor in state.items()}
    return dict(state)


def _lite(name: str, blocks: Sequence[int]) -> str:
    module, _, leaf = name.rpartition(".")
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module)
    if match is None:
        return f"{_LITE_TOP.get(module, module)}.{leaf}"
    stage, place = _stage(int(match[1]), blocks)
    table = _LITE_OTHERS if stage else _LITE_FIRST
    return f"blocks.{stage}.{place}.{table.get(match[2], match[2])}.{leaf}"


def _mobilenet(name: str) -> str:
    module, _, leaf = name.rpartition(".")
    match = re.fullmatch(r"features\.(\d+)\.conv\.([\d.]+)", module)
    if match is None:
        return f"{_MOBILENET_TOP.get(module, module)}.{leaf}"
    stage, place = _stage(int(match[1]) - 1, MOBILENET_BLOCKS)
    table = _MOBILENET_OTHERS if stage else _MOBILENET_FIRST
    return f"blocks.{stage}.{place}.{table.get(match[2], match[2])}.{leaf}"


def _stage(number: int, blocks: Sequence[int]) -> tuple[int, int]:
    """Return the stage of a flat block number, and its place there."""
    for stage, count in enumerate(blocks):
        if number < count:
            return stage, number
        number -= count
    return len(blocks), number
