"""BlurPool against timm and the written formula; what it does to shifts."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from timm.layers import BlurPool2d
from torch import nn

from maskzoo.models.plugins.blurpool import BlurPool


@pytest.mark.parametrize("size", range(1, 8))
def test_the_kernel_is_binomial_and_sums_to_one(size):
    row = torch.tensor([math.comb(size - 1, k) for k in range(size)]).double() / 2 ** (size - 1)
    kernel = BlurPool(3, kernel_size=size).kernel[0, 0].double()
    torch.testing.assert_close(kernel, torch.outer(row, row), atol=1e-7, rtol=0)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("shape", [(16, 16), (15, 24)])
def test_odd_kernels_equal_timm(size, shape):
    x = torch.randn(2, 4, *shape)
    torch.testing.assert_close(
        BlurPool(4, kernel_size=size)(x), BlurPool2d(4, filt_size=size)(x), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("size", [2, 4, 6])
def test_even_kernels_equal_the_written_formula(size):
    x = torch.randn(1, 3, 9, 12)
    before, after = (size - 1) // 2, size // 2
    padded = F.pad(x, (before, after, before, after), mode="reflect")
    windows = padded.unfold(2, size, 2).unfold(3, size, 2)
    wanted = (windows * BlurPool(3, kernel_size=size).kernel[0, 0]).sum((-1, -2))
    torch.testing.assert_close(BlurPool(3, kernel_size=size)(x), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", range(2, 8))
@pytest.mark.parametrize("shape", [(15, 16), (1, 1), (2, 3)])
def test_halves_and_rounds_up_as_what_it_replaces(size, shape):
    x = torch.full((1, 2, *shape), 1.5)
    y = BlurPool(2, kernel_size=size)(x)
    assert y.shape[-2:] == F.max_pool2d(x, 3, 2, 1).shape[-2:]
    torch.testing.assert_close(y, torch.full_like(y, 1.5), atol=1e-6, rtol=0)


def test_has_nothing_to_store():
    assert BlurPool(8).state_dict() == {}


def test_wider_kernels_change_less_under_a_shift_of_one_pixel():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 64, 64)
    pools = {
        "max": nn.MaxPool2d(2, 2),
        "blur3": nn.Sequential(nn.MaxPool2d(2, 1), BlurPool(8, kernel_size=3)),
        "blur5": nn.Sequential(nn.MaxPool2d(2, 1), BlurPool(8, kernel_size=5)),
    }
    change = {}
    for name, pool in pools.items():
        y, shifted = pool(x)[..., 2:-2, 2:-2], pool(x.roll(1, 3))[..., 2:-2, 2:-2]
        change[name] = float((y - shifted).norm() / (y - y.mean()).norm())
    assert change["max"] > change["blur3"] > change["blur5"]


def test_mistake_a_blur_that_is_not_even_at_even_sizes_shifts_the_map():
    """The larger half of the padding of an even kernel comes after, as in the authors' code."""
    x = torch.zeros(1, 1, 8, 8)
    x[..., 4, 4] = 1
    touched = BlurPool(1, kernel_size=4)(x)[0, 0].nonzero()
    assert touched.min(dim=0).values.tolist() == [1, 1]
    assert touched.max(dim=0).values.tolist() == [2, 2]
