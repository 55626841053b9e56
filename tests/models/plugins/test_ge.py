"""Gather-Excite against timm, in each of its forms."""

from __future__ import annotations

import pytest
import torch
from timm.layers import ConvMlp
from timm.layers import GatherExcite as TimmGatherExcite
from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.plugins.ge import GatherExcite


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
@pytest.mark.parametrize("hidden", [False, True])
def test_means_gather_as_timm_s(extent, hidden):
    ours = GatherExcite(16, extent=extent, hidden=hidden, reduction=4).double()
    x = torch.randn(2, 16, 13, 18, dtype=torch.float64)
    torch.testing.assert_close(ours(x), _timm(ours, extent)(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("extent", [2, 4, 8])
def test_convolutions_halve_the_map_until_a_context_is_one_value(extent):
    ours = GatherExcite(8, extent=extent, learned=True, reduction=2)
    theirs = _timm(ours, extent)
    theirs.gather = nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
                nn.BatchNorm2d(8),
                nn.Identity() if 2 ** (i + 1) == extent else nn.ReLU(),
            )
            for i in range(extent.bit_length() - 1)
        )
    )
    _copy(ours.gather, theirs.gather)
    x = torch.randn(2, 8, 21, 16, dtype=torch.float64)
    torch.testing.assert_close(
        ours.double().eval()(x), theirs.double().eval()(x), atol=1e-12, rtol=0
    )


def _timm(ours: GatherExcite, extent: int) -> nn.Module:
    """Return timm's module with our tensors; 1.0 cannot build its own hidden layers or norms."""
    theirs = TimmGatherExcite(8, extent=extent, use_mlp=False)
    if not isinstance(ours.mlp, nn.Identity):
        channels, width = ours.mlp[0].in_channels, ours.mlp[0].out_channels
        theirs.mlp = ConvMlp(channels, width, channels)
        _copy(ours.mlp, theirs.mlp)
    return theirs.double().eval()


def _copy(ours: nn.Module, theirs: nn.Module) -> None:
    """Give `theirs` the tensors of `ours`, by their order."""
    mine = list(ours.state_dict().values())
    others = theirs.state_dict()
    theirs.load_state_dict(dict(zip(others, mine, strict=True)), strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extent": 3}, "extent=3 must be 0, 2, 4, 8"),
        ({"extent": 1}, "extent=1 must be"),
        ({"extent": -2}, "extent=-2 must be"),
        ({"learned": True}, "needs an extent"),
    ],
)
def test_an_extent_that_cannot_be_is_refused(options, message):
    with pytest.raises(SpecError, match=message):
        GatherExcite(8, **options)
