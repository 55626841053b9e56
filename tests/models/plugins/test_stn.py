"""STN: identity, known maps, and the way back."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from maskzoo.models.plugins.stn import SpatialTransformer, inverse, warp


def smooth(height=40, width=56):
    rows = torch.linspace(0, 3, height, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 2, width, dtype=torch.float64)
    return (rows.sin() + columns.cos())[None, None]


def theta(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, 2, 3)


@pytest.mark.parametrize("size", [(7, 7), (16, 24), (33, 47)])
def test_starts_as_the_identity_and_so_does_the_way_back(size):
    stn = SpatialTransformer(3).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    warped, pose = stn(x)
    torch.testing.assert_close(warped, x, atol=1e-12, rtol=0)
    torch.testing.assert_close(stn.restore(warped, pose), x, atol=1e-12, rtol=0)


def test_a_shift_of_one_pixel_moves_the_image_by_one_pixel():
    """Pixels are 2 / W apart where ±1 are the outer edges."""
    x = torch.randn(1, 2, 5, 8, dtype=torch.float64)
    shifted = warp(x, theta(1, 0, 2 / 8, 0, 1, 0))
    torch.testing.assert_close(shifted[..., :-1], x[..., 1:], atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((-1, 0, 0, 0, 1, 0), lambda x: x.flip(3)),
        ((1, 0, 0, 0, -1, 0), lambda x: x.flip(2)),
        ((0, -1, 0, 1, 0, 0), lambda x: x.rot90(1, (2, 3))),
    ],
)
def test_flips_and_quarter_turns_are_exact_and_come_back(values, wanted):
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    turned = warp(x, theta(*values))
    torch.testing.assert_close(turned, wanted(x), atol=1e-12, rtol=0)
    torch.testing.assert_close(warp(turned, inverse(theta(*values))), x, atol=1e-12, rtol=0)


def test_the_inverse_is_that_of_the_matrix():
    given = torch.randn(4, 2, 3, dtype=torch.float64)
    last = torch.tensor([0.0, 0, 1], dtype=torch.float64).expand(4, 1, 3)
    wanted = torch.linalg.inv(torch.cat([given, last], dim=1))[:, :2]
    torch.testing.assert_close(inverse(given), wanted)


def test_a_smooth_map_comes_back():
    x = smooth()
    there = theta(0.9, 0.1, 0.05, -0.08, 0.95, -0.04)
    back = warp(warp(x, there, "border"), inverse(there), "border")
    torch.testing.assert_close(back[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8], atol=1e-2, rtol=0)


def test_a_collapsed_map_gives_no_infinities():
    assert inverse(torch.zeros(1, 2, 3)).isfinite().all()


def test_mistake_folding_the_features_into_the_batch():
    """A hard-coded width made four images of one; here every size keeps its batch."""
    stn = SpatialTransformer(3)
    for size in ((8, 8), (33, 70), (128, 96)):
        warped, pose = stn(torch.randn(2, 3, *size))
        assert warped.shape == (2, 3, *size)
        assert pose.shape == (2, 2, 3)


def test_mistake_no_nonlinearity_between_the_layers():
    stn = SpatialTransformer(1)
    layers = [type(layer) for layer in (*stn.localise, stn.pose)]
    linear = [i for i, kind in enumerate(layers) if kind in (nn.Conv2d, nn.Linear)]
    assert all(nn.ReLU in layers[a:b] for a, b in itertools.pairwise(linear))


def test_mistake_no_identity_at_the_start():
    stn = SpatialTransformer(3)
    assert not stn.pose.weight.any()
    assert stn.pose.bias.tolist() == [1, 0, 0, 0, 1, 0]


def test_gradients_reach_the_localisation_network():
    stn = SpatialTransformer(3)
    nn.init.normal_(stn.pose.weight, std=0.01)
    warped, pose = stn(torch.randn(2, 3, 40, 40))
    stn.restore(warped, pose).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in stn.parameters())


def test_mistake_a_grid_and_a_sampler_of_two_conventions_of_corners():
    """The identity then shifts every pixel but the middle one."""
    x = torch.randn(1, 2, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(warp(x, theta(1, 0, 0, 0, 1, 0)), x, atol=1e-12, rtol=0)


def test_mistake_no_localisation_network():
    """A brief hands the image itself to the linear layers."""
    stn = SpatialTransformer(3)
    assert [type(layer) for layer in stn.localise].count(nn.Conv2d) >= 1


def test_mistake_masks_that_stay_where_the_warped_image_lies():
    stn = SpatialTransformer(1).double()
    stn.pose.bias = nn.Parameter(theta(-1, 0, 0, 0, 1, 0).flatten())
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    warped, pose = stn(x)
    torch.testing.assert_close(warped, x.flip(3), atol=1e-12, rtol=0)
    torch.testing.assert_close(stn.restore(warped, pose), x, atol=1e-12, rtol=0)
