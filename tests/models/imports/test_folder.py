"""Folders with config.json and weights: what is missing or wrong is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.folder import read_config, read_weights


def test_a_folder_without_a_configuration_or_with_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no config.json.*save_pretrained"):
        read_config(tmp_path)
    for text, message in (("{", "is not JSON"), ("[1]", "is not a JSON object")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(WeightsError, match=message):
            read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"classes": 2}')
    assert read_config(tmp_path) == {"classes": 2}


def test_weights_are_safetensors_or_the_older_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"neither model.safetensors nor pytorch_model.bin"):
        read_weights(tmp_path)
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert read_weights(tmp_path).state["a"].tolist() == [1, 1]
