"""Ceil-mode pools of timm's ResNet-D family, in their exported form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from maskzoo.models.export.onnx import export_onnx
from maskzoo.models.export.pools import CeilAvgPool2d, use_portable_pools
from maskzoo.models.registry import create_model
from tests.models.parity import check_onnx


@pytest.mark.parametrize("size", [(8, 8), (7, 8), (9, 5), (1, 6), (1, 1), (2, 3)])
def test_the_portable_pool_equals_torch_s_in_ceil_mode(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    wanted = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)(x)
    torch.testing.assert_close(CeilAvgPool2d()(x), wanted, rtol=0, atol=1e-15)


def test_other_pools_are_left_alone() -> None:
    network = nn.Sequential(
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(2, 2, padding=1, ceil_mode=True, count_include_pad=False),
    )
    use_portable_pools(network)
    assert [isinstance(part, CeilAvgPool2d) for part in network] == [True, False, False, False]


@pytest.mark.slow
def test_a_network_on_such_an_encoder_exports_with_a_free_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"channels": [4, 8, 8, 16], "stem_width": 4}
    network = create_model(
        "unet",
        encoder="tu-resnet10t",
        encoder_options=options,
        num_classes=2,
        channels=[8, 8, 8, 8],
    ).eval()
    path = export_onnx(network, tmp_path / "network.onnx")
    assert len(check_onnx(network, path)) >= 3
