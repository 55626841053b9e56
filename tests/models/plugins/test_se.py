"""Squeeze-and-Excitation against its formula, timm, torchvision and mmsegmentation."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from timm.layers import SEModule
from torchvision.ops import SqueezeExcitation as TorchvisionSE

from maskzoo.models.plugins.se import SqueezeExcitation


def test_equals_the_formula():
    se = SqueezeExcitation(32, reduction=4).double()
    x = torch.randn(2, 32, 5, 7, dtype=torch.float64)
    squeeze, excite = se.squeeze.weight.flatten(1), se.excite.weight.flatten(1)
    gate = (x.mean((2, 3)) @ squeeze.T).relu() @ excite.T
    torch.testing.assert_close(se(x), x * gate.sigmoid()[:, :, None, None], atol=1e-12, rtol=0)


def test_equals_timm():
    ours, theirs = SqueezeExcitation(64), SEModule(64, rd_ratio=1 / 16, rd_divisor=1, bias=False)
    theirs.fc1.weight, theirs.fc2.weight = ours.squeeze.weight, ours.excite.weight
    x = torch.randn(2, 64, 7, 9)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


def test_equals_torchvision_with_biases():
    ours, theirs = SqueezeExcitation(64, bias=True), TorchvisionSE(64, 4)
    theirs.fc1, theirs.fc2 = ours.squeeze, ours.excite
    x = torch.randn(2, 64, 7, 9)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)
    assert sum(p.numel() for p in ours.parameters()) == 580


def test_equals_the_layer_of_mmsegmentation_up_to_its_gate(shared):
    """mmsegmentation's gate is a hard sigmoid: the scores before it are compared."""
    folder = shared / "references" / "modules"
    state = torch.load(folder / "mmseg_SELayer.pth", weights_only=True)
    state = state.get("state_dict", state)
    io = load_file(folder / "mmseg_SELayer_io.safetensors")
    se = SqueezeExcitation(32, reduction=4, bias=True)
    for ours, theirs in (("squeeze", "conv1.conv"), ("excite", "conv2.conv")):
        for tensor in ("weight", "bias"):
            getattr(se, ours).get_parameter(tensor).data = state[f"{theirs}.{tensor}"]
    x = io["input"]
    scores = se.excite(se.act(se.squeeze(x.mean((2, 3), keepdim=True))))
    hard_gate = ((scores + 3) / 6).clamp(0, 1)
    torch.testing.assert_close(x * hard_gate, io["output"], atol=1e-5, rtol=0)


def test_a_zero_second_layer_halves_the_input_exactly():
    se = SqueezeExcitation(16)
    torch.nn.init.zeros_(se.excite.weight)
    x = torch.randn(2, 16, 3, 4)
    assert torch.equal(se(x), 0.5 * x)


def test_moving_pixels_about_moves_the_output_along():
    se = SqueezeExcitation(16).double()
    x = torch.randn(1, 16, 3, 4, dtype=torch.float64)
    order = torch.randperm(12)
    moved = x.flatten(2)[..., order].view_as(x)
    torch.testing.assert_close(se(moved), se(x).flatten(2)[..., order].view_as(x))


@pytest.mark.parametrize("channels", [1, 8, 15])
def test_mistake_no_hidden_channel_when_there_are_fewer_channels_than_the_reduction(channels):
    se = SqueezeExcitation(channels, reduction=16)
    assert se.squeeze.out_channels == 1
    torch.nn.init.ones_(se.squeeze.weight)
    x = torch.rand(1, channels, 4, 4)
    assert not torch.allclose(se(x), 0.5 * x)


def test_a_block_of_256_channels_has_8192_weights():
    assert sum(p.numel() for p in SqueezeExcitation(256).parameters()) == 8192
