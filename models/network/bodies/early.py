"""Features after the first block of a stage, where a stage's last block is the usual place.

torchvision's LR-ASPP reads its low level behind the block that halves the map, and the blocks after
it serve the deeper levels only. An encoder that was built as usual is changed in place; its tensors
and their names stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.models.mobilenetv3 import MobileNetV3Features
from torch import Tensor, nn

from maskzoo.models.errors import SpecError

OPTION = "early_levels"
"""Key of `ModelSpec.encoder_options` that is this module's and not timm's."""


class EarlyFeatures(MobileNetV3Features):
    """timm's MobileNetV3 whose `early` levels are read after the first block of their stage."""

    early: frozenset[int]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features f1, f2, … of an image."""
        x = self.act1(self.bn1(self.conv_stem(x)))
        features = [x] if 0 in self._stage_out_idx else []
        for stage, blocks in enumerate(self.blocks, start=1):
            first, *others = blocks.children()
            x = first(x)
            is_level = stage in self._stage_out_idx
            is_early = is_level and len(features) + 1 in self.early
            if is_early:
                features.append(x)
            for block in others:
                x = block(x)
            if is_level and not is_early:
                features.append(x)
        return features


def take_early(options: dict[str, Any]) -> tuple[int, ...]:
    """Take the `OPTION` out of an encoder's options; empty where it is not given.

    Raises:
        SpecError: it is not a list of levels.
    """
    levels = options.pop(OPTION, ())
    is_list = isinstance(levels, Sequence) and not isinstance(levels, str)
    if not is_list or any(type(level) is not int or not 1 <= level <= 5 for level in levels):
        raise SpecError(
            "encoder_options", [f"{OPTION} is a list of levels from 1 to 5, given {levels!r}"]
        )
    return tuple(levels)


def read_early(body: nn.Module, levels: Sequence[int]) -> None:
    """Read `levels` of an encoder after the first block of their stages, in place.

    Args:
        body: a timm MobileNetV3, as smp wraps it.
        levels: 1 for f1, and so on.

    Raises:
        SpecError: the network is another one.
    """
    model = getattr(body, "model", None)
    if type(model) is not MobileNetV3Features or model.feature_hooks is not None:
        raise SpecError("encoder_options", [f"{OPTION} is an option of timm's MobileNetV3 only"])
    model.__class__ = EarlyFeatures  # the same tensors
    assert isinstance(model, EarlyFeatures), "it has just become one"
    model.early = frozenset(levels)
