"""FPA and GAU: against their formulas, smp's GAU, and known mistakes."""

from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch.decoders.pan.decoder import GAUBlock
from torch import nn

from maskzoo.models.plugins.fpa import FeaturePyramidAttention
from maskzoo.models.plugins.gau import GlobalAttentionUpsample


class _One(nn.Module):
    def forward(self, x):
        return torch.ones(())


def test_a_pyramid_of_ones_leaves_master_and_mean():
    fpa = FeaturePyramidAttention(16, out_channels=6).eval()
    fpa.pyramid = _One()
    x = torch.randn(2, 16, 7, 9)
    wanted = fpa.master(x) + fpa.mean(x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(fpa(x), wanted)


def test_the_pyramid_has_three_levels_of_large_kernels_at_full_width():
    # A port has one channel and max pools in their place.
    pyramid = FeaturePyramidAttention(64, width=5).pyramid[0]
    kernels = [(layer.conv.kernel_size, layer.conv.stride) for layer in pyramid.down]
    assert kernels == [((7, 7), (2, 2)), ((5, 5), (2, 2)), ((3, 3), (2, 2))]
    assert {layer.conv.out_channels for layer in pyramid.down} == {5}


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (8, 16), (33, 47)])
def test_small_and_odd_maps_work_in_training_too(size):
    fpa = FeaturePyramidAttention(16).train()
    assert fpa(torch.randn(1, 16, *size)).shape == (1, 16, *size)


def test_a_closed_gate_leaves_the_deeper_feature_upsampled():
    gau = GlobalAttentionUpsample(6, 10, out_channels=10).eval()
    nn.init.constant_(gau.weigh.norm.bias, -1e4)
    deeper = torch.randn(2, 10, 4, 5)
    wanted = nn.functional.interpolate(deeper, size=(9, 11), mode="bilinear")
    torch.testing.assert_close(gau(torch.randn(2, 6, 9, 11), deeper), wanted)


def test_the_weight_is_a_rectified_and_not_a_squashed_one():
    gau = GlobalAttentionUpsample(6, 10, out_channels=10).eval()
    nn.init.constant_(gau.weigh.norm.bias, 3.0)
    nn.init.zeros_(gau.weigh.norm.weight)
    skip, deeper = torch.randn(2, 6, 4, 5), torch.randn(2, 10, 4, 5)
    torch.testing.assert_close(gau(skip, deeper), deeper + 3 * gau.skip(skip))


def test_with_a_sigmoid_it_equals_smp():
    theirs = GAUBlock(6, 10).double().eval()
    ours = GlobalAttentionUpsample(6, 10, out_channels=10, gate="sigmoid", align_corners=True)
    ours = ours.double().eval()
    for source, target in ((theirs.conv1[1], ours.weigh), (theirs.conv2, ours.skip)):
        nn.init.zeros_(source.conv.bias)
        for statistic in (source.bn.weight, source.bn.running_mean, source.bn.running_var):
            nn.init.uniform_(statistic, 0.5, 1.5)
        target.conv.weight.data.copy_(source.conv.weight)
        target.norm.load_state_dict(source.bn.state_dict())
    skip = torch.randn(2, 6, 9, 11, dtype=torch.float64)
    deeper = torch.randn(2, 10, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(skip, deeper), theirs(skip, deeper))


def test_gau_on_a_skip_keeps_the_skips_channels():
    gau = GlobalAttentionUpsample(6, 10).train()
    assert gau(torch.randn(1, 6, 9, 11), torch.randn(1, 10, 5, 6)).shape == (1, 6, 9, 11)
