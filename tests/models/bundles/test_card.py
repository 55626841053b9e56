"""The cards of the shipped bundles are those of their manifests, with the foreground's scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.bundles.card import write_card
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import find_bundle, list_bundles


@pytest.mark.parametrize("folder", list_bundles(), ids=lambda folder: folder.name)
def test_a_shipped_card_is_that_of_its_manifest(folder: Path) -> None:
    size = (folder / "model.safetensors").stat().st_size
    assert (folder / "README.md").read_text() == write_card(read_manifest(folder), size)


def test_scores_of_a_foreground_stand_beside_the_means() -> None:
    lines = (find_bundle("nuclei") / "README.md").read_text().splitlines()
    at = lines.index("| mean iou | 0.9041 |")
    assert lines[at : at + 4] == [
        "| mean iou | 0.9041 |",
        "| foreground iou | 0.834 |",
        "| mean dice | 0.9482 |",
        "| foreground dice | 0.9095 |",
    ]
    assert "foreground iou" not in (find_bundle("aerial") / "README.md").read_text()
