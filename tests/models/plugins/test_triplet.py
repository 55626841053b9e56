"""Triplet attention against its three planes, each written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from maskzoo.models.plugins.triplet import PlaneGate, TripletAttention


def _gate(plane: PlaneGate, largest: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return the gate of one plane (A, B) from its two pooled maps."""
    pooled = torch.stack([largest, mean])[None]
    return F.conv2d(pooled, plane.conv.weight, plane.conv.bias, padding=1)[0, 0].sigmoid()


def test_it_is_the_mean_of_the_gates_of_three_planes():
    attention = TripletAttention(3, kernel_size=3, norm="none").double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    image = x[0]
    by_position = _gate(attention.over_channels, image.amax(0), image.mean(0))  # (H, W)
    by_column = _gate(attention.over_rows, image.amax(1), image.mean(1))  # (C, W)
    # The width is pooled away; its plane is (H, C) as the tensor lies after the turn.
    by_row = _gate(attention.over_columns, image.amax(2).T, image.mean(2).T).T  # (C, H)
    wanted = (
        image * by_position[None] + image * by_column[:, None, :] + image * by_row[:, :, None]
    ) / 3
    torch.testing.assert_close(attention(x)[0], wanted, atol=1e-12, rtol=0)


def test_each_plane_has_a_kernel_of_two_maps_only():
    assert sum(p.numel() for p in TripletAttention(512).parameters()) == 3 * (2 * 49 + 2)
