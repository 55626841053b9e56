"""Deformable convolutions: known offsets, and plain torch against torchvision's operator."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from maskzoo.models.plugins.dcn import (
    DeformableConv,
    ModulatedDeformableConv,
    deform_conv2d_in_torch,
    use_portable_operators,
)

SETTINGS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"padding": 1, "groups": 2},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("operator", ["torchvision", "torch"])
def test_version_one_starts_as_the_convolution_that_it_replaces(settings, operator):
    conv = nn.Conv2d(4, 6, 3, **settings).double()
    dcn = DeformableConv(conv, operator=operator).double()
    x = torch.randn(2, 4, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(dcn(x), conv(x), atol=1e-12, rtol=0)
    assert dcn.weight is conv.weight


@pytest.mark.parametrize(("gain", "share"), [(1.0, 0.5), (2.0, 1.0)])
def test_version_two_starts_as_half_of_it_or_with_gain_two_as_all(gain, share):
    conv = nn.Conv2d(4, 6, 3, padding=1).double()
    dcn = ModulatedDeformableConv(conv, gain=gain).double()
    x = torch.randn(2, 4, 9, 12, dtype=torch.float64)
    bias = conv.bias[:, None, None]
    torch.testing.assert_close(dcn(x) - bias, share * (conv(x) - bias), atol=1e-12, rtol=0)


@pytest.mark.parametrize("operator", ["torchvision", "torch"])
def test_offsets_are_y_then_x(operator):
    dcn = DeformableConv(nn.Conv2d(3, 5, 3, padding=1), operator=operator).double()
    x = torch.randn(1, 3, 10, 11, dtype=torch.float64)
    offset = torch.zeros(1, 18, 10, 11, dtype=torch.float64)
    offset[:, 0::2] = 1  # one row down
    moved = F.conv2d(x.roll(-1, 2), dcn.weight, dcn.bias, padding=1)
    given = dcn.deform(x, offset, None)
    torch.testing.assert_close(given[..., 1:-2, :], moved[..., 1:-2, :], atol=1e-12, rtol=0)


@pytest.mark.parametrize("operator", ["torchvision", "torch"])
def test_offsets_that_spread_the_taps_are_dilation_two(operator):
    dcn = DeformableConv(nn.Conv2d(3, 5, 3, padding=1), operator=operator).double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    spread = torch.tensor([[i - 1, j - 1] for i in range(3) for j in range(3)])
    offset = spread.flatten().double()[None, :, None, None].expand(2, -1, 9, 8)
    wanted = F.conv2d(x, dcn.weight, dcn.bias, padding=2, dilation=2)
    torch.testing.assert_close(dcn.deform(x, offset, None), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (7, 7), (8, 13)])
def test_plain_torch_equals_torchvision(settings, groups, size):
    torch.manual_seed(0)
    if min(size) == 1 and not settings:
        pytest.skip("a 3 x 3 kernel without padding needs 3 pixels")
    conv = nn.Conv2d(4, 6, 3, **settings)
    x = torch.randn(2, 4, *size)
    shape = conv(x).shape[-2:]
    offset = 3 * torch.randn(2, 18 * groups, *shape)  # far outside too
    mask = torch.rand(2, 9 * groups, *shape)
    arguments = (x, offset, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, mask)
    torch.testing.assert_close(
        deform_conv2d_in_torch(*arguments), deform_conv2d(*arguments), atol=1e-5, rtol=0
    )


def test_gradients_of_offsets_and_masks_are_right():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    offset = (0.3 + 0.1 * torch.rand(1, 18, 2, 3, dtype=torch.float64)).requires_grad_()
    mask = torch.rand(1, 9, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(x, offset, weight, mask):
        return deform_conv2d_in_torch(x, offset, weight, None, (1, 1), (1, 1), (1, 1), mask)

    assert torch.autograd.gradcheck(run, (x, offset, weight, mask))


def test_use_portable_operators_reaches_every_one():
    network = nn.Sequential(DeformableConv(4), nn.Sequential(ModulatedDeformableConv(4)))
    use_portable_operators(network)
    assert [m.operator for m in network.modules() if isinstance(m, DeformableConv)] == ["torch"] * 2


def test_the_weights_of_the_replaced_convolution_load():
    conv = nn.Conv2d(4, 4, 3)
    keys = DeformableConv(4).load_state_dict(conv.state_dict(), strict=False)
    assert keys.unexpected_keys == ["bias"]  # a new one has none
    assert keys.missing_keys == ["offset.weight", "offset.bias"]


@pytest.mark.parametrize("groups", [1, 2])
def test_mistake_offsets_of_its_own_for_every_channel(groups):
    """Offsets belong to a position and a tap; all channels of a group share them."""
    dcn = ModulatedDeformableConv(nn.Conv2d(4, 6, 3, padding=1), offset_groups=groups)
    assert dcn.offset.out_channels == 2 * groups * 9
    assert dcn.mask.out_channels == groups * 9


@pytest.mark.parametrize("kind", [DeformableConv, ModulatedDeformableConv])
def test_mistake_offsets_that_do_not_start_at_zero(kind):
    dcn = kind(nn.Conv2d(4, 6, 3, padding=1))
    for name, parameter in dcn.named_parameters():
        if name.startswith(("offset", "mask")):
            assert not parameter.any(), name


def test_mistake_a_convolution_over_a_stretched_map():
    """The map of k x k samples a position, and a stride of k, cost k² the memory: none is built."""
    dcn = DeformableConv(nn.Conv2d(4, 6, 3, stride=2, padding=1))
    assert (dcn.kernel_size, dcn.stride) == ((3, 3), (2, 2))
    assert dcn(torch.randn(1, 4, 9, 12)).shape == (1, 6, 5, 6)


@pytest.mark.parametrize("kernel", [(1, 7), (7, 1), (3, 5)])
@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 1), (1, 1)), ((1, 2), (1, 1)), ((2, 1), (1, 2))]
)
def test_plain_torch_equals_torchvision_where_the_axes_differ(kernel, stride, dilation):
    torch.manual_seed(0)
    padding = (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(4, 6, kernel, stride=stride, padding=padding, dilation=dilation)
    x = torch.randn(2, 4, 16, 18)
    shape, taps = conv(x).shape[-2:], kernel[0] * kernel[1]
    offset = torch.randn(2, 2 * taps, *shape)
    mask = torch.rand(2, taps, *shape)
    arguments = (x, offset, conv.weight, conv.bias, stride, padding, dilation, mask)
    torch.testing.assert_close(
        deform_conv2d_in_torch(*arguments), deform_conv2d(*arguments), atol=1e-5, rtol=0
    )
