from __future__ import annotations

import json

import pytest

from maskzoo.models.errors import DataError
from tests.training.data.reading import find_pairs

LAYOUTS = {
    "splits below the folders": (
        ["images/train/a.jpg", "masks/train/a.png", "images/val/b.jpg", "masks/val/b.png"],
        {("a", "masks/train/a.png", "train"), ("b", "masks/val/b.png", "val")},
    ),
    "folders below the splits": (
        ["train/images/a.jpg", "train/masks/a.png", "valid/images/b.jpg", "valid/masks/b.png"],
        {("a", "train/masks/a.png", "train"), ("b", "valid/masks/b.png", "val")},
    ),
    "no splits": (
        ["images/a.jpg", "masks/a.png"],
        {("a", "masks/a.png", None)},
    ),
    "other names and suffixes": (
        ["imgs/a.tif", "labels/a_mask.png", "imgs/b.tif", "labels/b_mask.png"],
        {("a", "labels/a_mask.png", None), ("b", "labels/b_mask.png", None)},
    ),
    "prefixes on both sides": (
        ["images/img_1.jpg", "masks/mask_1.png"],
        {("img_1", "masks/mask_1.png", None)},
    ),
    "an affix nobody foresaw": (
        ["images/a.jpg", "masks/a-zebra.png", "images/b.jpg", "masks/b-zebra.png"],
        {("a", "masks/a-zebra.png", None), ("b", "masks/b-zebra.png", None)},
    ),
    "one folder": (
        ["data/a.jpg", "data/a_mask.png"],
        {("a", "data/a_mask.png", None)},
    ),
    "one folder, PNG beside JPEG": (
        ["a.jpg", "a.png", "b.JPG", "b.png"],
        {("a", "a.png", None), ("b", "b.png", None)},
    ),
    "one folder a split, PNG beside JPEG": (
        ["train/a.jpg", "train/a.png", "val/a.jpeg", "val/a.png"],
        {("train/a", "train/a.png", "train"), ("val/a", "val/a.png", "val")},
    ),
    "one folder a split, in the folder of an archive": (
        ["a.v1/train/a.jpg", "a.v1/train/a_mask.png", "a.v1/valid/b.jpg", "a.v1/valid/b_mask.png"],
        {("a", "a.v1/train/a_mask.png", "train"), ("b", "a.v1/valid/b_mask.png", "val")},
    ),
    "Cityscapes": (
        [
            "leftImg8bit/train/ulm/ulm_0_leftImg8bit.png",
            "gtFine/train/ulm/ulm_0_gtFine_labelIds.png",
            "gtFine/train/ulm/ulm_0_gtFine_instanceIds.png",
            "gtFine/train/ulm/ulm_0_gtFine_color.png",
        ],
        {("ulm/ulm_0_leftImg8bit", "gtFine/train/ulm/ulm_0_gtFine_labelIds.png", "train")},
    ),
    "ADE20K": (
        [
            "images/training/ADE_train_00000001.jpg",
            "annotations/training/ADE_train_00000001.png",
            "images/validation/ADE_val_00000001.jpg",
            "annotations/validation/ADE_val_00000001.png",
        ],
        {
            ("ADE_train_00000001", "annotations/training/ADE_train_00000001.png", "train"),
            ("ADE_val_00000001", "annotations/validation/ADE_val_00000001.png", "val"),
        },
    ),
    "CamVid of SegNet": (
        ["train/0.png", "trainannot/0.png", "test/1.png", "testannot/1.png"],
        {("0", "trainannot/0.png", "train"), ("1", "testannot/1.png", "test")},
    ),
    "CamVid as published": (
        ["701_StillsRaw_full/0001TP_1.png", "LabeledApproved_full/0001TP_1_L.png"],
        {("0001TP_1", "LabeledApproved_full/0001TP_1_L.png", None)},
    ),
    "a folder deeper": (
        ["outer/inner/images/a.jpg", "outer/inner/masks/a.png"],
        {("a", "outer/inner/masks/a.png", None)},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_common_layouts_are_found(name, tmp_path, touch, found):
    files, expected = LAYOUTS[name]
    touch(files)
    assert found()[1] == expected


def test_foreign_json_beside_images_is_not_taken_for_labelme(tmp_path, touch):
    touch(["images/a.jpg"])
    (tmp_path / "images" / "a.json").write_text(json.dumps({"caption": "a"}))
    with pytest.raises(DataError, match="no images with masks"):
        find_pairs(tmp_path)
