"""The neck: which feature a level comes from, and its size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from maskzoo.models.network.bodies.pyramid import Pyramid


@pytest.mark.parametrize(
    ("strides", "wanted", "sources"),
    [
        ((16, 16, 16, 16), (4, 8, 16, 32), (0, 1, 2, 3)),
        ((16, 16, 16, 16), (4, 8, 8, 8), (0, 1, 2, 3)),
        ((14, 14, 14, 14), (4, 8, 16, 32), (0, 1, 2, 3)),
        ((4, 8, 16, 32), (4, 8, 16, 32), (0, 1, 2, 3)),
        ((2, 4, 8, 16, 32), (4, 8, 16, 32), (1, 2, 3, 4)),
        ((8, 16, 32), (4, 8, 16, 32), (0, 0, 1, 2)),
        ((16, 32, 64), (4, 8, 16, 32), (0, 0, 0, 1)),
        ((4, 8, 16), (4, 8, 16, 32), (0, 1, 2, 2)),
    ],
)
def test_a_level_comes_from_the_feature_of_the_nearest_stride(strides, wanted, sources):
    assert Pyramid([8] * len(strides), strides, wanted).sources == sources


def test_levels_have_the_strides_of_a_pyramid():
    pyramid = Pyramid([4] * 4, [16] * 4, [4, 8, 16, 32])
    levels = pyramid([torch.randn(2, 4, 6, 8) for _ in range(4)], (96, 128))
    assert [tuple(level.shape[2:]) for level in levels] == [(24, 32), (12, 16), (6, 8), (3, 4)]


def test_the_neck_is_the_one_of_beit():
    first, second, third, fourth = Pyramid([4] * 4, [16] * 4, [4, 8, 16, 32]).levels
    kinds = [type(layer).__name__ for layer in first]
    assert kinds == ["ConvTranspose2d", "BatchNorm2d", "GELU", "ConvTranspose2d"]
    assert [type(layer) for layer in second] == [nn.ConvTranspose2d]
    assert len(third) == 0
    assert (type(fourth), fourth.kernel_size) == (nn.MaxPool2d, 2)


def test_maps_of_stride_14_are_fitted_to_the_sizes_of_stride_16():
    pyramid = Pyramid([4] * 4, [14] * 4, [4, 8, 16, 32])
    pyramid.is_exact = False
    levels = pyramid([torch.full((1, 4, 8, 10), 2.0) for _ in range(4)], (112, 140))
    assert [tuple(level.shape[2:]) for level in levels] == [(28, 35), (14, 18), (7, 9), (4, 5)]
    torch.testing.assert_close(levels[2], torch.full((1, 4, 7, 9), 2.0))
