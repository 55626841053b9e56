"""UPerNet of transformers on ConvNeXt and Swin: its logits, from drawn weights."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.huggingface.importer import import_huggingface

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[4] / "tools" / "huggingface.py"))


@pytest.mark.parametrize("name", ["upernet_convnext", "upernet_swin"])
def test_logits_and_auxiliary_logits_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    expected = TOOL["write_folder"](name, tmp_path)
    network = build_imported(import_huggingface(tmp_path)).double()
    images = TOOL["images"](name)
    with torch.no_grad():
        logits = network(images)
        output = network.forward_train(images)
        auxiliary = torch.nn.functional.interpolate(
            expected["auxiliary"], size=images.shape[2:], mode="bilinear"
        )
    assert expected["logits"].std() > 1e-3
    torch.testing.assert_close(logits, expected["logits"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(output.logits, expected["logits"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(output.aux["fcn"], auxiliary, rtol=1e-9, atol=1e-9)


def test_what_is_computed_or_not_read_is_left_out_and_named(tmp_path: Path) -> None:
    TOOL["write_folder"]("upernet_swin", tmp_path)
    left_out = import_huggingface(tmp_path).source.left_out
    assert all("relative_position_index" in line or "layernorm" in line for line in left_out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auxiliary_concat_input": True}, "auxiliary_concat_input is True, needed False"),
        ({"backbone_config": {"model_type": "resnet"}}, "'resnet'; maskzoo takes 'convnext'"),
        (
            {"backbone_config": {"model_type": "swin", "patch_size": 2}},
            "backbone_config.patch_size is 2, needed 4",
        ),
    ],
)
def test_other_backbones_and_settings_are_refused_with_what_differs(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    TOOL["write_folder"]("upernet_swin", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        import_huggingface(tmp_path)
