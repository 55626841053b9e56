"""Attention gate: against its formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.plugins.attention_gate import AttentionGate


def _resized(x, size):
    return F.interpolate(x, size=size, mode="bilinear")


def test_the_papers_gate_equals_its_formula():
    gate = AttentionGate(6, 10, width=4).double().eval()
    skip = torch.randn(2, 6, 9, 13, dtype=torch.float64)
    deeper = torch.randn(2, 10, 5, 7, dtype=torch.float64)
    compared = F.conv2d(skip, gate.skip.weight, stride=2)
    signal = F.conv2d(deeper, gate.deeper.weight, gate.deeper.bias)
    score = F.conv2d(
        (compared + _resized(signal, (4, 6))).relu(), gate.score.weight, gate.score.bias
    )
    weights = _resized(score.sigmoid(), (9, 13))
    torch.testing.assert_close(gate.weights(skip, deeper), weights)
    torch.testing.assert_close(gate(skip, deeper), gate.out(weights * skip))


def test_the_simple_gate_equals_its_formula():
    gate = AttentionGate(6, 10, variant="simple").double().eval()
    skip = torch.randn(2, 6, 9, 13, dtype=torch.float64)
    deeper = torch.randn(2, 10, 5, 7, dtype=torch.float64)
    signal = gate.deeper(_resized(deeper, (9, 13)))
    weights = gate.score((gate.skip(skip) + signal).relu()).sigmoid()
    torch.testing.assert_close(gate(skip, deeper), weights * skip)


@pytest.mark.parametrize("variant", ["paper", "simple"])
@pytest.mark.parametrize(
    ("size", "below"), [((33, 47), (17, 24)), ((8, 8), (8, 8)), ((1, 1), (1, 1)), ((1, 6), (1, 3))]
)
def test_weights_are_one_map_within_0_and_1_at_any_size(size, below, variant):
    gate = AttentionGate(6, 10, variant=variant)
    skip, deeper = torch.randn(2, 6, *size), torch.randn(2, 10, *below)
    weights = gate.weights(skip, deeper)
    assert weights.shape == (2, 1, *size)
    assert 0 < weights.min() <= weights.max() < 1
    assert gate(skip, deeper).shape == skip.shape


def test_a_score_of_zero_halves_the_skip_and_a_high_one_lets_it_through():
    gate = AttentionGate(6, 10).eval()
    skip, deeper = torch.randn(2, 6, 8, 8), torch.randn(2, 10, 4, 4)
    torch.nn.init.zeros_(gate.score.weight)
    for bias, factor in ((0.0, 0.5), (50.0, 1.0)):
        torch.nn.init.constant_(gate.score.bias, bias)
        torch.testing.assert_close(gate(skip, deeper), gate.out(factor * skip))


def test_gradients_reach_both_inputs():
    skip = torch.randn(2, 6, 8, 8, requires_grad=True)
    deeper = torch.randn(2, 10, 4, 4, requires_grad=True)
    AttentionGate(6, 10).eval()(skip, deeper).square().sum().backward()
    assert skip.grad.any()
    assert deeper.grad.any()


def test_the_papers_gate_of_64_channels_has_the_published_size():
    gate = AttentionGate(64, 256, width=32)
    assert sum(
        p.numel() for part in (gate.skip, gate.deeper, gate.score) for p in part.parameters()
    ) == (32 * 64 * 4 + 256 * 32 + 32 + 33)
