"""mmsegmentation's ResNets as timm's: V1c, V1d and plain, of any depth and width.

| mmsegmentation | stem | shortcut of a stage | timm |
| --- | --- | --- | --- |
| `ResNet`, the "b" models | 7x7 | convolution | `resnet50` |
| `ResNetV1c` | three 3x3 | convolution | `resnet50c` |
| `ResNetV1d` | three 3x3 | average pooling, convolution | `resnet50d` |

The kind, depth and widths are read from the weights; strides and dilations are not in them and are
read from the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.section import Section
from maskzoo.models.spec import Scalar

_WIDTHS = [64, 128, 256, 512]
_STEM = {f"stem.{index}": f"conv1.{index}" for index in (0, 1, 3, 4, 6)} | {"stem.7": "bn1"}
_NAMES: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "18",
    (False, (3, 4, 6, 3)): "34",
    (True, (3, 4, 6, 3)): "50",
    (True, (3, 4, 23, 3)): "101",
    (True, (3, 8, 36, 3)): "152",
}
# Output stride -> the strides of the stages, and the dilations that timm builds by itself.
_STRIDES: dict[tuple[int, ...], Literal[8, 16, 32]] = {
    (1, 2, 1, 1): 8,
    (1, 2, 2, 1): 16,
    (1, 2, 2, 2): 32,
}
_OWN_DILATIONS = {8: (1, 1, 2, 4), 16: (1, 1, 1, 2), 32: (1, 1, 1, 1)}


@dataclass(frozen=True)
class BackboneMap:
    """A backbone in our terms.

    Args:
        encoder: its name in maskzoo.
        options: of the encoder.
        output_stride: of the encoder.
        names: beginnings of the backbone's tensors' names -> those within timm's network.
    """

    encoder: str
    output_stride: Literal[8, 16, 32]
    options: dict[str, Scalar] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def read_resnet(settings: Section, state: Mapping[str, Tensor]) -> BackboneMap:
    """Read a ResNet.

    Args:
        settings: of the backbone.
        state: its tensors, by their names within it.

    Raises:
        WeightsError: strides or options that maskzoo has no network for.
    """
    kind = settings.word("type", "ResNetV1c", ("ResNet", "ResNetV1c", "ResNetV1d"))
    settings.skip("depth", "base_channels", "stem_channels", "num_stages", "in_channels")
    settings.skip("deep_stem", "avg_down")  # as the weights have them
    settings.word("style", "pytorch", ("pytorch",))
    if settings.counts("out_indices", (0, 1, 2, 3)) != (0, 1, 2, 3):
        raise WeightsError("backbone.out_indices must be (0, 1, 2, 3)")
    strides = settings.counts("strides", (1, 2, 2, 2))
    if strides not in _STRIDES:
        raise WeightsError(
            f"backbone.strides are {strides}; maskzoo has {' or '.join(map(str, _STRIDES))}"
        )
    blocks = tuple(_count_blocks(state, stage) for stage in range(1, 5))
    is_bottleneck = "layer1.0.conv3.weight" in state
    is_deep, is_averaged = "stem.0.weight" in state, _is_averaged(state)
    if is_deep != (kind != "ResNet") or is_averaged != (kind == "ResNetV1d"):
        raise WeightsError(f"backbone.type is {kind!r}, and the weights are of another ResNet")
    encoder, options = _name(blocks, is_bottleneck, is_deep=is_deep, is_averaged=is_averaged)
    widths = [_width(state, f"layer{stage}.0.conv1.weight") for stage in range(1, 5)]
    if widths != _WIDTHS:
        options["channels"] = widths
    if is_deep:
        stem = _width(state, "stem.0.weight")
        if stem != 32 or encoder == "tu-resnet18":
            options["stem_width"] = stem
    stride = _STRIDES[strides]
    options.update(_dilations(settings, stride, is_plain=is_bottleneck and not is_averaged))
    return BackboneMap(encoder, stride, options, _STEM)


def _name(
    blocks: tuple[int, ...], is_bottleneck: bool, *, is_deep: bool, is_averaged: bool
) -> tuple[str, dict[str, Scalar]]:
    """Return timm's name of a ResNet, and the options that it needs beside."""
    options: dict[str, Scalar] = {}
    depth = _NAMES.get((is_bottleneck, blocks))
    if depth is None:
        depth, options["layers"] = ("50" if is_bottleneck else "18"), list(blocks)
    if is_averaged:
        return f"tu-resnet{depth}d", options
    if not is_deep:
        return f"tu-resnet{depth}", options
    if is_bottleneck:
        return f"tu-resnet{depth}c", options
    return f"tu-resnet{depth}", {**options, "stem_type": "deep"}  # timm has no 18c and 34c


def _dilations(settings: Section, stride: int, *, is_plain: bool) -> dict[str, Scalar]:
    """Return the encoder's options for the dilations; none where timm builds the same.

    Args:
        is_plain: whether the blocks are those that timm dilates as mmsegmentation does.
    """
    stages = settings.counts("dilations", (1, 1, 1, 1))
    grid = settings.counts("multi_grid", ())
    contracts = settings.flag("contract_dilation", False)
    undilated = all(dilation == 1 for dilation in stages)
    is_own = undilated or (contracts and is_plain)
    if not grid and is_own and stages == _OWN_DILATIONS[stride]:
        return {}
    options: dict[str, Scalar] = {"dilations": list(stages)}
    if grid:
        options["multi_grid"] = list(grid)
    if not contracts:
        options["contract_dilation"] = False
    return options


def _count_blocks(state: Mapping[str, Tensor], stage: int) -> int:
    numbers = {key.split(".")[1] for key in state if key.startswith(f"layer{stage}.")}
    if not numbers:
        raise WeightsError(f"the backbone has no layer{stage}, so it is not a ResNet")
    return len(numbers)


def _width(state: Mapping[str, Tensor], name: str) -> int:
    if name not in state or not state[name].dim():
        raise WeightsError(f"the backbone has no {name}, so it is not a ResNet")
    return int(state[name].shape[0])


def _is_averaged(state: Mapping[str, Tensor]) -> bool:
    """Tell whether the shortcut that halves begins with an average: V1d."""
    return "layer2.0.downsample.2.weight" in state
