"""CoordConv: its coordinates, and the sum that it is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskzoo.models.plugins.coordconv import CoordConv, coordinate_maps


def test_starts_as_the_convolution_that_it_replaces():
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    x = torch.randn(2, 4, 9, 12)
    assert torch.equal(CoordConv(conv)(x), conv(x))


@pytest.mark.parametrize("radius", [False, True])
def test_equals_one_convolution_over_input_and_coordinates(radius):
    module = CoordConv(nn.Conv2d(4, 6, 3, padding=1), radius=radius).double()
    nn.init.normal_(module.coordinates.weight)
    x = torch.randn(2, 4, 5, 8, dtype=torch.float64)
    together = torch.cat([x, coordinate_maps(x, radius).expand(2, -1, -1, -1)], dim=1)
    weight = torch.cat([module.weight, module.coordinates.weight], dim=1)
    wanted = F.conv2d(together, weight, module.bias, padding=1)
    torch.testing.assert_close(module(x), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(8, 16), (5, 3), (2, 33)])
def test_mistake_an_axis_scaled_by_the_other_axis_length(size):
    """The official lines reach 3.29 on 8 x 16; each axis has to span -1 … 1."""
    x, y = coordinate_maps(torch.zeros(1, 1, *size))[0]
    assert (x[0, 0], x[-1, -1], y[0, 0], y[-1, -1]) == (-1, 1, -1, 1)
    torch.testing.assert_close(x[0], torch.linspace(-1, 1, size[1]))
    torch.testing.assert_close(y[:, 0], torch.linspace(-1, 1, size[0]))


def test_an_axis_of_one_pixel_is_zero():
    assert not coordinate_maps(torch.zeros(1, 1, 1, 1)).any()
    x, y = coordinate_maps(torch.zeros(1, 1, 1, 3))[0]
    assert x.tolist() == [[-1, 0, 1]]
    assert not y.any()


def test_coordinates_follow_dtype_and_device():
    maps = coordinate_maps(torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16))
    assert maps.dtype == torch.bfloat16


def test_finds_positions_where_a_plain_convolution_cannot():
    """One weight of a 1 x 1 CoordConv is the column; a plain one is the same everywhere."""
    module = CoordConv(nn.Conv2d(1, 1, 1, bias=False))
    x = torch.ones(1, 1, 4, 6)
    assert module(x).unique().numel() == 1
    nn.init.zeros_(module.weight)
    module.coordinates.weight.data[0, 0] = 1
    torch.testing.assert_close(module(x)[0, 0, 2], torch.linspace(-1, 1, 6))


def test_adds_two_weights_for_each_tap_and_output():
    conv = nn.Conv2d(4, 6, 3)
    added = sum(p.numel() for p in CoordConv(conv).parameters()) - sum(
        p.numel() for p in conv.parameters()
    )
    assert added == 2 * 9 * 6


def test_mistake_the_input_overwritten_by_the_mesh():
    conv = CoordConv(nn.Conv2d(3, 4, 3, padding=1)).eval()
    nn.init.ones_(conv.coordinates.weight)
    first, second = torch.randn(2, 1, 3, 6, 8)
    torch.testing.assert_close(
        conv(first) - conv(second),
        nn.functional.conv2d(first - second, conv.weight, padding=1),
        atol=1e-5,
        rtol=0,
    )
