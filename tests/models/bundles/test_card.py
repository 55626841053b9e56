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
    metrics = read_manifest(find_bundle("nuclei")).metrics
    _, foreground = metrics.per_class
    lines = (find_bundle("nuclei") / "README.md").read_text().splitlines()
    at = lines.index(f"| mean iou | {metrics.mean_iou:.4g} |")
    assert lines[at : at + 4] == [
        f"| mean iou | {metrics.mean_iou:.4g} |",
        f"| foreground iou | {foreground.iou:.4g} |",
        f"| mean dice | {metrics.mean_dice:.4g} |",
        f"| foreground dice | {foreground.dice:.4g} |",
    ]
    assert "foreground iou" not in (find_bundle("aerial") / "README.md").read_text()
