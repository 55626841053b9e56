"""The shared layers: what they add to torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from maskzoo.models.network.layers import (
    BatchNorm2d,
    Classifier,
    ConvNormAct,
    SeparableConv,
    create_norm,
    resize,
)


def test_batch_norm_is_torchs_in_training_and_evaluation():
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_batch_norm_trains_on_one_value_with_the_running_statistics():
    norm = BatchNorm2d(3).train()
    norm.running_mean += 2
    before = norm.running_mean.clone()
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    y = norm(x)
    torch.testing.assert_close(y, (x - 2) / (1 + norm.eps) ** 0.5)
    y.sum().backward()
    assert torch.equal(norm.running_mean, before)
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("channels", [2, 6, 16, 18, 48, 128, 512])
def test_group_norm_takes_one_pixel_and_does_not_erase_it(channels):
    norm = create_norm("group", channels)
    assert channels // norm.num_groups >= 2
    x = torch.randn(1, channels, 1, 1)
    assert norm(x).abs().max() > 0


@pytest.mark.parametrize(("channels", "groups"), [(128, 32), (512, 32), (64, 16), (48, 4), (6, 1)])
def test_group_norm_has_at_most_32_groups_of_a_multiple_of_four_channels(channels, groups):
    assert create_norm("group", channels).num_groups == groups


@pytest.mark.parametrize(("norm", "has_bias"), [("batch", False), ("group", False), ("none", True)])
def test_a_convolution_has_a_bias_only_without_a_norm(norm, has_bias):
    block = ConvNormAct(4, 8, 3, norm=norm)
    assert (block.conv.bias is not None) == has_bias
    assert hasattr(block, "norm") == (norm != "none")


def test_a_separable_convolution_has_norm_and_relu_after_both_parts():
    names = [type(part).__name__ for part in SeparableConv(4, 8).modules()]
    assert names.count("BatchNorm2d") == names.count("ReLU") == names.count("Conv2d") == 2


@pytest.mark.parametrize("align_corners", [False, True])
def test_resize_goes_to_a_size_and_keeps_an_equal_one(align_corners):
    x = torch.randn(1, 2, 5, 7)
    wanted = F.interpolate(x, size=(11, 4), mode="bilinear", align_corners=align_corners)
    assert torch.equal(resize(x, (11, 4), align_corners), wanted)
    torch.testing.assert_close(resize(x, (5, 7), align_corners), x)


@pytest.mark.parametrize("channels", [8, 16, 64, 512])
def test_a_classifier_begins_with_answers_of_either_sign_however_narrow_it_is(channels):
    torch.manual_seed(0)
    features = torch.randn(4, channels, 32, 32).relu()  # what a norm and a ReLU give
    logits = Classifier(channels, 3).eval()(features)
    assert 0.2 < logits.std() < 2
    assert logits.argmax(1).unique().numel() == 3
