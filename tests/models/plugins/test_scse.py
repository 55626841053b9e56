"""scSE against smp's module and its formula."""

from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch.base.modules import SCSEModule
from torch import nn

from maskzoo.models.plugins.scse import SpatialChannelExcitation


def test_equals_smp():
    ours, theirs = SpatialChannelExcitation(32, reduction=16), SCSEModule(32, reduction=16)
    theirs.cSE[1], theirs.cSE[3] = ours.channel.squeeze, ours.channel.excite
    theirs.sSE[0] = ours.spatial
    x = torch.randn(2, 32, 7, 5)
    torch.testing.assert_close(ours(x), theirs(x), atol=0, rtol=0)


def test_max_takes_the_larger_of_both():
    module = SpatialChannelExcitation(8, fuse="max")
    x = torch.randn(2, 8, 4, 6)
    both = module.channel(x), x * module.spatial(x).sigmoid()
    assert torch.equal(module(x), torch.stack(both).amax(0))


@pytest.mark.parametrize(("fuse", "wanted"), [("add", lambda x: x), ("max", lambda x: 0.5 * x)])
def test_with_zero_weights_both_gates_are_one_half(fuse, wanted):
    module = SpatialChannelExcitation(8, fuse=fuse)
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(1, 8, 3, 3)
    assert torch.equal(module(x), wanted(x))


@pytest.mark.parametrize(("reduction", "count"), [(2, 66177), (16, 8721)])
def test_a_block_of_256_channels_has_the_known_number_of_weights(reduction, count):
    module = SpatialChannelExcitation(256, reduction=reduction)
    assert sum(p.numel() for p in module.parameters()) == count
