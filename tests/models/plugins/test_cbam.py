"""CBAM against its formula, timm and the official code's outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from timm.layers.cbam import CbamModule
from torch import nn
from torchvision.models.resnet import BasicBlock

from maskzoo.models.plugins.cbam import ConvolutionalBlockAttention, pool


def wake(cbam):
    torch.manual_seed(0)
    for parameter in cbam.parameters():
        nn.init.normal_(parameter, std=0.5)
    return cbam


def test_equals_the_formula_of_the_paper():
    cbam = wake(ConvolutionalBlockAttention(16, reduction=4, norm="none")).double()
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    first, second = cbam.channel.mlp[0], cbam.channel.mlp[2]

    def mlp(z):
        hidden = (z @ first.weight.flatten(1).T + first.bias).relu()
        return hidden @ second.weight.flatten(1).T + second.bias

    gate = (mlp(x.mean((2, 3))) + mlp(x.amax((2, 3)))).sigmoid()
    y = x * gate[:, :, None, None]
    maps = torch.stack([y.amax(1), y.mean(1)], dim=1)
    y = y * nn.functional.conv2d(maps, cbam.spatial.conv.weight, padding=3).sigmoid()
    torch.testing.assert_close(cbam(x), y, atol=1e-12, rtol=0)


def test_equals_timm_whose_mean_comes_before_its_maximum():
    ours = wake(ConvolutionalBlockAttention(64)).eval()
    theirs = CbamModule(64, rd_divisor=1).eval()
    for layer in (ours.channel.mlp[0], ours.channel.mlp[2]):
        nn.init.zeros_(layer.bias)
    theirs.channel.fc1.weight, theirs.channel.fc2.weight = (
        ours.channel.mlp[0].weight,
        ours.channel.mlp[2].weight,
    )
    theirs.spatial.conv.conv.weight = nn.Parameter(ours.spatial.conv.weight.flip(1))
    theirs.spatial.conv.bn.load_state_dict(ours.spatial.norm.state_dict())
    x = torch.randn(2, 64, 9, 11)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


REFERENCES = {
    "official_CBAM": {"reduction": 4},
    "official_CBAM_nospatial": {"reduction": 4, "spatial": False},
    "official_CBAM_pools4": {"reduction": 8, "pools": ("avg", "max", "lp", "lse")},
}


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_the_official_code(shared: Path, name):
    folder = shared / "references" / "modules"
    io = load_file(folder / f"{name}_io.safetensors")
    state = {}
    for key, tensor in io.items():
        if key.startswith("state."):
            bare = key.removeprefix("state.").replace("ChannelGate.mlp.1", "channel.mlp.0")
            bare = bare.replace("ChannelGate.mlp.3", "channel.mlp.2")
            bare = bare.replace("SpatialGate.spatial.bn", "spatial.norm")
            bare = bare.replace("SpatialGate.spatial", "spatial")
            linear = bare.startswith("channel") and bare.endswith("weight")
            state[bare] = tensor[:, :, None, None] if linear else tensor
    cbam = ConvolutionalBlockAttention(32, **REFERENCES[name])
    cbam.load_state_dict(state, strict=True)
    y = cbam.double().eval()(io["input"].double())
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)


def test_the_spatial_gate_starts_at_one_half():
    cbam = ConvolutionalBlockAttention(16)
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(cbam(x), 0.5 * cbam.channel(x) * x, atol=0, rtol=0)


def test_mistake_relu_as_channel_gate():
    """A brief had ReLU as the gate: values above 1, and channels cut to 0."""
    cbam = wake(ConvolutionalBlockAttention(64))
    gate = cbam.channel(torch.randn(4, 64, 8, 8))
    assert ((gate > 0) & (gate < 1)).all()
    assert gate.shape == (4, 64, 1, 1)


def test_mistake_many_spatial_maps_instead_of_one():
    gate = wake(ConvolutionalBlockAttention(64)).spatial(torch.randn(2, 64, 5, 9))
    assert gate.shape == (2, 1, 5, 9)
    assert ((gate > 0) & (gate < 1)).all()


def test_mistake_a_multilayer_perceptron_without_a_nonlinearity():
    channel = wake(ConvolutionalBlockAttention(16, pools=("avg",))).channel
    x = torch.randn(1, 16, 4, 4)
    start = torch.zeros_like(x)
    rise = channel.mlp(x.mean((2, 3), keepdim=True)) - channel.mlp(start[..., :1, :1])
    fall = channel.mlp(-x.mean((2, 3), keepdim=True)) - channel.mlp(start[..., :1, :1])
    assert not torch.allclose(rise, -fall)


def test_mistake_a_fixed_batch_and_size():
    cbam = ConvolutionalBlockAttention(64)
    for shape in ((1, 64, 3, 5), (3, 64, 8, 8)):
        assert cbam(torch.randn(shape)).shape == shape


def test_a_residual_block_with_open_gates_is_the_plain_block():
    class Open(ConvolutionalBlockAttention):
        def forward(self, x):
            return x

    block = BasicBlock(8, 8).eval()
    plain = BasicBlock(8, 8).eval()
    plain.load_state_dict(block.state_dict())
    block.bn2 = nn.Sequential(block.bn2, Open(8))
    x = torch.randn(1, 8, 6, 6)
    assert torch.equal(block(x), plain(x))


@pytest.mark.parametrize(("norm", "count"), [("batch", 8564), ("none", 8562)])
def test_a_block_of_256_channels_has_the_official_number_of_weights(norm, count):
    cbam = ConvolutionalBlockAttention(256, norm=norm)
    assert sum(p.numel() for p in cbam.parameters()) == count


def test_mistake_a_spatial_gate_without_its_norm():
    norm = ConvolutionalBlockAttention(16).spatial.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_features == 1
    assert not norm.weight.any(), "so that the gate starts at one half"


def test_mistake_a_spatial_gate_that_sees_a_single_pixel():
    """A brief has a 1 x 1 convolution; the paper's kernel reaches three pixels each way."""
    gate = wake(ConvolutionalBlockAttention(4, norm="none")).spatial
    x = torch.zeros(1, 4, 11, 11, requires_grad=True)
    gate(x + torch.arange(4)[:, None, None])[0, 0, 5, 5].backward()
    touched = x.grad[0].any(dim=0).nonzero()
    assert touched.min(dim=0).values.tolist() == [2, 2]
    assert touched.max(dim=0).values.tolist() == [8, 8]


def test_mistake_gates_side_by_side():
    """The pools of a gate run in parallel; the two gates run one after the other."""
    cbam = wake(ConvolutionalBlockAttention(16)).eval()
    x = torch.randn(1, 16, 6, 7)
    after_channel = x * cbam.channel(x)
    torch.testing.assert_close(cbam(x), after_channel * cbam.spatial(after_channel))
    assert not torch.allclose(cbam(x), after_channel * cbam.spatial(x))


def test_the_gradient_of_the_lp_pooling_is_zero_on_a_channel_that_is_zero():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64)
    x[:, 0] = 0
    x.requires_grad_()
    pooled = pool(x, "lp")
    torch.testing.assert_close(pooled[0, 1, 0, 0], x[0, 1].norm())
    pooled.sum().backward()
    assert not x.grad[:, 0].any()
    torch.testing.assert_close(x.grad[:, 1], x[:, 1].detach() / x[0, 1].norm().detach())
