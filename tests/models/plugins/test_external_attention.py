"""External attention against the double normalisation written out."""

from __future__ import annotations

import torch

from maskzoo.models.plugins.external_attention import ExternalAttention


def test_the_scores_are_normalised_over_the_positions_and_then_over_the_memory():
    attention = ExternalAttention(6, memory=5, norm="none").double()
    torch.nn.init.normal_(attention.out.conv.weight)
    x = torch.randn(1, 6, 2, 4, dtype=torch.float64)
    features = attention.project(x)[0].flatten(1)  # (6, 8)
    scores = attention.keys.weight[:, :, 0] @ features  # (5, 8)
    weights = scores.exp()
    for row in range(5):
        weights[row] = weights[row] / weights[row].sum()
    for position in range(8):
        weights[:, position] = weights[:, position] / weights[:, position].sum()
    context = attention.values.weight[:, :, 0] @ weights
    wanted = x + attention.out(context.view(1, 6, 2, 4))
    torch.testing.assert_close(attention(x), wanted, atol=1e-8, rtol=0)


def test_every_image_attends_to_the_same_memory():
    attention = ExternalAttention(4).eval()
    x = torch.randn(3, 4, 5, 5)
    together = attention(x)
    alone = torch.cat([attention(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert attention.keys.weight.shape == (64, 4, 1)
