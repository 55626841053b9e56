"""UPerNet as transformers stores it, on ConvNeXt or Swin.

| transformers | maskzoo |
| --- | --- |
| `backbone.hidden_states_norms.stage{i+1}` | `decoder.level_norms.i` |
| `decode_head.psp_modules.i.1`, `bottleneck` | `decoder.ppm.branches.i`, `ppm.bottleneck` |
| `decode_head.lateral_convs.i`, `fpn_convs.i` | `decoder.laterals.i`, `decoder.smooth.i` |
| `decode_head.fpn_bottleneck` | `decoder.fuse` |
| `decode_head.classifier` | `classifier.conv` |
| `auxiliary_head.convs.0`, `classifier` | `decoder.auxiliary.conv`, `auxiliary.classifier.conv` |
| ConvNeXt: `embeddings.patch_embeddings`, `layernorm` | `stem_0`, `stem_1` |
| `encoder.stages.i.downsampling_layer` | `stages_i.downsample` |
| `….layers.j.dwconv`, `layernorm` | `blocks.j.conv_dw`, `norm` |
| `….pwconv1`, `pwconv2` | `mlp.fc1`, `mlp.fc2` |
| `….layer_scale_parameter` | `gamma` |
| Swin: `embeddings.patch_embeddings.projection`, `norm` | `patch_embed.proj`, `norm` |
| `encoder.layers.i.blocks.j.attention.self.query`, `key`, `value` | `layers_i.blocks.j.attn.qkv` |
| `….layernorm_before`, `layernorm_after` | `norm1`, `norm2` |
| `….intermediate.dense`, `output.dense` | `mlp.fc1`, `mlp.fc2` |
| `encoder.layers.i.downsample` | `layers_{i+1}.downsample` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.huggingface.record import ReadNetwork
from maskzoo.models.spec import ModelSpec, Scalar

_BODY = "encoder.body.model."
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_HEAD = {
    "decode_head.bottleneck.": "decoder.ppm.bottleneck.",
    "decode_head.fpn_bottleneck.": "decoder.fuse.",
    "decode_head.classifier.": "classifier.conv.",
    "auxiliary_head.convs.0.": "decoder.auxiliary.conv.",
    "auxiliary_head.classifier.": "decoder.auxiliary.classifier.conv.",
}
_LISTED = {
    r"decode_head\.psp_modules\.(\d)\.1\.": "decoder.ppm.branches.{}.",
    r"decode_head\.lateral_convs\.(\d)\.": "decoder.laterals.{}.",
    r"decode_head\.fpn_convs\.(\d)\.": "decoder.smooth.{}.",
}
_CONVNEXT = {
    "dwconv": "conv_dw",
    "layernorm": "norm",
    "pwconv1": "mlp.fc1",
    "pwconv2": "mlp.fc2",
}
_SWIN = {
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_FIXED: dict[str, dict[str, Any]] = {
    "convnext": {"patch_size": 4, "hidden_act": "gelu"},
    "swin": {
        "patch_size": 4,
        "hidden_act": "gelu",
        "mlp_ratio": 4.0,
        "qkv_bias": True,
        "use_absolute_embeddings": False,
    },
}
_NORM_EPS = {"convnext": 1e-6, "swin": 1e-5}  # of the norms on the levels


def read_upernet(config: Mapping[str, Any], given: Mapping[str, Tensor]) -> ReadNetwork:
    """Return a UPerNet of transformers in our terms.

    Args:
        config: the configuration.
        given: the tensors by transformers' names.

    Raises:
        WeightsError: the configuration has something that maskzoo does not have.
    """
    backbone = config.get("backbone_config") or {}
    kind = str(backbone.get("model_type"))
    _check(config, backbone, kind)
    encoder, options = _ENCODERS[kind](backbone)
    state, left_out = _state(given, kind)
    classifier = state.get("classifier.conv.weight")
    auxiliary = state.get("decoder.auxiliary.conv.conv.weight")
    decoder: dict[str, Scalar] = {
        "channels": int(config.get("hidden_size", 512)),
        "bins": list(config.get("pool_scales", (1, 2, 3, 6))),
        "level_norm_eps": _NORM_EPS[kind],
        "auxiliary": auxiliary is not None,
    }
    if auxiliary is not None:
        decoder["auxiliary_channels"] = len(auxiliary)
    spec = ModelSpec.build(
        architecture="upernet",
        encoder=encoder,
        encoder_options=options,
        num_classes=1 if classifier is None else len(classifier),
        in_channels=int(backbone.get("num_channels", 3)),
        output_stride=32,
        options=decoder,
    )
    told = {"convnext": "ConvNeXt", "swin": "Swin"}[kind]
    description = f"UPerNet on {told} of Hugging Face's transformers"
    return ReadNetwork(spec, state, tuple(left_out), description)


def _check(config: Mapping[str, Any], backbone: Mapping[str, Any], kind: str) -> None:
    if kind not in _FIXED:
        raise WeightsError(
            f"config.json: the backbone_config of this UPerNet is {kind!r}; maskzoo takes "
            f"{' and '.join(map(repr, _FIXED))}"
        )
    wrong = [
        f"backbone_config.{key} is {backbone[key]!r}, needed {value!r}"
        for key, value in _FIXED[kind].items()
        if backbone.get(key, value) != value
    ]
    if backbone.get("out_features", _STAGES) != _STAGES:
        wrong.append(
            f"backbone_config.out_features is {backbone['out_features']}, needed {_STAGES}"
        )
    if config.get("use_auxiliary_head", True):
        wrong += [
            f"{key} is {config[key]!r}, needed {value!r}"
            for key, value in {"auxiliary_num_convs": 1, "auxiliary_concat_input": False}.items()
            if config.get(key, value) != value
        ]
    if wrong:
        raise WeightsError(f"config.json: not a UPerNet of maskzoo: {'; '.join(wrong)}")


def _convnext(backbone: Mapping[str, Any]) -> tuple[str, dict[str, Scalar]]:
    depths = list(backbone.get("depths") or (3, 3, 9, 3))
    widths = list(backbone.get("hidden_sizes") or (96, 192, 384, 768))
    return "tu-convnext_tiny", {"depths": depths, "dims": widths}


def _swin(backbone: Mapping[str, Any]) -> tuple[str, dict[str, Scalar]]:
    return "tu-swin_tiny_patch4_window7_224", {
        "embed_dim": int(backbone.get("embed_dim", 96)),
        "depths": list(backbone.get("depths", (2, 2, 6, 2))),
        "num_heads": list(backbone.get("num_heads", (3, 6, 12, 24))),
        "window_size": int(backbone.get("window_size", 7)),
        "always_partition": True,
    }


_ENCODERS: dict[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Scalar]]]] = {
    "convnext": _convnext,
    "swin": _swin,
}


def _state(given: Mapping[str, Tensor], kind: str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by our names, and those that are left out with the reason."""
    state: dict[str, Tensor] = {}
    left_out = []
    for key, tensor in given.items():
        if key.endswith("relative_position_index"):
            left_out.append(f"{key} (is computed)")
        elif re.search(r"^backbone\.(swin\.)?layernorm\.", key):
            left_out.append(f"{key} (behind the last stage; UPerNet reads the stages)")
        elif re.search(r"\.self\.(key|value)\.\w+$", key):
            continue  # joined with the query
        elif ".self.query." in key:
            parts = [given.get(key.replace("query", part)) for part in ("query", "key", "value")]
            joined = torch.cat([part for part in parts if part is not None])
            state[_renamed(key.replace("attention.self.query", "attn.qkv"), kind)] = joined
        else:
            state[_renamed(key, kind)] = tensor
    return state, left_out


