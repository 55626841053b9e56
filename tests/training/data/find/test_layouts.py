from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.find.layouts import find_pairs

PIXEL = np.zeros((4, 5), np.uint8)


def touch(write_picture, root, names):
    for name in names:
        write_picture(root / name, PIXEL)


def found(root):
    index = find_pairs(root)
    return index, {
        (pair.stem, pair.mask.relative_to(root).as_posix(), pair.split) for pair in index.pairs
    }


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
def test_common_layouts_are_found(name, tmp_path, write_picture):
    files, expected = LAYOUTS[name]
    touch(write_picture, tmp_path, files)
    assert found(tmp_path)[1] == expected


def test_voc_reads_its_lists_and_nothing_else(tmp_path, write_picture):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for stem in ("a", "b", "c"):
        touch(write_picture, root, [f"JPEGImages/{stem}.jpg", f"SegmentationClass/{stem}.png"])
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    index, pairs = found(tmp_path)
    assert index.layout == "PASCAL VOC"
    assert {(stem, split) for stem, _, split in pairs} == {("a", "train"), ("b", "val")}


def test_csv_with_columns_is_read(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["x/1.jpg", "y/one.png", "x/2.jpg", "y/two.png"])
    rows = (
        "image,mask,split\nx/1.jpg,y/one.png,train\nx/2.jpg,y/two.png,test\nx/3.jpg,y/3.png,val\n"
    )
    (tmp_path / "list.csv").write_text(rows)
    index, pairs = found(tmp_path)
    assert pairs == {("x/1", "y/one.png", "train"), ("x/2", "y/two.png", "test")}
    assert index.notes == ("list.csv lists x/3.jpg, which does not exist: left out",)


def test_text_lists_name_their_split(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["x/1.jpg", "y/1.png", "x/2.jpg", "y/2.png"])
    (tmp_path / "train.txt").write_text("x/1.jpg y/1.png\n")
    (tmp_path / "val.txt").write_text("x/2.jpg y/2.png\n")
    assert found(tmp_path)[1] == {("x/1", "y/1.png", "train"), ("x/2", "y/2.png", "val")}


def test_label_train_ids_win_over_label_ids(tmp_path, write_picture):
    masks = ["gtFine_labelIds", "gtFine_labelTrainIds"]
    touch(write_picture, tmp_path, ["leftImg8bit/train/u/u_0_leftImg8bit.png"])
    touch(write_picture, tmp_path, [f"gtFine/train/u/u_0_{name}.png" for name in masks])
    index = find_pairs(tmp_path)
    assert [pair.mask.stem for pair in index.pairs] == ["u_0_gtFine_labelTrainIds"]
    assert [path.stem for path in index.second_masks] == ["u_0_gtFine_labelIds"]


def test_orphans_are_kept_apart(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png"])
    index = find_pairs(tmp_path)
    assert [path.name for path in index.images_without_mask] == ["b.jpg"]
    assert [path.name for path in index.masks_without_image] == ["c.png"]


def test_equal_stems_in_two_splits_stay_apart(tmp_path, write_picture):
    for split in ("train", "val"):
        touch(write_picture, tmp_path, [f"images/{split}/1.jpg", f"masks/{split}/1.png"])
    assert {pair.stem for pair in find_pairs(tmp_path).pairs} == {"train/1", "val/1"}


def test_told_folders_replace_the_search(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["blue/a.jpg", "red/a.png", "images/z.jpg", "masks/z.png"])
    pairs = find_pairs(tmp_path, "blue", "red").pairs
    assert [pair.stem for pair in pairs] == ["a"]


def test_a_folder_without_pairs_says_what_is_expected(tmp_path):
    (tmp_path / "stuff").mkdir()
    (tmp_path / "stuff" / "x.bin").touch()
    with pytest.raises(DataError, match=r"folders: stuff/\).*; expected images/\{train,val,test\}"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "which holds no files; expected"),
        (
            ["a.txt", "b.txt", "c"],
            "holds 2 .txt file(s), 1 file(s) without a suffix (folders: none); none of them",
        ),
        (
            ["images/a.jpg", "images/b.jpg"],
            "holds 2 .jpg file(s) (folders: images/); a network cannot learn from images alone",
        ),
        (["a.png", "b.png"], "holds 2 .png file(s) (folders: none); a network cannot learn"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_by_what_it_holds(tmp_path, files, words):
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    assert words in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        find_pairs(tmp_path / "absent")


def test_foreign_json_beside_images_is_no_labelme(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["images/a.jpg"])
    (tmp_path / "images" / "a.json").write_text(json.dumps({"caption": "a"}))
    with pytest.raises(DataError, match="no images with masks"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("name", ["list.csv", "list.txt"])
def test_a_list_above_a_single_folder_is_not_passed_over(tmp_path, write_picture, name):
    touch(write_picture, tmp_path, ["files/a.png", "files/b.png"])
    head = "image,mask\n" if name.endswith("csv") else ""
    (tmp_path / name).write_text(f"{head}files/a.png,files/b.png\n")
    index = find_pairs(tmp_path)
    assert [(pair.image.name, pair.mask.name) for pair in index.pairs] == [("a.png", "b.png")]


def test_the_one_folder_of_an_archive_may_have_a_readme_beside_it(tmp_path, write_picture):
    touch(write_picture, tmp_path, ["a.v1/train/a.jpg", "a.v1/train/a_mask.png"])
    (tmp_path / "README.txt").write_text("thanks")
    (pair,) = find_pairs(tmp_path).pairs
    assert pair.split == "train"
