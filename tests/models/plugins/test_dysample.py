"""DySample against bilinear upsampling and a loop over the new positions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.plugins.dysample import DySample


@pytest.mark.parametrize("size", [(10, 14), (9, 13), (21, 28), (5, 7)])
def test_it_starts_as_bilinear_upsampling_to_any_size(size):
    x = torch.randn(2, 8, 5, 7)
    wanted = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(DySample(8)(x, torch.Size(size)), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_new_position_is_sampled_where_its_group_s_offset_points(dynamic):
    sampler = DySample(4, 2, groups=2, dynamic_scope=dynamic).double()
    for parameter in sampler.parameters():
        torch.nn.init.normal_(parameter).requires_grad_(False)
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64)
    raw = sampler.offset(x)[0]
    scale = 0.5 * sampler.scope(x)[0].sigmoid() if dynamic else 0.25
    raw = raw * scale  # (2 groups · 2 · 4, 3, 4): x of group 0, y of group 0, x of group 1, …
    y = torch.empty(1, 4, 6, 8, dtype=torch.float64)
    for i in range(6):
        for j in range(8):
            place = 2 * (i % 2) + j % 2
            for group in range(2):
                across = raw[8 * group + place, i // 2, j // 2]
                down = raw[8 * group + 4 + place, i // 2, j // 2]
                row = (i + 0.5) / 2 - 0.5 + down
                column = (j + 0.5) / 2 - 0.5 + across
                for c in (2 * group, 2 * group + 1):
                    y[0, c, i, j] = _bilinear(x[0, c], float(row), float(column))
    torch.testing.assert_close(sampler(x, torch.Size((6, 8))), y, atol=1e-10, rtol=0)


def _bilinear(plane: torch.Tensor, row: float, column: float) -> torch.Tensor:
    """Return the value between the four nearest; outside, that of the border."""
    row = min(max(row, 0), plane.shape[0] - 1)
    column = min(max(column, 0), plane.shape[1] - 1)
    top, left = int(row), int(column)
    bottom, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
    down, across = row - top, column - left
    upper = (1 - across) * plane[top, left] + across * plane[top, right]
    lower = (1 - across) * plane[bottom, left] + across * plane[bottom, right]
    return (1 - down) * upper + down * lower