def _renamed(key: str, kind: str) -> str:
    """Return our name of a tensor; one without a place keeps its own, which is refused later."""
    named = key.replace(".batch_norm.", ".norm.")
    for theirs, ours in _HEAD.items():
        if named.startswith(theirs):
            return ours + named.removeprefix(theirs)
    for pattern, ours in _LISTED.items():
        found = re.match(pattern, named)
        if found is not None:
            return ours.format(found[1]) + named[found.end() :]
    norm = re.fullmatch(r"backbone\.hidden_states_norms\.stage([1-4])\.(\w+)", key)
    if norm is not None:
        return f"decoder.level_norms.{int(norm[1]) - 1}.{norm[2]}"
    inside = re.sub(r"^backbone\.(swin\.)?", "", key)
    own = _convnext_name(inside) if kind == "convnext" else _swin_name(inside)
    return key if own is None else _BODY + own


def _convnext_name(key: str) -> str | None:
    stem = re.fullmatch(r"embeddings\.(patch_embeddings|layernorm)\.(\w+)", key)
    if stem is not None:
        return f"stem_{int(stem[1] == 'layernorm')}.{stem[2]}"
    down = re.fullmatch(r"encoder\.stages\.(\d)\.downsampling_layer\.([01])\.(\w+)", key)
    if down is not None:
        return f"stages_{down[1]}.downsample.{down[2]}.{down[3]}"
    block = re.fullmatch(r"encoder\.stages\.(\d)\.layers\.(\d+)\.(\w+)(?:\.(\w+))?", key)
    if block is None:
        return None
    place = f"stages_{block[1]}.blocks.{block[2]}."
    if block[3] == "layer_scale_parameter":
        return f"{place}gamma"
    return f"{place}{_CONVNEXT.get(block[3], block[3])}.{block[4]}"


def _swin_name(key: str) -> str | None:
    stem = re.fullmatch(r"embeddings\.(patch_embeddings\.projection|norm)\.(\w+)", key)
    if stem is not None:
        return f"patch_embed.{'norm' if stem[1] == 'norm' else 'proj'}.{stem[2]}"
    down = re.fullmatch(r"encoder\.layers\.(\d)\.downsample\.(\w+)\.(\w+)", key)
    if down is not None:
        return f"layers_{int(down[1]) + 1}.downsample.{down[2]}.{down[3]}"
    block = re.fullmatch(r"encoder\.layers\.(\d)\.blocks\.(\d+)\.(.+)\.(\w+)", key)
    if block is None:
        return None
    place = f"layers_{block[1]}.blocks.{block[2]}."
    if block[4] == "relative_position_bias_table":
        return f"{place}attn.relative_position_bias_table"
    return f"{place}{_SWIN.get(block[3], block[3])}.{block[4]}"
