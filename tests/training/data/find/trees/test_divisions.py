from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.readers import SIZE, photos, save

LAYOUTS = [
    ("{s}/images/{n}.png", "{s}/masks/{n}.png"),
    ("images/{s}/{n}.png", "masks/{s}/{n}.png"),
    ("{s}/{n}_sat.png", "{s}/{n}_mask.png"),
    ("{s}_images/{n}.png", "{s}_masks/{n}.png"),
]


def write(root: Path, layout: tuple[str, str], parts: list[str]) -> None:
    for place in range(4 * len(parts)):
        image, mask = (Path(text.format(s=parts[place // 4], n=place)) for text in layout)
        photos(root / image.parent, image.name, first=place, number=1)
        pixels = np.zeros(SIZE, np.uint8)
        pixels[4:9, 4:9] = 255
        save(root / mask, pixels)


def rows(report: Inspection) -> set[tuple[object, ...]]:
    return {(s.stem, s.image, s.mask, s.split) for s in report.findings.samples}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("parts", "meanings"),
    [
        (["train", "held_out"], ["held_out as val", "held_out as test", "held_out as train"]),
        (["train", "val", "extra"], ["extra as test", "extra as train", "extra as val"]),
        (["Fold1", "Fold2"], ["Fold1 as train, Fold2 as val", "splits drawn"]),
        (["public", "private"], ["public as train, private as test", "splits drawn"]),
    ],
)
def test_folders_beside_a_split_are_asked_for(layout, parts, meanings, tmp_path) -> None:
    write(tmp_path, layout, parts)
    with pytest.raises(ChoiceError) as caught:
        inspect(tmp_path, deep=False)
    names = [choice.name for choice in caught.value.choices]
    assert [name.partition(" (")[2].removesuffix(")") for name in names] == meanings
    for name in names:
        report = inspect(tmp_path, masks=name, deep=False)
        file = write_description(report)
        assert rows(inspect(tmp_path, deep=False)) == rows(report)
        file.unlink()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("parts", "note", "test"),
    [
        (["tr", "te"], "folders of splits by their names: te is test, tr is train", 4),
        (["train", "val", "blind"], "folders of splits by their names: blind is test", 4),
        (["training_set", "test_set"], "splits: there is no val", 4),
        (["Rural", "Urban"], "folders Rural, Urban are taken as parts of one data set", None),
    ],
)
def test_what_folders_are_taken_as_is_said(layout, parts, note, test, tmp_path) -> None:
    write(tmp_path, layout, parts)
    report = inspect(tmp_path, deep=False)
    assert any(text.startswith(note) for text in report.findings.notes), report.findings.notes
    counts = Counter(sample.split for sample in report.findings.samples)
    assert len(report.findings.samples) == 4 * len(parts)
    assert test is None or counts["test"] == test
    write_description(report)
    assert rows(inspect(tmp_path, deep=False)) == rows(report)


def test_a_folder_for_each_image_is_no_division(tmp_path) -> None:
    for place in range(6):
        photos(tmp_path / f"case{place}", "image.png", first=place, number=1)
        save(tmp_path / f"case{place}/mask.png", np.eye(24, 32, dtype=np.uint8) * 255)
    notes = inspect(tmp_path, deep=False).findings.notes
    assert not any("parts of one data set" in note for note in notes)
