"""What --from means: a bundle, or weights of an encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.training.starts.given import start_setting


@pytest.mark.parametrize("given", ["builtin", "imagenet", "some/where.pth", "x.safetensors"])
def test_words_and_files_are_weights_of_an_encoder(given: str) -> None:
    assert start_setting(given) == "model.encoder_weights"


@pytest.mark.parametrize("given", ["aerial", "runs/first/bundle", "nothing here"])
def test_all_else_is_a_bundle(given: str) -> None:
    assert start_setting(given) == "model.start_from"


def test_a_folder_is_a_bundle_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "v1.pt").mkdir()
    assert start_setting(str(tmp_path / "v1.pt")) == "model.start_from"
