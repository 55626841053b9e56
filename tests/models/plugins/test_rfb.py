"""RFB: what the official code fixes, checked on the module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maskzoo.models.plugins.rfb import ReceptiveFieldBlock


def test_the_block_from_512_to_256_channels_has_the_official_number_of_weights():
    block = ReceptiveFieldBlock(512, 256)
    assert sum(p.numel() for p in block.parameters()) == 1_045_440


@pytest.mark.parametrize("variant", ["rfb", "rfb_s"])
def test_equals_its_formula(variant):
    torch.manual_seed(0)
    block = ReceptiveFieldBlock(16, scale=0.7, variant=variant).double().eval()
    x = torch.randn(2, 16, 9, 12, dtype=torch.float64)
    joined = block.join[0](torch.cat([branch(x) for branch in block.branches], dim=1))
    wanted = 0.7 * block.join[1](joined) + block.shortcut[1](block.shortcut[0](x))
    torch.testing.assert_close(block(x), wanted.relu(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("variant", ["rfb", "rfb_s"])
def test_mistake_a_relu_after_the_joining_convolution(variant):
    """`False` in the place of the padding left the ReLU in, and negative corrections out."""
    block = ReceptiveFieldBlock(16, variant=variant)
    lasts = [block.join, block.shortcut, *(branch[-1] for branch in block.branches)]
    assert not any(isinstance(m, nn.ReLU) for last in lasts for m in last.modules())
    assert block.join[0].padding == (0, 0)
    x = torch.randn(1, 16, 9, 9)
    joined = block.join(torch.cat([branch(x) for branch in block.branches], dim=1))
    assert (joined < 0).any()


def test_mistake_the_batch_norms_momentum_lost():
    norms = [m for m in ReceptiveFieldBlock(16).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.01}


def test_without_scale_only_the_shortcut_is_left():
    block = ReceptiveFieldBlock(16, scale=0.0).eval()
    x = torch.randn(1, 16, 5, 5)
    assert torch.equal(block(x), block.shortcut(x).relu())


@pytest.mark.parametrize("variant", ["rfb", "rfb_s"])
def test_stride_two_halves_and_rounds_up(variant):
    assert ReceptiveFieldBlock(16, 8, 2, variant=variant)(torch.randn(2, 16, 17, 17)).shape == (
        2,
        8,
        9,
        9,
    )


def test_the_receptive_field_is_eleven_pixels_wide():
    block = ReceptiveFieldBlock(8).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.abs_()  # so that no ReLU cuts a gradient off
    x = torch.rand(1, 8, 31, 31, dtype=torch.float64, requires_grad=True)
    joined = block.join(torch.cat([branch(x) for branch in block.branches], dim=1))
    joined[..., 15, 15].sum().backward()
    rows, columns = torch.nonzero(x.grad[0].abs().sum(0), as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 20, 10, 20)
