from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.truth import (
    NUMBER,
    assert_truth,
    save,
    save_ids,
    split_of,
    write_pairs,
)


def test_voc_is_read_by_its_lists(tmp_path):
    root = tmp_path / "VOC2012"
    palette = [0, 0, 0, 128, 0, 0, 0, 128, 0]

    def indexed(path, mask, number):
        image = Image.fromarray(mask)
        image.putpalette(palette)
        save(path, image)

    write_pairs(root, "JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", indexed)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train", "val"):
        stems = [f"{number:03}" for number in range(NUMBER) if split_of(number) == split]
        (lists / f"{split}.txt").write_text("\n".join(stems))
    report = assert_truth(tmp_path)
    assert report.to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_voc_reads_its_lists_and_nothing_else(tmp_path, touch, found):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for stem in ("a", "b", "c"):
        touch([f"{root}/JPEGImages/{stem}.jpg", f"{root}/SegmentationClass/{stem}.png"])
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    index, pairs = found()
    assert index.layout == "PASCAL VOC"
    assert {(stem, split) for stem, _, split in pairs} == {("a", "train"), ("b", "val")}


def write_voc(touch, root, images, lists):
    for image in images:
        stem = image.rpartition(".")[0]
        touch([f"{root}/JPEGImages/{image}", f"{root}/SegmentationClass/{stem}.png"])
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, text in lists.items():
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("images", "train", "val"),
    [
        (("a.png", "b.png"), "a\n", "b\n"),
        (("a.JPG", "b.JPG"), "a\r\n", "b\r\n"),
        (("im 1.jpg", "im 2.jpg"), "im 1\n", "im 2\n"),
        (("a.jpg", "b.jpg"), "\ufeffa\n", "\ufeffb\n"),
        (("a.jpg", "b.jpg"), "a.jpg\n", "JPEGImages/b.jpg\n"),
        (("a.jpg", "b.jpg"), "JPEGImages\\a.jpg\n", "b 1\n"),
        (("\u00e9.jpg", "b.jpg"), "e\u0301\n", "b\n"),
    ],
)
def test_lists_name_images_of_any_suffix_with_spaces_marks_and_folders(
    tmp_path, touch, found, images, train, val
):
    write_voc(touch, tmp_path, images, {"train": train, "val": val})
    index, pairs = found()
    assert index.layout == "PASCAL VOC"
    assert [split for _, _, split in sorted(pairs, key=lambda pair: pair[2])] == ["train", "val"]


def test_lists_that_name_no_image_are_an_error_and_no_split_is_drawn(tmp_path, touch, found):
    write_voc(touch, tmp_path, ("a.jpg", "b.jpg"), {"train": "x1\nx2\n", "val": "x3\n"})
    with pytest.raises(DataError, match=r"name 3 images, such as 'x1', and none of them lies"):
        found()


def test_names_in_a_list_without_an_image_are_told(tmp_path, touch, found):
    write_voc(touch, tmp_path, ("a.jpg", "b.jpg"), {"train": "a\ngone\n", "val": "b\n"})
    index, pairs = found()
    assert len(pairs) == 2
    assert any("'gone'" in note for note in index.notes)


def listed_voc(root, lists):
    """Write images and masks as VOC lays them out, and lists of these numbers."""
    write_pairs(root, "JPEGImages/{n}.png", "SegmentationClass/{n}.png", save_ids)
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, numbers in lists.items():
        (folder / f"{split}.txt").write_text("\n".join(f"{number:03}" for number in numbers))


def test_a_list_of_train_and_val_together_is_taken_where_there_is_no_other(tmp_path):
    listed_voc(tmp_path, {"trainval": range(9), "test": range(9, NUMBER)})
    report = assert_truth(tmp_path)
    assert {sample.stem for sample in report.findings.samples if sample.split == "test"} == {
        f"{number:03}" for number in range(9, NUMBER)
    }


def test_a_name_twice_in_a_list_is_one_sample_and_in_two_lists_an_error(tmp_path):
    listed_voc(tmp_path, {"train": [*range(8), 0], "val": range(8, NUMBER)})
    assert_truth(tmp_path)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("008\n000\n")
    with pytest.raises(DataError, match=r"000 is in train by train\.txt and in val by val\.txt"):
        inspect(tmp_path)


def write_augmented(root, write_image):
    """Write VOC with the masks of SBD beside its own, and the lists of both."""
    for number in range(10):
        mask = np.zeros((8, 10), np.uint8)
        mask[2:5, 2 : 4 + number % 3] = 1 + number % 2
        write_image(root / f"JPEGImages/{number}.jpg", np.full((8, 10, 3), 20 * number, np.uint8))
        write_image(root / f"SegmentationClassAug/{number}.png", mask)
        if number < 6:
            write_image(root / f"SegmentationClass/{number}.png", mask)
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, numbers in (
        ("train", range(4)),
        ("val", range(4, 6)),
        ("trainval", range(6)),
        ("trainaug", [*range(4), *range(6, 10)]),
    ):
        (lists / f"{name}.txt").write_text("".join(f"{number}\n" for number in numbers))


@pytest.mark.parametrize(
    ("masks", "train"),
    [("SegmentationClass", range(4)), ("SegmentationClassAug", [*range(4), *range(6, 10)])],
)
def test_augmented_masks_are_a_choice_and_each_has_its_own_lists(
    tmp_path, write_image, masks, train
):
    write_augmented(tmp_path / "VOC2012", write_image)
    with pytest.raises(ChoiceError) as caught:
        inspect(tmp_path)
    choices = {choice.name: choice for choice in caught.value.choices}
    assert set(choices) == {"SegmentationClass", "SegmentationClassAug"}
    report = inspect(tmp_path, masks=masks)
    splits = {sample.stem: sample.split for sample in report.findings.samples}
    assert splits == dict.fromkeys(map(str, train), "train") | {"4": "val", "5": "val"}
    assert {sample.mask.parent.name for sample in report.findings.samples} == {masks}
    (tmp_path / "dataset.yaml").write_text(choices[masks].yaml)
    again = inspect(tmp_path)
    assert {sample.stem: sample.split for sample in again.findings.samples} == splits


def test_without_augmented_masks_there_is_nothing_to_choose(tmp_path, write_image):
    write_augmented(tmp_path, write_image)
    shutil.rmtree(tmp_path / "SegmentationClassAug")
    assert len(inspect(tmp_path).findings.samples) == 6
