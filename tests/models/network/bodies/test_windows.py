"""Windows of an image and their features, against slices."""

from __future__ import annotations

import torch

from maskzoo.models.network.bodies.windows import cut, join


def test_windows_are_the_slices_of_the_image_row_by_row():
    image = torch.randn(2, 3, 8, 12)
    windows = cut(image, 4)
    assert windows.shape == (12, 3, 4, 4)
    for n in range(2):
        for row in range(2):
            for column in range(3):
                there = image[n, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                assert torch.equal(windows[6 * n + 3 * row + column], there)


def test_features_of_windows_lie_where_their_windows_lay():
    image = torch.randn(2, 3, 8, 12)
    pooled = torch.nn.functional.avg_pool2d
    joined = join(pooled(cut(image, 4), 2), image, 4)
    assert torch.equal(joined, pooled(image, 2))
