"""Checkpoints in the layout of mmsegmentation, tiny and with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CLASSES = ("road", "sky", "tree")
PALETTE = [[128, 64, 128], [70, 130, 180], [107, 142, 35]]


def batch_norm(name: str, width: int) -> dict[str, Tensor]:
    """Return the tensors of a batch norm."""
    return {
        f"{name}.weight": torch.rand(width) + 0.5,
        f"{name}.bias": torch.randn(width) / 8,
        f"{name}.running_mean": torch.randn(width) / 8,
        f"{name}.running_var": torch.rand(width) + 0.5,
        f"{name}.num_batches_tracked": torch.tensor(3),
    }


def conv(name: str, out: int, into: int, side: int = 1, *, bias: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a convolution."""
    weight = torch.randn(out, into, side, side) / (into * side * side) ** 0.5
    biases = {f"{name}.bias": torch.randn(out) / 8} if bias else {}
    return {f"{name}.weight": weight, **biases}


def conv_module(name: str, out: int, into: int, side: int = 1) -> dict[str, Tensor]:
    """Return the tensors of a ConvModule: convolution and batch norm."""
    return {**conv(f"{name}.conv", out, into, side), **batch_norm(f"{name}.bn", out)}


def resnet(
    kind: str = "ResNetV1c",
    blocks: tuple[int, ...] = (1, 1, 1, 1),
    widths: tuple[int, ...] = (4, 4, 8, 16),
    *,
    bottleneck: bool = False,
    stem: int = 4,
) -> dict[str, Tensor]:
    """Return the tensors of a ResNet under `backbone.`; `stem` is the width before the stages."""
    state: dict[str, Tensor] = {}
    if kind == "ResNet":
        stem = 64  # timm's, whatever the widths
        state |= {**conv("conv1", stem, 3, 7), **batch_norm("bn1", stem)}
    else:
        half = stem // 2
        for index, (out, into) in enumerate(((half, 3), (half, half), (stem, half))):
            state |= conv(f"stem.{3 * index}", out, into, 3)
            state |= batch_norm(f"stem.{3 * index + 1}", out)
    expansion = 4 if bottleneck else 1
    into = stem
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for block in range(count):
            name, out = f"layer{stage + 1}.{block}", width * expansion
            sides = (1, 3, 1) if bottleneck else (3, 3)
            outs = (width, width, out) if bottleneck else (out, out)
            for index, (side, to) in enumerate(zip(sides, outs, strict=True), start=1):
                state |= conv(f"{name}.conv{index}", to, into if index == 1 else width, side)
                state |= batch_norm(f"{name}.bn{index}", to)
            if block == 0 and (stage > 0 or out != into):
                first = 1 if kind == "ResNetV1d" else 0
                state |= conv(f"{name}.downsample.{first}", out, into)
                state |= batch_norm(f"{name}.downsample.{first + 1}", out)
            into = out
    return {f"backbone.{key}": tensor for key, tensor in state.items()}


def fcn_head(into: int = 16, aux_into: int = 8, width: int = 4) -> dict[str, Tensor]:
    """Return the tensors of an FCNHead of one convolution and of an auxiliary head."""
    return {
        **conv("decode_head.conv_seg", len(CLASSES), width, bias=True),
        **conv_module("decode_head.convs.0", width, into, 3),
        **conv("auxiliary_head.conv_seg", len(CLASSES), width, bias=True),
        **conv_module("auxiliary_head.convs.0", width, aux_into, 3),
    }


def config(*, backbone: str = "", head: str = "", more: str = "") -> str:
    """Return the text of a configuration of an FCN; arguments are further settings of a part."""
    return f"""
model = dict(
    type='EncoderDecoder',
    pretrained='open-mmlab://resnet18_v1c',
    backbone=dict(
        type='ResNetV1c', depth=18, num_stages=4, out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1),
        norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False, style='pytorch',
        contract_dilation=True, {backbone}),
    decode_head=dict(
        type='FCNHead', in_channels=8, in_index=3, channels=4, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=3, norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=True, loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0), {head}),
    auxiliary_head=dict(
        type='FCNHead', in_channels=8, in_index=2, channels=4, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=3, norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=True, loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(), test_cfg=dict(mode='slide', crop_size=(128, 128), stride=(85, 85)))
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
crop_size = (128, 256)
optimizer = dict(type='SGD', lr=0.01)
{more}
"""


def meta(text: str | None) -> dict[str, Any]:
    """Return the `meta` of a checkpoint of mmsegmentation 0.x."""
    return {"mmseg_version": "0.30.0", "config": text, "CLASSES": CLASSES, "PALETTE": PALETTE}


def write(path: Path, state: dict[str, Tensor], text: str | None) -> Path:
    """Write a checkpoint of mmsegmentation 0.x."""
    torch.save({"meta": meta(text), "state_dict": state, "optimizer": {}}, path)
    return path
