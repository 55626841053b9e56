"""SegFormer as transformers stores it.

| transformers | maskzoo |
| --- | --- |
| `segformer.encoder.patch_embeddings.i.proj`, `layer_norm` | `patch_embed{i+1}.proj`, `norm` |
| `segformer.encoder.block.i.j.layer_norm_1`, `layer_norm_2` | `block{i+1}.j.norm1`, `norm2` |
| `….attention.self.query`; `key` and `value` | `attn.q`; `attn.kv` |
| `….attention.self.sr`, `layer_norm` | `attn.sr`, `norm` |
| `….attention.output.dense`, `mlp.dense1`, `mlp.dense2` | `attn.proj`, `mlp.fc1`, `mlp.fc2` |
| `segformer.encoder.layer_norm.i` | `norm{i+1}` |
| `decode_head.linear_c.i.proj`, i = 3, 2, 1, 0 | `decoder.linears.0` … `3` |
| `decode_head.linear_fuse`, `batch_norm` | `decoder.fuse.conv`, `norm` |
| `decode_head.classifier` | `classifier.conv` |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.huggingface.record import ReadNetwork
from maskzoo.models.spec import ModelSpec

_BODY = "encoder.body."
_NARROW, _WIDE = (32, 64, 160, 256), (64, 128, 320, 512)
_ENCODERS = {
    (_NARROW, (2, 2, 2, 2)): "mit_b0",
    (_WIDE, (2, 2, 2, 2)): "mit_b1",
    (_WIDE, (3, 4, 6, 3)): "mit_b2",
    (_WIDE, (3, 4, 18, 3)): "mit_b3",
    (_WIDE, (3, 8, 27, 3)): "mit_b4",
    (_WIDE, (3, 6, 40, 3)): "mit_b5",
}
_FIXED = {
    "sr_ratios": [8, 4, 2, 1],
    "patch_sizes": [7, 3, 3, 3],
    "strides": [4, 2, 2, 2],
    "num_attention_heads": [1, 2, 5, 8],
    "mlp_ratios": [4, 4, 4, 4],
    "hidden_act": "gelu",
    "reshape_last_stage": True,
}
"""Settings that all Mix Transformers share."""

_LAYERS = {
    "layer_norm_1": "norm1",
    "layer_norm_2": "norm2",
    "attention.self.query": "attn.q",
    "attention.self.sr": "attn.sr",
    "attention.self.layer_norm": "attn.norm",
    "attention.output.dense": "attn.proj",
    "mlp.dense1": "mlp.fc1",
    "mlp.dense2": "mlp.fc2",
    "mlp.dwconv.dwconv": "mlp.dwconv.dwconv",
}
_HEAD = {
    "decode_head.linear_fuse.": "decoder.fuse.conv.",
    "decode_head.batch_norm.": "decoder.fuse.norm.",
    "decode_head.classifier.": "classifier.conv.",
}


def read_segformer(config: Mapping[str, Any], given: Mapping[str, Tensor]) -> ReadNetwork:
    """Return a SegFormer of transformers in our terms.

    Args:
        config: the configuration.
        given: the tensors by transformers' names.

    Raises:
        WeightsError: the configuration has something that maskzoo does not have.
    """
    encoder = _encoder(config)
    state, left_out = _state(given)
    classifier = state.get("classifier.conv.weight")
    spec = ModelSpec.build(
        architecture="segformer",
        encoder=encoder,
        num_classes=1 if classifier is None else len(classifier),
        in_channels=int(config.get("num_channels", 3)),
        output_stride=32,
        options={"channels": int(config.get("decoder_hidden_size", 256))},
    )
    return ReadNetwork(
        spec,
        state,
        tuple(left_out),
        description="SegFormer of Hugging Face's transformers",
        notes=("the code of its encoder in smp is NVIDIA's, for non-commercial use",),
    )


def _encoder(config: Mapping[str, Any]) -> str:
    wrong = [
        f"{key} is {config[key]!r}, needed {value!r}"
        for key, value in _FIXED.items()
        if config.get(key, value) != value
    ]
    widths = tuple(config.get("hidden_sizes", _NARROW))
    depths = tuple(config.get("depths", (2, 2, 2, 2)))
    if (widths, depths) not in _ENCODERS:
        wrong.append(f"hidden_sizes {widths} and depths {depths} are not those of B0 to B5")
    if wrong:
        raise WeightsError(f"config.json: not a Mix Transformer of maskzoo: {'; '.join(wrong)}")
    return _ENCODERS[widths, depths]


def _state(given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors by our names, and those that are left out with the reason."""
    state: dict[str, Tensor] = {}
    left_out = []
    for key, tensor in given.items():
        level = re.fullmatch(r"decode_head\.linear_c\.([0-3])\.proj\.(weight|bias)", key)
        if key.startswith("classifier."):
            left_out.append(f"{key} (the classifier of whole images)")
        elif key.endswith((".self.value.weight", ".self.value.bias")):
            continue  # joined with the key
        elif level is not None:
            shaped = tensor[:, :, None, None] if tensor.dim() == 2 else tensor
            state[f"decoder.linears.{3 - int(level[1])}.{level[2]}"] = shaped
        elif ".attention.self.key." in key:
            value = given.get(key.replace(".self.key.", ".self.value."))
            joined = tensor if value is None else torch.cat([tensor, value])
            state[_renamed(key.replace("attention.self.key", "attn.kv"))] = joined
        else:
            state[_renamed(key)] = tensor
    return state, left_out


def _renamed(key: str) -> str:
    """Return our name of a tensor; one without a place keeps its own, which is refused later."""
    for theirs, ours in _HEAD.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    inside = key.removeprefix("segformer.encoder.")
    patch = re.fullmatch(r"patch_embeddings\.(\d)\.(proj|layer_norm)\.(\w+)", inside)
    if patch is not None:
        name = "proj" if patch[2] == "proj" else "norm"
        return f"{_BODY}patch_embed{int(patch[1]) + 1}.{name}.{patch[3]}"
    norm = re.fullmatch(r"layer_norm\.(\d)\.(\w+)", inside)
    if norm is not None:
        return f"{_BODY}norm{int(norm[1]) + 1}.{norm[2]}"
    block = re.fullmatch(r"block\.(\d)\.(\d+)\.(.+)\.(\w+)", inside)
    if block is not None:
        layer = _LAYERS.get(block[3], block[3])
        return f"{_BODY}block{int(block[1]) + 1}.{block[2]}.{layer}.{block[4]}"
    return key
