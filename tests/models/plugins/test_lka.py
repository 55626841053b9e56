"""Large kernel attention against one large convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.plugins.lka import LargeKernelAttention


def test_the_attention_is_one_convolution_of_the_composed_kernel():
    lka = LargeKernelAttention(3, kernel_size=9, dilation=3).double()
    torch.nn.init.normal_(lka.mix.weight)
    x = torch.randn(1, 3, 40, 45, dtype=torch.float64)
    # Two convolutions in a row are one whose kernel is the full convolution of both.
    spread = torch.zeros(3, 1, 7, 7, dtype=torch.float64)
    spread[:, :, ::3, ::3] = lka.far.weight
    composed = torch.stack(
        [
            F.conv2d(lka.near.weight[c][None], spread[c][None].flip(2, 3), padding=6)[0]
            for c in range(3)
        ]
    )
    bias = lka.far.bias + lka.near.bias * spread.sum((1, 2, 3))
    attention = lka.mix(F.conv2d(x, composed, bias, padding=5, groups=3))
    inside = (slice(None), slice(None), slice(10, -10), slice(10, -10))  # beyond the padding
    torch.testing.assert_close(lka(x)[inside], (x * attention)[inside], atol=1e-10, rtol=0)


@pytest.mark.parametrize(("size", "dilation", "near", "far"), [(21, 3, 5, 7), (35, 3, 5, 13)])
def test_the_kernel_is_split_as_in_the_paper(size, dilation, near, far):
    lka = LargeKernelAttention(4, kernel_size=size, dilation=dilation)
    assert lka.near.kernel_size == (near, near)
    assert lka.far.kernel_size == (far, far)
    assert lka.far.dilation == (dilation, dilation)
