"""Ghost module against timm, and its numbers of weights."""

from __future__ import annotations

import pytest
import torch
from timm.models.ghostnet import GhostModule as TimmGhost
from torch import nn

from maskzoo.models.plugins.ghost import GhostModule


@pytest.mark.parametrize(
    ("conv", "options", "count"),
    [
        (nn.Conv2d(64, 128, 1), {}, 4928),
        (nn.Conv2d(128, 256, 3, padding=1), {}, 149_120),
        (nn.Conv2d(64, 128, 1), {"ratio": 4, "ghost_size": 5}, 4704),
    ],
)
def test_has_the_known_number_of_weights(conv, options, count):
    assert sum(p.numel() for p in GhostModule(conv, **options).parameters()) == count


@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize("channels", [24, 23])
def test_equals_timm(channels, act):
    torch.manual_seed(0)
    ours = GhostModule(nn.Conv2d(8, channels, 1), act=act)
    theirs = TimmGhost(8, channels, act_layer=nn.ReLU if act else nn.Identity)
    theirs.primary_conv[0], theirs.primary_conv[1] = ours.primary[0], ours.primary[1]
    theirs.cheap_operation[0] = ours.ghosts.conv
    theirs.cheap_operation[1] = ours.ghosts.norm
    x = torch.randn(2, 8, 7, 9)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-6, rtol=0)


def test_an_odd_number_of_channels_comes_out():
    assert GhostModule(nn.Conv2d(4, 127, 1))(torch.randn(2, 4, 3, 3)).shape == (2, 127, 3, 3)


def test_the_first_maps_are_those_of_the_primary_convolution():
    ghost = GhostModule(8).eval()
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(ghost(x)[:, :4], ghost.primary(x))


def test_ratio_one_makes_no_ghosts():
    ghost = GhostModule(8, ratio=1)
    assert ghost.ghosts is None
    assert ghost(torch.randn(2, 8, 4, 4)).shape == (2, 8, 4, 4)


def test_a_single_map_has_no_ghosts_that_nothing_would_train():
    module = GhostModule(nn.Conv2d(4, 1, 3, padding=1))
    assert module.ghosts is None
    assert module(torch.randn(2, 4, 5, 6)).shape == (2, 1, 5, 6)


def test_keeps_stride_and_dilation_of_what_it_replaces():
    conv = nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2)
    x = torch.randn(2, 4, 17, 12)
    assert GhostModule(conv)(x).shape == conv(x).shape
