"""Polarized self-attention against the paper's two equations, and both layouts."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from maskzoo.models.plugins.polarized import PolarizedAttention


def test_channels_are_gated_by_a_sum_that_one_map_weighs():
    branch = PolarizedAttention(6).double().channel
    with torch.no_grad():
        branch.norm.weight.normal_()
        branch.norm.bias.normal_()
    x = torch.randn(1, 6, 3, 2, dtype=torch.float64)
    weights = branch.query(x).flatten().softmax(0)  # (6 positions)
    values = branch.value(x)[0].flatten(1)
    summed = sum(weights[i] * values[:, i] for i in range(6))
    expanded = branch.expand.weight[:, :, 0, 0] @ summed + branch.expand.bias
    normed = (expanded - expanded.mean()) / (expanded.var(correction=0) + 1e-5).sqrt()
    wanted = (branch.norm.weight * normed + branch.norm.bias).sigmoid()
    torch.testing.assert_close(branch(x)[0, :, 0, 0], wanted, atol=1e-10, rtol=0)


def test_positions_are_gated_by_a_sum_over_channels_that_the_means_weigh():
    branch = PolarizedAttention(6).double().spatial
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    weights = F.softmax(branch.query(x).mean((2, 3)), dim=1)  # (2, 3)
    wanted = (weights[:, :, None, None] * branch.value(x)).sum(1, keepdim=True).sigmoid()
    torch.testing.assert_close(branch(x), wanted, atol=1e-12, rtol=0)


def test_the_branches_are_added_or_follow_one_another():
    parallel = PolarizedAttention(4)
    sequential = PolarizedAttention(4, layout="sequential")
    sequential.load_state_dict(parallel.state_dict())
    x = torch.randn(1, 4, 5, 6)
    gated = x * parallel.channel(x)
    torch.testing.assert_close(parallel(x), gated + x * parallel.spatial(x))
    torch.testing.assert_close(sequential(x), gated * parallel.spatial(gated))
