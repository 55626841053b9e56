"""Strides and dilations of an encoder's stages, block by block, as other libraries set them.

timm dilates every 3x3 convolution of a stage that keeps its size. mmsegmentation differs in three
ways, all of which published checkpoints use:

    basic blocks   only the first of the two convolutions is dilated
    multi-grid     the blocks of the last stage have a dilation each (Chen et al. 2017, section
                   3.1, https://arxiv.org/abs/1706.05587), in place of the stage's
    strides        a stage may be dilated although it halves its map

The first block of a dilated stage has half of the stage's dilation (`contract`), as in timm and
torchvision; in smp it has all of it, and basic blocks dilate both of their convolutions (`both`).

Beside ResNets, networks of inverted residuals (MobileNetV2 and V3, EfficientNet without
TensorFlow's padding) are taken: a block that halves its map begins a stage. torchvision's
MobileNetV3 gives the first block of its dilated stage all of the dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from timm.models.resnet import BasicBlock, Bottleneck
from torch import nn

from maskzoo.models.errors import SpecError

OPTIONS = ("dilations", "multi_grid", "contract_dilation", "dilate_both")
"""Keys of `ModelSpec.encoder_options` that are this module's and not timm's."""

_STRIDES = (4, 8, 16, 32)  # of the four stages, where none keeps its size

Block = BasicBlock | Bottleneck | DepthwiseSeparableConv | InvertedResidual


@dataclass(frozen=True)
class Dilation:
    """How the stages of an encoder are dilated.

    Args:
        stages: of each of the four stages.
        multi_grid: of each block of the last stage, in place of the stage's; empty for none.
        contract: whether the first block of a dilated stage has half of its dilation.
        both: whether the second convolution of a basic block is dilated too.
    """

    stages: tuple[int, ...]
    multi_grid: tuple[int, ...] = ()
    contract: bool = True
    both: bool = False

    def of_blocks(self, stage: int, count: int) -> tuple[int, ...]:
        """Return the dilation of each of the `count` blocks of a stage, counted from 0."""
        dilation = self.stages[stage]
        if stage == len(self.stages) - 1 and self.multi_grid:
            return self.multi_grid
        first = dilation // 2 if self.contract and dilation > 1 else dilation
        return (first,) + (dilation,) * (count - 1)


def take_dilation(options: dict[str, Any]) -> Dilation | None:
    """Take the `OPTIONS` out of an encoder's options; None where no dilations are given.

    Raises:
        SpecError: they are not four whole numbers, or the others come without them.
    """
    given = {key: options.pop(key) for key in OPTIONS if key in options}
    if not given:
        return None
    mistakes = []
    stages, grid = given.get("dilations", ()), given.get("multi_grid", ())
    if not _are_counts(stages) or len(stages) != len(_STRIDES):
        mistakes.append(f"dilations are four whole numbers from 1 on, given {stages!r}")
    if not _are_counts(grid):
        mistakes.append(f"multi_grid is a list of whole numbers from 1 on, given {grid!r}")
    contract = given.get("contract_dilation", True)
    if not isinstance(contract, bool):
        mistakes.append(f"contract_dilation is true or false, given {contract!r}")
    both = given.get("dilate_both", False)
    if not isinstance(both, bool):
        mistakes.append(f"dilate_both is true or false, given {both!r}")
    if mistakes:
        raise SpecError("encoder_options", mistakes)
    return Dilation(tuple(stages), tuple(grid), contract, both)


def dilate(body: nn.Module, dilation: Dilation, output_stride: int) -> None:
    """Set the strides and dilations of an encoder that was built without any, in place.

    Args:
        body: a timm network of output stride 32, as smp wraps it: a ResNet, or one of inverted
            residuals.
        output_stride: stages of a larger stride keep the size of their input.

    Raises:
        SpecError: the network is neither, or `multi_grid` does not fit its last stage.
    """
    for index, blocks in enumerate(_stages(body)):
        values = dilation.of_blocks(index, len(blocks))
        if len(values) != len(blocks):
            raise SpecError(
                "encoder_options",
                [f"multi_grid has {len(values)} numbers, the last stage {len(blocks)} blocks"],
            )
        for place, (block, value) in enumerate(zip(blocks, values, strict=True)):
            if place == 0 and _STRIDES[index] > output_stride:
                _keep_size(block)
            for convolution in _spatial(block, both=dilation.both):
                side = convolution.kernel_size[0]
                convolution.dilation = (value, value)
                convolution.padding = (value * (side // 2), value * (side // 2))


def _stages(body: nn.Module) -> list[list[Block]]:
    """Return the blocks of the four stages."""
    model = getattr(body, "model", None)
    layers = [getattr(model, f"layer{n}", None) for n in range(1, 5)]
    if all(isinstance(layer, nn.Sequential) for layer in layers):
        return [
            [block for block in layer.children() if isinstance(block, BasicBlock | Bottleneck)]
            for layer in layers
            if layer is not None
        ]
    stages: list[list[Block]] = [[] for _ in _STRIDES]
    stride = 2  # of the stem
    for block in getattr(model, "blocks", nn.Sequential()).modules():
        if isinstance(block, DepthwiseSeparableConv | InvertedResidual):
            stride *= block.conv_dw.stride[0]
            if stride in _STRIDES:
                stages[_STRIDES.index(stride)].append(block)
    convolutions = [c for stage in stages for block in stage for c in _spatial(block, both=False)]
    if not all(stages) or any(type(c) is not nn.Conv2d for c in convolutions):
        raise SpecError(
            "encoder_options",
            ["dilations are an option of timm's ResNets, MobileNets and EfficientNets (no tf_)"],
        )
    return stages


def _spatial(block: Block, *, both: bool) -> list[nn.Conv2d]:
    """Return the convolutions of a block that a dilation widens."""
    if isinstance(block, BasicBlock):
        return [block.conv1, block.conv2] if both else [block.conv1]
    return [block.conv2 if isinstance(block, Bottleneck) else block.conv_dw]


def _keep_size(block: Block) -> None:
    """Give the first block of a stage stride 1; where no channels change, a plain shortcut too."""
    if isinstance(block, DepthwiseSeparableConv | InvertedResidual):
        block.conv_dw.stride = (1, 1)
        return
    convolution, last = (
        (block.conv1, block.conv2) if isinstance(block, BasicBlock) else (block.conv2, block.conv3)
    )
    convolution.stride = (1, 1)
    if block.downsample is None:
        return
    if block.conv1.in_channels == last.out_channels:
        block.downsample = None
        return
    for place, part in block.downsample.named_children():
        if isinstance(part, nn.Conv2d):
            part.stride = (1, 1)
        elif isinstance(part, nn.AvgPool2d):
            setattr(block.downsample, place, nn.Identity())


def _are_counts(values: Any) -> bool:
    return isinstance(values, Sequence) and all(
        type(value) is int and value >= 1 for value in values
    )
