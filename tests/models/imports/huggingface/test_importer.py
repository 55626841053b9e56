"""Folders of transformers: classes, normalisation, refusals, and the command."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from maskzoo import cli
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.huggingface.importer import import_huggingface

TOOL = runpy.run_path(str(Path(__file__).resolve().parents[4] / "tools" / "huggingface.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A SegFormer as transformers writes it."""
    (tmp_path / "theirs").mkdir()
    TOOL["write_folder"]("segformer", tmp_path / "theirs")
    return tmp_path / "theirs"


def changed(folder: Path, change: dict[str, Any]) -> None:
    """Change settings of the configuration."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))


def test_names_and_normalisation_are_the_folders(folder: Path) -> None:
    changed(folder, {"id2label": {"0": "wall", "1": "sky", "2": "car", "3": "road"}})
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
        ({"model_type": "beit"}, "model_type is 'beit'.*takes 'segformer' and 'upernet'"),
        ({"hidden_sizes": [8, 8, 8, 8]}, "not those of B0 to B5"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', needed 'gelu'"),
    ],
)
def test_other_networks_are_refused_with_what_differs(
    folder: Path, change: dict[str, Any], message: str
) -> None:
    changed(folder, change)
    with pytest.raises(WeightsError, match=message):
        import_huggingface(folder)


def test_the_command_writes_a_bundle_and_says_what_it_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", "huggingface", str(folder), "-o", str(tmp_path / "bundle")]
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--classes", "a,b,c,d", "--licence", "other"])
    assert not ended.value.code
    told = capsys.readouterr().out
    assert f"wrote {tmp_path / 'bundle'}: segformer on mit_b0, 4 classes" in told
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.labels.names == ("a", "b", "c", "d")
    assert manifest.provenance.weights_licence == "other"
    assert manifest.provenance.imported_from is not None
    assert manifest.provenance.imported_from.library == "transformers"


def test_the_command_refuses_another_network_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(folder, {"model_type": "beit"})
    with pytest.raises(SystemExit) as ended:
        cli.main(["import", "huggingface", str(folder), "-o", str(tmp_path / "bundle")])
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert "takes 'segformer' and 'upernet'" in told
    assert "Traceback" not in told
    assert not (tmp_path / "bundle").exists()
