"""CARAFE against a loop over the new positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from maskzoo.models.plugins.carafe import Carafe


def test_a_new_position_is_a_mean_of_old_ones_by_its_own_kernel():
    carafe = Carafe(4, 2, kernel_size=3, width=3).double()
    for parameter in carafe.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 4, 3, 5, dtype=torch.float64)
    scores = carafe.predict(carafe.compress(x))[0]  # (9 · 4, 3, 5)
    padded = F.pad(x, (1, 1, 1, 1))[0]
    y = torch.empty(1, 4, 6, 10, dtype=torch.float64)
    for i in range(6):
        for j in range(10):
            place = 2 * (i % 2) + j % 2  # within the σ x σ positions that replace an old one
            row, column = i // 2, j // 2
            weights = scores[place::4, row, column].softmax(0).view(3, 3)
            patch = padded[:, row : row + 3, column : column + 3]
            y[0, :, i, j] = (weights * patch).sum((1, 2))
    torch.testing.assert_close(carafe(x, torch.Size((6, 10))), y, atol=1e-12, rtol=0)


def test_the_weights_of_a_flat_map_sum_to_one_away_from_the_border():
    carafe = Carafe(4, 4)
    x = torch.full((1, 4, 9, 9), 3.0)
    y = carafe(x, torch.Size((36, 36)))
    torch.testing.assert_close(y[..., 8:-8, 8:-8], torch.full((1, 4, 20, 20), 3.0))
