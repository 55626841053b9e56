"""DPT of segmentation-models-pytorch as the architecture `dpt`: equal logits, all accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from maskzoo.models.bundles.bundle import save_bundle
from maskzoo.models.errors import ExportError, WeightsError
from maskzoo.models.export.onnx import export_onnx
from maskzoo.models.export.smp import export_smp
from maskzoo.models.imports.bundle import build_imported, write_imported
from maskzoo.models.imports.smp.importer import import_smp
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model
from tests.models.imports.smp.test_importer import both, shuffled
from tests.models.parity import check_onnx
from tests.models.tiny import at_unit_scale

TINY = {"embed_dim": 24, "num_heads": 2, "dynamic_img_size": True}


def saved(folder: Path, encoder: str = "tu-vit_tiny_patch16_224", **options: Any) -> nn.Module:
    """Save a tiny DPT of smp, and return it."""
    torch.manual_seed(1)
    settings: dict[str, Any] = {
        "encoder_weights": None,
        "decoder_intermediate_channels": (4, 6, 8, 10),
        "decoder_fusion_channels": 12,
        "classes": 3,
        **TINY,
    }
    model = shuffled(smp.DPT(encoder, **(settings | options)))
    model.save_pretrained(folder)
    return model


@pytest.mark.filterwarnings("ignore:Encoder does not have prefix tokens")
@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("tu-vit_tiny_patch16_224", {}),
        ("tu-vit_tiny_patch16_224", {"decoder_readout": "add", "in_channels": 4}),
        ("tu-vit_tiny_patch16_224", {"decoder_readout": "ignore"}),
        ("tu-vit_tiny_patch16_224", {"reg_tokens": 3}),
        ("tu-vit_tiny_patch16_224", {"reg_tokens": 3, "decoder_readout": "add"}),
        ("tu-vit_base_patch16_rpn_224", {}),  # has no class token; smp still projects
        ("tu-vit_tiny_patch16_224", {"encoder_output_indices": [0, 2, 3, 5]}),
        ("tu-deit_tiny_distilled_patch16_224", {}),
    ],
)
def test_the_imported_network_has_smps_logits(
    tmp_path: Path, encoder: str, options: dict[str, Any]
) -> None:
    model = saved(tmp_path, encoder, **options)
    ours, theirs = both(tmp_path, model, (64, 96))
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_one_logit_becomes_a_background_and_a_foreground(tmp_path: Path) -> None:
    model = saved(tmp_path, classes=1)
    ours, theirs = both(tmp_path, model, (64, 64))
    torch.testing.assert_close(ours[:, 1:] - ours[:, :1], theirs, rtol=1e-9, atol=1e-9)


def test_a_network_of_one_size_has_smps_logits_at_that_size(tmp_path: Path) -> None:
    model = saved(tmp_path, dynamic_img_size=False, img_size=64)
    ours, theirs = both(tmp_path, model, (64, 64))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"encoder_output_indices": [0, 2, 3, 5], "decoder_readout": "add"}]
)
def test_it_goes_back_to_smp_with_equal_logits(tmp_path: Path, options: dict[str, Any]) -> None:
    model = saved(tmp_path / "theirs", **options)
    write_imported(import_smp(tmp_path / "theirs"), tmp_path / "bundle")
    again = smp.from_pretrained(str(export_smp(tmp_path / "bundle", tmp_path / "again"))).eval()
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        expected = model.double()(images)
        torch.testing.assert_close(again.double()(images), expected, rtol=1e-9, atol=1e-9)


def test_a_dpt_that_smp_does_not_have_is_refused(tmp_path: Path) -> None:
    for number, (encoder, options, message) in enumerate(
        [
            ("tu-resnet10t", {"align_corners": True}, "plain vision transformers"),
            ("tu-vit_tiny_patch16_224", {}, "align_corners"),
        ]
    ):
        network = create_model("dpt", encoder=encoder, num_classes=2, channels=8, **options)
        folder = save_bundle(
            tmp_path / str(number),
            network,
            name="x",
            labels=LabelSet.generic(2),
            preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3),
        )
        with pytest.raises(ExportError, match=message):
            export_smp(folder, tmp_path / "out")


def test_what_lies_behind_the_last_depth_is_left_out_and_named(tmp_path: Path) -> None:
    saved(tmp_path, encoder_output_indices=[0, 1, 2, 3])
    imported = import_smp(tmp_path)
    left_out = imported.source.left_out
    assert any(line.startswith("encoder.model.head.weight (behind") for line in left_out)
    assert any(line.startswith("encoder.model.blocks.4.") for line in left_out)
    assert not any(line.startswith("encoder.model.blocks.3.") for line in left_out)
    build_imported(imported)


@pytest.mark.slow
def test_onnx_runtime_gives_its_logits_at_other_sizes(tmp_path: Path) -> None:
    saved(tmp_path)
    network = at_unit_scale(build_imported(import_smp(tmp_path)).eval())
    path = export_onnx(network, tmp_path / "network.onnx")
    assert len({parity.shape for parity in check_onnx(network, path, tolerance=1e-4)}) >= 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_depth": 3}, "encoder_depth 3: maskzoo's DPT reads 4 depths"),
        ({"encoder_name": "tu-swin_tiny_patch4_window7_224"}, r"strides \[4, 8, 16, 32\]"),
    ],
)
def test_what_maskzoo_does_not_have_is_refused_in_words(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        import_smp(tmp_path)
