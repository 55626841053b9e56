"""smp's DPT as our architecture `dpt`: the same parts under other names.

| smp | maskzoo |
| --- | --- |
| `encoder.model` | `encoder.body.model.model` |
| `decoder.projection_blocks.i.project.0`, a linear layer | `decoder.levels.i.readout.0`, 1 x 1 |
| `decoder.reassemble_blocks.i.project_to_out_channel` | `decoder.levels.i.project` |
| `….upsample`, `….project_to_feature_dim` | `decoder.levels.i.rescale`, `fit` |
| `decoder.fusion_blocks.i`, deepest first | `decoder.fusions.(3 - i)` |
| `….residual_conv_block1.conv_1`, `batch_norm_1` | `before.first.conv`, `before.first.norm` |
| `segmentation_head.head.0`, `.1`, `.4` | `decoder.head.conv`, `.norm`, `classifier.conv` |

smp's encoder is the whole classifier of timm: what lies behind the last depth is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.smp.arguments import Arguments, scalar
from maskzoo.models.spec import ModelSpec, Scalar

_DEPTHS = 4
_BEHIND = re.compile(r"encoder\.model\.(norm|fc_norm|head|head_dist)\.")
_BLOCK = re.compile(r"encoder\.model\.blocks\.(\d+)\.")
_UNITS = {
    "residual_conv_block1.conv_1.": "before.first.conv.",
    "residual_conv_block1.batch_norm_1.": "before.first.norm.",
    "residual_conv_block1.conv_2.": "before.second.conv.",
    "residual_conv_block1.batch_norm_2.": "before.second.norm.",
    "residual_conv_block2.conv_1.": "after.first.conv.",
    "residual_conv_block2.batch_norm_1.": "after.first.norm.",
    "residual_conv_block2.conv_2.": "after.second.conv.",
    "residual_conv_block2.batch_norm_2.": "after.second.norm.",
    "project.": "project.",
}
_PARTS = {
    "project_to_out_channel": "project",
    "upsample": "rescale",
    "project_to_feature_dim": "fit",
}
_HEAD = {
    "segmentation_head.head.0.": "decoder.head.conv.",
    "segmentation_head.head.1.": "decoder.head.norm.",
    "segmentation_head.head.4.": "classifier.conv.",
}


def dpt_spec(arguments: Arguments, notes: list[str]) -> ModelSpec:
    """Return the network of smp's DPT.

    Raises:
        WeightsError: the encoder is not a plain transformer, or other than four depths are read.
    """
    encoder = str(arguments.take("encoder_name", "tu-vit_base_patch16_224.augreg_in21k"))
    depth = int(arguments.take("encoder_depth", _DEPTHS))
    if depth != _DEPTHS:
        raise WeightsError(f"encoder_depth {depth}: maskzoo's DPT reads {_DEPTHS} depths")
    _check_plain(encoder)
    arguments.take_left_out(notes)
    options: dict[str, Scalar] = {"align_corners": True, "dropout": 0.0}
    options["readout"] = str(arguments.take("decoder_readout", "cat"))
    options["channels"] = scalar(arguments.take("decoder_fusion_channels", 256))
    widths = arguments.take("decoder_intermediate_channels", (256, 512, 1024, 1024))
    options["widths"] = scalar(widths)
    channels = int(arguments.take("in_channels", 3))
    indices = arguments.take("encoder_output_indices", None)
    encoder_options = arguments.take_others()
    if indices is not None:
        encoder_options["out_indices"] = scalar(indices)
    return ModelSpec.build(
        architecture="dpt",
        encoder=encoder,
        encoder_options=encoder_options,
        num_classes=max(2, arguments.classes),
        in_channels=channels,
        output_stride=32,
        options=options,
    )


def dpt_state(given: Mapping[str, Tensor], spec: ModelSpec) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by our names, and those that are left out with the reason."""
    last = _last_block(given, spec.encoder_options)
    state: dict[str, Tensor] = {}
    left_out = []
    for key, tensor in given.items():
        block = _BLOCK.match(key)
        if _BEHIND.match(key) or (block is not None and int(block[1]) > last):
            left_out.append(f"{key} (behind the last depth)")
        elif key.startswith("classification_head."):
            left_out.append(f"{key} (the classification head)")
        else:
            name = dpt_name(key)
            is_readout = ".readout." in name and tensor.dim() == 2
            state[name] = tensor[:, :, None, None] if is_readout else tensor
    return state, left_out


def _check_plain(encoder: str) -> None:
    """Raise unless timm's network has one stride at every depth."""
    name = encoder.removeprefix("tu-")
    if not encoder.startswith("tu-") or not timm.is_model(name):
        return  # is refused by its name when the network is built
    with torch.device("meta"):
        info: Any = timm.create_model(name).feature_info
    strides = {stage["reduction"] for stage in info}
    if len(strides) > 1:
        raise WeightsError(
            f"encoder {encoder!r} of this DPT has strides {sorted(strides)}; maskzoo imports DPT "
            "on plain vision transformers, whose depths all have one stride"
        )


def _last_block(given: Mapping[str, Tensor], options: Mapping[str, Any]) -> int:
    """Return the deepest block that is read."""
    blocks = [int(found[1]) for key in given if (found := _BLOCK.match(key)) is not None]
    count = max(blocks, default=-1) + 1
    indices = options.get("out_indices")
    if not indices:
        return count - 1
    return int(max(index % count for index in indices))


def dpt_name(key: str) -> str:
    """Return our name of a tensor; one without a place keeps its own, which is refused later."""
    for theirs, ours in _HEAD.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    if key.startswith("encoder.model."):
        return "encoder.body.model.model." + key.removeprefix("encoder.model.")
    readout = re.fullmatch(r"decoder\.projection_blocks\.(\d)\.project\.0\.(\w+)", key)
    if readout is not None:
        return f"decoder.levels.{readout[1]}.readout.0.{readout[2]}"
    level = re.fullmatch(r"decoder\.reassemble_blocks\.(\d)\.(\w+)\.(\w+)", key)
    if level is not None and level[2] in _PARTS:
        return f"decoder.levels.{level[1]}.{_PARTS[level[2]]}.{level[3]}"
    fusion = re.fullmatch(r"decoder\.fusion_blocks\.(\d)\.(.+)", key)
    if fusion is not None:
        for theirs, ours in _UNITS.items():
            if fusion[2].startswith(theirs):
                leaf = fusion[2].removeprefix(theirs)
                return f"decoder.fusions.{_DEPTHS - 1 - int(fusion[1])}.{ours}{leaf}"
    return key
