"""SegFormer of transformers: the logits that transformers gave, from drawn weights."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch
from torch import nn

from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.huggingface.importer import import_huggingface

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[4] / "tools" / "huggingface.py"))


def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    """At stride 4, as transformers gives them; here they are then resized to the image.

    transformers' layer norms add 1e-5 to the variance, smp's and the authors' mostly 1e-6.
    """
    expected = TOOL["write_folder"]("segformer", tmp_path)["logits"]
    imported = import_huggingface(tmp_path)
    assert imported.spec.encoder == "mit_b0"
    network = build_imported(imported).double()
    images = TOOL["images"]("segformer")
    with torch.no_grad():
        torch.testing.assert_close(network.forward_coarse(images), expected, rtol=0, atol=1e-5)
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-5
        torch.testing.assert_close(network.forward_coarse(images), expected, rtol=1e-9, atol=1e-9)
