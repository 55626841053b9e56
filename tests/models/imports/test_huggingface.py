"""SegFormer of transformers: the logits that transformers gave, from drawn weights."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.huggingface import import_huggingface

ROOT = Path(__file__).resolve().parents[3]
TOOL = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as transformers writes it, with the weights that the stored logits are of."""
    with safe_open(TOOL["FIXTURE"], framework="pt") as stored:
        meta = stored.metadata()
    shapes = json.loads(meta["shapes"])
    state = {
        name: torch.tensor(0)
        if name.endswith("num_batches_tracked")
        else TOOL["drawn"](name, tuple(shape))
        for name, shape in shapes.items()
    }
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(meta["config"])
    return tmp_path


def test_logits_are_those_of_transformers(folder: Path) -> None:
    """At stride 4, as transformers gives them; here they are then resized to the image.

    transformers' layer norms add 1e-5 to the variance, smp's and the authors' mostly 1e-6.
    """
    imported = import_huggingface(folder)
    assert imported.spec.encoder == "mit_b0"
    network = build_imported(imported).double()
    with safe_open(TOOL["FIXTURE"], framework="pt") as stored:
        expected = stored.get_tensor("logits")
    images = TOOL["drawn"]("images", (1, 3, 64, 96)).double()
    with torch.no_grad():
        torch.testing.assert_close(network.forward_coarse(images), expected, rtol=0, atol=1e-5)
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-5
        torch.testing.assert_close(network.forward_coarse(images), expected, rtol=1e-9, atol=1e-9)


def test_names_and_normalisation_are_the_folders(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "wall", "1": "sky", "2": "car", "3": "road"}
    (folder / "config.json").write_text(json.dumps(config))
    given = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2]}
    (folder / "preprocessor_config.json").write_text(json.dumps(given))
    imported = import_huggingface(folder)
    assert imported.labels.names == ("wall", "sky", "car", "road")
    assert imported.preprocessing.std == (0.2, 0.2, 0.2)
    assert import_huggingface(folder, classes=list("abcd")).labels.names == tuple("abcd")
    with pytest.raises(WeightsError, match="has 4 classes, given 1 names"):
        import_huggingface(folder, classes=["a"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "upernet"}, "model_type is 'upernet'.*takes 'segformer'"),
        ({"hidden_sizes": [8, 8, 8, 8]}, "not those of B0 to B5"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', needed 'gelu'"),
    ],
)
def test_other_networks_are_refused_with_what_differs(
    folder: Path, change: dict[str, Any], message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        import_huggingface(folder)
