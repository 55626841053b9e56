"""CAM: against the authors' and mmsegmentation's, and its known mistakes."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.cam import ChannelAttention


@pytest.mark.parametrize("name", ["official_CAM", "official_CAM_saturated", "mmseg_CAM"])
def test_cam_equals_the_authors_and_mmsegmentation(name, module_reference):
    module_reference(name).check(ChannelAttention(16), {"gamma.scale": "gamma"})


@pytest.mark.parametrize(("energy", "sign"), [("official", -1), ("paper", 1)])
def test_cam_is_the_softmax_of_the_signed_gram_matrix(energy, sign):
    cam = ChannelAttention(4, energy=energy).double()
    torch.nn.init.constant_(cam.gamma, 0.7)
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    maps = x.flatten(2)
    weights = (sign * torch.einsum("nil,njl->nij", maps, maps)).softmax(2)
    wanted = 0.7 * torch.einsum("nij,njl->nil", weights, maps).view_as(x) + x
    torch.testing.assert_close(cam(x), wanted)


def test_cam_is_the_identity_at_its_start():
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(ChannelAttention(8)(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cam_energy_does_not_overflow_half_precision(dtype):
    # 4096 products of values near 5 sum to 1e5, above fp16's 65504.
    cam = ChannelAttention(16)
    torch.nn.init.ones_(cam.gamma)
    x = (5 * torch.randn(1, 16, 64, 64)).to(dtype)
    with torch.autocast("cpu", dtype):
        assert cam(x).isfinite().all()
