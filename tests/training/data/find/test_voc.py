from __future__ import annotations

from PIL import Image

from tests.training.data.truth import (
    NUMBER,
    assert_truth,
    save,
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
