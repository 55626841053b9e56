"""Atrous spatial pyramid pooling: against torchvision, smp, mmsegmentation, and known mistakes."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP as SmpASPP
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP as TorchvisionASPP

from maskzoo.models.plugins.aspp import AtrousPyramid, rates_at_stride


def shuffle_statistics(module: nn.Module) -> None:
    """Give every batch norm statistics and weights that are not the starting ones."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)


def copy_from_pool_last(ours: AtrousPyramid, theirs: nn.Module, width: int) -> None:
    """Copy the weights of torchvision's or smp's ASPP, which puts the image mean last."""
    pairs = [(ours.branches[i], theirs.convs[i]) for i in range(4)]
    pairs += [(ours.pool, list(theirs.convs[4])[1:]), (ours.project, theirs.project)]
    for block, source in pairs:
        block.conv.weight.data.copy_(source[0].weight)
        block.norm.load_state_dict(source[1].state_dict())
    # ours: image mean first
    ours.project.conv.weight.data.copy_(theirs.project[0].weight.roll(width, dims=1))


@pytest.mark.parametrize("build", [TorchvisionASPP, SmpASPP])
@pytest.mark.parametrize("size", [(12, 17), (1, 1), (40, 33)])
def test_the_pyramid_equals_torchvision_and_smp(build, size):
    if build is SmpASPP:
        theirs = SmpASPP(10, 6, (6, 12, 18), separable=False, dropout=0.0)
    else:
        theirs = TorchvisionASPP(10, (6, 12, 18), 6)
    shuffle_statistics(theirs)
    ours = AtrousPyramid(10, out_channels=6)
    copy_from_pool_last(ours, theirs, 6)
    x = torch.randn(2, 10, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), theirs.double().eval()(x))


@pytest.mark.parametrize("name", ["ASPPModule", "DepthwiseSeparableASPPModule"])
def test_the_branches_equal_mmsegmentation(name, shared):
    io = load_file(shared / f"references/modules/mmseg_{name}_io.safetensors")
    state = {
        key.removeprefix("state.").replace("_conv.", ".").replace("bn.", "norm."): tensor
        for key, tensor in io.items()
        if key.startswith("state.")
    }
    rates = (2, 3, 5)  # of the reference, whose file does not say so
    ours = AtrousPyramid(16, out_channels=5, rates=rates, separable="Separable" in name)
    ours.branches.load_state_dict(state, strict=True)
    ours = ours.double().eval()
    with torch.no_grad():
        y = torch.cat([branch(io["input"].double()) for branch in ours.branches], dim=1)
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)


def test_parameters_are_those_of_torchvision():
    assert sum(p.numel() for p in AtrousPyramid(2048, out_channels=256).parameters()) == 15_535_104


def test_mistake_branches_without_a_norm_and_a_relu():
    """Known mistake: ASPP without BN and ReLU, with convolution biases."""
    pyramid = AtrousPyramid(8, out_channels=4)
    blocks = [pyramid.pool, *pyramid.branches, pyramid.project]
    for block in blocks:
        assert block.conv.bias is None
        assert isinstance(block.norm, nn.BatchNorm2d)
        assert isinstance(block.act, nn.ReLU)


def test_mistake_no_norm_between_the_depthwise_and_the_pointwise_convolution():
    """Known mistake: no norm between the depth-wise and the point-wise convolution."""
    pyramid = AtrousPyramid(8, out_channels=4, separable=True)
    for block in pyramid.branches[1:]:
        for part in (block.depthwise, block.pointwise):
            assert isinstance(part.norm, nn.BatchNorm2d)
            assert isinstance(part.act, nn.ReLU)


def touched_rows(branch: nn.Module, size: int) -> list[int]:
    x = torch.zeros(1, 1, size, size, requires_grad=True)
    branch(x)[0, 0, size // 2, size // 2].backward()
    return sorted({int(row) - size // 2 for row in x.grad[0, 0].nonzero()[:, 0]})


@pytest.mark.parametrize("rate", [1, 3, 6])
def test_a_branch_of_a_rate_touches_exactly_that_distance(rate):
    pyramid = AtrousPyramid(1, rates=(rate,), norm="none").eval()
    nn.init.ones_(pyramid.branches[1].conv.weight)
    pyramid.branches[1].conv.bias.data.fill_(1)
    assert touched_rows(pyramid.branches[1], 21) == [-rate, 0, rate]


def test_rates_larger_than_the_map_are_valid():
    y = AtrousPyramid(4, rates=(6, 12, 18)).eval()(torch.randn(1, 4, 3, 5))
    assert y.shape == (1, 4, 3, 5)
    assert bool(Tensor.isfinite(y).all())


def test_mistake_rates_that_ignore_the_output_stride():
    assert rates_at_stride(16) == (6, 12, 18)
    assert rates_at_stride(8) == (12, 24, 36)
    assert rates_at_stride(32) == (3, 6, 9)
