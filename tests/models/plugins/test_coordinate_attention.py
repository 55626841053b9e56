"""Coordinate attention against timm and its formula."""

from __future__ import annotations

import torch
from timm.layers.coord_attn import CoordAttn
from torch import nn

from maskzoo.models.plugins.coordinate_attention import CoordinateAttention


def wake(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def test_equals_timm():
    ours = wake(CoordinateAttention(32))
    theirs = CoordAttn(32, rd_channels=8, bias=True).eval()
    theirs.conv1.weight = ours.mix.weight
    nn.init.zeros_(theirs.conv1.bias)
    theirs.bn1.load_state_dict(ours.norm.state_dict())
    theirs.conv_h, theirs.conv_w = ours.rows, ours.columns
    x = torch.randn(2, 32, 7, 12)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


def test_the_gate_is_the_product_of_a_row_and_a_column_gate():
    module = wake(CoordinateAttention(8)).double()
    x = torch.rand(1, 8, 6, 5, dtype=torch.float64) + 1
    gate = module(x) / x
    rank = torch.linalg.matrix_rank(gate[0], tol=1e-9)
    assert (rank == 1).all()
    assert ((gate > 0) & (gate < 1)).all()


def test_the_shared_layer_is_never_narrower_than_8_channels():
    assert CoordinateAttention(64).mix.out_channels == 8
    assert CoordinateAttention(512).mix.out_channels == 16
