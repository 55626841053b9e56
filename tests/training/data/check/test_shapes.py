from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.inspection import Inspection

SQUARE = [[4, 2], [12, 2], [12, 10], [4, 10]]
CAT = {"label": "cat", "points": SQUARE, "shape_type": "polygon"}
LINE = {"label": "wire", "points": SQUARE[:2], "shape_type": "line"}


def labelled(root: Path, *shapes: list[dict[str, object]], **keys: object) -> Inspection:
    """Inspect images with these shapes, and nine others with a cat."""
    rng = np.random.default_rng(0)
    for number, row in enumerate([*shapes, *([[CAT]] * 9)]):
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(root / f"{number}.png")
        (root / f"{number}.json").write_text(json.dumps({"shapes": row, **keys}))
    return inspect(root)


def kinds(inspection: Inspection, severity: str) -> dict[str, str]:
    return {row.kind: row.title for row in inspection.problems if row.severity == severity}


def test_what_is_not_drawn_is_a_warning_with_its_kinds(tmp_path: Path) -> None:
    line = {**LINE, "label": "cat"}
    found = labelled(tmp_path, [CAT, line, line])
    assert kinds(found, "error") == {}
    assert kinds(found, "warning")["not-drawn"] == "2 of 12 annotations are not drawn: 2 lines"


def test_an_image_that_ends_up_empty_is_an_error(tmp_path: Path) -> None:
    found = labelled(tmp_path, [{**LINE, "label": "cat"}])
    assert kinds(found, "error") == {"empty-image": "1 image ends up empty: 1 lines"}
    (problem,) = found.errors
    assert problem.stems == ("0",)


def test_a_class_that_ends_up_empty_is_an_error(tmp_path: Path) -> None:
    found = labelled(tmp_path, [CAT, LINE])
    assert "empty-class" in kinds(found, "error")
    assert "wire: 1 annotation is not drawn" in found.errors[0].text(tmp_path)


def test_an_image_without_annotations_is_background(tmp_path: Path) -> None:
    assert kinds(labelled(tmp_path, []), "error") == {}


@pytest.mark.parametrize("width", [64, 65])
def test_annotations_of_another_size_are_scaled_and_told(tmp_path: Path, width: int) -> None:
    found = labelled(tmp_path, imageHeight=48, imageWidth=width)
    assert "scaled" in kinds(found, "warning")["scaled-annotations"]


def test_annotations_of_other_proportions_are_an_error(tmp_path: Path) -> None:
    found = labelled(tmp_path, [{**CAT}])
    (tmp_path / "0.json").write_text(
        json.dumps({"shapes": [CAT], "imageHeight": 48, "imageWidth": 48})
    )
    found = inspect(tmp_path)
    assert "for 48 x 48, but the image is 32 x 24" in found.errors[0].text(tmp_path)
