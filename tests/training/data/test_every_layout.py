"""Every layout of files that maskzoo reads, opened without an edit."""

from __future__ import annotations

import pytest

from maskzoo.training.data.opening import inspect
from tests.training.data.truth import (
    NUMBER,
    assert_truth,
    photo_of,
    save,
    save_ids,
    split_of,
    truth,
    write_pairs,
)

LAYOUTS = {
    "splits below": ("images/{split}/{n}.png", "masks/{split}/{n}.png"),
    "splits above": ("{split}/images/{n}.png", "{split}/masks/{n}.png"),
    "no splits": ("images/{n}.png", "masks/{n}.png"),
    "suffixes": ("images/{n}.jpg", "masks/{n}_mask.png"),
    "prefixes": ("imgs/img_{n}.png", "labels/lbl_{n}.png"),
    "prefixes nobody foresaw": ("images/shot7_{n}.png", "masks/truth-{n}-v2.png"),
    "odd stems": ("images/{n}_sat.jpg", "masks/{n}_gt.tif"),
    "one folder": ("{n}.jpg", "{n}_mask.png"),
    "one folder a split": ("{split}/{n}.jpg", "{split}/{n}_mask.png"),
    "capitals": ("Images/{n}.JPG", "Masks/{n}.PNG"),
    "CamVid": ("{split}/{n}.png", "{split}annot/{n}.png"),
    "CamVid raw": ("701_StillsRaw_full/{n}.png", "LabeledApproved_full/{n}_L.png"),
    "Cityscapes": (
        "leftImg8bit/{split}/ulm/ulm_{n}_leftImg8bit.png",
        "gtFine/{split}/ulm/ulm_{n}_gtFine_labelTrainIds.png",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_files_is_read(name, tmp_path):
    image, mask = LAYOUTS[name]
    write_pairs(tmp_path, image, mask, save_ids)
    assert_truth(tmp_path)


def test_ade20k_is_read(tmp_path):
    for number in range(NUMBER):
        split = {"train": "training", "val": "validation"}[split_of(number)]
        name = f"ADE_{split_of(number)}_{number:08}"
        save(tmp_path / "images" / split / f"{name}.jpg", photo_of(number))
        save(tmp_path / "annotations" / split / f"{name}.png", truth(number) + 1)
    report = inspect(tmp_path)
    assert report.num_errors == 0
    assert report.to_json()["splits"] == {"train": 8, "val": 4, "test": 0}
    assert report.findings.interpretation.labels.names[:3] == ("wall", "building", "sky")
    assert report.findings.interpretation.labels.num_classes == 150
