"""Pyramid pooling: against torch's adaptive pooling, mmsegmentation, and its known mistakes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from maskzoo.models.plugins.ppm import PyramidPooling, pool_to_grid


@pytest.mark.parametrize("bins", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (6, 6), (7, 10), (17, 31)])
def test_pooling_to_a_grid_equals_adaptive_pooling_in_value_and_gradient(size, bins):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    ours, theirs = pool_to_grid(x, bins), F.adaptive_avg_pool2d(x, bins)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    (ours_grad,) = torch.autograd.grad(ours, x, weight)
    (theirs_grad,) = torch.autograd.grad(theirs, x, weight)
    torch.testing.assert_close(ours_grad, theirs_grad)


def test_the_pyramid_equals_mmsegmentation_in_value_and_gradient(shared):
    io = load_file(shared / "references/modules/mmseg_PPM_io.safetensors")
    ppm = PyramidPooling(16, width=5, norm="batch").train()
    for key, tensor in io.items():
        if key.startswith("state."):
            index, _, rest = key.removeprefix("state.").split(".", 2)
            target = ppm.branches[int(index)].get_submodule(
                rest.rsplit(".", 1)[0].replace("bn", "norm")
            )
            getattr(target, rest.rsplit(".", 1)[1]).data.copy_(tensor)
    ppm = ppm.double().eval()
    x = io["input"].double().requires_grad_()
    y = ppm.pyramid(x)
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)
    y.backward(io["grad_output"].double())
    torch.testing.assert_close(x.grad.float(), io["grad_input"], atol=1e-5, rtol=1e-4)


def test_the_map_comes_first_and_the_bins_in_order():
    ppm = PyramidPooling(8, width=2, norm="none").eval()
    x = torch.randn(1, 8, 9, 13)
    y = ppm.pyramid(x)
    assert torch.equal(y[:, :8], x)
    for index, bins in enumerate((1, 2, 3, 6)):
        conv = ppm.branches[index].conv
        pooled = F.conv2d(F.adaptive_avg_pool2d(x, bins), conv.weight, conv.bias).relu()
        wanted = F.interpolate(pooled, size=(9, 13), mode="bilinear")
        torch.testing.assert_close(y[:, 8 + 2 * index : 10 + 2 * index], wanted)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 12)])
def test_a_constant_input_gives_a_constant_pyramid(size):
    ppm = PyramidPooling(4, norm="none").eval()
    y = ppm.pyramid(torch.full((1, 4, *size), 1.7))
    torch.testing.assert_close(y, y[..., :1, :1].expand_as(y))


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_one_image_trains_although_the_first_bin_has_one_value(norm):
    ppm = PyramidPooling(8, norm=norm).train()
    ppm(torch.randn(1, 8, 4, 5)).mean().backward()
    assert all(p.grad is not None for p in ppm.parameters())
