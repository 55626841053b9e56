"""BAM's two variants against their formulas and the official code's outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from maskzoo.models.plugins.bam import BottleneckAttention


def wake(bam):
    torch.manual_seed(0)
    for name, tensor in bam.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.3)
    return bam.double().eval()


def normed(x, norm):
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


def convolved(x, conv, dilation=1):
    padding = dilation * (conv.kernel_size[0] // 2)
    return F.conv2d(x, conv.weight, conv.bias, padding=padding, dilation=dilation)


def test_the_paper_s_variant_equals_its_formula():
    bam = wake(BottleneckAttention(16, reduction=4))
    x = torch.randn(2, 16, 9, 14, dtype=torch.float64)
    c, s = bam.channel, bam.spatial
    channel = normed(convolved(convolved(x.mean((2, 3), keepdim=True), c[0]), c[1]), c[2])
    spatial = convolved(convolved(convolved(x, s[0]), s[1], 4), s[2], 4)
    spatial = normed(convolved(spatial, s[3]), s[4])
    wanted = x + x * (channel + spatial).sigmoid()
    torch.testing.assert_close(bam(x), wanted, atol=1e-12, rtol=0)


def test_the_official_variant_equals_its_formula():
    bam = wake(BottleneckAttention(16, reduction=4, variant="official"))
    x = torch.randn(2, 16, 9, 14, dtype=torch.float64)
    c, s = bam.channel, bam.spatial
    channel = convolved(normed(convolved(x.mean((2, 3), keepdim=True), c[0]), c[1]).relu(), c[3])
    spatial = normed(convolved(x, s[0]), s[1]).relu()
    spatial = normed(convolved(spatial, s[3], 4), s[4]).relu()
    spatial = convolved(normed(convolved(spatial, s[6], 4), s[7]).relu(), s[9])
    wanted = x * (1 + (channel * spatial).sigmoid())
    torch.testing.assert_close(bam(x), wanted, atol=1e-12, rtol=0)


ORDER = {
    "gate_c_fc_0": "channel.0",
    "gate_c_bn_1": "channel.1",
    "gate_c_fc_final": "channel.3",
    "gate_s_conv_reduce0": "spatial.0",
    "gate_s_bn_reduce0": "spatial.1",
    "gate_s_conv_di_0": "spatial.3",
    "gate_s_bn_di_0": "spatial.4",
    "gate_s_conv_di_1": "spatial.6",
    "gate_s_bn_di_1": "spatial.7",
    "gate_s_conv_final": "spatial.9",
}


def test_equals_the_official_code(shared: Path):
    io = load_file(shared / "references" / "modules" / "official_BAM_io.safetensors")
    state = torch.load(shared / "references" / "modules" / "official_BAM.pth", weights_only=True)
    renamed = {}
    for key, tensor in state.get("state_dict", state).items():
        layer, name = re.fullmatch(r".*\.(gate_\w+)\.(\w+)", key).groups()
        linear = "_fc_" in key and name == "weight"
        renamed[f"{ORDER[layer]}.{name}"] = tensor[:, :, None, None] if linear else tensor
    bam = BottleneckAttention(32, variant="official")
    bam.load_state_dict(renamed, strict=True)
    y = bam.double().eval()(io["input"].double())
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_the_output_is_one_to_two_times_the_input(variant):
    bam = wake(BottleneckAttention(16, variant=variant))
    x = torch.randn(2, 16, 8, 8, dtype=torch.float64)
    ratio = bam(x) / x
    assert ((ratio > 1) & (ratio < 2)).all()


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_mistake_a_square_window_on_maps_that_are_not_square(variant):
    """Averaging with a window of the height's side saw only the left 16 columns of 16 x 24."""
    bam = wake(BottleneckAttention(16, reduction=2, variant=variant))
    x = torch.randn(1, 16, 16, 24, dtype=torch.float64)
    changed = x.clone()
    changed[..., 20:] += 9  # out of reach of the spatial branch for the first columns
    before, after = bam(x)[..., :2], bam(changed)[..., :2]
    assert not torch.allclose(before, after)
    for height, width in ((16, 32), (16, 8)):
        shape = (1, 16, height, width)
        assert bam(torch.randn(shape, dtype=torch.float64)).shape == shape


def test_silent_norms_make_it_one_and_a_half_times_the_input():
    bam = BottleneckAttention(16).eval()
    for branch in (bam.channel, bam.spatial):
        nn.init.zeros_(branch[-1].weight)
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(bam(x), 1.5 * x)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_one_image_trains(norm, variant):
    bam = BottleneckAttention(16, variant=variant, norm=norm).train()
    bam(torch.randn(1, 16, 1, 1)).sum().backward()
    assert all(p.grad is not None for p in bam.parameters())


def test_the_official_block_of_256_channels_has_17361_weights():
    bam = BottleneckAttention(256, variant="official")
    assert sum(p.numel() for p in bam.channel.parameters()) == 8496
    assert sum(p.numel() for p in bam.spatial.parameters()) == 8865
