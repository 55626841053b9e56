"""Selective kernel against timm's."""

from __future__ import annotations

import pytest
import torch
from timm.layers import SelectiveKernel as TimmSelectiveKernel
from torch import nn

from maskzoo.models.plugins.sk import SelectiveKernel


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernels", [[3, 5], [3, 5, 7]])
def test_branches_are_mixed_as_timm_s(stride, kernels):
    conv = nn.Conv2d(6, 8, 3, stride=stride, padding=1, bias=False)
    ours = SelectiveKernel(conv, branches=len(kernels), reduction=2, least_width=4)
    theirs = TimmSelectiveKernel(
        6, 8, kernels, stride=stride, rd_channels=4, keep_3x3=True, split_input=False
    )
    for path, weight, norm in zip(
        theirs.paths, (ours.weight, *(c.weight for c in ours.wider)), ours.norms, strict=True
    ):
        nn.init.normal_(norm.weight)
        path.conv.weight = nn.Parameter(weight.detach())
        path.bn.load_state_dict(norm.state_dict())
    theirs.attn.fc_reduce.load_state_dict(ours.squeeze.state_dict())
    theirs.attn.fc_select.load_state_dict(ours.select.state_dict())
    x = torch.randn(3, 6, 11, 14, dtype=torch.float64)
    for training in (True, False):
        torch.testing.assert_close(
            ours.double().train(training)(x),
            theirs.double().train(training)(x),
            atol=1e-12,
            rtol=0,
        )


def test_the_first_branch_keeps_the_weights_of_the_convolution_it_replaces():
    conv = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
    sk = SelectiveKernel(conv)
    assert sk.weight is conv.weight
    assert sk.bias is conv.bias
    assert (sk.wider[0].dilation, sk.wider[0].padding) == ((4, 4), (4, 4))
