"""ASFF: its weights, its mean, and a recomputation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskzoo.models.plugins.asff import AdaptiveFusion

CHANNELS = (8, 12, 16)


def features(sizes=((50, 47), (25, 24), (13, 12)), dtype=torch.float64):
    torch.manual_seed(1)
    return [
        torch.randn(2, count, *size, dtype=dtype, requires_grad=True)
        for count, size in zip(CHANNELS, sizes, strict=True)
    ]


def fitted(level, maps):
    size = maps[level.level].shape[-2:]
    return [F.interpolate(f(x), size=size) for f, x in zip(level.fit, maps, strict=True)]


@pytest.fixture
def fusion():
    torch.manual_seed(0)
    return AdaptiveFusion(CHANNELS, width=10).double().eval()


def test_every_level_keeps_its_shape(fusion):
    maps = features()
    assert [y.shape for y in fusion(maps)] == [x.shape for x in maps]


def test_weights_are_positive_and_sum_to_one_at_every_pixel(fusion):
    for level in fusion.levels:
        weights = level.weights(fitted(level, features()))
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]))


def test_equals_a_recomputation(fusion):
    maps = features()
    for level, given in zip(fusion.levels, fusion(maps), strict=True):
        resized = fitted(level, maps)
        scores = torch.cat([s(x) for s, x in zip(level.scores, resized, strict=True)], dim=1)
        weights = level.weigh(scores).exp()
        weights = weights / weights.sum(1, keepdim=True)
        mixed = sum(weights[:, i, None] * x for i, x in enumerate(resized))
        torch.testing.assert_close(given, level.expand(mixed), atol=1e-10, rtol=0)


def test_equal_scores_give_the_mean_of_the_levels(fusion):
    level = fusion.levels[1]
    nn.init.zeros_(level.weigh.weight)
    nn.init.zeros_(level.weigh.bias)
    maps = features()
    mean = torch.stack(fitted(level, maps)).mean(0)
    torch.testing.assert_close(level(maps), level.expand(mean), atol=1e-12, rtol=0)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_large_bias_selects_one_level(fusion, chosen):
    level = fusion.levels[2]
    nn.init.zeros_(level.weigh.weight)
    level.weigh.bias.data = torch.zeros(3, dtype=torch.float64)
    level.weigh.bias.data[chosen] = 50.0
    maps = features()
    wanted = level.expand(fitted(level, maps)[chosen])
    torch.testing.assert_close(level(maps), wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("sizes", [((13, 25), (7, 13), (4, 7)), ((5, 3), (5, 3), (5, 3))])
def test_mistake_interpolating_to_size_two_instead_of_by_two(fusion, sizes):
    """`F.interpolate(x, 2)` asks for 2 x 2 pixels; here maps take the level's very size."""
    maps = features(sizes)
    for level in fusion.levels:
        assert {x.shape[-2:] for x in fitted(level, maps)} == {maps[level.level].shape[-2:]}


def test_gradients_reach_every_input_and_weight(fusion):
    maps = features()
    sum(y.square().sum() for y in fusion(maps)).backward()
    assert all(x.grad.abs().sum() > 0 for x in maps)
    assert all(p.grad is not None for p in fusion.parameters())


def test_levels_of_equal_stride_are_not_resized():
    fusion = AdaptiveFusion((8, 8), (8, 8))
    assert not any(isinstance(m, nn.MaxPool2d) for m in fusion.modules())
    assert all(conv.stride == (1, 1) for conv in fusion.modules() if isinstance(conv, nn.Conv2d))


@pytest.mark.parametrize("count", [2, 5])
def test_takes_any_number_of_levels(count):
    fusion = AdaptiveFusion([4] * count)
    maps = [torch.randn(1, 4, 33 // 2**i + 1, 20 // 2**i + 1) for i in range(count)]
    assert [y.shape for y in fusion(maps)] == [x.shape for x in maps]


def test_mistake_relu_in_place_of_leaky_relu(fusion):
    slopes = [m.negative_slope for m in fusion.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes
    assert set(slopes) == {0.1}
    assert not [m for m in fusion.modules() if isinstance(m, nn.ReLU)]


def test_mistake_widths_written_into_the_code():
    channels = (5, 7)
    maps = [torch.randn(1, 5, 9, 11), torch.randn(1, 7, 5, 6)]
    given = AdaptiveFusion(channels, width=4).eval()(maps)
    assert [y.shape for y in given] == [x.shape for x in maps]
